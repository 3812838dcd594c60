import assert from "node:assert/strict";
import {
  alexnet,
  type AnyModule,
  batchNorm,
  conv2d,
  flatten,
  googlenet,
  type Images,
  inception,
  linear,
  loadStateDict,
  Module,
  ops,
  parallel,
  readPth,
  readSafetensors,
  resnet,
  resnet18,
  resnet50,
  sequential,
  stateDict,
  type Tensor,
  timm,
  variable,
  vgg,
} from "resnet-lab";
import { assertClose, assertNoLeak, testOnEachBackend } from "../_helpers.ts";
import { expected, fixture, images, names } from "./_helpers.ts";
import { StoredTensor } from "../../lib/weights/stored_tensor.ts";

type Classifier = Module<Images<3>, Tensor>;
const cases: [file: string, make: () => Classifier, size: number][] = [
  ["resnet_basic.pth", () => smallResnet("basic"), 32],
  ["resnet_bottleneck.pth", () => smallResnet("bottleneck"), 32],
  ["alexnet_legacy.pth", smallAlexnet, 127],
  ["vgg.safetensors", smallVgg, 12],
  [
    "inception.safetensors",
    () => inception(3, [2, [3, 4], [2, 3], 2], { variant: "torchvision" }),
    6,
  ],
  ["resnetv2_timm.safetensors", smallResnetV2, 32],
];
function smallResnet(block: "basic" | "bottleneck") {
  return resnet({ block, stages: [2, 1], channels: 4, classes: 5 });
}
function smallAlexnet() {
  return alexnet({ variant: "torchvision", width: 1 / 64, imageSize: 127, classes: 5 });
}
function smallVgg() {
  const architecture = [[1, 4], [2, 6]] as const;
  return vgg({ architecture, batchNorm: true, hidden: 16, imageSize: 12, classes: 5 });
}
function smallResnetV2() {
  return resnet({ block: "bottleneck", stages: [1, 1], channels: 8, classes: 5, version: "v2" });
}

async function read(file: string): Promise<Map<string, StoredTensor>> {
  const tensors = await (file.endsWith("pth") ? readPth : readSafetensors)(fixture(file));
  return file.includes("timm") ? timm.importNames(tensors) : tensors;
}

for (const [file, make, size] of cases) {
  testOnEachBackend(`loadStateDict of ${file} gives what PyTorch computes`, async () => {
    await assertNoLeak(async () => {
      using model = make();
      loadStateDict(model, await read(file));
      using x = images(2, size, size);
      using y = model.forward(x);
      assertClose(y, expected[file]!, 1e-4);
    });
  });

  Deno.test(`stateDict() gives back the tensors of ${file}, to the bit and in their order`, async () => {
    await assertNoLeak(async () => {
      using model = make();
      const theirs = await read(file);
      loadStateDict(model, theirs);
      const state = stateDict(model),
        ours = file.includes("timm") ? timm.exportNames(state) : state;
      const original = file.includes("timm") ? await readSafetensors(fixture(file)) : theirs;
      assert.deepEqual([...ours.keys()].sort(), [...original.keys()].sort());
      for (const [name, tensor] of original) {
        assert.deepEqual(ours.get(name)!.shape, tensor.shape, name);
        assert.equal(ours.get(name)!.dtype, tensor.dtype, name);
        if (!name.endsWith("num_batches_tracked")) {
          assert.deepEqual(ours.get(name)!.values(), tensor.values().slice(), name);
        } else assert.deepEqual([...ours.get(name)!.values()], [0n]);
      }
    });
  });
}

/**
 * The names of a model's state dict, for the networks of torchvision and timm at full depth. The
 * names do not depend on the width.
 */
const width = 1 / 64;
const named: Record<string, () => AnyModule> = {
  alexnet: () => alexnet({ variant: "torchvision", width }),
  vgg11: () => vgg({ architecture: 11, width }),
  vgg13_bn: () => vgg({ architecture: 13, batchNorm: true, width }),
  googlenet: () => googlenet({ variant: "torchvision", auxiliary: true, width }),
  resnet18: () => resnet18({ width }),
  resnet50: () => resnet50({ width }),
  resnetv2_18: () => resnet18({ version: "v2", width }),
  resnetv2_50: () => resnet50({ version: "v2", width }),
};
for (const [name, make] of Object.entries(named)) {
  Deno.test(`stateDict() has the names of ${name} in PyTorch`, () => {
    using model = make();
    const state = name.startsWith("resnetv2")
      ? timm.exportNames(stateDict(model))
      : stateDict(model);
    assert.deepEqual([...state.keys()].sort(), names[name]!.sort());
  });
}

Deno.test("stateDict() orders the weights of a linear layer after a flatten by channel, height and width", () => {
  using model = sequential(conv2d(1, 2, { kernelSize: 1 }), flatten(), linear(6, 1));
  // Features of 1×3 pixels and 2 channels: by pixel here, by channel in PyTorch.
  using weight = ops.tensor([0, 1, 10, 11, 20, 21], [6, 1]);
  model.layers[2].weight.assign(weight);
  const stored = stateDict(model).get("2.weight")!;
  assert.deepEqual(stored.shape, [1, 6]);
  assert.deepEqual([...stored.values()], [0, 10, 20, 1, 11, 21]);
});

Deno.test("stateDict() orders a batch norm after a flatten, and counts the channels of all branches", () => {
  using model = sequential(
    parallel(conv2d(1, 2, { kernelSize: 1 }), conv2d(1, 1, { kernelSize: 1 })),
    flatten(),
    batchNorm(6),
    linear(6, 1),
    linear(1, 1),
  );
  // Two pixels and 3 channels.
  using scale = ops.tensor([0, 1, 2, 10, 11, 12]);
  model.layers[2].weight.assign(scale);
  const state = stateDict(model);
  assert.deepEqual([...state.get("2.weight")!.values()], [0, 10, 1, 11, 2, 12]);
  using copy = sequential(
    parallel(conv2d(1, 2, { kernelSize: 1 }), conv2d(1, 1, { kernelSize: 1 })),
    flatten(),
    batchNorm(6),
    linear(6, 1),
    linear(1, 1),
  );
  loadStateDict(copy, state);
  assert.deepEqual([...copy.layers[2].weight.dataSync()], [0, 1, 2, 10, 11, 12]);
});

Deno.test("stateDict() keeps the names and the layout of the variables of custom layers", () => {
  class Shift extends Module<Tensor, Tensor> {
    readonly amount = variable(ops.tensor([[1, 2, 3]]));
    override forward(x: Tensor): Tensor {
      return ops.add(x, this.amount);
    }
  }
  using model = new Shift();
  const state = stateDict(model);
  assert.deepEqual([...state.keys()], ["amount"]);
  assert.deepEqual(state.get("amount")!.shape, [1, 3]);
});

function block(classes = 2) {
  return sequential(
    conv2d(1, 2, { kernelSize: 1, useBias: false }),
    batchNorm(2),
    flatten(),
    linear(2, classes),
  );
}
/** All numbers of a model's variables. */
function numbersOf(model: AnyModule): number[] {
  return [...model.namedVariables().values()].flatMap((variable) => [...variable.dataSync()]);
}
const vector = (...numbers: number[]) => {
  using tensor = ops.tensor(numbers);
  return StoredTensor.of(tensor);
};

Deno.test("loadStateDict() lists all problems at once, and then changes nothing", async () => {
  await assertNoLeak(() => {
    using model = block();
    const before = numbersOf(model);
    const state = stateDict(block());
    state.delete("0.weight");
    state.set("1.bias", vector(1, 2, 3));
    state.set("1.weight", new StoredTensor("I64", [2], new Uint8Array(16)));
    state.set("head.weight", vector(1));
    state.set("9.num_batches_tracked", vector(1));
    assert.throws(() => loadStateDict(model, state), {
      name: "RangeError",
      message: [
        "Loading a state dict: the state dict must have the 7 tensors of sequential, found others. Nothing was loaded; except: [paths] leaves layers out.",
        "Missing: 0.weight [2, 1, 1, 1].",
        "Not in the model: head.weight [1], 9.num_batches_tracked [1].",
        "Of another shape: 1.bias (must be [2], found [3]).",
        "Of another type: 1.weight (must be floating-point, found I64).",
      ].join("\n"),
    });
    assert.deepEqual(numbersOf(model), before);
  }, 7);
});

Deno.test("loadStateDict() refuses numbers that are not finite, and then changes nothing", () => {
  using model = block();
  const before = numbersOf(model);
  const state = stateDict(model);
  state.set("3.bias", vector(NaN, 1)).set("1.running_var", vector(1, Infinity));
  assert.throws(() => loadStateDict(model, state), {
    name: "RangeError",
    message: /\nWith numbers that are not finite: 1\.running_var \[2\], 3\.bias \[2\]\.$/,
  });
  assert.deepEqual(numbersOf(model), before);
});

Deno.test("loadStateDict() leaves excepted paths unchanged, whatever the state dict has there", async () => {
  await assertNoLeak(() => {
    using trained = block(5), model = block(2);
    const state = stateDict(trained);
    const head = [...model.layers[3].weight.dataSync()];
    state.delete("3.bias");
    state.set("3.extra", vector(1));
    loadStateDict(model, state, { except: ["3"] });
    assert.deepEqual([...model.layers[3].weight.dataSync()], head);
    assert.deepEqual(model.layers[0].weight.dataSync(), trained.layers[0].weight.dataSync());
    // A path matches names at or below it, not names that begin with the same letters.
    assert.throws(() => loadStateDict(model, state, { except: ["3.w"] }), {
      name: "RangeError",
      message:
        'Loading a state dict: except must name paths of the model or the file, found "3.w". The first parts of the paths are 0, 1, 3.',
    });
  });
});

Deno.test("loadStateDict() ignores counts of batches, also where they are missing", () => {
  using model = block();
  const state = stateDict(model);
  assert.deepEqual([...state.get("1.num_batches_tracked")!.values()], [0n]);
  state.delete("1.num_batches_tracked");
  loadStateDict(model, state);
});

Deno.test("loadStateDict() and stateDict refuse a value that is no model or no state dict", () => {
  using model = block();
  const state = stateDict(model);
  const refused: [() => void, RegExp][] = [
    [
      // @ts-expect-error: no model
      () => stateDict({}),
      /^Taking the state dict of a model: the model must be a module, found an object\.$/,
    ],
    // @ts-expect-error: no model
    [() => loadStateDict("resnet18", state), /the model must be a module, found "resnet18"/],
    [
      // @ts-expect-error: not a map
      () => loadStateDict(model, {}),
      /the state dict must be a map of stored tensors by name, as readSafetensors and readPth/,
    ],
    [
      // @ts-expect-error: no stored tensors
      () => loadStateDict(model, new Map([["0.weight", 3]])),
      /the tensor "0\.weight" must be a StoredTensor/,
    ],
    [
      // @ts-expect-error: a path, not an array
      () => loadStateDict(model, state, { except: "fc" }),
      /except must be an array, found "fc"/,
    ],
    // @ts-expect-error: a path, not options
    [() => loadStateDict(model, state, ["fc"]), /the options must be an object such as/],
  ];
  for (const [work, message] of refused) assert.throws(work, { name: "TypeError", message });
});

/** A module that is used twice, and a weight that two layers share. */
class Tied extends Module<Tensor, Tensor> {
  readonly a = linear(3, 3);
  readonly b = this.a;
  readonly bn = batchNorm(3);
  readonly bn2 = this.bn;
  readonly c = linear(3, 3, { useBias: false });
  constructor() {
    super();
    this.c.weight.dispose();
    Object.assign(this.c, { weight: this.a.weight });
  }
  override forward(x: Tensor): Tensor {
    return x;
  }
}
const inputShape = [3];
/** PyTorch's state_dict of this module, and the names that safetensors' save_model writes. */
const tiedNames =
  "a.bias a.weight b.bias b.weight bn.bias bn.num_batches_tracked bn.running_mean " +
  "bn.running_var bn.weight bn2.bias bn2.num_batches_tracked bn2.running_mean bn2.running_var " +
  "bn2.weight c.weight";
const savedNames =
  "a.bias a.weight bn.bias bn.num_batches_tracked bn.running_mean bn.running_var " +
  "bn.weight";

Deno.test("stateDict() has a variable under all of its paths, as PyTorch's state_dict", () => {
  using model = new Tied();
  const state = stateDict(model, { inputShape });
  assert.deepEqual([...state.keys()].sort(), tiedNames.split(" "));
  assert.deepEqual(state.get("c.weight")!.values(), state.get("a.weight")!.values());
});

Deno.test("loadStateDict() takes a variable from any of its paths, and refuses two values", async () => {
  await assertNoLeak(() => {
    using trained = new Tied(), model = new Tied();
    const state = stateDict(trained, { inputShape });
    const only = (names: string) => new Map(names.split(" ").map((n) => [n, state.get(n)!]));
    for (const names of [tiedNames, savedNames, savedNames.replace("a.weight", "c.weight")]) {
      for (const variable of model.namedVariables().values()) {
        using other = ops.full(variable.shape, 0.5);
        variable.assign(other);
      }
      loadStateDict(model, only(names), { inputShape });
      assert.deepEqual(numbersOf(model), numbersOf(trained), names);
    }
    const before = numbersOf(model);
    const message = /\nOne variable with two values: a\.weight and c\.weight\.$/;
    using ones = ops.ones([3, 3]);
    const two = only(tiedNames).set("c.weight", StoredTensor.of(ones));
    assert.throws(() => loadStateDict(model, two, { inputShape }), { name: "RangeError", message });
    assert.throws(() => loadStateDict(model, only("a.bias"), { inputShape }), {
      message:
        /\nMissing: a\.weight \[3, 3\], bn\.weight \[3\], bn\.bias \[3\], bn\.running_mean \[3\], bn\.running_var \[3\]\.$/,
    });
    assert.throws(() => loadStateDict(model, state, { inputShape, except: ["c"] }), {
      name: "RangeError",
      message:
        /except must name all paths of a variable or none, found c\.weight without a\.weight/,
    });
    loadStateDict(model, state, { inputShape, except: ["a", "b", "c"] });
    assert.deepEqual(numbersOf(model), before);
  });
});

Deno.test("loadStateDict() takes tensors below a prefix, and says which one", () => {
  using trained = block(), model = block();
  const state = stateDict(trained);
  for (const prefix of ["module.", "_orig_mod.", "_orig_mod.module.", "model.net."]) {
    const prefixed = new Map([...state].map(([name, tensor]) => [prefix + name, tensor]));
    prefixed.set("other", vector(1));
    assert.throws(() => loadStateDict(model, prefixed), {
      name: "RangeError",
      message: new RegExp(
        `\nNames in the state dict begin with "${prefix}"; prefix: "${prefix}" removes it\\.\nMissing`,
      ),
    });
    loadStateDict(model, prefixed, { prefix });
    assert.deepEqual(numbersOf(model), numbersOf(trained));
  }
  assert.throws(() => loadStateDict(model, state, { prefix: "net." }), {
    name: "RangeError",
    message:
      'Loading a state dict: prefix must begin names in the state dict, found "net.". The first name is 0.weight.',
  });
  // @ts-expect-error: a prefix that is no string
  assert.throws(() => loadStateDict(model, state, { prefix: 3 }), TypeError);
});

Deno.test("loadStateDict() lists a few tensors of many, and refuses a disposed model", () => {
  using model = resnet18({ width: 1 / 64 });
  assert.throws(() => loadStateDict(model, new Map()), /Missing: conv1\.weight .* and 82 more\.$/s);
  const gone = block(), state = stateDict(gone);
  gone.dispose();
  for (const work of [() => loadStateDict(gone, state), () => void stateDict(gone)]) {
    assert.throws(work, { name: "TypeError", message: /must be alive, found 0\.weight/ });
  }
});

Deno.test("timm.importNames() and timm.exportNames() refuse two tensors for one name", () => {
  const state = new Map([["stem.conv.weight", vector(1)], ["conv1.weight", vector(2)]]);
  assert.throws(() => timm.importNames(state), {
    name: "RangeError",
    message:
      "Renaming tensors from timm: the new names must differ, found conv1.weight for stem.conv.weight and conv1.weight.",
  });
  assert.throws(
    () => timm.exportNames(state),
    /Renaming tensors for timm: .* found stem\.conv\.weight for/,
  );
  // @ts-expect-error: not a map
  assert.throws(() => timm.importNames({}), TypeError);
});
