import assert from "node:assert/strict";
import {
  adaptiveAveragePool,
  avgPool,
  batchNorm,
  conv2d,
  dropout,
  flatten,
  gelu,
  globalAveragePool,
  type Images,
  initializers,
  leakyRelu,
  linear,
  localResponseNorm,
  maxPool,
  ops,
  parallel,
  Random,
  relu,
  residual,
  Sequential,
  sequential,
  setSeed,
  sigmoid,
  summary,
  tanh,
  tidy,
  valueAndGradients,
} from "resnet-lab";
import { Parallel, Residual } from "../../lib/nn/internal.ts";
import { assertClose, assertNoLeak, testOnEachBackend } from "../_helpers.ts";
import { assertGradientsByDifferences, assertLeavesOnlyOutput, someImages } from "./_helpers.ts";

const one = { kernelSize: 1, useBias: false } as const;
const times = (factor: number) => ({ ...one, weightInitializer: initializers.constant(factor) });

testOnEachBackend("sequential by hand: the layers in their order", () => {
  const model = sequential(
    linear(1, 1, { weightInitializer: initializers.constant(2) }),
    relu(),
    linear(1, 1, { weightInitializer: initializers.constant(-3) }),
  );
  assert.deepEqual(model.forward(ops.tensor([[1], [-1]])).arraySync(), [[-6], [0]]);
  assert.deepEqual([...model.namedParameters().keys()], [
    "0.weight",
    "0.bias",
    "2.weight",
    "2.bias",
  ]);
});

testOnEachBackend("residual by hand: y = body(x) + shortcut(x)", () => {
  const x = ops.tensor([1, 2, 3, 4], [1, 2, 2, 1]);
  assertClose(residual(conv2d(1, 1, times(10))).forward(x), [11, 22, 33, 44]);
  const projected = residual(conv2d(1, 2, times(10)), conv2d(1, 2, times(-1)));
  assertClose(projected.forward(x), [9, 9, 18, 18, 27, 27, 36, 36]);
  assert.deepEqual([...projected.namedParameters().keys()], ["body.weight", "shortcut.weight"]);
  assert.deepEqual([...residual(linear(2, 2)).namedParameters().keys()], [
    "body.weight",
    "body.bias",
  ]);
});

testOnEachBackend("residual() with a body that returns zeros is the identity", () => {
  const block = residual(
    sequential(conv2d(2, 2, { kernelSize: 3, padding: 1 }), conv2d(2, 2, times(0))),
  );
  const x = someImages(2, 3, 3, 2);
  assertClose(block.forward(x), x, 0);
});

testOnEachBackend("parallel by hand: channels in the order of the branches", () => {
  const block = parallel(
    conv2d(1, 1, times(2)),
    maxPool({ kernelSize: 1 }),
    conv2d(1, 2, times(3)),
  );
  const y: Images<4> = block.forward(ops.tensor([1, 5], [1, 1, 2, 1]));
  assert.deepEqual(y.arraySync(), [[[[2, 1, 3, 3], [10, 5, 15, 15]]]]);
  assert.deepEqual([...block.namedParameters().keys()], ["0.weight", "2.weight"]);
});

testOnEachBackend("containers: gradients by central differences, for x and every parameter", () => {
  const model = sequential(
    parallel(conv2d(2, 1, { kernelSize: 3, padding: 1 }), conv2d(2, 2, { kernelSize: 1 })),
    residual(sequential(conv2d(3, 3, { kernelSize: 1 }), tanh())),
    residual(
      conv2d(3, 2, { kernelSize: 1, stride: 2 }),
      conv2d(3, 2, { kernelSize: 1, stride: 2 }),
    ),
    globalAveragePool(),
    linear(2, 2),
  );
  assertGradientsByDifferences((x) => model.forward(x), someImages(1, 3, 3, 2), model.parameters());
});

testOnEachBackend("containers leave their output and no other tensor", async () => {
  const body = sequential(conv2d(2, 2, { kernelSize: 3, padding: 1 }), batchNorm(2), relu());
  const images = someImages(3, 4, 4, 2);
  for (
    const model of [
      body,
      residual(body),
      residual(body, conv2d(2, 2, one)),
      parallel(body, maxPool({ kernelSize: 1 })),
      sequential(residual(body), parallel(body, body), globalAveragePool()),
    ]
  ) {
    for (const training of [true, false]) {
      assertLeavesOnlyOutput(() => model.forward(images, { training }));
      await assertNoLeak(() =>
        tidy(() => {
          const loss = () => ops.sum(model.forward(images, { training }));
          valueAndGradients(loss, model.parameters());
        })
      );
    }
  }
});

testOnEachBackend(
  "every parameter of a network of every layer gets a finite gradient that is not zero",
  () => {
    setSeed(1);
    const k3 = { kernelSize: 3, padding: 1, useBias: false } as const;
    using model = sequential(
      conv2d(2, 6, { kernelSize: 3, padding: 1, groups: 2, dilation: 2 }),
      leakyRelu(),
      localResponseNorm({ size: 3 }),
      maxPool({ kernelSize: 3, stride: 2, padding: 1 }),
      residual(sequential(batchNorm(6), relu(), conv2d(6, 6, k3))),
      parallel(
        sequential(conv2d(6, 4, k3), batchNorm(4), gelu()),
        sequential(
          avgPool({ kernelSize: 3, stride: 1, padding: 1 }),
          conv2d(6, 2, { kernelSize: 1 }),
        ),
      ),
      residual(
        sequential(conv2d(6, 8, { ...k3, stride: 2 }), batchNorm(8), sigmoid()),
        conv2d(6, 8, { kernelSize: 1, stride: 2 }),
      ),
      adaptiveAveragePool([2, 2]),
      flatten(),
      dropout(0.2),
      linear(32, 8, { useBias: false }), // a bias before a batch norm has no gradient
      batchNorm(8),
      tanh(),
      linear(8, 3),
    );
    tidy(() => {
      const images = new Random(2).normal([4, 12, 12, 2]);
      const { gradients } = valueAndGradients(
        () => ops.sum(ops.square(model.forward(images, { training: true }))),
        model.parameters(),
      );
      [...model.namedParameters()].forEach(([path, { shape }], i) => {
        assert.deepEqual(gradients[i]!.shape, shape);
        const values = gradients[i]!.dataSync();
        assert(values.every(Number.isFinite), path);
        assert(values.some((value) => Math.abs(value) > 1e-6), path);
      });
    });
  },
);

Deno.test("sequential, residual and parallel pass on the training option", () => {
  const model = sequential(
    residual(dropout(0.9)),
    parallel(dropout(0.9), sequential(dropout(0.9))),
    residual(relu(), dropout(0.9)),
  );
  const ones = ops.ones([1, 8, 8, 4]);
  const still = model.forward(ones);
  assertClose(still, ops.full(still.shape, 4), 0);
  const layers = [residual(dropout(0.9)), parallel(dropout(0.9)), residual(relu(), dropout(0.9))];
  for (const layer of [...layers, sequential(dropout(0.9))]) {
    const values = new Set(layer.forward(ones, { training: true }).dataSync());
    assert.equal(values.size, 2, layer.describe());
  }
});

Deno.test("sequential() counts a layer that it holds twice once", () => {
  const shared = linear(3, 3);
  const model = sequential(shared, relu(), shared);
  assert.equal(model.parameters().length, 2);
  const table = summary(model, [3]);
  assert.deepEqual(table.rows.map(({ path, parameters, macs }) => [path, parameters, macs]), [
    ["0", 12, 18],
    ["1", 0, 0],
  ]);
  assert.deepEqual([table.parameters, table.macs], [12, 18]);
});

Deno.test("summary() reports the output shapes of containers", () => {
  const model = sequential(
    conv2d(3, 4, { kernelSize: 3, stride: 2, padding: 1 }),
    residual(conv2d(4, 4, { kernelSize: 3, padding: 1 })),
    parallel(conv2d(4, 5, one), conv2d(4, 6, one)),
    flatten(),
  );
  assert.deepEqual(model.forward(ops.zeros([2, 7, 6, 3])).shape, [2, 4 * 3 * 11]);
  assert.deepEqual(
    summary(model, [7, 6, 3], { depth: 1 }).rows.map(({ outputShape }) => outputShape),
    [[4, 3, 4], [4, 3, 4], [4, 3, 11], [132]],
  );
});

Deno.test("sequential(), residual() and parallel() refuse values that are not modules", async () => {
  const conv = conv2d(3, 8, { kernelSize: 3 });
  const forgot = "must be a module, found the function relu (call it: relu())";
  for (
    const [build, message] of [
      [() => sequential(), "sequential: there must be at least one layer, found none"],
      [() => parallel(), "parallel: there must be at least one branch, found none"],
      [() => sequential(conv, relu as never), `sequential: layer 1 ${forgot}`],
      [
        () => sequential((() => relu()) as never),
        "sequential: layer 0 must be a module, found a function (was it meant to be called?)",
      ],
      [
        () => sequential(undefined as never),
        "sequential: layer 0 must be a module, found undefined",
      ],
      [
        () => sequential([conv, "relu"] as never),
        'sequential: layer 0 must be a module, found [the module conv2d 3 → 8, 3×3, "relu"]. Spread the array: ...layers',
      ],
      [() => parallel(conv, null as never), "parallel: branch 1 must be a module, found null"],
      [() => residual(relu as never), `residual: the body ${forgot}`],
      [() => residual(conv as never, relu as never), `residual: the shortcut ${forgot}`],
      [
        () => residual(conv as never, ops.ones([2]) as never),
        "residual: the shortcut must be a module, found a tensor of float32 [2]",
      ],
      [() => new Sequential([relu as never]), `sequential: layer 0 ${forgot}`],
      [() => new Parallel([relu as never]), `parallel: branch 0 ${forgot}`],
      [
        () => new Residual({} as never, undefined),
        "residual: the body must be a module, found an object",
      ],
    ] as const
  ) {
    const name = message.includes("at least one") ? "RangeError" : "TypeError";
    assert.throws(build, { name, message: `Building ${message}.` });
  }
  await assertNoLeak(() => assert.throws(() => sequential()));
});

testOnEachBackend(
  "residual and parallel refuse outputs of different shapes, and leave no tensor",
  async () => {
    const x = someImages(1, 4, 4, 2);
    await assertNoLeak(
      () =>
        assert.throws(() => residual(conv2d(2, 2, { kernelSize: 3 })).forward(x), {
          name: "RangeError",
          message:
            "residual: the output of the body must have the shape of the input, to which it is added, found a tensor " +
            "of float32 [1, 2, 2, 2] and a tensor of float32 [1, 4, 4, 2]. Give the shortcut the same stride and channels as the body.",
        }),
      2,
    );
    const block = residual(
      conv2d(2, 3, { kernelSize: 3, stride: 2, padding: 1 }),
      conv2d(2, 3, one),
    );
    await assertNoLeak(() =>
      assert.throws(() => block.forward(x), {
        name: "RangeError",
        message:
          "residual: the output of the body must have the shape of the output of the shortcut, to which it is added, found a tensor " +
          "of float32 [1, 2, 2, 3] and a tensor of float32 [1, 4, 4, 3]. Give the shortcut the same stride and channels as the body.",
      })
    );
    const joined = parallel(conv2d(2, 3, one), maxPool({ kernelSize: 2 }));
    await assertNoLeak(() =>
      assert.throws(() => joined.forward(x), {
        name: "RangeError",
        message:
          "parallel: the outputs of all branches must be images of one batch, height and width, found a tensor of " +
          "float32 [1, 4, 4, 3] of branch 0 and a tensor of float32 [1, 2, 2, 2] of branch 1.",
      })
    );
    const pooled = parallel(globalAveragePool() as never);
    await assertNoLeak(() =>
      assert.throws(() => pooled.forward(x as never), {
        name: "RangeError",
        message: /^parallel: the outputs of all branches/,
      })
    );
  },
);

Deno.test("summary() names a residual block that does not fit", () => {
  const model = sequential(conv2d(1, 2, one), residual(conv2d(2, 2, { kernelSize: 3 })));
  assert.throws(() => summary(model, [4, 4, 1]), {
    name: "RangeError",
    message:
      /^At 1 \(residual\): the output of the body must have the shape of the input, .* found a tensor of float32 \[1, 2, 2, 2\] and/,
  });
});

Deno.test("forward() of a container names the path of the innermost layer that fails, once", () => {
  const body = sequential(relu(), conv2d(4, 8, { kernelSize: 1 }));
  const inner = sequential(relu(), residual(body as never) as never);
  const model = sequential(relu(), parallel(relu(), inner as never));
  const fails = (run: () => unknown, message: RegExp, name = "RangeError") =>
    assert.throws(run, (error: Error) => {
      assert.equal(error.name, name);
      assert.match(error.message, message);
      assert.match(error.stack!, message);
      return true;
    });
  const x = ops.zeros([1, 2, 2, 4]) as never;
  // The layer itself is the model here.
  fails(
    () => conv2d(2, 8, { kernelSize: 1 }).forward(x),
    /^(RangeError: )?conv2d 2 → 8, 1×1: the input must be/,
  );
  fails(
    () => model.forward(ops.zeros([1, 2, 2, 3]) as never),
    /^(RangeError: )?At 1\.1\.1\.body\.1 \(conv2d 4 → 8, 1×1\): the input must be/,
  );
  // The residual fails: its body has run.
  fails(() => model.forward(x), /^(RangeError: )?At 1\.1\.1 \(residual\): the output/);
  class Mistake extends Error {
    override name = "Mistake";
  }
  const mine = sequential(relu(), relu());
  mine.layers[1].forward = () => {
    throw new Mistake("mine");
  };
  fails(() => mine.forward(x), /^(Mistake: )?At 1 \(relu\): mine/, "Mistake");
  fails(() => summary(mine, [2, 2, 4]), /^(Error: )?At 1 \(relu\): mine/, "Error");
});
