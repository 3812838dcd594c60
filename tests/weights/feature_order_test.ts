/** Networks with custom forward passes that flatten feature maps in many ways, against PyTorch. */
import assert from "node:assert/strict";
import {
  adaptiveAveragePool,
  type AnyModule,
  batchNorm,
  conv2d,
  dropout,
  type Features,
  flatten,
  type Images,
  linear,
  loadStateDict,
  maxPool,
  Module,
  ops,
  Random,
  readSafetensors,
  relu,
  residual,
  sequential,
  stateDict,
  type Tensor,
  tidy,
  variable,
  writeSafetensors,
} from "resnet-lab";
import { assertClose, assertNoLeak, testOnEachBackend } from "../_helpers.ts";
import { fixture } from "./_helpers.ts";
import { StoredTensor } from "../../lib/weights/stored_tensor.ts";

const references: Record<string, { shape: number[]; output: number[] }> = JSON.parse(
  Deno.readTextFileSync(fixture("feature_order.json")),
);

/** The numbers of make_feature_order_fixtures.py. */
function numbers(shape: readonly number[], seed: number): number[] {
  const length = shape.reduce((product, axis) => product * axis, 1);
  return Array.from({ length }, (_, i) => ((i * 7919 + seed * 104729) % 1021) / 512 - 1);
}

/** A state dict as PyTorch writes it, for a model of these shapes. */
function file(shapes: ReadonlyMap<string, StoredTensor>): Map<string, StoredTensor> {
  const names = [...shapes.keys()].filter((name) => !name.endsWith("num_batches_tracked")).sort();
  return new Map(names.map((name, seed) => {
    const { shape } = shapes.get(name)!;
    const values = numbers(shape, seed)
      .map((x) => name.endsWith("running_var") ? Math.abs(x) + 0.5 : x / 2);
    return [name, new StoredTensor("F32", shape, new Uint8Array(new Float32Array(values).buffer))];
  }));
}

/** Layers of any type. */
type Parts = Record<string, Module<Images, Images> & Module<Tensor, Tensor>>;
// deno-lint-ignore no-explicit-any
type Any = any;

/** A network with the given layers, and a forward pass that does not run them in order. */
class Net extends Module<Tensor, Tensor> {
  constructor(parts: Any, readonly run: (parts: Any, x: Any) => Tensor) {
    super();
    Object.assign(this, parts);
  }
  override forward(x: Tensor): Tensor {
    const parts = this as unknown as Parts;
    const call = (name: string) => (x: Tensor) => parts[name]!.forward(x);
    return tidy(() => this.run(new Proxy({}, { get: (_, name) => call(String(name)) }), x));
  }
}
const net = (parts: Any, run: (parts: Any, x: Any) => Tensor) => () => new Net(parts(), run);
const conv = (from: number, to: number, kernelSize: number | [number, number] = 3) =>
  conv2d(from, to, { kernelSize });
const flat = (x: Tensor) => ops.reshape(x, [x.shape[0]!, -1]);
const gap = (x: Tensor) => ops.mean(x, [1, 2]);

/** The networks of make_feature_order_fixtures.py. */
const nets: Record<string, () => AnyModule & Module<Tensor, Tensor>> = {
  "fields": net(
    () => ({
      conv1: conv(2, 4),
      conv2: conv(4, 6),
      fc1: linear(48, 8),
      fc2: linear(8, 3),
      flatten: flatten(),
    }),
    (m, x) => m.fc2(ops.relu(m.fc1(m.flatten(ops.relu(m.conv2(ops.relu(m.conv1(x)))))))),
  ),
  "normalized": net(
    () => ({
      fc1: linear(24, 8),
      fc2: linear(8, 3),
      bn2: batchNorm(8),
      bn1: batchNorm(24),
      drop: dropout(0.5),
      conv: conv(2, 4),
    }),
    (m, x) => m.fc2(ops.relu(m.bn2(m.fc1(m.drop(ops.relu(m.bn1(flat(m.conv(x))))))))),
  ),
  "two heads": net(
    () => ({ a: linear(24, 2), b: linear(24, 3), conv: conv(2, 4) }),
    (m, x) => ops.concat([m.a(flat(m.conv(x))), m.b(flat(m.conv(x)))], 1),
  ),
  "residual of features": net(
    () => ({ fc: linear(24, 3), a: linear(24, 6), b: linear(6, 24), conv: conv(2, 4) }),
    (m, x) => {
      const features = flat(m.conv(x));
      return m.fc(ops.relu(ops.add(features, m.b(ops.relu(m.a(features))))));
    },
  ),
  "gated features": net(
    () => ({ fc: linear(24, 3), gate: linear(24, 24), conv: conv(2, 4) }),
    (m, x) => {
      const features = flat(m.conv(x));
      return m.fc(ops.mul(ops.sigmoid(m.gate(features)), features));
    },
  ),
  "joined": net(
    () => ({ fc: linear(4 + 48 + 5 + 18, 3), a: conv(2, 4), b: conv(2, 3, 4), c: linear(2, 5) }),
    (m, x) => m.fc(ops.concat([gap(m.a(x)), flat(m.a(x)), m.c(gap(x)), flat(m.b(x))], 1)),
  ),
  "one pixel": net(
    () => ({ fc: linear(6, 3), pool: adaptiveAveragePool([1, 1]), conv: conv(2, 6) }),
    (m, x) => m.fc(flat(m.pool(m.conv(x)))),
  ),
  "pooled": net(
    () => ({ fc: linear(36, 3), pool: adaptiveAveragePool([3, 2]), conv: conv(2, 6) }),
    (m, x) => m.fc(flat(m.pool(m.conv(x)))),
  ),
  "colour pixels": net(
    () => ({ b: linear(6, 3), a: linear(36, 6) }),
    (m, x) => m.b(ops.relu(m.a(flat(x)))),
  ),
  "grey pixels": net(
    () => ({ b: linear(6, 3), a: linear(12, 6) }),
    (m, x) => m.b(ops.relu(m.a(flat(x)))),
  ),
  "features": net(
    () => ({ b: linear(8, 3), a: linear(6, 8) }),
    (m, x) => m.b(ops.relu(m.a(x))),
  ),
  "maps of features": net(
    () => ({ fc: linear(8, 3), conv: conv(4, 2, [2, 4]), a: linear(6, 60) }),
    (m, x) => m.fc(flat(m.conv(ops.reshape(m.a(x), [-1, 3, 5, 4])))),
  ),
  "autoencoder": net(
    () => ({
      conv: conv2d(2, 4, { kernelSize: 3, padding: 1 }),
      code: linear(48, 4),
      up: linear(4, 60),
      conv2: conv(4, 2, [2, 4]),
    }),
    (m, x) => m.conv2(ops.reshape(m.up(ops.relu(m.code(flat(m.conv(x))))), [-1, 3, 5, 4])),
  ),
  "channels first": net(
    () => ({ fc: linear(24, 3), conv: conv(2, 4) }),
    (m, x) => m.fc(flat(ops.transpose(m.conv(x), [0, 3, 1, 2]))),
  ),
  "squeeze and excite": net(
    () => ({ fc: linear(4, 3), a: linear(4, 6), b: linear(6, 4), conv: conv(2, 4) }),
    (m, x) => {
      const maps = m.conv(x);
      const gates = ops.sigmoid(m.b(ops.relu(m.a(gap(maps)))));
      return m.fc(gap(ops.mul(maps, ops.reshape(gates, [-1, 1, 1, 4]))));
    },
  ),
  "spatial attention": net(
    () => ({ fc: linear(24, 3), one: conv(4, 1, 1), conv: conv(2, 4) }),
    (m, x) => {
      const maps = m.conv(x);
      const attended = ops.mul(maps, ops.sigmoid(m.one(maps)));
      return m.fc(flat(ops.add(attended, ops.mean(maps, [3], { keepDims: true }))));
    },
  ),
  "nested": net(
    () => ({
      head: sequential(flatten(), dropout(0.5), linear(24, 6), relu(), linear(6, 3)),
      body: sequential(conv(2, 4), relu(), maxPool({ kernelSize: 2, stride: 1 }), conv(4, 4, 1)),
    }),
    (m, x) => m.head(m.body(x)),
  ),
  "channel shuffle": net(
    () => ({ fc: linear(12, 3), conv: conv(2, 4), conv2: conv(4, 6) }),
    (m, x) => {
      const maps = m.conv(x), [n, h, w, c] = maps.shape;
      const groups = ops.reshape(maps, [n, h, w, 2, c / 2]);
      const shuffled = ops.reshape(ops.transpose(groups, [0, 1, 2, 4, 3]), [n, h, w, c]);
      return m.fc(flat(m.conv2(shuffled)));
    },
  ),
  "group norm": net(
    () => ({ fc: linear(24, 3), conv: conv(2, 4) }),
    (m, x) => {
      const maps = m.conv(x), [n, h, w, c] = maps.shape;
      const groups = ops.reshape(maps, [n, h, w, 2, c / 2]);
      const centred = ops.sub(groups, ops.mean(groups, [1, 2, 4], { keepDims: true }));
      const variance = ops.mean(ops.square(centred), [1, 2, 4], { keepDims: true });
      const normal = ops.div(centred, ops.sqrt(ops.add(variance, 1e-5)));
      return m.fc(flat(ops.reshape(normal, [n, h, w, c])));
    },
  ),
  "attention": net(
    () => ({
      fc: linear(4, 3),
      q: linear(4, 4),
      k: linear(4, 4),
      v: linear(4, 4),
      conv: conv(2, 4),
    }),
    (m, x) => {
      const maps = m.conv(x), [n, h, w, c] = maps.shape;
      const tokens = ops.reshape(maps, [n, h * w, c]);
      const part = (f: (x: Tensor) => Tensor) =>
        ops.reshape(f(ops.reshape(tokens, [n * h * w, c])), [n, h * w, c]);
      const scores = ops.batchMatMul(part(m.q), ops.transpose(part(m.k), [0, 2, 1]));
      const y = ops.batchMatMul(ops.softmax(scores), part(m.v));
      return m.fc(ops.mean(ops.add(tokens, y), [1]));
    },
  ),
  "run twice": net(
    () => ({ fc: linear(24, 3), conv: conv(2, 4) }),
    (m, x) => ops.add(m.fc(flat(m.conv(x))), m.fc(ops.abs(flat(m.conv(ops.neg(x)))))),
  ),
};

for (const [name, make] of Object.entries(nets)) {
  testOnEachBackend(
    `loadStateDict of a network of one's own gives what PyTorch computes: ${name}`,
    async () => {
      const { shape, output } = references[name]!;
      await assertNoLeak(() => {
        using model = make();
        const options = { inputShape: shape };
        const state = file(stateDict(model, options));
        loadStateDict(model, state, options);
        using x = ops.tensor(numbers([2, ...shape], 1), [2, ...shape]) as Tensor;
        using y = model.forward(x);
        assertClose(y, output, 1e-4);
        // The written state dict equals the one that was read.
        for (const [name, tensor] of stateDict(model, options)) {
          if (!state.has(name)) continue;
          assert.deepEqual(tensor.values(), state.get(name)!.values(), name);
        }
      });
    },
  );
}

/** Gives each input of a linear layer a different weight, and returns their order in PyTorch. */
function orderOf(model: AnyModule, path: string, layer: AnyModule, options = {}): number[] {
  const { weight } = layer as unknown as { weight: Any };
  const [inputs, outputs] = weight.shape;
  using values = ops.tensor(
    Array.from({ length: inputs * outputs }, (_, i) => Math.floor(i / outputs)),
  );
  using shaped = ops.reshape(values, weight.shape);
  weight.assign(shaped);
  return [...stateDict(model, options).get(`${path}.weight`)!.values().slice(0, inputs)].map(
    Number,
  );
}
/** The order in PyTorch of the features of 2×1 pixels and 3 channels, and of 3×1 and 2. */
const TWO_OF_THREE = [0, 3, 1, 4, 2, 5], THREE_OF_TWO = [0, 2, 4, 1, 3, 5];
const SAME = [0, 1, 2, 3, 4, 5];

Deno.test("stateDict() follows sequential, parallel and residual without an input shape", () => {
  const fc = linear(6, 1), point = conv(2, 3, 1), norm = batchNorm(3);
  const cases: [AnyModule, string, number[]][] = [
    [sequential(point, flatten(), fc), "2", TWO_OF_THREE],
    [sequential(point, norm, relu(), flatten(), dropout(0.1), relu(), fc), "6", TWO_OF_THREE],
    [sequential(residual(conv(3, 3, 1)), norm, flatten(), fc) as AnyModule, "3", TWO_OF_THREE],
    [sequential(conv(2, 6, 1), adaptiveAveragePool([1, 1]), flatten(), fc), "3", SAME],
    [sequential(point, adaptiveAveragePool([2, 1]), flatten(), fc), "3", TWO_OF_THREE],
    [sequential(point, flatten(), sequential(dropout(0.1), fc)), "2.1", TWO_OF_THREE],
    [sequential(point, flatten(), linear(12, 6), fc) as AnyModule, "3", SAME],
    [sequential(fc, relu()), "0", SAME],
  ];
  for (const [model, path, order] of cases) assert.deepEqual(orderOf(model, path, fc), order, path);
});

Deno.test("stateDict() takes a user's block among known layers as it is", () => {
  class Block extends Module<Images, Images> {
    readonly norm = batchNorm(2);
    readonly conv = conv(2, 2, 1);
    override forward(x: Images): Images {
      return tidy(() => ops.relu(this.conv.forward(this.norm.forward(x) as Images<2>)));
    }
  }
  const fc = linear(6, 1);
  const known = sequential(new Block(), conv(2, 3, 1), flatten(), fc) as AnyModule;
  assert.deepEqual(orderOf(known, "3", fc), TWO_OF_THREE);
  // The structure does not show how many channels the block returns.
  const unknown = sequential(new Block(), flatten(), fc) as AnyModule;
  assert.throws(
    () => loadStateDict(unknown, file(stateDict(unknown))),
    /order of the features that 2 takes must be known/,
  );
  assert.deepEqual(orderOf(unknown, "2", fc, { inputShape: [3, 1, 2] }), THREE_OF_TWO);
});

Deno.test("loadStateDict() refuses a file of another order than is known, and names inputShape", () => {
  const unclear: [AnyModule, layers: string][] = [
    [nets["fields"]!(), "fc1, fc2"],
    [nets["colour pixels"]!(), "b, a"],
    [nets["normalized"]!(), "fc1, fc2, bn2, bn1"],
    [sequential(flatten(), linear(784, 10)), "1"],
    [sequential(conv(2, 3, 1), flatten(), residual(linear(6, 6))) as AnyModule, "2.body"],
  ];
  for (const [model, layers] of unclear) {
    const message = new RegExp(
      `: the order of the features that ${layers} takes must be known, because PyTorch flattens feature maps by channel and this library by ` +
        "pixel, found that the fields of .* do not show it\\. Pass the shape of one input, .* \\{ inputShape: \\[28, 28, 1\\] \\}\\.$",
    );
    const state = file(stateDict(model));
    assert.throws(() => loadStateDict(model, state), { name: "RangeError", message });
    // Wrong names are reported first.
    state.set("wrong", state.values().next().value!);
    assert.throws(() => loadStateDict(model, state), /Not in the model: wrong \[/);
    // Within this library the order need not be known.
    loadStateDict(model, stateDict(model));
  }
  // Excepted layers need no order.
  const [fields] = unclear[0]!, state = file(stateDict(fields, { inputShape: [8, 6, 2] }));
  loadStateDict(fields, state, { except: ["fc1", "fc2"] });
  // A prime number of features has one order, as there is one pixel or one channel.
  assert.equal(stateDict(new Net({ fc: linear(7, 2) }, (m, x) => m.fc(flat(x)))).size, 2);
});

Deno.test("stateDict() refuses orders that a run does not show either", () => {
  const fc = linear(24, 3), inputShape = [5, 4, 2];
  const two = new Net(
    { conv: conv(2, 4), fc },
    (m, x) => {
      const maps = m.conv(x);
      return ops.add(m.fc(flat(maps)), m.fc(flat(ops.transpose(maps, [0, 3, 1, 2]))));
    },
  );
  const tokens = new Net({ conv: conv(2, 4), fc }, (m, x) => {
    const maps = m.conv(x);
    return m.fc(flat(ops.reshape(maps, [maps.shape[0], 6, 4])));
  });
  const own = variable(ops.ones([24, 3]));
  const behind = new Net(
    { conv: conv(2, 4), fc: linear(4, 3), own },
    (m, x) => m.fc(ops.pad(ops.matMul(flat(m.conv(x)) as Any, own), [[0, 0], [0, 1]])),
  );
  const twice = new Net(
    { conv: conv(2, 4), fc: linear(24, 24) },
    (m, x) => m.fc(m.fc(flat(m.conv(x)))),
  );
  for (const model of [two, tokens, behind]) {
    assert.throws(() => stateDict(model, { inputShape }), {
      name: "RangeError",
      message:
        /features that fc takes must be known, .*, found a forward pass in which it cannot be followed\. Flatten feature maps/,
    });
  }
  // The outputs of the layer are its inputs, so they have the order of the flatten too.
  assert.equal(stateDict(twice, { inputShape }).size, 4);
});

Deno.test("stateDict() refuses an inputShape that the model cannot run on", () => {
  const model = nets["fields"]!();
  for (
    const [inputShape, message] of [
      [
        [8, 6, 3],
        /must run on an input of inputShape \[8, 6, 3\], found the error: .*found \[2, 8, 6, 3\]/,
      ],
      [[8, 8, 2], /must run on an input of inputShape \[8, 8, 2\], found the error: /],
      [[8, 6.5, 2], /the input shape must be whole numbers of at least 1/],
      [[], /the input shape must be whole numbers of at least 1/],
      [28, /the input shape must be whole numbers of at least 1/],
    ] as const
  ) {
    const options = { inputShape: inputShape as unknown as number[] };
    assert.throws(() => stateDict(model, options), { name: "RangeError", message });
    assert.throws(() => loadStateDict(model, new Map(), options), { name: "RangeError", message });
  }
  const misspelt = { imageShape: [8, 6, 2] } as Any;
  assert.throws(
    () => stateDict(model, misspelt),
    /there is no option imageShape\. Did you mean inputShape\?/,
  );
  assert.throws(
    () => loadStateDict(model, new Map(), misspelt),
    /there is no option imageShape/,
  );
});

Deno.test("writeSafetensors() marks features of unknown order, and readSafetensors() reads them back", async () => {
  class Own extends Module<Images<2>, Features<3>> {
    readonly conv = conv(2, 4);
    readonly fc = linear(24, 3);
    override forward(x: Images<2>) {
      return tidy(() => this.fc.forward(flat(this.conv.forward(x))));
    }
  }
  const model = new Own(), copy = new Own(), x = new Random(3).normal([2, 5, 4, 2]);
  const y = model.forward(x).dataSync();
  const file = await Deno.makeTempFile();
  try {
    await writeSafetensors(file, stateDict(model));
    const names = [...await Deno.readTextFile(file)].join("").match(/"fc[^"]*"/g);
    assert.deepEqual(names, [
      '"fc.weight (features by row, column, channel)"',
      '"fc.bias (features by row, column, channel)"',
    ]);
    const read = await readSafetensors(file);
    assert.deepEqual([...read.keys()], [...stateDict(model).keys()]);
    loadStateDict(copy, read);
    assert.deepEqual(copy.forward(x).dataSync(), y);
    // An inputShape changes nothing, because the file says that the order is ours.
    loadStateDict(copy, stateDict(new Own()));
    loadStateDict(copy, read, { inputShape: [5, 4, 2] });
    assert.deepEqual(copy.forward(x).dataSync(), y);
  } finally {
    await Deno.remove(file);
  }
});

Deno.test("stateDict() takes the order of a layer that forward does not run from the option forward", () => {
  class WithAuxiliary extends Module<Images<2>, Features<3>> {
    readonly conv = conv(2, 4);
    readonly fc = linear(24, 3);
    readonly auxiliary = linear(24, 3);
    override forward(x: Images<2>) {
      return tidy(() => this.fc.forward(flat(this.conv.forward(x))));
    }
    forwardWithAuxiliary(x: Images<2>) {
      const maps = this.conv.forward(x);
      return [this.fc.forward(flat(maps)), this.auxiliary.forward(flat(maps))];
    }
  }
  const model = new WithAuxiliary(), inputShape = [5, 4, 2];
  assert.throws(() => stateDict(model, { inputShape }), {
    name: "RangeError",
    message:
      "Taking the state dict of a model: the order of the features that auxiliary takes must be known, because " +
      "PyTorch flattens feature maps by channel and this library by pixel, found that it does not run in the forward pass. " +
      "Pass a forward that runs it too, such as { inputShape, forward: (x) => model.forwardWithAuxiliary(x) }.",
  });
  const options = { inputShape, forward: (x: Images<2>) => model.forwardWithAuxiliary(x) };
  model.auxiliary.weight.assign(model.fc.weight);
  const state = stateDict(model, options);
  assert.deepEqual(
    state.get("auxiliary.weight")!.tensor().arraySync(),
    state.get("fc.weight")!.tensor().arraySync(),
  );
  const before = model.auxiliary.weight.arraySync();
  loadStateDict(model, state, options);
  assert.deepEqual(model.auxiliary.weight.arraySync(), before);
  assert.throws(
    () => stateDict(model, { forward: options.forward }),
    /the input shape must be whole numbers .* found undefined/,
  );
});
