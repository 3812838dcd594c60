import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { recorded } from "resnet-lab";

const file = new URL("../../data/recorded_test.json", import.meta.url);

/** Runs with the environment variable that `deno task run --write` sets, and removes the file afterwards. */
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
    const first = await recorded("recorded_test", "seed 1", measure);
    const again = await recorded("recorded_test", "seed 1", measure);
    const other = await recorded("recorded_test", "seed 2", measure);
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
    await recorded("recorded_test", "outer", async () => {
      await recorded("recorded_test", "inner", () => Promise.resolve({ loss: 1 }));
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
    const failing = recorded("recorded_test", "seed 1", () => Promise.reject(new Error("no")));
    await assert.rejects(failing, /no/);
    assert(!existsSync(file));
  });
});

Deno.test("recorded: nothing is written unless asked for", async () => {
  assert.equal((await recorded("recorded_test", "seed 1", () => Promise.resolve({ a: 1 }))).a, 1);
  assert(!existsSync(file));
});

Deno.test("recorded: miniatures are not kept", async () => {
  Deno.env.set("RESNET_LAB_SCALE", "smoke");
  try {
    await writing(async () => {
      await recorded("recorded_test", "seed 1", () => Promise.resolve({ loss: 1 }));
      assert(!existsSync(file));
    });
  } finally {
    Deno.env.delete("RESNET_LAB_SCALE");
  }
});
