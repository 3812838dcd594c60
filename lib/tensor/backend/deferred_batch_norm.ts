/**
 * Batch norms that wait until the use of their output is known. If a relu follows, oneDNN computes
 * both as one op, and the relu costs no pass over memory.
 */
import * as tf from "@tensorflow/tfjs-core";
import type { OpAttribute, RawBackend } from "./types.ts";

const FUSED_WITH_RELU = "_MklNativeFusedBatchNormEx";

/** A batch norm that waits. */
interface Normalization {
  readonly attributes: OpAttribute[];
  readonly inputs: tf.TensorInfo[];
  /** Runs work in the floating-point types of the call. */
  readonly inTypesOfCall: <T>(work: () => T) => T;
  /** The normalised feature maps, four statistics, and an output that only a GPU uses. */
  readonly outputs: readonly object[];
  /** The outputs that are alive and have not been computed. */
  readonly unresolved: Set<object>;
}

export class DeferredBatchNorm {
  readonly #backend: RawBackend;
  /** The normalisation that computes each unresolved output. */
  readonly #pending = new Map<object, Normalization>();

  constructor(backend: RawBackend) {
    this.#backend = backend;
  }

  /** Defers a batch norm, or fuses a relu with the one before; returns undefined for other ops. */
  intercept(
    op: string,
    attributes: OpAttribute[],
    inputs: readonly tf.TensorInfo[],
  ): tf.Tensor[] | undefined {
    if (op === "FusedBatchNormV3" && this.#backend.hasOneDnnOp(FUSED_WITH_RELU)) {
      return this.#defer(attributes, inputs);
    }
    if (op !== "Relu") return undefined;
    const { dataId } = inputs[0]!, normalization = this.#pending.get(dataId);
    if (dataId !== normalization?.outputs[0]) return undefined;
    const activated = this.#computeWithRelu(normalization);
    return activated && [activated];
  }

  /** Computes an output that is pending. */
  resolve(dataId: object): void {
    const normalization = this.#pending.get(dataId);
    if (!normalization) return;
    const { attributes, inputs, inTypesOfCall } = normalization;
    const results = inTypesOfCall(() =>
      this.#backend.execute("FusedBatchNormV3", attributes, inputs, 6)
    );
    this.#deliver(normalization, results, true);
    tf.dispose(results);
  }

  /** Computes all outputs that are pending. */
  resolveAll(): void {
    for (const dataId of [...this.#pending.keys()]) this.resolve(dataId);
  }

  /** Forgets an output that was freed. */
  release(dataId: object): void {
    const normalization = this.#pending.get(dataId);
    if (normalization) this.#settle(normalization, dataId);
  }

  /** Returns outputs that are computed later. */
  #defer(attributes: OpAttribute[], inputs: readonly tf.TensorInfo[]): tf.Tensor[] {
    const backend = this.#backend;
    // The running statistics are outputs of this layer's batch norm in the previous step. If they
    // stayed pending, each batch norm would wait for the next one and keep its batch in memory.
    for (const { dataId } of inputs) this.resolve(dataId);
    const [x, scale] = inputs;
    const shapes = [x!.shape, ...Array.from({ length: 4 }, () => scale!.shape), [0]];
    const tensors = shapes.map((shape) =>
      backend.createOutputTensor({ id: -1, shape, dtype: backend.binding.TF_FLOAT })
    );
    const outputs = tensors.map(({ dataId }) => dataId);
    const normalization = {
      attributes,
      inputs: inputs.map(({ dataId, shape, dtype }) => ({ dataId, shape, dtype })),
      inTypesOfCall: backend.bindTypes(),
      outputs,
      unresolved: new Set(outputs),
    };
    for (const dataId of outputs) this.#pending.set(dataId, normalization);
    for (const { dataId } of inputs) backend.incRef(dataId);
    return tensors;
  }

  /**
   * Returns the relu of the feature maps, and undefined where oneDNN cannot compute it. The feature
   * maps without relu stay pending.
   */
  #computeWithRelu(normalization: Normalization): tf.Tensor | undefined {
    const backend = this.#backend, { TF_ATTR_INT, TF_ATTR_STRING } = backend.binding;
    const { attributes, inputs, inTypesOfCall } = normalization;
    // Without an epsilon, oneDNN returns NaN for a variance of 0.
    if (!attributes.some(({ name, value }) => name === "epsilon" && value !== 0)) return undefined;
    const extraAttributes = [
      { name: "activation_mode", type: TF_ATTR_STRING, value: "Relu" },
      { name: "num_side_inputs", type: TF_ATTR_INT, value: 0 },
    ];
    const results = inTypesOfCall(() =>
      backend.executeOneDnnOp(FUSED_WITH_RELU, [...attributes, ...extraAttributes], inputs, 6)
    );
    if (!results) return undefined;
    // Where scale, offset, mean or variance is not finite, the feature maps become NaN, and
    // oneDNN's relu turns NaN into 0.
    if (!backend.areFinite([inputs[1]!, inputs[2]!, results[3]!, results[4]!])) {
      tf.dispose(results);
      return undefined;
    }
    this.#deliver(normalization, results, false);
    const [y, ...rest] = results;
    tf.dispose(rest);
    return y;
  }

  /** Moves results into the pending outputs; the feature maps only if they are without relu. */
  #deliver(
    normalization: Normalization,
    results: readonly tf.Tensor[],
    isWithoutRelu: boolean,
  ): void {
    const { binding, tensorMap } = this.#backend, { outputs, unresolved } = normalization;
    outputs.forEach((dataId, i) => {
      if (!unresolved.has(dataId) || (i === 0 && !isWithoutRelu)) return;
      const from = tensorMap.get(results[i]!.dataId)!, to = tensorMap.get(dataId)!;
      if (i === 5) to.id = binding.createTensor([0], to.dtype, new Float32Array());
      else [to.id, to.dtype, from.id] = [from.id, from.dtype, -1];
      this.#settle(normalization, dataId);
    });
  }

  /** Removes an output from the pending ones; the last one releases the inputs. */
  #settle({ inputs, unresolved }: Normalization, dataId: object): void {
    this.#pending.delete(dataId);
    unresolved.delete(dataId);
    if (unresolved.size > 0) return;
    for (const { dataId } of inputs) this.#backend.decRef(dataId);
  }
}
