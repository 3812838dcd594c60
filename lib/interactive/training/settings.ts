/** The settings of the page "Train a network", and their text in a link. */

/** The settings that are one of several words, with the label of each word. */
export const choices = {
  data: {
    moons: "two moons",
    circles: "circles",
    spirals: "spirals",
    xor: "xor",
    clouds: "two clouds",
  },
  activation: { relu: "relu", tanh: "tanh", sigmoid: "sigmoid", none: "none" },
  start: {
    he: "He",
    xavier: "Xavier",
    small: "small, σ = 0.01",
    large: "large, σ = 3",
    zeros: "all zeros",
  },
  optimizer: { sgd: "SGD", adam: "Adam", rmsProp: "RMSProp", adagrad: "Adagrad" },
} as const;

/** The settings that are numbers: the ends, the smallest difference, and whether it is a factor. */
export const ranges = {
  points: { low: 20, high: 500, step: 1 },
  noise: { low: 0, high: 0.5, step: 0.01 },
  heldOut: { low: 10, high: 80, step: 5 },
  dataSeed: { low: 1, high: 9999, step: 1 },
  layers: { low: 0, high: 3, step: 1 },
  width: { low: 1, high: 32, step: 1 },
  seed: { low: 1, high: 9999, step: 1 },
  rate: { low: 0.0001, high: 10, step: 0.0001, log: true },
  momentum: { low: 0, high: 0.99, step: 0.01 },
  decay: { low: 0, high: 0.1, step: 0.001 },
  batch: { low: 1, high: 450, step: 1 },
} as const;

/** The labels of the numbers. */
export const labels: Readonly<Record<keyof typeof ranges, string>> = {
  ...{ points: "points", noise: "noise", heldOut: "held out, %", dataSeed: "seed of points" },
  ...{ layers: "hidden layers", width: "units in each", seed: "seed of weights" },
  ...{ rate: "learning rate", momentum: "momentum", decay: "weight decay", batch: "batch size" },
};

type Words = { readonly [Name in keyof typeof choices]: keyof (typeof choices)[Name] };
type Numbers = { readonly [Name in keyof typeof ranges]: number };

/**
 * The settings of a training.
 *
 * - `heldOut`: the percentage of the points on which the network is not trained.
 * - `dataSeed`: seeds the points; `seed` seeds the initial weights and the order of the points.
 * - `layers`: the number of hidden layers, of `width` units each.
 */
export interface Settings extends Words, Numbers {}

/** The last step that a training may have. */
export const LAST_STEP = 10_000;

/** The settings that the page begins with. */
export const defaults: Settings = {
  ...{ data: "moons", points: 200, noise: 0.15, heldOut: 30, dataSeed: 6 },
  ...{ layers: 2, width: 8, activation: "relu", start: "he", seed: 1 },
  ...{ optimizer: "sgd", rate: 0.1, momentum: 0, decay: 0, batch: 20 },
};

/** Returns the settings and the step at which a training stands as text for a link. */
export function linkOf(settings: Settings, step: number): string {
  const texts = Object.keys(defaults).map((name) => [name, String(Reflect.get(settings, name))]);
  return String(new URLSearchParams([...texts, ["step", String(step)]]));
}

/** The contents of a link. */
export interface Situation {
  readonly settings: Settings;
  readonly step: number;
  /** A sentence about each part of the link that could not be used; empty if there is none. */
  readonly problem: string;
}

/** Reads a link. A part that is left out or does not fit is as it is at first. */
export function situationOf(link: string): Situation {
  const settings: Record<string, string | number> = { ...defaults }, problems: string[] = [];
  let step = 0;
  const refuse = (name: string, wanted: string, found: string) =>
    problems.push(`${name} must be ${wanted}, found ${found || "nothing"}.`);
  for (const [name, text] of new URLSearchParams(link)) {
    const words: object | undefined = Reflect.get(choices, name);
    const range = rangeOf(name);
    if (words) {
      if (Object.hasOwn(words, text)) settings[name] = text;
      else refuse(name, `one of ${Object.keys(words).join(", ")}`, text);
    } else if (range) {
      const { low, high } = range, number = text.trim() === "" ? NaN : Number(text);
      const isWhole = isWholeNumber(name);
      if (!(number >= low && number <= high) || isWhole && !Number.isInteger(number)) {
        refuse(name, wantedNumber(name), text);
      } else if (name === "step") step = number;
      else settings[name] = number;
    } else refuse("each name", "that of a setting", name);
  }
  const problem = problems.length === 0
    ? ""
    : `Reading the link: ${problems.join(" ")} These settings are as they are at first.`;
  return { settings: settings as unknown as Settings, step, problem };
}

/** The range of a setting that is a number, or of the step. */
function rangeOf(name: string): { readonly low: number; readonly high: number } | undefined {
  return name === "step" ? { low: 0, high: LAST_STEP } : Reflect.get(ranges, name);
}

/** The numbers that fit a setting, or the step, in words. */
export function wantedNumber(name: string): string {
  const { low, high } = rangeOf(name)!;
  return `a ${isWholeNumber(name) ? "whole " : ""}number from ${low} to ${high}`;
}

/** Whether only whole numbers fit a setting, or the step. */
export function isWholeNumber(name: string): boolean {
  return name === "step" || Number.isInteger(Reflect.get(ranges, name)?.step);
}
