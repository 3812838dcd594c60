/** TensorFlow.js's native backend, with what our kernels need beyond it. */
import * as tf from "@tensorflow/tfjs-core";
import { NodeJSKernelBackend } from "./native_kernels.ts";

export class LeanBackend extends NodeJSKernelBackend {
  /** What lives as long as the data of another tensor. */
  readonly #companions = new WeakMap<object, tf.TensorInfo>();

  /** Lets `companion` live as long as the data of `owner`, uncounted; {@linkcode companionOf} finds it. */
  attach(owner: tf.TensorInfo, companion: tf.Tensor): void {
    const { dataId, shape, dtype } = companion;
    this.incRef(dataId);
    companion.dispose();
    tf.engine().removeDataId(dataId, this);
    this.#companions.set(owner.dataId, { dataId, shape, dtype });
  }

  /** What was attached to the data of `owner`. */
  companionOf(owner: tf.TensorInfo): tf.TensorInfo | undefined {
    return this.#companions.get(owner.dataId);
  }

  override disposeData(dataId: object, force?: boolean): boolean {
    const gone = super.disposeData(dataId, force);
    const companion = gone && this.#companions.get(dataId);
    if (companion) {
      this.#companions.delete(dataId);
      super.disposeData(companion.dataId);
    }
    return gone;
  }
}
