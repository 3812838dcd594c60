import assert from "node:assert/strict";
import { inception, type InceptionChannels, interactive, summary } from "resnet-lab";
import { conv2d, maxPool, parallel } from "resnet-lab";
import {
  inceptionMixer,
  type InceptionMixerOptions,
} from "../../lib/interactive/components/inception_mixer.ts";
import { action, after, fromText } from "./_helpers.ts";

const component = (options: InceptionMixerOptions = {}) => fromText(inceptionMixer, options);

const blocks: readonly (readonly [inChannels: number, imageSize: number, InceptionChannels])[] = [
  [192, 28, [64, [96, 128], [16, 32], 32]],
  [480, 14, [192, [96, 208], [16, 48], 64]],
  [3, 7, [1, [2, 1], [4, 3], 2]],
];

Deno.test("inceptionMixer() has the MACs, parameters and channels of summary(), by path", () => {
  for (const [inChannels, imageSize, channels] of blocks) {
    const made = component({ inChannels, imageSize, channels });
    const price = made.price(made.initial);
    using model = inception(inChannels, channels);
    const shape = [imageSize, imageSize, inChannels];
    const table = summary(model, shape);
    const macsOf = (rows: typeof table.rows, start: string) =>
      rows.filter(({ path }) => path.startsWith(start)).reduce((sum, { macs }) => sum + macs, 0);
    assert.deepEqual(price.macs, [1, 2, 3, 4].map((i) => macsOf(table.rows, `branch${i}`)));
    assert.equal(price.parameters, table.parameters);
    assert.equal(price.outChannels, model.outChannels);

    const [c1, [, c2], [, c3]] = channels;
    using naive = parallel(
      conv2d(inChannels, c1, { kernelSize: 1 }),
      conv2d(inChannels, c2, { kernelSize: 3, padding: 1 }),
      conv2d(inChannels, c3, { kernelSize: 5, padding: 2 }),
      maxPool({ kernelSize: 3, stride: 1, padding: 1 }),
    );
    const { rows } = summary(naive, shape);
    assert.deepEqual(price.naiveMacs, [0, 1, 2, 3].map((i) => macsOf(rows, `${i}`)));
    assert.equal(price.naiveChannels, c1 + c2 + c3 + inChannels);
  }
});

Deno.test("inceptionMixer() shows the numbers of lesson 08, and follows sliders and button", () => {
  const made = component();
  const { said, table } = made.views(made.initial);
  assert.equal(
    said,
    '<b data-parameters="">163,696</b> parameters, 256 channels out. The naive block costs ' +
      "2.4 times as much, and passes 416 channels on.",
  );
  assert.match(table!, /data-total="">128,049,152<.*data-naive="">303,464,448</);
  const wider = after(made, { r3: "192", c3: "512.4", c1: "9999", c4: "x" });
  assert.deepEqual(wider.widths, { c1: 512, r2: 96, c2: 128, r3: 192, c3: 512, c4: 32 });
  // A reduction to as many channels as there are costs more than none.
  assert.match(
    made.views(after(made, { r2: "512", r3: "512" })).said!,
    /The naive block is cheaper/,
  );
  assert.equal(after(made, { c1: "64" }), made.initial);
  assert.equal(made.act(wider, action({ kind: "press", name: "reset" })), made.initial);
  assert.doesNotMatch(Object.values(made.views(wider)).join(), /NaN|undefined/);
  const widths = { c1: "1", r2: "1", c2: "1", r3: "1", c3: "1", c4: "1" };
  assert.doesNotMatch(Object.values(made.views(after(made, widths))).join(), /NaN|undefined|"-/);
});

Deno.test("inceptionMixer() draws each box as wide as its channels", () => {
  const made = component();
  const drawn = made.views(after(made, { c1: "100", c2: "50" })).block!;
  const widths = [...drawn.matchAll(/<rect x="[\d.]+" y="158" width="([\d.]+)"/g)]
    .map(([, width]) => Number(width));
  assert.equal(widths.length, 4);
  for (const [i, channels] of [100, 50, 32, 32].entries()) {
    assert(Math.abs(widths[i]! / channels - widths[0]! / 100) < 0.01, `${i}: ${widths}`);
  }
});

Deno.test("interactive.inceptionMixer() refuses channels that do not fit", () => {
  const refused = (options: object, name: string, message: RegExp) =>
    assert.throws(() => interactive.inceptionMixer(options), { name, message });
  refused({ inChannels: 0 }, "RangeError", /inChannels must be a whole number from 1 to 1024/);
  refused({ imageSize: 225 }, "RangeError", /imageSize must be a whole number from 1 to 224/);
  refused({ channels: [1, [1, 1], [1, 1]] }, "RangeError", /the number of paths must be/);
  refused({ channels: [1, [1], [1, 1], 1] }, "RangeError", /layers of path 2 must be/);
  refused({ channels: [1, [1, 1], [1, 513], 1] }, "RangeError", /path 3 must be a whole number/);
  refused({ channels: [0, [1, 1], [1, 1], 1] }, "RangeError", /path 1 must be a whole number/);
});
