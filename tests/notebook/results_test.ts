import assert from "node:assert/strict";
import { resultsWith } from "resnet-lab";

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

Deno.test("resultsWith puts a result last, with images per second, and keeps nothing unless told to", () => {
  const file = new URL("../../data/results.json", import.meta.url);
  const before = read(file);
  assert.deepEqual(resultsWith(row).at(-1), {
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

Deno.test("resultsWith leaves out the notebooks after this one, and keeps those of this one", () => {
  resultsWith({ ...row, notebook: 0, network: "first" });
  const names = resultsWith({ ...row, notebook: 0, network: "second" }).map(({ network }) =>
    network
  );
  assert.deepEqual(names, ["first", "second"]);
});

function read(file: URL): string | undefined {
  try {
    return Deno.readTextFileSync(file);
  } catch {
    return undefined;
  }
}
