import assert from "node:assert/strict";
import {
  conv2d,
  type Features,
  flatten,
  globalAveragePool,
  googlenet,
  gradCam,
  type Images,
  linear,
  maxPool,
  Module,
  ops,
  relu,
  resnet,
  sequential,
  tanh,
  tidy,
} from "resnet-lab";
import { assertClose, assertNoLeak, testOnEachBackend } from "../_helpers.ts";
import {
  assertStored,
  load,
  numbersOf,
  read,
  someImages,
  type StoredFeatures,
  type StoredImages,
  type StoredVector,
} from "./_helpers.ts";

testOnEachBackend("gradCam() by hand: two maps, one for the class and one against it", () => {
  const model = sequential(
    conv2d(1, 2, { kernelSize: 1, useBias: false }),
    globalAveragePool(),
    linear(2, 2),
  );
  model.layers[0].weight.assign(ops.tensor([1, 10], [1, 1, 1, 2]));
  model.layers[2].weight.assign(ops.tensor([[40, 0], [-2, 8]]));
  const image = ops.tensor([0, 1, 2, -3], [1, 2, 2, 1]);
  // Over 4 pixels α is [10, −0.5] for class 0 and [0, 2] for class 1; the maps are x and 10x.
  assertClose(gradCam(model, "0", image, 0), [0, 5, 10, 0]);
  assertClose(gradCam(model, "0", image, 1), [0, 20, 40, 0]);
});

testOnEachBackend("gradCam() before a mean and a linear layer is the class activation map", () => {
  const model = sequential(
    conv2d(3, 4, { kernelSize: 3, padding: 1 }),
    relu(),
    globalAveragePool(),
    linear(4, 5),
  );
  const x = someImages(2, 6, 5, 3);
  tidy(() => {
    const maps = relu().forward(model.layers[0].forward(x));
    for (const classIndex of [0, 3]) {
      const weights = ops.slice(model.layers[3].weight, [0, classIndex], [-1, 1]);
      const cam = ops.matMul(ops.reshape(maps, [-1, 4]), weights);
      const expected = ops.relu(ops.div(cam, 6 * 5));
      const found = gradCam(model, "1", x, classIndex);
      assert.deepEqual(found.shape, [2, 6, 5, 1]);
      assertClose(found, ops.reshape(expected, [-1]), 1e-6);
      assert(found.dataSync().some((value) => value > 0));
    }
  });
});

class Square extends Module<Images<6>, Images<6>> {
  override forward(x: Images<6>): Images<6> {
    return ops.square(x);
  }
}

interface Reference {
  x: StoredImages;
  classIndex: number;
  map: StoredImages;
  kernels: [StoredImages, StoredImages];
  biases: [StoredVector, StoredVector, StoredVector];
  weight: StoredFeatures;
}

testOnEachBackend("gradCam() is PyTorch's", () => {
  const { x, classIndex, map, kernels, biases, weight }: Reference = read("inference.json").gradCam;
  const model = sequential(
    conv2d(3, 4, { kernelSize: 3, padding: 1 }),
    relu(),
    maxPool({ kernelSize: [2, 1] }),
    conv2d(4, 6, { kernelSize: 3 }),
    tanh(),
    new Square(),
    globalAveragePool(),
    linear(6, 5),
  );
  const [first, , , second, , , , last] = model.layers;
  first.weight.assign(load(kernels[0]));
  first.bias!.assign(load(biases[0]));
  second.weight.assign(load(kernels[1]));
  second.bias!.assign(load(biases[1]));
  last.weight.assign(load(weight));
  last.bias!.assign(load(biases[2]));
  assertStored(gradCam(model, "4", load(x), classIndex), map);
  assert(numbersOf(map).some((value) => value > 0.01));
});

Deno.test("gradCam() resizes the map bilinearly to the image after the relu", () => {
  const model = sequential(
    conv2d(1, 1, { kernelSize: 1, useBias: false }),
    maxPool({ kernelSize: 2 }),
    globalAveragePool(),
    linear(1, 1),
  );
  model.layers[0].weight.assign(ops.ones([1, 1, 1, 1]));
  model.layers[3].weight.assign(ops.tensor([[4]]));
  const image = ops.tensor([8, 0, 0, -4, 0, 0, -4, -4, 0, 0, 0, 0, 0, 2, 0, 0], [1, 4, 4, 1]);
  // The maps are [[8, 0], [2, 0]], and 8 − 4 · ¾ lies a quarter on the way.
  const map = gradCam(model, "1", image, 0);
  assertClose(map, ops.resizeBilinear(ops.tensor([8, 0, 2, 0], [1, 2, 2, 1]), [4, 4]));
  assertClose(ops.slice(map, [0, 0, 0, 0], [1, 1, 4, 1]), [8, 6, 2, 0]);
});

Deno.test("gradCam() of an image does not depend on the rest of the batch", () => {
  const model = resnet({ block: "basic", stages: [1, 1], stem: "cifar", channels: 4, classes: 3 });
  const x = someImages(3, 8, 8, 3);
  const all = gradCam(model, "layer1", x, 2);
  const second = gradCam(model, "layer1", ops.slice(x, [1, 0, 0, 0], [1, -1, -1, -1]), 2);
  assertClose(second, ops.slice(all, [1, 0, 0, 0], [1, -1, -1, -1]), 1e-5);
});

Deno.test("gradCam() accepts every layer with feature maps, also within a block", () => {
  const model = googlenet({ variant: "torchvision", width: 1 / 8, classes: 4, imageSize: 64 });
  const x = someImages(1, 64, 64, 3);
  for (const path of ["conv1", "inception4a.branch2.1", "inception5b"]) {
    const map = gradCam(model, path, x, 0).dataSync();
    assert.equal(map.length, 64 * 64);
    assert(map.every((value) => value >= 0 && Number.isFinite(value)), path);
  }
});

class Paths extends Module<Images<1>, Features<2>> {
  readonly twice = conv2d(1, 1, { kernelSize: 1 });
  readonly never = conv2d(1, 1, { kernelSize: 1 });
  readonly aside = conv2d(1, 1, { kernelSize: 1 });
  readonly head = sequential(globalAveragePool(), linear(1, 2));
  override forward(x: Images<1>) {
    return tidy(() => {
      this.aside.forward(x);
      return this.head.forward(this.twice.forward(this.twice.forward(x)));
    });
  }
}

Deno.test("gradCam() names its errors, leaves no tensor, and restores the model", async () => {
  using model = new Paths();
  using x = ops.ones([1, 4, 4, 1]);
  const refused = (path: string, classIndex: number, name: string, message: string | RegExp) =>
    assert.throws(() => gradCam(model, path, x, classIndex), { name, message });
  await assertNoLeak(() => {
    refused(
      "heads",
      0,
      "RangeError",
      'Computing Grad-CAM at "heads": each path must lead to a module, found "heads". The nearest paths are twice, never, aside, head.',
    );
    refused(
      "twice",
      0,
      "RangeError",
      'Computing Grad-CAM at "twice": conv2d 1 → 1, 1×1 must run once in a forward pass, found 2 runs.',
    );
    refused("never", 0, "RangeError", /must run once in a forward pass, found 0 runs/);
    refused(
      "aside",
      0,
      "RangeError",
      /the value must depend on each input, found no dependence on the input/,
    );
    refused(
      "head.0",
      0,
      "TypeError",
      'Computing Grad-CAM at "head.0": globalAveragePool must return feature maps [batch, height, width, channels], found a tensor of float32 [1, 1].',
    );
  });
  const good = sequential(conv2d(1, 2, { kernelSize: 1 }), globalAveragePool(), linear(2, 3));
  for (const classIndex of [-1, 3, 0.5, NaN]) {
    await assertNoLeak(() =>
      assert.throws(() => gradCam(good, "0", x, classIndex), {
        name: "RangeError",
        message:
          `Computing Grad-CAM at "0": classIndex must be a whole number from 0 to 2, found ${classIndex}.`,
      })
    );
  }
  const maps = sequential(conv2d(1, 2, { kernelSize: 1 }));
  // @ts-expect-error: the model gives maps and not logits
  assert.throws(() => gradCam(maps, "0", x, 0), {
    name: "TypeError",
    message:
      'Computing Grad-CAM at "0": the model must return logits [batch, classes], found a tensor of float32 [1, 4, 4, 2].',
  });
  const colour: Images<3> = someImages(1, 4, 4, 3);
  // @ts-expect-error: the model takes images with one channel
  assert.throws(() => gradCam(good, "0", colour, 0), /^RangeError: At 0 \(conv2d 1 → 2, 1×1\)/);
  assert(!Object.hasOwn(good.layers[0], "forward"));
});

testOnEachBackend("gradCam() leaves the map and no other tensor", async () => {
  const model = sequential(conv2d(1, 2, { kernelSize: 3 }), relu(), flatten(), linear(32, 3));
  const x = someImages(2, 6, 6, 1);
  await assertNoLeak(() => gradCam(model, "1", x, 1).dispose());
  await assertNoLeak(() => void gradCam(model, "1", x, 1), 1);
});
