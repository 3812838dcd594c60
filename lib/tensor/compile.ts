import * as tf from "@tensorflow/tfjs-core";
import { nativeBackend, onNativeCpu } from "./backend.ts";
import { checkSynchronous, checkTensor, isTensor } from "./check.ts";
import type { Replay } from "./recording_backend.ts";
import type { Tensor } from "./types.ts";

/** What a function that is compiled may give: a tensor, or tensors in arrays and records. */
export type Tensors = Tensor | readonly Tensors[] | { readonly [name: string]: Tensors };

/** A function that {@linkcode compile} made; disposing it frees its graphs. */
export interface Compiled<Inputs extends readonly Tensor[], Output> extends Disposable {
  (...inputs: Inputs): Output;
}

const doing = "Compiling a function";

/**
 * A function that does what `f` does, faster: at the first call with inputs of some shape it runs `f` and notes which TensorFlow ops
 * that takes, and from the second on TensorFlow runs these ops as one graph. Between them there is no JavaScript then, and TensorFlow
 * fuses convolutions with what follows, works in place, and frees each value after its last use. Losses and gradients come out the same to
 * rounding.
 *
 * Variables that `f` reads are read anew at each call, and those that it assigns to are assigned to; random tensors are drawn anew. All
 * else in JavaScript happens at the first call only: `f` must not depend on anything that changes but its inputs and variables. It gives
 * tensors, and leaves no other behind.
 *
 * In a gradient, inside another compiled function, on a GPU and without native TensorFlow it runs `f` itself.
 *
 * @throws {RangeError} (at the first call) If `f` reads values of a tensor, draws random numbers in JavaScript, makes a variable, or changes
 * one in place as optimizers do; (later) if a tensor from outside that it uses has been disposed.
 * @throws {TypeError} If an input is no tensor, or `f` gives something else than tensors.
 *
 * @example
 * ```ts
 * import { compile, type Images, lenet, ops, Random } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const model = lenet(), random = new Random(1);
 * using predict = compile((images: Images<1>) => ops.softmax(model.forward(images)));
 * for (let batch = 0; batch < 3; batch++) {
 *   const images = random.normal([8, 28, 28, 1]);
 *   const difference = ops.sub(predict(images), ops.softmax(model.forward(images)));
 *   assert(ops.max(ops.abs(difference)).dataSync()[0]! < 1e-6);
 * }
 * ```
 */
export function compile<const Inputs extends readonly Tensor[], Output extends Tensors>(
  f: (...inputs: Inputs) => Output,
): Compiled<Inputs, Output> {
  const graphs = new Map<string, { replay: Replay; output: Output }>();
  let isDisposed = false;
  const run = (...inputs: Inputs): Output => {
    if (isDisposed) {
      throw new TypeError(
        "Running a compiled function: it must be alive, found a disposed one. Compile it again.",
      );
    }
    for (const input of inputs) checkTensor(doing, input, { name: "an input" });
    const native = onNativeCpu() && tf.engine().state.gradientDepth === 0
      ? nativeBackend()
      : undefined;
    return tf.tidy(() => {
      if (!native || native.isRecording) return f(...inputs) as tf.TensorContainer;
      const key = `${native.isInBfloat16} ${native.signature(inputs)}`;
      const graph = graphs.get(key);
      if (graph) {
        const tensors = graph.replay.run(inputs);
        return (tensors ? rebuild(graph.output, tensors) : f(...inputs)) as tf.TensorContainer;
      }
      let output!: Output;
      const recorded = native.record(inputs, () => {
        output = f(...inputs);
        return tensorsIn(output);
      });
      if (recorded) graphs.set(key, { replay: recorded, output });
      return output as tf.TensorContainer;
    }) as Output;
  };
  return Object.assign(run, {
    [Symbol.dispose]: () => {
      isDisposed = true;
      for (const { replay } of graphs.values()) replay.free();
      graphs.clear();
    },
  });
}

/**
 * Whether a function that {@linkcode compile} was given runs to be noted: values cannot be read then, so checks of them are left out.
 *
 * @example
 * ```ts
 * import { backend, compile, isCompiling, NATIVE, ops, type Tensor } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * using f = compile((x: Tensor) => {
 *   assert.equal(isCompiling(), backend() === NATIVE);
 *   return ops.relu(x);
 * });
 * f(ops.ones([2]));
 * assert(!isCompiling());
 * ```
 */
export function isCompiling(): boolean {
  return nativeBackend()?.isRecording ?? false;
}

/** The tensors in what a function gave, in order. */
function tensorsIn(output: unknown): Tensor[] {
  checkSynchronous(doing, output);
  if (isTensor(output)) return [output];
  if (typeof output === "object" && output !== null) {
    return Object.values(output).flatMap(tensorsIn);
  }
  throw new TypeError(`${doing}: it must give tensors, in arrays and records, found ${output}.`);
}

/** What a function gave, with other tensors. */
function rebuild(output: unknown, tensors: Tensor[]): unknown {
  if (isTensor(output)) return tensors.shift();
  if (Array.isArray(output)) return output.map((part) => rebuild(part, tensors));
  return Object.fromEntries(
    Object.entries(output as object).map(([name, part]) => [name, rebuild(part, tensors)]),
  );
}
