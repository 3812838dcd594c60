/** Runs TensorFlow ops by name, for kernels. */
import type * as tf from "@tensorflow/tfjs-core";
import type { Binding, OpAttribute } from "./binding.d.ts";
import { nativeBackend, onNativeCpu } from "./select.ts";

/** An attribute of a TensorFlow op: its value, with the type that TensorFlow expects. */
export type Attribute =
  | { float: number }
  | { bool: boolean }
  | { string: string }
  | { integer: number }
  | { integers: readonly number[] }
  | { type: "float32" | "int32" | "bool" };

function toOpAttributes(
  attributes: Readonly<Record<string, Attribute>>,
  b: Binding,
): OpAttribute[] {
  return Object.entries(attributes).map(([name, attribute]) => {
    if ("float" in attribute) return { name, type: b.TF_ATTR_FLOAT, value: attribute.float };
    if ("bool" in attribute) return { name, type: b.TF_ATTR_BOOL, value: attribute.bool };
    if ("string" in attribute) return { name, type: b.TF_ATTR_STRING, value: attribute.string };
    if ("integer" in attribute) return { name, type: b.TF_ATTR_INT, value: attribute.integer };
    if ("integers" in attribute) return { name, type: b.TF_ATTR_INT, value: attribute.integers };
    const types = { float32: b.TF_FLOAT, int32: b.TF_INT32, bool: b.TF_BOOL };
    return { name, type: b.TF_ATTR_TYPE, value: types[attribute.type] };
  });
}

/**
 * Runs one TensorFlow op by name on the native backend; for kernels only. Gives one tensor, or as
 * many as `outputs` says.
 *
 * @throws {TypeError} If the native backend is not loaded.
 */
export function runTensorFlowOp(
  op: string,
  inputs: tf.TensorInfo[],
  attributes: Readonly<Record<string, Attribute>>,
): tf.Tensor;
export function runTensorFlowOp(
  op: string,
  inputs: tf.TensorInfo[],
  attributes: Readonly<Record<string, Attribute>>,
  outputs: number,
): tf.Tensor[];
export function runTensorFlowOp(
  op: string,
  inputs: tf.TensorInfo[],
  attributes: Readonly<Record<string, Attribute>>,
  outputs?: number,
): tf.Tensor | tf.Tensor[] {
  const native = nativeBackend();
  if (!native) {
    throw new TypeError(`Running the TensorFlow op ${op}: the native backend is not loaded.`);
  }
  const results = native.executeMultipleOutputs(
    op,
    toOpAttributes(attributes, native.binding),
    inputs,
    outputs ?? 1,
  );
  return outputs === undefined ? results[0]! : results;
}

/**
 * oneDNN's ops that TensorFlow lacks here, as found out at their first use; on x86 it mostly has
 * all.
 */
const missingOneDnnOps = new Set<string>();

/**
 * Runs one of oneDNN's ops on the native backend; for kernels only. Gives nothing where the backend
 * computes elsewhere than on a processor, or TensorFlow lacks the op.
 */
export function runOneDnnOp(
  op: string,
  inputs: tf.TensorInfo[],
  attributes: Readonly<Record<string, Attribute>>,
  outputs: number,
): tf.Tensor[] | undefined {
  if (missingOneDnnOps.has(op) || !onNativeCpu()) return undefined;
  try {
    // The last attribute is oneDNN's mark of its kernels for TensorFlow's own layout.
    const marked = { ...attributes, _kernel: { string: "MklNameChangeOp" } };
    return runTensorFlowOp(op, inputs, marked, outputs);
  } catch {
    missingOneDnnOps.add(op);
  }
}
