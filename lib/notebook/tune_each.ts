import { setSeed } from "../tensor/mod.ts";
import {
  checkArray,
  checkFunction,
  checkOneOf,
  checkOptions,
  checkString,
  linkInterrupt,
  show,
} from "../tensor/internal.ts";
import { isStopped } from "../train/run.ts";
import { DivergenceError } from "../train/divergence_error.ts";
import { type Figure, type FigureOptions, lineChart } from "../plot/mod.ts";
import { checkRange } from "../plot/internal.ts";
import { cachedExperiment, checkJson } from "./cached_experiment.ts";
import {
  checkApart,
  checkRecord,
  checkSeeds,
  type Comparison,
  comparisonOf,
  meansOf,
  numbersOf,
  timeLeft,
} from "./compare.ts";
import { duration } from "./duration.ts";
import { statusLine } from "./status_line.ts";

/** Options of {@linkcode tuneEach}: the seeds, and where to record. */
export interface TuneEachOptions {
  /**
   * The seeds with which each setting is tried.
   *
   * @default [100, 101]
   */
  searchSeeds?: readonly number[];
  /**
   * The seeds with which the best setting is repeated, or their number: 3 for 0, 1 and 2. They take
   * no part in the choice.
   *
   * @default 5
   */
  seeds?: number | readonly number[];
  /**
   * The name of a file in which each contestant is recorded by {@linkcode cachedExperiment}, which
   * says where and when. The settings must then be of numbers, texts, arrays and plain objects.
   * After a change of a contestant or of `trial` delete its record.
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

/** The search of a contestant and its trainings at the best setting, which JSON can store. */
export interface Tuned<Setting, Outcome> {
  /** The settings that were tried. */
  readonly settings: readonly Setting[];
  /** The seeds of the search. */
  readonly searchSeeds: readonly number[];
  /** The seeds of the trainings at the best setting. */
  readonly seeds: readonly number[];
  /** The mean loss of each setting over the search seeds; null if a training diverged. */
  readonly losses: readonly (number | null)[];
  /** The position of the setting with the smallest loss. */
  readonly best: number;
  /** The outcomes of the best setting, one for each of the seeds. */
  readonly outcomes: readonly Outcome[];
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
  readonly tuned: Readonly<Record<Name, Tuned<Setting, Outcome>>>;
  /** The best setting of each contestant. */
  readonly best: Readonly<Record<Name, Setting>>;
  readonly #names: readonly Name[];

  /** @internal */
  constructor(entries: readonly (readonly [Name, Tuned<Setting, Outcome>])[]) {
    this.#names = entries.map(([name]) => name);
    this.tuned = recordOf(entries);
    this.best = recordOf(entries.map(([name, { settings, best }]) => [name, settings[best]!]));
  }

  /** The contestants whose best setting is the first or the last: a better one may lie outside. */
  get atEdge(): Name[] {
    return this.#names.filter((name) => {
      const { settings, best } = this.tuned[name];
      return best === 0 || best === settings.length - 1;
    });
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
    if (names.length === 0) {
      throw new RangeError(`${action}: there must be at least one name, found none.`);
    }
    const values = names.map((name) => {
      const { seeds, outcomes } = this.tuned[name];
      return numbersOf(action, name, seeds, outcomes, measure);
    });
    return comparisonOf(names, this.tuned[names[0]!].seeds, values);
  }

  /**
   * Returns a row for each contestant, for {@linkcode table}: its best setting, which is the "best
   * rate" if it is a number, and the means of several numbers over the seeds.
   *
   * @param measures Functions that return a number for a training, by the names of the columns.
   * @throws {TypeError} If the measures are no functions, or one does not return numbers.
   * @throws {RangeError} If a number is not finite.
   */
  means(
    measures: Readonly<Record<string, (outcome: Outcome) => number>>,
  ): Record<Name, Record<string, unknown>> {
    const action = "Computing the means of tuned contestants";
    return recordOf(this.#names.map((name) => {
      const { seeds, outcomes } = this.tuned[name], setting: unknown = this.best[name];
      const shown = typeof setting === "object"
        ? setting
        : { [typeof setting === "number" ? "best rate" : "best setting"]: setting };
      return [name, { ...shown, ...meansOf(action, name, seeds, outcomes, measures) }];
    }));
  }

  /**
   * Draws the search: the loss of each contestant at each learning rate. A rate whose training
   * diverged has no point.
   *
   * @throws {TypeError} If the settings are no numbers, or an option does not exist or is of the
   * wrong kind.
   * @throws {RangeError} If a setting is not positive, the range does not ascend, or no loss lies
   * in it.
   */
  searchChart(options: TuneChartOptions = {}): Figure {
    const action = "Drawing the search of learning rates";
    checkOptions<TuneChartOptions>(action, options, "{ range: [0, 2] }", {
      ...{ title: true, description: true, width: true, height: true, range: true },
    });
    const { range, ...shared } = options;
    if (range !== undefined) checkRange(action, range);
    let isInRange = false;
    const lines = this.#names.map((name) => {
      const x: number[] = [], y: number[] = [], { settings, losses } = this.tuned[name];
      losses.forEach((loss, position) => {
        const rate: unknown = settings[position];
        if (typeof rate !== "number") {
          throw new TypeError(
            `${action}: the settings must be learning rates, found ${show(rate)}.`,
          );
        }
        const [low, high] = range ?? [-Infinity, Infinity];
        if (loss === null || loss > high) return;
        isInRange ||= loss >= low;
        x.push(rate);
        y.push(loss);
      });
      return { name, x, y, mode: "lines+markers" } as const;
    });
    if (!isInRange) {
      throw new RangeError(`${action}: the range must hold a loss, found none in ${show(range)}.`);
    }
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
 * The best setting has the smallest mean loss over the search seeds. A setting is not chosen if a
 * training throws a {@linkcode DivergenceError}, or its loss is NaN or infinite. Before each
 * training it calls {@linkcode setSeed} with the seed. A line shows the progress, and at the end
 * the best settings. At Stop it ends without the training that was running.
 *
 * {@linkcode compareNetworks} is shorter if only the network and the learning rate differ.
 *
 * @param contestants What differs, such as a function that builds a network, by name. The first is
 * the one with which the others are compared.
 * @param settings The settings to try, such as learning rates, or a function of the contestant.
 * @param trial Trains a contestant with a setting and a seed, and returns the loss on held-out
 * images, with anything else that is of interest.
 * @throws {TypeError} If an argument is of the wrong kind, or an option does not exist.
 * @throws {RangeError} If there are no contestants or settings, too few seeds or equal ones, a seed
 * is used for both, every setting of a contestant diverges, or a record is of other settings or
 * seeds.
 * @throws {DivergenceError} If a training at the best setting diverges.
 * @throws An `AbortError` at Stop in a notebook.
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
  const { experiment, prefix } = options;
  const searchSeeds = checkSeeds(action, options.searchSeeds ?? [100, 101], {
    name: "searchSeeds",
    atLeast: 1,
  });
  const seeds = checkSeeds(action, options.seeds ?? 5);
  checkApart(action, seeds, "searchSeeds", searchSeeds);
  if (experiment !== undefined) checkString(action, "experiment", experiment);
  if (prefix !== undefined) checkString(action, "prefix", prefix);
  if (prefix !== undefined && experiment === undefined) {
    throw new TypeError(`${action}: prefix needs the option experiment, found none.`);
  }
  const plans = named.map(([name, contestant]) => {
    const grid = typeof settings === "function" ? settings(contestant) : settings;
    const subject = `the settings of "${name}"`;
    checkArray(action, subject, grid);
    if (grid.length === 0) {
      throw new RangeError(
        `${action}: there must be at least one setting of "${name}", found none.`,
      );
    }
    if (experiment !== undefined) checkJson(action, subject, grid);
    return { name, contestant, grid, trainings: grid.length * searchSeeds.length + seeds.length };
  });
  type Plan = typeof plans[number];
  using stop = linkInterrupt();
  const total = plans.reduce((sum, { trainings }) => sum + trainings, 0);
  const showLine = statusLine(), start = performance.now();
  /** The trainings that are done, with those of a record, and those that were made here. */
  let done = 0, made = 0;

  const train = async ({ name, contestant }: Plan, setting: Setting, seed: number) => {
    stop.signal?.throwIfAborted();
    const training = `${name} at ${textOf(setting)}, seed ${seed}`;
    await showLine(
      `Training ${done + 1} of ${total}: ${training}${timeLeft(start, made, total - done)}`,
    );
    setSeed(seed);
    const outcome = await trial(contestant, setting, seed);
    if (await isStopped(stop.signal)) stop.signal?.throwIfAborted();
    done++;
    made++;
    if (typeof outcome?.loss === "number") return outcome;
    throw new TypeError(
      `${action}: trial must return { loss } with a number, found ${
        show(outcome)
      } for ${training}.`,
    );
  };
  /** Returns the mean loss over the search seeds, or null if a training diverges. */
  const meanLoss = async (plan: Plan, setting: Setting) => {
    let sum = 0;
    for (const seed of searchSeeds) {
      try {
        sum += (await train(plan, setting, seed)).loss;
      } catch (error) {
        if (error instanceof DivergenceError) return null;
        throw error;
      }
    }
    return Number.isFinite(sum) ? sum / searchSeeds.length : null;
  };
  const tune = async (plan: Plan): Promise<Tuned<Setting, Outcome>> => {
    const { name, grid } = plan, losses: (number | null)[] = [];
    for (const setting of grid) losses.push(await meanLoss(plan, setting));
    const finite = losses.filter((loss) => loss !== null);
    if (finite.length === 0) {
      throw new RangeError(
        `${action}: at least one setting of "${name}" must not diverge, found none.`,
      );
    }
    const best = losses.indexOf(Math.min(...finite)), outcomes: Outcome[] = [];
    for (const seed of seeds) {
      const outcome = await train(plan, grid[best]!, seed);
      if (!Number.isFinite(outcome.loss)) {
        throw new DivergenceError(
          `${action}: the loss of "${name}" at its best setting ${
            textOf(grid[best])
          }, seed ${seed}, ` +
            `must be finite, found ${outcome.loss}.`,
        );
      }
      outcomes.push(outcome);
    }
    return { settings: grid, searchSeeds, seeds, losses, best, outcomes };
  };
  const recorded = async (experiment: string, plan: Plan) => {
    const run = `${prefix ?? ""}${plan.name}`;
    const tuned = await cachedExperiment(experiment, run, () => tune(plan));
    const found = { settings: tuned.settings, searchSeeds: tuned.searchSeeds, seeds: tuned.seeds };
    const wanted = { settings: plan.grid, searchSeeds, seeds };
    if (JSON.stringify(found) === JSON.stringify(wanted)) return tuned;
    throw new RangeError(
      `${action}: the record "${run}" in data/${experiment}.json must be of ${
        JSON.stringify(wanted)
      }, found ${JSON.stringify(found)}. Delete it to measure again.`,
    );
  };

  const entries: [Name, Tuned<Setting, Outcome>][] = [];
  for (const plan of plans) {
    const before = done;
    const tuned = experiment === undefined ? await tune(plan) : await recorded(experiment, plan);
    done = before + plan.trainings;
    entries.push([plan.name, tuned]);
  }
  const time = made === 0 ? "from the record" : `in ${duration(performance.now() - start)}`;
  const best = entries.map(([name, { settings, best }]) => `${name} ${textOf(settings[best])}`);
  await showLine(`${total} trainings ${time}; best settings: ${best.join("; ")}`, true);
  return new TunedContestants(entries);
}

/** `Object.fromEntries` with the names in the type. */
function recordOf<Name extends string, Value>(
  entries: readonly (readonly [Name, Value])[],
): Record<Name, Value> {
  return Object.fromEntries(entries) as Record<Name, Value>;
}

/** Returns a setting in a few words: numbers, texts, and records of them; of others, what it is. */
function textOf(setting: unknown): string {
  if (typeof setting !== "object" || setting === null) {
    return typeof setting === "string" ? setting : show(setting);
  }
  const parts = Object.entries(setting).map(([name, value]) =>
    `${name} ${typeof value === "string" ? value : show(value)}`
  );
  return parts.join(", ");
}
