import assert from "node:assert/strict";
import {
  batchNorm,
  conv2d,
  type Features,
  flatten,
  initializers,
  linear,
  lsuv,
  Module,
  ops,
  Random,
  relu,
  residual,
  sequential,
  setSeed,
  tidy,
} from "resnet-lab";
import { assertClose, assertNoLeak, testOnEachBackend } from "../_helpers.ts";

const deviation = (x: Parameters<typeof ops.variance>[0]) =>
  Math.sqrt(ops.variance(x).dataSync()[0]!);

testOnEachBackend(
  "lsuv() by hand: divides one linear layer by the deviation of its output",
  () => {
    const layer = linear(1, 1, { weightInitializer: initializers.constant(5) });
    // Outputs −15, −5, 5, 15: their deviation is √125.
    const before = lsuv(layer, ops.tensor([[-3], [-1], [1], [3]]));
    assertClose([...before.values()], [Math.sqrt(125)]);
    assert.deepEqual([...before.keys()], [""]);
    assertClose(layer.weight, [5 / Math.sqrt(125)]);
  },
);

testOnEachBackend("lsuv() makes the variance of every output 1, and leaves no tensor", async () => {
  setSeed(2);
  const small = { weightInitializer: initializers.normal(0.01) };
  using model = sequential(
    conv2d(2, 8, { kernelSize: 3, ...small }),
    relu(),
    residual(
      sequential(conv2d(8, 8, { kernelSize: 3, padding: 1, ...small }), batchNorm(8), relu()),
    ),
    flatten(),
    linear(8 * 4 * 4, 5, { weightInitializer: initializers.normal(3) }),
  );
  const images = new Random(6).normal([16, 6, 6, 2]);
  await assertNoLeak(() => {
    const before = lsuv(model, images);
    assert.deepEqual([...before.keys()], ["0", "2.body.0", "4"]);
    const [first, , last] = [...before.values()];
    assert(first! < 0.1 && last! > 3);
  });
  tidy(() => {
    const [conv, , block, , head] = model.layers;
    const x = relu().forward(conv.forward(images));
    assertClose(deviation(conv.forward(images)), 1, 0.01);
    assertClose(deviation(block.body.layers[0].forward(x)), 1, 0.01);
    assertClose(deviation(model.forward(images)), 1, 0.01);
    assertClose(head.bias!, new Float32Array(5), 0);
  });
});

Deno.test("lsuv() goes in the order of the forward pass, not of the fields", () => {
  class Backwards extends Module<Features<4>, Features<4>> {
    readonly second = linear(4, 4);
    readonly first = linear(4, 4, { weightInitializer: initializers.normal(20) });
    readonly unused = linear(4, 4, { weightInitializer: initializers.constant(0) });
    override forward(x: Features<4>) {
      return this.second.forward(ops.relu(this.first.forward(x)));
    }
  }
  const model = new Backwards();
  const x = new Random(1).normal([64, 4]);
  assert.deepEqual([...lsuv(model, x).keys()], ["first", "second"]);
  assertClose(deviation(model.first.forward(x)), 1, 0.01);
  assertClose(deviation(model.forward(x)), 1, 0.01);
  assertClose(model.unused.weight, new Float32Array(16), 0);
});

Deno.test("lsuv() repeats if there is a bias, and stops after maxPasses", () => {
  const make = () => {
    const layer = linear(2, 2, { weightInitializer: initializers.constant(10) });
    layer.bias?.assign(ops.tensor([-0.5, 0.5]));
    return layer;
  };
  const x = new Random(3).normal([64, 2]);
  const once = make(), often = make();
  lsuv(once, x, { maxPasses: 1 });
  lsuv(often, x, { tolerance: 1e-4, maxPasses: 50 });
  assert(Math.abs(deviation(once.forward(x)) - 1) > 0.05);
  assertClose(deviation(often.forward(x)), 1, 2e-4);
});

Deno.test("lsuv() refuses a constant output, a bad option and a bad model", async () => {
  using dead = sequential(
    linear(2, 2),
    linear(2, 3, { weightInitializer: initializers.constant(0) }),
  );
  const x = new Random(3).normal([8, 2]);
  await assertNoLeak(() =>
    assert.throws(() => lsuv(dead, x), {
      name: "RangeError",
      message:
        "Scaling layers to unit variance: the output of 1 (linear 2 → 3) must have a finite standard deviation above 0, found 0.",
    })
  );
  assert.throws(() => lsuv(dead, x, { tolerance: 0 }), {
    name: "RangeError",
    message: "Scaling layers to unit variance: tolerance must be a number above 0, found 0.",
  });
  assert.throws(() => lsuv(dead, x, { maxPasses: 0.5 }), {
    name: "RangeError",
    message:
      "Scaling layers to unit variance: maxPasses must be a whole number of at least 1, found 0.5.",
  });
  assert.throws(() => lsuv(linear as never, x as never), {
    name: "TypeError",
    message:
      "Scaling layers to unit variance: the model must be a module, found the function linear (call it: linear()).",
  });
  assert.throws(() => lsuv(dead, ops.ones([1, 3]) as never), /At 0 \(linear 2 → 2\)/);
});

testOnEachBackend("lsuv() scales shared weights once, for the layer that runs first", () => {
  class Tied extends Module<Features<4>, Features<4>> {
    readonly first = linear(4, 4, { useBias: false });
    readonly second = linear(4, 4, { useBias: false });
    constructor(readonly twice: boolean) {
      super();
      if (!twice) Object.assign(this.second, { weight: this.first.weight });
    }
    override forward(x: Features<4>) {
      const second = this.twice ? this.first : this.second;
      return tidy(() => second.forward(ops.mul(this.first.forward(x), 7)));
    }
  }
  const x = new Random(1).normal([64, 4]);
  for (const twice of [false, true]) {
    const model = new Tied(twice);
    const before = deviation(model.first.forward(x));
    const found = lsuv(model, x);
    assert.deepEqual([...found.keys()], ["first"]);
    assertClose([...found.values()], [before], 1e-4);
    assertClose(deviation(model.first.forward(x)), 1, 0.01);
  }
});

Deno.test("lsuv() leaves frozen layers alone, and the model as it was on an error", async () => {
  const model = sequential(linear(4, 4), linear(4, 4), linear(4, 2));
  const weights = () => model.layers.map(({ weight }) => [...weight.dataSync()]);
  const x = new Random(1).normal([64, 4]);
  model.freeze("1");
  const [, frozen] = weights();
  assert.deepEqual([...lsuv(model, x).keys()], ["0", "2"]);
  assert.deepEqual(weights()[1], frozen);

  model.layers[0].weight.assign(ops.mul(model.layers[0].weight, 5));
  model.layers[2].weight.assign(ops.zeros([4, 2]));
  const before = weights();
  await assertNoLeak(() => {
    assert.throws(
      () => lsuv(model, x),
      /the output of 2 \(linear 4 → 2\) must have a finite standard deviation above 0/,
    );
  });
  assert.deepEqual(weights(), before);
});
