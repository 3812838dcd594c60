import assert from "node:assert/strict";
import { hasMpi, relativeDifference, resultsOf } from "./_helpers.ts";
import { train, type Trained } from "./trainings.ts";

const ignore = !hasMpi;

/** The results on 2 and on 4 processes, once for all tests, because starting takes seconds. */
const runs = new Map<number, ReturnType<typeof resultsOf>>();
async function onProcesses<T = Trained>(count: 2 | 4, name: string): Promise<T[]> {
  const cases = { 2: ["lenet", "resnet", "random", "random compiled", "refused"], 4: ["random"] };
  if (!runs.has(count)) runs.set(count, resultsOf(count, ...cases[count]));
  return (await runs.get(count)!).map((results) => results[name] as T);
}

for (
  const [name, compile, count, tolerance] of [
    ["lenet", false, 2, 1e-6],
    ["resnet", false, 2, 1e-4],
    ["random", false, 2, 1e-6],
    ["random", true, 2, 1e-6],
    ["random", false, 4, 1e-6],
  ] as const
) {
  const full = compile ? `${name} compiled` : name;
  Deno.test({
    name: `fit() on ${count} processes trains ${full} as one process does, and all alike`,
    ignore,
    async fn() {
      const results = await onProcesses(count, full), expected = await train(name, { compile });
      for (const { weights, losses, validation, hashes } of results) {
        assert.deepEqual(hashes, results[0]!.hashes, "the variables after each step, bit by bit");
        for (
          const [found, wanted] of [
            [weights, expected.weights],
            [losses, expected.losses],
            [validation, expected.validation],
          ] as const
        ) {
          const difference = relativeDifference(found, wanted);
          assert(difference < tolerance, `they differ by ${difference}`);
        }
      }
    },
  });
}

Deno.test({
  name: "fit() on 2 and 4 processes augments each picture as one process does",
  ignore,
  async fn() {
    const { pictures } = await train("random");
    for (const count of [2, 4] as const) {
      const results = await onProcesses(count, "random");
      assert.equal(pictures.length, 8);
      pictures.forEach((batch, step) => {
        // The images of a process come first, and then those that they are mixed with.
        const made = results.map(({ pictures }) => pictures[step]!);
        const own = made.flatMap((hashes) => hashes.slice(0, hashes.length / 2));
        assert.deepEqual(own.toSorted(), batch.toSorted(), `step ${step}`);
        assert(made.flat().every((hash) => batch.includes(hash)), `step ${step}`);
      });
    }
  },
});

Deno.test({
  name: "fit() on 2 processes refuses a batch of one image, and a compiled batch norm",
  ignore,
  async fn() {
    for (const message of await onProcesses<string>(2, "refused")) {
      assert.match(
        message,
        /each process must have an image in each batch, found 1 for 2 processes in one \(batchSize 31, 94 images\)/,
      );
      assert.match(message, /compile must be false on several processes .* found true and bn1/);
    }
  },
});
