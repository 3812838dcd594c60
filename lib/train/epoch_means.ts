import type { StepProgress } from "./progress.ts";

/** The means of a batch over its images. */
type Means = Pick<StepProgress, "loss" | "accuracy" | "metrics">;

/** The sums over the images of an epoch. */
export interface StoredSums {
  readonly images: number;
  readonly loss: number;
  readonly accuracy: number;
  readonly metrics: Readonly<Record<string, number>>;
}

/** The means of an epoch over its images. */
export class EpochMeans {
  #images: number;
  readonly #sums: { loss: number; accuracy: number };
  readonly #metrics: Record<string, number>;

  constructor({ images, loss, accuracy, metrics }: StoredSums = {
    images: 0,
    loss: 0,
    accuracy: 0,
    metrics: {},
  }) {
    this.#images = images;
    this.#sums = { loss, accuracy };
    this.#metrics = { ...metrics };
  }

  /** Adds the means of a batch. */
  add({ loss, accuracy, metrics = {} }: Means, images: number): void {
    this.#images += images;
    this.#sums.loss += loss * images;
    this.#sums.accuracy += accuracy * images;
    for (const [name, value] of Object.entries(metrics)) {
      this.#metrics[name] = (this.#metrics[name] ?? 0) + value * images;
    }
  }

  /** Replaces the sums by those that `sum` makes of them in place, such as over all processes. */
  sumOver(sum: (values: Float64Array<ArrayBuffer>) => void): void {
    const names = Object.keys(this.#metrics);
    const { loss, accuracy } = this.#sums;
    const values = Float64Array.of(this.#images, loss, accuracy, ...Object.values(this.#metrics));
    sum(values);
    [this.#images, this.#sums.loss, this.#sums.accuracy] = values as unknown as [
      number,
      number,
      number,
    ];
    names.forEach((name, i) => this.#metrics[name] = values[3 + i]!);
  }

  /** Returns the means. */
  result(): { trainLoss: number; trainAccuracy: number; metrics?: Record<string, number> } {
    const images = this.#images;
    const metrics = Object.entries(this.#metrics).map(([name, sum]) => [name, sum / images]);
    return {
      trainLoss: this.#sums.loss / images,
      trainAccuracy: this.#sums.accuracy / images,
      ...(metrics.length > 0 && { metrics: Object.fromEntries(metrics) }),
    };
  }

  /** Returns the sums, which change no more. */
  store(): StoredSums {
    return { images: this.#images, ...this.#sums, metrics: { ...this.#metrics } };
  }
}
