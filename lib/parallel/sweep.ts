/** One run of a {@linkcode Sweep}. */
export interface SweepRun<Settings> {
  /** The values of this run. */
  readonly settings: Settings;
  /** The seed of this run, for {@linkcode setSeed}. */
  readonly seed: number;
  /** The folder of this run for the option `checkpoint` of {@linkcode fit}. */
  readonly checkpoint: string;
}

/**
 * The default export of a module that `deno task sweep` runs: each combination of settings with
 * each seed is a run in a process of its own.
 *
 * The result of a run is written to one JSON file, completely or not at all. A run whose file is
 * there is skipped, and one that was killed continues from its checkpoint, so the same command
 * brings a sweep to its end however often it was interrupted.
 *
 * @example
 * ```ts
 * import { adam, fashionMnist, fit, lenet, setSeed } from "resnet-lab";
 * import type { Sweep } from "resnet-lab/parallel";
 * import assert from "node:assert/strict";
 *
 * const { train, test } = await fashionMnist({ subset: true });
 * const sweep: Sweep<{ learningRate: number }> = {
 *   settings: { learningRate: [0.001, 0.003] },
 *   seeds: [1, 2, 3],
 *   async run({ settings: { learningRate }, seed, checkpoint }) {
 *     setSeed(seed);
 *     const model = lenet();
 *     const optimizer = adam(model.parameters(), { learningRate });
 *     const options = { optimizer, epochs: 2, batchSize: 100, validation: test, checkpoint };
 *     const { epochs } = await fit(model, train, options);
 *     return { accuracy: epochs.at(-1)!.validation!.accuracy };
 *   },
 * };
 * // In its file: export default sweep;
 * assert.equal(sweep.seeds.length * sweep.settings.learningRate.length, 6);
 * ```
 */
export interface Sweep<Settings extends Readonly<Record<string, string | number | boolean>>> {
  /** The values of each setting. */
  readonly settings: { readonly [Name in keyof Settings]: readonly Settings[Name][] };
  /** The seeds. */
  readonly seeds: readonly number[];
  /** Computes the result of a run, which JSON can hold. */
  run(run: SweepRun<Settings>): Promise<unknown>;
}
