import assert from "node:assert/strict";
import { grad, interactive, ops, type Tensor4D } from "resnet-lab";
import {
  receptiveField,
  type ReceptiveFieldOptions,
  type WindowLayer,
} from "../../lib/interactive/components/receptive_field.ts";
import { action, after, fromText } from "./_helpers.ts";

const component = (options: ReceptiveFieldOptions = {}) => fromText(receptiveField, options);

const stacks: readonly (readonly WindowLayer[])[] = [
  [{ kernelSize: 3 }, { kernelSize: 3 }, { kernelSize: 2, stride: 2 }, { kernelSize: 3 }],
  [{ kernelSize: 7, stride: 2 }, { kernelSize: 3, stride: 2 }],
  [{ kernelSize: 3, dilation: 3 }, { kernelSize: 2, dilation: 2 }],
  [{ kernelSize: 1, stride: 3 }, { kernelSize: 3 }],
];

Deno.test("receptiveField() marks the pixels whose gradient is not zero", () => {
  const imageSize = 20;
  for (const layers of stacks) {
    const made = component({ layers, imageSize });
    const network = (image: Tensor4D) =>
      layers.reduce(
        (x, { kernelSize, stride = 1, dilation = 1 }) =>
          ops.conv2d(x, ops.ones([kernelSize, kernelSize, 1, 1]), { stride, dilation }),
        image,
      );
    const image = ops.ones([1, imageSize, imageSize, 1]);
    const [, rows] = network(image).shape;
    assert.equal(made.sizes(layers, imageSize).at(-1)!.count, rows);

    const { unit } = made.initial;
    assert.deepEqual(unit, [layers.length, Math.floor((rows - 1) / 2)]);
    const influence = grad((x: Tensor4D) =>
      ops.sum(ops.slice(network(x), [0, unit[1], unit[1], 0], [1, 1, 1, 1]))
    )(image);
    const byColumn = ops.sum(influence, [0, 1, 3]).arraySync() as number[];
    const seen = byColumn.flatMap((value, column) => value === 0 ? [] : [column]);
    assert.deepEqual(made.seen(made.initial)[0], seen);
    const first = seen[0]!, last = seen.at(-1)!;
    assert.equal(made.sizes(layers, imageSize).at(-1)!.field, last - first + 1);
  }
});

Deno.test("receptiveField() grows as in the text of lesson 04", () => {
  const made = component();
  assert.deepEqual(made.sizes(stacks[0]!, 28).map(({ field }) => field), [1, 3, 5, 6, 10]);
  assert.match(made.views(made.initial).said!, /sees the pixels 8 to 17: <b[^>]*>10</);
  // A stride of 2 in the first layer doubles each later step.
  const strided = after(made, { "stride 0": "2" });
  assert.deepEqual(made.sizes(strided.layers, 28).map(({ field }) => field), [1, 3, 7, 9, 17]);
  const dilated = after(component({ layers: [{ kernelSize: 3 }] }), { "dilation 0": "4" });
  assert.match(made.views(dilated).said!, />9<\/b> across, without 6 that lie in the gaps\.$/);
});

Deno.test("receptiveField() follows pointer, keys and buttons", () => {
  const made = component();
  const key = (state: typeof made.initial, value: string) =>
    made.act(state, action({ kind: "key", name: "map", value }));
  assert.deepEqual(key(made.initial, "ArrowRight").unit, [4, 5]);
  assert.deepEqual(key(made.initial, "ArrowUp").unit, [4, 4]);
  assert.deepEqual(key(key(made.initial, "ArrowDown"), "ArrowLeft").unit, [3, 3]);
  assert.equal(key(made.initial, "a"), made.initial);
  // The row of the second layer, at its right end.
  const pointed = made.act(made.initial, action({ kind: "move", name: "map", x: 399, y: 160 }));
  assert.deepEqual(pointed.unit, [2, 23]);
  const press = (state: typeof made.initial, name: string) =>
    made.act(state, action({ kind: "press", name }));
  assert.equal(press(press(made.initial, "add"), "add").layers.length, 5);
  assert.equal(press(made.initial, "remove").unit[0], 3);
  const tooMany = after(made, { imageSize: "8", "kernelSize 0": "7", "kernelSize 1": "7" });
  assert.doesNotMatch(Object.values(made.views(tooMany)).join(), /NaN|undefined/);
});

Deno.test("interactive.receptiveField() refuses layers that do not fit", () => {
  const refused = (options: object, name: string, message: RegExp) =>
    assert.throws(() => interactive.receptiveField(options), { name, message });
  refused({ layers: [] }, "RangeError", /the number of layers must be a whole number from 1 to 5/);
  refused({ layers: [{ kernelSize: 8 }] }, "RangeError", /kernelSize must be a whole number/);
  refused({ layers: [{ kernel: 3 }] }, "TypeError", /a layer: there is no option kernel/);
  refused({ imageSize: 7 }, "RangeError", /imageSize must be a whole number from 8 to 40/);
});
