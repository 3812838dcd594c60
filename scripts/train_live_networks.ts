/**
 * Trains networks of the book's page "Live networks" on the full Fashion-MNIST, and writes their
 * weights to data/live as float16. How they were trained and how well they do is in the metadata of
 * the files.
 *
 *     deno run -A scripts/train_live_networks.ts lenet resnet20
 */
import { fashionMnist } from "../lib/data/mod.ts";
import { type LiveModel, type LiveName, liveNetworks } from "../lib/interactive/live/networks.ts";
import { setSeed } from "../lib/tensor/mod.ts";
import { adam, evaluate, fit, oneCycle } from "../lib/train/mod.ts";
import { loadStateDict, stateDict, writeSafetensors } from "../lib/weights/mod.ts";
import { StoredTensor } from "../lib/weights/stored_tensor.ts";

/** How each network is trained. */
const settings: Readonly<Record<LiveName, { epochs: number; learningRate: number }>> = {
  lenet: { epochs: 4, learningRate: 0.003 },
  nin: { epochs: 2, learningRate: 0.003 },
  vgg: { epochs: 2, learningRate: 0.003 },
  plain20: { epochs: 2, learningRate: 0.005 },
  resnet20: { epochs: 2, learningRate: 0.005 },
};
const seed = 1, batchSize = 100;

const names = Deno.args.filter((name) => Object.hasOwn(liveNetworks, name)) as LiveName[];
if (names.length === 0 || names.length < Deno.args.length) {
  console.error(`Name one or more of ${Object.keys(liveNetworks).join(", ")}.`);
  Deno.exit(1);
}
const { train, test } = await fashionMnist();
for (const name of names) {
  const { epochs, learningRate } = settings[name];
  setSeed(seed);
  const model: LiveModel = liveNetworks[name].build();
  const optimizer = adam(model.parameters(), { learningRate });
  const schedule = oneCycle({ maximum: learningRate });
  const options = { optimizer, schedule, epochs, batchSize, seed, compile: true };
  for await (const progress of fit(model, train, options)) {
    if (progress.kind === "epoch") console.log(name, progress.epoch, progress.trainLoss);
  }
  const state = stateDict(model);
  for (const [path, stored] of state) {
    if (stored.dtype !== "F32") continue;
    const half = Float16Array.from(stored.values() as Float32Array);
    state.set(path, new StoredTensor("F16", stored.shape, new Uint8Array(half.buffer)));
  }
  // The accuracy is that of the rounded weights, which the page computes with.
  loadStateDict(model, state);
  const { accuracy } = await evaluate(model, test, { batchSize: 500 });
  await writeSafetensors(
    new URL(`../data/live/${name}.safetensors`, import.meta.url).pathname,
    state,
    {
      ...{ trainedBy: "scripts/train_live_networks.ts", trainingSet: train.name },
      ...{ epochs: String(epochs), batchSize: String(batchSize), seed: String(seed) },
      ...{ optimizer: "adam", schedule: "oneCycle", learningRate: String(learningRate) },
      testAccuracy: String(accuracy),
    },
  );
  console.log(`${name}: ${accuracy} of the test images`);
}
