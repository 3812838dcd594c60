/** Learning rate schedules: pure functions of the step, so that they can be drawn before use. */
import {
  checkArray,
  checkFunction,
  checkInteger,
  checkNumber,
  checkOptions,
} from "../tensor/internal.ts";

/**
 * The learning rate of each step, from step 0. `fit` also passes the number of all its steps, for
 * schedules that end with the training.
 */
export type Schedule = (step: number, totalSteps?: number) => number;

/** The options of {@linkcode stepDecay}. */
export interface StepDecayOptions {
  /** The learning rate before the first decay. */
  learningRate: number;
  /** The steps of the decays, in ascending order. */
  at: readonly number[];
  /**
   * The factor of each decay.
   *
   * @default 0.1
   */
  factor?: number;
}

/**
 * Multiplies the learning rate by `factor` at each of the steps `at` (PyTorch's MultiStepLR; He et
 * al. 2016, section 4.2, divide by 10 at 32,000 and 48,000).
 *
 * @throws {RangeError} If a number is not positive, or `at` is not ascending.
 *
 * @example
 * ```ts
 * import { stepDecay } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const schedule = stepDecay({ learningRate: 8, at: [10, 20], factor: 0.5 });
 * assert.deepEqual([0, 9, 10, 19, 20, 99].map(schedule), [8, 8, 4, 4, 2, 2]);
 * ```
 */
export function stepDecay(options: StepDecayOptions): Schedule {
  const action = "Making the schedule stepDecay";
  checkOptions<StepDecayOptions>(action, options, "{ learningRate: 0.1, at: [32000, 48000] }", {
    learningRate: true,
    at: true,
    factor: true,
  });
  const { learningRate, at, factor = 0.1 } = options;
  checkArray(action, "at", at);
  checkPositive(action, { learningRate, factor });
  at.forEach((step, i) => {
    checkInteger(action, `at[${i}]`, step);
    if (i > 0 && step <= at[i - 1]!) {
      throw new RangeError(`${action}: at must be ascending, found [${at}].`);
    }
  });
  return (step) => learningRate * factor ** at.filter((from) => step >= from).length;
}

/** The options of {@linkcode cosine}. */
export interface CosineOptions {
  /** The learning rate of the first step. */
  learningRate: number;
  /**
   * The number of steps until the minimum.
   *
   * @default the steps of the training
   */
  steps?: number;
  /**
   * The last learning rate.
   *
   * @default 0
   */
  minimum?: number;
}

/**
 * Cosine decay: half a cosine from `learningRate` to `minimum` over `steps` steps,
 * `minimum + (learningRate − minimum) · (1 + cos(π · step / steps)) / 2`, and `minimum` after that
 * (Loshchilov and Hutter 2017, equation 5, without restarts).
 *
 * @throws {RangeError} If the learning rate is not positive, the minimum is not from 0 to the
 * learning rate, or `steps` is not a whole number of at least 1.
 *
 * @example
 * ```ts
 * import { cosine } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const schedule = cosine({ learningRate: 0.1, steps: 100 });
 * assert.deepEqual([0, 50, 100, 200].map((step) => schedule(step).toFixed(3)), [
 *   "0.100",
 *   "0.050",
 *   "0.000",
 *   "0.000",
 * ]);
 *
 * // Without steps it ends with the training, whose number of steps is the second argument.
 * assert.equal(cosine({ learningRate: 0.1 })(50, 100), schedule(50));
 * ```
 */
export function cosine(options: CosineOptions): Schedule {
  const action = "Making the schedule cosine";
  checkOptions<CosineOptions>(action, options, "{ learningRate: 0.1, steps: 1000 }", {
    learningRate: true,
    steps: true,
    minimum: true,
  });
  const { learningRate, steps, minimum = 0 } = options;
  checkPositive(action, { learningRate });
  if (steps !== undefined) checkInteger(action, "steps", steps);
  const isBelow = minimum >= 0 && minimum <= learningRate;
  const condition = `from 0 to the learning rate, ${learningRate}`;
  checkNumber(action, "minimum", minimum, isBelow, condition);
  return (step, totalSteps) =>
    anneal(learningRate, minimum, step / stepsOf("cosine", steps, totalSteps));
}

/**
 * Linear warm-up: rises in `steps` equal steps to the start of `schedule`,
 * `schedule(0) · (step + 1) / steps`, and continues with `schedule` (Goyal et al. 2017, section
 * 2.2).
 *
 * @throws {RangeError} If `steps` is not a whole number of at least 1.
 * @throws {TypeError} If `schedule` is not a function.
 *
 * @example
 * ```ts
 * import { warmup } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const schedule = warmup(4, () => 8);
 * assert.deepEqual([0, 1, 2, 3, 4, 5].map(schedule), [2, 4, 6, 8, 8, 8]);
 * ```
 */
export function warmup(steps: number, schedule: Schedule): Schedule {
  const action = "Making the schedule warmup";
  checkInteger(action, "steps", steps);
  checkFunction(action, "the schedule after the warm-up", schedule);
  return (step, totalSteps) => {
    const rest = totalSteps === undefined ? undefined : Math.max(1, totalSteps - steps);
    return step < steps ? schedule(0, rest) * (step + 1) / steps : schedule(step - steps, rest);
  };
}

/** The options of {@linkcode oneCycle}. The defaults are PyTorch's. */
export interface OneCycleOptions {
  /** The largest learning rate. */
  maximum: number;
  /**
   * The number of steps of the cycle.
   *
   * @default the steps of the training
   */
  steps?: number;
  /**
   * The fraction of the steps in which the learning rate rises.
   *
   * @default 0.3
   */
  rise?: number;
  /**
   * The maximum divided by the first learning rate.
   *
   * @default 25
   */
  startDivisor?: number;
  /**
   * The first learning rate divided by the last.
   *
   * @default 1e4
   */
  endDivisor?: number;
}

/**
 * The one-cycle schedule: one rise and one long fall over `steps` steps, each half a cosine: from
 * `maximum / startDivisor` up to `maximum`, then down to `maximum / startDivisor / endDivisor`
 * (Smith and Topin 2018; PyTorch's OneCycleLR, without its cycle of the momentum).
 *
 * @throws {RangeError} If `steps` is not a whole number of at least 1, a number is not positive, or
 * `rise` leaves less than a step for the rise or the fall.
 *
 * @example
 * ```ts
 * import { oneCycle } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const options = { maximum: 1, steps: 101, rise: 0.5, startDivisor: 10, endDivisor: 10 };
 * const schedule = oneCycle(options);
 * assert.deepEqual([0, 49.5, 100].map((step) => schedule(step).toFixed(3)), [
 *   "0.100",
 *   "1.000",
 *   "0.010",
 * ]);
 * ```
 */
export function oneCycle(options: OneCycleOptions): Schedule {
  const action = "Making the schedule oneCycle";
  checkOptions<OneCycleOptions>(action, options, "{ maximum: 0.1, steps: 1000 }", {
    maximum: true,
    steps: true,
    rise: true,
    startDivisor: true,
    endDivisor: true,
  });
  const { maximum, steps, rise = 0.3, startDivisor = 25, endDivisor = 1e4 } = options;
  checkPositive(action, { maximum, startDivisor, endDivisor });
  if (steps === undefined) {
    checkNumber(action, "rise", rise, rise > 0 && rise < 1, "between 0 and 1");
  } else {
    checkInteger(action, "steps", steps);
    checkRise(action, rise, steps);
  }
  const start = maximum / startDivisor;
  return (step, totalSteps) => {
    const all = stepsOf("oneCycle", steps, totalSteps), top = rise * all - 1, last = all - 1;
    if (steps === undefined) checkRise(action, rise, all);
    return step <= top
      ? anneal(start, maximum, step / top)
      : anneal(maximum, start / endDivisor, (step - top) / (last - top));
  };
}

function checkRise(action: string, rise: number, steps: number): void {
  const top = rise * steps - 1;
  const condition =
    `a part of ${steps} steps that leaves at least one step to rise and one to fall`;
  checkNumber(action, "rise", rise, top > 0 && top < steps - 1, condition);
}

/** Returns the steps of a schedule: its own option, else those of the training. */
function stepsOf(name: string, steps: number | undefined, totalSteps: number | undefined): number {
  const all = steps ?? totalSteps;
  if (all !== undefined) return all;
  throw new TypeError(
    `Reading the schedule ${name}: without the option steps, the number of all steps must be the second argument, found undefined.`,
  );
}

/** Half a cosine from one value to another for `part` from 0 to 1, and the second value after. */
function anneal(from: number, to: number, part: number): number {
  return to + (from - to) * (1 + Math.cos(Math.PI * Math.min(part, 1))) / 2;
}

function checkPositive(action: string, numbers: Readonly<Record<string, number>>): void {
  for (const [name, value] of Object.entries(numbers)) {
    checkNumber(action, name, value, value > 0 && value < Infinity, "a positive number");
  }
}
