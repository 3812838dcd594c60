/**
 * Compile-time checks that a model fits a data set: the type of an argument, or a message in its
 * place. Types only, no code.
 */
import type { Features, Images, LastAxisOf, Tensor } from "../tensor/mod.ts";
import type { Module } from "../nn/mod.ts";
import type { Describe, Fits } from "../nn/shapes.ts";
import type { ImageDataset } from "../data/mod.ts";

/**
 * A classifier from `In` to `Result`, or a message if it does not fit the channels and classes of
 * the data set. `Out` is the number of channels after the transform.
 */
export type ClassifierFor<
  In,
  Result,
  Channels extends number,
  Classes extends number,
  Out extends number = Channels,
> = Fits<Images<Out>, In> extends false ? ChannelMismatch<In, Channels, Out>
  : 0 extends Result & 1 ? Module<In, Result> // The result is any, which only a run can check.
  : Tensor extends Result ? NoLogits<Result>
  : Fits<Result, Features> extends false ? NoLogits<Result>
  : Fits<Result, Features<Classes>> extends false
    ? `this model has ${LastAxisOf<Result>} classes, but the data set has ${Classes}`
  : Module<In, Result>;

/**
 * A {@linkcode ClassifierFor} a data set, or any model if `objective` is among the names of the
 * options.
 */
export type TrainableFor<
  Model,
  In,
  Result,
  Channels extends number,
  Classes extends number,
  Out extends number,
  Names,
> = "objective" extends Names ? Model & Module<In, Result>
  : ClassifierFor<In, Result, Channels, Classes, Out>;

/** Options with the given names, or a message for each name that is not in `Options`. */
export type KnownOptions<Names extends PropertyKey, Options> = {
  readonly [Name in Names]?: Name extends keyof Options ? unknown
    : `there is no option ${Name & string}`;
};

/** The message about a model that returns no logits. */
export type NoLogits<Result> = `this model returns ${Describe<
  Result
>}, not logits [batch, classes]`;

/** A module from `In` to `Result`, or a message if it does not fit the channels of the data set. */
export type ModuleFor<In, Result, Channels extends number, Out extends number> =
  Fits<Images<Out>, In> extends false ? ChannelMismatch<In, Channels, Out> : Module<In, Result>;

/** The message about a model whose input images differ from those of the data set. */
export type ChannelMismatch<In, Channels extends number, Out extends number> =
  `this model takes ${Describe<
    In
  >}, but ${Fits<Images, In> extends false ? "the data set has images"
    : Out extends Channels ? `the data set has ${Channels}`
    : `the transform returns ${Out}`}`;

/** A validation set, or a message if its channels or classes differ from the training set's. */
export type ValidationFor<Set, Channels extends number, Classes extends number> = Set extends
  ImageDataset<infer OwnChannels, infer OwnClasses>
  ? Fits<Images<OwnChannels>, Images<Channels>> extends false
    ? `the validation set has images with ${OwnChannels} channels, but the training set has ${Channels}`
  : Fits<Features<OwnClasses>, Features<Classes>> extends false
    ? `the validation set has ${OwnClasses} classes, but the training set has ${Classes}`
  : Set
  : Set;
