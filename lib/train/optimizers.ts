/**
 * Rules that change parameters by their gradients, each exactly as in PyTorch. In the equations,
 * `w` is a parameter, `g` its gradient, `η` the learning rate, `λ` the weight decay and `t` the
 * number of the step, from 1.
 */
import {
  checkOptions,
  dispose,
  isTensor,
  isVariable,
  ops,
  type Tensor,
  tidy,
  updateByAdam,
  updateByMomentum,
  type Variable,
  variable,
  vectorNorm,
} from "../tensor/mod.ts";
import { checkTensor } from "../tensor/internal.ts";

/**
 * Changes the parameters it is bound to, step by step, and owns what it has to remember about each.
 */
export interface Optimizer extends Disposable {
  /** What it changes; what a model has beyond these stays as it is. */
  readonly parameters: readonly Variable[];
  /** The length of a step; may be set between steps. */
  learningRate: number;
  /**
   * Changes each parameter by its gradient. The gradients are in the order of `parameters`; the
   * caller disposes them. All is checked first: a step that throws has changed nothing.
   *
   * @param norm The length of all gradients as one vector, where the caller knows it.
   *
   * @throws {RangeError} If there is not one gradient for each parameter, of its shape.
   * @throws {TypeError} If a gradient is no float32 tensor, or the optimizer, a parameter or a
   * gradient was disposed.
   */
  step(gradients: readonly Tensor[], norm?: number): void;
  /** Frees what is remembered; the parameters stay. */
  dispose(): void;
}

/**
 * Parameters that are trained in another way than others: with smaller steps for a body that is
 * trained already, say.
 */
export interface ParameterGroup {
  readonly parameters: readonly Variable[];
  /**
   * Factor on the learning rate of the optimizer, for these.
   *
   * @default 1
   */
  readonly learningRateFactor?: number;
  /**
   * Their weight decay in place of the optimizer's: 0 for biases and batch norms, say.
   *
   * @default the optimizer's
   */
  readonly weightDecay?: number;
}

/** What an optimizer is made for: parameters, or groups of them. */
export type ParametersOrGroups = readonly Variable[] | readonly ParameterGroup[];

/** What a rule goes by for one parameter. */
interface Moment {
  /** w */
  readonly parameter: Variable;
  /** g */
  readonly gradient: Tensor;
  /** What is remembered about this parameter, zero at first. */
  readonly memory: readonly Variable[];
  /** t */
  readonly step: number;
  /** η, times the factor of the parameter's group. */
  readonly learningRate: number;
  /** λ, of the parameter's group or else the optimizer's. */
  readonly weightDecay: number;
  /** Whether the square of a gradient was, at this or an earlier step, beyond float32. */
  readonly overflows: boolean;
}

/** How an optimizer changes one parameter. */
interface Rule {
  /** How many numbers it remembers about each number of a parameter. */
  readonly memories: number;
  /** Whether it asks if squares overflow. */
  readonly asksForOverflow?: boolean;
  /** Changes a parameter and what is remembered about it. */
  readonly update: (moment: Moment) => void;
}

/** One for all rules. */
class RuleOptimizer implements Optimizer {
  readonly parameters: readonly Variable[];
  /** The settings that each parameter has from its group. */
  readonly #settings: readonly { readonly factor: number; readonly weightDecay: number }[];
  readonly #memory: Variable[][];
  readonly #rule: Rule;
  #steps = 0;
  #learningRate = 0;
  #overflows = false;
  #isDisposed = false;

  constructor(
    readonly name: string,
    parametersOrGroups: ParametersOrGroups,
    { learningRate, weightDecay }: { learningRate: number; weightDecay: number },
    rule: Rule,
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
    this.#settings = groups.flatMap((group) => {
      const { learningRateFactor: factor = 1, weightDecay: own = weightDecay } = group;
      checkNumber(name, "learningRateFactor", factor);
      checkNumber(name, "the weightDecay of a group", own);
      return group.parameters.map(() => ({ factor, weightDecay: own }));
    });
    this.learningRate = learningRate;
    parameters.forEach((parameter, i) => {
      checkTensor(`The optimizer ${name}`, parameter, { name: `parameter ${i}` });
      if (parameter.dtype === "float32") return;
      throw new TypeError(
        `The optimizer ${name}: parameter ${i} must be float32, found ${parameter.dtype} [${parameter.shape}].`,
      );
    });
    this.parameters = parameters;
    this.#rule = rule;
    this.#memory = parameters.map((parameter) =>
      Array.from(
        { length: rule.memories },
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

  step(gradients: readonly Tensor[], norm?: number): void {
    this.#check(gradients);
    if (this.#rule.asksForOverflow) this.#overflows ||= !((norm ?? vectorNorm(gradients)) < 1e18);
    this.#steps++;
    this.parameters.forEach((parameter, i) =>
      tidy(() =>
        this.#rule.update({
          parameter,
          gradient: gradients[i]!,
          memory: this.#memory[i]!,
          step: this.#steps,
          learningRate: this.#learningRate * this.#settings[i]!.factor,
          weightDecay: this.#settings[i]!.weightDecay,
          overflows: this.#overflows,
        })
      )
    );
  }

  /** Finds what would fail half-way through a step. */
  #check(gradients: readonly Tensor[]): void {
    const { parameters, name } = this, doing = `A step of ${name}`;
    if (this.#isDisposed) {
      throw new TypeError(
        `${doing}: the optimizer must be alive, found a disposed one. Make a new one.`,
      );
    }
    if (!Array.isArray(gradients)) {
      throw new TypeError(
        `${doing}: the gradients must be an array of tensors, found ${typeof gradients}.`,
      );
    }
    const wrong = parameters.findIndex((parameter, i) =>
      String(parameter.shape) !== String(gradients[i]?.shape)
    );
    if (wrong >= 0 || gradients.length !== parameters.length) {
      throw new RangeError(
        `${doing}: expected ${parameters.length} gradients in the shapes of the parameters, found ${gradients.length}` +
          (gradients[wrong]
            ? `; number ${wrong} must be [${parameters[wrong]?.shape}], found [${
              gradients[wrong].shape
            }].`
            : "."),
      );
    }
    parameters.forEach((parameter, i) => {
      checkTensor(doing, parameter, { name: `parameter ${i}` });
      const gradient: unknown = gradients[i];
      if (!isTensor(gradient) || gradient.dtype !== "float32") {
        throw new TypeError(
          `${doing}: gradient ${i} must be a float32 tensor, found ${
            isTensor(gradient) ? gradient.dtype : typeof gradient
          }.`,
        );
      }
      checkTensor(doing, gradient, { name: `gradient ${i}` });
    });
  }

  dispose(): void {
    this.#isDisposed = true;
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
    for (const group of parameters) {
      checkOptions<ParameterGroup>(
        `The optimizer ${name}`,
        group,
        "{ parameters: model.fc.parameters(), learningRateFactor: 10 }",
        { parameters: true, learningRateFactor: true, weightDecay: true },
      );
    }
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
  /**
   * What part of a parameter is added to its gradient, λ: the slope of `λ/2 · w²` in the loss. 0
   * unless said otherwise.
   */
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
 * // Groups: steps of a tenth of the length for a body that is trained already.
 * const body = variable(ops.tensor([1])), head = variable(ops.tensor([1]));
 * const groups = [{ parameters: [body], learningRateFactor: 0.1 }, { parameters: [head] }];
 * sgd(groups, { learningRate: 0.5 }).step([gradient, gradient]);
 * assert.deepEqual([body, head].map((w) => w.dataSync()[0]?.toFixed(2)), ["0.95", "0.50"]);
 * ```
 */
export function sgd(parameters: ParametersOrGroups, options: SgdOptions): Optimizer {
  checkOptions<SgdOptions>("The optimizer sgd", options, "{ learningRate: 0.1 }", {
    learningRate: true,
    momentum: true,
    nesterov: true,
    weightDecay: true,
  });
  const { learningRate, momentum = 0, nesterov = false, weightDecay = 0 } = options;
  checkNumber("sgd", "momentum", momentum, 1);
  if (typeof nesterov !== "boolean") {
    throw new TypeError(
      `The optimizer sgd: nesterov must be true or false, found ${typeof nesterov}.`,
    );
  }
  if (nesterov && momentum === 0) {
    throw new RangeError(
      "The optimizer sgd: nesterov needs a momentum greater than 0, found 0.",
    );
  }
  return new RuleOptimizer("sgd", parameters, { learningRate, weightDecay }, {
    memories: momentum === 0 ? 0 : 1,
    update: ({ parameter, gradient, memory: [velocity], learningRate, weightDecay }) => {
      const options = { learningRate, momentum, nesterov, weightDecay };
      updateByMomentum(parameter, velocity, gradient, options);
    },
  });
}

/** The options of {@linkcode adagrad}. */
export interface AdagradOptions extends OptimizerOptions {
  /** What keeps the divisor from 0. 1e-10 unless said otherwise. */
  epsilon?: number;
}

/**
 * Steps that get shorter where gradients have been large: `g ← g + λ·w`, `s ← s + g²`,
 * `w ← w − η·g / (√s + ε)` (Duchi et al. 2011).
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
export function adagrad(parameters: ParametersOrGroups, options: AdagradOptions): Optimizer {
  checkOptions<AdagradOptions>("The optimizer adagrad", options, "{ learningRate: 0.01 }", {
    learningRate: true,
    epsilon: true,
    weightDecay: true,
  });
  const { learningRate, epsilon = 1e-10, weightDecay = 0 } = options;
  checkNumber("adagrad", "epsilon", epsilon);
  return new RuleOptimizer("adagrad", parameters, { learningRate, weightDecay }, {
    memories: 1,
    update: (moment) => {
      const { parameter, learningRate } = moment, gradient = decayed(moment);
      const squares = moment.memory[0]!;
      squares.assign(sum(squares, ops.square(gradient)));
      descend(parameter, ratio(gradient, squares, epsilon), learningRate);
    },
  });
}

/** The options of {@linkcode rmsProp}. */
export interface RmsPropOptions extends OptimizerOptions {
  /** How much of the mean of the squares is kept, α. 0.99 unless said otherwise. */
  decay?: number;
  /** What keeps the divisor from 0. 1e-8 unless said otherwise. */
  epsilon?: number;
}

/**
 * Adagrad that forgets: `g ← g + λ·w`, `s ← α·s + (1 − α)·g²`, `w ← w − η·g / (√s + ε)` (Tieleman
 * and Hinton 2012, lecture 6.5).
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
  checkOptions<RmsPropOptions>("The optimizer rmsProp", options, "{ learningRate: 0.01 }", {
    learningRate: true,
    decay: true,
    epsilon: true,
    weightDecay: true,
  });
  const { learningRate, decay = 0.99, epsilon = 1e-8, weightDecay = 0 } = options;
  checkNumber("rmsProp", "decay", decay, 1);
  checkNumber("rmsProp", "epsilon", epsilon);
  return new RuleOptimizer("rmsProp", parameters, { learningRate, weightDecay }, {
    memories: 1,
    update: (moment) => {
      const { parameter, learningRate } = moment, gradient = decayed(moment);
      const squares = moment.memory[0]!;
      squares.assign(mixed(squares, ops.square(gradient), decay));
      descend(parameter, ratio(gradient, squares, epsilon), learningRate);
    },
  });
}

/** The options of {@linkcode adam} and {@linkcode adamW}. */
export interface AdamOptions extends OptimizerOptions {
  /**
   * How much of the means of the gradients and of their squares is kept, β₁ and β₂. 0.9 and 0.999
   * unless said otherwise.
   */
  betas?: readonly [number, number];
  /** What keeps the divisor from 0. 1e-8 unless said otherwise. */
  epsilon?: number;
}

/**
 * Momentum over the root mean square: `g ← g + λ·w`, `m ← β₁·m + (1 − β₁)·g`,
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
 * Adam with the decay apart from the gradient, `w ← w − η·λ·w − η · m̂ / (√ŝ + ε)`, so that it is
 * as strong where gradients are large (Loshchilov and Hutter 2019, algorithm 2). The weight decay
 * is 0.01 unless said otherwise.
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
  { weightDecay: usual, isDecoupled }: { weightDecay: number; isDecoupled: boolean },
): Optimizer {
  const doing = `The optimizer ${name}`;
  checkOptions<AdamOptions>(doing, options, "{ learningRate: 0.001 }", {
    learningRate: true,
    betas: true,
    epsilon: true,
    weightDecay: true,
  });
  const { learningRate, weightDecay = usual, betas = [0.9, 0.999], epsilon = 1e-8 } = options;
  if (!Array.isArray(betas) || betas.length !== 2) {
    throw new TypeError(
      `${doing}: betas must be two numbers such as [0.9, 0.999], found ${
        Array.isArray(betas) ? `[${betas}]` : typeof betas
      }.`,
    );
  }
  const [beta1, beta2] = betas;
  checkNumber(name, "betas[0]", beta1, 1);
  checkNumber(name, "betas[1]", beta2, 1);
  checkNumber(name, "epsilon", epsilon);
  return new RuleOptimizer(name, parameters, { learningRate, weightDecay }, {
    memories: 2,
    asksForOverflow: true,
    update: (moment) => {
      const { parameter, memory, step, learningRate, weightDecay, overflows } = moment;
      const gradient = isDecoupled ? moment.gradient : decayed(moment);
      updateByAdam(parameter, memory[0]!, memory[1]!, gradient, {
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

// The arithmetic of the rules, on tensors of one shape, which the general ops would have to be
// told.

/** `g + λ·w` */
function decayed({ gradient, parameter, weightDecay }: Moment): Tensor {
  return weightDecay === 0 ? gradient : sum(gradient, times(parameter, weightDecay));
}

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
  if (!(typeof value === "number" && value >= 0 && value < below)) {
    const Kind = typeof value === "number" || value === undefined ? RangeError : TypeError;
    throw new Kind(
      `The optimizer ${optimizer}: ${name} must be ${
        below === Infinity ? "a number of at least 0" : `from 0 up to but without ${below}`
      }, found ${value}.`,
    );
  }
}
