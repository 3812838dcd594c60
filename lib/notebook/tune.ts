import {
  checkArray,
  checkFunction,
  checkInteger,
  checkNumber,
  checkOptions,
} from "../tensor/internal.ts";
import { DivergenceError } from "../train/training_step.ts";

/** The default of the option `seeds`. */
export const defaultSeeds: readonly number[] = [0, 1, 2, 3, 4];

/** The seeds of a search, and those of the trainings at the best setting. */
export interface TuneOptions {
  /**
   * The seeds with which each setting is tried.
   *
   * @default [100, 101]
   */
  searchSeeds?: readonly number[];
  /**
   * The seeds with which the best setting is repeated. They take no part in the choice.
   *
   * @default [0, 1, 2, 3, 4]
   */
  seeds?: readonly number[];
}

/** The results of a search, which JSON can store. */
export interface Tuned<Outcome> {
  /** The mean loss of each setting over the search seeds; null if a training diverged. */
  readonly losses: readonly (number | null)[];
  /** The position of the setting with the smallest loss. */
  readonly best: number;
  /** The outcomes of the best setting, one for each of the seeds. */
  readonly outcomes: readonly Outcome[];
}

/**
 * Finds the best setting of one contestant by a grid search, and repeats the best; see
 * {@linkcode tuneEach}.
 *
 * @throws {TypeError} If an argument is of the wrong kind, or an option does not exist.
 * @throws {RangeError} If there are no settings or seeds, a loss is not finite, or every setting
 * diverges.
 */
export async function tune<Setting, Outcome extends { readonly loss: number }>(
  settings: readonly Setting[],
  trial: (setting: Setting, seed: number) => Promise<Outcome>,
  options: TuneOptions = {},
): Promise<Tuned<Outcome>> {
  const action = "Tuning a setting";
  checkArray(action, "the settings", settings);
  checkFunction(action, "trial", trial);
  checkOptions<TuneOptions>(action, options, "{ seeds: [0, 1, 2] }", {
    searchSeeds: true,
    seeds: true,
  });
  const { searchSeeds = [100, 101], seeds = defaultSeeds } = options;
  if (settings.length === 0) {
    throw new RangeError(`${action}: there must be at least one setting, found none.`);
  }
  checkSeeds(action, "searchSeeds", searchSeeds);
  checkSeeds(action, "seeds", seeds);
  const losses: (number | null)[] = [];
  for (const [index, setting] of settings.entries()) {
    losses.push(await meanLoss(`setting ${index}`, (seed) => trial(setting, seed)));
  }
  const finite = losses.filter((loss) => loss !== null);
  if (finite.length === 0) {
    throw new RangeError(`${action}: at least one setting must not diverge, found none.`);
  }
  const best = losses.indexOf(Math.min(...finite));
  const outcomes: Outcome[] = [];
  for (const seed of seeds) outcomes.push(await trial(settings[best]!, seed));
  return { losses, best, outcomes };

  async function meanLoss(
    subject: string,
    measure: (seed: number) => Promise<Outcome>,
  ): Promise<number | null> {
    let sum = 0;
    for (const seed of searchSeeds) {
      try {
        const { loss } = await measure(seed);
        const isFinite = Number.isFinite(loss);
        checkNumber(action, `the loss of ${subject}`, loss, isFinite, "a finite number");
        sum += loss;
      } catch (error) {
        if (error instanceof DivergenceError) return null;
        throw error;
      }
    }
    return sum / searchSeeds.length;
  }
}

function checkSeeds(action: string, name: string, seeds: readonly number[]): void {
  checkArray(action, name, seeds);
  seeds.forEach((seed, i) => checkInteger(action, `${name}[${i}]`, seed, 0));
  if (seeds.length === 0) {
    throw new RangeError(`${action}: ${name} must be at least one seed, found none.`);
  }
}
