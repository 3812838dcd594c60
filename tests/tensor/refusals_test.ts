/**
 * Refusals, in words, of the running library, because cells are not type-checked: unknown options
 * and disposed objects.
 */
import assert from "node:assert/strict";
import {
  batchNorm,
  compile,
  conv2d,
  cosine,
  crossEntropy,
  gradientNorm,
  loadStateDict,
  meanSquaredError,
  memory,
  oneCycle,
  ops,
  Random,
  sequential,
  stateDict,
  stepDecay,
  type Tensor,
  type Tensor1D,
  variable,
  warmup,
} from "resnet-lab";
import { assertNoLeak, testOnEachBackend } from "../_helpers.ts";
import { squaredNorm, vectorNorm, windowGeometry } from "../../lib/tensor/internal.ts";

const images = ops.ones([1, 4, 4, 1]), kernel = ops.ones([2, 2, 1, 1]);
const matrix = ops.ones([2, 2]), labels = ops.zeros([2], "int32");
const one = ops.ones([1]);
const statistics = { mean: one, variance: one, weight: one, bias: one, epsilon: 1e-5 };

/** Each call has an option that does not exist, or one of the wrong kind. */
const options: Record<string, [run: () => unknown, message: RegExp]> = {
  "conv2d, strides": [
    () => ops.conv2d(images, kernel, { strides: 2 } as never),
    /^Convolving: there is no option strides\. Did you mean stride\? The options are/,
  ],
  "conv2d, a number": [
    () => ops.conv2d(images, kernel, 2 as never),
    /^Convolving: the options must be an object such as \{ stride: 2 \}, found 2\.$/,
  ],
  "maxPool, kernel_size": [
    () => ops.maxPool(images, { kernel_size: 2 } as never),
    /^Max pooling: there is no option kernel_size\. Did you mean kernelSize\?/,
  ],
  "maxPool, dilation": [
    () => ops.maxPool(images, { kernelSize: 2, dilation: 2 } as never),
    /^Max pooling: there is no option dilation/,
  ],
  "maxPool, ceilMode in words": [
    () => ops.maxPool(images, { kernelSize: 2, ceilMode: "no" } as never),
    /^Max pooling: ceilMode must be true or false, found "no"\.$/,
  ],
  "avgPool, pad": [
    () => ops.avgPool(images, { kernelSize: 2, pad: 1 } as never),
    /^Average pooling: there is no option pad\. Did you mean padding\?/,
  ],
  "localResponseNorm, k": [
    () => ops.localResponseNorm(images, { k: 2 } as never),
    /^Local response normalisation: there is no option k/,
  ],
  "batchNormInference, eps": [
    () => ops.batchNormInference(images, { ...statistics, eps: 1 } as never),
    /there is no option eps\. Did you mean epsilon\?/,
  ],
  "batchNormTraining, decay": [
    () =>
      ops.batchNormTraining(images, one, one, 0, { mean: one, variance: one, decay: 1 } as never),
    /^Normalising a batch: there is no option decay/,
  ],
  "sum, keepdims": [
    () => ops.sum(matrix, [0], { keepdims: true } as never),
    /^Summing: there is no option keepdims\. Did you mean keepDims\?/,
  ],
  "max, keepDims of 1": [
    () => ops.max(matrix, [0], { keepDims: 1 } as never),
    /^Taking the maximum: keepDims must be true or false, found 1\.$/,
  ],
  "matMul, transpose_b": [
    () => ops.matMul(matrix, matrix, { transpose_b: true } as never),
    /^Multiplying matrices: there is no option transpose_b\. Did you mean transposeB\?/,
  ],
  "uniform, maximum": [
    () => new Random(1).uniform([2], { maximum: 2 } as never),
    /^Drawing uniform numbers: there is no option maximum\. Did you mean max\?/,
  ],
  "normal, std": [
    () => new Random(1).normal([2], { std: 2 } as never),
    /^Drawing normal numbers: there is no option std/,
  ],
  "variable, requiresGrad": [
    () => variable(ops.ones([1]), { requiresGrad: false } as never),
    /^Making a variable: there is no option requiresGrad\. Did you mean trainable\?/,
  ],
  "windowGeometry, strides": [
    () => windowGeometry("Seeing", [4, 4], { kernelSize: 2, strides: 2 } as never),
    /^Seeing: there is no option strides/,
  ],
  "crossEntropy, label_smoothing": [
    () => crossEntropy(matrix, labels, { label_smoothing: 0.1 } as never),
    /^Computing the cross-entropy: there is no option label_smoothing\. Did you mean labelSmoothing\?/,
  ],
  "stepDecay, milestones": [
    () => stepDecay({ learningRate: 1, milestones: [1], at: [2] } as never),
    /^Making the schedule stepDecay: there is no option milestones\. The options/,
  ],
  "stepDecay, one step": [
    () => stepDecay({ learningRate: 1, at: 5 } as never),
    /^Making the schedule stepDecay: at must be an array, found 5\.$/,
  ],
  "cosine, eta_min": [
    () => cosine({ learningRate: 1, steps: 2, eta_min: 0 } as never),
    /^Making the schedule cosine: there is no option eta_min\. Did you mean minimum\?/,
  ],
  "oneCycle, max_lr": [
    () => oneCycle({ maximum: 1, steps: 10, max_lr: 1 } as never),
    /^Making the schedule oneCycle: there is no option max_lr\. Did you mean maximum\?/,
  ],
  "warmup, a rate": [
    () => warmup(5, 0.1 as never),
    /^Making the schedule warmup: the schedule after the warm-up must be a function, found 0\.1\.$/,
  ],
};
for (const [name, [run, message]] of Object.entries(options)) {
  Deno.test(`options that do not exist or are of the wrong kind are refused: ${name}`, () => {
    assert.throws(run, { name: "TypeError", message });
  });
}

/** A tensor and a variable that were disposed. */
const gone: Tensor1D = ops.ones([2]), goneVariable = variable(ops.ones([2]));
gone.dispose();
goneVariable.dispose();
const alive = variable(ops.ones([2]));
const network = () => sequential(conv2d(1, 2, { kernelSize: 3 }), batchNorm(2));
const spent = network(), state = stateDict(spent);
spent.dispose();
const disposed: Record<string, [run: () => unknown, message: RegExp]> = {
  "assigning to a variable": [
    () => goneVariable.assign(ops.ones([2])),
    /^Assigning to a variable: the variable must be alive, found a disposed tensor \[2\]\.$/,
  ],
  "assigning what was disposed": [() => alive.assign(gone), /the value must be alive/],
  "the norm of gradients": [() => gradientNorm([gone]), /must be alive/],
  "a squared norm": [() => squaredNorm([gone]), /^Computing a squared norm: .* must be alive/],
  "a norm": [() => vectorNorm([alive, gone]), /^Computing a norm: .* must be alive/],
  "a mean squared error": [
    () => meanSquaredError(gone, alive),
    /^Computing the mean squared error: the predictions must be alive, found a disposed tensor \[2\]\.$/,
  ],
  "a cross-entropy": [
    () => crossEntropy(gone as never, labels),
    /^Computing the cross-entropy: the logits must be alive/,
  ],
  "the forward pass of a model": [
    () => spent.forward(ops.ones([1, 28, 28, 1])),
    /must be alive, found it disposed/,
  ],
  "training a layer": [
    () => {
      const layer = batchNorm(2);
      layer.dispose();
      layer.forward(matrix, { training: true });
    },
    /must be alive, found it disposed/,
  ],
  "the state of a model": [
    () => stateDict(spent),
    /^Taking the state dict of a model: the model must be alive, found 0\.weight disposed\.$/,
  ],
  "loading state into a model": [
    () => loadStateDict(spent, state),
    /^Loading a state dict: the model must be alive, found 0\.weight disposed\.$/,
  ],
  "a compiled function": [
    () => {
      const f = compile((x: Tensor) => ops.relu(x));
      f(alive);
      f[Symbol.dispose]();
      f(alive);
    },
    /^Running a compiled function: the function must be alive, found it disposed\. Compile it again\.$/,
  ],
};
for (const [name, [run, message]] of Object.entries(disposed)) {
  testOnEachBackend(`what was disposed says so: ${name}`, () => {
    assert.throws(run, { name: "TypeError", message });
    assert.deepEqual([...alive.dataSync()], [1, 1]);
  });
}

Deno.test("assigning to a variable that was disposed leaves nothing behind", () =>
  assertNoLeak(() => {
    using value = ops.ones([2]);
    const before = memory();
    for (let i = 0; i < 3; i++) assert.throws(() => goneVariable.assign(value));
    assert.deepEqual(memory(), before);
  }));

Deno.test("loadStateDict() loads nothing into a model of which one layer was disposed", () => {
  using model = network();
  const layer = [...model.namedModules().values()].findLast((part) => part.variables().size > 0)!;
  const before = [...model.namedVariables().values()][0]!.dataSync().slice();
  layer.dispose();
  assert.throws(() => loadStateDict(model, state), {
    name: "TypeError",
    message: /the model must be alive, found/,
  });
  assert.deepEqual([...model.namedVariables().values()][0]!.dataSync(), before);
});

Deno.test("a convolution that was disposed says so", () => {
  const layer = conv2d(1, 1, { kernelSize: 2 });
  layer.dispose();
  assert.throws(() => layer.forward(images), /must be alive, found it disposed/);
});
