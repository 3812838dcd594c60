/** The operations of graph models: how each computes numbers, and which pixels these depend on. */
import {
  ops,
  type Tensor,
  type Tensor1D,
  type Tensor2D,
  type Tensor3D,
  type Tensor4D,
} from "../../tensor/mod.ts";
import { type AttributeJson, type GraphNode, wrong } from "./graph_file.ts";

/**
 * Computes the outputs of a node from its inputs.
 *
 * @param numbers Returns the numbers of an input that is a constant.
 */
export type Run = (
  inputs: readonly Tensor[],
  node: GraphNode,
  numbers: (input: number) => number[],
) => Tensor | readonly Tensor[];

/** An operation of a graph. */
interface Operation {
  readonly run: Run;
  /**
   * Computes the pixels that the outputs depend on: tensors of the shape that the node has for a
   * batch of four. They are the last row, the last column, and the negated first row and column, so
   * that the union of two regions is their maximum. A constant input is as it is.
   *
   * @param isConstant Whether an input is a constant.
   */
  readonly see: (
    ...values: [...Parameters<Run>, isConstant: readonly boolean[]]
  ) => ReturnType<Run>;
}

/** The end of a region that has no pixel. */
const NOWHERE = -10_000;

/** Numbers that change their place: the regions do the same. */
const moves = (run: Run): Operation => ({ run, see: run });

/** A number for each place from the numbers there: it depends on what they all depend on. */
const joins = (run: (a: Tensor, b: Tensor, node: GraphNode) => Tensor): Operation => ({
  run: ([a, b], node) => run(a!, b!, node),
  see: (inputs, _node, _numbers, isConstant) =>
    inputs.filter((_, i) => !isConstant[i]).reduce((a, b) => ops.maximum(a, b)),
});

/** A number that depends on all of an axis. */
const spreads = (run: (x: Tensor, node: GraphNode) => Tensor): Operation => ({
  run: ([x], node) => run(x!, node),
  see: ([x]) => ops.add(ops.zerosLike(x!), ops.max(x!, [-1], { keepDims: true })),
});

const pool = (run: (x: Tensor4D, options: ReturnType<typeof windowOf>) => Tensor): Operation => ({
  run: ([x], node) => run(x as Tensor4D, windowOf(node)),
  see: ([x], node) => ops.maxPool(x as Tensor4D, windowOf(node)),
});

const convolution: Operation = {
  run([x, weight, bias], node) {
    const { stride, padding } = windowOf(node);
    return ops.conv2d(x as Tensor4D, weight as Tensor4D, {
      ...{ stride, padding, dilation: pairOf(node.attributes.dilations) },
      ...bias && { bias: bias as Tensor1D },
    });
  },
  see([x, weight], node) {
    const [height, width, , out] = weight!.shape;
    const dilation = pairOf(node.attributes.dilations);
    const kernelSize = [
      (height! - 1) * dilation[0] + 1,
      (width! - 1) * dilation[1] + 1,
    ] as const;
    const all: Tensor4D = ops.max(x as Tensor4D, [3], { keepDims: true });
    const seen = ops.maxPool(all, { ...windowOf(node), kernelSize });
    return ops.tile(seen, [1, 1, 1, out!]);
  },
};

/** The operations by their name in TensorFlow, as `NODES` of `writeGraphModel` writes them. */
export const operations: Readonly<Record<string, Operation>> = {
  AddV2: joins((a, b) => ops.add(a, b)),
  Sub: joins((a, b) => ops.sub(a, b)),
  Mul: joins((a, b) => ops.mul(a, b)),
  RealDiv: joins((a, b) => ops.div(a, b)),
  Minimum: joins((a, b) => ops.minimum(a, b)),
  Relu: joins((x) => ops.relu(x)),
  Sigmoid: joins((x) => ops.sigmoid(x)),
  Tanh: joins((x) => ops.tanh(x)),
  Erf: joins((x) => ops.erf(x)),
  LeakyRelu: joins((x, _, { attributes }) => ops.leakyRelu(x, attributes.alpha?.f)),
  Identity: moves(([x]) => ops.clone(x!)),
  Cast: moves(([x]) => ops.clone(x!)),
  Softmax: spreads((x) => ops.softmax(x)),
  LRN: spreads((x, { attributes: { depth_radius, bias, alpha, beta } }) =>
    ops.localResponseNorm(x as Tensor4D, {
      size: 2 * Number(depth_radius?.i) + 1,
      ...{ bias: bias!.f!, alpha: alpha!.f!, beta: beta!.f! },
    })
  ),
  MaxPool: pool((x, options) => ops.maxPool(x, options)),
  AvgPool: pool((x, options) => ops.avgPool(x, options)),
  Conv2D: convolution,
  _FusedConv2D: convolution,
  FusedBatchNormV3: {
    run([x, weight, bias, mean, variance], { attributes }) {
      const statistics = { weight, bias, mean, variance } as Record<string, Tensor1D>;
      return ops.batchNormInference(x!, {
        ...(statistics as Record<"weight" | "bias" | "mean" | "variance", Tensor1D>),
        epsilon: attributes.epsilon!.f!,
      });
    },
    see: ([x]) => x!,
  },
  BatchMatMulV2: {
    run: ([a, b]) =>
      a!.rank === 2
        ? ops.matMul(a as Tensor2D, b as Tensor2D)
        : ops.batchMatMul(a as Tensor3D, b as Tensor3D),
    see([a, b], _node, _numbers, [isLeft, isRight]) {
      const rows = isLeft ? undefined : ops.max(a!, [-1], { keepDims: true });
      const columns = isRight ? undefined : ops.max(b!, [-2], { keepDims: true });
      if (rows && columns) return ops.maximum(rows, columns);
      if (rows) return ops.add(rows, ops.zeros([1, b!.shape.at(-1)!]));
      // A row of the matrix on the left, such as the mean of a bin, leaves out what it weighs by 0.
      const [bins, size] = a!.shape as [number, number];
      const outside = ops.mul(ops.cast(ops.equal(a!, 0), "float32"), NOWHERE);
      const seen = ops.add(ops.reshape(outside, [bins, size, 1]), ops.expandDims(b!, 0));
      return ops.max(seen as Tensor3D, [1]);
    },
  },
  ConcatV2: moves((inputs, _node, numbers) =>
    ops.concat(inputs.slice(0, -1), numbers(inputs.length - 1)[0])
  ),
  Mean: {
    run: ([x], node, numbers) => reduce(ops.mean, x!, numbers(1), node),
    see: ([x], node, numbers) => reduce(ops.max, x!, numbers(1), node),
  },
  PadV2: {
    // The library's max pooling is slow with infinite numbers.
    run: ([x], _node, numbers) => ops.pad(x!, pairs(numbers(1)), Math.max(-1e30, numbers(2)[0]!)),
    see: ([x], _node, numbers) => ops.pad(x!, pairs(numbers(1)), NOWHERE),
  },
  Reshape: moves(([x], _node, numbers) => ops.reshape(x!, numbers(1))),
  Split: moves(([, x], { attributes }, numbers) =>
    ops.split(x!, Number(attributes.num_split?.i), numbers(0)[0])
  ),
  Slice: moves(([x], _node, numbers) => ops.slice(x!, numbers(1), numbers(2))),
  Transpose: moves(([x], _node, numbers) => ops.transpose(x!, numbers(1))),
};

/** Checks that a node has only attributes that its operation computes with. */
export function checkNode({ name, op, attributes, inputs }: GraphNode): void {
  const refuse = (expected: string, found: unknown) => {
    throw wrong(
      `${expected} of the node ${name} (${op}) must be one that writeGraphModel writes`,
      found,
    );
  };
  if (op === "_FusedConv2D") {
    const fused = (attributes.fused_ops?.list?.s ?? []).map(atob).join(", ");
    if (fused !== "BiasAdd") refuse("fused_ops", fused);
  }
  if (op === "Cast" && attributes.DstT?.type !== "DT_FLOAT") {
    refuse("the type", attributes.DstT?.type);
  }
  if (op === "BatchMatMulV2" && (attributes.adj_x?.b || attributes.adj_y?.b)) {
    refuse("the transposition", true);
  }
  const padding = attributes.padding?.s && atob(attributes.padding.s);
  if (padding !== undefined && padding !== "SAME" && padding !== "VALID") {
    refuse("padding", padding);
  }
  const format = attributes.data_format?.s && atob(attributes.data_format.s);
  if (format !== undefined && format !== "NHWC") refuse("data_format", format);
  if (inputs.length === 0) refuse("the inputs", "none");
}

/** Returns the window of a node. The kernel of a convolution is in its weight. */
export function windowOf({ attributes: { ksize, strides, padding } }: GraphNode) {
  return {
    kernelSize: pairOf(ksize),
    stride: pairOf(strides),
    padding: padding?.s === btoa("SAME") ? "same" as const : "valid" as const,
  };
}

/** Returns the numbers for rows and columns in a list for all axes. */
export function pairOf(attribute: AttributeJson | undefined): readonly [number, number] {
  const [, rows = 1, columns = 1] = attribute?.list?.i?.map(Number) ?? [];
  return [rows, columns];
}

function reduce(
  f: typeof ops.max,
  x: Tensor,
  axes: readonly number[],
  { attributes }: GraphNode,
): Tensor {
  return attributes.keep_dims?.b ? f(x, axes, { keepDims: true }) : f(x, axes);
}

/** Returns numbers as pairs. */
export function pairs(numbers: readonly number[]): [number, number][] {
  return Array.from({ length: numbers.length / 2 }, (_, i) => [
    ...[numbers[2 * i]!, numbers[2 * i + 1]!] as const,
  ]);
}
