import assert from "node:assert/strict";
import {
  captureActivations,
  conv2d,
  dispose,
  dropout,
  type Features,
  flatten,
  globalAveragePool,
  type Images,
  linear,
  Module,
  onForward,
  ops,
  relu,
  sequential,
  type Tensor,
  tidy,
} from "resnet-lab";
import { assertClose, assertNoLeak, testOnEachBackend } from "../_helpers.ts";
import { someImages } from "./_helpers.ts";

testOnEachBackend(
  "onForward() calls the hook for each module, inner modules first",
  () => {
    const model = sequential(linear(2, 3), sequential(relu(), dropout(0.5)));
    const x = ops.tensor([[1, -1]]);
    const seen: [string, unknown, string][] = [];
    const y = onForward(model, x, ({ path, module, input, output }) => {
      seen.push([
        path,
        module.describe(),
        `${(input as Tensor).shape} → ${(output as Tensor).shape}`,
      ]);
    }, { training: true });
    assert.deepEqual((y as Tensor).shape, [1, 3]);
    assert.deepEqual(seen, [
      ["0", "linear 2 → 3", "1,2 → 1,3"],
      ["1.0", "relu", "1,3 → 1,3"],
      ["1.1", "dropout 0.5", "1,3 → 1,3"],
      ["1", "sequential", "1,3 → 1,3"],
      ["", "sequential", "1,2 → 1,3"],
    ]);
  },
);

Deno.test("onForward() puts a tensor that the hook returns in the place of a module's output", async () => {
  using model = sequential(linear(2, 2), relu(), linear(2, 1));
  model.parameters().forEach((parameter) => parameter.assign(ops.ones(parameter.shape)));
  const seen: unknown[] = [];
  using x = ops.tensor([[3, 4]]);
  await assertNoLeak(() => {
    const y = tidy(() =>
      onForward(model, x, ({ path, input, output }) => {
        if (path === "2") seen.push(...(input as Tensor).dataSync());
        if (path === "0") return ops.mul(output as Tensor, ops.tensor([0, 10]));
      })
    );
    // Both units are 3 + 4 + 1; the first is silenced, the second ten times as large.
    assert.deepEqual([seen, ...y.dataSync()], [[0, 80], 81]);
    y.dispose();
  });
  // Without the hook the model is as before.
  using y = model.forward(x);
  assert.deepEqual([...y.dataSync()], [17]);
});

Deno.test("onForward() passes on the training option", () => {
  const model = sequential(dropout(0.9));
  let values = new Set<number>();
  onForward(model, ops.ones([100]), ({ output }) => {
    values = new Set((output as Tensor).dataSync());
  }, { training: true });
  assert.equal(values.size, 2);
});

const failing = () => sequential(flatten(), sequential(linear(8, 4), linear(5, 2) as never));

Deno.test("onForward() names the innermost module of an error once, and keeps its class and cause", async () => {
  using model = failing();
  const x = ops.ones([1, 2, 2, 2]);
  await assertNoLeak(() =>
    assert.throws(() => tidy(() => void onForward(model, x, () => {})), (error) => {
      assert(error instanceof RangeError && error.cause instanceof RangeError);
      assert.equal(
        error.message,
        "At 1.1 (linear 5 → 2): the input must be [batch, features 5], found [1, 4].",
      );
      assert.equal(
        error.cause.message,
        "linear 5 → 2: the input must be [batch, features 5], found [1, 4].",
      );
      return true;
    })
  );
  const wrong = sequential(conv2d(1, 1, { kernelSize: 5 }));
  assert.throws(() => onForward(wrong, ops.ones([1, 3, 3, 1]), () => {}), {
    name: "RangeError",
    message:
      /^At 0 \(conv2d 1 → 1, 5×5\): .*the images must be at least 5×5 for a window of 5×5 with padding 0, found 3×3/,
  });
  assert.throws(() => onForward(model, ops.ones([1, 2, 2, 2], "int32"), () => {}), {
    name: "TypeError",
    message: "At 0 (flatten): the input must be float32, found int32.",
  });
  // The model itself has no path to name.
  assert.throws(() => onForward(linear(2, 2), ops.ones([1, 3]), () => {}), {
    message: "linear 2 → 2: the input must be [batch, features 2], found [1, 3].",
  });
});

Deno.test("onForward() passes on an error of the hook unchanged", () => {
  const stop = new Error("enough");
  const model = sequential(sequential(relu()), relu());
  assert.throws(
    () =>
      onForward(model, ops.ones([1]), () => {
        throw stop;
      }),
    (error) => error === stop,
  );
});

Deno.test("onForward() keeps the message of an error of another class after the path", () => {
  class Broken extends Module<Tensor, Tensor> {
    override forward(): Tensor {
      throw new Error("out of order");
    }
  }
  assert.throws(() => onForward(sequential(new Broken()), ops.ones([1]), () => {}), {
    name: "Error",
    message: "At 0 (Broken): out of order",
  });
});

Deno.test("onForward() restores the forward methods after a success, an error, and nested hooks", () => {
  class Own extends Module<Tensor, Tensor> {
    override forward = (x: Tensor): Tensor => ops.neg(x);
  }
  const own = new Own();
  own.namedModules(); // Guards a forward that is a field, once.
  const before = own.forward;
  const model = sequential(own, relu());
  const isPlain = () => {
    assert.equal(own.forward, before);
    assert.deepEqual(Object.keys(model.layers[1]), ["name"]);
    assert(!Object.hasOwn(model, "forward") && !Object.hasOwn(model.layers[1], "forward"));
  };
  const x = ops.ones([2]);
  onForward(model, x, () => {});
  isPlain();
  assert.throws(() => onForward(model, ops.ones([2], "int32"), () => {}));
  isPlain();
  const seen: string[] = [];
  let nested = false;
  onForward(model, x, ({ path }) => {
    seen.push(path);
    if (nested) return;
    nested = true;
    onForward(model, x, ({ path }) => seen.push(`inner ${path}`));
  });
  isPlain();
  assert(seen.includes("inner 1") && seen.at(-1) === "");
});

testOnEachBackend(
  "captureActivations() keeps the output of each module and no other tensor",
  async () => {
    using model = sequential(conv2d(2, 3, { kernelSize: 3 }), relu(), globalAveragePool());
    const x = someImages(2, 5, 5, 2);
    await assertNoLeak(() => {
      const activations = captureActivations(model, x);
      assert.deepEqual([...activations].map(([path, { shape }]) => [path, shape]), [
        ["0", [2, 3, 3, 3]],
        ["1", [2, 3, 3, 3]],
        ["2", [2, 3]],
      ]);
      const [convolved, positive, pooled] = [...activations.values()];
      tidy(() => {
        assertClose(positive!, ops.relu(convolved!), 0);
        assertClose(pooled!, ops.mean(positive!, [1, 2]));
        assertClose(pooled!, model.forward(x));
      });
      dispose([...activations.values()]);
    });
  },
);

Deno.test("captureActivations() works inside tidy, and returns the last output of a module that runs twice", async () => {
  class Twice extends Module<Features<2>, Features<2>> {
    readonly layer = linear(2, 2, { useBias: false });
    override forward(x: Features<2>) {
      return tidy(() => this.layer.forward(this.layer.forward(x)));
    }
  }
  using model = new Twice();
  model.layer.weight.assign(ops.tensor([[2, 0], [0, 3]]));
  const x = ops.tensor([[1, 1]]);
  await assertNoLeak(() => {
    const activations = captureActivations(model, x);
    assertClose(activations.get("layer")!, [4, 9]);
    dispose([...activations.values()]);
  });
});

Deno.test("captureActivations() leaves no tensor when a module fails", async () => {
  using model = failing();
  const x = ops.ones([1, 2, 2, 2]);
  await assertNoLeak(() => assert.throws(() => captureActivations(model, x), /At 1\.1/));
});

Deno.test("onForward() and captureActivations() refuse a value that is not a module", () => {
  assert.throws(() => onForward(relu as never, undefined as never, () => {}), {
    name: "TypeError",
    message:
      "Running a model with a hook: the model must be a module, found the function relu (call it: relu()).",
  });
});

Deno.test("captureActivations() leaves out an output that is not a tensor", () => {
  class Both extends Module<Images, { embedding: Features; logits: Features }> {
    readonly pool = globalAveragePool();
    override forward(images: Images) {
      const embedding = this.pool.forward(images);
      return { embedding, logits: ops.neg(embedding) };
    }
  }
  const activations = captureActivations(sequential(new Both()), someImages(1, 2, 2, 3));
  assert.deepEqual([...activations.keys()], ["0.pool"]);
});
