/**
 * Tests of writeGraphModel() with plain TensorFlow.js, without this library, on each of its
 * backends in headless Chromium.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import {
  cifarResnet,
  googlenet,
  type Images,
  lenet,
  type Module,
  ops,
  Random,
  resnet,
  setSeed,
  type Tensor,
  tidy,
  writeGraphModel,
} from "resnet-lab";
import { assertClose } from "../_helpers.ts";
import { root } from "../_project.ts";
import { Site, siteTest } from "./_site.ts";

/** The networks, each with the size of its images. */
const networks: Readonly<
  Record<string, () => readonly [Module<Images, Tensor>, readonly [number, number, number]]>
> = {
  lenet: () => [lenet({ activation: "sigmoid" }) as never, [28, 28, 1]],
  googlenet: () => [
    googlenet({ variant: "torchvision", width: 1 / 16, classes: 5 }) as never,
    [32, 32, 3],
  ],
  resnet: () => [cifarResnet({ depth: 8, classes: 5 }) as never, [16, 16, 3]],
  bottlenecks: () => [
    resnet({
      block: "bottleneck",
      stages: [1, 2],
      version: "v2",
      width: 1 / 8,
      classes: 5,
    }) as never,
    [32, 32, 3],
  ],
};

/** Loads each model in the page on a backend, and returns its outputs. */
const PREDICT = `
  const load = (source) => new Promise((resolve, reject) => {
    const script = document.createElement("script");
    Object.assign(script, { src: source, onload: resolve, onerror: reject });
    document.head.append(script);
  });
  if (!globalThis.tf) {
    await load("/npm/tfjs/dist/tf.min.js");
    await load("/npm/tfjs-backend-wasm/dist/tf-backend-wasm.min.js");
    await load("/npm/tfjs-backend-webgpu/dist/tf-backend-webgpu.min.js");
    tf.wasm.setWasmPaths("/npm/tfjs-backend-wasm/dist/");
  }
  if (!await tf.setBackend(values.backend)) throw new Error(values.backend + " does not start");
  const outputs = {};
  for (const [name, { shape, images }] of Object.entries(values.inputs)) {
    const model = await tf.loadGraphModel("/models/" + name + "/model.json");
    const output = model.predict(tf.tensor(images, shape));
    outputs[name] = [...await output.data()];
  }
  if (tf.getBackend() !== values.backend) throw new Error("it ran on " + tf.getBackend());
  return outputs;`;

siteTest(
  "writeGraphModel() writes networks that give the same logits on each backend of a browser",
  async (t) => {
    setSeed(1);
    const models = await Deno.makeTempDir();
    const inputs: Record<string, { shape: number[]; images: number[] }> = {};
    const expected: Record<string, Float32Array> = {};
    for (const [name, make] of Object.entries(networks)) {
      const [model, imageShape] = make();
      // Running statistics that are not those of the start.
      tidy(() => model.forward(new Random(2).normal([8, ...imageShape]), { training: true }));
      await writeGraphModel(join(models, name), model, imageShape);
      using images = new Random(1).normal([2, ...imageShape]);
      // As many digits as float32 has, so that JSON keeps them.
      inputs[name] = { shape: images.shape, images: [...images.dataSync()] };
      expected[name] = tidy(() => model.forward(images).dataSync()) as Float32Array;
      assert(ops.max(ops.abs(ops.tensor(expected[name]))).dataSync()[0]! > 1e-3);
    }
    const npm = join(root, "node_modules", "@tensorflow");
    await using site = await Site.open({ models, npm });
    for (const backend of ["wasm", "webgl", "webgpu", "cpu"]) {
      await t.step(backend, async () => {
        const outputs = await site.run<Record<string, number[]>>(PREDICT, { backend, inputs });
        for (const name of Object.keys(networks)) {
          assertClose(outputs[name]!, expected[name]!, 1e-5);
        }
      });
    }
    await Deno.remove(models, { recursive: true });
  },
);
