/** Traces and observes the kernels of TensorFlow.js that a computation calls. */
import * as tf from "@tensorflow/tfjs-core";
import { checkFunction, checkTensor } from "./checks.ts";
import type { Tensor, Variable } from "./types.ts";

/**
 * A value in a traced computation: the input, a constant, or the result of a kernel of
 * TensorFlow.js.
 */
export type TracedValue =
  | { readonly kind: "input" }
  | {
    readonly kind: "constant";
    readonly shape: readonly number[];
    readonly dtype: string;
    readonly bytes: Uint8Array<ArrayBuffer>;
  }
  | {
    readonly kind: "kernel";
    readonly name: string;
    /** Its inputs by role. */
    readonly inputs: Readonly<Record<string, TracedOutput>>;
    readonly attributes: Readonly<Record<string, unknown>>;
  };

/** The position of a value, and the position of one of its outputs. */
export type TracedOutput = readonly [value: number, output: number];

/** A computation as a list of values; the first is the input. */
export interface KernelTrace {
  /** The input, constants and kernels, in the order of their computation. */
  readonly values: readonly TracedValue[];
  /** The result. */
  readonly output: TracedOutput;
}

/**
 * Runs a computation and returns each kernel of TensorFlow.js that it calls. Tensors from
 * elsewhere, such as parameters, are constants of the trace. The {@linkcode tidy} around it
 * disposes the tensors that the computation makes.
 *
 * @throws {TypeError} If the computation returns no tensor.
 */
export function traceKernels<T extends Tensor>(input: T, run: (input: T) => unknown): KernelTrace {
  const action = "Tracing a computation";
  checkTensor(action, input, { name: "the input" });
  checkFunction(action, "run", run);
  const values: TracedValue[] = [{ kind: "input" }];
  const positions = new Map<number, TracedOutput>([[input.id, [0, 0]]]);
  const positionOf = (tensor: Tensor): TracedOutput => {
    const known = positions.get(tensor.id);
    if (known) return known;
    const { shape, dtype } = tensor, { buffer, byteOffset, byteLength } = tensor.dataSync();
    const bytes = new Uint8Array(buffer, byteOffset, byteLength).slice();
    const position = [values.push({ kind: "constant", shape, dtype, bytes }) - 1, 0] as const;
    positions.set(tensor.id, position);
    return position;
  };
  const output = observeKernels(() => run(input), ({ name, inputs, attributes, outputs }) => {
    const sources = Object.entries(inputs).map(([role, tensor]) =>
      [role, positionOf(tensor)] as const
    );
    const value = {
      kind: "kernel",
      name,
      inputs: Object.fromEntries(sources),
      attributes,
    } as const;
    const position = values.push(value) - 1;
    outputs.forEach(({ id }, index) => positions.set(id, [position, index]));
  });
  checkTensor(action, output, { name: "its result" });
  return { values, output: positionOf(output) };
}

/** One call of a kernel of TensorFlow.js. */
export interface KernelCall {
  readonly name: string;
  /** Its inputs by role. */
  readonly inputs: Readonly<Record<string, Tensor>>;
  readonly attributes: Readonly<Record<string, unknown>>;
  readonly outputs: readonly Tensor[];
}

type RunKernel = ReturnType<typeof tf.engine>["runKernel"];

/** Runs `work` while `replace(original)` stands in for the engine's `runKernel`. */
function withRunKernel<T>(replace: (original: RunKernel) => RunKernel, work: () => T): T {
  const engine = tf.engine();
  const before = Object.getOwnPropertyDescriptor(engine, "runKernel");
  const value = replace(engine.runKernel.bind(engine));
  Object.defineProperty(engine, "runKernel", { value, configurable: true });
  try {
    return work();
  } finally {
    if (before) Object.defineProperty(engine, "runKernel", before);
    else Reflect.deleteProperty(engine, "runKernel");
  }
}

/**
 * Runs `work`, and calls `onKernel` after each kernel that it calls, but not for kernels inside of
 * kernels.
 */
export function observeKernels<T>(work: () => T, onKernel: (call: KernelCall) => void): T {
  let inside = false;
  return withRunKernel((original) => (name, inputs, attributes = {}) => {
    if (inside) return original(name, inputs, attributes) as never;
    inside = true;
    try {
      const output = original<Tensor | Tensor[]>(name, inputs, attributes);
      const present = Object.entries(inputs).filter(([, tensor]) => tensor);
      onKernel({
        name,
        inputs: Object.fromEntries(present) as Record<string, Tensor>,
        attributes,
        outputs: Array.isArray(output) ? output : [output],
      });
      return output as never;
    } finally {
      inside = false;
    }
  }, work);
}

/** Runs `work`, and calls `onRead` each time that a kernel is about to read a variable. */
export function watchVariables<T>(onRead: (variable: Variable) => void, work: () => T): T {
  return withRunKernel((original) => (name, inputs, attributes) => {
    for (const tensor of Object.values(inputs).flat()) {
      if (tensor instanceof tf.Variable) onRead(tensor);
    }
    return original(name, inputs, attributes) as never;
  }, work);
}
