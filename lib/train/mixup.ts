import { ops, type Random, type Scalar, type Tensor } from "../tensor/mod.ts";
import type { Batch } from "../data/mod.ts";

/**
 * The tensors of a training step: inputs and targets, and with mixup the targets of the other
 * inputs, λ and 1 − λ.
 */
export type StepInputs = readonly [
  inputs: Tensor,
  targets: Tensor,
  ...mixed: [] | [otherTargets: Tensor, lambda: Scalar, rest: Scalar],
];

/** The random choices of mixup for a batch. */
export interface Mix {
  /** The place in the batch of the image that each is mixed with. */
  readonly order: Int32Array;
  readonly lambda: number;
}

/** Draws how a batch of `count` images is mixed; undefined without an α. */
export function drawMix(
  count: number,
  alpha: number | undefined,
  random: Random | undefined,
): Mix | undefined {
  if (alpha === undefined || !random) return undefined;
  const lambda = sampleLambda(alpha, random);
  return { lambda, order: random.permutation(count) };
}

/**
 * Mixes a batch with a permutation of itself, `λ · x + (1 − λ) · x′`, with one λ for the batch, for
 * the loss `λ · loss(logits, y) + (1 − λ) · loss(logits, y′)` (Zhang et al. 2018, arXiv:1710.09412,
 * section 2). Without a mix it leaves the batch alone.
 *
 * @param isPart Whether the batch is a part, whose second half are the images `x′` of the first.
 */
export function mixed(
  { inputs, targets, size }: Batch<Tensor, Tensor>,
  mix: Mix | undefined,
  isPart: boolean,
): StepInputs {
  if (!mix) return [inputs, targets];
  const { lambda } = mix, half = size / 2;
  const indices = isPart ? Int32Array.from({ length: half }, (_, i) => half + i) : mix.order;
  const order = ops.tensor(indices, undefined, "int32");
  const own = (x: Tensor): Tensor => isPart ? ops.split(x, 2)[0]! : x;
  return [
    ops.add(ops.mul(own(inputs), lambda), ops.mul(ops.gather(inputs, order), 1 - lambda)),
    own(targets),
    ops.gather(targets, order),
    ops.scalar(lambda),
    ops.scalar(1 - lambda),
  ];
}

/**
 * The larger of λ and 1 − λ for a λ from Beta(α, α). The order of the batch is random, so it does
 * not matter which image of a pair gets the larger part. The accuracy compares with the label of
 * that image.
 *
 * By the polar method of Bailey (1994), √(ν · (U^(−2 ⁄ ν) − 1)) · cos 2πV has Student's
 * t-distribution with ν degrees of freedom. With ν = 2α, ½ + t ⁄ (2 · √(ν + t²)) has the
 * distribution Beta(α, α).
 */
export function sampleLambda(alpha: number, random: Random): number {
  const unit = () => (random.integer(2 ** 32) + 0.5) / 2 ** 32;
  // t² ⁄ ν
  const square = Math.expm1(-Math.log(unit()) / alpha) * Math.cos(2 * Math.PI * unit()) ** 2;
  return 0.5 + 0.5 / Math.sqrt(1 + 1 / square);
}
