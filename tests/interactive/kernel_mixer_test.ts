import assert from "node:assert/strict";
import { interactive, ops, Random } from "resnet-lab";
import {
  kernelMixer,
  type KernelMixerOptions,
} from "../../lib/interactive/components/kernel_mixer.ts";
import { assertClose } from "../_helpers.ts";
import { action, after, fromText } from "./_helpers.ts";

const random = new Random(3);
const matrix = (rows: number, columns: number) => random.uniform([rows, columns]).arraySync();
const pictures = { first: matrix(5, 7), second: matrix(4, 4) };
const kernels = { a: matrix(3, 3), b: matrix(3, 3) };
const attention = { weight: [3, -2], bias: [0.5, 0.25] };
const component = (options: Partial<KernelMixerOptions> = {}) =>
  fromText(kernelMixer, { pictures, kernels, attention, ...options });

Deno.test("kernelMixer() has the attention, the mixture and the map of the library's ops", () => {
  const made = component();
  for (const source of ["", "second"]) {
    for (const temperature of [0.3, 1, 30]) {
      const state = after(made, { source, temperature: String(temperature) });
      const found = made.mixture(state);
      const mean = ops.mean(ops.tensor(pictures[source === "" ? "first" : "second"]));
      const scores = ops.add(
        ops.mul(mean, ops.tensor(attention.weight)),
        ops.tensor(attention.bias),
      );
      assertClose(ops.tensor([...found.scores]), scores, 1e-5);
      const weights = ops.softmax(ops.div(ops.reshape(scores, [1, 2]), temperature));
      assertClose(ops.tensor([[...found.attention]]), weights, 1e-5);
      const both = ops.reshape(ops.tensor([kernels.a, kernels.b]), [2, 9]);
      const kernel = ops.matMul(weights, both);
      assertClose(
        ops.reshape(ops.tensor(found.kernel.map((row) => [...row])), [1, 9]),
        kernel,
        1e-5,
      );
      const image = ops.reshape(ops.tensor(pictures.first), [1, 5, 7, 1]);
      const map = ops.conv2d(image, ops.reshape(kernel, [3, 3, 1, 1]), { padding: 1 });
      const own = ops.reshape(ops.tensor(found.map.map((row) => [...row])), [1, 5, 7, 1]);
      assertClose(own, map, 1e-5);
    }
  }
});

Deno.test("kernelMixer() follows its controls, and shows no broken number", () => {
  const made = component();
  assert.match(
    made.views(made.initial).said!,
    /^Its mean is <b data-mean="">0\.\d+<\/b>, so a has/,
  );
  const other = after(made, { picture: "second", source: "first", temperature: "999" });
  assert.deepEqual(other, { picture: "second", source: "first", temperature: 100 });
  assert.match(made.views(other).said!, /^The attention is that of first, whose mean is/);
  assert.equal(after(made, { picture: "third", temperature: "x" }), made.initial);
  assert.equal(made.act(other, action({ kind: "press", name: "reset" })), made.initial);
  const black = component({ pictures: { black: [[0, 0, 0], [0, 0, 0], [0, 0, 0]] } });
  for (const views of [made.views(other), black.views(black.initial)]) {
    assert.doesNotMatch(Object.values(views).join(), /NaN|undefined/);
  }
});

Deno.test("interactive.kernelMixer() refuses options that do not fit each other", () => {
  const refused = (options: object, name: string, message: RegExp) =>
    assert.throws(() => interactive.kernelMixer({ pictures, ...options }), { name, message });
  refused({ pictures: {} }, "RangeError", /the number of pictures must be a whole number from 1/);
  refused({ pictures: { a: [[1]] } }, "RangeError", /the rows of picture "a" must be/);
  refused({ kernels: { a: [[1]], b: [[1]] } }, "RangeError", /the side of kernel "a" must be/);
  refused({ kernels }, "RangeError", /the kernels without attention must be/);
  refused({ attention }, "RangeError", /the length of weight must be a whole number from 4 to 4/);
  refused({ temperature: 0 }, "RangeError", /temperature must be from 0.1 to 100/);
});
