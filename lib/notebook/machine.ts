import { cpus } from "node:os";

/** The processors of this machine, as they stand beside results. */
export function machine(): string {
  return `${cpus().length} × ${cpus()[0]?.model.trim() ?? "unknown processor"}`;
}
