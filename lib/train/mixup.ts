import { type Images, type Labels, ops, type Random, type Scalar } from "../tensor/mod.ts";
import type { Batch } from "../data/mod.ts";

/** What a training step computes with: the images that the model sees and their labels; if mixed, the other labels and both shares of the loss. */
export type StepInputs = readonly [
  images: Images,
  labels: Labels,
  ...mixed: [] | [others: Labels, share: Scalar, otherShare: Scalar],
];

/**
 * Mixes batches with another order of themselves, `x̃ = λ · x + (1 − λ) · x′`, with one λ for each batch, to which the loss is to be `λ ·
 * loss(logits, y) + (1 − λ) · loss(logits, y′)` (Zhang et al. 2018, arXiv:1710.09412, section 2). Without an α they stay as they are.
 */
export function mixer(alpha: number | undefined, source: Random): (batch: Batch) => StepInputs {
  if (alpha === undefined) return ({ images, labels }) => [images, labels];
  const random = source.fork();
  return ({ images, labels }) => {
    const share = drawShare(alpha, random);
    const order = ops.tensor(random.permutation(labels.size), undefined, "int32");
    return [
      ops.add(ops.mul(images, share), ops.mul(ops.gather(images, order), 1 - share)),
      labels,
      ops.gather(labels, order),
      ops.scalar(share),
      ops.scalar(1 - share),
    ];
  };
}

/**
 * The larger of λ and 1 − λ for a λ of Beta(α, α). Which of two images has the larger share follows from the order, which is random
 * anyway; so it is always the one whose label the accuracy asks for.
 *
 * By the polar method of Bailey (1994): √(ν · (U^(−2 ⁄ ν) − 1)) · cos 2πV has Student's t-distribution with ν degrees of freedom, and
 * with ν = 2α, ½ + t ⁄ (2 · √(ν + t²)) has the distribution Beta(α, α).
 */
export function drawShare(alpha: number, random: Random): number {
  const unit = () => (random.integer(2 ** 32) + 0.5) / 2 ** 32;
  const square = Math.expm1(-Math.log(unit()) / alpha) * Math.cos(2 * Math.PI * unit()) ** 2; // t² ⁄ ν
  return 0.5 + 0.5 / Math.sqrt(1 + 1 / square);
}
