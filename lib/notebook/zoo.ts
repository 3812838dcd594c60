import {
  checkArray,
  checkInteger,
  checkNumber,
  checkOptions,
  checkString,
} from "../tensor/internal.ts";
import { colors } from "../plot/internal.ts";
import { type Axis, type Figure, scatterChart } from "../plot/mod.ts";
import { isWriting, processorName, readStore, storeOf, updateStore } from "./result_store.ts";
import { type RunScale, runScale } from "./run_scale.ts";
import { type MeanAndInterval, meanAndInterval } from "./statistics.ts";

/** A network with its size and its test accuracies. */
export interface ZooNetwork {
  /** The network in a few words: `VGG-11, width 1/8`. */
  readonly network: string;
  /** The number of the notebook that trained it. */
  readonly notebook: number;
  /** The test accuracies, from 0 to 1, one for each seed. */
  readonly accuracies: readonly number[];
  /** The number of trainable parameters. */
  readonly parameters: number;
  /** The multiply-accumulate operations for one image. */
  readonly macs: number;
  /** The number of training images. */
  readonly images: number;
  /** The number of epochs. */
  readonly epochs: number;
}

/** A network of the zoo as it is stored, with the scale and the machine of its trainings. */
export interface StoredZooNetwork extends ZooNetwork {
  /** The scale of the run; see {@linkcode runScale}. */
  readonly scale: RunScale;
  /** The processors, such as `2 × Intel(R) Xeon(R) Processor`. */
  readonly machine: string;
}

/** A network of the zoo as it is shown. */
export interface ShownNetwork extends StoredZooNetwork, MeanAndInterval {
  /** The place of its colour in the palette of charts; the networks of a notebook share it. */
  readonly color: number;
}

/** The networks of the course so far, from {@linkcode addToZoo}. */
export interface Zoo {
  /** The networks by notebook, each with the mean of its accuracies in percent. */
  readonly networks: readonly ShownNetwork[];
  /**
   * A row for each network, by notebook, for {@linkcode table}. The images and epochs have a column
   * only if the networks differ in them.
   */
  readonly rows: readonly Record<string, string | number>[];
  /** Accuracy over multiply-accumulates, with 95 % intervals. */
  readonly chart: Figure;
  /** Accuracy over parameters, with 95 % intervals. */
  readonly parameterChart: Figure;
}

/** The networks of this notebook so far. */
const ownNetworks: StoredZooNetwork[] = [];

/**
 * Adds a network to the zoo, which grows from notebook to notebook, and returns it: the networks of
 * earlier notebooks at this scale, and those of this notebook.
 *
 * With `deno task run --write`, which sets the environment variable RESNET_LAB_WRITE, the network
 * is stored for later notebooks.
 *
 * @throws {TypeError} If there is an unknown property, or one of the wrong kind.
 * @throws {RangeError} If there are fewer than two accuracies, one is not from 0 to 1, or another
 * number is not a whole number of at least 1.
 *
 * @example
 * ```ts
 * import { addToZoo } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const { networks, rows, chart } = addToZoo({
 *   network: "one layer",
 *   notebook: 1,
 *   accuracies: [0.81, 0.82, 0.83],
 *   parameters: 7850,
 *   macs: 7840,
 *   images: 600,
 *   epochs: 5,
 * });
 * assert.equal(rows[0]?.["test accuracy"], "82.00 ± 2.48 %");
 * assert(Math.abs(networks[0]!.mean - 82) < 1e-9);
 * assert.match(chart.description, /one layer/);
 * ```
 */
export function addToZoo(network: ZooNetwork): Zoo {
  checkNetwork(network);
  const own: StoredZooNetwork = { ...network, scale: runScale(), machine: processorName() };
  const withOwn = (stored: readonly StoredZooNetwork[]) => {
    const all = new Map<string, StoredZooNetwork>();
    for (const entry of [...stored, ...ownNetworks, own]) {
      const key = [entry.scale, entry.notebook, entry.network].join("/");
      const before = all.get(key);
      // Accuracies from a record are those of the machine that trained.
      const isRecorded = before && String(before.accuracies) === String(entry.accuracies);
      all.set(key, isRecorded ? { ...entry, machine: before.machine } : entry);
    }
    return [...all.values()].sort((a, b) => a.notebook - b.notebook);
  };
  let all: StoredZooNetwork[] = [];
  const store = storeOf("zoo");
  if (isWriting()) updateStore<StoredZooNetwork[]>(store, [], (stored) => all = withOwn(stored), 2);
  else all = withOwn(readStore<StoredZooNetwork[]>(store, []));
  ownNetworks.push(own);
  const stored = all
    .filter((entry) => entry.scale === own.scale && entry.notebook <= own.notebook)
    .map((entry) => ({ ...entry, ...meanAndInterval(entry.accuracies.map((part) => 100 * part)) }));
  const notebooks = [...new Set(stored.map(({ notebook }) => notebook))];
  const shown = stored.map((entry) => ({
    ...entry,
    color: notebooks.indexOf(entry.notebook) % colors.length,
  }));
  const work = { title: "Work for one image", unit: "million MACs", scale: "log" } as const;
  const size = { title: "Parameters", scale: "log" } as const;
  return {
    networks: shown,
    rows: rowsOf(shown),
    chart: chart(shown, "work", work, ({ macs }) => macs / 1e6),
    parameterChart: chart(shown, "parameters", size, ({ parameters }) => parameters),
  };
}

function rowsOf(networks: readonly ShownNetwork[]): Record<string, string | number>[] {
  const trainings = networks.map(({ images, epochs }) => `${images} × ${epochs}`);
  // A column of equal numbers would only make the table wider than a page.
  const differ = new Set(trainings).size > 1;
  return networks.map((entry, index) => ({
    network: entry.network,
    notebook: entry.notebook,
    "test accuracy": `${entry.mean.toFixed(2)} ± ${entry.halfWidth.toFixed(2)} %`,
    seeds: entry.accuracies.length,
    parameters: entry.parameters,
    MACs: entry.macs,
    ...(differ ? { "images × epochs": trainings[index]! } : {}),
  }));
}

function chart(
  networks: readonly ShownNetwork[],
  cost: string,
  axis: Axis,
  costOf: (network: ShownNetwork) => number,
): Figure {
  return scatterChart(
    networks.map((entry) => ({
      name: entry.network,
      x: [costOf(entry)],
      y: [entry.mean],
      spread: [entry.halfWidth],
    })),
    {
      title: `The zoo: accuracy and ${cost}, with 95 % intervals`,
      x: axis,
      y: { title: "Test accuracy", unit: "%" },
      width: 620,
      colors: networks.map(({ color }) => color),
      height: 500,
    },
  );
}

function checkNetwork(given: ZooNetwork): void {
  const action = "Adding to the zoo";
  checkOptions<ZooNetwork>(action, given, '{ network: "LeNet", notebook: 4, … }', {
    network: true,
    notebook: true,
    accuracies: true,
    parameters: true,
    macs: true,
    images: true,
    epochs: true,
  });
  const { network, accuracies, ...numbers } = given;
  checkString(action, "network", network);
  for (const name of ["notebook", "parameters", "macs", "images", "epochs"] as const) {
    checkInteger(action, name, numbers[name]);
  }
  checkArray(action, "accuracies", accuracies);
  checkNumber(
    action,
    "the number of accuracies",
    accuracies.length,
    accuracies.length >= 2,
    "at least 2",
  );
  accuracies.forEach((accuracy, i) => {
    const subject = `accuracies[${i}]`;
    const fits = accuracy >= 0 && accuracy <= 1;
    checkNumber(action, subject, accuracy, fits, "a number from 0 to 1");
  });
}
