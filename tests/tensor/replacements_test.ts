import {
  grad,
  memory,
  ops,
  Random,
  type Tensor,
  type Tensor2D,
  type Tensor4D,
  tidy,
  variable,
  withBackend,
} from "resnet-lab";
import assert from "node:assert/strict";
import { assertClose, assertNoLeak, testOnEachBackend } from "../_helpers.ts";
import { updateByMomentum } from "../../lib/tensor/internal.ts";

/** Asserts that work gives the same on the plain JavaScript backend as on this one. */
async function assertSameAsPortable(work: () => Tensor[], tolerance: number): Promise<void> {
  const run = () => {
    const results: ArrayLike<number>[] = [];
    tidy(() => work().forEach((result) => results.push(result.dataSync())));
    return results;
  };
  const actual = run();
  const expected = await withBackend("cpu", run);
  expected.forEach((values, i) => assertClose(actual[i]!, values, tolerance));
}

for (
  const window of [
    { kernelSize: 2 },
    { kernelSize: 3, stride: 2 },
    { kernelSize: 3, stride: 2, padding: 1 },
    { kernelSize: 3, stride: 1, padding: 1 },
    { kernelSize: [2, 3], stride: [1, 2], padding: "valid" },
    { kernelSize: 3, stride: 2, padding: "same" },
  ] as const
) {
  Deno.test(`max pooling and its gradient are those of the plain backend, ${JSON.stringify(window)}`, async () => {
    await assertNoLeak(() =>
      assertSameAsPortable(() => {
        const random = new Random(1);
        // Whole numbers, so that windows have ties: the first wins.
        const numbers = Array.from({ length: 3 * 9 * 8 * 5 }, () => random.integer(7) - 3);
        const x: Tensor4D = ops.tensor(numbers, [3, 9, 8, 5]);
        const pool = (x: Tensor4D) => ops.maxPool(x, window);
        const y = pool(x);
        const weights = ops.tensor(Array.from({ length: y.size }, (_, i) => i % 7 - 3), y.shape);
        return [y, grad(pool)(x, weights)];
      }, 0)
    );
  });
}

Deno.test("what max pooling notes for the way back is gone with its output, and counts as no tensor", async () => {
  await assertNoLeak(() => {
    using x = new Random(1).normal([2, 4, 4, 3]);
    using y = ops.maxPool(x, { kernelSize: 2 });
    const before = memory().tensors;
    using dx = grad((x: Tensor4D) => ops.maxPool(x, { kernelSize: 2 }))(x, y);
    assert.equal(dx.size, x.size);
    assert.equal(memory().tensors, before + 1);
  });
});

for (const [m, k, n] of [[5, 7, 3], [2, 2048, 1024]] as const) {
  Deno.test(`the product of [${m}, ${k}] and [${k}, ${n}] and its gradients are those of the plain backend`, async () => {
    await assertNoLeak(() =>
      assertSameAsPortable(() => {
        const random = new Random(2);
        const a = random.normal([m, k]), b = random.normal([k, n]), dy = random.normal([m, n]);
        return [
          ops.matMul(a, b),
          grad((a: Tensor2D) => ops.matMul(a, b))(a, dy),
          grad((b: Tensor2D) => ops.matMul(a, b))(b, dy),
        ];
      }, 1e-3)
    );
  });
}

testOnEachBackend(
  "a conversion to the type that a variable has outlives it, and its updates",
  () =>
    assertNoLeak(() => {
      const w = variable(ops.tensor([1, 2]));
      using same = ops.cast(w, "float32"), whole = ops.cast(w, "int32");
      using g = ops.ones([2]);
      updateByMomentum(w, undefined, g, {
        learningRate: 1,
        momentum: 0,
        nesterov: false,
        weightDecay: 0,
      });
      assert.deepEqual([...w.dataSync()], [0, 1]);
      w.dispose();
      assert.deepEqual([...same.dataSync(), ...whole.dataSync()], [1, 2, 1, 2]);
    }),
);
