/**
 * Steps of optimizers. Native TensorFlow has one op for each, which changes a parameter in place in
 * one pass over memory; other backends run compositions. `w` is a parameter, `g` its gradient, `η`
 * the learning rate. The optimizers check the tensors: alive, float32, and of the same shape.
 */
import * as tf from "@tensorflow/tfjs-core";
import { nativeCpuBackend } from "../backend/select.ts";
import type { Tensor, Variable } from "../types.ts";

/** Options of {@linkcode updateByMomentum}. */
export interface MomentumUpdate {
  /** η */
  learningRate: number;
  /** μ */
  momentum: number;
  /** Whether the step uses Nesterov's momentum. */
  nesterov: boolean;
  /** λ */
  weightDecay: number;
}

/** Options of {@linkcode updateByAdam}. */
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
   * Whether g², now or at an earlier step, may overflow float32. Then s is infinite and the
   * parameter does not change, as in PyTorch.
   *
   * @default false
   */
  overflows?: boolean;
}

/** `w ← w − factor · x` */
function subtract(w: Variable, factor: number, x: Tensor): void {
  const native = nativeCpuBackend();
  if (native) native.updateVariables("ResourceApplyGradientDescent", [w], [factor, x]);
  else assign(w, () => tf.sub(w, tf.mul(x, factor)));
}

function assign(w: Variable, value: () => Tensor): void {
  tf.tidy(() => w.assign(value()));
}

/**
 * Updates a parameter by SGD with momentum: `g ← g + λ·w`, `v ← μ·v + g`, `w ← w − η·v`; with
 * Nesterov's momentum `w ← w − η·(g + μ·v)`. Without a velocity `w ← w − η·g`.
 *
 * @param velocity v, of the shape of the parameter.
 */
export function updateByMomentum(
  parameter: Variable,
  velocity: Variable | undefined,
  gradient: Tensor,
  options: MomentumUpdate,
): void {
  const { learningRate, momentum, nesterov, weightDecay } = options;
  const native = nativeCpuBackend();
  // In place, v + λ/μ·w before the step has the effect of g + λ·w; it must not overflow float32.
  const decaysVelocity = native && velocity && !nesterov && weightDecay !== 0 &&
    weightDecay < 1e6 * momentum;
  if (decaysVelocity) subtract(velocity, -weightDecay / momentum, parameter);
  tf.tidy(() => {
    const g = weightDecay === 0 || decaysVelocity
      ? gradient
      : tf.add(gradient, tf.mul(parameter, weightDecay));
    if (!velocity) subtract(parameter, learningRate, g);
    else if (native) {
      native.updateVariables("ResourceApplyMomentum", [parameter, velocity], [
        learningRate,
        g,
        momentum,
      ], {
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
 * Updates a parameter by Adam: `m ← β₁·m + (1 − β₁)·g`, `s ← β₂·s + (1 − β₂)·g²`,
 * `w ← w − η·λ·w − η · m̂ / (√ŝ + ε)` with `m̂ = m / (1 − β₁ᵗ)` and `ŝ = s / (1 − β₂ᵗ)`.
 *
 * @param mean m, of the shape of the parameter.
 * @param squares s, of the shape of the parameter.
 */
export function updateByAdam(
  parameter: Variable,
  mean: Variable,
  squares: Variable,
  gradient: Tensor,
  options: AdamUpdate,
): void {
  const { learningRate, betas: [beta1, beta2], epsilon, step, decoupledDecay } = options;
  if (decoupledDecay !== 0) subtract(parameter, learningRate * decoupledDecay, parameter);
  // m̂ / (√ŝ + ε) = c / (1 − β₁ᵗ) · m / (√s + c·ε) with c = √(1 − β₂ᵗ): the corrections are
  // numbers, not tensors.
  const power1 = beta1 ** step, power2 = beta2 ** step, c = Math.sqrt(1 - power2);
  const native = [beta1, beta2].every(suitsTensorFlow) && !options.overflows
    ? nativeCpuBackend()
    : undefined;
  if (native) {
    native.updateVariables(
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
 * Returns whether TensorFlow's Adam is precise for β. It computes `m + (g − m) · (1 − β)` in
 * float32. For β near 0 the old m should cancel, but rounding errors remain; for β near 1 the
 * difference 1 − β has few digits.
 */
function suitsTensorFlow(beta: number): boolean {
  return beta >= 0.1 && Math.abs(Math.fround(beta) - beta) <= 2e-5 * (1 - beta);
}
