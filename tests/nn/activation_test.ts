import assert from "node:assert/strict";
import {
  Activation,
  gelu,
  grad,
  hardSwish,
  leakyRelu,
  ops,
  relu,
  sigmoid,
  summary,
  tanh,
  type Tensor1D,
} from "resnet-lab";
import { assertClose, testOnEachBackend } from "../_helpers.ts";
import {
  assertGradientsByDifferences,
  assertLeavesOnlyOutput,
  assertStored,
  layers,
  load,
  someImages,
} from "./_helpers.ts";

const made = { relu, leakyRelu: () => leakyRelu(0.2), sigmoid, tanh, gelu, hardSwish };
const names = Object.keys(made) as (keyof typeof made)[];

testOnEachBackend(
  "relu, leakyRelu, sigmoid, tanh, gelu and hardSwish compute values by hand",
  () => {
    const at = (layer: Activation, x: number) => layer.forward(ops.tensor([x])).dataSync();
    assertClose(at(relu(), -3), [0], 0);
    assertClose(at(relu(), 3), [3], 0);
    assertClose(at(leakyRelu(), -3), [-0.03]);
    assertClose(at(leakyRelu(0.5), -3), [-1.5]);
    assertClose(at(leakyRelu(), 3), [3], 0);
    assertClose(at(sigmoid(), Math.log(3)), [0.75]);
    assertClose(at(tanh(), Math.log(2)), [0.6]);
    // Φ(1) = 0.841344746
    assertClose(at(gelu(), 1), [0.841344746]);
    assertClose(at(gelu(), -1), [-0.158655254]);
    assertClose(at(hardSwish(), -1.5), [-0.375], 0);
    assertClose(at(hardSwish(), -4), [0], 0);
    assertClose(at(hardSwish(), 4), [4], 0);
  },
);

for (const { name, ...example } of layers.activation) {
  testOnEachBackend(`${name} is PyTorch's`, () => {
    const layer = made[name as keyof typeof made]();
    assertStored(layer.forward(load(example.x)), example.y);
    const dx = grad((x: Tensor1D) => layer.forward(x))(load(example.x), load(example.dy));
    assertStored(dx, example.dx);
  });
}

testOnEachBackend(
  "activations: gradients by central differences, any shape kept, only the output left",
  () => {
    for (const name of names) {
      const layer = made[name]();
      assertGradientsByDifferences((x) => layer.forward(x), someImages(1, 2, 3, 2));
      for (const shape of [[], [3], [2, 3], [1, 2, 3, 4]]) {
        const x = ops.ones(shape);
        assert.deepEqual(layer.forward(x).shape, shape);
        assertLeavesOnlyOutput(() => layer.forward(x));
      }
      assert.deepEqual(summary(layer, [4, 4, 2]).rows[0]?.outputShape, [4, 4, 2]);
    }
  },
);

Deno.test("activations are called by their names", () => {
  assert.deepEqual(names.map((name) => made[name]().describe()), [
    "relu",
    "leakyRelu 0.2",
    "sigmoid",
    "tanh",
    "gelu",
    "hardSwish",
  ]);
});

Deno.test("Activation may make intermediate tensors, but must keep the shape", () => {
  const cube = new Activation("cube", (x) => ops.mul(x, ops.mul(x, x)));
  const x = ops.tensor([1, -2]);
  assertClose(cube.forward(x), [1, -8], 0);
  assertLeavesOnlyOutput(() => cube.forward(x));
  assert.throws(() => new Activation("norm", (x) => ops.sum(x)).forward(x), {
    name: "RangeError",
    message:
      "norm: the output must have the shape of the input, found a tensor of float32 [] for a tensor of float32 [2].",
  });
});

Deno.test("leakyRelu() refuses a bad slope, and activations refuse inputs that are not float32 tensors", () => {
  for (const slope of [NaN, Infinity]) {
    assert.throws(() => leakyRelu(slope), {
      name: "RangeError",
      message: `Building leakyRelu: slope must be a finite number, found ${slope}.`,
    });
  }
  assert.throws(() => leakyRelu("0.1" as never), {
    name: "TypeError",
    message: 'Building leakyRelu: slope must be a finite number, found "0.1".',
  });
  assert.throws(() => relu().forward([1] as never), {
    name: "TypeError",
    message: "relu: the input must be a tensor, found [1].",
  });
  assert.throws(() => gelu().forward(ops.tensor([1], [1], "int32")), {
    name: "TypeError",
    message: "gelu: the input must be float32, found int32.",
  });
  assert.throws(() => tanh().forward(ops.zeros([0])), {
    name: "RangeError",
    message: "tanh: the input must not be empty, found [0].",
  });
});
