/** Types of tensors. */
import type * as tf from "@tensorflow/tfjs-core";

/** @internal */
type TensorFlowTensor<R extends tf.Rank> = tf.Tensor<R>;
/** @internal */
type TensorFlowVariable<R extends tf.Rank> = tf.Variable<R>;

/** The number of axes of a tensor, as a type: `Rank.R0` for a scalar up to `Rank.R6`. */
export type Rank = tf.Rank;
/** An n-dimensional array of numbers that lives in the backend's memory until it is disposed. */
export type Tensor<R extends Rank = Rank> = TensorFlowTensor<R>;
/** A tensor without axes: one number. */
export type Scalar = tf.Scalar;
/** A tensor with one axis. */
export type Tensor1D = tf.Tensor1D;
/** A tensor with two axes. */
export type Tensor2D = tf.Tensor2D;
/** A tensor with three axes. */
export type Tensor3D = tf.Tensor3D;
/** A tensor with four axes. */
export type Tensor4D = tf.Tensor4D;
/** A tensor with five axes. */
export type Tensor5D = tf.Tensor5D;
/** A tensor with six axes. */
export type Tensor6D = TensorFlowTensor<RankNamed<"R6">>;

/** A tensor whose value can be replaced: a parameter or a running statistic of a model. */
export type Variable<R extends Rank = Rank> = TensorFlowVariable<R>;
/** A variable with one axis, such as a bias. */
export type Variable1D = TensorFlowVariable<RankNamed<"R1">>;
/** A variable with two axes, such as the weights of a linear layer. */
export type Variable2D = TensorFlowVariable<RankNamed<"R2">>;
/** A variable with four axes, such as the weight of a convolution. */
export type Variable4D = TensorFlowVariable<RankNamed<"R4">>;
/** A variable with five axes, such as the weight of a dynamic convolution. */
export type Variable5D = TensorFlowVariable<RankNamed<"R5">>;
/** Type of the elements of a tensor. */
export type DataType = "float32" | "int32" | "bool";

/** The key of {@linkcode LastAxis}, which exists for the compiler only. */
export declare const lastAxis: unique symbol;

/**
 * Size of the last axis, as a part of a tensor type. The member exists for the compiler only. It is
 * a method, because TypeScript compares the parameters of methods in both directions: 64 fits 64
 * and an unknown `number`, and 3 does not fit 64.
 */
export interface LastAxis<Size extends number> {
  /** Holds the size for the compiler. */
  [lastAxis]?(size: Size): void;
}

/**
 * A batch of images or feature maps `[batch, height, width, channels]` with the channel count in
 * the type.
 *
 * A plain `Tensor4D` is accepted where `Images<64>` is asked for; `Images<3>` is not.
 */
export type Images<Channels extends number = number> = Tensor4D & LastAxis<Channels>;

/** A batch of feature vectors `[batch, features]` with the feature count in the type. */
export type Features<Count extends number = number> = Tensor2D & LastAxis<Count>;

/** The key of {@linkcode ClassCount}, which exists for the compiler only. */
export declare const classCount: unique symbol;

/** The number of classes, as a part of a tensor type; see {@linkcode LastAxis}. */
export interface ClassCount<Classes extends number> {
  /** Holds the number for the compiler. */
  [classCount]?(classes: Classes): void;
}

/**
 * Class numbers `[batch]`, dtype int32, from 0 to `classes − 1`, with the number of classes in the
 * type.
 *
 * A plain `Tensor1D` is accepted where labels are asked for. For the compiler it has no classes, so
 * it is another kind of target of a data set.
 */
export type Labels<Classes extends number = number> = Tensor1D & ClassCount<Classes>;

/** The number of classes where a tensor type has it, else `number`. */
export type ClassesOf<T> = T extends { [classCount]?(classes: infer Classes extends number): void }
  ? Classes
  : number;

/** Whether a tensor type is that of class numbers. */
export type IsLabels<T> = typeof classCount extends keyof T ? true : false;

/** The rank of a tensor type. */
export type RankOf<T extends Tensor> = T extends TensorFlowTensor<infer R> ? R : never;

/** The size of the last axis where the type has it, else `number`. */
export type LastAxisOf<T> = T extends { [lastAxis]?(size: infer Size extends number): void } ? Size
  : number;

/** `T`, or a plain tensor where `T` is a variable: the result of an element-wise op. */
export type SameShape<T extends Tensor> = T extends TensorFlowVariable<infer R>
  ? TensorFlowTensor<R>
  : T;

/** @internal */
type Ranks = ["R0", "R1", "R2", "R3", "R4", "R5", "R6"];
/** Message that the compiler shows at the wrong argument where the channel counts do not fit. */
export type Mismatch<A extends number, B extends number> =
  `the last axes of these two tensors are ${A} and ${B} long, so they cannot be combined element by element`;

/**
 * `B`, the second operand of an element-wise op; a message where both last axes are known, differ,
 * and neither is 1.
 */
export type BroadcastableTo<A, B> = A extends Tensor
  ? B extends Tensor ? number extends LastAxisOf<A> | LastAxisOf<B> ? B
    : LastAxisOf<A> extends LastAxisOf<B> ? B
    : 1 extends LastAxisOf<A> | LastAxisOf<B> ? B
    : Mismatch<LastAxisOf<A>, LastAxisOf<B>>
  : B
  : B;

/**
 * The type of an element-wise result of `A` and `B`: the larger rank, and the last axis where it is
 * known.
 */
export type Broadcast<A, B> = A extends Tensor
  ? B extends Tensor
    ? Tensor<RankMax<RankOf<A>, RankOf<B>>> & LastAxis<BroadcastLast<LastAxisOf<A>, LastAxisOf<B>>>
  : SameShape<A>
  : B extends Tensor ? SameShape<B>
  : Scalar;
/** @internal */
type BroadcastLast<A extends number, B extends number> = number extends A ? B extends 1 ? number : B
  : A extends 1 ? B
  : A;

/** @internal */
type RankNumber = { R0: 0; R1: 1; R2: 2; R3: 3; R4: 4; R5: 5; R6: 6 };
/** @internal */
type Count<N extends number, Result extends unknown[] = []> = Result["length"] extends N ? Result
  : Count<N, [...Result, unknown]>;

/**
 * The rank type for a number of axes: `RankFor<2>` is `Rank.R2`. It is the general rank where the
 * number is not known.
 */
export type RankFor<N extends number> = number extends N ? Rank
  : N extends keyof Ranks & number ? `${Ranks[N]}` extends infer Name ? RankNamed<Name> : never
  : Rank;
/** @internal */
type RankNamed<Name> = {
  [R in Rank]: `${R}` extends Name ? R : never;
}[Rank];

/** The rank without `Axes` axes: that of a reduction. */
export type RankMinus<R extends Rank, Axes extends number> = number extends Axes ? Rank
  : Rank extends R ? Rank
  : Count<RankNumber[`${R}`]> extends [...Count<Axes>, ...infer Rest] ? RankFor<Rest["length"]>
  : never;

/** The larger of two ranks: the rank of a broadcast. */
export type RankMax<A extends Rank, B extends Rank> = Rank extends A ? Rank
  : Rank extends B ? Rank
  : Count<RankNumber[`${A}`]> extends [...Count<RankNumber[`${B}`]>, ...unknown[]] ? A
  : B;
