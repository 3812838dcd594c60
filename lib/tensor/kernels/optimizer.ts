/**
 * Steps of optimizers that TensorFlow has as one op, which changes a parameter where it is, in one
 * pass over memory; elsewhere compositions. `w` is a parameter, `g` its gradient, `η` the learning
 * rate.
 */
import * as tf from "@tensorflow/tfjs-core";
import { nativeBackend } from "../backend/select.ts";
import { checkOptions, checkTensor } from "../checks.ts";
import type { Tensor, Variable } from "../types.ts";

/** The numbers of {@linkcode updateByMomentum}. */
export interface MomentumUpdate {
  /** η */
  learningRate: number;
  /** μ */
  momentum: number;
  nesterov: boolean;
  /** λ */
  weightDecay: number;
}

/** The numbers of {@linkcode updateByAdam}. */
export interface AdamUpdate {
  /** η */
  learningRate: number;
  /** β₁ and β₂ */
  betas: readonly [number, number];
  /** ε */
  epsilon: number;
  /** t, from 1 */
  step: number;
  /** λ */
  decoupledDecay: number;
  /**
   * Whether g², now or at an earlier step, may be beyond float32: s is infinite then and the
   * parameter stands still, as in PyTorch.
   *
   * @default false
   */
  overflows?: boolean;
}

/** The backend that changes variables where they are. */
function inPlace() {
  const native = nativeBackend();
  return native?.isUsingGpuDevice === false ? native : undefined;
}

/** `w ← w − factor · x` */
function subtract(w: Variable, factor: number, x: Tensor): void {
  const native = inPlace();
  if (native) native.update("ResourceApplyGradientDescent", [w], [factor, x]);
  else assign(w, () => tf.sub(w, tf.mul(x, factor)));
}

function assign(w: Variable, value: () => Tensor): void {
  tf.tidy(() => w.assign(value()));
}

/**
 * Checks that variables and a gradient are alive, float32, and of one shape, before any of them
 * changes.
 */
function checkUpdate(action: string, variables: Readonly<Record<string, Variable | Tensor>>): void {
  let shape: string | undefined;
  for (const [name, x] of Object.entries(variables)) {
    checkTensor(action, x, { name: `the ${name}`, dtype: "float32" });
    shape ??= String(x.shape);
    if (String(x.shape) !== shape) {
      throw new RangeError(
        `${action}: the ${name} must have the shape of the parameter, [${shape}], found [${x.shape}].`,
      );
    }
  }
}

/**
 * `g ← g + λ·w`, `v ← μ·v + g`, `w ← w − η·v`; with Nesterov's momentum `w ← w − η·(g + μ·v)`.
 * Without a velocity `w ← w − η·g`.
 *
 * @param velocity v, of the shape of the parameter.
 *
 * @throws {TypeError} If a tensor is not float32 or was disposed, or an option does not exist.
 * @throws {RangeError} If the shapes differ.
 *
 * @example
 * ```ts
 * import { ops, updateByMomentum, variable } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const w = variable(ops.tensor([1])), v = variable(ops.tensor([4]));
 * const options = { learningRate: 0.5, momentum: 0.5, nesterov: false, weightDecay: 0 };
 * updateByMomentum(w, v, ops.tensor([1]), options);
 * assert.deepEqual([v.dataSync()[0], w.dataSync()[0]], [3, -0.5]);
 * ```
 */
export function updateByMomentum(
  parameter: Variable,
  velocity: Variable | undefined,
  gradient: Tensor,
  options: MomentumUpdate,
): void {
  const action = "Updating a parameter by momentum";
  checkUpdate(action, { parameter, ...(velocity && { velocity }), gradient });
  checkOptions<MomentumUpdate>(action, options, "{ learningRate: 0.1, … }", {
    learningRate: true,
    momentum: true,
    nesterov: true,
    weightDecay: true,
  });
  const { learningRate, momentum, nesterov, weightDecay } = options;
  const native = inPlace();
  // In place, g + λ·w comes to v through v + λ/μ·w, which must stay within float32.
  const decaysVelocity = native && velocity && !nesterov && weightDecay !== 0 &&
    weightDecay < 1e6 * momentum;
  if (decaysVelocity) subtract(velocity, -weightDecay / momentum, parameter);
  tf.tidy(() => {
    const g = weightDecay === 0 || decaysVelocity
      ? gradient
      : tf.add(gradient, tf.mul(parameter, weightDecay));
    if (!velocity) subtract(parameter, learningRate, g);
    else if (native) {
      native.update("ResourceApplyMomentum", [parameter, velocity], [learningRate, g, momentum], {
        use_nesterov: nesterov,
      });
    } else {
      assign(velocity, () => tf.add(tf.mul(velocity, momentum), g));
      subtract(
        parameter,
        learningRate,
        nesterov ? tf.add(g, tf.mul(velocity, momentum)) : velocity,
      );
    }
  });
}

/**
 * `m ← β₁·m + (1 − β₁)·g`, `s ← β₂·s + (1 − β₂)·g²`, `w ← w − η·λ·w − η · m̂ / (√ŝ + ε)` with
 * `m̂ = m / (1 − β₁ᵗ)` and `ŝ = s / (1 − β₂ᵗ)`.
 *
 * @param mean m, of the shape of the parameter.
 * @param squares s, likewise.
 *
 * @throws {TypeError} If a tensor is not float32 or was disposed, or an option does not exist.
 * @throws {RangeError} If the shapes differ.
 *
 * @example
 * ```ts
 * import { ops, updateByAdam, variable } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const [w, mean, squares] = [1, 0, 0].map((x) => variable(ops.tensor([x])));
 * const options = { betas: [0.5, 0.5], epsilon: 0, decoupledDecay: 0 } as const;
 * updateByAdam(w!, mean!, squares!, ops.tensor([8]), { learningRate: 0.5, step: 1, ...options });
 * assert.deepEqual([w, mean, squares].map((x) => x!.dataSync()[0]), [0.5, 4, 32]);
 * ```
 */
export function updateByAdam(
  parameter: Variable,
  mean: Variable,
  squares: Variable,
  gradient: Tensor,
  options: AdamUpdate,
): void {
  const action = "Updating a parameter by Adam";
  checkUpdate(action, { parameter, mean, squares, gradient });
  checkOptions<AdamUpdate>(action, options, "{ learningRate: 0.001, … }", {
    learningRate: true,
    betas: true,
    epsilon: true,
    step: true,
    decoupledDecay: true,
    overflows: true,
  });
  const { learningRate, betas: [beta1, beta2], epsilon, step, decoupledDecay } = options;
  if (decoupledDecay !== 0) subtract(parameter, learningRate * decoupledDecay, parameter);
  // m̂ / (√ŝ + ε) with both corrections taken out of the tensors: c / (1 − β₁ᵗ) · m / (√s + c·ε)
  // where c = √(1 − β₂ᵗ).
  const power1 = beta1 ** step, power2 = beta2 ** step, c = Math.sqrt(1 - power2);
  const native = [beta1, beta2].every(suitsTensorFlow) && !options.overflows
    ? inPlace()
    : undefined;
  if (native) {
    native.update(
      "ResourceApplyAdam",
      [parameter, mean, squares],
      [power1, power2, learningRate, beta1, beta2, c * epsilon, gradient],
    );
    return;
  }
  tf.tidy(() => {
    assign(mean, () => tf.add(tf.mul(mean, beta1), tf.mul(gradient, 1 - beta1)));
    assign(squares, () => tf.add(tf.mul(squares, beta2), tf.mul(tf.square(gradient), 1 - beta2)));
    const direction = tf.div(mean, tf.add(tf.sqrt(squares), c * epsilon));
    subtract(parameter, learningRate * c / (1 - power1), direction);
  });
}

/**
 * Whether TensorFlow's Adam is precise for β. It computes `m + (g − m) · (1 − β)` in float32: for β
 * near 0 the new m is what rounding left of the old one, and for β near 1 there are few digits in 1
 * − β.
 */
function suitsTensorFlow(beta: number): boolean {
  return beta >= 0.1 && Math.abs(Math.fround(beta) - beta) <= 2e-5 * (1 - beta);
}
