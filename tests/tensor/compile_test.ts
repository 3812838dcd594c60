import assert from "node:assert/strict";
import {
  backend,
  batchNorm,
  compile,
  conv2d,
  crossEntropy,
  dropout,
  type Features,
  flatten,
  foldBatchNorm,
  grad,
  gradientNorm,
  type Images,
  type Labels,
  linear,
  maxPool,
  ops,
  Random,
  relu,
  type Scalar,
  sequential,
  setSeed,
  sgd,
  type Tensor,
  type Tensor1D,
  type Tensor2D,
  tidy,
  valueAndGradients,
  variable,
  withBackend,
  withPrecision,
} from "resnet-lab";
import { nativeBackend } from "../../lib/tensor/backend/select.ts";
import { assertClose, assertNoLeak, errorsOfCompiler, testOnEachBackend } from "../_helpers.ts";
import { defaultRandom } from "../../lib/tensor/internal.ts";

const native = { ignore: backend() !== "tensorflow" };

/** A vector, disposed with all else in `tidy`. */
const vector = (...values: number[]): Tensor1D => ops.tensor(values);

testOnEachBackend("compile() returns the results of the function, for each shape", () => {
  using double = compile((x: Tensor1D) => ops.mul(x, 2));
  tidy(() => {
    for (const values of [[1, 2], [3, 4], [5], [6, 7], [8], []]) {
      assert.deepEqual([...double(vector(...values)).dataSync()], values.map((x) => 2 * x));
    }
  });
});

Deno.test(
  "compile() runs the function at its first calls and then rarely, for each shape, dtype and precision",
  native,
  () => {
    let runs = 0;
    using twice = compile((x: Tensor) => {
      runs++;
      return ops.add(x, x);
    });
    tidy(() => {
      for (let i = 0; i < 15; i++) twice(vector(i));
      assert.equal(runs, 2);
      for (let i = 0; i < 240; i++) twice(vector(i));
      assert.equal(runs, 4);
      twice(vector(1));
      assert.equal(runs, 5);
      for (let i = 0; i < 3; i++) twice(vector(1, 2));
      assert.equal(runs, 7);
      for (let i = 0; i < 3; i++) twice(ops.tensor([[1]]));
      assert.equal(runs, 9);
      for (let i = 0; i < 3; i++) twice(ops.tensor([1], undefined, "int32"));
      assert.equal(runs, 11);
      for (let i = 0; i < 3; i++) withPrecision("bf16", () => twice(vector(i)));
      assert.equal(runs, 13);
      twice(vector(9));
      assert.equal(runs, 13);
    });
  },
);

Deno.test("compile() keeps the structure of results in arrays and records, with inputs among them", () => {
  using f = compile((x: Tensor1D, y: Scalar) => ({
    sum: ops.add(x, y),
    parts: [x, { y, again: x }] as const,
  }));
  for (let i = 0; i < 3; i++) {
    tidy(() => {
      const { sum, parts: [x, { y, again }] } = f(vector(i, 1), ops.scalar(10));
      assert.deepEqual([...sum.dataSync()], [i + 10, 11]);
      assert.deepEqual([...x.dataSync()], [i, 1]);
      assert.deepEqual([...again.dataSync()], [i, 1]);
      assert.equal(y.dataSync()[0], 10);
    });
  }
});

testOnEachBackend("compile() reads variables, and assigns to them, at each call", () => {
  const w = variable(vector(1)), total = variable(vector(0));
  using f = compile((x: Tensor1D) => {
    total.assign(ops.add(total, x));
    return ops.mul(w, x);
  });
  tidy(() => {
    for (const [step, value] of [1, 2, 3, 4].entries()) {
      w.assign(vector(value));
      assert.equal(f(vector(10)).dataSync()[0], 10 * value);
      assert.equal(total.dataSync()[0], 10 * (step + 1));
    }
  });
  w.dispose();
  total.dispose();
});

Deno.test("compile() tells a variable from a tensor that shared its data", native, () => {
  const w = variable(vector(1));
  const start = ops.clone(w);
  using moved = compile((x: Tensor1D) => ops.add(x, ops.sub(w, start)));
  tidy(() => {
    for (const value of [1, 5, 7]) {
      assert.equal(moved(vector(0)).dataSync()[0], value - 1);
      w.assign(vector(value === 1 ? 5 : 7));
    }
  });
  start.dispose();
  w.dispose();
});

Deno.test(
  "compile() accepts inputs that are one tensor at one call and two at the next",
  native,
  () => {
    const w = variable(vector(2));
    using difference = compile((x: Tensor1D, y: Tensor1D) => ops.sub(ops.mul(x, w), y));
    tidy(() => {
      const one = vector(1), three = vector(3);
      for (let i = 0; i < 2; i++) {
        assert.equal(difference(one, one).dataSync()[0], 1);
        assert.equal(difference(w, one).dataSync()[0], 3);
        assert.equal(difference(three, one).dataSync()[0], 5);
      }
      w.assign(vector(10));
      assert.equal(difference(three, one).dataSync()[0], 29);
    });
    w.dispose();
  },
);

Deno.test("compile() rounds to bf16 inside the graph, also what was rounded before", native, () => {
  const w = variable(ops.tensor([[1 + 1 / 512]]));
  using f = compile((x: Tensor2D) => ops.matMul(x, w));
  tidy(() => {
    for (const value of [1, 2, 3]) {
      withPrecision("bf16", () => {
        assert.equal(ops.matMul(w, w).dataSync()[0], 1);
        assert.equal(f(ops.tensor([[value]])).dataSync()[0], value);
      });
    }
  });
  w.dispose();
});

/**
 * A network with all that could go wrong: statistics that change, random masks, pooling that notes
 * places.
 */
function network() {
  setSeed(5);
  return sequential(
    conv2d(1, 8, { kernelSize: 3, useBias: false }),
    batchNorm(8),
    relu(),
    maxPool({ kernelSize: 2 }),
    dropout(0.5),
    flatten(),
    linear(8 * 3 * 3, 4),
  );
}

for (const precision of ["fp32", "bf16"] as const) {
  Deno.test(
    `a compiled training step trains as the step itself does, in ${precision}`,
    native,
    () => {
      const train = (isCompiled: boolean) => {
        const model = network(), random = new Random(1);
        const parameters = model.parameters();
        using optimizer = sgd(parameters, { learningRate: 0.1, momentum: 0.9 });
        const step = (images: Images<1>, labels: Labels) =>
          withPrecision(precision, () =>
            valueAndGradients(
              () => crossEntropy(model.forward(images, { training: true }), labels),
              parameters,
            ));
        using compiled = compile(step);
        const losses = [];
        for (let i = 0; i < 5; i++) {
          losses.push(tidy(() => {
            const labels = ops.tensor([0, 1, 2, 3, i % 4], undefined, "int32");
            const images = random.normal([5, 8, 8, 1]);
            const { value, gradients } = (isCompiled ? compiled : step)(images, labels);
            optimizer.step(gradients);
            return value.dataSync()[0]!;
          }));
        }
        return { losses, state: [...model.namedVariables().values()].map((x) => x.dataSync()) };
      };
      const plain = train(false), compiled = train(true);
      // TensorFlow fuses the bias of a convolution with it in both, but rounds to bf16 in other
      // places.
      const tolerance = precision === "fp32" ? 1e-6 : 1e-2;
      assertClose(compiled.losses, plain.losses, tolerance);
      plain.state.forEach((values, i) => assertClose(compiled.state[i]!, values, tolerance));
    },
  );
}

Deno.test(
  "random tensors are drawn anew, in the stream's order, from where setSeed starts it",
  native,
  () => {
    using noise = compile((x: Tensor1D) => ops.add(x, defaultRandom().uniform([3])));
    const draw = (next: (x: Tensor1D) => Tensor) => {
      setSeed(8);
      return tidy(() => Array.from({ length: 3 }, () => [...next(ops.zeros([3])).dataSync()]));
    };
    const plain = draw(() => defaultRandom().uniform([3]));
    assert.notDeepEqual(plain[0], plain[1]);
    assert.deepEqual(draw(noise), plain);
    assert.deepEqual(draw(noise), plain);
  },
);

Deno.test("compile() runs the function itself where a gradient is taken", () => {
  using square = compile((x: Tensor) => ops.square(x));
  tidy(() => {
    for (let i = 0; i < 3; i++) {
      square(vector(i));
      assert.equal(grad(square)(vector(3)).dataSync()[0], 6);
    }
  });
});

Deno.test("compile() includes a compiled function in the one that calls it", native, () => {
  let runs = 0;
  using inner = compile((x: Tensor1D) => {
    runs++;
    return ops.mul(x, 3);
  });
  using outer = compile((x: Tensor1D) => ops.add(inner(x), 1));
  tidy(() => {
    for (const value of [1, 2, 3]) {
      inner(vector(value));
      assert.equal(outer(vector(value)).dataSync()[0], 3 * value + 1);
    }
  });
  assert.equal(runs, 4);
});

Deno.test(
  "a batch normalisation that waits for its relu is no part of what follows it",
  native,
  () => {
    const norm = batchNorm(1), x = ops.tensor([1, 3], [2, 1, 1, 1]);
    tidy(() => {
      const waiting = norm.forward(x, { training: true });
      using f = compile((y: Tensor1D) => ops.add(y, ops.reshape(waiting, [2])));
      for (const value of [1, 2, 3]) {
        assertClose(f(vector(value, value)), [value - 1, value + 1], 1e-4);
      }
    });
    x.dispose();
    for (const x of norm.namedVariables().values()) x.dispose();
  },
);

Deno.test(
  "a compiled function leaves no tensor behind, nor does one that cannot be compiled",
  native,
  () =>
    assertNoLeak(() => {
      const w = variable(vector(1));
      using f = compile((x: Tensor1D) => {
        const y = ops.add(ops.square(x), w);
        w.assign(ops.mul(w, 2));
        return { y };
      });
      for (let i = 0; i < 3; i++) {
        using x = vector(i);
        f(x).y.dispose();
      }
      using reads = compile((x: Tensor1D) => {
        const y = ops.square(x);
        return ops.mul(y, y.dataSync()[0]!);
      });
      using x = vector(2);
      assert.throws(() => reads(x), RangeError);
      w.dispose();
    }),
);

Deno.test("compile() captures a function again after an error", native, () => {
  let isBad = true;
  using f = compile((x: Tensor1D) => {
    if (isBad) throw new Error("bad");
    return ops.neg(x);
  });
  tidy(() => {
    assert.throws(() => f(vector(1)), /bad/);
    assert(!nativeBackend()!.capture.isCapturing);
    isBad = false;
    for (const value of [1, 2, 3]) assert.equal(f(vector(value)).dataSync()[0], -value);
  });
});

Deno.test("compile() refuses a call after it was disposed", () => {
  const f = compile((x: Tensor1D) => ops.neg(x));
  tidy(() => {
    for (const value of [1, 2]) assert.equal(f(vector(value)).dataSync()[0], -value);
    f[Symbol.dispose]();
    f[Symbol.dispose]();
    assert.throws(() => f(vector(3)), {
      name: "TypeError",
      message:
        "Running a compiled function: the function must be alive, found it disposed. Compile it again.",
    });
  });
});

Deno.test(
  "compile() uses a tensor from outside, and refuses it when it was disposed",
  native,
  () => {
    const offset = vector(5);
    using f = compile((x: Tensor1D) => ops.add(x, offset));
    tidy(() => {
      for (const value of [1, 2]) assert.equal(f(vector(value)).dataSync()[0], value + 5);
      offset.dispose();
      assert.throws(() => f(vector(1)), {
        name: "TypeError",
        message:
          "Running a compiled function: the tensor [1] from outside that it uses must be alive, found it disposed.",
      });
    });
  },
);

Deno.test("compile() captures a model again after it was rebuilt", native, () => {
  const model = sequential(conv2d(1, 2, { kernelSize: 3, useBias: false }), batchNorm(2));
  using f = compile((images: Images<1>) => model.forward(images));
  tidy(() => {
    const images = ops.ones([1, 8, 8, 1]);
    for (let i = 0; i < 3; i++) f(images);
    foldBatchNorm(model, [8, 8, 1]);
    for (let i = 0; i < 3; i++) assertClose(f(images), model.forward(images));
  });
});

Deno.test(
  "compile() takes data back that another backend had in the meantime",
  native,
  async () => {
    const w = variable(vector(2)), offset = vector(1);
    using f = compile((x: Tensor1D) => ops.add(ops.mul(x, w), offset));
    for (let i = 0; i < 3; i++) {
      using x = vector(5), y = f(x);
      assert.equal(y.dataSync()[0], 11);
      await withBackend("cpu", () => tidy(() => void ops.add(w, offset).dataSync()));
    }
    w.dispose();
    offset.dispose();
  },
);

const w = variable(vector(1, 2));
const optimizer = sgd([w], { learningRate: 1, momentum: 0.5 });
const refused: Record<string, [f: (x: Tensor1D) => Tensor, message: RegExp]> = {
  "reads what it computes": [
    (x) => ops.mul(x, ops.sum(x).dataSync()[0]!),
    /must not read values of a tensor.* Return the tensor, and read it outside/,
  ],
  "reads its input": [
    (x) => ops.mul(x, x.dataSync()[0]!),
    /must not read values of a tensor/,
  ],
  "draws a number": [
    (x) => ops.mul(x, defaultRandom().integer(5)),
    /a draw in JavaScript.* Draw a tensor/,
  ],
  "makes a variable": [
    (x) => {
      const made = variable(ops.clone(x));
      const y = ops.neg(made);
      made.dispose();
      variable(y);
      return x;
    },
    /must not make a variable, found one \[2\]\. Make it outside/,
  ],
  "takes a step of an optimizer": [
    (x) => {
      optimizer.step([x]);
      return x;
    },
    /must not update a variable in place, as the step of an optimizer does\. Do that outside/,
  ],
};
for (const [name, [f, message]] of Object.entries(refused)) {
  Deno.test(`compile() refuses a function that ${name}`, native, () => {
    using compiled = compile(f);
    tidy(() => assert.throws(() => compiled(vector(1, 2)), { name: "RangeError", message }));
    assert.deepEqual([...w.dataSync()], [1, 2]);
  });
}

Deno.test("compile() refuses inputs and results that are not tensors", native, () => {
  // @ts-expect-error: it gives a number
  using number = compile((x: Tensor1D) => x.size);
  tidy(() => assert.throws(() => number(vector(1)), /the result must be tensors.* found 1/));
  using promise = compile(
    // @ts-expect-error: it gives a promise
    async (x: Tensor1D) => await Promise.resolve(x),
  );
  tidy(() => assert.throws(() => promise(vector(1)), TypeError));
  using f = compile((x: Tensor1D) => x);
  // @ts-expect-error: an array
  assert.throws(() => f([1]), { name: "TypeError", message: /an input/ });
});

Deno.test("compile() refuses labels that are no class when the graph runs", native, () => {
  using loss = compile((logits: Features, labels: Labels) => crossEntropy(logits, labels));
  tidy(() => {
    const logits = ops.zeros([1, 3]),
      labels = (label: number) => ops.tensor([label], undefined, "int32");
    for (let i = 0; i < 2; i++) assertClose(loss(logits, labels(2)), [Math.log(3)]);
    const message =
      "Running a compiled function: the labels must be from 0 to 2, as there are 3 logits, found 3.";
    for (let i = 0; i < 2; i++) {
      assert.throws(() => loss(logits, labels(3)), { name: "RangeError", message });
    }
    assertClose(loss(logits, labels(2)), [Math.log(3)]);
    using another = compile((logits: Features, labels: Labels) => crossEntropy(logits, labels));
    assert.throws(() => another(logits, labels(3)), {
      name: "RangeError",
      message:
        "Computing the cross-entropy: the labels must be from 0 to 2, as there are 3 logits, found 3.",
    });
  });
});

Deno.test("compile() keeps the parameter types of the function", async () => {
  const program = `
    import { compile, type Images, lenet } from "resnet-lab";
    const predict = compile((images: Images<1>) => lenet().forward(images));
    declare const rgb: Images<3>;
    predict(rgb);`;
  assert.match(await errorsOfCompiler(program), /Images<3>.* not assignable to .*Images<1>/);
});

const checked: Record<string, [(indices: Tensor1D) => Tensor, subject: string]> = {
  oneHot: [(indices) => ops.oneHot(indices, 3), "One-hot encoding: a label"],
  gather: [(indices) => ops.gather(ops.tensor([5, 6, 7]), indices), "Gathering: an index"],
  cropAndResize: [
    (indices) =>
      ops.cropAndResize(ops.ones([3, 2, 2, 1]), ops.tensor([[0, 0, 1, 1]]), indices, [2, 2]),
    "Cropping images: an image index",
  ],
  "crossEntropy with label smoothing": [
    (indices) => crossEntropy(ops.zeros([1, 3]), indices, { labelSmoothing: 0.1 }),
    "One-hot encoding: a label",
  ],
};
for (const [name, [work, subject]] of Object.entries(checked)) {
  Deno.test(`${name} checks its indices in a compiled function too`, () => {
    const index = (value: number) => ops.tensor([value], undefined, "int32");
    using f = compile(work);
    tidy(() => {
      for (let i = 0; i < 4; i++) assertClose(f(index(i % 3)), work(index(i % 3)));
      for (const wrong of [3, -1, 2 ** 31 - 1]) {
        assert.throws(() => f(index(wrong)), {
          name: "RangeError",
          message: name.startsWith("crossEntropy") && backend() !== "tensorflow"
            ? /must be from 0 to 2/
            : `${subject} must be from 0 to 2, found ${wrong}.`,
        });
      }
      assertClose(f(index(1)), work(index(1)));
      using first = compile(work);
      assert.throws(() => first(index(3)), { name: "RangeError", message: /from 0 to 2.*found 3/ });
    });
  });
}

Deno.test("compile() names the function that reads values", native, () => {
  function myLoss(x: Tensor1D) {
    return ops.scalar(x.dataSync()[0]!);
  }
  const refused: [(x: Tensor1D) => Tensor, string][] = [
    [myLoss, "myLoss\\(\\)"],
    [(x) => ops.scalar(gradientNorm([x])), "gradientNorm\\(\\)"],
  ];
  for (const [work, name] of refused) {
    using f = compile(work);
    tidy(() => {
      assert.throws(() => f(vector(1, 2)), {
        name: "RangeError",
        message: new RegExp(
          `^Compiling a function: the function must not read values of a tensor, which a graph cannot wait for, found a read in ${name}. Return the tensor`,
        ),
      });
    });
  }
});
