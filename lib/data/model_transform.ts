import type { Tensor } from "../tensor/mod.ts";
import { checkFunction } from "../tensor/internal.ts";
import type { AnyModule } from "../nn/mod.ts";
import type { InputTransform } from "./transforms.ts";
import { checkModule } from "../nn/checks.ts";

/** The transform of each model that has one. */
const transforms = new WeakMap<AnyModule, InputTransform>();
/** The models that have a transform; a WeakMap cannot be listed. */
const models = new Set<WeakRef<AnyModule>>();

/**
 * Returns the transform that a model was trained with, undefined if there is none.
 * {@linkcode fit}, {@linkcode evaluate} and others use it where no transform is given. A model
 * around a trained one has the transform of that part, unless it has its own.
 *
 * Functions that take images instead of a data set, such as `forward` and `gradCam`, do not
 * transform them.
 *
 * @throws {TypeError} If it is not a model.
 * @throws {RangeError} If its parts have several transforms and it has none itself.
 */
export function transformOf(model: AnyModule): InputTransform | undefined {
  const action = "Looking up the transform of a model";
  checkModule(action, "the model", model);
  if (transforms.has(model) || models.size === 0) return transforms.get(model);
  const partTransforms = new Set(
    [...model.namedModules().values()].map((part) => transforms.get(part)).filter((t) => t),
  );
  if (partTransforms.size > 1) {
    throw new RangeError(
      `${action}: the parts of the model must have one transform, found ${partTransforms.size}. ` +
        "Give the transform as an option.",
    );
  }
  return [...partTransforms][0];
}

/**
 * Gives a model the transform of its images, in place of an earlier one; undefined removes it.
 * {@linkcode fit} and {@linkcode loadStateDict} call it.
 *
 * @throws {TypeError} If it is not a model, or the transform is not a function.
 */
export function bindTransform(
  model: AnyModule,
  transform: InputTransform<never, Tensor> | undefined,
): void {
  const action = "Binding a transform to a model";
  checkModule(action, "the model", model);
  if (transform === undefined) {
    transforms.delete(model);
    return;
  }
  checkFunction(action, "the transform", transform);
  if (!transforms.has(model)) models.add(new WeakRef(model));
  transforms.set(model, transform as InputTransform);
}

/** Returns the models in use that have a transform. */
export function modelsWithTransform(): AnyModule[] {
  const used: AnyModule[] = [];
  for (const reference of models) {
    const model = reference.deref();
    if (model && transforms.has(model)) used.push(model);
    else models.delete(reference);
  }
  return used;
}
