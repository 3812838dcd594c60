import { createHash } from "node:crypto";
import { join } from "node:path";
import { type Features, type Images, ops, Random, type Tensor, tidy } from "../tensor/mod.ts";
import {
  type Attributes,
  type AttrValue,
  checkBoolean,
  checkOneOf,
  checkOptions,
  checkPath,
  DT_FLOAT,
  DT_INT32,
  GraphDef,
  type KernelTrace,
  type TracedOutput,
  traceKernels,
} from "../tensor/internal.ts";
import { type AnyModule, type Module, onForward } from "../nn/mod.ts";
import { checkInputShape, checkModule } from "../nn/checks.ts";
import { checkClassNames } from "../data/checks.ts";
import { writeAtomically } from "../data/files.ts";
import { transformOf } from "../data/model_transform.ts";
import { trainingDataOf } from "../data/training_data.ts";
import { applyTransform, type InputTransform } from "../data/transforms.ts";
import { foldTrace, usedValues } from "./graph_folding.ts";
import { graphNotes } from "./tensor_notes.ts";

/** The options of a kernel of TensorFlow.js, which differ from kernel to kernel. */
// deno-lint-ignore no-explicit-any
type KernelAttributes = any;

/**
 * A node of TensorFlow's graph that stands for a kernel. An input is the role of an input of the
 * kernel, or numbers that become a constant.
 */
interface Node {
  readonly op: string;
  readonly inputs: readonly (string | readonly number[] | readonly (readonly number[])[])[];
  readonly attributes?: Attributes;
}

const FLOAT: AttrValue = { type: DT_FLOAT }, INT: AttrValue = { type: DT_INT32 };
const NHWC: AttrValue = { s: "NHWC" };
const window = (value: number | readonly number[]): AttrValue => {
  const [height, width] = typeof value === "number" ? [value, value] : value;
  return { list: { i: [1, height!, width!, 1] } };
};
const pool = (op: string) => ({ filterSize, strides, pad }: KernelAttributes): Node => ({
  op,
  inputs: ["x"],
  attributes: {
    ksize: window(filterSize),
    strides: window(strides),
    padding: { s: pad.toUpperCase() },
  },
});
const convolution = ({ strides, pad, dilations }: KernelAttributes): Attributes => ({
  strides: window(strides),
  dilations: window(dilations),
  padding: { s: pad.toUpperCase() },
  data_format: NHWC,
});
const withoutAttributes = (op: string, ...inputs: string[]) => (): Node => ({ op, inputs });

/** TensorFlow's op for each kernel of TensorFlow.js that the networks here call in inference. */
const NODES: Readonly<
  Record<string, (attributes: KernelAttributes, roles: readonly string[]) => Node>
> = {
  Add: withoutAttributes("AddV2", "a", "b"),
  ResnetLabSum: withoutAttributes("AddV2", "a", "b"),
  ResnetLabBiasSum: withoutAttributes("AddV2", "x", "bias"),
  ResnetLabLimitGradient: withoutAttributes("Identity", "x"),
  Sub: withoutAttributes("Sub", "a", "b"),
  Multiply: withoutAttributes("Mul", "a", "b"),
  RealDiv: withoutAttributes("RealDiv", "a", "b"),
  Identity: withoutAttributes("Identity", "x"),
  Minimum: withoutAttributes("Minimum", "a", "b"),
  Relu: withoutAttributes("Relu", "x"),
  Sigmoid: withoutAttributes("Sigmoid", "x"),
  Tanh: withoutAttributes("Tanh", "x"),
  Erf: withoutAttributes("Erf", "x"),
  Softmax: withoutAttributes("Softmax", "logits"),
  // TensorFlow.js casts the output of pooling to the type of its input, float32 here.
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
      ...{ fused_ops: { list: { s: ["BiasAdd"] } }, num_args: { i: 1 } },
    },
  }),
  FusedBatchNorm: ({ varianceEpsilon }) => ({
    op: "FusedBatchNormV3",
    inputs: ["x", "scale", "offset", "mean", "variance"],
    attributes: { epsilon: { f: varianceEpsilon }, data_format: NHWC },
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
      depth_radius: { i: depthRadius },
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
    attributes: { N: { i: roles.length } },
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
    attributes: { num_split: { i: numOrSizeSplits } },
  }),
  Slice: ({ begin, size }) => ({ op: "Slice", inputs: ["x", begin, size] }),
  Transpose: ({ perm }) => ({ op: "Transpose", inputs: ["x", perm] }),
};

/** The options of {@linkcode writeGraphModel}. */
export interface GraphModelOptions {
  /**
   * Whether the graph begins with the transform that the model was trained with, so that its input
   * is pixels from 0 to 1.
   *
   * @default false
   */
  transform?: boolean;
  /**
   * Whether the graph ends with a softmax, so that its output is probabilities.
   *
   * @default false
   */
  softmax?: boolean;
  /**
   * The names of the classes, which `userDefinedMetadata.classNames` in `model.json` lists.
   *
   * @default those of the data set that the model was trained on, if it was
   */
  classNames?: readonly string[];
  /**
   * Whether batch norms become part of the convolutions before them, where that is possible; see
   * {@linkcode foldBatchNorm}. The model does not change.
   *
   * @default false
   */
  foldBatchNorm?: boolean;
  /**
   * The type in which the weights are stored. `"float16"` takes half the bytes and keeps three
   * significant digits; the network computes in float32.
   *
   * @default "float32"
   */
  weightType?: "float32" | "float16";
}

/**
 * Writes a model as TensorFlow.js's graph model: `model.json` and a file of weights in a folder.
 * `tf.loadGraphModel` loads it in a browser or a server without this library. Its input is images
 * `[batch, height, width, channels]` for any batch, its output the result of `forward` in
 * inference.
 *
 * The graph holds for images of this size. Two forward passes, of one and of two images, show which
 * shapes depend on the batch.
 *
 * The file of weights is named by its content, `weights.0123456789abcdef.bin`, and `model.json` is
 * written last. A folder that has a model thus holds the old or the new one, whole, at any time.
 *
 * Unless `transform` is true, the graph begins after the transform that the model was trained with:
 * its input is transformed images. `userDefinedMetadata.transform` in `model.json` then describes
 * the transform, or says `custom` for a function of the user's own.
 *
 * The page “Live networks” of the book explains the model of a folder that is dropped on it: with
 * all feature maps, the pixels that a unit sees, and the products behind its value.
 *
 * @param imageShape Height, width and channels of the images.
 * @throws {RangeError} If a layer does not fit, or the forward pass calls a kernel that has no
 * counterpart here, or is not the same for another batch. If the model has no transform or its
 * output no classes where an option needs them, or a weight is too large for float16.
 * @throws {TypeError} If the model is not a module, the folder is not a path, or an option does not
 * exist or is of the wrong kind.
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
 * // In a browser: await tf.loadGraphModel("folder/model.json")
 * assert.equal(format, "graph-model");
 * await Deno.remove(folder, { recursive: true });
 * ```
 */
export async function writeGraphModel<Channels extends number>(
  folder: string,
  model: Module<Images<Channels>, Tensor>,
  imageShape: readonly [height: number, width: number, channels: Channels],
  options: GraphModelOptions = {},
): Promise<void> {
  checkPath(ACTION, "folder", folder, "my_model");
  checkModule(ACTION, "the model", model);
  checkInputShape(ACTION, imageShape);
  checkGraphOptions(options);
  const { transform = false, softmax = false, weightType = "float32" } = options;
  const classNames = options.classNames ?? trainingDataOf(model)?.classNames;
  const prepare = transform ? ownTransform(model) : undefined;
  const outputOf = (images: Images<Channels>): Tensor => {
    const inputs = prepare ? applyTransform(ACTION, prepare, images, new Random(0)) : images;
    const output = onForward(model, inputs as Images<Channels>, () => {});
    if (options.classNames || softmax) checkClasses(output, options.classNames);
    return softmax ? ops.softmax(output as Features) : output;
  };
  const traceOf = (batch: number): KernelTrace => {
    let trace: KernelTrace | undefined;
    tidy(() => {
      trace = traceKernels(ops.zeros([batch, ...imageShape]), outputOf);
    });
    return options.foldBatchNorm ? foldTrace(trace!) : trace!;
  };
  const { graph, weights, pieces, output } = graphOf(
    traceOf(1),
    traceOf(2),
    imageShape,
    weightType === "float16",
  );
  const notes = { ...(transform ? {} : graphNotes(model)), ...(classNames && { classNames }) };
  const hash = createHash("sha256");
  for (const piece of pieces) hash.update(piece);
  const weightsFile = `weights.${hash.digest("hex").slice(0, 16)}.bin`;
  const description = {
    format: "graph-model",
    generatedBy: "ResNet Lab",
    signature: { inputs: { images: { name: "images:0" } }, outputs: { output: { name: output } } },
    modelTopology: graph,
    weightsManifest: [{ paths: [weightsFile], weights }],
    userDefinedMetadata: Object.keys(notes).length > 0 ? notes : undefined,
  };
  await Deno.mkdir(folder, { recursive: true });
  const oldFiles = await weightFiles(folder);
  await writeAtomically(join(folder, weightsFile), pieces);
  const json = new TextEncoder().encode(JSON.stringify(description));
  await writeAtomically(join(folder, "model.json"), [json]);
  // Another writer may have removed them already.
  for (const file of oldFiles) {
    if (file !== weightsFile) await Deno.remove(join(folder, file)).catch(() => {});
  }
}

/** Returns the files of weights of the graph model in a folder that this library has named. */
async function weightFiles(folder: string): Promise<string[]> {
  const text = await Deno.readTextFile(join(folder, "model.json")).catch(() => "{}");
  try {
    const paths: unknown[] = JSON.parse(text).weightsManifest[0].paths;
    return paths.filter((path) => typeof path === "string")
      .filter((path) => /^weights(\.[0-9a-f]{16})?\.bin$/.test(path));
  } catch {
    return []; // Another program's file.
  }
}

const ACTION = "Writing a graph model";

function checkGraphOptions(options: GraphModelOptions): void {
  checkOptions<GraphModelOptions>(ACTION, options, "{ softmax: true }", {
    transform: true,
    softmax: true,
    classNames: true,
    foldBatchNorm: true,
    weightType: true,
  });
  const { transform = false, softmax = false, foldBatchNorm = false, classNames } = options;
  for (const [name, value] of Object.entries({ transform, softmax, foldBatchNorm })) {
    checkBoolean(ACTION, name, value);
  }
  if (classNames !== undefined) checkClassNames(ACTION, "classNames", classNames);
  const { weightType = "float32" } = options;
  checkOneOf(ACTION, "weightType", weightType, ["float32", "float16"]);
}

/** Returns the transform that a model was trained with. */
function ownTransform(model: AnyModule): InputTransform {
  const transform = transformOf(model);
  if (transform) return transform;
  throw new RangeError(
    `${ACTION}: with transform the model must have one, found none. fit leaves its transform with the model.`,
  );
}

/** Checks that an output is of classes, as many as there are names. */
function checkClasses({ shape }: Tensor, names: readonly string[] | undefined): void {
  if (shape.length === 2 && (names === undefined || names.length === shape[1])) return;
  throw new RangeError(
    `${ACTION}: the output of the model must be [batch, ${
      names ? `${names.length} classes` : "classes"
    }], found [${shape}].`,
  );
}

/** Returns the graph and weights of a computation, from traces of a batch of one and of two. */
function graphOf(
  one: KernelTrace,
  two: KernelTrace,
  imageShape: readonly number[],
  isHalf: boolean,
) {
  const graph = new GraphDef(), weights: object[] = [], pieces: Uint8Array[] = [];
  graph.addPlaceholder(DT_FLOAT, [-1, ...imageShape], "images");
  /** Adds a constant whose values are in the file of weights, in float16 if `half` says so. */
  const addWeight = (
    name: string,
    shape: readonly number[],
    dtype: string,
    bytes: Uint8Array,
    half: boolean,
  ) => {
    if (half && dtype === "float32") {
      weights.push({ name, shape, dtype, quantization: { dtype: "float16" } });
      pieces.push(halfOf(bytes));
    } else {
      weights.push({ name, shape, dtype });
      pieces.push(bytes);
    }
    return graph.add("Const", [], { dtype: dtype === "int32" ? INT : FLOAT }, name);
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
  const used = usedValues(one);
  one.values.forEach((value, i) => {
    if (!used.has(i)) return;
    const other = two.values[i]!, name = `value_${i}`;
    if (value.kind === "constant" && other.kind === "constant") {
      if (value.bytes.some((byte, k) => byte !== other.bytes[k])) throw dependsOnBatch();
      addWeight(name, value.shape, value.dtype, value.bytes, isHalf);
    }
    if (value.kind !== "kernel" || other.kind !== "kernel") return;
    const make = NODES[value.name];
    if (!make) {
      throw new RangeError(
        `${ACTION}: each kernel of the forward pass must have a counterpart in TensorFlow's graphs, found ${value.name}.`,
      );
    }
    const { op, inputs, attributes } = make(
      forAnyBatch(value.name, value.attributes, other.attributes),
      Object.keys(value.inputs),
    );
    const names = inputs.map((input, k) => {
      if (typeof input === "string") return nameOf(value.inputs[input]!);
      const numbers: readonly number[] = input.flat();
      const isWhole = numbers.every((x) => Math.abs(x) < 2 ** 31 && Number.isInteger(x));
      const data = isWhole ? Int32Array.from(numbers) : Float32Array.from(numbers);
      const shape = input.length === numbers.length ? [input.length] : [input.length, 2];
      const dtype = isWhole ? "int32" : "float32";
      // An option of the kernel, such as the −∞ around the images of max pooling, is no weight.
      return addWeight(`${name}_${k}`, shape, dtype, new Uint8Array(data.buffer), false);
    });
    graph.add(op, names, { T: FLOAT, ...attributes }, name);
  });
  return { graph, weights, pieces, output: nameOf(one.output) };
}

/** Returns float32 numbers as float16, whose largest number is 65,504. */
function halfOf(bytes: Uint8Array): Uint8Array {
  const numbers = new Float32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
  const large = numbers.find((number) => Math.abs(number) > 65_504);
  if (large !== undefined) {
    throw new RangeError(
      `${ACTION}: weights in float16 must be at most 65504, found ${large}. Use weightType "float32".`,
    );
  }
  return new Uint8Array(Float16Array.from(numbers).buffer);
}

/**
 * Returns the attributes of a kernel for any batch: in a shape, a size that grows with the batch
 * becomes −1, which stands for the elements that are left.
 */
function forAnyBatch(name: string, one: KernelAttributes, two: KernelAttributes): KernelAttributes {
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
    `${ACTION}: the forward pass must be the same for any batch, found one that is not.`,
  );
}
