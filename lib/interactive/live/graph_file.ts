/** Reads the files of a graph model that `writeGraphModel` has written. */
import { show } from "../../tensor/internal.ts";
import type { Shape } from "./layer.ts";

/** A file of a reader, such as the `Blob` of a page. */
export interface GraphFile {
  readonly name: string;
  arrayBuffer(): Promise<ArrayBuffer>;
}

/** One output of a node. */
export interface Source {
  readonly node: string;
  readonly output: number;
}

/** A node of a graph, with its attributes as TensorFlow writes them in JSON. */
export interface GraphNode {
  readonly name: string;
  readonly op: string;
  readonly inputs: readonly Source[];
  readonly attributes: Readonly<Record<string, AttributeJson>>;
}

/** An attribute; text is in base64, and whole numbers may be text. */
export interface AttributeJson {
  readonly s?: string;
  readonly i?: string | number;
  readonly f?: number;
  readonly b?: boolean;
  readonly type?: string;
  readonly list?: { readonly s?: readonly string[]; readonly i?: readonly (string | number)[] };
}

/** Numbers of a graph that do not depend on its input. */
export interface GraphConstant {
  readonly shape: readonly number[];
  readonly dtype: "float32" | "int32";
  readonly values: Float32Array | Int32Array;
}

/** A graph model in memory. */
export interface Graph {
  /** The name of the input, and the shape of one picture. */
  readonly input: string;
  readonly shape: Shape;
  readonly output: Source;
  /** The nodes in an order in which they can run. */
  readonly nodes: readonly GraphNode[];
  readonly constants: ReadonlyMap<string, GraphConstant>;
  readonly classNames: readonly string[] | undefined;
  /** The transform that comes before the graph: JSON, or "custom". */
  readonly transform: string | undefined;
}

/** The start of all error messages about the files. */
export const READING = "Reading a graph model";

/** The greatest height and width of pictures. */
export const LARGEST = 256;

/** The parts of `model.json` that are read here. */
interface GraphJson {
  readonly format?: unknown;
  readonly modelTopology?: { readonly node?: readonly NodeJson[] };
  readonly signature?: { readonly outputs?: Readonly<Record<string, { readonly name: string }>> };
  readonly weightsManifest?: readonly {
    readonly paths: readonly string[];
    readonly weights: readonly WeightJson[];
  }[];
  readonly userDefinedMetadata?: { readonly classNames?: unknown; readonly transform?: unknown };
}

interface NodeJson {
  readonly name: string;
  readonly op: string;
  readonly input?: readonly string[];
  readonly attr?: Readonly<Record<string, AttributeJson & { readonly shape?: ShapeJson }>>;
}

interface ShapeJson {
  readonly dim?: readonly { readonly size: string | number }[];
}

interface WeightJson {
  readonly name: string;
  readonly shape: readonly number[];
  readonly dtype: string;
  readonly quantization?: { readonly dtype: string };
}

/**
 * Reads a graph model.
 *
 * @param operations The operations that a graph may have.
 * @throws {RangeError} If a file is missing, or has what is not read here.
 */
export async function readGraph(
  files: readonly GraphFile[],
  operations: readonly string[],
): Promise<Graph> {
  const json = await readJson(files);
  if (json.format !== "graph-model") {
    throw wrong(`the format in model.json must be "graph-model"`, show(json.format), REMEDY);
  }
  const nodes = json.modelTopology?.node, outputs = Object.values(json.signature?.outputs ?? {});
  if (!Array.isArray(nodes) || !Array.isArray(json.weightsManifest)) {
    throw wrong("model.json must have modelTopology.node and weightsManifest", "none", REMEDY);
  }
  if (outputs.length !== 1) throw wrong("the graph must have one output", outputs.length);
  const constants = await readConstants(files, json.weightsManifest);
  const inputs = nodes.filter(({ op }) => op === "Placeholder");
  if (inputs.length !== 1) throw wrong("the graph must have one input", inputs.length);
  const input = inputs[0]!;
  const known = new Set([...operations, "Const", "Placeholder"]);
  for (const { op, name } of nodes) {
    if (known.has(op)) continue;
    throw wrong(
      `each operation must be one that writeGraphModel writes (${operations.join(", ")})`,
      `${op} in the node ${name}`,
    );
  }
  const { classNames, transform } = json.userDefinedMetadata ?? {};
  return {
    input: input.name,
    shape: shapeOf(input),
    output: sourceOf(outputs[0]!.name),
    nodes: sorted(
      nodes.filter(({ op }) => op !== "Const" && op !== "Placeholder"),
      new Set([input.name, ...constants.keys()]),
    ),
    constants,
    classNames: Array.isArray(classNames) ? classNames.map(String) : undefined,
    transform: typeof transform === "string" ? transform : undefined,
  };
}

const REMEDY = "writeGraphModel writes such a folder.";

/** An error about the files: what must be, what was found, and what helps. */
export function wrong(expected: string, found: unknown, remedy = ""): RangeError {
  return new RangeError(`${READING}: ${expected}, found ${found}. ${remedy}`.trim());
}

function fileOf(files: readonly GraphFile[], name: string, why = ""): GraphFile {
  const file = files.find((file) => file.name === name);
  if (file) return file;
  const names = files.map(({ name }) => name).join(", ") || "no file";
  const remedy =
    "Drop the whole folder that writeGraphModel has written, or choose all of its files.";
  throw wrong(`the files must include ${name}${why}`, names, remedy);
}

async function readJson(files: readonly GraphFile[]): Promise<GraphJson> {
  const bytes = await fileOf(files, "model.json").arrayBuffer();
  let json: unknown;
  try {
    json = JSON.parse(new TextDecoder().decode(bytes));
  } catch (cause) {
    throw wrong("model.json must be JSON", cause instanceof Error ? cause.message : cause, REMEDY);
  }
  if (typeof json === "object" && json !== null) return json;
  throw wrong("model.json must be an object", show(json), REMEDY);
}

/** Reads the weights, which are in the files of each group one after the other. */
async function readConstants(
  files: readonly GraphFile[],
  manifest: NonNullable<GraphJson["weightsManifest"]>,
): Promise<Map<string, GraphConstant>> {
  const constants = new Map<string, GraphConstant>();
  for (const { paths, weights } of manifest) {
    const shards = await Promise.all(paths.map((path) => {
      const name = path.split("/").at(-1)!;
      return fileOf(files, name, ", which model.json names").arrayBuffer();
    }));
    const sizes = weights.map(({ name, shape, dtype, quantization }) => {
      const isKnown = dtype === "int32" ? quantization === undefined : dtype === "float32";
      if (!isKnown || (quantization && quantization.dtype !== "float16")) {
        const found = quantization ? `${dtype} stored as ${quantization.dtype}` : dtype;
        throw wrong(`the weight ${name} must be float32, float16 or int32`, found);
      }
      return shape.reduce((size, axis) => size * axis, 1) * (quantization ? 2 : 4);
    });
    const expected = sum(sizes), found = sum(shards.map(({ byteLength }) => byteLength));
    if (expected !== found) {
      throw wrong(
        `the weights in ${paths.join(", ")} must have ${expected} bytes`,
        found,
        "The files may be of two models.",
      );
    }
    const bytes = new Uint8Array(await new Blob(shards).arrayBuffer());
    let start = 0;
    weights.forEach(({ name, shape, dtype, quantization }, i) => {
      // A copy, because numbers in an array of them must not start at any byte.
      const { buffer } = bytes.slice(start, start += sizes[i]!);
      const values = dtype === "int32"
        ? new Int32Array(buffer)
        : quantization
        ? Float32Array.from(new Uint16Array(buffer), fromHalf)
        : new Float32Array(buffer);
      constants.set(name, { shape, dtype: dtype as GraphConstant["dtype"], values });
    });
  }
  return constants;
}

/** Returns the number of the bits of a float16. Not all browsers have Float16Array. */
function fromHalf(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1, exponent = bits >> 10 & 31, fraction = bits & 1023;
  if (exponent === 31) return fraction ? NaN : sign * Infinity;
  return exponent === 0
    ? sign * fraction * 2 ** -24
    : sign * (1024 + fraction) * 2 ** (exponent - 25);
}

function shapeOf({ attr }: NodeJson): Shape {
  const type = attr?.dtype?.type, dims = attr?.shape?.shape?.dim?.map(({ size }) => Number(size));
  const [batch, height = 0, width = 0, channels = 0] = dims ?? [];
  const isSize = (size: number) => size >= 1 && size <= LARGEST;
  const fits = type === "DT_FLOAT" && dims?.length === 4 && batch === -1 && isSize(height) &&
    isSize(width) && (channels === 1 || channels === 3);
  if (fits) return [height, width, channels];
  throw wrong(
    "the input must be DT_FLOAT images [-1, height, width, channels] of at most " +
      `${LARGEST}×${LARGEST} pixels with 1 or 3 channels`,
    `${type} [${dims?.join(", ")}]`,
  );
}

function sourceOf(name: string): Source {
  const [node = "", output = "0"] = name.split(":");
  return { node, output: Number(output) };
}

/** Returns the nodes in an order in which they can run. */
function sorted(nodes: readonly NodeJson[], ready: Set<string>): GraphNode[] {
  const order: GraphNode[] = [];
  let open = nodes.map(({ name, op, input = [], attr = {} }): GraphNode => ({
    ...{ name, op, inputs: input.map(sourceOf), attributes: attr },
  }));
  while (open.length > 0) {
    const waiting = open.filter((node) => {
      const isReady = node.inputs.every((input) => ready.has(input.node));
      if (isReady) ready.add(node.name), order.push(node);
      return !isReady;
    });
    if (waiting.length === open.length) {
      const { name, inputs } = open[0]!;
      const missing = inputs.find(({ node }) => !ready.has(node))!.node;
      throw wrong(`the inputs of the node ${name} must be other nodes`, show(missing));
    }
    open = waiting;
  }
  return order;
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
