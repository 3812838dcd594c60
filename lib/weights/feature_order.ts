/**
 * The order of features in PyTorch. Maps are `[height, width, channels]` here and
 * `[channels, height, width]` there, so a flatten gives the same features in another order, and the
 * layers that take them have their weights in another order.
 */
import { isTensor, ops, type Tensor, tidy } from "../tensor/mod.ts";
import { observeKernels } from "../tensor/internal.ts";
import { Activation, type AnyModule, BatchNorm, DynamicConv2d, Sequential } from "../nn/mod.ts";
import {
  AdaptiveAveragePool,
  Conv2d,
  Dropout,
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

/** For each feature here its number in PyTorch; undefined where that is the same. */
export type Order = Int32Array | undefined;

/** The orders of the features that a linear layer or a batch norm takes and gives. */
export interface Orders {
  readonly input: Order;
  readonly output: Order;
}

/** The orders of layers; a linear layer or batch norm that is missing has one that is not known. */
export type ModelOrders = ReadonlyMap<AnyModule, Orders>;

/** The order of the features of maps of some height times width. */
function flattenedOrder(pixels: number, channels: number): Order {
  if (pixels === 1 || channels === 1) return undefined;
  return Int32Array.from(
    { length: pixels * channels },
    (_, i) => (i % channels) * pixels + Math.floor(i / channels),
  );
}

/**
 * Whether the order of so many features can matter: maps of one pixel or one channel have only one.
 */
function hasOneOrder(count: number): boolean {
  for (let factor = 2; factor * factor <= count; factor++) if (count % factor === 0) return false;
  return true;
}

// From the structure.

/** The data between two layers, as far as the structure tells. */
type Flow =
  /** The model's input: maps, or features in PyTorch's order. */
  | { readonly kind: "input" }
  | { readonly kind: "maps"; readonly channels?: number; readonly pixels?: number }
  /** Features in PyTorch's order, or of flattened maps. */
  | { readonly kind: "features"; readonly of?: Flow & { kind: "maps" } }
  | { readonly kind: "unknown" };

const PLAIN: Flow = { kind: "features" };
const UNKNOWN: Flow = { kind: "unknown" };

/** Networks and blocks whose parts run in the order of their fields. */
const CHAINS = [
  ...[Sequential, AlexNet, VGG, NiN, LeNet, GoogLeNet, GoogLeNetWithAuxiliary, ResNet],
  ...[ConvRelu, AuxiliaryHead],
];
/** Blocks whose parts take and give maps. */
const MAP_BLOCKS = [Inception, ResidualBlock];

/**
 * The orders that the structure of a model tells. Of a module of the user's own, nothing is known
 * but its parts: what runs after what, and what becomes of tensors between them, is in its forward
 * pass.
 */
export function ordersByStructure(model: AnyModule): ModelOrders {
  const orders = new Map<AnyModule, Orders | undefined>();
  const above = new Set<AnyModule>();
  /** Batch norms of what may be maps or features; the next layer can tell. */
  let open: BatchNorm<number>[] = [];
  const note = (module: AnyModule, count: number, input: Order | "unknown") => {
    const isKnown = input !== "unknown" || hasOneOrder(count);
    const order = input === "unknown" ? undefined : input;
    // A batch norm gives what it takes; a linear layer mixes it.
    const output = module instanceof BatchNorm ? order : undefined;
    const known = isKnown ? { input: order, output } : undefined;
    // A layer that runs twice takes features in one order, or in none that is known.
    const before = orders.get(module);
    const agrees = !orders.has(module) ||
      before && known && String(before.input) === String(known.input);
    orders.set(module, agrees ? known : undefined);
  };
  const noteAll = (module: AnyModule, input: Order | "unknown") => {
    for (const part of module.namedModules().values()) {
      if (part instanceof Linear) note(part, part.inFeatures, input);
      if (part instanceof BatchNorm) note(part, part.channels, input);
    }
  };
  const orderOf = (flow: Flow, count: number): Order | "unknown" => {
    if (flow.kind === "unknown") return "unknown";
    if (flow.kind !== "features" || !flow.of) return undefined;
    const { channels, pixels } = flow.of;
    if (pixels === 1) return undefined;
    if (channels === undefined || count % channels !== 0) return "unknown";
    return flattenedOrder(count / channels, channels);
  };
  const isMaps = () => {
    for (const norm of open) note(norm, norm.channels, undefined);
    open = [];
  };
  const maps = (flow: Flow): Flow & { kind: "maps" } => {
    isMaps();
    return flow.kind === "maps" ? flow : { kind: "maps" };
  };
  const visit = (module: AnyModule, flow: Flow): Flow => {
    if (above.has(module)) return UNKNOWN; // A part that has a field for what it is part of.
    above.add(module);
    const result = through(module, flow);
    above.delete(module);
    return result;
  };
  const through = (module: AnyModule, flow: Flow): Flow => {
    const { forward } = module;
    const runs = (...Layers: readonly (abstract new (...options: never[]) => AnyModule)[]) =>
      Layers.some((Layer) => module instanceof Layer && forward === Layer.prototype.forward);
    if (runs(Activation, Dropout)) return flow;
    if (runs(Conv2d, DynamicConv2d)) {
      maps(flow);
      noteAll(module, undefined);
      return { kind: "maps", channels: (module as Conv2d<number, number>).outChannels };
    }
    if (module instanceof KernelAttention) {
      noteAll(module, undefined);
      return PLAIN;
    }
    if (runs(Pool, LocalResponseNorm)) return { ...maps(flow), pixels: undefined };
    if (module instanceof AdaptiveAveragePool && runs(AdaptiveAveragePool)) {
      return { ...maps(flow), pixels: module.size[0] * module.size[1] };
    }
    if (runs(GlobalAveragePool)) {
      maps(flow);
      return PLAIN;
    }
    if (runs(Flatten)) {
      return flow.kind === "features" ? flow : { kind: "features", of: maps(flow) };
    }
    if (module instanceof Linear && runs(Linear)) {
      note(module, module.inFeatures, orderOf(flow, module.inFeatures));
      return PLAIN;
    }
    if (module instanceof BatchNorm && runs(BatchNorm)) {
      const { channels } = module;
      if (flow.kind === "unknown") open.push(module);
      else note(module, channels, orderOf(flow, channels));
      return flow.kind === "maps" ? { ...flow, channels } : flow;
    }
    if (runs(...CHAINS)) {
      return [...module.children().values()].reduce((flow, child) => visit(child, flow), flow);
    }
    if (runs(...MAP_BLOCKS)) {
      for (const child of module.children().values()) visit(child, maps(flow));
      return { kind: "maps", channels: (module as unknown as { outChannels: number }).outChannels };
    }
    if (runs(Parallel)) {
      const branches = [...module.children().values()].map((child) => maps(visit(child, flow)));
      const channels = branches.reduce<number | undefined>(
        (sum, branch) =>
          sum === undefined || branch.channels === undefined ? undefined : sum + branch.channels,
        0,
      );
      return { kind: "maps", channels };
    }
    if (module instanceof Residual && runs(Residual)) {
      const body = visit(module.body as AnyModule, flow);
      const side = module.shortcut ? visit(module.shortcut as AnyModule, flow) : flow;
      if (body.kind === "maps" || side.kind === "maps") return maps(body);
      const isPlain = [body, side].every(({ kind, ...flow }) =>
        kind === "input" || kind === "features" && !("of" in flow && flow.of)
      );
      if (isPlain) return body;
      // Features that are added to flattened maps must be in the same order.
      noteAll(module, "unknown");
      return UNKNOWN;
    }
    // A forward pass that is not known.
    if (module instanceof Linear) note(module, module.inFeatures, "unknown");
    if (module instanceof BatchNorm) note(module, module.channels, "unknown");
    const parts = [...module.namedModules().values()].slice(1);
    const isHead = flow.kind === "features" && !flow.of &&
      parts.every((part) =>
        [Linear, BatchNorm, Activation, Dropout, Sequential].some((Layer) => part instanceof Layer)
      );
    for (const child of module.children().values()) {
      const before = open;
      open = [];
      visit(child, isHead ? flow : UNKNOWN);
      const hasMaps = (channels: number) =>
        parts.some((part) =>
          (part instanceof Conv2d || part instanceof DynamicConv2d) &&
          (part.outChannels === channels || part.inChannels === channels)
        );
      for (const norm of open) {
        note(norm, norm.channels, hasMaps(norm.channels) ? undefined : "unknown");
      }
      open = before;
    }
    return isHead ? PLAIN : UNKNOWN;
  };
  visit(model, { kind: "input" });
  for (const norm of open) note(norm, norm.channels, "unknown");
  return new Map(
    [...orders].filter((entry): entry is [AnyModule, Orders] => entry[1] !== undefined),
  );
}

// From a run.

/**
 * The features or channels along an axis, whose order may follow from what they are joined with.
 */
class Axis {
  #order: Order | "free";
  /** The axis that it was joined with. */
  #same: Axis | undefined;

  /** @param parts Those that it is made of, one after the other. */
  constructor(readonly size: number, order: Order | "free", readonly parts?: readonly Axis[]) {
    this.#order = order;
  }

  get order(): Order {
    if (this.#same) return this.#same.order;
    if (!this.parts) return this.#order === "free" ? undefined : this.#order;
    if (this.parts.every((part) => part.order === undefined)) return undefined;
    let start = 0;
    return Int32Array.from(this.parts.flatMap((part) => {
      const from = start;
      start += part.size;
      return Array.from({ length: part.size }, (_, i) => from + (part.order?.[i] ?? i));
    }));
  }

  /** Whether this axis and another can have one order, which they have from now on. */
  join(other: Axis): boolean {
    const a = this.#end(), b = other.#end();
    if (a === b) return true;
    if (!a.parts && a.#order === "free") return a.#lead(b);
    if (!b.parts && b.#order === "free") return b.#lead(a);
    const sizes = (axis: Axis) => String(axis.parts?.map(({ size }) => size));
    if (a.parts && b.parts && sizes(a) === sizes(b)) {
      return a.parts.every((part, i) => part.join(b.parts![i]!));
    }
    for (const [one, other] of [[a, b], [b, a]] as const) {
      if (one.parts && other.order === undefined) {
        return one.parts.every((part) => part.join(new Axis(part.size, undefined)));
      }
    }
    return String(a.order) === String(b.order);
  }

  #end(): Axis {
    return this.#same ? this.#same.#end() : this;
  }

  #lead(to: Axis): boolean {
    this.#same = to;
    return true;
  }
}

/** The known layout of a tensor in a run. */
type Label =
  /**
   * Along its last axis, or its second where channels come first, it has channels or features; its
   * others are a map's.
   */
  | { readonly axis: Axis; readonly channelsFirst?: boolean }
  /** After so many axes it has pieces of channels, in PyTorch's order as the channels are. */
  | { readonly lead: number }
  /** Rows and columns are mixed with channels in a way that is not followed here. */
  | "mixed";

/** Kernels that compute each element of those at its position. */
const ELEMENTWISE = new Set(
  ("Add ResnetLabSum ResnetLabBiasSum Sub Multiply RealDiv FloorDiv Mod Maximum Minimum Pow SquaredDifference Select Prelu " +
    "Equal NotEqual Greater GreaterEqual Less LessEqual LogicalAnd LogicalOr LogicalNot Identity Cast Relu Relu6 LeakyRelu Elu " +
    "Selu Sigmoid Softplus Tanh Erf Exp Expm1 Log Log1p Neg Abs Sign Sqrt Rsqrt Square Reciprocal Floor Ceil Round Sin Cos Tan " +
    "Atan Sinh Cosh ClipByValue Step IsNan IsInf IsFinite ZerosLike OnesLike Softmax LogSoftmax FusedBatchNorm MaxPool AvgPool " +
    "ResizeBilinear").split(" "),
);
/** Kernels for which the positions of channels matter. */
const BY_POSITION = new Set("LRN PadV2 Slice SplitV Tile Reverse GatherV2 Cumsum".split(" "));
const REDUCTIONS = new Set("Mean Sum Max Min Prod All Any".split(" "));

/**
 * The orders that a run of a model on one input shows, and the structure for layers that do not
 * run.
 *
 * @throws {RangeError} If the model cannot run on such an input.
 */
export function ordersByRun(model: AnyModule, inputShape: readonly number[]): ModelOrders {
  const labels = new Map<number, Label>();
  const layers = new Map<AnyModule, { input: Axis; output: Axis } | undefined>();
  const labelOf = (value: unknown) => labels.get((value as Tensor).id);
  const inPlace = (size: number) => new Axis(size, undefined);
  const last = (axis: Axis): Label => ({ axis });
  /** The last axis of an input, if it has channels or features. */
  const lastAxis = (label: Label | undefined): Axis | undefined =>
    typeof label === "object" && "axis" in label && !label.channelsFirst ? label.axis : undefined;
  /** Whether channels are, and stay, at PyTorch's positions. */
  const isPlaced = (label: Label): boolean =>
    label !== "mixed" && (!("axis" in label) || label.axis.join(inPlace(label.axis.size)));

  /** Notes a layer that runs on an input of its usual shape. */
  const layer = (module: AnyModule, x: Tensor, y: Tensor) => {
    const input = lastAxis(labelOf(x));
    const set = (axis: Axis | undefined) => labels.set(y.id, axis ? last(axis) : "mixed");
    if (module instanceof Linear || module instanceof BatchNorm) {
      const before = layers.get(module);
      const output = module instanceof BatchNorm
        ? input
        : before?.output ?? new Axis(module.outFeatures, "free");
      const isKnown = input && output && (!layers.has(module) || before?.input.join(input));
      layers.set(module, isKnown ? before ?? { input, output } : undefined);
      set(output);
    } else if (module instanceof Conv2d || module instanceof DynamicConv2d) {
      set(input?.join(inPlace(input.size)) ? inPlace(module.outChannels) : undefined);
    } else set(input);
  };

  const reshaped = (label: Label, from: readonly number[], to: readonly number[]): Label => {
    if (label === "mixed" || String(from) === String(to)) return label;
    const prefix = to.slice(0, -1), size = to.at(-1)!;
    if ("lead" in label) {
      const isBack = String(prefix) === String(from.slice(0, label.lead));
      return isBack ? last(inPlace(size)) : "mixed";
    }
    const { axis, channelsFirst } = label;
    const pixels = from.slice(1, -1).reduce((product, side) => product * side, 1);
    const isFlat = to.length === 2 && to[0] === from[0];
    if (channelsFirst) return isFlat && isPlaced(label) ? last(inPlace(size)) : "mixed";
    // Rows and columns that are one pixel in all take no part in a flatten.
    if (isFlat && pixels === 1) return last(axis);
    if (isFlat && from.length === 4) {
      return isPlaced(label) ? last(new Axis(size, flattenedOrder(pixels, axis.size))) : "mixed";
    }
    if (from.length === 2 && to.length === 4 && to[0] === from[0]) {
      const pixels = to[1]! * to[2]!;
      if (pixels === 1) return last(axis);
      const isMaps = axis.join(new Axis(axis.size, flattenedOrder(pixels, size)));
      return isMaps ? last(inPlace(size)) : "mixed";
    }
    if (size === from.at(-1)) return last(axis);
    const lead = from.length - 1;
    const isSplit = String(from.slice(0, lead)) === String(to.slice(0, lead));
    return isSplit && isPlaced(label) ? { lead } : "mixed";
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
      return label === undefined ? inPlace(x.shape.at(-1)!) : lastAxis(label);
    });
    const known = axes.filter((axis) => axis !== undefined);
    if (known.length < axes.length) return "mixed";
    if (along === inputs[0]!.rank - 1) {
      return last(new Axis(known.reduce((sum, { size }) => sum + size, 0), "free", known));
    }
    return known.every((axis) => axis.join(known[0]!)) ? last(known[0]!) : "mixed";
  };

  /**
   * The label of what is computed of tensors element by element, small ones repeated along the axes
   * of large ones.
   */
  const together = (inputs: readonly Tensor[], output: Tensor): Label => {
    const size = output.shape.at(-1) ?? 1;
    let result: Exclude<Label, "mixed"> | undefined;
    for (const x of inputs) {
      const label = labelOf(x);
      if (label === undefined || x.size === 1) continue;
      if (label === "mixed") return "mixed";
      const isRepeated = "axis" in label && !label.channelsFirst && label.axis.size === 1 &&
        size > 1;
      if (isRepeated) continue;
      if (result === undefined) result = label;
      else if ("axis" in result && "axis" in label) {
        const fits = !result.channelsFirst === !label.channelsFirst &&
          result.axis.join(label.axis);
        if (!fits) return "mixed";
      } else if (!("lead" in result && "lead" in label && result.lead === label.lead)) {
        return "mixed";
      }
    }
    return result ?? last(inPlace(size));
  };

  const product = (
    { a, b }: Readonly<Record<string, Tensor>>,
    transposeA: unknown,
    transposeB: unknown,
  ): Label => {
    const one = labelOf(a), other = labelOf(b);
    if (!a || !b || transposeA) return "mixed";
    const size = a.shape.at(-1)!;
    const contracted = one === undefined ? inPlace(size) : lastAxis(one);
    const isTurned = typeof other === "object" && "axis" in other && other.channelsFirst;
    if (transposeB ? !isTurned : isTurned) {
      const rows = isTurned ? other.axis : other === undefined ? inPlace(size) : lastAxis(other);
      const columns = b.shape.at(transposeB ? -2 : -1)!;
      return contracted && rows && contracted.join(rows) ? last(inPlace(columns)) : "mixed";
    }
    // Variables of the user's own stay as they are, so what they are multiplied with must be in
    // PyTorch's order.
    if (other === undefined) {
      return contracted?.join(inPlace(contracted.size)) ? last(inPlace(b.shape.at(-1)!)) : "mixed";
    }
    const axis = lastAxis(other);
    return axis && contracted?.join(inPlace(contracted.size)) ? last(axis) : "mixed";
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
      return lastAxis(label) && isPlaced(label!) ? last(inPlace(output.shape.at(-1)!)) : "mixed";
    }
    if (label === undefined) return ELEMENTWISE.has(name) ? together(all, output) : "mixed";
    if (name === "Reshape" || name === "ExpandDims") return reshaped(label, x.shape, output.shape);
    if (name === "Transpose") return transposed(label, attributes.perm as number[]);
    if (ELEMENTWISE.has(name)) {
      const isMaps = lastAxis(label) !== undefined;
      return isMaps || !/Pool|Resize|BatchNorm|Softmax/.test(name)
        ? together(all, output)
        : "mixed";
    }
    if (BY_POSITION.has(name)) {
      const isFollowed = lastAxis(label) && isPlaced(label) && output.rank === x.rank;
      return isFollowed ? last(inPlace(output.shape.at(-1)!)) : "mixed";
    }
    if (REDUCTIONS.has(name) && label !== "mixed") {
      if ("lead" in label) return attributes.keepDims ? label : "mixed";
      const axes = [attributes.axis ?? attributes.reductionIndices ?? []].flat() as number[];
      const isLast = axes.some((axis) => (axis + x.rank) % x.rank === x.rank - 1);
      if (label.channelsFirst) return "mixed";
      if (!isLast) return last(label.axis);
      return attributes.keepDims ? last(inPlace(1)) : "mixed";
    }
    return "mixed";
  };

  /** Weights of linear layers, in case that a forward pass takes them itself. */
  const weights = new Set(
    [...model.namedModules().values()].filter((module) => module instanceof Linear)
      .map(({ weight }) => (weight as Tensor).id),
  );
  let inside = false;
  tidy(() => {
    const input = ops.zeros([2, ...inputShape]);
    labels.set(input.id, last(inPlace(inputShape.at(-1)!)));
    observeKernels(
      () =>
        withForwardHook(model, ({ module, input, forward }) => {
          if (inside || !isLayerFor(module, input)) return forward(input);
          inside = true;
          try {
            const output = forward(input);
            layer(module, input, output as Tensor);
            return output;
          } finally {
            inside = false;
          }
        }, () => model.forward(input as never)),
      ({ name, inputs, attributes, outputs }) => {
        if (inside) return;
        const all = Object.values(inputs);
        const takesWeight = all.some((x) => weights.has(x.id));
        if (!takesWeight && !all.some((x) => labelOf(x) !== undefined)) return;
        for (const output of outputs) {
          labels.set(
            output.id,
            takesWeight ? "mixed" : kernel(name, inputs, attributes, output),
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
  return orders;
}

/**
 * Whether a module is a layer whose effect on the order of channels is known, for an input of its
 * usual shape.
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
