/**
 * NaN and infinity go through every op, and through fused kernels, as in PyTorch 2.15, whose
 * results are written out here.
 */
import assert from "node:assert/strict";
import {
  backend,
  compile,
  grad,
  type Images,
  ops,
  type Scalar,
  type Tensor,
  type Tensor1D,
  type Tensor2D,
  type Tensor4D,
  tidy,
  variable,
  withPrecision,
} from "resnet-lab";
import { assertNoLeak, testOnEachBackend } from "../_helpers.ts";

const N = NaN, I = Infinity;
const image = (values: readonly number[]): Tensor4D => ops.tensor(values, [1, 4, 4, 1]);
const withNaN = [1, 2, 3, 4, 5, N, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16];
const withInfinities = [1, 2, 3, 4, 5, I, 7, 8, 9, 10, 11, 12, 13, 14, 15, -I];
const allMinusInfinity = new Array(16).fill(-I);

/** torch.nn.functional.max_pool2d(x, …), and its gradient for ones. */
const pooled: [
  name: string,
  values: number[],
  window: { kernelSize: number; stride?: number; padding?: number },
  y: number[],
  dx: number[],
][] = [
  ["NaN", withNaN, { kernelSize: 2 }, [N, 8, 14, 16], [
    ...[0, 0, 0, 0],
    ...[0, 1, 0, 1],
    ...[0, 0, 0, 0],
    ...[0, 1, 0, 1],
  ]],
  [
    "NaN",
    withNaN,
    { kernelSize: 3, stride: 1, padding: 1 },
    [N, N, N, 8, N, N, N, 12, N, N, N, 16, 14, 15, 16, 16],
    [0, 0, 0, 0, 0, 9, 0, 1, 0, 0, 0, 1, 0, 1, 1, 3],
  ],
  ["NaN", withNaN, { kernelSize: 3, stride: 2, padding: 1 }, [N, N, N, N], [
    ...[0, 0, 0, 0],
    ...[0, 4, 0, 0],
    ...[0, 0, 0, 0],
    ...[0, 0, 0, 0],
  ]],
  ["infinities", withInfinities, { kernelSize: 2 }, [I, 8, 14, 15], [
    ...[0, 0, 0, 0],
    ...[0, 1, 0, 1],
    ...[0, 0, 0, 0],
    ...[0, 1, 1, 0],
  ]],
  [
    "minus infinity alone",
    allMinusInfinity,
    { kernelSize: 3, stride: 2, padding: 1 },
    [-I, -I, -I, -I],
    [1, 1, 0, 0, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
  ],
];
for (const [name, values, window, y, dx] of pooled) {
  testOnEachBackend(
    `maxPool() of ${name} and its gradient are PyTorch's, ${JSON.stringify(window)}`,
    () =>
      assertNoLeak(() =>
        tidy(() => {
          const pool = (x: Tensor4D) => ops.maxPool(x, window);
          const maxima = pool(image(values));
          assert.deepEqual([...maxima.dataSync()], y);
          assert.deepEqual([...grad(pool)(image(values), ops.onesLike(maxima)).dataSync()], dx);
        })
      ),
  );

  Deno.test(
    `maxPool() of ${name} is PyTorch's in bfloat16 and compiled, ${JSON.stringify(window)}`,
    { ignore: backend() !== "tensorflow" },
    () =>
      assertNoLeak(() =>
        tidy(() => {
          const ones: Tensor4D = ops.ones([1, 1, 2, 1]);
          // The convolution makes its output bfloat16. It has two channels, because oneDNN reads
          // bfloat16 in pairs: of a single channel it multiplies the next pixel by 0.
          const f = (x: Tensor4D) => {
            const pool = (x: Tensor4D) =>
              ops.maxPool(ops.conv2d(ops.concat([x, ops.zerosLike(x)], 3), ones), window);
            const y = pool(x);
            return [y, grad(pool)(x, ops.onesLike(y))] as const;
          };
          const check = ([y1, dx1]: readonly Tensor[]) => {
            assert.deepEqual([...y1!.dataSync()], y);
            assert.deepEqual([...dx1!.dataSync()], dx);
          };
          check(withPrecision("bf16", () => f(image(values))));
          for (const precision of ["fp32", "bf16"] as const) {
            using first = compile((x: Tensor4D) => withPrecision(precision, () => f(x)));
            check(first(image(values)));
            check(first(image(values)));
            using later = compile((x: Tensor4D) => withPrecision(precision, () => f(x)));
            const clean = Array.from({ length: 16 }, (_, i) => i);
            const before = later(image(clean)).map((t) => [...t.dataSync()]);
            later(image(clean));
            check(later(image(values)));
            assert.deepEqual(later(image(clean)).map((t) => [...t.dataSync()]), before);
          }
        })
      ),
  );
}

/**
 * Numbers enough for every vector instruction, with four NaN; the sign of NaN, which processors
 * set, must not matter.
 */
function maps(sign: "+" | "-"): Tensor4D {
  const values = Float32Array.from({ length: 2048 }, (_, i) => (i * 7919) % 13 - 6);
  const bits = new Uint32Array(values.buffer);
  for (const place of [5, 777, 1500, 2047]) bits[place] = sign === "+" ? 0x7fc00000 : 0xffc00000;
  return ops.tensor(values, [2, 8, 8, 16]);
}
const ones: () => Tensor4D = () => ops.ones([2, 8, 8, 16]);
const channels = (value: number): Tensor1D => ops.full([16], value);
const normalized = (x: Tensor4D) => ops.batchNormTraining(x, channels(1), channels(0), 1e-5).y;
const kernel = (): Tensor4D => ops.reshape(ops.eye(16), [1, 1, 16, 16]);
const rows = (x: Tensor): Tensor2D => ops.reshape(x, [-1, 16]);

const firstRow = (x: Tensor): Tensor1D => ops.squeeze(ops.slice(rows(x), [0, 0], [1, 16]), [0]);

/**
 * How many NaN come out where four came in: by hand, as many as numbers that depend on one of them.
 */
const kept: Record<string, [f: (x: Tensor4D) => Tensor, count: number]> = {
  relu: [(x) => ops.relu(x), 4],
  "relu of −x": [(x) => ops.relu(ops.neg(x)), 4],
  "relu of x − x": [(x) => ops.relu(ops.sub(x, x)), 4],
  leakyRelu: [(x) => ops.leakyRelu(x), 4],
  sign: [(x) => ops.sign(x), 4],
  abs: [(x) => ops.abs(x), 4],
  gelu: [(x) => ops.gelu(x), 4],
  hardSwish: [(x) => ops.hardSwish(x), 4],
  sigmoid: [(x) => ops.sigmoid(x), 4],
  tanh: [(x) => ops.tanh(x), 4],
  clip: [(x) => ops.clip(x, 0, 6), 4],
  "maximum with a number": [(x) => ops.maximum(x, 0), 4],
  "maximum of a number": [(x) => ops.maximum(0, x), 4],
  "maximum of a tensor": [(x) => ops.maximum(ones(), x), 4],
  "minimum with a number": [(x) => ops.minimum(x, 0), 4],
  "minimum of a number": [(x) => ops.minimum(0, x), 4],
  "minimum of a tensor": [(x) => ops.minimum(ones(), x), 4],
  max: [(x) => ops.max(x, [1, 2]), 4],
  min: [(x) => ops.min(x, [1, 2]), 4],
  mean: [(x) => ops.mean(x, [1, 2]), 4],
  softmax: [(x) => ops.softmax(rows(x)), 64],
  logSoftmax: [(x) => ops.logSoftmax(rows(x)), 64],
  "maxPool of 1": [(x) => ops.maxPool(x, { kernelSize: 1 }), 4],
  "maxPool of 2": [(x) => ops.maxPool(x, { kernelSize: 2 }), 4],
  "maxPool of all": [(x) => ops.maxPool(x, { kernelSize: 8 }), 4],
  "avgPool of 2": [(x) => ops.avgPool(x, { kernelSize: 2 }), 4],
  "avgPool of all": [(x) => ops.avgPool(x, { kernelSize: 8 }), 4],
  "relu of a convolution": [(x) => ops.relu(ops.conv2d(x, kernel())), 64],
  "relu of a convolution with bias": [
    (x) => ops.relu(ops.conv2d(x, kernel(), { bias: channels(0) })),
    64,
  ],
  "relu of a sum with a convolution": [
    (x) => ops.relu(ops.add(ops.conv2d(x, kernel(), { bias: channels(0) }), ones())),
    64,
  ],
  "relu6 of a convolution": [
    (x) => ops.clip(ops.conv2d(x, kernel(), { bias: channels(0) }), 0, 6),
    64,
  ],
  "relu of a product": [(x) => ops.relu(ops.matMul(rows(x), ops.eye(16))), 64],
  "relu of a product with bias": [
    (x) => ops.relu(ops.add(ops.matMul(rows(x), ops.eye(16)), channels(0))),
    64,
  ],
  "relu of batch norm in inference": [
    (x) =>
      ops.relu(ops.batchNormInference(x, {
        mean: channels(0),
        variance: channels(1),
        weight: channels(1),
        bias: channels(0),
        epsilon: 1e-5,
      })),
    4,
  ],
  "relu of batch norm in training": [(x) => ops.relu(normalized(x)), 4 * 128],
  "the gradient of relu of batch norm": [
    (x) => grad((x) => ops.relu(normalized(x as Tensor4D)))(x, ones()),
    4 * 128,
  ],
  "relu of batch norm with NaN in the weight": [
    (x) =>
      ops.relu(
        ops.batchNormTraining(
          ones(),
          firstRow(x),
          channels(0),
          1e-5,
        ).y,
      ),
    128,
  ],
  "relu of batch norm with NaN in the bias": [
    (x) =>
      ops.relu(
        ops.batchNormTraining(
          ones(),
          channels(1),
          firstRow(x),
          1e-5,
        ).y,
      ),
    128,
  ],
  "relu of batch norm of a constant without epsilon": [
    () => ops.relu(ops.batchNormTraining(ones(), channels(1), channels(0), 0).y),
    2048,
  ],
  "the gradient of a convolution": [
    (dy) => grad((x: Tensor4D) => ops.conv2d(x, kernel()))(ones(), dy),
    64,
  ],
};
const countNaN = (x: Tensor) => x.dataSync().filter(Number.isNaN).length;
for (const [name, [f, count]] of Object.entries(kept)) {
  testOnEachBackend(`NaN stays NaN: ${name}`, () =>
    assertNoLeak(() =>
      tidy(() => {
        for (const sign of ["+", "-"] as const) assert.equal(countNaN(f(maps(sign))), count, sign);
      })
    ));
  Deno.test(
    `NaN stays NaN: ${name}, compiled`,
    { ignore: backend() !== "tensorflow" },
    () =>
      assertNoLeak(() =>
        tidy(() => {
          using compiled = compile(f);
          for (const x of [ones(), ones(), maps("+"), maps("-")]) {
            assert.equal(countNaN(compiled(x)), countNaN(f(x)));
          }
        })
      ),
  );
}

testOnEachBackend("relu, clip and avgPool of infinities are PyTorch's", () => {
  tidy(() => {
    const x = ops.tensor([I, -I, 1, -1, N]);
    assert.deepEqual([...ops.relu(x).dataSync()], [I, 0, 1, 0, N]);
    assert.deepEqual([...ops.clip(x, -2, 6).dataSync()], [6, -2, 1, -1, N]);
    assert.deepEqual([...ops.clip(x, -I, 0).dataSync()], [0, -I, 0, -1, N]);
    assert.deepEqual([...ops.maximum(0, x).dataSync()], [I, 0, 1, 0, N]);
    assert.deepEqual([...ops.avgPool(image(withInfinities), { kernelSize: 2 }).dataSync()], [
      I,
      5.5,
      11.5,
      -I,
    ]);
    const both = ops.avgPool(image([I, -I, ...allMinusInfinity.slice(2)]), { kernelSize: 2 });
    assert.deepEqual([...both.dataSync()], [N, -I, -I, -I]);
  });
});

// torch.nn.functional.hardswish: for minus infinity −∞ · 0, with the gradient 0.
testOnEachBackend(
  "hardSwish() of infinities and huge numbers, and its gradient, are PyTorch's",
  () => {
    tidy(() => {
      const x = ops.tensor([I, -I, 1e30, -1e30]);
      assert.deepEqual([...ops.hardSwish(x).dataSync()], [I, N, Math.fround(1e30), -0]);
      const total = (x: Tensor1D): Scalar => ops.sum(ops.hardSwish(x));
      assert.deepEqual([...grad(total)(x).dataSync()], [1, 0, 1, 0]);
      // A finite product that float32 cannot hold.
      const dy = ops.tensor([1e10, -1e10]);
      assert.deepEqual(
        [...grad((x: Tensor1D) => ops.hardSwish(x))(ops.tensor([1e30, -1e30]), dy).dataSync()],
        [1e10, 0],
      );
    });
  },
);

testOnEachBackend("maxPool() of huge numbers has PyTorch's gradient", () => {
  tidy(() => {
    const x = image([
      1e30,
      2e30,
      3e38,
      2e38,
      1e30,
      3e30,
      1,
      2,
      -1e30,
      -2e30,
      0,
      -1e38,
      -3e30,
      -4e30,
      -2,
      -1,
    ]);
    const pool = (x: Tensor4D) => ops.maxPool(x, { kernelSize: 2 });
    assert.deepEqual([...pool(x).dataSync()], [3e30, 3e38, -1e30, 0].map(Math.fround));
    const dx = [0, 0, 1, 0, 0, 1, 0, 0, 1, 0, 1, 0, 0, 0, 0, 0];
    assert.deepEqual([...grad(pool)(x, ops.ones([1, 2, 2, 1])).dataSync()], dx);
  });
});

// torch.nn.functional.cross_entropy of logits of which a mask has made some minus infinity.
testOnEachBackend("labelCrossEntropy() takes minus infinity for the logit of another class", () => {
  tidy(() => {
    const loss = (x: Tensor2D) => ops.labelCrossEntropy(x, ops.tensor([0, 1], [2], "int32"));
    const logits = ops.tensor([[0, -I, 0], [-I, 5, -I]]);
    assert(Math.abs(loss(logits).dataSync()[0]! - Math.LN2 / 2) < 1e-6);
    assert.deepEqual([...grad(loss)(logits).dataSync()], [-0.25, 0, 0.25, 0, 0, 0]);
    assert.equal(loss(ops.tensor([[-I, 0, 0], [0, 0, 0]])).dataSync()[0], I);
  });
});

// torch.argmax and torch.topk take NaN for the largest.
testOnEachBackend("argMax() and topK() take NaN for the largest, as PyTorch does", () => {
  tidy(() => {
    const x = ops.tensor([[N, 1, 2], [1, N, 2], [1, 2, N], [N, N, N], [1, I, -I], [-I, -I, -I]]);
    assert.deepEqual([...ops.argMax(x).dataSync()], [0, 1, 2, 0, 1, 0]);
    const { values, indices } = ops.topK(x, 2);
    assert.deepEqual(values.arraySync(), [[N, 2], [N, 2], [N, 2], [N, N], [I, 1], [-I, -I]]);
    assert.deepEqual(indices.arraySync().slice(0, 3), [[0, 2], [1, 2], [2, 1]]);
    assert.deepEqual(indices.arraySync()[4], [1, 0]);
  });
});

testOnEachBackend("abs() has the gradient 0 at 0, as in PyTorch", () => {
  const total = (x: Tensor1D): Scalar => ops.sum(ops.abs(x));
  assert.deepEqual([...grad(total)(ops.tensor([-2, 0, 3])).dataSync()], [-1, 0, 1]);
});

Deno.test(
  "a compiled function that meets NaN assigns once, and goes on as a graph afterwards",
  { ignore: backend() !== "tensorflow" },
  () =>
    assertNoLeak(() =>
      tidy(() => {
        let runs = 0;
        using steps = variable(ops.zeros([]));
        using f = compile((x: Images) => {
          runs++;
          steps.assign(ops.add(steps, 1));
          return ops.maxPool(x, { kernelSize: 2 });
        });
        const clean = Array.from({ length: 16 }, (_, i) => i);
        for (const values of [clean, clean, withNaN, clean, withNaN, clean]) f(image(values));
        assert.equal(steps.dataSync()[0], 6);
        assert.equal(runs, 4); // the first two, and each with NaN
      })
    ),
);
