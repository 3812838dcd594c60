import assert from "node:assert/strict";
import {
  adam,
  basicBlock,
  captureActivations,
  conv2d,
  crossEntropy,
  dispose,
  type DynamicConv2d,
  dynamicConv2d,
  type Images,
  type Labels,
  ops,
  resnet,
  sequential,
  setSeed,
  summary,
  tidy,
  valueAndGradients,
} from "resnet-lab";
import { Conv2d, DynamicConv2d as DynamicConv2dClass } from "../../lib/nn/internal.ts";
import { assertClose, assertNoLeak, testOnEachBackend } from "../_helpers.ts";
import {
  assertGradientsByDifferences,
  assertLeavesOnlyOutput,
  assertLikePyTorch,
  assertParameterGradients,
  assertStored,
  layers,
  load,
  someImages,
} from "./_helpers.ts";

export function types(grey: Images<1>, colour: Images<3>) {
  const layer = dynamicConv2d(3, 8, { kernelSize: 3 });
  const y: Images<8> = layer.forward(colour);
  // @ts-expect-error: the layer takes images with 3 channels
  layer.forward(grey);
  // @ts-expect-error: the layer returns images with 8 channels
  const z: Images<4> = layer.forward(colour);
  // @ts-expect-error: this layer takes images with 16 channels, but the layer before it returns 8
  sequential(layer, conv2d(16, 4, { kernelSize: 1 }));
  // @ts-expect-error: each image has one kernel, so channels cannot be grouped
  dynamicConv2d(4, 8, { kernelSize: 3, groups: 2 });
  // @ts-expect-error: a temperature is a number
  dynamicConv2d(4, 8, { kernelSize: 3, temperature: "hot" });
  return [y, z];
}

/** Makes the attention the same for all images, with these weights. */
function attend(layer: DynamicConv2d<number, number>, weights: readonly number[]): void {
  const { score } = layer.attention;
  layer.attention.temperature.assign(ops.scalar(1));
  score.weight.assign(ops.zeros(score.weight.shape));
  score.bias?.assign(ops.tensor(weights.map((weight) => Math.max(-100, Math.log(weight)))));
}

testOnEachBackend(
  "dynamicConv2d() returns the shape of conv2d, and summary() and outputSize() report it",
  () => {
    for (
      const [options, input, output] of [
        [{ kernelSize: 3 }, [8, 6, 2], [6, 4, 5]],
        [{ kernelSize: 3, padding: 1, stride: 2 }, [8, 7, 2], [4, 4, 5]],
        [{ kernelSize: [3, 1], stride: [2, 1], padding: "valid" }, [8, 7, 2], [3, 7, 5]],
        [{ kernelSize: 3, padding: "same", stride: 2 }, [8, 7, 2], [4, 4, 5]],
        [{ kernelSize: 1, stride: 2 }, [7, 4, 2], [4, 2, 5]],
        [{ kernelSize: 2, stride: 3, kernels: 1 }, [8, 5, 2], [3, 2, 5]],
      ] as const
    ) {
      const layer = dynamicConv2d(2, 5, options);
      assert.deepEqual(layer.forward(ops.zeros([3, ...input])).shape, [3, ...output]);
      assert.deepEqual(summary(layer, input).rows.at(-1)?.outputShape, output);
      assert.deepEqual(layer.outputSize([input[0], input[1]]), output.slice(0, 2));
    }
  },
);

Deno.test("dynamicConv2d counts parameters and multiply-accumulates", () => {
  // 4 kernels of 3·3·16·32 and biases of 32; attention 16 → 8 → 4. A pixel costs as much as in
  // conv2d, a mixture K for each weight.
  const attention = [16 * 8 + 8 * 4, 16 * 8 + 8 + 8 * 4 + 4] as const;
  const table = summary(dynamicConv2d(16, 32, { kernelSize: 3, padding: 1 }), [10, 10, 16]);
  assert.equal(table.parameters, 4 * (9 * 16 * 32 + 32) + attention[1]);
  assert.equal(table.macs, 100 * 32 * 9 * 16 + 4 * (9 * 16 * 32 + 32) + attention[0]);
  const options = { kernelSize: 3, stride: 2, useBias: false, kernels: 2, reduction: 1 };
  const small = summary(dynamicConv2d(16, 32, options), [10, 10, 16]);
  assert.equal(small.parameters, 2 * 9 * 16 * 32 + 16 * 16 + 16 + 16 * 2 + 2);
  assert.equal(small.macs, 16 * 32 * 9 * 16 + 2 * 9 * 16 * 32 + 16 * 16 + 16 * 2);
});

testOnEachBackend("dynamicConv2d by hand: two images, each with its own mixture", () => {
  const layer = dynamicConv2d(1, 1, { kernelSize: [1, 2], kernels: 2, temperature: 2 });
  const { squeeze, score } = layer.attention;
  layer.weight.assign(ops.tensor([1, 10, 2, 30], [2, 1, 2, 1, 1]));
  layer.bias?.assign(ops.tensor([[100], [300]]));
  // The score of kernel 1 is relu(mean − 2). The images have means 2 and 4, so their scores are 0
  // and 2 · ln 3, halved by the temperature.
  squeeze.weight.assign(ops.tensor([[1, 0, 0, 0]]));
  squeeze.bias?.assign(ops.tensor([-2, 0, 0, 0]));
  score.weight.assign(ops.tensor([[0, Math.log(3)], [0, 0], [0, 0], [0, 0]]));
  score.bias?.assign(ops.zeros([2]));
  const images = ops.tensor([1, 3, 3, 5], [2, 1, 2, 1]);
  assertClose(layer.attention.forward(images), [1 / 2, 1 / 2, 1 / 4, 3 / 4]);
  // 1.5 · 1 + 20 · 3 + 200, and (1 + 6) / 4 · 3 + (10 + 90) / 4 · 5 + (100 + 900) / 4.
  assertClose(layer.forward(images), [261.5, 5.25 + 125 + 250]);
});

testOnEachBackend("dynamicConv2d with one kernel is conv2d", () => {
  const images = someImages(2, 6, 7, 3);
  for (
    const options of [
      { kernelSize: 3, padding: 1 },
      { kernelSize: [2, 3], stride: [3, 2] },
      { kernelSize: 3, padding: "same", stride: 2, useBias: false },
    ] as const
  ) {
    const still = conv2d(3, 4, options);
    const layer = dynamicConv2d(3, 4, { ...options, kernels: 1 });
    layer.weight.assign(ops.expandDims(still.weight));
    still.bias?.assign(ops.tensor([1, 2, 3, 4]));
    layer.bias?.assign(ops.tensor([[1, 2, 3, 4]]));
    assertClose(layer.forward(images), still.forward(images));
  }
});

testOnEachBackend(
  "dynamicConv2d: attention to one kernel selects it, equal attention averages all",
  () => {
    const images = someImages(2, 5, 5, 2);
    const layer = dynamicConv2d(2, 3, { kernelSize: 3, padding: 1, kernels: 3 });
    layer.bias?.assign(ops.tensor([[1, 2, 3], [4, 5, 6], [7, 8, 12]]));
    const still = conv2d(2, 3, { kernelSize: 3, padding: 1 });
    const kernels = ops.unstack(layer.weight);
    const biases = ops.unstack(layer.bias!);
    kernels.forEach((kernel, k) => {
      attend(layer, [0, 1, 2].map((other) => other === k ? 1 : 0));
      still.weight.assign(kernel);
      still.bias?.assign(biases[k]!);
      assertClose(layer.forward(images), still.forward(images));
    });
    attend(layer, [1, 1, 1]);
    still.weight.assign(ops.mean(layer.weight, [0]));
    still.bias?.assign(ops.tensor([4, 5, 7]));
    assertClose(layer.forward(images), still.forward(images));
  },
);

for (const example of layers.dynamicConv2d) {
  testOnEachBackend(`dynamicConv2d is PyTorch's: ${example.name}`, () => {
    const layer = dynamicConv2d(example.inChannels, example.outChannels, example.options);
    const parameters = layer.namedParameters();
    assert.deepEqual([...parameters.keys()].sort(), Object.keys(example.parameters).sort());
    for (const [path, { value }] of Object.entries(example.parameters)) {
      parameters.get(path)?.assign(load(value));
    }
    assertStored(layer.attention.forward(load(example.x)), example.attention);
    assertLikePyTorch((x) => layer.forward(x), example);
    assertParameterGradients(
      () => layer.forward(load(example.x)),
      example.dy,
      [...parameters].map(([path, parameter]) => [parameter, example.parameters[path]?.gradient]),
      3e-5,
    );
  });
}

testOnEachBackend("dynamicConv2d: gradients by central differences", () => {
  setSeed(3);
  const layer = dynamicConv2d(2, 2, {
    kernelSize: 3,
    stride: 2,
    padding: 1,
    kernels: 2,
    temperature: 1,
  });
  // Far from zero, so that a step of a difference crosses no relu.
  layer.attention.squeeze.bias?.assign(ops.tensor([1, -1, 1, 1]));
  assertGradientsByDifferences(
    (x) => layer.forward(x),
    someImages(2, 5, 4, 2),
    layer.parameters(),
  );
});

testOnEachBackend(
  "dynamicConv2d and its attention leave their output and no other tensor",
  () => {
    const images = ops.ones([2, 6, 6, 4]);
    for (const stride of [1, 2]) {
      for (const useBias of [true, false]) {
        const layer = dynamicConv2d(4, 4, { kernelSize: 3, padding: 1, stride, useBias });
        assertLeavesOnlyOutput(() => layer.forward(images));
        assertLeavesOnlyOutput(() => layer.attention.forward(images));
      }
    }
  },
);

Deno.test("dynamicConv2d leaves no tensor after building, a training step and dispose()", async () => {
  await assertNoLeak(() => {
    using layer = dynamicConv2d(2, 3, { kernelSize: 3, stride: 2, temperature: 1 });
    tidy(() => {
      valueAndGradients(() => ops.sum(layer.forward(someImages(2, 4, 4, 2))), layer.parameters());
    });
  });
});

testOnEachBackend("KernelAttention is more equal the higher the temperature", () => {
  setSeed(4);
  const layer = dynamicConv2d(3, 4, { kernelSize: 3 });
  assert.equal(layer.attention.temperature.dataSync()[0], 30);
  const images = someImages(4, 5, 5, 3);
  const largest = [0.01, 1, 30, 1e6].map((temperature) => {
    layer.attention.temperature.assign(ops.scalar(temperature));
    const weights = layer.attention.forward(images);
    assertClose(ops.sum(weights, [1]), [1, 1, 1, 1]);
    return ops.max(weights).dataSync()[0]!;
  });
  assert.deepEqual(largest, largest.toSorted((a, b) => b - a));
  assert(largest[0]! > 0.99 && largest[2]! < 0.3);
  assertClose(largest[3]!, 0.25, 1e-4);
});

testOnEachBackend("dynamicConv2d() with annealingPasses cools in training only", () => {
  const options = { kernelSize: 3, padding: 1, temperature: 7, annealingPasses: 3 };
  const block = basicBlock(2, 4, {
    convolution: (inChannels, outChannels, shape) =>
      dynamicConv2d(inChannels, outChannels, { ...shape, ...options }),
  });
  const temperatures = () =>
    [...block.namedVariables()].filter(([path]) => path.endsWith("attention.temperature"))
      .map(([, variable]) => variable.dataSync()[0]);
  const images = someImages(2, 4, 4, 2);
  block.forward(images);
  assert.deepEqual(temperatures(), [7, 7]);
  block.freeze("conv2");
  for (const expected of [5, 3, 1, 1]) {
    block.forward(images, { training: true });
    assert.deepEqual(temperatures(), [expected, 7]);
  }
  assert(![...block.namedParameters().keys()].some((path) => path.endsWith("temperature")));
});

testOnEachBackend(
  "dynamicConv2d: a pass that cools has the gradients of its own temperature",
  () => {
    const layer = (annealingPasses?: number) => {
      setSeed(6);
      return dynamicConv2d(2, 2, { kernelSize: 1, temperature: 9, annealingPasses });
    };
    const images = someImages(3, 2, 2, 2);
    const gradientsOf = (layer: DynamicConv2d<2, 2>) =>
      valueAndGradients(
        () => ops.sum(ops.square(layer.forward(images, { training: true }))),
        layer.parameters(),
      ).gradients;
    const still = gradientsOf(layer());
    gradientsOf(layer(1)).forEach((gradient, i) => assertClose(gradient, still[i]!));
  },
);

Deno.test("dynamicConv2d() refuses a bad option before it makes a tensor", async () => {
  const whole = "must be a whole number of at least 1";
  for (
    const [build, name, message] of [
      [() => dynamicConv2d(0, 8, { kernelSize: 3 }), "RangeError", `inChannels ${whole}, found 0`],
      [
        () => dynamicConv2d(3, 1.5, { kernelSize: 3 }),
        "RangeError",
        `outChannels ${whole}, found 1.5`,
      ],
      [() => dynamicConv2d(3, 8, { kernelSize: 0 }), "RangeError", `kernelSize ${whole}, found 0`],
      [() => dynamicConv2d(3, 8, {} as never), "TypeError", `kernelSize ${whole}, found undefined`],
      [
        () => dynamicConv2d(3, 8, 3 as never),
        "TypeError",
        "the options must be an object such as { kernelSize: 3 }, found 3",
      ],
      [
        () => dynamicConv2d(3, 8, { kernelSize: 3, stride: 0 }),
        "RangeError",
        `stride ${whole}, found 0`,
      ],
      [
        () => dynamicConv2d(3, 8, { kernelSize: 3, padding: -1 }),
        "RangeError",
        'padding must be "same", "valid" or a whole number of at least 0, found -1',
      ],
      [
        () => dynamicConv2d(3, 8, { kernelSize: 3, kernels: 0 }),
        "RangeError",
        `kernels ${whole}, found 0`,
      ],
      [
        () => dynamicConv2d(3, 8, { kernelSize: 3, temperature: 0 }),
        "RangeError",
        "temperature must be a finite number above 0, found 0",
      ],
      [
        () => dynamicConv2d(3, 8, { kernelSize: 3, temperature: "1" as never }),
        "TypeError",
        'temperature must be a finite number above 0, found "1"',
      ],
      [
        () => dynamicConv2d(3, 8, { kernelSize: 3, annealingPasses: 0 }),
        "RangeError",
        `annealingPasses ${whole}, found 0`,
      ],
      [
        () => dynamicConv2d(3, 8, { kernelSize: 3, temperature: 1, annealingPasses: 9 }),
        "RangeError",
        "temperature must be above 1 with annealingPasses, found 1",
      ],
      [
        () => dynamicConv2d(3, 8, { kernelSize: 3, reduction: 4 }),
        "RangeError",
        "reduction must be a number above 0 and at most 1, found 4",
      ],
      [
        () =>
          dynamicConv2d(3, 8, {
            kernelSize: 3,
            weightInitializer: () => ops.ones([2, 2]) as never,
          }),
        "TypeError",
        "the initializer must return a tensor of float32 [4, 3, 3, 3, 8], found a tensor of float32 [2, 2]",
      ],
    ] as const
  ) {
    await assertNoLeak(() =>
      assert.throws(build, { name, message: `Building dynamicConv2d: ${message}.` })
    );
  }
});

testOnEachBackend(
  "dynamicConv2d() refuses an input that does not fit, and names the shape that would",
  () => {
    const layer = dynamicConv2d(3, 8, { kernelSize: 5 });
    const input = "dynamicConv2d 3 → 8, 4 kernels 5×5: the input must";
    for (
      const [x, name, message] of [
        [
          ops.ones([1, 8, 8, 4]),
          "RangeError",
          `${input} be [batch, height, width, channels 3], found [1, 8, 8, 4].`,
        ],
        [ops.ones([0, 8, 8, 3]), "RangeError", `${input} not be empty, found [0, 8, 8, 3].`],
        [ops.ones([1, 8, 8, 3], "int32"), "TypeError", `${input} be float32, found int32.`],
        [
          ops.ones([1, 4, 9, 3]),
          "RangeError",
          /dynamicConv2d: the images must be at least 5×5 for a window of 5×5 with padding 0, found 4×9/,
        ],
      ] as const
    ) assert.throws(() => layer.forward(x as never), { name, message });
    assert.throws(() => layer.attention.forward(ops.ones([1, 8, 8, 4]) as never), {
      name: "RangeError",
      message: "attention over 4 kernels: the input must be [batch, height, width, channels 3], " +
        "found [1, 8, 8, 4].",
    });
  },
);

Deno.test("DynamicConv2d.describe() returns the channels, the kernels and the options", () => {
  const options = { kernelSize: [3, 1], stride: [2, 1], padding: "same", kernels: 2 } as const;
  assert.equal(
    dynamicConv2d(4, 8, options).describe(),
    "dynamicConv2d 4 → 8, 2 kernels 3×1, stride 2×1, padding same",
  );
  assert(dynamicConv2d(1, 1, { kernelSize: 1 }) instanceof DynamicConv2dClass);
});

Deno.test("dynamicConv2d() starts each kernel as conv2d() does, and no two are the same", () => {
  const layer = dynamicConv2d(16, 64, { kernelSize: 3 });
  const kernels = ops.unstack(layer.weight);
  for (const kernel of kernels) {
    // 9,216 numbers: the sampling error of a variance is √(2 / n) = 1.5 % of it.
    const variance = ops.variance(kernel).dataSync()[0]! / (2 / (9 * 16));
    assert(Math.abs(variance - 1) < 0.08, `${variance}`);
  }
  const difference = ops.variance(ops.sub(kernels[0]!, kernels[1]!)).dataSync()[0]!;
  assert(Math.abs(difference / (4 / (9 * 16)) - 1) < 0.08);
  assertClose(layer.bias!, new Float32Array(4 * 64), 0);
});

/** A small ResNet whose blocks are dynamic, and a batch with labels. */
function network() {
  setSeed(5);
  const model = resnet({
    block: "basic",
    stages: [1, 1],
    stem: "cifar",
    channels: 4,
    inChannels: 1,
    classes: 3,
    convolution: (inChannels, outChannels, options) =>
      dynamicConv2d(inChannels, outChannels, { ...options, kernels: 3, temperature: 1 }),
  });
  const labels: Labels = ops.tensor([0, 1, 2, 0, 1, 2], undefined, "int32");
  return { model, images: someImages(6, 8, 8, 1), labels };
}

testOnEachBackend(
  "a ResNet of dynamic convolutions: attention by path, every parameter learns",
  () => {
    const { model, images, labels } = network();
    const dynamic = [...model.namedModules()].filter(([, module]) =>
      module instanceof DynamicConv2dClass
    );
    assert.deepEqual(dynamic.map(([path]) => path), [
      "layer1.0.conv1",
      "layer1.0.conv2",
      "layer2.0.conv1",
      "layer2.0.conv2",
    ]);
    assert(model.conv1 instanceof Conv2d);
    const activations = captureActivations(model, images);
    assert.deepEqual(activations.get("layer2.0.conv1.attention")?.shape, [6, 3]);
    dispose([...activations.values()]);
    const parameters = model.namedParameters();
    tidy(() => {
      const { gradients } = valueAndGradients(
        () => crossEntropy(model.forward(images, { training: true }), labels),
        [...parameters.values()],
      );
      [...parameters.keys()].forEach((path, i) => {
        const largest = ops.max(ops.abs(gradients[i]!)).dataSync()[0]!;
        assert(Number.isFinite(largest) && largest > 0, `${path}: ${largest}`);
      });
    });
  },
);

Deno.test("a ResNet of dynamic convolutions overfits one batch", () => {
  const { model, images, labels } = network();
  using optimizer = adam(model.parameters(), { learningRate: 0.02 });
  let loss = Infinity;
  for (let step = 0; step < 30; step++) {
    tidy(() => {
      const { value, gradients } = valueAndGradients(
        () => crossEntropy(model.forward(images, { training: true }), labels),
        model.parameters(),
      );
      optimizer.step(gradients);
      loss = value.dataSync()[0]!;
    });
  }
  assert(loss < 0.05, `${loss}`);
});
