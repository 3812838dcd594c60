import assert from "node:assert/strict";
import { clipGradients, dispose, gradientNorm, ops, type Tensor } from "resnet-lab";
import { assertClose, assertNoLeak, testOnEachBackend } from "../helpers.ts";
import fixtures from "../fixtures/train.json" with { type: "json" };

const given = () =>
  fixtures.gradients[0]!.map((values, i): Tensor => ops.tensor(values, fixtures.shapes[i]!));

for (const { maxNorm, norm, gradients } of fixtures.clipped) {
  testOnEachBackend(`clipGradients to ${maxNorm} is PyTorch's`, () =>
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

testOnEachBackend("clipGradients by hand keeps the direction", () => {
  const { gradients, norm } = clipGradients([ops.tensor([3]), ops.tensor([[0, 4]])], 1);
  assert.equal(norm, 5);
  assertClose(gradients[0]!, [0.6]);
  assertClose(gradients[1]!, [0, 0.8]);
});

testOnEachBackend("clipGradients gives tensors of their own even where nothing is clipped", () => {
  const before = ops.tensor([3]);
  const { gradients } = clipGradients([before], 10);
  before.dispose();
  assert.deepEqual([...gradients[0]!.dataSync()], [3]);
});

Deno.test("clipGradients refuses a norm that is not positive, gradients that are not finite, and none", () =>
  assertNoLeak(() => {
    using one = ops.tensor([1]), broken = ops.tensor([1, NaN]);
    for (const maxNorm of [0, -1, NaN]) {
      assert.throws(() => clipGradients([one], maxNorm), {
        name: "RangeError",
        message: `Clipping gradients: maxNorm must be positive, found ${maxNorm}.`,
      });
    }
    assert.throws(() => clipGradients([one, broken], 1), {
      name: "RangeError",
      message: "Clipping gradients: their norm must be finite, found NaN.",
    });
    assert.throws(() => gradientNorm([]), { name: "RangeError", message: /found none/ });
  }));
