/**
 * TensorFlow's format of a graph, built node by node. `compile` runs one
 * ({@linkcode GraphSession}), and `writeGraphModel` writes one as JSON.
 */
import type { Values } from "./types.ts";

/** TensorFlow's ids of the types that a graph model has, with their names in JSON. */
export const DT_FLOAT = 1, DT_INT32 = 3;
const TYPE_NAMES: Readonly<Record<number, string>> = {
  [DT_FLOAT]: "DT_FLOAT",
  [DT_INT32]: "DT_INT32",
};

/**
 * The version of TensorFlow's graph format. TensorFlow treats a graph without one as the oldest
 * version.
 */
export const PRODUCER = 1087;

/** An attribute of a node, under TensorFlow's names: string, integer, float, boolean and so on. */
export type AttrValue =
  | { readonly s: string }
  | { readonly i: number }
  | { readonly f: number }
  | { readonly b: boolean }
  | { readonly type: number }
  | { readonly shape: readonly number[] }
  | { readonly tensor: { dtype: number; shape: readonly number[]; values: Values } }
  | { readonly list: { i?: readonly number[]; f?: readonly number[]; s?: readonly string[] } };

/** The attributes of a node by name. */
export type Attributes = Readonly<Record<string, AttrValue>>;

/** A node of a graph: an op, and the names of the outputs of other nodes that are its inputs. */
export interface NodeDef {
  readonly name: string;
  readonly op: string;
  readonly input: readonly string[];
  readonly attr: Attributes;
}

/** A graph that grows node by node. */
export class GraphDef {
  readonly nodes: NodeDef[] = [];

  /**
   * Adds a node, and returns its name: that of its first output. The others are `name:1` and so on.
   */
  add(
    op: string,
    input: readonly string[],
    attr: Attributes,
    name: string = `node_${this.nodes.length + 1}`,
  ): string {
    this.nodes.push({ name, op, input, attr });
    return name;
  }

  /** Adds a value that is passed in at each run. */
  addPlaceholder(dtype: number, shape: readonly number[], name?: string): string {
    return this.add("Placeholder", [], { dtype: { type: dtype }, shape: { shape } }, name);
  }

  /** Adds a value that is the same at each run. */
  addConstant(dtype: number, shape: readonly number[], values: Values): string {
    const tensor = { dtype, shape, values: values.slice() };
    return this.add("Const", [], { dtype: { type: dtype }, value: { tensor } });
  }

  /**
   * Returns the nodes as text. Two graphs that compute the same in the same order have the same.
   */
  toText(): string[] {
    return this.nodes.map(({ op, input, attr }) => {
      if (!("value" in attr && "tensor" in attr.value)) {
        return `${op} ${input} ${JSON.stringify(attr)}`;
      }
      const { dtype, shape, values } = attr.value.tensor;
      return `${op} ${dtype} [${shape}] ${valuesText(values)}`;
    });
  }

  /** Returns the graph as TensorFlow writes it in JSON. */
  toJSON(): object {
    const nodes = this.nodes.map(({ name, op, input, attr }) => ({
      name,
      op,
      ...(input.length > 0 && { input }),
      attr: Object.fromEntries(Object.entries(attr).map(([key, value]) => [key, attrJson(value)])),
    }));
    return { node: nodes, versions: { producer: PRODUCER } };
  }
}

/** Returns a few values as they are, or the first ones with a checksum (FNV-1a) of all. */
function valuesText(values: Values): string {
  if (values.length <= 4) return `${[...values]}`;
  const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
  let checksum = 0x811c9dc5;
  for (const byte of bytes) checksum = Math.imul(checksum ^ byte, 0x01000193);
  return `${[...values.subarray(0, 4)]},… ${checksum}`;
}

/** Returns an attribute in JSON, where 64-bit integers are strings and strings are in Base64. */
function attrJson(attr: AttrValue): object {
  if ("s" in attr) return { s: btoa(attr.s) };
  if ("i" in attr) return { i: String(attr.i) };
  if ("type" in attr) return { type: TYPE_NAMES[attr.type] };
  if ("shape" in attr) {
    return { shape: { dim: attr.shape.map((size) => ({ size: String(size) })) } };
  }
  if ("list" in attr) {
    const { i, f, s } = attr.list;
    return {
      list: { ...(i && { i: i.map(String) }), ...(f && { f }), ...(s && { s: s.map(btoa) }) },
    };
  }
  return attr;
}
