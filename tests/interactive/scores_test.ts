import assert from "node:assert/strict";
import { crossEntropy, grad, interactive, meanSquaredError, ops, type Tensor2D } from "resnet-lab";
import { scores, type ScoresOptions } from "../../lib/interactive/components/scores.ts";
import { action, after, fromText } from "./_helpers.ts";

const component = (options: ScoresOptions = {}) => fromText(scores, options);

function assertClose(actual: readonly number[], expected: ArrayLike<number>, subject: string) {
  assert.equal(actual.length, expected.length, subject);
  actual.forEach((value, i) =>
    assert(Math.abs(value - expected[i]!) < 2e-6, `${subject}: ${actual} and ${expected}`)
  );
}

Deno.test("scores() computes the library's losses and their gradients", () => {
  const cases = [[2, 1, -1], [0, 0, 0], [-10, 10, 3], [0.5, -0.5], [1, 2, 3, 4, 5]];
  for (const list of cases) {
    for (const target of list.keys()) {
      for (const temperature of [0.5, 1, 4]) {
        const made = component({ scores: list, target, temperature });
        const found = made.losses(made.initial);
        const logits = ops.tensor([list]), labels = ops.tensor([target], undefined, "int32");
        const oneHot = ops.oneHot(labels, list.length);
        const entropy = (x: Tensor2D) => crossEntropy(ops.div(x, temperature), labels);
        const squared = (x: Tensor2D) =>
          ops.mul(
            meanSquaredError(ops.softmax(ops.div(x, temperature)), oneHot),
            list.length,
          );
        const softmax = ops.softmax(ops.div(logits, temperature)).dataSync();
        assertClose(found.probabilities, softmax, "probabilities");
        assertClose([found.crossEntropy], entropy(logits).dataSync(), "cross-entropy");
        assertClose([found.squaredError], squared(logits).dataSync(), "squared error");
        assertClose(found.crossEntropySlopes, grad(entropy)(logits).dataSync(), "its slopes");
        assertClose(
          found.squaredErrorSlopes,
          grad(squared)(logits).dataSync(),
          "its slopes, squared",
        );
      }
    }
  }
});

Deno.test("scores() does not change when 1000 is added to all scores", () => {
  const made = component();
  const shifted = after(made, { isShifted: "true" });
  const [before, later] = [made.initial, shifted].map(made.losses);
  assertClose(later!.probabilities, before!.probabilities, "probabilities");
  assertClose([later!.crossEntropy], [before!.crossEntropy], "loss");
  assert.match(made.views(shifted).table!, />1002</);
});

Deno.test("scores() shows that the squared error lets go of what is sure and wrong", () => {
  const made = component();
  const wrong = made.act(made.initial, action({ kind: "press", name: "wrong" }));
  assert.deepEqual(wrong.scores, [0, 8, 0]);
  const { crossEntropySlopes, squaredErrorSlopes } = made.losses(wrong);
  assert(crossEntropySlopes[1]! > 0.999 && squaredErrorSlopes[1]! < 0.003);
  const other = made.act(after(made, { target: "1" }), action({ kind: "press", name: "wrong" }));
  assert.deepEqual(other.scores, [8, 0, 0]);
});

Deno.test("scores() takes what is typed within its ends", () => {
  const made = component({ classNames: ["a", "<b>", "c"] });
  assert.deepEqual(after(made, { "score 1": "-3.5", "score 2": "99" }).scores, [2, -3.5, 10]);
  assert.equal(after(made, { temperature: "0" }).temperature, 0.1);
  assert.match(made.views(after(made, { temperature: "2" })).table!, /\(p − target\) \/ T/);
  assert.match(made.layout, /&lt;b&gt;/);
});

Deno.test("interactive.scores() refuses scores, names and a target that do not fit", () => {
  const refused = (options: object, name: string, message: RegExp) =>
    assert.throws(() => interactive.scores(options), { name, message });
  refused({ scores: [1] }, "RangeError", /the number of scores must be a whole number from 2 to 5/);
  refused({ scores: [1, 11] }, "RangeError", /a score must be from -10 to 10, found 11/);
  refused({ classNames: ["a"] }, "RangeError", /the number of classNames/);
  refused({ target: 3 }, "RangeError", /target must be a whole number from 0 to 2/);
  refused({ logits: [1] }, "TypeError", /there is no option logits/);
});
