import assert from "node:assert/strict";
import {
  backend,
  cifarResnet,
  type Classifier,
  fit,
  ImageDataset,
  type Images,
  lenet,
  Random,
  setSeed,
  sgd,
  withBackend,
} from "resnet-lab";
import { assertNoLeak } from "../_helpers.ts";

/** Noise with labels in turn. */
function noise(count: number, size: number) {
  const random = new Random(1).uniform([count * size * size], { max: 256 });
  const pixels = Uint8Array.from(random.dataSync());
  random.dispose();
  const labels = Uint8Array.from({ length: count }, (_, i) => i % 10);
  const shape = { height: size, width: size, channels: 1, classes: 10 } as const;
  return new ImageDataset({
    name: "noise",
    pixels,
    labels,
    ...shape,
    classNames: [..."0123456789"],
  });
}

/** The losses of the first training steps of a model, two images in each. */
async function lossesOf(make: () => Classifier<Images<1>, 10>, size: number): Promise<number[]> {
  setSeed(2);
  using model = make();
  using optimizer = sgd(model.parameters(), { learningRate: 0.05, momentum: 0.9 });
  const options = { optimizer, epochs: 1, batchSize: 2, seed: 3 };
  const { steps } = await fit(model, noise(6, size), options);
  return steps.map(({ loss }) => loss);
}

const models: Record<string, [make: () => Classifier<Images<1>, 10>, size: number]> = {
  "LeNet": [() => lenet(), 28],
  "LeNet of 1998": [() => lenet({ activation: "tanh" }), 28],
  "ResNet-20": [() => cifarResnet({ depth: 20, inChannels: 1 }), 8],
  "ResNet-20 with convolutions as shortcuts": [
    () => cifarResnet({ depth: 20, inChannels: 1, shortcut: "B" }),
    9,
  ],
};

for (const [name, [make, size]] of Object.entries(models)) {
  Deno.test(`${name} learns the same on each backend`, async () => {
    await assertNoLeak(async () => {
      const here = await lossesOf(make, size);
      assert.equal(here.length, 3);
      assert.notEqual(here[0], here[2]);
      for (const other of ["wasm", "cpu"] as const) {
        const there = await withBackend(other, () => lossesOf(make, size));
        here.forEach((loss, step) =>
          assert(
            Math.abs(there[step]! - loss) < 1e-3,
            `losses on ${other}: ${there}; on ${backend()}: ${here}`,
          )
        );
      }
    });
  });
}
