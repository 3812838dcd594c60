import assert from "node:assert/strict";
import { batchNorm, grad, ops, type Tensor, type Tensor1D, type Tensor2D, tidy } from "resnet-lab";
import { assertClose, testOnEachBackend } from "../_helpers.ts";
import { assertAsPyTorch, fixtures, numbers, read } from "./_helpers.ts";

for (const fixture of fixtures.batchNorm) {
  const { inputs, options: { epsilon }, mean, variance, y } = fixture;
  testOnEachBackend(`batch norm in training is PyTorch's, [${inputs.x.shape}]`, () => {
    assertAsPyTorch(
      fixture,
      ({ x, scale, offset }) =>
        ops.batchNormTraining(x, scale as Tensor1D, offset as Tensor1D, epsilon).y,
    );
  });
  testOnEachBackend(`running statistics are PyTorch's, [${inputs.x.shape}]`, () => {
    tidy(() => {
      const [x, scale, offset] = [
        read(inputs.x),
        read<Tensor1D>(inputs.scale),
        read<Tensor1D>(inputs.offset),
      ];
      const result = ops.batchNormTraining(x, scale, offset, epsilon);
      assertClose(result.mean, numbers(mean));
      assertClose(result.variance, numbers(variance));
      // With the batch's own biased variance, inference does what training did.
      const count = x.size / scale.size;
      const biased = ops.mul(result.variance, (count - 1) / count);
      const again = ops.batchNormInference(x, {
        mean: result.mean,
        variance: biased,
        weight: scale,
        bias: offset,
        epsilon,
      });
      assertClose(again, numbers(y));
    });
  });
}

testOnEachBackend("no gradient flows through the statistics", () => {
  tidy(() => {
    const x = ops.tensor([[1, 2], [3, 5]]);
    const statistics = (x: Tensor2D) => {
      const { mean, variance } = ops.batchNormTraining(x, ops.ones([2]), ops.zeros([2]), 0.1);
      return ops.sum(ops.add(mean, variance));
    };
    assertClose(grad(statistics)(x), [0, 0, 0, 0]);
  });
});

testOnEachBackend("a single value has variance 0", () => {
  tidy(() => {
    const { y, variance } = ops.batchNormTraining(
      ops.tensor([[3]]),
      ops.ones([1]),
      ops.ones([1]),
      1,
    );
    assertClose(y, [1]);
    assertClose(variance, [0]);
  });
});

testOnEachBackend("batch norm refuses what does not fit in words", () => {
  tidy(() => {
    const x = ops.ones([2, 3]), three = ops.ones([3]);
    const train = (x: Tensor, scale = three, offset = three, epsilon = 1e-5) => () =>
      ops.batchNormTraining(x, scale, offset, epsilon);
    const refused = (run: () => unknown, message: RegExp) =>
      assert.throws(run, { name: "RangeError", message });
    refused(
      train(x, ops.ones([2])),
      /^Normalising a batch: weight must have one number for each of the 3 channels of \[2,3\], found 2\.$/,
    );
    refused(train(x, three, ops.ones([1])), /bias must have one number .* found 1\.$/);
    refused(train(ops.ones([2, 2, 3])), /or \[batch, height, width, channels\] .* \[2,2,3\]\.$/);
    refused(train(ops.ones([0, 3])), /not empty, found the shape \[0,3\]\.$/);
    refused(
      train(x, three, three, -1),
      /epsilon must be a finite number of at least 0, found -1\.$/,
    );
    refused(
      train(x, three, three, NaN),
      /epsilon must be a finite number of at least 0, found NaN\.$/,
    );
    assert.throws(train(ops.ones([2, 3], "int32")), {
      name: "TypeError",
      message: /x must be float32, found int32/,
    });
    refused(
      () =>
        ops.batchNormInference(x, {
          mean: three,
          variance: ops.ones([4]),
          weight: three,
          bias: three,
          epsilon: 1,
        }),
      /^Normalising with given statistics: variance must have one number .* found 4\.$/,
    );
  });
});

Deno.test("batches are freed where only running statistics are kept", () => {
  const layer = batchNorm(16), images = ops.ones([1, 256, 256, 16]); // 4 MB
  const train = (steps: number) => {
    for (let step = 0; step < steps; step++) {
      tidy(() => void layer.forward(ops.add(images, 1) as typeof images, { training: true }));
    }
  };
  train(8); // TensorFlow keeps some memory for later ops.
  const before = Deno.memoryUsage().rss;
  train(56);
  assert(Deno.memoryUsage().rss - before < 128 * 2 ** 20);
  assertClose(layer.runningMean, Array(16).fill(2 * (1 - 0.9 ** 64)));
  images.dispose();
  layer.dispose();
});
