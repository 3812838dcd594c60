import assert from "node:assert/strict";
import {
  type AnyChannelsTransform,
  augmentation,
  compose,
  fashionMnist,
  type Images,
  memory,
  normalize,
  ops,
  Random,
  resize,
  type Transform,
} from "resnet-lab";
import { describeTransform, transformFrom } from "../../lib/data/transforms.ts";
import { assertClose, testOnEachBackend } from "../_helpers.ts";
import { distinct } from "./_helpers.ts";
import resized from "../fixtures/data/resize.json" with { type: "json" };

const random = () => new Random(5);

testOnEachBackend("resize() to a larger width by hand: weights ¾ and ¼, edges repeated", () => {
  const images = ops.tensor([0, 4, 8, 0], [1, 2, 2, 1]);
  const wider = resize(2, 4)(images, random());
  assertClose(wider, [0, 1, 3, 4, 8, 6, 2, 0]);
});

testOnEachBackend("resize() to half averages pairs, channel by channel", () => {
  const images = ops.tensor([0, 1, 4, 3, 8, 5, 2, 7], [1, 2, 2, 2]);
  const smaller = resize(1, 1)(images, random());
  assertClose(smaller, [(0 + 4 + 8 + 2) / 4, (1 + 3 + 5 + 7) / 4]);
});

testOnEachBackend("resize() to the same size changes nothing", () => {
  const images = distinct(2, 3, 4, 2);
  assertClose(resize(3, 4)(images, random()), images, 0);
});

for (const { height, width, values } of resized.resized) {
  testOnEachBackend(`resize() to ${height} × ${width} agrees with PyTorch`, () => {
    const images = ops.tensor(resized.images, [2, 5, 7, 3]);
    const result = resize(height, width)(images, random());
    assert.deepEqual(result.shape, [2, height, width, 3]);
    assertClose(result, values, 1e-6);
  });
}

testOnEachBackend("normalize() accepts a number for each channel", () => {
  const images = ops.tensor([0.25, 1, 0.5, 0], [1, 1, 2, 2]);
  const result = normalize({ mean: [0.25, 0.5], standardDeviation: [0.25, 0.5] })(images, random());
  assertClose(result, [0, 1, 1, -1]);
});

Deno.test("normalize() knows the statistics of data sets by name", async () => {
  const grey = ops.tensor([0.286, 0.286 + 0.353], [1, 1, 2, 1]);
  const fits: Transform<1> = normalize("fashionMnist");
  assertClose(fits(grey, random()), [0, 1]);
  // torchvision.transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)) of white.
  const white = ops.ones([1, 1, 1, 3]);
  assertClose(normalize("imagenet")(white, random()), [2.2489083, 2.4285714, 2.64]);
  assertClose(normalize("cifar10")(white, random()), [2.0591093, 2.1264887, 2.1158257]);
  // @ts-expect-error: ImageNet's images have three channels
  const wrong: Transform<1> = normalize("imagenet");
  assert.throws(() => wrong(grey, random()), /a mean for each of 1 channels, found 3\.$/);
  const { train } = await fashionMnist({ subset: true });
  const normalized = normalize("fashionMnist")(train.images(), random());
  assertClose(ops.mean(normalized), 0, 0.02);
  assertClose(ops.variance(normalized), 1, 0.02);
});

const transforms: Record<string, AnyChannelsTransform> = {
  "resize": resize(3, 9),
  "normalize": normalize({ mean: 0.3, standardDeviation: 0.2 }),
  "compose": compose(
    augmentation.randomCrop({ padding: 1 }),
    augmentation.randomFlip(),
    resize(6, 6),
  ),
};
for (const [name, transform] of Object.entries(transforms)) {
  testOnEachBackend(`${name}() leaves no tensor but its result, and keeps its input`, () => {
    const images = distinct(4, 5, 5, 3);
    const before = memory().tensors;
    const result = transform(images, random());
    assert.equal(memory().tensors, before + 1);
    result.dispose();
    assert.equal(images.arraySync().length, 4);
    images.dispose();
  });

  testOnEachBackend(`${name}() does the same for the same seed`, () => {
    const images = distinct(16, 5, 5, 1);
    assertClose(transform(images, random()), transform(images, random()), 0);
  });
}

testOnEachBackend("compose() applies transforms from first to last", () => {
  const shift: Transform<1> = (images) => ops.add(images, 1);
  const double: Transform<1> = (images) => ops.mul(images, 2);
  const images: Images<1> = ops.tensor([3], [1, 1, 1, 1]);
  assert.equal(compose(shift, double)(images, random()).dataSync()[0], 8);
  assert.equal(compose(double, shift)(images, random()).dataSync()[0], 7);
});

const wrong: [string, () => unknown, string][] = [
  [
    "resize refuses a size of 0",
    () => resize(0, 4),
    "Resizing images: height must be a whole number of at least 1, found 0.",
  ],
  [
    "resize refuses half a pixel",
    () => resize(4, 2.5),
    "Resizing images: width must be a whole number of at least 1, found 2.5.",
  ],
  [
    "normalize refuses a standard deviation of 0",
    () => normalize({ mean: 0, standardDeviation: 0 }),
    "Normalizing images: there must be as many positive standard deviations as finite means, found means [0] and standard deviations [0].",
  ],
  [
    "normalize refuses a mean that is not a number",
    () => normalize({ mean: NaN, standardDeviation: 1 }),
    "Normalizing images: there must be as many positive standard deviations as finite means, found means [NaN] and standard deviations [1].",
  ],
  [
    "normalize refuses the name of an unknown data set",
    () => normalize("imageNet" as "imagenet"),
    'Normalizing images: the data set must be one of "cifar10", "fashionMnist", "imagenet", found "imageNet". Did you mean "imagenet"?',
  ],
  [
    "normalize refuses another number of channels",
    () =>
      normalize({ mean: [0, 0, 0], standardDeviation: [1, 1, 1] })(
        ops.zeros([2, 4, 4, 1]),
        random(),
      ),
    "Normalizing images [2,4,4,1]: there must be a mean for each of 1 channels, found 3.",
  ],
];
for (const [name, make, message] of wrong) {
  Deno.test(name, () => assert.throws(make, { name: "RangeError", message }));
}

Deno.test("compose() of nothing returns the images unchanged", () => {
  const images = distinct(2, 3, 3, 1);
  assert.equal(compose()(images, random()), images);
});

const untyped: [string, () => unknown, RegExp][] = [
  [
    "normalize refuses an option of another name",
    // @ts-expect-error: there is no option of this name; it is standardDeviation
    () => normalize({ mean: 0.5, standardDev: 0.5 }),
    /Normalizing images: there is no option standardDev\. Did you mean standardDeviation\?/,
  ],
  [
    "normalize refuses two numbers",
    // @ts-expect-error: an object with both
    () => normalize(0.5, 0.5),
    /Normalizing images: the options must be an object such as/,
  ],
  [
    "normalize refuses a text",
    // @ts-expect-error: a number
    () => normalize({ mean: "0.5", standardDeviation: 0.5 }),
    /there must be as many positive standard deviations as finite means/,
  ],
  [
    "normalize refuses no channels",
    () => normalize({ mean: [], standardDeviation: [] }),
    /there must be as many positive standard deviations as finite means/,
  ],
  [
    "resize refuses a list",
    // @ts-expect-error: height and width, two arguments
    () => resize([4, 4]),
    /height must be a whole number of at least 1, found \[4, 4\]/,
  ],
  [
    "compose refuses what is no function",
    // @ts-expect-error: a list must be spread
    () => compose([resize(2, 2)]),
    /Composing transforms: transform 0 must be a function, found \[/,
  ],
];
for (const [name, make, message] of untyped) {
  Deno.test(name, () => assert.throws(make, { message }));
}

testOnEachBackend("transformFrom() reads a transform of describeTransform()", () => {
  const images = distinct(2, 5, 4, 3);
  for (
    const transform of [
      resize(3, 6),
      normalize({ mean: 0.25, standardDeviation: 0.5 }),
      compose(
        resize(2, 2),
        compose(),
        normalize({ mean: [0.1, 0.2, 1 / 3], standardDeviation: [1, 2, 0.1] }),
      ),
      compose(),
    ]
  ) {
    const description = describeTransform(transform)!;
    const read = transformFrom("Reading", description);
    assertClose(read(images, random()), transform(images, random()), 0);
    assert.equal(describeTransform(read), description);
  }
});

Deno.test("describeTransform() returns undefined for a user's function, and a chain with one", () => {
  const own: Transform<1> = (images) => ops.mul(images, 2);
  assert.equal(describeTransform(own), undefined);
  assert.equal(describeTransform(compose(resize(2, 2), own)), undefined);
});

for (
  const description of [
    "",
    "5",
    "{}",
    '{"length":1000000000}',
    "[5]",
    "[null]",
    "[{}]",
    '["resize"]',
    '[{"crop":[1,1]}]',
    '[{"resize":null}]',
    '[{"resize":[0,4]}]',
    '[{"resize":[2,2],"normalize":{"mean":0,"standardDeviation":1}}]',
    '[{"normalize":{"mean":0}}]',
    '[{"normalize":{"mean":0,"standardDeviation":1,"more":1}}]',
    '[{"__proto__":{}}]',
    "[[[[]]]]",
  ]
) {
  Deno.test(`transformFrom() refuses a transform that is not the library's: ${description}`, () => {
    assert.throws(() => transformFrom("Reading x", description), {
      name: "RangeError",
      message: /^Reading x: the transform in the file must be made of resize and normalize, found/,
    });
  });
}
