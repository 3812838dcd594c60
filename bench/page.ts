/**
 * Compares LeNet in a page of headless Chromium with plain TensorFlow.js in another page, and with
 * this library on native TensorFlow:
 *
 *     deno run -A bench/page.ts
 *
 * As in the other races, the systems take turns, and a ratio compares neighbouring turns. Plain
 * TensorFlow.js trains on its JavaScript backend: in WebAssembly it has no gradient of a
 * convolution's weights, and Chromium computes WebGL on the processor here.
 */
import { join } from "node:path";
import { backend, fashionMnist, fit, lenet, sgd, tidy, withBackend } from "resnet-lab";
import { closeBrowser, makeBundle, Site } from "../tests/browser/_site.ts";
import { root } from "../tests/_project.ts";

const ROUNDS = 5;
/** The steps of a turn of a second or less, on the fast and on the slow systems. */
const FAST = 20, SLOW = 1;

/** Runs steps, and returns the seconds for one. */
type Turn = () => Promise<number>;

const OURS = `
  const lab = await import("/lab/resnet_lab.js?RESNET_LAB_BACKEND=wasm");
  const { train } = await lab.fashionMnist({ subset: true });
  const model = lab.lenet({ activation: "relu" });
  const images = train.images([...Array(32).keys()]);
  globalThis.infer = (steps) => {
    const start = performance.now();
    for (let i = 0; i < steps; i++) lab.tidy(() => model.forward(images).dataSync());
    return (performance.now() - start) / 1000 / steps;
  };
  globalThis.learn = async (steps) => {
    const optimizer = lab.sgd(model.parameters(), { learningRate: 0.01, momentum: 0.9 });
    const data = train.take(32 * (steps + 1));
    let start;
    for await (const progress of lab.fit(model, data, { optimizer, epochs: 1, batchSize: 32 })) {
      if (progress.kind === "step") start ??= performance.now();
    }
    return (performance.now() - start) / 1000 / steps;
  };
  return lab.backend();`;

const PLAIN = `
  const load = (source) => new Promise((resolve, reject) => {
    const script = document.createElement("script");
    Object.assign(script, { src: source, onload: resolve, onerror: reject });
    document.head.append(script);
  });
  await load("/npm/tfjs/dist/tf.min.js");
  await load("/npm/tfjs-backend-wasm/dist/tf-backend-wasm.min.js");
  tf.wasm.setWasmPaths("/npm/tfjs-backend-wasm/dist/");
  await tf.setBackend(values.backend);
  const { conv2d, maxPooling2d, flatten, dense } = tf.layers, activation = "relu";
  const model = tf.sequential({ layers: [
    conv2d({ inputShape: [28, 28, 1], filters: 6, kernelSize: 5, padding: "same", activation }),
    maxPooling2d({ poolSize: 2 }),
    conv2d({ filters: 16, kernelSize: 5, activation }),
    maxPooling2d({ poolSize: 2 }),
    flatten(), dense({ units: 120, activation }), dense({ units: 84, activation }),
    dense({ units: 10, activation: "softmax" }),
  ]});
  model.compile({ optimizer: tf.train.momentum(0.01, 0.9), loss: "sparseCategoricalCrossentropy" });
  const images = tf.randomUniform([32, 28, 28, 1]), labels = tf.zeros([32, 1]);
  globalThis.infer = (steps) => {
    const start = performance.now();
    for (let i = 0; i < steps; i++) tf.tidy(() => model.predict(images).dataSync());
    return (performance.now() - start) / 1000 / steps;
  };
  globalThis.learn = async (steps) => {
    const start = performance.now();
    for (let i = 0; i < steps; i++) await model.trainOnBatch(images, labels);
    return (performance.now() - start) / 1000 / steps;
  };
  return tf.getBackend();`;

const folders = {
  lab: (await makeBundle()).folder,
  npm: join(root, "node_modules", "@tensorflow"),
};
const { train } = await fashionMnist({ subset: true });
const model = lenet({ activation: "relu" });
const batch = train.images([...Array(32).keys()]);

/** Infers on native TensorFlow. */
function inferHere(): Promise<number> {
  const start = performance.now();
  for (let i = 0; i < FAST; i++) tidy(() => model.forward(batch).dataSync());
  return Promise.resolve((performance.now() - start) / 1000 / FAST);
}

/** Trains on the current backend. */
async function learnHere(): Promise<number> {
  const model = lenet({ activation: "relu" });
  using optimizer = sgd(model.parameters(), { learningRate: 0.01, momentum: 0.9 });
  let start: number | undefined;
  const data = train.take(32 * (FAST + 1));
  for await (const progress of fit(model, data, { optimizer, epochs: 1, batchSize: 32 })) {
    if (progress.kind === "step") start ??= performance.now();
  }
  return (performance.now() - start!) / 1000 / FAST;
}

/** Opens a page, and returns what runs in it. */
async function pageOf(code: string, name: string, isolated: boolean) {
  const site = await Site.open(folders, { isolated });
  const found = await site.run<string>(code, { backend: name });
  if (found !== name) throw new Error(`It runs on ${found}, not on ${name}.`);
  const turn = (call: "infer" | "learn", steps: number): Turn => () =>
    site.run<number>(`return await ${call}(${steps})`);
  return { turn, site };
}

function quartiles(values: readonly number[]): string {
  const sorted = values.toSorted((a, b) => a - b);
  const at = (part: number) => sorted[Math.round(part * (sorted.length - 1))]!.toPrecision(3);
  return `${at(0.5)} (${at(0.25)}–${at(0.75)})`;
}

async function race(name: string, ours: Turn, others: Readonly<Record<string, Turn>>) {
  const times: number[] = [];
  const ratios = new Map(Object.keys(others).map((other) => [other, [] as number[]]));
  for (const turn of [ours, ...Object.values(others)]) await turn();
  for (let round = 0; round < ROUNDS; round++) {
    for (const [other, turn] of Object.entries(others)) {
      const own = await ours(), theirs = await turn();
      times.push(own);
      ratios.get(other)!.push(theirs / own);
    }
  }
  console.log(`${name}: ${quartiles(times.map((seconds) => 32 / seconds))} images/s`);
  for (const [other, values] of ratios) console.log(`  ÷ ${other}: ${quartiles(values)}`);
}

console.log(`LeNet, 28×28×1, batch 32; here: ${backend()}`);
await race("Training step here", learnHere, {
  "this library here on WebAssembly": () => withBackend("wasm", learnHere),
});
for (const isolated of [true, false]) {
  const ours = await pageOf(OURS, "wasm", isolated);
  const plain = await pageOf(PLAIN, "wasm", isolated);
  const script = await pageOf(PLAIN, "cpu", isolated);
  const threads = isolated ? "with threads" : "without threads";
  await race(`Inference in a page, WebAssembly ${threads}`, ours.turn("infer", FAST), {
    "plain TensorFlow.js, WebAssembly": plain.turn("infer", FAST),
    "this library here": inferHere,
  });
  await race(`Training step in a page, WebAssembly ${threads}`, ours.turn("learn", FAST), {
    "plain TensorFlow.js, JavaScript": script.turn("learn", SLOW),
    "this library here": learnHere,
  });
  for (const { site } of [ours, plain, script]) await site[Symbol.asyncDispose]();
}
await closeBrowser();
Deno.exit();
