import type { Action, Component, Kit } from "../component.ts";
import type { Matrix } from "./kernel_workshop.ts";

/** The options of {@linkcode interactive.kernelMixer}. */
export interface KernelMixerOptions {
  /** Pictures by their names, from one to six, each of 3×3 to 28×28 numbers from 0 to 1. */
  pictures: Readonly<Record<string, Matrix>>;
  /**
   * Kernels by their names, from two to six, each of 3×3 numbers.
   *
   * @default vertical edges, horizontal edges, blur and identity
   */
  kernels?: Readonly<Record<string, Matrix>>;
  /**
   * The linear map from the mean of a picture to a score for each kernel. With the default the
   * scores of a picture of the mean 0.29 are zero.
   *
   * @default { weight: [24, 8, -8, -24], bias: [-6.96, -2.32, 2.32, 6.96] }
   */
  attention?: { readonly weight: readonly number[]; readonly bias: readonly number[] };
  /**
   * The temperature at first, from 0.1 to 100.
   *
   * @default 1
   */
  temperature?: number;
}

/** The state of the figure. */
interface State {
  /** The picture that is convolved. */
  readonly picture: string;
  /** The picture whose mean gives the attention; empty for the same one. */
  readonly source: string;
  readonly temperature: number;
}

/** A mixture of kernels and what it makes of a picture. */
export interface Mixture {
  /** The mean of the picture that gives the attention. */
  readonly mean: number;
  readonly scores: readonly number[];
  /** The weights of the kernels, which sum to 1. */
  readonly attention: readonly number[];
  readonly kernel: Matrix;
  /** The feature map, of the size of the picture. */
  readonly map: Matrix;
}

/**
 * A dynamic convolution of one channel: the mean of a picture, the attention, the mixed kernel, and
 * the feature map.
 *
 * The text of this function is part of each figure: it refers to nothing outside of itself.
 */
export function kernelMixer(
  kit: Kit,
  options: KernelMixerOptions,
): Component<State> & { mixture(state: State): Mixture } {
  const { num, text } = kit;
  const { pictures, temperature = 1 } = options;
  const kernels: Readonly<Record<string, Matrix>> = options.kernels ?? {
    "vertical edges": [[1, 0, -1], [2, 0, -2], [1, 0, -1]],
    "horizontal edges": [[1, 2, 1], [0, 0, 0], [-1, -2, -1]],
    "blur": Array.from({ length: 3 }, () => [1 / 9, 1 / 9, 1 / 9]),
    "identity": [[0, 0, 0], [0, 1, 0], [0, 0, 0]],
  };
  const { weight, bias } = options.attention ??
    { weight: [24, 8, -8, -24], bias: [-6.96, -2.32, 2.32, 6.96] };
  const names = Object.keys(kernels), pictureNames = Object.keys(pictures);
  const initial: State = { picture: pictureNames[0]!, source: "", temperature };
  const sourceOf = ({ source, picture }: State) => source === "" ? picture : source;
  const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);
  const largest = (matrix: Matrix) => Math.max(...matrix.flat().map(Math.abs)) || 1;

  function mixture(state: State): Mixture {
    const pixels = pictures[sourceOf(state)]!.flat(), mean = sum(pixels) / pixels.length;
    const scores = weight.map((w, k) => w * mean + bias[k]!);
    const top = Math.max(...scores);
    const powers = scores.map((score) => Math.exp((score - top) / state.temperature));
    const attention = powers.map((power) => power / sum(powers));
    const places = [0, 1, 2];
    const kernel = places.map((i) =>
      places.map((j) => sum(names.map((name, k) => attention[k]! * kernels[name]![i]![j]!)))
    );
    const picture = pictures[state.picture]!;
    const map = picture.map((row, y) =>
      row.map((_, x) =>
        sum(
          places.flatMap((i) =>
            places.map((j) => kernel[i]![j]! * (picture[y + i - 1]?.[x + j - 1] ?? 0))
          ),
        )
      )
    );
    return { mean, scores, attention, kernel, map };
  }

  /** Squares with their top left corner at a place. Neighbours of one colour are one rectangle. */
  function squares(
    matrix: Matrix,
    side: number,
    [left, top]: readonly [number, number],
    color: (value: number) => string,
  ): string {
    const paths = new Map<string, string>();
    matrix.forEach((row, y) => {
      for (let x = 0, count; x < row.length; x += count) {
        const fill = color(row[x]!);
        for (count = 1; x + count < row.length && color(row[x + count]!) === fill;) count++;
        const wide = count * side, place = `M${left + x * side} ${top + y * side}`;
        paths.set(fill, `${paths.get(fill) ?? ""}${place}h${wide}v${side}h-${wide}z`);
      }
    });
    return [...paths].map(([fill, path]) => `<path fill="${fill}" d="${path}"/>`).join("");
  }

  /** Grey in 16 steps. */
  function grey(value: number): string {
    const level = Math.round(15 * Math.max(0, Math.min(1, value))).toString(16);
    return `#${level}${level}${level}`;
  }

  /** Nearly white at 0, blue below and orange above, in 12 steps on each side. */
  function signed(most: number): (value: number) => string {
    return (value) => {
      const part = Math.round(12 * Math.min(1, Math.abs(value) / most)) / 12;
      const end = value < 0 ? [0x5a, 0xa5, 0xd8] : [0xf0, 0x93, 0x5c];
      return `rgb(${end.map((channel) => Math.round(244 + (channel - 244) * part)).join(" ")})`;
    };
  }

  function framed(matrix: Matrix, color: (value: number) => string, label: string): string {
    const side = Math.max(6, Math.floor(168 / Math.max(matrix.length, matrix[0]!.length)));
    const [width, height] = [matrix[0]!.length * side, matrix.length * side];
    return kit.svg(width, height, label, squares(matrix, side, [0, 0], color));
  }

  /** The kernels, each with a bar as long as its weight, and their mixture. */
  function drawMixing(state: State): string {
    const { attention, scores, kernel } = mixture(state);
    const WIDTH = 340, ROW = 48, SIDE = 12, LEFT = 164, BAR = 104;
    const rows = names.map((name, k) => {
      const y = k * ROW, own = kernels[name]!;
      return squares(own, SIDE, [0, y + 4], signed(largest(own))) +
        text(46, y + 17, name) +
        text(46, y + 33, `score ${num(scores[k]!)}`, 'class="small"') +
        `<rect x="${LEFT}" y="${y + 12}" width="${BAR}" height="16" class="grid"/>` +
        `<rect x="${LEFT}" y="${y + 12}" width="${(BAR * attention[k]!).toFixed(1)}" height="16" ` +
        `fill="${kit.colors[k % kit.colors.length]}"/>` +
        text(LEFT + BAR + 8, y + 25, num(attention[k]!, 2));
    });
    const bottom = names.length * ROW;
    return kit.svg(
      WIDTH,
      bottom + 56,
      `The kernels with their weights ${attention.map((share) => num(share, 2)).join(", ")}.`,
      rows.join("") +
        `<path class="line" d="M0 ${bottom}H${WIDTH - 40}"/>` +
        squares(kernel, 16, [0, bottom + 6], signed(largest(kernel))) +
        text(58, bottom + 34, "the mixture: the kernel of this picture", 'class="bold"'),
    );
  }

  function said(state: State): string {
    const { mean, attention } = mixture(state);
    const k = attention.indexOf(Math.max(...attention));
    const whose = state.source === "" || state.source === state.picture
      ? "Its"
      : `The attention is that of ${kit.escape(state.source)}, whose`;
    return `${whose} mean is <b data-mean="">${num(mean)}</b>, so ${
      kit.escape(names[k]!)
    } has the ` +
      `largest weight: <b data-largest="">${num(attention[k]!)}</b>.`;
  }

  function describe(state: State): string {
    const { attention } = mixture(state);
    const parts = names.map((name, k) => `${num(attention[k]!, 2)} of ${name}`);
    return `A dynamic convolution of the picture "${state.picture}" with the attention of ` +
      `"${sourceOf(state)}" at temperature ${num(state.temperature)}: its kernel is ${
        parts.join(", ")
      }.`;
  }

  function act(state: State, { kind, name, value }: Action): State {
    if (kind === "press") return initial;
    if (kind !== "set") return state;
    if (name === "temperature") {
      const temperature = kit.read(value, state.temperature, 0.1, 100);
      return temperature === state.temperature ? state : { ...state, temperature };
    }
    const isKnown = pictureNames.includes(value) || name === "source" && value === "";
    return isKnown ? { ...state, [name]: value } : state;
  }

  const choices = pictureNames.map((name) => [name, name] as const);
  return {
    css: `.title { margin: 0 0 4px; font-weight: bold; }`,
    initial,
    pictures: ["picture", "mixing", "map"],
    describe,
    layout: `<div class="controls">
${kit.choice("picture", "Picture", choices)}
${kit.choice("source", "Attention of", [["", "the same picture"], ...choices])}
${kit.slider("temperature", "Temperature τ", { low: 0.1, high: 100, step: 0.1, log: true })}
${kit.button("reset", "Start again")}
</div>
<div class="panels">
<div><div class="title">Picture</div><div data-view="picture"></div></div>
<div><div class="title">Attention, kernels and mixture</div><div data-view="mixing"></div></div>
<div><div class="title">Feature map</div><div data-view="map"></div></div>
</div>
<div class="reading" data-view="said" role="status"></div>`,
    views: (state) => {
      const { map } = mixture(state);
      return {
        picture: framed(pictures[state.picture]!, grey, `The picture ${state.picture}.`),
        mixing: drawMixing(state),
        map: framed(map, signed(largest(map)), "The feature map."),
        said: said(state),
      };
    },
    values: ({ picture, source, temperature }) => ({
      picture,
      source,
      temperature: String(Number(temperature.toPrecision(4))),
    }),
    act,
    mixture,
  };
}
