import * as data from "../data/mod.ts";
import * as interactive from "../interactive/mod.ts";
import * as models from "../models/mod.ts";
import * as nn from "../nn/mod.ts";
import * as parallel from "../parallel/mod.ts";
import * as plot from "../plot/mod.ts";
import * as tensor from "../tensor/mod.ts";
import { isTensor, isVariable, likelyName, show } from "../tensor/internal.ts";
import * as train from "../train/mod.ts";
import * as weights from "../weights/mod.ts";
import * as cachedExperiment from "./cached_experiment.ts";
import * as checks from "./check.ts";
import * as compare from "./compare.ts";
import * as compareNetworks from "./compare_networks.ts";
import { publicDocs } from "./docs.ts";
import * as errors from "./errors.ts";
import * as exercise from "./exercise.ts";
import { factoriesOf, pageHtml, pageOf, pageText, type Part } from "./help_page.ts";
import * as progress from "./progress.ts";
import * as runScale from "./run_scale.ts";
import * as statistics from "./statistics.ts";
import * as table from "./table.ts";
import * as timeOf from "./time_of.ts";
import * as trainAndEvaluate from "./train_and_evaluate.ts";
import * as tuneEach from "./tune_each.ts";
import * as zoo from "./zoo.ts";

/** A page of help. A notebook shows it as HTML, `console.log` as text. */
export class HelpPage {
  readonly #parts: readonly Part[];

  /** @internal */
  constructor(parts: readonly Part[]) {
    this.#parts = parts;
  }

  /** Returns the page as text. */
  toString(): string {
    return pageText(this.#parts);
  }

  /** Returns the text that `console.log` shows. */
  [Symbol.for("Deno.customInspect")](): string {
    return this.toString();
  }

  /** Returns the page as HTML and as text, as a notebook stores it. */
  [Symbol.for("Jupyter.display")](): { "text/html": string; "text/plain": string } {
    return { "text/html": pageHtml(this.#parts), "text/plain": this.toString() };
  }
}

/**
 * Shows the docs of something of this library: its signature, what it does, its options with their
 * defaults, its errors, and an example.
 *
 * The signature is simpler than the compiler's: it has the most general types. The docs are read
 * from the sources by `deno doc`: the first time on a machine takes a few seconds.
 *
 * @param subject A function (`conv2d`, `ops.conv2d`), a class, a namespace (`ops`), an object of
 * this library such as a layer, or a name: `"FitOptions"`.
 * @throws {RangeError} If the library has nothing of this kind or name.
 * @throws {Error} If `deno doc` cannot read the docs.
 *
 * @example
 * ```ts
 * import { conv2d, help } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const page = String(help(conv2d));
 * assert.match(page, /^conv2d\(/);
 * assert.match(page, /stride\?: Pair {2}\(default: 1\)\n +Pixels from one window to the next\./);
 * assert.equal(String(help("conv2d")), page);
 * ```
 */
export function help(subject: unknown): HelpPage {
  const docs = publicDocs();
  const name = typeof subject === "string" ? subject : nameOf(subject);
  if (name !== undefined && docs.has(name)) return new HelpPage(pageOf(name, docs));
  const className = typeof subject === "string" ? undefined : classOf(subject);
  if (className !== undefined) {
    const factories = isTensor(subject) ? [] : factoriesOf(className, docs);
    const [only, ...others] = factories;
    return new HelpPage([
      ...(only !== undefined && others.length === 0
        ? pageOf(only, docs)
        : factories.length > 0
        ? [{ text: `Made by ${factories.map((factory) => `\`${factory}\``).join(", ")}.` }]
        : []),
      ...pageOf(className, docs),
    ]);
  }
  const rule = "must be something that resnet-lab exports, an object of one of its classes, or a " +
    `name such as "FitOptions"`;
  const likely = typeof subject === "string"
    ? likelyName(subject, similarlyWritten(subject, [...docs.keys()]))
    : undefined;
  const hint = likely === undefined
    ? 'help("ops") lists the operations.'
    : `Did you mean ${show(likely)}?`;
  throw new RangeError(`Showing help: the subject ${rule}, found ${show(subject)}. ${hint}`);
}

/** Puts the names of functions first if the name is written like one, and else those of types. */
function similarlyWritten(name: string, all: readonly string[]): string[] {
  const isType = (text: string) => /^[A-Z]/.test(text);
  return all.toSorted((a, b) =>
    Number(isType(b) === isType(name)) - Number(isType(a) === isType(name))
  );
}

/** Names of all values of the library; `publicDocs` has those that are public. */
let names: ReadonlyMap<unknown, string> | undefined;

function nameOf(value: unknown): string | undefined {
  const notebook = [
    ...[
      cachedExperiment,
      checks,
      compare,
      compareNetworks,
      errors,
      exercise,
      progress,
      runScale,
    ],
    ...[statistics, table, timeOf, trainAndEvaluate, tuneEach, zoo],
    { help },
  ];
  names ??= new Map(
    [tensor, nn, models, data, train, weights, parallel, plot, interactive, ...notebook].flatMap((
      module,
    ) =>
      Object.entries(module).flatMap(([name, value]): [unknown, string][] => [
        [value, name],
        ...(["ops", "initializers", "augmentation", "timm", "diagram", "interactive", "stages"]
            .includes(name)
          ? Object.entries(value).map(([part, value]): [unknown, string] => [
            value,
            `${name}.${part}`,
          ])
          : []),
      ])
    ),
  );
  return names.get(value);
}

/** Returns the name of the nearest documented class of an object. */
function classOf(value: unknown): string | undefined {
  if (isVariable(value)) return "Variable";
  if (isTensor(value)) return "Tensor";
  if (typeof value !== "object" || value === null) return undefined;
  for (let at = Object.getPrototypeOf(value); at !== null; at = Object.getPrototypeOf(at)) {
    const name: unknown = at.constructor?.name;
    const symbol = typeof name === "string" ? publicDocs().get(name) : undefined;
    if (symbol?.declarations.some(({ kind }) => kind === "class")) return symbol.name;
  }
  return undefined;
}
