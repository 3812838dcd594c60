/**
 * Frees tensors and variables that nothing can reach any more. V8 does not know that a tensor holds
 * memory outside its heap, nor how much.
 *
 * A tensor is registered only when it outlives every `tidy`. The others cost nothing.
 */
import * as tf from "@tensorflow/tfjs-core";
import type { DataType, Tensor, Variable } from "./types.ts";

/** The facts that are needed to dispose a tensor, without a reference to it. */
interface Registration {
  dataId: object;
  readonly dtype: DataType;
  readonly size: number;
  /** The tensor, if it is a variable. */
  readonly variable?: WeakRef<Variable>;
}

const engine = tf.engine();
const { disposeTensor, disposeVariable, keep, makeVariable } = engine, track = engine["track"];

const registered = new WeakMap<Tensor, Registration>();
/** The variables that are alive. TensorFlow.js's own list would keep them alive. */
const variables = new Set<Registration>();
const unreachable = new FinalizationRegistry<Registration>((registration) => {
  variables.delete(registration);
  reserve(-bytesOf(registration));
  disposeTensor.call(engine, registration as unknown as Tensor);
});

/** Registers a tensor, so that it is disposed when it is unreachable. */
function register<T extends Tensor>(tensor: T, variable?: WeakRef<Variable>): T {
  if (registered.has(tensor)) return tensor;
  const { dataId, size } = tensor, dtype = tensor.dtype as DataType;
  const registration = { dataId, dtype, size, variable };
  registered.set(tensor, registration);
  if (variable) variables.add(registration);
  unreachable.register(tensor, registration, tensor);
  reserve(bytesOf(registration));
  return tensor;
}

/** Undoes {@linkcode register}. */
function unregister(tensor: Tensor, registration: Registration): void {
  registered.delete(tensor);
  variables.delete(registration);
  unreachable.unregister(tensor);
  reserve(-bytesOf(registration));
}

function bytesOf({ size, dtype }: Registration): number {
  return size * tf.util.bytesPerElement(dtype);
}

/** Bytes of a buffer. It never takes memory, because nothing is written to it. */
const CHUNK = 2 ** 26;
/**
 * Factor by which the size of tensors is multiplied. V8 lets its heap grow to several times the
 * size in use; with the plain size it would collect garbage too late.
 */
const WEIGHT = 4;
/** Buffers that may stay unused, so that batches that come and go do not allocate each time. */
const SPARE = 8;
const reserved: ArrayBuffer[] = [];
let bytes = 0;

/**
 * Reserves buffers as large as the tensors, so that V8 counts their memory and collects garbage in
 * time.
 */
function reserve(more: number): void {
  bytes += more;
  const chunks = Math.floor(WEIGHT * bytes / CHUNK);
  while (reserved.length < chunks) reserved.push(new ArrayBuffer(CHUNK));
  while (reserved.length > chunks + SPARE) reserved.pop();
}

/** Returns the variables that are alive. */
export function liveVariables(): Variable[] {
  return Array.from(variables, ({ variable }) => variable?.deref())
    .filter((variable) => variable !== undefined);
}

/** Updates the registration of a variable that was assigned other data. */
export function updateRegistration(variable: Variable): void {
  const registration = registered.get(variable);
  if (registration) registration.dataId = variable.dataId;
}

Object.assign(engine, {
  track(tensor: Tensor): Tensor {
    return engine.state.activeScope ? track.call(engine, tensor) : register(tensor);
  },
  keep(tensor: Tensor): Tensor {
    return register(keep.call(engine, tensor));
  },
  disposeTensor(tensor: Tensor): void {
    const registration = registered.get(tensor);
    // An assignment to a variable disposes its old data in this way; the variable lives on.
    if (registration && !registration.variable) unregister(tensor, registration);
    disposeTensor.call(engine, tensor);
  },
  makeVariable(...parameters: Parameters<typeof makeVariable>): Variable {
    const variable: Variable = makeVariable.apply(engine, parameters);
    delete engine.state.registeredVariables[variable.name];
    return register(variable, new WeakRef(variable));
  },
  disposeVariable(variable: Variable): void {
    const registration = registered.get(variable);
    // A second disposal would release data that others share.
    if (!registration) return;
    unregister(variable, registration);
    disposeVariable.call(engine, variable);
  },
});

/** The tensors that are being read. A graphics processor answers later; only then may they go. */
const reads = new Set<{ readonly tensor: tf.Tensor }>();
const { data } = tf.Tensor.prototype;
tf.Tensor.prototype.data = async function (this: tf.Tensor) {
  const read = { tensor: this };
  reads.add(read);
  try {
    return await data.call(this);
  } finally {
    reads.delete(read);
  }
} as typeof data;
