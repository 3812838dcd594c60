import assert from "node:assert/strict";
import { join } from "node:path";
import { checkImports } from "../../scripts/check_imports.ts";
import { thisEnvironment } from "../../scripts/environment.ts";

/** The problems of a project with these files. */
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

Deno.test("checkImports() lets a room import from rooms above it, from itself, and node:", async () => {
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

Deno.test("checkImports() refuses an import from a room below, even of a type", async () => {
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

Deno.test("checkImports() also checks a file that nothing imports", async () => {
  const [problem, ...others] = await check({
    "lib/mod.ts": "",
    "lib/train/mod.ts": "",
    "lib/data/forgotten.ts": 'import "../train/mod.ts";',
  });
  assert.deepEqual(others, []);
  assert.match(problem!, /lib\/data\/forgotten\.ts imports \.\.\/train\/mod\.ts/);
});

Deno.test("checkImports() lets only the room tensor import TensorFlow.js", async () => {
  const text = 'import "npm:@tensorflow/tfjs-core@4.22.0";';
  assert.deepEqual(await check({ "lib/tensor/ops.ts": text }), []);
  assert.deepEqual(await check({ "lib/nn/relu.ts": text }), [
    "lib/nn/relu.ts imports npm:@tensorflow/tfjs-core@4.22.0: only the room tensor may import TensorFlow.js",
  ]);
});

Deno.test("checkImports() refuses imports from outside of lib, of lib/mod.ts, and an unknown room", async () => {
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
      "lib/attic/mod.ts imports ../tensor/mod.ts: there is no room attic; the rooms are tensor, nn, models, data, weights, parallel, train, plot, interactive, notebook",
    ],
  );
});

Deno.test("checkImports() refuses an import circle, of types and across several files too", async () => {
  assert.deepEqual(
    await check({
      "lib/nn/a.ts": 'import type { B } from "./b.ts";\nexport type A = B | 1;',
      "lib/nn/b.ts": 'import type { A } from "./a.ts";\nexport type B = A | 2;',
    }),
    ["import circle: lib/nn/a.ts → lib/nn/b.ts → lib/nn/a.ts"],
  );
  assert.deepEqual(
    await check({
      "lib/nn/a.ts": 'import "./b.ts";\nimport "./c.ts";',
      "lib/nn/b.ts": 'import "./c.ts";',
      "lib/nn/c.ts": 'import "./d.ts";',
      "lib/nn/d.ts": 'export const lazy = () => import("./b.ts");',
    }),
    ["import circle: lib/nn/b.ts → lib/nn/c.ts → lib/nn/d.ts → lib/nn/b.ts"],
  );
  assert.deepEqual(
    await check({
      "lib/nn/a.ts": 'import "./b.ts";\nimport "./c.ts";',
      "lib/nn/b.ts": 'import "./d.ts";',
      "lib/nn/c.ts": 'import "./d.ts";',
      "lib/nn/d.ts": "",
    }),
    [],
    "two ways to one file are no circle",
  );
});

Deno.test("checkImports() refuses a file of more than 600 lines", async () => {
  const lines = (count: number) => Array(count).fill("// A line.").join("\n") + "\n";
  assert.deepEqual(await check({ "lib/nn/mod.ts": lines(600) }), []);
  assert.deepEqual(await check({ "lib/nn/mod.ts": lines(601) }), [
    "lib/nn/mod.ts has 601 lines, at most 600",
  ]);
});

Deno.test("checkImports() refuses more than 7 import levels in lib/tensor, types left out", async () => {
  /** Files 1 to `count`, each of which imports the next. */
  const chain = (room: string, count: number) =>
    Object.fromEntries(Array.from({ length: count }, (_, i) => [
      `lib/${room}/${i + 1}.ts`,
      i + 1 < count ? `import "./${i + 2}.ts";` : 'import type {} from "./types.ts";',
    ]));
  const types = { "lib/tensor/types.ts": "", "lib/nn/types.ts": "" };
  assert.deepEqual(await check({ ...chain("tensor", 7), ...chain("nn", 8), ...types }), []);
  const [problem, ...others] = await check({ ...chain("tensor", 8), ...types });
  assert.deepEqual(others, []);
  assert.match(
    problem!,
    /^lib\/tensor has 8 import levels, at most 7: lib\/tensor\/1\.ts → .*8\.ts$/,
  );
});
