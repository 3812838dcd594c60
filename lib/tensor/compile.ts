import * as tf from "@tensorflow/tfjs-core";
import { nativeCpuBackend } from "./backend/select.ts";
import type { CapturedGraph, Feed } from "./backend/types.ts";
import { checkFunction, checkSynchronous, checkTensor, isTensor, show } from "./checks.ts";
import { recordDraws } from "./random.ts";
import { liveVariables } from "./reclaim.ts";
import type { Tensor } from "./types.ts";
import { State, watchCalls } from "./watched_state.ts";

/**
 * An argument of a compiled function: a tensor, or a setting. Each value of a setting has its own
 * graphs.
 */
export type CompiledInput = Tensor | number | boolean | string;

/** The result of a function that can be compiled: a tensor, or tensors in arrays and records. */
export type Tensors = Tensor | readonly Tensors[] | { readonly [name: string]: Tensors };

/** A function that {@linkcode compile} made; disposing it frees its graphs. */
export interface Compiled<Inputs extends readonly CompiledInput[], Output> extends Disposable {
  (...inputs: Inputs): Output;
}

const ACTION = "Compiling a function";

/**
 * The number of graphs that a compiled function keeps; the least recently used one is freed first.
 */
const MAX_GRAPHS = 16;

/** The calls of a compiled function with inputs of a shape. They decide when `f` itself runs. */
export interface GraphCalls {
  /** The types, shapes and settings of the inputs that the graph is for. */
  readonly key: string;
  /** The calls that the graph has served, with the call that captured it. */
  calls: number;
  /** The call at which the function itself runs again, to see whether it still does the same. */
  nextCheck: number;
  /** Whether this graph replaced one that the function no longer matched. */
  readonly isReplacement: boolean;
}

/** A graph of a compiled function. */
interface CacheEntry extends GraphCalls {
  readonly graph: CapturedGraph;
  readonly output: Tensors;
  /** The state in JavaScript that the graph depends on, as far as it is known. */
  state: State;
}

/**
 * Returns a function that does what `f` does, faster. At the first call with inputs of a shape it
 * runs `f` and captures its TensorFlow ops as a graph, which TensorFlow runs from then on. No
 * JavaScript runs between the ops, and TensorFlow fuses convolutions with the ops that follow,
 * works in place, and frees each value after its last use. Losses and gradients are the same to
 * rounding.
 *
 * Some kernels are right for finite numbers only, such as oneDNN's max pooling. If one of these
 * meets NaN, infinity, or numbers whose squares overflow float32, `f` itself runs instead.
 *
 * Each call uses the current value of:
 *
 * - the inputs. Numbers, booleans and strings may be among them; each value has its own graph.
 * - variables and random tensors. Variables that `f` assigns to are assigned to.
 * - the fields of modules whose `forward` it calls, and the objects in them; private fields
 *   (`#rate`) only if they have a getter and a setter. A change makes a new graph.
 * - precision and backend.
 *
 * Everything else in JavaScript stays as it was at the first call. To detect that `f` depends on
 * it, such as on a number in a variable of the code around it, `f` runs again at the calls 2, 16,
 * 64, 256, and so on. If it then runs different ops or uses different numbers, it throws an error
 * that names the op. Pass such a number as an input.
 *
 * `f` must return tensors, and leave no others behind. The last 16 graphs are kept. They are freed
 * when the compiled function is disposed, or when nothing can reach it any more.
 *
 * In a gradient, inside another compiled function, on a GPU and without native TensorFlow it runs
 * `f` itself.
 *
 * @throws {RangeError} (when `f` runs) If `f` reads values of a tensor, draws random numbers in
 * JavaScript, makes a variable, updates one in place as optimizers do, or behaves differently with
 * the same inputs; (later) if an index or label is out of range.
 * @throws {TypeError} If an input is not a tensor, number, boolean or string, the result of `f` is
 * not made of tensors, or the compiled function or a tensor from outside that it uses was disposed.
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
  checkFunction(ACTION, "the argument", f);
  /** The most recently used entries come first. */
  const entries: CacheEntry[] = [];
  const drop = (entry: CacheEntry) => {
    entries.splice(entries.indexOf(entry), 1);
    entry.graph.free();
  };
  let isDisposed = false;
  /** The calls of an earlier process on graphs that are not captured in this one yet. */
  const loaded = new Map<string, GraphCalls>();
  const run = (...inputs: Inputs): Output => {
    if (isDisposed) {
      throw new TypeError(
        "Running a compiled function: the function must be alive, found it disposed. Compile it again.",
      );
    }
    inputs.forEach(checkInput);
    const native = tf.engine().state.gradientDepth === 0 ? nativeCpuBackend() : undefined;
    return tf.tidy(() => {
      if (!native || native.capture.isCapturing) {
        const output = f(...inputs);
        tensorsIn(output);
        return output as tf.TensorContainer;
      }
      const tensors = inputs.filter((input) => isTensor(input));
      const settings = inputs.map((input) => isTensor(input) ? "" : settingText(input));
      const key = `${native.autocast.isActive} ${native.capture.signature(tensors)} ${settings}`;
      const capture = () => {
        let output!: Output;
        const { result: graph, called } = watchCalls(() =>
          native.captureGraph(tensors, () => {
            output = f(...inputs);
            return tensorsIn(output);
          })
        );
        return { output, graph, state: () => new State(called) };
      };
      let entry = entries.find((entry) => entry.key === key && entry.state.isUnchanged);
      const continued = loaded.get(key);
      // The first run of `f` may prepare something, so the graph is that of the second.
      for (let isFirst = true; !entry && continued; isFirst = false) {
        const { result: { output, graph, state }, undo } = undoable(capture);
        if (!graph) {
          continued.calls++;
          return output as tf.TensorContainer;
        }
        undo();
        tf.dispose(tensorsIn(output));
        if (isFirst) {
          graph.free();
          continue;
        }
        loaded.delete(key);
        entry = { ...continued, graph, output, state: state() };
        entries.unshift(entry);
      }
      if (entry) {
        entries.splice(entries.indexOf(entry), 1);
        entries.unshift(entry);
        if (++entry.calls < entry.nextCheck) {
          const results = entry.graph.replay(tensors);
          return (results ? rebuild(entry.output, results) : f(...inputs)) as tf.TensorContainer;
        }
      }
      const { output, graph, state: stateOf } = capture();
      if (!graph) return output as tf.TensorContainer;
      const state = stateOf();
      const change = entry && difference(entry.graph, graph);
      if (entry && change === undefined) {
        graph.free();
        Object.assign(entry, { state, nextCheck: Math.max(16, 4 * entry.nextCheck) });
        return output as tf.TensorContainer;
      }
      if (entry) {
        drop(entry);
        // Up to the second call no result came from the graph, so f may have prepared something.
        if (entry.calls > 2 || entry.isReplacement) throw hasChanged(entry, change!);
      }
      const isReplacement = entry !== undefined;
      entries.unshift({ key, graph, output, state, calls: 1, nextCheck: 2, isReplacement });
      if (entries.length > MAX_GRAPHS) drop(entries.at(-1)!);
      return output as tf.TensorContainer;
    }) as Output;
  };
  callsOf.set(run, {
    state: () =>
      [...entries, ...loaded.values()]
        .map(({ key, calls, nextCheck, isReplacement }) => ({
          key,
          calls,
          nextCheck,
          isReplacement,
        })),
    load: (calls) => {
      for (const entry of [...entries]) drop(entry);
      loaded.clear();
      for (const graph of calls) {
        if (!loaded.has(graph.key)) loaded.set(graph.key, { ...graph });
      }
    },
  });
  return Object.assign(run, {
    [Symbol.dispose]: () => {
      isDisposed = true;
      for (const entry of [...entries]) drop(entry);
    },
  });
}

/** The calls of each compiled function. */
const callsOf = new WeakMap<object, {
  readonly state: () => GraphCalls[];
  readonly load: (calls: readonly GraphCalls[]) => void;
}>();

/**
 * Returns the calls that a compiled function has served, for {@linkcode loadCalls}; none for
 * another function.
 */
export function callsState(compiled: object): GraphCalls[] {
  return callsOf.get(compiled)?.state() ?? [];
}

/**
 * Has a compiled function continue as one that has served these calls: from the next call on the
 * graph and `f` itself run at the same calls, so that the results are the same to the last bit.
 */
export function loadCalls(compiled: object, calls: readonly GraphCalls[]): void {
  callsOf.get(compiled)?.load(calls);
}

/** Runs `work`. `undo` returns variables and random streams to their state before. */
function undoable<T>(work: () => T): { readonly result: T; readonly undo: () => void } {
  const before = liveVariables().map((variable) =>
    [variable, variable.dataId, tf.clone(variable as tf.Tensor)] as const
  );
  const { result, rewind } = recordDraws(work);
  return {
    result,
    undo: () => {
      rewind();
      for (const [variable, dataId, value] of before) {
        if (variable.dataId !== dataId) variable.assign(value);
      }
    },
  };
}

function hasChanged({ calls, isReplacement }: CacheEntry, change: string): RangeError {
  return new RangeError(
    `${ACTION}: the function must do the same at each call with the same inputs, found that at call ${
      isReplacement ? calls + 1 : calls
    } ${change}. It depends on something in JavaScript that has changed. Pass that to the compiled function as an input, or hold it in a public field of a module.`,
  );
}

/** Returns how a second capture of a function differs from the first, in words, if it does. */
function difference(first: CapturedGraph, second: CapturedGraph): string | undefined {
  const at = second.nodes.findIndex((node, i) => node !== first.nodes[i]);
  if (at >= 0 || first.nodes.length !== second.nodes.length) {
    const [before, after] = [first.nodes[at], second.nodes[at]];
    if (before === undefined || after === undefined) return "it runs another number of ops";
    const [opBefore, op] = [opOf(before), opOf(after)];
    if (op !== opBefore) return `it runs the op ${op} where it ran ${opBefore}`;
    if (op !== "Const") return `the op ${op} has other inputs or attributes`;
    const name = `node_${at + 1}`;
    const user = second.nodes.find((node) => node.split(" ")[1]?.split(",").includes(name));
    const [valuesBefore, values] = [before, after].map((node) => node.split(" ").at(-1));
    return `the op ${opOf(user ?? after)} takes ${values} where it took ${valuesBefore}`;
  }
  const feed = second.feeds.find((feed, i) => !isSameFeed(feed, first.feeds[i]!));
  if (feed?.kind === "variable") return `it uses another variable [${feed.variable.shape}]`;
  if (feed?.kind === "tensor") return `it uses another tensor [${feed.tensor.shape}]`;
  return feed && "it uses its inputs in another way";
}

function opOf(node: string): string {
  return node.slice(0, node.indexOf(" "));
}

function isSameFeed(a: Feed, b: Feed): boolean {
  if (a.kind === "variable") return b.kind === "variable" && a.variable === b.variable;
  if (a.kind === "tensor") return b.kind === "tensor" && a.tensor.dataId === b.tensor.dataId;
  if (a.kind === "input") return b.kind === "input" && a.position === b.position;
  return a.kind === b.kind;
}

function checkInput(input: unknown): void {
  if (["number", "boolean", "string"].includes(typeof input)) return;
  checkTensor(ACTION, input, { name: "an input" });
}

/** Returns a setting as part of a key. */
function settingText(value: number | boolean | string): string {
  return typeof value === "string"
    ? JSON.stringify(value)
    : Object.is(value, -0)
    ? "-0"
    : `${value}`;
}

/** Returns the tensors in the result of a function, in order. */
function tensorsIn(output: unknown): Tensor[] {
  checkSynchronous(ACTION, output);
  if (isTensor(output)) return [output];
  if (typeof output === "object" && output !== null) {
    return Object.values(output).flatMap(tensorsIn);
  }
  throw new TypeError(
    `${ACTION}: the result must be tensors, in arrays and records, found ${show(output)}.`,
  );
}

/** Returns the result of a function with other tensors in it. */
function rebuild(output: unknown, tensors: Tensor[]): unknown {
  if (isTensor(output)) return tensors.shift();
  if (Array.isArray(output)) return output.map((part) => rebuild(part, tensors));
  return Object.fromEntries(
    Object.entries(output as object).map(([name, part]) => [name, rebuild(part, tensors)]),
  );
}
