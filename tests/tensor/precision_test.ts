import assert from "node:assert/strict";
import {
  backend,
  batchNorm,
  conv2d,
  crossEntropy,
  globalAveragePool,
  grad,
  linear,
  maxPool,
  ops,
  parallel,
  Random,
  relu,
  residual,
  sequential,
  setSeed,
  tidy,
  valueAndGradients,
  withBackend,
  withPrecision,
} from "resnet-lab";
import { assertClose, assertNoLeak } from "../_helpers.ts";

const native = { ignore: backend() !== "tensorflow" };

/** The nearest number with 8 significant bits, ties to even. */
function rounded(value: number): number {
  const bits = new DataView(new ArrayBuffer(4));
  bits.setFloat32(0, value);
  const word = bits.getUint32(0);
  bits.setUint32(0, (word + 0x7fff + ((word >>> 16) & 1)) & 0xffff0000);
  return bits.getFloat32(0);
}

Deno.test(
  "bf16 rounds the factors of a product to 8 bits, and adds the products in more",
  native,
  () => {
    tidy(() => {
      const values = new Random(1).normal([2, 64]).arraySync();
      const [a, b] = values as [number[], number[]];
      const product = withPrecision(
        "bf16",
        () => ops.matMul(ops.tensor([a]), ops.tensor(b, [64, 1])),
      );
      const exact = a.reduce((sum, value, i) => sum + rounded(value) * rounded(b[i]!), 0);
      assert.equal(product.dataSync()[0], rounded(exact));
      assert.notEqual(product.dataSync()[0], Math.fround(exact));
    });
  },
);

Deno.test(
  "withPrecision() rounds the inputs and the result of a convolution in bf16",
  native,
  () => {
    tidy(() => {
      const random = new Random(2);
      const x = random.normal([1, 5, 5, 3]), kernel = random.normal([3, 3, 3, 4]);
      const round = (t: typeof x): typeof x => ops.tensor(t.dataSync().map(rounded), t.shape);
      const exact = ops.conv2d(round(x), round(kernel), { padding: 1 });
      const y = withPrecision("bf16", () => ops.conv2d(x, kernel, { padding: 1 }));
      assertClose(y, exact, 2 ** -8);
      assert.deepEqual([...y.dataSync()], [...y.dataSync()].map(rounded));
    });
  },
);

/** A small network with all that computes in bf16. */
function network() {
  setSeed(3);
  const wide = { kernelSize: 3, padding: 1, useBias: false } as const;
  return sequential(
    conv2d(3, 8, { kernelSize: 3, padding: 1 }),
    relu(),
    residual(sequential(conv2d(8, 8, wide), batchNorm(8))),
    parallel(conv2d(8, 4, { kernelSize: 1 }), sequential(conv2d(8, 4, wide), relu())),
    maxPool({ kernelSize: 2 }),
    relu(),
    globalAveragePool(),
    linear(8, 5),
  );
}

Deno.test(
  "the gradients of a network in bf16 are those in fp32 but for the rounding",
  native,
  async () => {
    const model = network();
    const images = new Random(4).normal([16, 8, 8, 3]);
    const labels = ops.tensor(
      [...images.dataSync().slice(0, 16)].map((x) => x > 0 ? 1 : 3),
      [16],
      "int32",
    );
    const step = (precision: "fp32" | "bf16") =>
      withPrecision(
        precision,
        () =>
          valueAndGradients(
            () => crossEntropy(model.forward(images, { training: true }), labels),
            model.parameters(),
          ),
      );
    await assertNoLeak(() => {
      tidy(() => {
        const exact = step("fp32"), narrow = step("bf16");
        assertClose(narrow.value, exact.value, 0.01);
        assert.notEqual(narrow.value.dataSync()[0], exact.value.dataSync()[0]);
        exact.gradients.forEach((gradient, i) => {
          const length = Math.sqrt(ops.sum(ops.square(gradient)).dataSync()[0]!);
          const difference = ops.sub(narrow.gradients[i]!, gradient);
          const error = Math.sqrt(ops.sum(ops.square(difference)).dataSync()[0]!);
          assert(error <= 0.05 * length, `gradient ${i}: ${error} of ${length}`);
        });
      });
    });
  },
);

for (
  const { kernelSize, size, ...options } of [
    { kernelSize: 1, size: 4 },
    { kernelSize: 2, size: 4, padding: "same" },
    { kernelSize: 3, size: 4, padding: "same" },
    { kernelSize: 3, size: 4 },
    { kernelSize: 3, size: 8, padding: 1, stride: 2 },
    { kernelSize: 3, size: 8, padding: "same", stride: 2 },
    { kernelSize: 3, size: 10, stride: 2 },
  ] as const
) {
  const name = JSON.stringify({ kernelSize, size, ...options });
  Deno.test(
    `the gradient of a kernel in bf16 on small maps is that in fp32 rounded: ${name}`,
    native,
    () => {
      tidy(() => {
        const random = new Random(5);
        const x = random.normal([32, size, size, 256]);
        const kernel = random.normal([kernelSize, kernelSize, 256, 256]);
        const gradient = (precision: "fp32" | "bf16") =>
          withPrecision(
            precision,
            () =>
              grad((k: typeof kernel) => ops.sum(ops.square(ops.conv2d(x, k, options))))(kernel),
          );
        const exact = gradient("fp32");
        const error = ops.sum(ops.square(ops.sub(gradient("bf16"), exact)));
        const ratio = Math.sqrt(ops.div(error, ops.sum(ops.square(exact))).dataSync()[0]!);
        assert(ratio > 1e-5 && ratio < 0.01, `${ratio}`);
      });
    },
  );
}

Deno.test("withPrecision() returns bf16 tensors that compute in fp32 outside", native, () => {
  tidy(() => {
    const third = ops.tensor([[1 / 3]]), one = ops.tensor([[[[1]]]]);
    const y = withPrecision("bf16", () => ops.conv2d(ops.reshape(third, [1, 1, 1, 1]), one));
    assert.equal(y.dataSync()[0], rounded(1 / 3));
    const kernel = ops.tensor([1 / 3], [1, 1, 1, 1]);
    assert.equal(
      ops.mul(y, kernel).dataSync()[0],
      Math.fround(rounded(1 / 3) * Math.fround(1 / 3)),
    );
    const inner = withPrecision(
      "bf16",
      () => withPrecision("fp32", () => ops.conv2d(y, kernel).dataSync()[0]),
    );
    assert.equal(inner, Math.fround(rounded(1 / 3) * Math.fround(1 / 3)));
  });
});

Deno.test("withPrecision() ends where its function throws", native, () => {
  assert.throws(() =>
    withPrecision("bf16", () => {
      throw new Error("on the way");
    }), /on the way/);
  tidy(() => {
    const third = ops.tensor([[1 / 3]]);
    assert.equal(ops.matMul(third, ops.ones([1, 1])).dataSync()[0], Math.fround(1 / 3));
  });
});

Deno.test("withPrecision() refuses an unknown precision", async () => {
  assert.throws(() => withPrecision("fp16" as never, () => {}), {
    name: "RangeError",
    message: 'Choosing a precision: the precision must be one of "fp32", "bf16", found "fp16".',
  });
  await withBackend("cpu", () => {
    assert.throws(() => withPrecision("bf16", () => {}), {
      name: "RangeError",
      message: /^Choosing a precision: the backend must be native TensorFlow for "bf16"/,
    });
    assert.equal(withPrecision("fp32", () => 1), 1);
  });
});
