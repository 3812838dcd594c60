import assert from "node:assert/strict";
import {
  grad,
  type Initializer,
  initializers,
  linear,
  ops,
  summary,
  tidy,
  valueAndGradients,
} from "resnet-lab";
import { assertClose, assertNoLeak, testOnEachBackend } from "../_helpers.ts";
import {
  assertGradientsByDifferences,
  assertLeavesOnlyOutput,
  assertParameterGradients,
  assertStored,
  layers,
  load,
  someImages,
} from "./_helpers.ts";

testOnEachBackend("linear by hand: y = x · weight + bias", () => {
  const layer = linear(2, 3);
  layer.weight.assign(ops.tensor([[1, 2, 3], [4, 5, 6]]));
  layer.bias?.assign(ops.tensor([10, 20, 30]));
  assert.deepEqual(layer.forward(ops.tensor([[1, 1], [0, -1]])).arraySync(), [
    [15, 27, 39],
    [6, 15, 24],
  ]);
  const noBias = linear(2, 2, { useBias: false, weightInitializer: initializers.constant(0.5) });
  assert.equal(noBias.bias, undefined);
  assert.deepEqual(noBias.forward(ops.tensor([[1, 3]])).arraySync(), [[2, 2]]);
});

testOnEachBackend("linear is PyTorch's", () => {
  const { linear: example } = layers;
  const layer = linear(example.inFeatures, example.outFeatures);
  layer.weight.assign(load(example.weight));
  layer.bias?.assign(load(example.bias));
  assertStored(layer.forward(load(example.x)), example.y);
  const dx = grad((x: ReturnType<typeof layer.forward>) => layer.forward(x))(
    load(example.x),
    load(example.dy),
  );
  assertStored(dx, example.dx);
  assertParameterGradients(() => layer.forward(load(example.x)), example.dy, [
    [layer.weight, example.dWeight],
    [layer.bias!, example.dBias],
  ]);
});

testOnEachBackend("linear: gradients by central differences", () => {
  const layer = linear(3, 2);
  assertGradientsByDifferences(
    (x) => layer.forward(ops.reshape(x, [2, 3])),
    someImages(2, 1, 1, 3),
    layer.parameters(),
  );
});

Deno.test("linear: shape, parameters and multiply-accumulates", () => {
  const table = summary(linear(12, 7), [12]);
  assert.deepEqual(table.rows, [{
    path: "",
    layer: "linear 12 → 7",
    outputShape: [7],
    parameters: 12 * 7 + 7,
    macs: 12 * 7,
  }]);
});

testOnEachBackend("linear leaves its output and no other tensor", async () => {
  const features = ops.ones([4, 3]);
  for (const useBias of [true, false]) {
    const layer = linear(3, 5, { useBias });
    assertLeavesOnlyOutput(() => layer.forward(features));
  }
  await assertNoLeak(() => {
    using layer = linear(3, 5);
    tidy(() => {
      valueAndGradients(() => ops.sum(layer.forward(features)), layer.parameters());
    });
  });
});

Deno.test("linear() refuses a bad option before it makes a tensor", async () => {
  for (
    const [build, error, message] of [
      [() => linear(0, 2), RangeError, "inFeatures must be a whole number of at least 1, found 0"],
      [
        () => linear(2, 0.5),
        RangeError,
        "outFeatures must be a whole number of at least 1, found 0.5",
      ],
      [
        () => linear(2, undefined as never),
        TypeError,
        "outFeatures must be a whole number of at least 1, found undefined",
      ],
      [
        () => linear(2, 2, false as never),
        TypeError,
        "the options must be an object such as { useBias: false }, found false",
      ],
      [
        () => linear(2, 2, { weightInitializer: initializers.xavierUniform as never }),
        TypeError,
        "the initializer must return a tensor of float32 [2, 2], found a function (was it meant to be called?)",
      ],
      [
        () => linear(2, 2, { weightInitializer: ((s) => ops.ones(s, "int32")) as Initializer }),
        TypeError,
        "the initializer must return a tensor of float32 [2, 2], found a tensor of int32 [2, 2]",
      ],
    ] as const
  ) {
    await assertNoLeak(() =>
      assert.throws(build, { name: error.name, message: `Building linear: ${message}.` })
    );
  }
});

Deno.test("linear() refuses an input that does not fit, and names the shape that would", () => {
  const layer = linear(4, 2);
  const message = (text: string) => `linear 4 → 2: the input must be ${text}`;
  assert.throws(() => layer.forward(ops.ones([1, 5])), {
    name: "RangeError",
    message: message("[batch, features 4], found [1, 5]."),
  });
  assert.throws(() => layer.forward(ops.ones([1, 2, 2, 1]) as never), {
    name: "RangeError",
    message: message("[batch, features 4], found [1, 2, 2, 1]."),
  });
  assert.throws(() => layer.forward(ops.ones([1, 4], "int32")), {
    name: "TypeError",
    message: message("float32, found int32."),
  });
  layer.dispose();
  assert.throws(() => layer.forward(ops.ones([1, 4])), {
    name: "TypeError",
    message: "linear 4 → 2: the module must be alive, found it disposed. Make it again.",
  });
});

Deno.test("linear() starts with He's variance and a bias of zero", () => {
  const layer = linear(50, 200);
  // 10,000 numbers: the sampling error of a variance is √(2 / n) = 1.4 % of it.
  const variance = ops.variance(layer.weight).dataSync()[0]! / (2 / 50);
  assert(Math.abs(variance - 1) < 0.07, `${variance}`);
  assertClose(layer.bias!, new Float32Array(200), 0);
});
