/**
 * The native backend: TensorFlow.js's own class, which calls its methods on itself and so can only
 * be changed by subclassing. Four collaborators act on a call; they know this class and not each
 * other. The methods below show the order in which they act.
 */
import * as tf from "@tensorflow/tfjs-core";
// @ts-types="./node_backend.d.ts"
import { NodeJSKernelBackend } from "@tensorflow/tfjs-node-gpu/dist/nodejs_kernel_backend.js";
// @ts-types="./node_backend.d.ts"
import "@tensorflow/tfjs-node-gpu/dist/register_all_kernels.js";
import { liveVariables } from "../reclaim.ts";
import { Autocast } from "./autocast.ts";
import { DeferredBatchNorm } from "./deferred_batch_norm.ts";
import { GraphCapture } from "./graph_capture.ts";
import { ResourceVariables } from "./resource_variables.ts";
import type * as types from "./types.ts";
import type { Binding, CapturedGraph, NativeTensor, OpAttribute, Values } from "./types.ts";

export class NativeBackend extends NodeJSKernelBackend implements types.NativeBackend {
  readonly addon: Binding;
  /** Variables that optimizers update in place. */
  readonly variables: ResourceVariables = new ResourceVariables(this);
  /** bfloat16: which op computes in which type. */
  readonly autocast: Autocast = new Autocast(this);
  /** Batch norms that wait for the relu after them. */
  readonly batchNorm: DeferredBatchNorm = new DeferredBatchNorm(this);
  /** The graphs of `compile`. */
  readonly capture: GraphCapture = new GraphCapture(this);
  /** Ops of oneDNN that TensorFlow lacks here, found at their first use; x86 mostly has all. */
  readonly #missingOneDnnOps = new Set<string>();

  constructor(addon: Binding) {
    super(addon, "@tensorflow/tfjs-node-gpu");
    this.addon = addon;
  }

  get mayLoadGraphs(): boolean {
    return Deno.permissions.querySync({ name: "write" }).state === "granted";
  }

  get processorFeatures(): string | undefined {
    try {
      return Deno.readTextFileSync("/proc/cpuinfo");
    } catch {
      return undefined;
    }
  }

  override executeMultipleOutputs(
    op: string,
    attributes: OpAttribute[],
    inputs: readonly tf.TensorInfo[],
    outputs: number,
  ): tf.Tensor[] {
    return this.batchNorm.intercept(op, attributes, inputs) ??
      this.execute(op, attributes, inputs, outputs);
  }

  override executeSingleOutput(
    op: string,
    attributes: OpAttribute[],
    inputs: readonly tf.TensorInfo[],
  ): tf.Tensor {
    return this.executeMultipleOutputs(op, attributes, inputs, 1)[0]!;
  }

  execute(
    op: string,
    attributes: OpAttribute[],
    inputs: readonly tf.TensorInfo[],
    outputs: number,
  ): tf.Tensor[] {
    const ids = this.getInputTensorIds(inputs);
    return this.autocast.execute(op, attributes, inputs, ids, outputs)
      .map((result) => this.createOutputTensor(result));
  }

  override getInputTensorIds(inputs: readonly tf.TensorInfo[]): number[] {
    for (const { dataId } of inputs) {
      this.batchNorm.resolve(dataId);
      this.variables.load(dataId);
    }
    return this.capture.bindInputs(inputs) ?? super.getInputTensorIds(inputs);
  }

  override createOutputTensor(tensor: NativeTensor): tf.Tensor {
    const known = this.autocast.toKnownType(tensor);
    const result = super.createOutputTensor(known);
    if (known !== tensor) this.tensorMap.get(result.dataId)!.dtype = tensor.dtype;
    return result;
  }

  override write(values: unknown, shape: number[], dtype: string): object {
    const dataId = super.write(values, shape, dtype);
    this.capture.markConstant(dataId);
    return dataId;
  }

  override readSync(dataId: object): Values {
    this.batchNorm.resolve(dataId);
    this.variables.load(dataId);
    return this.autocast.readSync(dataId) ?? super.readSync(dataId);
  }

  override disposeData(dataId: object, force?: boolean): boolean {
    if (!this.tensorMap.has(dataId)) return true;
    const { handle, workspace } = this.tensorMap.get(dataId)!;
    if (!super.disposeData(dataId, force)) return false;
    if (handle !== undefined) this.addon.deleteTensor(handle);
    if (workspace) super.disposeData(workspace.dataId);
    this.autocast.evict(dataId);
    this.batchNorm.release(dataId);
    return true;
  }

  decRef(dataId: object): void {
    if (this.disposeData(dataId)) tf.engine().removeDataId(dataId, this);
  }

  updateVariables(
    op: string,
    variables: readonly tf.Variable[],
    inputs: readonly (tf.TensorInfo | number)[],
    flags: Readonly<Record<string, boolean>> = {},
  ): void {
    this.capture.refuseUpdate();
    const float32 = inputs.map((input) =>
      typeof input === "number" ? input : this.autocast.toFloat32(input)
    );
    this.variables.update(op, variables, float32, flags);
    for (const { dataId } of variables) this.autocast.evict(dataId);
  }

  captureGraph(
    inputs: readonly tf.Tensor[],
    work: () => readonly tf.Tensor[],
  ): CapturedGraph | undefined {
    // A graph has only the ops that run from here on.
    this.batchNorm.resolveAll();
    return this.autocast.withEmptyCache(() => {
      const variables = liveVariables();
      for (const variable of variables) this.variables.unshare(variable);
      return this.capture.capture(inputs, variables, work);
    });
  }

  areFinite(tensors: readonly tf.TensorInfo[]): boolean {
    const ids = this.getInputTensorIds(tensors);
    const { binding } = this, { TF_ATTR_BOOL, TF_ATTR_INT, TF_ATTR_TYPE, TF_FLOAT } = binding;
    const dtypes = tensors.map(({ dataId }) => this.tensorMap.get(dataId)!.dtype);
    if (dtypes.some((dtype) => dtype !== TF_FLOAT)) {
      return tensors.every((tensor, i) => {
        if (dtypes[i] === TF_FLOAT) return this.areFinite([tensor]);
        // In bfloat16 L2Loss takes five times as long as a sum, which is finite only where each
        // number in it is.
        return tf.tidy(() => {
          const axes = tf.range(0, tensor.shape.length, 1, "int32");
          const [sum] = binding.executeOp(
            "Sum",
            [
              { name: "T", type: TF_ATTR_TYPE, value: dtypes[i]! },
              { name: "Tidx", type: TF_ATTR_TYPE, value: binding.TF_INT32 },
              { name: "keep_dims", type: TF_ATTR_BOOL, value: false },
            ],
            [ids[i]!, this.getInputTensorIds([axes])[0]!],
            1,
          );
          const float32 = this.autocast.toFloat32(this.createOutputTensor(sum!));
          return this.capture.assumeFinite(this.getInputTensorIds([float32])[0]!);
        });
      });
    }
    const type = { name: "T", type: TF_ATTR_TYPE, value: TF_FLOAT };
    // Tensors of TensorFlow.js for the sums would cost more than the sums.
    const count = { name: "N", type: TF_ATTR_INT, value: ids.length };
    const sum = ids.length === 1 ? undefined : binding.executeOp("AddN", [type, count], ids, 1)[0];
    // The sum of squares is finite if and only if all squares are: infinities do not cancel.
    const squares = binding.executeOp("L2Loss", [type], [sum?.id ?? ids[0]!], 1)[0]!.id;
    const isFinite = this.capture.assumeFinite(squares);
    if (sum) binding.deleteTensor(sum.id);
    binding.deleteTensor(squares);
    return isFinite;
  }

  hasOneDnnOp(op: string): boolean {
    return !this.isUsingGpuDevice && !this.#missingOneDnnOps.has(op);
  }

  executeOneDnnOp(
    op: string,
    attributes: OpAttribute[],
    inputs: readonly tf.TensorInfo[],
    outputs: number,
  ): tf.Tensor[] | undefined {
    if (!this.hasOneDnnOp(op)) return undefined;
    // oneDNN marks its kernels for TensorFlow's own layout with this attribute.
    const mark = {
      name: "_kernel",
      type: this.binding.TF_ATTR_STRING,
      value: "MklNameChangeOp",
    };
    try {
      return this.execute(op, [...attributes, mark], inputs, outputs);
    } catch {
      this.#missingOneDnnOps.add(op);
    }
  }

  ownId(input: tf.TensorInfo): number {
    return super.getInputTensorIds([input])[0]!;
  }

  bindTypes(): <T>(work: () => T) => T {
    return this.autocast.bind();
  }

  attachWorkspace(owner: tf.TensorInfo, workspace: tf.Tensor): void {
    const { dataId, shape, dtype } = workspace;
    this.incRef(dataId);
    workspace.dispose();
    // From here on only `owner` holds it, uncounted.
    tf.engine().removeDataId(dataId, this);
    this.tensorMap.get(owner.dataId)!.workspace = { dataId, shape, dtype };
  }

  workspaceOf(owner: tf.TensorInfo): tf.TensorInfo | undefined {
    return this.tensorMap.get(owner.dataId)!.workspace;
  }
}
