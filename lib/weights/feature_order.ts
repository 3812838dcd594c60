/**
 * The order of features in PyTorch. Feature maps are `[height, width, channels]` here and
 * `[channels, height, width]` there. So a flatten returns the same features in a different order,
 * and the weights of the next layer are in a different order too.
 */
import { ops, type Tensor, tidy } from "../tensor/mod.ts";
import { isTensor, observeKernels } from "../tensor/internal.ts";
import { Activation, type AnyModule, BatchNorm, Sequential } from "../nn/mod.ts";
import {
  AdaptiveAveragePool,
  Conv2d,
  Dropout,
  DynamicConv2d,
  Flatten,
  GlobalAveragePool,
  KernelAttention,
  Linear,
  LocalResponseNorm,
  Parallel,
  Pool,
  Residual,
  withForwardHook,
} from "../nn/internal.ts";
import {
  AlexNet,
  AuxiliaryHead,
  ConvRelu,
  GoogLeNet,
  GoogLeNetWithAuxiliary,
  Inception,
  LeNet,
  NiN,
  ResidualBlock,
  ResNet,
  VGG,
} from "../models/internal.ts";

/** The index in PyTorch of each feature here; undefined if all are equal. */
export type Order = Int32Array | undefined;

/** The orders of the input and output features of a linear layer or a batch norm. */
export interface Orders {
  readonly input: Order;
  readonly output: Order;
}

/** The orders by layer. The orders of a linear layer or batch norm that is missing are unknown. */
export type ModelOrders = ReadonlyMap<AnyModule, Orders>;

/**
 * The order of the features of flattened feature maps with this number of pixels, height times
 * width.
 */
function flattenedOrder(pixels: number, channels: number): Order {
  if (pixels === 1 || channels === 1) return undefined;
  return Int32Array.from(
    { length: pixels * channels },
    (_, i) => (i % channels) * pixels + Math.floor(i / channels),
  );
}

/**
 * Whether flattened feature maps with this number of features have the same order in PyTorch. This
 * holds for a prime number, as there is only one pixel or one channel.
 */
function hasOneOrder(count: number): boolean {
  for (let factor = 2; factor * factor <= count; factor++) if (count % factor === 0) return false;
  return true;
}

// Orders from the structure.

/** The data between two layers, as far as the structure shows. */
type Flow =
  /** The model's input: feature maps, or features in PyTorch's order. */
  | { readonly kind: "input" }
  | { readonly kind: "maps"; readonly channels?: number; readonly pixels?: number }
  /** Features in PyTorch's order, or those of flattened feature maps. */
  | { readonly kind: "features"; readonly flattened?: Flow & { kind: "maps" } }
  | { readonly kind: "unknown" };

const PLAIN: Flow = { kind: "features" };
const UNKNOWN: Flow = { kind: "unknown" };

/** Networks and blocks whose layers run in the order of their fields. */
const CHAINS = [
  ...[Sequential, AlexNet, VGG, NiN, LeNet, GoogLeNet, GoogLeNetWithAuxiliary, ResNet],
  ...[ConvRelu, AuxiliaryHead],
];
/** Blocks whose layers take and return feature maps. */
const MAP_BLOCKS = [Inception, ResidualBlock];

/**
 * Finds the orders from the structure of a model. For a custom module only its children are known:
 * their sequence, and the ops between them, are in its forward pass.
 */
export function ordersByStructure(model: AnyModule): ModelOrders {
  const orders = new Map<AnyModule, Orders | undefined>();
  const ancestors = new Set<AnyModule>();
  /** Batch norms after unknown data. If the next layer takes feature maps, so do they. */
  let pending: BatchNorm<number>[] = [];
  const setOrder = (module: AnyModule, count: number, input: Order | "unknown") => {
    const isKnown = input !== "unknown" || hasOneOrder(count);
    const order = input === "unknown" ? undefined : input;
    // A batch norm keeps the order of its input; a linear layer mixes all features.
    const output = module instanceof BatchNorm ? order : undefined;
    const known = isKnown ? { input: order, output } : undefined;
    // If a layer runs twice with different orders, its order is unknown.
    const previous = orders.get(module);
    const agrees = !orders.has(module) ||
      previous && known && String(previous.input) === String(known.input);
    orders.set(module, agrees ? known : undefined);
  };
  const setAllOrders = (module: AnyModule, input: Order | "unknown") => {
    for (const part of module.namedModules().values()) {
      if (part instanceof Linear) setOrder(part, part.inFeatures, input);
      if (part instanceof BatchNorm) setOrder(part, part.channels, input);
    }
  };
  const orderOf = (flow: Flow, count: number): Order | "unknown" => {
    if (flow.kind === "unknown") return "unknown";
    if (flow.kind !== "features" || !flow.flattened) return undefined;
    const { channels, pixels } = flow.flattened;
    if (pixels === 1) return undefined;
    if (channels === undefined || count % channels !== 0) return "unknown";
    return flattenedOrder(count / channels, channels);
  };
  const resolvePending = () => {
    for (const norm of pending) setOrder(norm, norm.channels, undefined);
    pending = [];
  };
  const toMaps = (flow: Flow): Flow & { kind: "maps" } => {
    resolvePending();
    return flow.kind === "maps" ? flow : { kind: "maps" };
  };
  const visit = (module: AnyModule, flow: Flow): Flow => {
    if (ancestors.has(module)) return UNKNOWN; // A field that refers to an ancestor.
    ancestors.add(module);
    const result = through(module, flow);
    ancestors.delete(module);
    return result;
  };
  const through = (module: AnyModule, flow: Flow): Flow => {
    const { forward } = module;
    const runs = (...Layers: readonly (abstract new (...options: never[]) => AnyModule)[]) =>
      Layers.some((Layer) => module instanceof Layer && forward === Layer.prototype.forward);
    if (runs(Activation, Dropout)) return flow;
    if (runs(Conv2d, DynamicConv2d)) {
      toMaps(flow);
      setAllOrders(module, undefined);
      return { kind: "maps", channels: (module as Conv2d<number, number>).outChannels };
    }
    if (module instanceof KernelAttention) {
      setAllOrders(module, undefined);
      return PLAIN;
    }
    if (runs(Pool, LocalResponseNorm)) return { ...toMaps(flow), pixels: undefined };
    if (module instanceof AdaptiveAveragePool && runs(AdaptiveAveragePool)) {
      return { ...toMaps(flow), pixels: module.size[0] * module.size[1] };
    }
    if (runs(GlobalAveragePool)) {
      toMaps(flow);
      return PLAIN;
    }
    if (runs(Flatten)) {
      return flow.kind === "features" ? flow : { kind: "features", flattened: toMaps(flow) };
    }
    if (module instanceof Linear && runs(Linear)) {
      setOrder(module, module.inFeatures, orderOf(flow, module.inFeatures));
      return PLAIN;
    }
    if (module instanceof BatchNorm && runs(BatchNorm)) {
      const { channels } = module;
      if (flow.kind === "unknown") pending.push(module);
      else setOrder(module, channels, orderOf(flow, channels));
      return flow.kind === "maps" ? { ...flow, channels } : flow;
    }
    if (runs(...CHAINS)) {
      return [...module.children().values()].reduce((flow, child) => visit(child, flow), flow);
    }
    if (runs(...MAP_BLOCKS)) {
      for (const child of module.children().values()) visit(child, toMaps(flow));
      return { kind: "maps", channels: (module as unknown as { outChannels: number }).outChannels };
    }
    if (runs(Parallel)) {
      const branches = [...module.children().values()].map((child) => toMaps(visit(child, flow)));
      const channels = branches.reduce<number | undefined>(
        (sum, branch) =>
          sum === undefined || branch.channels === undefined ? undefined : sum + branch.channels,
        0,
      );
      return { kind: "maps", channels };
    }
    if (module instanceof Residual && runs(Residual)) {
      const body = visit(module.body as AnyModule, flow);
      const shortcut = module.shortcut ? visit(module.shortcut as AnyModule, flow) : flow;
      if (body.kind === "maps" || shortcut.kind === "maps") return toMaps(body);
      const isPlain = [body, shortcut].every(({ kind, ...flow }) =>
        kind === "input" || kind === "features" && !("flattened" in flow && flow.flattened)
      );
      if (isPlain) return body;
      // The features of both branches must be in the same order to be added.
      setAllOrders(module, "unknown");
      return UNKNOWN;
    }
    // The forward pass is custom.
    if (module instanceof Linear) setOrder(module, module.inFeatures, "unknown");
    if (module instanceof BatchNorm) setOrder(module, module.channels, "unknown");
    const parts = [...module.namedModules().values()].slice(1);
    const isHead = flow.kind === "features" && !flow.flattened &&
      parts.every((part) =>
        [Linear, BatchNorm, Activation, Dropout, Sequential].some((Layer) => part instanceof Layer)
      );
    for (const child of module.children().values()) {
      const outer = pending;
      pending = [];
      visit(child, isHead ? flow : UNKNOWN);
      const hasMaps = (channels: number) =>
        parts.some((part) =>
          (part instanceof Conv2d || part instanceof DynamicConv2d) &&
          (part.outChannels === channels || part.inChannels === channels)
        );
      for (const norm of pending) {
        setOrder(norm, norm.channels, hasMaps(norm.channels) ? undefined : "unknown");
      }
      pending = outer;
    }
    return isHead ? PLAIN : UNKNOWN;
  };
  visit(model, { kind: "input" });
  for (const norm of pending) setOrder(norm, norm.channels, "unknown");
  return new Map(
    [...orders].filter((entry): entry is [AnyModule, Orders] => entry[1] !== undefined),
  );
}

// Orders from a run.

/**
 * An axis of features or channels. A "free" order is settled when the axis is unified with another,
 * as in the addition of two tensors.
 */
class Axis {
  #order: Order | "free";
  /** The axis that this free one was unified with. */
  #target: Axis | undefined;

  /** @param parts The axes that a concatenation made this one of. */
  constructor(readonly size: number, order: Order | "free", readonly parts?: readonly Axis[]) {
    this.#order = order;
  }

  get order(): Order {
    if (this.#target) return this.#target.order;
    if (!this.parts) return this.#order === "free" ? undefined : this.#order;
    if (this.parts.every((part) => part.order === undefined)) return undefined;
    let start = 0;
    return Int32Array.from(this.parts.flatMap((part) => {
      const from = start;
      start += part.size;
      return Array.from({ length: part.size }, (_, i) => from + (part.order?.[i] ?? i));
    }));
  }

  /** Gives this axis and another the same order. Returns whether that is possible. */
  unify(other: Axis): boolean {
    const a = this.#resolve(), b = other.#resolve();
    if (a === b) return true;
    if (!a.parts && a.#order === "free") return a.#follow(b);
    if (!b.parts && b.#order === "free") return b.#follow(a);
    const sizes = (axis: Axis) => String(axis.parts?.map(({ size }) => size));
    if (a.parts && b.parts && sizes(a) === sizes(b)) {
      return a.parts.every((part, i) => part.unify(b.parts![i]!));
    }
    for (const [one, other] of [[a, b], [b, a]] as const) {
      if (one.parts && other.order === undefined) {
        return one.parts.every((part) => part.unify(new Axis(part.size, undefined)));
      }
    }
    return String(a.order) === String(b.order);
  }

  #resolve(): Axis {
    return this.#target ? this.#target.#resolve() : this;
  }

  #follow(to: Axis): boolean {
    this.#target = to;
    return true;
  }
}

/** The layout of a tensor in a run, as far as it is known. */
type Label =
  /** Channels or features along the last axis, or along the second if channels come first. */
  | { readonly axis: Axis; readonly channelsFirst?: boolean }
  /** Channels in PyTorch's order that a reshape split, after this number of leading axes. */
  | { readonly lead: number }
  /** Pixels and channels mixed in a way that is not followed. */
  | "mixed";

/** Kernels that compute each element from the inputs' elements at its position. */
const ELEMENTWISE = new Set(
  ("Add ResnetLabSum ResnetLabBiasSum ResnetLabLimitGradient Sub Multiply RealDiv FloorDiv Mod Maximum Minimum Pow SquaredDifference Select Prelu " +
    "Equal NotEqual Greater GreaterEqual Less LessEqual LogicalAnd LogicalOr LogicalNot Identity Cast Relu Relu6 LeakyRelu Elu " +
    "Selu Sigmoid Softplus Tanh Erf Exp Expm1 Log Log1p Neg Abs Sign Sqrt Rsqrt Square Reciprocal Floor Ceil Round Sin Cos Tan " +
    "Atan Sinh Cosh ClipByValue Step IsNan IsInf IsFinite ZerosLike OnesLike Softmax LogSoftmax FusedBatchNorm MaxPool AvgPool " +
    "ResizeBilinear").split(" "),
);
/** Kernels for which the positions of channels matter. */
const BY_POSITION = new Set("LRN PadV2 Slice SplitV Tile Reverse GatherV2 Cumsum".split(" "));
const REDUCTIONS = new Set("Mean Sum Max Min Prod All Any".split(" "));

/**
 * Finds the orders by a run of a model on one input; for layers that do not run, from the
 * structure.
 *
 * @param forward Runs all layers whose order must be known.
 * @returns The orders, and the layers that ran.
 * @throws {RangeError} If the model cannot run on such an input.
 */
export function ordersByRun(
  model: AnyModule,
  inputShape: readonly number[],
  forward: (input: never) => unknown,
): { orders: ModelOrders; ran: ReadonlySet<AnyModule> } {
  const ran = new Set<AnyModule>();
  const labels = new Map<number, Label>();
  const layers = new Map<AnyModule, { input: Axis; output: Axis } | undefined>();
  const labelOf = (value: unknown) => labels.get((value as Tensor).id);
  const inPyTorchOrder = (size: number) => new Axis(size, undefined);
  const labelLast = (axis: Axis): Label => ({ axis });
  /** The last axis of a tensor, if it has channels or features. */
  const lastAxis = (label: Label | undefined): Axis | undefined =>
    typeof label === "object" && "axis" in label && !label.channelsFirst ? label.axis : undefined;
  /** Settles the channels in PyTorch's order. Returns whether that is possible. */
  const settlePyTorchOrder = (label: Label): boolean =>
    label !== "mixed" && (!("axis" in label) || label.axis.unify(inPyTorchOrder(label.axis.size)));

  /** Stores the orders of a layer that runs on an input of the shape that it expects. */
  const recordLayer = (module: AnyModule, x: Tensor, y: Tensor) => {
    const input = lastAxis(labelOf(x));
    const set = (axis: Axis | undefined) => labels.set(y.id, axis ? labelLast(axis) : "mixed");
    if (module instanceof Linear || module instanceof BatchNorm) {
      const before = layers.get(module);
      const output = module instanceof BatchNorm
        ? input
        : before?.output ?? new Axis(module.outFeatures, "free");
      const isKnown = input && output && (!layers.has(module) || before?.input.unify(input));
      layers.set(module, isKnown ? before ?? { input, output } : undefined);
      set(output);
    } else if (module instanceof Conv2d || module instanceof DynamicConv2d) {
      set(
        input?.unify(inPyTorchOrder(input.size)) ? inPyTorchOrder(module.outChannels) : undefined,
      );
    } else set(input);
  };

  const reshaped = (label: Label, from: readonly number[], to: readonly number[]): Label => {
    if (label === "mixed" || String(from) === String(to)) return label;
    const prefix = to.slice(0, -1), size = to.at(-1)!;
    if ("lead" in label) {
      const isBack = String(prefix) === String(from.slice(0, label.lead));
      return isBack ? labelLast(inPyTorchOrder(size)) : "mixed";
    }
    const { axis, channelsFirst } = label;
    const pixels = from.slice(1, -1).reduce((product, side) => product * side, 1);
    const isFlat = to.length === 2 && to[0] === from[0];
    if (channelsFirst) {
      return isFlat && settlePyTorchOrder(label) ? labelLast(inPyTorchOrder(size)) : "mixed";
    }
    // A flatten of one pixel changes nothing.
    if (isFlat && pixels === 1) return labelLast(axis);
    if (isFlat && from.length === 4) {
      return settlePyTorchOrder(label)
        ? labelLast(new Axis(size, flattenedOrder(pixels, axis.size)))
        : "mixed";
    }
    if (from.length === 2 && to.length === 4 && to[0] === from[0]) {
      const pixels = to[1]! * to[2]!;
      if (pixels === 1) return labelLast(axis);
      const isMaps = axis.unify(new Axis(axis.size, flattenedOrder(pixels, size)));
      return isMaps ? labelLast(inPyTorchOrder(size)) : "mixed";
    }
    if (size === from.at(-1)) return labelLast(axis);
    const lead = from.length - 1;
    const isSplit = String(from.slice(0, lead)) === String(to.slice(0, lead));
    return isSplit && settlePyTorchOrder(label) ? { lead } : "mixed";
  };

  const transposed = (label: Label, permutation: readonly number[]): Label => {
    if (permutation.every((axis, i) => axis === i)) return label;
    if (label === "mixed") return label;
    if ("lead" in label) {
      return permutation.slice(0, label.lead).every((axis, i) => axis === i) ? label : "mixed";
    }
    const { axis, channelsFirst = false } = label;
    const turns = channelsFirst ? ["0,2,3,1", "0,2,1"] : ["0,3,1,2", "0,2,1"];
    return turns.includes(String(permutation)) ? { axis, channelsFirst: !channelsFirst } : "mixed";
  };

  const concatenated = (inputs: readonly Tensor[], along: number): Label => {
    const axes = inputs.map((x) => {
      const label = labelOf(x);
      return label === undefined ? inPyTorchOrder(x.shape.at(-1)!) : lastAxis(label);
    });
    const known = axes.filter((axis) => axis !== undefined);
    if (known.length < axes.length) return "mixed";
    if (along === inputs[0]!.rank - 1) {
      return labelLast(new Axis(known.reduce((sum, { size }) => sum + size, 0), "free", known));
    }
    return known.every((axis) => axis.unify(known[0]!)) ? labelLast(known[0]!) : "mixed";
  };

  /** The label of the result of an elementwise kernel, whose inputs may broadcast. */
  const elementwise = (inputs: readonly Tensor[], output: Tensor): Label => {
    const size = output.shape.at(-1) ?? 1;
    let result: Exclude<Label, "mixed"> | undefined;
    for (const x of inputs) {
      const label = labelOf(x);
      if (label === undefined || x.size === 1) continue;
      if (label === "mixed") return "mixed";
      const isBroadcast = "axis" in label && !label.channelsFirst && label.axis.size === 1 &&
        size > 1;
      if (isBroadcast) continue;
      if (result === undefined) result = label;
      else if ("axis" in result && "axis" in label) {
        const fits = !result.channelsFirst === !label.channelsFirst &&
          result.axis.unify(label.axis);
        if (!fits) return "mixed";
      } else if (!("lead" in result && "lead" in label && result.lead === label.lead)) {
        return "mixed";
      }
    }
    return result ?? labelLast(inPyTorchOrder(size));
  };

  const product = (
    { a, b }: Readonly<Record<string, Tensor>>,
    transposeA: unknown,
    transposeB: unknown,
  ): Label => {
    const one = labelOf(a), other = labelOf(b);
    if (!a || !b || transposeA) return "mixed";
    const size = a.shape.at(-1)!;
    const contracted = one === undefined ? inPyTorchOrder(size) : lastAxis(one);
    const isTurned = typeof other === "object" && "axis" in other && other.channelsFirst;
    if (transposeB ? !isTurned : isTurned) {
      const rows = isTurned
        ? other.axis
        : other === undefined
        ? inPyTorchOrder(size)
        : lastAxis(other);
      const columns = b.shape.at(transposeB ? -2 : -1)!;
      return contracted && rows && contracted.unify(rows)
        ? labelLast(inPyTorchOrder(columns))
        : "mixed";
    }
    // Custom variables are not reordered, so their other factor must be in PyTorch's order.
    if (other === undefined) {
      return contracted?.unify(inPyTorchOrder(contracted.size))
        ? labelLast(inPyTorchOrder(b.shape.at(-1)!))
        : "mixed";
    }
    const axis = lastAxis(other);
    return axis && contracted?.unify(inPyTorchOrder(contracted.size)) ? labelLast(axis) : "mixed";
  };

  const kernel = (
    name: string,
    inputs: Readonly<Record<string, Tensor>>,
    attributes: Readonly<Record<string, unknown>>,
    output: Tensor,
  ): Label => {
    const all = Object.values(inputs), [x] = all;
    const label = x && labelOf(x);
    if (!x) return "mixed";
    if (name === "Concat") return concatenated(all, attributes.axis as number);
    if (name === "BatchMatMul") {
      return product(inputs, attributes.transposeA, attributes.transposeB);
    }
    if (
      name === "Conv2D" || name === "ResnetLabConv2DWithBias" || name.startsWith("DepthwiseConv2d")
    ) {
      return lastAxis(label) && settlePyTorchOrder(label!)
        ? labelLast(inPyTorchOrder(output.shape.at(-1)!))
        : "mixed";
    }
    if (label === undefined) return ELEMENTWISE.has(name) ? elementwise(all, output) : "mixed";
    if (name === "Reshape" || name === "ExpandDims") return reshaped(label, x.shape, output.shape);
    if (name === "Transpose") return transposed(label, attributes.perm as number[]);
    if (ELEMENTWISE.has(name)) {
      const isMaps = lastAxis(label) !== undefined;
      return isMaps || !/Pool|Resize|BatchNorm|Softmax/.test(name)
        ? elementwise(all, output)
        : "mixed";
    }
    if (BY_POSITION.has(name)) {
      const isFollowed = lastAxis(label) && settlePyTorchOrder(label) && output.rank === x.rank;
      return isFollowed ? labelLast(inPyTorchOrder(output.shape.at(-1)!)) : "mixed";
    }
    if (REDUCTIONS.has(name) && label !== "mixed") {
      if ("lead" in label) return attributes.keepDims ? label : "mixed";
      const axes = [attributes.axis ?? attributes.reductionIndices ?? []].flat() as number[];
      const isLast = axes.some((axis) => (axis + x.rank) % x.rank === x.rank - 1);
      if (label.channelsFirst) return "mixed";
      if (!isLast) return labelLast(label.axis);
      return attributes.keepDims ? labelLast(inPyTorchOrder(1)) : "mixed";
    }
    return "mixed";
  };

  /** The ids of the weights of linear layers: a forward pass may use them without the layer. */
  const weights = new Set(
    [...model.namedModules().values()].filter((module) => module instanceof Linear)
      .map(({ weight }) => (weight as Tensor).id),
  );
  /** Whether a layer runs, whose kernels need no labels. */
  let inLayer = false;
  tidy(() => {
    const input = ops.zeros([2, ...inputShape]);
    labels.set(input.id, labelLast(inPyTorchOrder(inputShape.at(-1)!)));
    observeKernels(
      () =>
        withForwardHook(model, ({ module, input, forward }) => {
          ran.add(module);
          if (inLayer || !isLayerFor(module, input)) return forward(input);
          inLayer = true;
          try {
            const output = forward(input);
            recordLayer(module, input, output as Tensor);
            return output;
          } finally {
            inLayer = false;
          }
        }, () => forward(input as never)),
      ({ name, inputs, attributes, outputs }) => {
        if (inLayer) return;
        const all = Object.values(inputs);
        const usesWeight = all.some((x) => weights.has(x.id));
        if (!usesWeight && !all.some((x) => labelOf(x) !== undefined)) return;
        for (const output of outputs) {
          labels.set(
            output.id,
            usesWeight ? "mixed" : kernel(name, inputs, attributes, output),
          );
        }
      },
    );
  });
  const orders = new Map(ordersByStructure(model));
  for (const [module, axes] of layers) {
    if (axes) orders.set(module, { input: axes.input.order, output: axes.output.order });
    else if (!hasOneOrder((module as Linear<number, number>).inFeatures)) orders.delete(module);
  }
  return { orders, ran };
}

/**
 * Whether a module is a layer whose effect on the order of channels is known, and an input has the
 * shape that it expects.
 */
function isLayerFor(module: AnyModule, input: unknown): input is Tensor {
  if (!isTensor(input)) return false;
  const size = input.shape.at(-1);
  if (module instanceof Linear) return input.rank === 2 && size === module.inFeatures;
  if (module instanceof BatchNorm) {
    return (input.rank === 2 || input.rank === 4) && size === module.channels;
  }
  if (input.rank !== 4) return false;
  if (module instanceof Conv2d || module instanceof DynamicConv2d) {
    return size === module.inChannels;
  }
  return [Pool, AdaptiveAveragePool, LocalResponseNorm].some((Layer) => module instanceof Layer);
}
