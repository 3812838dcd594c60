import { checkFunction, show } from "../tensor/internal.ts";

/**
 * Returns the message of a call that the library refuses, to show it as text.
 *
 * @param call Makes the call; it may be `async`.
 * @returns The name and the message of the error.
 * @throws {TypeError} If `call` is not a function.
 * @throws {RangeError} If the call is not refused.
 *
 * @example
 * ```ts
 * import { conv2d, errorMessage } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const message = await errorMessage(() => conv2d(1, 8, { kernelSize: 3, stride: 0 }));
 * assert.equal(
 *   message,
 *   "RangeError: Building conv2d: stride must be a whole number of at least 1, found 0.",
 * );
 * ```
 */
export async function errorMessage(call: () => unknown): Promise<string> {
  const action = "Showing an error";
  checkFunction(action, "the call", call);
  let result: unknown;
  try {
    result = await call();
  } catch (error) {
    return error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  }
  throw new RangeError(`${action}: the call must be refused, found the result ${show(result)}.`);
}
