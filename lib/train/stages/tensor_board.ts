import { checkOneOf, checkOptions, checkPath } from "../../tensor/internal.ts";
import type { Progress } from "../progress.ts";
import { around, sourceOf } from "../stage.ts";
import type { Training } from "../training.ts";
import { type Scalars, scalarsRecord, versionRecord, wallTimesOf } from "./event_file.ts";
import { LogFile } from "./log_file.ts";

/** The options of {@linkcode tensorBoard}. */
export interface TensorBoardOptions {
  /**
   * Whether each step is logged too, or only each epoch.
   *
   * @default "epoch"
   */
  readonly every?: "epoch" | "step";
}

/**
 * Writes the progress of a training to a folder for TensorBoard: `tensorboard --logdir runs`.
 *
 * As with Keras's `TensorBoard`, the folder gets a run `train` and, if there is `validation`, a run
 * `validation`, whose curves `epoch_loss` and `epoch_accuracy` TensorBoard draws into one chart.
 * `train` also has `epoch_learning_rate`, and with `every: "step"` `batch_loss`, `batch_accuracy`,
 * `batch_learning_rate`, `batch_gradient_norm` and `batch_images_per_second`. Metrics are called
 * `epoch_NAME` and `batch_NAME`. The place on the x-axis is the number of the epoch or step, from
 * 1. A number that is NaN, such as an accuracy that is not known, is left out.
 *
 * An event file of an earlier training in the folder is overwritten. A training that continues from
 * a checkpoint keeps the events of its earlier progress, with their times.
 *
 * @throws {TypeError} If the training is not a training, or has begun, the folder is not a path, or
 * an option does not exist.
 * @throws {RangeError} If `every` is another word.
 * @throws {Error} (at the first progress) If a file cannot be opened.
 *
 * @example
 * ```ts
 * import { fashionMnist, fit, flatten, linear, sequential, sgd, stages } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const { test } = await fashionMnist({ subset: true });
 * const model = sequential(flatten(), linear(784, 10));
 * const optimizer = sgd(model.parameters(), { learningRate: 0.1 });
 * const folder = `${await Deno.makeTempDir()}/first`;
 * await stages.tensorBoard(fit(model, test, { optimizer, epochs: 2, batchSize: 100 }), folder);
 * const [file] = [...Deno.readDirSync(`${folder}/train`)];
 * assert.equal(file!.name, "events.out.tfevents.resnet-lab");
 * ```
 */
export function tensorBoard(
  training: Training,
  folder: string,
  options: TensorBoardOptions = {},
): Training {
  const action = "Writing a TensorBoard log";
  const { options: { validation } } = sourceOf(action, training);
  checkPath(action, "the folder", folder, "runs/first");
  checkOptions<TensorBoardOptions>(action, options, '{ every: "step" }', { every: true });
  const { every = "epoch" } = options;
  checkOneOf(action, "every", every, ["epoch", "step"]);
  return around(action, training, async function* (training) {
    using train = new EventLog(`${folder}/train`);
    using validated = validation && new EventLog(`${folder}/validation`);
    for await (const progress of training) {
      if (progress.kind === "epoch" || every === "step") {
        train.add(progress, trainScalars(progress));
      }
      if (progress.kind === "epoch" && progress.validation) {
        const { loss, accuracy } = progress.validation;
        validated?.add(progress, { epoch_loss: loss, epoch_accuracy: accuracy });
      }
      yield progress;
    }
  });
}

function trainScalars(progress: Progress): Scalars {
  const { learningRate, metrics = {} } = progress;
  const named = (prefix: string) =>
    Object.fromEntries(Object.entries(metrics).map(([name, value]) => [prefix + name, value]));
  return progress.kind === "epoch"
    ? {
      epoch_loss: progress.trainLoss,
      epoch_accuracy: progress.trainAccuracy,
      epoch_learning_rate: learningRate,
      ...named("epoch_"),
    }
    : {
      batch_loss: progress.loss,
      batch_accuracy: progress.accuracy,
      batch_learning_rate: learningRate,
      batch_gradient_norm: progress.gradientNorm,
      batch_images_per_second: progress.imagesPerSecond,
      ...named("batch_"),
    };
}

/** The event file of a run. */
class EventLog implements Disposable {
  readonly #file: LogFile;
  /** The times of the records that the file had; restored progress keeps them. */
  readonly #times: readonly number[];
  #records = 0;

  constructor(folder: string) {
    // TensorBoard reads the files with "tfevents" in their names.
    const path = `${folder}/events.out.tfevents.resnet-lab`;
    this.#file = new LogFile(path);
    this.#times = wallTimesOf(this.#file.content());
  }

  /** Adds the numbers of a progress. */
  add(progress: Progress, scalars: Scalars): void {
    const add = (record: (wallTime: number) => Uint8Array) => {
      const before = progress.restored ? this.#times[this.#records] : undefined;
      this.#records++;
      this.#file.add(record(before ?? Date.now() / 1000), progress.restored);
    };
    if (this.#records === 0) add(versionRecord);
    const known = Object.entries(scalars).filter(([, value]) => !Number.isNaN(value));
    const at = progress.kind === "epoch" ? progress.epoch : progress.step;
    add((time) => scalarsRecord(time, at, Object.fromEntries(known)));
  }

  [Symbol.dispose](): void {
    this.#file[Symbol.dispose]();
  }
}
