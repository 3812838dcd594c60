import { inspect } from "node:util";
import { checkFunction, checkString, isTensor, show } from "../tensor/internal.ts";
import { escapeHtml } from "../nn/internal.ts";
import { isThenable } from "./thenable.ts";

/** Whether an exercise is open, solved, or answered wrongly. */
export type ExerciseState = "open" | "right" | "wrong";

/** The forms in which a notebook stores the state of an exercise. */
export interface ExerciseBundle {
  /** The state as a coloured box. */
  "text/html": string;
  /** The state as lines of text, the first of which begins with ○, ✓ or ✗. */
  "text/plain": string;
}

/** The state of an exercise, and the reason for it. */
interface Outcome {
  readonly state: ExerciseState;
  /** The answer or the error, as text. */
  readonly found?: string;
  /** The reason why the answer is wrong, in words. */
  readonly why?: string;
}

/**
 * The colours of the bar of each state, which stand out on white and on black, the colours behind
 * the text, which change the page's own colour only a little, and the signs.
 */
const LOOK: Readonly<Record<ExerciseState, { bar: string; back: string; sign: string }>> = {
  open: { bar: "#8c8c8c", back: "rgba(140, 140, 140, 0.14)", sign: "○" },
  right: { bar: "#009e73", back: "rgba(0, 158, 115, 0.14)", sign: "✓" },
  wrong: { bar: "#d55e00", back: "rgba(213, 94, 0, 0.14)", sign: "✗" },
};

/** Longer answers are cut to this many letters. */
const MAX_SHOWN = 300;

/** An exercise of a notebook with the state of its answer; {@linkcode exercise} makes it. */
export class Exercise {
  readonly #task: string;
  #outcome: Outcome | Promise<Outcome>;

  /** @internal */
  constructor(task: string, outcome: Outcome | Promise<Outcome>) {
    this.#task = task;
    this.#outcome = outcome;
    if (outcome instanceof Promise) outcome.then((settled) => this.#outcome = settled);
  }

  /** Whether the exercise is open, solved, or answered wrongly. */
  async state(): Promise<ExerciseState> {
    return (await this.#outcome).state;
  }

  /** Returns the state as text. */
  toString(): string {
    const outcome = this.#outcome;
    return outcome instanceof Promise ? `… ${this.#task}: running` : textOf(this.#task, outcome);
  }

  /** Returns the text that `console.log` shows. */
  [Symbol.for("Deno.customInspect")](): string {
    return this.toString();
  }

  /** Returns the state as HTML and as text, as a notebook stores it. */
  async [Symbol.for("Jupyter.display")](): Promise<ExerciseBundle> {
    const outcome = await this.#outcome;
    return {
      "text/html": htmlOf(this.#task, outcome),
      "text/plain": textOf(this.#task, outcome),
    };
  }
}

/**
 * Checks the learner's answer to an exercise, and shows the result: a grey box while there is no
 * answer, a green one if it is right, a red one with the answer or the error if it is wrong.
 *
 * Whatever `attempt` throws is shown in red, so an open or wrong exercise does not stop the cells
 * after it. An exercise is shown where it is the last expression of a cell.
 *
 * @param task The task in a few words.
 * @param attempt Returns the answer, or undefined as long as there is none; it may be `async`.
 * @param isRight Returns true for a right answer. For a wrong one it returns false, or says in
 * words what is wrong.
 * @throws {TypeError} If an argument is of the wrong kind.
 *
 * @example
 * ```ts
 * import { exercise } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * function sideAfter(stride: number): number | undefined {
 *   return undefined; // Your code.
 * }
 * const open = exercise("28 pixels at stride 2", () => sideAfter(2), (side) => side === 14);
 * assert.equal(await open.state(), "open");
 * const solved = exercise("28 pixels at stride 2", () => 28 / 2, (side) => side === 14);
 * assert.equal(String(solved), "✓ 28 pixels at stride 2: 14");
 * ```
 */
export function exercise<Answer>(
  task: string,
  attempt: () => Answer | undefined | Promise<Answer | undefined>,
  isRight: (answer: NoInfer<Answer>) => boolean | string | Promise<boolean | string>,
): Exercise {
  const action = "Making an exercise";
  checkString(action, "the task", task);
  checkFunction(action, "attempt", attempt);
  checkFunction(action, "isRight", isRight);
  return new Exercise(task, judge(attempt, isRight));
}

type Attempt<Answer> = () => Answer | undefined | Promise<Answer | undefined>;
type Check<Answer> = (answer: Answer) => boolean | string | Promise<boolean | string>;

/**
 * Runs an attempt and judges its answer, without throwing or rejecting. The outcome is a promise
 * only if the attempt or the check is `async`.
 */
function judge<Answer>(
  attempt: Attempt<Answer>,
  isRight: Check<Answer>,
): Outcome | Promise<Outcome> {
  try {
    const answer = attempt();
    return isThenable(answer)
      ? Promise.resolve(answer).then((answer) => judgeAnswer(answer, isRight), failure)
      : judgeAnswer(answer, isRight);
  } catch (error) {
    return failure(error);
  }
}

function judgeAnswer<Answer>(
  answer: Answer | undefined,
  isRight: Check<Answer>,
): Outcome | Promise<Outcome> {
  if (answer === undefined) return { state: "open" };
  const found = describeAnswer(answer);
  const judged = (verdict: unknown): Outcome => {
    if (verdict === true) return { state: "right", found };
    if (verdict === false) return { state: "wrong", found };
    const why = typeof verdict === "string"
      ? verdict
      : `The check must return true, false or a text, found ${show(verdict)}.`;
    return { state: "wrong", found, why };
  };
  const failed = (error: unknown): Outcome => ({ ...failure(error), found });
  try {
    const verdict = isRight(answer);
    return isThenable(verdict) ? Promise.resolve(verdict).then(judged, failed) : judged(verdict);
  } catch (error) {
    return failed(error);
  }
}

function failure(error: unknown): Outcome {
  return { state: "wrong", why: describeError(error) };
}

function describeError(error: unknown): string {
  return error instanceof Error ? `${error.name}: ${error.message}` : String(error);
}

/** Returns an answer as text; tensors with their numbers. */
function describeAnswer(answer: unknown): string {
  if (typeof answer === "string") return shortened(answer);
  try {
    const text = isTensor(answer) && !answer.isDisposed
      ? `${show(answer)}: ${inspect(answer.arraySync(), { depth: 6, maxArrayLength: 10 })}`
      : inspect(answer, { depth: 3, maxArrayLength: 20, breakLength: 80 });
    return shortened(text);
  } catch {
    return show(answer);
  }
}

function shortened(text: string): string {
  return text.length <= MAX_SHOWN ? text : `${text.slice(0, MAX_SHOWN)}…`;
}

/** Returns the first line of a state, without its sign, and the reason below it. */
function sentences({ state, found, why }: Outcome): { found: string; why: string } {
  if (state === "open") return { found: "not done yet", why: "" };
  return { found: found ?? "an error", why: why ?? "" };
}

function textOf(task: string, outcome: Outcome): string {
  const { found, why } = sentences(outcome);
  return `${LOOK[outcome.state].sign} ${task}: ${found}${why === "" ? "" : `\n  ${why}`}`;
}

/** All styles are attributes, because Jupyter removes style sheets from untrusted outputs. */
function htmlOf(task: string, outcome: Outcome): string {
  const { state } = outcome, { bar, back, sign } = LOOK[state];
  const { found, why } = sentences(outcome);
  const answer = state === "open"
    ? "Not done yet: complete the code above and run this cell."
    : outcome.found === undefined
    ? ""
    : `${state === "right" ? "Right" : "Found"}: <code style="white-space: pre-wrap; ` +
      `overflow-wrap: anywhere; background: none; color: inherit">${escapeHtml(found)}</code>`;
  const line = (html: string) => html === "" ? "" : `<div style="margin-top: 2px">${html}</div>`;
  return `<div style="border-left: 6px solid ${bar}; background: ${back}; padding: 6px 12px; ` +
    'margin: 4px 0; max-width: 700px; overflow-wrap: anywhere">' +
    `<b>${sign} ${escapeHtml(task)}</b>${line(answer)}${line(escapeHtml(why))}</div>`;
}
