/**
 * Whether fast kernels may be used. Several of them lose NaN or infinity (oneDNN's max pooling and
 * its batch normalisation with relu; XNNPACK's relu, clipping and average pooling). A look at their
 * inputs costs one reading pass, far less than the kernel.
 */
import * as tf from "@tensorflow/tfjs-core";
import { nativeBackend } from "../backend/select.ts";
import { runTensorFlowOp } from "../backend/tensorflow_op.ts";

/**
 * Whether all numbers of a float32 tensor are finite, and not so large that their squares are not:
 * above 1.8e19, beyond which not all kernels are right either.
 *
 * In a function that is compiled the answer is yes, and holds: where a run of the graph finds
 * otherwise, its results are dropped and the function itself runs.
 */
export function isAllFinite(x: tf.TensorInfo): boolean {
  const native = nativeBackend();
  // The sum of squares is finite exactly where all squares are: infinities do not cancel.
  if (native) {
    if (!native.isRecording) {
      const { binding } = native, [id] = native.getInputTensorIds([x]);
      if (native.tensorMap.get(x.dataId)?.dtype === binding.TF_FLOAT) {
        // A tensor for the sum would cost more than the sum.
        const type = { name: "T", type: binding.TF_ATTR_TYPE, value: binding.TF_FLOAT };
        const [sum] = binding.executeOp("L2Loss", [type], [id!], 1);
        const [value] = binding.tensorDataSync(sum!.id);
        binding.deleteTensor(sum!.id);
        return Number.isFinite(value);
      }
    }
    return tf.tidy(() =>
      native.assumeFinite(runTensorFlowOp("L2Loss", [x], { T: { type: "float32" } }))
    );
  }
  return tf.tidy(() => Number.isFinite(tf.sum(tf.square(x as tf.Tensor)).dataSync()[0]));
}
