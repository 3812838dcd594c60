import {
  checkOptions,
  type Features,
  type Images,
  type LastAxisOf,
  ops,
  type Padding,
  type Pair,
  pair,
  type Tensor4D,
  tidy,
  windowGeometry,
} from "../tensor/mod.ts";
import { show } from "../tensor/internal.ts";
import {
  checkArguments,
  checkBoolean,
  checkInput,
  checkPadding,
  checkPair,
  IMAGE_AXES,
} from "./checks.ts";
import { pairText } from "./conv.ts";
import { Module, type shapeRule } from "./module.ts";

/** The options of {@linkcode maxPool} and {@linkcode avgPool}. */
export interface PoolOptions {
  /** Height and width of the window in pixels. */
  kernelSize: Pair;
  /** Pixels from one window to the next; the kernel size unless said otherwise. */
  stride?: Pair;
  /** Rows and columns around the images. */
  padding?: Padding;
  /**
   * Whether a last window that reaches over the bottom or right edge counts, if it starts inside;
   * false unless said otherwise.
   */
  ceilMode?: boolean;
}

/** Pooling over windows; made by {@linkcode maxPool} and {@linkcode avgPool}. */
export class Pool extends Module<Tensor4D, Tensor4D> {
  declare readonly [shapeRule]: "same";

  /** The options, with what they are where they were not given. */
  readonly options: Readonly<Required<PoolOptions>>;

  /** See {@linkcode maxPool} and {@linkcode avgPool}. */
  constructor(readonly kind: "maxPool" | "avgPool", options: PoolOptions) {
    super();
    if (kind !== "maxPool" && kind !== "avgPool") {
      throw new RangeError(
        `Building a pooling: kind must be maxPool or avgPool, found ${show(kind)}.`,
      );
    }
    const doing = `Building ${kind}`;
    checkOptions<PoolOptions>(doing, options, "{ kernelSize: 2 }", {
      kernelSize: true,
      stride: true,
      padding: true,
      ceilMode: true,
    });
    const { kernelSize, stride = kernelSize, padding = 0, ceilMode = false } = options;
    checkPair(doing, "kernelSize", kernelSize);
    checkPair(doing, "stride", stride);
    checkPadding(doing, padding);
    checkBoolean(doing, "ceilMode", ceilMode);
    this.options = { kernelSize, stride, padding, ceilMode };
  }

  override forward<T extends Images>(x: T): Images<LastAxisOf<T>> {
    checkInput(this, x, IMAGE_AXES);
    return ops[this.kind](x, this.options);
  }

  /**
   * Height and width of the output for images of a height and width; see
   * {@linkcode Conv2d.outputSize}.
   */
  outputSize(size: readonly [height: number, width: number]): readonly [number, number] {
    return windowGeometry(this.kind, size, this.options).output;
  }

  override describe(): string {
    const { kernelSize, stride, padding, ceilMode } = this.options;
    return [
      `${this.kind} ${pair(kernelSize).join("×")}, stride ${pairText(stride)}`,
      padding === 0 || padding === "valid" ? [] : `padding ${padding}`,
      ceilMode ? "ceil mode" : [],
    ].flat().join(", ");
  }
}

/**
 * The largest value in each window of each channel: images `[batch, height, width, channels]` to
 * `[batch, height′, width′, channels]` with
 * `height′ = ⌊(height + 2·padding − kernelSize) / stride⌋ + 1`, or with `ceilMode` ⌈…⌉ as long as
 * the last window starts inside the image or its top or left padding. Padding never wins.
 *
 * @throws {RangeError} If an option is not a whole number that is large enough; in `forward`, if
 * the window does not fit the image, or the padding is more than half the window.
 * @throws {TypeError} If an option is of the wrong kind, or the input is not a float32 tensor.
 *
 * @example
 * ```ts
 * import { maxPool, ops } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const layer = maxPool({ kernelSize: 3, stride: 2, padding: 1 });
 * assert.deepEqual(layer.forward(ops.zeros([1, 112, 112, 64])).shape, [1, 56, 56, 64]);
 * ```
 */
export function maxPool(options: PoolOptions): Pool {
  checkArguments("Building maxPool", arguments, 1);
  return new Pool("maxPool", options);
}

/**
 * The mean of each window of each channel, with the shapes and errors of {@linkcode maxPool}. The
 * zeros of a numeric padding count (PyTorch's default); those of `"same"` (TensorFlow's) and what a
 * window of `ceilMode` reaches over the edge do not.
 *
 * @example
 * ```ts
 * import { avgPool, ops } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const image = ops.tensor([1, 2, 3, 6], [1, 2, 2, 1]);
 * assert.equal(avgPool({ kernelSize: 2 }).forward(image).dataSync()[0], 3);
 * ```
 */
export function avgPool(options: PoolOptions): Pool {
  checkArguments("Building avgPool", arguments, 1);
  return new Pool("avgPool", options);
}

/** Global average pooling; made by {@linkcode globalAveragePool}. */
export class GlobalAveragePool extends Module<Tensor4D, Features> {
  declare readonly [shapeRule]: "pooled";

  override forward<T extends Images>(x: T): Features<LastAxisOf<T>> {
    checkInput(this, x, IMAGE_AXES);
    return ops.mean(x, [1, 2]);
  }

  override describe(): string {
    return "globalAveragePool";
  }
}

/**
 * The mean of each channel over the whole image: images `[batch, height, width, channels]` to
 * features `[batch, channels]` (Lin et al. 2014, section 3.2).
 *
 * @throws {TypeError} In `forward`, if the input is not a float32 tensor.
 * @throws {RangeError} In `forward`, if the input is not images.
 *
 * @example
 * ```ts
 * import { globalAveragePool, ops } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const y = globalAveragePool().forward(ops.tensor([1, 2, 3, 6], [1, 2, 2, 1]));
 * assert.deepEqual(y.arraySync(), [[3]]);
 * ```
 */
export function globalAveragePool(): GlobalAveragePool {
  checkArguments("Building globalAveragePool", arguments, 0);
  return new GlobalAveragePool();
}

/** Average pooling to a fixed grid; made by {@linkcode adaptiveAveragePool}. */
export class AdaptiveAveragePool extends Module<Tensor4D, Tensor4D> {
  declare readonly [shapeRule]: "same";

  /** See {@linkcode adaptiveAveragePool}. */
  constructor(readonly size: readonly [height: number, width: number]) {
    super();
    if (!Array.isArray(size)) {
      throw new TypeError(
        `Building adaptiveAveragePool: size must be [height, width], found ${show(size)}.`,
      );
    }
    checkPair("Building adaptiveAveragePool", "size", size);
  }

  override forward<T extends Images>(x: T): Images<LastAxisOf<T>> {
    checkInput(this, x, IMAGE_AXES);
    const [batch, height, width, channels] = x.shape;
    const [rows, columns] = this.size;
    if (rows === height && columns === width) return ops.clone(x);
    return tidy(() => {
      const alongRows = ops.matMul(
        binMeans(rows, height),
        ops.reshape(ops.transpose(x as Tensor4D, [1, 0, 2, 3]), [height, -1]),
      );
      const alongColumns = ops.matMul(
        binMeans(columns, width),
        ops.reshape(
          ops.transpose(ops.reshape(alongRows, [rows, batch, width, channels]), [2, 1, 0, 3]),
          [width, -1],
        ),
      );
      return ops.transpose(
        ops.reshape(alongColumns, [columns, batch, rows, channels]),
        [1, 2, 0, 3],
      );
    });
  }

  override describe(): string {
    return `adaptiveAveragePool ${this.size.join("×")}`;
  }
}

/**
 * The matrix `[bins, size]` whose row i takes the mean from `⌊i · size / bins⌋` up to
 * `⌈(i + 1) · size / bins⌉`.
 */
function binMeans(bins: number, size: number) {
  const rows = Array.from({ length: bins }, (_, i) => {
    const start = Math.floor((i * size) / bins);
    const end = Math.ceil(((i + 1) * size) / bins);
    return Array.from({ length: size }, (_, j) => j >= start && j < end ? 1 / (end - start) : 0);
  });
  return ops.tensor(rows);
}

/**
 * The mean of each cell of a grid of `size` over the image, whatever the image's size: images
 * `[batch, height, width, channels]` to `[batch, size[0], size[1], channels]`. Cell i goes from
 * `⌊i · height / size⌋` up to `⌈(i + 1) · height / size⌉`, so that neighbours overlap where the
 * size does not divide, as PyTorch's do.
 *
 * @throws {RangeError} If the size is not two whole numbers of at least 1.
 * @throws {TypeError} If the size is not an array of numbers.
 *
 * @example
 * ```ts
 * import { adaptiveAveragePool, ops } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const image = ops.tensor([1, 2, 3], [1, 3, 1, 1]);
 * assert.deepEqual([...adaptiveAveragePool([2, 1]).forward(image).dataSync()], [1.5, 2.5]);
 * ```
 */
export function adaptiveAveragePool(
  size: readonly [height: number, width: number],
): AdaptiveAveragePool {
  checkArguments("Building adaptiveAveragePool", arguments, 1);
  return new AdaptiveAveragePool(size);
}

/** Images as features; made by {@linkcode flatten}. */
export class Flatten extends Module<Tensor4D, Features> {
  override forward(x: Images): Features {
    checkInput(this, x, IMAGE_AXES);
    return ops.reshape(x, [x.shape[0], x.size / x.shape[0]]);
  }

  override describe(): string {
    return "flatten";
  }
}

/**
 * Images `[batch, height, width, channels]` as features `[batch, height · width · channels]`, in
 * that order.
 *
 * The type cannot tell how many features that makes; a `linear` that does not fit is found by
 * `summary` or the first forward pass.
 *
 * @throws {RangeError} In `forward`, if the input is not images.
 *
 * @example
 * ```ts
 * import { flatten, ops } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * assert.deepEqual(flatten().forward(ops.zeros([2, 5, 5, 16])).shape, [2, 400]);
 * ```
 */
export function flatten(): Flatten {
  checkArguments("Building flatten", arguments, 0);
  return new Flatten();
}
