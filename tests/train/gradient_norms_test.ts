import assert from "node:assert/strict";
import {
  batchNorm,
  type Features,
  flatten,
  gradientNorms,
  linear,
  Module,
  ops,
  relu,
  sequential,
} from "resnet-lab";
import { assertClose, assertNoLeak, testOnEachBackend } from "../_helpers.ts";

const images = ops.tensor([1, 3], [2, 1, 1, 1]);
const labels = ops.tensor([0, 1], [2], "int32");

/** Logits `weight · x + bias` of two classes, all zero. */
function zeroLogits() {
  const layer = linear(1, 2);
  using zeros = ops.zeros([1, 2]);
  layer.weight.assign(zeros);
  return sequential(flatten(), layer);
}

testOnEachBackend("gradientNorms() by hand", () =>
  assertNoLeak(() => {
    using model = zeroLogits();
    // Both classes have probability ½. The gradients of the logits are ∓¼ and ±¼, those of the
    // weight (−1 + 3) / 4 and (1 − 3) / 4, those of the bias 0.
    const [layer, ...others] = gradientNorms(model, images, labels);
    assert.deepEqual([layer?.path, others], ["1", []]);
    assertClose(layer!.norm, Math.sqrt(0.5));
    // The sum of the logits: both weights get 1 + 3, both biases 2.
    const sum = (logits: Features) => ops.sum(logits);
    assertClose(gradientNorms(model, images, labels, { loss: sum })[0]!.norm, Math.sqrt(40));
  }));

Deno.test("gradientNorms() lists the layers in order, and leaves the model as it is", () => {
  const model = sequential(flatten(), linear(1, 4), batchNorm(4), relu(), linear(4, 2));
  const before = [...model.namedVariables().values()].map((variable) => [...variable.dataSync()]);
  const norms = gradientNorms(model, images, labels);
  assert.deepEqual(norms.map(({ path }) => path), ["1", "2", "4"]);
  assert.deepEqual(
    norms.map(({ path }) => path),
    gradientNorms(model, images, labels).map((l) => l.path),
  );
  const after = [...model.namedVariables().values()].map((variable) => [...variable.dataSync()]);
  assert.deepEqual(after, before);
  model.freeze();
  model.unfreeze("4");
  assert.deepEqual(gradientNorms(model, images, labels).map(({ path }) => path), ["4"]);
});

Deno.test("gradientNorms() shows gradients that are not finite, and a model that is one layer", () => {
  const model = zeroLogits();
  model.layers[1].bias!.assign(ops.tensor([NaN, 0]));
  assert.equal(gradientNorms(model, images, labels)[0]?.norm, NaN);
});

Deno.test("gradientNorms() refuses models and arguments that do not fit", () => {
  const model = zeroLogits();
  const frozen = zeroLogits();
  frozen.freeze();
  class Unused extends Module<typeof images, Features<2>> {
    readonly used = zeroLogits();
    readonly head = linear(1, 2);
    override forward(x: typeof images): Features<2> {
      return this.used.forward(x);
    }
  }
  const cases: [() => unknown, string, RegExp][] = [
    [() => gradientNorms(5 as never, images as never, labels), "TypeError", /the model must be/],
    [() => gradientNorms(model, [1] as never, labels), "TypeError", /the images must be a tensor/],
    [
      () => gradientNorms(model, ops.ones([2, 1]) as never, labels),
      "RangeError",
      /the images must/,
    ],
    [
      () => gradientNorms(frozen, images, labels),
      "RangeError",
      /the model must have parameters to train, found none/,
    ],
    [
      () => gradientNorms(new Unused(), images, labels),
      "RangeError",
      /must depend on each parameter, found head\.weight, head\.bias without influence on it\.$/,
    ],
    [
      () => gradientNorms(model, images, labels, { loss: 5 as never }),
      "TypeError",
      /loss must be a function, found 5\.$/,
    ],
    [() => gradientNorms(model, images, ops.tensor([0, 5], [2], "int32")), "RangeError", /label/],
  ];
  for (const [call, name, message] of cases) assert.throws(call, { name, message });
});
