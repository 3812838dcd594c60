import { cpus } from "node:os";

/**
 * The processors of this machine, as they stand beside what was measured on it: `2 × Intel(R) Xeon(R) Processor`.
 *
 * @example
 * ```ts
 * import { processorName } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * assert.match(processorName(), /^[1-9]\d* × ./);
 * ```
 */
export function processorName(): string {
  return `${cpus().length} × ${cpus()[0]?.model.trim() ?? "unknown processor"}`;
}
