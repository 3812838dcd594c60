/** The figures of the namespace `interactive`. */
import {
  checkArray,
  checkInteger,
  checkNumber,
  checkOneOf,
  checkOptions,
  checkPadding,
  checkString,
} from "../tensor/internal.ts";
import {
  backward as backwardComponent,
  type BackwardOptions,
  type Formula,
} from "./components/backward.ts";
import {
  kernelWorkshop as kernelWorkshopComponent,
  type KernelWorkshopOptions,
  type Matrix,
} from "./components/kernel_workshop.ts";
import {
  receptiveField as receptiveFieldComponent,
  type ReceptiveFieldOptions,
  type WindowLayer,
} from "./components/receptive_field.ts";
import { scores as scoresComponent, type ScoresOptions } from "./components/scores.ts";
import {
  shortcutSwitch as shortcutSwitchComponent,
  type ShortcutSwitchOptions,
} from "./components/shortcut_switch.ts";
import { valley as valleyComponent, type ValleyOptions } from "./components/valley.ts";
import { InteractiveFigure } from "./figure.ts";
import { makeKit } from "./kit.ts";

/**
 * Makes a figure of paths that optimizers take down a surface: contours with the path of each rule,
 * and the height after each step. The reader chooses surface, rules, learning rate, momentum and
 * steepness, and drags the start.
 *
 * The valley is `(a² + steepness · b²) / 2`, which plain descent leaves at rates above
 * `2 / steepness`. The rules are those of the library's optimizers: `sgd` without and with
 * momentum, `adagrad`, and `adam` with its default betas.
 *
 * @param options What it shows at first.
 * @throws {TypeError} If an option does not exist or is of another kind.
 * @throws {RangeError} If an option is out of its range.
 *
 * @example
 * ```ts
 * import { interactive } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const figure = interactive.valley({ rules: ["sgd", "momentum"], learningRate: 0.07 });
 * assert.match(String(figure), /in the valley \(a² \+ 25b²\)\/2, after 60 steps: SGD ends at/);
 * ```
 */
export function valley(options: ValleyOptions = {}): InteractiveFigure {
  const action = "Making the interactive figure valley";
  checkOptions<ValleyOptions>(action, options, '{ surface: "saddle" }', {
    surface: true,
    rules: true,
    learningRate: true,
    momentum: true,
    steepness: true,
    start: true,
    steps: true,
  });
  const { surface = "valley", rules = ["sgd"], start = [0, 0], steps = 60 } = options;
  checkOneOf(action, "surface", surface, ["valley", "two minima", "saddle"]);
  checkArray(action, "rules", rules);
  for (const rule of rules) {
    checkOneOf(action, "a rule", rule, ["sgd", "momentum", "adagrad", "adam"]);
  }
  checkWithin(action, "learningRate", options.learningRate ?? 0.07, 0.001, 1);
  checkWithin(action, "momentum", options.momentum ?? 0.9, 0, 0.99);
  checkWithin(action, "steepness", options.steepness ?? 25, 1, 100);
  checkInteger(action, "steps", steps, 1, 200);
  checkArray(action, "start", start);
  checkWithin(action, "start[0]", start[0], -9, 9);
  checkWithin(action, "start[1]", start[1], -3.3, 3.3);
  return new InteractiveFigure(valleyComponent, options);
}

/**
 * Makes a figure of a convolution: a picture to paint on, a kernel to edit, and the feature map.
 * The reader chooses kernel, its size, stride, padding and dilation; pointing at an output frames
 * its window and writes its sum out, pointing at a pixel shows the outputs that see it.
 *
 * The numbers are those of `ops.conv2d`.
 *
 * @param options What it shows at first.
 * @throws {TypeError} If an option does not exist or is of another kind.
 * @throws {RangeError} If an option is out of its range, or there is no kernel of a name.
 *
 * @example
 * ```ts
 * import { interactive } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const figure = interactive.kernelWorkshop({ picture: [[0, 1, 2], [3, 4, 5]], kernel: [[2]] });
 * assert.match(String(figure), /the feature map of 2×3/);
 * ```
 */
export function kernelWorkshop(options: KernelWorkshopOptions = {}): InteractiveFigure {
  const action = "Making the interactive figure kernelWorkshop";
  checkOptions<KernelWorkshopOptions>(action, options, "{ padding: 1 }", {
    picture: true,
    kernel: true,
    kernels: true,
    stride: true,
    padding: true,
    dilation: true,
  });
  const { picture, kernel, kernels = {}, stride = 1, padding = 0, dilation = 1 } = options;
  if (picture !== undefined) {
    const [rows, columns] = checkMatrix(action, "picture", picture);
    checkInteger(action, "the rows of picture", rows, 1, 28);
    checkInteger(action, "the columns of picture", columns, 1, 28);
    for (const pixel of picture.flat()) {
      checkNumber(action, "a pixel", pixel, pixel >= 0, "at least 0");
    }
  }
  const named = [...kernelNames, ...Object.keys(kernels)];
  for (const [name, one] of Object.entries(kernels)) checkKernel(action, `kernel "${name}"`, one);
  if (typeof kernel === "string") checkOneOf(action, "kernel", kernel, named);
  else if (kernel !== undefined) checkKernel(action, "kernel", kernel);
  checkInteger(action, "stride", stride, 1, 4);
  checkPadding(action, padding);
  if (padding !== "same") checkWithin(action, "padding", padding, 0, 3);
  checkInteger(action, "dilation", dilation, 1, 3);
  return new InteractiveFigure(kernelWorkshopComponent, options);
}

/** The kernels that are always in the list. */
const kernelNames = [
  ...["vertical edges", "horizontal edges", "all edges"],
  ...["sharpen", "mean", "identity"],
];

function checkKernel(action: string, subject: string, kernel: unknown): void {
  const [rows, columns] = checkMatrix(action, subject, kernel);
  checkInteger(action, `the side of ${subject}`, rows, 1, 5);
  checkNumber(
    action,
    `the columns of ${subject}`,
    columns,
    rows === columns,
    `${rows}, as its rows`,
  );
}

/** Checks rows of numbers, equally many in each. Returns how many rows and columns there are. */
function checkMatrix(
  action: string,
  subject: string,
  matrix: unknown,
): readonly [rows: number, columns: number] {
  checkArray(action, subject, matrix);
  const rows = matrix as readonly unknown[];
  for (const row of rows) checkArray(action, `a row of ${subject}`, row);
  const [first = [], ...others] = rows as Matrix;
  for (const { length } of others) {
    checkNumber(
      action,
      `the length of a row of ${subject}`,
      length,
      length === first.length,
      `${first.length}, as the first`,
    );
  }
  for (const value of (rows as Matrix).flat()) {
    checkNumber(action, `a number of ${subject}`, value, Number.isFinite(value), "finite");
  }
  return [rows.length, first.length];
}

/**
 * Makes a figure of backpropagation: the graph of `L = (a·b + c)²` or `y = x·x + x`, with its
 * values and the local derivative on each edge. At each click one node hands on its gradient, times
 * the local derivative, to what it is made from.
 *
 * The reader changes the values, stores gradients instead of adding them, and lets nodes hand on
 * before all has arrived: both go wrong where a value is used twice.
 *
 * @param options What it shows at first.
 * @throws {TypeError} If an option does not exist or is of another kind.
 * @throws {RangeError} If there is no such formula, arrival or input, or a value is not from -1e4
 * to 1e4.
 *
 * @example
 * ```ts
 * import { interactive } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const figure = interactive.backward({ formula: "x·x + x", values: { x: 3 } });
 * assert.match(String(figure), /^The graph of y = x·x \+ x at x = 3, where it is 12/);
 * ```
 */
export function backward(options: BackwardOptions = {}): InteractiveFigure {
  const action = "Making the interactive figure backward";
  checkOptions<BackwardOptions>(action, options, '{ formula: "x·x + x" }', {
    formula: true,
    arrival: true,
    values: true,
  });
  const { formula = "(a·b + c)²", arrival = "+=", values = {} } = options;
  const inputs = { "(a·b + c)²": ["a", "b", "c"], "x·x + x": ["x"] } satisfies Record<
    Formula,
    string[]
  >;
  checkOneOf(action, "formula", formula, Object.keys(inputs));
  checkOneOf(action, "arrival", arrival, ["+=", "="]);
  for (const [name, value] of Object.entries(values)) {
    checkOneOf(action, "an input", name, inputs[formula]);
    checkWithin(action, `the value of ${name}`, value, -1e4, 1e4);
  }
  return new InteractiveFigure(backwardComponent, options);
}

/**
 * Makes a figure of scores that become probabilities and a loss: bars of `softmax(scores / T)`, the
 * curve `−log p` with the true class on it, and the pull of cross-entropy on each score beside that
 * of the squared error.
 *
 * The reader moves the scores and the temperature, chooses the true class, and adds 1000 to all
 * scores.
 *
 * @param options What it shows at first.
 * @throws {TypeError} If an option does not exist or is of another kind.
 * @throws {RangeError} If an option is out of its range, or there is not one name for each score.
 *
 * @example
 * ```ts
 * import { interactive } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const figure = interactive.scores({ scores: [0, 0], classNames: ["coat", "bag"] });
 * assert.match(String(figure), /the probabilities 0.5, 0.5; the true class is coat/);
 * ```
 */
export function scores(options: ScoresOptions = {}): InteractiveFigure {
  const action = "Making the interactive figure scores";
  checkOptions<ScoresOptions>(action, options, "{ scores: [2, 1, -1] }", {
    scores: true,
    classNames: true,
    target: true,
    temperature: true,
  });
  const { scores = [2, 1, -1], classNames, target = 0, temperature = 1 } = options;
  checkArray(action, "scores", scores);
  checkInteger(action, "the number of scores", scores.length, 2, 5);
  for (const score of scores) checkWithin(action, "a score", score, -10, 10);
  if (classNames !== undefined) {
    checkArray(action, "classNames", classNames);
    checkInteger(
      action,
      "the number of classNames",
      classNames.length,
      scores.length,
      scores.length,
    );
    for (const name of classNames) checkString(action, "a name of a class", name);
  }
  checkInteger(action, "target", target, 0, scores.length - 1);
  checkWithin(action, "temperature", temperature, 0.1, 10);
  return new InteractiveFigure(scoresComponent, options);
}

/**
 * Makes a figure of receptive fields: layers of convolutions or poolings over a row of pixels, and
 * the cone from a unit down to the pixels that it sees. The reader points at a unit, and changes
 * kernel size, stride and dilation of each layer.
 *
 * @param options What it shows at first.
 * @throws {TypeError} If an option does not exist or is of another kind.
 * @throws {RangeError} If an option is out of its range.
 *
 * @example
 * ```ts
 * import { interactive } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const figure = interactive.receptiveField({ layers: [{ kernelSize: 3 }, { kernelSize: 3 }] });
 * assert.match(String(figure), /of layer 2, 5 pixels across, through the layers 3×3, 3×3/);
 * ```
 */
export function receptiveField(options: ReceptiveFieldOptions = {}): InteractiveFigure {
  const action = "Making the interactive figure receptiveField";
  checkOptions<ReceptiveFieldOptions>(action, options, "{ imageSize: 20 }", {
    layers: true,
    imageSize: true,
  });
  const { layers = [], imageSize = 28 } = options;
  checkArray(action, "layers", layers);
  if (options.layers !== undefined) {
    checkInteger(action, "the number of layers", layers.length, 1, 5);
  }
  for (const layer of layers) {
    checkOptions<WindowLayer>(`${action}, a layer`, layer, "{ kernelSize: 3 }", {
      kernelSize: true,
      stride: true,
      dilation: true,
    });
    checkInteger(action, "kernelSize", layer.kernelSize, 1, 7);
    checkInteger(action, "stride", layer.stride ?? 1, 1, 4);
    checkInteger(action, "dilation", layer.dilation ?? 1, 1, 4);
  }
  checkInteger(action, "imageSize", imageSize, 8, 40);
  return new InteractiveFigure(receptiveFieldComponent, options);
}

function checkWithin(action: string, subject: string, value: unknown, low: number, high: number) {
  const fits = Number(value) >= low && Number(value) <= high;
  checkNumber(action, subject, value, fits, `from ${low} to ${high}`);
}

/**
 * Makes a figure of a network that is trained in the page to tell two spirals apart: a chain of
 * blocks `y = relu(αx + F(x))` of 16 channels, where F is two dense layers with batch norm. The
 * reader sets the number of blocks, α, learning rate and warm-up, trains, and compares up to four
 * trainings: the loss at each of 200 steps, and the gradient norm of each layer before the first.
 *
 * The training is stochastic gradient descent with momentum 0.9 on all points at once. `α = 0` is a
 * plain network. The numbers are those that the library computes.
 *
 * @param options What it shows at first.
 * @throws {TypeError} If an option does not exist or is of another kind.
 * @throws {RangeError} If an option is out of its range.
 *
 * @example
 * ```ts
 * import { interactive } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const figure = interactive.shortcutSwitch({ blocks: 2 });
 * assert.match(String(figure), /6 layers, α 0, rate 0.1: loss .*; 6 layers, α 1, rate 0.1: loss/);
 * ```
 */
export function shortcutSwitch(options: ShortcutSwitchOptions = {}): InteractiveFigure {
  const action = "Making the interactive figure shortcutSwitch";
  checkOptions<ShortcutSwitchOptions>(action, options, "{ blocks: 9, shortcut: 1 }", {
    blocks: true,
    shortcut: true,
    learningRate: true,
    warmup: true,
  });
  const { blocks = 27, shortcut = 1, learningRate = 0.1, warmup = 0 } = options;
  checkInteger(action, "blocks", blocks, 1, 27);
  checkWithin(action, "shortcut", shortcut, 0, 1);
  checkWithin(action, "learningRate", learningRate, 0.001, 1);
  checkInteger(action, "warmup", warmup, 0, 100);
  // The page shows the first trainings without doing them again.
  const component = shortcutSwitchComponent(makeKit(), options);
  const rounded = (numbers: readonly number[]) =>
    numbers.map((value) => Number(value.toPrecision(3)));
  const recorded = component.initial.runs.map((settings) => {
    const run = component.train(settings);
    return {
      ...settings,
      ...run,
      losses: rounded(run.losses),
      firstNorms: rounded(run.firstNorms),
      lastNorms: rounded(run.lastNorms),
    };
  });
  return new InteractiveFigure(shortcutSwitchComponent, { ...options, recorded });
}
