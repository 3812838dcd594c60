import {
  backend,
  memory,
  ops,
  sgd,
  type Tensor,
  tidy,
  valueAndGradients,
  variable,
  withBackend,
  withPrecision,
} from "resnet-lab";
import assert from "node:assert/strict";
import { assertClose, assertNoLeak, testOnEachBackend } from "../_helpers.ts";
import { updateByMomentum } from "../../lib/tensor/internal.ts";

const plain = { learningRate: 0.5, momentum: 0.5, nesterov: false, weightDecay: 0 };
const values = (...tensors: Tensor[]) => tensors.map((x) => [...x.dataSync()]);

testOnEachBackend(
  "an update leaves copies of the variable, and what was computed with it, as they were",
  () =>
    assertNoLeak(() => {
      using w = variable(ops.tensor([1, 2])), v = variable(ops.zeros([2])), g = ops.ones([2]);
      for (let step = 0; step < 3; step++) {
        const before = values(w)[0]!;
        using copy = ops.clone(w),
          other = ops.clone(v),
          row = ops.reshape(w, [1, 2]),
          negative = ops.neg(w);
        const speed = values(v)[0]!;
        updateByMomentum(w, v, g, plain);
        assert.deepEqual(values(copy, row, other), [before, before, speed]);
        assert.deepEqual(values(negative)[0], before.map((x) => -x));
        assert.deepEqual(values(v)[0], speed.map((x) => 0.5 * x + 1));
        assert.deepEqual(values(w)[0], before.map((x, i) => x - 0.5 * (0.5 * speed[i]! + 1)));
      }
    }),
);

testOnEachBackend(
  "an updated variable can be assigned, read, computed with and updated again",
  () =>
    assertNoLeak(() => {
      using w = variable(ops.tensor([1])), v = variable(ops.zeros([1])), g = ops.ones([1]);
      updateByMomentum(w, v, g, plain);
      using ten = ops.tensor([10]);
      w.assign(ten);
      assert.deepEqual(values(w), [[10]]);
      updateByMomentum(w, v, g, plain);
      assert.deepEqual(values(w, v, ten), [[10 - 0.75], [1.5], [10]]);
      using twice = ops.add(w, w);
      assert.deepEqual(values(twice), [[18.5]]);
      updateByMomentum(w, v, w, plain); // Its own value as gradient.
      assert.deepEqual(values(w, v), [[9.25 - 5], [10]]);
    }),
);

testOnEachBackend("numbers that TensorFlow was lent are not written to", () => {
  const numbers = Float32Array.of(1, 2);
  using given = ops.tensor(numbers);
  using w = variable(ops.clone(given)), g = ops.ones([2]);
  for (let step = 0; step < 2; step++) updateByMomentum(w, undefined, g, plain);
  assert.deepEqual(values(w, given), [[0, 1], [1, 2]]);
  assert.deepEqual([...numbers], [1, 2]);
});

Deno.test("an updated variable moves to another backend and back", async () => {
  using w = variable(ops.tensor([1])), v = variable(ops.zeros([1]));
  const step = () => {
    using g = ops.ones([1]);
    updateByMomentum(w, v, g, plain);
  };
  step(); // v = 1, w = 0.5
  await withBackend("cpu", step); // v = 1.5, w = -0.25
  assert.deepEqual(values(w, v), [[-0.25], [1.5]]);
  step();
  assert.deepEqual(values(w, v), [[-0.25 - 0.875], [1.75]]);
});

Deno.test("updates count no tensors, and hold no more bytes", () =>
  assertNoLeak(() => {
    using w = variable(ops.ones([256])), v = variable(ops.zeros([256])), g = ops.ones([256]);
    const before = memory();
    for (let step = 0; step < 100; step++) {
      // More rates than are remembered as scalars.
      updateByMomentum(w, v, g, { ...plain, learningRate: 1 / (step + 1) });
    }
    assert.deepEqual(memory(), before);
  }));

Deno.test(
  "a gradient in bfloat16 updates a parameter in float32",
  { ignore: backend() !== "tensorflow" },
  () => {
    tidy(() => {
      const w = variable(ops.ones([1, 2, 2, 1])), kernel = variable(ops.ones([1, 1, 1, 1]));
      const { gradients } = withPrecision(
        "bf16",
        () =>
          valueAndGradients(() => ops.sum(ops.conv2d(ops.relu(ops.conv2d(w, kernel)), kernel)), [
            w,
            kernel,
          ]),
      );
      sgd([w, kernel], { learningRate: 1 }).step(gradients);
      assertClose(w, [0, 0, 0, 0]);
      assertClose(kernel, [1 - 8]);
      w.dispose();
      kernel.dispose();
    });
  },
);

Deno.test(
  "a whole loop in bfloat16 computes with the parameters of each step",
  { ignore: backend() !== "tensorflow" },
  () =>
    assertNoLeak(() => {
      using w = variable(ops.ones([1, 1])), x = ops.ones([1, 1]);
      using optimizer = sgd([w], { learningRate: 0.5 });
      const seen = withPrecision("bf16", () =>
        [1, 2, 3, 4].map(() => {
          let product = 0;
          tidy(() => {
            const { value, gradients } = valueAndGradients(() => ops.sum(ops.matMul(x, w)), [w]);
            optimizer.step(gradients);
            product = value.dataSync()[0]!;
          });
          return product;
        }));
      assert.deepEqual(seen, [1, 0.5, 0, -0.5]);
    }),
);

Deno.test(
  "a gradient in bfloat16 updates a parameter within bfloat16 as well",
  { ignore: backend() !== "tensorflow" },
  () => {
    using w = variable(ops.ones([1, 2, 2, 1]));
    withPrecision("bf16", () =>
      tidy(() => {
        const kernel = ops.ones([1, 1, 1, 1]);
        const f = () => ops.sum(ops.conv2d(ops.relu(ops.conv2d(w, kernel)), kernel));
        sgd([w], { learningRate: 1 }).step(valueAndGradients(f, [w]).gradients);
      }));
    assertClose(w, [0, 0, 0, 0]);
  },
);
