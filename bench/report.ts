/** From times to ratios, tables and a picture. */
import { barChart, type Figure, type Precision } from "resnet-lab";
import type { Column } from "./systems.ts";
import type { Task } from "./works.ts";

/** What one system took for one task of one work. */
export interface Measurement {
  readonly work: string;
  readonly title: string;
  readonly task: Task;
  readonly column: Column;
  readonly precision: Precision;
  readonly mode: string;
  /** Images in a step; 1 where a start is timed. */
  readonly images: number;
  /**
   * Seconds for a step, one number for each round; the n-th rounds of all systems were run one
   * after the other.
   */
  readonly seconds: readonly number[];
  /** The most memory the process held up to the end of the task, in MiB. */
  readonly peakMemory?: number;
}

/** A value below which a part `q` of the numbers lies, interpolated between neighbours. */
export function quantile(numbers: readonly number[], q: number): number {
  if (numbers.length === 0) {
    throw new RangeError("Taking a quantile: expected numbers, found none.");
  }
  const sorted = numbers.toSorted((a, b) => a - b);
  const position = q * (sorted.length - 1);
  const below = sorted[Math.floor(position)]!;
  return below + (sorted[Math.ceil(position)]! - below) * (position % 1);
}

/** Median and quartiles. */
export interface Spread {
  readonly median: number;
  readonly quartiles: readonly [lower: number, upper: number];
}

export function spread(numbers: readonly number[]): Spread {
  return {
    median: quantile(numbers, 0.5),
    quartiles: [quantile(numbers, 0.25), quantile(numbers, 0.75)],
  };
}

/** How many times as fast as `other` the first one is, from ratios within each round. */
export function speedup(ours: Measurement, other: Measurement): Spread {
  return spread(ours.seconds.map((seconds, round) => other.seconds[round]! / seconds));
}

/**
 * A row of the table: one task of one work in one precision, with the fastest system of each
 * column.
 */
export interface Row {
  readonly title: string;
  readonly ours: Measurement;
  /** Our own fp32, in a row of bf16. */
  readonly ownFp32?: Measurement;
  readonly peers: Partial<Record<Column, Measurement>>;
}

const peers = ["not compiled", "PyTorch eager", "torch.compile", "Keras", "tfjs-layers"] as const;
const taskNames = { train: ", training", infer: ", inference", epoch: "", start: "" };

/** The rows, in the order in which they were measured. */
export function rowsOf(measurements: readonly Measurement[]): Row[] {
  const ours = measurements.filter(({ column }) => column === "ResNet Lab");
  return ours.map((own) => {
    const same = measurements.filter(({ work, task }) => work === own.work && task === own.task);
    const rivals = same.filter(({ precision }) => precision === own.precision);
    const fastest = (column: Column) =>
      rivals.filter((rival) => rival.column === column)
        .toSorted((a, b) => quantile(a.seconds, 0.5) - quantile(b.seconds, 0.5))[0];
    return {
      title: `${own.title}${taskNames[own.task]}${own.precision === "bf16" ? ", bf16" : ""}`,
      ours: own,
      ownFp32: own.precision === "bf16"
        ? same.find(({ column, precision }) => column === "ResNet Lab" && precision === "fp32")
        : undefined,
      peers: Object.fromEntries(peers.map((column) => [column, fastest(column)])),
    };
  });
}

/**
 * How fast this library is, and how many times as fast as each peer: medians, with quartiles of the
 * ratios.
 */
export function speedTable(rows: readonly Row[]): string {
  const ratio = (row: Row, other?: Measurement) => {
    if (!other) return "";
    const { median, quartiles: [lower, upper] } = speedup(row.ours, other);
    return `**${median.toFixed(2)}** (${lower.toFixed(2)}–${upper.toFixed(2)})`;
  };
  return table(
    ["", "ResNet Lab", ...peers.map((peer) => `÷ ${peer}`), "÷ own fp32"],
    rows.map((row) => {
      const seconds = quantile(row.ours.seconds, 0.5);
      return [
        row.title,
        row.ours.task === "start"
          ? `${seconds.toFixed(1)} s`
          : `${number(row.ours.images / seconds)} images/s`,
        ...peers.map((peer) => ratio(row, row.peers[peer])),
        ratio(row, row.ownFp32),
      ];
    }),
  );
}

/** The most memory that each process held in training, in MiB. */
export function memoryTable(rows: readonly Row[]): string {
  const mebibytes = (measurement?: Measurement) =>
    measurement?.peakMemory === undefined ? "" : number(measurement.peakMemory);
  return table(
    ["Peak memory, MiB", "ResNet Lab", ...peers],
    rows.filter(({ ours }) => ours.task === "train").map((row) => [
      row.title,
      mebibytes(row.ours),
      ...peers.map((peer) => mebibytes(row.peers[peer])),
    ]),
  );
}

/**
 * Speeds in fp32 against PyTorch eager, which has 1; nothing where a system has no time for a row.
 */
export function speedChart(rows: readonly Row[]): Figure | undefined {
  const shown = rows.filter(({ ours, peers }) =>
    ours.precision === "fp32" && (ours.task === "train" || ours.task === "infer") &&
    peers["PyTorch eager"]
  );
  if (shown.length === 0) return undefined;
  const speeds = (of: (row: Row) => Measurement | undefined) =>
    shown.map((row) => {
      const measurement = of(row);
      return measurement ? speedup(measurement, row.peers["PyTorch eager"]!).median : 0;
    });
  const others = peers.filter((column) => column !== "PyTorch eager");
  return barChart(
    shown.map(({ ours }) => `${ours.work} ${ours.task}`),
    {
      "ResNet Lab": speeds(({ ours }) => ours),
      ...Object.fromEntries(
        others.map((column) => [column, speeds(({ peers }) => peers[column])]),
      ),
    },
    {
      title: "Speed in fp32, PyTorch eager = 1",
      x: { title: "Work" },
      y: { title: "Times as fast as PyTorch eager" },
      width: 1200,
      height: 480,
    },
  );
}

/** Three digits, and all of those before the point. */
function number(value: number): string {
  return value < 100 ? value.toPrecision(3) : Math.round(value).toLocaleString("en");
}

/** A table in Markdown, its columns aligned. */
function table(head: readonly string[], body: readonly (readonly string[])[]): string {
  const widths = head.map((_, i) => Math.max(3, ...[head, ...body].map((row) => row[i]!.length)));
  const line = (cells: readonly string[]) =>
    `| ${
      cells.map((cell, i) => i === 0 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!)).join(
        " | ",
      )
    } |`;
  const rule = `| ${
    widths.map((width, i) => i === 0 ? "-".repeat(width) : `${"-".repeat(width - 1)}:`).join(" | ")
  } |`;
  return [line(head), rule, ...body.map(line)].join("\n");
}
