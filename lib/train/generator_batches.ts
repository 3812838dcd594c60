import type { Random, Tensor } from "../tensor/mod.ts";
import type { Examples, InputTransform } from "../data/mod.ts";
import { type BatchMaker, checkExamples, LoadAhead, transformed } from "../data/internal.ts";

/**
 * Batches one after the other, from a generator: data that has no count and no order, such as a
 * stream or a simulation. `fit` takes it, with the option `stepsPerEpoch`, and frees the tensors.
 *
 * @example
 * ```ts
 * import { type Features, fit, linear, meanSquaredError as loss, ops, Random } from "resnet-lab";
 * import { setSeed, sgd } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * async function* doubles() {
 *   const random = new Random(1);
 *   while (true) {
 *     const inputs: Features<1> = random.uniform([8, 1]);
 *     yield { inputs, targets: ops.mul(inputs, 2) };
 *   }
 * }
 *
 * setSeed(1);
 * const model = linear(1, 1);
 * const optimizer = sgd(model.parameters(), { learningRate: 0.5 });
 * const options = { optimizer, loss, epochs: 4, stepsPerEpoch: 50 };
 * const { steps } = await fit(model, doubles(), options);
 * assert.equal(steps.length, 200);
 * assert(steps.at(-1)!.loss < 1e-3);
 * ```
 */
export type BatchGenerator<Inputs extends Tensor = Tensor, Targets extends Tensor = Tensor> =
  | AsyncIterable<Examples<Inputs, Targets>>
  | Iterable<Examples<Inputs, Targets>>;

/** Whether data is a generator of batches and not a data set. */
export function isGenerator(data: unknown): data is BatchGenerator {
  if (typeof data !== "object" || data === null || Array.isArray(data) || "batch" in data) {
    return false;
  }
  return Symbol.asyncIterator in data || Symbol.iterator in data;
}

/** The batches of a generator, which are taken in their order. Disposing it ends the generator. */
export class GeneratorBatches implements BatchMaker, Disposable {
  /** The number of batches in an epoch. */
  readonly length: number;
  readonly #action: string;
  readonly #total: number;
  readonly #iterator: Iterator<Examples> | AsyncIterator<Examples>;
  readonly #isAsync: boolean;
  readonly #random: Random;
  readonly #transform: InputTransform;
  #yielded = 0;
  #last: Promise<unknown> = Promise.resolve();

  /**
   * @param total The number of batches in all epochs.
   * @param random Seeds the transform.
   */
  constructor(
    action: string,
    generator: BatchGenerator,
    { length, total, random, transform }: {
      readonly length: number;
      readonly total: number;
      readonly random: Random;
      readonly transform: InputTransform;
    },
  ) {
    this.#action = action;
    this.length = length;
    this.#total = total;
    this.#random = random;
    this.#transform = transform;
    this.#isAsync = Symbol.asyncIterator in generator;
    this.#iterator = Symbol.asyncIterator in generator
      ? generator[Symbol.asyncIterator]()
      : generator[Symbol.iterator]();
  }

  readonly begin: BatchMaker["begin"] = () => ({
    indices: new Int32Array(),
    random: this.#random.fork(),
    ahead: new LoadAhead(this.length, () => this.#next()),
  });

  readonly load: BatchMaker["load"] = ({ ahead }, index) => ahead.take(index);

  readonly prepare: BatchMaker["prepare"] = ({ random }, examples) =>
    transformed(this.#action, examples, this.#transform, random);

  #next(): Examples | Promise<Examples> {
    if (!this.#isAsync) return this.#check(this.#iterator.next() as IteratorResult<Examples>);
    // One after the other: an iterator need not allow a request before it answered the last.
    const result = this.#last.then(() => this.#iterator.next());
    this.#last = result.catch(() => {});
    return result.then((result) => this.#check(result));
  }

  #check({ done, value }: IteratorResult<Examples>): Examples {
    if (done) {
      throw new RangeError(
        `${this.#action}: the generator must yield ${this.#total} batches, ${this.length} for each epoch, found ${this.#yielded}.`,
      );
    }
    this.#yielded++;
    return checkExamples(this.#action, value);
  }

  [Symbol.dispose](): void {
    // Not awaited: a generator that waits for data would never answer.
    (async () => await this.#iterator.return?.())().catch(() => {});
  }
}
