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
import { assertClose, assertNoLeak, testOnEachBackend } from "../_helpers.ts";
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
    /each parameter must be given once, found 1 repeated/,
  ],
  [
    "a parameter in two groups",
    () => sgd([{ parameters: [w, b] }, { parameters: [w] }], { learningRate: 1 }),
    "RangeError",
    /each parameter must be given once, found 1 repeated/,
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
    /^Making the optimizer sgd: learningRateFactor must be a finite number of at least 0, found -1\.$/,
  ],
  [
    "parameters among groups",
    // @ts-expect-error: either parameters or groups
    () => sgd([{ parameters: [w] }, b], { learningRate: 1 }),
    "TypeError",
    /the parameters must be an array such as model\.parameters\(\), or an array of groups/,
  ],
  [
    "a module in place of a group",
    // @ts-expect-error: a group has an array of parameters, not the method that gives it
    () => sgd([lenet()], { learningRate: 1 }),
    "TypeError",
    /or an array of groups/,
  ],
  [
    "a model in place of its parameters",
    // @ts-expect-error: a model is not its parameters
    () => sgd(lenet(), { learningRate: 1 }),
    "TypeError",
    /^Making the optimizer sgd: the parameters must be an array such as model\.parameters\(\), or an array of groups such as \{ parameters: model/,
  ],
  [
    "a tensor that is no variable",
    // @ts-expect-error: a plain tensor cannot be changed
    () => sgd([ops.ones([2])], { learningRate: 1 }),
    "TypeError",
    /the parameters must be an array/,
  ],
  ...[-0.1, NaN, Infinity].map((learningRate): typeof refused[number] => [
    `a learning rate of ${learningRate}`,
    () => rmsProp([w], { learningRate }),
    "RangeError",
    new RegExp(
      `^Making the optimizer rmsProp: learningRate must be a finite number of at least 0, found ${learningRate}\\.$`,
    ),
  ]),
  [
    "no learning rate",
    // @ts-expect-error: it has no default
    () => adagrad([w], {}),
    "TypeError",
    /learningRate must be a finite number of at least 0, found undefined/,
  ],
  [
    "a learning rate set to NaN",
    () => sgd([w], { learningRate: 1 }).learningRate = NaN,
    "RangeError",
    /learningRate must be a finite number of at least 0, found NaN/,
  ],
  [
    "a momentum of 1",
    () => sgd([w], { learningRate: 1, momentum: 1 }),
    "RangeError",
    /momentum must be at least 0 and less than 1, found 1/,
  ],
  [
    "Nesterov without momentum",
    () => sgd([w], { learningRate: 1, nesterov: true }),
    "RangeError",
    /momentum must be positive with nesterov, found 0/,
  ],
  [
    "a negative weight decay",
    () => adamW([w], { learningRate: 1, weightDecay: -1 }),
    "RangeError",
    /Making the optimizer adamW: weightDecay must be a finite number of at least 0, found -1/,
  ],
  [
    "a beta of 1",
    () => adam([w], { learningRate: 1, betas: [0.9, 1] }),
    "RangeError",
    /betas\[1\] must be at least 0 and less than 1, found 1/,
  ],
  [
    "a decay of 2",
    () => rmsProp([w], { learningRate: 1, decay: 2 }),
    "RangeError",
    /decay must be at least 0 and less than 1, found 2/,
  ],
  [
    "a negative epsilon",
    () => adagrad([w], { learningRate: 1, epsilon: -1 }),
    "RangeError",
    /epsilon must be a finite number of at least 0, found -1/,
  ],
  [
    "too few gradients",
    () => sgd([w, b], { learningRate: 1 }).step([ops.ones([2, 3])]),
    "RangeError",
    /^Running a step of sgd: there must be 2 gradients, one for each parameter, found 1\.$/,
  ],
  [
    "too many gradients",
    () => sgd([b], { learningRate: 1 }).step([ops.ones([3]), ops.ones([3])]),
    "RangeError",
    /there must be 1 gradients, one for each parameter, found 2/,
  ],
  [
    "a gradient that would be broadcast",
    () => sgd([w, b], { learningRate: 1 }).step([ops.ones([2, 3]), ops.ones([1])]),
    "RangeError",
    /gradient 1 must be \[3\], found \[1\]/,
  ],
];
for (const [name, run, error, message] of refused) {
  Deno.test(`optimizers refuse ${name}`, () => {
    assert.throws(run, { name: error, message });
    assert.deepEqual([...w.dataSync(), ...b.dataSync()], new Array(9).fill(1));
  });
}

/**
 * PyTorch 2.15's parameter after each step, from 1: torch.optim.Adam([p], lr=0.1, betas=…) and so
 * on. TensorFlow's own Adam gives −996093 in the first case.
 */
const extremes: [
  name: string,
  make: Make,
  gradients: readonly number[],
  expected: readonly number[],
][] = [
  [
    "adam, betas of 0",
    (p) => adam(p, { learningRate: 0.1, betas: [0, 0] }),
    [1e4, 0.1],
    [0.9, 0.8],
  ],
  [
    "adam, a first beta of 0",
    (p) => adam(p, { learningRate: 0.1, betas: [0, 0.999] }),
    [1e4, 0.1, 3],
    [0.90000004, 0.8999986, 0.89994663],
  ],
  [
    "adam, a second beta of 0",
    (p) => adam(p, { learningRate: 0.1, betas: [0.9, 0] }),
    [1e4, 0.1, 3],
    [0.9, -4735.9946, -4835.6636],
  ],
  [
    "adam, a second beta near 1",
    (p) => adam(p, { learningRate: 0.1, betas: [0.9, 0.9999999] }),
    [1, 2, 3],
    [0.9, 0.8034673, 0.70763975],
  ],
  [
    "adam, a first beta near 1",
    (p) => adam(p, { learningRate: 0.1, betas: [0.9999999, 0.999] }),
    [1, 2, 3],
    [0.90000004, 0.8051459, 0.71259034],
  ],
  [
    "adam, tiny gradients",
    (p) => adam(p, { learningRate: 0.1, epsilon: 1e-30 }),
    [1e-15, 2e-15, 3e-15],
    [0.9, 0.80348176, 0.70768166],
  ],
  [
    "adam, gradients whose squares are beyond float32",
    (p) => adam(p, { learningRate: 0.1 }),
    [1e25, 2e25, 1],
    [1, 1, 1],
  ],
  [
    "adamW, betas of 0",
    (p) => adamW(p, { learningRate: 0.1, betas: [0, 0], weightDecay: 0.3 }),
    [1e4, 0.1],
    [0.87, 0.7439],
  ],
  ["adagrad, huge gradients", (p) => adagrad(p, { learningRate: 0.1 }), [1e25, 1], [1, 1]],
  [
    "rmsProp, no decay",
    (p) => rmsProp(p, { learningRate: 0.1, decay: 0 }),
    [1e4, 0.1],
    [0.9, 0.79999995],
  ],
  [
    "rmsProp, a decay near 1",
    (p) => rmsProp(p, { learningRate: 0.1, decay: 0.9999999 }),
    [1, 2, 3],
    [-315.21777, -598.05652, -851.6007],
  ],
  [
    "sgd, a momentum near 0 with weight decay",
    (p) => sgd(p, { learningRate: 0.1, momentum: 1e-42, weightDecay: 0.1 }),
    [1, 2, 3],
    [0.89, 0.6811, 0.374289],
  ],
];
for (const [name, make, gradients, expected] of extremes) {
  testOnEachBackend(`${name}: the steps are PyTorch's`, () =>
    assertNoLeak(() => {
      using w = variable(ops.tensor([1]));
      using optimizer = make([w]);
      const found = gradients.map((g) => {
        using gradient = ops.tensor([g]);
        optimizer.step([gradient]);
        return w.dataSync()[0]!;
      });
      assertClose(found, expected, 1e-5);
    }));
}

/**
 * PyTorch 2.15 after gradients [1, 3] and [−2, 0.5] from [1, −2] at the rate 0.1, in groups with
 * weight_decay 0, 0.5, and the optimizer's 0.1.
 */
const grouped: [name: string, make: Make, expected: number[][]][] = [
  [
    "sgd",
    (p) => sgd(p, { learningRate: 0.1, weightDecay: 0.1 }),
    [[1.1, -2.35], [1.0075, -2.14], [1.0811, -2.3072]],
  ],
  [
    "sgd, momentum",
    (p) => sgd(p, { learningRate: 0.1, momentum: 0.9, weightDecay: 0.1 }),
    [[1.01, -2.62], [0.8725, -2.32], [0.9821, -2.5592]],
  ],
  [
    "sgd, Nesterov",
    (p) => sgd(p, { learningRate: 0.1, momentum: 0.9, nesterov: true, weightDecay: 0.1 }),
    [[1.109, -2.908], [0.905575, -2.4109], [1.066871, -2.805692]],
  ],
  [
    "adagrad",
    (p) => adagrad(p, { learningRate: 0.1, weightDecay: 0.1 }),
    [[0.9894427, -2.1164398], [0.9718602, -2.0734842], [0.9866563, -2.110302]],
  ],
  [
    "rmsProp",
    (p) => rmsProp(p, { learningRate: 0.1, weightDecay: 0.1 }),
    [[0.895323, -3.1652045], [0.801444, -2.5509868], [0.8772351, -3.0716043]],
  ],
  [
    "adam",
    (p) => adam(p, { learningRate: 0.1, weightDecay: 0.1 }),
    [[0.9366104, -2.1783326], [0.9069015, -2.1448646], [0.9310642, -2.1743188]],
  ],
  [
    "adamW",
    (p) => adamW(p, { learningRate: 0.1, weightDecay: 0.1 }),
    [[0.9366104, -2.1783326], [0.8441104, -1.9783328], [0.9177104, -2.1375327]],
  ],
];
for (const [name, make, expected] of grouped) {
  testOnEachBackend(`${name}: the weight decay of a group is PyTorch's`, () =>
    assertNoLeak(() => {
      const [a, b, c] = [1, 2, 3].map(() => variable(ops.tensor([1, -2]))) as [
        ReturnType<typeof variable>,
        ReturnType<typeof variable>,
        ReturnType<typeof variable>,
      ];
      using optimizer = make([
        { parameters: [a], weightDecay: 0 },
        { parameters: [b], weightDecay: 0.5 },
        { parameters: [c] },
      ]);
      for (const g of [[1, 3], [-2, 0.5]]) {
        using gradient = ops.tensor(g);
        optimizer.step([gradient, gradient, gradient]);
      }
      [a, b, c].forEach((parameter, i) => assertClose(parameter, expected[i]!));
      dispose([a, b, c]);
    }));
}

const unknown: [name: string, make: () => unknown, message: RegExp][] = [
  [
    "lr",
    () => adam([w], { lr: 0.1 } as never),
    /^Making the optimizer adam: there is no option lr\. Did you mean learningRate\? The options are/,
  ],
  [
    "weight_decay",
    () => adamW([w], { learningRate: 1, weight_decay: 0 } as never),
    /there is no option weight_decay\. Did you mean weightDecay\?/,
  ],
  [
    "alpha",
    () => rmsProp([w], { learningRate: 1, alpha: 0.9 } as never),
    /^Making the optimizer rmsProp: there is no option alpha/,
  ],
  [
    "eps",
    () => adagrad([w], { learningRate: 1, eps: 1 } as never),
    /there is no option eps\. Did you mean epsilon\?/,
  ],
  [
    "of a group",
    () => sgd([{ parameters: [w], learningRate: 0.1 } as never], { learningRate: 1 }),
    /^Making the optimizer sgd: there is no option learningRate\. Did you mean learningRateFactor\?/,
  ],
  [
    "no options",
    () => sgd([w], 0.1 as never),
    /^Making the optimizer sgd: the options must be an object such as \{ learningRate: 0\.1 \}, found 0\.1\.$/,
  ],
  [
    "a rate in words",
    () => sgd([w], { learningRate: "0.1" } as never),
    /learningRate must be a finite number of at least 0, found "0\.1"/,
  ],
  [
    "one beta",
    () => adam([w], { learningRate: 1, betas: 0.9 } as never),
    /^Making the optimizer adam: betas must be two numbers such as \[0\.9, 0\.999\], found 0\.9\.$/,
  ],
  [
    "nesterov in words",
    () => sgd([w], { learningRate: 1, momentum: 0.9, nesterov: "yes" } as never),
    /nesterov must be true or false, found "yes"/,
  ],
];
for (const [name, make, message] of unknown) {
  Deno.test(`optimizers refuse options that do not exist or are of the wrong kind: ${name}`, () => {
    assert.throws(make, { name: "TypeError", message });
  });
}

Deno.test("sgd() refuses a negative weight decay of a group", () => {
  assert.throws(() => sgd([{ parameters: [w], weightDecay: -1 }], { learningRate: 1 }), {
    name: "RangeError",
    message:
      "Making the optimizer sgd: the weightDecay of a group must be a finite number of at least 0, found -1.",
  });
});

for (const name of Object.keys(makers) as (keyof typeof makers)[]) {
  testOnEachBackend(`${name}: a step that is refused changes nothing`, () =>
    assertNoLeak(() => {
      const one = variable(ops.ones([2])), two = variable(ops.ones([2]));
      using optimizer = makers[name]([one, two]);
      using good = ops.ones([2]), gone = ops.ones([2]), whole = ops.ones([2], "int32");
      gone.dispose();
      const refusals: [unknown[], RegExp][] = [
        [[good, gone], /gradient 1 must be alive, found a disposed tensor \[2\]/],
        [[good, whole], /gradient 1 must be float32, found int32/],
        [[good, { shape: [2] }], /gradient 1 must be a tensor, found an object/],
      ];
      for (const [gradients, message] of refusals) {
        assert.throws(() => optimizer.step(gradients as Tensor[]), { name: "TypeError", message });
        assert.deepEqual([...one.dataSync(), ...two.dataSync()], [1, 1, 1, 1]);
      }
      assert.throws(
        () => optimizer.step(good as never),
        /the gradients must be an array, found a tensor/,
      );
      // What is refused is no step: the next is the first.
      optimizer.step([good, good]);
      using alone = variable(ops.ones([2]));
      using other = makers[name]([alone]);
      other.step([good]);
      assert.deepEqual(one.dataSync(), alone.dataSync());
      const before = one.dataSync().slice();
      two.dispose();
      assert.throws(() => optimizer.step([good, good]), {
        name: "TypeError",
        message:
          /^Running a step of \w+: parameter 1 must be alive, found a disposed tensor \[2\]\.$/,
      });
      assert.deepEqual(one.dataSync(), before);
      one.dispose();
    }));
}

Deno.test("an optimizer that was disposed says so", () => {
  const optimizer = sgd([w], { learningRate: 1, momentum: 0.9 });
  optimizer.dispose();
  optimizer.dispose();
  assert.throws(() => optimizer.step([ops.ones([2, 3])]), {
    name: "TypeError",
    message:
      "Running a step of sgd: the optimizer must be alive, found a disposed one. Make a new one.",
  });
  const gone = variable(ops.ones([2]));
  gone.dispose();
  assert.throws(() => adam([b, gone], { learningRate: 1 }), /parameter 1 must be alive/);
});
