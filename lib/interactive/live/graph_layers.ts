/** The layers of a graph model that the figure shows, and how each computes its units. */
import { windowGeometry } from "../../tensor/internal.ts";
import type { Graph, GraphNode, Source } from "./graph_file.ts";
import { pairOf, pairs, windowOf } from "./graph_operations.ts";
import type { LiveWindow, Maps, Rule, Weights } from "./layer.ts";

/** A layer of a graph model before it runs. */
export interface GraphLayer {
  /** The name of its node, and the number of the output if there are several. */
  readonly path: string;
  readonly description: string;
  readonly source: Source;
  /** The inputs that are no constants. */
  readonly inputs: readonly Source[];
  /** Returns how it computes units, from its output and its inputs. */
  rule(own: Maps, inputs: readonly Maps[]): Rule;
}

/** Operations that only move numbers. */
const MOVING = ["Identity", "Cast", "Reshape", "Transpose"];

const FUNCTIONS: Readonly<Record<string, string>> = {
  Relu: "relu",
  Sigmoid: "sigmoid",
  Tanh: "tanh",
  Erf: "erf",
  LeakyRelu: "leakyRelu",
};

const PAIRS: Readonly<Record<string, readonly [sign: string, description: string]>> = {
  AddV2: ["+", "sum"],
  Sub: ["−", "difference"],
  Mul: ["·", "product"],
  RealDiv: ["/", "quotient"],
  Minimum: ["min", "minimum"],
};

/** The description of other operations, and where their numbers come from. */
const OTHERS: Readonly<Record<string, readonly [description: string, text: string]>> = {
  LRN: ["localResponseNorm", "its input, divided by a power of the squares around it"],
  Softmax: ["softmax", "the softmax of its input"],
  PadV2: ["padding", "copied from its input, or a zero beside it"],
  Slice: ["slice", "copied from its input"],
  Split: ["split", "copied from its input"],
  Mean: ["mean", "a mean of its input"],
  BatchMatMulV2: ["matrix product", "a sum of products of its two inputs"],
};

/**
 * Returns the layers of a graph. Nodes that only move numbers are none, and nodes that are one
 * layer to a reader are joined: padding and what has windows, matrix product and bias, and the
 * products with which this library takes a mean over rows and columns.
 *
 * @param nodes The nodes that are no constants, in the order in which they run.
 * @param constantOf Returns the numbers of a constant, undefined for another node.
 */
export function layersOf(
  { output }: Graph,
  nodes: readonly GraphNode[],
  constantOf: (source: Source) => Weights | undefined,
): GraphLayer[] {
  const nodeOf = new Map(nodes.map((node) => [node.name, node]));
  const isConstant = (source: Source) => constantOf(source) !== undefined;
  const users = (node: GraphNode) =>
    nodes.filter(({ inputs }) => inputs.some((input) => input.node === node.name));
  const isAverage = ({ op, inputs }: GraphNode) => op === "BatchMatMulV2" && isConstant(inputs[0]!);
  const isMoving = (node: GraphNode) => MOVING.includes(node.op) || isAverage(node);
  const hasWindow = ({ op }: GraphNode) => windowKind(op) !== undefined;

  /** The padding around images that becomes part of the layers after it. */
  function padsOf(node: GraphNode | undefined): number[][] | undefined {
    const users_ = node?.op === "PadV2" ? users(node) : [];
    if (users_.length === 0 || !users_.every(hasWindow)) return undefined;
    const [batch, rows, columns, channels] = pairs([...toArray(constantOf(node!.inputs[1]!)!)]);
    return [...batch!, ...channels!].every((count) => count === 0) ? [rows!, columns!] : undefined;
  }

  /** The matrix product to which a node adds a bias. */
  function productOf({ op, inputs }: GraphNode): GraphNode | undefined {
    const [left, right] = inputs, product = left && nodeOf.get(left.node);
    const isBiased = op === "AddV2" && product?.op === "BatchMatMulV2" &&
      isConstant(product.inputs[1]!) && constantOf(right!)?.shape.length === 1;
    return isBiased && users(product).length === 1 ? product : undefined;
  }

  /** The source of a chain of nodes that move numbers, and whether a mean is among them. */
  function startOf(node: GraphNode): { start: Source; hasMean: boolean } {
    const start = node.inputs.find((input) => !isConstant(input))!, before = nodeOf.get(start.node);
    const earlier = before && isMoving(before) ? startOf(before) : { start, hasMean: false };
    return { ...earlier, hasMean: earlier.hasMean || isAverage(node) };
  }

  function layerOf(node: GraphNode): Omit<GraphLayer, "path" | "source"> | undefined {
    const { op, inputs } = node, [first, second] = inputs;
    const constants = inputs.map(constantOf), free = inputs.filter((input) => !isConstant(input));
    if (isMoving(node)) {
      const { start, hasMean } = startOf(node);
      const isEnd = output.node === node.name || users(node).some((user) => !isMoving(user));
      const rule = ({ height, width }: Maps): Rule => ({
        ...{ kind: "mean", isWhole: height * width === 1 },
      });
      return hasMean && isEnd ? { description: "mean", inputs: [start], rule } : undefined;
    }
    if (padsOf(node)) return undefined;
    if (users(node).some((user) => productOf(user) === node)) return undefined;
    const kind = windowKind(op);
    if (kind) {
      const padded = nodeOf.get(first!.node), pads = padsOf(padded) ?? [[0, 0], [0, 0]];
      const from = padsOf(padded) ? padded!.inputs[0]! : first!;
      const weight = constants[1], bias = constants[2];
      const size = weight
        ? [weight.shape[0]!, weight.shape[1]!] as const
        : windowOf(node).kernelSize;
      const { stride } = windowOf(node);
      const description = [
        weight ? `conv2d ${weight.shape[2]} → ${weight.shape[3]}, ` : `${kind} `,
        `${size.join("×")}`,
        weight && String(stride) === "1,1"
          ? ""
          : `, stride ${stride[0] === stride[1] ? stride[0] : stride.join("×")}`,
      ].join("");
      return {
        description,
        inputs: [from],
        rule(_own, [input]) {
          const window = geometry(node, input!, size, pads);
          return kind === "convolution"
            ? { kind, window, weight: weight!, bias }
            : { kind, window };
        },
      };
    }
    const product = op === "BatchMatMulV2" && constants[1] ? node : productOf(node);
    if (product) {
      const weight = constantOf(product.inputs[1]!)!,
        bias = product === node ? undefined : constants[1];
      return {
        description: `linear ${weight.shape.join(" → ")}`,
        inputs: [product.inputs[0]!],
        rule: () => ({ kind: "linear", weight, bias }),
      };
    }
    if (op in FUNCTIONS) {
      const name = FUNCTIONS[op]!;
      return { description: name, inputs: free, rule: () => ({ kind: "function", name }) };
    }
    if (op in PAIRS) {
      const [sign, description] = PAIRS[op]!;
      const operands = (maps: readonly Maps[]): [Maps, Maps] => {
        const left = constants[0] ? constantMaps(constants[0]) : maps[0]!;
        return [left, constants[1] ? constantMaps(constants[1]) : maps[free.indexOf(second!)]!];
      };
      return {
        ...{ description, inputs: free },
        rule: (_own, maps) => ({ kind: "pair", sign, operands: operands(maps) }),
      };
    }
    if (op === "ConcatV2") {
      return {
        ...{ description: `concat of ${free.length}`, inputs: free },
        rule: (_own, maps) => ({
          kind: "concat",
          parts: maps.map((part, i) => ({ ...part, path: free[i]!.node })),
        }),
      };
    }
    if (op === "FusedBatchNormV3") {
      const [, weight, bias, mean, variance] = constants as Weights[];
      const epsilon = node.attributes.epsilon!.f!;
      const rule = { mean: mean!, variance: variance!, weight: weight!, bias: bias!, epsilon };
      return {
        ...{ description: "batchNorm", inputs: free },
        rule: () => ({ kind: "batchNorm", ...rule }),
      };
    }
    const [description, text] = OTHERS[op]!;
    return {
      ...{ description, inputs: free },
      rule: (own, [input]) =>
        op === "Mean" && own.height * own.width === 1 && own.channels === input!.channels
          ? { kind: "mean", isWhole: true }
          : { kind: "other", text },
    };
  }

  return nodes.flatMap((node) => {
    const layer = layerOf(node);
    if (!layer) return [];
    const outputs = Number(node.attributes.num_split?.i ?? 1);
    return Array.from({ length: outputs }, (_, output) => ({
      ...layer,
      path: output === 0 ? node.name : `${node.name}:${output}`,
      source: { node: node.name, output },
    }));
  });
}

function windowKind(op: string): "convolution" | "maxPool" | "avgPool" | undefined {
  if (op === "MaxPool") return "maxPool";
  if (op === "AvgPool") return "avgPool";
  return op === "Conv2D" || op === "_FusedConv2D" ? "convolution" : undefined;
}

/** Returns the window of a node on its input, around which there may be more padding. */
function geometry(
  node: GraphNode,
  { height, width }: Maps,
  kernelSize: readonly [number, number],
  [rows, columns]: number[][],
): LiveWindow {
  const { stride, padding } = windowOf(node), dilation = pairOf(node.attributes.dilations);
  const padded = [height + rows![0]! + rows![1]!, width + columns![0]! + columns![1]!] as const;
  const options = { kernelSize, stride, padding, dilation };
  const { pads } = windowGeometry("Explaining a layer", padded, options);
  return {
    ...{ kernelSize, stride, dilation },
    ...{ top: pads[0] + rows![0]!, left: pads[2] + columns![0]! },
  };
}

/** Returns a constant as feature maps: one number for all units, or for each channel. */
function constantMaps({ shape, values }: Weights): Maps {
  const [height, width, channels] = shape.length === 4
    ? [shape[1]!, shape[2]!, shape[3]!]
    : [1, 1, values.length];
  return { height, width, channels, values: Float32Array.from(values) };
}

function toArray({ values }: Weights): number[] {
  return Array.from(values);
}
