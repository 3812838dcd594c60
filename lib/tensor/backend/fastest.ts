/** Loads native TensorFlow, the fastest backend, where set-up has compiled its addon. */
import util from "node:util";
import { createRequire } from "node:module";
import { existsSync } from "node:fs";
import * as tf from "@tensorflow/tfjs-core";
import { addonPath, remedyBy } from "../installation.ts";
import { mayUse } from "../platform.ts";
import { NATIVE } from "./names.ts";
import { withoutGreeting } from "./quiet_load.ts";
import type { Binding, FastestBackend } from "./types.ts";

/** Sets an environment variable that TensorFlow reads, unless it is already set. */
function setDefault(name: string, value: string): void {
  if (mayUse(name) && Deno.env.get(name) === undefined) Deno.env.set(name, value);
}

/** Registers native TensorFlow, or returns the reason why it cannot, with a remedy. */
export async function prepareFastest(_isChosen: boolean): Promise<FastestBackend> {
  const allow = "Start Deno with --allow-read --allow-env --allow-ffi";
  let addon: string;
  try {
    addon = addonPath();
    if (!existsSync(addon)) {
      return failed("is not set up", remedyBy("setup"));
    }
  } catch (error) { // Deno does not let this process look.
    return failed(`did not load (${reasonOf(error)})`, allow);
  }
  // TensorFlow prints its version and the processor's features at start; errors still show.
  setDefault("TF_CPP_MIN_LOG_LEVEL", "2");
  // Otherwise oneDNN prepares each convolution anew at each call, which costs 60 to 140 µs. To
  // cache that costs no measurable memory.
  setDefault("TF_MKL_OPTIMIZE_PRIMITIVE_MEMUSE", "false");
  // Otherwise a graph uses oneDNN only on x86 processors with instructions for neural networks, as
  // AVX-512 VNNI. With AVX2 a compiled step of ResNet-20 takes a third of the time with oneDNN.
  if (Deno.build.arch === "x86_64") setDefault("TF_ENABLE_ONEDNN_OPTS", "1");
  // Otherwise all graphs share the threads of the first one, and small ones run faster on one.
  setDefault("TF_OVERRIDE_GLOBAL_THREADPOOL", "1");
  // Otherwise cuDNN's max pooling loses NaN.
  setDefault("TF_ENABLE_MAXPOOL_NANPROP", "true");
  // tfjs-node calls two functions that newer runtimes dropped from node:util.
  Object.assign(util, {
    isNullOrUndefined: (value: unknown) => value === null || value === undefined,
    isArray: Array.isArray,
  });
  try {
    const require = createRequire(addon);
    const binding: Binding = withoutGreeting(() => require(addon));
    // The package's own entry would look for the addon in its install folder, where our set-up does
    // not put it.
    // As a variable, so that where it does not run Deno does not download its packages either.
    const file = "./native.ts";
    const { NativeBackend }: typeof import("./native.ts") = await import(file);
    const native = new NativeBackend(binding);
    tf.registerBackend(NATIVE, () => native, 3);
    return { native };
  } catch (error) {
    return error instanceof Deno.errors.NotCapable
      ? failed(`did not load (${reasonOf(error)})`, allow)
      : failed(`is set up but did not load (${reasonOf(error)})`, remedyBy("doctor"));
  }
}

function failed(problem: string, remedy: string): FastestBackend {
  const notice = (other: string) =>
    `Native TensorFlow ${problem}, so this runs on the ${other} backend, slower${
      // Measured by bench/backends.ts.
      other === "WebAssembly" ? " (2 to 4 times per core)" : ""}. ${remedy}`;
  return { failure: { notice } };
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
