/**
 * A graph of TensorFlow ops, which TensorFlow runs as a whole: it fuses what it can, and frees or
 * reuses each value after its last use.
 */
import { join } from "node:path";
// @ts-types="./saved_model.d.ts"
import messages from "@tensorflow/tfjs-node-gpu/dist/proto/api_pb.js";
import type { Binding, NativeTensor, OpAttribute } from "./binding.d.ts";

/** Sessions of graphs that nothing can reach any more are freed. */
const unreachable = new FinalizationRegistry<() => void>((free) => free());

/** A graph that is loaded at its first run. It is freed with `free`, or when it is unreachable. */
export class Session {
  readonly #binding: Binding;
  #graph: Graph | undefined;
  #number: number | undefined;

  constructor(binding: Binding, graph: Graph) {
    this.#binding = binding;
    this.#graph = graph;
  }

  /**
   * Runs the graph on tensors by their numbers; inputs and outputs are names with commas between.
   */
  run(ids: number[], inputs: string, outputs: string): NativeTensor[] {
    const binding = this.#binding;
    if (this.#graph) {
      const number = this.#number = this.#graph.load();
      unreachable.register(this, () => binding.deleteSavedModel(number), this);
      this.#graph = undefined;
    }
    return binding.runSavedModel(this.#number!, ids, inputs, outputs);
  }

  free(): void {
    unreachable.unregister(this);
    if (this.#number !== undefined) this.#binding.deleteSavedModel(this.#number);
    this.#number = this.#graph = undefined;
  }
}

/** A computation that grows node by node. Nodes and their outputs go by names. */
export class Graph {
  /** Each node in order, as text: a graph that does the same has the same steps. */
  readonly steps: string[] = [];
  readonly #graph = new messages.GraphDef();
  readonly #binding: Binding;
  #nodes = 0;

  constructor(binding: Binding) {
    this.#binding = binding;
    const versions = new messages.VersionDef();
    versions.setProducer(1087); // where unknown versions would count as the oldest
    this.#graph.setVersions(versions);
  }

  /** A value that is given at each run. */
  placeholder(dtype: number, shape: readonly number[]): string {
    const node = this.#add("Placeholder", [], `Placeholder ${dtype} [${shape}]`);
    node.getAttrMap().set("dtype", typeValue(dtype));
    node.getAttrMap().set("shape", shapeValue(shape));
    return this.#name;
  }

  /** A value that is always the same. */
  constant(dtype: number, shape: readonly number[], values: ArrayBufferView): string {
    const tensor = new messages.Tensor();
    tensor.setDtype(dtype);
    tensor.setTensorShape(toShape(shape));
    const { buffer, byteOffset, byteLength } = values;
    tensor.setTensorContent(new Uint8Array(buffer, byteOffset, byteLength).slice());
    const value = new messages.AttrValue();
    value.setTensor(tensor);
    const node = this.#add("Const", [], `Const ${dtype} [${shape}] ${valuesText(values)}`);
    node.getAttrMap().set("dtype", typeValue(dtype));
    node.getAttrMap().set("value", value);
    return this.#name;
  }

  /** What an op makes of values; its first output. The others are `name:1`, `name:2` and so on. */
  op(op: string, attributes: readonly OpAttribute[], inputs: string[]): string {
    const node = this.#add(op, inputs, `${op} ${inputs} ${JSON.stringify(attributes)}`);
    for (const attribute of attributes) {
      node.getAttrMap().set(attribute.name, this.#attribute(attribute));
    }
    return this.#name;
  }

  /** Has TensorFlow load the graph; the number of the session, which runs it. */
  load(): number {
    const info = new messages.MetaGraphDef.MetaInfoDef();
    info.setTagsList(["serve"]);
    const metaGraph = new messages.MetaGraphDef();
    metaGraph.setMetaInfoDef(info);
    metaGraph.setGraphDef(this.#graph);
    const model = new messages.SavedModel();
    model.setSavedModelSchemaVersion(1);
    model.setMetaGraphsList([metaGraph]);
    // The addon loads graphs from folders only.
    const folder = Deno.makeTempDirSync({ prefix: "resnet_lab_" });
    try {
      Deno.writeFileSync(join(folder, "saved_model.pb"), model.serializeBinary());
      return this.#binding.loadSavedModel(folder, "serve");
    } finally {
      Deno.removeSync(folder, { recursive: true });
    }
  }

  /** The name of the last node. */
  get #name(): string {
    return `node_${this.#nodes}`;
  }

  #add(op: string, inputs: string[], step: string) {
    this.steps.push(step);
    this.#nodes++;
    const node = new messages.NodeDef();
    node.setName(this.#name);
    node.setOp(op);
    node.setInputList(inputs);
    this.#graph.addNode(node);
    return node;
  }

  #attribute({ name, type, value }: OpAttribute) {
    const b = this.#binding, result = new messages.AttrValue();
    if (type === b.TF_ATTR_STRING && typeof value === "string") {
      result.setS(new TextEncoder().encode(value));
    } else if (type === b.TF_ATTR_BOOL && typeof value === "boolean") result.setB(value);
    else if (type === b.TF_ATTR_TYPE && typeof value === "number") result.setType(value);
    else if (type === b.TF_ATTR_SHAPE && isNumbers(value)) return shapeValue(value);
    else if (type === b.TF_ATTR_INT && typeof value === "number") result.setI(value);
    else if (type === b.TF_ATTR_FLOAT && typeof value === "number") result.setF(value);
    else if (isNumbers(value) && (type === b.TF_ATTR_INT || type === b.TF_ATTR_FLOAT)) {
      const list = new messages.AttrValue.ListValue();
      if (type === b.TF_ATTR_INT) list.setIList(value);
      else list.setFList(value);
      result.setList(list);
    } else throw new TypeError(`Making a graph: the attribute ${name} has no counterpart in it.`);
    return result;
  }
}

/** A few values as they are, and a checksum (FNV-1a) of all. */
function valuesText(values: ArrayBufferView): string {
  const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
  let checksum = 0x811c9dc5;
  for (const byte of bytes) checksum = Math.imul(checksum ^ byte, 0x01000193);
  const numbers = values instanceof DataView ? bytes : values as unknown as Float32Array;
  return numbers.length <= 4 ? `${[...numbers]}` : `${[...numbers.subarray(0, 4)]},… ${checksum}`;
}

function isNumbers(value: unknown): value is readonly number[] {
  return Array.isArray(value) && value.every((element) => typeof element === "number");
}

function typeValue(dtype: number) {
  const result = new messages.AttrValue();
  result.setType(dtype);
  return result;
}

function shapeValue(shape: readonly number[]) {
  const result = new messages.AttrValue();
  result.setShape(toShape(shape));
  return result;
}

function toShape(shape: readonly number[]) {
  const result = new messages.TensorShape();
  result.setDimList(shape.map((size) => {
    const dimension = new messages.TensorShape.Dim();
    dimension.setSize(size);
    return dimension;
  }));
  return result;
}
