/**
 * Learning rates as functions of the step; pure, so that they can be drawn before they are used.
 */
import { checkOptions } from "../tensor/mod.ts";

/** The learning rate of each step, counted from 0. */
export type Schedule = (step: number) => number;

/**
 * Multiplies the learning rate by `factor` at each of the steps `at`: `learningRate · factorⁿ`, n
 * of which are behind (PyTorch's MultiStepLR; He et al. 2016, section 4.2, divide by 10 at 32,000
 * and 48,000).
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
export function stepDecay(
  options: { learningRate: number; at: readonly number[]; factor?: number },
): Schedule {
  const doing = "Making the schedule stepDecay";
  checkOptions<typeof options>(doing, options, "{ learningRate: 0.1, at: [32000, 48000] }", {
    learningRate: true,
    at: true,
    factor: true,
  });
  const { learningRate, at, factor = 0.1 } = options;
  if (!Array.isArray(at)) {
    throw new TypeError(`${doing}: at must be an array of steps, found ${typeof at}.`);
  }
  checkPositive("stepDecay", { learningRate, factor });
  at.forEach((step, i) => {
    checkSteps("stepDecay", { [`at[${i}]`]: step });
    if (i > 0 && step <= at[i - 1]!) {
      throw new RangeError(`Making the schedule stepDecay: at must be ascending, found [${at}].`);
    }
  });
  return (step) => learningRate * factor ** at.filter((from) => step >= from).length;
}

/**
 * Half a cosine from `learningRate` to `minimum` over `steps` steps,
 * `minimum + (learningRate − minimum) · (1 + cos(π · step / steps)) / 2`, and `minimum` from there
 * on (Loshchilov and Hutter 2017, equation 5, without restarts).
 *
 * @throws {RangeError} If the learning rate is not positive, the minimum is not from 0 to it, or
 * `steps` is not a positive integer.
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
 * ```
 */
export function cosine(
  options: { learningRate: number; steps: number; minimum?: number },
): Schedule {
  const doing = "Making the schedule cosine";
  checkOptions<typeof options>(doing, options, "{ learningRate: 0.1, steps: 1000 }", {
    learningRate: true,
    steps: true,
    minimum: true,
  });
  const { learningRate, steps, minimum = 0 } = options;
  checkPositive("cosine", { learningRate });
  checkSteps("cosine", { steps });
  if (!(typeof minimum === "number" && minimum >= 0 && minimum <= learningRate)) {
    throw new RangeError(
      `Making the schedule cosine: minimum must be from 0 to the learning rate, ${learningRate}, found ${minimum}.`,
    );
  }
  return (step) => anneal(learningRate, minimum, step / steps);
}

/**
 * Rises in `steps` equal steps to where `schedule` starts, `schedule(0) · (step + 1) / steps`, and
 * goes on with `schedule` (Goyal et al. 2017, section 2.2).
 *
 * @throws {RangeError} If `steps` is not a positive integer.
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
  checkSteps("warmup", { steps });
  if (typeof schedule !== "function") {
    throw new TypeError(
      `Making the schedule warmup: what follows must be a schedule, such as cosine gives, found ${
        schedule === null ? "null" : typeof schedule
      }.`,
    );
  }
  return (step) => step < steps ? schedule(0) * (step + 1) / steps : schedule(step - steps);
}

/**
 * One rise and one long fall over `steps` steps, each half a cosine: from `maximum / startDivisor`
 * up to `maximum` in the first `rise` of them, then down to `maximum / startDivisor / endDivisor`
 * (Smith and Topin 2018; PyTorch's OneCycleLR, of which these are the defaults, without its cycle
 * of the momentum).
 *
 * @throws {RangeError} If `steps` is not a positive integer, a number is not positive, or `rise`
 * leaves less than a step on one side.
 *
 * @example
 * ```ts
 * import { oneCycle } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const schedule = oneCycle({ maximum: 1, steps: 101, rise: 0.5, startDivisor: 10, endDivisor: 10 });
 * assert.deepEqual([0, 49.5, 100].map((step) => schedule(step).toFixed(3)), [
 *   "0.100",
 *   "1.000",
 *   "0.010",
 * ]);
 * ```
 */
export function oneCycle(
  options: {
    maximum: number;
    steps: number;
    rise?: number;
    startDivisor?: number;
    endDivisor?: number;
  },
): Schedule {
  const doing = "Making the schedule oneCycle";
  checkOptions<typeof options>(doing, options, "{ maximum: 0.1, steps: 1000 }", {
    maximum: true,
    steps: true,
    rise: true,
    startDivisor: true,
    endDivisor: true,
  });
  const { maximum, steps, rise = 0.3, startDivisor = 25, endDivisor = 1e4 } = options;
  checkPositive("oneCycle", { maximum, startDivisor, endDivisor });
  checkSteps("oneCycle", { steps });
  const top = rise * steps - 1;
  const last = steps - 1;
  if (!(top > 0 && top < last)) {
    throw new RangeError(
      `Making the schedule oneCycle: rise, a part of ${steps} steps, must leave at least one step to rise and one to fall, found ${rise}.`,
    );
  }
  const start = maximum / startDivisor;
  return (step) =>
    step <= top
      ? anneal(start, maximum, step / top)
      : anneal(maximum, start / endDivisor, (step - top) / (last - top));
}

/**
 * Half a cosine from one value to another as `part` goes from 0 to 1, and the second from there on.
 */
function anneal(from: number, to: number, part: number): number {
  return to + (from - to) * (1 + Math.cos(Math.PI * Math.min(part, 1))) / 2;
}

function checkPositive(schedule: string, numbers: Record<string, number>): void {
  for (const [name, value] of Object.entries(numbers)) {
    if (!(typeof value === "number" && value > 0 && value < Infinity)) {
      throw new RangeError(
        `Making the schedule ${schedule}: ${name} must be a positive number, found ${value}.`,
      );
    }
  }
}

function checkSteps(schedule: string, numbers: Record<string, number>): void {
  for (const [name, value] of Object.entries(numbers)) {
    if (!Number.isInteger(value) || value < 1) {
      throw new RangeError(
        `Making the schedule ${schedule}: ${name} must be a positive integer, found ${value}.`,
      );
    }
  }
}
