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
export type { Add, Less, OutputOf } from "./shapes.ts";
export { checkWhole } from "./checks.ts";
export { Parallel, parallel, Residual, residual, Sequential, sequential } from "./containers.ts";
export { Conv2d, conv2d, type Conv2dOptions } from "./conv.ts";
export {
  DynamicConv2d,
  dynamicConv2d,
  type DynamicConv2dOptions,
  KernelAttention,
  setTemperature,
} from "./dynamic_conv.ts";
export { Linear, linear, type LinearOptions } from "./linear.ts";
export { Activation, gelu, leakyRelu, relu, sigmoid, tanh } from "./activation.ts";
export {
  BatchNorm,
  batchNorm,
  type BatchNormOptions,
  LocalResponseNorm,
  localResponseNorm,
  type LocalResponseNormOptions,
} from "./norm.ts";
export {
  AdaptiveAveragePool,
  adaptiveAveragePool,
  avgPool,
  Flatten,
  flatten,
  GlobalAveragePool,
  globalAveragePool,
  maxPool,
  Pool,
  type PoolOptions,
} from "./pool.ts";
export { Dropout, dropout } from "./dropout.ts";
export {
  constantInitializer,
  type Fans,
  fansOf,
  heNormal,
  heUniform,
  type Initializer,
  normalInitializer,
  xavierNormal,
  xavierUniform,
} from "./initializers.ts";
export { lsuv } from "./lsuv.ts";
export { foldBatchNorm } from "./fold_batch_norm.ts";
export { gradCam } from "./grad_cam.ts";
export { captureActivations, type ForwardCall, onForward } from "./observe.ts";
export { Summary, summary, type SummaryRow } from "./summary.ts";

import { takeForwardOptionsOnly } from "./forward_guard.ts";
import { Activation } from "./activation.ts";
import { Parallel, Residual, Sequential } from "./containers.ts";
import { Conv2d } from "./conv.ts";
import { Dropout } from "./dropout.ts";
import { DynamicConv2d, KernelAttention } from "./dynamic_conv.ts";
import { Linear } from "./linear.ts";
import { BatchNorm, LocalResponseNorm } from "./norm.ts";
import { AdaptiveAveragePool, Flatten, GlobalAveragePool, Pool } from "./pool.ts";

takeForwardOptionsOnly(
  ...[Activation, Parallel, Residual, Sequential, Conv2d, Dropout, DynamicConv2d],
  ...[KernelAttention, Linear, BatchNorm, LocalResponseNorm],
  ...[AdaptiveAveragePool, Flatten, GlobalAveragePool, Pool],
);
