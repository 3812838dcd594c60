/**
 * Variables as TensorFlow resources, which its training ops update in place. A variable becomes a
 * resource at its first update. TensorFlow.js still reads it as a tensor: a view of the resource,
 * made when it is read.
 */
import type * as tf from "@tensorflow/tfjs-core";
import type { OpAttribute, RawBackend } from "./types.ts";

/** The name under which TensorFlow frees a resource along with the last handle to it. */
const ANONYMOUS = "cd2c89b7-88b7-44c8-ad83-06c2a9158347";
/** The id of a view that has not been made since the last update. */
const NO_VIEW = -1;
/** Maximum number of cached scalars. */
const MAX_SCALARS = 64;

export class ResourceVariables {
  readonly #backend: RawBackend;
  /** The ids of the scalars that updates have used. */
  readonly #scalars = new Map<number, number>();

  constructor(backend: RawBackend) {
    this.#backend = backend;
  }

  /** Runs an op that updates variables in place; its other inputs are float32. */
  update(
    op: string,
    variables: readonly tf.Variable[],
    inputs: readonly (tf.TensorInfo | number)[],
    flags: Readonly<Record<string, boolean>>,
  ): void {
    const backend = this.#backend, { addon, tensorMap } = backend;
    const { TF_ATTR_BOOL, TF_ATTR_TYPE, TF_FLOAT } = addon;
    const attributes: OpAttribute[] = [
      { name: "T", type: TF_ATTR_TYPE, value: TF_FLOAT },
      ...Object.entries(flags).map(([name, value]) => ({ name, type: TF_ATTR_BOOL, value })),
    ];
    if (this.#scalars.size > MAX_SCALARS) {
      for (const id of this.#scalars.values()) addon.deleteTensor(id);
      this.#scalars.clear();
    }
    const handles = variables.map((variable) => this.#handleOf(variable));
    const ids = inputs.map((input) =>
      typeof input === "number" ? this.#scalar(input) : backend.getInputTensorIds([input])[0]!
    );
    // TensorFlow updates a resource in place only where no view shares its memory.
    const views = variables.flatMap(({ dataId }) => {
      const data = tensorMap.get(dataId)!, { id } = data;
      data.id = NO_VIEW;
      return id === NO_VIEW ? [] : [id];
    });
    const viewsInUse = views.filter((id) => ids.includes(id));
    for (const id of views) if (!viewsInUse.includes(id)) addon.deleteTensor(id);
    addon.executeOp(op, attributes, [...handles, ...ids], 0);
    for (const id of viewsInUse) addon.deleteTensor(id);
  }

  /** Makes the view of a variable that was updated since the last one. */
  load(dataId: object): void {
    const { addon, tensorMap } = this.#backend, data = tensorMap.get(dataId)!;
    if (data.id !== NO_VIEW || data.handle === undefined) return;
    const type = { name: "dtype", type: addon.TF_ATTR_TYPE, value: addon.TF_FLOAT };
    // Not through `binding`: a graph reads the variable itself.
    data.id = addon.executeOp("ReadVariableOp", [type], [data.handle], 1)[0]!.id;
  }

  /** Gives a variable a copy of its data, if it shares that with another tensor. */
  unshare(variable: tf.Variable): void {
    const { tensorMap } = this.#backend;
    // Looking up data of another backend would move it here.
    if (!tensorMap.has(variable.dataId)) return;
    if (tensorMap.get(variable.dataId)!.refCount !== 1) this.#copyData(variable);
  }

  #copyData(variable: tf.Variable): void {
    const { binding, tensorMap } = this.#backend, { TF_ATTR_TYPE, TF_FLOAT } = binding;
    // The copy gets the type that TensorFlow.js knows, whatever the type of the data.
    const value = variable.dtype === "float32" ? TF_FLOAT : tensorMap.get(variable.dataId)!.dtype;
    const type = { name: "T", type: TF_ATTR_TYPE, value };
    const copy = this.#backend.execute("DeepCopy", [type], [variable], 1)[0]!;
    variable.assign(copy);
    copy.dispose();
  }

  /** Returns the id of the resource of a variable, and makes the resource if necessary. */
  #handleOf(variable: tf.Variable): number {
    const { addon, tensorMap } = this.#backend;
    const { refCount, handle } = tensorMap.get(variable.dataId)!;
    if (handle !== undefined && refCount === 1) return handle;
    // A tensor that shares the data must not change, nor may memory that JavaScript owns.
    this.#copyData(variable);
    const data = tensorMap.get(variable.dataId)!;
    const type = { name: "dtype", type: addon.TF_ATTR_TYPE, value: addon.TF_FLOAT };
    const [resource] = addon.executeOp(
      "VarHandleOp",
      [
        { name: "shared_name", type: addon.TF_ATTR_STRING, value: ANONYMOUS },
        { name: "shape", type: addon.TF_ATTR_SHAPE, value: data.shape },
        type,
      ],
      [],
      1,
    );
    addon.executeOp("AssignVariableOp", [type], [resource!.id, data.id], 0);
    return data.handle = resource!.id;
  }

  /** Returns the id of a scalar. */
  #scalar(value: number): number {
    const cached = this.#scalars.get(value);
    if (cached !== undefined) return cached;
    const { addon } = this.#backend;
    const id = addon.createTensor([], addon.TF_FLOAT, Float32Array.of(value));
    this.#scalars.set(value, id);
    return id;
  }
}
