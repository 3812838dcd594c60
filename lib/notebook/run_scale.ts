import { checkOptions } from "../tensor/mod.ts";

const scales = ["smoke", "cpu", "gpu"] as const;

/** How much a notebook computes; see {@linkcode runScale}. */
export type RunScale = typeof scales[number];

/**
 * How much a notebook computes: `"smoke"` runs in about a minute on the data that ships, `"cpu"` in
 * minutes on a laptop, `"gpu"` with the papers' settings. The environment variable RESNET_LAB_SCALE
 * says which; without it, cpu.
 *
 * @throws {RangeError} If RESNET_LAB_SCALE is set to anything else.
 *
 * @example
 * ```ts
 * import { runScale } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * assert(["smoke", "cpu", "gpu"].includes(runScale()));
 * ```
 */
export function runScale(): RunScale {
  const name = Deno.env.get("RESNET_LAB_SCALE") ?? "cpu";
  const found = scales.find((scale) => scale === name);
  if (found === undefined) {
    throw new RangeError(
      `Choosing how much to compute: RESNET_LAB_SCALE must be ${
        scales.join(", ")
      }, found "${name}"`,
    );
  }
  return found;
}

/**
 * The one of three values that belongs to the {@linkcode runScale} at which the notebook runs.
 *
 * @throws {RangeError} If RESNET_LAB_SCALE is set to something that is no scale.
 * @throws {TypeError} If there is no value for the scale, or one for something that is no scale.
 *
 * @example
 * ```ts
 * import { byRunScale } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const epochs = byRunScale({ smoke: 1, cpu: 5, gpu: 20 });
 * assert([1, 5, 20].includes(epochs));
 * ```
 */
export function byRunScale<T>(values: Readonly<Record<RunScale, T>>): T {
  checkOptions<Record<RunScale, T>>("Choosing by scale", values, "{ smoke: 1, cpu: 5, gpu: 20 }", {
    smoke: true,
    cpu: true,
    gpu: true,
  });
  const name = runScale();
  if (!Object.hasOwn(values, name)) {
    throw new TypeError(
      `Choosing by scale: expected a value for ${name}, found only ${
        Object.keys(values).join(", ")
      }`,
    );
  }
  return values[name];
}
