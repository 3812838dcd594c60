import assert from "node:assert/strict";
import { dispose, gradientNorm, ops, type Tensor } from "resnet-lab";
import { clipGradients } from "../../lib/train/clip.ts";
import { assertClose, assertNoLeak, testOnEachBackend } from "../_helpers.ts";
import fixtures from "../fixtures/train.json" with { type: "json" };

const given = () =>
  fixtures.gradients[0]!.map((values, i): Tensor => ops.tensor(values, fixtures.shapes[i]!));

for (const { maxNorm, norm, gradients } of fixtures.clipped) {
  testOnEachBackend(`clipGradients() to ${maxNorm} is PyTorch's`, () =>
    assertNoLeak(() => {
      const before = given();
      assertClose(gradientNorm(before), norm);
      const clipped = clipGradients(before, gradientNorm(before), maxNorm);
      clipped.forEach((gradient, i) => {
        assert.deepEqual(gradient.shape, fixtures.shapes[i]);
        assertClose(gradient, gradients[i]!);
      });
      assertClose(gradientNorm(clipped), Math.min(norm, maxNorm));
      dispose(before);
      if (clipped !== before) dispose([...clipped]);
    }));
}

testOnEachBackend("clipGradients() by hand keeps the direction", () => {
  const [first, second] = clipGradients([ops.tensor([3]), ops.tensor([[0, 4]])], 5, 1);
  assertClose(first!, [0.6]);
  assertClose(second!, [0, 0.8]);
});

Deno.test("clipGradients() returns the gradients themselves if nothing is clipped", () => {
  using gradient = ops.tensor([3]);
  const gradients = [gradient];
  for (const maxNorm of [3, 10, Infinity]) {
    assert.equal(clipGradients(gradients, 3, maxNorm), gradients);
  }
});

/**
 * By hand, with the sides of right triangles; PyTorch's clip_grad_norm_ gives infinity or 0 for
 * these.
 */
for (
  const [a, b, norm] of [
    [3e20, 4e20, 5e20],
    [1.4e19, 1.4e19, Math.SQRT2 * 1.4e19],
    [3e38, 3e38, Math.SQRT2 * 3e38],
    [3e-30, 4e-30, 5e-30],
    [3e-20, 4e-20, 5e-20],
    [1e30, 1e-30, 1e30],
  ] as const
) {
  testOnEachBackend(
    `gradients of ${a} and ${b} have the norm ${norm}, and are clipped to any`,
    () =>
      assertNoLeak(() => {
        using x = ops.tensor([a, 0]), y = ops.tensor([[0], [b]]);
        const measured = gradientNorm([x, y]);
        assert(Math.abs(measured / norm - 1) < 1e-6);
        for (const maxNorm of [norm / 2, norm * 1e-5, 1]) {
          const gradients = clipGradients([x, y], measured, maxNorm);
          const factor = Math.min(1, maxNorm / norm);
          [a, b].forEach((length, i) => {
            const clipped = gradients[i]!.dataSync()[i]!;
            assert(
              Math.abs(clipped - length * factor) <= 1e-5 * length * factor + 1e-44,
              `${clipped}, expected ${length * factor}`,
            );
          });
          if (norm > maxNorm) dispose([...gradients]);
        }
      }),
  );
}

testOnEachBackend("gradientNorm() of zeros and of nothing is 0, and NaN and infinity stay", () => {
  assert.equal(gradientNorm([ops.zeros([3]), ops.zeros([0])]), 0);
  assert.equal(gradientNorm([ops.tensor([1, NaN]), ops.tensor([Infinity])]), NaN);
  assert.equal(gradientNorm([ops.tensor([1, -Infinity])]), Infinity);
});

Deno.test("gradientNorm() refuses what is no tensor or was disposed, and no gradients", () => {
  const gone = ops.ones([2]);
  gone.dispose();
  assert.throws(() => gradientNorm([gone]), { name: "TypeError", message: /must be alive/ });
  assert.throws(() => gradientNorm([1] as never), {
    name: "TypeError",
    message: /must be a tensor/,
  });
  assert.throws(() => gradientNorm([]), { name: "RangeError", message: /found none/ });
});
