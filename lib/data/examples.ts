/** Data sets in general: examples by position, whatever their inputs and targets are. */
import { dispose, type Tensor } from "../tensor/mod.ts";
import { checkInteger, isTensor, show } from "../tensor/internal.ts";

/** Some examples of a data set, in tensors that their receiver disposes. */
export interface Examples<Inputs extends Tensor = Tensor, Targets extends Tensor = Tensor> {
  /** The input of a model, `[batch, …]`: images, features, sequences. */
  readonly inputs: Inputs;
  /**
   * The wanted output of the model, `[batch, …]`. Class numbers are int32 `[batch]`. Other targets
   * are float32, such as the numbers of a regression, or a 0 or 1 for each of several labels.
   */
  readonly targets: Targets;
}

/**
 * Examples by position: pictures in memory ({@linkcode ImageDataset}), in files
 * ({@linkcode imageFolder} with `lazy`), or an object of your own. `fit`, `evaluate`, `predict` and
 * `batches` take it.
 *
 * The types of inputs and targets are compared with the model and with the loss: `Labels<10>` are
 * class numbers, for {@linkcode crossEntropy}; any other type is for another loss.
 *
 * @example
 * ```ts
 * import { adam, type Dataset, evaluate, type Features, fit, linear } from "resnet-lab";
 * import { meanSquaredError as loss, ops, setSeed } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * // y = 2 · x₀ − x₁
 * const table = [[1, 0, 2], [0, 1, -1], [1, 1, 1], [2, 1, 3]] as const;
 * const set: Dataset<Features<2>, Features<1>> = {
 *   name: "a table",
 *   count: table.length,
 *   batch: (indices) => {
 *     const rows = Array.from(indices, (i) => table[i]!);
 *     return {
 *       inputs: ops.tensor(rows.map(([a, b]) => [a, b])),
 *       targets: ops.tensor(rows.map(([, , y]) => [y])),
 *     };
 *   },
 * };
 * setSeed(1);
 * const model = linear(2, 1);
 * const optimizer = adam(model.parameters(), { learningRate: 0.1 });
 * await fit(model, set, { optimizer, loss, epochs: 100, batchSize: 4 });
 * assert((await evaluate(model, set, { loss })).loss < 0.01);
 * ```
 */
export interface Dataset<Inputs extends Tensor = Tensor, Targets extends Tensor = Tensor> {
  /** The name of the data set in messages and titles. */
  readonly name: string;
  /** Number of examples. */
  readonly count: number;
  /** The names of the classes by class number, if the targets are class numbers. */
  readonly classNames?: readonly string[];
  /**
   * Returns the examples at `indices`, in that order, or a promise of them. It must depend on the
   * indices alone: the batches that a training needs next are asked for ahead of time if this
   * returns a promise. The receiver disposes the tensors.
   */
  batch(indices: Int32Array): Examples<Inputs, Targets> | Promise<Examples<Inputs, Targets>>;
  /**
   * Returns a text that differs if the content differs. A checkpoint stores it, so that a training
   * continues on the same data only. Without it, some of the examples are compared.
   */
  fingerprint?(): string | Promise<string>;
}

/**
 * Checks that a value is a data set.
 *
 * @throws {TypeError} If it is not.
 * @throws {RangeError} If its number of examples is not a whole number of at least 1.
 */
export function checkDataset(
  action: string,
  dataset: unknown,
  subject = "the data set",
): asserts dataset is Dataset {
  const { name, count, batch } = Object(dataset) as Record<string, unknown>;
  if (typeof name !== "string" || typeof count !== "number" || typeof batch !== "function") {
    throw new TypeError(
      `${action}: ${subject} must be an ImageDataset, or an object { name, count, batch }, found ${
        showKeys(dataset)
      }.`,
    );
  }
  checkInteger(action, `the count of "${name}"`, count);
}

/** Shows a value in a message; of a plain object its keys, such as `{ train, test }`. */
function showKeys(value: unknown): string {
  const text = show(value);
  if (text !== "an object") return text;
  const keys = Object.keys(value as object);
  return keys.length > 0 && keys.length <= 8 ? `{ ${keys.join(", ")} }` : text;
}

/** Whether targets are class numbers: int32 `[batch]`. */
export function areLabels(targets: Tensor): boolean {
  return targets.dtype === "int32" && targets.rank === 1;
}

/**
 * Checks what a data set returned, and returns it.
 *
 * @param size The number of examples that there must be; without it any number of at least 1.
 * @throws {TypeError} If it is not two tensors.
 * @throws {RangeError} If a tensor has another number of examples.
 */
export function checkExamples(action: string, examples: unknown, size?: number): Examples {
  const { inputs, targets } = Object(examples) as Record<string, unknown>;
  if (!isTensor(inputs) || !isTensor(targets)) {
    throw new TypeError(
      `${action}: a batch must be { inputs, targets }, two tensors, found ${showKeys(examples)}.`,
    );
  }
  const count = size ?? inputs.shape[0];
  if (
    count === undefined || count < 1 || [inputs, targets].some(({ shape }) => shape[0] !== count)
  ) {
    const found = `inputs [${inputs.shape}] and targets [${targets.shape}]`;
    dispose([inputs, targets]);
    throw new RangeError(
      `${action}: inputs and targets must begin with an axis of ${
        size ?? "as many"
      } examples, found ${found}.`,
    );
  }
  return { inputs, targets };
}
