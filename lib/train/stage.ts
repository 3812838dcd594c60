/** The parts of a stage, a training around a training. The stages themselves are in `stages/`. */
import { show } from "../tensor/internal.ts";
import type { StateDict } from "../weights/mod.ts";
import type { AnyFitOptions } from "./fit_options.ts";
import type { Progress } from "./progress.ts";
import type { AnyModel } from "./run.ts";
import { takeOver, Training } from "./training.ts";

/** The state of a stage, which a checkpoint holds. */
export interface StageState {
  readonly numbers: Readonly<Record<string, number>>;
  /** The state dict of the model with the weights that the stage holds; empty if it has none. */
  readonly weights: StateDict;
}

/** A stage with a state. */
export interface Stage {
  /** The name in `stages`. */
  readonly name: StageName;
  /** The options that must be the same in the call that continues from a checkpoint. */
  readonly settings: Readonly<Record<string, string | number | boolean>>;
  /** Returns the state, which changes no more. */
  store(): StageState;
  /** Continues from a state. */
  load(state: StageState): void;
  /** Runs the evaluation of `validation`, such as with other weights. */
  evaluate?<T>(work: () => Promise<T>): Promise<T>;
}

/** The stages that change weights, in the order in which they must be around a training. */
const ORDER = ["lookahead", "ema", "earlyStopping"] as const;

type StageName = typeof ORDER[number];

/** The facts that stages know of the training that they are around. */
export interface TrainingSource {
  /** The action of the training, for messages. */
  readonly action: string;
  readonly model: AnyModel;
  readonly options: AnyFitOptions;
  /** The stages that have a state, the innermost first. The training reads them at its start. */
  readonly stages: Stage[];
}

const sources = new WeakMap<object, TrainingSource>();

/** Notes what stages may know of a training, and returns it. */
export function withSource(training: Training, source: TrainingSource): Training {
  sources.set(training, source);
  return training;
}

/**
 * Returns the source of a training.
 *
 * @throws {TypeError} If the value is not a training.
 */
export function sourceOf(action: string, training: unknown): TrainingSource {
  const source = sources.get(Object(training));
  if (source) return source;
  throw new TypeError(
    `${action}: the training must be fit(…) itself, without await, or a stage around it, found ${
      show(training)
    }. Put a loop of your own around the stages.`,
  );
}

/**
 * Puts a stage around a training.
 *
 * @param run Passes the progress on. It runs when the training is first asked for progress.
 * @param stage The state, for checkpoints.
 * @throws {TypeError} If the value is not a training, or the training has begun.
 * @throws {RangeError} If the stage must be within one of the stages around the training.
 */
export function around(
  action: string,
  training: Training,
  run: (progress: AsyncIterable<Progress>) => AsyncGenerator<Progress, void, void>,
  stage?: Stage,
): Training {
  const source = sourceOf(action, training);
  if (stage) {
    const outer = source.stages.find(({ name }) =>
      ORDER.indexOf(name) >= ORDER.indexOf(stage.name)
    );
    if (outer) {
      throw new RangeError(
        outer.name === stage.name
          ? `${action}: ${stage.name} must be around a training once, found a second one.`
          : `${action}: ${stage.name} must be within ${outer.name}, found it around. ` +
            `Write stages.${outer.name}(stages.${stage.name}(fit(…))).`,
      );
    }
  }
  takeOver(action, training);
  if (stage) source.stages.push(stage);
  return withSource(new Training(source.action, undefined, () => run(training)), source);
}

/** Runs the evaluation of `validation` within all stages. */
export async function evaluateWithin<T>(
  stages: readonly Stage[],
  work: () => Promise<T>,
): Promise<T> {
  return await stages.reduce(
    (work, stage) => stage.evaluate ? () => stage.evaluate!(work) : work,
    work,
  )();
}

/** Whether a progress is that of the last step of an epoch. */
export function endsEpoch(progress: Progress): boolean {
  return progress.kind === "step" &&
    progress.step % (progress.totalSteps / progress.epochs) === 0;
}
