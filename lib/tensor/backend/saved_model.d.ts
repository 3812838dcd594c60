/**
 * Types for the Protocol Buffers messages of TensorFlow that the library uses. TensorFlow.js's
 * package for native TensorFlow contains the generated code.
 */

declare namespace messages {
  /** The shape of a tensor: the sizes of its axes. */
  class TensorShape {
    setDimList(sizes: TensorShape.Dim[]): void;
  }
  namespace TensorShape {
    class Dim {
      setSize(size: number): void;
    }
  }

  /** A constant: the id of its TensorFlow dtype, its shape, and its bytes. */
  class Tensor {
    setDtype(type: number): void;
    setTensorShape(shape: TensorShape): void;
    setTensorContent(bytes: Uint8Array): void;
  }

  /** The value of an attribute. Exactly one field is set. */
  class AttrValue {
    setS(bytes: Uint8Array): void;
    setI(value: number): void;
    setF(value: number): void;
    setB(value: boolean): void;
    setType(type: number): void;
    setShape(shape: TensorShape): void;
    setTensor(tensor: Tensor): void;
    setList(list: AttrValue.ListValue): void;
  }
  namespace AttrValue {
    class ListValue {
      setIList(values: readonly number[]): void;
      setFList(values: readonly number[]): void;
      setSList(values: readonly Uint8Array[]): void;
    }
  }

  /** A node of a graph: an op, and the names of the outputs of other nodes that are its inputs. */
  class NodeDef {
    setName(name: string): void;
    setOp(op: string): void;
    setInputList(names: string[]): void;
    getAttrMap(): { set(name: string, value: AttrValue): void };
  }

  class GraphDef {
    addNode(node: NodeDef): void;
    setVersions(versions: VersionDef): void;
  }

  /** The version of TensorFlow's graph format. */
  class VersionDef {
    setProducer(version: number): void;
  }

  class MetaGraphDef {
    setMetaInfoDef(info: MetaGraphDef.MetaInfoDef): void;
    setGraphDef(graph: GraphDef): void;
  }
  namespace MetaGraphDef {
    class MetaInfoDef {
      setTagsList(tags: string[]): void;
    }
  }

  class SavedModel {
    setSavedModelSchemaVersion(version: number): void;
    setMetaGraphsList(graphs: MetaGraphDef[]): void;
    serializeBinary(): Uint8Array<ArrayBuffer>;
  }
}
export default messages;
