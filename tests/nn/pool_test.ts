import assert from "node:assert/strict";
import {
  adaptiveAveragePool,
  avgPool,
  flatten,
  globalAveragePool,
  maxPool,
  ops,
  summary,
} from "resnet-lab";
import { Pool } from "../../lib/nn/internal.ts";
import { assertClose, assertNoLeak, testOnEachBackend } from "../_helpers.ts";
import {
  assertGradientsByDifferences,
  assertLeavesOnlyOutput,
  assertLikePyTorch,
  layers,
  someImages,
} from "./_helpers.ts";

const make = { maxPool, avgPool };

testOnEachBackend("maxPool and avgPool by hand", () => {
  const image = ops.tensor([1, 2, 3, 4, 5, 6, 7, 8, 10], [1, 3, 3, 1]);
  assertClose(maxPool({ kernelSize: 2, stride: 1 }).forward(image), [5, 6, 8, 10], 0);
  assertClose(avgPool({ kernelSize: 2, stride: 1 }).forward(image), [3, 4, 6, 7.25], 0);
  // The window's size is the stride where none is given: one window of 2×2 fits.
  assertClose(maxPool({ kernelSize: 2 }).forward(image), [5], 0);
  // TensorFlow's "same" adds a row at the bottom and a column at the right.
  // They do not count in a mean.
  assertClose(maxPool({ kernelSize: 2, padding: "same" }).forward(image), [5, 6, 8, 10], 0);
  assertClose(avgPool({ kernelSize: 2, padding: "same" }).forward(image), [3, 4.5, 7.5, 10], 0);
  assertClose(maxPool({ kernelSize: [3, 1], stride: 1 }).forward(image), [7, 8, 10], 0);
});

testOnEachBackend("maxPool ignores padding, and avgPool counts its zeros", () => {
  const image = ops.full([1, 2, 2, 1], -9);
  assertClose(
    maxPool({ kernelSize: 3, stride: 1, padding: 1 }).forward(image),
    [-9, -9, -9, -9],
    0,
  );
  assertClose(
    avgPool({ kernelSize: 3, stride: 1, padding: 1 }).forward(image),
    [-4, -4, -4, -4],
  );
});

testOnEachBackend("maxPool and avgPool with ceilMode count a window over the edge", () => {
  const image = ops.tensor([...Array(16).keys()].map((i) => i + 1), [1, 4, 4, 1]);
  const plain = { kernelSize: 3, stride: 2, ceilMode: true };
  assertClose(maxPool(plain).forward(image), [11, 12, 15, 16], 0);
  assertClose(avgPool(plain).forward(image), [6, 7.5, 12, 13.5]);
  // The zeros of the padding count in a mean, what is beyond them does not.
  const padded = { ...plain, padding: 1 };
  assertClose(maxPool(padded).forward(image), [6, 8, 8, 14, 16, 16, 14, 16, 16], 0);
  assertClose(
    avgPool(padded).forward(image),
    [14 / 9, 30 / 9, 2, 57 / 9, 11, 6, 4.5, 7.5, 4],
  );
  const small = ops.tensor([-3, -2, -4, -1], [1, 2, 2, 1]);
  assertClose(maxPool(plain).forward(small), [-1], 0);
  assertClose(avgPool(plain).forward(small), [-2.5]);
});

for (const example of layers.pool) {
  testOnEachBackend(`${example.layer} is PyTorch's: ${JSON.stringify(example.options)}`, () => {
    const layer = make[example.layer](example.options);
    assertLikePyTorch((x) => layer.forward(x), example);
  });
}

for (const { options: { size }, ...example } of layers.adaptiveAveragePool) {
  const [, height, width] = example.x.shape;
  testOnEachBackend(
    `adaptiveAveragePool is PyTorch's: ${height}×${width} to ${size.join("×")}`,
    () => {
      const layer = adaptiveAveragePool(size);
      assertLikePyTorch((x) => layer.forward(x), example);
      assert.deepEqual(summary(layer, [height, width, 3]).rows[0]?.outputShape, [...size, 3]);
    },
  );
}

testOnEachBackend("adaptiveAveragePool keeps images and channels separate", () => {
  const x = ops.tensor([1, 10, 3, 30, 5, 50, 7, 70], [2, 1, 2, 2]);
  assertClose(adaptiveAveragePool([1, 1]).forward(x), [2, 20, 6, 60]);
});

testOnEachBackend("globalAveragePool and flatten by hand", () => {
  const x = ops.tensor([1, 10, 3, 30, 5, 50, 7, 70], [2, 1, 2, 2]);
  assert.deepEqual(globalAveragePool().forward(x).arraySync(), [[2, 20], [6, 60]]);
  assert.deepEqual(flatten().forward(x).arraySync(), [[1, 10, 3, 30], [5, 50, 7, 70]]);
});

testOnEachBackend("pooling: gradients by central differences", () => {
  for (
    const layer of [
      maxPool({ kernelSize: 3, stride: 2, padding: 1 }),
      avgPool({ kernelSize: 2, padding: "same" }),
      maxPool({ kernelSize: 2, ceilMode: true }),
      avgPool({ kernelSize: 2, ceilMode: true }),
      avgPool({ kernelSize: 3, stride: 3, padding: 1, ceilMode: true }),
      globalAveragePool(),
      adaptiveAveragePool([2, 3]),
      flatten(),
    ]
  ) {
    // Numbers 0.2 and more apart, so that no step of the difference changes which is the largest.
    const x = ops.tensor([...Array(24).keys()].map((i) => (i * 7 % 24) / 5), [1, 3, 4, 2]);
    assertGradientsByDifferences((images) => layer.forward(images), x);
  }
});

testOnEachBackend(
  "maxPool and avgPool return the shape of the formula, and leave one tensor",
  () => {
    for (
      const [layer, output] of [
        [maxPool({ kernelSize: 3, stride: 2, padding: 1 }), [4, 5, 2]],
        [maxPool({ kernelSize: 2 }), [4, 4, 2]],
        [maxPool({ kernelSize: 2, stride: 1, padding: "same" }), [8, 9, 2]],
        [avgPool({ kernelSize: [2, 3], stride: [1, 3] }), [7, 3, 2]],
        [avgPool({ kernelSize: 3, stride: 2, padding: "same" }), [4, 5, 2]],
        [avgPool({ kernelSize: 2, padding: 1 }), [5, 5, 2]],
        [maxPool({ kernelSize: 3, stride: 2, ceilMode: true }), [4, 4, 2]],
        [avgPool({ kernelSize: 3, stride: 2, ceilMode: true }), [4, 4, 2]],
        [globalAveragePool(), [2]],
        [adaptiveAveragePool([3, 10]), [3, 10, 2]],
        [adaptiveAveragePool([8, 9]), [8, 9, 2]],
        [flatten(), [144]],
      ] as const
    ) {
      const images = someImages(2, 8, 9, 2);
      assertLeavesOnlyOutput(() => layer.forward(images));
      assert.deepEqual(layer.forward(images).shape, [2, ...output]);
      if (layer instanceof Pool) assert.deepEqual(layer.outputSize([8, 9]), output.slice(0, 2));
      const table = summary(layer, [8, 9, 2]);
      assert.deepEqual(table.rows[0]?.outputShape, output);
      assert.deepEqual([table.parameters, table.macs], [0, 0]);
    }
  },
);

Deno.test("Pool.describe() returns the window and the options", () => {
  assert.deepEqual(
    [
      maxPool({ kernelSize: 2 }),
      maxPool({ kernelSize: [3, 2], stride: [2, 1], padding: 1 }),
      avgPool({ kernelSize: 2, padding: "same" }),
      maxPool({ kernelSize: 3, stride: 2, ceilMode: true }),
      globalAveragePool(),
      adaptiveAveragePool([4, 1]),
      flatten(),
    ].map((layer) => layer.describe()),
    [
      "maxPool 2×2, stride 2",
      "maxPool 3×2, stride 2×1, padding 1",
      "avgPool 2×2, stride 2, padding same",
      "maxPool 3×3, stride 2, ceil mode",
      "globalAveragePool",
      "adaptiveAveragePool 4×1",
      "flatten",
    ],
  );
});

Deno.test("maxPool() and avgPool() refuse a bad option", () => {
  const whole = "must be a whole number of at least 1, found";
  for (
    const [build, kind, message] of [
      [
        () => maxPool(2 as never),
        "TypeError",
        "maxPool: the options must be an object such as { kernelSize: 2 }, found 2.",
      ],
      [() => maxPool({} as never), "TypeError", `maxPool: kernelSize ${whole} undefined.`],
      [() => maxPool({ kernelSize: 1.5 }), "RangeError", `maxPool: kernelSize ${whole} 1.5.`],
      [() => avgPool({ kernelSize: 2, stride: 0 }), "RangeError", `avgPool: stride ${whole} 0.`],
      [
        () => avgPool({ kernelSize: 2, padding: "SAME" as never }),
        "RangeError",
        'avgPool: padding must be "same", "valid" or a whole number of at least 0, found "SAME".',
      ],
      [
        () => maxPool({ kernelSize: 2, padding: 0.5 }),
        "RangeError",
        'maxPool: padding must be "same", "valid" or a whole number of at least 0, found 0.5.',
      ],
      [
        () => maxPool({ kernelSize: 2, ceilMode: 1 as never }),
        "TypeError",
        "maxPool: ceilMode must be true or false, found 1.",
      ],
      [
        () => adaptiveAveragePool(7 as never),
        "TypeError",
        "adaptiveAveragePool: the size [height, width] must be an array, found 7.",
      ],
      [
        () => adaptiveAveragePool([7] as never),
        "RangeError",
        "adaptiveAveragePool: size must be one number or [vertical, horizontal], found [7].",
      ],
      [() => adaptiveAveragePool([7, 0]), "RangeError", `adaptiveAveragePool: size ${whole} 0.`],
    ] as const
  ) {
    assert.throws(build, { name: kind, message: `Building ${message}` });
  }
});

Deno.test("pooling layers refuse an input that does not fit, and leave no tensor", async () => {
  const features = ops.ones([2, 3]);
  for (
    const layer of [
      maxPool({ kernelSize: 2 }),
      globalAveragePool(),
      adaptiveAveragePool([1, 1]),
      flatten(),
    ]
  ) {
    await assertNoLeak(() =>
      assert.throws(() => layer.forward(features as never), {
        name: "RangeError",
        message:
          `${layer.describe()}: the input must be [batch, height, width, channels], found [2, 3].`,
      })
    );
    assert.throws(() => layer.forward(ops.zeros([0, 4, 4, 1])), {
      name: "RangeError",
      message: `${layer.describe()}: the input must not be empty, found [0, 4, 4, 1].`,
    });
  }
  const image = ops.ones([1, 3, 3, 1]);
  await assertNoLeak(() =>
    assert.throws(() => maxPool({ kernelSize: 4 }).forward(image), {
      name: "RangeError",
      message: /the images must be at least 4×4 for a window of 4×4 with padding 0, found 3×3/,
    })
  );
  await assertNoLeak(() =>
    assert.throws(() => avgPool({ kernelSize: 2, padding: 2 }).forward(image), {
      name: "RangeError",
      message: /padding must be at most half the window, found 2/,
    })
  );
});
