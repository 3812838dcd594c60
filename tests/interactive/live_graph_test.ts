/** Tests of graph models in the figure "Live networks": what is computed, shown and refused. */
import assert from "node:assert/strict";
import { join } from "node:path";
import {
  adaptiveAveragePool,
  alexnet,
  avgPool,
  batchNorm,
  cifarResnet,
  conv2d,
  dropout,
  flatten,
  gelu,
  googlenet,
  type GraphModelOptions,
  hardSwish,
  type Images,
  leakyRelu,
  linear,
  maxPool,
  Module,
  normalize,
  ops,
  Random,
  resnet,
  sequential,
  setSeed,
  sigmoid,
  tanh,
  type Tensor,
  tidy,
  vgg,
  writeGraphModel,
} from "resnet-lab";
import { bindTransform } from "../../lib/data/model_transform.ts";
import { makeKit } from "../../lib/interactive/kit.ts";
import { explain, type Unit, valueAt } from "../../lib/interactive/live/explain.ts";
import { graphNetwork } from "../../lib/interactive/live/graph_network.ts";
import { assertClose, assertNoLeak } from "../_helpers.ts";

type Shape = readonly [height: number, width: number, channels: number];
type Files = Record<string, Uint8Array<ArrayBuffer>>;

/** Returns the files that writeGraphModel() writes of a model. */
async function filesOf(
  model: Module<never, Tensor>,
  shape: Shape,
  options: GraphModelOptions = {},
): Promise<Files> {
  const folder = await Deno.makeTempDir(), files: Files = {};
  await writeGraphModel(folder, model as Module<Images, Tensor>, shape, options);
  for (const { name } of Deno.readDirSync(folder)) {
    files[name] = await Deno.readFile(join(folder, name));
  }
  await Deno.remove(folder, { recursive: true });
  return files;
}

function read(files: Files) {
  const list = Object.entries(files).map(([name, bytes]) => ({
    ...{ name, arrayBuffer: () => Promise.resolve(bytes.buffer) },
  }));
  return graphNetwork(list, "Mine");
}

function picture(random: Random, shape: Shape): Float32Array {
  return Float32Array.from(random.uniform([shape.reduce((a, b) => a * b)]).dataSync());
}

/** A network with a product of maps of two sizes. */
class Gated extends Module<Images<3>, Tensor> {
  readonly last = linear(4, 3);
  override forward(images: Images<3>): Tensor {
    return tidy(() => {
      const middle: Images<3> = ops.slice(images, [0, 1, 1, 0], [-1, 4, 4, 3]);
      const gates = ops.sigmoid(ops.mean(middle, [1, 2], { keepDims: true }));
      const first = ops.slice(middle, [0, 0, 0, 0], [-1, -1, -1, 1]);
      const both: Images<4> = ops.concat([ops.mul(middle, gates), first], 3) as never;
      return this.last.forward(ops.mean(both, [1, 2]));
    });
  }
}

const networks: Readonly<Record<string, () => [Module<never, Tensor>, Shape, GraphModelOptions?]>> =
  {
    "AlexNet with groups and local response normalisation": () => [
      alexnet({ variant: "original", width: 1 / 16, classes: 5 }),
      [227, 227, 3],
    ],
    "VGG with adaptive pooling": () => [
      vgg({ architecture: 11, width: 1 / 16, classes: 5 }),
      [96, 96, 3],
    ],
    "GoogLeNet": () => [
      googlenet({ variant: "torchvision", width: 1 / 16, classes: 5 }),
      [64, 64, 3],
      { foldBatchNorm: true },
    ],
    "a ResNet with shortcuts A": () => [
      cifarResnet({ depth: 8, width: 1 / 4, classes: 5 }),
      [20, 12, 3],
    ],
    "a ResNet of version 2": () => [
      resnet({ block: "bottleneck", stages: [1, 1], version: "v2", width: 1 / 8, classes: 5 }),
      [64, 48, 3],
      { softmax: true },
    ],
    "a product of maps of two sizes": () => [new Gated(), [6, 6, 3]],
    "activations, and a dilated convolution": () => [
      sequential(
        ...[conv2d(1, 4, { kernelSize: 3, dilation: 2 }), gelu(), hardSwish(), leakyRelu(0.2)],
        ...[tanh(), sigmoid(), dropout(0.5), avgPool({ kernelSize: 2 }), flatten(), linear(16, 3)],
      ) as never,
      [8, 8, 1],
    ],
  };

for (const [name, make] of Object.entries(networks)) {
  Deno.test(`graphNetwork() runs ${name}: units see no pixel outside of their fields, and sums are right`, async () => {
    setSeed(1);
    const [model, shape, options] = make(), random = new Random(3), kit = makeKit();
    tidy(() => {
      model.forward(random.normal([8, ...shape]) as never, { training: true });
      // Biases that are not zero.
      for (const one of model.parameters()) {
        if (one.rank === 1) one.assign(ops.add(one, ops.mul(random.normal(one.shape), 0.1)));
      }
    });
    using network = await read(await filesOf(model, shape, options));
    const pixels = picture(random, shape), { logits, layers } = network.answer(pixels);
    assertClose(logits, model.forward(ops.tensor(pixels, [1, ...shape]) as never), 1e-4);
    const other = picture(random, shape);
    for (const layer of layers.filter((_, i) => i % 5 === 0 || i > layers.length - 3)) {
      const unit: Unit = { channel: 0, row: layer.height >> 1, column: layer.width >> 1 };
      const [top, bottom, left, right] = layer.field(unit.row, unit.column, unit.channel);
      const changed = other.map((value, i) => {
        const pixel = Math.floor(i / shape[2]);
        const x = pixel % shape[1], y = Math.floor(pixel / shape[1]);
        return x < left || x > right || y < top || y > bottom ? value : pixels[i]!;
      });
      const value = valueAt(layer, unit);
      const same = network.answer(changed).layers.find(({ path }) => path === layer.path)!;
      assertClose(valueAt(same, unit), value, 1e-4);
    }
    let sums = 0, pairs = 0;
    for (const layer of layers) {
      const unit: Unit = { channel: layer.channels - 1, row: layer.height >> 1, column: 0 };
      const html = explain(kit, layer, unit, -1), value = valueAt(layer, unit);
      assert(html.includes(`data-value="${value}"`) || html.includes("data-sum"), html);
      const [sum, bias, first, second] = ["sum", "bias", "first", "second"].map((name) =>
        Number(new RegExp(`data-${name}="([^"]*)"`).exec(html)?.[1] ?? NaN)
      );
      if (!Number.isNaN(sum)) sums++, assertClose(sum! + bias!, value, 1e-4);
      if (layer.description === "product") assertClose(first! * second!, value, 1e-4);
      if (layer.description === "sum") pairs++, assertClose(first! + second!, value, 1e-4);
    }
    assert(sums > 0);
    if (name.startsWith("a ResNet")) assert(pairs >= 2);
    // The channels that shortcut A adds see nothing.
    for (const { description, channels, field } of layers) {
      if (description === "padding") assert.deepEqual(field(1, 1, channels - 1), [0, -1, 0, -1]);
    }
  });
}

Deno.test("graphNetwork() finds the fields of a convolution, a pooling and a mean", async () => {
  setSeed(1);
  const model = sequential(
    conv2d(1, 2, { kernelSize: 3, stride: 2, padding: 1 }),
    maxPool({ kernelSize: 3, stride: 2, padding: 1 }),
    batchNorm(2),
    adaptiveAveragePool([2, 1]),
    flatten(),
  );
  using network = await read(await filesOf(model as never, [17, 17, 1]));
  const { layers } = network.answer(picture(new Random(1), [17, 17, 1]));
  const [conv, pool, norm, mean] = layers;
  assert.deepEqual(
    layers.map(({ description }) => description),
    ["conv2d 1 → 2, 3×3, stride 2", "maxPool 3×3, stride 2", "batchNorm", "mean"],
  );
  // Row 2 and column 3 of 9×9: 2 · 2 − 1 = 3 and 2 · 3 − 1 = 5.
  assert.deepEqual(conv!.field(2, 3, 1), [3, 5, 5, 7]);
  // At the edge the padding is left out.
  assert.deepEqual(conv!.field(8, 0, 0), [15, 16, 0, 1]);
  // Row 1 of 5×5 has rows 1 to 3 of 9×9, which have pixels 2 · 1 − 1 to 2 · 3 + 1.
  assert.deepEqual(pool!.field(1, 2, 0), [1, 7, 5, 11]);
  assert.deepEqual(norm!.field(0, 0, 0), [0, 3, 0, 3]);
  // The first of two bins of 5 rows has rows 0 to 2: pixels up to 2 · (2 · 2 + 1) + 1.
  assert.deepEqual(mean!.field(0, 0, 0), [0, 11, 0, 16]);
});

/** A network without hidden layers, for grey pictures of 4×4 pixels. */
function small() {
  setSeed(1);
  return sequential(conv2d(1, 2, { kernelSize: 2, stride: 2 }), flatten(), linear(8, 3));
}

for (const transform of [false, true]) {
  Deno.test(`graphNetwork() gets pixels where the graph ${transform ? "has" : "is after"} a transform`, async () => {
    const model = small(), pixels = picture(new Random(2), [4, 4, 1]);
    bindTransform(model, normalize({ mean: 0.25, standardDeviation: 0.5 }));
    using network = await read(await filesOf(model as never, [4, 4, 1], { transform }));
    const normalized = ops.tensor(pixels.map((x) => (x - 0.25) / 0.5), [1, 4, 4, 1]);
    assertClose(network.answer(pixels).logits, model.forward(normalized), 1e-5);
  });
}

Deno.test("graphNetwork() says that it has no transform of the user's own", async () => {
  const model = small();
  bindTransform(model, (images) => ops.neg(images));
  using network = await read(await filesOf(model as never, [4, 4, 1]));
  assert.match(network.note, /a function, which the folder does not have: here it gets pixels/);
});

Deno.test("graphNetwork() has no heat map without feature maps", async () => {
  setSeed(1);
  using network = await read(
    await filesOf(sequential(flatten(), linear(16, 3)) as never, [4, 4, 1]),
  );
  assert.equal(network.heat(new Float32Array(16), 0), undefined);
});

/** Changes model.json as text. */
const edited = (from: string, to: string) => (files: Files): Files => {
  const text = new TextDecoder().decode(files["model.json"]);
  assert(text.includes(from), text);
  return { ...files, "model.json": new TextEncoder().encode(text.replaceAll(from, to)) };
};

const weightsOf = (files: Files) => Object.keys(files).find((name) => name.endsWith(".bin"))!;

const refusals: Readonly<Record<string, readonly [(files: Files) => Files, RegExp]>> = {
  "no files": [() => ({}), /: the files must include model\.json, found no file\. Drop the whole/],
  "files without model.json": [
    (files) => ({ "a.txt": files["model.json"]!, [weightsOf(files)]: files[weightsOf(files)]! }),
    /: the files must include model\.json, found a\.txt, weights\.[0-9a-f]{16}\.bin\. Drop the whole/,
  ],
  "a missing file of weights": [
    (files) => ({ "model.json": files["model.json"]! }),
    /the files must include weights\.[0-9a-f]{16}\.bin, which model\.json names, found model\.json\./,
  ],
  "a file of weights of another length": [
    (files) => ({ ...files, [weightsOf(files)]: files[weightsOf(files)]!.slice(4) }),
    // 8 + 2 numbers of the convolution, 24 + 3 of the linear layer, and a shape of 2.
    /the weights in weights\.[0-9a-f]{16}\.bin must have 156 bytes, found 152\. The files may be/,
  ],
  "what is no JSON": [edited('"format"', "format"), /: model\.json must be JSON, found /],
  "JSON of something else": [
    (files) => ({ ...files, "model.json": new TextEncoder().encode("[3]") }),
    /the format in model\.json must be "graph-model", found undefined\. writeGraphModel writes/,
  ],
  "a layers model": [
    edited("graph-model", "layers-model"),
    /the format in model\.json must be "graph-model", found "layers-model"\. writeGraphModel/,
  ],
  "a graph without nodes": [edited('"node"', '"nodes"'), /must have modelTopology\.node/],
  "weights in bytes": [
    edited('"dtype":"float32"', '"dtype":"float32","quantization":{"dtype":"uint8"}'),
    /the weight value_1 must be float32, float16 or int32, found float32 stored as uint8\./,
  ],
  "an operation that is not supported": [
    edited('"_FusedConv2D"', '"Einsum"'),
    /each operation must be one that writeGraphModel writes \(AddV2, .*\), found Einsum in the node/,
  ],
  "a fused activation": [
    edited(btoa("BiasAdd"), btoa("Relu")),
    /fused_ops of the node value_3 \(_FusedConv2D\) must be one that .* found Relu\./,
  ],
  "an input that is not images": [
    edited('{"size":"4"}', '{"size":"-1"}'),
    /input must be DT_FLOAT images \[-1, height, .* channels, found DT_FLOAT \[-1, -1, -1, 1\]\./,
  ],
  "an input of whole numbers": [
    edited('"dtype":{"type":"DT_FLOAT"},"shape"', '"dtype":{"type":"DT_INT32"},"shape"'),
    /the input must be DT_FLOAT images .*, found DT_INT32 \[-1, 4, 4, 1\]\./,
  ],
  "large pictures": [
    edited('{"size":"4"}', '{"size":"512"}'),
    /of at most 256×256 pixels with 1 or 3 channels, found DT_FLOAT \[-1, 512, 512, 1\]\./,
  ],
  "other numbers of classes": [
    edited('"signature"', '"userDefinedMetadata":{"classNames":["a","b"]},"signature"'),
    /the output must be \[1, 2 classes\], found \[1,3\]\./,
  ],
  "a node without inputs": [
    edited('["value_3"', '["value_99"'),
    /the inputs of the node value_4 must be other nodes, found "value_99"\./,
  ],
  "numbers that do not fit": [
    edited('"shape":[8,3]', '"shape":[3,8]'),
    /the graph must be as writeGraphModel writes it, found /,
  ],
};

for (const [name, [change, message]] of Object.entries(refusals)) {
  Deno.test(`graphNetwork() refuses ${name}, and leaves no tensor`, async () => {
    const files = change(await filesOf(small() as never, [4, 4, 1]));
    await assertNoLeak(() => assert.rejects(read(files), { name: "RangeError", message }));
  });
}

Deno.test("graphNetwork() refuses a network that returns no classes", async () => {
  const files = await filesOf(conv2d(1, 2, { kernelSize: 2 }) as never, [4, 4, 1]);
  const message = /the output must be \[1, at least 2 classes\], found \[1,3,3,2\]\./;
  await assertNoLeak(() => assert.rejects(read(files), { name: "RangeError", message }));
});
