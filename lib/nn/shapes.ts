/** Shapes as types: what follows what in a network, and what to say where it does not fit. No code, only types. */
import type { Features, Images, LastAxisOf, Tensor } from "../tensor/mod.ts";
import type { AnyModule, InputOf, Module, shapeRule } from "./module.ts";

/** What a module gives for an input type. */
export type OutputOf<M, In = InputOf<M>> = M extends { readonly [shapeRule]: "same" } ? In
  : M extends { readonly [shapeRule]: "pooled" } ? Features<LastAxisOf<In>>
  : M extends Module<never, infer Out> ? Out
  : never;

/** A tensor type in words: `images with 64 channels`, `10 features`. */
export type Describe<T> = [T] extends [Images] ? number extends LastAxisOf<T> ? "images"
  : `images with ${LastAxisOf<T>} channels`
  : [T] extends [Features] ? number extends LastAxisOf<T> ? "features" : `${LastAxisOf<T>} features`
  : [T] extends [Images | Features]
    ? number extends LastAxisOf<T> ? "images or features" : `${LastAxisOf<T>} channels or features`
  : "another kind of tensor";

type IsGeneral<T> = Tensor extends T ? true : false;

/** Whether a value of type `Given` may be passed where `Taken` (a tensor type or a union of them) is asked for. */
export type Fits<Given, Taken> = IsGeneral<Given> extends true ? true
  : true extends (Taken extends unknown ? FitsOne<Given, Taken> : never) ? true
  : false;
type FitsOne<Given, Taken> = IsGeneral<Taken> extends true ? true
  : Given extends Tensor
    ? Taken extends Tensor
      ? SameRank<Given, Taken> extends true
        ? number extends LastAxisOf<Given> | LastAxisOf<Taken> ? true
        : LastAxisOf<Given> extends LastAxisOf<Taken> ? true
        : false
      : false
    : Given extends Taken ? true
    : false
  : Given extends Taken ? true
  : false;
type SameRank<A extends Tensor, B extends Tensor> = A["shape"] extends B["shape"] ? true : false;

/** The type that a chain of layers takes: what its first layer with a definite input takes. */
export type ChainInput<Layers extends readonly unknown[]> = Layers extends
  readonly [infer First, ...infer Rest]
  ? First extends { readonly [shapeRule]: "same" }
    ? number extends LastAxisOf<InputOf<First>>
      ? Rest extends readonly [] ? InputOf<First> : ChainInput<Rest>
    : NonNullable<InputOf<First>>
  : InputOf<First>
  : Tensor;

/** The type that a chain of layers gives. */
export type ChainOutput<Given, Layers extends readonly unknown[]> = Layers extends
  readonly [infer First, ...infer Rest] ? ChainOutput<OutputOf<First, Given>, Rest>
  : Given;

/** The layers as they are, with a message in place of the first that does not take what the one before it gives. */
export type Chain<Given, Layers extends readonly unknown[], Checked extends unknown[] = []> =
  Layers extends readonly [infer First, ...infer Rest]
    ? Fits<Given, InputOf<First>> extends true
      ? Chain<OutputOf<First, Given>, Rest, [...Checked, First]>
    : [
      ...Checked,
      `this layer takes ${Describe<InputOf<First>>}, but the layer before it gives ${Describe<
        Given
      >}`,
      ...Rest,
    ]
    : Layers extends readonly [] ? Checked
    : Layers;

/** `"same"` if every layer keeps its input's type. */
export type ChainRule<Layers extends readonly unknown[]> = Layers extends
  readonly { readonly [shapeRule]: "same" }[] ? "same" : undefined;

/** The body of a residual block as it is, or a message if its output cannot be added to its input. */
export type Closed<Body extends AnyModule> = Fits<OutputOf<Body>, InputOf<Body>> extends true ? Body
  : `the body takes ${Describe<InputOf<Body>>} and gives ${Describe<
    OutputOf<Body>
  >}, which cannot be added; pass a shortcut that makes the same change`;

/** The shortcut of a residual block as it is, or a message if it does not take or give what the body does. */
export type Shortcut<Body extends AnyModule, Side extends AnyModule> =
  Fits<InputOf<Body>, InputOf<Side>> extends false
    ? `the shortcut takes ${Describe<InputOf<Side>>}, but the body takes ${Describe<
      InputOf<Body>
    >}`
    : Fits<OutputOf<Side, InputOf<Body>>, OutputOf<Body>> extends false
      ? `the shortcut gives ${Describe<
        OutputOf<Side, InputOf<Body>>
      >}, but the body gives ${Describe<
        OutputOf<Body>
      >}`
    : Side;

/** What all branches of a parallel block take: what the first with a known channel count takes. */
export type BranchInput<Branches extends readonly unknown[]> = Branches extends
  readonly [infer First, ...infer Rest]
  ? number extends LastAxisOf<InputOf<First>>
    ? Rest extends readonly [] ? InputOf<First> : BranchInput<Rest>
  : InputOf<First>
  : Images;

/** The branches as they are, with a message in place of the first that takes or gives something else than images that fit. */
export type Branches<Given, All extends readonly unknown[], Checked extends unknown[] = []> =
  All extends readonly [infer First, ...infer Rest] ? Fits<Given, InputOf<First>> extends false ? [
        ...Checked,
        `this branch takes ${Describe<InputOf<First>>}, but the branches before it take ${Describe<
          Given
        >}`,
        ...Rest,
      ]
    : Fits<OutputOf<First, Given>, Images> extends false ? [
        ...Checked,
        `a branch must give images, but this one gives ${Describe<OutputOf<First, Given>>}`,
        ...Rest,
      ]
    : Branches<Given, Rest, [...Checked, First]>
    : All extends readonly [] ? Checked
    : All;

/** The sum of the channels that branches give. */
export type BranchChannels<Given, All extends readonly unknown[], Total extends number = 0> =
  All extends readonly [infer First, ...infer Rest]
    ? BranchChannels<Given, Rest, Add<Total, LastAxisOf<OutputOf<First, Given>>>>
    : Total;

/** The sum of two whole numbers, `number` if either is not known; digit by digit, as on paper. */
export type Add<A extends number, B extends number> = number extends A | B ? number
  : AddDigits<Reverse<`${A}`>, Reverse<`${B}`>> extends `${infer Sum extends number}` ? Sum
  : number;
type Reverse<S extends string, Done extends string = ""> = S extends `${infer Head}${infer Rest}`
  ? Reverse<Rest, `${Head}${Done}`>
  : Done;
type AddDigits<
  A extends string,
  B extends string,
  Carry extends "0" | "1" = "0",
  Done extends string = "",
> = A extends `${infer DigitA}${infer RestA}`
  ? B extends `${infer DigitB}${infer RestB}`
    ? NextDigit<RestA, RestB, DigitSum<DigitA, DigitB, Carry>, Done>
  : NextDigit<RestA, "", DigitSum<DigitA, "0", Carry>, Done>
  : B extends `${infer DigitB}${infer RestB}`
    ? NextDigit<"", RestB, DigitSum<"0", DigitB, Carry>, Done>
  : Carry extends "1" ? `1${Done}`
  : Done;
type NextDigit<A extends string, B extends string, Sum extends string, Done extends string> =
  Sum extends `1${infer Digit}`
    ? Digit extends "" ? AddDigits<A, B, "0", `1${Done}`> : AddDigits<A, B, "1", `${Digit}${Done}`>
    : AddDigits<A, B, "0", `${Sum}${Done}`>;
type Units = {
  "0": [];
  "1": [0];
  "2": [0, 0];
  "3": [0, 0, 0];
  "4": [0, 0, 0, 0];
  "5": [0, 0, 0, 0, 0];
  "6": [0, 0, 0, 0, 0, 0];
  "7": [0, 0, 0, 0, 0, 0, 0];
  "8": [0, 0, 0, 0, 0, 0, 0, 0];
  "9": [0, 0, 0, 0, 0, 0, 0, 0, 0];
};
type DigitSum<A extends string, B extends string, Carry extends string> = [
  ...Units[A & keyof Units],
  ...Units[B & keyof Units],
  ...Units[Carry & keyof Units],
]["length"] extends infer Sum extends number ? `${Sum}` : never;
