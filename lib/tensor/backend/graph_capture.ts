/**
 * Captures the TensorFlow ops that a function runs, so that TensorFlow replays them as one graph.
 */
import * as tf from "@tensorflow/tfjs-core";
import { liveVariables } from "../reclaim.ts";
import { type AttrValue, GraphDef } from "./graph_def.ts";
import { GraphSession } from "./graph_session.ts";
import type {
  Binding,
  CapturedGraph,
  Feed,
  NativeTensor,
  OpAttribute,
  RawBackend,
  Values,
} from "./types.ts";

const ACTION = "Compiling a function";

/** The graph that is being captured. */
class Capture {
  readonly graph = new GraphDef();
  /** The inputs of the graph, in order, by their names in it. */
  readonly feeds = new Map<string, Feed>();
  /** The names of numbers that must be finite for the results to hold. */
  readonly assumedFinite: string[] = [];
  /** The multiplications of the largest convolution or matrix product, as estimated. */
  largestOp = 0;
  /** The nodes that check indices, each with the subject of its error. */
  readonly checks = new Map<string, string>();
  /** The addon; each op that it runs becomes a node. */
  readonly binding: Binding;
  /** The name in the graph of each native id. */
  readonly #names = new Map<number, string>();
  /** The number of elements of each native id. */
  readonly #sizes = new Map<number, number>();
  /** The tensor from outside behind a native id. */
  readonly #inputs = new Map<number, tf.TensorInfo>();
  /** Data that JavaScript has made since the start of the capture. */
  readonly #constants = new WeakSet<object>();
  readonly #feedOf: Map<object, Feed>;
  readonly #backend: RawBackend;

  constructor(backend: RawBackend, feedOf: ReadonlyMap<object, Feed>) {
    this.#backend = backend;
    this.#feedOf = new Map(feedOf);
    const { addon } = backend;
    const capturing: Partial<Binding> = {
      executeOp: (op, attributes, ids, outputs) => {
        const inputs = ids.map((id) => this.nameOf(id));
        const results = addon.executeOp(op, attributes, ids, outputs);
        const attr = Object.fromEntries(
          attributes.map((attribute) => [attribute.name, toAttrValue(attribute, addon)]),
        );
        const name = this.graph.add(op, inputs, attr);
        results.forEach(({ id, shape }, i) => {
          this.#names.set(id, i === 0 ? name : `${name}:${i}`);
          this.#sizes.set(id, tf.util.sizeFromShape(shape));
        });
        if (/Conv2D|MatMul/.test(op)) this.#noteWork([...ids, results[0]!.id]);
        return results;
      },
      createTensor: (shape, dtype, values) => {
        const id = addon.createTensor(shape, dtype, values);
        this.#names.set(id, this.graph.addConstant(dtype, shape, values));
        this.#sizes.set(id, values.length);
        return id;
      },
      tensorDataSync: () => {
        throw new RangeError(
          `${ACTION}: the function must not read values of a tensor, which a graph cannot wait for, ` +
            `found a read in ${callerName()}. Return the tensor, and read it outside.`,
        );
      },
    };
    // The functions of the addon cannot be replaced in the object itself.
    const properties = Object.entries(capturing).map(([name, value]) => [name, { value }]);
    this.binding = Object.create(addon, Object.fromEntries(properties));
  }

  /** Marks data that JavaScript made: in the graph it is a constant. */
  markConstant(dataId: object): void {
    this.#constants.add(dataId);
  }

  isConstant(dataId: object): boolean {
    return this.#constants.has(dataId);
  }

  /** Makes data an input of the graph. `make` creates it anew for each run. */
  bindEager(dataId: object, make: () => tf.Tensor): void {
    this.#feedOf.set(dataId, { kind: "eager", make });
  }

  /** Binds a native id to a tensor from outside. */
  bindInput(id: number, tensor: tf.TensorInfo): void {
    this.#inputs.set(id, tensor);
  }

  /** Returns the name in the graph of a native id; a tensor from outside becomes a placeholder. */
  nameOf(id: number): string {
    const known = this.#names.get(id);
    if (known !== undefined) return known;
    const input = this.#inputs.get(id);
    if (!input) {
      throw new TypeError(
        `${ACTION}: each input of an op must be a tensor here, found another object of TensorFlow.`,
      );
    }
    const { dataId, shape, dtype } = input, native = this.#backend.tensorMap.get(dataId)!;
    const name = this.graph.addPlaceholder(native.dtype, native.shape);
    const tensor = { dataId, shape, dtype };
    this.feeds.set(name, this.#feedOf.get(dataId) ?? { kind: "tensor", tensor });
    this.#names.set(id, name);
    this.#sizes.set(id, tf.util.sizeFromShape(native.shape));
    return name;
  }

  /**
   * Estimates the multiplications of an op from the three largest of its inputs and outputs: a
   * matrix product of m × k and k × n has √(mk · kn · mn). A convolution, and the gradients of one,
   * have up to as many times that as the kernel is wide.
   */
  #noteWork(ids: readonly number[]): void {
    const [a, b, c] = ids.map((id) => this.#sizes.get(id)!).sort((x, y) => y - x);
    this.largestOp = Math.max(this.largestOp, Math.sqrt(a! * b! * c!));
  }
}

export class GraphCapture {
  readonly #backend: RawBackend;
  #current: Capture | undefined;

  constructor(backend: RawBackend) {
    this.#backend = backend;
  }

  get isCapturing(): boolean {
    return this.#current !== undefined;
  }

  signature(inputs: readonly tf.Tensor[]): string {
    this.#backend.getInputTensorIds(inputs);
    return inputs.map(({ dataId, shape }) =>
      `${this.#backend.tensorMap.get(dataId)!.dtype}[${shape}]`
    ).join();
  }

  /**
   * Runs `work` and captures its ops. The graph reads variables as they are at each run, and
   * assigns to those that `work` assigns to. Returns undefined where two inputs, or an input and a
   * variable, share data: it would not be known which of them the graph uses.
   *
   * @param variables All variables that are alive.
   */
  capture(
    inputs: readonly tf.Tensor[],
    variables: readonly tf.Variable[],
    work: () => readonly tf.Tensor[],
  ): CapturedGraph | undefined {
    const before = new Map(variables.map((variable) => [variable, variable.dataId]));
    const feedOf = new Map<object, Feed>([
      ...[...before].map(([variable, data]) => [data, { kind: "variable", variable }] as const),
      ...inputs.map(({ dataId }, position) => [dataId, { kind: "input", position }] as const),
    ]);
    if (feedOf.size < before.size + inputs.length) {
      work();
      return undefined;
    }
    const backend = this.#backend, { TF_ATTR_TYPE, TF_ATTR_INT, TF_FLOAT } = backend.addon;
    const capture = this.#current = new Capture(backend, feedOf);
    backend.binding = capture.binding;
    try {
      const outputs = withoutMathRandom(work);
      if (this.#current !== capture) return undefined;
      const assigned = liveVariables().filter((variable) => {
        if (before.has(variable)) return before.get(variable) !== variable.dataId;
        throw new RangeError(
          `${ACTION}: the function must not make a variable, found one [${variable.shape}]. Make it outside.`,
        );
      });
      const { graph, assumedFinite } = capture;
      const add = (op: string, attributes: OpAttribute[], names: string[]) =>
        graph.add(
          op,
          names,
          Object.fromEntries(attributes.map((x) => [x.name, toAttrValue(x, backend.addon)])),
        );
      // A sum is finite only where each number in it is.
      const sum = assumedFinite.length === 0 ? [] : [
        add("AddN", [
          { name: "T", type: TF_ATTR_TYPE, value: TF_FLOAT },
          { name: "N", type: TF_ATTR_INT, value: assumedFinite.length },
        ], assumedFinite),
      ];
      const names = [...outputs, ...assigned].map((tensor) => {
        const name = capture.nameOf(backend.getInputTensorIds([tensor])[0]!);
        // TensorFlow cannot return an input of a graph itself.
        const type = backend.tensorMap.get(tensor.dataId)!.dtype;
        return add("Identity", [{ name: "T", type: TF_ATTR_TYPE, value: type }], [name]);
      });
      return this.#capturedGraph(capture, [...sum, ...names], assigned);
    } finally {
      this.#stop();
    }
  }

  #stop(): void {
    this.#current = undefined;
    this.#backend.binding = this.#backend.addon;
  }

  #capturedGraph(
    { feeds, graph, checks, assumedFinite, largestOp }: Capture,
    outputs: readonly string[],
    assigned: readonly tf.Variable[],
  ): CapturedGraph {
    const backend = this.#backend,
      nodes = graph.toText(),
      session = new GraphSession(backend.addon, graph, largestOp);
    const feedList = [...feeds.values()];
    const inputNames = [...feeds.keys()].map((name) => `${name}:0`).join();
    const outputNames = outputs.map((name) => `${name}:0`).join();
    const hasAssumption = assumedFinite.length > 0;
    return {
      nodes,
      feeds: feedList,
      replay(inputs) {
        const tensors = feedList.map((feed) => {
          if (feed.kind === "input") return inputs[feed.position]!;
          if (feed.kind === "eager") return feed.make();
          const tensor = feed.kind === "variable" ? feed.variable : feed.tensor;
          if (tf.engine().state.tensorInfo.has(tensor.dataId)) return tensor;
          throw new TypeError(
            `Running a compiled function: the ${feed.kind} [${tensor.shape}] from outside that it uses must be alive, found it disposed.`,
          );
        });
        let results: NativeTensor[];
        try {
          results = session.run(backend.getInputTensorIds(tensors), inputNames, outputNames);
        } catch (error) {
          throw withOpName(error, nodes, checks);
        }
        if (hasAssumption) {
          const { id } = results.shift()!;
          const [sum] = backend.addon.tensorDataSync(id);
          backend.addon.deleteTensor(id);
          if (!Number.isFinite(sum)) {
            for (const { id } of results) backend.addon.deleteTensor(id);
            return undefined;
          }
        }
        const made = results.map((result) => backend.createOutputTensor(result));
        const values = made.splice(made.length - assigned.length);
        assigned.forEach((variable, i) => variable.assign(values[i]!));
        return made;
      },
      free: () => session.free(),
    };
  }

  /** Runs `f` without capturing its ops. */
  #suspended<T>(f: () => T): T {
    const capture = this.#current;
    this.#stop();
    try {
      return f();
    } finally {
      this.#current = capture;
      if (capture) this.#backend.binding = capture.binding;
    }
  }

  /**
   * Returns whether the number with a native id is finite. If it is, each run of the graph must
   * find it finite too. If not, the capture ends, and the function finishes without being captured.
   */
  assumeFinite(id: number): boolean {
    const isFinite = Number.isFinite(this.#backend.addon.tensorDataSync(id)[0]);
    const capture = this.#current;
    if (!capture) return isFinite;
    if (isFinite) capture.assumedFinite.push(capture.nameOf(id));
    else this.#stop();
    return isFinite;
  }

  eagerValues(tensor: tf.Tensor): Values {
    // A deferred batch norm is computed here, and belongs to the graph.
    this.#backend.getInputTensorIds([tensor]);
    return this.#suspended(() => tensor.dataSync());
  }

  eagerInput(make: () => tf.Tensor): tf.Tensor {
    const tensor = this.#suspended(make);
    this.#current?.bindEager(tensor.dataId, make);
    return tensor;
  }

  checkInGraph(subject: string, range: tf.Tensor1D, indices: tf.Tensor1D): tf.Tensor1D {
    const checked = tf.gather(range, indices), capture = this.#current!;
    capture.checks.set(capture.nameOf(this.#backend.getInputTensorIds([checked])[0]!), subject);
    return checked;
  }

  /** Refuses an update of a variable in place: a graph would repeat it. */
  refuseUpdate(): void {
    if (!this.#current) return;
    throw new RangeError(
      `${ACTION}: the function must not update a variable in place, as the step of an optimizer does. Do that outside.`,
    );
  }

  /** Marks data that JavaScript has just made. */
  markConstant(dataId: object): void {
    this.#current?.markConstant(dataId);
  }

  /** Returns the ids of the inputs of an op that is captured, and undefined if none is. */
  bindInputs(inputs: readonly tf.TensorInfo[]): number[] | undefined {
    const capture = this.#current;
    return capture && inputs.map((input) => {
      if (capture.isConstant(input.dataId)) return this.#backend.ownId(input);
      const id = this.#suspended(() => this.#backend.ownId(input));
      capture.bindInput(id, input);
      return id;
    });
  }
}

function toAttrValue({ name, type, value }: OpAttribute, addon: Binding): AttrValue {
  if (type === addon.TF_ATTR_STRING && typeof value === "string") return { s: value };
  if (type === addon.TF_ATTR_BOOL && typeof value === "boolean") return { b: value };
  if (type === addon.TF_ATTR_TYPE && typeof value === "number") return { type: value };
  if (type === addon.TF_ATTR_SHAPE && isNumbers(value)) return { shape: value };
  if (type === addon.TF_ATTR_INT && typeof value === "number") return { i: value };
  if (type === addon.TF_ATTR_FLOAT && typeof value === "number") return { f: value };
  if (type === addon.TF_ATTR_INT && isNumbers(value)) return { list: { i: value } };
  if (type === addon.TF_ATTR_FLOAT && isNumbers(value)) return { list: { f: value } };
  throw new TypeError(
    `${ACTION}: each attribute of an op must have a counterpart in a graph, found ${name}, which has none.`,
  );
}

function isNumbers(value: unknown): value is readonly number[] {
  return Array.isArray(value) && value.every((element) => typeof element === "number");
}

/** Runs `work`, which may not call `Math.random()`: a graph would repeat its number. */
function withoutMathRandom<T>(work: () => T): T {
  const { random } = Math;
  Math.random = () => {
    throw new RangeError(
      `${ACTION}: the function must not call Math.random(), whose number a graph would repeat, ` +
        `found a call in ${callerName()}. Draw a tensor with a Random, such as new Random().uniform([]).`,
    );
  };
  try {
    return work();
  } finally {
    Math.random = random;
  }
}

/** Returns the innermost named function on the stack that is neither ours nor a package's. */
function callerName(): string {
  const limit = Error.stackTraceLimit;
  Error.stackTraceLimit = 50;
  const { stack } = new Error();
  Error.stackTraceLimit = limit;
  const frames = stack?.split("\n").filter((line) =>
    line.includes("file:") && !line.includes("/lib/tensor/") && !line.includes("/node_modules/")
  );
  const name = /^\s*at (?:async )?(\w+) \(/.exec(frames?.[0] ?? "")?.[1];
  return name === undefined ? "an unnamed function" : `${name}()`;
}

/** Returns an error of TensorFlow from a run of a graph, with the op that failed. */
function withOpName(
  error: unknown,
  nodes: readonly string[],
  checks: ReadonlyMap<string, string>,
): unknown {
  if (!(error instanceof Error)) return error;
  const name = /\{\{node (\w+)\}\}/.exec(error.message)?.[1] ?? "";
  const index = /= (-?\d+) is not in \[0, (\d+)\)/.exec(error.message);
  const subject = checks.get(name);
  if (subject && index) {
    return new RangeError(
      `${subject} must be from 0 to ${Number(index[2]) - 1}, found ${index[1]}.`,
    );
  }
  const label = /label value of (-?\d+) which is outside the valid range of \[0, (\d+)\)/.exec(
    error.message,
  );
  if (label) {
    return new RangeError(
      `Running a compiled function: the labels must be from 0 to ${
        Number(label[2]) - 1
      }, as there are ${label[2]} logits, found ${label[1]}.`,
    );
  }
  const node = nodes[Number(name.replace("node_", "")) - 1];
  const [reason] = error.message.replace("Session fail to run with error: ", "").split("\n");
  return new RangeError(
    `Running a compiled function: ${
      node ? `the op ${node.slice(0, node.indexOf(" "))}` : "an op"
    } failed: ${reason}.`,
    { cause: error },
  );
}
