import assert from "node:assert/strict";
import {
  limitTable,
  type Measurement,
  memoryTable,
  quantile,
  rowsOf,
  speedChart,
  speedTable,
  speedup,
} from "../../bench/report.ts";

const ours: Measurement = {
  ...{ workload: "lenet32", title: "LeNet, 28×28×1, batch 32", task: "train", images: 32 },
  ...{ column: "ResNet Lab", precision: "fp32", mode: "" },
  ...{ seconds: [2, 4, 8], peakMemory: 1234.5 },
};
const slow: Measurement = {
  ...ours,
  ...{ mode: "slow", column: "PyTorch eager", seconds: [4, 12, 16] },
};
const fast: Measurement = {
  ...ours,
  ...{ mode: "fast", column: "PyTorch eager", seconds: [1, 4, 12], peakMemory: 99.94 },
};
const plain: Measurement = { ...ours, column: "not compiled", seconds: [4, 8, 16] };
const bf16: Measurement = { ...ours, precision: "bf16", seconds: [1, 1, 2] };

Deno.test("quantile() interpolates between neighbours", () => {
  // By hand: at position 0.25 · 3 = 0.75 between 1 and 2.
  assert.equal(quantile([4, 1, 3, 2], 0.25), 1.75);
  assert.equal(quantile([4, 1, 3, 2], 0.5), 2.5);
  assert.equal(quantile([7], 0.75), 7);
  assert.throws(() => quantile([], 0.5), RangeError);
});

Deno.test("speedup() is the median of ratios within each round, not the ratio of medians", () => {
  // 4/2, 12/4, 16/8.
  assert.deepEqual(speedup(ours, slow), { median: 2, quartiles: [2, 2.5] });
  // 1/2, 4/4, 12/8.
  assert.deepEqual(speedup(ours, fast), { median: 1, quartiles: [0.75, 1.25] });
});

Deno.test("rowsOf() takes the fastest system of each column, and for bf16 our own fp32", () => {
  const [first, second, ...rest] = rowsOf([ours, slow, fast, bf16]);
  assert.equal(first?.peers["PyTorch eager"], fast);
  assert.equal(first?.ownFp32, undefined);
  assert.equal(second?.peers["PyTorch eager"], undefined);
  assert.equal(second?.ownFp32, ours);
  assert.equal(rest.length, 0);
});

Deno.test("speedTable() and memoryTable() show speeds, ratios and memory", () => {
  const rows = rowsOf([ours, plain, slow, fast, bf16, { ...ours, task: "start", images: 1 }]);
  assert.equal(
    speedTable(rows),
    `
|                                          |    ResNet Lab |       ÷ not compiled |      ÷ PyTorch eager | ÷ torch.compile | ÷ Keras | ÷ tfjs-layers |           ÷ own fp32 |
| ---------------------------------------- | ------------: | -------------------: | -------------------: | --------------: | ------: | ------------: | -------------------: |
| LeNet, 28×28×1, batch 32, training       | 8.00 images/s | **2.00** (2.00–2.00) | **1.00** (0.75–1.25) |                 |         |               |                      |
| LeNet, 28×28×1, batch 32, training, bf16 | 32.0 images/s |                      |                      |                 |         |               | **4.00** (3.00–4.00) |
| LeNet, 28×28×1, batch 32                 |         4.0 s |                      |                      |                 |         |               |                      |
`.trim(),
  );
  assert.match(memoryTable(rows), /training +\| +1,235 \| +1,235 \| +99\.9 \|/);
});

Deno.test("speedChart() shows speeds relative to PyTorch, and 0 for a system without a time", () => {
  const chart = speedChart(rowsOf([ours, fast]))!;
  const heights = Object.fromEntries(
    chart.data.map((trace) => ["name" in trace ? trace.name : "", "y" in trace ? trace.y : []]),
  );
  assert.deepEqual(heights["ResNet Lab"], [1]);
  assert.deepEqual(heights["Keras"], [0]);
  assert.equal(speedChart(rowsOf([ours])), undefined);
});

Deno.test("limitTable() has the bounds of each step by hand, and leaves out what is not a step", () => {
  const limit = {
    ...{ flops: { fp32: 1e9, bf16: 2e9 }, bandwidth: 1e9 },
    work: { lenet32: { macs: 1e6, outputs: 1000, parameters: 5000 } },
  };
  const rows = rowsOf([ours, bf16, { ...ours, task: "infer" }, { ...ours, task: "start" }]);
  const cells = limitTable(rows, limit).split("\n").slice(2).map((line) =>
    line.split("|").slice(2, -1).map((cell) => cell.trim())
  );
  assert.deepEqual(cells, [
    // 2 · 1e6 · 32 · 3 operations; (32 · 1000 · 5 + 5000 · 6) · 4 bytes.
    ["4,000", "192", "0.760", "5 %"],
    // Half of the time, and half of the bytes of outputs.
    ["1,000", "96.0", "0.440", "10 %"],
    // 2 · 1e6 · 32 operations; (32 · 1000 · 2 + 5000) · 4 bytes.
    ["4,000", "64.0", "0.276", "2 %"],
  ]);
});
