/** The refusal of models whose batch norms and dropouts do not learn that they train. */
import assert from "node:assert/strict";
import {
  batchNorm,
  conv2d,
  crossEntropy,
  dropout,
  fashionMnist,
  type Features,
  fit,
  type ForwardOptions,
  globalAveragePool,
  type Images,
  type Labels,
  linear,
  Module,
  type ObjectiveBatch,
  ops,
  sequential,
  sgd,
  tidy,
} from "resnet-lab";

const { test } = await fashionMnist({ subset: true });

class DropsOptions extends Module<Images<1>, Features<10>> {
  readonly stem = sequential(conv2d(1, 4, { kernelSize: 3, stride: 4 }), batchNorm(4));
  readonly dropout = dropout(0.5);
  readonly head = sequential(globalAveragePool(), linear(4, 10));
  constructor(readonly passed: readonly [ForwardOptions?, ForwardOptions?] | "all") {
    super();
  }
  override forward(x: Images<1>, options?: ForwardOptions): Features<10> {
    const [first, second] = this.passed === "all" ? [options, options] : this.passed;
    return tidy(() => this.head.forward(this.dropout.forward(this.stem.forward(x, first), second)));
  }
}

const trainOnce = (model: DropsOptions, options: object = {}) =>
  fit(model, test.take(8), {
    optimizer: sgd(model.parameters(), { learningRate: 0.01 }),
    epochs: 1,
    batchSize: 4,
    ...options,
  });

Deno.test("fit() refuses a model whose batch norm or dropout does not learn that it trains", async () => {
  for (const options of [{}, { compile: true }]) {
    const model = new DropsOptions([]);
    const before = [...model.stem.namedVariables().values()].map((v) => [...v.dataSync()]);
    await assert.rejects(async () => await trainOnce(model, options), {
      name: "RangeError",
      message:
        'Fitting to "Fashion-MNIST subset, test": each batch norm and dropout must receive { training: true }, ' +
        "found stem.1 (batchNorm 4) without options in the forward pass of DropsOptions. " +
        "Pass options on, as forward(x, options), or { training: false } to keep a layer in inference.",
    });
    assert.deepEqual(
      [...model.stem.namedVariables().values()].map((v) => [...v.dataSync()]),
      before,
    );
  }
  const noDropout = new DropsOptions([{ training: true }]);
  await assert.rejects(
    async () => await trainOnce(noDropout),
    /found dropout \(dropout 0\.5\) without/,
  );
});

Deno.test("fit() accepts batch norms that are frozen, or in inference by { training: false }", async () => {
  await trainOnce(new DropsOptions("all"));
  const onPurpose = new DropsOptions([{ training: false }, { training: false }]);
  await trainOnce(onPurpose);
  assert.deepEqual(onPurpose.stem.namedVariables().get("1.runningMean")?.arraySync(), [0, 0, 0, 0]);
  const frozen = new DropsOptions([]);
  frozen.freeze("stem", "dropout");
  await trainOnce(frozen);
});

Deno.test("fit() refuses an objective that runs the model without { training: true }", async () => {
  const objective =
    (isTraining: boolean) =>
    (model: DropsOptions, { images, labels }: ObjectiveBatch<Images<1>, Labels>) => {
      const target = ops.softmax(model.forward(images)); // Inference on purpose.
      const logits = model.forward(images, isTraining ? { training: true } : undefined);
      const distance = ops.mean(ops.square(ops.sub(ops.softmax(logits), target)));
      return { loss: ops.add(crossEntropy(logits, labels), distance), logits };
    };
  await assert.rejects(
    async () => await trainOnce(new DropsOptions("all"), { objective: objective(false) }),
    /found stem\.1 \(batchNorm 4\) without options in the objective\. Run the model as model\.forward\(images, \{ training: true \}\)/,
  );
  await trainOnce(new DropsOptions("all"), { objective: objective(true) });
});
