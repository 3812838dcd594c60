/**
 * Whatever a compiled function depends on besides tensors must not stay as it was at the first
 * call.
 */
import assert from "node:assert/strict";
import {
  backend,
  compile,
  dropout,
  dynamicConv2d,
  type Images,
  linear,
  Module,
  ops,
  sequential,
  type Tensor,
  type Tensor1D,
  type Tensor2D,
  tidy,
  valueAndGradients,
  variable,
} from "resnet-lab";
import { assertClose, collectGarbage, testOnEachBackend } from "../_helpers.ts";
import { keep } from "../../lib/tensor/internal.ts";

const native = { ignore: backend() !== "tensorflow" };
const vector = (...values: number[]): Tensor1D => ops.tensor(values);

/** A module with state of every kind; `forward` multiplies by all of it. */
class Scale extends Module<Tensor1D, Tensor1D> {
  factor = 1;
  isOn = true;
  mode = "plain";
  list = [1, 2];
  options: Record<string, number> = { by: 1 };
  table = new Map([["by", 1]]);
  chosen = new Set(["a"]);
  typed = Float32Array.of(1);
  config = new Config();
  inner: Module<Tensor1D, Tensor1D> | undefined;
  activation: (x: Tensor1D) => Tensor1D = (x) => x;
  mask: Tensor1D = vector(1);
  #hidden = 1;
  get hidden(): number {
    return this.#hidden;
  }
  set hidden(value: number) {
    this.#hidden = value;
  }
  override forward(x: Tensor1D): Tensor1D {
    const factor = this.factor * (this.isOn ? 1 : 3) * (this.mode === "plain" ? 1 : 5) *
      this.list.reduce((sum, x) => sum + x, -2) * this.options.by! * (this.options.more ?? 1) *
      this.table.get("by")! * this.chosen.size * this.typed[0]! * this.config.nested.by *
      this.hidden * (this.isFrozen ? 7 : 1);
    const y = ops.mul(ops.mul(this.activation(x), factor), this.mask);
    return this.inner ? this.inner.forward(y) : y;
  }
}
class Config {
  nested = { by: 1 };
}
class Double extends Module<Tensor1D, Tensor1D> {
  override forward(x: Tensor1D): Tensor1D {
    return ops.mul(x, 2);
  }
}

const changes: Record<string, [change: (model: Scale) => void, factor: number]> = {
  "a number": [(model) => model.factor = 4, 4],
  "a boolean": [(model) => model.isOn = false, 3],
  "a string": [(model) => model.mode = "other", 5],
  "an element of an array": [(model) => model.list[1] = 5, 4],
  "the length of an array": [(model) => model.list.push(3), 4],
  "a field of a record": [(model) => model.options.by = 4, 4],
  "a new field of a record": [(model) => model.options.more = 4, 4],
  "an entry of a map": [(model) => model.table.set("by", 4), 4],
  "a member of a set": [(model) => model.chosen.add("b"), 2],
  "an element of a typed array": [(model) => model.typed[0] = 4, 4],
  "a field of an object in a field": [(model) => model.config.nested.by = 4, 4],
  "an object in a field": [
    (model) => model.config = Object.assign(new Config(), { nested: { by: 4 } }),
    4,
  ],
  "a private field with a setter": [(model) => model.hidden = 4, 4],
  "a module": [(model) => model.inner = new Double(), 2],
  "a function": [(model) => model.activation = (x) => ops.mul(x, 6), 6],
  "a tensor in a field": [(model) => model.mask = vector(4), 4],
  "whether it is frozen": [(model) => model.freeze(), 7],
  "its own forward": [(model) => model.forward = (x) => ops.mul(x, 9), 9],
};
for (const [name, [change, factor]] of Object.entries(changes)) {
  testOnEachBackend(`compile() notices when ${name} of a module changes`, () => {
    const model = new Scale();
    using f = compile((x: Tensor1D) => model.forward(x));
    tidy(() => {
      for (let i = 1; i <= 4; i++) assert.equal(f(vector(i)).dataSync()[0], i);
      change(model);
      for (let i = 1; i <= 4; i++) assert.equal(f(vector(i)).dataSync()[0], i * factor);
    });
  });
}

Deno.test(
  "compile() notices a change in a part of a model, and goes back to an earlier graph",
  native,
  () => {
    let runs = 0;
    class Counted extends Scale {
      override forward(x: Tensor1D): Tensor1D {
        runs++;
        return super.forward(x);
      }
    }
    const part = new Counted(), model = sequential(new Double(), part);
    using f = compile((x: Tensor1D) => model.forward(x));
    tidy(() => {
      for (const factor of [1, 3, 1, 3, 1]) {
        part.factor = factor;
        for (let i = 1; i <= 3; i++) assert.equal(f(vector(i)).dataSync()[0], 2 * i * factor);
      }
    });
    assert.equal(runs, 4, "two runs for each of the two graphs");
  },
);

Deno.test(
  "compile() has the temperature of dynamic convolutions as an input of the graph",
  native,
  () => {
    const model = sequential(dynamicConv2d(1, 2, { kernelSize: 1, kernels: 2 }));
    let runs = 0;
    using f = compile((x: Images<1>) => {
      runs++;
      return model.forward(x);
    });
    tidy(() => {
      const x = ops.ones([1, 2, 2, 1]);
      for (const temperature of [30, 20, 10, 5, 1, 0.1]) {
        model.layers[0].attention.temperature.assign(ops.scalar(temperature));
        assertClose(f(x), model.forward(x));
      }
    });
    assert.equal(runs, 2);
  },
);

Deno.test(
  "compile() refuses a function that depends on a variable around it, and names the op",
  native,
  () => {
    let factor = 2;
    using f = compile((x: Tensor1D) => ops.mul(x, factor));
    tidy(() => {
      for (let i = 1; i <= 4; i++) assert.equal(f(vector(i)).dataSync()[0], 2 * i);
      factor = 3;
      assert.throws(() => {
        for (let i = 5; i <= 16; i++) f(vector(i));
      }, {
        name: "RangeError",
        message:
          "Compiling a function: the function must do the same at each call with the same inputs, found that at call 16 the op Mul takes 3 " +
          "where it took 2. It depends on something in JavaScript that has changed. Pass that to the compiled function as " +
          "an input, or hold it in a public field of a module.",
      });
      // What it does now is compiled.
      for (let i = 1; i <= 4; i++) assert.equal(f(vector(i)).dataSync()[0], 3 * i);
    });
  },
);

Deno.test("compile() refuses what changes at each call at the third", native, () => {
  const refused: Record<string, [f: (x: Tensor1D, call: number) => Tensor, RegExp]> = {
    number: [(x, call) => ops.mul(x, call), /at call 3 the op Mul takes 3 where it took 2\./],
    op: [
      (x, call) => call % 2 ? ops.exp(x) : ops.neg(x),
      /at call 3 it runs the op Exp where it ran Neg/,
    ],
    count: [
      (x, call) => call % 2 ? ops.exp(x) : ops.exp(ops.exp(x)),
      /at call 3 it runs the op Identity where it ran Exp/,
    ],
    attribute: [(x, call) => ops.softmax(ops.reshape(x, call % 2 ? [1, 2] : [2, 1])), /at call 3 /],
    array: [
      (x, call) => ops.add(x, ops.tensor([call, 1])),
      /at call 3 the op Add.* takes 3,1 where it took 2,1/,
    ],
    tensor: [(x, call) => ops.add(x, outside[call % 2]!), /at call 3 it uses another tensor \[2\]/],
    variable: [
      (x, call) => ops.add(x, variables[call % 2]!),
      /at call 3 it uses another variable \[2\]/,
    ],
  };
  const outside = [vector(1, 2), vector(3, 4)];
  const variables = [variable(vector(1, 2)), variable(vector(3, 4))];
  for (const [name, [work, message]] of Object.entries(refused)) {
    let call = 0;
    using f = compile((x: Tensor1D) => work(x, ++call));
    tidy(() => {
      const x = vector(1, 2);
      f(x);
      f(x);
      assert.throws(() => f(x), { name: "RangeError", message }, name);
    });
  }
});

Deno.test("compile() lets a function prepare something at its first call", native, () => {
  let offset: Tensor1D | undefined;
  using f = compile((x: Tensor1D) => ops.add(x, offset ??= keep(vector(5))));
  tidy(() => {
    for (let i = 0; i < 20; i++) assert.equal(f(vector(i)).dataSync()[0], i + 5);
  });
});

testOnEachBackend("compile() takes numbers, booleans and strings as inputs", () => {
  using f = compile((x: Tensor1D, factor: number, negates: boolean, name: string) => {
    const y = ops.mul(x, factor);
    return ops.add(negates ? ops.neg(y) : y, name.length);
  });
  tidy(() => {
    for (let round = 0; round < 4; round++) {
      assert.equal(f(vector(3), 2, false, "ab").dataSync()[0], 8);
      assert.equal(f(vector(3), 2, true, "ab").dataSync()[0], -4);
      assert.equal(f(vector(3), 5, true, "").dataSync()[0], -15);
      assert.equal(f(vector(3), -0, true, "").dataSync()[0], 0);
    }
  });
  for (const wrong of [undefined, null, [1], { a: 1 }, () => 1]) {
    assert.throws(() => f(wrong as never, 1, true, ""), { name: "TypeError", message: /an input/ });
  }
});

Deno.test("compile() sees what forward counts as no change", native, () => {
  class Counter extends Module<Tensor1D, Tensor1D> {
    calls = 0;
    override forward(x: Tensor1D): Tensor1D {
      this.calls++;
      return ops.neg(x);
    }
  }
  const model = new Counter();
  using f = compile((x: Tensor1D) => model.forward(x));
  tidy(() => {
    for (let i = 0; i < 15; i++) f(vector(i));
  });
  assert.equal(model.calls, 2);
});

Deno.test("compile() keeps the last 16 graphs", native, () => {
  const runs: number[] = [];
  using f = compile((x: Tensor1D) => {
    runs.push(x.size);
    return ops.neg(x);
  });
  const call = (size: number) =>
    tidy(() => void assert.equal(f(ops.ones([size])).dataSync()[0], -1));
  for (let size = 1; size <= 17; size++) for (let i = 0; i < 3; i++) call(size);
  runs.length = 0;
  for (let size = 2; size <= 17; size++) call(size);
  assert.deepEqual(runs, []);
  call(1);
  assert.deepEqual(runs, [1], "size 1 was dropped");
  call(2);
  assert.deepEqual(runs, [1, 2], "and size 2 for it");
});

Deno.test("what a graph gave outlives the graph", native, async () => {
  const f = compile((x: Tensor1D) => ops.neg(x));
  const x = vector(1, 2);
  const results = [f(x), f(x), f(x), f(x)];
  f[Symbol.dispose]();
  await collectGarbage();
  for (const result of results) assert.deepEqual([...result.dataSync()], [-1, -2]);
  assert.deepEqual([...ops.add(results[3]!, 1).dataSync()], [0, -1]);
});

Deno.test("compile() follows the rate of a dropout", native, () => {
  const layer = dropout(0.5);
  using f = compile((x: Tensor2D) => layer.forward(x, { training: true }));
  tidy(() => {
    const x = ops.ones([100, 100]);
    const zeros = (y: Tensor) => ops.mean(ops.cast(ops.equal(y, 0), "float32")).dataSync()[0]!;
    for (let i = 0; i < 3; i++) assertClose(zeros(f(x)), 0.5, 0.05);
    Object.assign(layer, { rate: 0.1 });
    for (let i = 0; i < 3; i++) assertClose(zeros(f(x)), 0.1, 0.05);
  });
});

Deno.test("compile() follows which parameters are frozen", native, () => {
  const model = sequential(linear(2, 2), linear(2, 2));
  using f = compile((x: Tensor2D) => {
    const parameters = model.parameters();
    return valueAndGradients(() => ops.sum(model.forward(x)), parameters).gradients;
  });
  tidy(() => {
    const x = ops.ones([1, 2]);
    for (let i = 0; i < 3; i++) assert.equal(f(x).length, 4);
    model.freeze("0");
    for (let i = 0; i < 3; i++) assert.equal(f(x).length, 2);
  });
});

Deno.test("compile() refuses a function that calls Math.random()", () => {
  using f = compile((x: Tensor) => Math.random() < 0.5 ? ops.neg(x) : x);
  if (backend() === "tensorflow") {
    assert.throws(() => f(ops.ones([2])), {
      name: "RangeError",
      message:
        /^Compiling a function: the function must not call Math\.random\(\), .*, found a call in an unnamed function\./,
    });
  }
  assert.equal(typeof Math.random(), "number");
});
