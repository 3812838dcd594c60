import type { InceptionChannels } from "../../models/mod.ts";
import type { Action, Component, Kit } from "../component.ts";

/** The options of {@linkcode interactive.inceptionMixer}: what it shows at first. */
export interface InceptionMixerOptions {
  /**
   * The channels of the maps that the block gets, from 1 to 1024.
   *
   * @default 192
   */
  inChannels?: number;
  /**
   * The height and width of the maps, from 1 to 224.
   *
   * @default 28
   */
  imageSize?: number;
  /**
   * The channels of the paths, as `inception` takes them, each from 1 to 512.
   *
   * @default [64, [96, 128], [16, 32], 32], those of block 3a
   */
  channels?: InceptionChannels;
}

/** The state of the figure. */
interface State {
  /** Channels of the 1×1, of the reduction to the 3×3, of the 3×3, and so on. */
  readonly widths: Readonly<Record<"c1" | "r2" | "c2" | "r3" | "c3" | "c4", number>>;
}

/** The price of a block. */
export interface BlockPrice {
  /** Multiply-accumulates of the four paths. */
  readonly macs: readonly number[];
  /** Those of the paths without reductions. */
  readonly naiveMacs: readonly number[];
  /** Weights and biases. */
  readonly parameters: number;
  readonly outChannels: number;
  /** Channels out of the block without reductions, whose pooling passes on all maps. */
  readonly naiveChannels: number;
}

/**
 * An Inception block whose channels can be changed, and its price beside that of the naive block.
 *
 * The text of this function is part of each figure: it refers to nothing outside of itself.
 */
export function inceptionMixer(
  kit: Kit,
  options: InceptionMixerOptions,
): Component<State> & { price(state: State): BlockPrice } {
  const { text } = kit;
  const WIDTH = 460, HEIGHT = 272, COLUMN = WIDTH / 4, MOST = 512;
  const { inChannels = 192, imageSize = 28 } = options;
  const [c1, [r2, c2], [r3, c3], c4] = options.channels ?? [64, [96, 128], [16, 32], 32];
  const initial: State = { widths: { c1, r2, c2, r3, c3, c4 } };
  const names = ["1×1", "3×3", "5×5", "pooling"];
  const whole = (value: number) => value.toLocaleString("en-US");

  function price({ widths: { c1, r2, c2, r3, c3, c4 } }: State): BlockPrice {
    const pixels = imageSize ** 2;
    const macs = [
      inChannels * c1,
      inChannels * r2 + 9 * r2 * c2,
      inChannels * r3 + 25 * r3 * c3,
      inChannels * c4,
    ];
    const weights = macs.reduce((sum, count) => sum + count, 0);
    const naive = [inChannels * c1, 9 * inChannels * c2, 25 * inChannels * c3, 0];
    return {
      macs: macs.map((count) => pixels * count),
      naiveMacs: naive.map((count) => pixels * count),
      parameters: weights + c1 + r2 + c2 + r3 + c3 + c4,
      outChannels: c1 + c2 + c3 + c4,
      naiveChannels: c1 + c2 + c3 + inChannels,
    };
  }

  function draw(state: State): string {
    const { c1, r2, c2, r3, c3, c4 } = state.widths, { outChannels } = price(state);
    const outputs = [c1, c2, c3, c4];
    // One scale for all boxes, so that widths can be compared.
    const scale = Math.min(
      (COLUMN - 12) / Math.max(inChannels, r2, r3, ...outputs),
      (WIDTH - 8) / Math.max(inChannels, outChannels),
    );
    const wide = (channels: number) => Math.max(1.5, channels * scale);
    const middle = (column: number) => (column + 0.5) * COLUMN;
    const [IN, FIRST, SECOND, OUT] = [22, 88, 158, 228] as const, TALL = 18;
    const box = (x: number, y: number, channels: number, color: string) =>
      `<rect x="${(x - wide(channels) / 2).toFixed(1)}" y="${y}" ` +
      `width="${wide(channels).toFixed(1)}" height="${TALL}" fill="${color}"/>`;
    const named = (x: number, y: number, name: string, channels: number) =>
      text(x, y - 5, `${name}: ${channels}`, 'class="small middle"');
    const color = (column: number) => kit.colors[column]!;

    const steps = [undefined, ["1×1", r2], ["1×1", r3], ["max pool", inChannels]] as const;
    let left = WIDTH / 2 - outputs.reduce((sum, channels) => sum + wide(channels), 0) / 2;
    const paths = outputs.map((channels, column) => {
      const x = middle(column), step = steps[column], from = step ? FIRST : SECOND;
      const segment = left, end = (left += wide(channels)) - 0.5;
      const flow = `<path opacity="0.3" fill="${color(column)}" d="M${
        (x - wide(channels) / 2).toFixed(1)
      } ${SECOND + TALL}L${(x + wide(channels) / 2).toFixed(1)} ${SECOND + TALL}L${
        end.toFixed(1)
      } ${OUT}L${segment.toFixed(1)} ${OUT}z"/>`;
      return flow +
        `<path class="line" d="M${WIDTH / 2} ${IN + TALL}V56H${x}V${from - 16}"/>` +
        (step
          ? named(x, FIRST, step[0], step[1]) +
            box(x, FIRST, step[1], column === 3 ? "#9a9a9a" : color(column)) +
            `<path class="line" d="M${x} ${FIRST + TALL}V${SECOND - 16}"/>`
          : "") +
        named(x, SECOND, column === 3 ? "1×1" : names[column]!, channels) +
        box(x, SECOND, channels, color(column)) +
        `<rect x="${segment.toFixed(1)}" y="${OUT}" width="${
          (end - segment).toFixed(1)
        }" height="${TALL}" fill="${color(column)}"/>`;
    });
    return kit.svg(
      WIDTH,
      HEIGHT,
      describe(state),
      text(WIDTH / 2, IN - 6, `maps: ${inChannels}`, 'class="small middle"') +
        box(WIDTH / 2, IN, inChannels, "#9a9a9a") + paths.join("") +
        text(
          WIDTH / 2,
          OUT + TALL + 15,
          `${outputs.join(" + ")} = ${outChannels} channels`,
          'class="bold middle"',
        ),
    );
  }

  function table(state: State): string {
    const { macs, naiveMacs } = price(state);
    const sum = (counts: readonly number[]) => counts.reduce((total, count) => total + count, 0);
    const row = (tag: string, cells: readonly string[]) =>
      `<tr>${cells.map((cell) => `<${tag}>${cell}</${tag}>`).join("")}</tr>`;
    const rows = names.map((name, i) =>
      row("td", [
        `<span class="key" style="background: ${kit.colors[i]}"></span>${name}`,
        `<span data-macs="${i}">${whole(macs[i]!)}</span>`,
        whole(naiveMacs[i]!),
      ])
    );
    return `<table><thead>${row("th", ["path", "MACs", "MACs naive"])}</thead><tbody>${
      rows.join("")
    }${
      row("td", [
        "block",
        `<b data-total="">${whole(sum(macs))}</b>`,
        `<span data-naive="">${whole(sum(naiveMacs))}</span>`,
      ])
    }</tbody></table>`;
  }

  function said(state: State): string {
    const { macs, naiveMacs, parameters, outChannels, naiveChannels } = price(state);
    const total = macs.reduce((sum, count) => sum + count, 0);
    const naive = naiveMacs.reduce((sum, count) => sum + count, 0);
    const costs = naive >= total
      ? `costs ${kit.num(naive / total, 2)} times as much`
      : `is cheaper here: ${kit.num(naive / total, 2)} times the price`;
    return `<b data-parameters="">${whole(parameters)}</b> parameters, ${outChannels} channels ` +
      `out. The naive block ${costs}, and passes ${naiveChannels} channels on.`;
  }

  function describe(state: State): string {
    const { macs, outChannels } = price(state), { c1, r2, c2, r3, c3, c4 } = state.widths;
    const total = macs.reduce((sum, count) => sum + count, 0);
    return `An Inception block on maps of ${imageSize}×${imageSize}×${inChannels}: a 1×1 to ${c1} ` +
      `channels, a 3×3 by way of ${r2} to ${c2}, a 5×5 by way of ${r3} to ${c3}, and a pooling ` +
      `with a 1×1 to ${c4}; ${outChannels} channels and ${whole(total)} MACs.`;
  }

  function act(state: State, { kind, name, value }: Action): State {
    if (kind === "press") return initial;
    if (kind !== "set") return state;
    const old = state.widths[name as "c1"];
    const channels = Math.round(kit.read(value, old, 1, MOST));
    return channels === old ? state : { widths: { ...state.widths, [name]: channels } };
  }

  const slider = (name: string, label: string) =>
    kit.slider(name, label, { low: 1, high: MOST, step: 1 });
  return {
    css: `table { border-collapse: collapse; margin-top: 4px; }
td, th { padding: 2px 14px 2px 0; text-align: right; font-weight: normal; }
th, tr:nth-last-child(2) td { border-bottom: 1px solid var(--line); }
td:first-child, th:first-child { text-align: left; }
thead + tbody tr:last-child td { border-bottom: 0; }
.key { display: inline-block; width: 11px; height: 11px; margin-right: 6px; }
fieldset label { display: grid; grid-template-columns: 94px 130px 76px; }`,
    initial,
    pictures: ["block"],
    describe,
    layout: `<fieldset aria-label="Channels">
${slider("c1", "1×1")} ${slider("r2", "1×1 to 3×3")} ${slider("c2", "3×3")}
${slider("r3", "1×1 to 5×5")} ${slider("c3", "5×5")} ${slider("c4", "pooling")}
</fieldset>
<div class="controls" style="margin-top: 6px">${kit.button("reset", "Start again")}</div>
<div class="panels"><div data-view="block"></div><div data-view="table"></div></div>
<div class="reading" data-view="said" role="status"></div>
<p class="reading">The width of a box is its number of channels, on one scale.</p>`,
    views: (state) => ({ block: draw(state), table: table(state), said: said(state) }),
    values: ({ widths }) =>
      Object.fromEntries(Object.entries(widths).map(([name, value]) => [name, String(value)])),
    act,
    price,
  };
}
