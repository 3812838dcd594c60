import assert from "node:assert/strict";
import { addResult } from "resnet-lab";

const row = {
  network: "a network that no notebook has",
  notebook: 99,
  accuracy: 0.9123,
  parameters: 1000,
  macs: 2000,
  seconds: 10,
  images: 600,
  epochs: 5,
  seed: 3,
};

Deno.test("addResult() puts a result last, with images per second, and stores nothing without RESNET_LAB_WRITE", () => {
  const file = new URL("../../data/results.json", import.meta.url);
  const before = read(file);
  assert.deepEqual(addResult(row).at(-1), {
    network: row.network,
    "test accuracy": "91.23 %",
    parameters: 1000,
    MACs: 2000,
    "images × epochs": "600 × 5",
    seconds: 10,
    "images/s": 300,
  });
  assert.equal(read(file), before);
});

Deno.test("addResult() leaves out later notebooks, and includes earlier results of this one", () => {
  addResult({ ...row, notebook: 0, network: "first" });
  const names = addResult({ ...row, notebook: 0, network: "second" }).map(({ network }) => network);
  assert.deepEqual(names, ["first", "second"]);
});

function read(file: URL): string | undefined {
  try {
    return Deno.readTextFileSync(file);
  } catch {
    return undefined;
  }
}

Deno.test("addResult() refuses unknown properties and values of another kind", () => {
  const cases: [object, RegExp][] = [
    [{ epoch: 5 }, /there is no option epoch\. Did you mean epochs\?/],
    [{ accuracy: 91.2 }, /accuracy must be a number from 0 to 1, found 91\.2/],
    [{ accuracy: NaN }, /accuracy must be a number from 0 to 1, found NaN/],
    [{ seconds: 0 }, /seconds must be a finite number above 0, found 0/],
    [{ images: "600" }, /images must be a finite number of at least 0, found "600"/],
    [{ macs: undefined }, /macs must be a finite number of at least 0, found undefined/],
    [{ parameters: -1 }, /parameters must be a finite number of at least 0, found -1/],
    [{ network: 5 }, /network must be a string, found 5/],
  ];
  for (const [change, message] of cases) {
    assert.throws(() => addResult({ ...row, ...change }), (error: Error) => {
      assert(error instanceof TypeError || error instanceof RangeError);
      assert.match(error.message, message);
      assert.match(error.message, /^Adding to the results: /);
      return true;
    });
  }
  // The table has none of them.
  assert.equal(addResult(row).filter(({ network }) => network === row.network).length, 1);
});
