/** The tape on which TensorFlow.js writes each kernel, and the walk back over it. */
import * as tf from "@tensorflow/tfjs-core";
import "../kernels/gradient_overrides.ts";
import type { Tensor } from "../types.ts";

/**
 * The value of `f` and its gradients with respect to `inputs`, undefined where the value does not
 * depend on one; to be called in `tidy`. Nothing else is left behind, whether it succeeds or
 * throws.
 */
export function gradientsWherePresent(
  f: () => Tensor,
  inputs: readonly Tensor[],
  upstream?: Tensor,
): { value: Tensor; gradients: (Tensor | undefined)[] } {
  const { state } = tf.engine();
  if (state.gradientDepth === 0) state.activeTape = [];
  try {
    const value = cachedExperiment(f);
    return { value, gradients: backpropagate(value, inputs, upstream) };
  } finally {
    if (state.gradientDepth === 0) {
      state.activeTape?.forEach(forget);
      state.activeTape = [];
    }
  }
}

/** What `f` gives, with its steps on the tape. */
function cachedExperiment(f: () => Tensor): Tensor {
  const { state } = tf.engine();
  state.gradientDepth++;
  try {
    // The copy gives a function that returns its input as it is a step to differentiate.
    return tf.tidy(() => tf.clone(f()));
  } finally {
    state.gradientDepth--;
  }
}

// TensorFlow.js writes each tensor that it saves for the way back on the tape as a step of its own,
// an output before the step that gives it, so that gradients of gradients miss it. With the number
// of what it is a copy of, it needs no step.
const engine = tf.engine();
Object.assign(engine, {
  saveTensorsForBackwardMode: (tensors: Tensor[]): Tensor[] =>
    tensors.map((tensor) => {
      engine.backend.incRef(tensor.dataId);
      const copy = engine.makeTensorFromTensorInfo(tensor);
      return Object.assign(copy, { id: tensor.id, kept: true });
    }),
});

/** A step on TensorFlow.js's tape. */
type Step = NonNullable<ReturnType<typeof tf.engine>["state"]["activeTape"]>[number];

/** Frees what a step saved for the way back. */
function forget(step: Step): void {
  tf.dispose(step.saved ?? []);
  step.saved = [];
}

/**
 * Goes back from `value` through the steps on the tape. TensorFlow.js's own way back keeps what was
 * saved, and every gradient on the way, until its end; here both go as soon as the last step that
 * needs them is done, which halves the memory of a training step.
 */
function backpropagate(
  value: Tensor,
  inputs: readonly Tensor[],
  upstream?: Tensor,
): (Tensor | undefined)[] {
  const { state } = tf.engine();
  const tape: readonly Step[] = state.activeTape ?? [];
  // Where gradients are themselves recorded, the steps are needed again.
  const isLastUse = state.gradientDepth === 0;
  const reached = new Set(inputs.map(({ id }) => id));
  const steps = tape.filter((step) => {
    const leads = Object.values(step.inputs).some(({ id }) => reached.has(id));
    if (leads) { for (const { id } of step.outputs) reached.add(id); }
    else if (isLastUse) forget(step);
    return leads;
  });
  const wanted = new Set(inputs.map(({ id }) => id));
  return tf.tidy(() => {
    const gradients = new Map<number, Tensor>();
    gradients.set(value.id, upstream ? tf.clone(upstream) : tf.ones(value.shape));
    for (const step of steps.toReversed()) {
      const given = step.outputs.map(({ id }) => gradients.get(id));
      if (given.some((gradient) => gradient !== undefined)) {
        const { gradient, kernelName } = step;
        if (!gradient) throw noGradient(kernelName);
        const targets = Object.entries(step.inputs).filter(([, { id }]) => reached.has(id));
        const found = tf.tidy(() => {
          const gradientOf = gradient(given as tf.Tensor[]);
          const own = new Set<Tensor>();
          return targets.map(([name]) => {
            const x = gradientOf[name]!();
            // What is not this step's own, such as what it was given, is freed by others.
            const result = x.scopeId === state.activeScope?.id && !own.has(x) ? x : tf.clone(x);
            own.add(result);
            return result;
          });
        });
        targets.forEach(([, { id }], i) => {
          const before = gradients.get(id), more = found[i]!;
          gradients.set(id, before ? tf.add(before, more) : more);
          if (before) tf.dispose([before, more]);
        });
        for (const { id } of step.outputs) {
          if (wanted.has(id)) continue;
          gradients.get(id)?.dispose();
          gradients.delete(id);
        }
      }
      if (isLastUse) forget(step);
    }
    return inputs.map(({ id }) => gradients.get(id)) as Tensor[];
  });
}

function noGradient(step: string): TypeError {
  return new TypeError(
    `Taking a gradient: the function goes through ${step}, which has none${
      step.includes("Grad") || step.includes("Backprop") ? " (it is itself part of a gradient)" : ""
    }.`,
  );
}
