/** Where training stops because numbers leave the range of float32, and where it must not. */
import assert from "node:assert/strict";
import {
  adam,
  backend,
  batchNorm,
  type Features,
  fit,
  globalAveragePool,
  type Images,
  linear,
  Module,
  ops,
  relu,
  sequential,
  setSeed,
  sgd,
  type Tensor,
  type Tensor2D,
  tidy,
  type Variable,
  variable,
} from "resnet-lab";
import { collectHistory } from "../../lib/train/internal.ts";
import { assertNoLeak } from "../_helpers.ts";
import { OneWeight, pixels } from "./_helpers.ts";
import { DivergenceError } from "../../lib/train/divergence_error.ts";

for (const compile of [false, true]) {
  for (const precision of ["fp32", "bf16"] as const) {
    const name =
      `fit() refuses a step that would make a running variance infinite, compile: ${compile}, ${precision}`;
    Deno.test(
      name,
      { ignore: precision === "bf16" && backend() !== "tensorflow" },
      () =>
        assertNoLeak(async () => {
          setSeed(1);
          using model = sequential(batchNorm(1), relu(), globalAveragePool(), linear(1, 2));
          using optimizer = sgd(model.parameters(), { learningRate: 0.1 });
          const before = [...model.namedVariables()].map(([, v]) => [...v.dataSync()]);
          let batch = 0;
          const at: number[][][] = [];
          // Two good steps, and one with a pixel whose square is beyond float32; the loss and all
          // gradients stay finite.
          const training = fit(model, pixels([0, 1, 0, 1, 0, 1]), {
            optimizer,
            epochs: 1,
            batchSize: 2,
            seed: 1,
            compile,
            precision,
            augment: (images) => {
              if (++batch < 4) return images; // The first is fit's look at the model.
              return tidy(() => ops.add(images, ops.tensor([1e25, 0], [2, 1, 1, 1])) as Images<1>);
            },
          });
          const run = async () => {
            for await (const progress of training) {
              assert.equal(progress.kind, "step");
              at.push([...model.namedVariables()].map(([, v]) => [...v.dataSync()]));
            }
          };
          await assert.rejects(run, (error) => {
            assert(error instanceof DivergenceError, String(error));
            assert.match(
              error.message,
              /^Training stopped at step 3 of 3 \(epoch 1 of 1\) .* but the running statistic 0\.runningVariance is not finite\. The model is as it was before this step\./,
            );
            return true;
          });
          assert.equal(at.length, 2);
          assert.notDeepEqual(at[0], before);
          assert.deepEqual([...model.namedVariables()].map(([, v]) => [...v.dataSync()]), at[1]);
        }),
    );
  }
}

/** A layer with a variable that is infinite from the start, such as a mask. */
class Masked extends OneWeight {
  readonly mask: Variable = variable(ops.tensor([-Infinity, 0]), { trainable: false });
  override forward(images: Images<1>): Features<2> {
    return tidy(() => {
      const logits = super.forward(images);
      return ops.mul(logits, ops.cast(ops.isFinite(this.mask), "float32")) as Tensor2D;
    });
  }
}

Deno.test("fit() leaves alone what is infinite from the start", async () => {
  using model = new Masked();
  using optimizer = sgd(model.parameters(), { learningRate: 0.1 });
  const { steps } = await fit(model, pixels([0, 1, 0, 1]), { optimizer, epochs: 1, batchSize: 2 });
  assert.equal(steps.length, 2);
});

/** Logits `[0, weight · pixel]` whose loss is multiplied. */
const scaled = (factor: number) => (logits: Tensor) =>
  ops.mul(ops.sum(ops.slice(logits as Features<2>, [0, 1], [logits.shape[0]!, 1])), factor);

for (const [size, weight] of [[1e20, -1e20], [1.4e19, -1.4e19], [1e-30, -1e-30]] as const) {
  Deno.test(`fit() takes finite gradients of ${size} for finite`, () =>
    assertNoLeak(async () => {
      using model = new OneWeight();
      using optimizer = sgd(model.parameters(), { learningRate: 1 });
      const { steps: [step] } = await fit(model, pixels([1]), {
        optimizer,
        epochs: 1,
        batchSize: 1,
        loss: scaled(size),
      });
      assert(Math.abs(step!.gradientNorm / size - 1) < 1e-6, `${step!.gradientNorm}`);
      assert(Math.abs(model.weight.dataSync()[0]! / weight - 1) < 1e-6);
    }));
}

Deno.test("fit() clips gradients whose squares are beyond float32", () =>
  assertNoLeak(async () => {
    using model = new OneWeight();
    using optimizer = sgd(model.parameters(), { learningRate: 1 });
    const { steps: [step] } = await fit(model, pixels([1]), {
      optimizer,
      epochs: 1,
      batchSize: 1,
      loss: scaled(1e30),
      maxGradientNorm: 0.5,
    });
    assert(Math.abs(step!.gradientNorm / 1e30 - 1) < 1e-6);
    assert(Math.abs(model.weight.dataSync()[0]! + 0.5) < 1e-6);
  }));

Deno.test("fit() with adam survives gradients whose squares are beyond float32, as PyTorch does", () =>
  assertNoLeak(async () => {
    using model = new OneWeight(1);
    using optimizer = adam(model.parameters(), { learningRate: 0.1 });
    const { steps } = await fit(model, pixels([1, 1, 1]), {
      optimizer,
      epochs: 1,
      batchSize: 1,
      loss: scaled(1e25),
    });
    assert.equal(steps.length, 3);
    assert.equal(model.weight.dataSync()[0], 1);
  }));

Deno.test("fit() names a parameter whose gradient is not finite", async () => {
  class Two extends Module<Images<1>, Features<2>> {
    readonly good = new OneWeight(1);
    readonly bad = new OneWeight(0);
    override forward(images: Images<1>): Features<2> {
      // The gradient of √0 is infinite.
      return tidy(() =>
        ops.add(
          this.good.forward(images),
          ops.sqrt(this.bad.forward(images)),
        )
      );
    }
  }
  using model = new Two();
  using optimizer = sgd(model.parameters(), { learningRate: 1 });
  await assert.rejects(
    collectHistory(fit(model, pixels([1]), { optimizer, epochs: 1, batchSize: 1 })),
    /but the gradient of bad\.weight is not finite/,
  );
});
