/** The interface of optimizers, and an optimizer with any rule. */
import { dispose, ops, type Tensor, tidy, type Variable, variable } from "../tensor/mod.ts";
import {
  checkArray,
  checkInteger,
  checkNumber,
  checkOptions,
  checkTensor,
  isVariable,
  show,
  vectorNorm,
} from "../tensor/internal.ts";

/** Changes parameters by their gradients, step by step, and owns its state about each. */
export interface Optimizer extends Disposable {
  /** The parameters that it changes. All others of a model stay as they are. */
  readonly parameters: readonly Variable[];
  /** The learning rate. It may be set between steps. */
  learningRate: number;
  /**
   * Changes each parameter by its gradient. The gradients are in the order of `parameters`. The
   * caller disposes them. Everything is checked first: a step that throws has changed nothing.
   *
   * @param norm The global norm of the gradients, if the caller knows it.
   * @throws {RangeError} If there is not one gradient for each parameter, of its shape.
   * @throws {TypeError} If a gradient is not a float32 tensor, or the optimizer, a parameter or a
   * gradient was disposed.
   */
  step(gradients: readonly Tensor[], norm?: number): void;
  /**
   * Returns a copy of the state and the learning rate of the optimizer, without the parameters.
   * The option `checkpoint` of {@linkcode fit} needs it, and {@linkcode findLearningRate}.
   */
  state?(): OptimizerState;
  /**
   * Continues with a state that {@linkcode Optimizer.state} returned, of this optimizer or of one
   * that was made alike. It copies the tensors.
   *
   * @throws {RangeError} If the state is of an optimizer with other settings or other parameters.
   */
  loadState?(state: OptimizerState): void;
  /** Frees the state of the optimizer. The parameters stay. */
  dispose(): void;
}

/** The state of an optimizer. Whoever receives it disposes its tensors. */
export interface OptimizerState {
  /** The name of the rule and its options, which do not change. */
  readonly settings: Readonly<Record<string, string | number | boolean>>;
  /** The numbers that change: the learning rate, the number of steps. */
  readonly numbers: Readonly<Record<string, number>>;
  /** The tensors by name. The library's are `0.velocity`, where 0 is the first parameter. */
  readonly tensors: Readonly<Record<string, Tensor>>;
}

/** Parameters with settings of their own, such as smaller steps for a pretrained body. */
export interface ParameterGroup {
  /** The parameters of the group. */
  readonly parameters: readonly Variable[];
  /**
   * Factor by which the optimizer's learning rate is multiplied.
   *
   * @default 1
   */
  readonly learningRateFactor?: number;
  /**
   * Weight decay instead of the optimizer's, such as 0 for biases and batch norms.
   *
   * @default the optimizer's
   */
  readonly weightDecay?: number;
}

/** The parameters of an optimizer, or groups of them. */
export type ParametersOrGroups = readonly Variable[] | readonly ParameterGroup[];

/** The inputs of a rule for one parameter. */
export interface UpdateContext {
  /** w */
  readonly parameter: Variable;
  /** g */
  readonly gradient: Tensor;
  /** The state about this parameter, zero at first. */
  readonly state: readonly Variable[];
  /** t */
  readonly step: number;
  /** η, times the factor of the parameter's group. */
  readonly learningRate: number;
  /** λ, of the parameter's group or else the optimizer's. */
  readonly weightDecay: number;
  /** Whether the square of a gradient overflowed float32, at this or an earlier step. */
  readonly overflows: boolean;
}

/** The rule by which an optimizer changes one parameter. */
export interface Rule {
  /** The options of the rule, without the learning rate and the weight decay. */
  readonly settings: Readonly<Record<string, number | boolean>>;
  /** The names of the state variables for each parameter, each of the parameter's shape. */
  readonly slots: readonly string[];
  /** Whether it uses {@linkcode UpdateContext.overflows}. */
  readonly usesOverflows?: boolean;
  /** Changes a parameter and its state. */
  readonly update: (context: UpdateContext) => void;
}

/** An optimizer with any rule. */
export class RuleOptimizer implements Optimizer {
  readonly parameters: readonly Variable[];
  /** The settings of each parameter from its group. */
  readonly #settings: readonly { readonly factor: number; readonly weightDecay: number }[];
  readonly #state: Variable[][];
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
    const action = making(name);
    const groups = asGroups(name, parametersOrGroups);
    const parameters = groups.flatMap((group) => group.parameters);
    const repeated = parameters.length - new Set(parameters).size;
    if (parameters.length === 0) {
      throw new RangeError(
        `${action}: there must be at least one parameter, found none. ` +
          "Frozen layers have none to train, and fields named with # are not walked.",
      );
    }
    if (repeated > 0) {
      throw new RangeError(
        `${action}: each parameter must be given once, found ${repeated} repeated.`,
      );
    }
    checkNotNegative(name, "weightDecay", weightDecay);
    this.#settings = groups.flatMap((group) => {
      const { learningRateFactor: factor = 1, weightDecay: own = weightDecay } = group;
      checkNotNegative(name, "learningRateFactor", factor);
      checkNotNegative(name, "the weightDecay of a group", own);
      return group.parameters.map(() => ({ factor, weightDecay: own }));
    });
    this.learningRate = learningRate;
    parameters.forEach((parameter, i) =>
      checkTensor(action, parameter, { name: `parameter ${i}`, dtype: "float32" })
    );
    this.parameters = parameters;
    this.#rule = rule;
    this.#state = parameters.map((parameter) =>
      rule.slots.map(() => variable(ops.zeros(parameter.shape), { trainable: false }))
    );
  }

  get learningRate(): number {
    return this.#learningRate;
  }

  set learningRate(value: number) {
    checkNotNegative(this.name, "learningRate", value);
    this.#learningRate = value;
  }

  step(gradients: readonly Tensor[], norm?: number): void {
    this.#check(gradients);
    if (this.#rule.usesOverflows) this.#overflows ||= !((norm ?? vectorNorm(gradients)) < 1e18);
    this.#steps++;
    this.parameters.forEach((parameter, i) =>
      tidy(() =>
        this.#rule.update({
          parameter,
          gradient: gradients[i]!,
          state: this.#state[i]!,
          step: this.#steps,
          learningRate: this.#learningRate * this.#settings[i]!.factor,
          weightDecay: this.#settings[i]!.weightDecay,
          overflows: this.#overflows,
        })
      )
    );
  }

  /** Checks everything that could fail halfway through a step. */
  #check(gradients: readonly Tensor[]): void {
    const { parameters, name } = this, action = `Running a step of ${name}`;
    if (this.#isDisposed) {
      throw new TypeError(
        `${action}: the optimizer must be alive, found a disposed one. Make a new one.`,
      );
    }
    checkArray(action, "the gradients", gradients);
    if (gradients.length !== parameters.length) {
      throw new RangeError(
        `${action}: there must be ${parameters.length} gradients, one for each parameter, found ${gradients.length}.`,
      );
    }
    parameters.forEach((parameter, i) => {
      const gradient = gradients[i];
      checkTensor(action, parameter, { name: `parameter ${i}` });
      checkTensor(action, gradient, { name: `gradient ${i}`, dtype: "float32" });
      const { shape } = gradient, expected = parameter.shape;
      if (
        shape.length === expected.length && shape.every((size, axis) => size === expected[axis])
      ) return;
      throw new RangeError(
        `${action}: gradient ${i} must be [${parameter.shape}], found [${gradient.shape}].`,
      );
    });
  }

  state(): OptimizerState {
    const entries = this.#slots().map(([name, variable]): [string, Tensor] => [
      name,
      ops.clone(variable),
    ]);
    return {
      settings: this.#describe(),
      numbers: {
        learningRate: this.learningRate,
        steps: this.#steps,
        overflows: Number(this.#overflows),
      },
      tensors: Object.fromEntries(entries),
    };
  }

  loadState(state: OptimizerState): void {
    const action = `Loading the state of ${this.name}`;
    const example = "{ settings, numbers, tensors }";
    const names = { settings: true, numbers: true, tensors: true } as const;
    checkOptions<OptimizerState>(action, state, example, names);
    const { settings, numbers, tensors } = state;
    for (const [name, value] of Object.entries(this.#describe())) {
      if (Object.is(settings[name], value)) continue;
      throw new RangeError(
        `${action}: ${name} must be ${show(settings[name])}, as in the state, found ${
          show(value)
        }. Make the optimizer with the options that it had.`,
      );
    }
    const { learningRate, steps, overflows } = numbers;
    checkInteger(action, "steps", steps, 0);
    checkNotNegative(this.name, "learningRate", learningRate!);
    const slots = this.#slots();
    for (const [name, { shape }] of slots) {
      const tensor = tensors[name];
      checkTensor(action, tensor, { name: `the tensor ${name}`, dtype: "float32" });
      if (String(tensor.shape) === String(shape)) continue;
      throw new RangeError(
        `${action}: the tensor ${name} must be [${shape}], found [${tensor.shape}].`,
      );
    }
    // A variable must not share the memory of the state, which may be loaded again.
    for (const [name, variable] of slots) tidy(() => variable.assign(ops.clone(tensors[name]!)));
    this.#steps = steps!;
    this.#overflows = overflows === 1;
    this.learningRate = learningRate!;
  }

  /** The state variables by name. */
  #slots(): [string, Variable][] {
    return this.#state.flatMap((variables, i) =>
      variables.map((variable, j): [string, Variable] => [`${i}.${this.#rule.slots[j]}`, variable])
    );
  }

  #describe(): OptimizerState["settings"] {
    return {
      optimizer: this.name,
      ...this.#rule.settings,
      weightDecay: runs(this.#settings.map(({ weightDecay }) => weightDecay)),
      learningRateFactor: runs(this.#settings.map(({ factor }) => factor)),
    };
  }

  dispose(): void {
    this.#isDisposed = true;
    dispose(this.#state);
  }

  [Symbol.dispose](): void {
    this.dispose();
  }
}

/** Returns a number for each parameter as text: `0.1`, or `0.1 × 3, 0 × 2` if they differ. */
function runs(values: readonly number[]): number | string {
  const parts: { value: number; count: number }[] = [];
  for (const value of values) {
    const last = parts.at(-1);
    if (last?.value === value) last.count++;
    else parts.push({ value, count: 1 });
  }
  return parts.length === 1
    ? parts[0]!.value
    : parts.map(({ value, count }) => `${value} × ${count}`).join(", ");
}

/** Returns parameters as one group, and groups unchanged. */
function asGroups(name: string, parameters: ParametersOrGroups): readonly ParameterGroup[] {
  if (isVariables(parameters)) return [{ parameters }];
  if (Array.isArray(parameters)) {
    const example = "{ parameters: model.fc.parameters(), learningRateFactor: 10 }";
    const names = { parameters: true, learningRateFactor: true, weightDecay: true } as const;
    // Before `parameters` is read, so that it may be misspelt too.
    const isGroup = (group: unknown) => Object.getPrototypeOf(Object(group)) === Object.prototype;
    if (parameters.every(isGroup)) {
      for (const group of parameters) {
        checkOptions<ParameterGroup>(making(name), group, example, names);
      }
    }
    if (parameters.every((group) => isVariables(group?.parameters))) return parameters;
  }
  throw new TypeError(
    `${making(name)}: the parameters must be an array such as model.parameters(), or an array of ` +
      `groups such as { parameters: model.fc.parameters(), learningRateFactor: 10 }, found ${
        show(parameters)
      }.`,
  );
}

function isVariables(value: unknown): value is readonly Variable[] {
  return Array.isArray(value) && value.every(isVariable);
}

/** The action of an optimizer's constructor, for messages. */
export function making(name: string): string {
  return `Making the optimizer ${name}`;
}

export function checkNotNegative(optimizer: string, subject: string, value: number): void {
  const fits = value >= 0 && value < Infinity;
  checkNumber(making(optimizer), subject, value, fits, "a finite number of at least 0");
}
