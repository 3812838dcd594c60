/** Saves a training again and again, and continues it from the last save. */
import { backend, dispose, type Tensor, tidy } from "../tensor/mod.ts";
import { callsState, loadCalls } from "../tensor/internal.ts";
import { bindDataset } from "../data/internal.ts";
import { restoreStateDict, StoredTensor } from "../weights/internal.ts";
import { type StateDict, stateDict } from "../weights/mod.ts";
import { checkHasState } from "./checks.ts";
import { differences, type Facts, factsOf } from "./checkpoint_facts.ts";
import { CheckpointFolder } from "./checkpoint_folder.ts";
import { type Checkpoint, decodeCheckpoint, encodeCheckpoint } from "./checkpoint_format.ts";
import type { DataParallel } from "./data_parallel.ts";
import type { AnyFitOptions } from "./fit_options.ts";
import { historyOf, type Row, rowOfEpoch, rowOfStep } from "./history_rows.ts";
import type { Progress } from "./progress.ts";
import type { Stage, StageState } from "./stage.ts";
import type { TrainingParts } from "./training_state.ts";

/** The time between two saves in seconds, unless the caller sets another. */
const DEFAULT_SECONDS = 60;

/**
 * Yields the progress of a training, the earlier progress from a checkpoint first, and saves the
 * training.
 *
 * @param loop The loop of the training, which starts at the place that `parts.state` names.
 */
export async function* checkpointed(
  parts: TrainingParts,
  loop: AsyncGenerator<Progress, void, void>,
): AsyncGenerator<Progress, void, void> {
  const { action, options, share } = parts, { checkpoint } = options;
  const { folder: path, seconds = DEFAULT_SECONDS } = typeof checkpoint === "string"
    ? { folder: checkpoint }
    : checkpoint!;
  // One process writes, and sends the others what it reads.
  const isWriter = share?.isWriter ?? true;
  const folder = isWriter ? await CheckpointFolder.open(action, path) : undefined;
  try {
    const saver = new Saver(parts, folder, await initialFacts(parts));
    const own = await folder?.read();
    const start = share ? await shareCheckpoint(share, own, path) : own;
    const last = start ? yield* saver.continueFrom(start, path) : undefined;
    let due = performance.now() + 1000 * seconds;
    let isSuspended = false, hasFailed = false;
    try {
      if (last) {
        isSuspended = true;
        yield last;
        isSuspended = false;
      }
      saver.mark(false);
      while (true) {
        const { value: progress } = await loop.next();
        if (!progress) break;
        folder?.checkOwned();
        saver.add(progress);
        if (progress.kind === "epoch" || performance.now() >= due) {
          saver.mark(true);
          await saver.save();
          due = performance.now() + 1000 * seconds;
        }
        isSuspended = true;
        yield progress;
        isSuspended = false;
        saver.mark(false);
      }
    } catch (error) {
      // The random streams may be ahead of the model.
      hasFailed = true;
      throw error;
    } finally {
      if (isSuspended) saver.mark(false);
      if (!hasFailed && !saver.isSaved) await saver.save();
      await loop.return();
    }
  } finally {
    folder?.close();
  }
}

/** Returns the checkpoint that the writer among several processes has read. */
async function shareCheckpoint(
  share: DataParallel,
  own: Checkpoint | undefined,
  path: string,
): Promise<Checkpoint | undefined> {
  const pieces = own ? await encodeCheckpoint(`Sharing ${path}`, own) : [];
  const bytes = share.exchange(new Uint8Array(await new Blob(pieces).arrayBuffer()));
  return bytes.length === 0 ? undefined : own ?? await decodeCheckpoint(bytes, path);
}

async function initialFacts(parts: TrainingParts): Promise<Facts> {
  const { action, dataset, options: { optimizer } } = parts;
  if (!dataset) throw new TypeError(`${action}: the data must be a data set for a checkpoint.`);
  checkHasState(action, optimizer);
  const state = optimizer.state();
  dispose(state.tensors);
  return await factsOf({ ...parts, dataset }, state);
}

/** The small parts of a checkpoint. The model and the optimizer are read when it is saved. */
type Mark = Pick<Checkpoint, "state" | "isPending" | "calls">;

/** The history of a training, and its saves. */
class Saver {
  readonly #parts: TrainingParts;
  /** The folder; undefined if another process writes. */
  readonly #folder: CheckpointFolder | undefined;
  #facts: Facts;
  readonly #steps: Row[] = [];
  readonly #epochs: Row[] = [];
  #mark: Mark | undefined;
  /** The place of the last save. */
  #saved = "";

  constructor(parts: TrainingParts, folder: CheckpointFolder | undefined, facts: Facts) {
    this.#parts = parts;
    this.#folder = folder;
    this.#facts = facts;
  }

  /** Adds progress to the history. */
  add(progress: Progress): void {
    if (progress.kind === "step") this.#steps.push(rowOfStep(progress));
    else this.#epochs.push(rowOfEpoch(progress));
  }

  /**
   * Marks the state as one from which the training can continue, although the next batch may be
   * drawn before the save.
   *
   * @param isPending Whether the caller has not received the last progress.
   */
  mark(isPending: boolean): void {
    const { state, step, evaluation } = this.#parts;
    this.#mark = {
      state: state.store(),
      isPending,
      calls: {
        step: callsState(step.compute),
        evaluation: evaluation ? callsState(evaluation.infer) : [],
      },
    };
  }

  /** Whether the marked place is that of the last save, or the training has not begun. */
  get isSaved(): boolean {
    const { step } = this.#mark!.state;
    return step === 0 || this.#saved === this.#placeOf(this.#mark!);
  }

  /** The place as text. The last progress that the caller receives changes the state of stages. */
  #placeOf({ state: { epoch, batch, step }, isPending }: Mark): string {
    return `${epoch} ${batch} ${step} ${isPending && this.#parts.stages.length > 0}`;
  }

  /** Saves the state that was marked. */
  async save(): Promise<void> {
    if (!this.#folder) return;
    const mark = this.#mark!, { model, options: { optimizer }, stages } = this.#parts;
    const { settings, numbers, tensors } = optimizer.state!();
    const slots = new Map(
      Object.entries(tensors).map(([name, tensor]) => [name, StoredTensor.of(tensor)]),
    );
    dispose(tensors);
    const isSaved = await this.#folder.save({
      ...mark,
      facts: this.#facts,
      machine: machine(),
      optimizer: { learningRate: optimizer.learningRate, settings, numbers },
      model: stateDict(model),
      slots,
      stages: new Map(stages.map((stage) => [stage.name, stage.store()])),
      steps: this.#steps,
      epochs: this.#epochs,
    });
    if (isSaved) this.#saved = this.#placeOf(mark);
  }

  /**
   * Restores a checkpoint, and yields the history. The caller may react to progress by changing the
   * model or the optimizer, as it did before, so they are restored again at the end.
   *
   * @returns The last progress, if the caller had not received it when the checkpoint was saved.
   */
  async *continueFrom(
    checkpoint: Checkpoint,
    path: string,
  ): AsyncGenerator<Progress, Progress | undefined, void> {
    this.#check(checkpoint, path);
    this.#facts = checkpoint.facts;
    this.#steps.push(...checkpoint.steps);
    this.#epochs.push(...checkpoint.epochs);
    this.#restore(checkpoint);
    this.#saved = this.#placeOf(checkpoint);
    const { options: { epochs }, batches: { length } } = this.#parts;
    const { state: { step }, isPending } = checkpoint;
    console.info(
      `${this.#parts.action}: continuing from ${path} after step ${step} of ${epochs * length}.`,
    );
    const rows = historyOf(checkpoint, epochs, length);
    const last = isPending ? rows.pop() : undefined;
    for (const progress of rows) {
      yield Object.defineProperty(progress, "restored", { value: true });
    }
    this.#restore(checkpoint);
    return last;
  }

  /**
   * Checks that the training can continue from a checkpoint.
   *
   * @throws {RangeError} If something differs; the message names it.
   */
  #check(
    { facts, machine: before, model: tensors, slots, stages, state, steps, optimizer }: Checkpoint,
    path: string,
  ): void {
    const { action, model, options, batches } = this.#parts;
    const problems = differences(facts, this.#facts, optimizer.learningRate);
    if (problems.length === 0) {
      const own = options.optimizer.state!(), shapes = shapesOf(stateDict(model));
      problems.push(
        ...tensorDifferences("the model", tensors, shapes),
        ...this.#parts.stages.flatMap((stage) =>
          stageProblems(stage, stages.get(stage.name), shapes)
        ),
        ...tensorDifferences("the optimizer", slots, shapesOf(Object.entries(own.tensors))),
        ...placeProblems(state, options.epochs, batches.length),
        ...scheduleProblems(options, steps, options.epochs * batches.length),
      );
      dispose(own.tensors);
    }
    if (problems.length > 0) {
      throw new RangeError(
        [
          `${action}: the call must be the one that began the training in ${path}, found that it differs. ` +
          "Call fit as before, choose another folder, or delete this one to begin again.",
          ...problems,
        ].join("\n"),
      );
    }
    const now = machine();
    const other = Object.keys(now).find((name) => now[name] !== before[name]);
    if (other === undefined) return;
    console.warn(
      `${action}: the checkpoint in ${path} is of a machine with ${
        before[other]
      } as ${other}, found ${
        now[other]
      }. The training continues, and its results agree with those of that machine to rounding only.`,
    );
  }

  #restore(
    { model: tensors, slots, optimizer: stored, stages, state: place, calls }: Checkpoint,
  ): void {
    const { action, model, dataset, options, state, batches, step, evaluation } = this.#parts;
    const { optimizer, transform } = options, { settings, numbers } = stored;
    restoreStateDict(action, model, tensors);
    tidy(() => {
      const entries = Array.from(slots, ([name, stored]): [string, Tensor] => [
        name,
        stored.tensor(),
      ]);
      optimizer.loadState!({ settings, numbers, tensors: Object.fromEntries(entries) });
    });
    optimizer.learningRate = stored.learningRate;
    for (const stage of this.#parts.stages) stage.load(stages.get(stage.name)!);
    state.load(place, batches);
    loadCalls(step.compute, calls.step);
    if (evaluation) loadCalls(evaluation.infer, calls.evaluation);
    if (place.step > 0) bindDataset(model, dataset, transform);
  }
}

function machine(): Readonly<Record<string, string | number>> {
  return { backend: backend(), processors: navigator.hardwareConcurrency };
}

type Shapes = ReadonlyMap<string, string>;

function shapesOf(
  tensors: Iterable<
    readonly [string, { readonly dtype: string; readonly shape: readonly number[] }]
  >,
): Shapes {
  return new Map(Array.from(tensors, ([name, { dtype, shape }]) => [
    name,
    `${DTYPES[dtype] ?? dtype} [${shape}]`,
  ]));
}

/** The names of the types of tensors that an optimizer has. */
const DTYPES: Readonly<Record<string, string>> = { float32: "F32", int32: "I32", bool: "BOOL" };

function tensorDifferences(owner: string, stored: StateDict, now: Shapes): string[] {
  const before = shapesOf(stored);
  const name = [...before.keys(), ...now.keys()].find((name) => before.get(name) !== now.get(name));
  if (name === undefined) return [];
  return [
    `${owner} must have ${
      before.has(name) ? `the tensor ${name} ${before.get(name)}` : `no tensor ${name}`
    }, found ${now.get(name) ?? "none"}.`,
  ];
}

/** The state of a stage must have its numbers, and the weights of the model or none. */
function stageProblems(
  { name, store }: Stage,
  stored: StageState | undefined,
  shapes: Shapes,
): string[] {
  const missing = Object.keys(store().numbers).find((key) => stored?.numbers[key] === undefined);
  if (!stored) return [`the stage ${name} must have a state, found none.`];
  if (missing !== undefined) return [`the stage ${name} must have ${missing}, found none.`];
  return stored.weights.size === 0
    ? []
    : tensorDifferences(`the stage ${name}`, stored.weights, shapes);
}

function placeProblems(
  { epoch, batch, step }: Mark["state"],
  epochs: number,
  length: number,
): string[] {
  if (batch > length || step !== (epoch - 1) * length + batch) {
    return [
      `step ${step} must be batch ${batch} of epoch ${epoch}, found ${length} batches in an epoch.`,
    ];
  }
  const least = batch === 0 ? epoch - 1 : epoch;
  return least <= epochs ? [] : [
    `epochs must be at least ${least}, because the training is in epoch ${least}, found ${epochs}.`,
  ];
}

/** The schedule must return what it returned for the steps so far. */
function scheduleProblems(
  { schedule }: AnyFitOptions,
  steps: readonly Row[],
  totalSteps: number,
): string[] {
  if (!schedule) return [];
  const rates = steps.map((_, step) => schedule(step, totalSteps));
  const step = steps.findIndex(({ learningRate }, step) => rates[step] !== learningRate);
  return step < 0 ? [] : [
    `schedule(${step}, ${totalSteps}) must be ${steps[step]!.learningRate}, found ${rates[step]}.`,
  ];
}
