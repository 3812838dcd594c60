import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { cachedExperiment } from "resnet-lab";

const file = new URL("../../data/cached_test.json", import.meta.url);

/**
 * Runs with the environment variable that `deno task run --write` sets, and removes the file
 * afterwards.
 */
async function writing(run: () => Promise<void>): Promise<void> {
  Deno.env.set("RESNET_LAB_WRITE", "1");
  try {
    await run();
  } finally {
    Deno.env.delete("RESNET_LAB_WRITE");
    if (existsSync(file)) Deno.removeSync(file);
  }
}

Deno.test("cachedExperiment() measures a run once and then reads it, with its provenance", async () => {
  await writing(async () => {
    let measured = 0;
    const measure = () => Promise.resolve({ loss: ++measured });
    const first = await cachedExperiment("cached_test", "seed 1", measure);
    const again = await cachedExperiment("cached_test", "seed 1", measure);
    const other = await cachedExperiment("cached_test", "seed 2", measure);
    assert.deepEqual(again, first);
    assert.deepEqual([first.loss, other.loss], [1, 2]);
    assert.match(first.date, /^\d{4}-\d\d-\d\d$/);
    assert.deepEqual(Object.keys(JSON.parse(Deno.readTextFileSync(file))), [
      "cpu: seed 1",
      "cpu: seed 2",
    ]);
  });
});

Deno.test("cachedExperiment() keeps a run that is stored during the measurement of another", async () => {
  await writing(async () => {
    await cachedExperiment("cached_test", "outer", async () => {
      await cachedExperiment("cached_test", "inner", () => Promise.resolve({ loss: 1 }));
      return { loss: 2 };
    });
    assert.deepEqual(Object.keys(JSON.parse(Deno.readTextFileSync(file))), [
      "cpu: inner",
      "cpu: outer",
    ]);
  });
});

Deno.test("cachedExperiment() leaves no file if the run fails", async () => {
  await writing(async () => {
    const failing = cachedExperiment(
      "cached_test",
      "seed 1",
      () => Promise.reject(new Error("no")),
    );
    await assert.rejects(failing, /no/);
    assert(!existsSync(file));
  });
});

Deno.test("cachedExperiment() writes nothing without RESNET_LAB_WRITE", async () => {
  assert.equal(
    (await cachedExperiment("cached_test", "seed 1", () => Promise.resolve({ a: 1 }))).a,
    1,
  );
  assert(!existsSync(file));
});

Deno.test("cachedExperiment() does not store runs at the scale smoke", async () => {
  Deno.env.set("RESNET_LAB_SCALE", "smoke");
  try {
    await writing(async () => {
      await cachedExperiment("cached_test", "seed 1", () => Promise.resolve({ loss: 1 }));
      assert(!existsSync(file));
    });
  } finally {
    Deno.env.delete("RESNET_LAB_SCALE");
  }
});

Deno.test("cachedExperiment() refuses values that JSON would change, and names them", async () => {
  const cases: [object, RegExp][] = [
    [
      { losses: [1, NaN] },
      /the result\.losses\[1\] must be a value that JSON can store, found NaN/,
    ],
    [{ loss: Infinity }, /the result\.loss .* found Infinity/],
    [
      { losses: Float32Array.of(1) },
      /the result\.losses .* found Float32Array \(convert it with Array\.from\)/,
    ],
    [{ a: { b: new Map([[1, 2]]) } }, /the result\.a\.b /],
    [{ a: [undefined] }, /the result\.a\[0\] .* found undefined/],
    [{ a: 1n }, /the result\.a /],
    [{ scale: 3 }, /must have names other than scale, machine, date, found scale/],
    [5 as unknown as object, /the result must be an object, found 5/],
  ];
  await writing(async () => {
    for (const [value, message] of cases) {
      await assert.rejects(cachedExperiment("cached_test", "odd", () => Promise.resolve(value)), {
        name: "TypeError",
        message,
      });
    }
    assert(!existsSync(file));
    const value = { a: [1, "2", true, null, { b: -1e-300 }], none: undefined };
    const first = await cachedExperiment("cached_test", "plain", () => Promise.resolve(value));
    const again = await cachedExperiment("cached_test", "plain", () => Promise.resolve(value));
    assert.deepEqual(again.a, first.a);
  });
});

Deno.test("cachedExperiment() refuses names that lead out of data/, and a value that is no function", async () => {
  const measure = () => Promise.resolve({ a: 1 });
  for (const name of ["../secret", "a/b", "", "a.json"]) {
    await assert.rejects(cachedExperiment(name, "run", measure), {
      name: "RangeError",
      message: /^Running the experiment "run": the experiment must be a name of letters/,
    });
  }
  // @ts-expect-error: a value, not a function that measures it
  await assert.rejects(cachedExperiment("cached_test", "run", { a: 1 }), TypeError);
});
