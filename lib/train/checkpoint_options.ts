/**
 * The folder of a training, and how often it is saved. See the option `checkpoint` of
 * `fit`.
 *
 * The folder has two files, `checkpoint-NUMBER.safetensors`, the last two saves; if the newest is
 * damaged, the training continues from the other and says so. A third, `lock`, keeps a second
 * process from writing to the folder. A save that fails, such as on a full disk, is reported, and
 * the training goes on.
 *
 * `epochs` may be raised, to train longer, and a schedule may differ in the steps to come. But a
 * schedule that ends with the training, such as `cosine` without `steps`, then differs in the steps
 * so far: pass it the `steps` of the first call. A damaged file stays in the folder as `….damaged`.
 * If anything else differs from the call that began the training, the error names it. Only the
 * seeds of {@linkcode setSeed} are not compared: the random numbers in the file go on.
 *
 * The file does not have numbers of `Math.random()`, and of what functions of the caller remember
 * it has only tensors in the model and streams ({@linkcode Random}) made before the training.
 *
 * The weights are those of a state dict with the prefix `model.`:
 *
 * @example
 * ```ts
 * import { fashionMnist, fit, flatten, linear, loadStateDict } from "resnet-lab";
 * import { readSafetensors, sequential, sgd } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const { test } = await fashionMnist({ subset: true });
 * const folder = await Deno.makeTempDir();
 * const model = sequential(flatten(), linear(784, 10));
 * const optimizer = sgd(model.parameters(), { learningRate: 0.1 });
 * const checkpoint = { folder, seconds: 600 };
 * await fit(model, test, { optimizer, epochs: 1, batchSize: 100, checkpoint });
 *
 * const tensors = await readSafetensors(`${folder}/checkpoint-000001.safetensors`);
 * assert.equal(tensors.get("history.steps.loss")?.size, 10);
 * const copy = sequential(flatten(), linear(784, 10));
 * loadStateDict(copy, tensors, { prefix: "model." });
 * assert.deepEqual(copy.layers[1].weight.dataSync(), model.layers[1].weight.dataSync());
 * ```
 */
export interface CheckpointOptions {
  /** The folder. It is made if it does not exist. */
  readonly folder: string;
  /**
   * The time between two saves within an epoch, in seconds. With 0 each step is saved, with
   * Infinity only each epoch.
   *
   * @default 60
   */
  readonly seconds?: number;
}
