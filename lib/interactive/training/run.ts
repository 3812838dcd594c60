/** A training of the page "Train a network", step by step, and what is measured of it. */
import { type Features, type Labels, ops, Random, tidy } from "../../tensor/mod.ts";
import { vectorNorm } from "../../tensor/internal.ts";
import {
  type AnyModule,
  type Initializer,
  initializers,
  linear,
  type Module,
  relu,
  Sequential,
  sigmoid,
  tanh,
} from "../../nn/mod.ts";
import type { Dataset } from "../../data/mod.ts";
import {
  adagrad,
  adam,
  crossEntropy,
  fit,
  type Optimizer,
  type Progress,
  rmsProp,
  sgd,
} from "../../train/mod.ts";
import { type Point, pointsOf } from "./points.ts";
import { LAST_STEP, type Settings } from "./settings.ts";

/** The numbers after each step. Those at index 0 are of the initial weights. */
export interface RunHistory {
  /** The mean cross-entropy, without weight decay. */
  readonly trainLoss: number[];
  readonly heldOutLoss: number[];
  /** The number of points whose class the network gets wrong. */
  readonly trainMistakes: number[];
  readonly heldOutMistakes: number[];
  /**
   * For each layer the norm of the gradient that made the step, of its weights and bias together
   * and without weight decay. It is NaN at index 0.
   */
  readonly gradientNorms: readonly number[][];
}

/** The squares along each side of the plane; the network is asked in the middle of each. */
export const SQUARES = 60;

const activations = { relu, tanh, sigmoid } as const;

const starts: Readonly<Record<Settings["start"], () => Initializer>> = {
  he: initializers.heNormal,
  xavier: initializers.xavierNormal,
  small: () => initializers.normal(0.01),
  large: () => initializers.normal(3),
  zeros: () => initializers.constant(0),
};

/** Builds the network. Its random numbers are its own, so that no other figure changes them. */
function networkOf(
  { layers, width, activation, start, seed }: Settings,
): Module<Features<2>, Features<2>> {
  const random = new Random(seed), initializer = starts[start]();
  const weightInitializer: Initializer = (shape, fans) => initializer(shape, fans, random);
  const modules: AnyModule[] = [];
  for (let layer = 0; layer < layers; layer++) {
    modules.push(linear(layer === 0 ? 2 : width, width, { weightInitializer }));
    if (activation !== "none") modules.push(activations[activation]());
  }
  modules.push(linear(layers === 0 ? 2 : width, 2, { weightInitializer }));
  return new Sequential(modules);
}

function optimizerOf(
  model: AnyModule,
  { optimizer, rate, momentum, decay }: Settings,
): Optimizer {
  const options = { learningRate: rate, weightDecay: decay }, parameters = model.parameters();
  switch (optimizer) {
    case "sgd":
      return sgd(parameters, { ...options, momentum });
    case "adam":
      return adam(parameters, options);
    case "rmsProp":
      return rmsProp(parameters, options);
    case "adagrad":
      return adagrad(parameters, options);
  }
}

/** Points as a data set. */
class PointSet implements Dataset<Features<2>, Labels<2>> {
  readonly count: number;
  readonly classNames = ["blue", "orange"];
  readonly #places: Float32Array;
  readonly #labels: Int32Array;

  constructor(readonly name: string, points: readonly Point[]) {
    this.count = points.length;
    this.#places = Float32Array.from(points.flatMap(({ x, y }) => [x, y]));
    this.#labels = Int32Array.from(points, ({ label }) => label);
  }

  batch(indices: Int32Array): { inputs: Features<2>; targets: Labels<2> } {
    const places = Float32Array.from(
      { length: 2 * indices.length },
      (_, i) => this.#places[2 * indices[i >> 1]! + i % 2]!,
    );
    return {
      inputs: ops.tensor(places, [indices.length, 2]),
      targets: ops.tensor(Int32Array.from(indices, (i) => this.#labels[i]!), undefined, "int32"),
    };
  }

  /** Returns all points. */
  all(): { inputs: Features<2>; targets: Labels<2> } {
    return {
      inputs: ops.tensor(this.#places, [this.count, 2]),
      targets: ops.tensor(this.#labels, undefined, "int32"),
    };
  }
}

/** One training from its initial weights on. Equal settings give equal numbers. */
export class TrainingRun {
  readonly points: readonly Point[];
  readonly history: RunHistory;
  /** Half of the width of the plane that is drawn: all points lie in it. */
  readonly reach: number;
  /** The predicted class of each point. */
  predicted: readonly number[] = [];
  /** Why the training cannot continue; empty while it can. */
  problem = "";
  /** The number of steps that have begun: one more than `step` during a step. */
  begun = 0;
  readonly #model: Module<Features<2>, Features<2>>;
  readonly #optimizer: Optimizer;
  readonly #training: AsyncIterator<Progress>;
  readonly #train: PointSet;
  readonly #heldOut: PointSet;
  #surface: Float32Array | undefined;

  constructor(readonly settings: Settings) {
    const { data, layers, batch, seed } = settings;
    this.points = pointsOf(settings);
    const furthest = this.points.map(({ x, y }) => Math.max(Math.abs(x), Math.abs(y)));
    this.reach = 1.05 * Math.max(1.2, ...furthest);
    this.#train = new PointSet(data, this.points.filter(({ isHeldOut }) => !isHeldOut));
    this.#heldOut = new PointSet(data, this.points.filter(({ isHeldOut }) => isHeldOut));
    this.#model = networkOf(settings);
    this.#optimizer = optimizerOf(this.#model, settings);
    this.history = {
      ...{ trainLoss: [], heldOutLoss: [], trainMistakes: [], heldOutMistakes: [] },
      gradientNorms: Array.from({ length: layers + 1 }, () => [NaN]),
    };
    this.#watchGradients();
    const { count } = this.#train, batchSize = Math.min(batch, count);
    const epochs = Math.ceil(LAST_STEP / Math.ceil(count / batchSize));
    const options = { optimizer: this.#optimizer, epochs, batchSize, seed };
    this.#training = fit(this.#model, this.#train, options)[Symbol.asyncIterator]();
    this.#measure();
  }

  /** The number of steps so far. */
  get step(): number {
    return this.history.trainLoss.length - 1;
  }

  /** The number of points on which the network is trained, and of those held out. */
  get counts(): readonly [trained: number, heldOut: number] {
    return [this.#train.count, this.#heldOut.count];
  }

  /** Whether there is a further step. */
  get canContinue(): boolean {
    return this.problem === "" && this.step < LAST_STEP;
  }

  /** Trains for one step. */
  async next(): Promise<void> {
    if (!this.canContinue) return;
    this.begun = this.step + 1;
    try {
      let result = await this.#training.next();
      // The progress of an epoch comes between two steps.
      if (result.value?.kind === "epoch") result = await this.#training.next();
    } catch (error) {
      const { name, message } = error instanceof Error ? error : new Error(String(error));
      // The message of fit names options that the figure does not have.
      this.problem = name === "DivergenceError"
        ? `Training stopped at step ${this.step + 1}: the loss or its gradient is no longer a ` +
          "finite number. Choose a smaller learning rate or smaller initial weights."
        : message;
      this.begun = this.step;
      return;
    }
    this.#measure();
    this.#surface = undefined;
  }

  /**
   * The logit of the second class minus that of the first in the middle of each square of the
   * plane, from the top left corner, row by row.
   */
  surface(): Float32Array {
    if (this.#surface) return this.#surface;
    const place = (index: number) => this.reach * ((2 * index + 1) / SQUARES - 1);
    const places = Float32Array.from(
      { length: 2 * SQUARES ** 2 },
      (_, i) => i % 2 === 0 ? place((i >> 1) % SQUARES) : -place(Math.floor((i >> 1) / SQUARES)),
    );
    return this.#surface = tidy(() => {
      const logits = this.#model.forward(ops.tensor(places, [SQUARES ** 2, 2])).dataSync();
      return Float32Array.from(
        { length: SQUARES ** 2 },
        (_, i) => logits[2 * i + 1]! - logits[2 * i]!,
      );
    });
  }

  /** Frees the network. */
  async dispose(): Promise<void> {
    await this.#training.return?.();
    this.#optimizer.dispose();
    this.#model.dispose();
  }

  /** Notes the norm of each layer's gradient at each step of the optimizer. */
  #watchGradients(): void {
    const optimizer = this.#optimizer, step = optimizer.step.bind(optimizer);
    optimizer.step = (gradients, norm) => {
      step(gradients, norm);
      // Each layer has a weight and a bias.
      this.history.gradientNorms.forEach((norms, layer) =>
        norms.push(vectorNorm(gradients.slice(2 * layer, 2 * layer + 2)))
      );
    };
  }

  /** Measures both parts of the points with the weights that the network has now. */
  #measure(): void {
    const { trainLoss, trainMistakes, heldOutLoss, heldOutMistakes } = this.history;
    this.predicted = [this.#train, this.#heldOut].flatMap((set, i) =>
      tidy(() => {
        const { inputs, targets } = set.all();
        const logits = this.#model.forward(inputs);
        const found = [...ops.argMax(logits).dataSync()], labels = targets.dataSync();
        [trainLoss, heldOutLoss][i]!.push(crossEntropy(logits, targets).dataSync()[0]!);
        [trainMistakes, heldOutMistakes][i]!.push(
          found.filter((label, point) => label !== labels[point]).length,
        );
        return found;
      })
    );
  }
}
