import assert from "node:assert/strict";
import { grad, ops, Random, type Tensor2D, tidy } from "resnet-lab";
import { assertClose, assertNoLeak, testOnEachBackend } from "../_helpers.ts";
import { assertAsPyTorch, fixtures } from "./_helpers.ts";

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

testOnEachBackend(
  "cross-entropy with labels is the mean of that with targets, with its gradient",
  () =>
    assertNoLeak(() =>
      tidy(() => {
        const logits = new Random(1).normal([7, 5]),
          labels = ops.tensor([4, 0, 1, 1, 2, 3, 0], [7], "int32");
        const byTargets = (x: Tensor2D) =>
          ops.mean(ops.softmaxCrossEntropy(x, ops.oneHot(labels, 5)));
        const byLabels = (x: Tensor2D) => ops.labelCrossEntropy(x, labels);
        assertClose(byLabels(logits), byTargets(logits), 1e-6);
        const three = ops.scalar(3);
        assertClose(grad(byLabels)(logits, three), grad(byTargets)(logits, three), 1e-6);
        const certain = ops.tensor([[1000, -1000]]), wrong = ops.tensor([1], [1], "int32");
        assertClose(ops.labelCrossEntropy(certain, wrong), [2000]);
      })
    ),
);

testOnEachBackend(
  "cross-entropy with labels has one gradient, and refuses what does not fit in words",
  () => {
    tidy(() => {
      const logits = ops.ones([2, 3]), labels = ops.tensor([0, 1], [2], "int32");
      const slope = (x: Tensor2D) => grad((x: Tensor2D) => ops.labelCrossEntropy(x, labels))(x);
      assert.throws(() => grad((x: Tensor2D) => ops.sum(slope(x)))(logits), {
        name: "TypeError",
        message: /must have a gradient, found ResnetLabLabelCrossEntropyBackprop, which has none/,
      });
      assert.throws(() => ops.labelCrossEntropy(logits, ops.tensor([0], [1], "int32")), {
        name: "RangeError",
        message:
          "Taking the cross-entropy with labels: there must be a label for each row of the logits [2,3], found 1.",
      });
      assert.throws(() => ops.labelCrossEntropy(logits, ops.tensor([0, 1])), {
        name: "TypeError",
        message: /the labels must be int32, found float32/,
      });
    });
  },
);
