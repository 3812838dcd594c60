import {
  dispose,
  grad,
  type Images,
  ops,
  type Scalar,
  type Tensor,
  type Tensor4D,
  tidy,
} from "../tensor/mod.ts";
import { checkInteger, isTensor, keep, show } from "../tensor/internal.ts";
import { checkModule } from "./checks.ts";
import { onForward, type PendingForward, withForwardHook } from "./hooks.ts";
import { type AnyModule, type Classifier, moduleAt } from "./module.ts";

/**
 * Returns heat maps of where a model sees a class (Grad-CAM): `relu(Σₖ αₖ Aₖ)` over the feature
 * maps `Aₖ` of the module at `path`, with `αₖ` the mean over the pixels of `∂logit / ∂Aₖ`, resized
 * bilinearly to the image (Selvaraju et al. 2017, section 3).
 *
 * The usual choice is the last module that returns feature maps, such as `layer4` of a ResNet. The
 * heat maps are `[batch, height, width, 1]`, in units of the logit and not normalised. They are 0
 * where nothing supports the class. The model runs in inference.
 *
 * @throws {RangeError} If there is no module at the path (the message lists the nearest paths), it
 * does not run exactly once, the logit does not depend on it, or there is no such class.
 * @throws {TypeError} If the model is not a module or does not return logits `[batch, classes]`, or
 * the module does not return feature maps.
 *
 * @example
 * ```ts
 * import { gradCam, ops, resnet } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const model = resnet({ block: "basic", stages: [1, 1], channels: 4, classes: 10 });
 * const maps = gradCam(model, "layer2", ops.ones([2, 32, 32, 3]), 7);
 * assert.deepEqual(maps.shape, [2, 32, 32, 1]);
 * assert(maps.dataSync().every((value) => value >= 0));
 * ```
 */
export function gradCam<In extends Images, Classes extends number>(
  model: Classifier<In, Classes>,
  path: string,
  images: In,
  classIndex: number,
): Images<1> {
  const action = `Computing Grad-CAM at ${JSON.stringify(path)}`;
  checkModule(action, "the model", model);
  const layer = moduleAt(action, model.namedModules(), path);
  using maps = featureMapsOf(action, model, layer, images);
  return tidy(() => {
    const logit = (maps: Tensor4D) => {
      const replaceMaps = ({ module, input, forward }: PendingForward) =>
        module === layer ? maps : forward(input);
      const logits: Tensor = withForwardHook(model, replaceMaps, () => model.forward(images));
      if (!isTensor(logits) || logits.rank !== 2) {
        throw new TypeError(
          `${action}: the model must return logits [batch, classes], found ${show(logits)}.`,
        );
      }
      checkInteger(action, "classIndex", classIndex, 0, logits.shape[1]! - 1);
      // In inference the logits of an image do not depend on the other images, so the gradient of
      // the sum has the gradient of each.
      return ops.sum(ops.slice(logits, [0, classIndex], [-1, 1]));
    };
    return heatMaps(maps, logit, [images.shape[1], images.shape[2]]);
  });
}

/** Returns the heat maps, in a size, of feature maps of which a logit is a function. */
export function heatMaps(
  maps: Tensor4D,
  logit: (maps: Tensor4D) => Scalar,
  size: readonly [height: number, width: number],
): Images<1> {
  return tidy(() => {
    const weights = ops.mean(grad(logit)(maps), [1, 2], { keepDims: true });
    const weighted: Images<1> = ops.sum(ops.mul(maps, weights), [3], { keepDims: true });
    return ops.resizeBilinear(ops.relu(weighted), size);
  });
}

/** Returns the feature maps of a layer, which must run exactly once. */
function featureMapsOf(
  action: string,
  model: AnyModule,
  layer: AnyModule,
  images: Images,
): Tensor4D {
  const outputs: Tensor4D[] = [];
  try {
    tidy(() => {
      onForward(model, images as never, ({ module, output }) => {
        if (module !== layer) return;
        if (!isTensor(output) || output.rank !== 4) {
          throw new TypeError(
            `${action}: ${layer.describe()} must return feature maps [batch, height, width, channels], found ${
              show(output)
            }.`,
          );
        }
        outputs.push(keep(ops.clone(output as Tensor4D)));
      });
    });
    const [maps] = outputs;
    if (maps && outputs.length === 1) return maps;
    throw new RangeError(
      `${action}: ${layer.describe()} must run once in a forward pass, found ${outputs.length} runs.`,
    );
  } catch (error) {
    dispose(outputs);
    throw error;
  }
}
