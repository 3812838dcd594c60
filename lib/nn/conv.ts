import {
  checkOptions,
  type Images,
  ops,
  type Padding,
  type Pair,
  pair,
  type Tensor1D,
  tidy,
  variable,
  type Variable1D,
  type Variable4D,
  windowGeometry,
} from "../tensor/mod.ts";
import {
  checkArguments,
  checkBoolean,
  checkInput,
  checkPadding,
  checkPair,
  checkWhole,
} from "./checks.ts";
import { heNormal, initialize, type Initializer } from "./initializers.ts";
import { Module } from "./module.ts";

/** The options of {@linkcode conv2d}. */
export interface Conv2dOptions {
  /** Height and width of the window in pixels. */
  kernelSize: Pair;
  /** Pixels from one window to the next. */
  stride?: Pair;
  /** Zeros around the images. */
  padding?: Padding;
  /** Distance between neighbouring taps of the window. */
  dilation?: Pair;
  /** Groups of channels that do not see each other. */
  groups?: number;
  /** Whether a number is added to each output channel; needless before batch norm. */
  useBias?: boolean;
  /** The initial kernel. */
  weightInitializer?: Initializer;
}

/** A convolution over images; made by {@linkcode conv2d}. */
export class Conv2d<InChannels extends number, OutChannels extends number>
  extends Module<Images<InChannels>, Images<OutChannels>> {
  /** The weights `[height, width, in / groups, out]`. */
  readonly weight: Variable4D;
  /** What is added to each output channel `[out]`, if anything. */
  readonly bias: Variable1D | undefined;
  readonly #options: { stride: Pair; padding: Padding; dilation: Pair; groups: number };

  /** See {@linkcode conv2d}. */
  constructor(
    readonly inChannels: InChannels,
    readonly outChannels: OutChannels,
    options: Conv2dOptions,
  ) {
    super();
    const doing = "Building conv2d";
    checkOptions<Conv2dOptions>(doing, options, "{ kernelSize: 3 }", {
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
    checkWhole(doing, "inChannels", inChannels);
    checkWhole(doing, "outChannels", outChannels);
    checkWhole(doing, "groups", groups);
    checkPair(doing, "kernelSize", kernelSize);
    checkPair(doing, "stride", stride);
    checkPair(doing, "dilation", dilation);
    checkPadding(doing, padding);
    checkBoolean(doing, "useBias", useBias);
    if (inChannels % groups !== 0 || outChannels % groups !== 0) {
      throw new RangeError(
        `${doing}: ${groups} groups must divide the channels, found ${inChannels} in and ${outChannels} out.`,
      );
    }
    const [height, width] = pair(kernelSize);
    const shape = [height, width, inChannels / groups, outChannels] as const;
    this.weight = initialize(doing, shape, weightInitializer);
    this.bias = useBias ? variable(ops.zeros([outChannels])) : undefined;
    this.#options = { stride, padding, dilation, groups };
  }

  override forward(images: Images<InChannels>): Images<OutChannels> {
    checkInput(this, images, ["batch", "height", "width", ["channels", this.inChannels]]);
    return ops.conv2d(images, this.weight, { ...this.#options, bias: this.bias });
  }

  /**
   * Makes it give `factor · y + offset`, each `[out]`, in place of the y that it gives now: the
   * kernel and the bias are multiplied, and the offset added to the bias, which it gets if it has
   * none. {@linkcode foldBatchNorm} calls it.
   */
  rescale(factor: Tensor1D, offset: Tensor1D): void {
    tidy(() => {
      this.weight.assign(ops.mul(this.weight, factor));
      if (this.bias) this.bias.assign(ops.add(ops.mul(this.bias, factor), offset));
      else Object.assign(this, { bias: variable(ops.clone(offset)) }); // Read-only to all others.
    });
  }

  /**
   * Height and width of the output for images of a height and width.
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
    const { stride, padding, dilation } = this.#options;
    const window = { kernelSize: [height, width], stride, padding, dilation } as const;
    return windowGeometry("conv2d", size, window).output;
  }

  override describe(): string {
    const { stride, padding, dilation, groups } = this.#options;
    const [height, width] = this.weight.shape;
    return [
      `conv2d ${this.inChannels} → ${this.outChannels}, ${height}×${width}`,
      String(pair(stride)) === "1,1" ? [] : `stride ${pairText(stride)}`,
      padding === 0 || padding === "valid" ? [] : `padding ${padding}`,
      String(pair(dilation)) === "1,1" ? [] : `dilation ${pairText(dilation)}`,
      groups === 1 ? [] : `${groups} groups`,
    ].flat().join(", ");
  }

  override macs(_input: readonly number[], output: readonly number[]): number {
    return output.reduce((product, axis) => product * axis, 1) *
      (this.weight.size / this.outChannels);
  }
}

/** A pair as text: one number if both are the same. */
export function pairText(value: Pair): string {
  const [vertical, horizontal] = pair(value);
  return vertical === horizontal ? String(vertical) : `${vertical}×${horizontal}`;
}

/**
 * A convolution: images `[batch, height, width, in]` to `[batch, height′, width′, out]` with
 * `height′ = ⌊(height + 2·padding − dilation·(kernelSize − 1) − 1) / stride⌋ + 1`.
 *
 * The kernel starts as {@linkcode heNormal}, the bias at zero.
 *
 * @throws {RangeError} If an option is not a whole number that is large enough, the groups do not
 * divide the channels, or the input of `forward` has other channels or is smaller than the window.
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
 * // @ts-expect-error: images with one channel do not fit
 * assert.throws(() => layer.forward(conv2d(1, 1, { kernelSize: 1 }).forward(ops.zeros([1, 8, 8, 1]))));
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
