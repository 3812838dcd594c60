import { checkOneOf, checkOptions, checkPath } from "../../tensor/internal.ts";
import { rowOfEpoch, rowOfStep } from "../history_rows.ts";
import { around, sourceOf } from "../stage.ts";
import type { Training } from "../training.ts";
import { LogFile } from "./log_file.ts";

/** The options of {@linkcode csv}. */
export interface CsvOptions {
  /**
   * The subject of a line: an epoch or a step. For both, put two of these stages around each other.
   *
   * @default "epoch"
   */
  readonly every?: "epoch" | "step";
}

/**
 * Writes a line for each epoch to a file of comma-separated values, as Keras's `CSVLogger` does, or
 * for each step.
 *
 * The columns of epochs are `epoch`, `trainLoss`, `trainAccuracy`, `validationLoss` and
 * `validationAccuracy` if there is `validation`, `learningRate`, `seconds`, and `metrics.NAME` for
 * each metric. The columns of steps are `step`, `epoch`, `loss`, `accuracy`, `gradientNorm`,
 * `learningRate`, `imagesPerSecond` and the metrics. A column that the first line lacks is left
 * out.
 *
 * A file that exists is overwritten at the first progress. A training that continues from a
 * checkpoint writes the lines of its earlier progress too: none is missing, and none there twice.
 *
 * @throws {TypeError} If the training is not a training, or has begun, the file is not a path, or
 * an option does not exist.
 * @throws {RangeError} If `every` is another word.
 * @throws {Error} (at the first progress) If the file cannot be opened.
 *
 * @example
 * ```ts
 * import { fashionMnist, fit, flatten, linear, sequential, sgd, stages } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const { test } = await fashionMnist({ subset: true });
 * const model = sequential(flatten(), linear(784, 10));
 * const optimizer = sgd(model.parameters(), { learningRate: 0.1 });
 * const file = `${await Deno.makeTempDir()}/log.csv`;
 * await stages.csv(fit(model, test, { optimizer, epochs: 2, batchSize: 100 }), file);
 * const lines = (await Deno.readTextFile(file)).trim().split("\n");
 * assert.equal(lines[0], "epoch,trainLoss,trainAccuracy,learningRate,seconds");
 * assert.equal(lines.length, 3);
 * ```
 */
export function csv(training: Training, file: string, options: CsvOptions = {}): Training {
  const action = "Writing a CSV log";
  sourceOf(action, training);
  checkPath(action, "the file", file, "runs/log.csv");
  checkOptions<CsvOptions>(action, options, '{ every: "step" }', { every: true });
  const { every = "epoch" } = options;
  checkOneOf(action, "every", every, ["epoch", "step"]);
  return around(action, training, async function* (training) {
    using log = new LogFile(file);
    let columns: string[] | undefined;
    for await (const progress of training) {
      if (progress.kind === every) {
        const { epoch } = progress;
        const row: Record<string, number> = progress.kind === "epoch"
          ? { epoch, ...rowOfEpoch(progress) }
          : { step: progress.step, epoch, ...rowOfStep(progress) };
        const line = (fields: readonly string[]) =>
          log.add(new TextEncoder().encode(`${fields.join(",")}\n`), progress.restored);
        if (!columns) {
          columns = Object.keys(row);
          line(columns.map(quoted));
        }
        line(columns.map((name) => String(row[name] ?? "")));
      }
      yield progress;
    }
  });
}

/** A field as RFC 4180 writes it. */
function quoted(text: string): string {
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
