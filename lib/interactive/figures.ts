/** The figures of the namespace `interactive`. */
import {
  checkArray,
  checkInteger,
  checkNumber,
  checkOneOf,
  checkOptions,
} from "../tensor/internal.ts";
import { valley as valleyComponent, type ValleyOptions } from "./components/valley.ts";
import { InteractiveFigure } from "./figure.ts";

/**
 * Makes a figure of paths that optimizers take down a surface: contours with the path of each rule,
 * and the height after each step. The reader chooses surface, rules, learning rate, momentum and
 * steepness, and drags the start.
 *
 * The valley is `(a² + steepness · b²) / 2`, which plain descent leaves at rates above
 * `2 / steepness`. The rules are those of the library's optimizers: `sgd` without and with
 * momentum, `adagrad`, and `adam` with its default betas.
 *
 * @param options What it shows at first.
 * @throws {TypeError} If an option does not exist or is of another kind.
 * @throws {RangeError} If an option is out of its range.
 *
 * @example
 * ```ts
 * import { interactive } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const figure = interactive.valley({ rules: ["sgd", "momentum"], learningRate: 0.07 });
 * assert.match(String(figure), /in the valley \(a² \+ 25b²\)\/2, after 60 steps: SGD ends at/);
 * ```
 */
export function valley(options: ValleyOptions = {}): InteractiveFigure {
  const action = "Making the interactive figure valley";
  checkOptions<ValleyOptions>(action, options, '{ surface: "saddle" }', {
    surface: true,
    rules: true,
    learningRate: true,
    momentum: true,
    steepness: true,
    start: true,
    steps: true,
  });
  const { surface = "valley", rules = ["sgd"], start = [0, 0], steps = 60 } = options;
  checkOneOf(action, "surface", surface, ["valley", "two minima", "saddle"]);
  checkArray(action, "rules", rules);
  for (const rule of rules) {
    checkOneOf(action, "a rule", rule, ["sgd", "momentum", "adagrad", "adam"]);
  }
  checkWithin(action, "learningRate", options.learningRate ?? 0.07, 0.001, 1);
  checkWithin(action, "momentum", options.momentum ?? 0.9, 0, 0.99);
  checkWithin(action, "steepness", options.steepness ?? 25, 1, 100);
  checkInteger(action, "steps", steps, 1, 200);
  checkArray(action, "start", start);
  checkWithin(action, "start[0]", start[0], -9, 9);
  checkWithin(action, "start[1]", start[1], -3.3, 3.3);
  return new InteractiveFigure(valleyComponent, options);
}

function checkWithin(action: string, subject: string, value: unknown, low: number, high: number) {
  const fits = Number(value) >= low && Number(value) <= high;
  checkNumber(action, subject, value, fits, `from ${low} to ${high}`);
}
