/** TensorFlow.js's native backend, with what our kernels need beyond it. */
import * as tf from "@tensorflow/tfjs-core";
import type { NativeTensor, OpAttribute } from "./binding.d.ts";
import { RecordingBackend } from "./graph_capture.ts";

/** The name under which TensorFlow frees a resource along with the last handle to it. */
const ANONYMOUS = "cd2c89b7-88b7-44c8-ad83-06c2a9158347";
/** The number of a tensor that is in its resource only. */
const ABSENT = -1;

export class LeanBackend extends RecordingBackend {
  /** The native numbers that stand for common numbers. */
  readonly #scalars = new Map<number, number>();

  /** Lets `companion` live as long as the data of `owner`, uncounted; {@linkcode companionOf} finds it. */
  attach(owner: tf.TensorInfo, companion: tf.Tensor): void {
    const { dataId, shape, dtype } = companion;
    this.incRef(dataId);
    companion.dispose();
    tf.engine().removeDataId(dataId, this);
    this.tensorMap.get(owner.dataId)!.companion = { dataId, shape, dtype };
  }

  /** What was attached to the data of `owner`. */
  companionOf(owner: tf.TensorInfo): tf.TensorInfo | undefined {
    return this.tensorMap.get(owner.dataId)!.companion;
  }

  /**
   * Runs an op that changes variables where they are: TensorFlow's training ops take them as resources, before all other inputs. A
   * variable becomes one at its first update, and can be read as ever. Numbers stand for scalars. To be called in `tidy`.
   */
  update(
    op: string,
    variables: readonly tf.Variable[],
    inputs: readonly (tf.TensorInfo | number)[],
    flags: Readonly<Record<string, boolean>> = {},
  ): void {
    if (this.isRecording) {
      throw new RangeError(
        "Compiling a function: it changes a variable in place, as the step of an optimizer does. Leave that outside.",
      );
    }
    const { TF_ATTR_BOOL, TF_ATTR_TYPE, TF_FLOAT } = this.binding;
    const attributes: OpAttribute[] = [
      { name: "T", type: TF_ATTR_TYPE, value: TF_FLOAT },
      ...Object.entries(flags).map(([name, value]) => ({ name, type: TF_ATTR_BOOL, value })),
    ];
    if (this.#scalars.size > 64) {
      for (const id of this.#scalars.values()) this.binding.deleteTensor(id);
      this.#scalars.clear();
    }
    const handles = variables.map((variable) => this.#handle(variable));
    const ids = inputs.map((input) => {
      if (typeof input === "number") return this.#scalar(input);
      const [id] = this.getInputTensorIds([input]);
      if (this.#data(input.dataId).dtype === TF_FLOAT) return id!;
      // TensorFlow holds it in bfloat16, which no deep copy is in.
      const float = this.executeSingleOutput("DeepCopy", attributes.slice(0, 1), [input]);
      return this.getInputTensorIds([float])[0]!;
    });
    // TensorFlow changes a resource in place only where nobody else looks at its memory.
    const views = variables.flatMap(({ dataId }) => {
      const data = this.tensorMap.get(dataId)!, { id } = data;
      data.id = ABSENT;
      return id === ABSENT ? [] : [id];
    });
    const inUse = views.filter((id) => ids.includes(id));
    for (const id of views) if (!inUse.includes(id)) this.binding.deleteTensor(id);
    this.binding.executeOp(op, attributes, [...handles, ...ids], 0);
    for (const id of inUse) this.binding.deleteTensor(id);
  }

  /** The native number of the resource that holds a variable. */
  #handle(variable: tf.Variable): number {
    const { refCount, handle } = this.tensorMap.get(variable.dataId)!;
    if (handle !== undefined && refCount === 1) return handle;
    // Whoever shares the data keeps what it is now; nor may memory be changed that JavaScript lent to TensorFlow.
    this.copyData(variable);
    const { TF_ATTR_TYPE, TF_ATTR_STRING, TF_ATTR_SHAPE, TF_FLOAT } = this.binding;
    const data = this.#data(variable.dataId);
    const type = { name: "dtype", type: TF_ATTR_TYPE, value: TF_FLOAT };
    const [resource] = this.binding.executeOp(
      "VarHandleOp",
      [
        { name: "shared_name", type: TF_ATTR_STRING, value: ANONYMOUS },
        { name: "shape", type: TF_ATTR_SHAPE, value: data.shape },
        type,
      ],
      [],
      1,
    );
    this.binding.executeOp("AssignVariableOp", [type], [resource!.id, data.id], 0);
    return data.handle = resource!.id;
  }

  /** The native number of a scalar. */
  #scalar(value: number): number {
    const known = this.#scalars.get(value);
    if (known !== undefined) return known;
    const id = this.binding.createTensor([], this.binding.TF_FLOAT, Float32Array.of(value));
    this.#scalars.set(value, id);
    return id;
  }

  /** What TensorFlow holds for a tensor, looked up in its resource if it has changed there. */
  #data(dataId: object): NativeTensor {
    const data = this.tensorMap.get(dataId)!;
    if (data.id === ABSENT && data.handle !== undefined) {
      const { TF_ATTR_TYPE, TF_FLOAT } = this.binding;
      const type = { name: "dtype", type: TF_ATTR_TYPE, value: TF_FLOAT };
      data.id = this.direct.executeOp("ReadVariableOp", [type], [data.handle], 1)[0]!.id;
    }
    return data;
  }

  override getInputTensorIds(inputs: tf.TensorInfo[]): number[] {
    for (const { dataId } of inputs) this.#data(dataId);
    return super.getInputTensorIds(inputs);
  }

  override readSync(dataId: object) {
    this.#data(dataId);
    return super.readSync(dataId);
  }

  override disposeData(dataId: object, force?: boolean): boolean {
    if (!this.tensorMap.has(dataId)) return true;
    const { handle, companion } = this.tensorMap.get(dataId)!;
    const gone = super.disposeData(dataId, force);
    if (gone && handle !== undefined) this.binding.deleteTensor(handle);
    if (gone && companion) super.disposeData(companion.dataId);
    return gone;
  }
}
