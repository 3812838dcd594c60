/** Whether a model suits a data set, in types: what to say where it does not. No code, only types. */
import type { Features, Images, LastAxisOf } from "../tensor/mod.ts";
import type { AnyModule, InputOf, OutputOf } from "../nn/mod.ts";
import type { Describe, Fits } from "../nn/shapes.ts";
import type { ImageDataset } from "../data/mod.ts";

/**
 * A model as it is, or a message where it does not take the images of a set, of which a transform may make others, or does not give
 * logits for its classes.
 */
export type Suiting<
  Model extends AnyModule,
  Channels extends number,
  Classes extends number,
  Out extends number = Channels,
> = Takes<Model, Channels, Out> extends infer Message extends string ? Message
  : Fits<OutputOf<Model, Images<Out>>, Features> extends false
    ? `this model gives ${Describe<OutputOf<Model, Images<Out>>>}, not logits [batch, classes]`
  : Fits<OutputOf<Model, Images<Out>>, Features<Classes>> extends false
    ? `this model has ${LastAxisOf<
      OutputOf<Model, Images<Out>>
    >} classes, but the data set has ${Classes}`
  : Model;

/** A model as it is, or a message where it does not take the images of a set. */
export type Taking<Model extends AnyModule, Channels extends number, Out extends number> =
  Takes<Model, Channels, Out> extends infer Message extends string ? Message : Model;

type Takes<Model extends AnyModule, Channels extends number, Out extends number> = Fits<
  Images<Out>,
  InputOf<Model>
> extends false
  ? Fits<Images, InputOf<Model>> extends false
    ? `this model takes ${Describe<InputOf<Model>>}, but the data set has images`
  : `this model takes ${Describe<InputOf<Model>>}, but ${Given<Channels, Out>}`
  : Model;

type Given<Channels extends number, Out extends number> = Out extends Channels
  ? `the data set has ${Channels}`
  : `the transform gives ${Out}`;

/** A validation set as it is, or a message where it has other channels or classes than the training set. */
export type Validating<Set, Channels extends number, Classes extends number> = Set extends
  ImageDataset<infer OwnChannels, infer OwnClasses>
  ? Fits<Images<OwnChannels>, Images<Channels>> extends false
    ? `the validation set has images with ${OwnChannels} channels, but the training set has ${Channels}`
  : Fits<Features<OwnClasses>, Features<Classes>> extends false
    ? `the validation set has ${OwnClasses} classes, but the training set has ${Classes}`
  : Set
  : Set;
