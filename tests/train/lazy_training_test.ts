/** Trainings on images that stay in their files. */
import assert from "node:assert/strict";
import { encode } from "fast-png";
import {
  adam,
  augmentation,
  batchNorm,
  conv2d,
  type Dataset,
  evaluate,
  fit,
  globalAveragePool,
  imageFolder,
  type Images,
  type Labels,
  linear,
  memory,
  normalize,
  predict,
  readImage,
  relu,
  sequential,
  setSeed,
} from "resnet-lab";
import { tensorsAfter } from "../_helpers.ts";
import { testInFolder } from "./_helpers.ts";

/** Makes 26 pictures of two classes, and runs `test` with their folder. */
async function withPictures(test: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    for (const [label, name] of ["dark", "light"].entries()) {
      await Deno.mkdir(`${folder}/${name}`);
      for (let n = 0; n < 13; n++) {
        const data = Uint8Array.from(
          { length: 12 * 12 * 3 },
          (_, i) => 100 * label + (i * (n + 3)) % 120,
        );
        const bytes = encode({ width: 12, height: 12, channels: 3, data });
        await Deno.writeFile(`${folder}/${name}/${10 + n}.png`, bytes);
      }
    }
    await test(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

const form = { size: [8, 8], name: "pictures" } as const;

function network() {
  setSeed(3);
  const start = conv2d(3, 4, { kernelSize: 3 });
  return sequential(start, batchNorm(4), relu(), globalAveragePool(), linear(4, 2));
}

/** Trains until `last` steps are done, and returns the losses and the weights. */
async function train(
  folder: string,
  lazy: boolean,
  { checkpoint, last = Infinity }: { checkpoint?: string; last?: number } = {},
) {
  const { dataset } = lazy
    ? await imageFolder(folder, { ...form, lazy: true })
    : await imageFolder(folder, form);
  const parts: Dataset<Images<3>, Labels>[] = dataset.split(0.8, { seed: 1 });
  const [training, validation] = [parts[0]!, parts[1]!];
  const model = network();
  using optimizer = adam(model.parameters(), { learningRate: 0.01 });
  const losses: number[] = [];
  const progresses = fit(model, training, {
    optimizer,
    epochs: 2,
    batchSize: 4,
    seed: 5,
    mixup: 0.4,
    augment: augmentation.randomCrop({ padding: 1 }),
    transform: normalize({ mean: 0.5, standardDeviation: 0.25 }),
    validation,
    checkpoint,
    dropLast: true,
  });
  for await (const progress of progresses) {
    if (progress.kind === "step") losses.push(progress.loss);
    else losses.push(progress.validation!.loss, progress.validation!.accuracy);
    if (losses.length >= last) break;
  }
  const weights = [...model.namedVariables().values()].map((x) => [...x.dataSync()]);
  return { losses, weights, model, validation };
}

Deno.test("fit() on a lazy folder has the losses of the pictures in memory, to the last bit", () =>
  withPictures(async (folder) => {
    const { losses, weights } = await train(folder, false);
    const before = memory().tensors;
    const lazy = await train(folder, true);
    assert.equal(losses.length, 2 * (5 + 2));
    assert.deepEqual(lazy.losses, losses);
    assert.deepEqual(lazy.weights, weights);
    const { loss, accuracy, predictions } = await evaluate(lazy.model, lazy.validation, {
      batchSize: 4, // As in training: another size rounds in another way.
    });
    assert.equal(loss, losses.at(-2));
    assert.equal(accuracy, losses.at(-1));
    const predicted = await predict(lazy.model, lazy.validation);
    assert.deepEqual(predicted.map(([best]) => best!.label), [...predictions]);
    // The model knows how its pictures were read, and the names of the classes.
    const picture = await readImage(`${folder}/dark/10.png`, lazy.model);
    assert.deepEqual(picture.shape, [1, 8, 8, 3]);
    const [best] = (await predict(lazy.model, picture)).flat();
    assert(["dark", "light"].includes(best!.className));
    picture.dispose();
    [...lazy.model.namedVariables().values()].forEach((variable) => variable.dispose());
    assert.equal(memory().tensors, before);
  }));

testInFolder(
  "a checkpoint continues on a lazy folder within an epoch, to the last bit",
  (checkpoint) =>
    withPictures(async (folder) => {
      const { losses, weights } = await train(folder, false);
      await train(folder, true, { checkpoint, last: 2 });
      await train(folder, true, { checkpoint, last: 9 });
      const continued = await train(folder, true, { checkpoint });
      assert.deepEqual(continued.losses, losses);
      assert.deepEqual(continued.weights, weights);
    }),
);

testInFolder(
  "a checkpoint names the files of a lazy folder that have changed",
  (checkpoint) =>
    withPictures(async (folder) => {
      await train(folder, true, { checkpoint, last: 2 });
      for (const name of ["dark", "light"]) {
        await Deno.utime(`${folder}/${name}/10.png`, new Date(1e12), new Date(1e12));
        await Deno.utime(`${folder}/${name}/11.png`, new Date(1e12), new Date(1e12));
        await Deno.utime(`${folder}/${name}/12.png`, new Date(1e12), new Date(1e12));
        await Deno.utime(`${folder}/${name}/13.png`, new Date(1e12), new Date(1e12));
      }
      await assert.rejects(
        train(folder, true, { checkpoint }),
        /the content of the data set \(names, sizes and times of change of its files\) must be the same, found another\./,
      );
    }),
);

Deno.test("fit() on a lazy folder checks the model at the call", () =>
  withPictures(async (folder) => {
    const { dataset } = await imageFolder(folder, { ...form, lazy: true });
    const model = sequential(conv2d(3, 4, { kernelSize: 9 }), globalAveragePool(), linear(4, 2));
    using optimizer = adam(model.parameters(), { learningRate: 0.01 });
    assert.throws(
      () => fit(model, dataset, { optimizer, epochs: 1, batchSize: 4 }),
      /At 0 \(conv2d/,
    );
  }));

Deno.test("fit() on a lazy folder ends with the path of a file that is gone", () =>
  withPictures(async (folder) => {
    const { dataset } = await imageFolder(folder, { ...form, lazy: true });
    const model = network();
    using optimizer = adam(model.parameters(), { learningRate: 0.01 });
    const options = { optimizer, epochs: 3, batchSize: 13, seed: 1 };
    await Deno.remove(`${folder}/light/20.png`);
    const before = memory().tensors;
    await assert.rejects(
      fit(model, dataset, options).then(),
      (error: Error) =>
        error.message.includes(`found ${folder}/light/20.png: No such file`) &&
        error.message.includes("call imageFolder() again"),
    );
    // Tensors that earlier tests lost may have been collected meanwhile.
    assert(await tensorsAfter(200, before) <= before);
  }));
