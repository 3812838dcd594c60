/**
 * TensorFlow.js's native backend, which can also compute in bfloat16: 8 bits of exponent as in
 * float32, 7 of fraction.
 *
 * TensorFlow.js has no name for that type, so its tensors stay "float32" to whoever holds them;
 * only their memory is half as large. Which operation runs in which type is decided here, one
 * operation at a time, as PyTorch's autocast does.
 */
import type { Tensor, TensorInfo } from "@tensorflow/tfjs-core";
import type { NativeTensor, OpAttribute } from "./binding.d.ts";
import { LeanBackend } from "./resource_variables.ts";

/** TensorFlow's number for the type bfloat16. */
const BFLOAT16 = 14;

/**
 * What is always computed in bfloat16: sums of products, for which processors have instructions.
 */
const COMPUTED = new Set([
  "Conv2D",
  "Conv2DBackpropInput",
  "Conv2DBackpropFilter",
  "_MklNativeConv2DWithBias",
  "BatchMatMulV2",
  "MatMul",
]);

/**
 * What gives float32 although it is computed in bfloat16: gradients of parameters, which are
 * float32, and what a loss may follow.
 */
const WIDENED = new Set([
  "BiasAddGrad",
  "Conv2DBackpropFilter",
  "BatchMatMulV2",
  "L2Loss",
  "MatMul",
]);

/**
 * What is computed in bfloat16 where an input is, and how many of the inputs may be (all, unless
 * said). Anything else is in float32.
 */
const FOLLOWING: Readonly<Record<string, number>> = {
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

export class AutocastBackend extends LeanBackend {
  /**
   * While computing in bfloat16: what has been narrowed already, so that it is done once for all
   * uses.
   */
  #narrowed: Map<object, number> | undefined;
  /** Whether there may be tensors in bfloat16. */
  #used = false;

  /** Whether {@linkcode inBfloat16} runs something. */
  get isInBfloat16(): boolean {
    return this.#narrowed !== undefined;
  }

  /** Runs `f` in bfloat16. */
  inBfloat16<T>(f: () => T): T {
    if (this.#narrowed) return f();
    this.#used = true;
    const narrowed = this.#narrowed = new Map<object, number>();
    try {
      return f();
    } finally {
      this.#narrowed = undefined;
      for (const id of narrowed.values()) this.binding.deleteTensor(id);
    }
  }

  /** Runs `f` in float32, whatever runs it. */
  inFloat32<T>(f: () => T): T {
    const outer = this.#narrowed;
    this.#narrowed = undefined;
    try {
      return f();
    } finally {
      this.#narrowed = outer;
    }
  }

  override record(...[inputs, work]: Parameters<LeanBackend["record"]>) {
    // What was narrowed before would come from nowhere.
    const record = () => super.record(inputs, work);
    const inBfloat16 = this.isInBfloat16;
    return this.inFloat32(() => inBfloat16 ? this.inBfloat16(record) : record());
  }

  override createOutputTensor(tensor: NativeTensor): Tensor {
    if (tensor.dtype !== BFLOAT16) return super.createOutputTensor(tensor);
    const result = super.createOutputTensor({ ...tensor, dtype: this.binding.TF_FLOAT });
    this.tensorMap.get(result.dataId)!.dtype = BFLOAT16;
    return result;
  }

  override update(...[op, variables, ...rest]: Parameters<LeanBackend["update"]>): void {
    super.update(op, variables, ...rest);
    for (const { dataId } of variables) this.#forget(dataId);
  }

  override disposeData(dataId: object, force?: boolean): boolean {
    const gone = super.disposeData(dataId, force);
    if (gone) this.#forget(dataId);
    return gone;
  }

  /** Drops what has been narrowed of data that changed or is gone. */
  #forget(dataId: object): void {
    const id = this.#narrowed?.get(dataId);
    if (id === undefined) return;
    this.#narrowed!.delete(dataId);
    this.binding.deleteTensor(id);
  }

  override executeSingleOutput(op: string, attributes: OpAttribute[], inputs: TensorInfo[]) {
    return this.executeMultipleOutputs(op, attributes, inputs, 1)[0]!;
  }

  override executeMultipleOutputs(
    op: string,
    attributes: OpAttribute[],
    inputs: TensorInfo[],
    outputs: number,
  ): Tensor[] {
    if (!this.#used) return super.executeMultipleOutputs(op, attributes, inputs, outputs);
    const ids = this.getInputTensorIds(inputs);
    const types = inputs.map(({ dataId }) => this.tensorMap.get(dataId)?.dtype);
    const computed = this.#narrowed !== undefined && COMPUTED.has(op);
    // oneDNN has fast normalisations in bfloat16 for channels in sixteens only; its others are ten
    // times slower than in float32.
    const isSlow = op.includes("FusedBatchNorm") && inputs[0]!.shape.at(-1)! % 16 !== 0;
    const following = this.#narrowed !== undefined && FOLLOWING[op] !== undefined &&
      types.includes(BFLOAT16) && !isSlow;
    const narrow = computed ? Infinity : following ? FOLLOWING[op]! : 0;
    const temporary: number[] = [];
    inputs.forEach(({ dataId }, i) => {
      if (i < narrow && types[i] === this.binding.TF_FLOAT) {
        const kept = this.#narrowed!.get(dataId);
        ids[i] = kept ?? this.#cast(ids[i]!, this.binding.TF_FLOAT, BFLOAT16);
        // What is multiplied comes back in the gradient.
        if (kept !== undefined) return;
        if (computed) this.#narrowed!.set(dataId, ids[i]!);
        else temporary.push(ids[i]!);
      } else if (i >= narrow && types[i] === BFLOAT16) {
        ids[i] = this.#cast(ids[i]!, BFLOAT16, this.binding.TF_FLOAT);
        temporary.push(ids[i]!);
      }
    });
    const typed = narrow === 0
      ? attributes
      : attributes.map((attribute) =>
        attribute.name === "T" ? { ...attribute, value: BFLOAT16 } : attribute
      );
    let results;
    try {
      results = this.binding.executeOp(op, typed, ids, outputs);
    } finally {
      for (const id of temporary) this.binding.deleteTensor(id);
    }
    return results.map((result) => {
      if (result.dtype !== BFLOAT16 || !WIDENED.has(op)) return this.createOutputTensor(result);
      const id = this.#cast(result.id, BFLOAT16, this.binding.TF_FLOAT);
      this.binding.deleteTensor(result.id);
      return this.createOutputTensor({ ...result, id, dtype: this.binding.TF_FLOAT });
    });
  }

  override readSync(dataId: object) {
    const info = this.tensorMap.get(dataId);
    if (info?.dtype !== BFLOAT16) return super.readSync(dataId);
    const id = this.#cast(info.id, BFLOAT16, this.binding.TF_FLOAT);
    const values = this.binding.tensorDataSync(id);
    this.binding.deleteTensor(id);
    return values;
  }

  #cast(id: number, from: number, to: number): number {
    const { TF_ATTR_TYPE, TF_ATTR_BOOL } = this.binding;
    const [result] = this.binding.executeOp(
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
