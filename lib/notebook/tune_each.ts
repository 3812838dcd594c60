import {
  checkArray,
  checkFunction,
  checkOneOf,
  checkOptions,
  checkString,
} from "../tensor/internal.ts";
import { type Figure, type FigureOptions, lineChart } from "../plot/mod.ts";
import { cachedExperiment } from "./cached_experiment.ts";
import { checkRecord, type Comparison, comparisonOf } from "./compare.ts";
import { type MeanAndInterval, meanAndInterval } from "./statistics.ts";
import { defaultSeeds, tune, type Tuned, type TuneOptions } from "./tune.ts";

/** Options of {@linkcode tuneEach}: the seeds, and where to record. */
export interface TuneEachOptions extends TuneOptions {
  /**
   * The name of a file in `data`, in which each contestant is recorded by
   * {@linkcode cachedExperiment}.
   *
   * @default nothing is recorded
   */
  experiment?: string;
  /**
   * The start of the names under which the contestants are recorded, for a file with several
   * comparisons.
   *
   * @default the name of a contestant is all
   */
  prefix?: string;
}

/** Options of {@linkcode TunedContestants.searchChart}. */
export interface TuneChartOptions extends FigureOptions {
  /**
   * Ends of the vertical axis. Larger losses, such as those of a rate that is too large, have no
   * point.
   *
   * @default the ends of the data
   */
  range?: readonly [number, number];
}

/** The contestants of {@linkcode tuneEach}, each at its own best setting. */
export class TunedContestants<Name extends string, Setting, Outcome> {
  /** The search and the repeated trainings of each contestant. */
  readonly tuned: Readonly<Record<Name, Tuned<Outcome>>>;
  /** The best setting of each contestant. */
  readonly best: Readonly<Record<Name, Setting>>;
  readonly #names: readonly Name[];
  readonly #settings: readonly (readonly Setting[])[];
  readonly #seeds: readonly number[];

  /** @internal */
  constructor(
    entries: readonly (readonly [Name, readonly Setting[], Tuned<Outcome>])[],
    seeds: readonly number[],
  ) {
    this.#names = entries.map(([name]) => name);
    this.#settings = entries.map(([, settings]) => settings);
    this.#seeds = seeds;
    this.tuned = recordOf(entries.map(([name, , tuned]) => [name, tuned]));
    this.best = recordOf(
      entries.map(([name, settings, { best }]) => [name, settings[best]!]),
    );
  }

  /** The contestants whose best setting is the first or the last: a better one may lie outside. */
  get atEdge(): Name[] {
    return this.#names.filter((name, i) =>
      [0, this.#settings[i]!.length - 1].includes(this.tuned[name].best)
    );
  }

  /**
   * Compares contestants by a number, such as the accuracy: with the first one, seed by seed.
   *
   * @param measure Returns the number of a training.
   * @param names The contestants to compare.
   * @default all
   *
   * @returns Rows and differences for {@linkcode seedChart}, as of {@linkcode compareOverSeeds}.
   * @throws {TypeError} If `measure` is no function, or does not return numbers.
   * @throws {RangeError} If a number is not finite, or there is no contestant of a name.
   */
  compareBy(
    measure: (outcome: Outcome) => number,
    names: readonly Name[] = this.#names,
  ): Comparison {
    const action = "Comparing tuned contestants";
    checkFunction(action, "measure", measure);
    checkArray(action, "the names", names);
    for (const name of names) checkOneOf(action, "a name", name, this.#names);
    const values = names.map((name) => this.tuned[name].outcomes.map((o) => measure(o)));
    return comparisonOf(names, this.#seeds, values);
  }

  /**
   * Returns a row for each contestant, for {@linkcode table}: its best setting, which is the best
   * rate unless the settings are records, and the means of several numbers over the seeds.
   *
   * @param measures Functions that return a number for a training, by the names of the columns.
   * @throws {TypeError} If the measures are no functions, or one does not return numbers.
   * @throws {RangeError} If a number is not finite.
   */
  means(
    measures: Readonly<Record<string, (outcome: Outcome) => number>>,
  ): Record<Name, Record<string, unknown>> {
    const action = "Computing the means of tuned contestants";
    const columns = Object.entries(measures);
    for (const [column, measure] of columns) checkFunction(action, `measure "${column}"`, measure);
    return recordOf(this.#names.map((name) => {
      const setting: unknown = this.best[name];
      const means = columns.map(([column, measure]): [string, MeanAndInterval] => [
        column,
        meanAndInterval(this.tuned[name].outcomes.map((outcome) => measure(outcome))),
      ]);
      const shown = typeof setting === "object" ? setting : { "best rate": setting };
      return [name, { ...shown, ...Object.fromEntries(means) }];
    }));
  }

  /**
   * Draws the search: the loss of each contestant at each learning rate. A rate whose training
   * diverged has no point.
   *
   * @throws {TypeError} If the settings are no numbers, or an option does not exist or is of the
   * wrong kind.
   */
  searchChart(options: TuneChartOptions = {}): Figure {
    const action = "Drawing the search of learning rates";
    checkOptions<TuneChartOptions>(action, options, "{ range: [0, 2] }", {
      ...{ title: true, description: true, width: true, height: true, range: true },
    });
    const { range, ...shared } = options;
    const lines = this.#names.map((name, i) => {
      const x: number[] = [], y: number[] = [];
      this.tuned[name].losses.forEach((loss, position) => {
        const rate: unknown = this.#settings[i]![position];
        if (typeof rate !== "number") {
          throw new TypeError(`${action}: the settings must be learning rates, found ${rate}.`);
        }
        if (loss === null || loss > (range?.[1] ?? Infinity)) return;
        x.push(rate);
        y.push(loss);
      });
      return { name, x, y, mode: "lines+markers" } as const;
    });
    return lineChart(lines.filter(({ x }) => x.length > 0), {
      title: "The search: the loss at each learning rate",
      ...shared,
      x: { title: "Learning rate", scale: "log" },
      y: { title: "Validation loss", unit: "nats", ...(range ? { range } : {}) },
    });
  }
}

/**
 * Finds the best setting of each contestant, such as its learning rate, by a grid search, and
 * repeats the best with seeds that took no part in the choice. If all contestants are tuned over
 * the same settings, none has the advantage of a setting that happens to suit it.
 *
 * The best setting has the smallest mean loss over the search seeds. A setting whose training
 * throws a {@linkcode DivergenceError} is not chosen.
 *
 * @param contestants What differs, such as a function that builds a network, by name. The first is
 * the one with which the others are compared.
 * @param settings The settings to try, such as learning rates, or a function of the contestant.
 * @param trial Trains a contestant with a setting and a seed, and returns the loss on held-out
 * images, with anything else that is of interest.
 * @throws {TypeError} If an argument is of the wrong kind, or an option does not exist.
 * @throws {RangeError} If there are no contestants, settings or seeds, a loss is not finite, or
 * every setting of a contestant diverges.
 *
 * @example
 * ```ts
 * import { tuneEach } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const optimum = { SGD: 3, Adam: 2 };
 * const race = await tuneEach(optimum, [1, 2, 3, 4], (optimum, rate, seed) => {
 *   return Promise.resolve({ loss: (rate - optimum) ** 2, accuracy: 80 + seed });
 * });
 * assert.deepEqual(race.best, { SGD: 3, Adam: 2 });
 * assert.deepEqual(race.atEdge, []);
 * assert.equal(race.compareBy(({ accuracy }) => accuracy).differences[0]?.mean, 0);
 * ```
 */
export async function tuneEach<
  Name extends string,
  Contestant,
  Setting,
  Outcome extends { readonly loss: number },
>(
  contestants: Readonly<Record<Name, Contestant>>,
  settings: readonly Setting[] | ((contestant: Contestant) => readonly Setting[]),
  trial: (contestant: Contestant, setting: Setting, seed: number) => Promise<Outcome>,
  options: TuneEachOptions = {},
): Promise<TunedContestants<Name, Setting, Outcome>> {
  const action = "Tuning contestants";
  const named = checkRecord(action, contestants, "{ SGD: sgd, Adam: adam }") as [
    Name,
    Contestant,
  ][];
  checkFunction(action, "trial", trial);
  checkOptions<TuneEachOptions>(action, options, '{ experiment: "training" }', {
    searchSeeds: true,
    seeds: true,
    experiment: true,
    prefix: true,
  });
  const { experiment, prefix = "", ...tuning } = options;
  if (experiment !== undefined) checkString(action, "experiment", experiment);
  checkString(action, "prefix", prefix);
  const entries: [Name, readonly Setting[], Tuned<Outcome>][] = [];
  for (const [name, contestant] of named) {
    const grid = typeof settings === "function" ? settings(contestant) : settings;
    const measure = () => tune(grid, (setting, seed) => trial(contestant, setting, seed), tuning);
    const tuned = experiment === undefined
      ? await measure()
      : await cachedExperiment(experiment, `${prefix}${name}`, measure);
    entries.push([name, grid, tuned]);
  }
  return new TunedContestants(entries, tuning.seeds ?? defaultSeeds);
}

/** `Object.fromEntries` with the names in the type. */
function recordOf<Name extends string, Value>(
  entries: readonly (readonly [Name, Value])[],
): Record<Name, Value> {
  return Object.fromEntries(entries) as Record<Name, Value>;
}
