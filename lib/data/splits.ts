/** Which images of a data set go to which part of it, class by class. */
import { Random } from "../tensor/mod.ts";
import { checkInteger, checkNumber, checkOptions } from "../tensor/internal.ts";

/** A data set to divide, with the classes of its images. */
interface Divisible<Part> {
  readonly name: string;
  readonly labels: Int32Array;
  readonly classNames: readonly string[];
  /** Returns a data set of the images at `indices`. */
  subset(indices: readonly number[]): Part;
}

/**
 * Divides a data set into two: `fraction` of the images of each class, and the others.
 *
 * @throws {TypeError} If an option does not exist, or an option or `fraction` is of the wrong kind.
 * @throws {RangeError} If `fraction` is not between 0 and 1, or a class has only one image.
 */
export function halves<Part>(
  set: Divisible<Part>,
  fraction: number,
  options: { seed: number },
): [first: Part, second: Part] {
  const action = `Splitting the data set "${set.name}"`;
  checkOptions<typeof options>(action, options, "{ seed: 1 }", { seed: true });
  const fits = fraction > 0 && fraction < 1;
  checkNumber(action, "the fraction", fraction, fits, "between 0 and 1");
  const random = new Random(options.seed);
  const members = byClass(set);
  const single = members.findIndex(({ length }) => length === 1);
  if (single >= 0) {
    throw new RangeError(
      `${action}: each class must have at least two images, one for each set, found one of the class ` +
        `"${set.classNames[single]}", image ${
          members[single]
        }. Add images of it, or leave it out with subset().`,
    );
  }
  const first: number[] = [];
  const second: number[] = [];
  for (const indices of members) {
    // Clamped, so that no class is missing from either part.
    const size = Math.max(1, Math.min(Math.round(fraction * indices.length), indices.length - 1));
    random.permutation(indices.length).forEach((from, to) =>
      (to < size ? first : second).push(indices[from]!)
    );
  }
  return [set.subset(first.sort(ascending)), set.subset(second.sort(ascending))];
}

/**
 * Divides a data set for each fold into the images of the other folds, and those of the fold.
 *
 * @throws {TypeError} If an option does not exist or is of the wrong kind.
 * @throws {RangeError} If `count` is not a whole number of at least 2, or a class has fewer images
 * than there are folds.
 */
export function folds<Part>(
  set: Divisible<Part>,
  count: number,
  options: { seed: number },
): [others: Part, fold: Part][] {
  const action = `Dividing the data set "${set.name}" into folds`;
  checkOptions<typeof options>(action, options, "{ seed: 1 }", { seed: true });
  checkInteger(action, "the number of folds", count, 2);
  const random = new Random(options.seed);
  const parts: number[][] = Array.from({ length: count }, () => []);
  let next = 0; // Goes on from class to class, so that the folds differ by one image at most.
  for (const [label, indices] of byClass(set).entries()) {
    if (indices.length > 0 && indices.length < count) {
      throw new RangeError(
        `${action}: each class must have at least ${count} images, one for each fold, found ${indices.length} of the class "${
          set.classNames[label]
        }".`,
      );
    }
    for (const position of random.permutation(indices.length)) {
      parts[next++ % count]!.push(indices[position]!);
    }
  }
  return parts.map((part, i) => {
    const others = parts.filter((_, j) => j !== i).flat();
    return [set.subset(others.sort(ascending)), set.subset(part.sort(ascending))];
  });
}

/** Returns the positions of the images of each class. */
function byClass({ labels, classNames }: Divisible<unknown>): number[][] {
  const members: number[][] = classNames.map(() => []);
  labels.forEach((label, index) => members[label]!.push(index));
  return members;
}

function ascending(a: number, b: number): number {
  return a - b;
}
