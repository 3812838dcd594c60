/**
 * Compile-time checks that a model, a data set and a loss fit together: the type of an argument, or
 * a message in its place. Types only, no code.
 */
import type {
  ClassesOf,
  Features,
  Images,
  IsLabels,
  LastAxisOf,
  Tensor,
  Tensor1D,
} from "../tensor/mod.ts";
import type { Module } from "../nn/mod.ts";
import type { Describe, Fits } from "../nn/shapes.ts";
import type { DatasetPace, GeneratorPace } from "./fit_options.ts";
import type { Loss } from "./losses.ts";

/**
 * A model from `In` to `Result`, or a message if it does not fit the inputs of the data set, or,
 * where the targets are class numbers, does not return logits of the classes. `Out` are the inputs
 * after the transform.
 */
export type ModelFor<
  In,
  Result,
  Inputs extends Tensor,
  Targets extends Tensor,
  Out extends Tensor = Inputs,
> = Fits<Out, In> extends false ? InputMismatch<In, Inputs, Out>
  : 0 extends Result & 1 ? Module<In, Result> // The result is any, which only a run can check.
  : IsLabels<Targets> extends false ? Module<In, Result> // LossFor compares them.
  : Tensor extends Result ? NoLogits<Result>
  : Fits<Result, Features> extends false ? NoLogits<Result>
  : Fits<Result, Features<ClassesOf<Targets>>> extends false
    ? `this model has ${LastAxisOf<Result>} classes, but the data set has ${ClassesOf<Targets>}`
  : Module<In, Result>;

/**
 * A {@linkcode ModelFor} a data set, or any model if `objective` is among the names of the options.
 * Targets that are not class numbers need an option `loss`.
 */
export type TrainableFor<
  Model,
  In,
  Result,
  Inputs extends Tensor,
  Targets extends Tensor,
  Out extends Tensor,
  Names,
> = "objective" extends Names ? Model & Module<In, Result>
  : NeedsLoss<Targets, Names> extends true ? LossMissing
  : ModelFor<In, Result, Inputs, Targets, Out>;

/** Whether the option `loss` is needed and not among the names of the options. */
export type NeedsLoss<Targets, Names> = IsLabels<Targets> extends true ? false
  : "loss" extends Names ? false
  : true;

/** The message about targets without a loss. */
export type LossMissing =
  "the targets of the data set are not class numbers, so the option loss is needed, such as meanSquaredError";

/** A loss for the outputs of a model and the targets of a data set, or a message. */
export type LossFor<Given, Outputs extends Tensor, Targets extends Tensor> =
  [TakesLabels<Given>, IsLabels<Targets>] extends [true, false]
    ? `this loss takes class numbers, but the targets of the data set are ${DescribeTargets<
      Targets
    >}`
    : [Given] extends [Loss<Outputs, Targets>] ? Given
    : `this loss does not compare ${Describe<Outputs>} of the model with ${DescribeTargets<
      Targets
    >} of the data set`;

/** Whether a loss takes class numbers. */
export type TakesLabels<Given> = Given extends
  (outputs: never, targets: infer Targets, ...others: never[]) => unknown ? IsLabels<Targets>
  : false;

/** Targets in words. */
export type DescribeTargets<Targets> = IsLabels<Targets> extends true ? "class numbers"
  : [Targets] extends [Tensor1D] ? "single numbers"
  : Describe<Targets>;

/** Options with the given names, or a message for each name that is not in `Options`. */
export type KnownOptions<Names extends PropertyKey, Options> = {
  readonly [Name in Names]?: Name extends keyof Options ? unknown
    : `there is no option ${Name & string}`;
};

/** The message about a model that returns no logits. */
export type NoLogits<Result> = `this model returns ${Describe<
  Result
>}, not logits [batch, classes]`;

/** A module from `In` to `Result`, or a message if it does not fit the inputs of the data set. */
export type ModuleFor<In, Result, Inputs extends Tensor, Out extends Tensor> = Fits<Out, In> extends
  false ? InputMismatch<In, Inputs, Out>
  : Module<In, Result>;

/** The message about a model whose inputs differ from those of the data set. */
export type InputMismatch<In, Inputs extends Tensor, Out extends Tensor> =
  `this model takes ${Describe<In>}, but ${[Out] extends [Inputs]
    ? `the data set has ${Counted<In, Inputs>}`
    : `the transform returns ${Counted<In, Out>}`}`;

/** The channels of images for a model of images; otherwise a tensor type in words. */
export type Counted<In, Given> = [Given] extends [Images]
  ? Fits<Images, In> extends false ? "images" : LastAxisOf<Given>
  : Describe<Given>;

/**
 * A message if the inputs or targets of a validation set differ from the training set's, otherwise
 * `unknown`.
 */
export type ValidationFor<
  OwnInputs extends Tensor,
  OwnTargets extends Tensor,
  Inputs extends Tensor,
  Targets extends Tensor,
> = Fits<OwnInputs, Inputs> extends false
  ? `the validation set has ${Describe<OwnInputs>}, but the training set has ${Counted<
    OwnInputs,
    Inputs
  >}`
  : [IsLabels<OwnTargets>, IsLabels<Targets>] extends [true, true]
    ? Fits<Features<ClassesOf<OwnTargets>>, Features<ClassesOf<Targets>>> extends false
      ? `the validation set has ${ClassesOf<
        OwnTargets
      >} classes, but the training set has ${ClassesOf<
        Targets
      >}`
    : unknown
  : IsLabels<OwnTargets> extends IsLabels<Targets>
    ? Fits<OwnTargets, Targets> extends true ? unknown : ValidationTargets<OwnTargets, Targets>
  : ValidationTargets<OwnTargets, Targets>;

/** The message about a validation set with other targets. */
export type ValidationTargets<Own, Targets> =
  `the targets of the validation set are ${DescribeTargets<
    Own
  >}, but those of the training set are ${DescribeTargets<Targets>}`;

/** The options that say how many examples are in a step, by the kind of the data. */
export type Pace<Source> = Source extends { readonly count: number } ? DatasetPace : GeneratorPace;
