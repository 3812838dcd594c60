/** The transform of a training stays with the model, and with its weights in a file. */
import assert from "node:assert/strict";
import {
  adam,
  compose,
  conv2d,
  evaluate,
  extractFeatures,
  fashionMnist,
  findLearningRate,
  fit,
  flatten,
  globalAveragePool,
  type Images,
  linear,
  loadStateDict,
  lossSurface,
  type Module,
  normalize,
  ops,
  readSafetensors,
  relu,
  resize,
  sequential,
  setSeed,
  sgd,
  stateDict,
  tidy,
  type Transform,
  writeGraphModel,
  writeSafetensors,
} from "resnet-lab";
import { bindTransform, transformOf } from "../../lib/data/internal.ts";
import { assertClose } from "../_helpers.ts";

const { train, test } = await fashionMnist({ subset: true });
const some = train.take(200), others = test.take(100);
const shrink = compose(resize(7, 7), normalize({ mean: 0.3, standardDeviation: 0.2 }));
const own: Transform<1> = (images) => ops.mul(images, 10);
const network = () =>
  sequential(conv2d(1, 4, { kernelSize: 3 }), relu(), globalAveragePool(), linear(4, 10));

async function trained(transform: Transform<1> = shrink) {
  setSeed(1);
  const model = network();
  const optimizer = sgd(model.parameters(), { learningRate: 0.1 });
  await fit(model, some, { optimizer, epochs: 1, batchSize: 50, transform });
  return model;
}

Deno.test("evaluate() transforms the images as fit() did", async () => {
  const model = await trained();
  assert.equal(transformOf(model), shrink);
  const right = await evaluate(model, others, { transform: shrink });
  assert.deepEqual(await evaluate(model, others), right);
  assert.deepEqual(
    await evaluate(model, others, { compile: true, batchSize: 30, precision: "fp32" }).then((
      { predictions },
    ) => predictions),
    right.predictions,
  );
  const raw = await evaluate(model, others, { transform: compose() });
  bindTransform(model, undefined);
  assert.deepEqual(await evaluate(model, others), raw);
  assert.notEqual(raw.loss, right.loss);
});

Deno.test("evaluate() returns the validation of fit()", async () => {
  setSeed(1);
  const model = network();
  const optimizer = sgd(model.parameters(), { learningRate: 0.1 });
  const { epochs: [epoch] } = await fit(model, some, {
    ...{ optimizer, epochs: 1, batchSize: 50, transform: shrink, validation: others },
  });
  const { loss, accuracy } = await evaluate(model, others, { batchSize: 50 });
  assert.deepEqual(epoch!.validation, { loss, accuracy });
});

Deno.test("fit() uses the transform of the fit() before, or binds its own", async () => {
  const model = await trained();
  const shapes: string[] = [];
  const optimizer = sgd(model.parameters(), { learningRate: 0.1 });
  const rest = { optimizer, epochs: 1, batchSize: 100 };
  const augment = (images: Images<1>) => {
    shapes.push(`augment ${images.shape[1]}`);
    return images;
  };
  const loss = (logits: Parameters<NonNullable<Parameters<typeof fit>[2]["loss"]>>[0]) =>
    ops.mean(ops.square(logits));
  await fit(model, some, { ...rest, augment, loss });
  assert.equal(transformOf(model), shrink);
  assert.deepEqual(new Set(shapes), new Set(["augment 28"]));
  await fit(model, some, { ...rest, transform: own });
  assert.equal(transformOf(model), own);
  await fit(model, some, { ...rest, transform: compose() });
  assert.equal(
    (await evaluate(model, others)).loss,
    (await evaluate(model, others, { transform: (x) => x })).loss,
  );
});

Deno.test("fit() leaves the transform of a model alone before its first step, and where that fails", async () => {
  const model = await trained();
  const optimizer = sgd(model.parameters(), { learningRate: 0.1 });
  const rest = { optimizer, epochs: 1, batchSize: 100, transform: own };
  const waiting = fit(model, some, rest);
  assert.equal(transformOf(model), shrink);
  await waiting.return();
  await assert.rejects(fit(model, some, {
    ...rest,
    loss: () => {
      throw new Error("on purpose");
    },
  }));
  assert.equal(transformOf(model), shrink);
});

Deno.test("lossSurface() and findLearningRate use the transform, and leave it", async () => {
  const model = await trained();
  const options = { points: 3, seed: 1 };
  assert.deepEqual(
    await lossSurface(model, others, options),
    await lossSurface(model, others, { ...options, transform: shrink }),
  );
  const optimizer = sgd(model.parameters(), { learningRate: 1 });
  const sweep = { optimizer, batchSize: 50, steps: 4, seed: 1 };
  assert.deepEqual(
    await findLearningRate(model, some, sweep),
    await findLearningRate(model, some, { ...sweep, transform: shrink }),
  );
  assert.equal(transformOf(model), shrink);
  await findLearningRate(model, some, { ...sweep, transform: own });
  assert.equal(transformOf(model), shrink);
});

Deno.test("extractFeatures() uses the transform where a function or module gives the images to the model or its first layer", async () => {
  const model = await trained();
  const [conv] = model.layers;
  const pooled = globalAveragePool();
  const part = (images: Images<1>) => tidy(() => pooled.forward(conv.forward(images)));
  const expected = await extractFeatures(part, others, { transform: shrink });
  assert.deepEqual((await extractFeatures(part, others)).pixels, expected.pixels);
  const logits = await extractFeatures(model, others, { transform: shrink });
  for (const body of [model, (images: Images<1>) => model.forward(images)]) {
    assert.deepEqual((await extractFeatures(body as typeof model, others)).pixels, logits.pixels);
  }
  // Images that the function has changed, and those that go into no part of the model, stay as they
  // are.
  const twice = (images: Images<1>) => tidy(() => part(ops.mul(images, 2)));
  assert.deepEqual(
    (await extractFeatures(twice, others)).pixels,
    (await extractFeatures(twice, others, { transform: compose() })).pixels,
  );
  const raw = await extractFeatures(globalAveragePool(), others);
  assertClose(raw.images([0]), ops.mean(others.images([0]), [1, 2], { keepDims: true }));
  // A later part of the model takes maps, which are no images.
  const maps = await extractFeatures(conv, others);
  const top = await extractFeatures(model.layers[2], maps);
  assertClose(top.images([3]), ops.mean(maps.images([3]), [1, 2], { keepDims: true }), 1e-5);
});

Deno.test("fit() trains a head on features without a transform", async () => {
  const model = await trained();
  const features = await extractFeatures(
    sequential(...model.layers.slice(0, 3)) as Module<Images<1>, Images<4>>,
    others,
    { transform: shrink },
  );
  const head = sequential(flatten(), model.layers[3]);
  const optimizer = adam(head.parameters(), { learningRate: 0 });
  const { epochs: [epoch] } = await fit(head, features, { optimizer, epochs: 1, batchSize: 100 });
  assertClose(epoch!.trainLoss, (await evaluate(model, others)).loss, 1e-5);
});

async function inFile(work: (file: string) => Promise<void>) {
  const folder = await Deno.makeTempDir();
  try {
    await work(`${folder}/model.safetensors`);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("the transform is saved with the weights, and loaded with them", () =>
  inFile(async (file) => {
    const model = await trained();
    const right = await evaluate(model, others);
    await writeSafetensors(file, stateDict(model), { epochs: "1" });
    assert.deepEqual((await readSafetensors(file)).metadata, {
      epochs: "1",
      "resnet-lab.transform":
        '[{"resize":[7,7]},{"normalize":{"mean":[0.3],"standardDeviation":[0.2]}}]',
      "resnet-lab.data": JSON.stringify({
        classNames: train.classNames,
        height: 28,
        width: 28,
        channels: 1,
      }),
    });
    const again = network();
    loadStateDict(again, await readSafetensors(file));
    assert.deepEqual(await evaluate(again, others), right);
    // A copy of the map, less its head, has it too.
    const state = new Map(
      [...await readSafetensors(file)].filter(([name]) => !name.startsWith("3.")),
    );
    const tuned = sequential(
      conv2d(1, 4, { kernelSize: 3 }),
      relu(),
      globalAveragePool(),
      linear(4, 2),
    );
    loadStateDict(tuned, state, { except: ["3"] });
    assert.equal(typeof transformOf(tuned), "function");
    // From file to file.
    await writeSafetensors(file, state);
    assert.equal(Object.keys((await readSafetensors(file)).metadata).length, 2);
  }));

Deno.test("a state in memory takes any transform along", async () => {
  const model = await trained(own);
  const copy = network();
  loadStateDict(copy, stateDict(model));
  assert.equal(transformOf(copy), own);
  assert.deepEqual(await evaluate(copy, others), await evaluate(model, others));
});

Deno.test("weights without a transform leave that of the model alone", async () => {
  const model = await trained();
  loadStateDict(model, stateDict(network()));
  assert.equal(transformOf(model), shrink);
});

Deno.test("a transform of the user's own is not lost in a file: loading asks for it", () =>
  inFile(async (file) => {
    const model = await trained(own);
    await writeSafetensors(file, stateDict(model));
    assert.equal((await readSafetensors(file)).metadata["resnet-lab.transform"], "custom");
    const again = network();
    const before = [...again.parameters()[0]!.dataSync()];
    const state = await readSafetensors(file);
    assert.throws(() => loadStateDict(again, state), {
      name: "RangeError",
      message:
        "Loading a state dict: the transform in the file must be one that a file can hold, found a function of the user. " +
        "Pass it as { transform }, or { transform: compose() } for none.",
    });
    assert.deepEqual([...again.parameters()[0]!.dataSync()], before);
    loadStateDict(again, state, { transform: own });
    assert.deepEqual(await evaluate(again, others), await evaluate(model, others));
    const bound = network();
    bindTransform(bound, own);
    loadStateDict(bound, state);
    assert.equal(transformOf(bound), own);
  }));

Deno.test("a note about the training data that is of something else is refused", () =>
  inFile(async (file) => {
    const [names, form] = [["a", "b"], { height: 28, width: 28, channels: 1 }];
    for (
      const note of [
        "nonsense",
        "null",
        JSON.stringify({ ...form, classNames: ["a", "a"] }),
        JSON.stringify({ ...form, classNames: names, width: -1 }),
        JSON.stringify({ ...form, classNames: names, shorterSide: "x" }),
      ]
    ) {
      const model = network();
      await writeSafetensors(file, stateDict(network()), { "resnet-lab.data": note });
      const before = [...model.parameters()[0]!.dataSync()];
      const state = await readSafetensors(file);
      assert.throws(() => loadStateDict(model, state), {
        name: "RangeError",
        message: /^Loading a state dict: the data in the file must be class names, height/,
      });
      assert.deepEqual([...model.parameters()[0]!.dataSync()], before);
    }
  }));

Deno.test("a note about a transform that nobody here makes is refused, and nothing is loaded", () =>
  inFile(async (file) => {
    const model = network();
    for (const note of ["nonsense", '[{"crop":[3,3]}]', "[[]]"]) {
      await writeSafetensors(file, stateDict(network()), { "resnet-lab.transform": note });
      const before = [...model.parameters()[0]!.dataSync()];
      const state = await readSafetensors(file);
      assert.throws(() => loadStateDict(model, state), {
        name: "RangeError",
        message: /the transform in the file must be made of resize and normalize, found/,
      });
      assert.deepEqual([...model.parameters()[0]!.dataSync()], before);
      loadStateDict(model, state, { transform: shrink });
    }
  }));

Deno.test("tensors of models with two transforms are not written to one file", () =>
  inFile(async (file) => {
    const two = new Map([
      ...[...stateDict(await trained())].map(([name, tensor]) => [`a.${name}`, tensor] as const),
      ...[...stateDict(await trained(own))].map(([name, tensor]) => [`b.${name}`, tensor] as const),
    ]);
    await assert.rejects(writeSafetensors(file, two), {
      name: "RangeError",
      message: /the tensors must be of models with one transform, found \[.* and custom/,
    });
  }));

Deno.test("a graph model says which transform comes before it", () =>
  inFile(async (file) => {
    const folder = `${file}.graph`;
    const notes = async () =>
      JSON.parse(await Deno.readTextFile(`${folder}/model.json`)).userDefinedMetadata;
    await writeGraphModel(folder, network(), [7, 7, 1]);
    assert.equal(await notes(), undefined);
    await writeGraphModel(folder, await trained(), [7, 7, 1]);
    assert.deepEqual(JSON.parse((await notes()).transform)[0], { resize: [7, 7] });
    await writeGraphModel(folder, await trained(own), [28, 28, 1]);
    const { classNames } = train;
    assert.deepEqual(await notes(), { transform: "custom", classNames: [...classNames] });
  }));

Deno.test("transformOf, bindTransform and loadStateDict refuse what is no model and no transform", () => {
  const model = network(), state = stateDict(model);
  // @ts-expect-error: a model
  assert.throws(() => transformOf(network), {
    name: "TypeError",
    message: /the model must be a module, found the function network/,
  });
  // @ts-expect-error: a function
  assert.throws(() => bindTransform(model, "resize"), {
    name: "TypeError",
    message: /the transform must be a function, found "resize"/,
  });
  // @ts-expect-error: a function
  assert.throws(() => loadStateDict(model, state, { transform: [] }), {
    name: "TypeError",
    message: /transform must be a function, found \[\]/,
  });
});
