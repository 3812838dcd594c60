/**
 * Training on several processes. Each computes its part of every batch; sums over all processes
 * make the step that of the whole batch, and to the last bit the same on each.
 */
import { backend, type DataType, ops, type Tensor, type Variable } from "../tensor/mod.ts";
import { type BatchPart, defaultRandom } from "../tensor/internal.ts";
import { BatchNorm } from "../nn/mod.ts";
import type { Dataset } from "../data/mod.ts";
import { type Group, group, meet } from "../parallel/internal.ts";
import type { AnyFitOptions } from "./fit_options.ts";
import type { AnyModel } from "./run.ts";

/** The share of this process in a training. */
export class DataParallel {
  readonly #action: string;
  readonly #group: Group;
  /** The sums of a step, before and after the exchange. */
  #buffer: Float32Array<ArrayBuffer> = new Float32Array();

  /**
   * Returns the share of this process; undefined if it runs alone.
   *
   * @throws {RangeError} If a batch, or a part of `microBatchSize` images of it, has fewer images
   * than there are processes, or a model with batch norm is to be compiled.
   */
  static of(
    action: string,
    model: AnyModel,
    { count }: Dataset,
    { batchSize = count, microBatchSize = batchSize, dropLast, compile }: AnyFitOptions,
  ): DataParallel | undefined {
    const processes = group();
    if (!processes) return undefined;
    const last = dropLast ? 0 : count % batchSize;
    const sizes = [batchSize, last].flatMap((size) => [
      Math.min(size, microBatchSize),
      size % microBatchSize,
    ]).filter((size) => size > 0);
    const least = Math.min(...sizes);
    if (least < processes.count) {
      throw new RangeError(
        `${action}: each process must have an image in each batch, found ${least} for ${processes.count} processes in one (batchSize ${batchSize}${
          microBatchSize < batchSize ? `, microBatchSize ${microBatchSize}` : ""
        }, ${count} images). Take another batchSize, or leave a small last batch out with dropLast: true.`,
      );
    }
    const normalizes = [...model.namedModules()].find(([, module]) =>
      module instanceof BatchNorm && !module.isFrozen && !module.isFolded
    );
    if (compile && normalizes) {
      throw new RangeError(
        `${action}: compile must be false on several processes for a model with batch norm, as a graph cannot wait for the other processes, found true and ${
          normalizes[0]
        }. Leave compile out.`,
      );
    }
    return new DataParallel(action, processes);
  }

  /**
   * Checks that this process runs alone: processes cannot share the batches of a generator.
   *
   * @throws {TypeError} If it does not.
   */
  static refuse(action: string): void {
    const processes = group();
    if (!processes) return;
    throw new TypeError(
      `${action}: a generator of batches must run on one process, found ${processes.count}. Pass a data set { name, count, batch }.`,
    );
  }

  private constructor(action: string, group: Group) {
    this.#action = action;
    this.#group = group;
  }

  /** Whether this process writes files. */
  get isWriter(): boolean {
    return this.#group.rank === 0;
  }

  /**
   * Gives all processes the weights and the random numbers of process 0, whose seed may be drawn
   * from the clock.
   *
   * @throws {Error} If they do not train alike.
   */
  begin(model: AnyModel, dataset: Dataset, options: AnyFitOptions): void {
    meet(this.#group, "the start of a training");
    const variables = model.namedVariables();
    const { epochs, batchSize, microBatchSize, dropLast, seed, mixup, precision } = options;
    this.#checkAlike({
      "the data set": `${dataset.name}, ${dataset.count} images`,
      "the model": Array.from(variables, ([path, { shape }]) => `${path} [${shape}]`).join(", "),
      "the optimizer": `${options.optimizer.parameters.length} parameters`,
      options: JSON.stringify({
        epochs,
        batchSize,
        microBatchSize,
        dropLast,
        seed,
        mixup,
        precision,
      }),
      validation: String(options.validation?.count),
      "the backend": backend(),
    });
    for (const variable of variables.values()) this.#share(variable);
    const state = this.exchange(new TextEncoder().encode(JSON.stringify(defaultRandom().state())));
    defaultRandom().loadState(JSON.parse(new TextDecoder().decode(state)));
  }

  /** Compares facts of the call with those of process 0. */
  #checkAlike(facts: Readonly<Record<string, string>>): void {
    const bytes = this.exchange(new TextEncoder().encode(JSON.stringify(facts)));
    const first: Readonly<Record<string, string>> = JSON.parse(new TextDecoder().decode(bytes));
    const name = Object.keys(facts).find((name) => facts[name] !== first[name]);
    if (name === undefined) return;
    throw new Error(
      `${this.#action}: all processes must train alike, found that ${name} of process 0 is ${
        first[name]
      }, and of process ${this.#group.rank} ${facts[name]}.`,
    );
  }

  #share(variable: Variable): void {
    const values = variable.dataSync().slice() as Float32Array<ArrayBuffer>;
    this.#group.broadcast(new Uint8Array(values.buffer));
    if (this.isWriter) return;
    const tensor: Tensor = ops.tensor(values, [...variable.shape], variable.dtype as DataType);
    variable.assign(tensor);
    tensor.dispose();
  }

  /** Returns the bytes of process 0. */
  exchange(bytes: Uint8Array<ArrayBuffer> = new Uint8Array()): Uint8Array<ArrayBuffer> {
    const length = Float64Array.of(this.isWriter ? bytes.length : 0);
    this.#group.sum(length);
    const result = this.isWriter ? bytes : new Uint8Array(length[0]!);
    this.#group.broadcast(result);
    return result;
  }

  /** Waits for all processes at a step, and returns whether one of them wants to stop. */
  meet(place: "a step" | "an evaluation", wantsToStop: boolean): boolean {
    return meet(this.#group, place, wantsToStop);
  }

  /**
   * Returns the places of this process in the batch: its share of each part of `micro` images, so
   * that a part is the same images on one process and on several.
   */
  rows(count: number, micro = Infinity): Int32Array {
    return Int32Array.from(
      this.parts(count, micro).flatMap(({ rows, first }) => Array.from(rows, (row) => first + row)),
    );
  }

  /** Returns the share of this process in each part of a batch, in which its images are `rows`. */
  parts(count: number, micro = Infinity): (BatchPart & { readonly first: number })[] {
    const { rank, count: processes } = this.#group, parts = [];
    for (let first = 0; first < count; first += micro) {
      const size = Math.min(micro, count - first);
      const from = Math.floor(rank * size / processes);
      const to = Math.floor((rank + 1) * size / processes);
      const rows = Int32Array.from({ length: to - from }, (_, i) => from + i);
      parts.push({
        first,
        count: size,
        rows,
        sum: this.sum,
      });
    }
    return parts;
  }

  /** Replaces numbers by their sums over all processes. */
  readonly sum = (values: Float64Array<ArrayBuffer>): void => this.#group.sum(values);

  /**
   * Gives all processes the results of an evaluation, in which each array has the values of this
   * process at its images and 0 elsewhere.
   *
   * @returns The sum of `value` over all processes.
   */
  gather(value: number, arrays: readonly (Float32Array | Int32Array)[]): number {
    const total = Float64Array.of(value);
    this.sum(total);
    for (const array of arrays) {
      const values = Float64Array.from(array);
      this.sum(values);
      array.set(values);
    }
    return total[0]!;
  }

  /** Returns the sums of tensors over all processes. */
  sumTensors(tensors: readonly Tensor[]): Tensor[] {
    const length = tensors.reduce((sum, { size }) => sum + size, 0);
    if (this.#buffer.length !== length) this.#buffer = new Float32Array(length);
    let at = 0;
    for (const tensor of tensors) {
      this.#buffer.set(tensor.dataSync(), at);
      at += tensor.size;
    }
    this.#group.sum(this.#buffer);
    at = 0;
    return tensors.map(({ shape, size }): Tensor =>
      ops.tensor(this.#buffer.slice(at, at += size), [...shape])
    );
  }
}
