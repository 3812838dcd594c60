/**
 * What lib uses of TensorFlow.js's node backend and of the package that registers every gradient. Their own types would give
 * each tensor chained methods such as `x.relu()`, whose results have whatever rank the caller claims.
 */
import type { KernelBackend, Tensor, TensorInfo } from "@tensorflow/tfjs-core";

/** The compiled addon: the numbers by which TensorFlow's C interface knows types. */
export interface Binding {
  readonly TF_FLOAT: number;
  readonly TF_INT32: number;
  readonly TF_ATTR_STRING: number;
  readonly TF_ATTR_INT: number;
  readonly TF_ATTR_FLOAT: number;
  readonly TF_ATTR_BOOL: number;
  readonly TF_ATTR_TYPE: number;
}

/** An attribute of a TensorFlow op as the addon takes it. */
export interface OpAttribute {
  name: string;
  type: number;
  value: unknown;
}

export class NodeJSKernelBackend extends KernelBackend {
  constructor(binding: Binding, packageName: string);
  readonly isUsingGpuDevice: boolean;
  executeMultipleOutputs(
    op: string,
    attributes: OpAttribute[],
    inputs: TensorInfo[],
    outputs: number,
  ): Tensor[];
}
