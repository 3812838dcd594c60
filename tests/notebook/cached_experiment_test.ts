import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { cachedExperiment } from "resnet-lab";

const file = new URL("../../data/recorded_test.json", import.meta.url);

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

Deno.test("recorded: a run is measured once and then read, with where it comes from", async () => {
  await writing(async () => {
    let measured = 0;
    const measure = () => Promise.resolve({ loss: ++measured });
    const first = await cachedExperiment("recorded_test", "seed 1", measure);
    const again = await cachedExperiment("recorded_test", "seed 1", measure);
    const other = await cachedExperiment("recorded_test", "seed 2", measure);
    assert.deepEqual(again, first);
    assert.deepEqual([first.loss, other.loss], [1, 2]);
    assert.match(first.date, /^\d{4}-\d\d-\d\d$/);
    assert.deepEqual(Object.keys(JSON.parse(Deno.readTextFileSync(file))), [
      "cpu: seed 1",
      "cpu: seed 2",
    ]);
  });
});

Deno.test("recorded: what is measured while another run is kept does not undo that one", async () => {
  await writing(async () => {
    await cachedExperiment("recorded_test", "outer", async () => {
      await cachedExperiment("recorded_test", "inner", () => Promise.resolve({ loss: 1 }));
      return { loss: 2 };
    });
    assert.deepEqual(Object.keys(JSON.parse(Deno.readTextFileSync(file))), [
      "cpu: inner",
      "cpu: outer",
    ]);
  });
});

Deno.test("recorded: a run that fails leaves no file", async () => {
  await writing(async () => {
    const failing = cachedExperiment(
      "recorded_test",
      "seed 1",
      () => Promise.reject(new Error("no")),
    );
    await assert.rejects(failing, /no/);
    assert(!existsSync(file));
  });
});

Deno.test("recorded: nothing is written unless asked for", async () => {
  assert.equal(
    (await cachedExperiment("recorded_test", "seed 1", () => Promise.resolve({ a: 1 }))).a,
    1,
  );
  assert(!existsSync(file));
});

Deno.test("recorded: miniatures are not kept", async () => {
  Deno.env.set("RESNET_LAB_SCALE", "smoke");
  try {
    await writing(async () => {
      await cachedExperiment("recorded_test", "seed 1", () => Promise.resolve({ loss: 1 }));
      assert(!existsSync(file));
    });
  } finally {
    Deno.env.delete("RESNET_LAB_SCALE");
  }
});

Deno.test("recorded refuses what JSON would change, and names it", async () => {
  const cases: [object, RegExp][] = [
    [{ losses: [1, NaN] }, /the result\.losses\[1\] must be something that JSON keeps, found NaN/],
    [{ loss: Infinity }, /the result\.loss .* found Infinity/],
    [
      { losses: Float32Array.of(1) },
      /the result\.losses .* found Float32Array \(make it an array\)/,
    ],
    [{ a: { b: new Map([[1, 2]]) } }, /the result\.a\.b /],
    [{ a: [undefined] }, /the result\.a\[0\] .* found undefined/],
    [{ a: 1n }, /the result\.a /],
    [{ scale: 3 }, /another name than scale/],
    [5 as unknown as object, /measure must give an object, found 5/],
  ];
  await writing(async () => {
    for (const [value, message] of cases) {
      await assert.rejects(cachedExperiment("recorded_test", "odd", () => Promise.resolve(value)), {
        name: "TypeError",
        message,
      });
    }
    assert(!existsSync(file));
    const value = { a: [1, "2", true, null, { b: -1e-300 }], none: undefined };
    const first = await cachedExperiment("recorded_test", "plain", () => Promise.resolve(value));
    const again = await cachedExperiment("recorded_test", "plain", () => Promise.resolve(value));
    assert.deepEqual(again.a, first.a);
  });
});

Deno.test("recorded refuses names that lead out of data/ and what is no function", async () => {
  const measure = () => Promise.resolve({ a: 1 });
  for (const name of ["../secret", "a/b", "", "a.json"]) {
    await assert.rejects(cachedExperiment(name, "run", measure), {
      name: "RangeError",
      message: /^Recording "run": the experiment must be a name of letters/,
    });
  }
  // @ts-expect-error: a value, not a function that measures it
  await assert.rejects(cachedExperiment("recorded_test", "run", { a: 1 }), TypeError);
});
