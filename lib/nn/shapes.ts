/**
 * Shapes as types: the output type of a chain of layers, and the compile error where two layers do
 * not fit. This file has no code.
 */
import type { Features, Images, LastAxis, LastAxisOf, Tensor, Tensor4D } from "../tensor/mod.ts";
import type { AnyModule, InputOf, Module, shapeRule } from "./module.ts";

/** The output type of a module for an input type. */
export type OutputOf<M, In = InputOf<M>> = M extends { readonly [shapeRule]: "same" } ? In
  : M extends { readonly [shapeRule]: "pooled" } ? Features<LastAxisOf<In>>
  : M extends Module<never, infer Out> ? Out
  : never;

/** A tensor type in words: `images with 64 channels`, `10 features`. */
export type Describe<T> = [T] extends [Images]
  ? number extends LastAxisOf<T> ? "images" : `images with ${Plural<LastAxisOf<T>, "channel">}`
  : [T] extends [Features]
    ? number extends LastAxisOf<T> ? "features" : Plural<LastAxisOf<T>, "feature">
  : [T] extends [Images | Features] ? number extends LastAxisOf<T> ? "images or features"
    : `${Plural<LastAxisOf<T>, "channel">} or features`
  : "another kind of tensor";
/** A count with its noun: `1 channel`, `2 channels`. */
export type Plural<N extends number, Noun extends string> = `${N} ${Noun}${N extends 1 ? "" : "s"}`;

/** Whether a type is any tensor. */
export type IsGeneral<T> = Tensor extends T ? true : false;

/**
 * Whether a value of type `Given` is assignable to `Taken`, a tensor type or a union of them. For a
 * union `Given`, one assignable member is enough.
 *
 * Plain assignability works for type parameters as well: `Images<C>` fits `Images<C>`.
 */
export type Fits<Given, Taken> = IsGeneral<Given> extends true ? true
  : [Given extends Taken ? true : never] extends [never] ? false
  : true;

/**
 * The input type of a chain of layers: the input of its first layer, with the number of channels
 * from a later layer if the first accepts any.
 */
export type ChainInput<Layers extends readonly unknown[]> = Layers extends
  readonly [infer First, ...infer Rest]
  ? First extends { readonly [shapeRule]: "same" } ? CommonInput<InputOf<First>, ChainInput<Rest>>
  : First extends { readonly [shapeRule]: "pooled" } ? Images<LastAxisOf<ChainInput<Rest>>>
  : InputOf<First>
  : Layers extends readonly [] ? Tensor
  : Layers extends readonly [...infer Start, unknown] ? ChainInput<Start>
  : InputOf<Layers[number]>;

/**
 * The input type that fits two layers: for one rank the type that knows its channels, or the first
 * type if nothing fits both.
 */
export type CommonInput<A, B> = IsGeneral<A> extends true ? B
  : IsGeneral<B> extends true ? A
  : [CommonMember<A, B>] extends [never] ? A
  : CommonMember<A, B>;
/** The members of two unions that fit both. */
export type CommonMember<A, B> = A extends unknown
  ? B extends A ? KnowsLastAxis<A> extends true ? A : B : never
  : never;
/** Whether a tensor type knows the size of its last axis. */
export type KnowsLastAxis<T> = keyof LastAxis<number> extends keyof T ? true : false;

/** The output type of a chain of layers. */
export type ChainOutput<Given, Layers extends readonly unknown[]> = Layers extends
  readonly [infer First, ...infer Rest] ? ChainOutput<OutputOf<First, Given>, Rest>
  : Layers extends readonly [] ? Given
  : Layers extends readonly [...infer Start, infer Last] ? OutputOf<Last, ChainOutput<Given, Start>>
  : OutputOf<Layers[number], Given>;

/**
 * The types of the layers, with a message in place of the first layer that does not fit the layer
 * before it. Layers spread from an array, `...blocks`, must each fit their own output.
 */
export type Chain<Given, Layers extends readonly unknown[], Checked extends unknown[] = []> =
  Layers extends readonly [infer First, ...infer Rest]
    ? Fits<Given, InputOf<First>> extends true
      ? Chain<OutputOf<First, Given>, Rest, [...Checked, First]>
    : [...Checked, MismatchMessage<First, Given>, ...Rest]
    : Layers extends readonly [] ? Checked
    : Layers extends readonly [...infer Start, infer Last]
      ? Chain<Given, Start> extends Start
        ? Fits<ChainOutput<Given, Start>, InputOf<Last>> extends true ? [...Checked, ...Start, Last]
        : [...Checked, ...Start, MismatchMessage<Last, ChainOutput<Given, Start>>]
      : [...Checked, ...Chain<Given, Start>, Last]
    : [...Checked, ...SpreadLayer<Given, Layers[number]>[]];

/**
 * The type of a layer spread from an array, or a message if it does not fit the layer before it or
 * its own output.
 */
export type SpreadLayer<Given, Layer> = Fits<Given, InputOf<Layer>> extends false
  ? MismatchMessage<Layer, Given>
  : Fits<OutputOf<Layer, Given>, InputOf<Layer>> extends false
    ? MismatchMessage<Layer, OutputOf<Layer, Given>>
  : Layer;

/** The message for a layer that does not fit the output before it. */
export type MismatchMessage<Layer, Given> = `this layer takes ${Describe<
  InputOf<Layer>
>}, but the layer before it returns ${Describe<Given>}`;

/**
 * The shape rule of a chain: `"same"` if every layer keeps the type of its input, `"pooled"` if one
 * layer turns images into features and the others keep the type.
 */
export type ChainRule<Layers extends readonly unknown[]> = Layers extends
  readonly { readonly [shapeRule]: "same" }[] ? "same"
  : Layers extends readonly { readonly [shapeRule]: "same" | "pooled" }[] ? "pooled"
  : undefined;

/**
 * The type of a residual body, or a message if there is no shortcut and the output cannot be added
 * to the input.
 */
export type ResidualBody<Body extends AnyModule, ShortcutModule> = ShortcutModule extends AnyModule
  ? Body
  : Fits<OutputOf<Body>, InputOf<Body>> extends true ? Body
  : `the body takes ${Describe<InputOf<Body>>} and returns ${Describe<
    OutputOf<Body>
  >}, which cannot be added; pass a shortcut that makes the same change`;

/** The type of a residual shortcut, or a message if its input or output differs from the body's. */
export type ResidualShortcut<Body extends AnyModule, ShortcutModule> = ShortcutModule extends
  AnyModule
  ? Fits<InputOf<Body>, InputOf<ShortcutModule>> extends false
    ? `the shortcut takes ${Describe<InputOf<ShortcutModule>>}, but the body takes ${Describe<
      InputOf<Body>
    >}`
  : Fits<OutputOf<ShortcutModule, InputOf<Body>>, OutputOf<Body>> extends false
    ? `the shortcut returns ${Describe<
      OutputOf<ShortcutModule, InputOf<Body>>
    >}, but the body returns ${Describe<
      OutputOf<Body>
    >}`
  : ShortcutModule
  : ShortcutModule;

/** The input type of parallel branches: the input of the first branch that knows its channels. */
export type BranchInput<All extends readonly unknown[]> = All extends
  readonly [infer First, ...infer Rest] ? Rest extends readonly [] ? InputOf<First>
  : KnowsLastAxis<InputOf<First>> extends true ? InputOf<First>
  : BranchInput<Rest>
  : InputOf<All[number]>;

/**
 * The types of the branches, with a message in place of each branch that takes a different input or
 * does not return images.
 */
export type Branches<Given, All extends readonly unknown[]> = {
  [Index in keyof All]: Fits<Given, InputOf<All[Index]>> extends false
    ? `this branch takes ${Describe<InputOf<All[Index]>>}, but another takes ${Describe<Given>}`
    : Fits<OutputOf<All[Index], Given>, Tensor4D> extends false
      ? `a branch must return images, but this one returns ${Describe<OutputOf<All[Index], Given>>}`
    : All[Index];
};

/** The sum of the channels of branches; `number` if their number is not known. */
export type BranchChannels<Given, All extends readonly unknown[], Total extends number = 0> =
  All extends readonly [infer First, ...infer Rest]
    ? BranchChannels<Given, Rest, Add<Total, LastAxisOf<OutputOf<First, Given>>>>
    : All extends readonly [] ? Total
    : number;

/** The sum of two whole numbers, digit by digit as on paper; `number` if either is not known. */
export type Add<A extends number, B extends number> = number extends A | B ? number
  : AddDigits<Reverse<`${A}`>, Reverse<`${B}`>> extends `${infer Sum extends number}` ? Sum
  : number;
/** The characters of a string in reverse. */
export type Reverse<S extends string, Done extends string = ""> = S extends
  `${infer Head}${infer Rest}` ? Reverse<Rest, `${Head}${Done}`>
  : Done;
/** The sum of two numbers as strings of digits, the last digit first. */
export type AddDigits<
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
/** One step of {@linkcode AddDigits}: appends a digit and carries the rest. */
export type NextDigit<A extends string, B extends string, Sum extends string, Done extends string> =
  Sum extends `1${infer Digit}`
    ? Digit extends "" ? AddDigits<A, B, "0", `1${Done}`> : AddDigits<A, B, "1", `${Digit}${Done}`>
    : AddDigits<A, B, "0", `${Sum}${Done}`>;
/** A tuple of each length below 10, because TypeScript can count the elements of tuples only. */
export type Units = {
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
/** The sum of two digits and a carry. */
export type DigitSum<A extends string, B extends string, Carry extends string> = [
  ...Units[A & keyof Units],
  ...Units[B & keyof Units],
  ...Units[Carry & keyof Units],
]["length"] extends infer Sum extends number ? `${Sum}` : never;

/** Whether a whole number is less than another, `boolean` if either is not known. */
export type LessThan<A extends number, B extends number> = number extends A | B ? boolean
  : LessThanDigits<`${A}`, `${B}`>;
/**
 * Compares digits from the left. `SoFar` is the result of the digits before, which counts if both
 * numbers have the same number of digits.
 */
export type LessThanDigits<
  A extends string,
  B extends string,
  SoFar extends boolean | "equal" = "equal",
> = A extends `${infer DigitA}${infer RestA}`
  ? B extends `${infer DigitB}${infer RestB}`
    ? LessThanDigits<RestA, RestB, SoFar extends "equal" ? LessThanDigit<DigitA, DigitB> : SoFar>
  : false
  : B extends "" ? SoFar extends true ? true : false
  : true;
/** Whether a digit is less than another; `"equal"` if they are equal. */
export type LessThanDigit<A extends string, B extends string> = A extends B ? "equal"
  : "0123456789" extends `${string}${A}${string}${B}${string}` ? true
  : false;
