import assert from "node:assert/strict";
import { dropout, grad, ops, setSeed, summary, tidy } from "resnet-lab";
import { assertClose, testOnEachBackend } from "../_helpers.ts";
import { assertLeavesOnlyOutput, someImages } from "./_helpers.ts";

testOnEachBackend("dropout copies its input in inference", () => {
  const x = someImages(2, 3, 3, 4);
  const y = dropout(0.9).forward(x);
  assertClose(y, x, 0);
  y.dispose();
  assert.equal(x.isDisposed, false);
});

testOnEachBackend("dropout in training drops its share and scales the rest", () => {
  setSeed(3);
  const count = 20_000, rate = 0.3;
  const y = dropout(rate).forward(ops.full([count], 7), { training: true }).dataSync();
  const kept = 7 / (1 - rate);
  assert(y.every((value) => value === 0 || Math.abs(value - kept) < 1e-5));
  // The share of a coin toss is off by √(p (1 − p) / n) = 0.3 %; four times that here.
  const dropped = y.filter((value) => value === 0).length / count;
  assert(Math.abs(dropped - rate) < 4 * Math.sqrt(rate * (1 - rate) / count), `${dropped}`);
});

testOnEachBackend(
  "dropout draws a new mask each time, and the same masks after the same seed",
  () => {
    const layer = dropout(0.5);
    const draw = () => [...layer.forward(ops.ones([64]), { training: true }).dataSync()];
    setSeed(1);
    const first = draw(), second = draw();
    setSeed(1);
    assert.deepEqual(draw(), first);
    assert.notDeepEqual(second, first);
  },
);

testOnEachBackend("dropout: the gradient passes where the value did, with the same scale", () => {
  const layer = dropout(0.5);
  let y: number[] = [];
  const dx = grad((x: ReturnType<typeof someImages>) => {
    const output = layer.forward(x, { training: true });
    y = [...output.dataSync()];
    return ops.sum(output);
  })(ops.ones([1, 4, 4, 2]));
  assertClose(dx, y, 0);
  assert(y.includes(0) && y.includes(2));
});

Deno.test("dropout with rate 0 keeps all elements in training too", () => {
  const x = someImages(1, 2, 2, 2);
  assertClose(dropout(0).forward(x, { training: true }), x, 0);
});

testOnEachBackend("dropout leaves its output and no other tensor, and keeps any shape", () => {
  for (const shape of [[5], [2, 3], [1, 2, 2, 3]]) {
    const x = ops.ones(shape);
    for (const training of [true, false]) {
      assertLeavesOnlyOutput(() => dropout(0.4).forward(x, { training }));
      tidy(() => {
        assert.deepEqual(dropout(0.4).forward(x, { training }).shape, shape);
      });
    }
  }
  assert.deepEqual(summary(dropout(0.4), [4, 4, 2]).rows[0], {
    path: "",
    layer: "dropout 0.4",
    outputShape: [4, 4, 2],
    parameters: 0,
    macs: 0,
  });
});

Deno.test("dropout() refuses a rate outside [0, 1)", () => {
  for (
    const [rate, kind, found] of [
      [1, "RangeError", "1"],
      [-0.1, "RangeError", "-0.1"],
      [NaN, "RangeError", "NaN"],
      ["0.5", "TypeError", '"0.5"'],
      [undefined, "TypeError", "undefined"],
    ] as const
  ) {
    assert.throws(() => dropout(rate as number), {
      name: kind,
      message:
        `Building dropout: rate must be a number of at least 0 and less than 1, found ${found}.`,
    });
  }
  assert.throws(() => dropout(0.5).forward(ops.zeros([2], "int32"), { training: true }), {
    name: "TypeError",
    message: "dropout 0.5: the input must be float32, found int32.",
  });
});
