/** The figures of the namespace `interactive`. */
import type { AnyModule } from "../nn/mod.ts";
import type { ImageDataset } from "../data/mod.ts";
import { checkDataset } from "../data/internal.ts";
import {
  checkArray,
  checkInteger,
  checkNumber,
  checkOneOf,
  checkOptions,
  checkString,
} from "../tensor/internal.ts";
import {
  backward as backwardComponent,
  type BackwardOptions,
  type Formula,
} from "./components/backward.ts";
import {
  inceptionMixer as inceptionMixerComponent,
  type InceptionMixerOptions,
} from "./components/inception_mixer.ts";
import {
  type NormalizedLayer,
  normalizer as normalizerComponent,
  type NormalizerOptions,
} from "./components/normalizer.ts";
import {
  receptiveField as receptiveFieldComponent,
  type ReceptiveFieldOptions,
  type WindowLayer,
} from "./components/receptive_field.ts";
import {
  pushedPicture as pushedPictureComponent,
  type StoredPushedPicture,
} from "./components/pushed_picture.ts";
import { scores as scoresComponent, type ScoresOptions } from "./components/scores.ts";
import {
  recordRuns,
  shortcutSwitch as shortcutSwitchComponent,
  type ShortcutSwitchOptions,
} from "./components/shortcut_switch.ts";
import { valley as valleyComponent, type ValleyOptions } from "./components/valley.ts";
import { checkWithin } from "./checks.ts";
import { InteractiveFigure } from "./figure.ts";
import { makeKit } from "./kit.ts";
import { storedLayers } from "./stored_layers.ts";

export { kernelMixer, kernelWorkshop } from "./convolution_figures.ts";

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

/**
 * Makes a figure of batch norm at work: 3×3 convolutions on a batch of pictures, the spread of the
 * signal in each layer, and the logits of one marked picture. The reader sets the gain of the
 * kernels and the size and the company of the batch, and switches batch norm and inference mode.
 *
 * The layers come from a trained network: each is a convolution without bias and with padding 1,
 * its batch norm, and a relu; after the last one each map is averaged, and a linear layer follows.
 * The kernels are shown at the size of He's initial weights, which changes nothing with batch norm.
 *
 * @param options The network and the pictures.
 * @throws {TypeError} If an option does not exist or is of another kind.
 * @throws {RangeError} If there are not 1 to 12 layers or 2 to 64 pictures, or numbers do not fit
 * each other.
 *
 * @example
 * ```ts
 * import { interactive } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const figure = interactive.normalizer({
 *   layers: [{
 *     kernel: [0, 0, 0, 0, 1, 0, 0, 0, 0],
 *     weight: [1],
 *     bias: [0],
 *     runningMean: [0],
 *     runningVariance: [1],
 *   }],
 *   head: { weight: [1, -1], bias: [0, 0] },
 *   pictures: ["0f0f", "00ff"],
 *   labels: [0, 1],
 *   classNames: ["stripes", "halves"],
 *   pixels: { mean: 0.5, standardDeviation: 0.5 },
 * });
 * assert.match(String(figure), /^1 layer with batch norm in training mode, gain 1, on a batch/);
 * ```
 */
export function normalizer(options: NormalizerOptions): InteractiveFigure {
  const action = "Making the interactive figure normalizer";
  checkOptions<NormalizerOptions>(action, options, "{ layers: […], head: { … }, … }", {
    layers: true,
    head: true,
    pictures: true,
    labels: true,
    classNames: true,
    pixels: true,
  });
  const { layers, head, pictures, labels, classNames, pixels } = options;
  for (const name of ["layers", "pictures", "labels", "classNames"] as const) {
    checkArray(action, name, options[name]);
  }
  checkInteger(action, "the number of layers", layers.length, 1, 12);
  const checkLength = (subject: string, numbers: readonly number[], count: number) => {
    checkArray(action, subject, numbers);
    checkInteger(action, `the length of ${subject}`, numbers.length, count, count);
  };
  checkOptions<NormalizerOptions["head"]>(`${action}, head`, head, "{ weight: […], bias: […] }", {
    weight: true,
    bias: true,
  });
  const example = "{ mean: 0.286, standardDeviation: 0.353 }";
  checkOptions<NormalizerOptions["pixels"]>(`${action}, pixels`, pixels, example, {
    mean: true,
    standardDeviation: true,
  });
  let channels = 1;
  layers.forEach((layer, index) => {
    const subject = `layers[${index}]`;
    checkOptions<NormalizedLayer>(`${action}, ${subject}`, layer, "{ kernel: […], … }", {
      kernel: true,
      stride: true,
      weight: true,
      bias: true,
      runningMean: true,
      runningVariance: true,
    });
    checkArray(action, `the weight of ${subject}`, layer.weight);
    checkInteger(action, `stride of ${subject}`, layer.stride ?? 1, 1, 4);
    const count = layer.weight.length;
    checkLength(`the kernel of ${subject}`, layer.kernel, 9 * channels * count);
    for (const name of ["bias", "runningMean", "runningVariance"] as const) {
      checkLength(`the ${name} of ${subject}`, layer[name], count);
    }
    channels = count;
  });
  checkLength("the weight of the head", head.weight, channels * classNames.length);
  checkLength("the bias of the head", head.bias, classNames.length);
  checkInteger(action, "the number of pictures", pictures.length, 2, 64);
  checkLength("labels", labels, pictures.length);
  const digits = Math.round(Math.sqrt(pictures[0]!.length)) ** 2;
  for (const picture of pictures) {
    checkString(action, "a picture", picture);
    if (/^[0-9a-f]+$/.test(picture) && picture.length === digits) continue;
    throw new RangeError(
      `${action}: each picture must be a square of hexadecimal digits, as many as the first has, ` +
        `found ${picture.length} letters.`,
    );
  }
  classNames.forEach((name, k) => {
    checkString(action, "a name of a class", name);
    const count = labels.filter((label) => label === k).length;
    checkNumber(action, `the number of pictures of "${name}"`, count, count > 0, "at least 1");
  });
  checkWithin(action, "the mean of the pixels", pixels.mean, 0, 1);
  checkWithin(action, "the deviation of the pixels", pixels.standardDeviation, 1e-3, 1);
  return new InteractiveFigure(normalizerComponent, options);
}

/**
 * Makes a figure of an Inception block: its four paths, drawn as wide as their channels, with the
 * MACs and parameters of the block and the MACs of the naive block, which has no reductions. The
 * reader changes the channels of the paths and of the two reductions.
 *
 * The numbers are those of `summary` for `inception(inChannels, channels)`.
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
 * const figure = interactive.inceptionMixer({ channels: [64, [96, 128], [16, 32], 32] });
 * assert.match(String(figure), /256 channels and 128,049,152 MACs\.$/);
 * ```
 */
export function inceptionMixer(options: InceptionMixerOptions = {}): InteractiveFigure {
  const action = "Making the interactive figure inceptionMixer";
  checkOptions<InceptionMixerOptions>(action, options, "{ inChannels: 256 }", {
    inChannels: true,
    imageSize: true,
    channels: true,
  });
  const { inChannels = 192, imageSize = 28, channels } = options;
  checkInteger(action, "inChannels", inChannels, 1, 1024);
  checkInteger(action, "imageSize", imageSize, 1, 224);
  if (channels !== undefined) {
    checkArray(action, "channels", channels);
    checkInteger(action, "the number of paths", channels.length, 4, 4);
    const [path1, path2, path3, path4] = channels;
    checkInteger(action, "path 1", path1, 1, 512);
    checkInteger(action, "path 4", path4, 1, 512);
    for (const [subject, path] of [["path 2", path2], ["path 3", path3]] as const) {
      checkArray(action, subject, path);
      checkInteger(action, `the number of layers of ${subject}`, path.length, 2, 2);
      for (const layer of path) checkInteger(action, subject, layer, 1, 512);
    }
  }
  return new InteractiveFigure(inceptionMixerComponent, options);
}

/** The options of {@linkcode pushedPicture}. */
export interface PushedPictureOptions {
  /**
   * Trained networks by their names, from one to three. The class maps are those of the first that
   * ends in the mean of a map for each class.
   */
  readonly networks: Readonly<Record<string, AnyModule>>;
  /** Square grey pictures to push about, from one to ten. */
  readonly pictures: ImageDataset<1>;
  /** Mean and standard deviation by which the networks' inputs are normalised. */
  readonly normalize: { readonly mean: number; readonly standardDeviation: number };
}

/**
 * Makes a figure of a picture that the reader pushes about, with the probabilities that trained
 * networks give to it and the map of a class.
 *
 * The networks are chains of convolutions that keep the size, batch norm after them, relu, max
 * pooling, flatten, linear layers and a global mean, such as LeNet without its unpadded
 * convolution. Their weights become part of the figure, rounded to bytes with a scale for each
 * output channel, so small networks make a small figure.
 *
 * @param options The networks and the pictures.
 * @throws {TypeError} If an option does not exist or is of another kind, or a network has another
 * layer.
 * @throws {RangeError} If an option is out of its range, or a network does not take the pictures.
 *
 * @example
 * ```ts
 * import { fashionMnist, flatten, interactive, linear, sequential } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const { test } = await fashionMnist({ subset: true });
 * const figure = interactive.pushedPicture({
 *   networks: { "one layer": sequential(flatten(), linear(784, 10)) },
 *   pictures: test.take(2),
 *   normalize: { mean: 0.286, standardDeviation: 0.353 },
 * });
 * assert.match(String(figure), /moved 0 to the right and 0 down: one layer says/);
 * ```
 */
export function pushedPicture(options: PushedPictureOptions): InteractiveFigure {
  const action = "Making the interactive figure pushedPicture";
  checkOptions<PushedPictureOptions>(action, options, "{ networks, pictures, normalize }", {
    networks: true,
    pictures: true,
    normalize: true,
  });
  const { networks, pictures, normalize } = options;
  checkOptions<typeof normalize>(`${action}, normalize`, normalize, "{ mean: 0.286, … }", {
    mean: true,
    standardDeviation: true,
  });
  checkWithin(action, "mean", normalize.mean, -1e4, 1e4);
  checkWithin(action, "standardDeviation", normalize.standardDeviation, 1e-6, 1e4);
  checkDataset(action, pictures);
  const { count, height, width, channels, classNames, labels } = pictures;
  checkInteger(action, "the number of pictures", count, 1, 10);
  checkInteger(action, "the channels of the pictures", channels, 1, 1);
  checkInteger(action, "the width of the pictures", width, height, height);
  const names = Object.keys(Object(networks));
  checkInteger(action, "the number of networks", names.length, 1, 3);
  const stored: StoredPushedPicture = {
    networks: names.map((name) => ({
      name,
      layers: storedLayers(action, networks[name]!, height),
    })),
    pictures: Array.from(labels, (label, i) => {
      const bytes = Uint8ClampedArray.from(pictures.images([i]).dataSync(), (value) => 255 * value);
      return { label, bytes: new Uint8Array(bytes.buffer).toBase64() };
    }),
    ...{ classNames, size: height, ...normalize },
  };
  return new InteractiveFigure(pushedPictureComponent, stored);
}

/**
 * Makes a figure of a network that is trained in the page to tell two spirals apart: a chain of
 * blocks `y = relu(αx + F(x))` of 16 channels, where F is two dense layers with batch norm. The
 * reader sets the number of blocks, α, learning rate and warm-up, trains, and compares up to four
 * trainings: the loss at each of 200 steps, and the gradient norm of each layer before the first.
 *
 * All points are one batch; the momentum is 0.9. The numbers are those that the library computes.
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
  const recorded = recordRuns(makeKit(), options);
  return new InteractiveFigure(shortcutSwitchComponent, { ...options, recorded });
}
