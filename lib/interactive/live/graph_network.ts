/** A reader's graph model as a network of the figure "Live networks". */
import { dispose, ops, Random, type Tensor, type Tensor4D, tidy } from "../../tensor/mod.ts";
import { keep } from "../../tensor/internal.ts";
import { heatMaps } from "../../nn/internal.ts";
import { transformFrom } from "../../data/internal.ts";
import {
  type Graph,
  type GraphFile,
  type GraphNode,
  readGraph,
  READING,
  type Source,
  wrong,
} from "./graph_file.ts";
import { layersOf } from "./graph_layers.ts";
import { checkNode, operations } from "./graph_operations.ts";
import {
  type Explained,
  type Field,
  type LiveAnswer,
  type LiveLayer,
  type Maps,
  mapsOf,
  type Shape,
  type Weights,
} from "./layer.ts";

/** The outputs of nodes by name. */
type Values = ReadonlyMap<string, readonly Tensor[]>;

/** A graph model that the figure explains. */
export interface GraphNetwork extends Explained, Disposable {}

/**
 * Reads a graph model of `writeGraphModel`, and runs it once.
 *
 * @throws {RangeError} If a file is missing, or the graph has what is not read here.
 */
export async function graphNetwork(
  files: readonly GraphFile[],
  title: string,
): Promise<GraphNetwork> {
  const constants = new Map<string, readonly Tensor[]>();
  try {
    const graph = await readGraph(files, Object.keys(operations));
    graph.nodes.forEach(checkNode);
    addConstants(constants, graph);
    const network = networkOf(graph, constants, title);
    // What cannot run fails here, and not while the figure draws.
    const pixels = new Float32Array(graph.shape.reduce((size, axis) => size * axis));
    network.answer(pixels);
    network.heat(pixels, 0);
    return network;
  } catch (error) {
    dispose([...constants.values()].flat());
    const { message } = error as Error;
    if (message.startsWith(READING)) throw error;
    throw wrong("the graph must be as writeGraphModel writes it", message);
  }
}

function networkOf(graph: Graph, constants: Values, title: string): GraphNetwork {
  const { shape, input, classNames = [], transform } = graph;
  const isCustom = transform === "custom";
  const prepare = transform === undefined || isCustom
    ? undefined
    : transformFrom(READING, transform);
  const isConstant = ({ node }: Source) => constants.has(node);
  const end = graph.nodes.find(({ name }) => name === graph.output.node);
  const logits = end?.op === "Softmax" ? end.inputs[0]! : graph.output;
  const nodes = behind(graph.nodes, logits).filter(({ name }) => !constants.has(name));
  const numbers = new Map<Tensor, Weights>();
  const layers = layersOf({ ...graph, output: logits }, nodes, ({ node, output }) => {
    const tensor = constants.get(node)?.[output];
    if (!tensor) return undefined;
    const known = numbers.get(tensor) ?? { shape: tensor.shape, values: tensor.dataSync() };
    numbers.set(tensor, known);
    return known;
  });

  /** Runs all nodes on a batch. */
  function runAll(images: Tensor, how: "run" | "see"): Values {
    return run(nodes, new Map([...constants, [input, [images]]]), how, isConstant);
  }

  function forward(pixels: Float32Array): Values {
    const images = ops.tensor(pixels, [1, ...shape]);
    const values = runAll(prepare ? prepare(images, new Random(0)) : images, "run");
    const found = at(values, logits).shape, count = graph.classNames?.length;
    if (found.length === 2 && found[1]! > 1 && found[1] === (count ?? found[1])) return values;
    throw wrong(
      `the output must be [1, ${count === undefined ? "at least 2 classes" : `${count} classes`}]`,
      `[${found}]`,
    );
  }

  // The pixels that each unit sees, and the last layer with rows and columns, need no picture.
  const fields = new Map<string, Field>();
  let last: Source | undefined;
  tidy(() => {
    const seen = runAll(allPixels(shape), "see");
    for (const { path, source } of layers) {
      const regions = at(seen, source);
      if (regions.rank !== 4 && regions.rank !== 2) continue;
      fields.set(path, fieldOf(regions));
      if (regions.rank === 4 && regions.shape[1]! * regions.shape[2]! > 1) last = source;
    }
  });
  const after = last &&
    nodes.filter(({ name }) =>
      name !== last!.node && behind(nodes, { node: name, output: 0 })
        .some(({ name }) => name === last!.node)
    );

  return {
    ...{ title, shape, classNames },
    note: isCustom
      ? "It was trained with a transform that is a function, which the folder does not have: here " +
        "it gets pixels from 0 to 1."
      : "",
    answer: (pixels): LiveAnswer => {
      const ran: LiveLayer[] = [];
      let output = new Float32Array(), probabilities = new Float32Array();
      tidy(() => {
        const values = forward(pixels), known = new Map<Tensor, Maps>();
        const mapsAt = (source: Source) => {
          const tensor = at(values, source);
          const maps = known.get(tensor) ?? mapsOf(tensor);
          known.set(tensor, maps);
          return maps;
        };
        for (const { path, description, source, inputs, rule } of layers) {
          const field = fields.get(path);
          if (!field || at(values, source).shape[0] !== 1) continue;
          const own = mapsAt(source), from = inputs.map(mapsAt);
          ran.push({ path, description, ...own, input: from[0]!, rule: rule(own, from), field });
        }
        output = Float32Array.from(at(values, logits).dataSync());
        probabilities = Float32Array.from(ops.softmax(at(values, logits)).dataSync());
      });
      return { logits: output, probabilities, layers: ran };
    },
    heat: (pixels, classIndex) => {
      if (!last || !after) return undefined;
      const { node, output } = last;
      return tidy(() => {
        const values = forward(pixels), maps = at(values, last!) as Tensor4D;
        const logit = (maps: Tensor4D) => {
          const known = new Map(values).set(node, values.get(node)!.with(output, maps));
          const classes = at(run(after, known, "run", isConstant), logits);
          return ops.sum(ops.slice(classes, [0, classIndex], [-1, 1]));
        };
        return Float32Array.from(heatMaps(maps, logit, [shape[0], shape[1]]).dataSync());
      });
    },
    [Symbol.dispose]() {
      dispose([...constants.values()].flat());
    },
  };
}

/** Adds the constants of a graph, and what it computes of constants alone, such as a kernel. */
function addConstants(tensors: Map<string, readonly Tensor[]>, { constants, nodes }: Graph): void {
  for (const [name, { shape, dtype, values }] of constants) {
    tensors.set(name, [keep(ops.tensor(values, shape, dtype))]);
  }
  tidy(() => {
    for (const node of nodes) {
      if (!node.inputs.every((input) => tensors.has(input.node))) continue;
      const outputs = run([node], tensors, "run", () => true).get(node.name)!;
      tensors.set(node.name, outputs.map(keep));
    }
  });
}

/** Runs nodes on known outputs, and returns all outputs. */
function run(
  nodes: readonly GraphNode[],
  known: Values,
  how: "run" | "see",
  isConstant: (source: Source) => boolean,
): Values {
  const values = new Map(known);
  for (const node of nodes) {
    const inputs = node.inputs.map((input) => at(values, input));
    const numbers = (i: number) => {
      if (node.inputs[i] && isConstant(node.inputs[i])) return Array.from(inputs[i]!.dataSync());
      throw wrong(`input ${i + 1} of the node ${node.name} must be a constant`, "none");
    };
    const { run, see } = operations[node.op]!;
    const outputs = how === "run"
      ? run(inputs, node, numbers)
      : see(inputs, node, numbers, node.inputs.map(isConstant));
    values.set(node.name, [outputs].flat());
  }
  return values;
}

function at(values: Values, { node, output }: Source): Tensor {
  const tensor = values.get(node)?.[output];
  if (tensor) return tensor;
  throw wrong("each input must be the output of a node", `${node}:${output}`);
}

/** Returns the nodes that an output depends on, in their order. */
function behind(nodes: readonly GraphNode[], { node }: Source): GraphNode[] {
  const needed = new Set([node]);
  return nodes.toReversed().filter(({ name, inputs }) => {
    if (!needed.has(name)) return false;
    for (const input of inputs) needed.add(input.node);
    return true;
  }).reverse();
}

/** The regions of pixels, as `see` of an operation has them: each pixel sees itself. */
function allPixels([height, width, channels]: Shape): Tensor {
  const rows = ops.reshape(ops.range(0, height), [1, height, 1, 1]);
  const columns = ops.reshape(ops.range(0, width), [1, 1, width, 1]);
  const zeros = ops.zeros([1, height, width, channels]);
  const ends: Tensor[] = [ops.neg(rows), rows, ops.neg(columns), columns];
  return ops.concat(ends.map((end) => ops.add(zeros, end)));
}

/** Returns the fields of units from their regions `[4, …]`. */
function fieldOf(regions: Tensor): Field {
  const [, height, width, channels] = regions.rank === 4
    ? regions.shape
    : [4, 1, 1, regions.shape[1]!];
  let ends = new Int16Array(regions.dataSync()), count = channels!;
  // Mostly all channels see the same, and a large network has millions of units.
  if (ends.every((end, i) => end === ends[i - i % count])) {
    ends = ends.filter((_, i) => i % count === 0);
    count = 1;
  }
  return (row, column, channel) => {
    const [top, bottom, left, right] = [0, 1, 2, 3].map((end) =>
      ends[((end * height! + row) * width! + column) * count + Math.min(channel, count - 1)]!
    );
    // Units beside the picture see nothing.
    return bottom! < 0 ? [0, -1, 0, -1] : [0 - top!, bottom!, 0 - left!, right!];
  };
}
