/** The tape on which TensorFlow.js records each kernel, and our backward pass over it. */
import * as tf from "@tensorflow/tfjs-core";
import "../kernels/gradient_overrides.ts";
import type { Tensor } from "../types.ts";

/**
 * Returns the value of `f` and its gradients with respect to `inputs`; undefined for an input that
 * the value does not depend on. It must run in `tidy`, and leaves nothing else behind, even where
 * it throws.
 */
export function gradientsWherePresent(
  f: () => Tensor,
  inputs: readonly Tensor[],
  upstream?: Tensor,
): { value: Tensor; gradients: (Tensor | undefined)[] } {
  const { state } = tf.engine();
  if (state.gradientDepth === 0) state.activeTape = [];
  try {
    const value = recordTape(f);
    return { value, gradients: backpropagate(value, inputs, upstream) };
  } finally {
    if (state.gradientDepth === 0) {
      state.activeTape?.forEach(releaseSaved);
      state.activeTape = [];
    }
  }
}

/** Returns the value of `f`, and puts its steps on the tape. */
function recordTape(f: () => Tensor): Tensor {
  const { state } = tf.engine();
  state.gradientDepth++;
  try {
    // The copy is a step to differentiate for a function that returns its input.
    return tf.tidy(() => tf.clone(f()));
  } finally {
    state.gradientDepth--;
  }
}

// TensorFlow.js saves a copy of a tensor for the backward pass, and puts the copy on the tape as a
// step. The copy of an output comes before the step that computes it, so gradients of gradients
// miss it. A copy with the id of the tensor needs no step.
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

/** Frees the tensors that a step saved for the backward pass. */
function releaseSaved(step: Step): void {
  tf.dispose(step.saved ?? []);
  step.saved = [];
}

/**
 * Computes gradients from `value` backwards over the tape. TensorFlow.js's own backward pass keeps
 * all saved tensors and all gradients until its end. This one frees each after the last step that
 * needs it, which halves the memory of a training step.
 */
function backpropagate(
  value: Tensor,
  inputs: readonly Tensor[],
  upstream?: Tensor,
): (Tensor | undefined)[] {
  const { state } = tf.engine();
  const tape: readonly Step[] = state.activeTape ?? [];
  // A gradient of a gradient needs the steps again.
  const isLastUse = state.gradientDepth === 0;
  const reached = new Set(inputs.map(({ id }) => id));
  const steps = tape.filter((step) => {
    const dependsOnInputs = Object.values(step.inputs).some(({ id }) => reached.has(id));
    if (dependsOnInputs) { for (const { id } of step.outputs) reached.add(id); }
    else if (isLastUse) releaseSaved(step);
    return dependsOnInputs;
  });
  const inputIds = new Set(inputs.map(({ id }) => id));
  return tf.tidy(() => {
    const gradients = new Map<number, Tensor>();
    gradients.set(value.id, upstream ? tf.clone(upstream) : tf.ones(value.shape));
    for (const step of steps.toReversed()) {
      const outputGradients = step.outputs.map(({ id }) => gradients.get(id));
      if (outputGradients.some((gradient) => gradient !== undefined)) {
        const { gradient, kernelName } = step;
        if (!gradient) throw noGradient(kernelName);
        const targets = Object.entries(step.inputs).filter(([, { id }]) => reached.has(id));
        const inputGradients = tf.tidy(() => {
          const gradientOf = gradient(outputGradients as tf.Tensor[]);
          const own = new Set<Tensor>();
          return targets.map(([name]) => {
            const x = gradientOf[name]!();
            // A gradient that another step owns, such as the one of the output, is freed there.
            const result = x.scopeId === state.activeScope?.id && !own.has(x) ? x : tf.clone(x);
            own.add(result);
            return result;
          });
        });
        targets.forEach(([, { id }], i) => {
          const sum = gradients.get(id), gradient = inputGradients[i]!;
          gradients.set(id, sum ? tf.add(sum, gradient) : gradient);
          if (sum) tf.dispose([sum, gradient]);
        });
        for (const { id } of step.outputs) {
          if (inputIds.has(id)) continue;
          gradients.get(id)?.dispose();
          gradients.delete(id);
        }
      }
      if (isLastUse) releaseSaved(step);
    }
    return inputs.map(({ id }) => gradients.get(id)) as Tensor[];
  });
}

function noGradient(kernelName: string): TypeError {
  return new TypeError(
    `Taking a gradient: each kernel of the function must have a gradient, found ${kernelName}, which has none${
      kernelName.includes("Grad") || kernelName.includes("Backprop")
        ? " (it is itself part of a gradient)"
        : ""
    }.`,
  );
}
