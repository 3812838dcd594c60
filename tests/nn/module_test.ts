import assert from "node:assert/strict";
import {
  batchNorm,
  conv2d,
  type Features,
  type Images,
  linear,
  memory,
  Module,
  ops,
  relu,
  sequential,
  type Tensor,
  variable,
} from "resnet-lab";
import { assertNoLeak } from "../_helpers.ts";
import { isVariable } from "../../lib/tensor/internal.ts";

/** A module with every kind of field. */
class Mixed extends Module<Tensor, Tensor> {
  readonly stem = linear(2, 3, { useBias: false });
  readonly gain = variable(ops.ones([4]));
  readonly seen = variable(ops.zeros([5]), { trainable: false });
  readonly stages = [[linear(1, 1), relu()], [linear(1, 2)]] as const;
  readonly heads = { left: linear(1, 3), right: { deep: variable(ops.ones([1])) } };
  readonly absent = undefined;
  readonly settings = { kernelSize: [3, 3], name: "mixed" };
  readonly again = this.stem;
  override forward(x: Tensor): Tensor {
    return x;
  }
}

Deno.test("namedParameters() follows fields, arrays in arrays and records, and lists shared parts once", () => {
  const model = new Mixed();
  assert.deepEqual([...model.namedModules().keys()], [
    "",
    "stem",
    "stages.0.0",
    "stages.0.1",
    "stages.1.0",
    "heads.left",
  ]);
  assert.deepEqual([...model.namedVariables()].map(([path, { shape }]) => [path, shape]), [
    ["gain", [4]],
    ["seen", [5]],
    ["heads.right.deep", [1]],
    ["stem.weight", [2, 3]],
    ["stages.0.0.weight", [1, 1]],
    ["stages.0.0.bias", [1]],
    ["stages.1.0.weight", [1, 2]],
    ["stages.1.0.bias", [2]],
    ["heads.left.weight", [1, 3]],
    ["heads.left.bias", [3]],
  ]);
  const parameters = [...model.namedParameters().keys()];
  assert.deepEqual(
    parameters,
    [...model.namedVariables().keys()].filter((path) => path !== "seen"),
  );
  assert.deepEqual(model.parameters(), [...model.namedParameters().values()]);
  assert(model.parameters().every(isVariable));
  assert.deepEqual([...model.children().keys()], [
    "stem",
    "stages.0.0",
    "stages.0.1",
    "stages.1.0",
    "heads.left",
    "again",
  ]);
  assert.deepEqual([...model.variables().keys()], ["gain", "seen", "heads.right.deep"]);
});

Deno.test("namedParameters() lists a variable with two names once", () => {
  class Tied extends Module<Features<2>, Features<2>> {
    readonly encode = linear(2, 2);
    readonly decode = this.encode.weight;
    override forward(x: Features<2>): Features<2> {
      return ops.matMul(this.encode.forward(x), this.decode);
    }
  }
  assert.deepEqual([...new Tied().namedParameters().keys()], ["decode", "encode.bias"]);
});

Deno.test("namedModules() ends for a module inside itself", () => {
  class Loop extends Module<Tensor, Tensor> {
    readonly layer = linear(1, 1);
    readonly self: Loop = this;
    override forward(x: Tensor): Tensor {
      return x;
    }
  }
  const loop = new Loop();
  assert.deepEqual([...loop.namedModules().keys()], ["", "layer"]);
  loop.dispose();
});

Deno.test("namedVariables() of nested containers has the paths of checkpoints", () => {
  class Net extends Module<Images<3>, Images<8>> {
    readonly stage1 = sequential(
      sequential(conv2d(3, 8, { kernelSize: 3 }), batchNorm(8)),
      conv2d(8, 8, { kernelSize: 1, useBias: false }),
    );
    override forward(x: Images<3>): Images<8> {
      return this.stage1.forward(x);
    }
  }
  assert.deepEqual([...new Net().namedVariables().keys()], [
    "stage1.0.0.weight",
    "stage1.0.0.bias",
    "stage1.0.1.weight",
    "stage1.0.1.bias",
    "stage1.0.1.runningMean",
    "stage1.0.1.runningVariance",
    "stage1.1.weight",
  ]);
});

Deno.test("dispose() frees every variable once, and can be called twice", async () => {
  await assertNoLeak(() => {
    const model = new Mixed();
    model.dispose();
    model.dispose();
    assert([...model.namedVariables().values()].every((variable) => variable.isDisposed));
  });
  await assertNoLeak(() => {
    using model = sequential(linear(2, 2), batchNorm(2));
    assert.equal(model.parameters().length, 4);
  });
});

Deno.test("dispose() frees the variables of a half-built module", async () => {
  class Half extends Module<Tensor, Tensor> {
    readonly first = linear(2, 2);
    readonly second?: Module<Tensor, Tensor>;
    constructor() {
      super();
      try {
        linear(2, 0);
      } catch (error) {
        this.dispose();
        throw error;
      }
    }
    override forward(x: Tensor): Tensor {
      return x;
    }
  }
  await assertNoLeak(() =>
    assert.throws(() => new Half(), { name: "RangeError", message: /outFeatures/ })
  );
});

Deno.test("toString() returns the tree, which console.log prints too", () => {
  const model = sequential(conv2d(1, 2, { kernelSize: 3 }), sequential(relu()));
  const text = [
    "sequential",
    "  (0) conv2d 1 → 2, 3×3",
    "  (1) sequential",
    "    (0) relu",
  ].join("\n");
  assert.equal(model.toString(), text);
  assert.equal(Deno.inspect(model), text);
  assert.equal(new Mixed().describe(), "Mixed");
  assert.equal(new Mixed().macs([1], [1]), 0);
});

Deno.test("a network makes no tensors except its variables and outputs", () => {
  const before = memory().tensors;
  const model = sequential(conv2d(1, 2, { kernelSize: 3 }), batchNorm(2));
  assert.equal(memory().tensors - before, model.namedVariables().size);
  model.dispose();
});

/** A model in which the name of one part begins with that of another. */
function blocks() {
  class Blocks extends Module<Features<2>, Features<2>> {
    readonly stem = linear(2, 2);
    readonly norm = batchNorm(2);
    readonly norm2 = batchNorm(2);
    readonly layer1 = sequential(linear(2, 2), sequential(linear(2, 2)));
    override forward(x: Features<2>): Features<2> {
      return x;
    }
  }
  return new Blocks();
}
const trained = (model: Module) => [...model.namedParameters().keys()];

Deno.test("freeze() takes parts out of parameters(), and unfreeze() puts them back", () => {
  const model = blocks();
  const all = trained(model);
  const others = [...model.namedVariables().keys()];
  model.freeze("norm", "layer1.1");
  const without = all.filter((path) => !/^(norm|layer1\.1)\./.test(path));
  assert.deepEqual(trained(model), without);
  assert.equal(without.length, 6); // stem, norm2 and layer1.0 have two each.
  assert.deepEqual(model.parameters(), [...model.namedParameters().values()]);
  assert.deepEqual([...model.namedVariables().keys()], others);
  assert.deepEqual(
    [...model.namedModules()].filter(([, { isFrozen }]) => isFrozen).map(([path]) => path),
    ["norm", "layer1.1", "layer1.1.0"],
  );
  model.freeze("norm"); // Again does no harm.
  model.unfreeze("norm");
  assert.deepEqual(trained(model), all.filter((path) => !path.startsWith("layer1.1.")));
  model.unfreeze();
  assert.deepEqual(trained(model), all);
  model.layer1.freeze();
  assert.deepEqual(trained(model), all.filter((path) => !path.startsWith("layer1.")));
  model.freeze();
  assert.deepEqual(trained(model), []);
  model.unfreeze("layer1.0");
  assert.deepEqual(trained(model), ["layer1.0.weight", "layer1.0.bias"]);
});

Deno.test("freeze() freezes a variable that a frozen module shares", () => {
  class Tied extends Module<Features<2>, Features<2>> {
    readonly encode = linear(2, 2);
    readonly decode = this.encode.weight;
    override forward(x: Features<2>): Features<2> {
      return x;
    }
  }
  const model = new Tied();
  model.freeze("encode");
  assert.deepEqual(trained(model), []);
});

Deno.test("freeze() refuses a value that is not a path, names the nearest, and freezes nothing", () => {
  const model = blocks();
  const all = trained(model);
  const cases: [string[], string][] = [
    [["layer"], '"layer". The nearest paths are stem, norm, norm2, layer1'],
    [["norm", "head"], '"head". The nearest paths are stem, norm, norm2, layer1'],
    [["layer1.2"], '"layer1.2". The nearest paths are layer1, layer1.0, layer1.1'],
    [["layer1.1.0.weight"], '"layer1.1.0.weight". The nearest paths are layer1.1.0'],
    [
      ["layer1.5.0.weight"],
      '"layer1.5.0.weight". The nearest paths are layer1, layer1.0, layer1.1',
    ],
    [["layer1."], '"layer1.". The nearest paths are layer1, layer1.0, layer1.1'],
  ];
  for (const [paths, message] of cases) {
    for (
      const [doing, act] of [
        ["Freezing", () => model.freeze(...paths)],
        ["Unfreezing", () => model.unfreeze(...paths)],
      ] as const
    ) {
      assert.throws(act, {
        name: "RangeError",
        message: `${doing} parts of Blocks: each path must lead to a module, found ${message}.`,
      });
    }
    assert.deepEqual(trained(model), all);
  }
  assert.throws(() => linear(2, 2).freeze("weight"), {
    message:
      'Freezing parts of linear 2 → 2: each path must lead to a module, found "weight". The model has no parts.',
  });
});

Deno.test("freeze() takes each path of a module that has several, and the error lists no path that it refuses", () => {
  const model = new Mixed();
  model.freeze("again");
  assert(model.stem.isFrozen);
  model.unfreeze("stem");
  assert(!model.again.isFrozen);
  assert.throws(() => model.freeze("agai"), /The nearest paths are stem, stages.0.0, .*again/);
  assert.throws(() => model.freeze("again.x"), /each path must lead to a module, found "again.x"/);
});
