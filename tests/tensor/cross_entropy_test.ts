import assert from "node:assert/strict";
import { grad, ops, type Tensor2D, tidy } from "resnet-lab";
import { assertClose, testOnEachBackend } from "../helpers.ts";
import { assertAsPyTorch, fixtures } from "./fixtures.ts";

for (const fixture of fixtures.crossEntropy) {
  const { labels, labelSmoothing } = fixture.options;
  testOnEachBackend(`cross-entropy is PyTorch's, label smoothing ${labelSmoothing}`, () => {
    tidy(() => {
      const right = ops.oneHot(ops.tensor(labels, [labels.length], "int32"), 5);
      const targets = ops.add(ops.mul(right, 1 - labelSmoothing), labelSmoothing / 5);
      assertAsPyTorch(
        fixture,
        ({ logits }) => ops.softmaxCrossEntropy(logits as Tensor2D, targets),
      );
    });
  });
}

testOnEachBackend("cross-entropy does not overflow", () => {
  tidy(() => {
    const logits = ops.tensor([[1000, -1000], [1000, -1000]]);
    const targets = ops.tensor([[1, 0], [0, 1]]);
    assertClose(ops.softmaxCrossEntropy(logits, targets), [0, 2000]);
    const total = (x: Tensor2D) => ops.sum(ops.softmaxCrossEntropy(x, targets));
    assertClose(grad(total)(logits), [0, 0, 1, -1]);
  });
});

testOnEachBackend("no gradient flows to the targets", () => {
  tidy(() => {
    const logits = ops.tensor([[1, 2]]);
    const total = (x: Tensor2D) => ops.sum(ops.softmaxCrossEntropy(logits, x));
    assertClose(grad(total)(ops.tensor([[0.5, 0.5]])), [0, 0]);
  });
});

testOnEachBackend("cross-entropy refuses what does not fit in words", () => {
  tidy(() => {
    const logits = ops.ones([2, 3]);
    assert.throws(() => ops.softmaxCrossEntropy(logits, ops.ones([1, 3])), {
      name: "RangeError",
      message:
        "Taking the cross-entropy: the targets must have the shape of the logits, [2,3], found [1,3].",
    });
    assert.throws(() => ops.softmaxCrossEntropy(ops.ones([3]) as never, ops.ones([3]) as never), {
      name: "RangeError",
      message:
        "Taking the cross-entropy: the logits must be [batch, classes], found the shape [3].",
    });
    assert.throws(() => ops.softmaxCrossEntropy(logits, ops.ones([2, 3], "int32")), {
      name: "TypeError",
      message: /the targets must be float32, found int32/,
    });
  });
});
