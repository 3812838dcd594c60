/** Tests of the library in a web page: the bundle, and training in headless Chromium. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { brotliCompressSync, gzipSync } from "node:zlib";
import * as lib from "resnet-lab";
import {
  backend,
  fashionMnist,
  fit,
  googlenet,
  lenet,
  loadStateDict,
  readImage,
  readSafetensors,
  setSeed,
  sgd,
  stateDict,
  summary,
  writeSafetensors,
} from "resnet-lab";
import { encode } from "fast-png";
import { assertClose } from "../_helpers.ts";
import { makeBundle, Site, siteTest } from "./_site.ts";

/** What a page has not, because it needs files, programs or a notebook. */
const NOT_IN_PAGES = [
  ...["catsAndDogs", "cifar10", "imageFolder"],
  ...["pretrained", "readPth", "writeGraphModel", "writeSafetensors"],
  "processes",
];

Deno.test("the bundle has nothing of Node, of Deno, or of the packages for files and pictures", async () => {
  const { folder, metafile: { inputs, outputs } } = await makeBundle();
  const [output] = Object.entries(outputs).filter(([file]) => file.endsWith("resnet_lab.js"));
  const bundled = Object.keys(output![1].inputs);
  // esbuild's mark of modules that TensorFlow.js's packages replace by nothing in browsers.
  const own = Object.keys(inputs).filter((file) => !file.startsWith("(disabled):"));
  assert.deepEqual(
    own.filter((file) => /^node:|tfjs-node|sharp|jsdom|canvas@|resvg/.test(file)),
    [],
  );
  assert.deepEqual(output![1].imports.map(({ path }) => path), []);
  const { length } = bundled.filter((file) => file.endsWith(".page.ts"));
  assert.equal(length, [...pageFiles(join(import.meta.dirname!, "../../lib"))].length);

  const text = await Deno.readTextFile(join(folder, "resnet_lab.js"));
  assert.doesNotMatch(text.replaceAll("Deno.customInspect", ""), /\bDeno\b/);
  assert.doesNotMatch(text, /["'`]node:|process\.binding|__dirname\b(?!\s*[!=]|\+)/);
  // TensorFlow.js's workers name two modules of Node, for workers of Node only.
  const required = Array.from(text.matchAll(/\brequire\("([^"]*)"\)/g), ([, name]) => name);
  assert.deepEqual(required.sort(), ["fs", "worker_threads"]);
});

function* pageFiles(folder: string): Generator<string> {
  for (const { name, isDirectory } of Deno.readDirSync(folder)) {
    if (isDirectory) yield* pageFiles(join(folder, name));
    else if (name.endsWith(".page.ts")) yield name;
  }
}

Deno.test("the bundle is below 500 kB compressed", async () => {
  const { folder } = await makeBundle();
  const bytes = await Deno.readFile(join(folder, "resnet_lab.js"));
  assert(gzipSync(bytes).length < 500_000);
  assert(brotliCompressSync(bytes).length < 400_000);
});

siteTest("a page has all of the library that needs no files, and no notebook", async () => {
  await using site = await Site.open({ lab: (await makeBundle()).folder });
  const names = await site.run<string[]>(`return Object.keys(await import("/lab/resnet_lab.js"))`);
  const notebook = Object.keys(await import("resnet-lab/notebook"));
  const missing = new Set([...NOT_IN_PAGES, ...notebook]);
  assert.deepEqual(names.sort(), Object.keys(lib).filter((name) => !missing.has(name)).sort());
  // Names of classes are not lost.
  const text = await site.run<string>(`
    const { googlenet, summary } = await import("/lab/resnet_lab.js");
    return String(summary(googlenet({ variant: "torchvision", width: 1 / 8, auxiliary: true }), [224, 224, 3]));`);
  const model = googlenet({ variant: "torchvision", width: 1 / 8, auxiliary: true });
  assert.equal(text, String(summary(model, [224, 224, 3])));
  // Nothing is loaded from elsewhere.
  assert.deepEqual(site.requests.filter((url) => !url.includes(site.origin)), []);
});

/** The settings of a training, and what it gives. */
const settings = { images: 512, batchSize: 32, learningRate: 0.05, momentum: 0.9, seed: 3 };
interface Trained {
  readonly losses: number[];
  readonly logits: number[];
  readonly backend: string;
  readonly tensors: number;
}

const TRAIN = `
  const lab = await import("/lab/resnet_lab.js?RESNET_LAB_BACKEND=" + values.backend);
  const { images, batchSize, learningRate, momentum, seed } = values;
  const { train, test } = await lab.fashionMnist({ subset: true });
  const model = lab.lenet({ activation: "relu" });
  lab.loadStateDict(model, await lab.readSafetensors("/data/lenet.safetensors"));
  const before = lab.memory().tensors, losses = [];
  const optimizer = lab.sgd(model.parameters(), { learningRate, momentum });
  for await (const progress of lab.fit(model, train.take(images), { optimizer, epochs: 1, batchSize, seed })) {
    if (progress.kind === "step") losses.push(progress.loss);
  }
  optimizer.dispose?.();
  const logits = [...await model.forward(test.images([0, 1, 2, 3])).data()];
  return { losses, logits, backend: lab.backend(), tensors: lab.memory().tensors - before };`;

/** Trains LeNet from the weights in a folder, here. */
async function trainHere(folder: string, images: number, batchSize: number): Promise<Trained> {
  const { train, test } = await fashionMnist({ subset: true });
  const model = lenet({ activation: "relu" });
  loadStateDict(model, await readSafetensors(join(folder, "lenet.safetensors")));
  const losses: number[] = [];
  const { learningRate, momentum, seed } = settings;
  const optimizer = sgd(model.parameters(), { learningRate, momentum });
  const training = fit(model, train.take(images), { optimizer, epochs: 1, batchSize, seed });
  for await (const progress of training) {
    if (progress.kind === "step") losses.push(progress.loss);
  }
  const logits = [...model.forward(test.images([0, 1, 2, 3])).dataSync()];
  return { losses, logits, backend: backend(), tensors: 0 };
}

/** Writes initial weights to a folder. */
async function weightsFolder(): Promise<string> {
  setSeed(1);
  const folder = await Deno.makeTempDir();
  await writeSafetensors(
    join(folder, "lenet.safetensors"),
    stateDict(lenet({ activation: "relu" })),
  );
  return folder;
}

for (
  const [name, choice, isolated, images, batchSize] of [
    ["WebAssembly with threads", "wasm", true, 512, 32],
    ["WebAssembly without threads", "wasm", false, 512, 32],
    ["plain JavaScript", "cpu", true, 24, 8],
    ["WebGPU, which this Chromium computes on the processor", "webgpu", true, 8, 4],
  ] as const
) {
  siteTest(`LeNet trains in a page on ${name} as it does here`, async () => {
    const folder = await weightsFolder();
    const here = await trainHere(folder, images, batchSize);
    await using site = await Site.open({ lab: (await makeBundle()).folder, data: folder }, {
      isolated,
    });
    const values = { ...settings, backend: choice, images, batchSize };
    const page = await site.run<Trained>(TRAIN, values);
    assert.equal(page.backend, choice);
    assertClose(page.losses, here.losses, 1e-4);
    assertClose(page.logits, here.logits, 1e-4);
    const threaded = site.requests.some((url) => url.includes("threaded-simd.wasm"));
    if (choice === "wasm") assert.equal(threaded, isolated, site.requests.join("\n"));
    if (images === 512) {
      const mean = (losses: readonly number[]) => losses.reduce((a, b) => a + b) / losses.length;
      assert(
        mean(page.losses.slice(-4)) < mean(page.losses.slice(0, 4)) - 0.2,
        String(page.losses),
      );
    }
    await Deno.remove(folder, { recursive: true });
  });
}

siteTest("a page chooses WebAssembly where only a processor computes WebGPU", async () => {
  await using site = await Site.open({ lab: (await makeBundle()).folder });
  const found = await site.run<[string, string, string]>(`
    const lab = await import("/lab/resnet_lab.js");
    const inside = await lab.withBackend("cpu", () => lab.backend());
    return [lab.backend(), inside, lab.backend()];`);
  assert.deepEqual(found, ["wasm", "cpu", "wasm"]);
});

siteTest("a page reads a picture as readImage() does here", async () => {
  const data = Uint8Array.from({ length: 40 * 30 * 3 }, (_, i) => (i * 37) % 256);
  const png = encode({ width: 40, height: 30, channels: 3, data });
  const folder = await Deno.makeTempDir();
  await Deno.writeFile(join(folder, "picture.png"), png);
  await using site = await Site.open({ lab: (await makeBundle()).folder, data: folder });
  for (const channels of [1, 3] as const) {
    const found = await site.run<number[]>(
      `const { readImage } = await import("/lab/resnet_lab.js");
      return [...(await readImage("/data/picture.png", { size: [16, 16], channels: values.channels })).dataSync()];`,
      { channels },
    );
    assertClose(found, await readImage(png, { size: [16, 16], channels }), 0);
  }
  await Deno.remove(folder, { recursive: true });
});

siteTest("a page says what it cannot do, and what to do instead", async () => {
  await using site = await Site.open({ lab: (await makeBundle()).folder });
  const messages = await site.run<string[]>(`
    const lab = await import("/lab/resnet_lab.js");
    const message = (call) => Promise.resolve().then(call).then(() => "no error", (error) => error.message);
    const { train } = await lab.fashionMnist({ subset: true });
    const model = lab.lenet({ activation: "relu" }), optimizer = lab.sgd(model.parameters(), { learningRate: 0.1 });
    const options = { optimizer, epochs: 1, batchSize: 32 };
    return [
      await message(() => lab.fashionMnist()),
      await message(() => lab.fit(model, train, { ...options, checkpoint: "runs/first" })),
      await message(() => lab.stages.csv(lab.fit(model, train, options), "log.csv")),
      await message(() => lab.barChart(["a"], [1], { x: { title: "x" }, y: { title: "y" } }).toPng()),
      await message(() => lab.readSafetensors("/data/nothing.safetensors")),
    ];`);
  const [full, checkpoint, csv, png, missing] = messages;
  assert.match(
    full!,
    /subset must be true in a web page and in Node, found false\. Pass \{ subset: true \}/,
  );
  assert.match(checkpoint!, /checkpoint must be left out in a web page and in Node/);
  assert.match(csv!, /a log must be left out in a web page and in Node, found a file/);
  assert.match(png!, /the page must have loaded plotly\.js, found no Plotly/);
  assert.match(missing!, /the server must send the file, found the status 404/);
});
