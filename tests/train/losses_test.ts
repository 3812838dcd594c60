import assert from "node:assert/strict";
import {
  binaryCrossEntropy,
  crossEntropy,
  type Features,
  grad,
  type Labels,
  meanSquaredError,
  ops,
  type Scalar,
} from "resnet-lab";
import { assertClose, assertNoLeak, centralDifference, testOnEachBackend } from "../_helpers.ts";
import fixtures from "../fixtures/train.json" with { type: "json" };

const int32 = (values: number[]): Labels => ops.tensor(values, undefined, "int32");

for (const { labelSmoothing, loss, gradient } of fixtures.losses) {
  testOnEachBackend(`crossEntropy() is PyTorch's with label smoothing ${labelSmoothing}`, () => {
    const logits = ops.tensor(fixtures.logits, [4, 5]);
    const labels = int32(fixtures.labels);
    const f = (x: Features) => crossEntropy(x, labels, { labelSmoothing });
    assertClose(f(logits), loss);
    assertClose(grad(f)(logits), gradient);
    assertClose(
      grad(f)(logits),
      centralDifference((x) => f(ops.reshape(x, [4, 5])), logits),
      2e-3,
    );
  });
}

// Computed in Python from the formula of torch.nn.CrossEntropyLoss with `weight` and
// `label_smoothing`, and its gradient `(softmax · Σⱼ wⱼ targetⱼ − w · target) / Σᵢ w[labelᵢ]`.
for (
  const [labelSmoothing, loss, gradient] of [
    [0, 0.9546434331609897, [
      ...[0.0824896, 0.0184059, -0.1008955, -0.0165623, 0.012108, 0.0044543],
      ...[0.0082633, -0.1742361, 0.1659728, 0.2039561, -0.2076917, 0.0037356],
    ]],
    [0.2, 1.145405180910447, [
      ...[0.0710065, 0.0010324, -0.0720389, 0.0194549, 0.0044938, -0.0239487],
      ...[0.0044795, -0.1418459, 0.1373665, 0.2034338, -0.1758591, -0.0275747],
    ]],
  ] as const
) {
  testOnEachBackend(`crossEntropy() with class weights, label smoothing ${labelSmoothing}`, () => {
    const rows = [[0.5, -1, 2], [1.5, 0.25, -0.75], [-2, 0, 1], [3, 1, -1]];
    const options = { classWeights: [0.5, 2, 4], labelSmoothing };
    const f = (x: Features) => crossEntropy(x, int32([2, 0, 1, 1]), options);
    assertClose(f(ops.tensor(rows)), loss);
    assertClose(grad(f)(ops.tensor(rows)), gradient);
  });
}

Deno.test("crossEntropy() refuses class weights that do not fit", () => {
  const refuse = (classWeights: unknown, name: string, message: RegExp) =>
    assert.throws(
      () => crossEntropy(ops.zeros([1, 2]), int32([0]), { classWeights } as never),
      { name, message },
    );
  refuse([1], "RangeError", /classWeights must be a weight for each of 2 classes, found 1\./);
  refuse([1, 0], "RangeError", /classWeights\[1\] must be a positive number, found 0\./);
  refuse({ cat: 1 }, "TypeError", /classWeights must be an array/);
});

const targetLosses = {
  binaryCrossEntropy,
  "binaryCrossEntropy, weighted": (logits: Features, targets: Features) =>
    binaryCrossEntropy(logits, targets, { positiveWeights: [0.5, 1, 8] }),
  meanSquaredError,
};
for (const { name, loss, gradient } of fixtures.targets.losses) {
  testOnEachBackend(`${name} is PyTorch's, of logits up to 90`, () => {
    const outputs = ops.tensor(fixtures.targets.outputs, [4, 3]);
    const targets = ops.tensor(fixtures.targets.targets, [4, 3]);
    const f = (x: Features) => targetLosses[name as keyof typeof targetLosses](x, targets);
    assertClose(f(outputs), loss, 1e-6);
    assertClose(grad(f)(outputs), gradient, 1e-6);
  });
}

testOnEachBackend("binaryCrossEntropy() by hand: a probability of ½ costs log 2, any shape", () => {
  assertClose(binaryCrossEntropy(ops.zeros([2, 3]), ops.ones([2, 3])), Math.LN2);
  assertClose(binaryCrossEntropy(ops.zeros([4]), ops.zeros([4])), Math.LN2);
  // Very certain and right costs nothing, wrong the logit.
  assertClose(binaryCrossEntropy(ops.tensor([1e4]), ops.tensor([1])), 0);
  assertClose(binaryCrossEntropy(ops.tensor([1e4]), ops.tensor([0])), 1e4);
});

testOnEachBackend(
  "crossEntropy() by hand: equal logits are worth the logarithm of the classes",
  () => {
    assertClose(crossEntropy(ops.zeros([3, 8]), int32([0, 7, 3])), Math.log(8));
    // Certain and right costs nothing. Certain and wrong costs the difference of the logits.
    assertClose(crossEntropy(ops.tensor([[1000, 0]]), int32([0])), 0);
    assertClose(crossEntropy(ops.tensor([[1000, 0]]), int32([1])), 1000);
  },
);

testOnEachBackend(
  "crossEntropy() and meanSquaredError() leave one tensor, gradients none",
  () =>
    assertNoLeak(() => {
      const logits = ops.zeros([2, 3]);
      const labels = int32([0, 1]);
      const made = [
        crossEntropy(logits, labels, { labelSmoothing: 0.1 }),
        grad((x: Features) => crossEntropy(x, labels))(logits),
        meanSquaredError(logits, logits),
        binaryCrossEntropy(logits, logits, { positiveWeights: [1, 2, 3] }),
        grad((x: Features) => binaryCrossEntropy(x, logits))(logits),
      ];
      [logits, labels, ...made].forEach((x) => x.dispose());
    }),
);

const wrong: [
  name: string,
  run: () => Scalar,
  error: "RangeError" | "TypeError",
  message: RegExp,
][] = [
  [
    "labels of float32",
    () => crossEntropy(ops.zeros([1, 2]), ops.tensor([0])),
    "TypeError",
    /^Computing the cross-entropy: the labels must be int32, found float32\. Convert it by ops\.cast\.$/,
  ],
  [
    "binary targets of int32",
    () => binaryCrossEntropy(ops.zeros([1, 2]), ops.zeros([1, 2], "int32")),
    "TypeError",
    /^Computing the binary cross-entropy: the targets must be float32, found int32\. Convert it by ops\.cast\.$/,
  ],
  [
    "binary targets of another shape",
    () => binaryCrossEntropy(ops.zeros([2, 1]), ops.zeros([2]) as never),
    "RangeError",
    /^Computing the binary cross-entropy: logits and targets must have one shape, found \[2,1\] and \[2\]\.$/,
  ],
  [
    "binary targets above 1",
    () => binaryCrossEntropy(ops.zeros([2]), ops.tensor([1, 2])),
    "RangeError",
    /^Computing the binary cross-entropy: the targets must be from 0 to 1, found 2\.$/,
  ],
  [
    "positive weights for other labels",
    () => binaryCrossEntropy(ops.zeros([1, 2]), ops.zeros([1, 2]), { positiveWeights: [1] }),
    "RangeError",
    /^Computing the binary cross-entropy: positiveWeights must be a weight for each of 2 labels, found 1\.$/,
  ],
  [
    "logits of int32",
    () => crossEntropy(ops.zeros([1, 2], "int32"), int32([0])),
    "TypeError",
    /the logits must be float32, found int32/,
  ],
  [
    "fewer labels than rows",
    () => crossEntropy(ops.zeros([3, 2]), int32([0, 1])),
    "RangeError",
    /a class number for each row of logits \[3, 2\], found labels \[2\]/,
  ],
  [
    "logits of rank 3",
    // @ts-expect-error: logits are [batch, classes]
    () => crossEntropy(ops.zeros([3, 2, 2]), int32([0, 1, 1])),
    "RangeError",
    /the logits must be \[batch, classes\], found the shape \[3,2,2\]/,
  ],
  [
    "labels as rows",
    // @ts-expect-error: labels are class numbers, not rows of zeros and ones
    () => crossEntropy(ops.zeros([3, 2]), ops.zeros([3, 2], "int32")),
    "RangeError",
    /a class number for each row of logits \[3, 2\], found labels \[3,2\]/,
  ],
  [
    "a class beyond the last",
    () => crossEntropy(ops.zeros([2, 3]), int32([0, 3])),
    "RangeError",
    /the labels must be from 0 to 2, as there are 3 logits, found 3/,
  ],
  [
    "a negative class",
    () => crossEntropy(ops.zeros([2, 3]), int32([-1, 0])),
    "RangeError",
    /the labels must be from 0 to 2, as there are 3 logits, found -1/,
  ],
  ...[1, -0.1, NaN].map((labelSmoothing): typeof wrong[number] => [
    `a label smoothing of ${labelSmoothing}`,
    () => crossEntropy(ops.zeros([1, 3]), int32([0]), { labelSmoothing }),
    "RangeError",
    /labelSmoothing must be at least 0 and less than 1, found/,
  ]),
  [
    "a mean squared error of [2, 1] and [2, 2]",
    () => meanSquaredError(ops.zeros([2, 1]), ops.zeros([2, 2])),
    "RangeError",
    /predictions and targets must have one shape, found \[2,1\] and \[2,2\]/,
  ],
  [
    "a mean squared error of [2, 1] and [2]",
    // @ts-expect-error: the ranks differ
    () => meanSquaredError(ops.zeros([2, 1]), ops.zeros([2])),
    "RangeError",
    /predictions and targets must have one shape, found \[2,1\] and \[2\]/,
  ],
];
for (const [name, run, error, message] of wrong) {
  Deno.test(`losses refuse ${name}`, () => assert.throws(run, { name: error, message }));
}

testOnEachBackend("meanSquaredError() by hand, with its gradient 2 · difference / n", () => {
  const targets = ops.tensor([[1, 2], [3, 4]]);
  const predictions = ops.tensor([[1, 4], [0, 4]]);
  assertClose(meanSquaredError(predictions, targets), 13 / 4);
  assertClose(grad((x: Features) => meanSquaredError(x, targets))(predictions), [0, 1, -1.5, 0]);
});
