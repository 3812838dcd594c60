/**
 * Rules that change parameters by their gradients, each exactly as in PyTorch. In the equations, `w` is a parameter, `g` its
 * gradient, `η` the learning rate, `λ` the weight decay and `t` the number of the step, from 1.
 */
import {
  dispose,
  isVariable,
  ops,
  type Tensor,
  tidy,
  updateByAdam,
  updateByMomentum,
  type Variable,
  variable,
} from "../tensor/mod.ts";

/** Changes the parameters it is bound to, step by step, and owns what it has to remember about each. */
export interface Optimizer extends Disposable {
  /** What it changes; what a model has beyond these stays as it is. */
  readonly parameters: readonly Variable[];
  /** The length of a step; may be set between steps. */
  learningRate: number;
  /**
   * Changes each parameter by its gradient. The gradients are in the order of `parameters`; the caller disposes them.
   *
   * @throws {RangeError} If there is not one gradient for each parameter, of its shape.
   */
  step(gradients: readonly Tensor[]): void;
  /** Frees what is remembered; the parameters stay. */
  dispose(): void;
}

/** Parameters whose steps are longer or shorter than those of others: smaller ones for a body that is trained already, say. */
export interface ParameterGroup {
  readonly parameters: readonly Variable[];
  /** What the learning rate of the optimizer is multiplied by for these; 1 unless said otherwise. */
  readonly learningRateFactor?: number;
}

/** What an optimizer is made for: parameters, or groups of them. */
export type ParametersOrGroups = readonly Variable[] | readonly ParameterGroup[];

/** What a rule goes by for one parameter. */
interface Moment {
  /** w */
  readonly parameter: Variable;
  /** g, or `g + λ·w` where the decay is part of the gradient. */
  readonly gradient: Tensor;
  /** What is remembered about this parameter, zero at first. */
  readonly memory: readonly Variable[];
  /** t */
  readonly step: number;
  /** η, times the factor of the parameter's group. */
  readonly learningRate: number;
}

/** One for all rules: a rule changes a parameter and what is remembered about it. */
class RuleOptimizer implements Optimizer {
  readonly parameters: readonly Variable[];
  /** What the learning rate is multiplied by, for each parameter. */
  readonly #factors: readonly number[];
  readonly #memory: Variable[][];
  #steps = 0;
  #learningRate = 0;

  constructor(
    readonly name: string,
    parametersOrGroups: ParametersOrGroups,
    learningRate: number,
    readonly weightDecay: number,
    memories: number,
    readonly rule: (moment: Moment) => void,
  ) {
    const groups = grouped(name, parametersOrGroups);
    const parameters = groups.flatMap((group) => group.parameters);
    if (parameters.length === 0 || new Set(parameters).size < parameters.length) {
      throw new RangeError(
        `The optimizer ${name}: expected at least one parameter, and each only once, found ${parameters.length} with ` +
          `${parameters.length - new Set(parameters).size} repeated.`,
      );
    }
    checkNumber(name, "weightDecay", weightDecay);
    this.parameters = parameters;
    this.#factors = groups.flatMap(({ parameters, learningRateFactor = 1 }) => {
      checkNumber(name, "learningRateFactor", learningRateFactor);
      return parameters.map(() => learningRateFactor);
    });
    this.learningRate = learningRate;
    this.#memory = parameters.map((parameter) =>
      Array.from(
        { length: memories },
        () => variable(ops.zeros(parameter.shape), { trainable: false }),
      )
    );
  }

  get learningRate(): number {
    return this.#learningRate;
  }

  set learningRate(value: number) {
    checkNumber(this.name, "learningRate", value);
    this.#learningRate = value;
  }

  step(gradients: readonly Tensor[]): void {
    const { parameters, name, weightDecay } = this;
    const wrong = parameters.findIndex((parameter, i) =>
      String(parameter.shape) !== String(gradients[i]?.shape)
    );
    if (wrong >= 0 || gradients.length !== parameters.length) {
      throw new RangeError(
        `A step of ${name}: expected ${parameters.length} gradients in the shapes of the parameters, found ${gradients.length}` +
          (gradients[wrong]
            ? `; number ${wrong} must be [${parameters[wrong]?.shape}], found [${
              gradients[wrong].shape
            }].`
            : "."),
      );
    }
    this.#steps++;
    parameters.forEach((parameter, i) =>
      tidy(() => {
        const gradient = weightDecay === 0
          ? gradients[i]!
          : sum(gradients[i]!, times(parameter, weightDecay));
        this.rule({
          parameter,
          gradient,
          memory: this.#memory[i]!,
          step: this.#steps,
          learningRate: this.#learningRate * this.#factors[i]!,
        });
      })
    );
  }

  dispose(): void {
    dispose(this.#memory);
  }

  [Symbol.dispose](): void {
    this.dispose();
  }
}

/** Parameters as one group; groups as they are. */
function grouped(name: string, parameters: ParametersOrGroups): readonly ParameterGroup[] {
  if (isVariables(parameters)) return [{ parameters }];
  if (Array.isArray(parameters) && parameters.every((group) => isVariables(group?.parameters))) {
    return parameters;
  }
  throw new TypeError(
    `The optimizer ${name}: expected an array of parameters, such as model.parameters(), or of groups such as ` +
      "{ parameters: model.fc.parameters(), learningRateFactor: 10 }.",
  );
}

function isVariables(value: unknown): value is readonly Variable[] {
  return Array.isArray(value) && value.every(isVariable);
}

/** The options that every optimizer has. */
export interface OptimizerOptions {
  /** The length of a step, η. */
  learningRate: number;
  /** What part of a parameter is added to its gradient, λ: the slope of `λ/2 · w²` in the loss. 0 unless said otherwise. */
  weightDecay?: number;
}

/** The options of {@linkcode sgd}. */
export interface SgdOptions extends OptimizerOptions {
  /** How much of the last step's velocity is kept, μ. 0 unless said otherwise. */
  momentum?: number;
  /** Whether the gradient is followed from where the momentum leads. */
  nesterov?: boolean;
}

/**
 * Stochastic gradient descent: `g ← g + λ·w`, `v ← μ·v + g`, `w ← w − η·v`; with Nesterov's momentum `w ← w − η·(g + μ·v)` (Sutskever et
 * al. 2013).
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
 * // Groups: steps of a tenth of the length for a body that is trained already.
 * const body = variable(ops.tensor([1])), head = variable(ops.tensor([1]));
 * const groups = [{ parameters: [body], learningRateFactor: 0.1 }, { parameters: [head] }];
 * sgd(groups, { learningRate: 0.5 }).step([gradient, gradient]);
 * assert.deepEqual([body, head].map((w) => w.dataSync()[0]?.toFixed(2)), ["0.95", "0.50"]);
 * ```
 */
export function sgd(
  parameters: ParametersOrGroups,
  { learningRate, momentum = 0, nesterov = false, weightDecay = 0 }: SgdOptions,
): Optimizer {
  checkNumber("sgd", "momentum", momentum, 1);
  if (nesterov && momentum === 0) {
    throw new RangeError(
      "The optimizer sgd: nesterov needs a momentum greater than 0, found 0.",
    );
  }
  checkNumber("sgd", "weightDecay", weightDecay);
  return new RuleOptimizer(
    "sgd",
    parameters,
    learningRate,
    0, // The update adds the decay.
    momentum === 0 ? 0 : 1,
    ({ parameter, gradient, memory: [velocity], learningRate }) => {
      const options = { learningRate, momentum, nesterov, weightDecay };
      updateByMomentum(parameter, velocity, gradient, options);
    },
  );
}

/** The options of {@linkcode adagrad}. */
export interface AdagradOptions extends OptimizerOptions {
  /** What keeps the divisor from 0. 1e-10 unless said otherwise. */
  epsilon?: number;
}

/**
 * Steps that get shorter where gradients have been large: `g ← g + λ·w`, `s ← s + g²`, `w ← w − η·g / (√s + ε)` (Duchi et al. 2011).
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
 * assert.deepEqual([...w.dataSync()], [0.5, 0.5]); // The first step is as long whatever the gradient.
 * ```
 */
export function adagrad(
  parameters: ParametersOrGroups,
  { learningRate, epsilon = 1e-10, weightDecay = 0 }: AdagradOptions,
): Optimizer {
  checkNumber("adagrad", "epsilon", epsilon);
  return new RuleOptimizer(
    "adagrad",
    parameters,
    learningRate,
    weightDecay,
    1,
    ({ parameter, gradient, memory, learningRate }) => {
      const squares = memory[0]!;
      squares.assign(sum(squares, ops.square(gradient)));
      descend(parameter, ratio(gradient, squares, epsilon), learningRate);
    },
  );
}

/** The options of {@linkcode rmsProp}. */
export interface RmsPropOptions extends OptimizerOptions {
  /** How much of the mean of the squares is kept, α. 0.99 unless said otherwise. */
  decay?: number;
  /** What keeps the divisor from 0. 1e-8 unless said otherwise. */
  epsilon?: number;
}

/**
 * Adagrad that forgets: `g ← g + λ·w`, `s ← α·s + (1 − α)·g²`, `w ← w − η·g / (√s + ε)` (Tieleman and Hinton 2012, lecture 6.5).
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
export function rmsProp(
  parameters: ParametersOrGroups,
  { learningRate, decay = 0.99, epsilon = 1e-8, weightDecay = 0 }: RmsPropOptions,
): Optimizer {
  checkNumber("rmsProp", "decay", decay, 1);
  checkNumber("rmsProp", "epsilon", epsilon);
  return new RuleOptimizer(
    "rmsProp",
    parameters,
    learningRate,
    weightDecay,
    1,
    ({ parameter, gradient, memory, learningRate }) => {
      const squares = memory[0]!;
      squares.assign(mixed(squares, ops.square(gradient), decay));
      descend(parameter, ratio(gradient, squares, epsilon), learningRate);
    },
  );
}

/** The options of {@linkcode adam} and {@linkcode adamW}. */
export interface AdamOptions extends OptimizerOptions {
  /** How much of the means of the gradients and of their squares is kept, β₁ and β₂. 0.9 and 0.999 unless said otherwise. */
  betas?: readonly [number, number];
  /** What keeps the divisor from 0. 1e-8 unless said otherwise. */
  epsilon?: number;
}

/**
 * Momentum over the root mean square: `g ← g + λ·w`, `m ← β₁·m + (1 − β₁)·g`, `s ← β₂·s + (1 − β₂)·g²`,
 * `w ← w − η · m̂ / (√ŝ + ε)` with `m̂ = m / (1 − β₁ᵗ)` and `ŝ = s / (1 − β₂ᵗ)` (Kingma and Ba 2015, algorithm 1).
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
  return adamOptimizer("adam", parameters, options, 0);
}

/**
 * Adam with the decay apart from the gradient, `w ← w − η·λ·w − η · m̂ / (√ŝ + ε)`, so that it is as strong where gradients are large
 * (Loshchilov and Hutter 2019, algorithm 2). The weight decay is 0.01 unless said otherwise.
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
export function adamW(
  parameters: ParametersOrGroups,
  { weightDecay = 0.01, ...options }: AdamOptions,
): Optimizer {
  checkNumber("adamW", "weightDecay", weightDecay);
  return adamOptimizer("adamW", parameters, options, weightDecay);
}

function adamOptimizer(
  name: string,
  parameters: ParametersOrGroups,
  { learningRate, weightDecay = 0, betas = [0.9, 0.999], epsilon = 1e-8 }: AdamOptions,
  decoupledDecay: number,
): Optimizer {
  const [beta1, beta2] = betas;
  checkNumber(name, "betas[0]", beta1, 1);
  checkNumber(name, "betas[1]", beta2, 1);
  checkNumber(name, "epsilon", epsilon);
  return new RuleOptimizer(
    name,
    parameters,
    learningRate,
    weightDecay,
    2,
    ({ parameter, gradient, memory, step, learningRate }) => {
      updateByAdam(parameter, memory[0]!, memory[1]!, gradient, {
        learningRate,
        betas,
        epsilon,
        step,
        decoupledDecay,
      });
    },
  );
}

// The arithmetic of the rules, on tensors of one shape, which the general ops would have to be told.

function sum(a: Tensor, b: Tensor): Tensor {
  return ops.add(a, b);
}

function times(x: Tensor, factor: number): Tensor {
  return ops.mul(x, factor);
}

/** `w ← w − η · direction` */
function descend(parameter: Variable, direction: Tensor, learningRate: number): void {
  parameter.assign(ops.sub(parameter as Tensor, times(direction, learningRate)));
}

/** `x / (√squares + ε)` */
function ratio(x: Tensor, squares: Tensor, epsilon: number): Tensor {
  return ops.div(x, ops.add(ops.sqrt(squares), epsilon));
}

/** `kept · old + (1 − kept) · now` */
function mixed(old: Tensor, now: Tensor, kept: number): Tensor {
  return ops.add(ops.mul(old, kept), ops.mul(now, 1 - kept));
}

function checkNumber(optimizer: string, name: string, value: number, below = Infinity): void {
  if (!(value >= 0 && value < below)) {
    throw new RangeError(
      `The optimizer ${optimizer}: ${name} must be ${
        below === Infinity ? "a number of at least 0" : `from 0 up to but without ${below}`
      }, found ${value}.`,
    );
  }
}
