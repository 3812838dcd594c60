/**
 * The native backend, which normalises a batch together with the relu that mostly follows: the
 * normalisation waits until it is known what is done with its output. A relu then costs nothing,
 * where it would be a pass over memory of its own.
 */
import * as tf from "@tensorflow/tfjs-core";
import type { OpAttribute } from "./binding.d.ts";
import { AutocastBackend } from "./autocast.ts";

/** A batch normalisation that waits. */
interface Normalization {
  readonly attributes: OpAttribute[];
  readonly inputs: tf.TensorInfo[];
  readonly inBfloat16: boolean;
  /**
   * What it gives: the normalised maps, four statistics, and what only a GPU puts something into.
   */
  readonly outputs: readonly object[];
  /** Those that are alive and have not been computed. */
  readonly missing: Set<object>;
}

export class FusingBackend extends AutocastBackend {
  /** What an output that has not been computed waits for. */
  readonly #waiting = new Map<object, Normalization>();
  /**
   * Whether TensorFlow has oneDNN's batch normalisation with relu, as it mostly has on x86; found
   * out at the first use.
   */
  #hasOneDnn = true;

  override executeMultipleOutputs(
    op: string,
    attributes: OpAttribute[],
    inputs: tf.TensorInfo[],
    outputs: number,
  ): tf.Tensor[] {
    if (this.#hasOneDnn && !this.isUsingGpuDevice) {
      if (op === "FusedBatchNormV3") return this.#postpone(attributes, inputs);
      const normalization = op === "Relu" ? this.#waiting.get(inputs[0]!.dataId) : undefined;
      const activated = normalization && inputs[0]!.dataId === normalization.outputs[0] &&
        this.#normalizeWithRelu(normalization);
      if (activated) return [activated];
    }
    return super.executeMultipleOutputs(op, attributes, inputs, outputs);
  }

  override record(...parameters: Parameters<AutocastBackend["record"]>) {
    // Those that wait are not part of what is noted.
    for (const dataId of [...this.#waiting.keys()]) this.#compute(dataId);
    return super.record(...parameters);
  }

  override getInputTensorIds(inputs: tf.TensorInfo[]): number[] {
    for (const { dataId } of inputs) this.#compute(dataId);
    return super.getInputTensorIds(inputs);
  }

  override readSync(dataId: object) {
    this.#compute(dataId);
    return super.readSync(dataId);
  }

  override disposeData(dataId: object, force?: boolean): boolean {
    const gone = super.disposeData(dataId, force);
    const normalization = gone && this.#waiting.get(dataId);
    if (normalization) this.#settle(normalization, dataId);
    return gone;
  }

  /** Gives outputs that are computed later. */
  #postpone(attributes: OpAttribute[], inputs: tf.TensorInfo[]): tf.Tensor[] {
    // Running statistics come from the normalization before: else each would wait for the next,
    // with its batch.
    for (const { dataId } of inputs) this.#compute(dataId);
    const [x, scale] = inputs;
    const shapes = [x!.shape, ...Array.from({ length: 4 }, () => scale!.shape), [0]];
    const tensors = shapes.map((shape) =>
      this.createOutputTensor({ id: -1, shape, dtype: this.binding.TF_FLOAT })
    );
    const outputs = tensors.map(({ dataId }) => dataId);
    const normalization = {
      attributes,
      inputs: inputs.map(({ dataId, shape, dtype }) => ({ dataId, shape, dtype })),
      inBfloat16: this.isInBfloat16,
      outputs,
      missing: new Set(outputs),
    };
    for (const dataId of outputs) this.#waiting.set(dataId, normalization);
    for (const { dataId } of inputs) this.incRef(dataId);
    return tensors;
  }

  /** Computes an output if that has not been done. */
  #compute(dataId: object): void {
    const normalization = this.#waiting.get(dataId);
    if (!normalization) return;
    const results = this.#run("FusedBatchNormV3", [], normalization);
    this.#handOut(normalization, results, true);
    tf.dispose(results);
  }

  /** The relu of the normalised maps, if there is oneDNN; the maps themselves go on waiting. */
  #normalizeWithRelu(normalization: Normalization): tf.Tensor | undefined {
    const { TF_ATTR_INT, TF_ATTR_STRING } = this.binding;
    // A variance of 0 would give NaN.
    if (!normalization.attributes.some(({ name, value }) => name === "epsilon" && value !== 0)) {
      return;
    }
    let results;
    try {
      results = this.#run("_MklNativeFusedBatchNormEx", [
        { name: "activation_mode", type: TF_ATTR_STRING, value: "Relu" },
        { name: "num_side_inputs", type: TF_ATTR_INT, value: 0 },
        // oneDNN's mark of its kernels for TensorFlow's own layout
        { name: "_kernel", type: TF_ATTR_STRING, value: "MklNameChangeOp" },
      ], normalization);
    } catch {
      this.#hasOneDnn = false;
      return;
    }
    if (!this.#isFinite(normalization, results)) {
      tf.dispose(results);
      return;
    }
    this.#handOut(normalization, results, false);
    const [y, ...rest] = results;
    tf.dispose(rest);
    return y;
  }

  /**
   * Whether what the maps are normalised with is finite: if not, they become NaN, and oneDNN's relu
   * makes 0 of NaN.
   */
  #isFinite({ inputs }: Normalization, results: readonly tf.Tensor[]): boolean {
    const { TF_ATTR_INT, TF_ATTR_TYPE, TF_FLOAT } = this.binding;
    const type = { name: "T", type: TF_ATTR_TYPE, value: TF_FLOAT };
    // Scale, offset, and the batch's mean and variance.
    const vectors = [inputs[1]!, inputs[2]!, results[3]!, results[4]!];
    return this.inFloat32(() =>
      tf.tidy(() => {
        const count = { name: "N", type: TF_ATTR_INT, value: vectors.length };
        const [sum] = super.executeMultipleOutputs("AddN", [type, count], vectors, 1);
        return this.assumeFinite(super.executeMultipleOutputs("L2Loss", [type], [sum!], 1)[0]!);
      })
    );
  }

  /** Runs it. */
  #run(op: string, more: OpAttribute[], normalization: Normalization): tf.Tensor[] {
    const { attributes, inputs, inBfloat16 } = normalization;
    const work = () => super.executeMultipleOutputs(op, [...attributes, ...more], inputs, 6);
    return inBfloat16 ? this.inBfloat16(work) : this.inFloat32(work);
  }

  /** Hands out what is waited for; the maps only if they are plain, without relu. */
  #handOut(
    normalization: Normalization,
    results: readonly tf.Tensor[],
    isPlain: boolean,
  ): void {
    const { outputs, missing } = normalization;
    outputs.forEach((dataId, i) => {
      if (!missing.has(dataId) || (i === 0 && !isPlain)) return;
      const from = this.tensorMap.get(results[i]!.dataId)!, to = this.tensorMap.get(dataId)!;
      if (i === 5) to.id = this.binding.createTensor([0], to.dtype, new Float32Array());
      else [to.id, to.dtype, from.id] = [from.id, from.dtype, -1];
      this.#settle(normalization, dataId);
    });
  }

  /** Notes that an output is no longer missing; lets go of the inputs with the last. */
  #settle({ inputs, missing }: Normalization, dataId: object): void {
    this.#waiting.delete(dataId);
    missing.delete(dataId);
    if (missing.size > 0) return;
    for (const { dataId } of inputs) {
      if (this.disposeData(dataId)) tf.engine().removeDataId(dataId, this);
    }
  }
}
