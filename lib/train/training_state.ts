/** The state of a training besides the model and the optimizer: its place, and its streams. */
import { Random, type RandomState } from "../tensor/mod.ts";
import { defaultRandom, streamsUntilNow, watchDraws } from "../tensor/internal.ts";
import type { BatchMaker, BatchOrder } from "../data/internal.ts";
import type { Dataset } from "../data/mod.ts";
import type { DataParallel } from "./data_parallel.ts";
import { EpochMeans, type StoredSums } from "./epoch_means.ts";
import type { Evaluator } from "./evaluate.ts";
import type { AnyFitOptions } from "./fit_options.ts";
import type { AnyModel } from "./run.ts";
import type { Stage } from "./stage.ts";
import type { TrainingStep } from "./training_step.ts";

/** The parts of a training. */
export interface TrainingParts {
  readonly action: string;
  readonly model: AnyModel;
  /** The data set; undefined for a generator of batches. */
  readonly dataset: Dataset | undefined;
  readonly options: AnyFitOptions;
  readonly state: TrainingState;
  readonly batches: BatchMaker;
  readonly step: TrainingStep;
  readonly evaluation: Evaluator | undefined;
  /** The stages around the training that have a state, the innermost first. */
  readonly stages: readonly Stage[];
  /** The share of this process, if several train together. */
  readonly share: DataParallel | undefined;
}

/** The place of a training and the states of its random streams, as a checkpoint stores them. */
export interface StoredTrainingState {
  readonly epoch: number;
  readonly batch: number;
  readonly step: number;
  readonly seconds: number;
  readonly sums: StoredSums;
  readonly streams: StoredStreams;
}

/** The states of the random streams of a training. */
export interface StoredStreams {
  /** The stream of orders, before it drew the order of the current epoch. */
  readonly shuffle: RandomState;
  /** The stream of the transform in the current epoch, if the epoch has begun. */
  readonly transform?: RandomState;
  readonly mixup?: RandomState;
  readonly default: RandomState;
  /** The streams of the caller's own transforms and layers, in the order of their first draws. */
  readonly others: readonly OtherStream[];
}

/** A stream of the caller, which is found again by its seed. */
interface OtherStream {
  /** The seed at the first draw in the training. */
  readonly seed: number;
  readonly state: RandomState;
}

/** The place of a training, and the streams that it draws from. */
export class TrainingState implements Disposable {
  /** The epoch, from 1. After the training it is one more than the number of epochs. */
  epoch = 1;
  /** The index of the next batch in the epoch. */
  batch = 0;
  /** The number of steps so far. */
  step = 0;
  /** The time of this epoch's steps in seconds. */
  seconds = 0;
  /** The means over the images of this epoch. */
  means = new EpochMeans();
  /** Draws the orders of the epochs. */
  readonly shuffle: Random;
  /** Draws the pairs of mixup. */
  readonly mixup: Random | undefined;
  #order: BatchOrder | undefined;
  /** The state of `shuffle` before it drew the order of this epoch. */
  #beforeOrder: RandomState;
  readonly #isWatching: boolean;
  readonly #isOld: (random: Random) => boolean;
  /** The streams of the caller, each with its seed at the first draw. */
  readonly #others = new Map<Random, number>();
  /** The stored streams of the caller that have not drawn yet. */
  #unclaimed: OtherStream[] = [];

  /** @param isWatching Whether the state will be stored, so that all streams must be known. */
  constructor(seed: number | undefined, hasMixup: boolean, isWatching: boolean) {
    this.shuffle = seed === undefined ? defaultRandom().fork() : new Random(seed);
    this.mixup = hasMixup ? this.shuffle.fork() : undefined;
    this.#beforeOrder = this.shuffle.state();
    this.#isWatching = isWatching;
    this.#isOld = streamsUntilNow();
  }

  /** Returns the order of this epoch, which is drawn at the first call. */
  order(batches: BatchMaker): BatchOrder {
    if (!this.#order) {
      this.#beforeOrder = this.shuffle.state();
      this.#order = batches.begin();
    }
    return this.#order;
  }

  /** Goes to the begin of the next epoch. */
  nextEpoch(): void {
    this.epoch++;
    this.#resetEpoch();
  }

  /** Frees the batches that were loaded ahead. */
  [Symbol.dispose](): void {
    this.#order?.ahead[Symbol.dispose]();
  }

  #resetEpoch(): void {
    this[Symbol.dispose]();
    this.batch = 0;
    this.seconds = 0;
    this.means = new EpochMeans();
    this.#order = undefined;
  }

  /** Runs work that may draw random numbers, and notices the streams that it draws from. */
  watch<T>(work: () => T): T {
    return this.#isWatching ? watchDraws((random) => this.#note(random), work) : work();
  }

  /**
   * Notes a stream of the caller. A stream that was made in this training, such as within an
   * augmentation, is made again at the next step, so it is not stored.
   */
  #note(random: Random): void {
    const own: unknown[] = [this.shuffle, this.#order?.random, this.mixup, defaultRandom()];
    if (own.includes(random) || this.#others.has(random) || !this.#isOld(random)) return;
    const { seed } = random.state();
    const index = this.#unclaimed.findIndex((stored) => stored.seed === seed);
    if (index >= 0) random.loadState(this.#unclaimed.splice(index, 1)[0]!.state);
    this.#others.set(random, seed);
  }

  /** Returns the state, which changes no more. */
  store(): StoredTrainingState {
    const { epoch, batch, step, seconds, shuffle, mixup } = this;
    return {
      epoch,
      batch,
      step,
      seconds,
      sums: this.means.store(),
      streams: {
        shuffle: this.#order ? this.#beforeOrder : shuffle.state(),
        transform: this.#order?.random.state(),
        mixup: mixup?.state(),
        default: defaultRandom().state(),
        others: [
          ...[...this.#others].map(([random, seed]) => ({ seed, state: random.state() })),
          ...this.#unclaimed,
        ],
      },
    };
  }

  /** Continues from a stored state. */
  load(stored: StoredTrainingState, batches: BatchMaker): void {
    const { epoch, batch, step, seconds, sums, streams } = stored;
    this.#resetEpoch();
    Object.assign(this, { epoch, batch, step, seconds });
    this.means = new EpochMeans(sums);
    this.shuffle.loadState(streams.shuffle);
    if (streams.transform) this.order(batches).random.loadState(streams.transform);
    if (streams.mixup) this.mixup?.loadState(streams.mixup);
    defaultRandom().loadState(streams.default);
    this.#others.clear();
    this.#unclaimed = [...streams.others];
  }
}
