import {
  dispose,
  grad,
  type Images,
  isTensor,
  keep,
  ops,
  type Tensor,
  type Tensor4D,
  tidy,
} from "../tensor/mod.ts";
import { show } from "../tensor/internal.ts";
import { checkModule, checkNumber } from "./checks.ts";
import { type AnyModule, type Classifier, moduleAt } from "./module.ts";
import { type Call, onForward, withForwardHook } from "./observe.ts";

/**
 * Where in an image a model finds a class: `relu(Σₖ αₖ Aₖ)` over the maps `Aₖ` that the module at
 * `path` gives, with `αₖ` the mean over the pixels of `∂logit / ∂Aₖ`, resized to the image
 * bilinearly (Selvaraju et al. 2017, section 3).
 *
 * The maps are the last that still have a place for each number, such as those of `layer4` in a
 * ResNet. Images `[batch, height, width, channels]` to maps `[batch, height, width, 1]`, 0 where
 * nothing speaks for the class, in units of the logit and not brought to a common scale. The model
 * runs in inference.
 *
 * @throws {RangeError} If there is no module at the path, with the nearest that there are; if it
 * does not run once, or the logit does not depend on it; or if there is no such class.
 * @throws {TypeError} If the model is not a module or does not give logits `[batch, classes]`, or
 * the module does not give maps.
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
  const doing = `Computing Grad-CAM at ${JSON.stringify(path)}`;
  checkModule(doing, "the model", model);
  const layer = moduleAt(doing, model.namedModules(), path);
  using maps = mapsOf(doing, model, layer, images);
  return tidy(() => {
    const logit = (maps: Tensor4D) => {
      const stand = ({ module, input, forward }: Call) => module === layer ? maps : forward(input);
      const logits: Tensor = withForwardHook(model, stand, () => model.forward(images));
      if (!isTensor(logits) || logits.rank !== 2) {
        throw new TypeError(
          `${doing}: the model must give logits [batch, classes], found ${show(logits)}.`,
        );
      }
      const last = logits.shape[1]! - 1;
      const exists = Number.isInteger(classIndex) && classIndex >= 0 && classIndex <= last;
      checkNumber(doing, "classIndex", classIndex, exists, `a whole number from 0 to ${last}`);
      // In inference no image has a part in the logits of another, so the gradient of the sum is
      // each one's own.
      return ops.sum(ops.slice(logits, [0, classIndex], [-1, 1]));
    };
    const weights = ops.mean(grad(logit)(maps), [1, 2], { keepDims: true });
    const weighted: Images<1> = ops.sum(ops.mul(maps, weights), [3], { keepDims: true });
    const [, height, width] = images.shape;
    return ops.resizeBilinear(ops.relu(weighted), [height, width]);
  });
}

/** What a layer of the model gives, which must be maps, once. */
function mapsOf(doing: string, model: AnyModule, layer: AnyModule, images: Images): Tensor4D {
  const found: Tensor4D[] = [];
  try {
    tidy(() => {
      onForward(model, images as never, ({ module, output }) => {
        if (module !== layer) return;
        if (!isTensor(output) || output.rank !== 4) {
          throw new TypeError(
            `${doing}: ${layer.describe()} must give maps [batch, height, width, channels], found ${
              show(output)
            }.`,
          );
        }
        found.push(keep(ops.clone(output as Tensor4D)));
      });
    });
    const [maps] = found;
    if (maps && found.length === 1) return maps;
    throw new RangeError(
      `${doing}: ${layer.describe()} must run once in a forward pass, but runs ${found.length} times.`,
    );
  } catch (error) {
    dispose(found);
    throw error;
  }
}
