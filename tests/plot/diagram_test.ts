import assert from "node:assert/strict";
import { diagram } from "../../lib/plot/mod.ts";
import { conv2d, flatten, linear, maxPool, relu, sequential, summary } from "../../lib/nn/mod.ts";
import { resnet } from "../../lib/models/mod.ts";
import type { Figure } from "../../lib/plot/figure.ts";

const texts = ({ layout }: Figure) => (layout.annotations ?? []).map(({ text }) => text);
/** Outlines of windows and outputs: [x0, y0, x1, y1] in whole pixels. */
const outlines = ({ layout }: Figure) =>
  (layout.shapes ?? []).filter(({ line }) => line?.width === 3).map(({ x0, y0, x1, y1, line }) => ({
    at: [x0, y0, x1, y1].map((end) => Math.round(Number(end))),
    color: line?.color,
  }));

Deno.test("diagram.slidingWindow() writes the numbers of image, kernel and output", () => {
  const figure = diagram.slidingWindow([[0, 1, 2], [3, 4, 5], [6, 7, 8]], [[0, 1], [2, 3]], {
    at: [[0, 0], [1, 1]],
    title: "By hand",
  });
  const numbers = figure.data.flatMap(({ text }) => [text ?? []].flat(2)).map(Number);
  // 0·0 + 1·1 + 3·2 + 4·3 = 19 and so on, worked out by hand.
  assert.deepEqual(numbers, [0, 1, 2, 3, 4, 5, 6, 7, 8, 0, 1, 2, 3, 19, 25, 37, 43]);
  assert(texts(figure).includes("output 2×2"));
  assert.equal(figure.layout.width, 480);
});

Deno.test("diagram.slidingWindow() outlines a window and its output in one colour", () => {
  const figure = diagram.slidingWindow(7, 3, { stride: 2, at: [[0, 1], [2, 0]] });
  const [window, output, second] = outlines(figure);
  // Cells are 34 pixels: the window of output (0, 1) begins in column 2.
  assert.deepEqual(window?.at, [2 * 34 + 1, 1, 5 * 34 - 1, 3 * 34 - 1]);
  assert.equal(output?.color, window?.color);
  assert.notEqual(second?.color, window?.color);
});

Deno.test("diagram.slidingWindow() pads, dilates and pools", () => {
  const same = diagram.slidingWindow([[1, 2], [3, 4]], [[1]], { padding: [0, 1], stride: 2 });
  assert.match(
    same.description,
    /padding 0 before, 1 after, stride 2 and gives 2×2: 1, 0; 0, 0\.$/,
  );
  const spread = diagram.slidingWindow(5, 3, { dilation: 2 });
  assert.match(spread.description, /5×5 cells, dilation 2 and gives 1×1\.$/);
  assert.equal(outlines(spread).length, 9 + 1, "one outline for each weight, one for the output");
  const image = [[1, 3, 2, 0], [5, 2, 1, 1], [0, 1, 9, 4], [2, 2, 3, 8]];
  const max = diagram.slidingWindow(image, 2, { stride: 2, reduce: "max" });
  assert.match(max.description, /gives 2×2: 5, 2; 2, 9\.$/);
  const mean = diagram.slidingWindow(image, 2, { stride: 2, reduce: "mean" });
  assert.match(mean.description, /gives 2×2: 2\.75, 1; 1\.25, 6\.$/);
});

Deno.test("diagram.slidingWindow() refuses what does not fit", () => {
  assert.throws(() => diagram.slidingWindow(3, 4), {
    name: "RangeError",
    message:
      "Drawing a sliding window: the kernel must fit into the image with its padding, found " +
      "4×4 with dilation 1 over 3×3.",
  });
  assert.throws(() => diagram.slidingWindow(3, 2, { at: [[2, 0]] }), {
    name: "RangeError",
    message:
      "Drawing a sliding window: each output of at must be a row and a column of 2×2, found " +
      "[2, 0].",
  });
  assert.throws(() => diagram.slidingWindow(40, 3), RangeError);
  // @ts-expect-error: the option is called stride
  assert.throws(() => diagram.slidingWindow(3, 2, { strides: 2 }), TypeError);
});

Deno.test("diagram.receptiveField() draws the units that one unit reads", () => {
  const figure = diagram.receptiveField([
    { kernelSize: 3 },
    { kernelSize: 3 },
    { kernelSize: 2, stride: 2, name: "pool" },
    { kernelSize: 3 },
  ]);
  // The first trace has the lines; then one trace for each layer, the image first.
  const counts = figure.data.slice(1).map(({ x }) => x?.length);
  assert.deepEqual(counts, [10, 8, 6, 3, 1]);
  const [first, ...others] = figure.data[1]!.x!.map(Number), top = Number(figure.data[5]!.x![0]);
  assert(Math.abs((first! + others.at(-1)!) / 2 - top) < 1e-6, "the unit is over its middle");
  assert(texts(figure).includes("pool"));
  const spread = diagram.receptiveField([{ kernelSize: 3, dilation: 2 }]);
  assert.match(spread.description, /^One unit after 3×3, dilation 2 sees 5 pixels across/);
  assert(texts(spread).includes("3 pixels"), "it reads three of the five");
});

Deno.test("diagram.receptiveField() refuses layers that it cannot draw", () => {
  assert.throws(() => diagram.receptiveField([]), /layers must have at least one element/);
  assert.throws(() => diagram.receptiveField([{ kernelSize: 0 }]), {
    name: "RangeError",
    message: /^Drawing a receptive field: kernelSize of layers\[0\] must be /,
  });
  const halving = Array.from({ length: 8 }, () => ({ kernelSize: 3, stride: 2 }));
  assert.throws(() => diagram.receptiveField(halving), /at most 128 pixels/);
});

const small = summary(
  sequential(
    conv2d(1, 4, { kernelSize: 3, padding: 1 }),
    relu(),
    conv2d(4, 4, { kernelSize: 3, padding: 1 }),
    maxPool({ kernelSize: 2 }),
    flatten(),
    linear(144, 10),
  ),
  [12, 12, 1],
);

Deno.test("diagram.blocks() joins layers and shortcut in an addition, block by block", () => {
  const layers = ["3×3 conv", "relu"];
  const figure = diagram.blocks([
    { name: "plain", layers },
    { name: "residual", layers, shortcut: [], after: ["relu"] },
    { name: "projection", layers: ["3×3 conv"], shortcut: ["1×1 conv", "batch norm"] },
  ], { title: "Three blocks" });
  assert.equal(
    figure.description,
    "Blocks: plain: 3×3 conv, relu; residual: 3×3 conv, relu, plus the input, relu; " +
      "projection: 3×3 conv, plus the input → 1×1 conv → batch norm.",
  );
  const boxes = texts(figure).map((text) => String(text).replace(/<.*/, ""));
  assert.deepEqual(boxes.filter((text) => text !== "<b>Three blocks</b>"), [
    ...["x", "3×3 conv", "relu", "y"],
    ...["x", "3×3 conv", "relu", "+", "relu", "y"],
    ...["x", "3×3 conv", "+", "1×1 conv", "batch norm", "y"],
  ]);
  // 3 + 6 + 6 arrows, and a gap after each.
  assert.equal([figure.data[0]?.x ?? []].flat().filter((x) => x === null).length, 15);
  // The blocks stand side by side in their order.
  const inputs = (figure.layout.annotations ?? []).filter(({ text }) => text?.startsWith("x"));
  const places = inputs.map(({ x }) => Number(x));
  assert.deepEqual(places, [...places].sort((a, b) => a - b));
});

Deno.test("diagram.blocks() refuses what it cannot draw", () => {
  assert.throws(() => diagram.blocks([]), {
    name: "RangeError",
    message: "Drawing blocks: blocks must have at least one element, found none.",
  });
  assert.throws(() => diagram.blocks([{ name: "plain", layers: [] }]), {
    name: "RangeError",
    message: "Drawing blocks: the layers of blocks[0] must have at least one element, found none.",
  });
  const layers = ["relu"];
  // @ts-expect-error: a shortcut is a list of layers
  assert.throws(() => diagram.blocks([{ name: "b", layers, shortcut: "1×1" }]), {
    name: "TypeError",
    message: 'Drawing blocks: the shortcut of blocks[0] must be an array of strings, found "1×1".',
  });
  // @ts-expect-error: no such option
  assert.throws(() => diagram.blocks([{ name: "b", layers, skip: [] }]), TypeError);
  // @ts-expect-error: the size follows from the blocks
  assert.throws(() => diagram.blocks([{ name: "b", layers }], { width: 300 }), TypeError);
});

Deno.test("diagram.stages() joins layers of one shape, and draws lengths on one scale", () => {
  const figure = diagram.stages(small, { title: "Tiny", largest: 120 });
  assert.equal(
    figure.description,
    "Stages of a network: 12×12×1; 2 × conv 3×3 → 12×12×4; max pool 2×2 → 6×6×4; linear → 10.",
  );
  // The front of each box is its first path: M left,bottom L right,bottom L right,top L left,top.
  const fronts = (figure.layout.shapes ?? []).filter((_, index) => index % 3 === 0)
    .map(({ path }) => path!.match(/-?[\d.]+/g)!.map(Number));
  const heights = fronts.map(([, bottom, , , , top]) => bottom! - top!);
  const widths = fronts.map(([left, , right]) => right! - left!);
  assert.deepEqual(heights.map(Math.round), [120, 120, 60, 10]);
  assert(Math.abs(widths[3]! / widths[1]! - 10 / 4) < 0.02, "10 features against 4 channels");
});

Deno.test("diagram.stages() continues below where the stages do not fit", () => {
  const tall = diagram.stages(small, { width: 200 }), flat = diagram.stages(small, { width: 900 });
  assert(tall.layout.height! > 1.5 * flat.layout.height!);
});

Deno.test("diagram.stages() says which stages are frozen, and draws them grey", () => {
  const path = small.rows[0]!.path;
  const figure = diagram.stages(small, { frozen: [path] });
  assert.equal(
    figure.description,
    "Stages of a network: 12×12×1; conv 3×3 → 12×12×4 (frozen); conv 3×3 → 12×12×4 (trained); " +
      "max pool 2×2 → 6×6×4; linear → 10 (trained).",
  );
  const said = (figure.layout.annotations ?? []).map(({ text }) => text);
  assert.equal(said.filter((text) => text === "frozen").length, 1);
  assert.equal(said.filter((text) => text === "trained").length, 2);
  const fronts = (figure.layout.shapes ?? []).filter((_, index) => index % 3 === 0);
  assert.equal(fronts[1]!.fillcolor, fronts[0]!.fillcolor, "as grey as the input");
  assert.notEqual(fronts[2]!.fillcolor, fronts[0]!.fillcolor);
});

Deno.test("diagram.stages() refuses a frozen path that leads nowhere", () => {
  assert.throws(() => diagram.stages(small, { frozen: ["layer9"] }), {
    name: "RangeError",
    message: "Drawing the stages of a network: a path of frozen must lead to a layer of the " +
      'summary, found "layer9".',
  });
  assert.throws(() => diagram.stages(small, { frozen: "conv1" as never }), { name: "TypeError" });
});

Deno.test("diagram.stages() refuses rows in the place of a summary", () => {
  // @ts-expect-error: it takes the summary itself
  assert.throws(() => diagram.stages(small.rows), {
    name: "TypeError",
    message:
      "Drawing the stages of a network: the summary must be what summary(model, inputShape) " +
      "returns, found no rows.",
  });
});

Deno.test("diagram.stages() draws the shortcut of each residual block as an arc", () => {
  const options = { stem: "cifar", channels: 4, block: "basic", stages: [1, 2] } as const;
  const drawn = (shortcut: "B" | "none", shortcuts: boolean) =>
    diagram.stages(summary(resnet({ ...options, shortcut }), [8, 8, 3], { depth: 2 }), {
      shortcuts,
      width: 900,
    });
  const figure = drawn("B", true);
  assert.equal(
    figure.description,
    "Stages of a network: 8×8×3; conv 3×3 → 8×8×4; basic block → 8×8×4; basic block → 4×4×8; " +
      "basic block → 4×4×8; mean pool → 1×1×8; linear → 1000; 3 shortcuts, drawn as arcs.",
  );
  // Three faces for each of seven boxes, then an arc and its head for each shortcut.
  const arcs = (figure.layout.shapes ?? []).slice(3 * 7);
  assert.deepEqual(arcs.map(({ line }) => line?.dash), [
    "solid",
    undefined,
    "dot",
    undefined,
    "solid",
    undefined,
  ]);
  // Each arc begins above the box before, where the arc before it ends.
  const ends = arcs.filter(({ line }) => line?.dash).map(({ path }) => path!.match(/-?[\d.]+/g)!);
  assert.deepEqual(
    ends.map((numbers) => numbers[0]).slice(1),
    ends.map((n) => n.at(-2)).slice(0, 2),
  );
  assert.doesNotMatch(drawn("none", true).description, /shortcut/);
  assert.match(drawn("B", false).description, /; 2 × basic block → 4×4×8;/);
});

Deno.test("diagram.stages() leads an arc from the end of a line to the next", () => {
  const model = resnet({ stem: "cifar", channels: 4, block: "basic", stages: [4] });
  const figure = diagram.stages(summary(model, [8, 8, 3], { depth: 2 }), {
    shortcuts: true,
    width: 300,
  });
  const paths = (figure.layout.shapes ?? []).flatMap(({ path, line }) => line?.dash ? [path!] : []);
  // Four arcs, of which at least one is in two pieces: to the right border, and from the left.
  assert(paths.length > 4, `${paths.length} pieces`);
  assert(paths.some((path) => /^M0\.0,/.test(path)), "one begins at the left border");
});

Deno.test("diagram.functionClasses() draws discs, nested on the right only", () => {
  const figure = diagram.functionClasses({ title: "Classes" });
  const discs = (figure.layout.shapes ?? []).flatMap((shape) =>
    shape.type === "circle" && shape.line?.width === 2
      ? [{
        x: (Number(shape.x0) + Number(shape.x1)) / 2,
        y: (Number(shape.y0) + Number(shape.y1)) / 2,
        radius: (Number(shape.x1) - Number(shape.x0)) / 2,
      }]
      : []
  );
  // The largest is drawn first.
  const [left, right] = [discs.slice(0, 3), discs.slice(3)];
  const isNested = (all: typeof discs) =>
    all.every(({ x, y, radius }, i) => {
      const outer = all[i - 1];
      return !outer || Math.hypot(x - outer.x, y - outer.y) + radius <= outer.radius;
    });
  assert.deepEqual([isNested(left), isNested(right)], [false, true]);
  const [apart, together] = figure.description.matchAll(/are ([\d., ]+\d)/g).map(([, list]) =>
    list!.split(", ").map(Number)
  );
  assert(apart![2]! > apart![1]!, "not nested: the largest class is further away");
  assert.deepEqual(together, together!.toSorted((a, b) => b - a), "nested: each is nearer");
});

Deno.test("diagram.functionClasses() refuses options that do not exist", () => {
  // @ts-expect-error: there is no option of this name
  assert.throws(() => diagram.functionClasses({ nested: true }), {
    name: "TypeError",
    message: /^Drawing function classes: there is no option nested\./,
  });
});

Deno.test("diagrams become pictures without a browser", async () => {
  const figures = [diagram.slidingWindow(5, 3), diagram.stages(small), diagram.functionClasses()];
  for (const figure of figures) assert((await figure.toPng()).length > 1000);
});

Deno.test("diagram.normalization() colours the numbers that share a mean", () => {
  const coloured = (kind: "batch" | "layer" | "instance" | "group") => {
    const { layout } = diagram.normalization([kind]);
    const fills = (layout.shapes ?? []).map(({ fillcolor }) => String(fillcolor));
    // Faces of the cube: 4×5 cells in front, 4×4 on top, 4×5 at the side; grey ones have r = g = b.
    assert.equal(fills.length, 20 + 16 + 20);
    return fills.filter((fill) => new Set(fill.match(/\d+/g)).size > 1).length;
  };
  assert.equal(coloured("batch"), 5 + 4 + 20, "a slab of one channel");
  assert.equal(coloured("layer"), 20 + 4 + 5, "a slab of one picture");
  assert.equal(coloured("instance"), 5 + 1 + 5, "a bar of one picture and channel");
  assert.equal(coloured("group"), 10 + 2 + 5, "a bar of one picture and two channels");
});

Deno.test("diagram.normalization() continues below where the width ends", () => {
  const all = ["batch", "layer", "instance", "group"] as const;
  const heights = [640, 480, 200].map((width) =>
    Number(diagram.normalization(all, { width }).layout.height)
  );
  assert(heights[0]! < heights[1]! && heights[1]! < heights[2]!, String(heights));
  assert.match(
    diagram.normalization(["instance", "batch"]).description,
    /^Numbers that share a mean: instance norm averages .*; batch norm averages .*pixels\.$/,
  );
});

Deno.test("diagram.normalization() refuses what does not fit", () => {
  assert.throws(() => diagram.normalization([]), RangeError);
  assert.throws(() => diagram.normalization(["spectral" as "batch"]), RangeError);
  // @ts-expect-error: the kinds are an array
  assert.throws(() => diagram.normalization("batch"), TypeError);
  // @ts-expect-error: the option is called width
  assert.throws(() => diagram.normalization(["batch"], { wide: 300 }), TypeError);
});
