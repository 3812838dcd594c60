/** Tests of the options of writeGraphModel(), with TensorFlow.js alone in plain JavaScript. */
import assert from "node:assert/strict";
import {
  adam,
  batchNorm,
  cifarResnet,
  conv2d,
  fit,
  flatten,
  type GraphModelOptions,
  ImageDataset,
  type Images,
  initializers,
  linear,
  maxPool,
  Module,
  normalize,
  ops,
  Random,
  sequential,
  setSeed,
  type Tensor,
  tidy,
  withBackend,
  writeGraphModel,
} from "resnet-lab";
import { bindTransform } from "../../lib/data/internal.ts";
import { assertClose } from "../_helpers.ts";

// Without its types, which would stand in the way of those that lib gives to tensors.
const tfjs: string = "@tensorflow/tfjs";
const { loadGraphModel } = await import(tfjs);

/** What TensorFlow.js alone makes of a model that is written with options. */
interface Loaded {
  readonly output: Float32Array;
  readonly metadata: { transform?: string; classNames?: readonly string[] };
  /** The ops of the graph's nodes. */
  readonly nodes: readonly string[];
  /** The values that TensorFlow.js has read of each constant of float32. */
  readonly weights: readonly Float32Array[];
  readonly bytes: number;
}

async function load<C extends number>(
  model: Module<Images<C>, Tensor>,
  images: Images<C>,
  options: GraphModelOptions,
): Promise<Loaded> {
  const folder = await Deno.makeTempDir();
  const server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen() {} }, async (request) => {
    return new Response(await Deno.readFile(folder + new URL(request.url).pathname));
  });
  try {
    const [, height, width, channels] = images.shape;
    await writeGraphModel(folder, model, [height, width, channels as C], options);
    const values = images.dataSync();
    return await withBackend("cpu", async () => {
      const loaded = await loadGraphModel(`http://127.0.0.1:${server.addr.port}/model.json`);
      using input = ops.tensor(values, images.shape);
      const { modelTopology, weightsManifest, userDefinedMetadata } = loaded.artifacts;
      const [{ paths }] = weightsManifest ??
        JSON.parse(Deno.readTextFileSync(`${folder}/model.json`)).weightsManifest;
      const result: Loaded = {
        output: tidy(() => loaded.predict(input).dataSync()),
        metadata: userDefinedMetadata,
        nodes: modelTopology.node.map(({ op }: { op: string }) => op),
        weights: Object.values<Tensor[]>(loaded.weights).flat()
          .filter(({ dtype }) => dtype === "float32")
          .map((weight) => weight.dataSync() as Float32Array),
        bytes: Deno.statSync(`${folder}/${paths[0]}`).size,
      };
      loaded.dispose();
      return result;
    });
  } finally {
    await server.shutdown();
    await Deno.remove(folder, { recursive: true });
  }
}

/** A ResNet whose running statistics are not those of the start. */
function trainedResnet() {
  setSeed(1);
  const model = cifarResnet({ depth: 8, classes: 3 });
  tidy(() => model.forward(new Random(2).normal([8, 16, 16, 3]), { training: true }));
  return model;
}

const classifier = () => sequential(flatten(), linear(2 * 2 * 3, 3));
const pixels = () => new Random(1).uniform([4, 2, 2, 3]) as Images<3>;

Deno.test("writeGraphModel() with transform takes pixels, as the model's transform makes them", async () => {
  const model = classifier(), images = pixels();
  const mean = [0.5, 0.25, 0.125], standardDeviation = [0.5, 0.25, 0.2];
  bindTransform(model, normalize({ mean, standardDeviation }));
  const normalized = images.dataSync().map((x, i) =>
    (x - mean[i % 3]!) / standardDeviation[i % 3]!
  );
  const expected = model.forward(ops.tensor(normalized, [4, 2, 2, 3]));
  const { output, metadata } = await load(model, images, { transform: true });
  assertClose(output, expected, 1e-5);
  assert.equal(metadata?.transform, undefined, "nothing is left to do");
  assert.match((await load(model, images, {})).metadata.transform!, /normalize/);
  await assert.rejects(writeGraphModel("nowhere", classifier(), [2, 2, 3], { transform: true }), {
    name: "RangeError",
    message:
      /^Writing a graph model: with transform the model must have one, found none\. fit leaves/,
  });
});

Deno.test("writeGraphModel() with softmax gives probabilities", async () => {
  const model = classifier(), images = pixels();
  const logits = model.forward(images).dataSync();
  const expected = Array.from({ length: 12 }, (_, i) => {
    const row = logits.slice(i - i % 3, i - i % 3 + 3).map(Math.exp);
    return Math.exp(logits[i]!) / (row[0]! + row[1]! + row[2]!);
  });
  assertClose((await load(model, images, { softmax: true })).output, expected, 1e-5);
  const maps = conv2d(3, 2, { kernelSize: 1 });
  await assert.rejects(writeGraphModel("nowhere", maps, [2, 2, 3], { softmax: true }), {
    name: "RangeError",
    message: /the output of the model must be \[batch, classes\], found \[1,2,2,2\]/,
  });
});

Deno.test("writeGraphModel() lists the names of the classes: those given, or of the training", async () => {
  const model = classifier(), images = pixels(), classNames = ["cat", "dog", "ship"];
  assert.equal((await load(model, images, {})).metadata, undefined);
  assert.deepEqual((await load(model, images, { classNames })).metadata.classNames, classNames);
  await assert.rejects(writeGraphModel("nowhere", model, [2, 2, 3], { classNames: ["cat"] }), {
    message: /the output of the model must be \[batch, 1 classes\], found \[1,3\]/,
  });
  const data = new ImageDataset({
    ...{ name: "grey", height: 2, width: 2, channels: 3, classes: 3 },
    ...{ pixels: new Uint8Array(8 * 12).fill(99), labels: new Uint8Array(8) },
    classNames: ["red", "green", "blue"],
  });
  await fit(model, data, {
    optimizer: adam(model.parameters(), { learningRate: 0.01 }),
    epochs: 1,
    batchSize: 8,
  });
  assert.deepEqual((await load(model, images, {})).metadata.classNames, ["red", "green", "blue"]);
});

Deno.test("writeGraphModel() with foldBatchNorm writes the same network without batch norms", async () => {
  const model = trainedResnet(), images = new Random(3).normal([3, 16, 16, 3]) as Images<3>;
  const plain = await load(model, images, {});
  const norms = ({ nodes }: Loaded) => nodes.filter((op) => op === "FusedBatchNormV3").length;
  assert.equal(norms(plain), 7);
  const folded = await load(model, images, { foldBatchNorm: true });
  assert.equal(norms(folded), 0);
  assertClose(folded.output, plain.output, 1e-5);
  // Of each batch norm's 4 numbers a channel only the bias is left.
  const channels = 3 * 16 + 2 * 32 + 2 * 64;
  assert.equal(plain.bytes - folded.bytes, 4 * 3 * channels);
  // The model itself is as before.
  assertClose((await load(model, images, {})).output, plain.output, 0);
});

Deno.test("writeGraphModel() folds no batch norm whose convolution is used elsewhere too", async () => {
  const images = new Random(3).normal([2, 4, 4, 3]) as Images<3>;
  const conv = conv2d(3, 2, { kernelSize: 3 }), norm = batchNorm(2);
  conv.bias!.assign(ops.tensor([2, -1], [2]));
  class Both extends Module<Images<3>, Tensor> {
    readonly conv = conv;
    readonly norm = norm;
    constructor(readonly passes: 1 | 2) {
      super();
    }
    override forward(images: Images<3>): Tensor {
      const maps = conv.forward(images), again = this.passes === 2 ? conv.forward(images) : maps;
      return ops.concat([maps, norm.forward(again)], 3);
    }
  }
  const once = new Both(1), both = new Both(2);
  const isNorm = (op: string) => op === "FusedBatchNormV3";
  const plain = await load(once, images, {});
  const folded = await load(once, images, { foldBatchNorm: true });
  assert.equal(folded.nodes.filter(isNorm).length, 1);
  assertClose(folded.output, plain.output, 0);
  // Two passes of one convolution are two nodes, and one of them is folded.
  const twice = await load(both, images, { foldBatchNorm: true });
  assert.equal(twice.nodes.filter(isNorm).length, 0);
  assertClose(twice.output, plain.output, 1e-5);
});

Deno.test("writeGraphModel() in float16 stores the nearest numbers in half the bytes", async () => {
  const model = trainedResnet(), images = new Random(3).normal([3, 16, 16, 3]) as Images<3>;
  const plain = await load(model, images, {});
  const half = await load(model, images, { weightType: "float16" });
  assert.equal(half.weights.length, plain.weights.length);
  half.weights.forEach((weight, i) => {
    assert.deepEqual(weight, plain.weights[i]!.map(Math.f16round));
  });
  const bytes = plain.weights.reduce((sum, { length }) => sum + 2 * length, 0);
  assert.equal(plain.bytes - half.bytes, bytes);
  // float16 has 11 bits, so a weight is off by at most one part in 2,048.
  assertClose(half.output, plain.output, 0.01);
  const large = conv2d(3, 1, { kernelSize: 1, weightInitializer: initializers.constant(70_000) });
  await assert.rejects(writeGraphModel("nowhere", large, [2, 2, 3], { weightType: "float16" }), {
    name: "RangeError",
    message: /weights in float16 must be at most 65504, found 70000\. Use weightType "float32"\.$/,
  });
});

Deno.test("writeGraphModel() in float16 writes max pooling with padding", async () => {
  setSeed(1);
  const model = sequential(
    conv2d(3, 2, { kernelSize: 1, useBias: false, weightInitializer: initializers.constant(-1) }),
    maxPool({ kernelSize: 3, stride: 2, padding: 1 }),
  );
  // Below zero, so that the padding must be less than all numbers.
  const images = ops.ones([1, 6, 6, 3]),
    { output } = await load(model, images, {
      weightType: "float16",
    });
  assertClose(output, new Array(18).fill(-3), 1e-5);
});

Deno.test("writeGraphModel() with all options is one small network from pixels to probabilities", async () => {
  const model = trainedResnet(), images = new Random(3).uniform([3, 16, 16, 3]) as Images<3>;
  bindTransform(model, normalize("cifar10"));
  const expected = ops.softmax(model.forward(normalize("cifar10")(images, new Random(0))));
  const { output } = await load(model, images, {
    ...{ transform: true, softmax: true, classNames: ["a", "b", "c"] },
    ...{ foldBatchNorm: true, weightType: "float16" },
  });
  assertClose(output, expected, 0.01);
});
