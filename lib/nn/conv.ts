import {
  type Images,
  ops,
  type Padding,
  type Pair,
  type Tensor1D,
  tidy,
  variable,
  type Variable1D,
  type Variable4D,
} from "../tensor/mod.ts";
import {
  checkArguments,
  checkBoolean,
  checkInteger,
  checkOptions,
  checkPadding,
  checkPair,
  pair,
  windowGeometry,
} from "../tensor/internal.ts";
import { checkInput } from "./checks.ts";
import { initialize, type Initializer } from "./initialize.ts";
import { heNormal } from "./initializers.ts";
import { Module } from "./module.ts";

/** The options of {@linkcode conv2d}. */
export interface Conv2dOptions {
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
   * Distance in pixels between neighbouring elements of the kernel.
   *
   * @default 1
   */
  dilation?: Pair;
  /**
   * Groups of channels. An output channel depends only on the input channels of its group.
   *
   * @default 1
   */
  groups?: number;
  /**
   * Whether each output channel has a bias. Batch norm after the layer makes the bias redundant.
   *
   * @default true
   */
  useBias?: boolean;
  /**
   * The initial weights.
   *
   * @default heNormal()
   */
  weightInitializer?: Initializer;
}

/** A convolution over images; made by {@linkcode conv2d}. */
export class Conv2d<InChannels extends number, OutChannels extends number>
  extends Module<Images<InChannels>, Images<OutChannels>> {
  /** The weights `[height, width, in / groups, out]`. */
  readonly weight: Variable4D;
  /** The bias of each output channel `[out]`; undefined with `useBias: false`. */
  readonly bias: Variable1D | undefined;
  /** Pixels from one window to the next. */
  readonly stride: Pair;
  /** Zeros around the images. */
  readonly padding: Padding;
  /** Distance in pixels between neighbouring elements of the kernel. */
  readonly dilation: Pair;
  /** Groups of channels. */
  readonly groups: number;

  /** See {@linkcode conv2d}. */
  constructor(
    /** The channels of the input. */
    readonly inChannels: InChannels,
    /** The channels of the output. */
    readonly outChannels: OutChannels,
    options: Conv2dOptions,
  ) {
    super();
    const action = "Building conv2d";
    checkOptions<Conv2dOptions>(action, options, "{ kernelSize: 3 }", {
      kernelSize: true,
      stride: true,
      padding: true,
      dilation: true,
      groups: true,
      useBias: true,
      weightInitializer: true,
    });
    const { kernelSize, stride = 1, padding = 0, dilation = 1, groups = 1 } = options;
    const { useBias = true, weightInitializer = heNormal() } = options;
    checkInteger(action, "inChannels", inChannels);
    checkInteger(action, "outChannels", outChannels);
    checkInteger(action, "groups", groups);
    checkPair(action, "kernelSize", kernelSize);
    checkPair(action, "stride", stride);
    checkPair(action, "dilation", dilation);
    checkPadding(action, padding);
    checkBoolean(action, "useBias", useBias);
    if (inChannels % groups !== 0 || outChannels % groups !== 0) {
      throw new RangeError(
        `${action}: groups must divide the channels, found ${groups} groups with ${inChannels} channels in and ${outChannels} out.`,
      );
    }
    const [height, width] = pair(kernelSize);
    const shape = [height, width, inChannels / groups, outChannels] as const;
    this.weight = initialize(action, shape, weightInitializer);
    this.bias = useBias ? variable(ops.zeros([outChannels])) : undefined;
    this.stride = stride;
    this.padding = padding;
    this.dilation = dilation;
    this.groups = groups;
  }

  /** Convolves a batch of images. */
  override forward(images: Images<InChannels>): Images<OutChannels> {
    checkInput(this, images, ["batch", "height", "width", ["channels", this.inChannels]]);
    const { weight, bias, stride, padding, dilation, groups } = this;
    return ops.conv2d(images, weight, { stride, padding, dilation, groups, bias });
  }

  /**
   * Changes the layer so that it returns `factor · y + offset`, each `[out]`, where it returned y.
   * A layer without a bias gets one. {@linkcode foldBatchNorm} calls it.
   */
  rescale(factor: Tensor1D, offset: Tensor1D): void {
    tidy(() => {
      this.weight.assign(ops.mul(this.weight, factor));
      if (this.bias) this.bias.assign(ops.add(ops.mul(this.bias, factor), offset));
      else Object.assign(this, { bias: variable(ops.clone(offset)) }); // Read-only to all others.
    });
  }

  /**
   * Returns the height and width of the output for images of a height and width.
   *
   * @throws {RangeError} If the window does not fit.
   *
   * @example
   * ```ts
   * import { conv2d } from "resnet-lab";
   * import assert from "node:assert/strict";
   *
   * const layer = conv2d(3, 96, { kernelSize: 11, stride: 4 });
   * assert.deepEqual(layer.outputSize([227, 227]), [55, 55]);
   * ```
   */
  outputSize(size: readonly [height: number, width: number]): readonly [number, number] {
    const [height, width] = this.weight.shape;
    const { stride, padding, dilation } = this;
    const window = { kernelSize: [height, width], stride, padding, dilation } as const;
    return windowGeometry("conv2d", size, window).output;
  }

  /** Returns the channels, the window and the options that are not the default. */
  override describe(): string {
    const { stride, padding, dilation, groups } = this;
    const [height, width] = this.weight.shape;
    return [
      `conv2d ${this.inChannels} → ${this.outChannels}, ${height}×${width}`,
      String(pair(stride)) === "1,1" ? [] : `stride ${pairText(stride)}`,
      padding === 0 || padding === "valid" ? [] : `padding ${padding}`,
      String(pair(dilation)) === "1,1" ? [] : `dilation ${pairText(dilation)}`,
      groups === 1 ? [] : `${groups} groups`,
    ].flat().join(", ");
  }

  /** Returns one multiply-accumulate for each output value and each weight of its channel. */
  override macs(_input: readonly number[], output: readonly number[]): number {
    return output.reduce((product, axis) => product * axis, 1) *
      (this.weight.size / this.outChannels);
  }
}

/** Returns a pair as text: one number if both are the same. */
export function pairText(value: Pair): string {
  const [vertical, horizontal] = pair(value);
  return vertical === horizontal ? String(vertical) : `${vertical}×${horizontal}`;
}

/**
 * Makes a convolution: images `[batch, height, width, in]` to `[batch, height′, width′, out]` with
 * `height′ = ⌊(height + 2·padding − dilation·(kernelSize − 1) − 1) / stride⌋ + 1`.
 *
 * The bias starts at zero.
 *
 * @throws {RangeError} If an option is not a whole number of at least 1, the groups do not divide
 * the channels, or the input of `forward` has a different number of channels or is smaller than the
 * window.
 * @throws {TypeError} If an option is of the wrong kind, or the input is not a float32 tensor.
 *
 * @example
 * ```ts
 * import { conv2d, ops } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const layer = conv2d(3, 64, { kernelSize: 7, stride: 2, padding: 3 });
 * assert.deepEqual(layer.forward(ops.zeros([1, 224, 224, 3])).shape, [1, 112, 112, 64]);
 * assert.deepEqual(layer.weight.shape, [7, 7, 3, 64]);
 *
 * const grey = conv2d(1, 1, { kernelSize: 1 }).forward(ops.zeros([1, 8, 8, 1]));
 * // @ts-expect-error: images with one channel do not fit
 * assert.throws(() => layer.forward(grey));
 * ```
 */
export function conv2d<const InChannels extends number, const OutChannels extends number>(
  inChannels: InChannels,
  outChannels: OutChannels,
  options: Conv2dOptions,
): Conv2d<InChannels, OutChannels> {
  checkArguments("Building conv2d", arguments, 3);
  return new Conv2d(inChannels, outChannels, options);
}
