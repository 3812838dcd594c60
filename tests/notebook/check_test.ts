import assert from "node:assert/strict";
import { check, checkClose, checkEqual, type Numeric, ops } from "resnet-lab";
import { assertNoLeak } from "../_helpers.ts";

/** The lines that `body` prints. */
function printed(body: () => void): string[] {
  const lines: string[] = [];
  const log = console.log;
  console.log = (...values: unknown[]) => lines.push(values.join(" "));
  try {
    body();
  } finally {
    console.log = log;
  }
  return lines;
}

/** The error message of a claim that does not hold. The claim must print nothing. */
function failure(body: () => void): string {
  let message = "";
  const lines = printed(() => {
    try {
      body();
    } catch (error) {
      assert(error instanceof Error);
      assert.equal(error.name, "Error");
      message = error.message;
    }
  });
  assert.deepEqual(lines, []);
  return message;
}

Deno.test("check() prints a claim that holds and throws one that does not", () => {
  assert.deepEqual(printed(() => check("two is even", 2 % 2 === 0)), ["✓ two is even"]);
  assert.equal(
    failure(() => check("three is even", false)),
    "✗ three is even: expected true, found false",
  );
});

Deno.test("check() narrows a type", () => {
  const value: string | undefined = ["a"][0];
  check("there is a letter", value !== undefined);
  assert.equal(value.length, 1);
});

Deno.test("check() takes nothing but true and false", () => {
  const tensor = ops.tensor([0]);
  // @ts-expect-error: a tensor is no condition
  assert.throws(() => check("is zero", tensor), {
    name: "TypeError",
    message:
      'Checking "is zero": the condition must be true or false, found a tensor of float32 [1].',
  });
  // @ts-expect-error: a number is no condition
  assert.throws(() => check("is one", 1), TypeError);
  tensor.dispose();
});

Deno.test("checkEqual() prints a value that is short", () => {
  assert.deepEqual(
    printed(() => {
      checkEqual("parameters", 61_706, 61_706);
      checkEqual("shape", [2, 3], [2, 3]);
      checkEqual("many", Array(100).fill(0), Array(100).fill(0));
    }),
    ["✓ parameters: 61706", "✓ shape: [ 2, 3 ]", "✓ many"],
  );
});

Deno.test("checkEqual() throws if values differ in depth", () => {
  assert.equal(
    failure(() => checkEqual("shape", { a: [1, 2] }, { a: [1, 3] })),
    "✗ shape: expected { a: [ 1, 3 ] }, found { a: [ 1, 2 ] }",
  );
  assert.equal(
    failure(() => checkEqual<ArrayLike<number>>("row", Float32Array.of(1), [1])),
    "✗ row: expected [ 1 ], found Float32Array(1) [ 1 ]",
  );
  // @ts-expect-error: a string is never equal to a number
  assert.match(failure(() => checkEqual("one", 1, "1")), /^✗ one: expected '1', found 1$/);
});

Deno.test("checkEqual() never passes NaN", () => {
  assert.equal(failure(() => checkEqual("loss", NaN, NaN)), "✗ loss: expected NaN, found NaN");
  assert.match(failure(() => checkEqual("rows", [[1], [NaN]], [[1], [NaN]])), /^✗ rows/);
  assert.match(
    failure(() => checkEqual("row", Float32Array.of(NaN), Float32Array.of(NaN))),
    /^✗ row/,
  );
});

Deno.test("checkEqual() refuses tensors, which are equal to nothing but themselves", () => {
  const x = ops.tensor([1]);
  assert.throws(() => checkEqual("x", x, x), { name: "TypeError", message: /Use checkClose/ });
  x.dispose();
});

Deno.test("checkClose() compares numbers, arrays, typed arrays and tensors", async () => {
  await assertNoLeak(() => {
    const x = ops.tensor([1, 2, 3, 4], [2, 2]), scalar = ops.scalar(2);
    assert.deepEqual(
      printed(() => {
        checkClose("π", 3.14159, Math.PI, 1e-3);
        checkClose("matrix", x, [[1, 2], [3, 4.5]], 0.5);
        checkClose("rows", [Float32Array.of(1, 2), [3, 4]], x, 0);
        checkClose("scalar", scalar, 2, 0);
        checkClose("infinite", Infinity, Infinity, 0);
      }),
      [
        "✓ π: 3.142 (expected 3.142 ± 0.001)",
        "✓ matrix: largest difference 0.5 (tolerance 0.5)",
        "✓ rows: largest difference 0 (tolerance 0)",
        "✓ scalar: 2 (expected 2 ± 0)",
        "✓ infinite: Infinity (expected Infinity ± 0)",
      ],
    );
    x.dispose();
    scalar.dispose();
  });
});

Deno.test("checkClose() says which number is farthest off", () => {
  assert.equal(
    failure(() => checkClose("π", 3.2, 3.1, 0.01)),
    "✗ π: expected 3.1 ± 0.01, found 3.2",
  );
  assert.equal(
    failure(() => checkClose("matrix", [[1, 2.5, 3], [4, 5, 7]], [[1, 2, 3], [4, 5, 6]], 0.1)),
    "✗ matrix: expected 6 ± 0.1 at [1, 2], found 7",
  );
});

Deno.test("checkClose() never passes NaN", () => {
  for (
    const [actual, expected] of [
      [NaN, NaN],
      [NaN, 1],
      [1, NaN],
      [[1, NaN, 5], [1, 2, 3]],
    ] satisfies [Numeric, Numeric][]
  ) {
    assert.match(failure(() => checkClose("x", actual, expected, 1e9)), /^✗ x: .*NaN/);
  }
});

Deno.test("checkClose() compares shapes", () => {
  assert.equal(
    failure(() => checkClose("x", [[1, 2]], [1, 2], 1)),
    "✗ x: expected shape [2], found shape [1, 2]",
  );
  assert.equal(
    failure(() => checkClose("x", [1], 1, 1)),
    "✗ x: expected a single number, found shape [1]",
  );
});

Deno.test("checkClose() refuses values that it cannot compare", () => {
  for (const tolerance of [-1, NaN, Infinity]) {
    assert.throws(() => checkClose("x", 1, 1, tolerance), {
      name: "RangeError",
      message:
        `Checking "x": the tolerance must be a finite number of at least 0, found ${tolerance}.`,
    });
  }
  assert.throws(() => checkClose("x", [], [], 1), {
    name: "RangeError",
    message: 'Checking "x": there must be at least one number, found none.',
  });
  assert.throws(() => checkClose("x", [[1], [1, 2]], 1, 1), {
    name: "RangeError",
    message:
      'Checking "x": the arrays in an array must have one shape, found shape [1] and shape [2].',
  });
  // @ts-expect-error: a string is no number
  assert.throws(() => checkClose("x", "1", 1, 1), {
    name: "TypeError",
    message: 'Checking "x": the values must be numbers, found "1".',
  });
  // @ts-expect-error: undefined is no number
  assert.throws(() => checkClose("x", [undefined], [1], 1), TypeError);
  // @ts-expect-error: a DataView does not say what numbers it holds
  assert.throws(() => checkClose("x", new DataView(new ArrayBuffer(4)), 1, 1), TypeError);
});

Deno.test("checkEqual() never passes NaN in a Map, a Set or a cycle", () => {
  const cycle = (value: number) => {
    const object: { value: number; self?: unknown } = { value };
    object.self = object;
    return object;
  };
  for (const make of [() => new Map([["a", NaN]]), () => new Set([NaN]), () => cycle(NaN)]) {
    assert.match(failure(() => checkEqual<unknown>("loss", make(), make())), /^✗ loss/);
  }
  assert.equal(printed(() => checkEqual("one", cycle(1), cycle(1))).length, 1);
});

Deno.test("checkEqual() refuses promises and other objects of which nothing can be compared", () => {
  class Hidden {
    #value: number;
    constructor(value: number) {
      this.#value = value;
    }
    get value(): number {
      return this.#value;
    }
  }
  const cases: (() => unknown)[] = [
    () => Promise.resolve(Math.random()),
    () => [Promise.resolve(1)],
    () => new Hidden(Math.random()),
    () => new WeakMap(),
  ];
  for (const make of cases) {
    assert.throws(() => checkEqual("same", make(), make()), {
      name: "TypeError",
      message: /^Checking "same": the values must have visible content, found /,
    });
  }
  const one = new Hidden(1);
  assert.equal(printed(() => checkEqual("itself", one, one)).length, 1);
  assert.equal(printed(() => checkEqual("dates", new Date(0), new Date(0))).length, 1);
  assert.equal(
    printed(() => checkEqual("nothing", [{}, [], new Map()], [{}, [], new Map()])).length,
    1,
  );
});

Deno.test("checkEqual() refuses tensors inside of arrays and objects", () => {
  const x = ops.tensor([1]);
  assert.throws(() => checkEqual("x", [{ x }], [{ x }]), {
    name: "TypeError",
    message: /checkClose/,
  });
  x.dispose();
});

Deno.test("checkClose() takes nothing but numbers", () => {
  const odd: unknown[] = [
    "3",
    3n,
    true,
    null,
    undefined,
    [1, "2"],
    [1, 2n],
    [1, null],
    // deno-lint-ignore no-sparse-arrays
    [1, , 3],
    BigInt64Array.of(1n, 2n),
    new DataView(new ArrayBuffer(8)),
    { 0: 1, length: 1 },
    new Map([[0, 1]]),
    [[1], ["1"]],
  ];
  for (const value of odd) {
    const numbers = value as Numeric;
    assert.throws(() => checkClose("odd", numbers, numbers, 1), {
      name: "TypeError",
      message: /^Checking "odd": the values must be numbers, found /,
    }, String(value));
  }
  for (const tolerance of ["1", "", null, NaN, -1, Infinity, 1n]) {
    assert.throws(() => checkClose("odd", 1, 1, tolerance as number), {
      name: typeof tolerance === "number" ? "RangeError" : "TypeError",
      message: /the tolerance must be a finite number of at least 0/,
    });
  }
});

Deno.test("checkClose() compares a million numbers in a second or two", () => {
  const numbers = Array.from({ length: 1_000_000 }, (_, index) => index);
  const start = performance.now();
  assert.equal(printed(() => checkClose("all", numbers, Float64Array.from(numbers), 0)).length, 1);
  assert(performance.now() - start < 10_000);
});
