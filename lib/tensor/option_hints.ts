/** The name that a user may have meant by an option or a value that does not exist. */

/**
 * Words of PyTorch, Keras and their kin that are spelt unlike our options, in lower case, with our
 * words, the likeliest first. A word without any has no option of that meaning.
 */
const OTHER_WORDS: Readonly<Record<string, readonly string[]>> = {
  accumulategradbatches: ["microBatchSize"],
  affine: [],
  area: ["scale"],
  blocks: ["stages", "block"],
  bn: ["batchNorm"],
  callbacks: [],
  clipgradnorm: ["maxGradientNorm"],
  clipnorm: ["maxGradientNorm"],
  clipvalue: ["maxGradientNorm"],
  criterion: ["loss"],
  depth: ["depth", "architecture", "stages"],
  device: [],
  dtype: ["precision"],
  etamin: ["minimum"],
  etamax: ["maximum"],
  evalset: ["validation"],
  evaldata: ["validation"],
  filters: ["channels"],
  gradientclipval: ["maxGradientNorm"],
  gradaccumsteps: ["microBatchSize"],
  gradientaccumulationsteps: ["microBatchSize"],
  hue: [],
  jit: ["compile"],
  labels: ["labels", "titles"],
  layers: ["stages", "architecture"],
  learningrate: ["learningRate", "learningRates", "maximum", "optimizer", "learningRateFactor"],
  length: ["size"],
  lossfn: ["loss"],
  lr: ["learningRate", "learningRates", "maximum", "optimizer", "learningRateFactor"],
  maxgradnorm: ["maxGradientNorm"],
  maxlr: ["maximum"],
  metrics: [],
  mixedprecision: ["precision"],
  n: ["count"],
  numworkers: [],
  params: ["parameters"],
  pctstart: ["rise"],
  pretrained: [],
  randomstate: ["seed"],
  requiresgrad: ["trainable"],
  shuffle: [],
  sigma: ["standardDeviation"],
  std: ["standardDeviation"],
  stddev: ["standardDeviation"],
  stepsperepoch: [],
  testdata: ["validation"],
  transforms: ["transform"],
  units: ["hidden"],
  valaccuracy: ["validationAccuracy"],
  valloss: ["validationLoss"],
  verbose: [],
  workers: [],
};

/**
 * Returns the known name that `name` was probably meant to be: the one of {@linkcode OTHER_WORDS},
 * or else the nearest in spelling. Undefined if none is near.
 */
export function likelyName(name: string, known: readonly string[]): string | undefined {
  const plain = (text: string) => text.toLowerCase().replaceAll(/[^a-z0-9]/g, "");
  const initials = (text: string) => text.replaceAll(/(?<=.)[a-z0-9]/g, "").toLowerCase();
  const target = plain(name);
  const same = known.find((other) => plain(other) === target);
  if (same !== undefined) return same;
  const words = Object.hasOwn(OTHER_WORDS, target) ? OTHER_WORDS[target] : undefined;
  if (words) return words.find((word) => known.includes(word));
  const distance = (other: string) => {
    const candidate = plain(other);
    if (target.length > 1 && initials(other) === target) return 0;
    const isPart = candidate.includes(target) || target.includes(candidate);
    if (isPart && Math.min(candidate.length, target.length) > 2) return 0.5;
    return editDistance(target, candidate);
  };
  const nearest = known.reduce<string | undefined>(
    (best, other) => best === undefined || distance(other) < distance(best) ? other : best,
    undefined,
  );
  // Two mistakes in a word of five letters are still that word; one in a word of three is not.
  const limit = target.length > 3 ? 0.4 * target.length : 0.5;
  return nearest !== undefined && distance(nearest) <= limit ? nearest : undefined;
}

/** Returns Levenshtein's distance: the number of letters to insert, delete or replace. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      next.push(Math.min(
        next[j - 1]! + 1,
        row[j]! + 1,
        row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1),
      ));
    }
    row = next;
  }
  return row[b.length]!;
}
