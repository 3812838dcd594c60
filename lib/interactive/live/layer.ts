/** A layer of a network in the figure "Live networks", as it ran on a picture. */
import type { Tensor } from "../../tensor/mod.ts";

/** Height, width and channels of pictures. */
export type Shape = readonly [height: number, width: number, channels: number];

/** The side in pixels of the pictures of the trained networks. */
export const SIDE = 28;

/** The shape of the pictures of the trained networks. */
export const GREY: Shape = [SIDE, SIDE, 1];

/** A rectangle of pixels; all ends are within it. */
export type Region = readonly [top: number, bottom: number, left: number, right: number];

/** The pixels that a unit sees. */
export type Field = (row: number, column: number, channel: number) => Region;

/** Feature maps `[height, width, channels]`; features are maps of one pixel. */
export interface Maps {
  readonly height: number;
  readonly width: number;
  readonly channels: number;
  readonly values: Float32Array;
}

/** Numbers of a layer with their shape, such as its weights. */
export interface Weights {
  readonly shape: readonly number[];
  readonly values: ArrayLike<number>;
}

/** The windows of a convolution or a pooling, and its padding above and to the left. */
export interface LiveWindow {
  readonly kernelSize: readonly [number, number];
  readonly stride: readonly [number, number];
  readonly dilation: readonly [number, number];
  readonly top: number;
  readonly left: number;
}

/** How a layer computes a unit from its inputs. */
export type Rule =
  | {
    readonly kind: "convolution";
    /** `[height, width, in, out]` */
    readonly weight: Weights;
    readonly bias: Weights | undefined;
    readonly window: LiveWindow;
  }
  | {
    readonly kind: "linear";
    /** `[in, out]` */
    readonly weight: Weights;
    readonly bias: Weights | undefined;
  }
  | { readonly kind: "maxPool" | "avgPool"; readonly window: LiveWindow }
  /** `inner` has the numbers that the block adds to its input. */
  | { readonly kind: "block"; readonly inner: Maps; readonly hasShortcut: boolean }
  | { readonly kind: "function"; readonly name: string }
  | {
    readonly kind: "batchNorm";
    readonly mean: Weights;
    readonly variance: Weights;
    readonly weight: Weights;
    readonly bias: Weights;
    readonly epsilon: number;
  }
  /** An operation on two numbers, such as their sum. */
  | { readonly kind: "pair"; readonly sign: string; readonly operands: readonly [Maps, Maps] }
  | { readonly kind: "concat"; readonly parts: readonly (Maps & { readonly path: string })[] }
  /** The mean of a feature map, or of parts of it. */
  | { readonly kind: "mean"; readonly isWhole: boolean }
  /** All others, in words that follow "The value is". */
  | { readonly kind: "other"; readonly text: string };

/** A layer as it ran: its output, its input, and the pixels that its units see. */
export interface LiveLayer extends Maps {
  readonly path: string;
  /** The kind of the layer and its options. */
  readonly description: string;
  readonly input: Maps;
  readonly rule: Rule;
  readonly field: Field;
}

/** The numbers that a network computes of a picture. */
export interface LiveAnswer {
  readonly logits: Float32Array;
  readonly probabilities: Float32Array;
  /** The layers in the order in which they ran. */
  readonly layers: readonly LiveLayer[];
}

/** A network that the figure explains. */
export interface Explained {
  readonly title: string;
  /** Sentences about the network that the reader should know. */
  readonly note: string;
  /** The shape of its pictures, whose numbers are from 0 to 1. */
  readonly shape: Shape;
  readonly classNames: readonly string[];
  /** Runs it on a picture. */
  answer(pixels: Float32Array): LiveAnswer;
  /** Returns where it sees a class, row by row; undefined if it has no feature maps. */
  heat(pixels: Float32Array, classIndex: number): Float32Array | undefined;
}

/** Returns the feature maps of one picture. */
export function mapsOf(tensor: Tensor): Maps {
  const [, height, width, channels] = tensor.rank === 4 ? tensor.shape : [1, 1, 1, tensor.size];
  return {
    ...{ height: height!, width: width!, channels: channels! },
    values: new Float32Array(tensor.dataSync()),
  };
}
