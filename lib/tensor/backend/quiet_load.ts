/**
 * TensorFlow's greeting on processors for which it has tuned oneDNN. It is printed while the
 * library loads, before any setting of the level of its log has an effect.
 */
const GREETING = [
  /^WARNING: All log messages before absl::InitializeLog\(\) is called are written to STDERR$/,
  /^I\d{4} .*\bport\.cc:\d+\] oneDNN custom operations are on\./,
];

/**
 * Calls a function that loads TensorFlow, and holds back what native code writes to stderr until it
 * returns or throws; the greeting is left out. Where Deno does not let it call the C library, or
 * this is not Linux, nothing is held back.
 */
export function withoutGreeting<Result>(load: () => Result): Result {
  const libc = openLibc();
  if (!libc) return load();
  const { dup, dup2, memfd_create, pread, close } = libc.symbols;
  const stderr = dup(2);
  const held = memfd_create(new TextEncoder().encode("stderr\0"), 0);
  if (stderr < 0 || held < 0) return load();
  dup2(held, 2);
  try {
    return load();
  } finally {
    dup2(stderr, 2);
    const buffer = new Uint8Array(2 ** 20);
    const size = Math.max(0, Number(pread(held, buffer, BigInt(buffer.length), 0n)));
    for (const file of [stderr, held]) close(file);
    libc.close();
    const lines = new TextDecoder().decode(buffer.subarray(0, size)).split("\n");
    const others = lines.filter((line) => !GREETING.some((greeting) => greeting.test(line)));
    Deno.stderr.writeSync(new TextEncoder().encode(others.join("\n")));
  }
}

/** Opens the C library, or returns undefined where there is none or Deno does not allow it. */
function openLibc() {
  if (Deno.build.os !== "linux") return undefined;
  if (Deno.permissions.querySync({ name: "ffi" }).state !== "granted") return undefined;
  try {
    return Deno.dlopen(
      "libc.so.6",
      {
        dup: { parameters: ["i32"], result: "i32" },
        dup2: { parameters: ["i32", "i32"], result: "i32" },
        memfd_create: { parameters: ["buffer", "u32"], result: "i32" },
        pread: { parameters: ["i32", "buffer", "usize", "isize"], result: "isize" },
        close: { parameters: ["i32"], result: "i32" },
      } as const,
    );
  } catch {
    return undefined;
  }
}
