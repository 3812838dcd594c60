/** The attributes of TensorFlow's batch normalisation. */
import type { Attribute } from "../backend/tensorflow_op.ts";

/**
 * Returns the attributes of `FusedBatchNormV3` and `FusedBatchNormGradV3`.
 *
 * @param isTraining Whether mean and variance are those of the batch.
 */
export function fusedAttributes(epsilon: number, isTraining = true): Record<string, Attribute> {
  return {
    T: { type: "float32" },
    U: { type: "float32" },
    epsilon: { float: epsilon },
    data_format: { string: "NHWC" },
    is_training: { bool: isTraining },
  };
}
