/** Progress of a training run. */

/** The progress that {@linkcode fit} yields after each step. */
export interface StepProgress {
  /** The kind of progress. */
  readonly kind: "step";
  /** The epoch, from 1 to `epochs`. */
  readonly epoch: number;
  /** The number of epochs of the training. */
  readonly epochs: number;
  /** The step, from 1 to `totalSteps`. */
  readonly step: number;
  /** The number of steps of the training. */
  readonly totalSteps: number;
  /** The mean loss of the batch, before the step. */
  readonly loss: number;
  /**
   * The fraction of the batch that is classified correctly, before the step, from 0 to 1. NaN if
   * `objective` returns no logits, or the targets are not class numbers.
   */
  readonly accuracy: number;
  /** The metrics that `objective` returned. */
  readonly metrics?: Readonly<Record<string, number>>;
  /** The global norm of the gradients, before clipping; see {@linkcode gradientNorm}. */
  readonly gradientNorm: number;
  /** The learning rate of the step. */
  readonly learningRate: number;
  /** The speed of this step, including the time that its batch took. */
  readonly imagesPerSecond: number;
  /**
   * Whether it was restored from a checkpoint, and the model has been trained further since. It is
   * not enumerable, so that histories compare equal.
   */
  readonly restored?: boolean;
}

/** The progress that {@linkcode fit} yields after each epoch. */
export interface EpochProgress {
  /** The kind of progress. */
  readonly kind: "epoch";
  /** The epoch, from 1 to `epochs`. */
  readonly epoch: number;
  /** The number of epochs of the training. */
  readonly epochs: number;
  /**
   * The mean loss over the images of the epoch. The loss of each batch is computed before the
   * step changes the model.
   */
  readonly trainLoss: number;
  /**
   * The fraction of the epoch's images that were classified correctly, counted before
   * each step as `trainLoss` is. NaN if `objective` returns no logits, or the targets are not
   * class numbers.
   */
  readonly trainAccuracy: number;
  /** The means over the images of the epoch of the metrics that `objective` returned. */
  readonly metrics?: Readonly<Record<string, number>>;
  /**
   * Mean loss and accuracy on the validation set, if there is one. The accuracy is NaN if the
   * targets are not class numbers.
   */
  readonly validation?: { readonly loss: number; readonly accuracy: number };
  /** The learning rate of the last step. */
  readonly learningRate: number;
  /**
   * The time of the steps of this epoch in seconds, without the evaluation and without the caller's
   * own work.
   */
  readonly seconds: number;
  /**
   * Whether it was restored from a checkpoint, and the model has been trained further since. It is
   * not enumerable, so that histories compare equal.
   */
  readonly restored?: boolean;
}

/**
 * The progress that {@linkcode fit} yields: a {@linkcode StepProgress} after each step, an
 * {@linkcode EpochProgress} after each epoch.
 */
export type Progress = StepProgress | EpochProgress;

/** All progress of a training run. */
export interface History {
  /** The progress of each step. */
  readonly steps: StepProgress[];
  /** The progress of each epoch. */
  readonly epochs: EpochProgress[];
}
