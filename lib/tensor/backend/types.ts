/**
 * The native backend as the rest of lib/tensor sees it. This file imports none of the library, so
 * that `select.ts` can name the backend without loading it.
 */
import type { Tensor, Tensor1D, TensorInfo, Variable } from "@tensorflow/tfjs-core";

/**
 * The name of a backend: native TensorFlow, WebAssembly, plain JavaScript, or in a web page WebGPU.
 */
export type BackendName = "tensorflow" | "wasm" | "cpu" | "webgpu";

/** The result of preparing the fastest backend. */
export interface FastestBackend {
  /** The native backend, if that is it. */
  readonly native?: NativeBackend;
  /** Set if it cannot run here. */
  readonly failure?: {
    /** Returns what users should read, given the backend that runs instead. */
    notice?(other: string): string;
  };
}

/** Values of a tensor in JavaScript. */
export type Values = Float32Array | Int32Array | Uint8Array;

/** The compiled addon: TensorFlow's C interface, with the ids of its types. */
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
  /** Runs a TensorFlow op on the tensors with these ids. */
  executeOp(op: string, attributes: OpAttribute[], ids: number[], outputs: number): NativeTensor[];
  /** Returns the id of a new tensor. */
  createTensor(shape: number[], dtype: number, values: Values): number;
  deleteTensor(id: number): void;
  tensorDataSync(id: number): Values;
  /** Loads a graph from a folder, and returns the id of its session. */
  loadSavedModel(folder: string, tags: string): number;
  /** Runs a session on the tensors with these ids; `inputs` and `outputs` are names with commas. */
  runSavedModel(session: number, ids: number[], inputs: string, outputs: string): NativeTensor[];
  deleteSavedModel(session: number): void;
}

/** A tensor of TensorFlow by its id; `dtype` is the id of its type. */
export interface NativeTensor {
  id: number;
  shape: number[];
  dtype: number;
  /** The number of TensorFlow.js tensors that share it. */
  refCount?: number;
  /** The id of the resource that holds it, if it is a variable that is updated in place. */
  handle?: number;
  /** Data that an op keeps for its gradient, freed with this tensor. */
  workspace?: TensorInfo;
}

/** An attribute of a TensorFlow op, in the form of the addon. */
export interface OpAttribute {
  name: string;
  type: number;
  value: unknown;
}

/** The native tensor behind each tensor of TensorFlow.js. */
export interface TensorMap {
  /** Returns the native tensor; data of another backend is moved here first. */
  get(dataId: object): NativeTensor | undefined;
  has(dataId: object): boolean;
}

/** The parts of the native backend that its collaborators use. */
export interface RawBackend {
  /** The addon. */
  readonly addon: Binding;
  /** The addon; while a graph is captured, a form of it that adds each op to the graph. */
  binding: Binding;
  readonly isUsingGpuDevice: boolean;
  readonly tensorMap: TensorMap;
  /** Returns the native ids of tensors whose values are ready to be read. */
  getInputTensorIds(inputs: readonly TensorInfo[]): number[];
  /** Returns the native id of a tensor as TensorFlow.js's own backend knows it. */
  ownId(input: TensorInfo): number;
  createOutputTensor(tensor: NativeTensor): Tensor;
  incRef(dataId: object): void;
  /** Undoes {@linkcode incRef}, and frees data that nothing holds any more. */
  decRef(dataId: object): void;
  /** Runs an op at once, without deferring it. */
  execute(
    op: string,
    attributes: OpAttribute[],
    inputs: readonly TensorInfo[],
    outputs: number,
  ): Tensor[];
  /** Returns whether an op of oneDNN exists here, as far as is known. */
  hasOneDnnOp(op: string): boolean;
  /** Runs an op of oneDNN; returns undefined where TensorFlow lacks it. */
  executeOneDnnOp(
    op: string,
    attributes: OpAttribute[],
    inputs: readonly TensorInfo[],
    outputs: number,
  ): Tensor[] | undefined;
  /**
   * Returns whether all numbers of float32 tensors are finite, and so small that their squares and
   * their sum are too. While a graph is captured, a true result must also hold at each run of it.
   */
  areFinite(tensors: readonly TensorInfo[]): boolean;
  /** Returns a function that runs work in the floating-point types that are in force now. */
  bindTypes(): <T>(work: () => T) => T;
}

/** An input that a captured graph takes from outside at each run. */
export type Feed =
  | { readonly kind: "input"; readonly position: number }
  | { readonly kind: "variable"; readonly variable: Variable }
  /** A tensor that is the same at each run. */
  | { readonly kind: "tensor"; readonly tensor: TensorInfo }
  /** A tensor that JavaScript makes anew for each run. */
  | { readonly kind: "eager"; readonly make: () => Tensor };

/** The ops of a function as one graph. */
export interface CapturedGraph {
  /** The nodes of the graph as text. */
  readonly nodes: readonly string[];
  readonly feeds: readonly Feed[];
  /**
   * Runs the graph on other inputs; to be called in `tidy`. Returns undefined, and changes nothing,
   * where a number that was assumed to be finite is not.
   */
  replay(inputs: readonly Tensor[]): Tensor[] | undefined;
  /** Frees the graph. */
  free(): void;
}

/** The native backend: TensorFlow.js's own with four collaborators. */
export interface NativeBackend extends RawBackend {
  /** Whether this process may write the temporary files from which TensorFlow loads graphs. */
  readonly mayLoadGraphs: boolean;
  /** The text of `/proc/cpuinfo`; undefined outside of Linux, and without `--allow-all`. */
  readonly processorFeatures: string | undefined;
  readonly autocast: {
    /** Whether bfloat16 is in force. */
    readonly isActive: boolean;
    inBfloat16<T>(f: () => T): T;
    inFloat32<T>(f: () => T): T;
  };
  readonly capture: {
    readonly isCapturing: boolean;
    /** Returns the types and shapes for which a graph of these inputs is valid. */
    signature(inputs: readonly Tensor[]): string;
    /** Returns a tensor that each run of the graph makes anew. */
    eagerInput(make: () => Tensor): Tensor;
    /** Returns the values of a tensor, also while a graph is captured. */
    eagerValues(tensor: Tensor): Values;
    /** Returns the indices as positions in `range`, which each run of the graph checks. */
    checkInGraph(subject: string, range: Tensor1D, indices: Tensor1D): Tensor1D;
  };
  /** Runs an op, or defers it. */
  executeMultipleOutputs(
    op: string,
    attributes: OpAttribute[],
    inputs: readonly TensorInfo[],
    outputs: number,
  ): Tensor[];
  /**
   * Runs an op that updates variables in place. The variables come before all other inputs; a
   * number stands for a scalar. To be called in `tidy`.
   */
  updateVariables(
    op: string,
    variables: readonly Variable[],
    inputs: readonly (TensorInfo | number)[],
    flags?: Readonly<Record<string, boolean>>,
  ): void;
  /** Runs `work` and captures its ops; returns undefined where they cannot become a graph. */
  captureGraph(
    inputs: readonly Tensor[],
    work: () => readonly Tensor[],
  ): CapturedGraph | undefined;
  /** Keeps a workspace, which the caller gives up, until the data of `owner` is freed. */
  attachWorkspace(owner: TensorInfo, workspace: Tensor): void;
  /** Returns the workspace of a tensor. */
  workspaceOf(owner: TensorInfo): TensorInfo | undefined;
}
