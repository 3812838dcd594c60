/** An identity whose gradient is finite, for compositions that multiply it by 0 at infinity. */
import * as tf from "@tensorflow/tfjs-core";
import { defineKernel, type RunKernel } from "./define.ts";
import type { Tensor } from "../types.ts";

/** The largest number of float32. */
const MAX = (2 - 2 ** -23) * 2 ** 127;

type LimitGradientInputs = { x: Tensor };

/**
 * Returns `x`. The gradient replaces infinity by the largest number of float32: infinity times 0
 * is NaN, in the gradient of an op that ignores `x` there.
 */
export const limitGradient: RunKernel<LimitGradientInputs, Tensor> = defineKernel(
  "ResnetLabLimitGradient",
  {
    // Without a copy: the clone shares the data.
    fallback: ({ x }: LimitGradientInputs): Tensor => tf.clone(x),
    gradient: { compute: (dy) => ({ x: () => tf.clipByValue(dy, -MAX, MAX) }) },
  },
);
