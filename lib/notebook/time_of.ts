import { dispose, type TensorContainer } from "../tensor/mod.ts";
import { checkBoolean, checkFunction, checkInteger, checkOptions } from "../tensor/internal.ts";
import { isThenable } from "./thenable.ts";

/** Options of {@linkcode timeOf}. */
export interface TimeOfOptions {
  /**
   * The number of calls that are measured.
   *
   * @default 5
   */
  repeats?: number;
  /**
   * Whether the time is that of the fastest call. Other programs only make a call slower, so it is
   * disturbed less than the median.
   *
   * @default false
   */
  fastest?: boolean;
}

/**
 * Measures how long a call takes: the median of several calls, after one that is not measured,
 * because the first call compiles code and allocates memory. Tensors that the call returns are
 * disposed.
 *
 * @param call The call; it may be `async`.
 * @returns The time in milliseconds.
 * @throws {TypeError} If `call` is not a function, or an option does not exist or is of the wrong
 * kind.
 * @throws {RangeError} If `repeats` is not a whole number of at least 1.
 *
 * @example
 * ```ts
 * import { ops, timeOf } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * using x = ops.ones([200, 200]);
 * assert(await timeOf(() => ops.matMul(x, x), { repeats: 3 }) > 0);
 * ```
 */
export async function timeOf(call: () => unknown, options: TimeOfOptions = {}): Promise<number> {
  const action = "Measuring a time";
  checkFunction(action, "the call", call);
  checkOptions<TimeOfOptions>(action, options, "{ repeats: 5 }", {
    repeats: true,
    fastest: true,
  });
  const { repeats = 5, fastest = false } = options;
  checkBoolean(action, "fastest", fastest);
  checkInteger(action, "repeats", repeats);
  const times: number[] = [];
  for (let i = 0; i <= repeats; i++) {
    const start = performance.now();
    // A call that is not async is measured without a turn of the event loop.
    let result = call();
    if (isThenable(result)) result = await result;
    times.push(performance.now() - start);
    dispose(result as TensorContainer);
  }
  const sorted = times.slice(1).sort((a, b) => a - b);
  if (fastest) return sorted[0]!;
  return (sorted[(repeats - 1) >> 1]! + sorted[repeats >> 1]!) / 2;
}
