import { ops, type Tensor } from "../tensor/mod.ts";
import { checkInstance, checkOneOf, checkTensor, show } from "../tensor/internal.ts";

const FLOATS = ["F64", "F32", "F16", "BF16", "F8_E5M2", "F8_E4M3"] as const;

/** The bytes of one element, for each type whose numbers can be read. */
const SIZES = {
  F64: 8,
  F32: 4,
  F16: 2,
  BF16: 2,
  F8_E5M2: 1,
  F8_E4M3: 1,
  I64: 8,
  I32: 4,
  I16: 2,
  I8: 1,
  U64: 8,
  U32: 4,
  U16: 2,
  U8: 1,
  BOOL: 1,
} as const;

/** The bytes of one element, for the types of the format that can only be read as bytes. */
const OTHER_SIZES: Readonly<Record<string, number>> = {
  C64: 8,
  F8_E8M0: 1,
  F8_E4M3FNUZ: 1,
  F8_E5M2FNUZ: 1,
  F6_E2M3: 0.75,
  F6_E3M2: 0.75,
  F4: 0.5,
};

const ALL_SIZES: ReadonlyMap<string, number> = new Map(
  Object.entries({ ...SIZES, ...OTHER_SIZES }),
);

/**
 * The type of the elements of a stored tensor, by the names of safetensors: `"F32"` is float32,
 * `"BF16"` bfloat16, `"I64"` int64. {@linkcode StoredTensor.values} reads the types named here. The
 * format has other types, such as `"C64"`; only {@linkcode StoredTensor.bytes} reads them.
 */
export type StoredType =
  | ("F64" | "F32" | "F16" | "BF16" | "F8_E5M2" | "F8_E4M3")
  | ("I64" | "I32" | "I16" | "I8" | "U64" | "U32" | "U16" | "U8" | "BOOL")
  // deno-lint-ignore ban-types
  | (string & {});

/** Whether a value is the name of a type. */
export function isStoredType(name: unknown): name is StoredType {
  return typeof name === "string" && ALL_SIZES.has(name);
}

/** The names of all types. */
export const storedTypes: readonly string[] = [...ALL_SIZES.keys()];

/** The bytes of one element; less than 1 for types of four or six bits. */
export function elementSize(dtype: StoredType): number {
  return ALL_SIZES.get(dtype)!;
}

/** The numbers of a stored tensor in row-major order. */
export type StoredValues =
  | Float32Array<ArrayBuffer>
  | Float64Array<ArrayBuffer>
  | BigInt64Array<ArrayBuffer>
  | BigUint64Array<ArrayBuffer>
  | Int32Array<ArrayBuffer>
  | Int16Array<ArrayBuffer>
  | Int8Array<ArrayBuffer>
  | Uint32Array<ArrayBuffer>
  | Uint16Array<ArrayBuffer>
  | Uint8Array<ArrayBuffer>;

/** The tensors of a model by PyTorch's names, in PyTorch's layout. */
export type StateDict = ReadonlyMap<string, StoredTensor>;

/**
 * A tensor of a file or of a state dict: its dtype, its shape, and a view of its bytes. Numbers and
 * tensors are only made on demand, so that a file is in memory once.
 *
 * @example
 * ```ts
 * import { linear, stateDict } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const stored = stateDict(linear(3, 2)).get("bias")!;
 * assert.equal(stored.dtype, "F32");
 * assert.deepEqual(stored.shape, [2]);
 * assert.deepEqual([...stored.values()], [0, 0]);
 * assert.deepEqual(stored.tensor().arraySync(), [0, 0]);
 * ```
 */
export class StoredTensor {
  readonly #data: Uint8Array<ArrayBuffer>;
  readonly #strides: readonly number[] | undefined;
  readonly #isNegated: boolean;

  /**
   * Makes a stored tensor of bytes, little-endian.
   *
   * @param data The elements in row-major order; with strides, the bytes from the first element to
   * the last.
   * @param strides For each axis, the number of elements from one index to the next.
   * @param isNegated Whether each number has the opposite sign of its bytes. Only for
   * floating-point types.
   * @throws {TypeError} If `dtype` is not a string, or the shape is not whole numbers.
   * @throws {RangeError} If there is no such type, or the number of bytes does not fit the shape.
   */
  constructor(
    readonly dtype: StoredType,
    readonly shape: readonly number[],
    data: Uint8Array<ArrayBuffer>,
    strides?: readonly number[],
    isNegated = false,
  ) {
    const action = "Making a stored tensor";
    checkOneOf(action, "dtype", dtype, storedTypes);
    if (!isCounts(shape)) {
      throw new TypeError(
        `${action}: shape must be whole numbers of at least 0, found ${show(shape)}.`,
      );
    }
    const size = elementSize(dtype);
    const needed = size *
      (strides && this.size > 0
        ? shape.reduce((last, axis, i) => last + (axis - 1) * strides[i]!, 1)
        : this.size);
    if (strides ? data.length < needed : data.length !== needed) {
      throw new RangeError(
        `${action}: the data of ${dtype} ${
          show(shape)
        } must have ${needed} bytes, found ${data.length}.`,
      );
    }
    this.#data = data;
    this.#strides = strides;
    this.#isNegated = isNegated;
  }

  /**
   * Copies the elements of a tensor: float32 as F32, int32 as I32, bool as BOOL.
   *
   * @throws {TypeError} If the value is not a tensor, or was disposed.
   */
  static of(tensor: Tensor): StoredTensor {
    checkTensor("Storing a tensor", tensor, { name: "the value" });
    const { buffer, byteOffset, byteLength } = tensor.dataSync();
    const bytes = new Uint8Array(buffer, byteOffset, byteLength).slice();
    const dtype = tensor.dtype === "bool" ? "BOOL" : tensor.dtype === "int32" ? "I32" : "F32";
    return new StoredTensor(dtype, tensor.shape, bytes);
  }

  /** The number of elements. */
  get size(): number {
    return this.shape.reduce((product, axis) => product * axis, 1);
  }

  /**
   * Whether the elements are floating-point numbers that can be read: F64, F32, F16, BF16, F8_E5M2,
   * F8_E4M3.
   */
  get isFloat(): boolean {
    return FLOATS.some((name) => name === this.dtype);
  }

  /** Returns the elements in row-major order, little-endian; a view if the file has them so. */
  bytes(): Uint8Array<ArrayBuffer> {
    const bytes = this.#strides ? this.#toRowMajor() : this.#data;
    if (!this.#isNegated) return bytes;
    // The sign is the highest bit of the last byte.
    const negated = bytes.slice(), size = elementSize(this.dtype);
    for (let i = size - 1; i < negated.length; i += size) negated[i]! ^= 0x80;
    return negated;
  }

  /** Copies the elements into row-major order. */
  #toRowMajor(): Uint8Array<ArrayBuffer> {
    const size = elementSize(this.dtype), count = this.size;
    const { buffer, byteOffset: start } = aligned(this.#data, size);
    const length = Math.floor(this.#data.length / size);
    switch (size) {
      case 1:
        return this.#gather(this.#data, new Uint8Array(count));
      case 2:
        return bytesOf(
          this.#gather(new Uint16Array(buffer, start, length), new Uint16Array(count)),
        );
      case 4:
        return bytesOf(
          this.#gather(new Uint32Array(buffer, start, length), new Uint32Array(count)),
        );
      case 8:
        return bytesOf(
          this.#gather(new BigUint64Array(buffer, start, length), new BigUint64Array(count)),
        );
      default:
        throw this.#unreadable();
    }
  }

  #unreadable(): TypeError {
    return new TypeError(
      `Reading a stored tensor: its type must be one of ${
        Object.keys(SIZES).join(", ")
      }, found ${this.dtype}.`,
    );
  }

  /**
   * Returns the numbers in row-major order: F32, F16, BF16, F8_E5M2 and F8_E4M3 as float32, BOOL as
   * 0 and 1, other types unchanged. The result can be a view of the file; copy it before a change.
   *
   * @throws {TypeError} If the type can only be read as bytes, such as C64.
   */
  values(): StoredValues {
    if (!Object.hasOwn(SIZES, this.dtype)) throw this.#unreadable();
    const bytes = aligned(this.bytes(), elementSize(this.dtype));
    const view = [bytes.buffer, bytes.byteOffset, this.size] as const;
    switch (this.dtype) {
      case "F64":
        return new Float64Array(...view);
      case "F32":
        return new Float32Array(...view);
      case "F16":
        return new Float32Array(new Float16Array(...view));
      case "BF16": {
        // A bfloat16 is the upper half of a float32. No typed array converts it.
        const halves = new Uint16Array(...view);
        const wide = new Uint32Array(halves);
        for (let i = 0; i < wide.length; i++) wide[i] = wide[i]! << 16;
        return new Float32Array(wide.buffer);
      }
      case "F8_E5M2":
        // An F8_E5M2 is the upper half of a float16.
        return new Float32Array(new Float16Array(Uint16Array.from(bytes, (x) => x << 8).buffer));
      case "F8_E4M3":
        return Float32Array.from(bytes, (x) => E4M3[x]!);
      case "I64":
        return new BigInt64Array(...view);
      case "U64":
        return new BigUint64Array(...view);
      case "U32":
        return new Uint32Array(...view);
      case "U16":
        return new Uint16Array(...view);
      case "I32":
        return new Int32Array(...view);
      case "I16":
        return new Int16Array(...view);
      case "I8":
        return new Int8Array(...view);
      case "U8":
      case "BOOL":
        return new Uint8Array(...view);
      default:
        throw this.#unreadable();
    }
  }

  /**
   * Makes a tensor with a copy of the numbers: float32 for floating-point numbers, int32 for whole
   * numbers, bool for BOOL.
   *
   * @throws {RangeError} If there are more than six axes, or a whole number does not fit int32.
   * @throws {TypeError} If the type can only be read as bytes, such as C64.
   *
   * @example
   * ```ts
   * import { linear, stateDict } from "resnet-lab";
   * import assert from "node:assert/strict";
   *
   * using bias = stateDict(linear(3, 2)).get("bias")!.tensor();
   * assert.deepEqual([bias.dtype, bias.arraySync()], ["float32", [0, 0]]);
   * ```
   */
  tensor(): Tensor {
    const values = this.values();
    if (this.isFloat) {
      return ops.tensor(
        values instanceof Float32Array ? values : Float32Array.from(values, Number),
        this.shape,
      );
    }
    const dtype = this.dtype === "BOOL" ? "bool" : "int32";
    return ops.tensor(Array.from(values, Number), this.shape, dtype);
  }

  /** Copies the elements of `from`, laid out by the strides, to `to` in row-major order. */
  #gather<T, To extends { [i: number]: T }>(from: { readonly [i: number]: T }, to: To): To {
    const { shape, size } = this, strides = this.#strides!;
    const index = shape.map(() => 0);
    for (let i = 0, position = 0; i < size; i++) {
      to[i] = from[position]!;
      for (let axis = shape.length - 1; axis >= 0; axis--) {
        position += strides[axis]!;
        if (++index[axis]! < shape[axis]!) break;
        position -= strides[axis]! * shape[axis]!;
        index[axis] = 0;
      }
    }
    return to;
  }
}

/**
 * Checks that a value is a map of stored tensors by name.
 *
 * @throws {TypeError} If it is not.
 */
export function checkStateDict(action: string, tensors: unknown): asserts tensors is StateDict {
  const noun = "a map of stored tensors by name, as readSafetensors and readPth return it";
  checkInstance(action, "the state dict", tensors, Map, noun);
  for (const [name, tensor] of tensors) {
    const noun = "a StoredTensor, which StoredTensor.of makes of a tensor";
    checkInstance(action, `the tensor ${show(name)}`, tensor, StoredTensor, noun);
  }
}

/**
 * The numbers of F8_E4M3, a float8 with four bits of exponent, three of fraction, and no infinity
 * (Micikevicius et al. 2022, FP8 formats for deep learning, table 1).
 */
const E4M3 = Float32Array.from({ length: 256 }, (_, x) => {
  const sign = x & 0x80 ? -1 : 1, exponent = x >> 3 & 15, fraction = (x & 7) / 8;
  if ((x & 0x7f) === 0x7f) return NaN;
  return sign * (exponent === 0 ? fraction * 2 ** -6 : (1 + fraction) * 2 ** (exponent - 7));
});

/** A view of the bytes of a typed array. */
function bytesOf(
  { buffer, byteOffset, byteLength }: ArrayBufferView<ArrayBuffer>,
): Uint8Array<ArrayBuffer> {
  return new Uint8Array(buffer, byteOffset, byteLength);
}

/** The bytes, copied if they begin at no multiple of the element size: typed arrays need that. */
function aligned(bytes: Uint8Array<ArrayBuffer>, size: number): Uint8Array<ArrayBuffer> {
  return bytes.byteOffset % size === 0 ? bytes : bytes.slice();
}

/** Whether a value is a whole number of at least 0: a size, an offset or a stride. */
export function isCount(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}

/** Whether a value is an array of whole numbers of at least 0. */
export function isCounts(value: unknown): value is number[] {
  return Array.isArray(value) && value.every(isCount);
}
