import assert from "node:assert/strict";
import {
  dispose,
  grad,
  memory,
  ops,
  type Scalar,
  type Tensor,
  type Tensor1D,
  type Tensor2D,
  type Tensor4D,
  tidy,
  valueAndGradients,
  variable,
} from "resnet-lab";
import { assertClose, assertNoLeak, testOnEachBackend } from "../_helpers.ts";
import { dependsOn, isVariable, UnusedInputError } from "../../lib/tensor/internal.ts";

testOnEachBackend("the gradient of x³ is 3x², and its own gradient 6x", () => {
  tidy(() => {
    const cube = (x: Scalar) => ops.pow(x, 3);
    const x = ops.scalar(2);
    assertClose(grad(cube)(x), 12);
    assertClose(grad(grad(cube))(x), 12);
    assertClose(grad(grad(grad(cube)))(x), 6);
  });
});

testOnEachBackend(
  "gradients of gradients go through outputs that were saved: eˣ, tanh and sigmoid",
  () => {
    tidy(() => {
      const x = ops.scalar(0.5), e = Math.exp(0.5), t = Math.tanh(0.5), s = 1 / (1 + 1 / e);
      assertClose(grad(grad((x: Scalar) => ops.exp(x)))(x), e);
      assertClose(grad(grad((x: Scalar) => ops.tanh(x)))(x), -2 * t * (1 - t * t));
      assertClose(grad(grad((x: Scalar) => ops.sigmoid(x)))(x), s * (1 - s) * (1 - 2 * s));
      assertClose(grad(grad((x: Scalar) => ops.add(ops.square(x), ops.exp(x))))(x), 2 + e);
    });
  },
);

testOnEachBackend("a function that gives its input back has gradient 1", () => {
  tidy(() => assertClose(grad((x: Scalar) => x)(ops.scalar(5)), 1));
});

testOnEachBackend("an upstream gradient weights the elements of a vector", () => {
  tidy(() => {
    const square = (x: Tensor1D) => ops.square(x);
    assertClose(grad(square)(ops.tensor([1, 2, 3]), ops.tensor([1, 10, 100])), [2, 40, 600]);
  });
});

testOnEachBackend("an input that is used twice gets the sum of its gradients", () => {
  tidy(() => {
    const f = (x: Tensor1D) => ops.sum(ops.add(ops.mul(x, x), ops.mul(x, 3)));
    assertClose(grad(f)(ops.tensor([1, -2])), [5, -1]);
  });
});

testOnEachBackend("value and gradients come in the order of the variables", () => {
  using w = variable(ops.tensor([[1, 2]]));
  using b = variable(ops.scalar(3));
  const before = memory().tensors;
  const { value, gradients: [db, dw] } = valueAndGradients(
    () => ops.add(ops.sum(ops.square(w)), ops.mul(b, 2)),
    [b, w],
  );
  assertClose(value, 11);
  assertClose(db, 2);
  assert.deepEqual(dw.arraySync(), [[2, 4]]);
  dispose([value, db, dw]);
  assert.equal(memory().tensors, before, "tensors left behind");
});

testOnEachBackend("a variable that is itself the value survives it", () => {
  using b = variable(ops.scalar(3));
  const { value, gradients } = valueAndGradients(() => b, [b]);
  assertClose(gradients[0], 1);
  dispose([value, gradients]);
  assertClose(b, 3);
});

testOnEachBackend("gradients leave nothing behind, whether they succeed or throw", () => {
  using x = ops.tensor([1, 2, 3, 4], [1, 2, 2, 1]);
  using w = variable(ops.ones([1, 1, 1, 2]));
  using unused = variable(ops.scalar(1));
  const stop = () => {
    throw new Error("stopped on purpose");
  };
  const layers = (x: Tensor4D) => {
    const y = ops.relu(ops.conv2d(x, w, { padding: 1 }));
    const { y: z } = ops.batchNormTraining(y, ops.ones([2]), ops.zeros([2]), 0.1);
    return ops.maxPool(ops.avgPool(z, { kernelSize: 2, stride: 1 }), { kernelSize: 2 });
  };
  const loss = () => ops.mean(layers(x));
  const runs: [name: string, run: () => unknown, message?: RegExp][] = [
    ["grad", () => grad((x: Tensor4D) => ops.sum(layers(x)))(x).dispose()],
    ["valueAndGradients", () => dispose(valueAndGradients(loss, [w]))],
    ["a vector", () => grad(layers)(x), /f\(x\) must be one number/],
    ["an upstream gradient of another shape", () => grad(layers)(x, x), /found \[1,2,2,1\]\.$/],
    ["a function that throws", () => grad((x: Tensor4D) => (layers(x), stop()))(x), /on purpose/],
    ["a loss that throws", () => valueAndGradients(() => (loss(), stop()), [w]), /on purpose/],
    [
      "a part without gradient",
      () => grad(withoutGradient)(x),
      /must have a gradient, found TopK, which has none/,
    ],
    [
      "a variable not used",
      () => valueAndGradients(loss, [w, unused]),
      /found no dependence on input 1 \(the first is 0\), of shape/,
    ],
    [
      "an input not used",
      () => grad((_x: Tensor4D) => ops.sum(w))(x),
      /found no dependence on the input/,
    ],
    ["a second derivative", () => grad((x: Tensor4D) => ops.sum(grad(curved)(x)))(x), /none/],
  ];
  for (const [name, run, message] of runs) {
    const before = memory().tensors;
    if (message) assert.throws(run, { message });
    else run();
    assert.equal(memory().tensors, before, `${name}: tensors left behind`);
  }
  // The next one works as if nothing had been.
  const again = grad((x: Tensor4D) => ops.sum(ops.square(x)))(x);
  assertClose(again, [2, 4, 6, 8]);
  again.dispose();
});

function withoutGradient(x: Tensor4D): Tensor {
  return ops.sum(ops.topK(ops.reshape(ops.square(x), [2, 2]), 1).values);
}
function curved(x: Tensor4D): Tensor {
  return ops.sum(ops.square(ops.relu(x)));
}

testOnEachBackend("a second derivative is right, or refused", () => {
  tidy(() => {
    const image = ops.tensor([1, 2, 3, 5], [1, 2, 2, 1]), rows = ops.tensor([[1, 2], [4, 3]]);
    const refused: Record<string, () => unknown> = {
      relu: () => second((x: Tensor4D) => ops.relu(x), image),
      kernel: () => second((x: Tensor4D) => ops.conv2d(image, x), ops.ones([1, 1, 1, 1])),
      maxPool: () => second((x: Tensor4D) => ops.maxPool(x, { kernelSize: 2 }), image),
      avgPool: () => second((x: Tensor4D) => ops.avgPool(x, { kernelSize: 2 }), image),
      batchNorm: () =>
        second(
          (x: Tensor2D) =>
            // The other term depends on x as well: the part through batch norm must not go missing.
            ops.add(x, ops.batchNormTraining(x, ops.ones([2]), ops.zeros([2]), 0.1).y),
          rows,
        ),
      crossEntropy: () =>
        second(
          (x: Tensor2D) => ops.add(ops.softmaxCrossEntropy(x, ops.ones([2, 2])), ops.sum(x)),
          rows,
        ),
    };
    for (const [name, run] of Object.entries(refused)) {
      assert.throws(run, {
        name: "TypeError",
        message:
          /^Taking a gradient: each kernel of the function must have a gradient, found \w+, which has none/,
      }, name);
    }
    // The gradient of Σ (3x)² is 18x.
    const three = ops.full([1, 1, 1, 1], 3);
    assertClose(second((x: Tensor4D) => ops.conv2d(x, three), image), [18, 18, 18, 18]);
    // The gradient of Σ x⁴ is 4x³, and of its sum 12x².
    assertClose(second((x: Tensor2D) => ops.square(x), rows), [12, 48, 192, 108]);
  });
});

/** The gradient of the sum of the gradient of `Σ f(x)²`. */
function second<X extends Tensor>(f: (x: X) => Tensor, x: X): Tensor {
  const first = grad((x: X) => ops.sum(ops.square(f(x))));
  return grad((x: X) => ops.sum(first(x)))(x);
}

testOnEachBackend("bad arguments of a gradient are refused in words", () => {
  tidy(() => {
    const x = ops.tensor([1, 2]), w = variable(ops.tensor([1, 2]));
    const cases: [run: () => unknown, name: string, message: string | RegExp][] = [
      [
        () => grad((x: Tensor1D) => x)(x),
        "RangeError",
        "Taking a gradient: f(x) must be one number, found the shape [2]. Reduce it (sum or mean), or pass an " +
        "upstream gradient of that shape as second argument.",
      ],
      [
        () => grad((x: Tensor1D) => x)(x, ops.ones([3])),
        "RangeError",
        "Taking a gradient: the upstream gradient must have the shape of f(x), [2], found [3].",
      ],
      [
        () => grad((x: Tensor1D) => x)(x, ops.ones([2], "int32")),
        "TypeError",
        /the upstream gradient must be float32, found int32/,
      ],
      [
        () => grad((x: Tensor1D) => ops.sum(x))(ops.ones([2], "int32")),
        "TypeError",
        /x must be float32, found int32/,
      ],
      [
        () => grad((x: Tensor1D) => ops.argMax(x))(x),
        "TypeError",
        /f\(x\) must be float32, found int32/,
      ],
      [
        () => grad((async (x: Tensor1D) => ops.sum(await x)) as never)(x),
        "TypeError",
        "Taking a gradient: the function must be synchronous, found one that returned a promise. Await first, and compute " +
        "afterwards.",
      ],
      [
        () => grad(() => 3 as never)(x),
        "TypeError",
        "Taking a gradient: f(x) must be a tensor, found 3.",
      ],
      [
        () => grad((_x: Tensor1D) => ops.scalar(1))(x),
        "RangeError",
        "Taking a gradient: the value must depend on each input, found no dependence on the input, of shape [2]. Leave it out, or use it in the function.",
      ],
      [
        () => valueAndGradients(() => ops.sum(w), []),
        "RangeError",
        "Taking gradients: there must be at least one variable, found none.",
      ],
      [
        () => valueAndGradients((() => w) as never, [w]),
        "RangeError",
        "Taking gradients: the value of the function must be one number, found the shape [2]. Reduce it (sum or mean) first.",
      ],
      [
        () => valueAndGradients(() => ops.sum(w), [x as never]),
        "RangeError",
        /found no dependence on the input/,
      ],
    ];
    for (const [run, name, message] of cases) assert.throws(run, { name, message });
    w.dispose();
  });
});

testOnEachBackend("UnusedInputError lists every input that has no part in the value", () => {
  const variables = Array.from({ length: 6 }, (_, i) => variable(ops.ones([i + 1])));
  assert.throws(
    () => valueAndGradients(() => ops.sum(variables[1]!), variables),
    (error) => {
      assert(error instanceof UnusedInputError && error instanceof RangeError);
      assert.deepEqual(error.inputs, [0, 2, 3, 4, 5]);
      assert.equal(
        error.message,
        "Taking a gradient: the value must depend on each input, found no dependence on the inputs 0, 2, 3 and 2 more of 6 (the first is 0). Leave them out, or use " +
          "them in the function.",
      );
      return true;
    },
  );
  dispose(variables);
});

testOnEachBackend("a variable takes over its initial value, and takes new ones", () => {
  const before = memory().tensors;
  const initial = ops.tensor([1, 2]);
  const w = variable(initial, { trainable: false });
  assert(initial.isDisposed);
  assert(!w.trainable);
  assert.equal(memory().tensors, before + 1);
  w.assign(w);
  assert.deepEqual([...w.dataSync()], [1, 2]);
  using next = ops.tensor([3, 4]);
  w.assign(next);
  assert.deepEqual([...w.dataSync()], [3, 4]);
  using wrong = ops.ones([3]), whole = ops.ones([2], "int32");
  assert.throws(() => w.assign(wrong), {
    name: "RangeError",
    message: "Assigning to a variable: the value must have the shape [2], found [3].",
  });
  assert.throws(() => w.assign(whole), { name: "TypeError", message: /float32 and int32/ });
  assert.throws(() => w.assign(initial), { name: "TypeError", message: /must be alive/ });
  assert.throws(() => variable([1, 2] as never), {
    name: "TypeError",
    message: "Making a variable: the initial value must be a tensor, found [1, 2].",
  });
  assert.deepEqual([...w.dataSync()], [3, 4]);
  w.dispose();
  assert.equal(memory().tensors, before + 3);
});

Deno.test("variables are known as such", () => {
  using w = variable(ops.zeros([2]));
  using x = ops.zeros([2]);
  assert(isVariable(w));
  assert(!isVariable(x));
  assert(!isVariable(undefined));
});

testOnEachBackend(
  "dependsOn tells by the steps, not by the numbers, and leaves nothing",
  async () => {
    const [x, y, z] = [1, 2, 3].map((value) => ops.tensor([value, value]));
    await assertNoLeak(() => {
      const dead = () => ops.add(ops.relu(ops.sub(ops.mul(x!, 0), 1)), ops.mul(z!, 2));
      assert.deepEqual(dependsOn(dead, [x!, y!, z!]), [true, false, true]);
      assert.deepEqual(dependsOn(() => x!, [x!, y!]), [true, false]);
      assert.deepEqual(dependsOn(() => ops.ones([2]), [x!]), [false]);
      assert.deepEqual(dependsOn(() => x!, []), []);
      assert.throws(() => dependsOn(() => 1 as never, [x!]), {
        name: "TypeError",
        message: /^Finding what a value depends on: the value of the function must be a tensor/,
      });
      assert.throws(() => dependsOn(() => ops.cast(x!, "int32"), [x!]), { name: "TypeError" });
    });
  },
);
