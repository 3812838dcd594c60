import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import { join } from "node:path";
import {
  type Images,
  type KernelTrace,
  ops,
  type Tensor,
  tidy,
  type TracedOutput,
  traceKernels,
} from "../tensor/mod.ts";
import { type Module, onForward } from "../nn/mod.ts";
import { checkInputShape, checkModule } from "../nn/checks.ts";
import { writeAtomically } from "../data/files.ts";
import { checkPath } from "./files.ts";
import { graphNotes } from "./tensor_notes.ts";

/** An attribute of a node, as TensorFlow writes it in JSON. */
type Attribute = Readonly<Record<string, unknown>>;
/**
 * A node of TensorFlow's graph, less its name: an input is the role of one of the kernel's or
 * numbers that become a constant.
 */
interface Node {
  readonly op: string;
  readonly inputs: readonly (string | readonly number[] | readonly (readonly number[])[])[];
  readonly attributes?: Readonly<Record<string, Attribute>>;
}
// deno-lint-ignore no-explicit-any
type Attributes = any;

const FLOAT = { type: "DT_FLOAT" }, INT = { type: "DT_INT32" };
const text = (value: string): Attribute => ({ s: btoa(value) });
const integers = (values: readonly number[]): Attribute => ({ list: { i: values.map(String) } });
const pair = (value: number | readonly number[]) =>
  typeof value === "number" ? [value, value] : value;
const window = (value: number | readonly number[]) => integers([1, ...pair(value), 1]);
const pool = (op: string) => ({ filterSize, strides, pad }: Attributes): Node => ({
  op,
  inputs: ["x"],
  attributes: {
    ksize: window(filterSize),
    strides: window(strides),
    padding: text(pad.toUpperCase()),
  },
});
const convolution = ({ strides, pad, dilations }: Attributes) => ({
  strides: window(strides),
  dilations: window(dilations),
  padding: text(pad.toUpperCase()),
  data_format: text("NHWC"),
});
const plain = (op: string, ...inputs: string[]) => (): Node => ({ op, inputs });

/** TensorFlow's op for each kernel of TensorFlow.js that the networks here call in inference. */
const NODES: Readonly<Record<string, (attributes: Attributes, roles: readonly string[]) => Node>> =
  {
    Add: plain("AddV2", "a", "b"),
    ResnetLabSum: plain("AddV2", "a", "b"),
    ResnetLabBiasSum: plain("AddV2", "x", "bias"),
    Sub: plain("Sub", "a", "b"),
    Multiply: plain("Mul", "a", "b"),
    RealDiv: plain("RealDiv", "a", "b"),
    Identity: plain("Identity", "x"),
    Relu: plain("Relu", "x"),
    Sigmoid: plain("Sigmoid", "x"),
    Tanh: plain("Tanh", "x"),
    Erf: plain("Erf", "x"),
    Softmax: plain("Softmax", "logits"),
    // TensorFlow.js casts what it has pooled to what it was, which is float32 here.
    Cast: ({ dtype }) => ({
      op: "Cast",
      inputs: ["x"],
      attributes: { DstT: dtype === "int32" ? INT : FLOAT },
    }),
    MaxPool: pool("MaxPool"),
    AvgPool: pool("AvgPool"),
    Conv2D: (attributes) => ({
      op: "Conv2D",
      inputs: ["x", "filter"],
      attributes: convolution(attributes),
    }),
    ResnetLabConv2DWithBias: (attributes) => ({
      op: "_FusedConv2D",
      inputs: ["x", "filter", "bias"],
      attributes: {
        ...convolution(attributes),
        ...{ fused_ops: { list: { s: [btoa("BiasAdd")] } }, num_args: { i: "1" } },
      },
    }),
    FusedBatchNorm: ({ varianceEpsilon }) => ({
      op: "FusedBatchNormV3",
      inputs: ["x", "scale", "offset", "mean", "variance"],
      attributes: { epsilon: { f: varianceEpsilon }, data_format: text("NHWC") },
    }),
    BatchMatMul: ({ transposeA, transposeB }) => ({
      op: "BatchMatMulV2",
      inputs: ["a", "b"],
      attributes: { adj_x: { b: transposeA }, adj_y: { b: transposeB } },
    }),
    LRN: ({ depthRadius, bias, alpha, beta }) => ({
      op: "LRN",
      inputs: ["x"],
      attributes: {
        depth_radius: { i: String(depthRadius) },
        ...{ bias: { f: bias }, alpha: { f: alpha }, beta: { f: beta } },
      },
    }),
    LeakyRelu: ({ alpha }) => ({
      op: "LeakyRelu",
      inputs: ["x"],
      attributes: { alpha: { f: alpha } },
    }),
    Concat: ({ axis }, roles) => ({
      op: "ConcatV2",
      inputs: [...roles, [axis]],
      attributes: { N: { i: String(roles.length) } },
    }),
    Mean: ({ axis, keepDims }) => ({
      op: "Mean",
      inputs: ["x", [axis].flat()],
      attributes: { keep_dims: { b: keepDims } },
    }),
    PadV2: ({ paddings, constantValue }) => ({
      op: "PadV2",
      inputs: ["x", paddings, [constantValue]],
    }),
    Reshape: ({ shape }) => ({ op: "Reshape", inputs: ["x", shape] }),
    SplitV: ({ numOrSizeSplits, axis }) => ({
      op: "Split",
      inputs: [[axis], "x"],
      attributes: { num_split: { i: String(numOrSizeSplits) } },
    }),
    Slice: ({ begin, size }) => ({ op: "Slice", inputs: ["x", begin, size] }),
    Transpose: ({ perm }) => ({ op: "Transpose", inputs: ["x", perm] }),
  };

/**
 * Writes a model as TensorFlow.js's graph model, `model.json` and a file of weights in a folder,
 * which `tf.loadGraphModel` loads in a browser or a server without this library: images
 * `[batch, height, width, channels]` in, for any batch, what `forward` gives in inference out.
 *
 * The graph is what the forward pass computes for images of this size; two passes, of one and of
 * two images, tell what depends on the batch.
 *
 * The file of weights is named by its content, `weights.0123456789abcdef.bin`, and `model.json`
 * comes last. So a folder that has a model already holds that one or the new one, whole, at any
 * time.
 *
 * The graph begins after the transform that the model was trained with ({@linkcode transformOf}):
 * it takes images that are transformed already. `userDefinedMetadata.transform` in `model.json`
 * says what is to be done to them, or `custom` for a function of the user's own.
 *
 * @param imageShape Height, width and channels of the images.
 * @throws {RangeError} If a layer does not fit, or the forward pass calls a kernel that has no
 * counterpart here, or is not the same for another batch.
 * @throws {Error} If the files cannot be written.
 *
 * @example
 * ```ts
 * import { resnet18, writeGraphModel } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const folder = await Deno.makeTempDir();
 * await writeGraphModel(folder, resnet18({ width: 1 / 16 }), [64, 64, 3]);
 * const { format } = JSON.parse(await Deno.readTextFile(`${folder}/model.json`));
 * assert.equal(format, "graph-model"); // In a browser: await tf.loadGraphModel("folder/model.json")
 * await Deno.remove(folder, { recursive: true });
 * ```
 */
export async function writeGraphModel<Channels extends number>(
  folder: string,
  model: Module<Images<Channels>, Tensor>,
  imageShape: readonly [height: number, width: number, channels: Channels],
): Promise<void> {
  checkPath(doing, "folder", folder);
  checkModule(doing, "the model", model);
  checkInputShape(doing, imageShape);
  const traceOf = (batch: number): KernelTrace => {
    let trace: KernelTrace | undefined;
    tidy(() => {
      const forward = (images: Images<Channels>) => onForward(model, images, () => {});
      trace = traceKernels(ops.zeros([batch, ...imageShape]), forward);
    });
    return trace!;
  };
  const { nodes, weights, pieces, output } = graphOf(traceOf(1), traceOf(2));
  const hash = createHash("sha256");
  for (const piece of pieces) hash.update(piece);
  const weightsFile = `weights.${hash.digest("hex").slice(0, 16)}.bin`;
  const shape = { dim: [-1, ...imageShape].map((size) => ({ size: String(size) })) };
  nodes.unshift({ name: "images", op: "Placeholder", attr: { dtype: FLOAT, shape: { shape } } });
  const description = {
    format: "graph-model",
    generatedBy: "ResNet Lab",
    signature: { inputs: { images: { name: "images:0" } }, outputs: { output: { name: output } } },
    modelTopology: { node: nodes, versions: { producer: 1087 } },
    weightsManifest: [{ paths: [weightsFile], weights }],
    userDefinedMetadata: graphNotes(model),
  };
  await Deno.mkdir(folder, { recursive: true });
  const before = await weightsOf(folder);
  await writeAtomically(join(folder, weightsFile), pieces);
  const json = new TextEncoder().encode(JSON.stringify(description));
  await writeAtomically(join(folder, "model.json"), [json]);
  // Another writer may have removed them already.
  for (const file of before) {
    if (file !== weightsFile) await Deno.remove(join(folder, file)).catch(() => {});
  }
}

/**
 * The files of weights of the graph model in a folder, as this library names them; none if there is
 * no model.
 */
async function weightsOf(folder: string): Promise<string[]> {
  const text = await Deno.readTextFile(join(folder, "model.json")).catch(() => "{}");
  try {
    const paths: unknown[] = JSON.parse(text).weightsManifest[0].paths;
    return paths.filter((path) => typeof path === "string")
      .filter((path) => /^weights(\.[0-9a-f]{16})?\.bin$/.test(path));
  } catch {
    return []; // Another program's file.
  }
}

const doing = "Writing a graph model";

/** The nodes and weights of a computation, given for a batch of one and for one of two. */
function graphOf(one: KernelTrace, two: KernelTrace) {
  const nodes: object[] = [], weights: object[] = [], pieces: Uint8Array[] = [];
  const constant = (name: string, shape: readonly number[], dtype: string, bytes: Uint8Array) => {
    nodes.push({
      name,
      op: "Const",
      attr: { dtype: dtype === "int32" ? INT : FLOAT },
    });
    weights.push({ name, shape, dtype });
    pieces.push(bytes);
    return name;
  };
  const nameOf = ([value, output]: TracedOutput) => {
    const name = value === 0 ? "images" : `value_${value}`;
    return output === 0 ? name : `${name}:${output}`;
  };
  const outline = ({ values }: KernelTrace) =>
    values.map((value) =>
      value.kind === "kernel"
        ? [value.name, value.inputs]
        : value.kind === "constant" && value.shape
    );
  if (JSON.stringify(outline(one)) !== JSON.stringify(outline(two))) throw dependsOnBatch();
  one.values.forEach((value, i) => {
    const other = two.values[i]!, name = `value_${i}`;
    if (value.kind === "constant" && other.kind === "constant") {
      if (Buffer.compare(value.bytes, other.bytes) !== 0) throw dependsOnBatch();
      constant(name, value.shape, value.dtype, value.bytes);
    }
    if (value.kind !== "kernel" || other.kind !== "kernel") return;
    const make = NODES[value.name];
    if (!make) {
      throw new RangeError(`${doing}: there is no counterpart of the kernel ${value.name}.`);
    }
    const { op, inputs, attributes } = make(
      forAnyBatch(value.name, value.attributes, other.attributes),
      Object.keys(value.inputs),
    );
    const input = inputs.map((from, k) => {
      if (typeof from === "string") return nameOf(value.inputs[from]!);
      const numbers: readonly number[] = from.flat();
      const whole = numbers.every((x) => Math.abs(x) < 2 ** 31 && Number.isInteger(x));
      const data = whole ? Int32Array.from(numbers) : Float32Array.from(numbers);
      const shape = from.length === numbers.length ? [from.length] : [from.length, 2];
      return constant(
        `${name}_${k}`,
        shape,
        whole ? "int32" : "float32",
        new Uint8Array(data.buffer),
      );
    });
    nodes.push({ name, op, input, attr: { T: FLOAT, ...attributes } });
  });
  return { nodes, weights, pieces, output: nameOf(one.output) };
}

/**
 * The attributes of a kernel for any batch: in a shape, −1, which is what is left, stands for the
 * size that is twice as large.
 */
function forAnyBatch(name: string, one: Attributes, two: Attributes): Attributes {
  const key = { Reshape: "shape", Slice: "size" }[name];
  if (key === undefined || String(one[key]) === String(two[key])) {
    if (JSON.stringify(one) !== JSON.stringify(two)) throw dependsOnBatch();
    return one;
  }
  const sizes = one[key].map((size: number, axis: number) => {
    if (size === two[key][axis]) return size;
    if (2 * size !== two[key][axis]) throw dependsOnBatch();
    return -1;
  });
  if (sizes.filter((size: number) => size === -1).length > 1) throw dependsOnBatch();
  return { ...one, [key]: sizes };
}

function dependsOnBatch(): RangeError {
  return new RangeError(
    `${doing}: the forward pass must be the same for any batch, found one that is not.`,
  );
}
