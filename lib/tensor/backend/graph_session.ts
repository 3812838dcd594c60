/**
 * Runs a graph as a whole: TensorFlow fuses its ops where it can, and frees or reuses each value
 * after its last use.
 */
import { availableParallelism } from "node:os";
import { join } from "node:path";
// @ts-types="./saved_model.d.ts"
import messages from "@tensorflow/tfjs-node-gpu/dist/proto/api_pb.js";
import { type AttrValue, type GraphDef, type NodeDef, PRODUCER } from "./graph_def.ts";
import type { Binding, NativeTensor } from "./types.ts";

const THREADS = Number(Deno.env.get("TF_NUM_INTRAOP_THREADS")) || availableParallelism();

/**
 * A graph runs on one thread if its largest op has at most so many multiplications, as estimated.
 * Sharing an op among n threads saves 1 − 1/n of its time, and has a cost of its own. Measured with
 * two threads on an idle machine: on one, ResNet-20 trains 1.6 times as fast at batch 4 (2.4e6) and
 * LeNet 1.07 times at batch 32 (2.1e6). At batch 64 (4.3e6) LeNet would take 1.2 times as long.
 */
const MAX_ON_ONE_THREAD = 1.5e6 / (1 - 1 / THREADS);

/** Frees the sessions of graphs that nothing can reach any more. */
const unreachable = new FinalizationRegistry<() => void>((free) => free());

/** A graph that TensorFlow loads at its first run. It is freed by `free`, or when unreachable. */
export class GraphSession {
  readonly #addon: Binding;
  readonly #onOneThread: boolean;
  #graph: GraphDef | undefined;
  #id: number | undefined;

  /** @param largestOp The multiplications of the largest convolution or matrix product. */
  constructor(addon: Binding, graph: GraphDef, largestOp: number) {
    this.#addon = addon;
    this.#graph = graph;
    this.#onOneThread = largestOp <= MAX_ON_ONE_THREAD;
  }

  /**
   * Runs the graph on tensors by their ids; `inputs` and `outputs` are names with commas between.
   */
  run(ids: number[], inputs: string, outputs: string): NativeTensor[] {
    const addon = this.#addon;
    if (this.#graph) {
      const id = this.#id = load(addon, this.#graph, this.#onOneThread);
      unreachable.register(this, () => addon.deleteSavedModel(id), this);
      this.#graph = undefined;
    }
    return addon.runSavedModel(this.#id!, ids, inputs, outputs);
  }

  free(): void {
    unreachable.unregister(this);
    if (this.#id !== undefined) this.#addon.deleteSavedModel(this.#id);
    this.#id = this.#graph = undefined;
  }
}

/**
 * TensorFlow's ConfigProto with one `intra_op_parallelism_threads`, one
 * `inter_op_parallelism_threads`, and `use_per_session_threads`. The addon reads it
 * (scripts/addon/session_config.h).
 */
const ONE_THREAD = Uint8Array.of(2 << 3, 1, 5 << 3, 1, 9 << 3, 1);

/** Has TensorFlow load a graph, and returns the id of its session. */
function load(addon: Binding, { nodes }: GraphDef, onOneThread: boolean): number {
  const graph = new messages.GraphDef(), versions = new messages.VersionDef();
  for (const node of nodes) graph.addNode(nodeMessage(node));
  versions.setProducer(PRODUCER);
  graph.setVersions(versions);
  const info = new messages.MetaGraphDef.MetaInfoDef();
  info.setTagsList(["serve"]);
  const metaGraph = new messages.MetaGraphDef();
  metaGraph.setMetaInfoDef(info);
  metaGraph.setGraphDef(graph);
  const model = new messages.SavedModel();
  model.setSavedModelSchemaVersion(1);
  model.setMetaGraphsList([metaGraph]);
  // The addon loads graphs from folders only.
  const folder = Deno.makeTempDirSync({ prefix: "resnet_lab_" });
  try {
    Deno.writeFileSync(join(folder, "saved_model.pb"), model.serializeBinary());
    if (onOneThread) Deno.writeFileSync(join(folder, "session_config.pb"), ONE_THREAD);
    return addon.loadSavedModel(folder, "serve");
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
}

function nodeMessage({ name, op, input, attr }: NodeDef) {
  const node = new messages.NodeDef();
  node.setName(name);
  node.setOp(op);
  node.setInputList([...input]);
  for (const [key, value] of Object.entries(attr)) node.getAttrMap().set(key, attrMessage(value));
  return node;
}

function attrMessage(attr: AttrValue) {
  const result = new messages.AttrValue();
  if ("s" in attr) result.setS(toBytes(attr.s));
  else if ("i" in attr) result.setI(attr.i);
  else if ("f" in attr) result.setF(attr.f);
  else if ("b" in attr) result.setB(attr.b);
  else if ("type" in attr) result.setType(attr.type);
  else if ("shape" in attr) result.setShape(shapeMessage(attr.shape));
  else if ("tensor" in attr) {
    const { dtype, shape, values } = attr.tensor, tensor = new messages.Tensor();
    tensor.setDtype(dtype);
    tensor.setTensorShape(shapeMessage(shape));
    const { buffer, byteOffset, byteLength } = values;
    tensor.setTensorContent(new Uint8Array(buffer, byteOffset, byteLength));
    result.setTensor(tensor);
  } else {
    const { i, f, s } = attr.list, list = new messages.AttrValue.ListValue();
    if (i) list.setIList(i);
    if (f) list.setFList(f);
    if (s) list.setSList(s.map(toBytes));
    result.setList(list);
  }
  return result;
}

function toBytes(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

function shapeMessage(shape: readonly number[]) {
  const result = new messages.TensorShape();
  result.setDimList(shape.map((size) => {
    const dimension = new messages.TensorShape.Dim();
    dimension.setSize(size);
    return dimension;
  }));
  return result;
}
