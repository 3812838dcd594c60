import assert from "node:assert/strict";
import {
  conv2d,
  type Initializer,
  initializers,
  ops,
  summary,
  tidy,
  valueAndGradients,
} from "resnet-lab";
import { Conv2d, fansOf } from "../../lib/nn/internal.ts";
import { assertClose, assertNoLeak, testOnEachBackend } from "../_helpers.ts";
import {
  assertGradientsByDifferences,
  assertLeavesOnlyOutput,
  assertLikePyTorch,
  assertParameterGradients,
  layers,
  load,
  someImages,
} from "./_helpers.ts";

testOnEachBackend("conv2d() returns the shape of the formula, and summary() reports it", () => {
  for (
    const [options, input, output] of [
      [{ kernelSize: 3 }, [8, 6, 2], [6, 4, 5]],
      [{ kernelSize: 3, padding: 1 }, [8, 6, 2], [8, 6, 5]],
      [{ kernelSize: 3, padding: 1, stride: 2 }, [8, 7, 2], [4, 4, 5]],
      [{ kernelSize: [3, 1], stride: [2, 1], padding: "valid" }, [8, 7, 2], [3, 7, 5]],
      [{ kernelSize: 3, padding: "same", stride: 2 }, [8, 7, 2], [4, 4, 5]],
      [{ kernelSize: 3, dilation: 2 }, [8, 7, 2], [4, 3, 5]],
      [{ kernelSize: 3, dilation: [1, 3], padding: 3 }, [8, 7, 2], [12, 7, 5]],
    ] as const
  ) {
    const layer = conv2d(2, 5, options);
    assert.deepEqual(layer.forward(ops.zeros([3, ...input])).shape, [3, ...output]);
    assert.deepEqual(summary(layer, input).rows[0]?.outputShape, output);
    assert.deepEqual(layer.outputSize([input[0], input[1]]), output.slice(0, 2));
  }
});

Deno.test("conv2d counts parameters and multiply-accumulates", () => {
  const plain = summary(conv2d(3, 8, { kernelSize: 3 }), [10, 10, 3]);
  assert.deepEqual([plain.parameters, plain.macs], [3 * 3 * 3 * 8 + 8, 8 * 8 * 8 * 27]);
  const grouped = conv2d(6, 4, { kernelSize: 3, padding: 1, groups: 2, useBias: false });
  const table = summary(grouped, [5, 5, 6]);
  assert.deepEqual(grouped.weight.shape, [3, 3, 3, 4]);
  assert.deepEqual([table.parameters, table.macs], [3 * 3 * 3 * 4, 5 * 5 * 4 * 27]);
});

testOnEachBackend("conv2d by hand: a cross-correlation with d2l's numbers, plus the bias", () => {
  const layer = conv2d(1, 1, { kernelSize: 2 });
  layer.weight.assign(ops.tensor([0, 1, 2, 3], [2, 2, 1, 1]));
  layer.bias?.assign(ops.tensor([100]));
  const image = ops.tensor([0, 1, 2, 3, 4, 5, 6, 7, 8], [1, 3, 3, 1]);
  assertClose(layer.forward(image), [119, 125, 137, 143]);
});

testOnEachBackend("conv2d of ones with a constant kernel counts what a window sees", () => {
  // 3 channels, 3×3 window with padding 1: 4 pixels in the corners, 6 at the edges, 9 inside.
  const layer = conv2d(3, 2, {
    kernelSize: 3,
    padding: 1,
    weightInitializer: initializers.constant(0.5),
  });
  const y = layer.forward(ops.ones([1, 3, 3, 3]));
  const seen = [4, 6, 4, 6, 9, 6, 4, 6, 4].flatMap((pixels) => [pixels * 1.5, pixels * 1.5]);
  assertClose(y, seen);
  const grouped = conv2d(4, 2, {
    kernelSize: 1,
    groups: 2,
    weightInitializer: initializers.constant(1),
  });
  assertClose(grouped.forward(ops.tensor([1, 2, 10, 20], [1, 1, 1, 4])), [3, 30]);
});

for (const example of layers.conv2d) {
  testOnEachBackend(`conv2d is PyTorch's: ${example.name}`, () => {
    const layer = conv2d(example.inChannels, example.outChannels, example.options);
    layer.weight.assign(load(example.kernel));
    if (example.bias) layer.bias?.assign(load(example.bias));
    assert.equal(layer.bias === undefined, example.bias === undefined);
    assertLikePyTorch((x) => layer.forward(x), example);
    assertParameterGradients(() => layer.forward(load(example.x)), example.dy, [
      [layer.weight, example.dKernel],
      ...(layer.bias ? [[layer.bias, example.dBias] as const] : []),
    ]);
  });
}

testOnEachBackend("conv2d: gradients by central differences", () => {
  const layer = conv2d(2, 4, { kernelSize: 3, stride: 2, padding: 1, dilation: 2, groups: 2 });
  assertGradientsByDifferences(
    (x) => layer.forward(x),
    someImages(1, 5, 4, 2),
    layer.parameters(),
  );
});

testOnEachBackend("conv2d leaves its output and no other tensor", () => {
  const images = ops.ones([1, 6, 6, 4]);
  for (const padding of [0, 1, "same"] as const) {
    for (const groups of [1, 2]) {
      for (const useBias of [true, false]) {
        const layer = conv2d(4, 4, { kernelSize: 3, padding, groups, useBias, dilation: groups });
        assertLeavesOnlyOutput(() => layer.forward(images));
      }
    }
  }
});

Deno.test("conv2d leaves no tensor after building, a training step and dispose()", async () => {
  await assertNoLeak(() => {
    using layer = conv2d(2, 3, { kernelSize: 3 });
    tidy(() => {
      valueAndGradients(() => ops.sum(layer.forward(someImages(2, 4, 4, 2))), layer.parameters());
    });
  });
});

Deno.test("conv2d() refuses a bad option before it makes a tensor", async () => {
  const whole = "must be a whole number of at least 1";
  for (
    const [build, error, message] of [
      [() => conv2d(0, 8, { kernelSize: 3 }), RangeError, `inChannels ${whole}, found 0`],
      [() => conv2d(3, 2.5, { kernelSize: 3 }), RangeError, `outChannels ${whole}, found 2.5`],
      [() => conv2d(3, NaN, { kernelSize: 3 }), RangeError, `outChannels ${whole}, found NaN`],
      [
        () => conv2d("3" as never, 8, { kernelSize: 3 }),
        TypeError,
        `inChannels ${whole}, found "3"`,
      ],
      [() => conv2d(3, 8, { kernelSize: 0 }), RangeError, `kernelSize ${whole}, found 0`],
      [() => conv2d(3, 8, { kernelSize: [3, -1] }), RangeError, `kernelSize ${whole}, found -1`],
      [
        () => conv2d(3, 8, { kernelSize: [3] as never }),
        RangeError,
        "kernelSize must be one number or [vertical, horizontal], found [3]",
      ],
      [() => conv2d(3, 8, {} as never), TypeError, `kernelSize ${whole}, found undefined`],
      [
        () => conv2d(3, 8, undefined as never),
        TypeError,
        "the options must be an object such as { kernelSize: 3 }, found undefined",
      ],
      [
        () => conv2d(3, 8, 3 as never),
        TypeError,
        "the options must be an object such as { kernelSize: 3 }, found 3",
      ],
      [() => conv2d(3, 8, { kernelSize: 3, stride: 0 }), RangeError, `stride ${whole}, found 0`],
      [
        () => conv2d(3, 8, { kernelSize: 3, dilation: 1.5 }),
        RangeError,
        `dilation ${whole}, found 1.5`,
      ],
      [() => conv2d(3, 8, { kernelSize: 3, groups: 0 }), RangeError, `groups ${whole}, found 0`],
      [
        () => conv2d(3, 8, { kernelSize: 3, groups: 2 }),
        RangeError,
        "groups must divide the channels, found 2 groups with 3 channels in and 8 out",
      ],
      [
        () => conv2d(4, 9, { kernelSize: 3, groups: 2 }),
        RangeError,
        "groups must divide the channels, found 2 groups with 4 channels in and 9 out",
      ],
      [
        () => conv2d(3, 8, { kernelSize: 3, padding: "SAME" as never }),
        RangeError,
        'padding must be "same", "valid" or a whole number of at least 0, found "SAME"',
      ],
      [
        () => conv2d(3, 8, { kernelSize: 3, padding: -1 }),
        RangeError,
        'padding must be "same", "valid" or a whole number of at least 0, found -1',
      ],
      [
        () => conv2d(3, 8, { kernelSize: 3, padding: [1, 1] as never }),
        TypeError,
        'padding must be "same", "valid" or a whole number of at least 0, found [1, 1]',
      ],
      [
        () => conv2d(3, 8, { kernelSize: 3, weightInitializer: initializers.heNormal as never }),
        TypeError,
        "the initializer must return a tensor of float32 [3, 3, 3, 8], found a function (was it meant to be called?)",
      ],
      [
        () =>
          conv2d(3, 8, {
            kernelSize: 3,
            weightInitializer: (() => ops.ones([2, 2])) as Initializer,
          }),
        TypeError,
        "the initializer must return a tensor of float32 [3, 3, 3, 8], found a tensor of float32 [2, 2]",
      ],
      [
        () => conv2d(3, 8, { kernelSize: 3, weightInitializer: 0 as never }),
        TypeError,
        "the initializer must be a function such as initializers.heNormal(), found 0",
      ],
    ] as const
  ) {
    await assertNoLeak(() =>
      assert.throws(build, { name: error.name, message: `Building conv2d: ${message}.` })
    );
  }
});

testOnEachBackend(
  "conv2d() refuses an input that does not fit, and names the shape that would",
  async () => {
    using layer = conv2d(3, 8, { kernelSize: 5, stride: 2 });
    const disposed = ops.ones([1, 8, 8, 3]);
    disposed.dispose();
    for (
      const [input, error, message] of [
        [
          [1, 8, 8, 4],
          RangeError,
          "the input must be [batch, height, width, channels 3], found [1, 8, 8, 4].",
        ],
        [
          [8, 8, 3],
          RangeError,
          "the input must be [batch, height, width, channels 3], found [8, 8, 3].",
        ],
        [[0, 8, 8, 3], RangeError, "the input must not be empty, found [0, 8, 8, 3]."],
        [ops.ones([1, 8, 8, 3], "int32"), TypeError, "the input must be float32, found int32."],
        [disposed, TypeError, "the input must be alive, found a disposed tensor [1,8,8,3]."],
        [undefined, TypeError, "the input must be a tensor, found undefined."],
        [
          new Float32Array(3),
          TypeError,
          "the input must be a tensor, found an object (Float32Array).",
        ],
      ] as const
    ) {
      const x = Array.isArray(input) ? ops.ones(input) : input;
      await assertNoLeak(() =>
        assert.throws(() => layer.forward(x as never), {
          name: error.name,
          message: `conv2d 3 → 8, 5×5, stride 2: ${message}`,
        })
      );
    }
    await assertNoLeak(() =>
      tidy(() => {
        assert.throws(() => layer.forward(ops.ones([1, 4, 9, 3])), {
          name: "RangeError",
          message: /the images must be at least 5×5 for a window of 5×5 with padding 0, found 4×9/,
        });
      })
    );
    layer.dispose();
    assert.throws(() => layer.forward(ops.ones([1, 8, 8, 3])), {
      name: "TypeError",
      message:
        "conv2d 3 → 8, 5×5, stride 2: the module must be alive, found it disposed. Make it again.",
    });
  },
);

Deno.test("Conv2d.outputSize() refuses images that are too small", () => {
  assert.throws(() => conv2d(1, 1, { kernelSize: 3, dilation: 2 }).outputSize([4, 9]), {
    name: "RangeError",
    message: /the images must be at least 5×5 for a window of 5×5 with padding 0, found 4×9/,
  });
});

Deno.test("Conv2d.describe() returns the channels, the window and the options", () => {
  assert.equal(conv2d(3, 64, { kernelSize: 7 }).describe(), "conv2d 3 → 64, 7×7");
  assert.equal(
    conv2d(4, 8, {
      kernelSize: [3, 1],
      stride: [2, 1],
      padding: "same",
      dilation: [1, 2],
      groups: 4,
    })
      .describe(),
    "conv2d 4 → 8, 3×1, stride 2×1, padding same, dilation 1×2, 4 groups",
  );
  assert(conv2d(1, 1, { kernelSize: 1 }) instanceof Conv2d);
});

Deno.test("conv2d() starts with He's variance for the connections of a group, and a bias of zero", () => {
  const layer = conv2d(32, 64, { kernelSize: 3, groups: 2 });
  assert.deepEqual(fansOf(layer.weight.shape), { fanIn: 9 * 16, fanOut: 9 * 64 });
  // 9,216 numbers: the sampling error of a variance is √(2 / n) = 1.5 % of it.
  const variance = ops.variance(layer.weight).dataSync()[0]! / (2 / (9 * 16));
  assert(Math.abs(variance - 1) < 0.08, `${variance}`);
  assertClose(layer.bias!, new Float32Array(64), 0);
});
