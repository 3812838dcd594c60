import {
  type Features,
  type Images,
  ops,
  type Padding,
  type Pair,
  type RankOf,
  type Scalar,
  type Tensor2D,
  tidy,
  type Variable,
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
  pair,
  type WindowGeometry,
  windowGeometry,
} from "../tensor/internal.ts";
import { checkInput } from "./checks.ts";
import { pairText } from "./conv.ts";
import { fansOf, initialize, type Initializer } from "./initialize.ts";
import { heNormal } from "./initializers.ts";
import { type Linear, linear } from "./linear.ts";
import { type ForwardOptions, Module } from "./module.ts";

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
   * value.
   *
   * @default 30
   */
  temperature?: number;
  /**
   * The annealing: the number of training passes in which the temperature falls in equal steps to
   * 1, so that all kernels learn at first (Chen et al. 2020, section 4, who take 10 epochs).
   *
   * @default the temperature stays
   */
  annealingPasses?: number;
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
  /**
   * The temperature, a number above 0 that divides the scores: the higher it is, the more equal are
   * the weights. It is not trained, but saved with the model like a running statistic.
   */
  readonly temperature: Variable<RankOf<Scalar>>;
  readonly #fall: number;

  /** See {@linkcode dynamicConv2d}, which checks the arguments. */
  constructor(
    /** The channels of the input. */
    readonly inChannels: InChannels,
    /** The number of kernels. */
    readonly kernels: number,
    options: Required<
      Pick<DynamicConv2dOptions, "reduction" | "temperature" | "annealingPasses">
    >,
  ) {
    super();
    const { reduction, temperature, annealingPasses } = options;
    // For most images relu outputs zero in the same half of the units. With fewer than two units
    // for each kernel, soon none would be active.
    const hidden = Math.max(Math.round(inChannels * reduction), 2 * kernels);
    this.squeeze = linear<number, number>(inChannels, hidden);
    this.score = linear<number, number>(hidden, kernels);
    this.temperature = variable(ops.scalar(temperature), { trainable: false });
    this.#fall = (temperature - 1) / annealingPasses;
  }

  /**
   * Returns the weights of the kernels for each image. In training with `annealingPasses` the
   * temperature falls afterwards, unless the module is frozen.
   */
  override forward(
    images: Images<InChannels>,
    { training = false }: ForwardOptions = {},
  ): Features {
    checkInput(this, images, ["batch", "height", "width", ["channels", this.inChannels]]);
    return tidy(() => {
      const hidden = ops.relu(this.squeeze.forward(ops.mean(images, [1, 2])));
      // A tensor of its own: the gradient of the division needs the value of this pass.
      const inverse = ops.div(1, this.temperature);
      const weights = ops.softmax(ops.mul(this.score.forward(hidden), inverse));
      if (training && this.#fall > 0 && !this.isFrozen) {
        this.temperature.assign(ops.maximum(ops.sub(this.temperature, this.#fall), 1));
      }
      return weights;
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
      annealingPasses: true,
      reduction: true,
      weightInitializer: true,
    });
    const { kernelSize, stride = 1, padding = 0, useBias = true, kernels = 4 } = options;
    const { temperature = 30, annealingPasses = Infinity, reduction = 1 / 4 } = options;
    const { weightInitializer = heNormal() } = options;
    checkInteger(action, "inChannels", inChannels);
    checkInteger(action, "outChannels", outChannels);
    checkPair(action, "kernelSize", kernelSize);
    checkPair(action, "stride", stride);
    checkPadding(action, padding);
    checkBoolean(action, "useBias", useBias);
    checkInteger(action, "kernels", kernels);
    const isTemperature = temperature > 0 && temperature < Infinity;
    checkNumber(action, "temperature", temperature, isTemperature, "a finite number above 0");
    if (options.annealingPasses !== undefined) {
      checkInteger(action, "annealingPasses", annealingPasses);
      const isAbove = temperature > 1;
      checkNumber(action, "temperature", temperature, isAbove, "above 1 with annealingPasses");
    }
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
    this.attention = new KernelAttention(inChannels, kernels, {
      reduction,
      temperature,
      annealingPasses,
    });
    this.stride = stride;
    this.padding = padding;
  }

  /** Convolves each image of a batch with its mixture of the kernels. */
  override forward(images: Images<InChannels>, options?: ForwardOptions): Images<OutChannels> {
    checkInput(this, images, ["batch", "height", "width", ["channels", this.inChannels]]);
    const [batch, height, width, channels] = images.shape;
    const [kernels, rows, columns] = this.weight.shape;
    const { pads: [top, bottom, left, right], output } = this.#geometry([height, width]);
    const [down, across] = pair(this.stride);
    return tidy(() => {
      const attention = this.attention.forward(images, options);
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
 * hidden units, but at least two for each kernel. The bias starts at zero. With `annealingPasses`
 * the temperature falls to 1 during the training. To set it by hand, assign to the variables of the
 * model whose path ends in `attention.temperature`.
 *
 * @throws {RangeError} If a size is not a whole number of at least 1, the temperature is not above
 * 0 (with `annealingPasses` above 1), the reduction is not above 0 and at most 1, or the input of
 * `forward` has a different number of channels or is smaller than the window.
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
 * // In the blocks of a network, with a temperature that falls from 30 to 1 in 29 steps:
 * const model = resnet({
 *   ...{ block: "basic", stages: [1], stem: "cifar", channels: 8, classes: 10 },
 *   convolution: (inChannels, outChannels, options) =>
 *     dynamicConv2d(inChannels, outChannels, { ...options, annealingPasses: 29 }),
 * });
 * const temperature = model.namedVariables().get("layer1.0.conv1.attention.temperature")!;
 * assert.equal(temperature.dataSync()[0], 30);
 * for (let step = 0; step < 5; step++) model.forward(images, { training: true });
 * assert.equal(temperature.dataSync()[0], 25);
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
