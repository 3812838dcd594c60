/** Runs TensorFlow ops by name, for kernels. */
import type * as tf from "@tensorflow/tfjs-core";
import { nativeBackend } from "./select.ts";
import type { Binding, OpAttribute } from "./types.ts";

/** The value of an attribute of a TensorFlow op, under the type that TensorFlow expects. */
export type Attribute =
  | { float: number }
  | { bool: boolean }
  | { string: string }
  | { integer: number }
  | { integers: readonly number[] }
  | { type: "float32" | "int32" | "bool" };

function toOpAttributes(
  attributes: Readonly<Record<string, Attribute>>,
  b: Binding,
): OpAttribute[] {
  return Object.entries(attributes).map(([name, attribute]) => {
    if ("float" in attribute) return { name, type: b.TF_ATTR_FLOAT, value: attribute.float };
    if ("bool" in attribute) return { name, type: b.TF_ATTR_BOOL, value: attribute.bool };
    if ("string" in attribute) return { name, type: b.TF_ATTR_STRING, value: attribute.string };
    if ("integer" in attribute) return { name, type: b.TF_ATTR_INT, value: attribute.integer };
    if ("integers" in attribute) return { name, type: b.TF_ATTR_INT, value: attribute.integers };
    const types = { float32: b.TF_FLOAT, int32: b.TF_INT32, bool: b.TF_BOOL };
    return { name, type: b.TF_ATTR_TYPE, value: types[attribute.type] };
  });
}

/**
 * Runs a TensorFlow op by name on the native backend. Returns one tensor, or as many as `outputs`
 * says.
 *
 * @throws {TypeError} If the native backend is not in use.
 */
export function runTensorFlowOp(
  op: string,
  inputs: readonly tf.TensorInfo[],
  attributes: Readonly<Record<string, Attribute>>,
): tf.Tensor;
export function runTensorFlowOp(
  op: string,
  inputs: readonly tf.TensorInfo[],
  attributes: Readonly<Record<string, Attribute>>,
  outputs: number,
): tf.Tensor[];
export function runTensorFlowOp(
  op: string,
  inputs: readonly tf.TensorInfo[],
  attributes: Readonly<Record<string, Attribute>>,
  outputs?: number,
): tf.Tensor | tf.Tensor[] {
  const native = nativeBackend();
  if (!native) {
    throw new TypeError(
      `Running the TensorFlow op ${op}: the native backend must compute, found another one.`,
    );
  }
  const results = native.executeMultipleOutputs(
    op,
    toOpAttributes(attributes, native.binding),
    inputs,
    outputs ?? 1,
  );
  return outputs === undefined ? results[0]! : results;
}

/**
 * Runs an op of oneDNN on the native backend. Returns undefined if another backend or a GPU is in
 * use, or TensorFlow lacks the op.
 */
export function runOneDnnOp(
  op: string,
  inputs: readonly tf.TensorInfo[],
  attributes: Readonly<Record<string, Attribute>>,
  outputs: number,
): tf.Tensor[] | undefined {
  const native = nativeBackend();
  if (!native?.hasOneDnnOp(op)) return undefined;
  return native.executeOneDnnOp(op, toOpAttributes(attributes, native.binding), inputs, outputs);
}
