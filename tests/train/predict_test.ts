import assert from "node:assert/strict";
import { encode } from "fast-png";
import {
  evaluate,
  type Features,
  fit,
  flatten,
  ImageDataset,
  imageFolder,
  type Images,
  linear,
  loadStateDict,
  Module,
  normalize,
  ops,
  predict,
  readImage,
  readSafetensors,
  sequential,
  sgd,
  stateDict,
  writeSafetensors,
} from "resnet-lab";
import { assertClose, assertNoLeak, testOnEachBackend } from "../_helpers.ts";

/** Logits that are the pixels of an image of three pixels. */
class Pixels extends Module<Images<1>, Features<3>> {
  override forward(images: Images<1>): Features<3> {
    return ops.reshape(images, [-1, 3]);
  }
}

const images = ops.tensor([0, 1, 2, Math.log(6), 0, Math.log(3)], [2, 1, 3, 1]);

testOnEachBackend(
  "predict() by hand: the most probable classes first",
  () =>
    assertNoLeak(async () => {
      for (const options of [{}, { batchSize: 1 }, { compile: true }]) {
        const [first, second] = await predict(new Pixels(), images, { top: 2, ...options });
        const sum = 1 + Math.E + Math.E ** 2;
        assert.deepEqual(first!.map(({ label, className }) => [label, className]), [
          [2, "2"],
          [1, "1"],
        ]);
        assertClose(first!.map(({ probability }) => probability), [
          Math.E ** 2 / sum,
          Math.E / sum,
        ]);
        assertClose(second!.map(({ probability }) => probability), [0.6, 0.3]);
      }
      const named = await predict(new Pixels(), images, { classNames: ["cat", "dog", "fox"] });
      assert.deepEqual(named.map(([best]) => best!.className), ["fox", "cat"]);
      const transform = (x: Images<1>) => ops.neg(x);
      const other = await predict(new Pixels(), images, { transform });
      assert.deepEqual(other.map(([best]) => best!.label), [0, 1]);
    }),
);

Deno.test("predict() refuses what it cannot predict", async () => {
  const model = new Pixels();
  const refuse = (name: string, message: RegExp, ...args: unknown[]) =>
    assert.rejects(predict(model, ...args as [Images<1>]), { name, message });
  await refuse(
    "TypeError",
    /must be a tensor or a data set, found "cat\.jpg"\. Read a file/,
    "cat.jpg",
  );
  await refuse("RangeError", /the images must be \[batch, height/, ops.zeros([1, 3, 1]));
  await refuse("RangeError", /top must be a whole number .*found 4/, images, { top: 4 });
  await refuse("RangeError", /top must be a whole number .*found 0/, images, { top: 0 });
  await refuse(
    "RangeError",
    /a name for each of the 3 classes of the model, found 2 names/,
    images,
    { classNames: ["cat", "dog"] },
  );
  await refuse(
    "RangeError",
    /the logits must be finite, found others for image 1\./,
    ops.tensor([0, 1, 2, NaN, 0, 0], [2, 1, 3, 1]),
  );
  await assert.rejects(predict({} as never, images), { name: "TypeError" });
});

/** Makes a folder with pictures of two classes, wider than they are high. */
async function pictures(folder: string): Promise<void> {
  for (const [name, bright] of [["day", true], ["night", false]] as const) {
    await Deno.mkdir(`${folder}/${name}`);
    for (let i = 0; i < 6; i++) {
      const data = Uint8Array.from(
        { length: 6 * 9 * 3 },
        (_, pixel) => (bright ? 200 : 20) + (i * 7 + pixel * 5) % 40,
      );
      const image = { width: 9, height: 6, channels: 3, data };
      await Deno.writeFile(`${folder}/${name}/${i}.png`, encode(image));
    }
  }
}

Deno.test("a loaded model reads, transforms and names new pictures as in training", async () => {
  const folder = await Deno.makeTempDir();
  try {
    await pictures(folder);
    for (const form of [{}, { shorterSide: 5 }, { channels: 1 }] as const) {
      const { dataset } = await imageFolder(folder, { size: [4, 4], ...form });
      const [training] = dataset.split(0.5, { seed: 1 });
      const network = () =>
        sequential(flatten(), linear(16 * dataset.channels, 2)) as unknown as Module<
          Images<number>,
          Features<2>
        >;
      const model = network();
      await fit(model, training, {
        optimizer: sgd(model.parameters(), { learningRate: 0.1 }),
        epochs: 3,
        batchSize: 3,
        seed: 1,
        transform: normalize({ mean: 0.5, standardDeviation: 0.25 }),
      });
      const file = `${folder}/model.safetensors`;
      await writeSafetensors(file, stateDict(model));
      const loaded = network();
      loadStateDict(loaded, await readSafetensors(file));

      const { confidences, predictions } = await evaluate(model, dataset);
      for (const [i, path] of ["day/0.png", "night/0.png"].entries()) {
        const index = i * 6;
        using image = await readImage(`${folder}/${path}`, loaded);
        using expected = dataset.images([index]);
        assert.deepEqual(image.shape, expected.shape);
        assert.deepEqual(image.dataSync(), expected.dataSync());
        const [[best] = []] = await predict(loaded, image);
        assert.equal(best!.className, ["day", "night"][predictions[index]!]);
        assertClose(best!.probability, confidences[index]!);
        // From bytes, and with the options themselves.
        const bytes = await Deno.readFile(`${folder}/${path}`);
        using again = await readImage(bytes, { size: [4, 4], ...form });
        assert.deepEqual(again.dataSync(), expected.dataSync());
      }
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("a model with a new head does not name the classes of the old one", async () => {
  const set = (name: string) =>
    new ImageDataset({
      name,
      pixels: new Uint8Array(12),
      labels: [0, 1, 0, 1],
      height: 1,
      width: 3,
      channels: 1,
      classes: 2,
      classNames: [`${name} a`, `${name} b`],
    });
  const model = sequential(flatten(), linear(3, 2));
  const optimizer = sgd(model.parameters(), { learningRate: 0.1 });
  await fit(model, set("old"), { optimizer, epochs: 1, batchSize: 2, seed: 1 });
  const picture = ops.zeros([1, 1, 3, 1]);
  assert.match((await predict(model, picture))[0]![0]!.className, /^old/);
  const copy = sequential(flatten(), linear(3, 2));
  loadStateDict(copy, stateDict(model), { except: ["1"] });
  assert.match((await predict(copy, picture))[0]![0]!.className, /^[01]$/);
  await fit(copy, set("new"), {
    optimizer: sgd(copy.parameters(), { learningRate: 0.1 }),
    epochs: 1,
    batchSize: 2,
    seed: 1,
  });
  assert.match((await predict(copy, picture))[0]![0]!.className, /^new/);
});

Deno.test("readImage() refuses what it cannot read", async () => {
  const refuse = (picture: unknown, options: unknown, name: string, message: RegExp) =>
    assert.rejects(readImage(picture as string, options as { size: [1, 1] }), { name, message });
  const size = [2, 2];
  await refuse(
    3,
    { size },
    "TypeError",
    /the picture must be a path or the bytes of a file, found 3/,
  );
  await refuse("none.png", { size }, "Error", /^Reading the picture none\.png: .*No such file/);
  await refuse(new Uint8Array(), { size }, "Error", /must not be empty, found 0 bytes/);
  await refuse(new Uint8Array(9), { size }, "Error", /^Reading a picture: it must be a picture/);
  await refuse("none.png", { size: [2, 0] }, "RangeError", /width must be a whole number/);
  await refuse("none.png", { size, channels: 4 }, "RangeError", /channels must be 1 or 3, found 4/);
  await refuse("none.png", undefined, "TypeError", /options/);
  await refuse(
    "none.png",
    linear(2, 2),
    "RangeError",
    /the model must know how the images of its training were read, found one that fit has not trained/,
  );
});
