import assert from "node:assert/strict";
import {
  batchNorm,
  conv2d,
  evaluate,
  extractFeatures,
  fashionMnist,
  type Features,
  fit,
  flatten,
  globalAveragePool,
  type Images,
  linear,
  normalize,
  ops,
  relu,
  sequential,
  setSeed,
  sgd,
  tidy,
} from "resnet-lab";
import { assertClose, assertNoLeak, testOnEachBackend } from "../_helpers.ts";

const { test } = await fashionMnist({ subset: true });
const seven = test.take(7);
const makeBody = () =>
  sequential(conv2d(1, 4, { kernelSize: 3, stride: 3 }), batchNorm(4), relu(), globalAveragePool());

for (const [batchSize, compile] of [[1, false], [3, false], [7, false], [2, true]] as const) {
  testOnEachBackend(
    `extractFeatures() returns the output of the body in inference, ${batchSize} at a time${
      compile ? ", compiled" : ""
    }`,
    () =>
      assertNoLeak(async () => {
        using body = makeBody();
        const features = await extractFeatures((images) => body.forward(images), seven, {
          batchSize,
          compile,
        });
        assert.deepEqual(
          [features.name, features.count, features.height, features.width, features.channels],
          ["features of Fashion-MNIST subset, test", 7, 1, 1, 4],
        );
        assert.deepEqual(features.labels, seven.labels);
        assert.deepEqual(features.classNames, seven.classNames);
        tidy(() => {
          assertClose(features.images(), body.forward(seven.images()), 1e-6);
          assertClose(features.subset([5]).images(), body.forward(seven.images([5])), 1e-6);
        });
      }),
  );
}

Deno.test("extractFeatures() keeps feature maps, and the images are transformed first", async () => {
  const layer = conv2d(1, 3, { kernelSize: 5, stride: 5 });
  const transform = normalize({ mean: 0.5, standardDeviation: 0.5 });
  const maps = await extractFeatures((images) => layer.forward(images), seven, { transform });
  assert.deepEqual([maps.height, maps.width, maps.channels], [5, 5, 3]);
  const images = ops.sub(ops.mul(seven.images(), 2), 1);
  assertClose(maps.images(), layer.forward(images), 1e-5);
});

testOnEachBackend(
  "extractFeatures() trains a head as behind the frozen body",
  () =>
    assertNoLeak(async () => {
      const train = test.take(60);
      setSeed(3);
      using body = makeBody();
      using head = linear(4, 10), twin = linear(4, 10);
      tidy(() => twin.weight.assign(ops.clone(head.weight)));
      const whole = sequential(body, head);
      whole.freeze("0");
      const rest = { epochs: 2, batchSize: 20, seed: 1 };
      {
        using optimizer = sgd(whole.parameters(), { learningRate: 0.5, momentum: 0.9 });
        await fit(whole, train, { ...rest, optimizer });
      }
      const features = await extractFeatures((images) => body.forward(images), train);
      const top = sequential(flatten(), twin);
      {
        using optimizer = sgd(top.parameters(), { learningRate: 0.5, momentum: 0.9 });
        await fit(top, features, { ...rest, optimizer });
      }
      assertClose(twin.weight, head.weight, 1e-4);
      assertClose(twin.bias!, head.bias!, 1e-4);
      assertClose((await evaluate(top, features)).loss, (await evaluate(whole, train)).loss, 1e-4);
    }),
);

Deno.test("extractFeatures() stops between two batches and throws the reason of the signal", () =>
  assertNoLeak(async () => {
    const stop = new AbortController();
    let batches = 0;
    const forward = (images: Images<1>) => {
      if (++batches === 2) stop.abort();
      return ops.mul(images, 1);
    };
    const options = { batchSize: 2, signal: stop.signal };
    await assert.rejects(extractFeatures(forward, seven, options), { name: "AbortError" });
    assert.equal(batches, 2);
  }));

const action = 'Extracting features of "Fashion-MNIST subset, test"';
let calls = 0;
const refused: [name: string, forward: (images: Images<1>) => unknown, RegExp | string][] = [
  [
    "one number for all",
    (images) => ops.mean(images),
    `${action}: the body must return float32 features [batch, features] or feature maps [batch, height, width, channels], found a tensor of float32 [].`,
  ],
  [
    "class numbers",
    (images) => ops.cast(images, "int32"),
    /found a tensor of int32 \[3, 28, 28, 1\]/,
  ],
  [
    "a promise",
    (images) => Promise.resolve(images),
    /^Extracting features of .*: the function must be synchronous/,
  ],
  [
    "the mean of the batch",
    (images) => ops.mean(images, [0], { keepDims: true }),
    `${action}: the features of the images must be [3,28,28,1], found [1,28,28,1].`,
  ],
  [
    "another shape later",
    (images) => ops.reshape(images, calls++ % 2 ? [-1, 784] : [-1, 28, 28, 1]),
    `${action}: the features of the images must be [3,28,28,1], found [3,784].`,
  ],
  ["features that are not finite", (images) => ops.log(images), /found -Infinity in image 0/],
];
for (const [name, forward, message] of refused) {
  Deno.test(`extractFeatures() refuses ${name}`, () =>
    assertNoLeak(() =>
      assert.rejects(
        extractFeatures(forward as (images: Images<1>) => Features, seven, { batchSize: 3 }),
        { message },
      )
    ));
}

Deno.test("extractFeatures() takes a module in place of a function", async () => {
  const body = makeBody();
  const features = await extractFeatures(body, seven);
  assert.deepEqual(
    features.pixels,
    (await extractFeatures((images) => body.forward(images), seven)).pixels,
  );
});

const untyped: [options: object, message: RegExp][] = [
  [{ loss: () => 1 }, /there is no option loss\./],
  [{ transform: "resize" }, /transform must be a function of images/],
  [{ compile: 1 }, /compile must be true or false, found 1/],
  [{ batchSize: 2.5 }, /batchSize must be a whole number of at least 1, found 2\.5/],
];
for (const [options, message] of untyped) {
  Deno.test(`extractFeatures() refuses ${Deno.inspect(options, { depth: 0 })}, in words`, () =>
    assertNoLeak(async () => {
      using body = makeBody();
      await assert.rejects(extractFeatures(body, seven, options), { message });
    }));
}

Deno.test("extractFeatures() refuses a body that is no module and no function, and other channels", async () => {
  // @ts-expect-error: a module or a function
  await assert.rejects(extractFeatures("body", seven), {
    name: "TypeError",
    message: `${action}: the body must be a module or a function of images, found "body".`,
  });
  // @ts-expect-error: this model takes images with 3 channels, but the data set has 1
  await assert.rejects(extractFeatures(conv2d(3, 1, { kernelSize: 1 }), seven), {
    name: "RangeError",
    message: /: the images must have 3 channels for this model, found 1\./,
  });
});
