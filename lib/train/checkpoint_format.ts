/**
 * The file of a checkpoint: a safetensors file whose metadata has the rest of the state as JSON,
 * and a checksum of the whole file.
 *
 * It has the tensors `model.PATH`, as a state dict has them; `optimizer.NAME`, as
 * {@linkcode Optimizer.state} names them; and float64 columns of the history,
 * `history.steps.loss` and so on. Numbers in the JSON that JSON cannot hold are strings: "NaN".
 *
 * Version 2 also has the stages around the training: numbers in the JSON, and the weights that a
 * stage holds as `stages.NAME.PATH`, such as `stages.ema.conv1.weight`.
 */
import { encodeSafetensors, parseSafetensors, StoredTensor } from "../weights/internal.ts";
import type { StateDict } from "../weights/mod.ts";
import type { GraphCalls } from "../tensor/internal.ts";
import type { Facts } from "./checkpoint_facts.ts";
import type { Row } from "./history_rows.ts";
import type { StageState } from "./stage.ts";
import type { StoredTrainingState } from "./training_state.ts";

/** The version of the file that is written. Each earlier one is read too. */
const VERSION = 2;
const STATE_KEY = "resnet-lab.checkpoint", CHECKSUM_KEY = "resnet-lab.checksum";
/** The checksum while the checksum is computed. */
const NO_CHECKSUM = "0".repeat(64);

/** The content of a checkpoint. */
export interface Checkpoint {
  /** The facts that must be the same in the call that continues. */
  readonly facts: Facts;
  /** The machine. If it differs, the results are the same only to rounding. */
  readonly machine: Readonly<Record<string, string | number>>;
  readonly state: StoredTrainingState;
  /** Whether the caller had not received the last progress. */
  readonly isPending: boolean;
  /** The calls of the compiled functions. */
  readonly calls: {
    readonly step: readonly GraphCalls[];
    readonly evaluation: readonly GraphCalls[];
  };
  readonly optimizer: {
    readonly learningRate: number;
    readonly settings: Readonly<Record<string, string | number | boolean>>;
    readonly numbers: Readonly<Record<string, number>>;
  };
  /** The tensors of the model, and of the optimizer. */
  readonly model: StateDict;
  readonly slots: StateDict;
  /** The stages around the training, by their names. */
  readonly stages: ReadonlyMap<string, StageState>;
  readonly steps: readonly Row[];
  readonly epochs: readonly Row[];
}

/** The error about a file that is not a whole checkpoint. */
export class DamagedError extends Error {
  /** The name of the class. */
  override readonly name = "DamagedError";
}

/** Returns the parts of the file of a checkpoint. */
export async function encodeCheckpoint(
  action: string,
  { model, slots, stages, steps, epochs, ...rest }: Checkpoint,
): Promise<Uint8Array<ArrayBuffer>[]> {
  const tensors = new Map([
    ...prefixed("model.", model),
    ...prefixed("optimizer.", slots),
    ...[...stages].flatMap(([name, { weights }]) => prefixed(`stages.${name}.`, weights)),
    ...prefixed("history.steps.", columnsOf(steps)),
    ...prefixed("history.epochs.", columnsOf(epochs)),
  ]);
  const numbers = Object.fromEntries(Array.from(stages, ([name, { numbers }]) => [name, numbers]));
  const state = { version: VERSION, ...rest, stages: numbers };
  const json = JSON.stringify(state, (_, value) => numberToJson(value));
  const notes = { [STATE_KEY]: json, [CHECKSUM_KEY]: NO_CHECKSUM };
  const { header, data: stored } = encodeSafetensors(action, tensors, notes);
  const data = stored.map((tensor) => tensor.bytes());
  header.set(new TextEncoder().encode(await checksumOf(header, data)), checksumAt(header)!);
  return [header, ...data];
}

/**
 * Returns the checkpoint in the bytes of a file.
 *
 * @throws {DamagedError} If they are not a whole checkpoint.
 * @throws {RangeError} If the file is of a later version of the library.
 */
export async function decodeCheckpoint(
  bytes: Uint8Array<ArrayBuffer>,
  file: string,
): Promise<Checkpoint> {
  const action = `Reading ${file}`;
  let tensors: StateDict, json: Fields;
  try {
    const parsed = parseSafetensors(bytes, file);
    const { [STATE_KEY]: text, [CHECKSUM_KEY]: checksum } = parsed.metadata;
    if (text === undefined || checksum === undefined) {
      throw new RangeError(
        `${action}: the file must be a checkpoint, found another safetensors file.`,
      );
    }
    tensors = parsed.tensors;
    const data = [...tensors.values()].map((tensor) => tensor.bytes());
    const size = data.reduce((sum, { length }) => sum + length, 0);
    const header = bytes.slice(0, bytes.length - size);
    const position = checksumAt(header);
    if (position !== undefined) header.set(new TextEncoder().encode(NO_CHECKSUM), position);
    if (position === undefined || await checksumOf(header, data) !== checksum) {
      throw new RangeError(`${action}: the checksum must fit the file, found another content.`);
    }
    json = fields(action, JSON.parse(text, (_, value) => numberFromJson(value)));
  } catch (cause) {
    throw damaged(cause);
  }
  if (typeof json.version === "number" && json.version > VERSION) {
    throw new RangeError(
      `${action}: the version of the file must be at most ${VERSION}, found ${json.version}. It was written by a later version of this library.`,
    );
  }
  try {
    return checkpointOf(action, json, tensors);
  } catch (cause) {
    throw damaged(cause);
  }
}

function damaged(cause: unknown): DamagedError {
  return new DamagedError(cause instanceof Error ? cause.message : String(cause), { cause });
}

/** The checksum of a file whose header has none: a hash of the hashes of the parts. */
async function checksumOf(
  header: Uint8Array<ArrayBuffer>,
  data: readonly Uint8Array<ArrayBuffer>[],
): Promise<string> {
  const hashes = await Promise.all([header, ...data].map(sha256));
  const all = new Uint8Array(32 * hashes.length);
  hashes.forEach((hash, i) => all.set(hash, 32 * i));
  return (await sha256(all)).toHex();
}

async function sha256(bytes: Uint8Array<ArrayBuffer>): Promise<Uint8Array> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
}

/** The position of the checksum in a header. The JSON in the metadata has its quotes escaped. */
function checksumAt(header: Uint8Array): number | undefined {
  const text = new TextDecoder("latin1").decode(header), key = `"${CHECKSUM_KEY}":"`;
  const start = text.indexOf(key);
  return start < 0 ? undefined : start + key.length;
}

function prefixed(prefix: string, tensors: StateDict): [string, StoredTensor][] {
  return Array.from(tensors, ([name, tensor]) => [prefix + name, tensor]);
}

function withPrefix(prefix: string, tensors: StateDict): Map<string, StoredTensor> {
  return new Map(
    [...tensors].filter(([name]) => name.startsWith(prefix))
      .map(([name, tensor]) => [name.slice(prefix.length), tensor]),
  );
}

function numberToJson(value: unknown): unknown {
  const fits = typeof value !== "number" || Number.isFinite(value) && !Object.is(value, -0);
  return fits ? value : `number ${Object.is(value, -0) ? "-0" : value}`;
}

function numberFromJson(value: unknown): unknown {
  const [, number] = typeof value === "string"
    ? /^number (NaN|-?Infinity|-0)$/.exec(value) ?? []
    : [];
  return number === undefined ? value : Number(number);
}

/** The rows as a column for each name; a column with gaps has the places of its numbers too. */
function columnsOf(rows: readonly Row[]): Map<string, StoredTensor> {
  const columns = new Map<string, StoredTensor>();
  const names = new Set(rows.flatMap((row) => Object.keys(row)));
  for (const name of names) {
    const values = Float64Array.from(rows, (row) => row[name] ?? NaN);
    columns.set(name, new StoredTensor("F64", [rows.length], new Uint8Array(values.buffer)));
    if (rows.every((row) => row[name] !== undefined)) continue;
    const present = Uint8Array.from(rows, (row) => row[name] === undefined ? 0 : 1);
    columns.set(`present.${name}`, new StoredTensor("BOOL", [rows.length], present));
  }
  return columns;
}

function rowsOf(action: string, count: number, columns: StateDict): Row[] {
  const rows: Record<string, number>[] = Array.from({ length: count }, () => ({}));
  for (const [name, column] of columns) {
    const isFlag = column.dtype === "BOOL" && name.startsWith("present.");
    if (column.size !== count || !isFlag && column.dtype !== "F64") {
      throw new RangeError(
        `${action}: the column ${name} must have ${count} numbers, found ${column.size} of type ${column.dtype}.`,
      );
    }
    if (isFlag) continue;
    const present = columns.get(`present.${name}`)?.values();
    column.values().forEach((value: number | bigint, i: number) => {
      if (present?.[i] !== 0) rows[i]![name] = Number(value);
    });
  }
  return rows;
}

// The state, which is checked although the checksum fits: the file may be made by other hands.

type Fields = Readonly<Record<string, unknown>>;

function fields(action: string, value: unknown): Fields {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Fields;
  throw new TypeError(`${action}: the state must be made of objects, found ${typeof value}.`);
}

function checkpointOf(action: string, json: Fields, tensors: StateDict): Checkpoint {
  const fail = (name: string): never => {
    throw new TypeError(
      `${action}: the state must have the field ${name} as version ${json.version} has it.`,
    );
  };
  const record = (of: Fields, name: string) => fields(action, of[name] ?? fail(name));
  const integer = (of: Fields, name: string, least = 0): number => {
    const value = of[name];
    return Number.isSafeInteger(value) && Number(value) >= least ? Number(value) : fail(name);
  };
  const number = (of: Fields, name: string): number =>
    typeof of[name] === "number" ? of[name] : fail(name);
  const numbers = (of: Fields, name: string): Record<string, number> => {
    const values = record(of, name);
    return Object.fromEntries(Object.keys(values).map((key) => [key, number(values, key)]));
  };
  const list = (of: Fields, name: string): Fields[] => {
    const values = of[name];
    return Array.isArray(values) ? values.map((value) => fields(action, value)) : fail(name);
  };
  const random = (of: Fields, name: string) => {
    const stream = record(of, name);
    const seed = integer(stream, "seed", -0x7fffffff);
    if (seed > 0x7fffffff) fail(name);
    return { seed, draws: integer(stream, "draws") };
  };
  const optional = (of: Fields, name: string) =>
    of[name] === undefined ? undefined : random(of, name);
  const graphs = (of: Fields, name: string): GraphCalls[] =>
    list(of, name).map((graph) => ({
      key: typeof graph.key === "string" ? graph.key : fail("key"),
      calls: integer(graph, "calls", 1),
      nextCheck: integer(graph, "nextCheck", 1),
      isReplacement: graph.isReplacement === true,
    }));
  if (json.version !== 1 && json.version !== 2) fail("version");
  const state = record(json, "state"), streams = record(state, "streams");
  const sums = record(state, "sums"), optimizer = record(json, "optimizer");
  const calls = record(json, "calls"), stages = json.version === 1 ? {} : record(json, "stages");
  const epoch = integer(state, "epoch", 1), step = integer(state, "step");
  return {
    facts: record(json, "facts") as Facts,
    machine: record(json, "machine") as Checkpoint["machine"],
    isPending: typeof json.isPending === "boolean" ? json.isPending : fail("isPending"),
    state: {
      epoch,
      batch: integer(state, "batch"),
      step,
      seconds: number(state, "seconds"),
      sums: {
        images: integer(sums, "images"),
        loss: number(sums, "loss"),
        accuracy: number(sums, "accuracy"),
        metrics: numbers(sums, "metrics"),
      },
      streams: {
        shuffle: random(streams, "shuffle"),
        transform: optional(streams, "transform"),
        mixup: optional(streams, "mixup"),
        default: random(streams, "default"),
        others: list(streams, "others").map((other) => ({
          seed: integer(other, "seed", -0x7fffffff),
          state: random(other, "state"),
        })),
      },
    },
    calls: { step: graphs(calls, "step"), evaluation: graphs(calls, "evaluation") },
    optimizer: {
      learningRate: number(optimizer, "learningRate"),
      settings: record(optimizer, "settings") as Checkpoint["optimizer"]["settings"],
      numbers: numbers(optimizer, "numbers"),
    },
    model: withPrefix("model.", tensors),
    slots: withPrefix("optimizer.", tensors),
    stages: new Map(
      Object.keys(stages).map((name) => [name, {
        numbers: numbers(stages, name),
        weights: withPrefix(`stages.${name}.`, tensors),
      }]),
    ),
    steps: rowsOf(action, step, withPrefix("history.steps.", tensors)),
    epochs: rowsOf(action, epoch - 1, withPrefix("history.epochs.", tensors)),
  };
}
