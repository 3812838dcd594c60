/**
 * The facts that must be the same in two calls of `fit`, so that the second can continue the first:
 * the model, the data and the options, as far as they can be read.
 */
import { dispose, ops, Random, type Tensor, tidy } from "../tensor/mod.ts";
import { recordDraws, show } from "../tensor/internal.ts";
import { type Dataset, ImageDataset } from "../data/mod.ts";
import { areLabels, imageFormOf } from "../data/internal.ts";
import { type AnyLoss, crossEntropy } from "./losses.ts";
import type { OptimizerState } from "./rule_optimizer.ts";
import type { TrainingParts } from "./training_state.ts";
import { pathOf } from "./training_step.ts";

/** A text, number or boolean; `null` for an option that is not given; or a list. */
export type Fact = string | number | boolean | null | readonly string[] | Probe;

/** Facts by their names in messages. */
export type Facts = Readonly<Record<string, Fact>>;

/** The results of a function on fixed inputs, which are compared with a tolerance. */
interface Probe {
  readonly results: readonly number[];
}

/** The number of examples on which functions are probed. */
const PROBED = 8;

/** Collects the facts of a call. */
export async function factsOf(
  { model, dataset, options, stages }: TrainingParts & { readonly dataset: Dataset },
  { settings }: Pick<OptimizerState, "settings">,
): Promise<Facts> {
  const { optimizer, validation, augment, transform, loss = crossEntropy as AnyLoss } = options;
  const indices = Int32Array.from({ length: Math.min(PROBED, dataset.count) }, (_, i) => i);
  const { inputs, targets } = await dataset.batch(indices);
  const { objective, validationLogits, precision = "fp32", seed = null } = options;
  const { mixup = null, maxGradientNorm = null, compile = false, dropLast = false } = options;
  const { microBatchSize = null } = options;
  const facts: Facts = {
    "the model": String(model).split("\n"),
    "the frozen parts": [...model.namedModules()].filter(([, part]) => part.isFrozen)
      .map(([path]) => path),
    ...Object.fromEntries(
      Object.entries(settings).map(([name, value]): [string, Fact] => [
        name === "optimizer" ? name : `the optimizer's ${name}`,
        value,
      ]),
    ),
    "the parameters of the optimizer": optimizer.parameters.map((parameter) =>
      pathOf(model, parameter)!
    ),
    "the data set": describe(dataset),
    [contentName("the data set", dataset)]: await contentOf(dataset),
    validation: validation ? describe(validation) : null,
    [contentName("validation", validation)]: validation ? await contentOf(validation) : null,
    "the stages": stages.length > 0 ? stages.map(({ name }) => name) : null,
    ...Object.fromEntries(
      stages.flatMap(({ name: stage, settings }) =>
        Object.entries(settings).map(([name, value]) => [`${name} of ${stage}`, value])
      ),
    ),
    batchSize: options.batchSize ?? null,
    microBatchSize,
    dropLast,
    seed,
    mixup,
    maxGradientNorm,
    precision,
    compile,
    "a schedule": options.schedule !== undefined,
    learningRate: options.schedule ? null : optimizer.learningRate,
    augment: augment ? probe(() => augment(inputs, new Random(0))) : null,
    transform: transform ? probe(() => transform(inputs, new Random(0))) : null,
    loss: probe(() => {
      const classes = dataset.classNames?.length;
      if (classes === undefined || !areLabels(targets)) {
        return loss(new Random(0).normal([...targets.shape]), targets);
      }
      const labels = ops.tensor(indices.map((i) => i % classes), undefined, "int32");
      return loss(new Random(0).normal([indices.length, classes]), labels);
    }),
    objective: objective ? await digest(new TextEncoder().encode(String(objective))) : null,
    validationLogits: validationLogits
      ? await digest(new TextEncoder().encode(String(validationLogits)))
      : null,
  };
  dispose([inputs, targets]);
  return facts;
}

function describe(set: Dataset): string {
  const { name, count, classNames } = set, form = imageFormOf(set);
  if (!form) {
    const classes = classNames ? ` of ${classNames.length} classes` : "";
    return `"${name}", ${count} examples${classes}`;
  }
  const { height, width, channels } = form;
  return `"${name}", ${count} images ${height} × ${width} × ${channels} of ${form.classNames.length} classes`;
}

/** The content as messages name it: what is compared. */
function contentName(subject: string, set: Dataset | undefined): string {
  if (set === undefined || set instanceof ImageDataset) return `the content of ${subject}`;
  return imageFormOf(set)
    ? `the content of ${subject} (names, sizes and times of change of its files)`
    : `the content of ${subject} (${set.fingerprint ? "its fingerprint" : "some examples"})`;
}

async function contentOf(set: Dataset): Promise<string> {
  if (set instanceof ImageDataset) return await digest(set.pixels) + await digest(set.labels);
  if (set.fingerprint) return await set.fingerprint();
  const size = Math.min(PROBED, set.count);
  const spread = Int32Array.from({ length: size }, (_, i) => Math.floor(i * set.count / size));
  const { inputs, targets } = await set.batch(spread);
  const content = await digest(inputs.dataSync()) + await digest(targets.dataSync());
  dispose([inputs, targets]);
  return content;
}

async function digest(data: ArrayBufferView): Promise<string> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", data as BufferSource)).toHex();
}

/** The shape and weighted sums of a result, or nothing if the function throws. */
function probe(run: () => Tensor): Probe {
  const { result, rewind } = recordDraws(() => {
    try {
      const values: number[] = [];
      tidy(() => {
        const tensor = run(), count = tensor.shape[0] ?? 1;
        const numbers = tensor.dataSync(), size = numbers.length / count;
        values.push(...tensor.shape);
        for (let i = 0; i < count; i++) {
          let sum = 0;
          for (let j = 0; j < size; j++) sum += numbers[i * size + j]! * Math.sin(j + 1);
          values.push(sum);
        }
      });
      return values;
    } catch {
      return [];
    }
  });
  rewind();
  return { results: result };
}

/**
 * Returns how facts differ from those of a checkpoint, one sentence for each.
 *
 * @param learningRate The learning rate that the optimizer had at the checkpoint. Where the
 * optimizer is still the one that trained, it has this one.
 */
export function differences(saved: Facts, now: Facts, learningRate: number): string[] {
  return [...new Set([...Object.keys(saved), ...Object.keys(now)])].flatMap((name) => {
    const before = saved[name] ?? null, after = now[name] ?? null;
    if (isSame(before, after)) return [];
    if (name === "a schedule") {
      return [`schedule must be ${before ? "given, found none" : "left out, found one"}.`];
    }
    if (name === "learningRate" && before !== null) {
      // With a schedule, which another sentence names, no learning rate is compared.
      if (after === null || after === learningRate) return [];
    }
    if (isProbe(before) && isProbe(after)) {
      return [`${name} must return the same as before for the same input, found other numbers.`];
    }
    if (Array.isArray(before) && Array.isArray(after)) {
      const at = before.findIndex((line, i) => line !== after[i]);
      const i = at < 0 ? before.length : at;
      return [
        `${name} must have ${textOf(before[i])} as number ${i + 1}, found ${textOf(after[i])}.`,
      ];
    }
    if (name.startsWith("the content") || name === "objective" || name === "validationLogits") {
      if (before !== null && after !== null) return [`${name} must be the same, found another.`];
    }
    return [`${name} must be ${textOf(before)}, found ${textOf(after)}.`];
  });
}

function isProbe(fact: Fact): fact is Probe {
  return typeof fact === "object" && fact !== null && "results" in fact &&
    Array.isArray(fact.results);
}

function isSame(a: Fact, b: Fact): boolean {
  if (isProbe(a) && isProbe(b)) {
    const [one, other] = [a.results, b.results];
    return one.length === other.length &&
      one.every((value, i) =>
        Object.is(value, other[i]) || Math.abs(value - other[i]!) <= 1e-4 * (1 + Math.abs(value))
      );
  }
  return JSON.stringify(a) === JSON.stringify(b);
}

function textOf(fact: Fact | undefined): string {
  if (fact === null || fact === undefined) return "left out";
  if (isProbe(fact)) return "given";
  return typeof fact === "string" ? fact.trim() : show(fact);
}
