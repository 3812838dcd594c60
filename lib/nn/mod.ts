/**
 * Neural networks: modules, layers, initializers, and views into a model.
 *
 * Functions such as {@linkcode conv2d} make layers. {@linkcode sequential}, {@linkcode residual},
 * {@linkcode parallel}, or a subclass of {@linkcode Module} join them to a model.
 * {@linkcode summary} lists shapes, parameters and multiply-accumulates.
 *
 * @module
 */
export {
  type AnyModule,
  type Classifier,
  type ForwardOptions,
  type InputOf,
  Module,
  type ShapeRule,
} from "./module.ts";
export type { shapeRule, signature } from "./module.ts";
export type {
  Add,
  AddDigits,
  BranchChannels,
  Branches,
  BranchInput,
  Chain,
  ChainInput,
  ChainOutput,
  ChainRule,
  CommonInput,
  CommonMember,
  Describe,
  DigitSum,
  Fits,
  IsGeneral,
  KnowsLastAxis,
  LessThan,
  LessThanDigit,
  LessThanDigits,
  MismatchMessage,
  NextDigit,
  OutputOf,
  Plural,
  ResidualBody,
  ResidualShortcut,
  Reverse,
  SpreadLayer,
  Units,
} from "./shapes.ts";
export {
  type Parallel,
  parallel,
  type Residual,
  residual,
  Sequential,
  sequential,
} from "./containers.ts";
export { type Conv2d, conv2d, type Conv2dOptions } from "./conv.ts";
export {
  type DynamicConv2d,
  dynamicConv2d,
  type DynamicConv2dOptions,
  type KernelAttention,
} from "./dynamic_conv.ts";
export { type Linear, linear, type LinearOptions } from "./linear.ts";
export { Activation, gelu, hardSwish, leakyRelu, relu, sigmoid, tanh } from "./activation.ts";
export {
  BatchNorm,
  batchNorm,
  type BatchNormOptions,
  type LocalResponseNorm,
  localResponseNorm,
  type LocalResponseNormOptions,
} from "./norm.ts";
export {
  type AdaptiveAveragePool,
  adaptiveAveragePool,
  avgPool,
  type Flatten,
  flatten,
  type GlobalAveragePool,
  globalAveragePool,
  maxPool,
  type Pool,
  type PoolOptions,
} from "./pool.ts";
export { type Dropout, dropout } from "./dropout.ts";
export type { Fans, Initializer } from "./initialize.ts";
/** Initial values of the weights of a layer, for its option `weightInitializer`. */
export * as initializers from "./initializers.ts";
export { lsuv, type LsuvOptions } from "./lsuv.ts";
export { foldBatchNorm } from "./fold_batch_norm.ts";
export { gradCam } from "./grad_cam.ts";
export { captureActivations, type ForwardCall, onForward } from "./hooks.ts";
export { type Summary, summary, type SummaryOptions, type SummaryRow } from "./summary.ts";

import { takeForwardOptionsOnly } from "./forward_guard.ts";
import { Activation, OpActivation } from "./activation.ts";
import { Parallel, Residual, Sequential } from "./containers.ts";
import { Conv2d } from "./conv.ts";
import { Dropout } from "./dropout.ts";
import { DynamicConv2d, KernelAttention } from "./dynamic_conv.ts";
import { Linear } from "./linear.ts";
import { BatchNorm, LocalResponseNorm } from "./norm.ts";
import { AdaptiveAveragePool, Flatten, GlobalAveragePool, Pool } from "./pool.ts";

takeForwardOptionsOnly(
  ...[Activation, OpActivation, Parallel, Residual, Sequential, Conv2d, Dropout, DynamicConv2d],
  ...[KernelAttention, Linear, BatchNorm, LocalResponseNorm],
  ...[AdaptiveAveragePool, Flatten, GlobalAveragePool, Pool],
);
