import {
  type Features,
  type Images,
  type LastAxisOf,
  ops,
  type Padding,
  type Pair,
  type Tensor2D,
  type Tensor4D,
  tidy,
} from "../tensor/mod.ts";
import {
  checkArguments,
  checkArray,
  checkBoolean,
  checkOptions,
  checkPadding,
  checkPair,
  pair,
  windowGeometry,
} from "../tensor/internal.ts";
import { checkInput, IMAGE_AXES } from "./checks.ts";
import { pairText } from "./conv.ts";
import { Module, type shapeRule } from "./module.ts";

/** The options of {@linkcode maxPool} and {@linkcode avgPool}. */
export interface PoolOptions {
  /** Height and width of the window in pixels. */
  kernelSize: Pair;
  /**
   * Pixels from one window to the next.
   *
   * @default kernelSize
   */
  stride?: Pair;
  /**
   * Rows and columns around the images.
   *
   * @default 0
   */
  padding?: Padding;
  /**
   * Whether to include a last window that starts inside the image and extends over its bottom or
   * right edge.
   *
   * @default false
   */
  ceilMode?: boolean;
}

/** Pooling over windows; made by {@linkcode maxPool} and {@linkcode avgPool}. */
export class Pool extends Module<Tensor4D, Tensor4D> {
  /** For the compiler only: see {@linkcode ShapeRule}. */
  declare readonly [shapeRule]: "same";
  /** Height and width of the window in pixels. */
  readonly kernelSize: Pair;
  /** Pixels from one window to the next. */
  readonly stride: Pair;
  /** Rows and columns around the images. */
  readonly padding: Padding;
  /** Whether to include a last window that extends over an edge. */
  readonly ceilMode: boolean;

  /** See {@linkcode maxPool} and {@linkcode avgPool}. */
  constructor(
    /** The value of a window: its maximum or its mean. */
    readonly kind: "maxPool" | "avgPool",
    options: PoolOptions,
  ) {
    super();
    const action = `Building ${kind}`;
    checkOptions<PoolOptions>(action, options, "{ kernelSize: 2 }", {
      kernelSize: true,
      stride: true,
      padding: true,
      ceilMode: true,
    });
    const { kernelSize, stride = kernelSize, padding = 0, ceilMode = false } = options;
    checkPair(action, "kernelSize", kernelSize);
    checkPair(action, "stride", stride);
    checkPadding(action, padding);
    checkBoolean(action, "ceilMode", ceilMode);
    this.kernelSize = kernelSize;
    this.stride = stride;
    this.padding = padding;
    this.ceilMode = ceilMode;
  }

  /** Pools a batch of images. */
  override forward<T extends Images>(x: T): Images<LastAxisOf<T>> {
    checkInput(this, x, IMAGE_AXES);
    return ops[this.kind](x, this.#window());
  }

  /**
   * Returns the height and width of the output for images of a height and width; see
   * {@linkcode Conv2d.outputSize}.
   */
  outputSize(size: readonly [height: number, width: number]): readonly [number, number] {
    return windowGeometry(this.kind, size, this.#window()).output;
  }

  #window(): Required<PoolOptions> {
    const { kernelSize, stride, padding, ceilMode } = this;
    return { kernelSize, stride, padding, ceilMode };
  }

  /** Returns the window and the options that are not the default. */
  override describe(): string {
    const { kernelSize, stride, padding, ceilMode } = this;
    return [
      `${this.kind} ${pair(kernelSize).join("×")}, stride ${pairText(stride)}`,
      padding === 0 || padding === "valid" ? [] : `padding ${padding}`,
      ceilMode ? "ceil mode" : [],
    ].flat().join(", ");
  }
}

/**
 * Makes max pooling, the largest value in each window of each channel: images
 * `[batch, height, width, channels]` to `[batch, height′, width′, channels]` with
 * `height′ = ⌊(height + 2·padding − kernelSize) / stride⌋ + 1`. With `ceilMode` it is ⌈…⌉ if the
 * last window starts inside the image or its top or left padding. Padding is never the largest.
 *
 * @throws {RangeError} If an option is out of range; in `forward`, if the window does not fit the
 * image, or the padding is more than half the window.
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
 * Makes average pooling, the mean of each window of each channel, with the shapes and errors of
 * {@linkcode maxPool}. The mean includes the zeros of a numeric padding (PyTorch's default). It
 * excludes the zeros of `"same"` (TensorFlow's rule) and the part of a `ceilMode` window beyond the
 * edge.
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
  /** For the compiler only: see {@linkcode ShapeRule}. */
  declare readonly [shapeRule]: "pooled";

  /** Averages each channel of a batch of images. */
  override forward<T extends Images>(x: T): Features<LastAxisOf<T>> {
    checkInput(this, x, IMAGE_AXES);
    return ops.mean(x, [1, 2]);
  }

  /** Returns the layer's name. */
  override describe(): string {
    return "globalAveragePool";
  }
}

/**
 * Makes global average pooling, the mean of each channel over the whole image: images
 * `[batch, height, width, channels]` to features `[batch, channels]` (Lin et al. 2014, section
 * 3.2).
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
  /** For the compiler only: see {@linkcode ShapeRule}. */
  declare readonly [shapeRule]: "same";

  /** See {@linkcode adaptiveAveragePool}. */
  constructor(
    /** Rows and columns of the grid. */
    readonly size: readonly [height: number, width: number],
  ) {
    super();
    checkArray("Building adaptiveAveragePool", "the size [height, width]", size);
    checkPair("Building adaptiveAveragePool", "size", size);
  }

  /** Pools a batch of images to the grid. */
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

  /** Returns the size of the grid. */
  override describe(): string {
    return `adaptiveAveragePool ${this.size.join("×")}`;
  }
}

/**
 * Returns the matrix `[bins, size]` whose row i is the mean from `⌊i · size / bins⌋` up to
 * `⌈(i + 1) · size / bins⌉`.
 */
function binMeans(bins: number, size: number): Tensor2D {
  const rows = Array.from({ length: bins }, (_, i) => {
    const start = Math.floor((i * size) / bins);
    const end = Math.ceil(((i + 1) * size) / bins);
    return Array.from({ length: size }, (_, j) => j >= start && j < end ? 1 / (end - start) : 0);
  });
  return ops.tensor(rows);
}

/**
 * Makes adaptive average pooling, the mean of each cell of a grid of `size` over an image of any
 * size: images `[batch, height, width, channels]` to `[batch, size[0], size[1], channels]`. Cell i
 * covers `⌊i · height / size⌋` up to `⌈(i + 1) · height / size⌉`, so neighbours overlap where the
 * height is not a multiple of the size, as in PyTorch.
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

/** The step from images to features; made by {@linkcode flatten}. */
export class Flatten extends Module<Tensor4D, Features> {
  /** Flattens a batch of images. */
  override forward(x: Images): Features {
    checkInput(this, x, IMAGE_AXES);
    return ops.reshape(x, [x.shape[0], x.size / x.shape[0]]);
  }

  /** Returns the layer's name. */
  override describe(): string {
    return "flatten";
  }
}

/**
 * Makes a layer that turns images `[batch, height, width, channels]` into features
 * `[batch, height · width · channels]`, in that order.
 *
 * The type does not know the number of features. {@linkcode summary} or the first forward pass
 * finds a `linear` that does not fit.
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
