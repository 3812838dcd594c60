/**
 * Helpers for all tests: comparison of numbers, gradients by differences, tests on each backend,
 * and leaks of tensors.
 */
import assert from "node:assert/strict";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { memory, ops, type Scalar, type Tensor, withBackend } from "resnet-lab";

/**
 * Asserts that numbers agree to `tolerance`, relative to the larger of 1 and the expected number.
 */
export function assertClose(
  actual: Tensor | ArrayLike<number> | number,
  expected: Tensor | ArrayLike<number> | number,
  tolerance = 1e-5,
): void {
  const [a, b] = [actual, expected].map((value) =>
    typeof value === "number" ? [value] : "dataSync" in value ? value.dataSync() : value
  ) as [ArrayLike<number>, ArrayLike<number>];
  assert.equal(a.length, b.length, `${a.length} numbers, expected ${b.length}`);
  for (let i = 0; i < b.length; i++) {
    const difference = Math.abs(a[i]! - b[i]!);
    assert(
      difference <= tolerance * Math.max(1, Math.abs(b[i]!)),
      `element ${i}: ${a[i]}, expected ${b[i]} (tolerance ${tolerance})`,
    );
  }
}

setFlagsFromString("--expose-gc");
const gc: () => void = runInNewContext("gc");

/** Collects garbage, and waits until its tensors are disposed. */
export async function collectGarbage(): Promise<void> {
  for (let i = 0; i < 2; i++) {
    gc();
    await new Promise((done) => setTimeout(done));
  }
}

// Tensors that earlier tests left behind must not be collected while a test counts tensors.
let settled = 0;
Deno.test.beforeEach(async () => {
  if (memory().tensors === settled) return;
  await collectGarbage();
  settled = memory().tensors;
});

/**
 * Registers a test for the current backend and one for each backend that exists everywhere.
 */
export function testOnEachBackend(name: string, body: () => void | Promise<void>): void {
  Deno.test(name, body);
  for (const other of ["wasm", "cpu"] as const) {
    Deno.test(`${name} (${other} backend)`, () => withBackend(other, body));
  }
}

/**
 * Returns how many tensors are alive when work in the background has ended: after a pause in
 * milliseconds for tensors that come late, and after up to 20 s in which a busy machine frees all
 * but `count`.
 */
export async function tensorsAfter(pause: number, count: number): Promise<number> {
  const until = performance.now() + 20_000;
  do await new Promise((done) => setTimeout(done, pause)); while (
    memory().tensors > count && performance.now() < until
  );
  return memory().tensors;
}

/** Asserts that `body` leaves `kept` more tensors alive than before it. */
export async function assertNoLeak(body: () => void | Promise<void>, kept = 0): Promise<void> {
  const growth = async () => {
    const before = memory().tensors;
    await body();
    return memory().tensors - before;
  };
  let left = await growth();
  if (left !== kept) {
    // Older garbage may have been collected meanwhile, so it counts again without any.
    await collectGarbage();
    left = await growth();
  }
  assert.equal(left, kept, "tensors left behind");
}

/** Returns the errors of the compiler for a wrong program. */
export async function errorsOfCompiler(program: string): Promise<string> {
  const file = await Deno.makeTempFile({ suffix: ".ts" });
  try {
    await Deno.writeTextFile(file, program);
    const { code, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["check", "--config", new URL("../deno.json", import.meta.url).pathname, file],
      env: { NO_COLOR: "1" },
    }).output();
    assert.notEqual(code, 0);
    return new TextDecoder().decode(stderr);
  } finally {
    await Deno.remove(file);
  }
}

/** Returns the gradient of a scalar function at `x` by central differences. */
export function centralDifference(f: (x: Tensor) => Scalar, x: Tensor, step = 1e-2): Float32Array {
  const values = Float32Array.from(x.dataSync());
  return values.map((value, i) => {
    const at = (shifted: number) => {
      const copy = values.slice();
      copy[i] = shifted;
      const input = ops.tensor(copy, x.shape);
      const y = f(input);
      const result = y.dataSync()[0]!;
      input.dispose();
      y.dispose();
      return result;
    };
    return (at(value + step) - at(value - step)) / (2 * step);
  });
}
