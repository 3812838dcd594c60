/** The part of a batch that this process computes, where several processes share each batch. */

/** Some images of a batch. */
export interface BatchPart {
  /** The number of images in the whole batch. */
  readonly count: number;
  /** The places of this part's images in the whole batch. */
  readonly rows: Int32Array;
  /**
   * Replaces numbers by their sums over the parts of all processes, in a step of training. All
   * processes call it alike.
   */
  readonly sum?: (values: Float64Array<ArrayBuffer>) => void;
}

let current: BatchPart | undefined;

/** Returns the part that {@linkcode withBatchPart} runs work for. */
export function batchPart(): BatchPart | undefined {
  return current;
}

/**
 * Runs work for the images of a part. Within it, a random tensor whose first axis has the length of
 * the part has one row for each image: it is drawn for the whole batch, and the rows of the part
 * are taken. So the numbers of an image depend on its place in the batch, and not on how the batch
 * is cut. With `sum`, a batch norm normalises over the whole batch.
 */
export function withBatchPart<T>(part: BatchPart | undefined, work: () => T): T {
  const outer = current;
  current = part;
  try {
    return work();
  } finally {
    current = outer;
  }
}
