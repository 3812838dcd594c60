import assert from "node:assert/strict";
import { adagrad, adam, grad, ops, sgd, type Tensor1D, variable } from "resnet-lab";
import { interactive } from "resnet-lab";
import {
  type StepRule,
  type Surface,
  valley,
  type ValleyOptions,
} from "../../lib/interactive/components/valley.ts";
import { action, after, fromText } from "./_helpers.ts";

const component = (options: ValleyOptions = {}) => fromText(valley, options);

/** The height of each surface, written with the library's ops. */
const surfaces: Record<Surface, (p: Tensor1D, steepness: number) => ReturnType<typeof ops.sum>> = {
  valley: (p, steepness) => parabola(p, [0.5, steepness / 2]),
  "two minima": (p, steepness) => {
    const along = ops.slice(p, [0], [1]);
    const hole = ops.square(ops.sub(ops.square(ops.div(along, 5)), 1));
    return ops.add(
      parabola(p, [0, steepness / 2]),
      ops.sum(ops.sub(ops.mul(hole, 3.125), ops.mul(along, 0.3))),
    );
  },
  saddle: (p, steepness) => {
    const along = ops.slice(p, [0], [1]);
    return ops.add(parabola(p, [-0.5, steepness / 2]), ops.sum(ops.div(ops.pow(along, 4), 144)));
  },
};
const parabola = (p: Tensor1D, weights: number[]) =>
  ops.sum(ops.mul(ops.square(p), ops.tensor(weights)));

const optimizers = {
  sgd: (p, learningRate) => sgd([p], { learningRate }),
  momentum: (p, learningRate) => sgd([p], { learningRate, momentum: 0.9 }),
  adagrad: (p, learningRate) => adagrad([p], { learningRate }),
  adam: (p, learningRate) => adam([p], { learningRate }),
} satisfies Record<StepRule, (p: ReturnType<typeof variable>, rate: number) => unknown>;

for (const rule of Object.keys(optimizers) as StepRule[]) {
  Deno.test(`valley() walks as the library's optimizer does by the rule ${rule}`, () => {
    for (const surface of Object.keys(surfaces) as Surface[]) {
      for (const [learningRate, steepness] of [[0.03, 25], [0.004, 100], [0.3, 3]] as const) {
        const settings = { surface, learningRate, steepness, momentum: 0.9, steps: 40 };
        const start = [-7.5, 1.5] as const;
        const made = component({ ...settings, start });
        const path = made.walk(rule, made.initial);

        const p = variable(ops.tensor([...start]));
        using optimizer = optimizers[rule](p, learningRate);
        const slope = grad((p: Tensor1D) => surfaces[surface](p, steepness));
        for (let step = 1; step <= 40; step++) {
          optimizer.step([slope(ops.clone(p) as Tensor1D)]);
          const [along = NaN, across = NaN] = p.dataSync();
          for (const [ours, its] of [[path.along, along], [path.across, across]] as const) {
            // The library computes in float32.
            assert(
              Math.abs(ours[step]! - its) < 2e-4 * (1 + Math.abs(its)),
              `${surface}, η ${learningRate}, step ${step}: ${ours[step]} and ${its}`,
            );
          }
        }
      }
    }
  });
}

Deno.test("valley() shows heights above the lowest point of each surface", () => {
  const { walk, initial } = component();
  for (const surface of Object.keys(surfaces) as Surface[]) {
    const lowest = { valley: 0, "two minima": 5.276621, saddle: 6 }[surface];
    const at = { ...initial, surface, start: [lowest, 0] as const, steps: 1 };
    assert(Math.abs(walk("sgd", at).height[0]!) < 1e-6, surface);
    assert(Math.abs(walk("sgd", at).along[1]! - lowest) < 1e-6, `${surface} is flat there`);
  }
  // (8² + 25 · 2²) / 2
  assert.equal(walk("sgd", initial).height[0], 82);
});

Deno.test("valley() says what a step of SGD does across the valley", () => {
  const made = component();
  const said = (values: Record<string, string>) => made.views(after(made, values)).factors!;
  assert.match(said({ learningRate: "0.02" }), /1 − 25η = <b[^>]*>0\.5<\/b>: both shrink/);
  assert.match(said({ learningRate: "0.06" }), /−0\.5<\/b>: b changes sides/);
  assert.match(said({ learningRate: "0.08" }), /−1<\/b>: b jumps to and fro for ever/);
  assert.match(said({ learningRate: "0.1" }), /−1\.5<\/b>: b grows without end/);
  assert.match(said({ learningRate: "0.1", steepness: "5" }), /0\.5<\/b>: both shrink/);
});

Deno.test("valley() takes what is typed, clicked and dragged, within its ends", () => {
  const made = component();
  assert.deepEqual(after(made, { learningRate: "5" }).learningRate, 1);
  assert.deepEqual(after(made, { learningRate: "" }).learningRate, 0.07);
  assert.deepEqual(after(made, { steps: "3.4" }).steps, 3);
  assert.deepEqual(after(made, { "rule momentum": "true", momentum: "0.5" }).rules, [
    "sgd",
    "momentum",
  ]);
  assert.deepEqual(after(made, { along: "3", across: "-9" }).start, [3, -3.3]);
  assert.deepEqual(after(made, { surface: "saddle" }).start, [-0.02, 2]);
  const pad = { name: "map", x: -50, y: 132 };
  assert.deepEqual(made.act(made.initial, action({ kind: "down", ...pad })).start, [-9, 0]);
  assert.equal(made.act(made.initial, action({ kind: "move", ...pad })), made.initial);
  // A path that leaves the map for good is drawn as far as numbers go.
  const views = made.views(after(made, { learningRate: "1", steepness: "100", steps: "200" }));
  assert.doesNotMatch(Object.values(views).join(), /NaN|Infinity/);
});

Deno.test("interactive.valley() refuses options that do not exist or are out of range", () => {
  const refused = (options: object, error: object) =>
    assert.throws(() => interactive.valley(options), error);
  const action = "Making the interactive figure valley";
  refused({ rate: 1 }, { name: "TypeError", message: RegExp(`^${action}: there is no option`) });
  refused({ learningRate: 2 }, {
    name: "RangeError",
    message: `${action}: learningRate must be from 0.001 to 1, found 2.`,
  });
  refused({ rules: ["rmsProp"] }, { name: "RangeError", message: /a rule must be one of "sgd"/ });
  refused({ start: [1] }, { name: "TypeError", message: /start\[1\] must be from -3.3 to 3.3/ });
});
