import { show } from "../tensor/internal.ts";
import type { AnyModule } from "../nn/mod.ts";
import type { Transform } from "./transforms.ts";
import { checkModule } from "../nn/checks.ts";

/** The transform of each model that has one. */
const transforms = new WeakMap<AnyModule, Transform>();
/** The models that have one, to look through. */
const models = new Set<WeakRef<AnyModule>>();

/**
 * The transform that a model was trained with, which {@linkcode fit}, {@linkcode evaluate} and
 * others use where none is given; undefined where there is none. A model around a trained one has
 * the transform of that part, unless it has one of its own.
 *
 * `forward`, `gradCam` and whatever else takes images and no set takes them as the model sees them,
 * transformed.
 *
 * @throws {TypeError} If it is no model.
 * @throws {RangeError} If its parts have several transforms and it has none of its own.
 *
 * @example
 * ```ts
 * import { bindTransform, flatten, linear, normalize, ops, Random, sequential, transformOf } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const model = sequential(flatten(), linear(4, 2));
 * assert.equal(transformOf(model), undefined);
 * bindTransform(model, normalize({ mean: 0.5, standardDeviation: 0.25 })); // As fit does.
 * const images = transformOf(model)!(ops.ones([1, 2, 2, 1]), new Random(0));
 * assert.deepEqual([...images.dataSync()], [2, 2, 2, 2]);
 * ```
 */
export function transformOf(model: AnyModule): Transform | undefined {
  const doing = "Looking up the transform of a model";
  checkModule(doing, "the model", model);
  if (transforms.has(model) || models.size === 0) return transforms.get(model);
  const found = new Set(
    [...model.namedModules().values()].map((part) => transforms.get(part)).filter((t) => t),
  );
  if (found.size > 1) {
    throw new RangeError(
      `${doing}: the parts of a model must have one transform, found ${found.size}. ` +
        "Say which with bindTransform(model, transform).",
    );
  }
  return [...found][0];
}

/**
 * Gives a model the transform that its images need, in place of the one that it had; none where it
 * is undefined.
 *
 * {@linkcode fit} does so with its `transform`, and {@linkcode loadStateDict} with that of the file.
 * Weights from elsewhere need it done here: those of {@linkcode pretrained}, say,
 * `normalize(imagenetStatistics)`.
 *
 * @throws {TypeError} If it is no model, or the transform is no function.
 *
 * @example
 * ```ts
 * import { bindTransform, evaluate, fashionMnist, flatten, linear, normalize, sequential } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const { test } = await fashionMnist({ subset: true });
 * const model = sequential(flatten(), linear(784, 10));
 * const transform = normalize({ mean: 0.286, standardDeviation: 0.353 });
 * const { loss } = await evaluate(model, test, { transform });
 * bindTransform(model, transform);
 * assert.equal((await evaluate(model, test)).loss, loss);
 * ```
 */
export function bindTransform(model: AnyModule, transform: Transform | undefined): void {
  const doing = "Binding a transform to a model";
  checkModule(doing, "the model", model);
  if (transform === undefined) {
    transforms.delete(model);
    return;
  }
  if (typeof transform !== "function") {
    throw new TypeError(
      `${doing}: the transform must be a function such as normalize(imagenetStatistics), found ${
        show(transform)
      }.`,
    );
  }
  if (!transforms.has(model)) models.add(new WeakRef(model));
  transforms.set(model, transform);
}

/** The models in use that have a transform. */
export function modelsWithTransform(): AnyModule[] {
  const found: AnyModule[] = [];
  for (const reference of models) {
    const model = reference.deref();
    if (model && transforms.has(model)) found.push(model);
    else models.delete(reference);
  }
  return found;
}
