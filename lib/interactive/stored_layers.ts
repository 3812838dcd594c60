import { ops, tidy } from "../tensor/mod.ts";
import { pair } from "../tensor/internal.ts";
import { Activation, type AnyModule, BatchNorm, onForward, Sequential } from "../nn/mod.ts";
import { Conv2d, Flatten, GlobalAveragePool, Linear, Pool } from "../nn/internal.ts";
import type { StoredLayer, StoredWeights } from "./components/pushed_picture.ts";

/** A layer with weights before they are rounded. */
interface Weights {
  /** Output channels last. */
  readonly values: Float32Array;
  readonly bias: Float32Array;
}

/**
 * Returns the layers of a chain as JSON, for figures that compute in the page. A batch norm is
 * folded into the convolution before it, and weights are rounded to bytes with a scale for each
 * output channel.
 *
 * @param action The action of error messages.
 * @param size The side of the grey images in pixels.
 * @throws {TypeError} If the model has a layer that figures cannot compute.
 * @throws {RangeError} If a layer does not fit its input.
 */
export function storedLayers(action: string, model: AnyModule, size: number): StoredLayer[] {
  const layers: (StoredLayer | (Weights & { readonly layer: StoredLayer }))[] = [];
  tidy(() => {
    onForward(model, ops.zeros([1, size, size, 1]) as never, ({ path, module }) => {
      if (module instanceof Sequential) return;
      if (module instanceof Conv2d) {
        const { weight, bias, padding, stride, dilation, groups } = module;
        const [height, width, inChannels, out] = weight.shape;
        const steps = [...pair(stride), ...pair(dilation), groups];
        const isPlain = height === width && padding === (height - 1) / 2 &&
          steps.every((step) => step === 1);
        if (!isPlain) throw unknownLayer(action, path, module);
        layers.push({
          layer: { kind: "convolution", kernelSize: height, padding, inChannels, ...nothing },
          values: Float32Array.from(weight.dataSync()),
          bias: bias ? Float32Array.from(bias.dataSync()) : new Float32Array(out),
        });
      } else if (module instanceof BatchNorm && "values" in (layers.at(-1) ?? {})) {
        fold(module, layers.at(-1) as Weights);
      } else if (module instanceof Linear) {
        const { weight, bias } = module;
        layers.push({
          layer: { kind: "linear", ...nothing },
          values: Float32Array.from(weight.dataSync()),
          bias: bias ? Float32Array.from(bias.dataSync()) : new Float32Array(weight.shape[1]),
        });
      } else if (module instanceof Pool && module.kind === "maxPool") {
        const { kernelSize, stride, padding, ceilMode } = module;
        const [side, across] = pair(kernelSize), [step, stepAcross] = pair(stride);
        if (side !== across || step !== stepAcross || ceilMode || typeof padding !== "number") {
          throw unknownLayer(action, path, module);
        }
        layers.push({ kind: "maxPool", kernelSize: side, stride: step, padding });
      } else if (module instanceof Activation && module.name === "relu") {
        layers.push({ kind: "relu" });
      } else if (module instanceof Flatten) layers.push({ kind: "flatten" });
      else if (module instanceof GlobalAveragePool) layers.push({ kind: "mean" });
      else throw unknownLayer(action, path, module);
    });
  });
  return layers.map((entry) =>
    "layer" in entry ? { ...entry.layer, ...rounded(entry) } as StoredLayer : entry
  );
}

/** Weights that are filled in after all layers are known. */
const nothing: StoredWeights = { bytes: "", scales: [], bias: [] };

function unknownLayer(action: string, path: string, module: AnyModule): TypeError {
  return new TypeError(
    `${action}: each layer must be a convolution of stride 1 that keeps the size, a batch norm ` +
      `after one, relu, maxPool, flatten, linear or globalAveragePool, found ` +
      `${module.describe()} at ${path}.`,
  );
}

/** Changes weights so that they include the batch norm after them. */
function fold(norm: BatchNorm<number>, { values, bias }: Weights): void {
  const [weight, offset, mean, variance] = [
    norm.weight,
    norm.bias,
    norm.runningMean,
    norm.runningVariance,
  ].map((part) => part.dataSync());
  const factors = Array.from(weight!, (gain, o) => gain / Math.sqrt(variance![o]! + norm.epsilon));
  values.forEach((value, i) => values[i] = value * factors[i % factors.length]!);
  bias.forEach((value, o) => bias[o] = (value - mean![o]!) * factors[o]! + offset![o]!);
}

/** Rounds weights to signed bytes. */
function rounded({ values, bias }: Weights): StoredWeights {
  const most = new Float64Array(bias.length);
  values.forEach((value, i) => {
    const o = i % bias.length;
    most[o] = Math.max(most[o]!, Math.abs(value));
  });
  const short = (value: number) => Number(value.toPrecision(5));
  const scales = Array.from(most, (value) => short(value / 127) || 1);
  const bytes = Int8Array.from(
    values,
    (value, i) => Math.max(-127, Math.min(127, Math.round(value / scales[i % bias.length]!))),
  );
  return {
    bytes: new Uint8Array(bytes.buffer).toBase64(),
    scales,
    bias: Array.from(bias, short),
  };
}
