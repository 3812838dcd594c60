/** Turns times into ratios, tables and a chart. */
import { barChart, type Figure, type Precision } from "resnet-lab";
import { boundOf, type Limit } from "./limit.ts";
import type { Column } from "./systems.ts";
import type { Task } from "./workloads.ts";

/** The times of one system for one task of one workload. */
export interface Measurement {
  readonly workload: string;
  readonly title: string;
  readonly task: Task;
  readonly column: Column;
  readonly precision: Precision;
  readonly mode: string;
  /** Images in a step; 1 for a start. */
  readonly images: number;
  /**
   * Seconds for a step, one number for each round. All systems run round n before round n + 1.
   */
  readonly seconds: readonly number[];
  /** The peak memory of the process until the end of the task, in MiB. */
  readonly peakMemory?: number;
}

/** Returns the `q`-quantile of numbers, interpolated between neighbours. */
export function quantile(numbers: readonly number[], q: number): number {
  if (numbers.length === 0) {
    throw new RangeError("Taking a quantile: numbers must have at least one number, found none.");
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

/** Returns how many times as fast as `other` this library is, from ratios within each round. */
export function speedup(ours: Measurement, other: Measurement): Spread {
  return spread(ours.seconds.map((seconds, round) => other.seconds[round]! / seconds));
}

/**
 * A row of the table: one task of one workload in one precision, with the fastest system of each
 * column.
 */
export interface Row {
  readonly title: string;
  readonly ours: Measurement;
  /** This library in fp32, in a row of bf16. */
  readonly ownFp32?: Measurement;
  readonly peers: Partial<Record<Column, Measurement>>;
}

const peers = ["not compiled", "PyTorch eager", "torch.compile", "Keras", "tfjs-layers"] as const;
const taskNames = { train: ", training", infer: ", inference", epoch: "", start: "" };

/** Returns the rows in the order of measurement. */
export function rowsOf(measurements: readonly Measurement[]): Row[] {
  const ours = measurements.filter(({ column }) => column === "ResNet Lab");
  return ours.map((own) => {
    const same = measurements.filter(({ workload, task }) =>
      workload === own.workload && task === own.task
    );
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
 * Returns the table of speeds: images per second of this library, and its ratio to each peer as
 * median and quartiles.
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

/** Returns the table of the peak memory in training, in MiB. */
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
 * Returns the table of the distance from the limit: the time of a step of this library, the two
 * bounds of it, and the larger bound as a share of the time.
 */
export function limitTable(rows: readonly Row[], limit: Limit): string {
  const milliseconds = (seconds: number) => number(1000 * seconds);
  const body = rows.flatMap(
    ({ title, ours: { workload: name, images, task, precision, seconds } }) => {
      const bound = boundOf(limit, { name, batch: images }, task, precision);
      if (!bound) return [];
      const { compute, memory } = bound, time = quantile(seconds, 0.5);
      const share = 100 * Math.max(compute, memory) / time;
      const times = [time, compute, memory].map(milliseconds);
      return [[title, ...times, `${share.toFixed(0)} %`]];
    },
  );
  return table(["Time of a step, ms", "ResNet Lab", "multiplying", "memory", "limit ÷ time"], body);
}

/**
 * Draws the speeds in fp32 relative to PyTorch eager, which is 1. A system without a time for a row
 * has no bar. Returns undefined if no row has PyTorch.
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
    shown.map(({ ours }) => `${ours.workload} ${ours.task}`),
    {
      "ResNet Lab": speeds(({ ours }) => ours),
      ...Object.fromEntries(
        others.map((column) => [column, speeds(({ peers }) => peers[column])]),
      ),
    },
    {
      title: "Speed in fp32, PyTorch eager = 1",
      x: { title: "Workload" },
      y: { title: "Times as fast as PyTorch eager" },
      width: 1200,
      height: 480,
    },
  );
}

/** Formats a number with three digits, or with all digits before the point. */
function number(value: number): string {
  return value < 100 ? value.toPrecision(3) : Math.round(value).toLocaleString("en");
}

/** Returns a Markdown table with aligned columns. */
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
