/**
 * Mixed precision: decides for each op whether it computes in float32 or in bfloat16, as PyTorch's
 * autocast does. bfloat16 has the 8 bits of exponent of float32, and 7 of fraction.
 *
 * TensorFlow.js has no name for bfloat16. It reports such tensors as float32; only their memory is
 * half as large.
 */
import type { TensorInfo } from "@tensorflow/tfjs-core";
import type { NativeTensor, OpAttribute, RawBackend, Values } from "./types.ts";

/** TensorFlow's id of the type bfloat16. */
const BFLOAT16 = 14;

/**
 * Ops that always compute in bfloat16: sums of products, which processors have instructions for.
 */
const LOWER_PRECISION = new Set([
  "Conv2D",
  "Conv2DBackpropInput",
  "Conv2DBackpropFilter",
  "_MklNativeConv2DWithBias",
  "BatchMatMulV2",
  "MatMul",
]);

/**
 * Ops whose result is converted to float32: gradients of parameters, and results that a loss may
 * use.
 */
const FLOAT32_OUTPUT = new Set([
  "BiasAddGrad",
  "Conv2DBackpropFilter",
  "BatchMatMulV2",
  "L2Loss",
  "MatMul",
]);

/**
 * Ops that compute in bfloat16 if one of their inputs is bfloat16, with the number of leading
 * inputs that may be bfloat16. All other ops compute in float32.
 */
const FOLLOW_INPUT: Readonly<Record<string, number>> = {
  Add: Infinity,
  AddN: Infinity,
  AvgPool: 1,
  AvgPoolGrad: Infinity,
  BiasAdd: Infinity,
  BiasAddGrad: 1,
  ConcatV2: Infinity,
  // The statistics stay float32.
  FusedBatchNormV3: 1,
  FusedBatchNormGradV3: 2,
  Identity: 1,
  L2Loss: 1,
  MaxPool: 1,
  MaxPoolGrad: Infinity,
  Mul: Infinity,
  PadV2: Infinity,
  Relu: 1,
  ReluGrad: 2,
  Reshape: 1,
  Slice: 1,
  _MklNativeFusedBatchNormEx: 1,
  _MklNativeMaxPool: 1,
  _MklNativeMaxPoolGrad: 3,
};

export class Autocast {
  readonly #backend: RawBackend;
  /**
   * While bfloat16 is in force: the ids of the bfloat16 copies of float32 tensors, so that each
   * tensor is converted once for all its uses.
   */
  #castCache: Map<object, number> | undefined;
  /** Whether there may be tensors in bfloat16. */
  #hasBeenUsed = false;

  constructor(backend: RawBackend) {
    this.#backend = backend;
  }

  /** Whether bfloat16 is in force. */
  get isActive(): boolean {
    return this.#castCache !== undefined;
  }

  /** Runs `f` with bfloat16 in force. */
  inBfloat16<T>(f: () => T): T {
    if (this.#castCache) return f();
    this.#hasBeenUsed = true;
    const cache = this.#castCache = new Map<object, number>();
    try {
      return f();
    } finally {
      this.#castCache = undefined;
      for (const id of cache.values()) this.#backend.binding.deleteTensor(id);
    }
  }

  /** Runs `f` in float32, also inside {@linkcode inBfloat16}. */
  inFloat32<T>(f: () => T): T {
    const outer = this.#castCache;
    this.#castCache = undefined;
    try {
      return f();
    } finally {
      this.#castCache = outer;
    }
  }

  /**
   * Runs `f` in the type that is in force, with an empty cache: a graph must not use copies that
   * were made before its capture.
   */
  withEmptyCache<T>(f: () => T): T {
    return this.isActive ? this.inFloat32(() => this.inBfloat16(f)) : this.inFloat32(f);
  }

  /** Returns a function that runs work in the type that is in force now. */
  bind(): <T>(work: () => T) => T {
    return this.isActive ? (work) => this.inBfloat16(work) : (work) => this.inFloat32(work);
  }

  /** Runs an op in its type on the tensors with these ids. */
  execute(
    op: string,
    attributes: OpAttribute[],
    inputs: readonly TensorInfo[],
    ids: number[],
    outputs: number,
  ): NativeTensor[] {
    const { binding, tensorMap } = this.#backend;
    if (!this.#hasBeenUsed) return binding.executeOp(op, attributes, ids, outputs);
    const types = inputs.map(({ dataId }) => tensorMap.get(dataId)?.dtype);
    const isLower = this.isActive && LOWER_PRECISION.has(op);
    // oneDNN has fast normalisations in bfloat16 for channels in sixteens only; its others are ten
    // times slower than in float32.
    const isSlow = op.includes("FusedBatchNorm") && inputs[0]!.shape.at(-1)! % 16 !== 0;
    const follows = this.isActive && FOLLOW_INPUT[op] !== undefined &&
      types.includes(BFLOAT16) && !isSlow;
    const lowerInputs = isLower ? Infinity : follows ? FOLLOW_INPUT[op]! : 0;
    const temporary: number[] = [];
    inputs.forEach(({ dataId }, i) => {
      if (i < lowerInputs && types[i] === binding.TF_FLOAT) {
        const cached = this.#castCache!.get(dataId);
        ids[i] = cached ?? this.#cast(ids[i]!, binding.TF_FLOAT, BFLOAT16);
        if (cached !== undefined) return;
        // The factors of a product are used again by its gradient.
        if (isLower) this.#castCache!.set(dataId, ids[i]!);
        else temporary.push(ids[i]!);
      } else if (i >= lowerInputs && types[i] === BFLOAT16) {
        ids[i] = this.#cast(ids[i]!, BFLOAT16, binding.TF_FLOAT);
        temporary.push(ids[i]!);
      }
    });
    const typed = lowerInputs === 0
      ? attributes
      : attributes.map((attribute) =>
        attribute.name === "T" ? { ...attribute, value: BFLOAT16 } : attribute
      );
    let results;
    try {
      results = binding.executeOp(op, typed, ids, outputs);
    } finally {
      for (const id of temporary) binding.deleteTensor(id);
    }
    return results.map((result) => {
      if (result.dtype !== BFLOAT16 || !FLOAT32_OUTPUT.has(op)) return result;
      const id = this.#cast(result.id, BFLOAT16, binding.TF_FLOAT);
      binding.deleteTensor(result.id);
      return { ...result, id, dtype: binding.TF_FLOAT };
    });
  }

  /** Returns a native tensor under a type that TensorFlow.js knows. */
  toKnownType(tensor: NativeTensor): NativeTensor {
    return tensor.dtype === BFLOAT16
      ? { ...tensor, dtype: this.#backend.binding.TF_FLOAT }
      : tensor;
  }

  /** Returns a tensor whose memory is in float32: this one, or a copy. */
  toFloat32(tensor: TensorInfo): TensorInfo {
    if (!this.#hasBeenUsed) return tensor;
    const { binding, tensorMap } = this.#backend;
    const [id] = this.#backend.getInputTensorIds([tensor]);
    const { shape, dtype } = tensorMap.get(tensor.dataId)!;
    if (dtype !== BFLOAT16) return tensor;
    const { TF_FLOAT } = binding;
    const float = { id: this.#cast(id!, BFLOAT16, TF_FLOAT), shape, dtype: TF_FLOAT };
    return this.#backend.createOutputTensor(float);
  }

  /** Returns the values of data in bfloat16, and undefined for other data. */
  readSync(dataId: object): Values | undefined {
    const { binding, tensorMap } = this.#backend, data = tensorMap.get(dataId);
    if (data?.dtype !== BFLOAT16) return undefined;
    const id = this.#cast(data.id, BFLOAT16, binding.TF_FLOAT);
    const values = binding.tensorDataSync(id);
    binding.deleteTensor(id);
    return values;
  }

  /** Evicts the cached bfloat16 copy of data that was updated or freed. */
  evict(dataId: object): void {
    const id = this.#castCache?.get(dataId);
    if (id === undefined) return;
    this.#castCache!.delete(dataId);
    this.#backend.binding.deleteTensor(id);
  }

  /** Returns the id of a copy in a different type. */
  #cast(id: number, from: number, to: number): number {
    const { binding } = this.#backend, { TF_ATTR_TYPE, TF_ATTR_BOOL } = binding;
    const [result] = binding.executeOp(
      "Cast",
      [
        { name: "SrcT", type: TF_ATTR_TYPE, value: from },
        { name: "DstT", type: TF_ATTR_TYPE, value: to },
        { name: "Truncate", type: TF_ATTR_BOOL, value: false },
      ],
      [id],
      1,
    );
    return result!.id;
  }
}
