import * as tf from "@tensorflow/tfjs-core";
import { checkFunction, checkTensor } from "./checks.ts";
import type { Tensor, Variable } from "./types.ts";

/**
 * A value in a computation that was traced: what goes in, what is always the same, or what a kernel
 * of TensorFlow.js makes of others.
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
    /** What it takes, by its role. */
    readonly inputs: Readonly<Record<string, TracedOutput>>;
    readonly attributes: Readonly<Record<string, unknown>>;
  };

/** The position of a value, and of the output where it has several. */
export type TracedOutput = readonly [value: number, output: number];

/** A computation as the values that it runs through; the first is the input. */
export interface KernelTrace {
  readonly values: readonly TracedValue[];
  readonly output: TracedOutput;
}

/**
 * Runs a computation and notes each kernel of TensorFlow.js that it calls. Tensors that come from
 * elsewhere, such as parameters, are constants in it. What it makes is left to the {@linkcode tidy}
 * around it.
 *
 * @throws {TypeError} If the computation gives no tensor.
 *
 * @example
 * ```ts
 * import { ops, traceKernels } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const { values } = traceKernels(ops.ones([2]), (x) => ops.relu(ops.mul(x, 3)));
 * const names = values.map((value) => value.kind === "kernel" ? value.name : value.kind);
 * assert.deepEqual(names, ["input", "constant", "Multiply", "Relu"]);
 * ```
 */
export function traceKernels<T extends Tensor>(input: T, run: (input: T) => unknown): KernelTrace {
  const action = "Tracing a computation";
  checkTensor(action, input, { name: "the input" });
  checkFunction(action, "run", run);
  const values: TracedValue[] = [{ kind: "input" }];
  const places = new Map<number, TracedOutput>([[input.id, [0, 0]]]);
  const placeOf = (tensor: Tensor): TracedOutput => {
    const known = places.get(tensor.id);
    if (known) return known;
    const { shape, dtype } = tensor, { buffer, byteOffset, byteLength } = tensor.dataSync();
    const bytes = new Uint8Array(buffer, byteOffset, byteLength).slice();
    const place = [values.push({ kind: "constant", shape, dtype, bytes }) - 1, 0] as const;
    places.set(tensor.id, place);
    return place;
  };
  const output = observeKernels(() => run(input), ({ name, inputs, attributes, outputs }) => {
    const from = Object.entries(inputs).map(([role, tensor]) => [role, placeOf(tensor)] as const);
    const value = { kind: "kernel", name, inputs: Object.fromEntries(from), attributes } as const;
    const position = values.push(value) - 1;
    outputs.forEach(({ id }, index) => places.set(id, [position, index]));
  });
  checkTensor(action, output, { name: "its result" });
  return { values, output: placeOf(output) };
}

/** One call of a kernel of TensorFlow.js. */
export interface KernelCall {
  readonly name: string;
  /** The tensors that it takes, by role. */
  readonly inputs: Readonly<Record<string, Tensor>>;
  readonly attributes: Readonly<Record<string, unknown>>;
  readonly outputs: readonly Tensor[];
}

type RunKernel = ReturnType<typeof tf.engine>["runKernel"];

/** Runs `work` with a function in the place of the engine's `runKernel`, which it is given. */
function withRunKernel<T>(replace: (own: RunKernel) => RunKernel, work: () => T): T {
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
 * Runs `work`, and calls `see` after each kernel that it calls; kernels inside of kernels are not
 * seen.
 */
export function observeKernels<T>(work: () => T, see: (call: KernelCall) => void): T {
  let inside = false;
  return withRunKernel((own) => (name, inputs, attributes = {}) => {
    if (inside) return own(name, inputs, attributes) as never;
    inside = true;
    try {
      const output = own<Tensor | Tensor[]>(name, inputs, attributes);
      const given = Object.entries(inputs).filter(([, tensor]) => tensor);
      see({
        name,
        inputs: Object.fromEntries(given) as Record<string, Tensor>,
        attributes,
        outputs: Array.isArray(output) ? output : [output],
      });
      return output as never;
    } finally {
      inside = false;
    }
  }, work);
}

/** Runs `work` and calls `see` with each variable that a kernel is about to read, each time. */
export function watchVariables<T>(see: (variable: Variable) => void, work: () => T): T {
  return withRunKernel((own) => (name, inputs, attributes) => {
    for (const tensor of Object.values(inputs).flat()) {
      if (tensor instanceof tf.Variable) see(tensor);
    }
    return own(name, inputs, attributes) as never;
  }, work);
}
