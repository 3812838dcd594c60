import assert from "node:assert/strict";
import {
  adagrad,
  adam,
  adamW,
  dispose,
  lenet,
  memory,
  ops,
  type Optimizer,
  type ParametersOrGroups,
  rmsProp,
  sgd,
  type Tensor,
  variable,
} from "resnet-lab";
import { assertClose, assertNoLeak, testOnEachBackend } from "../helpers.ts";
import fixtures from "../fixtures/train.json" with { type: "json" };

type Make = (parameters: ParametersOrGroups) => Optimizer;
const other = { learningRate: 0.1, weightDecay: 0.3, epsilon: 1e-3 };
const makers: Record<keyof typeof fixtures.optimizers, Make> = {
  "sgd": (p) => sgd(p, { learningRate: 0.1 }),
  "sgd, weight decay": (p) => sgd(p, { learningRate: 0.1, weightDecay: 0.3 }),
  "sgd, momentum": (p) => sgd(p, { learningRate: 0.1, momentum: 0.9 }),
  "sgd, Nesterov and weight decay": (p) =>
    sgd(p, { learningRate: 0.1, momentum: 0.8, nesterov: true, weightDecay: 0.3 }),
  "adagrad": (p) => adagrad(p, { learningRate: 0.1 }),
  "adagrad, weight decay": (p) => adagrad(p, other),
  "rmsProp": (p) => rmsProp(p, { learningRate: 0.1 }),
  "rmsProp, weight decay": (p) => rmsProp(p, { ...other, decay: 0.8 }),
  "adam": (p) => adam(p, { learningRate: 0.1 }),
  "adam, weight decay": (p) => adam(p, { ...other, betas: [0.7, 0.95] }),
  "adamW": (p) => adamW(p, { learningRate: 0.1 }),
  "adamW, weight decay": (p) => adamW(p, { ...other, betas: [0.7, 0.95] }),
};

const shaped = (values: number[], i: number): Tensor => ops.tensor(values, fixtures.shapes[i]!);

for (const name of Object.keys(makers) as (keyof typeof makers)[]) {
  testOnEachBackend(
    `${name}: five steps are PyTorch's, two of them at half the rate`,
    () =>
      assertNoLeak(() => {
        const parameters = fixtures.start.map((values, i) => variable(shaped(values, i)));
        using optimizer = makers[name](parameters);
        const before = memory().tensors;
        fixtures.gradients.forEach((values, step) => {
          if (step === 3) optimizer.learningRate /= 2;
          const gradients = values.map(shaped);
          optimizer.step(gradients);
          gradients.forEach((gradient) => gradient.dispose());
          parameters.forEach((parameter, i) => {
            assert.deepEqual(parameter.shape, fixtures.shapes[i]);
            assertClose(parameter, fixtures.optimizers[name][step]![i]!, 1e-5);
          });
        });
        assert.equal(memory().tensors, before);
        parameters.forEach((parameter) => parameter.dispose());
      }),
  );
}

testOnEachBackend("sgd with momentum by hand", () => {
  const w = variable(ops.tensor([10]));
  const optimizer = sgd([w], { learningRate: 0.5, momentum: 0.5, weightDecay: 0.1 });
  optimizer.step([ops.tensor([1])]); // g = 1 + 1, v = 2, w = 10 − 1
  assertClose(w, [9]);
  optimizer.step([ops.tensor([1])]); // g = 1 + 0.9, v = 1 + 1.9, w = 9 − 1.45
  assertClose(w, [7.55]);
});

for (const name of Object.keys(makers) as (keyof typeof makers)[]) {
  testOnEachBackend(
    `${name}: a group takes the steps of an optimizer with its share of the rate`,
    () =>
      assertNoLeak(() => {
        const make = makers[name];
        const start = () => fixtures.start.map((values, i) => variable(shaped(values, i)));
        const together = start(), apart = start();
        const [body, ...head] = together;
        using optimizer = make([
          { parameters: [body!], learningRateFactor: 0.25 },
          { parameters: head },
        ]);
        using slow = make(apart.slice(0, 1)), fast = make(apart.slice(1));
        assert.deepEqual(optimizer.parameters, together);
        fixtures.gradients.forEach((values, step) => {
          if (step === 3) optimizer.learningRate = fast.learningRate /= 2;
          slow.learningRate = fast.learningRate / 4;
          const gradients = values.map(shaped);
          optimizer.step(gradients);
          slow.step(gradients.slice(0, 1));
          fast.step(gradients.slice(1));
          dispose(gradients);
        });
        together.forEach((parameter, i) => assertClose(parameter, apart[i]!, 1e-6));
        dispose([together, apart]);
      }),
  );
}

testOnEachBackend("a factor of 0 leaves a group as it is, and the rate reads as it was set", () => {
  const a = variable(ops.ones([1])), b = variable(ops.ones([1]));
  const optimizer = sgd([{ parameters: [a], learningRateFactor: 0 }, { parameters: [b] }], {
    learningRate: 0.5,
  });
  optimizer.step([ops.ones([1]), ops.ones([1])]);
  assert.deepEqual([...a.dataSync(), ...b.dataSync(), optimizer.learningRate], [1, 0.5, 0.5]);
});

testOnEachBackend("an optimizer leaves alone what it is not bound to, and the gradients", () => {
  const a = variable(ops.ones([2])), b = variable(ops.ones([2]));
  const gradient = ops.ones([2]);
  sgd([a], { learningRate: 1 }).step([gradient]);
  assert.deepEqual([...a.dataSync(), ...b.dataSync(), ...gradient.dataSync()], [0, 0, 1, 1, 1, 1]);
});

testOnEachBackend("a learning rate of 0 changes nothing", () => {
  const w = variable(ops.tensor([1, -2]));
  adamW([w], { learningRate: 0 }).step([ops.tensor([3, 4])]);
  assert.deepEqual([...w.dataSync()], [1, -2]);
});

Deno.test("an optimizer frees what it remembers and not the parameters", () => {
  const model = lenet();
  const parameters = model.parameters();
  const before = memory().tensors;
  {
    using optimizer = adam(parameters, { learningRate: 0.1 });
    assert.equal(memory().tensors, before + 2 * optimizer.parameters.length);
  }
  assert.equal(memory().tensors, before);
  assert.deepEqual(sgd(parameters, { learningRate: 0.1 }).parameters, parameters);
  assert.equal(memory().tensors, before);
  assert(parameters.every(({ isDisposed }) => !isDisposed));
});

const w = variable(ops.ones([2, 3])), b = variable(ops.ones([3]));
const refused: [name: string, run: () => unknown, error: string, message: RegExp][] = [
  ["no parameter", () => adam([], { learningRate: 1 }), "RangeError", /at least one parameter/],
  [
    "a parameter twice",
    () => sgd([w, w], { learningRate: 1 }),
    "RangeError",
    /each only once, found 2 with 1 repeated/,
  ],
  [
    "a parameter in two groups",
    () => sgd([{ parameters: [w, b] }, { parameters: [w] }], { learningRate: 1 }),
    "RangeError",
    /each only once, found 3 with 1 repeated/,
  ],
  [
    "groups without a parameter, such as those of a frozen model",
    () => adam([{ parameters: [] }, { parameters: [] }], { learningRate: 1 }),
    "RangeError",
    /at least one parameter/,
  ],
  [
    "a negative factor of a group",
    () => sgd([{ parameters: [w], learningRateFactor: -1 }], { learningRate: 1 }),
    "RangeError",
    /^The optimizer sgd: learningRateFactor must be a number of at least 0, found -1\.$/,
  ],
  [
    "parameters among groups",
    // @ts-expect-error: either parameters or groups
    () => sgd([{ parameters: [w] }, b], { learningRate: 1 }),
    "TypeError",
    /expected an array of parameters, such as model\.parameters\(\), or of groups/,
  ],
  [
    "a module in place of a group",
    // @ts-expect-error: a group has an array of parameters, not the method that gives it
    () => sgd([lenet()], { learningRate: 1 }),
    "TypeError",
    /or of groups/,
  ],
  [
    "a model in place of its parameters",
    // @ts-expect-error: a model is not its parameters
    () => sgd(lenet(), { learningRate: 1 }),
    "TypeError",
    /^The optimizer sgd: expected an array of parameters, such as model\.parameters\(\), or of groups such as \{ parameters: model/,
  ],
  [
    "a tensor that is no variable",
    // @ts-expect-error: a plain tensor cannot be changed
    () => sgd([ops.ones([2])], { learningRate: 1 }),
    "TypeError",
    /expected an array of parameters/,
  ],
  ...[-0.1, NaN, Infinity].map((learningRate): typeof refused[number] => [
    `a learning rate of ${learningRate}`,
    () => rmsProp([w], { learningRate }),
    "RangeError",
    new RegExp(
      `^The optimizer rmsProp: learningRate must be a number of at least 0, found ${learningRate}\\.$`,
    ),
  ]),
  [
    "no learning rate",
    // @ts-expect-error: it has no default
    () => adagrad([w], {}),
    "RangeError",
    /learningRate must be a number of at least 0, found undefined/,
  ],
  [
    "a learning rate set to NaN",
    () => sgd([w], { learningRate: 1 }).learningRate = NaN,
    "RangeError",
    /learningRate must be a number of at least 0, found NaN/,
  ],
  [
    "a momentum of 1",
    () => sgd([w], { learningRate: 1, momentum: 1 }),
    "RangeError",
    /momentum must be from 0 up to but without 1, found 1/,
  ],
  [
    "Nesterov without momentum",
    () => sgd([w], { learningRate: 1, nesterov: true }),
    "RangeError",
    /nesterov needs a momentum greater than 0/,
  ],
  [
    "a negative weight decay",
    () => adamW([w], { learningRate: 1, weightDecay: -1 }),
    "RangeError",
    /The optimizer adamW: weightDecay must be a number of at least 0, found -1/,
  ],
  [
    "a beta of 1",
    () => adam([w], { learningRate: 1, betas: [0.9, 1] }),
    "RangeError",
    /betas\[1\] must be from 0 up to but without 1, found 1/,
  ],
  [
    "a decay of 2",
    () => rmsProp([w], { learningRate: 1, decay: 2 }),
    "RangeError",
    /decay must be from 0 up to but without 1, found 2/,
  ],
  [
    "a negative epsilon",
    () => adagrad([w], { learningRate: 1, epsilon: -1 }),
    "RangeError",
    /epsilon must be a number of at least 0, found -1/,
  ],
  [
    "too few gradients",
    () => sgd([w, b], { learningRate: 1 }).step([ops.ones([2, 3])]),
    "RangeError",
    /^A step of sgd: expected 2 gradients in the shapes of the parameters, found 1\.$/,
  ],
  [
    "too many gradients",
    () => sgd([b], { learningRate: 1 }).step([ops.ones([3]), ops.ones([3])]),
    "RangeError",
    /expected 1 gradients in the shapes of the parameters, found 2/,
  ],
  [
    "a gradient that would be broadcast",
    () => sgd([w, b], { learningRate: 1 }).step([ops.ones([2, 3]), ops.ones([1])]),
    "RangeError",
    /found 2; number 1 must be \[3\], found \[1\]/,
  ],
];
for (const [name, run, error, message] of refused) {
  Deno.test(`optimizers refuse ${name}`, () => {
    assert.throws(run, { name: error, message });
    assert.deepEqual([...w.dataSync(), ...b.dataSync()], new Array(9).fill(1));
  });
}
