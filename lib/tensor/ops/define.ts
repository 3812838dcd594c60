/** Ops from functions of TensorFlow.js: with checks of the operands, and with written types. */
import { checkTensor, NUMERIC } from "../checks.ts";
import type { Broadcast, BroadcastableTo, DataType, SameShape, Tensor } from "../types.ts";

/** A tensor or a number. */
export type Operand = Tensor | number;

/** An op on each element of one tensor. */
export type UnaryOp = <T extends Tensor>(x: T) => SameShape<T>;

/** An op on each pair of elements of two operands, broadcast. */
export type BinaryOp = <A extends Operand, B extends Operand>(
  a: A,
  b: B & BroadcastableTo<A, B>,
) => Broadcast<A, B>;

/**
 * Returns `f` with a check of its operand.
 *
 * @param action The action in error messages, such as `"Taking the logarithm"`.
 */
export function unary(
  action: string,
  f: (x: Tensor) => Tensor,
  dtype: DataType | readonly DataType[] = "float32",
): UnaryOp {
  return <T extends Tensor>(x: T) => {
    checkTensor(action, x, { dtype });
    return f(x) as SameShape<T>;
  };
}

function checkOperand(action: string, x: Operand, dtype: readonly DataType[]): void {
  if (typeof x !== "number") checkTensor(action, x, { name: "an operand", dtype });
}

/** Returns `f` with checks of its operands, and of their broadcast. */
export function binary(
  action: string,
  f: (a: Operand, b: Operand) => Tensor,
  dtypes: readonly DataType[] = NUMERIC,
): BinaryOp {
  const checked = (a: Operand, b: Operand): Tensor => {
    checkOperand(action, a, dtypes);
    checkOperand(action, b, dtypes);
    checkBroadcast(action, a, b);
    return f(a, b);
  };
  return checked as BinaryOp;
}

/**
 * Checks that two shapes broadcast.
 *
 * @throws {RangeError} If they do not.
 */
export function checkBroadcast(action: string, a: Operand, b: Operand): void {
  if (typeof a === "number" || typeof b === "number") return;
  const shorter = Math.min(a.rank, b.rank);
  for (let axis = 1; axis <= shorter; axis++) {
    const left = a.shape[a.rank - axis];
    const right = b.shape[b.rank - axis];
    if (left !== right && left !== 1 && right !== 1) {
      throw new RangeError(
        `${action}: the shapes must broadcast, found [${a.shape}] and [${b.shape}]. ` +
          "Counted from the last, each pair of axes must be equal or one of them 1.",
      );
    }
  }
}
