import {
  checkOptions,
  type Features,
  type Images,
  liveNumber,
  ops,
  type Padding,
  type Pair,
  pair,
  type Tensor2D,
  tidy,
  variable,
  type Variable2D,
  type Variable5D,
  windowGeometry,
} from "../tensor/mod.ts";
import {
  checkArguments,
  checkBoolean,
  checkInput,
  checkModule,
  checkNumber,
  checkPadding,
  checkPair,
  checkWhole,
} from "./checks.ts";
import { pairText } from "./conv.ts";
import { fansOf, heNormal, initialize, type Initializer } from "./initializers.ts";
import { type Linear, linear } from "./linear.ts";
import { type AnyModule, Module } from "./module.ts";

/** The options of {@linkcode dynamicConv2d}. */
export interface DynamicConv2dOptions {
  /** Height and width of the window in pixels. */
  kernelSize: Pair;
  /** Pixels from one window to the next. */
  stride?: Pair;
  /** Zeros around the images. */
  padding?: Padding;
  /**
   * Whether a number is added to each output channel, mixed as the kernels are; needless before
   * batch norm.
   */
  useBias?: boolean;
  /** The kernels that are mixed; 4 unless said otherwise. */
  kernels?: number;
  /**
   * What the scores are divided by before the softmax; the paper's start, 30, unless said
   * otherwise. See {@linkcode setTemperature}.
   */
  temperature?: number;
  /**
   * Hidden units of the attention as a part of the channels that come in; 1 / 4 unless said
   * otherwise.
   */
  reduction?: number;
  /** The initial kernels `[kernels, height, width, in, out]`, given the fans of one of them. */
  weightInitializer?: Initializer;
}

/**
 * How much of each kernel an image gets: images `[batch, height, width, in]` to weights
 * `[batch, kernels]` that sum to 1.
 */
export class KernelAttention<InChannels extends number>
  extends Module<Images<InChannels>, Features> {
  /** From the channels' means to hidden units. */
  readonly squeeze: Linear<number, number>;
  /** From hidden units to a score for each kernel. */
  readonly score: Linear<number, number>;
  #temperature = 1;

  /** See {@linkcode dynamicConv2d}. */
  constructor(readonly inChannels: InChannels, readonly kernels: number, reduction: number) {
    super();
    const doing = "Building an attention over kernels";
    checkWhole(doing, "inChannels", inChannels);
    checkWhole(doing, "kernels", kernels);
    const part = reduction > 0 && reduction <= 1;
    checkNumber(doing, "reduction", reduction, part, "a number above 0 and at most 1");
    // relu closes about half of the units, for most images the same ones; of fewer, soon none would
    // be left.
    const hidden = Math.max(Math.round(inChannels * reduction), 2 * kernels);
    this.squeeze = linear<number, number>(inChannels, hidden);
    this.score = linear<number, number>(hidden, kernels);
  }

  /**
   * What the scores are divided by: the higher, the more equal the weights. Not among what is saved
   * of a model.
   */
  get temperature(): number {
    return this.#temperature;
  }
  /** @throws {RangeError} If it is not a positive number. */
  set temperature(value: number) {
    const fits = value > 0 && value < Infinity;
    checkNumber("Setting the temperature", "temperature", value, fits, "a positive number");
    this.#temperature = value;
  }

  override forward(images: Images<InChannels>): Features {
    checkInput(this, images, ["batch", "height", "width", ["channels", this.inChannels]]);
    return tidy(() => {
      const hidden = ops.relu(this.squeeze.forward(ops.mean(images, [1, 2])));
      const temperature = liveNumber(this, "temperature");
      return ops.softmax(ops.div(this.score.forward(hidden), temperature));
    });
  }

  override describe(): string {
    return `attention over ${this.kernels} kernels`;
  }
}

/** A convolution with a kernel of its own for each image; made by {@linkcode dynamicConv2d}. */
export class DynamicConv2d<InChannels extends number, OutChannels extends number>
  extends Module<Images<InChannels>, Images<OutChannels>> {
  /** The kernels that are mixed `[kernels, height, width, in, out]`. */
  readonly weight: Variable5D;
  /** The bias of each kernel `[kernels, out]`, if any. */
  readonly bias: Variable2D | undefined;
  /** The weights of the mixture. */
  readonly attention: KernelAttention<InChannels>;
  readonly #options: { stride: Pair; padding: Padding };

  /** See {@linkcode dynamicConv2d}. */
  constructor(
    readonly inChannels: InChannels,
    readonly outChannels: OutChannels,
    options: DynamicConv2dOptions,
  ) {
    super();
    const doing = "Building dynamicConv2d";
    checkOptions<DynamicConv2dOptions>(doing, options, "{ kernelSize: 3 }", {
      kernelSize: true,
      stride: true,
      padding: true,
      useBias: true,
      kernels: true,
      temperature: true,
      reduction: true,
      weightInitializer: true,
    });
    const { kernelSize, stride = 1, padding = 0, useBias = true, kernels = 4 } = options;
    const { temperature = 30, reduction = 1 / 4, weightInitializer = heNormal() } = options;
    checkWhole(doing, "inChannels", inChannels);
    checkWhole(doing, "outChannels", outChannels);
    checkPair(doing, "kernelSize", kernelSize);
    checkPair(doing, "stride", stride);
    checkPadding(doing, padding);
    checkBoolean(doing, "useBias", useBias);
    checkWhole(doing, "kernels", kernels);
    const hot = temperature > 0 && temperature < Infinity;
    checkNumber(doing, "temperature", temperature, hot, "a positive number");
    const part = reduction > 0 && reduction <= 1;
    checkNumber(doing, "reduction", reduction, part, "a number above 0 and at most 1");
    const [height, width] = pair(kernelSize);
    // An output sees one kernel's worth of inputs, however many are mixed.
    const fans = fansOf([height, width, inChannels, outChannels]);
    this.weight = initialize(
      doing,
      [kernels, height, width, inChannels, outChannels],
      typeof weightInitializer === "function"
        ? (shape, _, random) => weightInitializer(shape, fans, random)
        : weightInitializer,
    );
    this.bias = useBias ? variable(ops.zeros([kernels, outChannels])) : undefined;
    this.attention = new KernelAttention(inChannels, kernels, reduction);
    this.attention.temperature = temperature;
    this.#options = { stride, padding };
  }

  override forward(images: Images<InChannels>): Images<OutChannels> {
    checkInput(this, images, ["batch", "height", "width", ["channels", this.inChannels]]);
    const [batch, height, width, channels] = images.shape;
    const [kernels, rows, columns] = this.weight.shape;
    const { pads: [top, bottom, left, right], output } = this.#geometry([height, width]);
    const [down, across] = pair(this.#options.stride);
    return tidy(() => {
      const attention = this.attention.forward(images);
      const mixed = ops.matMul(attention, ops.reshape(this.weight, [kernels, -1]));
      const padded = ops.pad(images, [[0, 0], [top, bottom], [left, right], [0, 0]]);
      // One row of the window at a time: its columns side by side as channels, then a product of
      // matrices for all images at once.
      const strip = ops.concat(
        Array.from({ length: columns }, (_, column) => every(padded, 2, column, output[1], across)),
        3,
      );
      const kernelRows = ops.split(
        ops.reshape(mixed, [batch, rows * columns * channels, this.outChannels]),
        rows,
        1,
      );
      const y = kernelRows
        .map((kernelRow, row) => {
          const patches = every(strip, 1, row, output[0], down);
          return ops.batchMatMul(ops.reshape(patches, [batch, -1, columns * channels]), kernelRow);
        })
        .reduce((sum, part) => ops.add(sum, part));
      const maps = ops.reshape(y, [batch, ...output, this.outChannels]);
      if (!this.bias) return maps;
      const bias: Tensor2D = ops.matMul(attention, this.bias);
      return ops.add(maps, ops.reshape(bias, [batch, 1, 1, this.outChannels]));
    });
  }

  /**
   * Height and width of the output for images of a height and width.
   *
   * @throws {RangeError} If the window does not fit.
   */
  outputSize(size: readonly [height: number, width: number]): readonly [number, number] {
    return this.#geometry(size).output;
  }

  #geometry(size: readonly [height: number, width: number]) {
    const [, height, width] = this.weight.shape;
    const kernelSize = [height, width] as const;
    return windowGeometry("dynamicConv2d", size, { ...this.#options, kernelSize });
  }

  override describe(): string {
    const { stride, padding } = this.#options;
    const [kernels, height, width] = this.weight.shape;
    return [
      `dynamicConv2d ${this.inChannels} → ${this.outChannels}, ${kernels} kernels ${height}×${width}`,
      String(pair(stride)) === "1,1" ? [] : `stride ${pairText(stride)}`,
      padding === 0 || padding === "valid" ? [] : `padding ${padding}`,
    ].flat().join(", ");
  }

  override macs(_input: readonly number[], output: readonly number[]): number {
    const [height = 1, width = 1] = output;
    const mixing = this.weight.size + (this.bias?.size ?? 0);
    return height * width * (this.weight.size / this.attention.kernels) + mixing;
  }
}

/** `count` rows (axis 1) or columns (axis 2) of images, from `start` on, every `step`-th. */
function every(images: Images, axis: 1 | 2, start: number, count: number, step: number): Images {
  const begin = [0, 0, 0, 0], size = [-1, -1, -1, -1];
  begin[axis] = start;
  size[axis] = (count - 1) * step + 1;
  const block = ops.slice(images, begin, size);
  // A 1×1 pooling skips with a gradient, which a strided slice has not in TensorFlow.js.
  return step === 1
    ? block
    : ops.avgPool(block, { kernelSize: 1, stride: axis === 1 ? [step, 1] : [1, step] });
}

/**
 * Dynamic convolution: each image is convolved with a mixture of its own of K kernels,
 * `y = (Σ πₖ(x) · Wₖ) * x + Σ πₖ(x) · bₖ`, with
 * `π(x) = softmax(score(relu(squeeze(mean of each channel))) / temperature)` (Chen et al. 2020,
 * sections 3 and 4). Images `[batch, height, width, in]` to the shape that `conv2d` gives, at its
 * multiply-accumulates and K more for each weight of a kernel.
 *
 * `layer.attention` is the module that gives the weights π `[batch, kernels]`. Its hidden units are
 * `reduction · in`, but at least two for each kernel. The kernels start as {@linkcode heNormal},
 * the bias at zero.
 *
 * @throws {RangeError} If a size is not a whole number of at least 1, the temperature is not
 * positive, the reduction is not above 0 and at most 1, or the input of `forward` has other
 * channels or is smaller than the window.
 * @throws {TypeError} If an option is of the wrong kind, or the input is not a float32 tensor.
 *
 * @example
 * ```ts
 * import { dynamicConv2d, ops, resnet } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const layer = dynamicConv2d(3, 8, { kernelSize: 3, padding: 1 });
 * const images = ops.ones([2, 6, 6, 3]);
 * assert.deepEqual(layer.forward(images).shape, [2, 6, 6, 8]);
 * assert.deepEqual(layer.attention.forward(images).shape, [2, 4]);
 *
 * // In the blocks of a network:
 * const model = resnet({ block: "basic", stages: [1], stem: "cifar", channels: 8, classes: 10, convolution: dynamicConv2d });
 * assert.deepEqual(model.forward(images).shape, [2, 10]);
 * ```
 */
export function dynamicConv2d<const InChannels extends number, const OutChannels extends number>(
  inChannels: InChannels,
  outChannels: OutChannels,
  options: DynamicConv2dOptions,
): DynamicConv2d<InChannels, OutChannels> {
  checkArguments("Building dynamicConv2d", arguments, 3);
  return new DynamicConv2d(inChannels, outChannels, options);
}

/**
 * Sets the temperature of all dynamic convolutions of a model. The paper's annealing lowers it from
 * 30 to 1 in equal steps over the first 10 epochs, so that at first all kernels learn (Chen et al.
 * 2020, section 4).
 *
 * @throws {RangeError} If the temperature is not a positive number, or the model has no dynamic
 * convolution.
 *
 * @example
 * ```ts
 * import { dynamicConv2d, sequential, setTemperature } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const model = sequential(dynamicConv2d(1, 4, { kernelSize: 3 }));
 * const annealed = (step: number) => Math.max(1, 30 - 29 * step / 1000);
 * setTemperature(model, annealed(500));
 * assert.equal(model.layers[0].attention.temperature, 15.5);
 * ```
 */
export function setTemperature(model: AnyModule, temperature: number): void {
  checkModule("Setting the temperature", "the model", model);
  const attentions = [...model.namedModules().values()]
    .filter((module) => module instanceof KernelAttention);
  if (attentions.length === 0) {
    throw new RangeError("Setting the temperature: the model has no dynamic convolution.");
  }
  for (const attention of attentions) attention.temperature = temperature;
}
