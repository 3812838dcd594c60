import { setSeed } from "../tensor/mod.ts";
import {
  checkArray,
  checkFinite,
  checkFunction,
  checkInteger,
  checkNumber,
  checkOptions,
  checkString,
  linkInterrupt,
  show,
} from "../tensor/internal.ts";
import { isStopped } from "../train/run.ts";
import { cachedExperiment } from "./cached_experiment.ts";
import { duration } from "./duration.ts";
import { type MeanAndInterval, meanAndInterval } from "./statistics.ts";
import { statusLine } from "./status_line.ts";

/** Options of {@linkcode compareOverSeeds}. */
export interface CompareOverSeedsOptions {
  /**
   * Measures one number, such as an accuracy, for a seed, by the name of what is measured. The
   * first contestant is the one with which the others are compared. Numbers that are measured
   * already, such as those of {@linkcode tuneEach}, are given as an array, one for each seed.
   */
  contestants: Readonly<
    Record<string, readonly number[] | ((seed: number) => number | Promise<number>)>
  >;
  /**
   * The seeds, or their number: 3 for 0, 1 and 2.
   *
   * @default 5
   */
  seeds?: number | readonly number[];
  /**
   * The name of a file in which each measurement is recorded by {@linkcode cachedExperiment}, which
   * says where and when. A comparison that was stopped then continues where it was.
   *
   * @default nothing is recorded
   */
  experiment?: string;
}

/** The numbers of one contestant, or its differences, in the order of the seeds. */
export interface SeedRow extends MeanAndInterval {
  /** The name of the contestant. */
  readonly name: string;
  /** The measured number for each seed. */
  readonly values: readonly number[];
}

/** The measurements of {@linkcode compareOverSeeds}. */
export interface Comparison {
  /** The seeds. */
  readonly seeds: readonly number[];
  /** Values, mean and 95 % interval of each contestant. */
  readonly rows: readonly SeedRow[];
  /**
   * For each contestant but the first: its value minus the first contestant's of the same seed,
   * with the mean and 95 % interval of these differences. Of two networks that are equally good,
   * one interval in twenty leaves out 0.
   */
  readonly differences: readonly SeedRow[];
}

/**
 * Measures each contestant with each seed, and compares them pair by pair: with the first
 * contestant at the same seed.
 *
 * Before each measurement it calls {@linkcode setSeed} with the seed. All contestants of a seed are
 * measured before the next seed. A line shows the progress. At Stop it ends without the measurement
 * that was running.
 *
 * @throws {TypeError} If an option does not exist or is of the wrong kind, or a measurement is not
 * a number.
 * @throws {RangeError} If there is no contestant, there are fewer than two seeds or equal ones, or
 * a measurement is not finite.
 * @throws An `AbortError` at Stop in a notebook.
 *
 * @example
 * ```ts
 * import { compareOverSeeds } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const { rows, differences } = await compareOverSeeds({
 *   contestants: { plain: (seed) => 88 + seed, residual: (seed) => 90 + 1.5 * seed },
 *   seeds: 3,
 * });
 * assert.deepEqual(rows.map(({ mean }) => mean), [89, 91.5]);
 * assert.equal(differences[0]?.name, "residual − plain");
 * assert.deepEqual(differences[0].values, [2, 2.5, 3]);
 * assert.equal(differences[0].halfWidth.toFixed(2), "1.24");
 * ```
 */
export async function compareOverSeeds(options: CompareOverSeedsOptions): Promise<Comparison> {
  const action = "Comparing over seeds";
  const example = "{ contestants: { plain: (seed) => … }, seeds: 5 }";
  checkOptions<CompareOverSeedsOptions>(action, options, example, {
    contestants: true,
    seeds: true,
    experiment: true,
  });
  const { experiment } = options;
  const seeds = checkSeeds(action, options.seeds ?? 5);
  const contestants = checkContestants(action, options.contestants, seeds);
  if (experiment !== undefined) checkString(action, "experiment", experiment);
  using stop = linkInterrupt();
  const values = contestants.map((): number[] => []);
  const total = contestants.length * seeds.length;
  const given = (name: string) => Array.isArray(options.contestants[name]);
  const showLine = contestants.every(([name]) => given(name))
    ? () => Promise.resolve()
    : statusLine();
  const start = performance.now();
  let done = 0, count = 0;
  for (const seed of seeds) {
    for (const [index, [name, measure]] of contestants.entries()) {
      await showLine(
        `Measurement ${done + 1} of ${total}: ${name}, seed ${seed}${
          timeLeft(start, count, total - done)
        }`,
      );
      const run = `${name}, seed ${seed}`;
      const measured = async () => {
        if (!given(name)) count++;
        setSeed(seed);
        const value: unknown = await measure(seed);
        if (await isStopped(stop.signal)) stop.signal?.throwIfAborted();
        const subject = `the measurement of ${run}`;
        checkNumber(action, subject, value, Number.isFinite(value), "a finite number");
        return { value };
      };
      const { value } = experiment === undefined || given(name)
        ? await measured()
        : await cachedExperiment(experiment, run, measured);
      values[index]!.push(value);
      done++;
    }
  }
  await showLine(
    `${total} measurements (${contestants.length} contestant${
      contestants.length === 1 ? "" : "s"
    } × ${seeds.length} seeds) ${
      count === 0 ? "from the record" : `in ${duration(performance.now() - start)}`
    }`,
    true,
  );
  return comparisonOf(contestants.map(([name]) => name), seeds, values);
}

/** Returns the statistics of measured values: one list for each name, in the order of the seeds. */
export function comparisonOf(
  names: readonly string[],
  seeds: readonly number[],
  values: readonly (readonly number[])[],
): Comparison {
  const row = (name: string, values: readonly number[]): SeedRow => ({
    name,
    values,
    ...meanAndInterval(values),
  });
  const [first] = values;
  return {
    seeds,
    rows: names.map((name, index) => row(name, values[index]!)),
    differences: names.slice(1).map((name, index) =>
      row(`${name} − ${names[0]}`, values[index + 1]!.map((value, i) => value - first![i]!))
    ),
  };
}

/**
 * Returns the number that `measure` finds in each outcome of a contestant.
 *
 * @throws {TypeError} If `measure` does not return numbers.
 * @throws {RangeError} If a number is not finite.
 */
export function numbersOf<Outcome>(
  action: string,
  name: string,
  seeds: readonly number[],
  outcomes: readonly Outcome[],
  measure: (outcome: Outcome) => number,
): number[] {
  return outcomes.map((outcome, i) => {
    const value = measure(outcome);
    checkFinite(action, `the number of "${name}", seed ${seeds[i]},`, value);
    return value;
  });
}

/**
 * Returns the means of several numbers over the outcomes of a contestant, by their names.
 *
 * @throws {TypeError} If the measures are no functions by name, or do not return numbers.
 * @throws {RangeError} If a number is not finite.
 */
export function meansOf<Outcome>(
  action: string,
  name: string,
  seeds: readonly number[],
  outcomes: readonly Outcome[],
  measures: Readonly<Record<string, (outcome: Outcome) => number>>,
): Record<string, MeanAndInterval> {
  if (typeof measures !== "object" || measures === null) {
    throw new TypeError(
      `${action}: measures must be functions by name such as { loss: ({ loss }) => loss }, ` +
        `found ${show(measures)}.`,
    );
  }
  return Object.fromEntries(
    Object.entries(measures).map(([column, measure]) => {
      checkFunction(action, `measure "${column}"`, measure);
      return [column, meanAndInterval(numbersOf(action, name, seeds, outcomes, measure))];
    }),
  );
}

/**
 * Returns the rest of a line of progress: how long the work that is left will take.
 *
 * @param measured The work that was done since the start, without what was read from a record.
 * @param left The work that is not done.
 */
export function timeLeft(start: number, measured: number, left: number): string {
  const passed = performance.now() - start;
  return measured === 0 ? "" : ` · about ${duration(passed * left / measured)} left`;
}

function checkContestants(
  action: string,
  contestants: unknown,
  seeds: readonly number[],
): [string, (seed: number) => number | Promise<number>][] {
  const entries = checkRecord(action, contestants, "{ plain: (seed) => … }");
  return entries.map(([name, measure]) => {
    const subject = `contestant "${name}"`;
    if (!Array.isArray(measure)) {
      checkFunction(action, subject, measure);
      return [name, measure as (seed: number) => number | Promise<number>];
    }
    const count = measure.length, condition = `one for each of the ${seeds.length} seeds`;
    checkNumber(action, `the numbers of ${subject}`, count, count === seeds.length, condition);
    return [name, (seed) => measure[seeds.indexOf(seed)]];
  });
}

/**
 * Returns the entries of an object with a value for each contestant.
 *
 * @param example An example of such an object, as in code.
 * @throws {TypeError} If it is no object.
 * @throws {RangeError} If it is empty.
 */
export function checkRecord(
  action: string,
  contestants: unknown,
  example: string,
): [string, unknown][] {
  if (typeof contestants !== "object" || contestants === null || Array.isArray(contestants)) {
    throw new TypeError(
      `${action}: contestants must be an object such as ${example}, found ${show(contestants)}.`,
    );
  }
  const entries = Object.entries(contestants);
  const number = entries.find(([name]) => /^\d+$/.test(name))?.[0];
  if (number !== undefined) {
    throw new RangeError(
      `${action}: a name must not be a number, because JavaScript would put it first, found ` +
        `"${number}". Call it "depth ${number}", say.`,
    );
  }
  if (entries.length === 0) {
    throw new RangeError(`${action}: there must be at least one contestant, found none.`);
  }
  return entries;
}

/**
 * Checks that the seeds of a search are none of those with which its result is measured, which
 * would profit from the luck of the search.
 */
export function checkApart(
  action: string,
  seeds: readonly number[],
  name: string,
  searchSeeds: readonly number[],
): void {
  const both = searchSeeds.find((seed) => seeds.includes(seed));
  if (both === undefined) return;
  throw new RangeError(
    `${action}: ${name} must be other than the seeds ${show(seeds)}, found ${both}.`,
  );
}

/** Returns the seeds, which must be different numbers. */
export function checkSeeds(
  action: string,
  seeds: number | readonly number[],
  { name = "seeds", atLeast = 2 } = {},
): readonly number[] {
  if (typeof seeds === "number") {
    checkInteger(action, name, seeds, atLeast);
    return Array.from({ length: seeds }, (_, seed) => seed);
  }
  checkArray(action, name, seeds);
  seeds.forEach((seed, i) => checkInteger(action, `${name}[${i}]`, seed, 0));
  if (seeds.length < atLeast || new Set(seeds).size < seeds.length) {
    const wanted = atLeast === 1 ? "one seed, and all different" : "two different numbers";
    throw new RangeError(`${action}: ${name} must be at least ${wanted}, found ${show(seeds)}.`);
  }
  return [...seeds];
}
