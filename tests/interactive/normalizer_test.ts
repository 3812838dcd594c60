import assert from "node:assert/strict";
import { batchNorm, conv2d, interactive, linear, ops, Random, setSeed } from "resnet-lab";
import { normalizer, type NormalizerOptions } from "../../lib/interactive/components/normalizer.ts";
import { action, after, fromText } from "./_helpers.ts";

const list = (x: { dataSync(): ArrayLike<number> }) => Array.from(x.dataSync());

/** Two layers with random numbers: the library's, and the same as options of the figure. */
function twoLayers() {
  setSeed(3);
  const random = new Random(5);
  const convs = [
    conv2d(1, 4, { kernelSize: 3, padding: 1, stride: 2, useBias: false }),
    conv2d(4, 6, { kernelSize: 3, padding: 1, useBias: false }),
  ];
  const norms = [batchNorm(4), batchNorm(6)];
  for (const norm of norms) {
    for (const x of [norm.weight, norm.bias, norm.runningMean]) x.assign(random.normal(x.shape));
    norm.runningVariance.assign(random.uniform(norm.runningVariance.shape, { min: 0.5, max: 2 }));
  }
  const head = linear(6, 3);
  const digits = Array.from(
    { length: 9 },
    () => Array.from({ length: 64 }, () => random.integer(16).toString(16)).join(""),
  );
  const options: NormalizerOptions = {
    layers: convs.map((conv, i) => ({
      kernel: list(conv.weight),
      stride: i === 0 ? 2 : 1,
      weight: list(norms[i]!.weight),
      bias: list(norms[i]!.bias),
      runningMean: list(norms[i]!.runningMean),
      runningVariance: list(norms[i]!.runningVariance),
    })),
    head: { weight: list(head.weight), bias: [0.5, -0.25, 0] },
    pictures: digits,
    labels: [0, 1, 2, 0, 1, 2, 0, 1, 2],
    classNames: ["a", "<b>", "c"],
    pixels: { mean: 0.3, standardDeviation: 0.4 },
  };
  head.bias!.assign(ops.tensor([0.5, -0.25, 0]));
  return { convs, norms, head, options };
}
const { convs, norms, head, options } = twoLayers();
const made = () => fromText(normalizer, options);

/** The logits and deviations that the library finds for a batch of the pictures. */
function byLibrary(batch: readonly number[], mode: "none" | "training" | "inference", gain = 1) {
  const pixels = batch.flatMap((picture) =>
    [...options.pictures[picture]!].map((digit) => (parseInt(digit, 16) / 15 - 0.3) / 0.4)
  );
  let x = ops.reshape(ops.tensor(pixels), [batch.length, 8, 8, 1]);
  const deviations = convs.map((conv, i) => {
    const he = Math.sqrt(
      2 / (9 * conv.weight.shape[2]!) / ops.variance(conv.weight).dataSync()[0]!,
    );
    const stride = i === 0 ? 2 : 1;
    let y = ops.conv2d(x as never, ops.mul(conv.weight, gain), { stride, padding: 1 });
    const { weight, bias, runningMean, runningVariance } = norms[i]!;
    if (mode === "none") y = ops.mul(y, he);
    else if (mode === "training") {
      // A kernel at another size has another share of epsilon in its variance.
      y = ops.batchNormTraining(ops.mul(y, he), weight, bias, 1e-5).y;
    } else {
      const scale = ops.mul(weight, ops.rsqrt(ops.add(runningVariance, 1e-5 / he ** 2)));
      y = ops.add(ops.mul(ops.sub(y, runningMean), scale), bias);
    }
    x = ops.relu(y);
    return Math.sqrt(ops.variance(y).dataSync()[0]!);
  });
  const features = ops.reshape(ops.mean(x, [1, 2]), [batch.length, 6]);
  return { deviations, logits: list(head.forward(features as never)).slice(0, 3) };
}

function assertClose(actual: readonly number[], expected: readonly number[], subject: string) {
  assert.equal(actual.length, expected.length, subject);
  actual.forEach((value, i) =>
    assert(
      Math.abs(value - expected[i]!) < 1e-4 * Math.max(1, Math.abs(expected[i]!)),
      `${subject}: ${actual} and ${expected}`,
    )
  );
}

Deno.test("normalizer() computes the library's logits and signals", () => {
  const component = made();
  const cases = [
    ["training", {}],
    ["training", { size: "2", marked: "4" }],
    ["training", { gain: "2.5", company: "1" }],
    ["inference", { isInference: "true" }],
    ["inference", { isInference: "true", gain: "0.5" }],
    ["none", { hasNorm: "false", gain: "0.3" }],
  ] as const;
  for (const [mode, values] of cases) {
    const state = after(component, values);
    const { batch, signals, logits } = component.run(state);
    const expected = byLibrary(batch, mode, state.gain);
    const name = `${mode} ${JSON.stringify(values)}`;
    assertClose(logits, expected.logits, `logits, ${name}`);
    const deviations = signals.map((signal) => {
      const mean = signal.reduce((sum, value) => sum + value, 0) / signal.length;
      return Math.sqrt(signal.reduce((sum, x) => sum + (x - mean) ** 2, 0) / signal.length);
    });
    assertClose(deviations, expected.deviations, `deviations, ${name}`);
  }
});

Deno.test("normalizer() changes the answer with the company in training mode only", () => {
  const component = made();
  const other = (isInference: string) => {
    const state = after(component, { isInference, size: "4" });
    const drawn = component.act(state, action({ kind: "press", name: "draw" }));
    assert.notDeepEqual(component.run(drawn).batch, component.run(state).batch);
    return [component.run(state).logits, component.run(drawn).logits];
  };
  const [before, later] = other("false");
  assert(before!.some((logit, k) => Math.abs(logit - later![k]!) > 1e-3));
  assert.deepEqual(...other("true") as [number[], number[]]);
});

Deno.test("normalizer() draws a batch of one class, the marked picture first", () => {
  const component = made();
  const state = after(component, { company: "1", marked: "2", size: "99" });
  assert.equal(state.size, 9);
  assert.deepEqual([...component.run(state).batch].sort(), [1, 2, 4, 7]);
  assert.equal(component.run(state).batch[0], 2);
  const back = component.act(state, action({ kind: "press", name: "reset" }));
  assert.equal(back, component.initial);
  assert.match(component.layout, /only: &lt;b&gt;/);
  assert.match(component.describe(after(component, { hasNorm: "false" })), /without batch norm/);
});

Deno.test("interactive.normalizer() refuses numbers that do not fit each other", () => {
  const refused = (changed: object, message: RegExp) =>
    assert.throws(() => interactive.normalizer({ ...options, ...changed }), {
      name: "RangeError",
      message,
    });
  const [first, second] = options.layers;
  refused({ layers: [second] }, /the length of the kernel of layers\[0\] must be/);
  refused({ layers: [{ ...first, bias: [0] }, second] }, /the bias of layers\[0\]/);
  refused({ layers: [] }, /the number of layers must be/);
  refused({ head: { weight: [1], bias: [0, 0, 0] } }, /the weight of the head/);
  refused({ labels: [0] }, /the length of labels/);
  refused({ labels: Array(9).fill(0) }, /the number of pictures of "<b>" must be at least 1/);
  refused({ pictures: options.pictures.map((p) => p.slice(1)) }, /must be a square of hexadecimal/);
  refused({ pixels: { mean: 2, standardDeviation: 1 } }, /the mean of the pixels/);
});
