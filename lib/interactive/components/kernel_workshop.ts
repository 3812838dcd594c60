import type { Action, Component, Kit } from "../component.ts";

/** Rows of numbers: a picture, or a kernel. */
export type Matrix = readonly (readonly number[])[];

/** The options of {@linkcode interactive.kernelWorkshop}: what it shows at first. */
export interface KernelWorkshopOptions {
  /**
   * The picture, from 1×1 to 28×28 numbers of at least 0.
   *
   * @default a square and a line on 9×9 pixels, with numbers from 0 to 9
   */
  picture?: Matrix;
  /**
   * The kernel: the name of one in the list, or a square of 1×1 to 5×5 numbers.
   *
   * @default "vertical edges"
   */
  kernel?: string | Matrix;
  /**
   * Further kernels for the list, by name, each a square of 1×1 to 5×5 numbers.
   *
   * @default none
   */
  kernels?: Readonly<Record<string, Matrix>>;
  /**
   * Pixels from one window to the next, from 1 to 4.
   *
   * @default 1
   */
  stride?: number;
  /**
   * Pixels of zeros on each side, from 0 to 3, or "same".
   *
   * @default 0
   */
  padding?: number | "same";
  /**
   * Pixels from one number of the kernel to the next, from 1 to 3.
   *
   * @default 1
   */
  dilation?: number;
}

/** The state of the figure. */
interface State {
  readonly picture: Matrix;
  readonly kernel: Matrix;
  readonly stride: number;
  readonly padding: number | "same";
  readonly dilation: number;
  /** The value that the brush paints. */
  readonly brush: number;
  /** The output whose sum is written out. */
  readonly at: readonly [row: number, column: number];
  /** The pixel under the pointer or the keys. */
  readonly pixel?: readonly [row: number, column: number];
}

/** The settings of a convolution. */
export interface Windows {
  readonly stride: number;
  readonly padding: number | "same";
  readonly dilation: number;
}

/** A convolution, and where it begins. */
export interface Convolved {
  readonly values: Matrix;
  /** Rows and columns of zeros before the first row and column of the picture. */
  readonly before: readonly [rows: number, columns: number];
  /** Rows and columns of zeros on both sides together. */
  readonly added: readonly [rows: number, columns: number];
}

/**
 * A picture to paint on, a kernel to edit, and their convolution.
 *
 * The text of this function is part of each figure: it refers to nothing outside of itself.
 */
export function kernelWorkshop(
  kit: Kit,
  options: KernelWorkshopOptions,
): Component<State> & {
  convolve(picture: Matrix, kernel: Matrix, windows: Windows): Convolved;
} {
  const { num, text } = kit;
  const SIDE = 300;
  const presets: Readonly<Record<string, Matrix>> = {
    "vertical edges": [[1, 0, -1], [2, 0, -2], [1, 0, -1]],
    "horizontal edges": [[1, 2, 1], [0, 0, 0], [-1, -2, -1]],
    "all edges": [[0, -1, 0], [-1, 4, -1], [0, -1, 0]],
    sharpen: [[0, -1, 0], [-1, 5, -1], [0, -1, 0]],
    mean: Array.from({ length: 3 }, () => [1 / 9, 1 / 9, 1 / 9]),
    identity: [[0, 0, 0], [0, 1, 0], [0, 0, 0]],
    ...options.kernels,
  };
  const { kernel = "vertical edges", stride = 1, padding = 0, dilation = 1 } = options;
  const picture = options.picture ?? [
    [0, 0, 0, 0, 0, 0, 0, 0, 0],
    [0, 9, 9, 9, 9, 0, 0, 0, 0],
    [0, 9, 9, 9, 9, 0, 0, 0, 0],
    [0, 9, 9, 9, 9, 0, 0, 6, 0],
    [0, 9, 9, 9, 9, 0, 0, 6, 0],
    [0, 0, 0, 0, 0, 0, 0, 6, 0],
    [0, 0, 0, 0, 0, 0, 0, 6, 0],
    [0, 3, 3, 3, 3, 3, 3, 6, 0],
    [0, 0, 0, 0, 0, 0, 0, 0, 0],
  ];
  const peak = Math.max(...picture.flat()) || 1;
  const initial: State = fitted({
    picture,
    kernel: typeof kernel === "string" ? presets[kernel]! : kernel,
    ...{ stride, padding, dilation, brush: peak, at: [1, 3] },
  });

  /** How one axis is cut into windows. */
  function axis(size: number, kernelSize: number, { stride, padding, dilation }: Windows) {
    const field = dilation * (kernelSize - 1) + 1;
    if (padding === "same") {
      const count = Math.ceil(size / stride);
      const added = Math.max(0, (count - 1) * stride + field - size);
      return { count, added, before: Math.floor(added / 2), field };
    }
    const count = Math.max(0, Math.floor((size + 2 * padding - field) / stride) + 1);
    return { count, added: 2 * padding, before: padding, field };
  }

  function convolve(picture: Matrix, kernel: Matrix, windows: Windows): Convolved {
    const rows = axis(picture.length, kernel.length, windows);
    const columns = axis(picture[0]!.length, kernel.length, windows);
    const before = [rows.before, columns.before] as const;
    const values = Array.from(
      { length: rows.count },
      (_, row) =>
        Array.from(
          { length: columns.count },
          (_, column) =>
            taps(picture, kernel, windows, before, [row, column])
              .reduce((sum, [pixel, weight]) => sum + pixel * weight, 0),
        ),
    );
    return { values, before, added: [rows.added, columns.added] };
  }

  /** The pixels of a window, each with the number of the kernel that lies on it, and its place. */
  function taps(
    picture: Matrix,
    kernel: Matrix,
    { stride, dilation }: Windows,
    [above, left]: readonly [number, number],
    [row, column]: readonly [number, number],
  ) {
    return kernel.flatMap((weights, i) =>
      weights.map((weight, j) => {
        const y = row * stride + i * dilation - above;
        const x = column * stride + j * dilation - left;
        return [picture[y]?.[x] ?? 0, weight, y, x] as const;
      })
    );
  }

  /**
   * Draws rows of numbers as squares: one path for each colour. Large squares have gaps between
   * them, and their numbers if they fit; small ones of one colour are joined within a row.
   */
  function grid(
    rows: Matrix,
    side: number,
    [top, left]: readonly [number, number],
    color: (value: number) => string,
    ink: (value: number) => string,
  ): string {
    const paths = new Map<string, string>(), isLarge = side >= 20, gap = isLarge ? 1 : 0;
    let numbers = "";
    rows.forEach((values, row) => {
      for (let column = 0, count; column < values.length; column += count) {
        const value = values[column]!, fill = color(value);
        const x = left + column * side, y = top + row * side;
        count = 1;
        while (
          !isLarge && column + count < values.length && color(values[column + count]!) === fill
        ) {
          count++;
        }
        const width = count * side - gap, height = side - gap;
        paths.set(fill, `${paths.get(fill) ?? ""}M${x} ${y}h${width}v${height}h-${width}z`);
        const written = num(value, 2);
        if (isLarge && written.length * 7 <= side + 2) {
          numbers += `<text x="${x + side / 2 - 0.5}" y="${y + side / 2 + 4}" ` +
            `class="small middle" style="fill: ${ink(value)}">${written}</text>`;
        }
      }
    });
    return [...paths].map(([fill, path]) => `<path fill="${fill}" d="${path}"/>`).join("") +
      numbers;
  }

  /** Grey from black at 0 to white, in 16 steps, so that a picture has few paths. */
  function grey(value: number): string {
    const level = Math.round(15 * Math.max(0, Math.min(1, value / peak))).toString(16);
    return `#${level}${level}${level}`;
  }

  /** Nearly white at 0, blue below and orange above, in 12 steps on each side. */
  function signed(value: number, largest: number): string {
    const part = Math.round(12 * Math.min(1, Math.abs(value) / (largest || 1))) / 12;
    const end = value < 0 ? [0x5a, 0xa5, 0xd8] : [0xf0, 0x93, 0x5c];
    return `rgb(${end.map((channel) => Math.round(244 + (channel - 244) * part)).join(" ")})`;
  }

  /** Side of a pixel, and how many rows and columns of zeros stand around the picture. */
  function frame(state: State) {
    const { before, added, values } = convolve(state.picture, state.kernel, state);
    const rows = state.picture.length + added[0], columns = state.picture[0]!.length + added[1];
    const side = Math.max(4, Math.min(34, Math.floor(SIDE / Math.max(rows, columns))));
    return { before, values, side, rows, columns };
  }

  function square(row: number, column: number, side: number, css: string): string {
    return `<rect x="${column * side}" y="${row * side}" width="${side - 1}" ` +
      `height="${side - 1}" class="${css}"/>`;
  }

  function drawPicture(state: State): string {
    const { before, values, side, rows, columns } = frame(state);
    const [above, left] = before;
    const zeros = Array.from(
      { length: rows },
      (_, row) =>
        Array.from({ length: columns }, (_, column) => {
          const isInside = state.picture[row - above]?.[column - left] !== undefined;
          return isInside ? "" : square(row, column, side, "zero");
        }).join(""),
    ).join("");
    const pixels = grid(
      state.picture,
      side,
      [above * side, left * side],
      grey,
      (value) => value > 0.55 * peak ? "#111" : "#fff",
    );
    const window = values[0]?.[0] === undefined ? [] : taps(
      state.picture,
      state.kernel,
      state,
      before,
      state.at,
    );
    const frames = window.map(([, , y, x]) => square(y + above, x + left, side, "tap")).join("");
    const cursor = state.pixel &&
      square(state.pixel[0] + above, state.pixel[1] + left, side, "cursor");
    return kit.svg(
      columns * side,
      rows * side,
      `The picture, ${state.picture.length} by ${state.picture[0]!.length} pixels.`,
      zeros + pixels + frames + (cursor ?? ""),
    );
  }

  /** Whether the window of an output holds the pixel under the pointer. */
  function sees(state: State, before: readonly [number, number], row: number, column: number) {
    const [y, x] = state.pixel ?? [NaN, NaN];
    return taps(state.picture, state.kernel, state, before, [row, column])
      .some((tap) => tap[2] === y && tap[3] === x);
  }

  function drawOutput(state: State): string {
    const { values, before } = frame(state);
    if (values[0]?.[0] === undefined) {
      return kit.svg(SIDE, 40, "No window fits.", text(0, 24, "No window fits into the picture."));
    }
    const side = outputSide(values), largest = Math.max(...values.flat().map(Math.abs));
    const marks = state.pixel === undefined
      ? []
      : values.flatMap((row, y) =>
        row.map((_, x) => sees(state, before, y, x) ? square(y, x, side, "cursor") : "")
      );
    return kit.svg(
      values[0].length * side,
      values.length * side,
      `The feature map, ${values.length} by ${values[0].length}.`,
      grid(values, side, [0, 0], (value) => signed(value, largest), () => "#111") +
        marks.join("") + square(state.at[0], state.at[1], side, "tap"),
    );
  }

  function outputSide(values: Matrix): number {
    return Math.max(4, Math.min(40, Math.floor(SIDE / Math.max(values.length, values[0]!.length))));
  }

  function drawKernel({ kernel }: State): string {
    const side = 40, largest = Math.max(...kernel.flat().map(Math.abs));
    return kit.svg(
      kernel.length * side,
      kernel.length * side,
      "The kernel.",
      grid(kernel, side, [0, 0], (value) => signed(value, largest), () => "#111"),
    );
  }

  /** The sum of one output, or how many windows see a pixel. */
  function sum(state: State): string {
    const { values, before } = frame(state), [row, column] = state.at;
    const value = values[row]?.[column];
    if (value === undefined) return "";
    const terms = taps(state.picture, state.kernel, state, before, state.at).map((
      [pixel, weight],
    ) => `${num(pixel)}·${weight < 0 ? `(${num(weight)})` : num(weight)}`);
    return `Output (${row}, ${column}): ${terms.join(" + ")} = <b data-sum="">${num(value, 4)}</b>`;
  }

  function seen(state: State): string {
    if (state.pixel === undefined) {
      return "Point at an output to see its window, or at a pixel to see which outputs it reaches. " +
        "Click or drag over the picture to paint.";
    }
    const { values, before } = frame(state), [row, column] = state.pixel;
    const count = values.flatMap((line, y) => line.filter((_, x) => sees(state, before, y, x)));
    return `The pixel (${row}, ${column}) is in <b data-seen="">${count.length}</b> ` +
      `window${count.length === 1 ? "" : "s"}.`;
  }

  /** The size of the output in one direction, by the formula. */
  function formula({ picture, kernel, stride, padding, dilation }: State): string {
    const size = picture.length, k = kernel.length;
    const { count, added, before, field } = axis(size, k, { stride, padding, dilation });
    if (padding === "same") {
      return `"same": ⌈${size} / ${stride}⌉ = <b data-size="">${count}</b> rows, with ${before} ` +
        `row${before === 1 ? "" : "s"} of zeros above and ${added - before} below.`;
    }
    const rest = (size + 2 * padding - field) % stride;
    return `⌊(${size} + 2·${padding} − ${dilation}·(${k} − 1) − 1) / ${stride}⌋ + 1 = ` +
      `<b data-size="">${count}</b> rows${
        rest > 0 && count > 0
          ? `; the last ${rest === 1 ? "row is" : `${rest} rows are`} left over`
          : ""
      }.`;
  }

  function describe(state: State): string {
    const { values } = frame(state), { kernel, stride, padding, dilation } = state;
    const name = Object.keys(presets).find((name) => presets[name] === kernel);
    return `A picture of ${state.picture.length}×${state.picture[0]!.length} pixels, the kernel ` +
      `${
        name === undefined ? "" : `"${name}" `
      }of ${kernel.length}×${kernel.length} numbers, and ` +
      `the feature map of ${values.length}×${values[0]?.length ?? 0} with stride ${stride}, ` +
      `padding ${padding} and dilation ${dilation}.`;
  }

  /** The boxes of the kernel. Their values come from the state, so that typing keeps the focus. */
  function editor({ kernel }: State): string {
    const boxes = kernel.flatMap((row, i) =>
      row.map((_, j) =>
        `<input type="number" step="any" data-name="weight ${i} ${j}" ` +
        `aria-label="kernel, row ${i}, column ${j}">`
      )
    );
    return `<div class="kernel" style="grid-template-columns: repeat(${kernel.length}, 62px)">${
      boxes.join("")
    }</div>`;
  }

  /** The state with the marked output and pixel within the arrays. */
  function fitted(state: State): State {
    const { values } = frame(state);
    const within = (value: number, count: number) => Math.max(0, Math.min(count - 1, value));
    const [row, column] = state.at;
    return {
      ...state,
      at: [within(row, values.length), within(column, values[0]?.length ?? 0)],
    };
  }

  /** A kernel of another size, with the numbers around its middle. */
  function resized(kernel: Matrix, size: number): Matrix {
    const shift = Math.floor((size - 1) / 2) - Math.floor((kernel.length - 1) / 2);
    return Array.from(
      { length: size },
      (_, i) => Array.from({ length: size }, (_, j) => kernel[i - shift]?.[j - shift] ?? 0),
    );
  }

  function painted(state: State, [row, column]: readonly [number, number]): State {
    const picture = state.picture.map((line, y) =>
      y === row ? line.map((value, x) => x === column ? state.brush : value) : line
    );
    return { ...state, picture, pixel: [row, column] };
  }

  const arrows: Readonly<Record<string, readonly [number, number]>> = {
    ArrowUp: [-1, 0],
    ArrowDown: [1, 0],
    ArrowLeft: [0, -1],
    ArrowRight: [0, 1],
  };

  function actOnPicture(state: State, { kind, value, x, y, pressed }: Action): State {
    if (kind === "leave") return { ...state, pixel: undefined };
    const { before, side } = frame(state);
    if (kind === "key") {
      const [row, column] = state.pixel ?? [0, 0];
      if (value === " " || value === "Enter") return painted(state, [row, column]);
      if (arrows[value] === undefined) return state;
      if (state.pixel === undefined) return { ...state, pixel: [0, 0] };
      const next = [row + arrows[value][0], column + arrows[value][1]] as const;
      return state.picture[next[0]]?.[next[1]] === undefined ? state : { ...state, pixel: next };
    }
    const place = [Math.floor(y / side) - before[0], Math.floor(x / side) - before[1]] as const;
    if (state.picture[place[0]]?.[place[1]] === undefined) return state;
    if (kind === "down" || kind === "move" && pressed) return painted(state, place);
    const isThere = place.every((index, axis) => index === state.pixel?.[axis]);
    return isThere ? state : { ...state, pixel: place };
  }

  function actOnOutput(state: State, { kind, value, x, y }: Action): State {
    const { values } = frame(state);
    if (kind === "key") {
      const move = arrows[value];
      if (move === undefined) return state;
      return fitted({ ...state, at: [state.at[0] + move[0], state.at[1] + move[1]] });
    }
    if (kind === "leave" || values[0]?.[0] === undefined) return state;
    const side = outputSide(values);
    return fitted({ ...state, at: [Math.floor(y / side), Math.floor(x / side)] });
  }

  function act(state: State, action: Action): State {
    const { kind, name, value } = action;
    if (name === "picture") return actOnPicture(state, action);
    if (name === "output") return actOnOutput(state, action);
    if (name === "clear") {
      return { ...state, picture: state.picture.map((row) => row.map(() => 0)) };
    }
    if (name === "reset") return initial;
    if (kind !== "set") return state;
    const [, i, j] = /^weight (\d) (\d)$/.exec(name) ?? [];
    if (i !== undefined) {
      const kernel = state.kernel.map((row, y) =>
        row.map((old, x) =>
          y === Number(i) && x === Number(j) ? kit.read(value, old, -1e6, 1e6) : old
        )
      );
      return { ...state, kernel };
    }
    if (name === "preset") {
      return value in presets ? fitted({ ...state, kernel: presets[value]! }) : state;
    }
    if (name === "size") return fitted({ ...state, kernel: resized(state.kernel, Number(value)) });
    if (name === "brush") return { ...state, brush: kit.read(value, state.brush, 0, peak) };
    const number = value === "same" ? value : Number(value);
    return fitted({ ...state, [name]: number });
  }

  function values(state: State): Record<string, string> {
    const { kernel } = state;
    const boxes = kernel.flatMap((row, i) =>
      row.map((weight, j) => [`weight ${i} ${j}`, String(Number(weight.toPrecision(4)))])
    );
    return {
      ...Object.fromEntries(boxes),
      preset: Object.keys(presets).find((name) => presets[name] === kernel) ?? "own",
      size: String(kernel.length),
      stride: String(state.stride),
      padding: String(state.padding),
      dilation: String(state.dilation),
      brush: String(Number(state.brush.toPrecision(4))),
    };
  }

  const numbers = (low: number, high: number) =>
    Array.from({ length: high - low + 1 }, (_, i) => [String(low + i), String(low + i)] as const);
  return {
    css: `.zero { fill: none; stroke: var(--line); stroke-dasharray: 2 2; }
.tap { fill: none; stroke: #d55e00; stroke-width: 2.5; }
.cursor { fill: none; stroke: #009e73; stroke-width: 2.5; stroke-dasharray: 4 2; }
.kernel { display: grid; gap: 3px; } .kernel input { width: 62px; }
[data-view=picture] { cursor: cell; } .sum { overflow-wrap: anywhere; }
.title { margin: 0 0 4px; font-weight: bold; min-height: 28px; line-height: 28px; }`,
    initial,
    pictures: ["picture", "drawnKernel", "output"],
    describe,
    layout: `<div class="controls">
${kit.choice("size", "Kernel size", numbers(1, 5))} ${kit.choice("stride", "Stride", numbers(1, 4))}
${kit.choice("padding", "Padding", [...numbers(0, 3), ["same", "same"]])}
${kit.choice("dilation", "Dilation", numbers(1, 3))}
${kit.slider("brush", "Brush", { low: 0, high: peak, step: peak > 1 ? 1 : 0.05 })}
${kit.button("clear", "Clear picture")} ${kit.button("reset", "Start again")}
</div>
<div class="panels">
<div><div class="title">Picture</div><div data-view="picture" data-pad="picture" tabindex="0" role="application"
aria-label="Picture: arrow keys move, space paints"></div></div>
<div><div class="title">${
      kit.choice("preset", "Kernel", [
        ...Object.keys(presets).map((name) => [name, name] as const),
        ["own", "your own"],
      ])
    }</div><div data-view="editor"></div></div>
<div><div class="title">Feature map</div><div data-view="output" data-pad="output" tabindex="0" role="application"
aria-label="Feature map: arrow keys choose an output"></div></div>
</div>
<div class="reading sum" data-view="sum" role="status"></div>
<div class="reading" data-view="formula"></div>
<div class="reading" data-view="seen"></div>`,
    views: (state) => ({
      picture: drawPicture(state),
      drawnKernel: drawKernel(state),
      output: drawOutput(state),
      editor: editor(state),
      sum: sum(state),
      formula: formula(state),
      seen: seen(state),
    }),
    values,
    act,
    convolve,
  };
}
