/** Every layer and loss gives the same compiled, and has the same gradients. */
import assert from "node:assert/strict";
import * as lab from "resnet-lab";
import {
  type AnyModule,
  compile,
  type Features,
  type Labels,
  ops,
  setSeed,
  type Tensor,
  tidy,
  valueAndGradients,
} from "resnet-lab";
import { assertClose } from "../_helpers.ts";

const images = (channels: number, size = 8, batch = 4) =>
  new lab.Random(3).normal([batch, size, size, channels]);
const features = (count: number) => new lab.Random(4).normal([4, count]);

type Made = [make: () => AnyModule, input: () => Tensor];
/** One for each function of the library that makes a layer or a small model. */
const layers: Record<string, Made> = {
  conv2d: [() => lab.conv2d(2, 3, { kernelSize: 3, padding: 1, stride: 2 }), () => images(2)],
  "conv2d, groups and dilation": [
    () => lab.conv2d(4, 4, { kernelSize: 3, padding: 2, dilation: 2, groups: 2 }),
    () => images(4),
  ],
  dynamicConv2d: [() => lab.dynamicConv2d(2, 3, { kernelSize: 3, stride: 2 }), () => images(2)],
  linear: [() => lab.linear(5, 3), () => features(5)],
  relu: [() => lab.relu(), () => features(5)],
  leakyRelu: [() => lab.leakyRelu(), () => features(5)],
  gelu: [() => lab.gelu(), () => features(5)],
  hardSwish: [() => lab.hardSwish(), () => features(5)],
  sigmoid: [() => lab.sigmoid(), () => features(5)],
  tanh: [() => lab.tanh(), () => features(5)],
  batchNorm: [() => lab.batchNorm(2), () => images(2)],
  "batchNorm of features": [() => lab.batchNorm(5), () => features(5)],
  localResponseNorm: [() => lab.localResponseNorm(), () => images(6)],
  maxPool: [() => lab.maxPool({ kernelSize: 3, stride: 2, padding: 1 }), () => images(2)],
  avgPool: [() => lab.avgPool({ kernelSize: 2 }), () => images(2)],
  globalAveragePool: [() => lab.globalAveragePool(), () => images(2)],
  adaptiveAveragePool: [() => lab.adaptiveAveragePool([3, 2]), () => images(2)],
  flatten: [() => lab.flatten(), () => images(2)],
  sequential: [
    () => lab.sequential(lab.linear(5, 4), lab.relu(), lab.linear(4, 2)),
    () => features(5),
  ],
  residual: [() => lab.residual(lab.linear(5, 5)), () => features(5)],
  parallel: [
    () => lab.parallel(lab.conv2d(2, 1, { kernelSize: 1 }), lab.conv2d(2, 2, { kernelSize: 1 })),
    () => images(2),
  ],
  lenet: [() => lab.lenet(), () => images(1, 28, 2)],
  "resnet with option A": [
    () => lab.cifarResnet({ depth: 8 }),
    () => images(3, 32, 2),
  ],
};
for (const [name, [make, input]] of Object.entries(layers)) {
  for (const training of [false, true]) {
    Deno.test(`${name} compiled gives the same ${training ? "in training" : "in inference"}`, () => {
      setSeed(1);
      const plain = make();
      setSeed(1);
      const model = make();
      const run = (model: AnyModule) => (x: Tensor) => {
        const parameters = model.parameters();
        const value = () => {
          const y = model.forward(x as never, { training }) as Tensor;
          return { y, loss: ops.sum(ops.square(y)) };
        };
        if (parameters.length === 0) return [value().y];
        const { value: loss, gradients } = valueAndGradients(() => value().loss, parameters);
        return [value().y, loss, ...gradients];
      };
      using f = compile(run(model));
      for (let call = 1; call <= 3; call++) {
        tidy(() => {
          const x = ops.mul(input(), 1 + call / 10);
          const expected = run(plain)(x), actual = f(x);
          assert.equal(actual.length, expected.length);
          expected.forEach((part, i) => {
            const scale = Math.max(1, ops.max(ops.abs(part)).dataSync()[0]!);
            assertClose(ops.div(actual[i]!, scale), ops.div(part, scale), 2e-4);
          });
        });
      }
      const variables = [...model.namedVariables()], others = plain.namedVariables();
      for (const [path, variable] of variables) assertClose(variable, others.get(path)!, 1e-4);
      plain.dispose();
      model.dispose();
    });
  }
}

Deno.test("compile(): dropout drops other elements at each call", () => {
  const layer = lab.dropout(0.5);
  using f = compile((x: Features) => layer.forward(x, { training: true }));
  tidy(() => {
    const seen = new Set<string>();
    for (let call = 1; call <= 4; call++) seen.add(String(f(ops.ones([8, 8])).dataSync()));
    assert.equal(seen.size, 4);
    assert.deepEqual([...compile((x: Features) => layer.forward(x))(ops.ones([1, 2])).dataSync()], [
      1,
      1,
    ]);
  });
});

const losses: Record<string, (logits: Features, labels: Labels) => Tensor> = {
  crossEntropy: (logits, labels) => lab.crossEntropy(logits, labels),
  "crossEntropy, smoothed": (logits, labels) =>
    lab.crossEntropy(logits, labels, { labelSmoothing: 0.1 }),
  meanSquaredError: (logits, labels) => lab.meanSquaredError(logits, ops.oneHot(labels, 5)),
  "hinge by gather": (logits, labels) =>
    ops.mean(ops.relu(ops.sub(1, ops.gather(ops.reshape(logits, [20]), labels)))),
};
for (const [name, loss] of Object.entries(losses)) {
  Deno.test(`${name} compiled gives the same, and its gradient`, () => {
    const model = lab.linear(3, 5);
    const run = (x: Features, labels: Labels) => {
      const { value, gradients } = valueAndGradients(
        () => ops.mean(loss(model.forward(x), labels)),
        model.parameters(),
      );
      return [value, ...gradients];
    };
    using f = compile(run);
    tidy(() => {
      for (let call = 0; call < 4; call++) {
        const x = ops.mul(features(3), call + 1);
        const labels = ops.tensor([call, 1, 4, 0], undefined, "int32");
        const expected = run(x, labels);
        f(x, labels).forEach((part, i) => assertClose(part, expected[i]!, 1e-5));
      }
    });
    model.dispose();
  });
}
