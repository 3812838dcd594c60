import assert from "node:assert/strict";
import {
  compile,
  dispose,
  grad,
  memory,
  ops,
  type Scalar,
  type Tensor,
  type Tensor4D,
  tidy,
} from "resnet-lab";
import { assertClose, centralDifference, testOnEachBackend } from "../_helpers.ts";
import { fixtures, numbers, read } from "./_helpers.ts";

type Nested = number | Nested[];
type Result = Tensor | Tensor[];

/**
 * The tensors that a case takes, so that what is left after they and the result are gone has
 * leaked.
 */
const inputs: Tensor[] = [];
/** What a compiled case takes instead. */
let compiledInputs: Tensor[] = [];
function given<T extends Tensor>(x: T): T {
  const compiled = compiledInputs.shift();
  if (compiled) return compiled as T;
  inputs.push(x);
  return x;
}
const int = (values: number[]) => given(ops.tensor(values, undefined, "int32"));
const bool = (values: number[]) => given(ops.tensor(values, undefined, "bool"));
const row = (values: number[]) => given(ops.tensor(values));
const matrix = (values: number[][]) => given(ops.tensor(values));
const pixels = (values: number[], shape: [number, number, number, number]) =>
  given(ops.tensor(values, shape));
const square = [[1, 2], [3, 4]];

/** Results worked out by hand; the type asks for every operation that there is. */
const byHand: Record<keyof typeof ops, [run: () => Result, expected: Nested][]> = {
  tensor: [
    [() => ops.tensor(5), 5],
    [() => ops.tensor([]), []],
    [() => ops.tensor([[1, 2], [3, 4]]), square],
    [() => ops.tensor([[[1], [2]], [[3], [4]]]), [[[1], [2]], [[3], [4]]]],
    [() => ops.tensor([1, 2, 3, 4], [2, 2]), square],
    [() => ops.tensor(new Uint8Array([1, 255])), [1, 255]],
    [() => ops.tensor(new Int32Array([-1, 2]), [2, 1]), [[-1], [2]]],
    [() => ops.tensor(new Uint8Array([1, 2]), [2], "int32"), [1, 2]],
    [() => ops.tensor([-7, 2147483647], undefined, "int32"), [-7, 2147483647]],
    [() => ops.tensor([0, 3], undefined, "bool"), [0, 1]],
  ],
  scalar: [[() => ops.scalar(2.5), 2.5], [() => ops.scalar(2, "int32"), 2]],
  zeros: [[() => ops.zeros([1, 2]), [[0, 0]]], [() => ops.zeros([]), 0], [
    () => ops.zeros([2, 0]),
    [[], []],
  ]],
  ones: [[() => ops.ones([2], "int32"), [1, 1]]],
  full: [[() => ops.full([2, 1], -3), [[-3], [-3]]]],
  zerosLike: [[() => ops.zerosLike(row([5, 6])), [0, 0]]],
  onesLike: [[() => ops.onesLike(int([5, 6])), [1, 1]]],
  eye: [[() => ops.eye(2), [[1, 0], [0, 1]]]],
  linspace: [[() => ops.linspace(1, 2, 3), [1, 1.5, 2]], [() => ops.linspace(4, 9, 1), [4]]],
  range: [
    [() => ops.range(1, 4), [1, 2, 3]],
    [() => ops.range(4, 0, -2, "int32"), [4, 2]],
    [() => ops.range(0, 1, 0.25), [0, 0.25, 0.5, 0.75]],
    [() => ops.range(3, 3), []],
  ],
  oneHot: [[() => ops.oneHot(int([1, 0]), 3), [[0, 1, 0], [1, 0, 0]]]],
  cast: [
    [() => ops.cast(row([1.9, -1.9]), "int32"), [1, -1]],
    [() => ops.cast(row([0, 2]), "bool"), [0, 1]],
    [() => ops.cast(bool([0, 1]), "float32"), [0, 1]],
  ],
  clone: [[() => ops.clone(row([1, 2])), [1, 2]]],
  reshape: [
    [() => ops.reshape(row([1, 2, 3, 4]), [2, -1]), square],
    [() => ops.reshape(given(ops.zeros([0, 3])), [-1, 3]), []],
  ],
  transpose: [
    [() => ops.transpose(matrix(square)), [[1, 3], [2, 4]]],
    [() => ops.transpose(given(ops.tensor([[[1, 2]], [[3, 4]]])), [1, 2, 0]), [[[1, 3], [2, 4]]]],
  ],
  slice: [[() => ops.slice(matrix(square), [0, 1], [-1, 1]), [[2], [4]]]],
  concat: [
    [() => ops.concat([row([1]), row([2, 3])]), [1, 2, 3]],
    [() => ops.concat([matrix(square), matrix([[5], [6]])], -1), [[1, 2, 5], [3, 4, 6]]],
  ],
  stack: [[() => ops.stack([row([1, 2]), row([3, 4])], 1), [[1, 3], [2, 4]]]],
  unstack: [[() => ops.unstack(matrix(square), -1), [[1, 3], [2, 4]]]],
  split: [
    [() => ops.split(row([1, 2, 3, 4]), 2), square],
    [() => ops.split(matrix(square), [2, 0], 1), [square, [[], []]]],
    [() => ops.split(row([0, 1, 2, 3, 4, 5, 6]), [1, 1, 1, 1, 1, 1, 1]), [[0], [1], [2], [3], [4], [
      5,
    ], [6]]],
  ],
  pad: [[() => ops.pad(matrix([[1]]), [[1, 0], [0, 2]], 7), [[7, 7, 7], [1, 7, 7]]]],
  gather: [[() => ops.gather(matrix(square), int([1, 1, 0]), -1), [[2, 2, 1], [4, 4, 3]]]],
  reverse: [[() => ops.reverse(matrix(square), [0, -1]), [[4, 3], [2, 1]]]],
  tile: [[() => ops.tile(row([1, 2]), [2]), [1, 2, 1, 2]]],
  expandDims: [[() => ops.expandDims(row([1, 2]), -1), [[1], [2]]]],
  squeeze: [
    [() => ops.squeeze(matrix([[1], [2]]), [1]), [1, 2]],
    [() => ops.squeeze(matrix([[1]]), []), [[1]]],
  ],
  add: [
    [() => ops.add(matrix([[1], [2]]), row([10, 20])), [[11, 21], [12, 22]]],
    [() => ops.add(int([1]), int([2])), [3]],
    [() => ops.add(int([1]), 0.5), [1.5]],
    [() => ops.add(1, 2), 3],
  ],
  sub: [[() => ops.sub(5, row([1, 2])), [4, 3]]],
  mul: [[() => ops.mul(row([1, 2]), row([3, 4])), [3, 8]]],
  div: [[() => ops.div(row([1, 2]), 4), [0.25, 0.5]], [() => ops.div(int([7]), int([2])), [3.5]]],
  pow: [
    [() => ops.pow(row([2, 3]), 2), [4, 9]],
    [() => ops.pow(2, row([3, -1])), [8, 0.5]],
    [() => ops.pow(int([2]), int([-1])), [0.5]],
  ],
  maximum: [[() => ops.maximum(row([1, 5]), row([4, 2])), [4, 5]]],
  minimum: [[() => ops.minimum(row([1, 5]), 2), [1, 2]]],
  equal: [
    [() => ops.equal(row([1, 2]), 2), [0, 1]],
    [() => ops.equal(bool([1, 0]), bool([1, 1])), [1, 0]],
  ],
  greater: [[() => ops.greater(int([1, 2, 3]), 2), [0, 0, 1]]],
  greaterEqual: [[() => ops.greaterEqual(row([1, 2, 3]), 2), [0, 1, 1]]],
  less: [[() => ops.less(row([1, 2, 3]), 2), [1, 0, 0]]],
  where: [
    [() => ops.where(bool([1, 0]), row([1, 2]), row([3, 4])), [1, 4]],
    [() => ops.where(bool([1, 0]), matrix([[1], [2]]), row([9])), [[1, 9], [2, 9]]],
  ],
  neg: [[() => ops.neg(row([1, -2])), [-1, 2]], [() => ops.neg(int([3])), [-3]]],
  abs: [[() => ops.abs(row([1, -2])), [1, 2]]],
  exp: [[() => ops.exp(row([0, 1])), [1, Math.E]]],
  log: [[() => ops.log(row([1, Math.E])), [0, 1]]],
  sqrt: [[() => ops.sqrt(row([4, 2])), [2, Math.SQRT2]]],
  rsqrt: [[() => ops.rsqrt(row([4, 0.25])), [0.5, 2]]],
  square: [[() => ops.square(row([3, -2])), [9, 4]]],
  sign: [[() => ops.sign(row([3, 0, -2])), [1, 0, -1]]],
  tanh: [[() => ops.tanh(row([0, 1])), [0, (Math.E ** 2 - 1) / (Math.E ** 2 + 1)]]],
  sigmoid: [[() => ops.sigmoid(row([0, Math.log(3)])), [0.5, 0.75]]],
  relu: [[() => ops.relu(row([-1, 0, 2])), [0, 0, 2]], [() => ops.relu(int([-1, 2])), [0, 2]]],
  erf: [[() => ops.erf(row([0, 1])), [0, 0.8427008]]],
  floor: [[() => ops.floor(row([1.5, -1.5])), [1, -2]]],
  isFinite: [[() => ops.isFinite(row([1, Infinity, NaN])), [1, 0, 0]]],
  isNaN: [[() => ops.isNaN(row([1, Infinity, NaN])), [0, 0, 1]]],
  softplus: [[() => ops.softplus(row([0, 100, -100])), [Math.LN2, 100, 0]]],
  leakyRelu: [[() => ops.leakyRelu(row([-2, 3]), 0.1), [-0.2, 3]]],
  // Φ(1) = 0.8413447, from a table of the normal distribution.
  gelu: [[() => ops.gelu(row([0, 1, -1])), [0, 0.8413447, -0.1586553]]],
  hardSwish: [[() => ops.hardSwish(row([-4, -3, -1.5, 0, 1.5, 3, 4])), [
    ...[0, 0, -0.375, 0],
    ...[1.125, 3, 4],
  ]]],
  clip: [
    [() => ops.clip(row([-2, 0.5, 3]), -1, 1), [-1, 0.5, 1]],
    [() => ops.clip(int([-2, 3]), 0, 2), [0, 2]],
  ],
  softmax: [[() => ops.softmax(matrix([[0, Math.log(3)], [1000, 1000]])), [
    [0.25, 0.75],
    [0.5, 0.5],
  ]]],
  logSoftmax: [[() => ops.logSoftmax(matrix([[0, 0], [0, 1000]])), [
    [-Math.LN2, -Math.LN2],
    [-1000, 0],
  ]]],
  sum: [
    [() => ops.sum(matrix(square)), 10],
    [() => ops.sum(matrix(square), [-1]), [3, 7]],
    [() => ops.sum(matrix(square), [0, 1], { keepDims: true }), [[10]]],
    [() => ops.sum(matrix(square), []), square],
    [() => ops.sum(given(ops.zeros([0]))), 0],
    [() => ops.sum(bool([1, 0, 1])), 2],
  ],
  mean: [[() => ops.mean(matrix(square), [0]), [2, 3]], [() => ops.mean(int([1, 2])), 1.5]],
  variance: [
    [() => ops.variance(row([1, 3, 5])), 8 / 3],
    [() => ops.variance(matrix(square), [0], { keepDims: true }), [[1, 1]]],
  ],
  max: [[() => ops.max(matrix(square), [0]), [3, 4]], [() => ops.max(int([1, 3])), 3]],
  min: [[() => ops.min(matrix(square), [1], { keepDims: true }), [[1], [3]]]],
  all: [[() => ops.all(bool([1, 0])), 0]],
  any: [[() => ops.any(bool([1, 0])), 1]],
  argMax: [
    [() => ops.argMax(matrix([[1, 5, 5], [7, 0, 2]])), [1, 0]],
    [() => ops.argMax(matrix(square), 0), [1, 1]],
  ],
  topK: [[() => Object.values(ops.topK(matrix([[1, 3, 2]]), 2)), [[[3, 2]], [[1, 2]]]]],
  matMul: [
    [() => ops.matMul(matrix(square), matrix([[5], [6]])), [[17], [39]]],
    [() => ops.matMul(matrix(square), matrix([[5, 6]]), { transposeB: true }), [[17], [39]]],
    [() => ops.matMul(matrix(square), matrix(square), { transposeA: true }), [[10, 14], [14, 20]]],
    [() => ops.matMul(given(ops.zeros([1, 0])), given(ops.zeros([0, 2]))), [[0, 0]]],
  ],
  batchMatMul: [[
    () => ops.batchMatMul(given(ops.tensor([[[1, 2]], [[3, 4]]])), given(ops.ones([2, 2, 1]))),
    [[[3]], [[7]]],
  ]],
  // Half-pixel centres: the first of four columns lies a quarter pixel before the first of two, the
  // second a quarter after.
  resizeBilinear: [[
    () => ops.resizeBilinear(pixels([0, 4], [1, 1, 2, 1]), [1, 4]),
    [[[[0], [1], [3], [4]]]],
  ]],
  cropAndResize: [[
    () =>
      ops.cropAndResize(
        pixels([0, 1, 2, 3], [1, 2, 2, 1]),
        matrix([[0, 1, 1, 1], [0.5, 0, 0.5, 1]]),
        int([0, 0]),
        [2, 1],
      ),
    [[[[1]], [[3]]], [[[1.5]], [[1.5]]]],
  ]],
  conv2d: [[
    () => ops.conv2d(pixels([1, 2, 3, 4], [1, 2, 2, 1]), pixels([1, 10], [1, 2, 1, 1])),
    [[[[21]], [[43]]]],
  ]],
  maxPool: [[() => ops.maxPool(pixels([1, 4, 3, 2], [1, 2, 2, 1]), { kernelSize: 2 }), [[[[4]]]]]],
  avgPool: [[() => ops.avgPool(pixels([1, 4, 3, 2], [1, 2, 2, 1]), { kernelSize: 2 }), [[[[
    2.5,
  ]]]]]],
  localResponseNorm: [[
    () =>
      ops.localResponseNorm(pixels([3, 4], [1, 1, 1, 2]), {
        size: 3,
        bias: 0,
        alpha: 1,
        beta: 0.5,
      }),
    [[[[0.6, 0.8]]]],
  ]],
  batchNormTraining: [
    [
      () =>
        Object.values(ops.batchNormTraining(matrix([[1, 4], [3, 4]]), row([2, 1]), row([0, 5]), 3)),
      // The biased variances are 1 and 0, so y is (x − mean) / 2 · 2 in one column, and the bias
      // in the other.
      [[[-1, 5], [1, 5]], [2, 4], [2, 0]],
    ],
    [
      () =>
        Object.values(
          ops.batchNormTraining(pixels([1, 3, 5, 7], [1, 2, 2, 1]), row([2]), row([1]), 4),
        ),
      // Mean 4, biased variance 5, so y is (x − 4) / 3 · 2 + 1.
      [[[[[-1], [1 / 3]], [[5 / 3], [3]]]], [4], [20 / 3]],
    ],
  ],
  batchNormInference: [[
    () =>
      ops.batchNormInference(matrix([[1], [3]]), {
        mean: row([1]),
        variance: row([3]),
        weight: row([10]),
        bias: row([5]),
        epsilon: 1,
      }),
    [[5], [15]],
  ]],
  softmaxCrossEntropy: [[
    () => ops.softmaxCrossEntropy(matrix([[0, Math.log(3)]]), matrix([[0.5, 0.5]])),
    [-(Math.log(0.25) + Math.log(0.75)) / 2],
  ]],
  labelCrossEntropy: [[
    () =>
      ops.labelCrossEntropy(
        matrix([[0, Math.log(3)], [0, 0]]),
        int([1, 0]),
      ),
    -(Math.log(0.75) + Math.log(0.5)) / 2,
  ]],
};

function shapeOf(nested: Nested): number[] {
  if (!Array.isArray(nested)) return [];
  return nested[0] === undefined ? [0] : [nested.length, ...shapeOf(nested[0])];
}

const flat = (nested: Nested): number[] => Array.isArray(nested) ? nested.flatMap(flat) : [nested];

for (const [name, cases] of Object.entries(byHand)) {
  testOnEachBackend(`${name} gives what is worked out by hand, and leaves nothing behind`, () => {
    for (const [run, expected] of cases) {
      const before = memory().tensors;
      const result = run();
      const parts = Array.isArray(result) ? result : [result];
      const wanted = Array.isArray(result) ? expected as Nested[] : [expected];
      assert.equal(parts.length, wanted.length);
      parts.forEach((part, i) => {
        // An empty axis has no elements to count the axes after it by.
        if (part.size > 0) assert.deepEqual(part.shape, shapeOf(wanted[i]!));
        assertClose(part, flat(wanted[i]!), 1e-6);
      });
      dispose([parts, inputs.splice(0)]);
      assert.equal(memory().tensors, before, "tensors left behind");
    }
  });
}

for (const [name, cases] of Object.entries(byHand)) {
  Deno.test(`${name} compiled gives what is worked out by hand`, () => {
    for (const [run, expected] of cases) {
      dispose(run());
      const xs = inputs.splice(0);
      using f = compile((...xs: Tensor[]) => {
        compiledInputs = [...xs];
        return run();
      });
      for (let call = 1; call <= 4; call++) {
        tidy(() => {
          const result = f(...xs);
          const parts = Array.isArray(result) ? result : [result];
          const wanted = Array.isArray(result) ? expected as Nested[] : [expected];
          parts.forEach((part, i) => {
            if (part.size > 0) assert.deepEqual(part.shape, shapeOf(wanted[i]!));
            assertClose(part, flat(wanted[i]!), 1e-6);
          });
        });
      }
      dispose(xs);
    }
  });
}

testOnEachBackend("results have the dtype that the operation says", () => {
  tidy(() => {
    const [f, i, b] = [ops.ones([2]), ops.ones([2], "int32"), ops.ones([2], "bool")];
    const kinds: [Tensor, string][] = [
      [ops.tensor(new Uint8Array(2)), "float32"],
      [ops.add(i, i), "int32"],
      [ops.add(i, f), "float32"],
      [ops.mul(i, 2), "float32"],
      [ops.div(i, i), "float32"],
      [ops.pow(i, i), "float32"],
      [ops.greater(f, 0), "bool"],
      [ops.isNaN(f), "bool"],
      [ops.sum(b), "int32"],
      [ops.sum(i), "int32"],
      [ops.mean(i), "float32"],
      [ops.variance(i), "float32"],
      [ops.max(i), "int32"],
      [ops.argMax(f), "int32"],
      [ops.oneHot(i, 2), "float32"],
      [ops.all(b), "bool"],
      [ops.clip(i, 0, 1), "int32"],
      [ops.zerosLike(b), "bool"],
    ];
    for (const [x, dtype] of kinds) assert.equal(x.dtype, dtype);
  });
});

testOnEachBackend("a tensor does not see later changes of the array it was made of", () => {
  const values = new Float32Array([1, 2]);
  using x = ops.tensor(values);
  values[0] = 9;
  assert.deepEqual([...x.dataSync()], [1, 2]);
});

// Gradients

/** Functions of a tensor, with a point at which they are smooth. */
function smooth(): Record<string, [f: (x: Tensor) => Tensor, at: Tensor]> {
  // Steps of 1/32 in some order, so that no two are as near as the differences.
  const image = ops.tensor(Array.from({ length: 96 }, (_, i) => (i * 37 % 96) / 32 - 1.5), [
    2,
    4,
    4,
    3,
  ]);
  const vector = ops.tensor([0.7, -1.3, 2.1, 0.4]);
  const positive = ops.tensor([0.7, 1.3, 2.1, 0.4]);
  const matrix = ops.tensor([[0.7, -1.3, 0.5], [2.1, 0.4, -0.6]]);
  const stack = ops.tensor([[[0.7, -1.3], [2.1, 0.4]], [[0.1, 0.9], [-0.3, 1.1]]]);
  const order = ops.tensor([1, 0, 1], [3], "int32");
  const asMatrix = (x: Tensor) => ops.reshape(x, [2, 3]);
  const asImages = (x: Tensor) => ops.reshape(x, [2, 4, 4, 3]);
  const asStack = (x: Tensor) => ops.reshape(x, [2, 2, 2]);
  return {
    clone: [ops.clone, vector],
    reshape: [(x) => ops.reshape(x, [2, 2]), vector],
    transpose: [(x) => ops.transpose(asImages(x), [0, 3, 1, 2]), image],
    slice: [(x) => ops.slice(asMatrix(x), [0, 1], [2, -1]), matrix],
    concat: [(x) => ops.concat([x, ops.square(x), x], 1), matrix],
    stack: [(x) => ops.stack([x, ops.square(x)], 1), matrix],
    "unstack, one piece used": [(x) => ops.unstack(asMatrix(x), -1)[1]!, matrix],
    "unstack, only one piece": [(x) => ops.unstack(ops.reshape(x, [1, -1]))[0]!, vector],
    "split, only one piece": [(x) => ops.split(x, 1)[0]!, vector],
    "split, only one size": [(x) => ops.split(asMatrix(x), [3], 1)[0]!, matrix],
    "split, one piece used": [(x) => ops.split(asMatrix(x), [1, 2], 1)[1]!, matrix],
    "split, one equal piece used": [(x) => ops.split(asMatrix(x), 3, -1)[1]!, matrix],
    split: [(x) => ops.mul(...ops.split(x, 2) as [Tensor, Tensor]), vector],
    pad: [(x) => ops.pad(asImages(x), [[0, 0], [1, 2], [0, 1], [0, 0]], 1), image],
    "gather, rows": [(x) => ops.gather(x, order), matrix],
    "gather, columns": [(x) => ops.gather(x, order, -1), matrix],
    reverse: [(x) => ops.reverse(x, [-1]), matrix],
    tile: [(x) => ops.tile(x, [2, 3]), matrix],
    expandDims: [(x) => ops.expandDims(x, 1), matrix],
    squeeze: [(x) => ops.squeeze(ops.expandDims(x, 1), [1]), matrix],
    "add, broadcast": [(x) => ops.add(ops.sum(x, [1], { keepDims: true }), x), matrix],
    sub: [(x) => ops.sub(1, ops.sub(x, ops.square(x))), vector],
    mul: [(x) => ops.mul(x, ops.sum(x, [0])), matrix],
    div: [(x) => ops.div(ops.sum(x), x), positive],
    "pow of a base": [(x) => ops.pow(x, 3), vector],
    "pow of an exponent": [(x) => ops.pow(2, x), vector],
    maximum: [(x) => ops.maximum(x, ops.mul(x, 2)), vector],
    minimum: [(x) => ops.minimum(x, 0.5), vector],
    where: [(x) => ops.where(ops.greater(x, 0), ops.square(x), ops.neg(x)), vector],
    neg: [ops.neg, vector],
    abs: [ops.abs, vector],
    exp: [ops.exp, vector],
    log: [ops.log, positive],
    sqrt: [ops.sqrt, positive],
    rsqrt: [ops.rsqrt, positive],
    square: [ops.square, vector],
    sign: [ops.sign, vector],
    tanh: [ops.tanh, vector],
    sigmoid: [ops.sigmoid, vector],
    relu: [ops.relu, vector],
    erf: [ops.erf, vector],
    floor: [ops.floor, vector],
    softplus: [ops.softplus, vector],
    leakyRelu: [(x) => ops.leakyRelu(x, 0.1), vector],
    gelu: [ops.gelu, vector],
    // One below −3, one above 3, two between.
    hardSwish: [ops.hardSwish, ops.tensor([-3.4, -1.3, 0.4, 3.7])],
    clip: [(x) => ops.clip(x, -1, 1), vector],
    softmax: [ops.softmax, matrix],
    logSoftmax: [ops.logSoftmax, matrix],
    "sum over an axis": [(x) => ops.sum(asMatrix(x), [0]), matrix],
    "mean, keeping axes": [(x) => ops.mean(x, [1, 2], { keepDims: true }), image],
    variance: [(x) => ops.variance(x, [0, 1, 2]), image],
    max: [(x) => ops.max(x, [1]), matrix],
    "min, keeping axes": [(x) => ops.min(x, [0], { keepDims: true }), matrix],
    "min of all": [(x) => ops.min(x), matrix],
    matMul: [(x) => ops.matMul(asMatrix(x), asMatrix(x), { transposeB: true }), matrix],
    "matMul, left transposed": [
      (x) => ops.matMul(asMatrix(x), asMatrix(x), { transposeA: true }),
      matrix,
    ],
    batchMatMul: [(x) => ops.batchMatMul(asStack(x), ops.square(asStack(x))), stack],
    conv2d: [
      (x) =>
        ops.conv2d(asImages(x), ops.reshape(ops.range(-2, 4, 0.25), [2, 2, 3, 2]), { padding: 1 }),
      image,
    ],
    maxPool: [(x) => ops.maxPool(asImages(x), { kernelSize: 3, stride: 2, padding: 1 }), image],
    avgPool: [(x) => ops.avgPool(asImages(x), { kernelSize: 3, stride: 2, padding: 1 }), image],
    localResponseNorm: [
      (x) => ops.localResponseNorm(asImages(x), { size: 3, bias: 1, alpha: 0.5, beta: 0.75 }),
      image,
    ],
    "batchNormTraining, images": [
      (x) => ops.batchNormTraining(x, ops.tensor([1, 2, 3]), ops.ones([3]), 0.01).y,
      image,
    ],
    "batchNormTraining, features": [
      (x) => ops.batchNormTraining(x, ops.tensor([1, 2, 3]), ops.ones([3]), 0.5).y,
      matrix,
    ],
    "batchNormTraining, weight": [
      (x) => ops.batchNormTraining(image, ops.reshape(x, [3]), ops.ones([3]), 0.01).y,
      ops.tensor([1, 2, 3]),
    ],
    batchNormInference: [
      (x) =>
        ops.batchNormInference(x, {
          mean: ops.tensor([1, 2, 3]),
          variance: ops.tensor([4, 5, 6]),
          weight: ops.tensor([7, 8, 9]),
          bias: ops.ones([3]),
          epsilon: 0.1,
        }),
      matrix,
    ],
    softmaxCrossEntropy: [
      (x) => ops.softmaxCrossEntropy(asMatrix(x), ops.tensor([[0.2, 0.3, 0.5], [0, 1, 0]])),
      matrix,
    ],
    labelCrossEntropy: [
      (x) => ops.labelCrossEntropy(asMatrix(x), ops.tensor([2, 0], undefined, "int32")),
      matrix,
    ],
  };
}

for (const name of Object.keys(smooth())) {
  testOnEachBackend(`${name} has the gradient of its differences`, () => {
    tidy(() => {
      const [f, at] = smooth()[name]!;
      // Different weights for the elements, so that no error can cancel in their sum.
      const weighted = (x: Tensor): Scalar => {
        const y = f(x);
        return ops.sum(ops.mul(y, ops.reshape(ops.linspace(0.5, 1.7, y.size), y.shape)));
      };
      const gradient = grad(weighted)(at);
      assert.deepEqual(gradient.shape, at.shape);
      assertClose(gradient, centralDifference(weighted, at), 2e-3);
    });
  });
}

for (const name of Object.keys(smooth())) {
  Deno.test(`${name} compiled has the gradient that it has otherwise`, () => {
    tidy(() => {
      const [f, at] = smooth()[name]!;
      const gradient = (x: Tensor) => grad((x: Tensor) => ops.sum(ops.square(f(x))))(x);
      using compiled = compile(gradient);
      for (const factor of [1, 0.9, 1.1, 1.2]) {
        const x = ops.mul(at, factor);
        assertClose(compiled(x), gradient(x), 1e-4);
      }
    });
  });
}

testOnEachBackend("operations that are constant between jumps have gradient 0", () => {
  const x = ops.tensor([[0.5, 1.5, -0.5]]);
  const constant: Record<string, (x: Tensor) => Tensor> = {
    argMax: (x) => ops.argMax(x),
    greater: (x) => ops.greater(x, 1),
    greaterEqual: (x) => ops.greaterEqual(1, x),
    less: (x) => ops.less(x, ops.square(x)),
    equal: (x) => ops.equal(x, x),
    isNaN: (x) => ops.isNaN(x),
    isFinite: (x) => ops.isFinite(x),
    "cast to int32": (x) => ops.cast(x, "int32"),
    "cast to bool": (x) => ops.cast(x, "bool"),
    zerosLike: (x) => ops.zerosLike(x),
    onesLike: (x) => ops.onesLike(x),
  };
  for (const [name, f] of Object.entries(constant)) {
    const gradient = grad((x: Tensor) => ops.sum(ops.cast(f(x), "float32")))(x);
    assert.deepEqual([...gradient.dataSync()], [0, 0, 0], name);
  }
});

testOnEachBackend("tied extremes share their gradient", () => {
  const x = ops.tensor([[3, 3, 1], [1, 2, 1]]);
  assertClose(grad((x: Tensor) => ops.sum(ops.max(x, [1])))(x), [0.5, 0.5, 0, 0, 1, 0]);
  const thirds = [0, 0, 1 / 3, 1 / 3, 0, 1 / 3];
  assertClose(grad((x: Tensor) => ops.min(x))(x), thirds);
});

// Errors

const image = [1, 3, 3, 2] as const;
const none = {} as never;
/**
 * Bad arguments, with the error that each must give; casts stand for what a cell of a notebook,
 * which is not checked, can pass.
 */
const bad: Record<string, [run: () => unknown, kind: typeof Error, message: string][]> = {
  tensor: [
    [
      () => ops.tensor([[1, 2], [3]]),
      RangeError,
      "Creating a tensor: arrays of one depth must have one length, found 2 and 1.",
    ],
    [() => ops.tensor([[1], 2] as never), RangeError, "found a number beside an array."],
    [() => ops.tensor([1, [2]] as never), RangeError, "found an array beside a number."],
    [
      () => ops.tensor([1, 2, 3], [2, 2]),
      RangeError,
      "Creating a tensor: there must be 4 values for the shape [2,2], found 3.",
    ],
    [() => ops.tensor([1], [-1, -1]), RangeError, "whole numbers of at least 0, found [-1,-1]."],
    [() => ops.tensor("x" as never), TypeError, 'the values must be numbers, found "x".'],
    [() => ops.tensor(undefined as never), TypeError, "must be numbers, found undefined."],
    [
      () => ops.tensor([1, 1.5], undefined, "int32"),
      RangeError,
      "int32 values must be whole numbers of 32 bits, found 1.5 at position 1.",
    ],
    [() => ops.tensor(new Float32Array([NaN]), [1], "int32"), RangeError, "found NaN"],
    [() => ops.tensor([2 ** 31], undefined, "int32"), RangeError, "found 2147483648"],
    [
      () => ops.tensor([1], undefined, "float64" as never),
      TypeError,
      'the dtype must be float32, int32 or bool, found "float64".',
    ],
  ],
  scalar: [[() => ops.scalar(0.5, "int32"), RangeError, "whole numbers of 32 bits, found 0.5"]],
  zeros: [
    [
      () => ops.zeros([2, -1]),
      RangeError,
      "Filling a tensor: a shape must be at most six whole numbers of at least 0, found [2,-1].",
    ],
    [() => ops.zeros([1.5]), RangeError, "found [1.5]."],
    [() => ops.zeros([1, 1, 1, 1, 1, 1, 1]), RangeError, "at most six whole numbers"],
    [() => ops.zeros(3 as never), TypeError, "the shape must be an array, found 3."],
  ],
  ones: [[() => ops.ones([NaN]), RangeError, "found [NaN]."]],
  full: [[() => ops.full([1], NaN, "int32"), RangeError, "found NaN"]],
  zerosLike: [[
    () => ops.zerosLike(none),
    TypeError,
    "must be a tensor, found an object.",
  ]],
  onesLike: [[() => ops.onesLike(null as never), TypeError, "must be a tensor, found null."]],
  eye: [[
    () => ops.eye(-1),
    RangeError,
    "the size must be a whole number of at least 0, found -1.",
  ]],
  linspace: [
    [() => ops.linspace(NaN, 1, 2), RangeError, "the start must be a finite number, found NaN."],
    [() => ops.linspace(0, 1, 0), RangeError, "the count must be a whole number of at least 1"],
  ],
  range: [
    [() => ops.range(5, 0), RangeError, "Making a range: the step must lead from 5 to 0, found 1."],
    [() => ops.range(0, 5, 0), RangeError, "the step must lead from 0 to 5, found 0."],
    [() => ops.range(0, NaN), RangeError, "the stop must be a finite number, found NaN."],
    [() => ops.range(0, 1, 0.5, "int32"), RangeError, "found 0.5"],
  ],
  oneHot: [
    [
      () => ops.oneHot(row([0, 1]), 3),
      TypeError,
      "One-hot encoding: the labels must be int32, found float32. Convert it by ops.cast.",
    ],
    [
      () => ops.oneHot(int([0, 3]), 3),
      RangeError,
      "One-hot encoding: a label must be from 0 to 2, found 3.",
    ],
    [() => ops.oneHot(int([-1]), 3), RangeError, "a label must be from 0 to 2, found -1."],
    [() => ops.oneHot(int([0]), 1), RangeError, "must be a whole number of at least 2, found 1."],
    [
      () => ops.oneHot(matrix([[1]]) as never, 2),
      RangeError,
      "must be [n], found the shape [1,1].",
    ],
  ],
  cast: [[() => ops.cast(row([1]), "string" as never), TypeError, 'found "string".']],
  reshape: [
    [
      () => ops.reshape(row([1, 2, 3]), [2, 2]),
      RangeError,
      "Reshaping: the shape must hold the 3 elements of [3], found [2,2].",
    ],
    [() => ops.reshape(row([1, 2]), [-1, -1]), RangeError, "of [2], found [-1,-1]."],
    [() => ops.reshape(row([1, 2]), [0, -1]), RangeError, "of [2], found [0,-1]."],
    [() => ops.reshape(row([1, 2]), [-2, -1]), RangeError, "whole numbers of at least 0"],
    [() => ops.reshape(row([1, 2]), 2 as never), TypeError, "the shape must be an array"],
  ],
  transpose: [
    [() => ops.transpose(matrix(square), [0]), RangeError, "must name each axis of [2,2] once"],
    [() => ops.transpose(matrix(square), [0, 0]), RangeError, "the axes must differ"],
    [() => ops.transpose(matrix(square), [0, 2]), RangeError, "found 2."],
  ],
  slice: [
    [
      () => ops.slice(matrix(square), [0, 1], [2, 2]),
      RangeError,
      "Slicing: the block must lie inside the shape [2,2], found a block from [0,1] of size [2,2].",
    ],
    [() => ops.slice(matrix(square), [0], [1]), RangeError, "must lie inside"],
    [() => ops.slice(matrix(square), [-1, 0], [1, 1]), RangeError, "must lie inside"],
    [() => ops.slice(matrix(square), [3, 0], [-1, 1]), RangeError, "must lie inside"],
    [() => ops.slice(matrix(square), [0, 0], [-2, 1]), RangeError, "must lie inside"],
    [() => ops.slice(given(ops.scalar(1)), [], []), RangeError, "must lie inside"],
  ],
  concat: [
    [() => ops.concat([]), RangeError, "Joining tensors: there must be at least one tensor"],
    [
      () => ops.concat([given(ops.zeros([2, 3])), given(ops.zeros([2, 2]))]),
      RangeError,
      "Joining tensors: the shapes must agree but for axis 0, found [2,3] and [2,2].",
    ],
    [
      () => ops.concat<never>([given(ops.zeros([2])), given(ops.zeros([2, 2]))] as never),
      RangeError,
      "found [2] and [2,2].",
    ],
    [
      () => ops.concat([row([1])], 1),
      RangeError,
      "each axis of the shape [1] must be a whole number from -1 to 0, found 1.",
    ],
    [
      () => ops.concat([row([1]), int([1])]),
      TypeError,
      "found float32 and int32. Convert one by ops.cast",
    ],
    [() => ops.concat(row([1]) as never), TypeError, "the tensors must be an array"],
  ],
  stack: [
    [() => ops.stack([]), RangeError, "there must be at least one tensor, found none."],
    [() => ops.stack([row([1]), row([1, 2])]), RangeError, "must agree, found [1] and [2]."],
    [() => ops.stack([row([1])], 2), RangeError, "found 2."],
  ],
  unstack: [[
    () => ops.unstack(given(ops.scalar(1))),
    RangeError,
    "the shape must have at least one axis, found [].",
  ]],
  split: [
    [
      () => ops.split(row([1, 2, 3]), 2),
      RangeError,
      "Splitting: the pieces must add up to the 3 elements of axis 0 of [3], found 2 equal pieces.",
    ],
    [() => ops.split(row([1, 2, 3]), [1, 1]), RangeError, "of axis 0 of [3], found sizes [1,1]."],
    [() => ops.split(row([1, 2, 3]), 0), RangeError, "must be a whole number of at least 1"],
    [() => ops.split(row([1, 2, 3]), [4, -1]), RangeError, "of at least 0, found [4,-1]."],
  ],
  pad: [
    [
      () => ops.pad(matrix(square), [[1, 0]]),
      RangeError,
      "Padding: there must be a pair [before, after] for each axis of [2,2], found 1.",
    ],
    [() => ops.pad(row([1]), [[-1, 0]]), RangeError, "must be a whole number of at least 0"],
    [() => ops.pad(bool([1]), [[1, 0]]), TypeError, "must be float32 or int32, found bool"],
  ],
  gather: [
    [
      () => ops.gather(row([1, 2]), int([2])),
      RangeError,
      "Gathering: an index must be from 0 to 1, found 2.",
    ],
    [
      () => ops.gather(row([1, 2]), row([1])),
      TypeError,
      "the indices must be int32, found float32",
    ],
    [() => ops.gather(row([1, 2]), int([0]), 1), RangeError, "found 1."],
  ],
  reverse: [
    [() => ops.reverse(row([1]), [1]), RangeError, "found 1."],
    [() => ops.reverse(row([1]), 0 as never), TypeError, "the axes must be an array"],
  ],
  tile: [
    [
      () => ops.tile(row([1]), [1, 2]),
      RangeError,
      "there must be a number of repetitions for each axis of [1]",
    ],
    [() => ops.tile(row([1]), [0]), RangeError, "must be a whole number of at least 1, found 0."],
  ],
  expandDims: [[() => ops.expandDims(row([1]), 2), RangeError, "found 2."]],
  squeeze: [
    [() => ops.squeeze(matrix(square), [0]), RangeError, "must have length 1, found 2."],
    [() => ops.squeeze(matrix([[1]]), [1, -1]), RangeError, "the axes must differ"],
  ],
  add: [
    [
      () => ops.add(row([1, 2]), row([1, 2, 3])),
      RangeError,
      "Adding: the shapes must broadcast, found [2] and [3]. Counted from the last, each pair of axes must be equal or one of them 1.",
    ],
    [() => ops.add(bool([1]), 1), TypeError, "an operand must be float32 or int32, found bool"],
    [
      () => ops.add("1" as never, 1 as never),
      TypeError,
      'an operand must be a tensor, found "1".',
    ],
    [
      () => ops.add([1] as never, 1 as never),
      TypeError,
      "must be a tensor, found [1].",
    ],
    [
      () => ops.add(undefined as never, 1 as never),
      TypeError,
      "must be a tensor, found undefined.",
    ],
  ],
  where: [
    [() => ops.where(row([1]), row([1]), row([1])), TypeError, "the condition must be bool"],
    [() => ops.where(bool([1]), row([1]), int([1])), TypeError, "found float32 and int32"],
    [
      () => ops.where(bool([1, 0, 1]), row([1, 2]), row([1])),
      RangeError,
      "must broadcast, found [3] and [2].",
    ],
  ],
  log: [[() => ops.log(int([2])), TypeError, "Taking logarithms: the tensor must be float32"]],
  neg: [[() => ops.neg(bool([1])), TypeError, "must be float32 or int32, found bool"]],
  leakyRelu: [[
    () => ops.leakyRelu(row([1]), NaN),
    RangeError,
    "the slope must be a finite number",
  ]],
  hardSwish: [
    [
      () => ops.hardSwish(int([1])),
      TypeError,
      "Taking hard swish: the tensor must be float32, found int32.",
    ],
    [() => ops.hardSwish(none), TypeError, "must be a tensor, found an object."],
  ],
  clip: [
    [() => ops.clip(row([1]), 2, 1), RangeError, "low must be at most high, found 2 and 1."],
    [() => ops.clip(row([1]), NaN, 1), RangeError, "found NaN and 1."],
  ],
  softmax: [[
    () => ops.softmax(given(ops.scalar(1))),
    RangeError,
    "the shape must have at least one axis, found [].",
  ]],
  logSoftmax: [[() => ops.logSoftmax(int([1])), TypeError, "must be float32, found int32"]],
  sum: [
    [
      () => ops.sum(matrix(square), [2]),
      RangeError,
      "Summing: each axis of the shape [2,2] must be a whole number from -2 to 1, found 2.",
    ],
    [() => ops.sum(matrix(square), [0.5]), RangeError, "found 0.5."],
    [
      () => ops.sum(matrix(square), [1, -1]),
      RangeError,
      "the axes must differ, found [1,-1].",
    ],
    // @ts-expect-error: axes are a list
    [() => ops.sum(matrix(square), 1), TypeError, "the axes must be an array, found 1."],
  ],
  mean: [[
    () => ops.mean(given(ops.zeros([0]))),
    RangeError,
    "must be at least one element to reduce, found the shape [0].",
  ]],
  variance: [[() => ops.variance(bool([1])), TypeError, "must be float32 or int32, found bool"]],
  max: [[
    () => ops.max(given(ops.zeros([2, 0])), [1]),
    RangeError,
    "must be at least one element to reduce",
  ]],
  any: [[
    () => ops.any(given(ops.zeros([0], "bool"))),
    RangeError,
    "must be at least one element to reduce",
  ]],
  all: [[() => ops.all(row([1])), TypeError, "Testing all elements: the tensor must be bool"]],
  argMax: [
    [
      () => ops.argMax(given(ops.scalar(1))),
      RangeError,
      "the shape must have at least one axis, found [].",
    ],
    [
      () => ops.argMax(given(ops.zeros([0]))),
      RangeError,
      "axis 0 must have at least one element, found the shape [0].",
    ],
  ],
  topK: [[() => ops.topK(matrix(square), 3), RangeError, "k must be a whole number from 1 to 2"]],
  matMul: [
    [
      () => ops.matMul(given(ops.zeros([2, 3])), given(ops.zeros([2, 3]))),
      RangeError,
      "Multiplying matrices [2,3] and [2,3]: the inner sizes must be equal, found 3 and 2.",
    ],
    [
      () => ops.matMul(row([1]) as never, matrix(square)),
      RangeError,
      "the left matrix must be [n, k], found the shape [1].",
    ],
  ],
  batchMatMul: [[
    () => ops.batchMatMul(given(ops.zeros([2, 1, 1])), given(ops.zeros([3, 1, 1]))),
    RangeError,
    "the shapes must be [b, n, k] and [b, k, m], found [2,1,1] and [3,1,1].",
  ]],
  resizeBilinear: [
    [
      () => ops.resizeBilinear(given(ops.zeros(image)), [0, 2]),
      RangeError,
      "Resizing images: the height and width must be a whole number of at least 1, found 0.",
    ],
    [
      () => ops.resizeBilinear(matrix(square) as never, [1, 1]),
      RangeError,
      "must be [batch, height",
    ],
  ],
  cropAndResize: [
    [
      () => ops.cropAndResize(given(ops.zeros(image)), matrix([[0, 0, 1, 1]]), int([1]), [1, 1]),
      RangeError,
      "Cropping images: an image index must be from 0 to 0, found 1.",
    ],
    [
      () => ops.cropAndResize(given(ops.zeros(image)), matrix([[0, 0, 1]]), int([0]), [1, 1]),
      RangeError,
      "the boxes must be [n, 4] and the image indices [n], found [1,3] and [1].",
    ],
  ],
};

testOnEachBackend("bad arguments are refused in words, and leave nothing behind", () => {
  for (const [name, cases] of Object.entries(bad)) {
    for (const [run, kind, message] of cases) {
      const before = memory().tensors;
      assert.throws(run, (error: unknown) => {
        assert(error instanceof kind, `${name}: ${error} is no ${kind.name}`);
        assert(error.message.includes(message), `${name}: "${error.message}" lacks "${message}"`);
        return true;
      });
      dispose(inputs.splice(0));
      assert.equal(memory().tensors, before, `${name}: tensors left behind`);
    }
  }
});

testOnEachBackend("every operation on a tensor refuses one that was disposed", () => {
  const x = ops.zeros([2, 2]), images = ops.zeros([1, 3, 3, 2]), kernel = ops.zeros([2, 2, 2, 1]);
  dispose([x, images, kernel]);
  const uses: (() => unknown)[] = [
    () => ops.add(x, 1),
    () => ops.relu(x),
    () => ops.sum(x),
    () => ops.reshape(x, [4]),
    () => ops.concat([x]),
    () => ops.matMul(x, x),
    () => ops.softmaxCrossEntropy(x, x),
    () => ops.conv2d(images, kernel),
    () => ops.maxPool(images, { kernelSize: 2 }),
  ];
  for (const use of uses) {
    assert.throws(use, { name: "TypeError", message: /must be alive, found a disposed tensor \[/ });
  }
});

for (const { options: { size }, inputs, y } of fixtures.resizeBilinear) {
  testOnEachBackend(`resizeBilinear to ${size} is PyTorch's`, () => {
    tidy(() => assertClose(ops.resizeBilinear(read<Tensor4D>(inputs.x), size), numbers(y)));
  });
}
