import {
  type Features,
  type Images,
  type Labels,
  ops,
  type Tensor,
  tidy,
  valueAndGradients,
  type Variable,
} from "../tensor/mod.ts";
import {
  checkFunction,
  checkOptions,
  checkTensor,
  IMAGE_AXES,
  UnusedInputError,
  vectorNorm,
} from "../tensor/internal.ts";
import { checkModule } from "../nn/checks.ts";
import type { Module } from "../nn/mod.ts";
import { crossEntropy, type Loss } from "./losses.ts";
import { restore, runningStatistics } from "./training_step.ts";

/** Options of {@linkcode gradientNorms}. */
export interface GradientNormsOptions {
  /**
   * The loss whose gradients are measured, a mean over the batch.
   *
   * @default crossEntropy
   */
  loss?: Loss;
}

/** The gradient of one layer. */
export interface LayerGradient {
  /** The path of the layer in the model, such as `layer1.0.conv1`. */
  readonly path: string;
  /** The L2 norm of the gradients of its parameters as one vector. */
  readonly norm: number;
}

/**
 * Measures the gradient norm of each layer for one batch, from the first layer to the last: how
 * much of the gradient arrives there. The forward pass is that of training; the model stays as it
 * is, with its running statistics. Frozen parameters have no gradient and are left out.
 *
 * @param model The model.
 * @param images The images `[batch, height, width, channels]`, transformed as the model needs them.
 * @param labels The class of each image, `[batch]`.
 * @throws {TypeError} If an argument or an option is of the wrong kind.
 * @throws {RangeError} If a layer does not fit, a label is not a class, the model has no parameters
 * to train, or the loss does not depend on one of them.
 *
 * @example
 * ```ts
 * import { fashionMnist, flatten, gradientNorms, linear, sequential } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const { test } = await fashionMnist({ subset: true });
 * const model = sequential(flatten(), linear(784, 10));
 * const batch = [...Array(100).keys()];
 * const [layer] = gradientNorms(model, test.images(batch), test.labelTensor(batch));
 * assert.equal(layer?.path, "1");
 * assert(layer.norm > 0);
 * ```
 */
export function gradientNorms<In extends Images, Out extends Features>(
  model: Module<In, Out>,
  images: NoInfer<In>,
  labels: Labels,
  options: GradientNormsOptions = {},
): LayerGradient[] {
  const action = "Measuring gradients";
  checkModule(action, "the model", model);
  checkTensor(action, images, { name: "the images", axes: IMAGE_AXES, dtype: "float32" });
  checkOptions<GradientNormsOptions>(action, options, "{ loss: crossEntropy }", { loss: true });
  const { loss = crossEntropy } = options;
  checkFunction(action, "loss", loss);
  const trained = new Set(model.parameters());
  const paths: string[] = [], parameters: Variable[] = [];
  for (const [path, variable] of model.namedVariables()) {
    if (!trained.has(variable)) continue;
    paths.push(path);
    parameters.push(variable);
  }
  if (parameters.length === 0) {
    throw new RangeError(
      `${action}: the model must have parameters to train, found none in ${model.describe()}.`,
    );
  }
  const statistics = runningStatistics(model);
  return tidy(() => {
    const before = statistics.map((statistic): Tensor => ops.clone(statistic));
    try {
      const { gradients } = valueAndGradients(
        () => loss(model.forward(images, { training: true }), labels),
        parameters,
      );
      const layers = new Map<string, Tensor[]>();
      gradients.forEach((gradient, i) => {
        const path = paths[i]!.slice(0, Math.max(0, paths[i]!.lastIndexOf(".")));
        layers.set(path, [...layers.get(path) ?? [], gradient]);
      });
      return Array.from(layers, ([path, gradients]) => ({ path, norm: vectorNorm(gradients) }));
    } catch (error) {
      if (!(error instanceof UnusedInputError)) throw error;
      const unused = error.inputs.map((index) => paths[index]).join(", ");
      throw new RangeError(
        `${action}: the loss must depend on each parameter, found ${unused} without influence on it.`,
        { cause: error },
      );
    } finally {
      restore(statistics, before);
    }
  });
}
