/**
 * What lib uses of TensorFlow.js's node backend and of the package that registers every gradient.
 * Their own types would give each tensor chained methods such as `x.relu()`, whose results have
 * whatever rank the caller claims.
 */
import type { KernelBackend, Tensor, TensorInfo } from "@tensorflow/tfjs-core";

/** The compiled addon: the numbers by which TensorFlow's C interface knows types. */
export interface Binding {
  readonly TF_FLOAT: number;
  readonly TF_INT32: number;
  readonly TF_BOOL: number;
  readonly TF_ATTR_STRING: number;
  readonly TF_ATTR_INT: number;
  readonly TF_ATTR_FLOAT: number;
  readonly TF_ATTR_BOOL: number;
  readonly TF_ATTR_TYPE: number;
  readonly TF_ATTR_SHAPE: number;
  /** Runs a TensorFlow op on the tensors with these numbers. */
  executeOp(op: string, attributes: OpAttribute[], ids: number[], outputs: number): NativeTensor[];
  createTensor(shape: number[], dtype: number, values: ArrayBufferView): number;
  deleteTensor(id: number): void;
  tensorDataSync(id: number): Float32Array | Int32Array | Uint8Array;
  /** Loads a graph from a folder; the number of its session. */
  loadSavedModel(folder: string, tags: string): number;
  /**
   * Runs a session on the tensors with these numbers; inputs and outputs are lists of names with
   * commas between.
   */
  runSavedModel(session: number, ids: number[], inputs: string, outputs: string): NativeTensor[];
  deleteSavedModel(session: number): void;
}

/** A tensor of TensorFlow's by its number; `dtype` is the number of its type. */
export interface NativeTensor {
  id: number;
  shape: number[];
  dtype: number;
  /** The tensors that share it. */
  refCount?: number;
  /** Values that TensorFlow has not been given yet. */
  values?: unknown;
  /** The number of the resource that holds it, if it is a variable that changes in place. */
  handle?: number;
  /** What lives as long. */
  companion?: TensorInfo;
}

/** An attribute of a TensorFlow op as the addon takes it. */
export interface OpAttribute {
  name: string;
  type: number;
  value: unknown;
}

export class NodeJSKernelBackend extends KernelBackend {
  constructor(binding: Binding, packageName: string);
  binding: Binding;
  readonly isUsingGpuDevice: boolean;
  /** What TensorFlow holds for each tensor. */
  readonly tensorMap: {
    get(dataId: object): NativeTensor | undefined;
    has(dataId: object): boolean;
  };
  write(values: unknown, shape: number[], dtype: string): object;
  incRef(dataId: object): void;
  readSync(dataId: object): Float32Array | Int32Array | Uint8Array;
  disposeData(dataId: object, force?: boolean): boolean;
  getInputTensorIds(inputs: TensorInfo[]): number[];
  createOutputTensor(tensor: NativeTensor): Tensor;
  executeSingleOutput(op: string, attributes: OpAttribute[], inputs: TensorInfo[]): Tensor;
  executeMultipleOutputs(
    op: string,
    attributes: OpAttribute[],
    inputs: TensorInfo[],
    outputs: number,
  ): Tensor[];
}
