/**
 * TensorFlow.js's native backend, which can note the TensorFlow ops that it runs and run them again
 * as one graph.
 */
import * as tf from "@tensorflow/tfjs-core";
import type { Binding } from "./binding.d.ts";
import { Graph, Session } from "./graph_def.ts";
import { NodeJSKernelBackend } from "./node_backend.ts";
import { liveVariables } from "../reclaim.ts";

/** Where a value comes from that the graph is given at each run. */
type Source =
  | { readonly kind: "input"; readonly position: number }
  | { readonly kind: "variable"; readonly variable: tf.Variable }
  /** A tensor that is always the same. */
  | { readonly kind: "tensor"; readonly tensor: tf.TensorInfo }
  | { readonly kind: "fresh"; readonly make: () => tf.Tensor };

const doing = "Compiling a function";

/** The ops that were run since it began. */
class Recording {
  readonly graph: Graph;
  /** What the graph is given, in order, with its name there. */
  readonly feeds = new Map<string, Source>();
  /** The names of numbers that must be finite for the results to hold. */
  readonly assumed: string[] = [];
  /** The name in the graph of a tensor by its native number. */
  readonly #names = new Map<number, string>();
  /** The data behind a native number that came from outside. */
  readonly #data = new Map<number, tf.TensorInfo>();
  /** What JavaScript has made since. */
  readonly #made = new WeakSet<object>();
  readonly #sources = new Map<object, Source>();
  readonly #backend: NodeJSKernelBackend;
  /** The addon, with each op noted. */
  readonly binding: Binding;
  /** The nodes that check indices, each with the begin of its error. */
  readonly checks = new Map<string, string>();

  constructor(backend: NodeJSKernelBackend, sources: ReadonlyMap<object, Source>) {
    this.#backend = backend;
    this.#sources = new Map(sources);
    const direct = backend.binding;
    this.graph = new Graph(direct);
    const noted: Partial<Binding> = {
      executeOp: (op, attributes, ids, outputs) => {
        const inputs = ids.map((id) => this.name(id));
        const results = direct.executeOp(op, attributes, ids, outputs);
        const name = this.graph.op(op, attributes, inputs);
        results.forEach(({ id }, i) => this.#names.set(id, i === 0 ? name : `${name}:${i}`));
        return results;
      },
      createTensor: (shape, dtype, values) => {
        const id = direct.createTensor(shape, dtype, values);
        this.#names.set(id, this.graph.constant(dtype, shape, values));
        return id;
      },
      tensorDataSync: () => {
        throw new RangeError(
          `${doing}: ${reader()} reads values of a tensor, which a graph cannot wait for. Return the tensor, and read ` +
            "it outside.",
        );
      },
    };
    // The addon's own functions cannot be replaced in it.
    const properties = Object.entries(noted).map(([name, value]) => [name, { value }]);
    this.binding = Object.create(direct, Object.fromEntries(properties));
  }

  /** Notes that JavaScript made this data: in the graph it is a constant. */
  make(data: object): void {
    this.#made.add(data);
  }
  isMade(data: object): boolean {
    return this.#made.has(data);
  }

  /** Notes how data is made anew at each run. */
  makeAnew(data: object, make: () => tf.Tensor): void {
    this.#sources.set(data, { kind: "fresh", make });
  }

  /** Notes under which number TensorFlow has a tensor. */
  see(id: number, tensor: tf.TensorInfo): void {
    this.#data.set(id, tensor);
  }

  /** The name in the graph of what TensorFlow has under a number. */
  name(id: number): string {
    const known = this.#names.get(id);
    if (known !== undefined) return known;
    const tensor = this.#data.get(id);
    if (!tensor) {
      throw new TypeError(`${doing}: it uses something of TensorFlow's that is no tensor here.`);
    }
    const { dtype, shape } = this.#backend.tensorMap.get(tensor.dataId)!;
    const name = this.graph.placeholder(dtype, shape);
    const { dataId } = tensor;
    const outside = {
      kind: "tensor",
      tensor: { dataId, shape: tensor.shape, dtype: tensor.dtype },
    } as const;
    this.feeds.set(name, this.#sources.get(dataId) ?? outside);
    this.#names.set(id, name);
    return name;
  }
}

/** Runs `work`, in which a graph would keep what `Math.random()` gives. */
function withoutMathRandom<T>(work: () => T): T {
  const { random } = Math;
  Math.random = () => {
    throw new RangeError(
      `${doing}: ${reader()} calls Math.random(), whose number a graph would keep. Draw a tensor with a Random, such as ` +
        "defaultRandom().uniform([]).",
    );
  };
  try {
    return work();
  } finally {
    Math.random = random;
  }
}

/** The innermost function on the stack that is neither ours nor a package's, if it has a name. */
function reader(): string {
  const limit = Error.stackTraceLimit;
  Error.stackTraceLimit = 50;
  const { stack } = new Error();
  Error.stackTraceLimit = limit;
  const frames = stack?.split("\n").filter((line) =>
    line.includes("file:") && !line.includes("/lib/tensor/") && !line.includes("/node_modules/")
  );
  const name = /^\s*at (?:async )?(\w+) \(/.exec(frames?.[0] ?? "")?.[1];
  return name === undefined ? "it" : `${name}()`;
}

/** Ops that run as one graph. */
export interface Replay {
  /** The nodes of the graph, as text. */
  readonly steps: readonly string[];
  /** Where what it is given comes from. */
  readonly sources: readonly Source[];
  /**
   * Runs them with other inputs. To be called in `tidy`. Gives nothing, and changes nothing, where
   * something that was assumed to be finite is not.
   */
  run(inputs: readonly tf.Tensor[]): tf.Tensor[] | undefined;
  /** Frees the graph. */
  free(): void;
}

/** How a second recording of a function differs from the first, in words, if it does. */
export function difference(first: Replay, second: Replay): string | undefined {
  const at = second.steps.findIndex((step, i) => step !== first.steps[i]);
  if (at >= 0 || first.steps.length !== second.steps.length) {
    const [was, is] = [first.steps[at], second.steps[at]];
    if (was === undefined || is === undefined) return "it runs another number of ops";
    const [opBefore, op] = [opOf(was), opOf(is)];
    if (op !== opBefore) return `it runs the op ${op} where it ran ${opBefore}`;
    if (op !== "Const") return `the op ${op} has other inputs or attributes`;
    const taker = second.steps.find((step) => step.split(" ")[1]?.split(",").includes(nodeAt(at)));
    const [valuesBefore, values] = [was, is].map((step) => step.split(" ").at(-1));
    return `the op ${
      taker === undefined ? op : opOf(taker)
    } takes ${values} where it took ${valuesBefore}`;
  }
  const source = second.sources.find((source, i) => !isSame(source, first.sources[i]!));
  if (source?.kind === "variable") return `it uses another variable [${source.variable.shape}]`;
  if (source?.kind === "tensor") return `it uses another tensor [${source.tensor.shape}]`;
  return source && "it uses its inputs in another way";
}

function opOf(step: string): string {
  return step.slice(0, step.indexOf(" "));
}

function nodeAt(index: number): string {
  return `node_${index + 1}`;
}

function isSame(a: Source, b: Source): boolean {
  if (a.kind === "variable") return b.kind === "variable" && a.variable === b.variable;
  if (a.kind === "tensor") return b.kind === "tensor" && a.tensor.dataId === b.tensor.dataId;
  if (a.kind === "input") return b.kind === "input" && a.position === b.position;
  return a.kind === b.kind;
}

/** An error of TensorFlow's from a run of a graph, with the op that failed. */
function inWords(
  error: unknown,
  steps: readonly string[],
  checks: ReadonlyMap<string, string>,
): unknown {
  if (!(error instanceof Error)) return error;
  const node = /\{\{node (\w+)\}\}/.exec(error.message)?.[1] ?? "";
  const index = /= (-?\d+) is not in \[0, (\d+)\)/.exec(error.message);
  const check = checks.get(node);
  if (check && index) {
    return new RangeError(`${check} must be from 0 to ${Number(index[2]) - 1}, found ${index[1]}.`);
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
  const step = steps[Number(node.replace("node_", "")) - 1];
  const [reason] = error.message.replace("Session fail to run with error: ", "").split("\n");
  return new RangeError(
    `Running a compiled function: ${step ? `the op ${opOf(step)}` : "an op"} failed: ${reason}`,
    { cause: error },
  );
}

export class RecordingBackend extends NodeJSKernelBackend {
  /** The addon itself, whether or not what it runs is noted. */
  protected readonly direct: Binding;
  #recording: Recording | undefined;

  constructor(binding: Binding, packageName: string) {
    super(binding, packageName);
    this.direct = binding;
  }

  /** Whether ops are noted at present. */
  get isRecording(): boolean {
    return this.#recording !== undefined;
  }

  /** What a graph was made for: how TensorFlow has these inputs. */
  signature(inputs: readonly tf.Tensor[]): string {
    this.getInputTensorIds([...inputs]);
    return inputs.map(({ dataId, shape }) => `${this.tensorMap.get(dataId)!.dtype}[${shape}]`)
      .join();
  }

  /**
   * Runs `work`, and notes what it does, to be done again. Variables are read at each run as they
   * are then, and those that `work` assigns to are assigned to at each run. Nothing is noted where
   * two inputs, or an input and a variable, are the same data: which of them it uses would not be
   * known.
   */
  record(
    inputs: readonly tf.Tensor[],
    work: () => readonly tf.Tensor[],
  ): Replay | undefined {
    const variables = liveVariables();
    for (const variable of variables) {
      // Who shares a variable's data would be taken for the variable. One of another backend would
      // be moved here by the look at it.
      const isHere = this.tensorMap.has(variable.dataId);
      if (isHere && this.tensorMap.get(variable.dataId)!.refCount !== 1) this.copyData(variable);
    }
    const before = new Map(variables.map((variable) => [variable, variable.dataId]));
    const sources = new Map<object, Source>([
      ...[...before].map(([variable, data]) => [data, { kind: "variable", variable }] as const),
      ...inputs.map(({ dataId }, position) => [dataId, { kind: "input", position }] as const),
    ]);
    if (sources.size < before.size + inputs.length) {
      work();
      return undefined;
    }
    const recording = this.#recording = new Recording(this, sources);
    this.binding = recording.binding;
    try {
      const outputs = withoutMathRandom(work);
      if (this.#recording !== recording) return undefined;
      const changed = liveVariables().filter((variable) => {
        if (before.has(variable)) return before.get(variable) !== variable.dataId;
        throw new RangeError(`${doing}: it makes a variable. Make it outside.`);
      });
      const { TF_ATTR_TYPE, TF_ATTR_INT, TF_FLOAT } = this.direct;
      // A sum is finite only where all that is summed is.
      const assumed = recording.assumed.length === 0 ? [] : [
        recording.graph.op("AddN", [
          { name: "T", type: TF_ATTR_TYPE, value: TF_FLOAT },
          { name: "N", type: TF_ATTR_INT, value: recording.assumed.length },
        ], recording.assumed),
      ];
      const names = [...outputs, ...changed].map((tensor) => {
        const name = recording.name(this.getInputTensorIds([tensor])[0]!);
        // TensorFlow does not give out what it was given.
        const type = this.tensorMap.get(tensor.dataId)!.dtype;
        const attribute = { name: "T", type: this.direct.TF_ATTR_TYPE, value: type };
        return recording.graph.op("Identity", [attribute], [name]);
      });
      return this.#replay(recording, [...assumed, ...names], changed);
    } finally {
      this.#recording = undefined;
      this.binding = this.direct;
    }
  }

  /** Gives a variable a copy of its data, which nobody shares. */
  protected copyData(variable: tf.Variable): void {
    const { TF_ATTR_TYPE, TF_FLOAT } = this.binding;
    // What is float32 to TensorFlow.js may be in bfloat16, which no deep copy is in: it is widened
    // on the way.
    const value = variable.dtype === "float32"
      ? TF_FLOAT
      : this.tensorMap.get(variable.dataId)!.dtype;
    const type = { name: "T", type: TF_ATTR_TYPE, value };
    const own = this.executeSingleOutput("DeepCopy", [type], [variable]);
    variable.assign(own);
    own.dispose();
  }

  #replay(recording: Recording, outputs: readonly string[], changed: tf.Variable[]): Replay {
    const { feeds, graph, checks } = recording, { steps } = graph;
    const assumes = recording.assumed.length > 0;
    const sources = [...feeds.values()];
    const taken = [...feeds.keys()].map((name) => `${name}:0`).join();
    const given = outputs.map((name) => `${name}:0`).join();
    const session = new Session(this.direct, graph);
    return {
      steps,
      sources,
      run: (inputs) => {
        const fed = sources.map((source) => {
          if (source.kind === "input") return inputs[source.position]!;
          if (source.kind === "fresh") return source.make();
          const tensor = source.kind === "variable" ? source.variable : source.tensor;
          if (tf.engine().state.tensorInfo.has(tensor.dataId)) return tensor;
          throw new RangeError(
            `Running a compiled function: it uses a ${source.kind} [${tensor.shape}] from outside that has been disposed.`,
          );
        });
        let results;
        try {
          results = session.run(this.getInputTensorIds(fed), taken, given);
        } catch (error) {
          throw inWords(error, steps, checks);
        }
        const tensors = results.map((result) => this.createOutputTensor(result));
        if (assumes) {
          const [assumed] = tensors.shift()!.dataSync();
          if (!Number.isFinite(assumed)) return undefined;
        }
        const values = tensors.splice(tensors.length - changed.length);
        changed.forEach((variable, i) => variable.assign(values[i]!));
        return tensors;
      },
      free: () => session.free(),
    };
  }

  /** Runs `f` without its ops being noted. */
  #unnoted<T>(f: () => T): T {
    const recording = this.#recording;
    this.#recording = undefined;
    this.binding = this.direct;
    try {
      return f();
    } finally {
      this.#recording = recording;
      if (recording) this.binding = recording.binding;
    }
  }

  /**
   * Whether a number is finite, on which what comes next depends. While ops are noted, finite
   * numbers are assumed to be so at each run; at another the noting ends, and the rest is done
   * without.
   */
  assumeFinite(number: tf.TensorInfo): boolean {
    const recording = this.#recording;
    const [id] = this.getInputTensorIds([number]);
    const isFinite = Number.isFinite(this.direct.tensorDataSync(id!)[0]);
    if (!recording) return isFinite;
    if (isFinite) recording.assumed.push(recording.name(id!));
    else {
      this.#recording = undefined;
      this.binding = this.direct;
    }
    return isFinite;
  }

  /** The values of a tensor, for a check while ops are noted. */
  peek(tensor: tf.Tensor) {
    // A deferred batch norm is computed here, and belongs to the graph.
    this.getInputTensorIds([tensor]);
    return this.#unnoted(() => tensor.dataSync());
  }

  /**
   * `indices`, as positions in `range` that are checked at each run; `subject` begins the error.
   */
  checkInGraph(subject: string, range: tf.Tensor1D, indices: tf.Tensor1D): tf.Tensor1D {
    const checked = tf.gather(range, indices), recording = this.#recording!;
    recording.checks.set(recording.name(this.getInputTensorIds([checked])[0]!), subject);
    return checked;
  }

  /** A tensor that is another one each time, as `make` makes it. */
  fresh(make: () => tf.Tensor): tf.Tensor {
    const recording = this.#recording;
    const tensor = this.#unnoted(make);
    recording?.makeAnew(tensor.dataId, make);
    return tensor;
  }

  override write(...parameters: Parameters<NodeJSKernelBackend["write"]>): object {
    const data = super.write(...parameters);
    this.#recording?.make(data);
    return data;
  }

  override getInputTensorIds(inputs: tf.TensorInfo[]): number[] {
    const recording = this.#recording;
    if (!recording) return super.getInputTensorIds(inputs);
    return inputs.map((input) => {
      if (recording.isMade(input.dataId)) return super.getInputTensorIds([input])[0]!;
      const id = this.#unnoted(() => super.getInputTensorIds([input])[0]!);
      recording.see(id, input);
      return id;
    });
  }
}
