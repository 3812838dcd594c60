import type { KernelTrace, TracedOutput, TracedValue } from "../tensor/internal.ts";

type Kernel = Extract<TracedValue, { kind: "kernel" }>;

/** The kernels of a convolution without and with bias. */
const CONVOLUTIONS = ["Conv2D", "ResnetLabConv2DWithBias"];

/**
 * Returns a trace in which each batch norm that takes the output of a convolution, and is the only
 * one to take it, is part of the convolution; see `foldBatchNorm`. The model does not change.
 */
export function foldTrace({ values, output }: KernelTrace): KernelTrace {
  const folded = [...values];
  const uses = new Map<number, number>();
  const inputs = values.flatMap((value) =>
    value.kind === "kernel" ? Object.values(value.inputs) : []
  );
  for (const [source] of [...inputs, output]) uses.set(source, (uses.get(source) ?? 0) + 1);
  const numbers = (input: TracedOutput | undefined): Float32Array | undefined => {
    const value = input && values[input[0]];
    return value?.kind === "constant" ? new Float32Array(value.bytes.buffer) : undefined;
  };
  const addConstant = (shape: readonly number[], numbers: Float32Array<ArrayBuffer>) => {
    const bytes = new Uint8Array(numbers.buffer);
    return [folded.push({ kind: "constant", shape, dtype: "float32", bytes }) - 1, 0] as const;
  };
  values.forEach((norm, position) => {
    if (norm.kind !== "kernel" || norm.name !== "FusedBatchNorm") return;
    const source = norm.inputs.x!, convolution = folded[source[0]]!;
    const isConvolution = convolution.kind === "kernel" && CONVOLUTIONS.includes(convolution.name);
    if (!isConvolution || uses.get(source[0]) !== 1) return;
    const filter = numbers(convolution.inputs.filter);
    const [mean, variance, weight, bias] = ["mean", "variance", "scale", "offset"].map((role) =>
      numbers(norm.inputs[role])
    );
    if (!filter || !mean || !variance) return;
    const epsilon = Number(norm.attributes.varianceEpsilon);
    const factor = mean.map((_, i) => (weight?.[i] ?? 1) / Math.sqrt(variance[i]! + epsilon));
    const before = numbers(convolution.inputs.bias);
    const shape = shapeOf(values[convolution.inputs.filter![0]]!);
    const joined: Kernel = {
      ...convolution,
      name: "ResnetLabConv2DWithBias",
      inputs: {
        x: convolution.inputs.x!,
        filter: addConstant(shape, filter.map((x, i) => x * factor[i % factor.length]!)),
        bias: addConstant(
          [mean.length],
          mean.map((mean, i) => ((before?.[i] ?? 0) - mean) * factor[i]! + (bias?.[i] ?? 0)),
        ),
      },
    };
    folded[position] = joined;
  });
  return { values: folded, output };
}

function shapeOf(value: TracedValue): readonly number[] {
  return value.kind === "constant" ? value.shape : [];
}

/** Returns the positions of the values that the output of a trace depends on. */
export function usedValues({ values, output }: KernelTrace): Set<number> {
  const used = new Set<number>(), open = [output[0]];
  for (let position = open.pop(); position !== undefined; position = open.pop()) {
    if (used.has(position)) continue;
    used.add(position);
    const value = values[position]!;
    if (value.kind === "kernel") {
      open.push(...Object.values(value.inputs).map(([source]) => source));
    }
  }
  return used;
}
