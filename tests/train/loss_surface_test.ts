import assert from "node:assert/strict";
import {
  batchNorm,
  conv2d,
  crossEntropy,
  evaluate,
  type Features,
  flatten,
  type ForwardOptions,
  ImageDataset,
  type Images,
  linear,
  type Loss,
  lossSurface,
  Module,
  ops,
  relu,
  sequential,
  setSeed,
  tidy,
  variable,
} from "resnet-lab";
import { assertClose, assertNoLeak, testOnEachBackend } from "../_helpers.ts";

const four = new ImageDataset({
  name: "four",
  pixels: new Uint8Array([0, 100, 200, 255, 255, 30, 20, 10, 0, 0, 255, 255, 90, 80, 70, 60]),
  labels: new Uint8Array([0, 0, 0, 0]),
  height: 2,
  width: 2,
  channels: 1,
  classes: 2,
  classNames: ["this", "that"],
});

/**
 * Logits 0 and z with log(1 + eᶻ) = q, the loss of class 0, where q = 1 + Σ coefficientᵢ ·
 * |filterᵢ|².
 */
class Bowl extends Module<Images<1>, Features<2>> {
  readonly weight;
  constructor(values: number[], shape: readonly number[], readonly coefficients: number[]) {
    super();
    this.weight = variable(ops.tensor(values, shape));
  }
  override forward(images: Images<1>): Features<2> {
    return tidy(() => {
      const axes = this.weight.shape.slice(0, -1).map((_, axis) => axis);
      const squares = ops.sum(ops.square(this.weight), axes);
      const q = ops.add(ops.sum(ops.mul(squares, ops.tensor(this.coefficients))), 1);
      const z = ops.log(ops.sub(ops.exp(q), 1));
      const logits = ops.reshape(ops.stack([ops.zerosLike(z), z]), [1, 2]);
      return ops.tile(logits, [images.shape[0], 1]);
    });
  }
}

/** The bits of all variables. */
const bits = (model: Module<Images<1>, Features<2>>) =>
  [...model.namedVariables().values()].map((
    variable,
  ) => [...new Uint32Array(Float32Array.from(variable.dataSync()).buffer)]);

const network = () =>
  sequential(
    conv2d(1, 3, { kernelSize: 2, padding: "same" }),
    batchNorm(3),
    relu(),
    flatten(),
    linear(12, 2),
  );

testOnEachBackend(
  "lossSurface() of a parabola is the one worked out by hand",
  () =>
    assertNoLeak(async () => {
      // One filter of one number, 2: a direction as long as it is ±2, so q = 1 + 4 (1 ± α ± β)².
      const signs = new Set<string>();
      for (const seed of [1, 2, 3, 4, 5, 6, 7, 8]) {
        using model = new Bowl([2], [1, 1], [1]);
        const { alphas, losses } = await lossSurface(model, four, { points: 5, radius: 1, seed });
        assert.deepEqual(alphas, [-1, -0.5, 0, 0.5, 1]);
        const first = losses[2]![4]! > 5 ? 1 : -1, second = losses[4]![2]! > 5 ? 1 : -1;
        signs.add(`${first} ${second}`);
        losses.forEach((row, i) =>
          row.forEach((loss, j) =>
            assertClose(loss, 1 + 4 * (1 + first * alphas[j]! + second * alphas[i]!) ** 2, 1e-4)
          )
        );
      }
      assert(signs.size > 1, "every seed gives the same directions");
    }),
);

testOnEachBackend(
  "each filter of a direction is as long as that of the parameter",
  () =>
    assertNoLeak(async () => {
      // |w + αδ|² + |w − αδ|² − 2 |w|² = 2 α² |δ|², filter by filter; the filters' lengths are 5,
      // 13 and 0.
      for (const shape of [[2, 3], [2, 1, 1, 3]]) {
        for (const [filter, length] of [5, 13, 0].entries()) {
          // Scaled down so that e^q stays in float32.
          const coefficients = [0, 0, 0];
          coefficients[filter] = 0.01;
          using model = new Bowl([3, 5, 0, 4, 12, 0], shape, coefficients);
          const { losses } = await lossSurface(model, four, { points: 3, radius: 2, seed: filter });
          const [low, middle, high] = losses;
          const curvatures = [
            middle![0]! + middle![2]! - 2 * middle![1]!,
            low![1]! + high![1]! - 2 * middle![1]!,
          ];
          const expected = 2 * 2 ** 2 * 0.01 * length ** 2;
          assertClose(curvatures, [expected, expected], 1e-4);
        }
      }
    }),
);

testOnEachBackend(
  "lossSurface() moves filters only, in inference, around the model itself",
  () =>
    assertNoLeak(async () => {
      setSeed(1);
      const seen: { training?: boolean; values: Map<string, number[]> }[] = [];
      class Watched extends Module<Images<1>, Features<2>> {
        readonly body = network();
        override forward(images: Images<1>, options?: ForwardOptions) {
          const values = [...this.namedVariables()].map((
            [path, value],
          ): [string, number[]] => [path, [...value.dataSync()]]);
          seen.push({ training: options?.training, values: new Map(values) });
          return this.body.forward(images, options);
        }
      }
      using model = new Watched();
      const before = new Map(
        [...model.namedVariables()].map(([path, v]) => [path, [...v.dataSync()]]),
      );
      const { loss } = await evaluate(model, four, { batchSize: 4 });
      seen.length = 0;
      const { losses } = await lossSurface(model, four, { points: 3, batchSize: 4 });
      assert.equal(losses[1]![1], loss);
      assert.equal(seen.length, 9);
      seen.forEach(({ training, values }, i) => {
        assert(!training);
        for (const [path, value] of values) {
          // body.1 is a batch norm, whose weight is not a filter.
          const moves = i !== 4 && /(?<!body\.1\.)weight$/.test(path);
          assert.equal(
            value.every((v, at) => v === before.get(path)![at]),
            !moves,
            `${path} at ${i}`,
          );
        }
      });
    }),
);

Deno.test("lossSurface() is the same for the same seed and transforms the images", async () => {
  setSeed(1);
  using model = network();
  const options = { points: 3, seed: 7 };
  const surface = await lossSurface(model, four, options);
  assert.deepEqual(await lossSurface(model, four, options), surface);
  assert.notDeepEqual(await lossSurface(model, four, { ...options, seed: 8 }), surface);
  const dark = await lossSurface(model, four, { ...options, transform: (x) => ops.mul(x, 0) });
  assert.notDeepEqual(dark, surface);
  setSeed(5);
  const drawn = await lossSurface(model, four, { points: 3 });
  assert.notDeepEqual(await lossSurface(model, four, { points: 3 }), drawn);
  setSeed(5);
  assert.deepEqual(await lossSurface(model, four, { points: 3 }), drawn);
});

testOnEachBackend(
  "lossSurface() leaves the model as it was, to the bit, however it ends",
  () =>
    assertNoLeak(async () => {
      setSeed(1);
      using model = network();
      const before = bits(model);
      await lossSurface(model, four, { points: 3, radius: 0.3 });
      assert.deepEqual(bits(model), before);
      let passes = 0;
      const failing = lossSurface(model, four, {
        points: 3,
        transform: (images) => {
          if (++passes === 4) throw new RangeError("on purpose");
          return images;
        },
      });
      await assert.rejects(failing, /on purpose/);
      assert.deepEqual(bits(model), before);
      const stop = new AbortController();
      const stopped = lossSurface(model, four, {
        points: 3,
        signal: stop.signal,
        transform: (images) => {
          if (++passes === 8) stop.abort();
          return images;
        },
      });
      await assert.rejects(stopped, { name: "AbortError" });
      assert.equal(passes, 8);
      assert.deepEqual(bits(model), before);
    }),
);

Deno.test("lossSurface() refuses a loss that is not finite", () =>
  assertNoLeak(async () => {
    using model = new Bowl([9], [1, 1], [1]); // e⁸² is a float32, that of any larger square is not.
    const before = bits(model);
    await assert.rejects(lossSurface(model, four, { points: 3, seed: 1 }), {
      name: "DivergenceError",
      message: /the loss must be finite, found/,
    });
    assert.deepEqual(bits(model), before);
  }));

Deno.test("lossSurface() refuses a grid without a middle, a radius without a length, a model without filters", () =>
  assertNoLeak(async () => {
    using model = network();
    for (const points of [0, 1, 2, 4, 3.5, NaN]) {
      await assert.rejects(lossSurface(model, four, { points }), {
        name: "RangeError",
        message:
          `Computing a loss surface: points must be an odd number of at least 3, found ${points}.`,
      });
    }
    for (const radius of [0, -1, Infinity, NaN]) {
      await assert.rejects(lossSurface(model, four, { radius }), {
        name: "RangeError",
        message: `Computing a loss surface: radius must be positive and finite, found ${radius}.`,
      });
    }
    using flat = new Bowl([1], [1], [1]);
    await assert.rejects(lossSurface(flat, four), {
      name: "RangeError",
      message: /the model must have filters, parameters with two axes or more, found none/,
    });
    await assert.rejects(lossSurface(model, four, { batchSize: 5 }), /batchSize must be at most 4/);
  }));

Deno.test("lossSurface() takes only a model for the images and classes of the set", async () => {
  using colour = sequential(conv2d(3, 2, { kernelSize: 1 }), flatten(), linear(8, 2));
  using three = sequential(flatten(), linear(4, 3));
  // @ts-expect-error: the set has images with 1 channel, the model takes 3
  await assert.rejects(lossSurface(colour, four), RangeError);
  // @ts-expect-error: the set has 2 classes, the model gives 3
  await assert.rejects(lossSurface(three, four), RangeError);
});

Deno.test("lossSurface() uses the loss of its options", async () => {
  using model = new Bowl([2], [1, 1], [1]);
  const options = { points: 3, radius: 0.1, seed: 1 };
  const { losses } = await lossSurface(model, four, options);
  const double: Loss = (logits, labels) => ops.mul(crossEntropy(logits, labels), 2);
  const twice = await lossSurface(model, four, { ...options, loss: double });
  twice.losses.forEach((row, i) => assertClose(row, losses[i]!.map((loss) => 2 * loss), 1e-5));
});

const untyped: [options: object, message: RegExp][] = [
  [{ point: 3 }, /there is no option point\. Did you mean points\?/],
  [{ points: "3" }, /points must be an odd number of at least 3, found "3"/],
  [{ radius: "1" }, /radius must be positive and finite, found "1"/],
  [{ loss: 1 }, /loss must be a function/],
  [{ seed: "1" }, /seed must be a whole number from .*, found "1"/],
  [{ precision: "half" }, /the precision must be one of "fp32", "bf16", "auto", found "half"/],
];
for (const [options, message] of untyped) {
  Deno.test(`lossSurface() refuses ${Deno.inspect(options)}, in words`, () =>
    assertNoLeak(async () => {
      using model = network();
      await assert.rejects(lossSurface(model, four, options), { message });
    }));
}
