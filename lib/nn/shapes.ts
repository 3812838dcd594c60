/** Shapes as types: what follows what in a network, and what to say where it does not fit. No code, only types. */
import type { Features, Images, LastAxis, LastAxisOf, Tensor, Tensor4D } from "../tensor/mod.ts";
import type { AnyModule, InputOf, Module, shapeRule } from "./module.ts";

/** What a module gives for an input type. */
export type OutputOf<M, In = InputOf<M>> = M extends { readonly [shapeRule]: "same" } ? In
  : M extends { readonly [shapeRule]: "pooled" } ? Features<LastAxisOf<In>>
  : M extends Module<never, infer Out> ? Out
  : never;

/** A tensor type in words: `images with 64 channels`, `10 features`. */
export type Describe<T> = [T] extends [Images]
  ? number extends LastAxisOf<T> ? "images" : `images with ${Several<LastAxisOf<T>, "channel">}`
  : [T] extends [Features]
    ? number extends LastAxisOf<T> ? "features" : Several<LastAxisOf<T>, "feature">
  : [T] extends [Images | Features] ? number extends LastAxisOf<T> ? "images or features"
    : `${Several<LastAxisOf<T>, "channel">} or features`
  : "another kind of tensor";
type Several<N extends number, What extends string> = `${N} ${What}${N extends 1 ? "" : "s"}`;

type IsGeneral<T> = Tensor extends T ? true : false;

/**
 * Whether a value of type `Given` may be passed where `Taken` (a tensor type or a union of them) is asked for; of a union, whether
 * one of its members may.
 *
 * Plain assignability decides, so that it is decided for a type parameter as well: `Images<C>` fits `Images<C>`.
 */
export type Fits<Given, Taken> = IsGeneral<Given> extends true ? true
  : [Given extends Taken ? true : never] extends [never] ? false
  : true;

/**
 * The type that a chain of layers takes: what its first layer takes, and where that does not say the number of channels, what the
 * layers after it say.
 */
export type ChainInput<Layers extends readonly unknown[]> = Layers extends
  readonly [infer First, ...infer Rest]
  ? First extends { readonly [shapeRule]: "same" } ? Meet<InputOf<First>, ChainInput<Rest>>
  : First extends { readonly [shapeRule]: "pooled" } ? Images<LastAxisOf<ChainInput<Rest>>>
  : InputOf<First>
  : Layers extends readonly [] ? Tensor
  : Layers extends readonly [...infer Start, unknown] ? ChainInput<Start>
  : InputOf<Layers[number]>;

/** What fits two input types: of those of one rank the one that knows its channels; the first where nothing fits both. */
type Meet<A, B> = IsGeneral<A> extends true ? B
  : IsGeneral<B> extends true ? A
  : [MeetEach<A, B>] extends [never] ? A
  : MeetEach<A, B>;
type MeetEach<A, B> = A extends unknown
  ? B extends A ? KnowsLastAxis<A> extends true ? A : B : never
  : never;
type KnowsLastAxis<T> = keyof LastAxis<number> extends keyof T ? true : false;

/** The type that a chain of layers gives. */
export type ChainOutput<Given, Layers extends readonly unknown[]> = Layers extends
  readonly [infer First, ...infer Rest] ? ChainOutput<OutputOf<First, Given>, Rest>
  : Layers extends readonly [] ? Given
  : Layers extends readonly [...infer Start, infer Last] ? OutputOf<Last, ChainOutput<Given, Start>>
  : OutputOf<Layers[number], Given>;

/**
 * The layers as they are, with a message in place of the first that does not take what the one before it gives. Layers that were
 * spread from an array, `...blocks`, must each take what they give.
 */
export type Chain<Given, Layers extends readonly unknown[], Checked extends unknown[] = []> =
  Layers extends readonly [infer First, ...infer Rest]
    ? Fits<Given, InputOf<First>> extends true
      ? Chain<OutputOf<First, Given>, Rest, [...Checked, First]>
    : [...Checked, Misfit<First, Given>, ...Rest]
    : Layers extends readonly [] ? Checked
    : Layers extends readonly [...infer Start, infer Last]
      ? Chain<Given, Start> extends Start
        ? Fits<ChainOutput<Given, Start>, InputOf<Last>> extends true ? [...Checked, ...Start, Last]
        : [...Checked, ...Start, Misfit<Last, ChainOutput<Given, Start>>]
      : [...Checked, ...Chain<Given, Start>, Last]
    : [...Checked, ...Spread<Given, Layers[number]>[]];

/** A layer spread from an array as it is, or a message if it does not take what comes before it or what it gives itself. */
type Spread<Given, Layer> = Fits<Given, InputOf<Layer>> extends false ? Misfit<Layer, Given>
  : Fits<OutputOf<Layer, Given>, InputOf<Layer>> extends false
    ? Misfit<Layer, OutputOf<Layer, Given>>
  : Layer;

type Misfit<Layer, Given> = `this layer takes ${Describe<
  InputOf<Layer>
>}, but the layer before it gives ${Describe<Given>}`;

/** `"same"` if every layer keeps its input's type, `"pooled"` if besides one makes features of images. */
export type ChainRule<Layers extends readonly unknown[]> = Layers extends
  readonly { readonly [shapeRule]: "same" }[] ? "same"
  : Layers extends readonly { readonly [shapeRule]: "same" | "pooled" }[] ? "pooled"
  : undefined;

/** The body of a residual block as it is, or a message if there is no shortcut and its output cannot be added to its input. */
export type Closed<Body extends AnyModule, Side> = Side extends AnyModule ? Body
  : Fits<OutputOf<Body>, InputOf<Body>> extends true ? Body
  : `the body takes ${Describe<InputOf<Body>>} and gives ${Describe<
    OutputOf<Body>
  >}, which cannot be added; pass a shortcut that makes the same change`;

/** The shortcut of a residual block as it is, or a message if it does not take or give what the body does. */
export type Shortcut<Body extends AnyModule, Side> = Side extends AnyModule
  ? Fits<InputOf<Body>, InputOf<Side>> extends false
    ? `the shortcut takes ${Describe<InputOf<Side>>}, but the body takes ${Describe<
      InputOf<Body>
    >}`
  : Fits<OutputOf<Side, InputOf<Body>>, OutputOf<Body>> extends false
    ? `the shortcut gives ${Describe<
      OutputOf<Side, InputOf<Body>>
    >}, but the body gives ${Describe<
      OutputOf<Body>
    >}`
  : Side
  : Side;

/** What all branches of a parallel block take: what the first with a known channel count takes. */
export type BranchInput<All extends readonly unknown[]> = All extends
  readonly [infer First, ...infer Rest] ? Rest extends readonly [] ? InputOf<First>
  : KnowsLastAxis<InputOf<First>> extends true ? InputOf<First>
  : BranchInput<Rest>
  : InputOf<All[number]>;

/** The branches as they are, with a message in place of each that takes or gives something else than images that fit. */
export type Branches<Given, All extends readonly unknown[]> = {
  [Index in keyof All]: Fits<Given, InputOf<All[Index]>> extends false
    ? `this branch takes ${Describe<InputOf<All[Index]>>}, but another takes ${Describe<Given>}`
    : Fits<OutputOf<All[Index], Given>, Tensor4D> extends false
      ? `a branch must give images, but this one gives ${Describe<OutputOf<All[Index], Given>>}`
    : All[Index];
};

/** The sum of the channels that branches give; `number` if their number is not known. */
export type BranchChannels<Given, All extends readonly unknown[], Total extends number = 0> =
  All extends readonly [infer First, ...infer Rest]
    ? BranchChannels<Given, Rest, Add<Total, LastAxisOf<OutputOf<First, Given>>>>
    : All extends readonly [] ? Total
    : number;

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

/** Whether a whole number is less than another, `boolean` if either is not known. */
export type Less<A extends number, B extends number> = number extends A | B ? boolean
  : LessDigits<`${A}`, `${B}`>;
/** The digits from the left; `SoFar` says what the digits before told, which counts if there are as many in both. */
type LessDigits<A extends string, B extends string, SoFar extends boolean | "equal" = "equal"> =
  A extends `${infer DigitA}${infer RestA}`
    ? B extends `${infer DigitB}${infer RestB}`
      ? LessDigits<RestA, RestB, SoFar extends "equal" ? LessDigit<DigitA, DigitB> : SoFar>
    : false
    : B extends "" ? SoFar extends true ? true : false
    : true;
type LessDigit<A extends string, B extends string> = A extends B ? "equal"
  : "0123456789" extends `${string}${A}${string}${B}${string}` ? true
  : false;
