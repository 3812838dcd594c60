/** The figures of single convolutions in the namespace `interactive`. */
import {
  checkArray,
  checkInteger,
  checkNumber,
  checkOneOf,
  checkOptions,
  checkPadding,
} from "../tensor/internal.ts";
import { checkKernel, checkMatrix, checkWithin } from "./checks.ts";
import {
  kernelMixer as kernelMixerComponent,
  type KernelMixerOptions,
} from "./components/kernel_mixer.ts";
import {
  kernelWorkshop as kernelWorkshopComponent,
  type KernelWorkshopOptions,
  type Matrix,
} from "./components/kernel_workshop.ts";
import { InteractiveFigure } from "./figure.ts";

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

/**
 * Makes a figure of a dynamic convolution of one channel: the mean of a picture gives a score to
 * each kernel, the softmax of the scores mixes the kernels, and the mixture makes the feature map.
 * The reader chooses the picture, the temperature, and the picture whose attention is used.
 *
 * The numbers are those of `ops.softmax`, and of `ops.conv2d` with padding 1.
 *
 * @param options The pictures, the kernels and the attention.
 * @throws {TypeError} If an option does not exist or is of another kind.
 * @throws {RangeError} If an option is out of its range, or there is not one weight and bias for
 * each kernel.
 *
 * @example
 * ```ts
 * import { interactive } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const figure = interactive.kernelMixer({
 *   pictures: { corner: [[1, 0, 0], [0, 0, 0], [0, 0, 0]] },
 *   attention: { weight: [0, 0, 0, 9], bias: [0, 0, 0, -1] },
 * });
 * assert.match(String(figure), /its kernel is 0.25 of vertical edges, .* 0.25 of identity\.$/);
 * ```
 */
export function kernelMixer(options: KernelMixerOptions): InteractiveFigure {
  const action = "Making the interactive figure kernelMixer";
  checkOptions<KernelMixerOptions>(action, options, "{ pictures: { bag: […] } }", {
    pictures: true,
    kernels: true,
    attention: true,
    temperature: true,
  });
  const { pictures, kernels, attention, temperature = 1 } = options;
  const shown = Object.entries<Matrix>(Object(pictures));
  checkInteger(action, "the number of pictures", shown.length, 1, 6);
  for (const [name, picture] of shown) {
    const [rows, columns] = checkMatrix(action, `picture "${name}"`, picture);
    checkInteger(action, `the rows of picture "${name}"`, rows, 3, 28);
    checkInteger(action, `the columns of picture "${name}"`, columns, 3, 28);
  }
  const mixed = kernels === undefined ? undefined : Object.entries(kernels);
  if (mixed) checkInteger(action, "the number of kernels", mixed.length, 2, 6);
  for (const [name, kernel] of mixed ?? []) {
    checkKernel(action, `kernel "${name}"`, kernel);
    checkInteger(action, `the side of kernel "${name}"`, kernel.length, 3, 3);
  }
  const count = mixed?.length ?? 4;
  if (attention === undefined) checkInteger(action, "the kernels without attention", count, 4, 4);
  else {
    checkOptions<typeof attention>(`${action}, attention`, attention, "{ weight: […], … }", {
      weight: true,
      bias: true,
    });
    for (const name of ["weight", "bias"] as const) {
      checkArray(action, name, attention[name]);
      checkInteger(action, `the length of ${name}`, attention[name].length, count, count);
      for (const number of attention[name]) checkWithin(action, `a ${name}`, number, -1e3, 1e3);
    }
  }
  checkWithin(action, "temperature", temperature, 0.1, 100);
  // More digits would make the figure larger, and cannot be seen.
  const rounded = shown.map(([name, picture]) => [
    name,
    picture.map((row) => row.map((pixel) => Math.round(100 * pixel) / 100)),
  ]);
  return new InteractiveFigure(kernelMixerComponent, {
    ...options,
    pictures: Object.fromEntries(rounded),
  });
}

/** The kernels that are always in the list. */
const kernelNames = [
  ...["vertical edges", "horizontal edges", "all edges"],
  ...["sharpen", "mean", "identity"],
];
