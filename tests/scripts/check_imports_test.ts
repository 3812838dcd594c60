import assert from "node:assert/strict";
import { join } from "node:path";
import { checkImports } from "../../scripts/check_imports.ts";
import { thisEnvironment } from "../../scripts/environment.ts";

/** What the check says about a project with these files. */
async function check(files: Readonly<Record<string, string>>): Promise<string[]> {
  const root = await Deno.realPath(await Deno.makeTempDir({ prefix: "import order " }));
  try {
    for (const [file, text] of Object.entries({ "deno.json": "{}", ...files })) {
      await Deno.mkdir(join(root, file, ".."), { recursive: true });
      await Deno.writeTextFile(join(root, file), text);
    }
    return await checkImports({ ...thisEnvironment(), root });
  } finally {
    await Deno.remove(root, { recursive: true });
  }
}

const tensor = { "lib/tensor/mod.ts": "export type Tensor = number;" };

Deno.test("a room may import from rooms above it, from itself, and node:", async () => {
  assert.deepEqual(
    await check({
      ...tensor,
      "lib/nn/mod.ts": 'import "./conv.ts";\nimport "node:path";',
      "lib/nn/conv.ts": 'import type { Tensor } from "../tensor/mod.ts";\nexport type T = Tensor;',
      "lib/mod.ts": 'export * from "./tensor/mod.ts";\nexport * from "./nn/mod.ts";',
    }),
    [],
  );
});

Deno.test("a room may not import from a room below it, not even a type", async () => {
  assert.deepEqual(
    await check({
      "lib/nn/mod.ts": "export type Layer = number;",
      "lib/tensor/mod.ts":
        'import type { Layer } from "../nn/mod.ts";\nexport type Tensor = Layer;',
    }),
    [
      "lib/tensor/mod.ts imports ../nn/mod.ts: the room tensor may import only from no room",
    ],
  );
  assert.deepEqual(
    await check({
      "lib/plot/mod.ts": "export const figure = 1;",
      "lib/models/mod.ts": 'export const lazy = () => import("../plot/mod.ts");',
    }),
    ["lib/models/mod.ts imports ../plot/mod.ts: the room models may import only from tensor, nn"],
  );
});

Deno.test("a file that nothing imports is checked as well", async () => {
  const [problem, ...others] = await check({
    "lib/mod.ts": "",
    "lib/train/mod.ts": "",
    "lib/data/forgotten.ts": 'import "../train/mod.ts";',
  });
  assert.deepEqual(others, []);
  assert.match(problem!, /lib\/data\/forgotten\.ts imports \.\.\/train\/mod\.ts/);
});

Deno.test("only the room tensor may import TensorFlow.js", async () => {
  const text = 'import "npm:@tensorflow/tfjs-core@4.22.0";';
  assert.deepEqual(await check({ "lib/tensor/ops.ts": text }), []);
  assert.deepEqual(await check({ "lib/nn/relu.ts": text }), [
    "lib/nn/relu.ts imports npm:@tensorflow/tfjs-core@4.22.0: only the room tensor may import TensorFlow.js",
  ]);
});

Deno.test("lib may not import from outside of lib, nor a room all rooms", async () => {
  assert.deepEqual(
    await check({ ...tensor, "lib/nn/mod.ts": 'import "../../scripts/a.ts";', "scripts/a.ts": "" }),
    ["lib/nn/mod.ts imports ../../scripts/a.ts: lib may not import from outside of lib"],
  );
  assert.deepEqual(
    await check({ ...tensor, "lib/nn/mod.ts": 'import "../mod.ts";', "lib/mod.ts": "" }),
    ["lib/nn/mod.ts imports ../mod.ts: no room may import lib/mod.ts, which imports all rooms"],
  );
  assert.deepEqual(
    await check({ ...tensor, "lib/attic/mod.ts": 'import "../tensor/mod.ts";' }),
    [
      "lib/attic/mod.ts imports ../tensor/mod.ts: there is no room attic; the rooms are tensor, nn, models, data, train, weights, plot, notebook",
    ],
  );
});
