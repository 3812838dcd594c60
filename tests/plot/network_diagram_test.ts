import assert from "node:assert/strict";
import { networkDiagram } from "../../lib/plot/mod.ts";

const rows = [
  {
    path: "conv1",
    layer: "conv2d(1, 6)",
    outputShape: [28, 28, 6],
    parameters: 156,
    macs: 117_600,
  },
  { path: "act1", layer: "relu", outputShape: [28, 28, 6], parameters: 0, macs: 0 },
  { path: "fc", layer: "linear(4704, 10)", outputShape: [10], parameters: 47_050, macs: 47_040 },
];

Deno.test("networkDiagram draws a box, a shape and two bars per layer", () => {
  const { data, layout, description } = networkDiagram(rows, { title: "Tiny" });
  const [boxes, shapes, parameters, macs] = data;
  assert.equal(data.length, 4);
  assert.deepEqual(boxes?.text, ["conv2d(1, 6)", "relu", "linear(4704, 10)"]);
  assert.deepEqual(shapes?.text, ["28×28×6", "28×28×6", "10"]);
  assert.deepEqual([parameters?.x, parameters?.text], [[156, 0, 47_050], ["156", "", "47k"]]);
  assert.deepEqual([macs?.x, macs?.text], [[117_600, 0, 47_040], ["118k", "", "47k"]]);
  for (const { y } of data) assert.deepEqual(y, [0, 1, 2]);
  assert.deepEqual(layout.yaxis?.ticktext, ["conv1", "act1", "fc"]);
  assert.deepEqual(layout.yaxis?.range, [2.5, -0.5], "the first layer is at the top");
  assert.deepEqual(layout.annotations?.map(({ text }) => text), [
    "<b>Layer</b>",
    "<b>Output</b>",
    "<b>Parameters</b>",
    "<b>MACs</b>",
  ]);
  assert.equal(
    description,
    "Network of 3 layers with 47,206 parameters and 164,640 MACs; most parameters are in fc " +
      "(linear(4704, 10)), most MACs in conv1 (conv2d(1, 6)).",
  );
});

Deno.test("networkDiagram tells kinds of layers by colour and grows with the network", () => {
  const many = Array.from({ length: 60 }, (_, i) => rows[i % 3]!);
  const { data, layout } = networkDiagram(many);
  const colors = data[0]?.marker?.color;
  assert.ok(Array.isArray(colors));
  assert.equal(new Set(colors).size, 3);
  assert.equal(layout.height, 60 * 22 + 36 + 12);
  assert.equal(layout.width, 700);
});

Deno.test("networkDiagram shortens long names and keeps them whole where the pointer is", () => {
  const path = "stage4.blocks.2.downsample.convolution";
  const layer = "conv2d(1024, 2048, kernelSize 1, stride 2, padding 0, groups 32, no bias)";
  const { data, layout } = networkDiagram([{ ...rows[0]!, path, layer }]);
  assert.equal(layout.yaxis?.ticktext?.[0], "stage4.blocks.2.downsampl…");
  const [text] = data[0]?.text ?? [];
  assert.ok(typeof text === "string" && text.startsWith("conv2d(1024, 2048") && text.endsWith("…"));
  assert.ok(data[0]?.hovertext?.[0]?.includes(`<b>${path}</b> ${layer}<br>`));
});

Deno.test("networkDiagram refuses values that it cannot draw", () => {
  assert.throws(() => networkDiagram([]), {
    name: "RangeError",
    message:
      "Drawing a network: the rows of summary(model, shape) must have at least one element, found none.",
  });
  assert.throws(() => networkDiagram([rows[0]!, { ...rows[1]!, macs: NaN }]), {
    name: "RangeError",
    message: "Drawing a network: macs must be finite numbers, found NaN at index 1.",
  });
});
