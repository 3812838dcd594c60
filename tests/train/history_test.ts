import assert from "node:assert/strict";
import { collectHistory, type EpochProgress, type Progress, type StepProgress } from "resnet-lab";

Deno.test("collect keeps steps and epochs in their order", async () => {
  const step = (step: number): StepProgress => ({
    kind: "step",
    epoch: 1,
    epochs: 1,
    step,
    totalSteps: 2,
    loss: 1 / step,
    accuracy: 0.5,
    gradientNorm: 1,
    learningRate: 0.1,
    imagesPerSecond: 100,
  });
  const epoch: EpochProgress = {
    kind: "epoch",
    epoch: 1,
    epochs: 1,
    trainLoss: 0.75,
    trainAccuracy: 0.5,
    learningRate: 0.1,
    seconds: 1,
  };
  async function* training(): AsyncGenerator<Progress> {
    yield* await Promise.resolve([step(1), step(2), epoch]);
  }
  assert.deepEqual(await collectHistory(training()), {
    steps: [step(1), step(2)],
    epochs: [epoch],
  });
});
