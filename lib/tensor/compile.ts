import * as tf from "@tensorflow/tfjs-core";
import { difference, type Replay } from "./backend/graph_capture.ts";
import { nativeBackend, onNativeCpu } from "./backend/select.ts";
import { checkFunction, checkSynchronous, checkTensor, isTensor } from "./checks.ts";
import type { Scalar, Tensor } from "./types.ts";
import { State, watchCalls } from "./watched_state.ts";

/**
 * An argument of a compiled function: a tensor, or a setting, each value of which has graphs of its
 * own.
 */
export type CompiledInput = Tensor | number | boolean | string;

/** What a function that is compiled may give: a tensor, or tensors in arrays and records. */
export type Tensors = Tensor | readonly Tensors[] | { readonly [name: string]: Tensors };

/** A function that {@linkcode compile} made; disposing it frees its graphs. */
export interface Compiled<Inputs extends readonly CompiledInput[], Output> extends Disposable {
  (...inputs: Inputs): Output;
}

const doing = "Compiling a function";

/** The graphs that a compiled function keeps; the one that was used longest ago goes first. */
const MOST_GRAPHS = 16;

/** A graph of a compiled function. */
interface Captured {
  /** For which kinds of inputs it is. */
  readonly key: string;
  readonly replay: Replay;
  readonly output: Tensors;
  /** The state in JavaScript that it depends on, as far as that is known. */
  state: State;
  /** The calls that it stood for so far. */
  calls: number;
  /** At which of them the function itself runs, to see whether it still does the same. */
  nextCheck: number;
  /** Whether the function did something else at the call before. */
  readonly hasChanged: boolean;
}

/**
 * A function that does what `f` does, faster: at the first call with inputs of some shape it runs
 * `f` and captures which TensorFlow ops that takes as a graph, which TensorFlow runs from then on.
 * Between its ops there is no JavaScript then, and TensorFlow fuses convolutions with what follows,
 * works in place, and frees each value after its last use. Losses and gradients come out the same
 * to rounding.
 *
 * Some kernels are right for finite numbers only, such as oneDNN's max pooling. Where one of these
 * meets NaN, infinity, or numbers whose squares are beyond float32, `f` itself runs instead.
 *
 * At each call these are as they are then:
 *
 * - the inputs. Numbers, booleans and strings may be among them; each value has a graph of its own.
 * - variables and random tensors. Variables that `f` assigns to are assigned to.
 * - the fields of modules whose `forward` it calls, and what they hold, but private ones (`#rate`)
 *   only where they have a getter and a setter. A change makes a new graph.
 * - precision and backend.
 *
 * All else in JavaScript is as at the first call. To find out where `f` depends on it, such as on a
 * number in a variable of the code around it, `f` runs again at the calls 2, 16, 32, 64, and so on:
 * where it takes other ops or numbers than before, that is an error, which names the op. Pass such
 * a number as an input.
 *
 * `f` gives tensors, and leaves no other behind. The last 16 graphs are kept. They are freed when
 * the compiled function is disposed, or when nothing can reach it any more.
 *
 * In a gradient, inside another compiled function, on a GPU and without native TensorFlow it runs
 * `f` itself.
 *
 * @throws {RangeError} (when `f` runs) If `f` reads values of a tensor, draws random numbers in
 * JavaScript, makes a variable, changes one in place as optimizers do, or does something else than
 * before with the same inputs; (later) if a tensor from outside that it uses has been disposed, or
 * an index or label is out of range.
 * @throws {TypeError} If an input is no tensor, number, boolean or string, `f` gives something else
 * than tensors, or the compiled function was disposed.
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
export function compile<const Inputs extends readonly CompiledInput[], Output extends Tensors>(
  f: (...inputs: Inputs) => Output,
): Compiled<Inputs, Output> {
  checkFunction(doing, "it", f);
  /** Those that were used last come first. */
  const graphs: Captured[] = [];
  const drop = (graph: Captured) => {
    graphs.splice(graphs.indexOf(graph), 1);
    graph.replay.free();
  };
  let isDisposed = false;
  const run = (...inputs: Inputs): Output => {
    if (isDisposed) {
      throw new TypeError(
        "Running a compiled function: it must be alive, found a disposed one. Compile it again.",
      );
    }
    inputs.forEach(checkInput);
    const native = onNativeCpu() && tf.engine().state.gradientDepth === 0
      ? nativeBackend()
      : undefined;
    return tf.tidy(() => {
      if (!native || native.isRecording) {
        const output = f(...inputs);
        tensorsIn(output);
        return output as tf.TensorContainer;
      }
      const tensors = inputs.filter((input) => isTensor(input));
      const settings = inputs.map((input) => isTensor(input) ? "" : settingText(input));
      const key = `${native.isInBfloat16} ${native.signature(tensors)} ${settings}`;
      const graph = graphs.find((graph) => graph.key === key && graph.state.isUnchanged);
      if (graph) {
        graphs.splice(graphs.indexOf(graph), 1);
        graphs.unshift(graph);
        if (++graph.calls < graph.nextCheck) {
          const results = graph.replay.run(tensors);
          return (results ? rebuild(graph.output, results) : f(...inputs)) as tf.TensorContainer;
        }
      }
      let output!: Output;
      const live = liveFields = new WeakMap();
      const { result: replay, called } = watchCalls(() =>
        native.record(tensors, () => {
          output = f(...inputs);
          return tensorsIn(output);
        })
      );
      if (!replay) return output as tf.TensorContainer;
      const state = new State(called, (owner, key) => live.get(owner)?.has(key) ?? false);
      const changed = graph && difference(graph.replay, replay);
      if (graph && changed === undefined) {
        replay.free();
        Object.assign(graph, { state, nextCheck: Math.max(16, 2 * graph.nextCheck) });
        return output as tf.TensorContainer;
      }
      if (graph) {
        drop(graph);
        // Before the second call nothing came from the graph, so f may have prepared something.
        if (graph.calls > 2 || graph.hasChanged) throw changedSince(graph, changed!);
      }
      const hasChanged = graph !== undefined;
      graphs.unshift({ key, replay, output, state, calls: 1, nextCheck: 2, hasChanged });
      if (graphs.length > MOST_GRAPHS) drop(graphs.at(-1)!);
      return output as tf.TensorContainer;
    }) as Output;
  };
  return Object.assign(run, {
    [Symbol.dispose]: () => {
      isDisposed = true;
      for (const graph of [...graphs]) drop(graph);
    },
  });
}

function changedSince({ calls, hasChanged }: Captured, changed: string): RangeError {
  return new RangeError(
    `${doing}: with the same inputs it must do the same at each call, but at call ${
      hasChanged ? calls + 1 : calls
    } ${changed}. It depends on something in JavaScript that has changed. Pass that to the compiled function as an input, or hold it in a public field of a module.`,
  );
}

function checkInput(input: unknown): void {
  if (["number", "boolean", "string"].includes(typeof input)) return;
  checkTensor(doing, input, { name: "an input" });
}

/** A setting as part of a key. */
function settingText(value: number | boolean | string): string {
  return typeof value === "string"
    ? JSON.stringify(value)
    : Object.is(value, -0)
    ? "-0"
    : `${value}`;
}

/** The fields that the graph that is being captured has as inputs. */
let liveFields = new WeakMap<object, Set<string>>();

/**
 * The number in a field, for a module whose number changes often, such as at each step. A compiled
 * function has it as an input of its graph; a number that is read in another way makes a new graph
 * when it changes.
 *
 * @example
 * ```ts
 * import { compile, liveNumber, Module, ops, type Tensor1D } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * class Scale extends Module<Tensor1D, Tensor1D> {
 *   factor = 1;
 *   override forward(x: Tensor1D) {
 *     return ops.mul(x, liveNumber(this, "factor"));
 *   }
 * }
 * const model = new Scale();
 * using scale = compile((x: Tensor1D) => model.forward(x));
 * for (let step = 1; step <= 4; step++) {
 *   model.factor = step;
 *   assert.equal(scale(ops.tensor([2])).dataSync()[0], 2 * step);
 * }
 * ```
 */
export function liveNumber<Key extends string>(
  owner: Readonly<Record<Key, number>>,
  key: Key,
): Scalar {
  const read = () => tf.scalar(owner[key]);
  const native = nativeBackend();
  if (!native?.isRecording) return read();
  const keys = liveFields.get(owner) ?? new Set();
  liveFields.set(owner, keys.add(key));
  return native.fresh(read) as Scalar;
}

/**
 * Whether a function that {@linkcode compile} was given runs to be noted: values cannot be read
 * then, so checks of them are left out.
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
