import assert from "node:assert/strict";
import {
  batchNorm,
  crossEntropy,
  type Features,
  interactive,
  linear,
  Module,
  ops,
  sgd,
  tidy,
  valueAndGradients,
} from "resnet-lab";
import {
  type Settings,
  shortcutSwitch,
  type ShortcutSwitchOptions,
} from "../../lib/interactive/components/shortcut_switch.ts";
import { action, after, fromText } from "./_helpers.ts";

const component = (options: ShortcutSwitchOptions = {}) =>
  fromText(shortcutSwitch, { blocks: 2, ...options });

/** The network of the figure, of the library's layers. */
class Chain extends Module<Features<number>, Features<number>> {
  readonly dense;
  readonly norms;
  readonly head = linear(16, 1);
  constructor(blocks: number, readonly shortcut: number) {
    super();
    this.dense = Array.from(
      { length: 2 * blocks + 1 },
      (_, i) => linear<number, number>(i === 0 ? 2 : 16, 16, { useBias: false }),
    );
    this.norms = this.dense.map(() => batchNorm<number>(16));
  }
  override forward(x: Features<number>): Features<number> {
    const layer = (i: number, x: Features<number>) =>
      this.norms[i]!.forward(this.dense[i]!.forward(x), { training: true });
    let y = ops.relu(layer(0, x));
    for (let i = 1; i < this.dense.length; i += 2) {
      y = ops.relu(ops.add(ops.mul(y, this.shortcut), layer(i + 1, ops.relu(layer(i, y)))));
    }
    const logit = this.head.forward(y);
    return ops.concat([ops.zerosLike(logit), logit], 1);
  }
}

/** Trains with the library: the loss before each step, and the first gradient norms. */
function trainedByLibrary(settings: Settings, steps: number) {
  const made = component(), { x, labels } = made.points(), start = made.weights(settings.blocks);
  const model = new Chain(settings.blocks, settings.shortcut);
  start.layers.forEach(({ weight }, i) => {
    model.dense[i]!.weight.assign(ops.tensor([...weight], [i === 0 ? 2 : 16, 16]));
  });
  model.head.weight.assign(ops.tensor([...start.head], [16, 1]));
  const points = ops.tensor([...x], [x.length / 2, 2]);
  const classes = ops.tensor([...labels], undefined, "int32");
  const parameters = model.parameters();
  using optimizer = sgd(parameters, { learningRate: settings.learningRate, momentum: 0.9 });
  const losses: number[] = [], norms: number[] = [];
  for (let step = 0; step < steps; step++) {
    tidy(() => {
      const { value, gradients } = valueAndGradients(
        () => crossEntropy(model.forward(points), classes),
        parameters,
      );
      losses.push(value.dataSync()[0]!);
      for (const { weight } of step === 0 ? model.dense : []) {
        const gradient = gradients[parameters.indexOf(weight)]!;
        norms.push(ops.sqrt(ops.sum(ops.square(gradient))).dataSync()[0]!);
      }
      const { warmup, learningRate } = settings;
      optimizer.learningRate = learningRate * Math.min(1, (step + 1) / Math.max(1, warmup));
      optimizer.step(gradients);
    });
  }
  return { losses, norms };
}

const near = (ours: readonly number[], its: readonly number[], tolerance: number, what: string) =>
  ours.forEach((value, i) =>
    assert(
      Math.abs(value - its[i]!) < tolerance * (0.01 + Math.abs(its[i]!)),
      `${what} ${i}: ${value} and ${its[i]}`,
    )
  );

Deno.test("shortcutSwitch() trains as the library does", () => {
  for (const shortcut of [0, 0.5, 1]) {
    for (const warmup of [0, 4]) {
      const settings = { blocks: 3, shortcut, learningRate: 0.05, warmup };
      const ours = component().train(settings, 6), its = trainedByLibrary(settings, 6);
      // The library computes in float32.
      near(ours.firstNorms, its.norms, 1e-3, `α ${shortcut}: norm`);
      near(ours.losses.slice(0, 6), its.losses, 5e-3, `α ${shortcut}, warm-up ${warmup}: loss`);
    }
  }
});

Deno.test("shortcutSwitch() shows that a deep chain needs the shortcut", () => {
  const train = (shortcut: number) =>
    component().train({ blocks: 18, shortcut, learningRate: 0.1, warmup: 0 });
  const [plain, residual] = [train(0), train(1)];
  assert(plain.losses.at(-1)! > 0.3, `plain ${plain.losses.at(-1)}`);
  assert(residual.losses.at(-1)! < 0.01, `residual ${residual.losses.at(-1)}`);
  assert.equal(residual.accuracy, 1);
  assert(plain.firstNorms[0]! > 100 * plain.firstNorms.at(-1)!, "the plain gradient explodes");
});

Deno.test("shortcutSwitch() keeps a training until four newer ones are there", () => {
  const made = component();
  assert.deepEqual(made.initial.runs.map(({ shortcut }) => shortcut), [0, 1]);
  assert.deepEqual(component({ shortcut: 0 }).initial.runs.length, 1);
  const press = (state: typeof made.initial, name = "train") =>
    made.act(state, action({ kind: "press", name }));
  assert.equal(press(made.initial), made.initial, "these settings are trained already");
  let state = made.initial;
  for (const warmup of ["5", "10", "15"]) state = press(after(made, { warmup }, state));
  assert.deepEqual(state.runs.map(({ shortcut, warmup }) => [shortcut, warmup]), [
    [1, 0],
    [1, 5],
    [1, 10],
    [1, 15],
  ]);
  assert.match(made.views(after(made, { blocks: "1" })).hint!, /Press Train for 4 layers, α 1/);
  const cleared = press(state, "clear");
  assert.deepEqual(cleared.runs, []);
  assert.match(made.describe(cleared), /None is trained/);
  assert.doesNotMatch(Object.values(made.views(cleared)).join(), /NaN|Infinity/);
});

Deno.test("shortcutSwitch() takes what is typed, within its ends", () => {
  const made = component();
  assert.equal(after(made, { blocks: "99" }).blocks, 27);
  assert.equal(after(made, { blocks: "2.6" }).blocks, 3);
  assert.equal(after(made, { shortcut: "-1" }).shortcut, 0);
  assert.equal(after(made, { learningRate: "" }).learningRate, 0.1);
  assert.equal(after(made, { warmup: "40" }).warmup, 40);
});

Deno.test("interactive.shortcutSwitch() shows the first trainings without doing them again", () => {
  const figure = interactive.shortcutSwitch({ blocks: 2 });
  const display: () => { "text/html": string } = Reflect.get(figure, Symbol.for("Jupyter.display"));
  const html = display.call(figure)["text/html"];
  assert.match(html, /"recorded":\[\{"blocks":2,"shortcut":0/);
  assert(html.length < 60_000, `${html.length} letters`);
});

Deno.test("interactive.shortcutSwitch() refuses options that do not exist or are out of range", () => {
  const refused = (options: object, error: object) =>
    assert.throws(() => interactive.shortcutSwitch(options), error);
  const action = "Making the interactive figure shortcutSwitch";
  refused({ depth: 1 }, { name: "TypeError", message: RegExp(`^${action}: there is no option`) });
  refused({ shortcut: 2 }, {
    name: "RangeError",
    message: `${action}: shortcut must be from 0 to 1, found 2.`,
  });
  refused({ blocks: 28 }, { name: "RangeError", message: /blocks must be/ });
});
