import {
  type Features,
  type Images,
  ops,
  type Padding,
  type Pair,
  type Tensor2D,
  tidy,
  variable,
  type Variable2D,
  type Variable5D,
} from "../tensor/mod.ts";
import {
  checkArguments,
  checkBoolean,
  checkInteger,
  checkNumber,
  checkOptions,
  checkPadding,
  checkPair,
  liveNumber,
  pair,
  type WindowGeometry,
  windowGeometry,
} from "../tensor/internal.ts";
import { checkInput, checkModule } from "./checks.ts";
import { pairText } from "./conv.ts";
import { fansOf, initialize, type Initializer } from "./initialize.ts";
import { heNormal } from "./initializers.ts";
import { type Linear, linear } from "./linear.ts";
import { type AnyModule, Module } from "./module.ts";

/** The options of {@linkcode dynamicConv2d}. */
export interface DynamicConv2dOptions {
  /** Height and width of the window in pixels. */
  kernelSize: Pair;
  /**
   * Pixels from one window to the next.
   *
   * @default 1
   */
  stride?: Pair;
  /**
   * Zeros around the images.
   *
   * @default 0
   */
  padding?: Padding;
  /**
   * Whether each kernel has a bias for each output channel. Batch norm after the layer makes the
   * bias redundant.
   *
   * @default true
   */
  useBias?: boolean;
  /**
   * The number of kernels that are mixed (K in the paper).
   *
   * @default 4
   */
  kernels?: number;
  /**
   * The temperature, which divides the scores before the softmax. The default is the paper's first
   * value; see {@linkcode DynamicConv2d.setTemperature}.
   *
   * @default 30
   */
  temperature?: number;
  /**
   * Hidden units of the attention as a fraction of the input channels.
   *
   * @default 1 / 4
   */
  reduction?: number;
  /**
   * The initial kernels `[kernels, height, width, in, out]`, from the fans of one of them.
   *
   * @default heNormal()
   */
  weightInitializer?: Initializer;
}

/** Checks the temperature of the attention. */
function checkTemperature(action: string, value: number): void {
  const fits = value > 0 && value < Infinity;
  checkNumber(action, "temperature", value, fits, "a finite number above 0");
}

/**
 * The attention over kernels of a {@linkcode dynamicConv2d}: images `[batch, height, width, in]` to
 * the weights of the kernels, `[batch, kernels]`, which sum to 1.
 */
export class KernelAttention<InChannels extends number>
  extends Module<Images<InChannels>, Features> {
  /** The layer from the channels' means to the hidden units. */
  readonly squeeze: Linear<number, number>;
  /** The layer from the hidden units to a score for each kernel. */
  readonly score: Linear<number, number>;
  #temperature: number;

  /** See {@linkcode dynamicConv2d}, which checks the arguments. */
  constructor(
    /** The channels of the input. */
    readonly inChannels: InChannels,
    /** The number of kernels. */
    readonly kernels: number,
    reduction: number,
    temperature: number,
  ) {
    super();
    // For most images relu outputs zero in the same half of the units. With fewer than two units
    // for each kernel, soon none would be active.
    const hidden = Math.max(Math.round(inChannels * reduction), 2 * kernels);
    this.squeeze = linear<number, number>(inChannels, hidden);
    this.score = linear<number, number>(hidden, kernels);
    this.#temperature = temperature;
  }

  /**
   * The temperature, which divides the scores: the higher it is, the more equal are the weights. It
   * is not part of the state dict.
   */
  get temperature(): number {
    return this.#temperature;
  }
  /** @throws {RangeError} If it is not a finite number above 0. */
  set temperature(value: number) {
    checkTemperature("Setting the temperature", value);
    this.#temperature = value;
  }

  /** Returns the weights of the kernels for each image. */
  override forward(images: Images<InChannels>): Features {
    checkInput(this, images, ["batch", "height", "width", ["channels", this.inChannels]]);
    return tidy(() => {
      const hidden = ops.relu(this.squeeze.forward(ops.mean(images, [1, 2])));
      const temperature = liveNumber(this, "temperature");
      return ops.softmax(ops.div(this.score.forward(hidden), temperature));
    });
  }

  /** Returns the number of kernels. */
  override describe(): string {
    return `attention over ${this.kernels} kernels`;
  }
}

/** A convolution with another kernel for each image; made by {@linkcode dynamicConv2d}. */
export class DynamicConv2d<InChannels extends number, OutChannels extends number>
  extends Module<Images<InChannels>, Images<OutChannels>> {
  /** The kernels that are mixed `[kernels, height, width, in, out]`. */
  readonly weight: Variable5D;
  /** The bias of each kernel `[kernels, out]`; undefined with `useBias: false`. */
  readonly bias: Variable2D | undefined;
  /** The module that returns the weights of the kernels. */
  readonly attention: KernelAttention<InChannels>;
  /** Pixels from one window to the next. */
  readonly stride: Pair;
  /** Zeros around the images. */
  readonly padding: Padding;

  /**
   * Sets the temperature of all dynamic convolutions of a model. The paper's annealing lowers it
   * from 30 to 1 in equal steps over the first 10 epochs, so that all kernels learn at first (Chen
   * et al. 2020, section 4).
   *
   * @throws {RangeError} If the temperature is not a finite number above 0, or the model has no
   * dynamic convolution.
   *
   * @example
   * ```ts
   * import { DynamicConv2d, dynamicConv2d, sequential } from "resnet-lab";
   * import assert from "node:assert/strict";
   *
   * const model = sequential(dynamicConv2d(1, 4, { kernelSize: 3 }));
   * const annealed = (step: number) => Math.max(1, 30 - 29 * step / 1000);
   * DynamicConv2d.setTemperature(model, annealed(500));
   * assert.equal(model.layers[0].attention.temperature, 15.5);
   * ```
   */
  static setTemperature(model: AnyModule, temperature: number): void {
    const action = "Setting the temperature";
    checkModule(action, "the model", model);
    const attentions = [...model.namedModules().values()]
      .filter((module) => module instanceof KernelAttention);
    if (attentions.length === 0) {
      throw new RangeError(
        `${action}: the model must have a dynamic convolution, found ${model.describe()} without one.`,
      );
    }
    for (const attention of attentions) attention.temperature = temperature;
  }

  /** See {@linkcode dynamicConv2d}. */
  constructor(
    /** The channels of the input. */
    readonly inChannels: InChannels,
    /** The channels of the output. */
    readonly outChannels: OutChannels,
    options: DynamicConv2dOptions,
  ) {
    super();
    const action = "Building dynamicConv2d";
    checkOptions<DynamicConv2dOptions>(action, options, "{ kernelSize: 3 }", {
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
    checkInteger(action, "inChannels", inChannels);
    checkInteger(action, "outChannels", outChannels);
    checkPair(action, "kernelSize", kernelSize);
    checkPair(action, "stride", stride);
    checkPadding(action, padding);
    checkBoolean(action, "useBias", useBias);
    checkInteger(action, "kernels", kernels);
    checkTemperature(action, temperature);
    const isFraction = reduction > 0 && reduction <= 1;
    checkNumber(action, "reduction", reduction, isFraction, "a number above 0 and at most 1");
    const [height, width] = pair(kernelSize);
    // An output sums the inputs of one kernel, no matter how many are mixed.
    const fans = fansOf([height, width, inChannels, outChannels]);
    this.weight = initialize(
      action,
      [kernels, height, width, inChannels, outChannels],
      typeof weightInitializer === "function"
        ? (shape, _, random) => weightInitializer(shape, fans, random)
        : weightInitializer,
    );
    this.bias = useBias ? variable(ops.zeros([kernels, outChannels])) : undefined;
    this.attention = new KernelAttention(inChannels, kernels, reduction, temperature);
    this.stride = stride;
    this.padding = padding;
  }

  /** Convolves each image of a batch with its mixture of the kernels. */
  override forward(images: Images<InChannels>): Images<OutChannels> {
    checkInput(this, images, ["batch", "height", "width", ["channels", this.inChannels]]);
    const [batch, height, width, channels] = images.shape;
    const [kernels, rows, columns] = this.weight.shape;
    const { pads: [top, bottom, left, right], output } = this.#geometry([height, width]);
    const [down, across] = pair(this.stride);
    return tidy(() => {
      const attention = this.attention.forward(images);
      const mixed = ops.matMul(attention, ops.reshape(this.weight, [kernels, -1]));
      const padded = ops.pad(images, [[0, 0], [top, bottom], [left, right], [0, 0]]);
      // One row of the window at a time: its columns become channels side by side, then one product
      // of matrices does all images.
      const strip = ops.concat(
        Array.from(
          { length: columns },
          (_, column) => everyNth(padded, 2, column, output[1], across),
        ),
        3,
      );
      const kernelRows = ops.split(
        ops.reshape(mixed, [batch, rows * columns * channels, this.outChannels]),
        rows,
        1,
      );
      const y = kernelRows
        .map((kernelRow, row) => {
          const patches = everyNth(strip, 1, row, output[0], down);
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
   * Returns the height and width of the output for images of a height and width.
   *
   * @throws {RangeError} If the window does not fit.
   */
  outputSize(size: readonly [height: number, width: number]): readonly [number, number] {
    return this.#geometry(size).output;
  }

  #geometry(size: readonly [height: number, width: number]): WindowGeometry {
    const [, height, width] = this.weight.shape;
    const { stride, padding } = this;
    return windowGeometry("dynamicConv2d", size, { kernelSize: [height, width], stride, padding });
  }

  /** Returns the channels, the kernels and the options that are not the default. */
  override describe(): string {
    const { stride, padding } = this;
    const [kernels, height, width] = this.weight.shape;
    return [
      `dynamicConv2d ${this.inChannels} → ${this.outChannels}, ${kernels} kernels ${height}×${width}`,
      String(pair(stride)) === "1,1" ? [] : `stride ${pairText(stride)}`,
      padding === 0 || padding === "valid" ? [] : `padding ${padding}`,
    ].flat().join(", ");
  }

  /**
   * Returns the multiply-accumulates of a convolution, and one more for each weight and bias that
   * is mixed.
   */
  override macs(_input: readonly number[], output: readonly number[]): number {
    const [height = 1, width = 1] = output;
    const mixing = this.weight.size + (this.bias?.size ?? 0);
    return height * width * (this.weight.size / this.attention.kernels) + mixing;
  }
}

/** Returns `count` rows (axis 1) or columns (axis 2) of images: every `step`-th from `start`. */
function everyNth(images: Images, axis: 1 | 2, start: number, count: number, step: number): Images {
  const begin = [0, 0, 0, 0], size = [-1, -1, -1, -1];
  begin[axis] = start;
  size[axis] = (count - 1) * step + 1;
  const block = ops.slice(images, begin, size);
  // Pooling over 1×1 windows, because a strided slice has no gradient in TensorFlow.js.
  return step === 1
    ? block
    : ops.avgPool(block, { kernelSize: 1, stride: axis === 1 ? [step, 1] : [1, step] });
}

/**
 * Makes a dynamic convolution, which convolves each image with its own mixture of K kernels,
 * `y = (Σ πₖ(x) · Wₖ) * x + Σ πₖ(x) · bₖ`, with
 * `π(x) = softmax(score(relu(squeeze(mean of each channel))) / temperature)` (Chen et al. 2020,
 * sections 3 and 4). The output has the shape of {@linkcode conv2d}. The cost is its
 * multiply-accumulates and K more for each weight of a kernel.
 *
 * The module `layer.attention` returns the weights π `[batch, kernels]`. It has `reduction · in`
 * hidden units, but at least two for each kernel. The bias starts at zero.
 *
 * @throws {RangeError} If a size is not a whole number of at least 1, the temperature is not above
 * 0, the reduction is not above 0 and at most 1, or the input of `forward` has a different number
 * of channels or is smaller than the window.
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
 * const model = resnet({
 *   ...{ block: "basic", stages: [1], stem: "cifar", channels: 8, classes: 10 },
 *   convolution: dynamicConv2d,
 * });
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
