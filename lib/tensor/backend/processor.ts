import { environmentVariable } from "../platform.ts";

/**
 * Returns whether oneDNN computes on an x86 processor without AVX-512. Only Linux has a file with
 * the features of the processor; elsewhere the result is false.
 */
export function isLimitedToAvx2(): boolean {
  const limit = environmentVariable("ONEDNN_MAX_CPU_ISA");
  if (limit !== undefined && /^(sse41|avx|avx2\w*)$/i.test(limit)) return true;
  const path = "/proc/cpuinfo";
  try {
    if (Deno.permissions.querySync({ name: "read", path }).state !== "granted") return false;
    const features = Deno.readTextFileSync(path);
    return /\bavx2\b/.test(features) && !features.includes("avx512f");
  } catch {
    return false;
  }
}
