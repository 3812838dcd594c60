import { checkOptions, show } from "../tensor/internal.ts";

/** The amount of computation of a notebook; see {@linkcode runScale}. */
export type RunScale = "smoke" | "cpu" | "gpu";

const SCALES: readonly RunScale[] = ["smoke", "cpu", "gpu"];

/**
 * Returns the amount of computation of a notebook: `"smoke"` takes about a minute on the data that
 * ships, `"cpu"` minutes on a laptop, `"gpu"` has the papers' settings. The environment variable
 * RESNET_LAB_SCALE sets it.
 *
 * @default "cpu"
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
  const scale = SCALES.find((scale) => scale === name);
  if (scale === undefined) {
    throw new RangeError(
      `Choosing the run scale: RESNET_LAB_SCALE must be one of ${
        SCALES.map(show).join(", ")
      }, found ${show(name)}.`,
    );
  }
  return scale;
}

/**
 * Returns the value for the {@linkcode runScale} of the notebook.
 *
 * @throws {RangeError} If RESNET_LAB_SCALE is set to an unknown scale.
 * @throws {TypeError} If the value for the scale is missing, or there is one for an unknown scale.
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
  const action = "Choosing by run scale";
  checkOptions<Record<RunScale, T>>(action, values, "{ smoke: 1, cpu: 5, gpu: 20 }", {
    smoke: true,
    cpu: true,
    gpu: true,
  });
  const scale = runScale();
  if (!Object.hasOwn(values, scale)) {
    throw new TypeError(
      `${action}: the values must include ${scale}, found only ${Object.keys(values).join(", ")}.`,
    );
  }
  return values[scale];
}
