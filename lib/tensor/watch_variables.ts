import * as tf from "@tensorflow/tfjs-core";
import type { Variable } from "./types.ts";

/** Runs `work` and calls `see` with each variable that a kernel of TensorFlow.js is about to read, each time. */
export function watchVariables<T>(see: (variable: Variable) => void, work: () => T): T {
  const engine = tf.engine();
  const before = Object.getOwnPropertyDescriptor(engine, "runKernel");
  const { runKernel } = engine;
  const watched: typeof runKernel = (name, inputs, attributes) => {
    for (const input of Object.values(inputs)) {
      for (const tensor of Array.isArray(input) ? input : [input]) {
        if (tensor instanceof tf.Variable) see(tensor);
      }
    }
    return runKernel.call(engine, name, inputs, attributes) as never;
  };
  Object.defineProperty(engine, "runKernel", { value: watched, configurable: true });
  try {
    return work();
  } finally {
    if (before) Object.defineProperty(engine, "runKernel", before);
    else Reflect.deleteProperty(engine, "runKernel");
  }
}
