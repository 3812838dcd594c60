import assert from "node:assert/strict";
import {
  crossEntropy,
  type Features,
  fit,
  ImageDataset,
  type Labels,
  lenet,
  memory,
  ops,
  Random,
  setSeed,
  sgd,
} from "resnet-lab";
import { sampleLambda } from "../../lib/train/mixup.ts";
import { assertClose, assertNoLeak, testOnEachBackend } from "../_helpers.ts";
import { OneWeight, pixels } from "./_helpers.ts";

testOnEachBackend(
  "fit() with mixup by hand: images, loss, gradient and accuracy of one weight",
  () =>
    assertNoLeak(async () => {
      using model = new OneWeight(0.5);
      using optimizer = sgd(model.parameters(), { learningRate: 2 });
      let weight = 0.5;
      const shares = new Set<number>();
      const seen: { x: number[]; labels: number[] }[] = [];
      const loss = (logits: Features<2>, labels: Labels) => {
        const x = Array.from(ops.slice(logits, [0, 1], [-1, 1]).dataSync(), (z) => z / weight);
        seen.push({ x, labels: [...labels.dataSync()] });
        return crossEntropy(logits, labels);
      };
      const training = fit(model, pixels([0, 1, 0, 1, 1, 0]), {
        ...{ optimizer, epochs: 8, batchSize: 6, mixup: 1, seed: 3, loss },
      });
      for await (const progress of training) {
        if (progress.kind === "epoch") continue;
        // One loss with the labels of the images, one with the labels of their partners.
        assert.equal(seen.length, 2);
        const [{ x, labels: own }, { labels: others }] = [seen.shift()!, seen.shift()!];
        assert.deepEqual(own.toSorted(), [0, 0, 0, 1, 1, 1]);
        assert.deepEqual(others.toSorted(), [0, 0, 0, 1, 1, 1]);
        // A light image with a dark partner is as light as its share.
        const share = x.find((_, i) => own[i] === 1 && others[i] === 0) ?? 1;
        shares.add(share);
        assert(share >= 0.5 && share <= 1);
        assertClose(x, own.map((label, i) => share * label + (1 - share) * others[i]!));

        const mean = (term: (i: number) => number) => x.reduce((sum, _, i) => sum + term(i), 0) / 6;
        // −log softmax([0, z])_y is log(1 + eᶻ) − y · z, with the slope σ(z) − y.
        const z = x.map((pixel) => weight * pixel);
        const target = (i: number) => share * own[i]! + (1 - share) * others[i]!;
        assertClose(progress.loss, mean((i) => Math.log(1 + Math.exp(z[i]!)) - target(i) * z[i]!));
        const slope = mean((i) => (1 / (1 + Math.exp(-z[i]!)) - target(i)) * x[i]!);
        assertClose(progress.gradientNorm, Math.abs(slope));
        assertClose(progress.accuracy, mean((i) => Number((z[i]! > 0 ? 1 : 0) === own[i])));
        weight -= 2 * slope;
        assertClose(model.weight, [weight]);
        weight = model.weight.dataSync()[0]!;
      }
      assert(shares.size >= 7, `${[...shares]}`);
    }),
);

Deno.test("sampleLambda() by hand", () => {
  /** Gives u, then v. */
  class Fixed extends Random {
    constructor(readonly numbers: number[]) {
      super(0);
    }
    override integer(below: number): number {
      return Math.floor(this.numbers.shift()! * below);
    }
  }
  // cos² 2πv is 1 for v = ½, and t² ⁄ ν = u^(−1 ⁄ α) − 1 = ⅓, so ½ + ½ · √(⅓ ⁄ (1 + ⅓)) = ¾.
  assertClose(sampleLambda(1, new Fixed([3 / 4, 1 / 2])), 0.75, 1e-9);
  assertClose(sampleLambda(2, new Fixed([9 / 16, 1 / 2])), 0.75, 1e-9);
  // With u = ¼ and cos² 2πv = ½ for v = ⅛: t² ⁄ ν = 3 ⁄ 2.
  assertClose(sampleLambda(1, new Fixed([1 / 4, 1 / 8])), 0.5 + Math.sqrt(0.6) / 2, 1e-9);
});

Deno.test("sampleLambda() has the moments of the larger of λ and 1 − λ for a λ from Beta(α, α)", () => {
  const random = new Random(1), n = 20_000;
  // 2λ − 1 has the variance 1 / (2α + 1), as λ has 1 / (4 (2α + 1)); |2λ − 1| has the mean 2/π, ½
  // and ⅜ for α of ½, 1 and 2.
  for (const [alpha, mean] of [[0.2], [0.5, 2 / Math.PI], [1, 1 / 2], [2, 3 / 8], [30]] as const) {
    const distances = Array.from({ length: n }, () => 2 * sampleLambda(alpha, random) - 1);
    assert(distances.every((distance) => distance >= 0 && distance <= 1));
    const square = distances.reduce((sum, distance) => sum + distance ** 2, 0) / n;
    // The fourth moment of 2λ − 1 is 3 / ((2α + 1) (2α + 3)).
    const variance = 1 / (2 * alpha + 1);
    const deviation = Math.sqrt((3 * variance / (2 * alpha + 3) - variance ** 2) / n);
    assert(Math.abs(square - variance) < 4 * deviation, `α ${alpha}: ${square}, not ${variance}`);
    if (mean === undefined) continue;
    const found = distances.reduce((sum, distance) => sum + distance, 0) / n;
    const error = Math.sqrt((variance - mean ** 2) / n);
    assert(Math.abs(found - mean) < 4 * error, `α ${alpha}: ${found}, not ${mean}`);
  }
});

Deno.test("sampleLambda() is from ½ to 1 for any α, never NaN", () => {
  const random = new Random(1);
  for (const alpha of [5e-324, 1e-300, 1e-3, 1e9, 1e300, Number.MAX_VALUE]) {
    for (let i = 0; i < 100; i++) {
      const share = sampleLambda(alpha, random);
      assert(share >= 0.5 && share <= 1, `α ${alpha}: ${share}`);
    }
  }
});

testOnEachBackend("fit() with mixup repeats a training for the same seed", async () => {
  const train = async (seed: number, mixup?: number) => {
    setSeed(1);
    const model = new OneWeight(0.5);
    const optimizer = sgd(model.parameters(), { learningRate: 1 });
    const options = { optimizer, epochs: 3, batchSize: 3, seed, mixup };
    return (await fit(model, pixels([0, 1, 0, 1, 1, 0]), options)).steps.map((
      { loss },
    ) => loss);
  };
  const losses = await train(5, 0.4);
  assert.deepEqual(await train(5, 0.4), losses);
  assert.notDeepEqual(await train(6, 0.4), losses);
  assert.notDeepEqual(await train(5), losses);
});

Deno.test("fit() with mixup leaves no tensor behind after a step", () =>
  assertNoLeak(async () => {
    using model = lenet();
    using optimizer = sgd(model.parameters(), { learningRate: 0.01 });
    const images = new ImageDataset<1, 10>({
      name: "noise",
      pixels: Uint8Array.from({ length: 20 * 784 }, (_, i) => (i * 7919) % 256),
      labels: Uint8Array.from({ length: 20 }, (_, i) => i % 10),
      height: 28,
      width: 28,
      channels: 1,
      classes: 10,
      classNames: [..."0123456789"],
    });
    const before = memory().tensors;
    const options = { optimizer, epochs: 2, batchSize: 10, mixup: 0.2 };
    for await (const _ of fit(model, images, options)) {
      assert.equal(memory().tensors, before);
    }
  }));
