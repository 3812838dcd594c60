import assert from "node:assert/strict";
import {
  alexnet,
  type AnyModule,
  batchNorm,
  conv2d,
  flatten,
  fromTimm,
  googlenet,
  type Images,
  inception,
  linear,
  loadState,
  memory,
  Module,
  ops,
  parallel,
  readPth,
  readSafetensors,
  resnet,
  resnet18,
  resnet50,
  sequential,
  stateOf,
  StoredTensor,
  type Tensor,
  toTimm,
  vgg,
} from "resnet-lab";
import { assertClose, assertNoLeak, testOnEachBackend } from "../helpers.ts";
import { expected, fixture, images, names, plain } from "./fixture.ts";

type Classifier = Module<Images<3>, Tensor>;
const cases: [file: string, make: () => Classifier, size: number][] = [
  ["resnet_basic.pth", () => smallResnet("basic"), 32],
  ["resnet_bottleneck.pth", () => smallResnet("bottleneck"), 32],
  ["alexnet_legacy.pth", smallAlexnet, 127],
  ["vgg.safetensors", smallVgg, 12],
  [
    "inception.safetensors",
    () => inception(3, 2, [3, 4], [2, 3], 2, { variant: "torchvision" }),
    6,
  ],
  ["resnetv2_timm.safetensors", smallResnetV2, 32],
];
function smallResnet(block: "basic" | "bottleneck") {
  return resnet({ block, stages: [2, 1], channels: 4, classes: 5 });
}
function smallAlexnet() {
  return alexnet({ variant: "torchvision", width: 1 / 64, imageSize: 127, classes: 5 });
}
function smallVgg() {
  const architecture = [[1, 4], [2, 6]] as const;
  return vgg({ architecture, batchNorm: true, hidden: 16, imageSize: 12, classes: 5 });
}
function smallResnetV2() {
  return resnet({ block: "bottleneck", stages: [1, 1], channels: 8, classes: 5, version: "v2" });
}

async function read(file: string): Promise<Map<string, StoredTensor>> {
  const tensors = await (file.endsWith("pth") ? readPth : readSafetensors)(fixture(file));
  return file.includes("timm") ? fromTimm(tensors) : tensors;
}

for (const [file, make, size] of cases) {
  testOnEachBackend(`loadState of ${file} gives what PyTorch computes`, async () => {
    await assertNoLeak(async () => {
      using model = make();
      loadState(model, await read(file));
      using x = images(2, size, size);
      using y = model.forward(x);
      assertClose(y, expected[file]!, 1e-4);
    });
  });

  Deno.test(`stateOf gives back the tensors of ${file}, to the bit and in their order`, async () => {
    await assertNoLeak(async () => {
      using model = make();
      const theirs = await read(file);
      loadState(model, theirs);
      const state = stateOf(model), ours = file.includes("timm") ? toTimm(state) : state;
      const original = file.includes("timm") ? await readSafetensors(fixture(file)) : theirs;
      assert.deepEqual([...ours.keys()].sort(), [...original.keys()].sort());
      for (const [name, tensor] of original) {
        assert.deepEqual(ours.get(name)!.shape, tensor.shape, name);
        assert.equal(ours.get(name)!.dtype, tensor.dtype, name);
        if (!name.endsWith("num_batches_tracked")) {
          assert.deepEqual(ours.get(name)!.values(), tensor.values().slice(), name);
        } else assert.deepEqual([...ours.get(name)!.values()], [0n]);
      }
    });
  });
}
