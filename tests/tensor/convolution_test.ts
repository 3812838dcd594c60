import assert from "node:assert/strict";
import {
  grad,
  ops,
  Random,
  type Tensor1D,
  type Tensor4D,
  tidy,
  valueAndGradients,
  variable,
} from "resnet-lab";
import { assertClose, assertNoLeak, testOnEachBackend } from "../_helpers.ts";
import { assertAsPyTorch, fixtures } from "./_helpers.ts";
import { pair, windowGeometry } from "../../lib/tensor/internal.ts";

for (const fixture of fixtures.conv2d) {
  testOnEachBackend(`conv2d is PyTorch's, ${JSON.stringify(fixture.options)}`, () => {
    assertAsPyTorch(
      fixture,
      ({ x, kernel }) => ops.conv2d(x as Tensor4D, kernel as Tensor4D, fixture.options),
    );
  });
}
for (const fixture of fixtures.maxPool) {
  testOnEachBackend(`maxPool is PyTorch's, ${JSON.stringify(fixture.options)}`, () => {
    assertAsPyTorch(fixture, ({ x }) => ops.maxPool(x as Tensor4D, fixture.options));
  });
}
for (const fixture of fixtures.avgPool) {
  testOnEachBackend(`avgPool is PyTorch's, ${JSON.stringify(fixture.options)}`, () => {
    assertAsPyTorch(fixture, ({ x }) => ops.avgPool(x as Tensor4D, fixture.options));
  });
}
for (const fixture of fixtures.localResponseNorm) {
  testOnEachBackend(`localResponseNorm is PyTorch's, ${JSON.stringify(fixture.options)}`, () => {
    assertAsPyTorch(fixture, ({ x }) => ops.localResponseNorm(x as Tensor4D, fixture.options));
  });
}

testOnEachBackend(
  "a bias is added to each output channel, also while a gradient is computed",
  () => {
    tidy(() => {
      const image = ops.tensor([0, 1, 2, 3, 4, 5, 6, 7, 8], [1, 3, 3, 1]);
      const kernel = ops.tensor([0, 1, 2, 3], [2, 2, 1, 1]);
      const bias = ops.tensor([100]);
      assertClose(ops.conv2d(image, kernel, { bias }), [119, 125, 137, 143]);

      const x = new Random(1).normal([2, 9, 8, 4]);
      for (
        const [size, options] of [
          [3, { padding: 1 }],
          [3, { padding: "same", stride: 2 }],
          [3, { padding: 2, stride: [2, 1], dilation: 2 }],
          [1, { stride: 2 }],
          [[3, 2], { padding: 1, groups: 2 }],
        ] as const
      ) {
        const [height, width] = pair(size);
        const groups = "groups" in options ? options.groups : 1;
        const kernel = new Random(2).normal([height, width, 4 / groups, 6]);
        const bias = new Random(3).normal([6]);
        const plain = ops.conv2d(x, kernel, options);
        const expected = ops.add(plain, bias);
        assertClose(ops.conv2d(x, kernel, { ...options, bias }), expected);
        const dBias = grad((bias: Tensor1D) => ops.conv2d(x, kernel, { ...options, bias }));
        assertClose(dBias(bias, plain), ops.sum(plain, [0, 1, 2]), 1e-4);
        const dx = grad((x: Tensor4D) => ops.conv2d(x, kernel, { ...options, bias }))(x, plain);
        assertClose(dx, grad((x: Tensor4D) => ops.conv2d(x, kernel, options))(x, plain));
      }
    });
  },
);

Deno.test("a bias leaves no tensor but the output, and must fit", async () => {
  const x = ops.ones([1, 3, 3, 2]), kernel = ops.ones([3, 3, 2, 4]);
  const bias = ops.ones([4]), short = ops.ones([3]), whole = ops.ones([4], "int32");
  await assertNoLeak(() => {
    ops.conv2d(x, kernel, { bias }).dispose();
    assert.throws(() => ops.conv2d(x, kernel, { bias: short }), {
      name: "RangeError",
      message:
        "Convolving: the bias must have one number for each of the 4 output channels, found 3.",
    });
    assert.throws(() => ops.conv2d(x, kernel, { bias: whole }), { name: "TypeError" });
  });
});

testOnEachBackend("padding never wins a maximum, and counts in a mean", () => {
  tidy(() => {
    const images = ops.full([1, 2, 2, 1], -4);
    const options = { kernelSize: 2, stride: 2, padding: 1 };
    assertClose(ops.maxPool(images, options), [-4, -4, -4, -4]);
    assertClose(ops.avgPool(images, options), [-1, -1, -1, -1]);
  });
});

testOnEachBackend("a group of output channels sees its group of input channels only", () => {
  tidy(() => {
    const image = ops.tensor([1, 10, 100, 1000], [1, 1, 1, 4]);
    const kernel = ops.ones([1, 1, 2, 2]);
    assertClose(ops.conv2d(image, kernel, { groups: 2 }), [11, 1100]);
  });
});

testOnEachBackend("a 1×1 convolution that skips pixels, and its gradients, by hand", () => {
  tidy(() => {
    // oneDNN wrote past its memory in the kernel's gradient, which ended the process sooner or
    // later.
    for (let time = 0; time < 10; time++) {
      const images: Tensor4D = ops.reshape(ops.range(0, 144), [1, 12, 12, 1]);
      const kernel = variable(ops.tensor([2, 3], [1, 1, 1, 2]));
      const y = ops.conv2d(images, kernel, { stride: [2, 3] });
      assert.deepEqual(y.shape, [1, 6, 4, 2]);
      // Pixel 12i + j for even i, and j a multiple of 3.
      assertClose(ops.slice(y, [0, 1, 1, 0], [1, 1, 1, 2]), [2 * 27, 3 * 27]);
      const { gradients } = valueAndGradients(
        () => ops.sum(ops.conv2d(images, kernel, { stride: [2, 3] })),
        [kernel],
      );
      // Σ 12i + j over 6 rows and 4 columns, with Σ i = 30 and Σ j = 18.
      assertClose(gradients[0]!, [12 * 30 * 4 + 18 * 6, 12 * 30 * 4 + 18 * 6]);
      const dx = grad((x: Tensor4D) => ops.sum(ops.conv2d(x, kernel, { stride: [2, 3] })))(images);
      assertClose(
        dx,
        Array.from({ length: 144 }, (_, i) => i % 24 < 12 && i % 3 === 0 ? 5 : 0),
      );
      kernel.dispose();
    }
  });
});

Deno.test("windows stand where the formula says", () => {
  const sizes = (input: [number, number], options: Parameters<typeof windowGeometry>[2]) => {
    const { pads, output } = windowGeometry("Convolving", input, options);
    return { pads, output };
  };
  assert.deepEqual(sizes([5, 7], { kernelSize: 3 }), { pads: [0, 0, 0, 0], output: [3, 5] });
  assert.deepEqual(sizes([224, 224], { kernelSize: 7, stride: 2, padding: 3 }), {
    pads: [3, 3, 3, 3],
    output: [112, 112],
  });
  // AlexNet's 227 and 224 (with padding 2) both give 55.
  assert.deepEqual(sizes([227, 224], { kernelSize: 11, stride: 4, padding: 0 }).output, [55, 54]);
  assert.deepEqual(sizes([224, 224], { kernelSize: 11, stride: 4, padding: 2 }).output, [55, 55]);
  assert.deepEqual(sizes([6, 7], { kernelSize: 3, stride: 2, padding: "same" }), {
    pads: [0, 1, 1, 1],
    output: [3, 4],
  });
  assert.deepEqual(sizes([9, 9], { kernelSize: [3, 1], dilation: [4, 1], padding: "valid" }), {
    pads: [0, 0, 0, 0],
    output: [1, 9],
  });
  assert.deepEqual(sizes([3, 3], { kernelSize: 1, stride: 4, padding: "same" }).pads, [0, 0, 0, 0]);
});

Deno.test("ceilMode: as many windows as PyTorch's, and none that starts beyond the image", () => {
  // torch.nn.functional.max_pool2d(…, ceil_mode=True) for images of 1 to 10 pixels; 0 where it
  // refuses.
  for (
    const [kernelSize, stride, padding, counts] of [
      [3, 2, 0, [0, 1, 1, 2, 2, 3, 3, 4, 4, 5]],
      [3, 2, 1, [1, 2, 2, 3, 3, 4, 4, 5, 5, 6]],
      [2, 2, 0, [1, 1, 2, 2, 3, 3, 4, 4, 5, 5]],
      [2, 3, 1, [1, 1, 2, 2, 2, 3, 3, 3, 4, 4]],
      [3, 1, 1, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]],
      [2, 3, 0, [1, 1, 1, 2, 2, 2, 3, 3, 3, 4]],
      [3, 4, 1, [1, 1, 1, 2, 2, 2, 2, 3, 3, 3]],
    ] as const
  ) {
    counts.forEach((count, i) => {
      const geometry = () =>
        windowGeometry("Max pooling", [i + 1, i + 1], {
          kernelSize,
          stride,
          padding,
          ceilMode: true,
        });
      if (count > 0) assert.deepEqual(geometry().output, [count, count]);
      else {
        assert.throws(geometry, {
          name: "RangeError",
          message:
            "Max pooling: the images must be at least 2×2 for a window of 3×3 with padding 0, found 1×1.",
        });
      }
    });
  }
  // The last window needs two more rows and one more column than there are.
  assert.deepEqual(
    windowGeometry("Max pooling", [5, 4], { kernelSize: 4, stride: [3, 2], ceilMode: true }),
    { pads: [0, 2, 0, 0], output: [2, 1] },
  );
});

Deno.test("one number stands for both axes", () => {
  assert.deepEqual(pair(3), [3, 3]);
  assert.deepEqual(pair([3, 5]), [3, 5]);
});

testOnEachBackend("conv2d(), maxPool() and avgPool() refuse windows that do not fit", () => {
  tidy(() => {
    const images = ops.zeros([1, 3, 4, 2]), kernel = ops.zeros([2, 2, 2, 4]);
    const refused = (run: () => unknown, message: RegExp) =>
      assert.throws(run, { name: "RangeError", message });
    refused(
      () => ops.conv2d(ops.zeros([1, 3, 4, 3]), kernel),
      /^Convolving: the images must have 2 channels for a weight \[2,2,2,4\] in 1 group, found the shape \[1,3,4,3\]\.$/,
    );
    refused(
      () => ops.conv2d(ops.zeros([1, 3, 4, 6]), kernel, { groups: 3 }),
      /the output channels must be a multiple of the groups, found a weight \[2,2,2,4\] with 3 groups\.$/,
    );
    refused(
      () => ops.conv2d(images, ops.zeros([5, 2, 2, 1]), { padding: 0 }),
      /^Convolving: the images must be at least 5×2 for a window of 5×2 with padding 0, found 3×4\.$/,
    );
    refused(
      () => ops.conv2d(images, kernel, { dilation: 4 }),
      /must be at least 5×5 for a window of 5×5/,
    );
    refused(() => ops.conv2d(images, kernel, { stride: 0 }), /stride must be .* found 0\.$/);
    refused(() => ops.conv2d(images, kernel, { stride: [1, 1.5] }), /stride must be .* found 1.5/);
    refused(() => ops.conv2d(images, kernel, { dilation: -1 }), /dilation must be .* found -1/);
    refused(
      () => ops.conv2d(images, kernel, { padding: -1 }),
      /padding must be "same", "valid" or a whole number of at least 0, found -1\.$/,
    );
    refused(() => ops.conv2d(images, kernel, { padding: NaN }), /found NaN\.$/);
    refused(() => ops.conv2d(images, kernel, { padding: "full" as "same" }), /found "full"\.$/);
    refused(() => ops.conv2d(images, kernel, { groups: 0.5 }), /groups must be .* found 0.5\.$/);
    refused(
      () => ops.conv2d(ops.zeros([0, 3, 4, 2]), kernel),
      /the images must not be empty, found the shape \[0,3,4,2\]/,
    );
    refused(
      () => ops.conv2d(images, ops.zeros([2, 2, 2, 0])),
      /the weight must not be empty, found the shape \[2,2,2,0\]/,
    );
    refused(() => ops.conv2d(ops.zeros([3, 4, 2]) as never, kernel), /must be \[batch, height/);
    refused(() => ops.conv2d(images, ops.zeros([2, 2, 2]) as never), /must be \[height, width, in/);
    refused(() => ops.maxPool(images, { kernelSize: 0 }), /kernelSize must be .* found 0\.$/);
    refused(
      () => ops.maxPool(images, { kernelSize: 4 }),
      /^Max pooling: the images must be at least 4×4/,
    );
    refused(
      () => ops.maxPool(images, { kernelSize: 2, padding: 2 }),
      /^Max pooling: padding must be at most half the window, found 2 with a window of 2×2\.$/,
    );
    refused(() => ops.avgPool(images, { kernelSize: 2, stride: 0 }), /stride must be .* found 0/);
    refused(() => ops.avgPool(ops.zeros([0, 3, 4, 2]), { kernelSize: 2 }), /must not be empty/);
    refused(
      () => ops.localResponseNorm(images, { size: 4 }),
      /^Local response normalisation: size must be odd, found 4\.$/,
    );
    refused(() => ops.localResponseNorm(images, { alpha: NaN }), /alpha must be a finite number/);

    const whole = ops.ones([1, 3, 4, 2], "int32");
    const wrongKind = { name: "TypeError", message: /the images must be float32, found int32/ };
    assert.throws(() => ops.conv2d(whole, kernel), wrongKind);
    assert.throws(() => ops.maxPool(whole, { kernelSize: 2 }), wrongKind);
    assert.throws(() => ops.avgPool(whole, { kernelSize: 2 }), wrongKind);
    assert.throws(() => ops.localResponseNorm(whole), wrongKind);
  });
});

for (
  const [padding, inChannels, [height, width]] of [
    [2, 1, [5, 5]],
    [0, 3, [3, 2]],
    ["same", 2, [2, 3]],
  ] as const
) {
  const title = `${inChannels} channels, kernel ${height}×${width}, padding ${padding}`;
  Deno.test(`the gradient of a weight for few channels is the sum over all windows, ${title}`, () => {
    const batch = 32, size = 7, outChannels = 4, random = new Random(1);
    const integers = (shape: [number, number, number, number]): Tensor4D =>
      ops.floor(random.uniform(shape, { min: -3, max: 4 }));
    tidy(() => {
      const x = integers([batch, size, size, inChannels]);
      const weight = integers([height, width, inChannels, outChannels]);
      const forward = (weight: Tensor4D) => ops.conv2d(x, weight, { padding });
      const dy = integers(forward(weight).shape);
      const gradient = grad((weight: Tensor4D) => ops.sum(ops.mul(forward(weight), dy)))(weight);
      const images = x.arraySync(), upstream = dy.arraySync();
      const [, rows, columns] = dy.shape;
      // "same" pads one more at the end if the number is odd.
      const [above, left] = [height, width].map((extent) =>
        padding === "same" ? Math.floor((extent - 1) / 2) : padding
      );
      const expected: number[] = [];
      for (let u = 0; u < height; u++) {
        for (let v = 0; v < width; v++) {
          for (let c = 0; c < inChannels; c++) {
            for (let o = 0; o < outChannels; o++) {
              let sum = 0;
              for (let n = 0; n < batch; n++) {
                for (let i = 0; i < rows; i++) {
                  for (let j = 0; j < columns; j++) {
                    const pixel = images[n]?.[i + u - above!]?.[j + v - left!]?.[c] ?? 0;
                    sum += pixel * upstream[n]![i]![j]![o]!;
                  }
                }
              }
              expected.push(sum);
            }
          }
        }
      }
      assertClose(gradient.dataSync(), expected, 1e-6);
    });
  });
}
