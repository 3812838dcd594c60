import assert from "node:assert/strict";
import {
  type Initializer,
  initializers,
  linear,
  ops,
  Random,
  relu,
  sequential,
  setSeed,
  tanh,
  tidy,
} from "resnet-lab";
import { fansOf } from "../../lib/nn/internal.ts";
import { assertClose, assertNoLeak, testOnEachBackend } from "../_helpers.ts";

Deno.test("fansOf() returns PyTorch's fans for linear layers, convolutions and groups", () => {
  assert.deepEqual(fansOf([5, 7]), { fanIn: 5, fanOut: 7 });
  assert.deepEqual(fansOf([3, 3, 16, 32]), { fanIn: 144, fanOut: 288 });
  assert.deepEqual(fansOf([5, 1, 2, 4]), { fanIn: 10, fanOut: 20 });
  assert.deepEqual(fansOf([3, 3, 1, 32]), { fanIn: 9, fanOut: 288 });
  for (const shape of [[], [4]]) {
    assert.throws(() => fansOf(shape), {
      name: "RangeError",
      message: `Counting fans: the shape must end in inputs and outputs, found [${shape}].`,
    });
  }
});

// [initializer, variance of its paper, its largest value if there is one, kurtosis]
const cases: [
  string,
  Initializer,
  (fanIn: number, fanOut: number) => number,
  "normal" | "uniform",
][] = [
  ["heNormal", initializers.heNormal(), (fanIn) => 2 / fanIn, "normal"],
  ["heUniform", initializers.heUniform(), (fanIn) => 2 / fanIn, "uniform"],
  ["xavierNormal", initializers.xavierNormal(), (fanIn, fanOut) => 2 / (fanIn + fanOut), "normal"],
  [
    "xavierUniform",
    initializers.xavierUniform(),
    (fanIn, fanOut) => 2 / (fanIn + fanOut),
    "uniform",
  ],
  ["normalInitializer", initializers.normal(0.02), () => 0.0004, "normal"],
];
for (const [name, initializer, varianceOf, distribution] of cases) {
  testOnEachBackend(
    `${name}: mean, variance and distribution, within the error of sampling`,
    () => {
      tidy(() => {
        for (const shape of [[60, 240], [3, 3, 20, 80]]) {
          const { fanIn, fanOut } = fansOf(shape);
          const weights = initializer(shape, { fanIn, fanOut }, new Random(11));
          assert.deepEqual(weights.shape, shape);
          assert.equal(weights.dtype, "float32");
          const variance = varianceOf(fanIn, fanOut);
          const scaled = Float64Array.from(
            weights.dataSync(),
            (value) => value / Math.sqrt(variance),
          );
          const moment = (power: number) =>
            scaled.reduce((total, value) => total + value ** power, 0) / scaled.length;
          const [fourth, eighth] = distribution === "normal" ? [3, 105] : [9 / 5, 9];
          // Five standard errors of each mean over n numbers.
          const error = (varianceOfTerm: number) => 5 * Math.sqrt(varianceOfTerm / scaled.length);
          assertClose(moment(1), 0, error(1));
          assertClose(moment(2), 1, error(fourth - 1));
          assertClose(moment(4) / fourth, 1, error(eighth - fourth ** 2) / fourth);
          const largest = scaled.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
          if (distribution === "uniform") assert(largest <= Math.sqrt(3) + 1e-6 && largest > 1.72);
          else assert(largest > 3);
        }
      });
    },
  );
}

testOnEachBackend("initializers.constant() makes the same value everywhere", () => {
  assertClose(
    initializers.constant(-2.5)([2, 3], fansOf([2, 3])),
    new Float32Array(6).fill(-2.5),
    0,
  );
  const model = sequential(
    linear(4, 3, { weightInitializer: initializers.constant(0.5) }),
    linear(3, 2, { weightInitializer: initializers.constant(1) }),
  );
  assertClose(model.forward(ops.ones([1, 4])), [6, 6], 0);
});

testOnEachBackend(
  "initializers.heNormal() keeps the variance of a signal through 30 layers with relu, initializers.xavierNormal() with tanh",
  () => {
    setSeed(4);
    const deep = (weightInitializer: Initializer, activate: typeof relu) =>
      tidy(() => {
        const layers = Array.from(
          { length: 30 },
          () => sequential(linear(128, 128, { weightInitializer }), activate()),
        );
        const y = sequential(...layers).forward(new Random(5).normal([64, 128]));
        const size = Math.sqrt(ops.mean(ops.square(y)).dataSync()[0]!);
        layers.forEach((layer) => layer.dispose());
        return size;
      });
    const he = deep(initializers.heNormal(), relu), small = deep(initializers.xavierNormal(), relu);
    assert(he > 0.3 && he < 3, `${he}`);
    assert(small < 1e-3, `${small}`); // half the variance is lost in each layer: 2⁻¹⁵
    const xavier = deep(initializers.xavierNormal(), tanh),
      tiny = deep(initializers.normal(0.01), tanh);
    assert(xavier > 0.05, `${xavier}`);
    assert(tiny < 1e-20, `${tiny}`);
  },
);

Deno.test("initializers draw from the stream of setSeed(), or from the Random that they receive", () => {
  const draw = (random?: Random) =>
    initializers.heNormal()([3, 2], fansOf([3, 2]), random).arraySync();
  setSeed(9);
  const first = draw(), second = draw();
  setSeed(9);
  assert.deepEqual(draw(), first);
  assert.notDeepEqual(second, first);
  assert.deepEqual(draw(new Random(2)), draw(new Random(2)));
});

Deno.test("initializers leave no tensor except their result", async () => {
  for (const [, initializer] of [...cases, ["constant", initializers.constant(1)] as const]) {
    await assertNoLeak(() => initializer([4, 4], fansOf([4, 4])).dispose());
  }
});

Deno.test("initializers.normal() and initializers.constant() refuse a bad number", () => {
  for (
    const [build, kind, message] of [
      [
        () => initializers.normal(-1),
        "RangeError",
        "initializers.normal: standardDeviation must be a finite number of at least 0, found -1",
      ],
      [
        () => initializers.normal(undefined as never),
        "TypeError",
        "initializers.normal: standardDeviation must be a finite number of at least 0, found undefined",
      ],
      [
        () => initializers.constant(NaN),
        "RangeError",
        "initializers.constant: value must be a finite number, found NaN",
      ],
      [
        () => initializers.constant("0" as never),
        "TypeError",
        'initializers.constant: value must be a finite number, found "0"',
      ],
    ] as const
  ) {
    assert.throws(build, { name: kind, message: `Building ${message}.` });
  }
});
