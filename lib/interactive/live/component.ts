/** The figure of the page "Live networks": a network, a picture, and all numbers between. */
import type { Action, Component, Kit } from "../component.ts";
import { jump } from "../jump.ts";
import { LARGEST } from "./graph_file.ts";
import { explain, type Unit, valueAt } from "./explain.ts";
import {
  type Explained,
  GREY,
  type LiveAnswer,
  type LiveLayer,
  type Shape,
  SIDE,
} from "./layer.ts";
import {
  drawn,
  fitted,
  gridOf,
  heatPng,
  mapsPng,
  pictureOf,
  picturePng,
  pushed,
  rounded,
  textOf,
} from "./picture.ts";

/** The state of the figure. All but `tool`, `grip`, `notice` and `exact` are in its link. */
export interface LiveState {
  readonly network: string;
  /** The index of a picture of the test set, -1 for the reader's own. */
  readonly picture: number;
  /** The reader's own picture as text. */
  readonly own: string;
  /** The reader's own picture where it is of another shape than those in links. */
  readonly exact?: { readonly pixels: Float32Array; readonly shape: Shape };
  /** Pixels by which the picture is pushed. */
  readonly right: number;
  readonly down: number;
  /** The path of the chosen layer; empty for the first. */
  readonly layer: string;
  readonly unit: Unit;
  /** The input channel whose products are shown, -1 for the one with the largest sum. */
  readonly from: number;
  /** The effect of the pointer on the picture. */
  readonly tool: "push" | "draw";
  /** A sentence about a file or a link, shown before the answer; empty after the next action. */
  readonly notice: string;
  /** The last place of the pointer, and the push at its first. */
  readonly grip?: readonly [x: number, y: number, right: number, down: number];
}

/** The networks and pictures of the figure. */
export interface LiveData {
  /** Returns the names and titles of the networks that a reader can choose. */
  networks(): readonly (readonly [name: string, title: string])[];
  readonly classNames: readonly string[];
  /** Pictures of the test set, with grey levels from 0 to 1. */
  readonly pictures: readonly Float32Array[];
  readonly labels: readonly number[];
  /** Returns a network, or undefined or an error while it is not loaded. */
  model(name: string): Explained | Error | undefined;
  /** Returns the state after what happened outside of the figure, such as a file that was read. */
  outside(state: LiveState): LiveState;
  /** Called after each change, with the state as text. */
  changed(text: string): void;
}

/** The figure, and what it has computed. */
export interface LiveComponent extends Component<LiveState> {
  answer(): LiveAnswer | undefined;
  /** The heat map of the most probable class, row by row. */
  heat(): Float32Array | undefined;
}

const initial: LiveState = {
  ...{ network: "lenet", picture: 0, own: "", right: 0, down: 0, layer: "", from: -1 },
  ...{ unit: { channel: 0, row: 14, column: 14 }, tool: "push", notice: "" },
};

/** The name of the reader's own network. */
export const OWN = "own";

/** The names in a link. */
const NAMES = ["network", "picture", "own", "push", "layer", "unit", "from"];

/** Returns a state as text for a link. */
export function linkOf({ network, picture, own, right, down, layer, unit, from }: LiveState) {
  const { channel, row, column } = unit;
  return String(
    new URLSearchParams({
      network,
      ...picture >= 0 ? { picture: String(picture) } : { own },
      ...right === 0 && down === 0 ? {} : { push: [right, down].join() },
      layer,
      unit: [channel, row, column].join(),
      ...from < 0 ? {} : { from: String(from) },
    }),
  );
}

/** Returns the state of a link. What does not fit is as it is at first, and the notice says so. */
export function stateOf(
  link: string,
  { networks, pictures }: Pick<LiveData, "networks" | "pictures">,
): LiveState {
  const values = new URLSearchParams(link), problems: string[] = [];
  const refuse = (name: string, wanted: string) =>
    problems.push(`${name} must be ${wanted}, found ${values.get(name) || "nothing"}.`);
  const numbers = (name: string, low: number, high: number, otherwise: readonly number[]) => {
    const found = (values.get(name) ?? "").split(",").map((text) => text === "" ? NaN : +text);
    const fit = (value: number) => Number.isInteger(value) && value >= low && value <= high;
    if (!values.has(name)) return otherwise;
    if (found.length === otherwise.length && found.every(fit)) return found;
    const count = found.length === 1 ? "a whole number" : `${otherwise.length} whole numbers`;
    refuse(name, `${count} from ${low} to ${high}`);
    return otherwise;
  };
  const names = networks().map(([name]) => name),
    network = values.get("network") ?? names[0]!,
    own = values.get("own") ?? "";
  const isKnown = names.includes(network);
  if (!isKnown && network === OWN) {
    problems.push("the network of a reader is not in it. Drop its folder on the figure again.");
  } else if (!isKnown) refuse("network", `one of ${names.join(", ")}`);
  const [channel, row, column] = numbers("unit", 0, 9999, [0, 14, 14]);
  const [right, down] = numbers("push", -LARGEST, LARGEST, [0, 0]);
  const isOwn = pictureOf(own) !== undefined;
  // A picture that does not fit into a link leaves its place empty.
  if (own === "" && values.has("own")) {
    problems.push("the picture of a reader is not in it. Choose its file again.");
  } else if (own !== "" && !isOwn) refuse("own", "the text of a picture");
  for (const name of new Set(values.keys())) {
    if (!NAMES.includes(name)) {
      problems.push(`each name must be one of ${NAMES}, found ${name || "nothing"}.`);
    }
  }
  const state: LiveState = {
    ...initial,
    network: isKnown ? network : names[0]!,
    picture: isOwn ? -1 : numbers("picture", 0, pictures.length - 1, [0])[0]!,
    own: isOwn ? own : "",
    ...{ right: right!, down: down!, layer: values.get("layer") ?? "" },
    unit: { channel: channel!, row: row!, column: column! },
    from: numbers("from", 0, 9999, [-1])[0]!,
  };
  return { ...state, notice: problems.length > 0 ? `Reading the link: ${problems.join(" ")}` : "" };
}

/** The state with another picture of the reader's own. */
export function withOwn(state: LiveState, pixels: Float32Array, shape: Shape): LiveState {
  const isGrey = String(shape) === String(GREY);
  return {
    ...{ ...state, picture: -1, right: 0, down: 0, own: isGrey ? textOf(rounded(pixels)) : "" },
    ...{ exact: isGrey ? undefined : { pixels, shape }, notice: "" },
  };
}

/** The longer side of the picture on the screen. */
const SIZE = 252, BAR = 21, ACROSS = 340;

/** The greatest number of classes of which all are shown, and how many are otherwise. */
const MOST_CLASSES = 12, FIRST_CLASSES = 10;

/** Makes the figure. */
export function liveComponent(kit: Kit, data: LiveData, link: string): LiveComponent {
  const { escape, num, text } = kit;
  let computed:
    | { key: readonly unknown[]; answer: LiveAnswer; heat: Float32Array | undefined }
    | undefined;
  const pngs = new WeakMap<LiveLayer, string>();

  /** The network of a state, if it is loaded. */
  function loaded({ network }: LiveState): Explained | undefined {
    const found = data.model(network);
    return found instanceof Error ? undefined : found;
  }

  function shapeOf(state: LiveState): Shape {
    return loaded(state)?.shape ?? GREY;
  }

  /** The size of a pixel of the picture on the screen. */
  function scaleOf([height, width]: Shape): number {
    return SIZE / Math.max(height, width);
  }

  function pixelsOf(state: LiveState): Float32Array {
    const { picture, own, exact, right, down } = state, shape = shapeOf(state);
    const pixels = picture >= 0
      ? fitted(data.pictures[picture]!, GREY, shape)
      : exact
      ? fitted(exact.pixels, exact.shape, shape)
      : fitted(pictureOf(own) ?? new Float32Array(SIDE * SIDE), GREY, shape);
    return right === 0 && down === 0 ? pixels : pushed(pixels, right, down, shape);
  }

  /** The answer to the picture; it is kept, because most actions only choose another unit. */
  function compute(state: LiveState): typeof computed {
    const network = loaded(state);
    if (!network) return undefined;
    const { picture, own, exact, right, down } = state;
    const key = [network, picture, own, exact, right, down];
    if (computed && key.every((part, i) => part === computed!.key[i])) return computed;
    const pixels = pixelsOf(state), answer = network.answer(pixels);
    return computed = { key, answer, heat: network.heat(pixels, bestOf(answer)) };
  }

  /** The name of a class of the network of a state. */
  function nameOf(state: LiveState, index: number): string {
    return loaded(state)?.classNames[index] ?? `class ${index}`;
  }

  /** The label of the picture, if the classes of the network are those of the pictures. */
  function truthOf(state: LiveState): number | undefined {
    const isSame = String(loaded(state)?.classNames) === String(data.classNames);
    return isSame ? data.labels[state.picture] : undefined;
  }

  function bestOf({ probabilities }: LiveAnswer): number {
    return probabilities.indexOf(Math.max(...probabilities));
  }

  /** The chosen layer, and its unit nearest to the chosen one. */
  function chosen(state: LiveState, { layers }: LiveAnswer): [LiveLayer, Unit] {
    const layer = layers.find(({ path }) => path === state.layer) ?? layers[0]!;
    const within = (index: number, size: number) => Math.max(0, Math.min(size - 1, index));
    const { channel, row, column } = state.unit;
    return [layer, {
      channel: within(channel, layer.channels),
      ...{ row: within(row, layer.height), column: within(column, layer.width) },
    }];
  }

  function image(address: string, width: number, height: number): string {
    return `<image href="${address}" width="${width}" height="${height}" class="pixels" ` +
      'preserveAspectRatio="none"/>';
  }

  /** The picture and the receptive field of the unit. */
  function drawPicture(state: LiveState, answer: LiveAnswer | undefined): string {
    const shape = shapeOf(state), scale = scaleOf(shape);
    const [height, width] = [shape[0] * scale, shape[1] * scale];
    let frame = "", label = "The picture";
    if (answer) {
      const [layer, { row, column, channel }] = chosen(state, answer);
      const [top, bottom, left, right] = layer.field(row, column, channel);
      frame = `<rect class="field" data-field="${[top, bottom, left, right].join()}" ` +
        `x="${left * scale}" y="${top * scale}" width="${(right - left + 1) * scale}" ` +
        `height="${(bottom - top + 1) * scale}"/>`;
      label += `; the unit sees rows ${top + 1} to ${bottom + 1} and columns ${left + 1} to ${
        right + 1
      }`;
    }
    const png = image(picturePng(pixelsOf(state), shape), width, height);
    return kit.svg(width, height, label, png + frame);
  }

  function drawHeat(state: LiveState, { answer, heat }: NonNullable<typeof computed>): string {
    if (!heat) return "";
    const shape = shapeOf(state), scale = scaleOf(shape), name = nameOf(state, bestOf(answer));
    const [height, width] = [shape[0] * scale, shape[1] * scale];
    return `<h4>Grad-CAM: orange speaks for ${escape(name)}</h4>` + kit.svg(
      ...[width, height, `The heat map of ${name}`] as const,
      image(picturePng(pixelsOf(state), shape), width, height) +
        image(heatPng(heat, shape), width, height),
    );
  }

  function drawBars(state: LiveState, { probabilities }: LiveAnswer): string {
    const width = 150, truth = truthOf(state), all = [...probabilities.keys()];
    const shown = all.length <= MOST_CLASSES
      ? all
      : all.sort((a, b) => probabilities[b]! - probabilities[a]!).slice(0, FIRST_CLASSES);
    const names = shown.map((c) => nameOf(state, c))
      .map((name) => name.length > 24 ? `${name.slice(0, 23)}…` : name);
    const left = Math.max(84, 10 + 6.8 * Math.max(...names.map(({ length }) => length)));
    const bars = shown.map((c, i) => {
      const y = i * BAR, length = probabilities[c]! * width, isTruth = c === truth;
      return text(left - 6, y + 14, names[i]!, `class="end${isTruth ? " bold" : ""}"`) +
        `<rect x="${left}" y="${y + 3}" height="${BAR - 6}" width="${length.toFixed(1)}" ` +
        `data-probability="${probabilities[c]}" fill="${isTruth ? "#1e82c8" : "#d55e00"}"/>` +
        text(left + length + 4, y + 14, probabilities[c]!.toFixed(3), 'class="small"');
    });
    const title = all.length > MOST_CLASSES
      ? `The ${FIRST_CLASSES} most probable of ${all.length} classes`
      : "Probability";
    return `<h4>${title}${truth === undefined ? "" : "; the label in blue"}</h4>` +
      kit.svg(left + width + 44, shown.length * BAR, describe(state), bars.join(""));
  }

  function drawLayer(layer: LiveLayer, unit: Unit | undefined): string {
    const { path, description, width, height, channels } = layer;
    const grid = gridOf(layer, ACROSS), { columns, rows, stepX, stepY, every, scale } = grid;
    const across = columns * stepX * scale, down = rows * stepY * scale;
    const png = pngs.get(layer) ?? mapsPng(layer, grid);
    pngs.set(layer, png);
    let marks = "";
    if (unit) {
      const x = unit.channel % columns * stepX, y = Math.floor(unit.channel / columns) * stepY;
      const frame = (x: number, y: number, width: number, height: number) =>
        `<rect class="field" x="${x * scale}" y="${y * scale}" width="${width * scale}" ` +
        `height="${height * scale}"/>`;
      marks = (width > 1 ? frame(x, y, stepX - 1, stepY - 1) : "") +
        frame(x + Math.floor(unit.column / every), y + Math.floor(unit.row / every), 1, 1);
    }
    const size = width === 1 && height === 1
      ? `${channels} units`
      : `${width}×${height}×${channels}`;
    const label = `${path}: ${description}, ${size}`;
    return `<div class="layer${unit ? " chosen" : ""}"><h4>${escape(path)} ` +
      `<span>${escape(description)} · ${size}</span></h4>` +
      `<div data-pad="layer ${escape(path)}">${
        kit.svg(across, down, label, image(png, across, down) + marks)
      }</div>${
        unit
          ? `<p class="reading">${placeOf(layer, unit)}: <b>${num(valueAt(layer, unit), 4)}</b> ${
            jump(".one", "Show its numbers")
          }</p>`
          : ""
      }</div>`;
  }

  function controls({ layers }: LiveAnswer, [layer]: [LiveLayer, Unit]): string {
    const options = layers.map(({ path, description }): [string, string] => [
      path,
      `${path}: ${description}`,
    ]);
    const box = (name: string, label: string, size: number) =>
      `<label>${label} <input type="number" data-name="${name}" min="1" max="${size}" ` +
      `step="1" aria-label="${label}"></label>`;
    return kit.choice("layer", "Layer", options) + box("channel", "Channel", layer.channels) +
      (layer.height * layer.width === 1
        ? ""
        : box("row", "Row", layer.height) + box("column", "Column", layer.width));
  }

  function placeOf({ height, width }: LiveLayer, { channel, row, column }: Unit): string {
    const place = height * width === 1 ? "" : `, row ${row + 1}, column ${column + 1}`;
    return `channel ${channel + 1}${place}`;
  }

  function described(layer: LiveLayer, unit: Unit): string {
    const [top, bottom, left, right] = layer.field(unit.row, unit.column, unit.channel);
    return `<b>${escape(layer.path)}</b>, ${placeOf(layer, unit)}: the value is ` +
      `<b data-unit="${valueAt(layer, unit)}">${num(valueAt(layer, unit), 4)}</b>. It depends on ` +
      `${right - left + 1} × ${bottom - top + 1} pixels of the picture, in the blue frame.`;
  }

  function describe(state: LiveState): string {
    const network = data.model(state.network);
    const title = data.networks().find(([name]) => name === state.network)![1];
    if (network instanceof Error) return `${title} could not be loaded. ${network.message}`;
    const found = compute(state);
    if (!found || !network) return `${title} is being loaded.`;
    const best = bestOf(found.answer), share = found.answer.probabilities[best]!.toFixed(3);
    const truth = truthOf(state), [{ path }] = chosen(state, found.answer);
    // Only a link can name a layer that is not there.
    const other = state.layer === "" || state.layer === path
      ? ""
      : `Reading the link: there is no layer ${state.layer}; ${path} is shown. `;
    return `${other}${title} says ${nameOf(state, best)} with probability ${share}` +
      `${truth === undefined ? "" : `; the label is ${data.classNames[truth]}`}.`;
  }

  function views(state: LiveState): Record<string, string> {
    const found = compute(state);
    data.changed(linkOf(state));
    const common = {
      networks: kit.choice("network", "Network", data.networks()),
      said: escape(`${state.notice} ${describe(state)}`.trim()),
    };
    if (!found) return { ...common, picture: drawPicture(state, undefined) };
    const { answer } = found, unit = chosen(state, answer), [layer] = unit;
    return {
      ...common,
      picture: drawPicture(state, answer),
      heat: drawHeat(state, found),
      bars: drawBars(state, answer),
      note: escape(loaded(state)!.note),
      unit: controls(answer, unit),
      value: described(...unit),
      products: explain(kit, ...unit, state.from),
      layers: answer.layers.map((one) => drawLayer(one, one === layer ? unit[1] : undefined))
        .join(""),
    };
  }

  const arrows: Readonly<Record<string, readonly [right: number, down: number]>> = {
    ...{ ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] },
  };

  function pushedTo(state: LiveState, right: number, down: number): LiveState {
    const [height, width] = shapeOf(state);
    const limited = (value: number, most: number) =>
      Math.max(-most, Math.min(most, Math.round(value)));
    return { ...state, right: limited(right, width), down: limited(down, height) };
  }

  function actOnPicture(state: LiveState, { kind, value, x, y, pressed }: Action): LiveState {
    const { right, down, tool, grip } = state;
    if (kind === "key") {
      const step = arrows[value];
      return step ? pushedTo(state, right + step[0], down + step[1]) : state;
    }
    if (kind === "up" || kind === "leave") return grip ? { ...state, grip: undefined } : state;
    const isDown = kind === "down";
    if (!isDown && !(pressed && grip)) return state;
    const from = isDown || !grip ? [x, y, right, down] as const : grip;
    const shape = shapeOf(state), scale = scaleOf(shape);
    if (tool === "push") {
      if (isDown) return { ...state, grip: from };
      return pushedTo(state, from[2] + (x - from[0]) / scale, from[3] + (y - from[1]) / scale);
    }
    const ends = [[from[0] / scale, from[1] / scale], [x / scale, y / scale]] as const;
    const pixels = drawn(pixelsOf(state), ...ends, shape);
    return { ...withOwn(state, pixels, shape), grip: [x, y, 0, 0] };
  }

  function act(before: LiveState, action: Action): LiveState {
    const { kind, name, value, x, y } = action;
    if (name === "command") return data.outside(before);
    const state = before.notice === "" ? before : { ...before, notice: "" };
    if (name === "picture" && kind !== "set") return actOnPicture(state, action);
    if (kind === "press") {
      if (name === "middle") return { ...state, right: 0, down: 0 };
      const shape = shapeOf(state), black = new Float32Array(shape[0] * shape[1] * shape[2]);
      return { ...withOwn(state, black, shape), tool: "draw" };
    }
    if (kind === "set") return set(state, name, value);
    const answer = compute(state)?.answer;
    const layer = answer?.layers.find(({ path }) => name === `layer ${path}`);
    if (kind !== "down" || !layer) return state;
    const { columns, stepX, stepY, every, scale } = gridOf(layer, ACROSS);
    const right = Math.floor(x / scale), down = Math.floor(y / scale);
    const channel = Math.floor(down / stepY) * columns + Math.floor(right / stepX);
    const row = down % stepY * every, column = right % stepX * every;
    if (channel >= layer.channels || row >= layer.height || column >= layer.width) return state;
    return { ...state, layer: layer.path, unit: { channel, row, column }, from: -1 };
  }

  function set(state: LiveState, name: string, value: string): LiveState {
    switch (name) {
      case "network": {
        const next = { ...state, network: value, layer: "", from: -1 };
        // A picture that fits into a link goes there.
        const isGrey = state.exact && String(shapeOf(next)) === String(GREY);
        return isGrey ? withOwn(next, pixelsOf(next), GREY) : next;
      }
      case "picture":
        return { ...state, picture: Number(value), right: 0, down: 0, tool: "push" };
      case "tool":
        return { ...state, tool: value as LiveState["tool"] };
      case "layer":
        return { ...state, layer: value, from: -1 };
      case "from":
        return { ...state, from: Number(value) };
      default: {
        const old = state.unit[name as keyof Unit];
        const index = Math.round(kit.read(value, old + 1, 1, 10_000)) - 1;
        return { ...state, unit: { ...state.unit, [name]: index } };
      }
    }
  }

  const pictures = data.labels.map((label, i) =>
    [String(i), `${i + 1}: ${data.classNames[label]}`] as const satisfies readonly [string, string]
  );
  return {
    css: `:host { max-width: none; }
.pixels { image-rendering: pixelated; }
.field { fill: none; stroke: #1e82c8; stroke-width: 2; paint-order: stroke; }
[data-view=picture] { cursor: crosshair; touch-action: none; width: fit-content; }
[data-pad^=layer] { cursor: pointer; width: fit-content; max-width: 100%; }
h4 { margin: 0 0 4px; font: inherit; font-weight: bold; } h4 span { font-weight: normal; }
.layers { display: flex; flex-wrap: wrap; gap: 12px 20px; align-items: flex-start; }
.layer { width: ${ACROSS + 12}px; max-width: 100%; padding: 6px; border: 1px solid transparent;
  border-radius: 4px; }
.layer.chosen { border-color: var(--line); }
.one, .layer { scroll-margin-top: 84px; }
.sign { align-self: center; font-size: 18px; }
table { border-collapse: collapse; } td { padding: 2px 5px; text-align: right; }
.numbers td { border: 1px solid var(--line); min-width: 40px; font-size: 12px; }
.terms td:first-child { text-align: left; padding-right: 16px; }
.sum td { border-top: 1px solid var(--line); }
h3 { font: inherit; font-weight: bold; font-size: 16px; margin: 14px 0 4px; }
label { max-width: 100%; } select { min-width: 0; } input[type=file] { max-width: 210px; }
/* The picture stays in its place while the answer to it changes. */
@container (max-width: 520px) { [data-view=said] { min-height: 3lh; } }`,
    initial: stateOf(link, data),
    pictures: ["picture", "bars"],
    describe,
    layout: `<div class="controls">
<span data-view="networks"></span>
${kit.choice("picture", "Picture", [...pictures, ["-1", "your own"]])}
${kit.choice("tool", "Dragging", [["push", "pushes the picture"], ["draw", "draws on it"]])}
${kit.button("clear", "Draw on black")} ${kit.button("middle", "Back to the middle")}
<label>Picture file <input type="file" accept="image/*"></label>
<label>Your network: all files of its folder <input type="file" multiple></label>
<input type="hidden" data-name="command"></div>
<div class="reading" data-view="said" role="status"></div>
<div class="panels">
<div><h4>Picture, and what the unit sees</h4><div data-view="picture" data-pad="picture"
tabindex="0" role="application" aria-label="The picture: arrow keys push it"></div></div>
<div data-view="bars"></div><div data-view="heat"></div></div>
<div class="reading" data-view="note"></div>
<h3 class="one">One unit: one number of a layer</h3>
<div class="controls" data-view="unit"></div>
<div class="reading" data-view="value" role="status"></div>
<div data-view="products"></div>
${jump(".chosen", "Show it in its layer")}
<h3>All layers</h3>
<p class="reading">28×28×6 are 6 channels of 28 rows and 28 columns. A channel is drawn as a
square, whose pixels are its units: click one. Orange is above zero and blue below; the largest
absolute value of a layer has the strongest colour.</p>
<div class="layers" data-view="layers"></div>`,
    views,
    values(state) {
      const { network, picture, tool, from } = state, answer = compute(state)?.answer;
      const common = { network, tool, picture: String(picture) };
      if (!answer) return common;
      const [layer, { channel, row, column }] = chosen(state, answer);
      return {
        ...{ ...common, layer: layer.path, channel: String(channel + 1) },
        ...{ row: String(row + 1), column: String(column + 1) },
        ...from < 0 ? {} : { from: String(from) },
      };
    },
    act,
    answer: () => computed?.answer,
    heat: () => computed?.heat,
  };
}
