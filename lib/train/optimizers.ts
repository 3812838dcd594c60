/**
 * Optimizers: rules that change parameters by their gradients, each exactly as in PyTorch. In the
 * equations, `w` is a parameter, `g` its gradient, `η` the learning rate, `λ` the weight decay and
 * `t` the index of the step, from 1.
 */
import { ops, type Tensor } from "../tensor/mod.ts";
import {
  checkBoolean,
  checkNumber,
  checkOptions,
  show,
  updateByAdam,
  updateByMomentum,
} from "../tensor/internal.ts";
import {
  checkNotNegative,
  making,
  type Optimizer,
  type ParametersOrGroups,
  RuleOptimizer,
  type UpdateContext,
} from "./rule_optimizer.ts";

/** The options of every optimizer. */
export interface OptimizerOptions {
  /** The learning rate η. */
  learningRate: number;
  /**
   * The weight decay λ. Except in adamW, `λ · w` is added to the gradient of a parameter `w`, as if
   * the loss had the term `λ/2 · w²`.
   *
   * @default 0, and 0.01 in adamW
   */
  weightDecay?: number;
}

/** The options of {@linkcode sgd}. */
export interface SgdOptions extends OptimizerOptions {
  /**
   * The momentum μ: the decay of the velocity.
   *
   * @default 0
   */
  momentum?: number;
  /**
   * Whether it uses Nesterov's momentum.
   *
   * @default false
   */
  nesterov?: boolean;
}

/**
 * Stochastic gradient descent: `g ← g + λ·w`, `v ← μ·v + g`, `w ← w − η·v`; with Nesterov's
 * momentum `w ← w − η·(g + μ·v)` (Sutskever et al. 2013).
 *
 * @throws {TypeError} If `parameters` is not an array of variables or of groups of them.
 * @throws {RangeError} If it is empty or repeats one, or an option is out of its range.
 *
 * @example
 * ```ts
 * import { ops, sgd, variable } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const w = variable(ops.tensor([1]));
 * using optimizer = sgd([w], { learningRate: 0.5, momentum: 0.5 });
 * const gradient = ops.tensor([1]);
 * optimizer.step([gradient]); // v = 1, w = 1 − 0.5
 * optimizer.step([gradient]); // v = 1.5, w = 0.5 − 0.75
 * assert.equal(w.dataSync()[0], -0.25);
 *
 * // Groups: a tenth of the learning rate for a pretrained body.
 * const body = variable(ops.tensor([1])), head = variable(ops.tensor([1]));
 * const groups = [{ parameters: [body], learningRateFactor: 0.1 }, { parameters: [head] }];
 * sgd(groups, { learningRate: 0.5 }).step([gradient, gradient]);
 * assert.deepEqual([body, head].map((w) => w.dataSync()[0]?.toFixed(2)), ["0.95", "0.50"]);
 * ```
 */
export function sgd(parameters: ParametersOrGroups, options: SgdOptions): Optimizer {
  checkOptions<SgdOptions>(making("sgd"), options, "{ learningRate: 0.1 }", {
    learningRate: true,
    momentum: true,
    nesterov: true,
    weightDecay: true,
  });
  const { learningRate, momentum = 0, nesterov = false, weightDecay = 0 } = options;
  checkDecay("sgd", "momentum", momentum);
  checkBoolean(making("sgd"), "nesterov", nesterov);
  if (nesterov && momentum === 0) {
    throw new RangeError(`${making("sgd")}: momentum must be positive with nesterov, found 0.`);
  }
  return new RuleOptimizer("sgd", parameters, { learningRate, weightDecay }, {
    settings: { momentum, nesterov },
    slots: momentum === 0 ? [] : ["velocity"],
    update: ({ parameter, gradient, state: [velocity], learningRate, weightDecay }) => {
      const options = { learningRate, momentum, nesterov, weightDecay };
      updateByMomentum(parameter, velocity, gradient, options);
    },
  });
}

/** The options of {@linkcode adagrad}. */
export interface AdagradOptions extends OptimizerOptions {
  /**
   * The epsilon ε, added to the denominator, which may be 0.
   *
   * @default 1e-10
   */
  epsilon?: number;
}

/**
 * Adagrad, whose steps get shorter for parameters with large gradients: `g ← g + λ·w`,
 * `s ← s + g²`, `w ← w − η·g / (√s + ε)` (Duchi et al. 2011).
 *
 * @throws {TypeError} If `parameters` is not an array of variables or of groups of them.
 * @throws {RangeError} If it is empty or repeats one, or an option is out of its range.
 *
 * @example
 * ```ts
 * import { adagrad, ops, variable } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const w = variable(ops.tensor([1, 1]));
 * using optimizer = adagrad([w], { learningRate: 0.5 });
 * optimizer.step([ops.tensor([0.01, 100])]);
 * // The length of the first step does not depend on the gradient.
 * assert.deepEqual([...w.dataSync()], [0.5, 0.5]);
 * ```
 */
export function adagrad(parameters: ParametersOrGroups, options: AdagradOptions): Optimizer {
  checkOptions<AdagradOptions>(making("adagrad"), options, "{ learningRate: 0.01 }", {
    learningRate: true,
    epsilon: true,
    weightDecay: true,
  });
  const { learningRate, epsilon = 1e-10, weightDecay = 0 } = options;
  checkNotNegative("adagrad", "epsilon", epsilon);
  return new RuleOptimizer("adagrad", parameters, { learningRate, weightDecay }, {
    settings: { epsilon },
    slots: ["squares"],
    update: (context) => {
      const gradient = decayedGradient(context), squares = context.state[0]!;
      squares.assign(ops.add(squares as Tensor, ops.square(gradient)));
      applyUpdate(context, ratio(gradient, squares, epsilon));
    },
  });
}

/** The options of {@linkcode rmsProp}. */
export interface RmsPropOptions extends OptimizerOptions {
  /**
   * The decay α of the running mean of the squares.
   *
   * @default 0.99
   */
  decay?: number;
  /**
   * The epsilon ε, added to the denominator, which may be 0.
   *
   * @default 1e-8
   */
  epsilon?: number;
}

/**
 * RMSProp, which is Adagrad with a running mean of the squares: `g ← g + λ·w`,
 * `s ← α·s + (1 − α)·g²`, `w ← w − η·g / (√s + ε)` (Tieleman and Hinton 2012, lecture 6.5).
 *
 * @throws {TypeError} If `parameters` is not an array of variables or of groups of them.
 * @throws {RangeError} If it is empty or repeats one, or an option is out of its range.
 *
 * @example
 * ```ts
 * import { ops, rmsProp, variable } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const w = variable(ops.tensor([1]));
 * using optimizer = rmsProp([w], { learningRate: 0.25, decay: 0.75 });
 * optimizer.step([ops.tensor([100])]); // s = 0.25 · 100², w = 1 − 0.25 · 100 / 50
 * assert(Math.abs(w.dataSync()[0]! - 0.5) < 1e-6);
 * ```
 */
export function rmsProp(parameters: ParametersOrGroups, options: RmsPropOptions): Optimizer {
  checkOptions<RmsPropOptions>(making("rmsProp"), options, "{ learningRate: 0.01 }", {
    learningRate: true,
    decay: true,
    epsilon: true,
    weightDecay: true,
  });
  const { learningRate, decay = 0.99, epsilon = 1e-8, weightDecay = 0 } = options;
  checkDecay("rmsProp", "decay", decay);
  checkNotNegative("rmsProp", "epsilon", epsilon);
  return new RuleOptimizer("rmsProp", parameters, { learningRate, weightDecay }, {
    settings: { decay, epsilon },
    slots: ["squares"],
    update: (context) => {
      const gradient = decayedGradient(context), squares = context.state[0]!;
      squares.assign(lerp(ops.square(gradient), squares, decay));
      applyUpdate(context, ratio(gradient, squares, epsilon));
    },
  });
}

/** The options of {@linkcode adam} and {@linkcode adamW}. */
export interface AdamOptions extends OptimizerOptions {
  /**
   * The decays of the running means: β₁ for the gradients, β₂ for their squares.
   *
   * @default [0.9, 0.999]
   */
  betas?: readonly [number, number];
  /**
   * The epsilon ε, added to the denominator, which may be 0.
   *
   * @default 1e-8
   */
  epsilon?: number;
}

/**
 * Adam, momentum divided by the root mean square: `g ← g + λ·w`, `m ← β₁·m + (1 − β₁)·g`,
 * `s ← β₂·s + (1 − β₂)·g²`, `w ← w − η · m̂ / (√ŝ + ε)` with `m̂ = m / (1 − β₁ᵗ)` and
 * `ŝ = s / (1 − β₂ᵗ)` (Kingma and Ba 2015, algorithm 1).
 *
 * @throws {TypeError} If `parameters` is not an array of variables or of groups of them.
 * @throws {RangeError} If it is empty or repeats one, or an option is out of its range.
 *
 * @example
 * ```ts
 * import { adam, ops, variable } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const w = variable(ops.tensor([1, 1]));
 * using optimizer = adam([w], { learningRate: 0.5 });
 * optimizer.step([ops.tensor([0.01, 100])]);
 * assert(w.dataSync().every((value) => Math.abs(value - 0.5) < 1e-5)); // The first step is η long.
 * ```
 */
export function adam(parameters: ParametersOrGroups, options: AdamOptions): Optimizer {
  return adamOptimizer("adam", parameters, options, { weightDecay: 0, isDecoupled: false });
}

/**
 * AdamW, which is Adam with decoupled weight decay, `w ← w − η·λ·w − η · m̂ / (√ŝ + ε)`, so that
 * large gradients do not weaken it (Loshchilov and Hutter 2019, algorithm 2).
 *
 * @throws {TypeError} If `parameters` is not an array of variables or of groups of them.
 * @throws {RangeError} If it is empty or repeats one, or an option is out of its range.
 *
 * @example
 * ```ts
 * import { adamW, ops, variable } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const w = variable(ops.tensor([1]));
 * using optimizer = adamW([w], { learningRate: 0.5, weightDecay: 0.5 });
 * optimizer.step([ops.tensor([0])]);
 * assert.equal(w.dataSync()[0], 0.75);
 * ```
 */
export function adamW(parameters: ParametersOrGroups, options: AdamOptions): Optimizer {
  return adamOptimizer("adamW", parameters, options, { weightDecay: 0.01, isDecoupled: true });
}

function adamOptimizer(
  name: string,
  parameters: ParametersOrGroups,
  options: AdamOptions,
  defaults: { weightDecay: number; isDecoupled: boolean },
): Optimizer {
  const action = making(name);
  const { isDecoupled } = defaults;
  checkOptions<AdamOptions>(action, options, "{ learningRate: 0.001 }", {
    learningRate: true,
    betas: true,
    epsilon: true,
    weightDecay: true,
  });
  const { learningRate, betas = [0.9, 0.999], epsilon = 1e-8 } = options;
  const { weightDecay = defaults.weightDecay } = options;
  if (!Array.isArray(betas) || betas.length !== 2) {
    throw new TypeError(
      `${action}: betas must be two numbers such as [0.9, 0.999], found ${show(betas)}.`,
    );
  }
  const [beta1, beta2] = betas;
  checkDecay(name, "betas[0]", beta1);
  checkDecay(name, "betas[1]", beta2);
  checkNotNegative(name, "epsilon", epsilon);
  return new RuleOptimizer(name, parameters, { learningRate, weightDecay }, {
    settings: { beta1, beta2, epsilon },
    slots: ["mean", "squares"],
    usesOverflows: true,
    update: (context) => {
      const { parameter, state, step, learningRate, weightDecay, overflows } = context;
      const gradient = isDecoupled ? context.gradient : decayedGradient(context);
      updateByAdam(parameter, state[0]!, state[1]!, gradient, {
        learningRate,
        betas: [beta1, beta2],
        epsilon,
        step,
        decoupledDecay: isDecoupled ? weightDecay : 0,
        overflows,
      });
    },
  });
}

/** `g + λ·w` */
function decayedGradient({ gradient, parameter, weightDecay }: UpdateContext): Tensor {
  if (weightDecay === 0) return gradient;
  return ops.add(gradient, ops.mul(parameter as Tensor, weightDecay));
}

/** `w ← w − η · direction` */
function applyUpdate({ parameter, learningRate }: UpdateContext, direction: Tensor): void {
  parameter.assign(ops.sub(parameter as Tensor, ops.mul(direction, learningRate)));
}

/** `x / (√squares + ε)` */
function ratio(x: Tensor, squares: Tensor, epsilon: number): Tensor {
  return ops.div(x, ops.add(ops.sqrt(squares), epsilon));
}

/** Linear interpolation from `a` to `b`: `weight · b + (1 − weight) · a`. */
function lerp(a: Tensor, b: Tensor, weight: number): Tensor {
  return ops.add(ops.mul(b, weight), ops.mul(a, 1 - weight));
}

function checkDecay(optimizer: string, subject: string, value: number): void {
  checkNumber(
    making(optimizer),
    subject,
    value,
    value >= 0 && value < 1,
    "at least 0 and less than 1",
  );
}
