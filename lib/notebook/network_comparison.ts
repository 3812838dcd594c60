import { checkArray, checkFunction, checkOptions, show } from "../tensor/internal.ts";
import type { ColorOptions, Figure, FigureOptions, Series } from "../plot/mod.ts";
import { type Search, searchChart } from "../plot/internal.ts";
import { type Comparison, comparisonOf, meansOf, numbersOf, type SeedRow } from "./compare.ts";
import type { MeanAndInterval } from "./statistics.ts";
import type { ZooNetwork } from "./zoo.ts";

/** A training of {@linkcode compareNetworks}. */
export interface NetworkOutcome {
  /** The seed of the images, the first weights and the order of the batches. */
  readonly seed: number;
  /** The accuracy on the images of the comparison, from 0 to 1. */
  readonly accuracy: number;
  /** The mean loss on these images. */
  readonly loss: number;
  /** The time of the training steps in seconds. */
  readonly seconds: number;
}

/** A contestant of {@linkcode compareNetworks}. */
export interface ComparedNetwork<Measures> {
  /** The learning rate with the highest accuracy on the held-out images. */
  readonly learningRate: number;
  /** The number of trainable parameters. */
  readonly parameters: number;
  /** The multiply-accumulate operations for one image. */
  readonly macs: number;
  /** The trainings at this rate, one for each seed, with the result of `measure`. */
  readonly outcomes: readonly (NetworkOutcome & Measures)[];
}

/** Options of {@linkcode NetworkComparison.searchChart}. */
export interface SearchChartOptions extends FigureOptions, ColorOptions {
  /**
   * Title above the figure.
   *
   * @default "One run at each learning rate (ring: the best)", or "Mean of 3 runs …"
   */
  title?: string;
  /**
   * Width in pixels.
   *
   * @default 560
   */
  width?: number;
  /**
   * Ends of the vertical axis, as fractions: `[0, 1]` for all accuracies.
   *
   * @default the ends of the data
   */
  range?: readonly [number, number];
  /**
   * Comparisons whose searches are drawn as well. A contestant that was drawn already, by its name,
   * is left out.
   *
   * @default none
   */
  also?: readonly NetworkComparison<object>[];
}

/** The result of {@linkcode compareNetworks}. */
export class NetworkComparison<Measures> implements Comparison {
  /** The seeds. */
  readonly seeds: readonly number[];
  /** The accuracies of each contestant, with their mean and 95 % interval. */
  readonly rows: readonly SeedRow[];
  /** For each contestant but the first: its accuracy minus the first contestant's. */
  readonly differences: readonly SeedRow[];
  /** The search: the accuracy at each learning rate, as lines for {@linkcode lineChart}. */
  readonly searches: readonly Series[];
  /** The contestants by their names. */
  readonly networks: Readonly<Record<string, ComparedNetwork<Measures>>>;
  readonly #run: ComparisonRun;

  /** @internal */
  constructor(
    networks: Readonly<Record<string, ComparedNetwork<Measures>>>,
    searches: readonly Series[],
    run: ComparisonRun,
  ) {
    this.networks = networks;
    this.searches = searches;
    this.#run = run;
    ({ seeds: this.seeds, rows: this.rows, differences: this.differences } = this.compareBy(
      ({ accuracy }) => accuracy,
    ));
  }

  /** The best rate, parameters and MACs of each contestant, for {@linkcode table}. */
  get costs(): readonly Record<string, string | number>[] {
    return Object.entries(this.networks).map(([network, { learningRate, parameters, macs }]) => ({
      network,
      "best rate": learningRate,
      parameters,
      MACs: macs,
    }));
  }

  /**
   * Compares the networks by another number than the accuracy, such as the loss or a result of
   * `measure`: `comparison.compareBy(({ loss }) => loss)`.
   *
   * @param measure Returns the number for a training.
   * @param others Comparisons with the same seeds, whose networks are compared as well.
   * @returns Rows and differences for {@linkcode seedChart}, as of {@linkcode compareOverSeeds}.
   * @throws {TypeError} If `measure` is no function, or does not return numbers.
   * @throws {RangeError} If a number is not finite, or the seeds differ.
   */
  compareBy(
    measure: (outcome: NetworkOutcome & Measures) => number,
    ...others: readonly NetworkComparison<Measures>[]
  ): Comparison {
    const action = "Comparing networks by a number", { seeds } = this.#run;
    checkFunction(action, "measure", measure);
    for (const { seeds: found } of others) {
      if (String(found) === String(seeds)) continue;
      throw new RangeError(
        `${action}: the seeds of all comparisons must be ${show(seeds)}, found ${show(found)}.`,
      );
    }
    const entries = [this, ...others].flatMap(({ networks }) => Object.entries(networks));
    const values = entries.map(([name, { outcomes }]) =>
      numbersOf(action, name, seeds, outcomes, measure)
    );
    return comparisonOf(entries.map(([name]) => name), seeds, values);
  }

  /**
   * Returns a row for each network, with the means of several numbers over the seeds, for
   * {@linkcode table}: `table(comparison.means({ loss: ({ loss }) => loss }))`.
   *
   * @param measures Functions that return a number for a training, by the names of the columns.
   * @throws {TypeError} If the measures are no functions, or one does not return numbers.
   * @throws {RangeError} If a number is not finite.
   */
  means(
    measures: Readonly<Record<string, (outcome: NetworkOutcome & Measures) => number>>,
  ): Record<string, Record<string, MeanAndInterval>> {
    const action = "Computing the means of trainings", { seeds } = this.#run;
    return Object.fromEntries(
      Object.entries(this.networks).map(([name, { outcomes }]) => [
        name,
        meansOf(action, name, seeds, outcomes, measures),
      ]),
    );
  }

  /**
   * Draws the search: the accuracy on the held-out images at each learning rate, one line for each
   * network, with a ring around the best.
   *
   * @throws {TypeError} If an option does not exist, or is of the wrong kind.
   * @throws {RangeError} If there are not as many colours as lines.
   */
  searchChart(options: SearchChartOptions = {}): Figure {
    const action = "Drawing the search of learning rates";
    checkOptions<SearchChartOptions>(action, options, '{ title: "The search" }', {
      title: true,
      description: true,
      width: true,
      height: true,
      colors: true,
      range: true,
      also: true,
    });
    const { also = [], ...shared } = options;
    checkArray(action, "also", also);
    const byName = new Map<string, Search>();
    for (const comparison of [this, ...also]) {
      if (!(comparison instanceof NetworkComparison)) {
        throw new TypeError(
          `${action}: also must be results of compareNetworks, found ${show(comparison)}.`,
        );
      }
      for (const line of comparison.#lines()) {
        if (!byName.has(line.name)) byName.set(line.name, line);
      }
    }
    const { searchSeeds } = this.#run;
    const runs = searchSeeds === 1 ? "One run" : `Mean of ${searchSeeds} runs`;
    const title = `${runs} at each learning rate (ring: the best)`;
    return searchChart([...byName.values()], { title, ...shared });
  }

  /**
   * Returns what {@linkcode addToZoo} takes of a network: its accuracies, size and training.
   *
   * @param name The name of the contestant.
   * @throws {RangeError} If there is no such contestant.
   */
  zooEntry(name: string): Omit<ZooNetwork, "network" | "notebook"> {
    const { outcomes, parameters, macs } = this.networks[name] ?? {};
    if (!outcomes) {
      throw new RangeError(
        `Making an entry of the zoo: the name must be one of ${
          Object.keys(this.networks).map((name) => show(name)).join(", ")
        }, found ${show(name)}.`,
      );
    }
    const { images, epochs } = this.#run;
    const accuracies = outcomes.map(({ accuracy }) => accuracy);
    return { accuracies, parameters: parameters!, macs: macs!, images, epochs };
  }

  #lines(): Search[] {
    const { learningRates } = this.#run;
    return this.searches.map(({ name, x, y }) => {
      const rates = Array.from(x!);
      const diverged = learningRates.filter((rate) => !rates.includes(rate));
      return { name, x: rates, y: Array.from(y), diverged };
    });
  }
}

/** The settings that the trainings of a comparison share. */
export interface ComparisonRun {
  readonly seeds: readonly number[];
  readonly learningRates: readonly number[];
  /** The number of seeds with which each learning rate was tried. */
  readonly searchSeeds: number;
  readonly images: number;
  readonly epochs: number;
}
