import assert from "node:assert/strict";
import {
  batchNorm,
  conv2d,
  flatten,
  globalAveragePool,
  ImageDataset,
  interactive,
  linear,
  maxPool,
  ops,
  Random,
  relu,
  sequential,
  setSeed,
  tanh,
  type Tensor2D,
  type Tensor4D,
} from "resnet-lab";
import { pushedPicture } from "../../lib/interactive/components/pushed_picture.ts";
import { storedLayers } from "../../lib/interactive/stored_layers.ts";
import { action, after, fromText } from "./_helpers.ts";

const size = 9;
const bytes = Uint8Array.from({ length: 2 * size * size }, (_, i) => (37 * i) % 256);
const pictures = new ImageDataset<1, 3>({
  name: "test pictures",
  ...{ pixels: bytes, labels: [1, 2], height: size, width: size, channels: 1, classes: 3 },
  classNames: ["a", "<b>", "c"],
});
const normalize = { mean: 0.3, standardDeviation: 0.4 };

/** A conv with weights that bytes hold exactly. */
function exactConv(from: number, to: number, kernelSize: number) {
  const layer = conv2d(from, to, { kernelSize, padding: (kernelSize - 1) / 2 });
  const random = new Random(kernelSize);
  const values = Float32Array.from(
    { length: layer.weight.size },
    (_, i) => (i < to ? 127 : random.integer(255) - 127) / 512,
  );
  layer.weight.assign(ops.tensor(values, layer.weight.shape));
  layer.bias!.assign(ops.tensor(Float32Array.from({ length: to }, (_, o) => o / 8), [to]));
  return layer;
}
const halve = () => maxPool({ kernelSize: 3, stride: 2, padding: 1 });
const exact = sequential(
  ...[exactConv(1, 4, 5), relu(), halve(), exactConv(4, 3, 1), globalAveragePool()] as const,
) as unknown as ReturnType<typeof withNorm>;
function withNorm() {
  setSeed(1);
  const model = sequential(
    ...[conv2d(1, 4, { kernelSize: 3, padding: 1, useBias: false }), batchNorm(4), relu()] as const,
    ...[flatten(), linear(4 * size * size, 3)] as const,
  );
  for (let i = 0; i < 20; i++) {
    model.forward(new Random(i).normal([8, size, size, 1]), { training: true });
  }
  return model;
}

function made(model: Parameters<typeof storedLayers>[1]) {
  return fromText(pushedPicture, {
    networks: [{ name: "net", layers: storedLayers("Testing", model, size) }],
    pictures: [0, 1].map((i) => ({
      label: pictures.labels[i]!,
      bytes: btoa(String.fromCharCode(...bytes.subarray(i * size * size, (i + 1) * size * size))),
    })),
    classNames: pictures.classNames,
    size,
    ...normalize,
  });
}

/** The normalised image, moved by the library's ops. */
function moved(picture: number, right: number, down: number): Tensor4D {
  const image = pictures.images([picture]);
  const cut = ops.slice(
    image,
    [0, Math.max(0, -down), Math.max(0, -right), 0],
    [-1, size - Math.abs(down), size - Math.abs(right), -1],
  );
  const sides = (offset: number) => [Math.max(0, offset), Math.max(0, -offset)] as const;
  const pixels = ops.pad(cut, [[0, 0], sides(down), sides(right), [0, 0]]);
  return ops.div(ops.sub(pixels, normalize.mean), normalize.standardDeviation) as Tensor4D;
}

Deno.test("pushedPicture() computes the library's probabilities and class maps", () => {
  const figure = made(exact);
  for (const [right, down] of [[0, 0], [3, -2], [-4, 1]] as const) {
    const state = after(figure, { picture: "1", right: String(right), down: String(down) });
    const [answer] = figure.answers(state);
    const image = moved(1, right, down) as never;
    const expected = ops.softmax(exact.forward(image) as Tensor2D).dataSync();
    answer!.probabilities.forEach((p, c) => assert(Math.abs(p - expected[c]!) < 1e-5));
    const maps = sequential(...(exact.layers.slice(0, 4) as never[])).forward(image) as Tensor4D;
    assert.equal(answer!.maps!.side, 5);
    maps.dataSync().forEach((value, i) =>
      assert(Math.abs(value - answer!.maps!.values[i]!) < 1e-4, `position ${i}`)
    );
  }
});

Deno.test("pushedPicture() folds batch norm, and loses little by rounding to bytes", () => {
  const model = withNorm(), figure = made(model);
  const [answer] = figure.answers(after(figure, { right: "2" }));
  const expected = ops.softmax(model.forward(moved(0, 2, 0))).dataSync();
  answer!.probabilities.forEach((p, c) => assert(Math.abs(p - expected[c]!) < 0.03));
  assert.equal(answer!.maps, undefined);
});

Deno.test("pushedPicture() moves by keys, by dragging and back", () => {
  const figure = made(exact);
  const key = figure.act(
    figure.initial,
    action({ kind: "key", name: "picture", value: "ArrowDown" }),
  );
  assert.deepEqual([key.right, key.down], [0, 1]);
  const down = figure.act(key, action({ kind: "down", name: "picture", x: 10, y: 10 }));
  const dragged = figure.act(
    down,
    action({ kind: "move", name: "picture", x: 10 + 25, y: 10 - 16, pressed: true }),
  );
  assert.deepEqual([dragged.right, dragged.down], [3, -1]);
  assert.equal(after(figure, { right: "99" }).right, 10);
  const back = figure.act(dragged, action({ kind: "press", name: "back" }));
  assert.deepEqual([back.right, back.down], [0, 0]);
  assert.match(figure.describe(dragged), /labelled <b>, moved 3 to the right and −1 down: net/);
  assert.match(figure.layout, /&lt;b&gt;/);
});

Deno.test("interactive.pushedPicture() is small, and refuses what it cannot compute", () => {
  const networks = { exact, folded: withNorm() };
  const figure = interactive.pushedPicture({ networks, pictures, normalize });
  assert(figure[Symbol.for("Jupyter.display") as never] !== undefined);
  const refused = (options: object, name: string, message: RegExp) =>
    assert.throws(
      () => interactive.pushedPicture({ networks, pictures, normalize, ...options } as never),
      { name, message },
    );
  refused(
    { networks: { strided: conv2d(1, 3, { kernelSize: 3, stride: 2 }) } },
    "TypeError",
    /each layer must be a convolution of stride 1 that keeps the size, .* found conv2d 1 → 3/,
  );
  refused({ networks: { other: sequential(tanh()) } }, "TypeError", /found tanh at 0/);
  refused({ networks: {} }, "RangeError", /the number of networks must be .* from 1 to 3, found 0/);
  refused({ picture: 1 }, "TypeError", /there is no option picture/);
});

Deno.test("pushedPicture() has a place for class maps only if a network ends in maps", () => {
  const withMaps = made(exact), without = made(withNorm());
  assert.match(withMaps.layout, /Map of.*Class map of net/s);
  assert.deepEqual(withMaps.pictures, ["picture", "map", "bars"]);
  assert.doesNotMatch(without.layout, /map/i);
  assert.deepEqual(without.pictures, ["picture", "bars"]);
});
