import type { Action, Component, Kit } from "../component.ts";

/** A layer with windows: a convolution or a pooling. */
export interface WindowLayer {
  /** Side of its windows in units of the layer before, from 1 to 7. */
  readonly kernelSize: number;
  /**
   * Units from one window to the next, from 1 to 4.
   *
   * @default 1
   */
  readonly stride?: number;
  /**
   * Units from one number of the kernel to the next, from 1 to 4.
   *
   * @default 1
   */
  readonly dilation?: number;
}

/** The options of {@linkcode interactive.receptiveField}: what it shows at first. */
export interface ReceptiveFieldOptions {
  /**
   * The layers, from one to five. They have no padding.
   *
   * @default two 3×3 convolutions, a pooling of 2×2 with stride 2, and a 3×3 convolution
   */
  layers?: readonly WindowLayer[];
  /**
   * The side of the picture in pixels, from 8 to 40.
   *
   * @default 28
   */
  imageSize?: number;
}

/** The state of the figure. */
interface State {
  readonly layers: readonly Required<WindowLayer>[];
  readonly imageSize: number;
  /** The unit whose field is shown: its layer, from 1, and its index. Layer 0 has the pixels. */
  readonly unit: readonly [layer: number, index: number];
}

/** A layer of units, in one direction. */
export interface UnitsOfLayer {
  /** How many units there are; layer 0 has the pixels. */
  readonly count: number;
  /** How many pixels a unit sees, from the first to the last. */
  readonly field: number;
  /** Pixels from one unit to the next. */
  readonly jump: number;
}

/**
 * Layers with windows, and the pixels that a unit sees through them.
 *
 * The text of this function is part of each figure: it refers to nothing outside of itself.
 */
export function receptiveField(
  kit: Kit,
  options: ReceptiveFieldOptions,
): Component<State> & {
  sizes(layers: readonly WindowLayer[], imageSize: number): readonly UnitsOfLayer[];
  seen(state: State): readonly (readonly number[])[];
} {
  const { text } = kit;
  const WIDTH = 400, ROW = 64, LEFT = 4, TOP = 20, MOST = 5;
  const initial: State = fitted({
    layers: (options.layers ?? [
      { kernelSize: 3 },
      { kernelSize: 3 },
      { kernelSize: 2, stride: 2 },
      { kernelSize: 3 },
    ]).map(({ kernelSize, stride = 1, dilation = 1 }) => ({ kernelSize, stride, dilation })),
    imageSize: options.imageSize ?? 28,
    unit: [MOST, 1e6],
  }, true);

  function sizes(layers: readonly WindowLayer[], imageSize: number): readonly UnitsOfLayer[] {
    const all: UnitsOfLayer[] = [{ count: imageSize, field: 1, jump: 1 }];
    for (const { kernelSize, stride = 1, dilation = 1 } of layers) {
      const { count, field, jump } = all.at(-1)!;
      const extent = dilation * (kernelSize - 1);
      all.push({
        count: Math.max(0, Math.floor((count - extent - 1) / stride) + 1),
        field: field + extent * jump,
        jump: jump * stride,
      });
    }
    return all;
  }

  /** The units of each layer that the chosen one sees, from the pixels up to itself. */
  function seen({ layers, unit: [layer, index] }: State): readonly (readonly number[])[] {
    const rows = [[index]];
    for (let below = layer - 1; below >= 0; below--) {
      const { kernelSize, stride, dilation } = layers[below]!;
      const inputs = rows[0]!.flatMap((unit) =>
        Array.from({ length: kernelSize }, (_, tap) => unit * stride + tap * dilation)
      );
      rows.unshift([...new Set(inputs)].sort((a, b) => a - b));
    }
    return rows;
  }

  /** The state with its unit within the layers; in the middle of the last one if asked for. */
  function fitted(state: State, toMiddle = false): State {
    const all = sizes(state.layers, state.imageSize);
    const last = all.findLastIndex(({ count }) => count > 0);
    const layer = toMiddle ? last : Math.min(last, state.unit[0]);
    const index = toMiddle
      ? Math.floor((all[layer]!.count - 1) / 2)
      : Math.min(all[layer]!.count - 1, state.unit[1]);
    return { ...state, unit: [layer, index] };
  }

  /** The middle of a unit on the axis of the pixels. */
  function middle(all: readonly UnitsOfLayer[], layer: number, index: number): number {
    const { jump, field } = all[layer]!;
    return index * jump + (field - 1) / 2;
  }

  function place(state: State, layer: number, position: number): readonly [number, number] {
    const pixel = (WIDTH - LEFT - 6) / state.imageSize;
    return [LEFT + (position + 0.5) * pixel, TOP + (state.layers.length - layer) * ROW + 12];
  }

  function draw(state: State): string {
    const all = sizes(state.layers, state.imageSize), rows = seen(state);
    const pixel = (WIDTH - LEFT - 6) / state.imageSize, [chosen] = state.unit;
    const at = (layer: number, index: number) => place(state, layer, middle(all, layer, index));
    const lines = rows.flatMap((units, layer) =>
      layer === 0 ? [] : units.flatMap((unit) => {
        const { kernelSize, stride, dilation } = state.layers[layer - 1]!;
        const [x, y] = at(layer, unit);
        return Array.from({ length: kernelSize }, (_, tap) => {
          const [x2, y2] = at(layer - 1, unit * stride + tap * dilation);
          return `M${x.toFixed(1)} ${y + 5}L${x2.toFixed(1)} ${y2 - 5}`;
        });
      })
    );
    const layers = all.map(({ count }, layer) => {
      const y = place(state, layer, 0)[1], side = Math.max(3, Math.min(12, pixel - 1));
      const marked = new Set(layer <= chosen ? rows[layer] : []);
      const square = (index: number) => {
        const x = at(layer, index)[0] - side / 2;
        return `M${x.toFixed(1)} ${y - side / 2}h${side.toFixed(1)}v${side.toFixed(1)}h-${
          side.toFixed(1)
        }z`;
      };
      const units = Array.from({ length: count }, (_, index) => index);
      const { kernelSize = 0, stride = 1 } = state.layers[layer - 1] ?? {};
      const title = layer === 0
        ? "pixels"
        : `${layer}: ${kernelSize}×${kernelSize}, stride ${stride}`;
      return `<path class="unit" d="${
        units.filter((i) => !marked.has(i)).map(square).join("")
      }"/>` +
        `<path class="${layer === chosen ? "chosen" : "seen"}" d="${
          units.filter((i) => marked.has(i)).map(square).join("")
        }"/>` + text(LEFT, y - 13, title, 'class="small"') +
        text(WIDTH - 4, y - 13, `${count} unit${count === 1 ? "" : "s"}`, 'class="small end"');
    });
    return kit.svg(
      WIDTH,
      TOP + state.layers.length * ROW + 24,
      describe(state),
      `<path class="cone" d="${lines.join("")}"/>${layers.join("")}`,
    );
  }

  /** The field by layer, as a table with the sum that makes it. */
  function table({ layers, imageSize }: State): string {
    const all = sizes(layers, imageSize);
    const rows = layers.map(({ kernelSize, dilation }, i) => {
      const before = all[i]!, after = all[i + 1]!;
      const extent = dilation === 1 ? `(${kernelSize} − 1)` : `${dilation}·(${kernelSize} − 1)`;
      return `<tr><td>${i + 1}</td><td>${before.field} + ${extent}·${before.jump} = ` +
        `<b data-field="${i + 1}">${after.field}</b></td><td>${after.jump}</td>` +
        `<td>${after.count}</td></tr>`;
    });
    return `<table><thead><tr><th>layer</th><th>field before<br>+ (size − 1) · jump</th>` +
      `<th>jump<br>after</th><th>units</th></tr></thead><tbody>${rows.join("")}</tbody></table>`;
  }

  function said(state: State): string {
    const [layer, index] = state.unit;
    if (layer === 0) return "No window fits: the layers are too many for this picture.";
    const pixels = seen(state)[0]!, [first, last] = [pixels[0]!, pixels.at(-1)!];
    const gaps = last - first + 1 - pixels.length;
    return `Unit ${index} of layer ${layer} sees the pixels ${first} to ${last}: ` +
      `<b data-width="">${last - first + 1}</b> across${
        gaps > 0 ? `, without ${gaps} that lie in the gaps` : ""
      }.`;
  }

  function describe(state: State): string {
    const all = sizes(state.layers, state.imageSize), [layer, index] = state.unit;
    const layers = state.layers.map(({ kernelSize: k, stride }) =>
      `${k}×${k}${stride > 1 ? ` with stride ${stride}` : ""}`
    );
    return `The receptive field of unit ${index} of layer ${layer}, ${all[layer]!.field} pixels ` +
      `across, through the layers ${layers.join(", ")} over ${state.imageSize} pixels.`;
  }

  function editor({ layers }: State): string {
    const box = (i: number, name: string, label: string, high: number) =>
      `<label>${label} <input type="number" min="1" max="${high}" step="1" ` +
      `data-name="${name} ${i}" aria-label="layer ${i + 1}, ${label}"></label>`;
    return layers.map((_, i) =>
      `<div class="controls"><b>${i + 1}</b> ${box(i, "kernelSize", "size", 7)} ` +
      `${box(i, "stride", "stride", 4)} ${box(i, "dilation", "dilation", 4)}</div>`
    ).join("");
  }

  const arrows: Readonly<Record<string, readonly [up: number, right: number]>> = {
    ArrowUp: [1, 0],
    ArrowDown: [-1, 0],
    ArrowLeft: [0, -1],
    ArrowRight: [0, 1],
  };
  const highest: Readonly<Record<string, number>> = { kernelSize: 7, stride: 4, dilation: 4 };

  function act(state: State, { kind, name, value, x, y }: Action): State {
    if (kind === "press") {
      if (name === "reset") return initial;
      const { layers } = state;
      const changed = name === "add"
        ? [...layers, { kernelSize: 3, stride: 1, dilation: 1 }].slice(0, MOST)
        : layers.slice(0, Math.max(1, layers.length - 1));
      return fitted({ ...state, layers: changed }, true);
    }
    if (kind === "set") {
      if (name === "imageSize") {
        const imageSize = Math.round(kit.read(value, state.imageSize, 8, 40));
        return fitted({ ...state, imageSize }, true);
      }
      const [option = "", index] = name.split(" ");
      const layers = state.layers.map((layer, i) => {
        if (i !== Number(index)) return layer;
        const number = kit.read(value, layer[option as "stride"], 1, highest[option]!);
        return { ...layer, [option]: Math.round(number) };
      });
      return fitted({ ...state, layers }, true);
    }
    const all = sizes(state.layers, state.imageSize), [layer, index] = state.unit;
    if (kind === "key") {
      const move = arrows[value];
      if (move === undefined) return state;
      const [up, right] = move;
      const next = Math.max(1, Math.min(state.layers.length, layer + up));
      const { count } = all[next] ?? { count: 0 };
      if (count === 0) return state;
      return { ...state, unit: [next, Math.max(0, Math.min(count - 1, index + right))] };
    }
    if (kind === "leave") return state;
    // The nearest unit of the nearest layer above the pixels.
    const row = state.layers.length - Math.round((y - TOP - 12) / ROW);
    const nearest = Math.max(1, Math.min(state.layers.length, row)), units = all[nearest]!;
    if (units.count === 0) return state;
    const position = (x - LEFT) / (WIDTH - LEFT - 6) * state.imageSize - 0.5;
    const unit = Math.round((position - (units.field - 1) / 2) / units.jump);
    const chosen = [nearest, Math.max(0, Math.min(units.count - 1, unit))] as const;
    return chosen[0] === layer && chosen[1] === index ? state : { ...state, unit: chosen };
  }

  return {
    css: `.unit { fill: var(--soft); stroke: var(--line); } .seen { fill: #1e82c8; }
.chosen { fill: #d55e00; } .cone { stroke: #1e82c8; opacity: 0.6; fill: none; }
[data-view=editor] input { width: 46px; } [data-view=editor] label { gap: 4px; }
[data-view=map] { cursor: pointer; } [data-view=editor] .controls { margin-top: 4px; gap: 8px; }
table { border-collapse: collapse; margin-top: 6px; }
td, th { padding: 2px 12px 2px 0; text-align: right; font-weight: normal; vertical-align: bottom; }
th { border-bottom: 1px solid var(--line); }`,
    initial,
    pictures: ["map"],
    describe,
    layout: `<div class="controls">
${kit.slider("imageSize", "Pixels of the picture", { low: 8, high: 40, step: 1 })}
${kit.button("add", "Add a layer")} ${kit.button("remove", "Remove a layer")}
${kit.button("reset", "Start again")}
</div>
<div class="panels"><div data-view="map" data-pad="map" tabindex="0" role="application"
aria-label="Units: arrow keys choose one"></div>
<div><div data-view="editor"></div><div data-view="table"></div></div></div>
<div class="reading" data-view="said" role="status"></div>
<p class="reading">Point at a unit. One direction is drawn; the other one is the same.</p>`,
    views: (state) => ({
      map: draw(state),
      said: said(state),
      table: table(state),
      editor: editor(state),
    }),
    values: (state) => ({
      imageSize: String(state.imageSize),
      ...Object.fromEntries(
        state.layers.flatMap((layer, i) =>
          Object.entries(layer).map(([name, value]) => [`${name} ${i}`, String(value)])
        ),
      ),
    }),
    act,
    sizes,
    seen,
  };
}
