import { dispose, type Labels, Random, setSeed, type Tensor, tidy } from "../tensor/mod.ts";
import {
  checkArray,
  checkFunction,
  checkInteger,
  checkNumber,
  checkString,
  linkInterrupt,
  show,
} from "../tensor/internal.ts";
import { type Classifier, summary } from "../nn/mod.ts";
import { checkModule } from "../nn/internal.ts";
import type { Dataset, InputTransform } from "../data/mod.ts";
import { applyTransform, checkDataset } from "../data/internal.ts";
import { oneCycle, type Schedule } from "../train/mod.ts";
import { DivergenceError } from "../train/divergence_error.ts";
import { checkRunOptions, isStopped } from "../train/run.ts";
import { cachedExperiment } from "./cached_experiment.ts";
import { checkApart, checkRecord, checkSeeds, timeLeft } from "./compare.ts";
import { duration } from "./duration.ts";
import { NetworkComparison, type NetworkOutcome } from "./network_comparison.ts";
import { statusLine } from "./status_line.ts";
import {
  trainAndEvaluate,
  type TrainAndEvaluateOptions,
  trainingOptions,
} from "./train_and_evaluate.ts";

/** Options of {@linkcode compareNetworks}: its own, and those of {@linkcode trainAndEvaluate}. */
export interface CompareNetworksOptions<
  Inputs extends Tensor,
  Classes extends number,
  Measures extends object,
> extends
  Omit<
    TrainAndEvaluateOptions<Inputs, Labels<Classes>, Inputs>,
    "learningRate" | "schedule" | "seed" | "name" | "live" | "validation" | "checkpoint"
  > {
  /** Functions that build the networks, by their names. The others are compared with the first. */
  contestants: Readonly<Record<string, () => Classifier<Inputs, Classes>>>;
  /** The images to train on. */
  train: Dataset<Inputs, Labels<Classes>>;
  /** The images by which the learning rate is chosen. */
  heldOut: Dataset<Inputs, Labels<Classes>>;
  /**
   * The images on which the comparison is measured. Other images than `heldOut` take no part in the
   * choice of the rates.
   *
   * @default heldOut
   */
  test?: Dataset<Inputs, Labels<Classes>>;
  /**
   * The number of training images, which the seed draws.
   *
   * @default all
   */
  images?: number;
  /** The learning rates to try, in ascending order. */
  learningRates: readonly number[];
  /**
   * The schedule for a learning rate.
   *
   * @default (learningRate) => oneCycle({ maximum: learningRate })
   */
  schedule?: (learningRate: number) => Schedule;
  /**
   * The seeds with which each learning rate is tried; none of `seeds`. With one seed a rate may be
   * chosen by luck.
   *
   * @default [100]
   */
  searchSeeds?: readonly number[];
  /**
   * The seeds of the comparison, or their number: 3 for 0, 1 and 2.
   *
   * @default 5
   */
  seeds?: number | readonly number[];
  /**
   * The name of a file in which each training is recorded by {@linkcode cachedExperiment}, which
   * says where and when. A record is found by the name of its contestant, the number of images and
   * epochs, its learning rate and its seed. After another change, such as one of a network, delete
   * the file.
   *
   * @default nothing is recorded
   */
  experiment?: string;
  /**
   * Measures more than the accuracy of a trained network. The result is recorded, so it must be of
   * numbers, texts, arrays and plain objects.
   */
  measure?: (model: Classifier<Inputs, Classes>) => Measures | Promise<Measures>;
}

/**
 * Compares networks that are trained alike: each is trained at each of the learning rates, the one
 * with the highest mean accuracy on held-out images is chosen, and at its own rate each network is
 * trained with each of the seeds. The rows and differences are those of
 * {@linkcode compareOverSeeds}, of the accuracies.
 *
 * A training that diverges takes no part in the choice of the rate. If the rate of a contestant is
 * the first or the last, a better one may lie outside: widen the grid. A line shows the progress,
 * and at the end the rates. At Stop it ends without the training that was running.
 *
 * @throws {TypeError} If an option does not exist or is of the wrong kind.
 * @throws {RangeError} If there is no contestant, the rates are not positive and ascending, there
 * are fewer than two seeds or equal ones, a search seed is one of them, or every rate of a
 * contestant diverges.
 * @throws {DivergenceError} If a training of the comparison diverges.
 * @throws An `AbortError` at Stop in a notebook.
 *
 * @example
 * ```ts
 * import { compareNetworks, fashionMnist, flatten, linear, relu, sequential } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const { train, test } = await fashionMnist({ subset: true });
 * const comparison = await compareNetworks({
 *   contestants: {
 *     "one layer": () => sequential(flatten(), linear(784, 10)),
 *     "two layers": () => sequential(flatten(), linear(784, 32), relu(), linear(32, 10)),
 *   },
 *   train,
 *   heldOut: test,
 *   images: 600,
 *   learningRates: [0.00001, 0.01],
 *   seeds: 2,
 *   epochs: 2,
 *   batchSize: 50,
 * });
 * const { rows, networks } = comparison;
 * assert.deepEqual(rows.map(({ name }) => name), ["one layer", "two layers"]);
 * assert.equal(networks["two layers"]!.parameters, 784 * 32 + 32 + 32 * 10 + 10);
 * assert.equal(networks["one layer"]!.learningRate, 0.01);
 * assert.match(comparison.searchChart().description, /one layer .* at 0\.01 \(the largest of 2/);
 * const byLoss = comparison.compareBy(({ loss }) => loss);
 * assert.equal(byLoss.differences[0]!.name, "two layers − one layer");
 * assert.equal(comparison.zooEntry("two layers").accuracies.length, 2);
 * ```
 */
export async function compareNetworks<
  Inputs extends Tensor,
  Classes extends number,
  Measures extends object = object,
>(
  options: CompareNetworksOptions<NoInfer<Inputs>, NoInfer<Classes>, Measures> & {
    train: Dataset<Inputs, Labels<Classes>>;
  },
): Promise<NetworkComparison<Measures>> {
  const action = "Comparing networks";
  const given = options as unknown as AnyOptions;
  checkCompareOptions(action, given);
  const {
    contestants: builders,
    train,
    heldOut,
    test = heldOut,
    images = train.count,
    learningRates,
    schedule = (maximum: number) => oneCycle({ maximum }),
    searchSeeds: givenSearchSeeds = [100],
    seeds: givenSeeds = 5,
    experiment,
    measure,
    ...training
  } = given;
  const seeds = checkSeeds(action, givenSeeds);
  const searchSeeds = checkSeeds(action, givenSearchSeeds, { name: "searchSeeds", atLeast: 1 });
  checkApart(action, seeds, "searchSeeds", searchSeeds);
  const contestants = Object.entries(builders);
  const sizes = await sizesOf(action, given);
  using stop = linkInterrupt(given.signal);
  const searched = learningRates.length * searchSeeds.length;
  const total = contestants.length * (searched + seeds.length);
  const showLine = statusLine(), start = performance.now();
  let done = 0, measured = 0;

  /** Trains a contestant, or takes the recorded training. Returns null if it diverges. */
  const trained = async (
    name: string,
    learningRate: number,
    seed: number,
    isSearch: boolean,
  ): Promise<(NetworkOutcome & Measures) | null> => {
    const run = `${name}, ${images} images × ${training.epochs} epochs, ` +
      `rate ${learningRate}, seed ${seed}${isSearch ? ", search" : ""}`;
    await showLine(
      `Training ${done + 1} of ${total}: ${run}${timeLeft(start, measured, total - done)}`,
    );
    const measureRun = async () => {
      stop.signal?.throwIfAborted();
      measured++;
      setSeed(seed);
      const model = builders[name]!();
      try {
        const { accuracy, loss, seconds } = await trainAndEvaluate(
          model,
          images === train.count
            ? train
            : subsetOf(train, new Random(seed).permutation(train.count).slice(0, images)),
          isSearch ? heldOut : test,
          { ...training, learningRate, schedule: schedule(learningRate), seed },
        );
        if (await isStopped(stop.signal)) stop.signal?.throwIfAborted();
        const more = isSearch || !measure ? {} : await measure(model);
        checkMeasures(action, more);
        return { diverged: false as const, seed, accuracy, loss, seconds, ...more };
      } catch (error) {
        if (isSearch && error instanceof DivergenceError) return { diverged: true as const };
        throw error;
      } finally {
        model.dispose();
      }
    };
    const outcome = experiment === undefined
      ? await measureRun()
      : await cachedExperiment(experiment, run, measureRun);
    done++;
    const { diverged, ...rest } = outcome;
    if (diverged) return null;
    const found = rest as unknown as NetworkOutcome & Measures;
    if (Number.isFinite(found.accuracy) && Number.isFinite(found.loss)) return found;
    throw new RangeError(
      `${action}: the record "${run}" in data/${experiment}.json must have an accuracy and a loss, ` +
        `found ${JSON.stringify(outcome)}. Delete it to measure again.`,
    );
  };

  /** Returns the mean accuracy over the search seeds, or null if a training diverges. */
  const meanAccuracy = async (name: string, learningRate: number) => {
    let sum = 0;
    for (const seed of searchSeeds) {
      const outcome = await trained(name, learningRate, seed, true);
      if (outcome === null) return null;
      sum += outcome.accuracy;
    }
    return sum / searchSeeds.length;
  };

  const searches: { name: string; x: number[]; y: number[]; mode: "lines+markers" }[] = [];
  const best = new Map<string, number>();
  for (const [name] of contestants) {
    const x: number[] = [], y: number[] = [];
    for (const rate of learningRates) {
      const accuracy = await meanAccuracy(name, rate);
      if (accuracy === null) continue;
      x.push(rate);
      y.push(accuracy);
    }
    if (x.length === 0) {
      throw new RangeError(
        `${action}: at least one learning rate of "${name}" must not diverge, found none of ${
          show(learningRates)
        }.`,
      );
    }
    searches.push({ name, x, y, mode: "lines+markers" });
    best.set(name, x[y.indexOf(Math.max(...y))]!);
  }
  const outcomes = new Map(
    contestants.map(([name]) => [name, [] as (NetworkOutcome & Measures)[]]),
  );
  for (const seed of seeds) {
    for (const [name] of contestants) {
      outcomes.get(name)!.push((await trained(name, best.get(name)!, seed, false))!);
    }
  }
  await showLine(
    `${total} trainings (${contestants.length} contestant${
      contestants.length === 1 ? "" : "s"
    } × (${learningRates.length} rate${learningRates.length === 1 ? "" : "s"}` +
      `${searchSeeds.length === 1 ? "" : ` × ${searchSeeds.length}`} + ${seeds.length} seeds)) ${
        measured === 0 ? "from the record" : `in ${duration(performance.now() - start)}`
      }; ${describeRates(best, learningRates)}`,
    true,
  );
  const networks = contestants.map(([name]) => {
    const learningRate = best.get(name)!;
    return [name, { learningRate, ...sizes.get(name)!, outcomes: outcomes.get(name)! }] as const;
  });
  return new NetworkComparison(Object.fromEntries(networks), searches, {
    ...{ seeds, learningRates, images, epochs: training.epochs },
    searchSeeds: searchSeeds.length,
  });
}

/** Describes the best rates, and marks those at an end of the rates that were tried. */
function describeRates(best: ReadonlyMap<string, number>, tried: readonly number[]): string {
  const rate = (rate: number) => {
    if (tried.length === 1) return `${rate}`;
    if (rate === tried[0]) return `${rate} (the smallest)`;
    return rate === tried.at(-1) ? `${rate} (the largest)` : `${rate}`;
  };
  const rates = [...new Set(best.values())];
  if (rates.length === 1) return `best rate: ${rate(rates[0]!)}`;
  return `best rates: ${Array.from(best, ([name, best]) => `${name} ${rate(best)}`).join("; ")}`;
}

/** {@linkcode CompareNetworksOptions} for any inputs and classes. */
type AnyOptions = CompareNetworksOptions<Tensor, number, object>;

/** Checks all options but those of a training, which {@linkcode trainAndEvaluate} checks. */
function checkCompareOptions(action: string, options: AnyOptions): void {
  const {
    learningRate: _,
    name: _1,
    live: _2,
    seed: _3,
    checkpoint: _4,
    validation: _5,
    ...names
  } = trainingOptions;
  checkRunOptions<AnyOptions>(
    action,
    options,
    "{ contestants: { plain: () => … }, train, heldOut, learningRates: [0.001, 0.01], epochs: 4 }",
    {
      ...names,
      contestants: true,
      train: true,
      heldOut: true,
      test: true,
      images: true,
      learningRates: true,
      searchSeeds: true,
      seeds: true,
      experiment: true,
      measure: true,
    },
  );
  const { contestants, train, heldOut, test = heldOut, images, learningRates } = options;
  const { experiment, measure } = options;
  for (const [name, build] of checkRecord(action, contestants, "{ plain: () => … }")) {
    checkFunction(action, `contestant "${name}"`, build);
  }
  for (const [name, dataset] of Object.entries({ train, heldOut, test })) {
    checkDataset(action, dataset, name);
  }
  if (images !== undefined) {
    checkInteger(action, "images", images);
    const condition = `at most the ${train.count} of the training set`;
    checkNumber(action, "images", images, images <= train.count, condition);
  }
  checkArray(action, "learningRates", learningRates);
  learningRates.forEach((rate, i) => {
    const isAscending = rate > (learningRates[i - 1] ?? 0) && rate < Infinity;
    const condition = "a positive number, larger than the one before";
    checkNumber(action, `learningRates[${i}]`, rate, isAscending, condition);
  });
  if (learningRates.length === 0) {
    throw new RangeError(`${action}: learningRates must be at least one number, found none.`);
  }
  if (measure !== undefined) checkFunction(action, "measure", measure);
  if (experiment !== undefined) checkString(action, "experiment", experiment);
}

/** A data set that can make a smaller one, as images in memory and in files do. */
interface Divisible extends Dataset<Tensor, Labels> {
  subset?(indices: readonly number[] | Int32Array): Dataset<Tensor, Labels>;
}

/** Returns a data set of the examples at `indices`. */
function subsetOf(dataset: Divisible, indices: Int32Array): Dataset<Tensor, Labels> {
  if (dataset.subset) return dataset.subset(indices);
  const { name, classNames } = dataset;
  const batch = (positions: Int32Array) => dataset.batch(positions.map((i) => indices[i]!));
  return { name, count: indices.length, classNames, batch };
}

/**
 * Builds each network once, and returns its size.
 *
 * @throws {TypeError} If a contestant is not a function that returns a network.
 * @throws Whatever building or a first pass throws, with the name of the contestant.
 */
async function sizesOf(
  action: string,
  { contestants, train, transform }: AnyOptions,
): Promise<Map<string, { parameters: number; macs: number }>> {
  const inputShape = await shapeOfInput(action, train, transform);
  return new Map(
    Object.entries(contestants).map(([name, build]) => {
      const subject = `contestant "${name}"`;
      try {
        const network: unknown = build();
        checkModule(action, `the result of ${subject}`, network);
        using model = network;
        const { parameters, macs } = summary(model, inputShape);
        return [name, { parameters, macs }];
      } catch (error) {
        if (error instanceof Error && !error.message.includes(subject)) {
          error.message = `${action}: ${subject}: ${error.message}`;
        }
        throw error;
      }
    }),
  );
}

/** Checks that the result of the option `measure` can stand beside the accuracy and the loss. */
function checkMeasures(action: string, measures: unknown): void {
  if (typeof measures !== "object" || measures === null || Array.isArray(measures)) {
    throw new TypeError(
      `${action}: measure must return an object such as { loss }, found ${show(measures)}.`,
    );
  }
  const own = ["diverged", "seed", "accuracy", "loss", "seconds"];
  const taken = own.find((name) => Object.hasOwn(measures, name));
  if (taken === undefined) return;
  throw new TypeError(
    `${action}: measure must return names other than those of the training, found ${taken}.`,
  );
}

/** Returns the shape of a transformed input. */
async function shapeOfInput(
  action: string,
  dataset: Dataset,
  transform: InputTransform | undefined,
): Promise<readonly number[]> {
  const { inputs, targets } = await dataset.batch(Int32Array.of(0));
  try {
    return tidy(() => {
      if (!transform) return inputs.shape.slice(1);
      return applyTransform(action, transform, inputs, new Random(0)).shape.slice(1);
    });
  } finally {
    dispose([inputs, targets]);
  }
}
