/** The errors that a new user meets first: each names what to write instead. */
import assert from "node:assert/strict";
import * as lib from "resnet-lab";

const { ops } = lib;
const { test } = await lib.fashionMnist({ subset: true });
const images = test.take(4);
const model = lib.sequential(lib.flatten(), lib.linear(784, 10));

/** A model whose forward returns an object. */
class Wrapped extends lib.Module<lib.Images<1>, { logits: lib.Features<10> }> {
  readonly inner = model;
  override forward(x: lib.Images<1>) {
    return { logits: this.inner.forward(x) };
  }
}

const fitWith = (options: object, trained: unknown = model) => {
  const optimizer = lib.sgd(model.parameters(), { learningRate: 0.1 });
  return lib.fit(trained as never, images, {
    ...{ optimizer, epochs: 1, batchSize: 2 },
    ...options,
  });
};
const wrapped = new Wrapped();
const safetensors = await Deno.makeTempFile({ suffix: ".safetensors" });
addEventListener("unload", () => Deno.removeSync(safetensors));
await lib.writeSafetensors(safetensors, lib.stateDict(model));
const pth = new URL("fixtures/weights/checkpoint.pth", import.meta.url).pathname;
const objective = () => ({ loss: ops.scalar(0) });

/** Calls by the symbol that refuses them, with a part of the message. */
const MISTAKES: readonly [symbol: string, call: () => unknown, message: string][] = [
  [
    "linear",
    () => lib.linear(2, 2, { weightInitializer: "heNormal" as never }),
    'must be a function such as initializers.heNormal(), found "heNormal"',
  ],
  [
    "sgd",
    () => lib.sgd([], { learningRate: 1 }),
    "at least one parameter, found none. Frozen layers have none to train, and fields named with # are not walked.",
  ],
  [
    "sgd",
    () => lib.sgd([{ params: model.parameters(), lr: 1 }] as never, { learningRate: 1 }),
    "there are no options params, lr. Did you mean parameters, learningRateFactor?",
  ],
  [
    "fit",
    () => fitWith({ augment: [lib.augmentation.randomFlip()] }),
    "found an array of functions. Join them by compose.",
  ],
  ["fit", () => fitWith({ augment: lib.augmentation.randomFlip }), "call it: randomFlip()"],
  [
    "fit",
    () => fitWith({}, wrapped),
    "must return logits [batch, 10], found an object. With the option objective it may return",
  ],
  [
    "fit",
    () => fitWith({ objective, validation: images }, wrapped),
    "must return logits [batch, 10], found an object. The option validationLogits returns",
  ],
  [
    "sequential",
    () => lib.sequential([lib.relu()] as never),
    "layer 0 must be a module, found [the module relu]. Spread the array: ...layers.",
  ],
  [
    "freeze",
    () => model.freeze("1.weight"),
    'found the variable "1.weight". The nearest paths are 1.',
  ],
  [
    "crossEntropy",
    () => lib.crossEntropy(ops.zeros([2, 3]), ops.zeros([2, 3]) as never),
    "a class number for each row of logits [2, 3], found labels [2,3]. Turn one-hot labels into class numbers by ops.argMax.",
  ],
  [
    "confusionMatrixPlot",
    async () => lib.confusionMatrixPlot(await lib.evaluate(model, images) as never, []),
    "found an evaluation. Pass evaluation.confusion.",
  ],
  ["readPth", () => lib.readPth(safetensors), "Read it with readSafetensors."],
  ["readSafetensors", () => lib.readSafetensors(pth), "read it with readPth."],
  [
    "writeSafetensors",
    () => lib.writeSafetensors("", new Map()),
    'must be a path such as "model.safetensors"',
  ],
  [
    "writeGraphModel",
    () => lib.writeGraphModel("", model, [28, 28, 1]),
    'must be a path such as "my_model"',
  ],
  [
    "findLearningRate",
    () =>
      lib.findLearningRate(lib.lenet({ classes: 3 }) as never, images, {
        optimizer: lib.sgd(model.parameters(), { learningRate: 0.1 }),
        batchSize: 2,
      }),
    'Finding a learning rate on "',
  ],
  ["resnet18", () => lib.resnet18({ stem: "none" as never }), "Building resnet18: stem must be"],
  [
    "stateDict",
    () => lib.stateDict(lib.lenet(), { inputShape: [28, 28, 3] }),
    "At features.0 (conv2d 1 → 6",
  ],
  ["pretrained", () => lib.pretrained("resnet-18" as never), 'Did you mean "resnet18"?'],
];
for (const [symbol, call, message] of MISTAKES) {
  Deno.test(`${symbol}() refuses a first mistake and says: ${message}`, async () => {
    await assert.rejects(async () => await call(), (error: Error) => {
      assert(error.message.includes(message), error.message);
      return true;
    });
  });
}

Deno.test("fit() accepts a model whose forward returns any, which only a run can check", () => {
  class Untyped extends lib.Module<lib.Images<1>> {
    readonly inner = model;
    // deno-lint-ignore no-explicit-any
    override forward(x: lib.Images<1>): any {
      return this.inner.forward(x);
    }
  }
  const untyped = new Untyped();
  const optimizer = lib.sgd(untyped.parameters(), { learningRate: 0.1 });
  lib.fit(untyped, images, { optimizer, epochs: 1, batchSize: 2 }).return();
});
