import type { Action, Component, Kit } from "../component.ts";

/** A 3×3 convolution without bias, padded by 1, and the batch norm that follows it. */
export interface NormalizedLayer {
  /** The kernel `[3, 3, inChannels, outChannels]`, flat. */
  readonly kernel: readonly number[];
  /**
   * Pixels from one window to the next.
   *
   * @default 1
   */
  readonly stride?: number;
  /** The batch norm's weight γ of each output channel. */
  readonly weight: readonly number[];
  /** Its bias β. */
  readonly bias: readonly number[];
  /** Its running mean. */
  readonly runningMean: readonly number[];
  /** Its running variance. */
  readonly runningVariance: readonly number[];
}

/** The options of {@linkcode interactive.normalizer}. */
export interface NormalizerOptions {
  /** Up to twelve layers; a relu follows each. The pictures have one channel. */
  readonly layers: readonly NormalizedLayer[];
  /** The linear layer after the mean of each map: `[channels, classes]`, flat, and its bias. */
  readonly head: { readonly weight: readonly number[]; readonly bias: readonly number[] };
  /** The pictures: a hexadecimal digit for each pixel, row by row, from 0 (black) to f. */
  readonly pictures: readonly string[];
  /** The class of each picture. */
  readonly labels: readonly number[];
  /** The names of the classes. */
  readonly classNames: readonly string[];
  /** Mean and standard deviation of the pixels, from 0 to 1, by which they are normalised. */
  readonly pixels: { readonly mean: number; readonly standardDeviation: number };
}

/** The state of the figure. */
interface State {
  /** The factor of all kernels. */
  readonly gain: number;
  /** The number of pictures in the batch. */
  readonly size: number;
  /** The class of the company, or "mixed". */
  readonly company: string;
  /** The number of the draw of the company. */
  readonly draw: number;
  readonly hasNorm: boolean;
  readonly isInference: boolean;
  /** The index of the marked picture. */
  readonly marked: number;
}

/** The results of the network for a batch. */
export interface NormalizedRun {
  /** The indices of the pictures of the batch; the marked one is the first. */
  readonly batch: readonly number[];
  /** The input of the relu of each layer, of all pictures. */
  readonly signals: readonly Float64Array[];
  /** The logits of the marked picture. */
  readonly logits: readonly number[];
}

/**
 * Ten layers on a small batch, with or without batch norm: the spread of each layer's signal, and
 * the answer for one picture, which depends on its company.
 *
 * The text of this function is part of each figure: it refers to nothing outside of itself.
 */
export function normalizer(
  kit: Kit,
  options: NormalizerOptions,
): Component<State> & { run(state: State): NormalizedRun } {
  const { num, text } = kit;
  const { layers, head, pictures, labels, classNames } = options;
  const [blue, orange] = kit.colors as [string, string];
  const side = Math.round(Math.sqrt(pictures[0]!.length));
  const LARGEST = Math.min(24, pictures.length);
  const initial: State = {
    ...{ gain: 1, size: Math.min(8, LARGEST), company: "mixed", draw: 0, marked: 0 },
    ...{ hasNorm: true, isInference: false },
  };
  const greys = pictures.map((picture) => [...picture].map((digit) => parseInt(digit, 16) / 15));

  /** Each picture as lines of equal grey, in units of a pixel. */
  const shades = greys.map((grey) => {
    const paths = new Map<number, string>();
    for (let start = 0, end = 0; start < grey.length; start = end) {
      const level = Math.round(4 * grey[start]!);
      const rowEnd = start - start % side + side;
      while (end < rowEnd && Math.round(4 * grey[end]!) === level) end++;
      const line = `M${start % side} ${Math.floor(start / side) + 0.5}h${end - start}`;
      if (level > 0) paths.set(level, (paths.get(level) ?? "") + line);
    }
    return [...paths].map(([level, d]) => `<path class="shade${level}" d="${d}"/>`).join("");
  });

  /** He's standard deviation over that of a kernel. Batch norm does not see the difference. */
  const heFactors = layers.map(({ kernel, weight }) => {
    const mean = kernel.reduce((sum, value) => sum + value, 0) / kernel.length;
    const variance = kernel.reduce((sum, value) => sum + (value - mean) ** 2, 0) / kernel.length;
    return Math.sqrt(2 * weight.length / kernel.length / variance);
  });

  /** The indices of a batch: the marked picture, then its company in a random order. */
  function batchOf({ size, company, draw, marked }: State): number[] {
    const others = [...pictures.keys()].filter((i) =>
      i !== marked && (company === "mixed" || labels[i] === Number(company))
    );
    let random = 2654435761 * (draw + 1) >>> 0;
    for (let i = others.length - 1; i > 0; i--) {
      random = (Math.imul(random, 1664525) + 1013904223) >>> 0;
      const j = Math.floor(random / 2 ** 32 * (i + 1));
      [others[i], others[j]] = [others[j]!, others[i]!];
    }
    return [marked, ...others.slice(0, size - 1)];
  }

  function convolve(
    input: Float64Array,
    count: number,
    side: number,
    { kernel, weight, stride = 1 }: NormalizedLayer,
    factor: number,
  ): { maps: Float64Array; side: number } {
    const out = weight.length, channels = kernel.length / 9 / out;
    const outSide = Math.floor((side - 1) / stride) + 1;
    const maps = new Float64Array(count * outSide * outSide * out);
    for (let at = 0, n = 0; n < count; n++) {
      for (let i = 0; i < outSide; i++) {
        for (let j = 0; j < outSide; j++, at += out) {
          for (let tap = 0; tap < 9; tap++) {
            const row = i * stride + Math.floor(tap / 3) - 1, column = j * stride + tap % 3 - 1;
            if (row < 0 || row >= side || column < 0 || column >= side) continue;
            const from = ((n * side + row) * side + column) * channels;
            for (let c = 0; c < channels; c++) {
              const x = factor * input[from + c]!, first = (tap * channels + c) * out;
              for (let o = 0; o < out; o++) maps[at + o]! += x * kernel[first + o]!;
            }
          }
        }
      }
    }
    return { maps, side: outSide };
  }

  /** Normalises maps in place, by the batch or by the running statistics. */
  function normalize(
    maps: Float64Array,
    { weight, bias, runningMean, runningVariance }: NormalizedLayer,
    isInference: boolean,
    factor: number,
  ): void {
    const channels = weight.length, count = maps.length / channels;
    for (let c = 0; c < channels; c++) {
      let mean = factor * runningMean[c]!, variance = factor ** 2 * runningVariance[c]!;
      if (!isInference) {
        mean = variance = 0;
        for (let i = c; i < maps.length; i += channels) mean += maps[i]! / count;
        for (let i = c; i < maps.length; i += channels) variance += (maps[i]! - mean) ** 2 / count;
      }
      const scale = weight[c]! / Math.sqrt(variance + 1e-5);
      for (let i = c; i < maps.length; i += channels) {
        maps[i] = (maps[i]! - mean) * scale + bias[c]!;
      }
    }
  }

  function run(state: State): NormalizedRun {
    const batch = batchOf(state), { mean, standardDeviation } = options.pixels;
    let width = side;
    let x = Float64Array.from(
      batch.flatMap((picture) => greys[picture]!.map((grey) => (grey - mean) / standardDeviation)),
    );
    const signals = layers.map((layer, index) => {
      const factor = heFactors[index]!;
      const { maps, side } = convolve(x, batch.length, width, layer, state.gain * factor);
      width = side;
      if (state.hasNorm) normalize(maps, layer, state.isInference, factor);
      x = maps.map((value) => Math.max(0, value));
      return maps;
    });
    const channels = layers.at(-1)!.weight.length, classes = head.bias.length;
    const logits = [...head.bias];
    for (let pixel = 0; pixel < width * width; pixel++) {
      for (let c = 0; c < channels; c++) {
        const share = x[pixel * channels + c]! / (width * width);
        for (let k = 0; k < classes; k++) logits[k]! += share * head.weight[c * classes + k]!;
      }
    }
    return { batch, signals, logits };
  }

  function deviation(values: Float64Array): number {
    const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
    return Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length);
  }

  function probabilities(logits: readonly number[]): number[] {
    const largest = Math.max(...logits), powers = logits.map((logit) => Math.exp(logit - largest));
    const total = powers.reduce((sum, power) => sum + power, 0);
    return powers.map((power) => power / total);
  }

  const answerOf = (logits: readonly number[]) => logits.indexOf(Math.max(...logits));

  /** The lying histograms of the layers, from −4 to 4. */
  function spreads({ signals }: NormalizedRun): string {
    const width = 440, height = 254, top = 40, low = 22, left = 26, bins = 24, end = 4;
    const step = Math.floor((width - left) / layers.length), row = (height - top - low) / bins;
    const zero = top + bins / 2 * row;
    return kit.svg(
      width,
      height,
      `Standard deviation of each layer: ${signals.map((s) => num(deviation(s), 2)).join(", ")}.`,
      text(0, 14, "what enters the relu of each layer", 'class="bold"') +
        [-4, 0, 4].map((value) =>
          text(left - 6, zero - value / end * (bins / 2) * row + 4, num(value), 'class="small end"')
        ).join("") +
        `<path class="grid" d="M${left} ${zero}H${width}"/>` +
        signals.map((signal, index) => {
          const counts = new Array<number>(bins).fill(0);
          for (const value of signal) {
            const bin = Math.floor((value + end) / (2 * end) * bins);
            counts[Math.max(0, Math.min(bins - 1, bin))]!++;
          }
          const most = Math.max(...counts), x = left + 2 + index * step;
          const bars = counts.map((count, bin) => {
            const length = Math.ceil((step - 6) * count / most);
            return count === 0
              ? ""
              : `M${x} ${top + (bins - 1 - bin) * row}h${length}v${row}h-${length}z`;
          }).join("");
          return `<path fill="${blue}" d="${bars}"/>` +
            text(x + step / 2, 31, num(deviation(signal), 2), 'class="small middle"') +
            text(x + step / 2, height - 6, String(index + 1), 'class="small middle"');
        }).join("") +
        text(0, 31, "sd", 'class="small"'),
    );
  }

  function answer({ marked }: State, { logits }: NormalizedRun): string {
    const width = 300, row = 21, left = 84, top = 40, found = probabilities(logits);
    return kit.svg(
      width,
      top + row * classNames.length + 4,
      `Answer: ${classNames[answerOf(logits)]!}.`,
      text(0, 14, "the answer for the marked picture", 'class="bold"') +
        text(left, 31, "logit", 'class="small"') +
        text(left + 52, 31, "probability", 'class="small"') +
        classNames.map((name, k) => {
          const y = top + k * row, bar = (width - left - 100) * found[k]!;
          const bold = k === answerOf(logits) ? " bold" : "";
          return text(left - 8, y + 14, name, `class="end${bold}"`) +
            text(left + 36, y + 14, num(logits[k]!, 3), 'class="small end"') +
            `<rect fill="${k === labels[marked] ? blue : orange}" x="${left + 52}" y="${y + 4}" ` +
            `width="${Math.max(0.5, bar).toFixed(1)}" height="13"/>` +
            text(left + 58 + bar, y + 14, `${Math.round(100 * found[k]!)} %`, 'class="small"');
        }).join(""),
    );
  }

  /** The pictures of the batch as images, the marked one first. */
  function batchView({ marked }: State, { batch }: NormalizedRun): string {
    const size = 42, columns = 8, rows = Math.ceil(LARGEST / columns);
    return kit.svg(
      columns * size,
      20 + rows * size,
      `A batch of ${batch.length} pictures; the marked one is a ${classNames[labels[marked]!]!}.`,
      text(0, 14, "the batch; the frame marks the picture", 'class="bold"') +
        batch.map((picture, i) => {
          const x = i % columns * size, y = 22 + Math.floor(i / columns) * size;
          const unit = ((size - 6) / side).toFixed(2);
          return `<rect x="${x + 1}" y="${y + 1}" width="${size - 4}" height="${size - 4}" ` +
            `stroke="${i === 0 ? orange : "none"}" stroke-width="3"/>` +
            `<g transform="translate(${x + 2} ${y + 2}) scale(${unit})">${shades[picture]}</g>`;
        }).join(""),
    );
  }

  function describe(state: State): string {
    const { signals, logits, batch } = run(state);
    const mode = !state.hasNorm
      ? "without batch norm"
      : `with batch norm in ${state.isInference ? "inference" : "training"} mode`;
    return `${layers.length} layer${layers.length === 1 ? "" : "s"} ${mode}, gain ${
      num(state.gain)
    }, on a batch of ` +
      `${batch.length} pictures: standard deviation ${num(deviation(signals[0]!), 2)} in layer 1 ` +
      `and ${num(deviation(signals.at(-1)!), 2)} in layer ${layers.length}; the marked ` +
      `${classNames[labels[state.marked]!]!} is taken for ${classNames[answerOf(logits)]!}.`;
  }

  function act(state: State, { kind, name, value }: Action): State {
    if (kind === "press") {
      return name === "reset" ? initial : { ...state, draw: state.draw + 1 };
    }
    if (kind !== "set") return state;
    if (name === "gain") return { ...state, gain: kit.read(value, state.gain, 0.3, 3) };
    if (name === "size") {
      return { ...state, size: Math.round(kit.read(value, state.size, 2, LARGEST)) };
    }
    if (name === "hasNorm" || name === "isInference") return { ...state, [name]: value === "true" };
    if (name === "marked") return { ...state, marked: Number(value) };
    return name === "company" ? { ...state, company: value } : state;
  }

  const firsts = classNames.map((name, k) => [String(labels.indexOf(k)), name] as const);
  const classes = classNames.map((name, k) => [String(k), `only: ${name}`] as const);
  return {
    css: ".shade1 { stroke: #444; } .shade2 { stroke: #888; } .shade3 { stroke: #bbb; }\n" +
      ".shade4 { stroke: #fff; }",
    initial,
    pictures: ["spreads", "answer"],
    describe,
    layout: `<div class="controls">
${kit.slider("gain", "gain of the kernels", { low: 0.3, high: 3, step: 0.01, log: true })}
${kit.slider("size", "pictures in the batch", { low: 2, high: LARGEST, step: 1 })}
${kit.checkbox("hasNorm", "batch norm")} ${kit.checkbox("isInference", "inference mode")}
${kit.choice("marked", "marked", firsts)}
${kit.choice("company", "company", [["mixed", "mixed"], ...classes])}
${kit.button("draw", "Other company")} ${kit.button("reset", "Start again")}
</div>
<div class="panels"><div data-view="spreads"></div><div data-view="answer"></div>
<div data-view="batch"></div></div>
<div class="reading" data-view="said" role="status"></div>
<p class="reading">The outermost bars also count what lies beyond ±4. Blue is the true class.</p>`,
    views: (state) => {
      const found = run(state);
      return {
        spreads: spreads(found),
        answer: answer(state, found),
        batch: batchView(state, found),
        said: kit.escape(describe(state)) +
          (state.hasNorm
            ? ""
            : " (The kernels were trained with batch norm; without it the answer means nothing.)"),
      };
    },
    values: (state) => ({
      gain: String(state.gain),
      size: String(state.size),
      hasNorm: String(state.hasNorm),
      isInference: String(state.isInference),
      marked: String(state.marked),
      company: state.company,
    }),
    act,
    run,
  };
}
