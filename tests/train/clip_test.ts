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
      const clipped = clipGradients(before, maxNorm);
      assertClose(clipped.norm, norm);
      clipped.gradients.forEach((gradient, i) => {
        assert.deepEqual(gradient.shape, fixtures.shapes[i]);
        assertClose(gradient, gradients[i]!);
      });
      assertClose(gradientNorm(clipped.gradients), Math.min(norm, maxNorm));
      dispose(before);
      dispose(clipped.gradients);
    }));
}

testOnEachBackend("clipGradients() by hand keeps the direction", () => {
  const { gradients, norm } = clipGradients([ops.tensor([3]), ops.tensor([[0, 4]])], 1);
  assert.equal(norm, 5);
  assertClose(gradients[0]!, [0.6]);
  assertClose(gradients[1]!, [0, 0.8]);
});

testOnEachBackend("clipGradients() returns new tensors even if nothing is clipped", () => {
  const before = ops.tensor([3]);
  const { gradients } = clipGradients([before], 10);
  before.dispose();
  assert.deepEqual([...gradients[0]!.dataSync()], [3]);
});

Deno.test("clipGradients() refuses a norm that is not positive, gradients that are not finite, and none", () =>
  assertNoLeak(() => {
    using one = ops.tensor([1]), broken = ops.tensor([1, NaN]);
    for (const maxNorm of [0, -1, NaN]) {
      assert.throws(() => clipGradients([one], maxNorm), {
        name: "RangeError",
        message: `Clipping gradients: maxNorm must be a positive number, found ${maxNorm}.`,
      });
    }
    assert.throws(() => clipGradients([one, broken], 1), {
      name: "RangeError",
      message: "Clipping gradients: the norm of the gradients must be finite, found NaN.",
    });
    assert.throws(() => gradientNorm([]), { name: "RangeError", message: /found none/ });
  }));

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
        assert(Math.abs(gradientNorm([x, y]) / norm - 1) < 1e-6);
        for (const maxNorm of [norm / 2, norm * 1e-5, 1]) {
          const { gradients, norm: before } = clipGradients([x, y], maxNorm);
          assert(Math.abs(before / norm - 1) < 1e-6);
          const factor = Math.min(1, maxNorm / norm);
          [a, b].forEach((length, i) => {
            const clipped = gradients[i]!.dataSync()[i]!;
            assert(
              Math.abs(clipped - length * factor) <= 1e-5 * length * factor + 1e-44,
              `${clipped}, expected ${length * factor}`,
            );
          });
          dispose(gradients);
        }
      }),
  );
}

testOnEachBackend("gradientNorm() of zeros and of nothing is 0, and NaN and infinity stay", () => {
  assert.equal(gradientNorm([ops.zeros([3]), ops.zeros([0])]), 0);
  assert.equal(gradientNorm([ops.tensor([1, NaN]), ops.tensor([Infinity])]), NaN);
  assert.equal(gradientNorm([ops.tensor([1, -Infinity])]), Infinity);
});

Deno.test("gradientNorm() refuses what is no tensor or was disposed", () => {
  const gone = ops.ones([2]);
  gone.dispose();
  assert.throws(() => gradientNorm([gone]), { name: "TypeError", message: /must be alive/ });
  assert.throws(() => gradientNorm([1] as never), {
    name: "TypeError",
    message: /must be a tensor/,
  });
  assert.throws(
    () => clipGradients([ops.ones([1])], "1" as never),
    /maxNorm must be a positive number/,
  );
});
