/** A sweep of 12 runs. As a program it computes all of them in this process. */
import { setTimeout } from "node:timers/promises";
import { adam, fashionMnist, fit, flatten, linear, relu, sequential, setSeed } from "resnet-lab";
import type { Sweep } from "resnet-lab/parallel";
import { runsOf } from "../../scripts/sweep_runs.ts";

const { test } = await fashionMnist({ subset: true });

const sweep: Sweep<{ learningRate: number; width: number }> = {
  settings: { learningRate: [0.001, 0.003], width: [4, 8] },
  seeds: [1, 2, 3],
  async run({ settings: { learningRate, width }, seed, checkpoint }) {
    setSeed(seed);
    const model = sequential(flatten(), linear(784, width), relu(), linear(width, 10));
    const optimizer = adam(model.parameters(), { learningRate });
    const options = { optimizer, epochs: 2, batchSize: 20 };
    const losses: number[] = [];
    const training = fit(model, test.take(100), {
      ...options,
      ...(checkpoint && { checkpoint: { folder: checkpoint, seconds: 0 } }),
    });
    for await (const progress of training) {
      if (progress.kind === "step") losses.push(progress.loss);
      // Long enough to be killed.
      if (checkpoint) await setTimeout(20);
    }
    return { losses };
  },
};
export default sweep;

if (import.meta.main) {
  const results: Record<string, unknown> = {};
  for (const { name, settings, seed } of runsOf("Running all", sweep)) {
    results[name] = {
      settings,
      seed,
      result: await sweep.run({ settings: settings as never, seed, checkpoint: "" }),
    };
  }
  console.log(JSON.stringify(results));
  Deno.exit();
}
