import assert from "node:assert/strict";
import {
  alexnet,
  avgPool,
  cifarResnet,
  dropout,
  dynamicConv2d,
  flatten,
  gelu,
  googlenet,
  hardSwish,
  type Images,
  leakyRelu,
  lenet,
  linear,
  Module,
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
  withBackend,
  writeGraphModel,
} from "resnet-lab";
import { assertClose, assertNoLeak } from "../_helpers.ts";

// Without its types, which would stand in the way of those that lib gives to tensors.
const tfjs: string = "@tensorflow/tfjs";
const { loadGraphModel } = await import(tfjs);

/**
 * Writes a model, loads it over HTTP as a browser does, and compares what TensorFlow.js alone makes
 * of three images.
 */
async function assertSame<C extends number>(
  model: Module<Images<C>, Tensor>,
  imageShape: readonly [number, number, C],
): Promise<void> {
  const folder = await Deno.makeTempDir();
  const server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen() {} }, async (request) => {
    return new Response(await Deno.readFile(folder + new URL(request.url).pathname));
  });
  try {
    // Running statistics that are not those of the start.
    tidy(() => model.forward(new Random(2).normal([8, ...imageShape]), { training: true }));
    await assertNoLeak(() => writeGraphModel(folder, model, imageShape));
    using images = new Random(1).normal([3, ...imageShape]);
    using expected = model.forward(images);
    assert(ops.max(ops.abs(expected)).dataSync()[0]! > 1e-3);
    await withBackend("cpu", async () => {
      const loaded = await loadGraphModel(`http://127.0.0.1:${server.addr.port}/model.json`);
      using input = ops.tensor(images.dataSync(), images.shape);
      using found = tidy(() => loaded.predict(input));
      assert.deepEqual(found.shape, expected.shape);
      assertClose(found, expected.dataSync(), 1e-4);
      loaded.dispose();
    });
  } finally {
    await server.shutdown();
    await Deno.remove(folder, { recursive: true });
  }
}

for (
  const [name, test] of [
    ["LeNet", () => assertSame(lenet(), [28, 28, 1])],
    [
      "AlexNet with two groups, which have local response normalisation",
      () => assertSame(alexnet({ variant: "original", width: 1 / 16, classes: 5 }), [227, 227, 3]),
    ],
    [
      "VGG with an adaptive pooling that is not even",
      () => assertSame(vgg({ architecture: 11, width: 1 / 16, classes: 5 }), [96, 96, 3]),
    ],
    [
      "GoogLeNet",
      () =>
        assertSame(googlenet({ variant: "torchvision", width: 1 / 8, classes: 5 }), [64, 64, 3]),
    ],
    [
      "a ResNet with shortcuts A",
      () => assertSame(cifarResnet({ depth: 20, classes: 5 }), [32, 32, 3]),
    ],
    [
      "a ResNet of version 2 with bottlenecks",
      () =>
        assertSame(
          resnet({ block: "bottleneck", stages: [1, 2], version: "v2", width: 1 / 8, classes: 5 }),
          [64, 64, 3],
        ),
    ],
    [
      "a ResNet with a grid and an embedding",
      () =>
        assertSame(
          resnet({
            ...{ block: "basic", stages: [1, 1], stem: "unpadded", width: 1 / 8, classes: 9 },
            ...{ poolSize: [4, 1], embedding: 16, inChannels: 1 },
          }),
          [40, 24, 1],
        ),
    ],
    [
      "activations",
      () =>
        assertSame(
          sequential(
            dropout(0.5),
            gelu(),
            hardSwish(),
            leakyRelu(0.2),
            tanh(),
            sigmoid(),
            avgPool({ kernelSize: 2 }),
            flatten(),
          ),
          [4, 4, 2],
        ),
    ],
  ] as const
) {
  Deno.test(`writeGraphModel() writes ${name}, for which TensorFlow.js alone computes the same logits`, () => {
    setSeed(1);
    return test();
  });
}

Deno.test("writeGraphModel() writes the same on the JavaScript backend", () =>
  withBackend("cpu", () => assertSame(cifarResnet({ depth: 8, classes: 5 }), [16, 16, 3])));

const dynamic = dynamicConv2d(1, 4, { kernelSize: 1 });

/** A model that does one thing. */
class Only extends Module<Images<1>, Tensor> {
  readonly part = dynamic;
  constructor(readonly compute: (images: Images<1>) => Tensor) {
    super();
  }
  override forward(images: Images<1>): Tensor {
    return this.compute(images);
  }
}

for (
  const [name, compute, message] of [
    [
      "a kernel without counterpart",
      (x: Tensor) => ops.sign(x),
      /must have a counterpart in TensorFlow.s graphs, found Sign/,
    ],
    [
      "what is another number for another batch",
      (x: Tensor) => ops.mul(x, x.shape[0]! + 1),
      /must be the same for any batch/,
    ],
    [
      "a convolution that each image has its own kernel for",
      (x: Tensor) => dynamic.forward(x as Images<1>),
      /must be the same for any batch/,
    ],
    [
      "what a batch does otherwise",
      (x: Tensor) => x.shape[0] === 1 ? ops.relu(x) : ops.tanh(x),
      /must be the same for any batch/,
    ],
  ] as const
) {
  Deno.test(`writeGraphModel() refuses ${name}, and writes nothing`, async () => {
    const folder = `${await Deno.makeTempDir()}/new`;
    await assertNoLeak(() =>
      assert.rejects(writeGraphModel(folder, new Only(compute), [2, 2, 1]), {
        name: "RangeError",
        message,
      })
    );
    await assert.rejects(Deno.stat(folder), Deno.errors.NotFound);
  });
}

Deno.test("writeGraphModel() names the layer that does not fit the images", () =>
  assert.rejects(
    writeGraphModel("nowhere", sequential(flatten(), linear(784, 10)), [20, 20, 1]),
    /^RangeError: At 1 /,
  ));

Deno.test("writeGraphModel() stopped at any instant leaves one network, the old or the new", async () => {
  const cache = new URL("../../.cache/", import.meta.url).pathname;
  await Deno.mkdir(cache, { recursive: true });
  const folder = await Deno.makeTempDir({ dir: cache }), model = `${folder}/model`;
  // Two networks take turns; what is wide says so in each of its files.
  await Deno.writeTextFile(
    `${folder}/turns.ts`,
    `import { conv2d, initializers, writeGraphModel } from "resnet-lab";
    const networks = [1, 2].map((n) =>
      conv2d(1, 100 * n, { kernelSize: 8, useBias: false, weightInitializer: initializers.constant(n) }));
    for (;;) for (const network of networks) await writeGraphModel(${
      JSON.stringify(model)
    }, network, [8, 8, 1]);`,
  );
  const args = ["run", "-A", "--no-check", `${folder}/turns.ts`];
  const child = new Deno.Command(Deno.execPath(), { args, stdout: "null", stderr: "null" }).spawn();
  try {
    const random = new Random(1), found = new Set<number>();
    let hasEnded = false;
    child.status.then(() => hasEnded = true);
    while (!(await Deno.stat(`${model}/model.json`).catch(() => undefined))) {
      assert(!hasEnded, "the program that writes has ended");
      await pause(50);
    }
    for (let stop = 0; stop < 100; stop++) {
      await pause(random.integer(20));
      // What is on the disk now is what is there if it is killed now.
      child.kill("SIGSTOP");
      const { modelTopology, weightsManifest: [{ paths, weights }] } = JSON.parse(
        await Deno.readTextFile(`${model}/model.json`),
      );
      assert(modelTopology.node.length > 1);
      const numbers = new Float32Array((await Deno.readFile(`${model}/${paths[0]}`)).buffer);
      const channels: number = weights[0].shape[3];
      assert.equal(numbers.length, 64 * channels, `stop ${stop}`);
      assert.deepEqual([numbers.at(0), numbers.at(-1)], [channels / 100, channels / 100]);
      found.add(channels);
      child.kill("SIGCONT");
    }
    assert.deepEqual([...found].sort(), [100, 200]);
    // And no file of weights is left behind but one that is just being written or removed.
    child.kill("SIGSTOP");
    const files = [...Deno.readDirSync(model)].filter(({ name }) => name.endsWith(".bin"));
    assert(files.length <= 2, String(files.length));
  } finally {
    child.kill("SIGKILL");
    await child.status;
    await Deno.remove(folder, { recursive: true });
  }
});

function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

Deno.test("writeGraphModel() replaces the weights of the model before, and no file of anyone else", async () => {
  const folder = await Deno.makeTempDir();
  await Deno.writeTextFile(`${folder}/weights.mine.bin`, "mine");
  await Deno.writeTextFile(`${folder}/weights.bin`, "of the version before");
  const before = { weightsManifest: [{ paths: ["weights.bin", "../outside.bin"] }] };
  await Deno.writeTextFile(`${folder}/model.json`, JSON.stringify(before));
  const written = async () => {
    const model = dynamic.attention.squeeze;
    await writeGraphModel(folder, new Only((x) => model.forward(ops.mean(x, [1, 2]))), [2, 2, 1]);
    return [...Deno.readDirSync(folder)].map(({ name }) => name).sort();
  };
  const names = await written();
  assert.match(names.join(" "), /^model\.json weights\.[0-9a-f]{16}\.bin weights\.mine\.bin$/);
  assert.deepEqual(await written(), names);
  await Deno.remove(folder, { recursive: true });
});
