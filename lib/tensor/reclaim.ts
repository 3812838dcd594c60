/**
 * Frees tensors and variables that nothing can reach any more. V8 knows neither that a tensor holds
 * memory outside of its heap, nor how much.
 *
 * A tensor is registered only when it outlives every `tidy`, so those that a `tidy` disposes cost
 * nothing.
 */
import * as tf from "@tensorflow/tfjs-core";
import type { DataType, Tensor, Variable } from "./types.ts";

/** The facts that are needed to dispose a tensor, without a reference to it. */
interface Remains {
  dataId: object;
  readonly dtype: DataType;
  readonly size: number;
  /** The tensor, if it is a variable. */
  readonly variable?: WeakRef<Variable>;
}

const engine = tf.engine();
const { disposeTensor, disposeVariable, keep, makeVariable } = engine, track = engine["track"];

const registered = new WeakMap<Tensor, Remains>();
/** Those of the variables that are alive. TensorFlow.js's own list would keep them so. */
const ofVariables = new Set<Remains>();
const unreachable = new FinalizationRegistry<Remains>((remains) => {
  ofVariables.delete(remains);
  reserve(-bytesOf(remains));
  disposeTensor.call(engine, remains as unknown as Tensor);
});

/** Has a tensor disposed once it is unreachable. */
function register<T extends Tensor>(tensor: T, variable?: WeakRef<Variable>): T {
  if (registered.has(tensor)) return tensor;
  const { dataId, size } = tensor, dtype = tensor.dtype as DataType;
  const remains = { dataId, dtype, size, variable };
  registered.set(tensor, remains);
  if (variable) ofVariables.add(remains);
  unreachable.register(tensor, remains, tensor);
  reserve(bytesOf(remains));
  return tensor;
}

/** Takes back {@linkcode register}. */
function unregister(tensor: Tensor, remains: Remains): void {
  registered.delete(tensor);
  ofVariables.delete(remains);
  unreachable.unregister(tensor);
  reserve(-bytesOf(remains));
}

function bytesOf({ size, dtype }: Remains): number {
  return size * tf.util.bytesPerElement(dtype);
}

// The system gives a large buffer zeros without memory until it is written to, which nobody does.
const CHUNK = 2 ** 26;
/**
 * V8 grows its heap to several times what is in use; with the plain size it waits too long for us.
 */
const WEIGHT = 4;
/** As many as may stay, or batches that come and go would allocate each time. */
const SPARE = 8;
const reserved: ArrayBuffer[] = [];
let bytes = 0;

/** Tells V8 of memory, so that it collects garbage before there is too much of it. */
function reserve(more: number): void {
  bytes += more;
  const chunks = Math.floor(WEIGHT * bytes / CHUNK);
  while (reserved.length < chunks) reserved.push(new ArrayBuffer(CHUNK));
  while (reserved.length > chunks + SPARE) reserved.pop();
}

/** The variables that are alive. */
export function liveVariables(): Variable[] {
  return Array.from(ofVariables, ({ variable }) => variable?.deref())
    .filter((variable) => variable !== undefined);
}

/** Notes that a variable has other data than before. */
export function noteData(variable: Variable): void {
  const remains = registered.get(variable);
  if (remains) remains.dataId = variable.dataId;
}

Object.assign(engine, {
  track(tensor: Tensor): Tensor {
    return engine.state.activeScope ? track.call(engine, tensor) : register(tensor);
  },
  keep(tensor: Tensor): Tensor {
    return register(keep.call(engine, tensor));
  },
  disposeTensor(tensor: Tensor): void {
    const remains = registered.get(tensor);
    // A variable that is assigned to lets go of its data in this way, and lives on.
    if (remains && !remains.variable) unregister(tensor, remains);
    disposeTensor.call(engine, tensor);
  },
  makeVariable(...parameters: Parameters<typeof makeVariable>): Variable {
    const variable: Variable = makeVariable.apply(engine, parameters);
    delete engine.state.registeredVariables[variable.name];
    return register(variable, new WeakRef(variable));
  },
  disposeVariable(variable: Variable): void {
    const remains = registered.get(variable);
    // Disposing it again would let go of data that others share.
    if (!remains) return;
    unregister(variable, remains);
    disposeVariable.call(engine, variable);
  },
});
