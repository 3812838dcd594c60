import assert from "node:assert/strict";
import { interactive, ops } from "resnet-lab";
import {
  kernelWorkshop,
  type KernelWorkshopOptions,
  type Matrix,
} from "../../lib/interactive/components/kernel_workshop.ts";
import { action, after, fromText } from "./_helpers.ts";

const component = (options: KernelWorkshopOptions = {}) => fromText(kernelWorkshop, options);

/** Rows of numbers that look random. */
function numbers(rows: number, columns: number, seed: number): Matrix {
  return Array.from(
    { length: rows },
    (_, i) =>
      Array.from({ length: columns }, (_, j) => (seed + 7 * i * i + 13 * i * j + 3 * j) % 11),
  );
}

Deno.test("kernelWorkshop() computes what ops.conv2d does", () => {
  const { convolve } = component();
  let compared = 0;
  for (const [rows, columns] of [[9, 9], [6, 11], [5, 5]] as const) {
    for (const size of [1, 2, 3, 4, 5]) {
      const picture = numbers(rows, columns, size), kernel = numbers(size, size, 5);
      const image = ops.reshape(ops.tensor(picture.map((row) => [...row])), [1, rows, columns, 1]);
      const weight = ops.reshape(ops.tensor(kernel.map((row) => [...row])), [size, size, 1, 1]);
      for (const padding of [0, 1, 2, 3, "same"] as const) {
        for (const stride of [1, 2, 3]) {
          for (const dilation of stride > 1 ? [1] : [1, 2, 3]) {
            const { values } = convolve(picture, kernel, { stride, padding, dilation });
            if (values.length === 0 || values[0]!.length === 0) continue;
            const expected = ops.conv2d(image, weight, { stride, padding, dilation });
            assert.deepEqual(expected.shape, [1, values.length, values[0]!.length, 1]);
            assert.deepEqual(values.flat(), [...expected.dataSync()]);
            compared++;
          }
        }
      }
    }
  }
  assert(compared > 300, `${compared} convolutions`);
});

Deno.test("kernelWorkshop() shows no window where conv2d refuses the picture", () => {
  const made = component({ picture: [[1, 2], [3, 4]], kernel: numbers(3, 3, 1) });
  assert.match(made.views(made.initial).output!, /No window fits/);
  assert.match(made.views(made.initial).formula!, /<b[^>]*>0<\/b> rows\./);
  assert.match(made.views(after(made, { padding: "1" })).formula!, /<b[^>]*>2<\/b> rows\./);
});

Deno.test("kernelWorkshop() writes out the sum of an output", () => {
  // The example of d2l's chapter on convolutions.
  const made = component({ picture: [[0, 1, 2], [3, 4, 5], [6, 7, 8]], kernel: [[0, 1], [2, 3]] });
  const state = made.act(made.initial, action({ kind: "move", name: "output", x: 1, y: 1 }));
  const text = made.views(state).sum!.replaceAll(/<[^>]*>/g, "");
  assert.equal(text, "Output (0, 0): 0·0 + 1·1 + 3·2 + 4·3 = 19");
  const last = ["ArrowRight", "ArrowDown", "ArrowDown"].reduce(
    (state, value) => made.act(state, action({ kind: "key", name: "output", value })),
    state,
  );
  assert.match(made.views(last).sum!, /Output \(1, 1\): .* = <b[^>]*>43</);
});

Deno.test("kernelWorkshop() counts the windows of a pixel", () => {
  const made = component();
  const seenAt = (values: Record<string, string>, keys: string[]) => {
    const state = keys.reduce(
      (state, value) => made.act(state, action({ kind: "key", name: "picture", value })),
      after(made, values),
    );
    return Number(/data-seen="">(\d+)</.exec(made.views(state).seen!)?.[1]);
  };
  const corner = ["ArrowUp"], inner = ["ArrowUp", ...Array(4).fill(["ArrowDown", "ArrowRight"])];
  assert.equal(seenAt({}, corner), 1);
  assert.equal(seenAt({ padding: "1" }, corner), 4);
  assert.equal(seenAt({ padding: "2" }, corner), 9);
  assert.equal(seenAt({}, inner.flat()), 9);
  assert.equal(seenAt({ stride: "3" }, inner.flat()), 1);
});

Deno.test('kernelWorkshop() says what the formula leaves over, and where "same" puts its zeros', () => {
  const made = component({ picture: numbers(8, 8, 1) });
  const formula = (values: Record<string, string>) =>
    made.views(after(made, values)).formula!.replaceAll(/<[^>]*>/g, "");
  assert.equal(formula({}), "⌊(8 + 2·0 − 1·(3 − 1) − 1) / 1⌋ + 1 = 6 rows.");
  assert.equal(
    formula({ stride: "2" }),
    "⌊(8 + 2·0 − 1·(3 − 1) − 1) / 2⌋ + 1 = 3 rows; the last row is left over.",
  );
  assert.equal(
    formula({ stride: "2", padding: "same" }),
    '"same": ⌈8 / 2⌉ = 4 rows, with 0 rows of zeros above and 1 below.',
  );
});

Deno.test("kernelWorkshop() lets a reader paint, edit and change the size of the kernel", () => {
  const made = component({ picture: numbers(4, 4, 1), kernel: "identity" });
  const painted = made.act(
    after(made, { brush: "2" }),
    action({ kind: "down", name: "picture", x: 76, y: 2 }),
  );
  assert.equal(painted.picture[0]![2], 2);
  assert.equal(made.values(painted).preset, "identity");
  const edited = after(made, { "weight 0 2": "-1.5" }, painted);
  assert.deepEqual(edited.kernel, [[0, 0, -1.5], [0, 1, 0], [0, 0, 0]]);
  assert.equal(made.values(edited).preset, "own");
  assert.deepEqual(after(made, { size: "2" }, edited).kernel, [[1, 0], [0, 0]]);
  assert.deepEqual(after(made, { size: "5" }, edited).kernel[2], [0, 0, 1, 0, 0]);
  assert.deepEqual(
    made.act(edited, action({ kind: "press", name: "clear" })).picture.flat(),
    Array(16).fill(0),
  );
  assert.equal(made.act(edited, action({ kind: "press", name: "reset" })), made.initial);
});

Deno.test("interactive.kernelWorkshop() takes kernels of one's own, and refuses wrong ones", () => {
  const learnt = numbers(5, 5, 2);
  const figure = interactive.kernelWorkshop({ kernels: { learnt }, kernel: "learnt" });
  assert.match(String(figure), /the kernel "learnt" of 5×5 numbers, and the feature map of 5×5/);
  const refused = (options: object, name: string, message: RegExp) =>
    assert.throws(() => interactive.kernelWorkshop(options), { name, message });
  refused({ kernel: "blur" }, "RangeError", /kernel must be one of "vertical edges"/);
  refused({ kernel: numbers(2, 3, 1) }, "RangeError", /the columns of kernel must be 2/);
  refused({ picture: numbers(29, 3, 1) }, "RangeError", /the rows of picture must be a whole/);
  refused({ picture: [[1, 2], [3]] }, "RangeError", /the length of a row of picture must be 2/);
  refused({ picture: [[-1]] }, "RangeError", /a pixel must be at least 0, found -1/);
  refused({ picture: [] }, "RangeError", /the rows of picture/);
  refused({ stride: 5 }, "RangeError", /stride must be a whole number from 1 to 4/);
  refused({ padding: "full" }, "RangeError", /padding must be "same"/);
});
