/**
 * What several tests need: closeness of numbers, gradients by differences, every backend, no tensor
 * left behind.
 */
import assert from "node:assert/strict";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { memory, ops, type Scalar, type Tensor, useBackend } from "resnet-lab";

/**
 * Asserts that numbers agree to `tolerance`, relative to 1 or to the expected number, whichever is
 * larger.
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

/** Collects garbage, and lets what is found be disposed. */
export async function collectGarbage(): Promise<void> {
  for (let i = 0; i < 2; i++) {
    gc();
    await new Promise((done) => setTimeout(done));
  }
}

// What the tests before have left behind must not go while one counts tensors.
let settled = 0;
Deno.test.beforeEach(async () => {
  if (memory().tensors === settled) return;
  await collectGarbage();
  settled = memory().tensors;
});

/**
 * Registers one test for the backend at hand and one for each of the backends that are everywhere.
 */
export function testOnEachBackend(name: string, body: () => void | Promise<void>): void {
  Deno.test(name, body);
  for (const other of ["wasm", "cpu"] as const) {
    Deno.test(`${name} (${other} backend)`, () => useBackend(other, body));
  }
}

/** Runs `body` and asserts that as many tensors are alive after it as before, plus `kept`. */
export async function assertNoLeak(body: () => void | Promise<void>, kept = 0): Promise<void> {
  const more = async () => {
    const before = memory().tensors;
    await body();
    return memory().tensors - before;
  };
  let left = await more();
  if (left !== kept) {
    // Garbage of before may have gone meanwhile: once more, without any.
    await collectGarbage();
    left = await more();
  }
  assert.equal(left, kept, "tensors left behind");
}

/** What the compiler says of a program that is wrong. */
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

/** The gradient of a scalar function at `x` by central differences, element by element. */
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
