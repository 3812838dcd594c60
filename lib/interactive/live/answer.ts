/** Runs a network on a picture, with all feature maps and the pixels that each unit sees. */
import { ops, type Tensor, tidy } from "../../tensor/mod.ts";
import { isTensor, pair, windowGeometry } from "../../tensor/internal.ts";
import { Activation, type AnyModule, BatchNorm, gradCam, onForward } from "../../nn/mod.ts";
import { AdaptiveAveragePool, Conv2d, Dropout, Flatten, Linear, Pool } from "../../nn/internal.ts";
import { ResidualBlock } from "../../models/internal.ts";
import {
  type Field,
  GREY,
  type LiveAnswer,
  type LiveLayer,
  type LiveWindow,
  type Maps,
  mapsOf,
  type Region,
  type Rule,
} from "./layer.ts";
import type { LiveModel } from "./networks.ts";

/**
 * Runs a network on a picture and returns all feature maps.
 *
 * @param pixels The grey levels from 0 to 1, row by row.
 */
export function answerOf(model: LiveModel, pixels: Float32Array): LiveAnswer {
  const layers: LiveLayer[] = [];
  // `tidy` returns tensors and numbers, but no layers.
  let logits = new Float32Array(), probabilities = new Float32Array();
  tidy(() => {
    // The layers of these networks run one after the other, and a shortcut sees no pixel that the
    // convolutions beside it do not see. So the field of a layer follows from the one before it.
    let field: Field = (row, column) => [row, row, column, column], last: Maps | undefined;
    const output = onForward(model, imagesOf(pixels), ({ path, module, input, output }) => {
      if (path === "" || !isTensor(input) || !isTensor(output)) return;
      const isContainer = module.children().size > 0;
      if (isContainer && !(module instanceof ResidualBlock)) return;
      const before = mapsOf(input), after = mapsOf(output);
      if (!isContainer) field = fieldAfter(module, before, after, field);
      const rule = ruleOf(module, before, after, last);
      last = after;
      // These return their input, or its numbers in a row.
      if (module instanceof Flatten || module instanceof Dropout) return;
      if (module instanceof BatchNorm && module.isFolded) return;
      layers.push({ path, description: module.describe(), input: before, ...after, rule, field });
    });
    logits = Float32Array.from(output.dataSync());
    probabilities = Float32Array.from(ops.softmax(output).dataSync());
  });
  return { logits, probabilities, layers };
}

/** Returns where a network sees a class in a picture: the heat map of {@linkcode gradCam}. */
export function heatMapOf(
  model: LiveModel,
  path: string,
  pixels: Float32Array,
  classIndex: number,
): Float32Array {
  return tidy(() =>
    Float32Array.from(gradCam(model, path, imagesOf(pixels), classIndex).dataSync())
  );
}

function imagesOf(pixels: Float32Array) {
  return ops.tensor(pixels, [1, ...GREY]);
}

/** Returns how a module computes a unit; `last` is the output of the module before it. */
function ruleOf(module: AnyModule, input: Maps, output: Maps, last: Maps | undefined): Rule {
  if (module instanceof Conv2d || module instanceof Linear) {
    const weight = numbersOf(module.weight), bias = module.bias && numbersOf(module.bias);
    return module instanceof Linear
      ? { kind: "linear", weight, bias }
      : { kind: "convolution", weight, bias, window: windowOf(module, input) };
  }
  if (module instanceof Pool) return { kind: module.kind, window: windowOf(module, input) };
  if (module instanceof ResidualBlock) {
    const hasShortcut = !module.describe().endsWith("no shortcut");
    return { kind: "block", inner: last!, hasShortcut };
  }
  if (module instanceof Activation) return { kind: "function", name: module.name };
  return { kind: "mean", isWhole: output.height * output.width === 1 };
}

/** Reads the numbers of a variable. */
function numbersOf(variable: Tensor) {
  return { shape: variable.shape, values: variable.dataSync() as Float32Array };
}

/** Returns the fields of a layer's units from those of its input. */
function fieldAfter(module: AnyModule, input: Maps, output: Maps, before: Field): Field {
  const { height, width, channels } = input;
  const corners = (top: number, bottom: number, left: number, right: number) =>
    around(before(top, left, 0), before(bottom, right, channels - 1));
  if (module instanceof Conv2d || module instanceof Pool) {
    const { kernelSize, stride, dilation, top, left } = windowOf(module, input);
    const end = (axis: 0 | 1) => dilation[axis] * (kernelSize[axis] - 1);
    const within = (value: number, size: number) => Math.max(0, Math.min(size - 1, value));
    return (row, column) => {
      const y = row * stride[0] - top, x = column * stride[1] - left;
      return corners(
        ...[within(y, height), within(y + end(0), height)] as const,
        ...[within(x, width), within(x + end(1), width)] as const,
      );
    };
  }
  if (module instanceof Flatten) {
    return (_row, _column, index) => {
      const pixel = Math.floor(index / channels);
      return before(Math.floor(pixel / width), pixel % width, index % channels);
    };
  }
  if (module instanceof AdaptiveAveragePool) {
    const cell = (index: number, count: number, size: number) =>
      [Math.floor(index * size / count), Math.ceil((index + 1) * size / count) - 1] as const;
    return (row, column) =>
      corners(...cell(row, output.height, height), ...cell(column, output.width, width));
  }
  const keepsPlaces = input.values.length === output.values.length && height === output.height &&
    height > 1;
  if (keepsPlaces) return before;
  // A linear layer or a mean sees its whole input. After the first one, all units do.
  return () => corners(0, height - 1, 0, width - 1);
}

function around(a: Region, b: Region): Region {
  return [
    ...[Math.min(a[0], b[0]), Math.max(a[1], b[1])] as const,
    ...[Math.min(a[2], b[2]), Math.max(a[3], b[3])] as const,
  ];
}

/** Returns the windows of a layer on its input. */
function windowOf(
  module: Conv2d<number, number> | Pool,
  { height, width }: Maps,
): LiveWindow {
  const isConv = module instanceof Conv2d;
  const [rows, columns] = isConv ? module.weight.shape : pair(module.kernelSize);
  const kernelSize = [rows, columns] as const;
  const stride = pair(module.stride), dilation = isConv ? pair(module.dilation) : [1, 1] as const;
  const { padding } = module, ceilMode = isConv ? false : module.ceilMode;
  const options = { kernelSize, stride, padding, dilation, ceilMode };
  const { pads } = windowGeometry("Explaining a layer", [height, width], options);
  return { kernelSize, stride, dilation, top: pads[0], left: pads[2] };
}
