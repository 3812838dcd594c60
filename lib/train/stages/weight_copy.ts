import { dispose, ops, tidy, type Variable, variable } from "../../tensor/mod.ts";
import { updateByMomentum } from "../../tensor/internal.ts";
import type { AnyModule } from "../../nn/mod.ts";
import { restoreStateDict, stateDictOf } from "../../weights/internal.ts";
import type { StateDict } from "../../weights/mod.ts";

/** A second set of weights of a model: a copy of each of some variables. It is empty at first. */
export class WeightCopy {
  readonly #model: AnyModule;
  readonly #variables: readonly Variable[];
  readonly #copies = new Map<Variable, Variable>();

  constructor(model: AnyModule, variables: readonly Variable[]) {
    this.#model = model;
    this.#variables = variables;
  }

  /** Moves the copies by a fraction of the way to the model's weights. 1 takes them as they are. */
  approach(fraction: number): void {
    for (const weight of this.#variables) {
      const copy = this.#copies.get(weight);
      if (!copy) {
        this.#copies.set(weight, variable(ops.clone(weight), { trainable: false }));
      } else if (fraction === 1 || weight.dtype !== "float32") {
        tidy(() => copy.assign(ops.clone(weight)));
      } else {
        // In place: copy − fraction · (copy − weight). Equal numbers stay as they are.
        const options = { momentum: 0, nesterov: false, weightDecay: 0 };
        tidy(() =>
          updateByMomentum(copy, undefined, ops.sub(copy, weight), {
            learningRate: fraction,
            ...options,
          })
        );
      }
    }
  }

  /** Gives the model the copies. */
  assignToModel(): void {
    for (const [weight, copy] of this.#copies) tidy(() => weight.assign(ops.clone(copy)));
  }

  /** Exchanges the model's weights and the copies. */
  exchange(): void {
    for (const [weight, copy] of this.#copies) {
      tidy(() => {
        const before = ops.clone(weight);
        weight.assign(ops.clone(copy));
        copy.assign(before);
      });
    }
  }

  /** Returns the state dict of the model with the copies; it is empty if there are none. */
  store(action: string): StateDict {
    if (this.#copies.size === 0) return new Map();
    return stateDictOf(action, this.#model, {}, (weight) => this.#copies.get(weight) ?? weight);
  }

  /** Takes the copies out of a state dict that {@linkcode store} returned. */
  load(action: string, weights: StateDict): void {
    this.dispose();
    if (weights.size === 0) return;
    this.approach(1);
    restoreStateDict(action, this.#model, weights, (weight) => this.#copies.get(weight));
  }

  dispose(): void {
    dispose([...this.#copies.values()]);
    this.#copies.clear();
  }
}
