/**
 * The only ways to add a kernel of ours (`defineKernel`) and to change one of TensorFlow.js
 * (`overrideKernel`, `overrideGradient`). TensorFlow.js passes inputs and attributes without types;
 * this file is the only one that casts them.
 */
import * as tf from "@tensorflow/tfjs-core";
import { FALLBACK_BACKENDS, NATIVE } from "../backend/names.ts";
import type { Tensor } from "../types.ts";

/** The inputs of a kernel, by role. */
type Inputs = Readonly<Record<string, Tensor | undefined>>;
type NoAttributes = Readonly<Record<never, never>>;

/** The gradient of a kernel. Gradients flow through its first output only. */
export interface Gradient<I extends Inputs, A, Saved extends keyof I> {
  /** The inputs that `compute` reads; TensorFlow.js keeps them until the backward pass. */
  readonly savedInputs?: readonly Saved[];
  /** The positions of the outputs that `compute` reads. */
  readonly savedOutputs?: readonly number[];
  /**
   * Returns for each input a function that computes its gradient. Only the gradients that are
   * needed are computed.
   *
   * @param dy The gradient of the first output.
   */
  compute(
    dy: Tensor,
    inputs: Pick<I, Saved>,
    outputs: readonly Tensor[],
    attributes: A,
  ): { readonly [Name in keyof I]: () => Tensor };
}

/** The forms of a kernel of ours. */
export interface KernelForms<I extends Inputs, O, A, Saved extends keyof I> {
  /**
   * The kernel on native TensorFlow, mostly one call of `runTensorFlowOp`. It disposes the tensors
   * it makes besides its outputs. Without it the fallback runs there, too.
   */
  native?(inputs: I, attributes: A): O;
  /**
   * The kernel in WebAssembly and plain JavaScript, as a composition of TensorFlow.js's ops. It
   * runs in `tidy`.
   */
  fallback(inputs: I, attributes: A): O;
  /** The gradient; a kernel without one cannot be differentiated. */
  readonly gradient?: Gradient<I, A, Saved>;
}

/** Runs a kernel; one without attributes takes the inputs only. */
export type RunKernel<I, O, A = NoAttributes> = (
  inputs: I,
  ...attributes: keyof A extends never ? [] : [attributes: A]
) => O;

/**
 * Registers a kernel of ours for all backends. Returns the function that runs it.
 *
 * The types of inputs, outputs and attributes follow from the written parameter types of the first
 * form.
 *
 * @param kernelName A name that begins with `ResnetLab`.
 */
export function defineKernel<
  I extends Inputs,
  O extends Tensor | Tensor[],
  A extends tf.NamedAttrMap = NoAttributes,
  const Saved extends keyof I & string = never,
>(
  kernelName: string,
  { native, fallback, gradient }: KernelForms<I, O, A, Saved>,
): RunKernel<I, O, A> {
  const compose: tf.KernelFunc = ({ inputs, attrs }) =>
    tf.tidy(() => fallback(inputs as I, attrs as A));
  tf.registerKernel({
    kernelName,
    backendName: NATIVE,
    kernelFunc: native ? ({ inputs, attrs }) => native(inputs as I, attrs as A) : compose,
  });
  for (const backendName of FALLBACK_BACKENDS) {
    tf.registerKernel({ kernelName, backendName, kernelFunc: compose });
  }
  if (gradient) registerGradient(kernelName, gradient);
  return (inputs, ...[attributes]) =>
    tf.engine().runKernel(kernelName, inputs as tf.NamedTensorMap, attributes);
}

/** Replaces the gradient of a kernel of TensorFlow.js. */
export function overrideGradient<
  I extends Inputs,
  A = tf.NamedAttrMap,
  const Saved extends keyof I & string = never,
>(kernelName: string, gradient: Gradient<I, A, Saved>): void {
  if (tf.getGradient(kernelName)) tf.unregisterGradient(kernelName);
  registerGradient(kernelName, gradient);
}

function registerGradient<I extends Inputs, A, Saved extends keyof I & string>(
  kernelName: string,
  { savedInputs = [], savedOutputs = [], compute }: Gradient<I, A, Saved>,
): void {
  tf.registerGradient({
    kernelName,
    inputsToSave: [...savedInputs],
    outputsToSave: Array.from(
      { length: Math.max(-1, ...savedOutputs) + 1 },
      (_, position) => savedOutputs.includes(position),
    ),
    gradFunc: (dy, saved, attributes) => {
      const inputs = Object.fromEntries(savedInputs.map((name, i) => [name, saved[i]]));
      return compute(
        Array.isArray(dy) ? dy[0]! : dy,
        inputs as Pick<I, Saved>,
        saved.slice(savedInputs.length),
        attributes as A,
      ) as ReturnType<tf.GradFunc>;
    },
  });
}

/** Runs the kernel of TensorFlow.js that an override replaces. */
export type OriginalKernel<I, A> = (inputs: I, attributes: A) => tf.TensorInfo;

/**
 * Replaces a kernel of one backend of TensorFlow.js, or adds one that the backend lacks. A backend
 * that is not loaded is not affected.
 *
 * @param kernel The new kernel; `original` runs the old one.
 */
export function overrideKernel<I extends Inputs, A = NoAttributes>(
  kernelName: string,
  backendName: string,
  kernel: (inputs: I, attributes: A, original: OriginalKernel<I, A>) => tf.TensorInfo,
): void {
  // Undefined where the backend lacks the kernel.
  const config: tf.KernelConfig | undefined = tf.getKernel(kernelName, backendName);
  if (config) tf.unregisterKernel(kernelName, backendName);
  const original: OriginalKernel<I, A> = (inputs, attributes) =>
    config!.kernelFunc({
      inputs,
      attrs: attributes as tf.NamedAttrMap,
      backend: tf.engine().backend,
    }) as tf.TensorInfo;
  tf.registerKernel({
    ...config,
    kernelName,
    backendName,
    kernelFunc: ({ inputs, attrs }) => kernel(inputs as I, attrs as A, original),
  });
}
