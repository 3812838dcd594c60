import type { Action, Component, Kit } from "../component.ts";

/** Numbers that are stored as bytes, one scale for each output channel. */
export interface StoredWeights {
  /** The weights divided by their scales, as base64 of signed bytes, output channels last. */
  readonly bytes: string;
  readonly scales: readonly number[];
  readonly bias: readonly number[];
}

/** A layer that the figure can compute, as JSON. */
export type StoredLayer =
  | ({
    readonly kind: "convolution";
    readonly kernelSize: number;
    readonly padding: number;
    readonly inChannels: number;
  } & StoredWeights)
  | ({ readonly kind: "linear" } & StoredWeights)
  | {
    readonly kind: "maxPool";
    readonly kernelSize: number;
    readonly stride: number;
    readonly padding: number;
  }
  | { readonly kind: "relu" | "flatten" | "mean" };

/** The data of the component: everything as JSON. */
export interface StoredPushedPicture {
  readonly networks: readonly { readonly name: string; readonly layers: readonly StoredLayer[] }[];
  /** Pictures with the index of their class; the bytes are base64. */
  readonly pictures: readonly { readonly label: number; readonly bytes: string }[];
  readonly classNames: readonly string[];
  readonly size: number;
  readonly mean: number;
  readonly standardDeviation: number;
}

/** The state of the figure. */
interface State {
  readonly picture: number;
  readonly right: number;
  readonly down: number;
  /** The class whose map is drawn. */
  readonly mapOf: number;
  /** The pointer and the offset when the pointer went down. */
  readonly grip?: readonly [x: number, y: number, right: number, down: number];
}

/** The answer of a network. */
export interface PushedAnswer {
  readonly name: string;
  readonly probabilities: readonly number[];
  /** The class maps of a network that ends in their mean: `[row][column][class]`, flat. */
  readonly maps?: { readonly side: number; readonly values: Float32Array };
}

/**
 * A picture to push about, the probabilities that networks give to it, and class maps.
 *
 * The text of this function is part of each figure: it refers to nothing outside of itself.
 */
export function pushedPicture(
  kit: Kit,
  options: StoredPushedPicture,
): Component<State> & { answers(state: State): readonly PushedAnswer[] } {
  const { text, num, escape } = kit;
  const { size, classNames, mean, standardDeviation } = options;
  const MOST = 10, PIXEL = 8, BAR = 18;
  interface Maps {
    readonly side: number;
    readonly channels: number;
    readonly values: Float32Array;
  }

  function bytesOf(base64: string): Uint8Array {
    return Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
  }
  function weightsOf({ bytes, scales }: StoredWeights): Float32Array {
    const signed = new Int8Array(bytesOf(bytes).buffer);
    return Float32Array.from(signed, (value, i) => value * scales[i % scales.length]!);
  }
  const pictures = options.pictures.map(({ bytes }) => bytesOf(bytes));
  const networks = options.networks.map(({ name, layers }) => ({
    name,
    layers: layers.map((layer) => ({
      layer,
      weights: "bytes" in layer ? weightsOf(layer) : new Float32Array(0),
    })),
  }));
  const initial: State = {
    ...{ picture: 0, right: 0, down: 0 },
    mapOf: options.pictures[0]!.label,
  };

  /** The pixels of the moved picture, 0 to 255. */
  function pixelsOf({ picture, right, down }: State): Uint8Array {
    const moved = new Uint8Array(size * size);
    for (let y = Math.max(0, down); y < Math.min(size, size + down); y++) {
      for (let x = Math.max(0, right); x < Math.min(size, size + right); x++) {
        moved[y * size + x] = pictures[picture]![(y - down) * size + x - right]!;
      }
    }
    return moved;
  }

  function convolution(
    { side, channels, values }: Maps,
    layer: StoredLayer & { kind: "convolution" },
    weights: Float32Array,
  ): Maps {
    const { kernelSize, padding, bias } = layer, out = bias.length;
    const result = new Float32Array(side * side * out);
    for (let y = 0; y < side; y++) {
      for (let x = 0; x < side; x++) {
        const to = (y * side + x) * out;
        for (let o = 0; o < out; o++) result[to + o] = bias[o]!;
        for (let v = 0; v < kernelSize; v++) {
          const row = y + v - padding;
          if (row < 0 || row >= side) continue;
          for (let u = 0; u < kernelSize; u++) {
            const column = x + u - padding;
            if (column < 0 || column >= side) continue;
            const from = (row * side + column) * channels;
            for (let c = 0; c < channels; c++) {
              const value = values[from + c]!;
              if (value === 0) continue;
              const at = ((v * kernelSize + u) * channels + c) * out;
              for (let o = 0; o < out; o++) result[to + o]! += value * weights[at + o]!;
            }
          }
        }
      }
    }
    return { side, channels: out, values: result };
  }

  function maxPool(
    { side, channels, values }: Maps,
    layer: StoredLayer & { kind: "maxPool" },
  ): Maps {
    const { kernelSize, stride, padding } = layer;
    const after = Math.floor((side + 2 * padding - kernelSize) / stride) + 1;
    const result = new Float32Array(after * after * channels).fill(-Infinity);
    for (let y = 0; y < after * kernelSize; y++) {
      const row = Math.floor(y / kernelSize) * stride + y % kernelSize - padding;
      if (row < 0 || row >= side) continue;
      for (let x = 0; x < after * kernelSize; x++) {
        const column = Math.floor(x / kernelSize) * stride + x % kernelSize - padding;
        if (column < 0 || column >= side) continue;
        const to = (Math.floor(y / kernelSize) * after + Math.floor(x / kernelSize)) * channels;
        for (let c = 0; c < channels; c++) {
          const value = values[(row * side + column) * channels + c]!;
          if (value > result[to + c]!) result[to + c] = value;
        }
      }
    }
    return { side: after, channels, values: result };
  }

  function linear({ values }: Maps, { bias }: StoredWeights, weights: Float32Array): Maps {
    const result = Float32Array.from(bias), out = bias.length;
    values.forEach((value, i) => {
      for (let o = 0; o < out; o++) result[o]! += value * weights[i * out + o]!;
    });
    return { side: 1, channels: out, values: result };
  }

  function meanOf({ side, channels, values }: Maps): Maps {
    const result = new Float32Array(channels);
    values.forEach((value, i) => result[i % channels]! += value / (side * side));
    return { side: 1, channels, values: result };
  }

  function softmax(logits: Float32Array): number[] {
    const most = Math.max(...logits), powers = Array.from(logits, (z) => Math.exp(z - most));
    const sum = powers.reduce((a, b) => a + b);
    return powers.map((power) => power / sum);
  }

  let last: { key: string; answers: readonly PushedAnswer[] } | undefined;
  function answers(state: State): readonly PushedAnswer[] {
    const key = [state.picture, state.right, state.down].join();
    if (last?.key === key) return last.answers;
    const image: Maps = {
      ...{ side: size, channels: 1 },
      values: Float32Array.from(
        pixelsOf(state),
        (byte) => (byte / 255 - mean) / standardDeviation,
      ),
    };
    const found = networks.map(({ name, layers }): PushedAnswer => {
      let maps = image, classMaps: Maps | undefined;
      for (const { layer, weights } of layers) {
        if (layer.kind === "convolution") maps = convolution(maps, layer, weights);
        else if (layer.kind === "linear") maps = linear(maps, layer, weights);
        else if (layer.kind === "maxPool") maps = maxPool(maps, layer);
        else if (layer.kind === "relu") {
          maps = { ...maps, values: maps.values.map((value) => Math.max(0, value)) };
        } else if (layer.kind === "mean") {
          classMaps = maps.channels === classNames.length ? maps : undefined;
          maps = meanOf(maps);
        }
      }
      const probabilities = softmax(maps.values);
      return { name, probabilities, ...(classMaps ? { maps: classMaps } : {}) };
    });
    last = { key, answers: found };
    return found;
  }

  /** Squares of one colour as one path each; neighbours of a row are one rectangle. */
  function squares(
    side: number,
    pixel: number,
    colorAt: (index: number) => string | undefined,
  ): string {
    const paths: Record<string, string> = {};
    for (let i = 0; i < side * side; i++) {
      const color = colorAt(i), x = i % side;
      let run = 1;
      while (x + run < side && colorAt(i + run) === color) run++;
      i += run - 1;
      if (color === undefined) continue;
      paths[color] = `${paths[color] ?? ""}M${x} ${Math.floor(i / side)}h${run}v1h-${run}z`;
    }
    return `<g transform="scale(${pixel})">${
      Object.entries(paths).map(([color, d]) => `<path fill="${color}" d="${d}"/>`).join("")
    }</g>`;
  }

  function drawPicture(state: State): string {
    const pixels = pixelsOf(state), side = size * PIXEL;
    const grey = squares(size, PIXEL, (i) => {
      const level = Math.round(pixels[i]! / 17) * 17;
      return level === 0 ? undefined : `#${(level / 17).toString(16).repeat(3)}`;
    });
    return kit.svg(
      side,
      side,
      describe(state),
      `<rect width="${side}" height="${side}" fill="#000"/>${grey}`,
    );
  }

  function drawMap(state: State): string {
    const maps = answers(state).find((answer) => answer.maps)?.maps;
    if (!maps) return "";
    const { side, values } = maps, pixel = size * PIXEL / side;
    const reach = Math.max(...values.map(Math.abs)) || 1;
    const colors = squares(side, pixel, (i) => {
      const share = values[i * classNames.length + state.mapOf]! / reach;
      const [r, g, b] = share > 0 ? [213, 94, 0] : [0, 114, 178], part = Math.abs(share);
      return `rgb(${[r, g, b].map((c) => Math.round(255 + part * (c! - 255))).join()})`;
    });
    return kit.svg(size * PIXEL, size * PIXEL, `Map of ${classNames[state.mapOf]}`, colors);
  }

  function drawBars(state: State): string {
    const left = 92, width = 190, gap = 26, all = answers(state);
    const truth = options.pictures[state.picture]!.label;
    const panels = all.map(({ name, probabilities }, n) => {
      const top = n * (classNames.length * BAR + gap) + 18;
      const bars = classNames.map((className, c) => {
        const y = top + c * BAR, length = probabilities[c]! * (width - 40);
        return text(left - 6, y + 13, className, `class="end${c === truth ? " bold" : ""}"`) +
          `<rect x="${left}" y="${y + 3}" height="${BAR - 5}" width="${length.toFixed(1)}" ` +
          `fill="${c === truth ? "#1e82c8" : "#d55e00"}"/>` +
          text(left + length + 4, y + 13, probabilities[c]!.toFixed(2), 'class="small"');
      });
      return text(0, top - 5, name, 'class="bold"') + bars.join("");
    });
    const height = all.length * (classNames.length * BAR + gap);
    return kit.svg(left + width, height, said(state), panels.join(""));
  }

  function said(state: State): string {
    return answers(state).map(({ name, probabilities }) => {
      const best = probabilities.indexOf(Math.max(...probabilities));
      return `${name} says ${classNames[best]} (${probabilities[best]!.toFixed(2)})`;
    }).join("; ");
  }

  function describe(state: State): string {
    const { picture, right, down } = state, name = classNames[options.pictures[picture]!.label];
    return `A picture labelled ${name}, moved ${num(right)} to the right and ${num(down)} down: ` +
      `${said(state)}.`;
  }

  function limited(value: number): number {
    return Math.max(-MOST, Math.min(MOST, Math.round(value)));
  }

  function moved(state: State, right: number, down: number): State {
    const next = { ...state, right: limited(right), down: limited(down) };
    return next.right === state.right && next.down === state.down ? state : next;
  }

  const arrows: Readonly<Record<string, readonly [right: number, down: number]>> = {
    ...{ ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] },
  };

  function act(state: State, { kind, name, value, x, y, pressed }: Action): State {
    const { right, down, grip } = state;
    if (kind === "press") return { ...initial, picture: state.picture, mapOf: state.mapOf };
    if (kind === "set") {
      if (name === "right") return moved(state, kit.read(value, right, -MOST, MOST), down);
      if (name === "down") return moved(state, right, kit.read(value, down, -MOST, MOST));
      const index = Number(value);
      if (name === "mapOf") return { ...state, mapOf: index };
      return { ...state, picture: index, mapOf: options.pictures[index]!.label };
    }
    if (kind === "key") {
      const step = arrows[value];
      return step ? moved(state, right + step[0], down + step[1]) : state;
    }
    if (kind === "down") return { ...state, grip: [x, y, right, down] };
    if (kind === "move" && pressed && grip) {
      return moved(state, grip[2] + (x - grip[0]) / PIXEL, grip[3] + (y - grip[1]) / PIXEL);
    }
    return state;
  }

  const offsets = { low: -MOST, high: MOST, step: 1 };
  const named = (names: readonly string[]) =>
    names.map((name, i) => [String(i), name] as const satisfies readonly [string, string]);
  /** The network whose class maps are drawn, if there is one. */
  const mapped = answers(initial).find(({ maps }) => maps)?.name;

  return {
    css: `[data-view=picture] { cursor: move; }
.panels h4 { margin: 0 0 4px; font: inherit; font-weight: bold; }`,
    initial,
    pictures: mapped ? ["picture", "map", "bars"] : ["picture", "bars"],
    describe,
    layout: `<div class="controls">
${
      kit.choice(
        "picture",
        "Picture",
        named(options.pictures.map(({ label }, i) => `${i + 1}: ${classNames[label]}`)),
      )
    }
${kit.slider("right", "To the right", offsets)} ${kit.slider("down", "Down", offsets)}
${mapped ? kit.choice("mapOf", "Map of", named(classNames.map(String))) : ""}
${kit.button("back", "Back to the middle")}
</div>
<div class="panels">
<div><h4>The picture: drag it</h4><div data-view="picture" data-pad="picture" tabindex="0"
role="application" aria-label="The picture: arrow keys move it"></div></div>
${mapped ? `<div><h4>Class map of ${escape(mapped)}</h4><div data-view="map"></div></div>` : ""}
<div data-view="bars"></div></div>
<div class="reading" data-view="said" role="status"></div>
<p class="reading">${
      mapped ? "Orange speaks for the class, blue against it. " : ""
    }Blue bars are the label's.</p>`,
    views: (state) => ({
      picture: drawPicture(state),
      map: drawMap(state),
      bars: drawBars(state),
      said: escape(said(state)),
    }),
    values: ({ picture, right, down, mapOf }) => ({
      ...{ picture: String(picture), right: String(right), down: String(down) },
      mapOf: String(mapOf),
    }),
    act,
    answers,
  };
}
