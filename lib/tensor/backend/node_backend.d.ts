/**
 * Types for the parts of TensorFlow.js's node backend that the library uses, and for the package
 * that registers every gradient. Their own types would give each tensor chained methods such as
 * `x.relu()`, whose results have whatever rank the caller claims.
 */
import type { KernelBackend, Tensor, TensorInfo } from "@tensorflow/tfjs-core";
import type { Binding, NativeTensor, OpAttribute, TensorMap, Values } from "./types.ts";

export class NodeJSKernelBackend extends KernelBackend {
  constructor(binding: Binding, packageName: string);
  binding: Binding;
  readonly isUsingGpuDevice: boolean;
  readonly tensorMap: TensorMap;
  write(values: unknown, shape: number[], dtype: string): object;
  incRef(dataId: object): void;
  readSync(dataId: object): Values;
  disposeData(dataId: object, force?: boolean): boolean;
  getInputTensorIds(inputs: readonly TensorInfo[]): number[];
  createOutputTensor(tensor: NativeTensor): Tensor;
  executeSingleOutput(op: string, attributes: OpAttribute[], inputs: readonly TensorInfo[]): Tensor;
  executeMultipleOutputs(
    op: string,
    attributes: OpAttribute[],
    inputs: readonly TensorInfo[],
    outputs: number,
  ): Tensor[];
}
