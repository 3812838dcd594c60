/**
 * Whether a model suits a data set, in types: what to say where it does not. No code, only types.
 */
import type { Features, Images, LastAxisOf, Tensor } from "../tensor/mod.ts";
import type { Module } from "../nn/mod.ts";
import type { Describe, Fits } from "../nn/shapes.ts";
import type { ImageDataset } from "../data/mod.ts";

/**
 * A model that takes `In` and gives `Result`, or a message where it does not take the images of a
 * set, of which a transform may make others, or does not give logits for its classes.
 */
export type Suiting<
  In,
  Result,
  Channels extends number,
  Classes extends number,
  Out extends number = Channels,
> = Fits<Images<Out>, In> extends false ? Misfit<In, Channels, Out>
  : IsGeneral<Result> extends true ? NoLogits<Result>
  : Fits<Result, Features> extends false ? NoLogits<Result>
  : Fits<Result, Features<Classes>> extends false
    ? `this model has ${LastAxisOf<Result>} classes, but the data set has ${Classes}`
  : Module<In, Result>;

type IsGeneral<T> = Tensor extends T ? true : false;
type NoLogits<Result> = `this model gives ${Describe<Result>}, not logits [batch, classes]`;

/**
 * A module that takes `In` and gives `Result`, or a message where it does not take the images of a
 * set.
 */
export type Taking<In, Result, Channels extends number, Out extends number> =
  Fits<Images<Out>, In> extends false ? Misfit<In, Channels, Out> : Module<In, Result>;

type Misfit<In, Channels extends number, Out extends number> = `this model takes ${Describe<
  In
>}, but ${Fits<Images, In> extends false ? "the data set has images"
  : Out extends Channels ? `the data set has ${Channels}`
  : `the transform gives ${Out}`}`;

/**
 * A validation set as it is, or a message where it has other channels or classes than the training
 * set.
 */
export type Validating<Set, Channels extends number, Classes extends number> = Set extends
  ImageDataset<infer OwnChannels, infer OwnClasses>
  ? Fits<Images<OwnChannels>, Images<Channels>> extends false
    ? `the validation set has images with ${OwnChannels} channels, but the training set has ${Channels}`
  : Fits<Features<OwnClasses>, Features<Classes>> extends false
    ? `the validation set has ${OwnClasses} classes, but the training set has ${Classes}`
  : Set
  : Set;
