import assert from "node:assert/strict";
import {
  basicBlock,
  bottleneck,
  type Images,
  ops,
  Random,
  type ResidualBlockOptions,
  setSeed,
} from "resnet-lab";
import { assertClose } from "../_helpers.ts";
import { assertGradientsByDifferences } from "../nn/_helpers.ts";
import { assertRefused, constantKernels } from "./_helpers.ts";

const VERSIONS = ["v1", "v1.5", "v2"] as const;
const SHORTCUTS = ["A", "B", "C", "none"] as const;

/** 2×2 pixels, and the 4×4 pixels 0 to 15. */
const small = ops.tensor([1, -2, 3, 4], [1, 2, 2, 1]);
const large: Images<1> = ops.reshape(ops.range(0, 16), [1, 4, 4, 1]);

Deno.test("basicBlock() by hand: shortcuts that keep the shape", () => {
  const block = (options: ResidualBlockOptions, last: number) =>
    constantKernels(basicBlock(1, 1, options), {
      ...{ conv1: 1, conv2: last },
      ...{ "downsample.0": 3, downsample: 3 },
    });
  // Each 3×3 window covers all four pixels: x1 = Σ x = 6, then x2 = 4 · 6; in v2 only positive
  // pixels count, 8 and 32.
  for (const version of ["v1", "v1.5"] as const) {
    for (
      const [shortcut, expected] of [
        ["A", [25, 22, 27, 28]],
        ["B", [25, 22, 27, 28]],
        ["C", [27, 18, 33, 36]],
        ["none", [24, 24, 24, 24]],
      ] as const
    ) {
      assertClose(block({ version, shortcut }, 1).forward(small), expected);
      // A relu follows the addition.
      assertClose(block({ version, shortcut }, -1).forward(small), [0, 0, 0, 0]);
    }
  }
  for (
    const [shortcut, expected, negative] of [
      ["A", [33, 30, 35, 36], [-31, -34, -29, -28]],
      ["B", [33, 30, 35, 36], [-31, -34, -29, -28]],
      // The projection has the input of the first convolution, after relu: 1, 0, 3, 4.
      ["C", [35, 32, 41, 44], [-29, -32, -23, -20]],
      ["none", [32, 32, 32, 32], [-32, -32, -32, -32]],
    ] as const
  ) {
    assertClose(block({ version: "v2", shortcut }, 1).forward(small), expected);
    assertClose(block({ version: "v2", shortcut }, -1).forward(small), negative);
  }
});

Deno.test("basicBlock() by hand: shortcuts that change the shape", () => {
  const block = (options: ResidualBlockOptions) =>
    constantKernels(basicBlock(1, 2, { stride: 2, ...options }), {
      ...{ "downsample.0": 2, downsample: 2 },
    });
  for (const version of VERSIONS) {
    // With weights of zero only the shortcut is left. A takes every second pixel and adds a channel
    // of zeros.
    assertClose(block({ version, shortcut: "A" }).forward(large), [0, 0, 2, 0, 8, 0, 10, 0]);
    for (const shortcut of ["B", "C"] as const) {
      assertClose(block({ version, shortcut }).forward(large), [0, 0, 4, 4, 16, 16, 20, 20]);
    }
    assertClose(block({ version, shortcut: "none" }).forward(large), Array(8).fill(0));
  }
  const odd: Images<1> = ops.reshape(ops.range(0, 9), [1, 3, 3, 1]);
  assertClose(block({ shortcut: "A" }).forward(odd), [0, 0, 2, 0, 6, 0, 8, 0]);
  // In v2 shortcut A passes negative numbers, and a projection gets none.
  const below: Images<1> = ops.sub(large, 20);
  assertClose(block({ version: "v2", shortcut: "A" }).forward(below), [
    ...[-20, 0, -18, 0, -12, 0, -10, 0],
  ]);
  assertClose(block({ version: "v2", shortcut: "B" }).forward(below), Array(8).fill(0));
  assertClose(block({ version: "v1", shortcut: "A" }).forward(below), Array(8).fill(0));
  // More channels at the same size: article 003 projects only with a stride, and cannot add.
  using wider = constantKernels(basicBlock(1, 2), { "downsample.0": 2 });
  assertClose(wider.forward(small), [2, 2, 0, 0, 6, 6, 8, 8]);
});

Deno.test("basicBlock() and bottleneck(): the stride by hand", () => {
  // 3×3 windows around every second pixel: 0 + 1 + 4 + 5, and so on.
  const windows = [10, 24, 51, 90];
  const kernels = { conv1: 1, conv2: 1, conv3: 1 };
  for (const version of VERSIONS) {
    using basic = constantKernels(basicBlock(1, 1, { stride: 2, version }), kernels);
    assertClose(basic.forward(large), Array(4).fill(10 + 24 + 51 + 90));
    using block = constantKernels(bottleneck(1, 1, { stride: 2, version }), kernels);
    const y = block.forward(large);
    assert.deepEqual(y.shape, [1, 2, 2, 4]);
    // The 1×1 convolution of v1 takes the pixels 0, 2, 8 and 10; each window covers all of them.
    const expected = version === "v1" ? Array(4).fill(0 + 2 + 8 + 10) : windows;
    assertClose(y, expected.flatMap((value) => Array(4).fill(value)));
  }
});

Deno.test("basicBlock() and bottleneck(): gradients of images and parameters agree with central differences", () => {
  const x: Images<2> = new Random(4).uniform([2, 3, 3, 2], { min: -1, max: 1 });
  for (const version of VERSIONS) {
    for (const shortcut of SHORTCUTS) {
      setSeed(4);
      using block = bottleneck(2, 1, { stride: 2, version, shortcut });
      for (const [path, parameter] of block.namedParameters()) {
        // Keeps values away from 0, where relu has no derivative.
        if (path.endsWith("bias")) parameter.assign(ops.full(parameter.shape, 0.7));
      }
      assertGradientsByDifferences((images) => block.forward(images), x, block.parameters(), {
        step: 1e-3,
      });
    }
  }
});

Deno.test("basicBlock() and bottleneck() refuse a bad number or option and leave no tensor", async () => {
  const whole = "must be a whole number of at least 1, found";
  for (
    const [build, kind, action, message] of [
      [
        () => basicBlock(64, 32 as never, { shortcut: "A" }),
        "RangeError",
        "Building basicBlock: ",
        "outChannels must be at least inChannels with shortcut A, which adds channels of zeros, found 32 for 64. Take shortcut B.",
      ],
      [
        () => bottleneck(256, 32 as never, { shortcut: "A" }),
        "RangeError",
        "Building bottleneck: ",
        "outChannels must be at least inChannels with shortcut A, which adds channels of zeros, found 128 for 256. Take shortcut B.",
      ],
      [() => basicBlock(0, 8), "RangeError", "Building basicBlock: ", `inChannels ${whole} 0.`],
      [
        () => basicBlock(8, 1.5),
        "RangeError",
        "Building basicBlock: ",
        `outChannels ${whole} 1.5.`,
      ],
      [() => bottleneck(NaN, 8), "RangeError", "Building bottleneck: ", `inChannels ${whole} NaN.`],
      [() => bottleneck(8, 0), "RangeError", "Building bottleneck: ", `channels ${whole} 0.`],
      [
        () => basicBlock(8, 8, { stride: 0 }),
        "RangeError",
        "Building basicBlock: ",
        `stride ${whole} 0.`,
      ],
      [
        () => basicBlock(8, 8, { stride: "2" as never }),
        "TypeError",
        "Building basicBlock: ",
        `stride ${whole} "2".`,
      ],
      [
        () => basicBlock(8, 8, 2 as never),
        "TypeError",
        "Building basicBlock: ",
        "the options must be an object such as { stride: 2 }, found 2.",
      ],
      [
        () => bottleneck(8, 8, [2] as never),
        "TypeError",
        "Building bottleneck: ",
        "the options must be an object such as { stride: 2 }, found [2].",
      ],
      [
        () => basicBlock(8, 8, { version: "v3" as never }),
        "RangeError",
        "Building basicBlock: ",
        'version must be one of "v1", "v1.5", "v2", found "v3".',
      ],
      [
        () => bottleneck(8, 8, { shortcut: "D" as "B" }),
        "RangeError",
        "Building bottleneck: ",
        'shortcut must be one of "A", "B", "C", "none", found "D".',
      ],
      [
        () => basicBlock(8, 8, { convolution: "conv2d" as never }),
        "TypeError",
        "Building basicBlock: ",
        'convolution must be a function, found "conv2d".',
      ],
    ] as const
  ) await assertRefused(build, kind, action, message);
});
