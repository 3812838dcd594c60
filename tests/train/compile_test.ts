/**
 * fit with `compile: true` trains as fit does, also where the loss or the model changes during the
 * training.
 */
import assert from "node:assert/strict";
import {
  adam,
  crossEntropy,
  dynamicConv2d,
  fashionMnist,
  type Features,
  fit,
  flatten,
  globalAveragePool,
  type Labels,
  linear,
  ops,
  sequential,
  setSeed,
} from "resnet-lab";
import { assertClose } from "../_helpers.ts";

const { train } = await fashionMnist({ subset: true });
const forty = train.take(40);

const losses = {
  "a smoothed loss": (logits: Features, labels: Labels) =>
    crossEntropy(logits, labels, { labelSmoothing: 0.1 }),
  "a loss of oneHot": (logits: Features, labels: Labels) =>
    ops.mean(ops.square(ops.sub(logits, ops.oneHot(labels, 10)))),
};
for (const [name, loss] of Object.entries(losses)) {
  Deno.test(`fit() compiled trains with ${name}`, async () => {
    const run = async (compile: boolean) => {
      setSeed(1);
      using model = sequential(flatten(), linear(784, 10));
      using optimizer = adam(model.parameters(), { learningRate: 1e-3 });
      const options = { optimizer, epochs: 2, batchSize: 10, seed: 1, loss, compile };
      const found: number[] = [];
      for await (const progress of fit(model, forty, options)) {
        if (progress.kind === "step") found.push(progress.loss);
      }
      return found;
    };
    const [plain, compiled] = [await run(false), await run(true)];
    assert.equal(compiled.length, 8);
    assertClose(compiled, plain, 1e-4);
  });
}

Deno.test("fit() compiled follows a temperature that falls at each step", async () => {
  const run = async (compile: boolean, annealingPasses?: number) => {
    setSeed(1);
    using model = sequential(
      dynamicConv2d(1, 8, { kernelSize: 3, annealingPasses }),
      globalAveragePool(),
      linear(8, 10),
    );
    using optimizer = adam(model.parameters(), { learningRate: 0.01 });
    const options = { optimizer, epochs: 2, batchSize: 10, seed: 1, compile };
    const { steps } = await fit(model, forty, options);
    return steps.map(({ loss }) => loss);
  };
  const [plain, compiled] = [await run(false, 6), await run(true, 6)];
  assertClose(compiled, plain, 1e-4);
  assert.notDeepEqual(compiled, await run(true));
});
