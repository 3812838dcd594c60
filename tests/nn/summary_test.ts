import assert from "node:assert/strict";
import {
  batchNorm,
  conv2d,
  type Features,
  flatten,
  globalAveragePool,
  type Images,
  lenet,
  linear,
  Module,
  ops,
  parallel,
  relu,
  residual,
  sequential,
  summary,
  type Tensor,
  tidy,
  variable,
} from "resnet-lab";
import { assertNoLeak, testOnEachBackend } from "../_helpers.ts";

const block = () =>
  residual(
    sequential(
      conv2d(2, 4, { kernelSize: 3, stride: 2, padding: 1, useBias: false }),
      batchNorm(4),
      relu(),
    ),
    conv2d(2, 4, { kernelSize: 1, stride: 2 }),
  );

testOnEachBackend(
  "summary() by hand: rows in the order of the forward pass, shapes, parameters, MACs",
  () => {
    const table = summary(sequential(block(), globalAveragePool(), linear(4, 3)), [6, 6, 2]);
    assert.deepEqual(
      table.rows.map(({ path, layer, outputShape, parameters, macs }) => [
        path,
        layer,
        outputShape.join("×"),
        parameters,
        macs,
      ]),
      [
        ["0.body.0", "conv2d 2 → 4, 3×3, stride 2, padding 1", "3×3×4", 72, 3 * 3 * 4 * 18],
        ["0.body.1", "batchNorm 4", "3×3×4", 8, 0],
        ["0.body.2", "relu", "3×3×4", 0, 0],
        ["0.shortcut", "conv2d 2 → 4, 1×1, stride 2", "3×3×4", 12, 3 * 3 * 4 * 2],
        ["1", "globalAveragePool", "4", 0, 0],
        ["2", "linear 4 → 3", "3", 15, 12],
      ],
    );
    assert.deepEqual([table.parameters, table.macs], [107, 648 + 72 + 12]);
    assert.deepEqual(table.inputShape, [6, 6, 2]);
  },
);

testOnEachBackend("summary() reports the shapes of a real forward pass", () => {
  const model = sequential(block(), parallel(conv2d(4, 2, { kernelSize: 1 }), relu()), flatten());
  const table = summary(model, [7, 5, 2], { depth: 1 });
  tidy(() => {
    let value: Tensor = ops.zeros([3, 7, 5, 2]);
    table.rows.forEach(({ outputShape }, i) => {
      value = model.layers[i]!.forward(value as never);
      assert.deepEqual(value.shape, [3, ...outputShape]);
    });
  });
});

Deno.test("summary() with depth adds up the parts below", () => {
  const model = sequential(block(), sequential(globalAveragePool(), linear(4, 3)));
  const one = summary(model, [6, 6, 2], { depth: 1 });
  assert.deepEqual(one.rows, [
    { path: "0", layer: "residual", outputShape: [3, 3, 4], parameters: 92, macs: 720 },
    { path: "1", layer: "sequential", outputShape: [3], parameters: 15, macs: 12 },
  ]);
  const two = summary(model, [6, 6, 2], { depth: 2 });
  assert.deepEqual(two.rows.map(({ path }) => path), ["0.body", "0.shortcut", "1.0", "1.1"]);
  for (const table of [one, two, summary(model, [6, 6, 2])]) {
    assert.deepEqual([table.parameters, table.macs], [107, 732]);
  }
});

class TwoHeads extends Module<Images<1>, { embedding: Features<2>; logits: Features<3> }> {
  readonly gain = variable(ops.ones([1]));
  readonly frozen = variable(ops.ones([7]), { trainable: false });
  readonly embed = sequential(conv2d(1, 2, { kernelSize: 1 }), globalAveragePool());
  readonly head = linear(2, 3);
  readonly auxiliary = linear(2, 5);
  override forward(images: Images<1>, { training = false } = {}) {
    const embedding = this.embed.forward(images);
    if (training) this.auxiliary.forward(embedding);
    return { embedding, logits: ops.mul(this.head.forward(embedding), this.gain) };
  }
}

Deno.test("summary() of a module with its own variables, several outputs, and a head for training only", () => {
  const table = summary(new TwoHeads(), [4, 4, 1]);
  assert.deepEqual(table.rows.map(({ path, parameters }) => [path, parameters]), [
    ["embed.0", 4],
    ["embed.1", 0],
    ["head", 9],
    ["", 1],
  ]);
  assert.equal(
    table.parameters,
    4 + 9 + 15 + 1,
    "all that can be trained, also what inference does not reach",
  );
});

Deno.test("summary() leaves the model and the memory unchanged", async () => {
  using model = sequential(conv2d(1, 2, { kernelSize: 3 }), batchNorm(2), flatten(), linear(8, 2));
  const before = [...model.namedVariables().values()].map((variable) => [...variable.dataSync()]);
  await assertNoLeak(() => {
    summary(model, [4, 4, 1]);
    assert.throws(() => summary(model, [5, 5, 1]));
  });
  const after = [...model.namedVariables().values()].map((variable) => [...variable.dataSync()]);
  assert.deepEqual(after, before);
});

Deno.test("summary() names a layer that does not fit", () => {
  assert.throws(() => summary(lenet(), [32, 32, 1]), {
    name: "RangeError",
    message:
      "Running lenet: the images must be 28×28, found 32×32. Pass the transform resize(28, 28).",
  });
  assert.throws(() => summary(lenet(), [28, 28, 3]), {
    name: "RangeError",
    message:
      "At features.0 (conv2d 1 → 6, 5×5, padding 2): the input must be [batch, height, width, channels 1], " +
      "found [1, 28, 28, 3].",
  });
  assert.throws(() => summary(lenet(), [4, 4, 1]), {
    name: "RangeError",
    message:
      /^At features\.3 \(conv2d 6 → 16, 5×5\): .*the images must be at least 5×5 for a window of 5×5 with padding 0, found 2×2/,
  });
});

Deno.test("summary() refuses a bad shape, depth or model", () => {
  const model = linear(2, 2);
  for (
    const [shape, found] of [[[], "[]"], [[0], "[0]"], [[2.5], "[2.5]"], [28, "28"], [
      ["2"],
      '["2"]',
    ]]
  ) {
    assert.throws(() => summary(model, shape as number[]), {
      name: "RangeError",
      message:
        "Summarising a model: the input shape must be whole numbers of at least 1 without the batch axis, such as " +
        `[28, 28, 1], found ${found}.`,
    });
  }
  for (const depth of [0, 1.5, -1, NaN]) {
    assert.throws(() => summary(model, [2], { depth }), {
      name: "RangeError",
      message: `Summarising a model: depth must be a whole number of at least 1, found ${depth}.`,
    });
  }
  assert.throws(() => summary(lenet as never, [28, 28, 1]), {
    name: "TypeError",
    message:
      "Summarising a model: the model must be a module, found the function lenet (call it: lenet()).",
  });
});

Deno.test("Summary.toString() returns the table", () => {
  const table = summary(sequential(conv2d(1, 2, { kernelSize: 3 }), relu()), [40, 40, 1]);
  assert.equal(
    table.toString(),
    [
      "path  layer               output  parameters    MACs",
      "────────────────────────────────────────────────────",
      "      input              40×40×1",
      "0     conv2d 1 → 2, 3×3  38×38×2          20  25,992",
      "1     relu               38×38×2",
      "────────────────────────────────────────────────────",
      "      total                               20  25,992",
    ].join("\n"),
  );
  assert.equal(Deno.inspect(table), table.toString());
});

Deno.test("summary() counts frozen parameters, and apart from them those that are trained", () => {
  const model = sequential(conv2d(1, 2, { kernelSize: 3 }), globalAveragePool(), linear(2, 3));
  assert.equal(summary(model, [6, 6, 1]).trainedParameters, 20 + 9);
  model.freeze("0");
  const table = summary(model, [6, 6, 1]);
  assert.deepEqual(table.rows.map(({ parameters }) => parameters), [20, 0, 9]);
  assert.deepEqual([table.parameters, table.trainedParameters], [29, 9]);
  assert.deepEqual(table.toString().split("\n").slice(-2), [
    "      total                              29   294",
    "      trained                             9",
  ]);
});

Deno.test("summary() says how often a layer runs", () => {
  const shared = linear(4, 4);
  const { rows } = summary(sequential(shared, relu(), shared), [4]);
  assert.deepEqual(
    rows.map(({ path, layer, parameters, macs }) => [path, layer, parameters, macs]),
    [["0", "linear 4 → 4 ×2", 20, 32], ["1", "relu", 0, 0]],
  );
});

Deno.test("summary() shows HTML in a notebook, and the same text as before", () => {
  const table = summary(sequential(relu(), linear(1000, 2)), [1000]);
  const bundle = Reflect.get(table, Symbol.for("Jupyter.display")).call(table);
  assert.equal(
    bundle["text/plain"],
    [
      "path  layer            output  parameters   MACs",
      "────────────────────────────────────────────────",
      "      input              1000",
      "0     relu               1000",
      "1     linear 1000 → 2       2       2,002  2,000",
      "────────────────────────────────────────────────",
      "      total                         2,002  2,000",
    ].join("\n"),
  );
  assert.equal(String(table), bundle["text/plain"]);
  const html: string = bundle["text/html"];
  assert.match(html, /text-align: right[^>]*>2,002<[^]*border-top[^>]*>total</);
});
