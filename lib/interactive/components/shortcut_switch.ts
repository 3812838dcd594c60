import type { Action, Component, Kit } from "../component.ts";

/** The options of {@linkcode interactive.shortcutSwitch}: what it shows at first. */
export interface ShortcutSwitchOptions {
  /**
   * The number of blocks, from 1 to 27. A network has two layers for each, and two more.
   *
   * @default 27
   */
  blocks?: number;
  /**
   * The factor α of the input in a block, from 0 (a plain network) to 1. Unless it is 0, a plain
   * network stands beside it at first.
   *
   * @default 1
   */
  shortcut?: number;
  /**
   * The largest learning rate, from 0.001 to 1.
   *
   * @default 0.1
   */
  learningRate?: number;
  /**
   * The number of steps in which the learning rate rises from zero, from 0 to 100.
   *
   * @default 0
   */
  warmup?: number;
}

/** The settings of a training. */
export type Settings = Required<ShortcutSwitchOptions>;

/** The state of the figure. */
interface State extends Settings {
  /** The settings of the trainings that are shown, the newest last. */
  readonly runs: readonly Settings[];
}

/** A training that was done before, so that a page shows it without training. */
export type RecordedRun = Settings & Run;

/** A layer: weights `[in][16]` and batch norm. */
export interface Layer {
  readonly weight: Float64Array;
  readonly gamma: Float64Array;
  readonly beta: Float64Array;
}

/** The weights of a network; the last layer gives one logit. */
export interface Weights {
  readonly layers: readonly Layer[];
  readonly head: Float64Array;
  readonly bias: Float64Array;
}

/** A training: what was measured, and the trained network's answers. */
export interface Run {
  /** The loss before each step, and after the last. */
  readonly losses: readonly number[];
  /** The gradient norm of each layer before the first step. */
  readonly firstNorms: readonly number[];
  /** The gradient norm of each layer after the last step. */
  readonly lastNorms: readonly number[];
  /** The fraction of the points that are classified correctly after the last step. */
  readonly accuracy: number;
  /** The answer for each cell of a grid over the picture: 1 for the second class, else 0. */
  readonly answers: string;
}

/**
 * A chain of residual blocks of dense layers that learns to tell two spirals apart. The network of
 * 16 channels is trained in the page.
 *
 * The text of this function is part of each figure: it refers to nothing outside of itself.
 */
export function shortcutSwitch(
  kit: Kit,
  options: ShortcutSwitchOptions & { recorded?: readonly RecordedRun[] },
): Component<State> & {
  points(): { x: Float64Array; labels: Float64Array };
  weights(blocks: number): Weights;
  train(settings: Settings, steps?: number): Run;
} {
  const { num, text } = kit;
  const CHANNELS = 16, POINTS = 120, STEPS = 200, GRID = 24, EPSILON = 1e-5, MOMENTUM = 0.9;

  /** Random numbers from 0 to 1 that are the same in each browser. */
  function randomFrom(seed: number): () => number {
    return () => {
      seed = seed + 0x6d2b79f5 | 0;
      let t = Math.imul(seed ^ seed >>> 15, 1 | seed);
      t = t + Math.imul(t ^ t >>> 7, 61 | t) ^ t;
      return ((t ^ t >>> 14) >>> 0) / 4294967296;
    };
  }

  /** The points `[POINTS][2]` of two spirals, and the class of each. */
  function points() {
    const x = new Float64Array(2 * POINTS), labels = new Float64Array(POINTS);
    for (let i = 0; i < POINTS; i++) {
      const label = i % 2, along = Math.floor(i / 2) / (POINTS / 2 - 1);
      const radius = 0.15 + 0.8 * along, angle = 2.6 * Math.PI * along + Math.PI * label;
      x[2 * i] = radius * Math.cos(angle);
      x[2 * i + 1] = radius * Math.sin(angle);
      labels[i] = label;
    }
    return { x, labels };
  }

  /** The first weights: He's initialisation for the layers, a small head. */
  function weights(blocks: number): Weights {
    const random = randomFrom(7);
    const normals = (length: number, deviation: number) =>
      Float64Array.from(
        { length },
        () => deviation * Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random()),
      );
    const layers = Array.from({ length: 2 * blocks + 1 }, (_, i) => {
      const inputs = i === 0 ? 2 : CHANNELS;
      return {
        weight: normals(inputs * CHANNELS, Math.sqrt(2 / inputs)),
        gamma: new Float64Array(CHANNELS).fill(1),
        beta: new Float64Array(CHANNELS),
      };
    });
    return { layers, head: normals(CHANNELS, 0.1), bias: new Float64Array(1) };
  }

  /** The numbers that a layer keeps for its gradient. */
  interface Pass {
    input: Float64Array;
    normal: Float64Array;
    mean: Float64Array;
    deviation: Float64Array;
    output: Float64Array;
  }

  /** Multiplies by the weights and normalises: with the statistics given, or those of the batch. */
  function forwardLayer(layer: Layer, input: Float64Array, given?: Pass): Pass {
    const inputs = layer.weight.length / CHANNELS, count = input.length / inputs;
    const normal = new Float64Array(count * CHANNELS), output = new Float64Array(count * CHANNELS);
    const { weight } = layer;
    for (let i = 0; i < count; i++) {
      for (let k = 0; k < inputs; k++) {
        const value = input[i * inputs + k]!, to = i * CHANNELS, from = k * CHANNELS;
        // After a relu about half of the numbers are zero.
        if (value === 0) continue;
        for (let c = 0; c < CHANNELS; c++) normal[to + c]! += value * weight[from + c]!;
      }
    }
    const mean = given?.mean ?? new Float64Array(CHANNELS);
    const deviation = given?.deviation ?? new Float64Array(CHANNELS);
    for (let c = 0; c < CHANNELS; c++) {
      if (!given) {
        let sum = 0, squares = 0;
        for (let i = c; i < normal.length; i += CHANNELS) sum += normal[i]!;
        for (let i = c; i < normal.length; i += CHANNELS) {
          squares += (normal[i]! - sum / count) ** 2;
        }
        mean[c] = sum / count;
        deviation[c] = Math.sqrt(squares / count + EPSILON);
      }
      for (let i = c; i < normal.length; i += CHANNELS) {
        normal[i] = (normal[i]! - mean[c]!) / deviation[c]!;
        output[i] = layer.gamma[c]! * normal[i]! + layer.beta[c]!;
      }
    }
    return { input, normal, mean, deviation, output };
  }

  /** Replaces the gradient of a layer's output: adds to the gradients of its numbers. */
  function backwardLayer(layer: Layer, pass: Pass, upstream: Float64Array, into: Layer) {
    const inputs = layer.weight.length / CHANNELS, count = upstream.length / CHANNELS;
    const inner = new Float64Array(upstream.length), below = new Float64Array(count * inputs);
    for (let c = 0; c < CHANNELS; c++) {
      let sum = 0, product = 0;
      for (let i = c; i < upstream.length; i += CHANNELS) {
        sum += upstream[i]!;
        product += upstream[i]! * pass.normal[i]!;
      }
      into.beta[c] = sum;
      into.gamma[c] = product;
      const scale = layer.gamma[c]! / pass.deviation[c]!;
      for (let i = c; i < upstream.length; i += CHANNELS) {
        inner[i] = scale * (upstream[i]! - sum / count - pass.normal[i]! * product / count);
      }
    }
    const { weight } = layer, slopes = into.weight.fill(0);
    for (let i = 0; i < count; i++) {
      for (let k = 0; k < inputs; k++) {
        const value = pass.input[i * inputs + k]!, at = i * CHANNELS, from = k * CHANNELS;
        let sum = 0;
        for (let c = 0; c < CHANNELS; c++) sum += inner[at + c]! * weight[from + c]!;
        below[i * inputs + k] = sum;
        if (value === 0) continue;
        for (let c = 0; c < CHANNELS; c++) slopes[from + c]! += value * inner[at + c]!;
      }
    }
    return below;
  }

  const relu = (values: Float64Array) => values.map((value) => value > 0 ? value : 0);

  /** The passes of all layers, the input of each block, and the logits. */
  function forward(net: Weights, x: Float64Array, shortcut: number, given?: readonly Pass[]) {
    const passes = [forwardLayer(net.layers[0]!, x, given?.[0])];
    let y = relu(passes[0]!.output);
    const outputs = [y];
    for (let i = 1; i < net.layers.length; i += 2) {
      const first = forwardLayer(net.layers[i]!, y, given?.[i]);
      const second = forwardLayer(net.layers[i + 1]!, relu(first.output), given?.[i + 1]);
      passes.push(first, second);
      const input = y;
      y = second.output.map((value, j) => Math.max(0, shortcut * input[j]! + value));
      outputs.push(y);
    }
    const logits = new Float64Array(y.length / CHANNELS).map((_, i) => {
      let sum = net.bias[0]!;
      for (let c = 0; c < CHANNELS; c++) sum += net.head[c]! * y[i * CHANNELS + c]!;
      return sum;
    });
    return { passes, outputs, logits };
  }

  /** The mean cross-entropy of logits. */
  function lossOf(logits: Float64Array, labels: Float64Array): number {
    return logits.reduce((sum, logit, i) => {
      const wrong = labels[i] ? -logit : logit;
      return sum + Math.max(0, wrong) + Math.log1p(Math.exp(-Math.abs(wrong)));
    }, 0) / logits.length;
  }

  const zerosLike = ({ layers, head, bias }: Weights): Weights => ({
    layers: layers.map(({ weight, gamma, beta }) => ({
      weight: new Float64Array(weight.length),
      gamma: new Float64Array(gamma.length),
      beta: new Float64Array(beta.length),
    })),
    head: new Float64Array(head.length),
    bias: new Float64Array(bias.length),
  });
  const listOf = ({ layers, head, bias }: Weights) => [
    ...layers.flatMap(({ weight, gamma, beta }) => [weight, gamma, beta]),
    head,
    bias,
  ];

  /** Writes the gradients of the loss. */
  function backward(
    net: Weights,
    { passes, outputs, logits }: ReturnType<typeof forward>,
    labels: Float64Array,
    shortcut: number,
    into: Weights,
  ): void {
    const count = logits.length, last = outputs.at(-1)!;
    let upstream = new Float64Array(last.length);
    into.head.fill(0);
    into.bias.fill(0);
    for (let i = 0; i < count; i++) {
      const slope = (1 / (1 + Math.exp(-logits[i]!)) - labels[i]!) / count;
      into.bias[0]! += slope;
      for (let c = 0; c < CHANNELS; c++) {
        into.head[c]! += slope * last[i * CHANNELS + c]!;
        upstream[i * CHANNELS + c] = slope * net.head[c]!;
      }
    }
    for (let block = outputs.length - 1; block > 0; block--) {
      const i = 2 * block - 1, output = outputs[block]!;
      upstream = upstream.map((value, j) => output[j]! > 0 ? value : 0);
      const middle = backwardLayer(
        net.layers[i + 1]!,
        passes[i + 1]!,
        upstream,
        into.layers[i + 1]!,
      )
        .map((value, j) => passes[i]!.output[j]! > 0 ? value : 0);
      const below = backwardLayer(net.layers[i]!, passes[i]!, middle, into.layers[i]!);
      upstream = upstream.map((value, j) => shortcut * value + below[j]!);
    }
    upstream = upstream.map((value, j) => outputs[0]![j]! > 0 ? value : 0);
    backwardLayer(net.layers[0]!, passes[0]!, upstream, into.layers[0]!);
  }

  const norms = ({ layers }: Weights) =>
    layers.map(({ weight }) => Math.sqrt(weight.reduce((sum, value) => sum + value ** 2, 0)));

  /** The centres of the grid's cells, over the square from −1.1 to 1.1. */
  const grid = Float64Array.from({ length: 2 * GRID ** 2 }, (_, i) => {
    const cell = i >> 1, place = i % 2 === 0 ? cell % GRID : Math.floor(cell / GRID);
    return ((place + 0.5) / GRID * 2 - 1) * 1.1;
  });

  function train({ blocks, shortcut, learningRate, warmup }: Settings, steps = STEPS): Run {
    const { x, labels } = points(), net = weights(blocks);
    const gradients = zerosLike(net), velocities = zerosLike(net);
    const [numbers, slopes, speeds] = [listOf(net), listOf(gradients), listOf(velocities)];
    const losses: number[] = [];
    let firstNorms: readonly number[] = [];
    for (let step = 0; step < steps; step++) {
      const pass = forward(net, x, shortcut);
      losses.push(lossOf(pass.logits, labels));
      backward(net, pass, labels, shortcut, gradients);
      if (step === 0) firstNorms = norms(gradients);
      const rate = learningRate * Math.min(1, (step + 1) / Math.max(1, warmup));
      numbers.forEach((values, n) => {
        const speed = speeds[n]!, slope = slopes[n]!;
        for (let i = 0; i < values.length; i++) {
          speed[i] = MOMENTUM * speed[i]! + slope[i]!;
          values[i]! -= rate * speed[i]!;
        }
      });
    }
    const end = forward(net, x, shortcut);
    losses.push(lossOf(end.logits, labels));
    backward(net, end, labels, shortcut, gradients);
    const right = end.logits.filter((logit, i) => (logit > 0) === (labels[i] === 1)).length;
    return {
      losses,
      firstNorms: steps === 0 ? norms(gradients) : firstNorms,
      lastNorms: norms(gradients),
      accuracy: right / POINTS,
      answers: Array.from(
        forward(net, grid, shortcut, end.passes).logits,
        (logit) => logit > 0 ? "1" : "0",
      ).join(""),
    };
  }
  const known = new Map<string, Run>();
  const keyOf = ({ blocks, shortcut, learningRate, warmup }: Settings) =>
    [blocks, shortcut, learningRate, warmup].join();
  for (const run of options.recorded ?? []) known.set(keyOf(run), run);
  function runOf(settings: Settings): Run {
    const key = keyOf(settings), run = known.get(key) ?? train(settings);
    known.set(key, run);
    return run;
  }

  const settingsOf = ({ blocks, shortcut, learningRate, warmup }: Settings): Settings => ({
    ...{ blocks, shortcut, learningRate, warmup },
  });
  const first: Settings = {
    blocks: options.blocks ?? 27,
    shortcut: options.shortcut ?? 1,
    learningRate: options.learningRate ?? 0.1,
    warmup: options.warmup ?? 0,
  };
  const initial: State = {
    ...first,
    runs: first.shortcut === 0 ? [first] : [{ ...first, shortcut: 0 }, first],
  };

  const nameOf = ({ blocks, shortcut, learningRate, warmup }: Settings) =>
    `${2 * blocks + 2} layers, α ${num(shortcut)}, rate ${num(learningRate)}` +
    (warmup === 0 ? "" : `, warm-up ${warmup}`);
  const color = (index: number) => kit.colors[index % kit.colors.length]!;
  const dashes = ["", "6 3", "2 3", "8 3 2 3"];
  const round = (value: number) => Math.round(10 * value) / 10;
  const percent = (share: number) => `${Math.round(100 * share)} %`;

  /** Curves over a logarithmic axis. */
  function chart(
    label: string,
    xTitle: string,
    yTitle: string,
    curves: readonly (readonly number[])[],
    [low, high]: readonly [number, number],
    start: number,
  ): string {
    const WIDTH = 296, HEIGHT = 230, LEFT = 50, TOP = 22, BOTTOM = 190;
    const longest = Math.max(1, ...curves.map(({ length }) => length - 1));
    const column = (i: number) => LEFT + i / longest * (WIDTH - LEFT - 12);
    const row = (value: number) => {
      const decade = Math.max(low, Math.min(high, Math.log10(value)));
      return BOTTOM - (decade - low) / (high - low) * (BOTTOM - TOP);
    };
    const apart = Math.ceil((high - low) / 8);
    const decades = Array.from({ length: high - low + 1 }, (_, i) => low + i)
      .filter((decade) => (decade - low) % apart === 0);
    const ticks = [0, 0.25, 0.5, 0.75, 1].map((part) => Math.round(part * longest));
    return kit.svg(
      WIDTH,
      HEIGHT,
      label,
      decades.map((decade) => {
        const y = round(row(10 ** decade));
        const name = decade < -3 || decade > 4 ? `1e${decade}` : num(10 ** decade);
        return `<path class="grid" d="M${LEFT} ${y}H${WIDTH - 12}"/>` +
          text(LEFT - 5, y + 4, name.replaceAll("-", "−"), 'class="small end"');
      }).join("") +
        [...new Set(ticks)].map((tick) =>
          text(column(tick), BOTTOM + 15, String(tick + start), 'class="small middle"')
        ).join("") +
        `<path class="line" d="M${LEFT} ${TOP}V${BOTTOM}H${WIDTH - 12}"/>` +
        curves.map((curve, index) => {
          const points = curve.flatMap((value, i) =>
            Number.isNaN(value) ? [] : [`${round(column(i))} ${round(row(value))}`]
          );
          return points.length === 0 ? "" : `<path class="curve" stroke="${color(index)}" ` +
            `stroke-dasharray="${dashes[index % 4]}" d="M${points.join("L")}"/>`;
        }).join("") +
        text(LEFT, TOP - 8, yTitle, 'class="bold"') +
        text((WIDTH + LEFT) / 2, HEIGHT - 8, xTitle, 'class="middle"'),
    );
  }

  /** The points, and the answers of the newest network. */
  function picture(run: Run | undefined): string {
    const SIZE = 206, cell = SIZE / GRID;
    const place = (value: number) => round((value / 1.1 + 1) / 2 * SIZE);
    let cells = "";
    for (let row = 0; run && row < GRID; row++) {
      for (let from = 0; from < GRID; from++) {
        let to = from;
        while (to < GRID && run.answers[row * GRID + to] === "1") to++;
        if (to === from) continue;
        cells += `M${round(from * cell)} ${round(row * cell)}H${round(to * cell)}` +
          `V${round((row + 1) * cell)}H${round(from * cell)}Z`;
        from = to;
      }
    }
    const { x, labels } = points();
    const dots = [0, 1].map((label) =>
      Array.from(
        labels,
        (own, i) => own === label ? `M${place(x[2 * i]!)} ${place(x[2 * i + 1]!)}h0.01` : "",
      ).join("")
    );
    return kit.svg(
      SIZE,
      230,
      run ? `Two spirals; ${percent(run.accuracy)} of the points are right.` : "Two spirals.",
      `<rect width="${SIZE}" height="${SIZE}" fill="${color(0)}" opacity="0.16"/>` +
        `<path d="${cells}" fill="var(--paper)"/>` +
        `<path d="${cells}" fill="${color(1)}" opacity="0.22"/>` +
        `<path class="dots" stroke="${color(0)}" stroke-linecap="round" d="${dots[0]}"/>` +
        `<path class="dots" stroke="${color(1)}" stroke-linecap="square" d="${dots[1]}"/>` +
        text(
          SIZE / 2,
          223,
          run ? `newest run: ${percent(run.accuracy)} right` : "not trained",
          'class="middle"',
        ),
    );
  }

  /** The decades that hold all numbers. */
  function decadesOf(curves: readonly (readonly number[])[]): [number, number] {
    const all = curves.flat().filter((value) => value > 0 && value < Infinity).map(Math.log10);
    if (all.length === 0) return [-3, 1];
    const low = Math.max(-12, Math.floor(Math.min(...all)));
    return [low, Math.max(low + 1, Math.min(12, Math.ceil(Math.max(...all))))];
  }

  /** The mean loss of the last ten steps. */
  const endOf = ({ losses }: Run) => losses.slice(-10).reduce((sum, loss) => sum + loss) / 10;

  function describe({ runs }: State): string {
    const ends = runs.map((settings) => {
      const run = runOf(settings);
      return `${nameOf(settings)}: loss ${num(endOf(run), 2)} after ${STEPS} steps`;
    });
    return `Networks that learn to tell two spirals apart. ${
      ends.join("; ") || "None is trained"
    }.`;
  }

  function views(state: State): Record<string, string> {
    const runs = state.runs.map((settings) => runOf(settings));
    const losses = runs.map((run) => run.losses), gradients = runs.map((run) => run.firstNorms);
    const isNew = state.runs.every((settings) => keyOf(settings) !== keyOf(state));
    return {
      picture: picture(runs.at(-1)),
      losses: chart(describe(state), "step", "loss", losses, [-3, 2], 0),
      norms: chart(
        "The norm of the gradient of each layer before the first step.",
        "layer",
        "gradient norm before the first step",
        gradients,
        decadesOf(gradients),
        1,
      ),
      results: state.runs.map((settings, i) =>
        `<li><b style="color: ${color(i)}">${nameOf(settings)}</b>: loss ` +
        `<span data-result="${i}">${num(endOf(runs[i]!), 2)}</span>, ` +
        `${percent(runs[i]!.accuracy)} right</li>`
      ).join(""),
      hint: isNew
        ? `Press Train for ${nameOf(state)}.`
        : "Change a setting, then press Train. A loss below 0.001 is drawn at the lower end.",
    };
  }

  const ends = {
    blocks: [1, 27],
    shortcut: [0, 1],
    learningRate: [0.001, 1],
    warmup: [0, 100],
  } as const;

  function act(state: State, { kind, name, value }: Action): State {
    if (kind === "press") {
      if (name === "clear") return { ...state, runs: [] };
      const settings = settingsOf(state);
      if (state.runs.some((run) => keyOf(run) === keyOf(settings))) return state;
      return { ...state, runs: [...state.runs, settings].slice(-kit.colors.length) };
    }
    if (kind !== "set") return state;
    const key = name as keyof typeof ends, [low, high] = ends[key];
    const number = kit.read(value, state[key], low, high);
    return { ...state, [key]: key === "blocks" || key === "warmup" ? Math.round(number) : number };
  }

  return {
    css: `.dots { fill: none; stroke-width: 5; } ul { margin: 2px 0 0; padding-left: 18px; }`,
    initial,
    pictures: ["picture", "losses", "norms"],
    describe,
    layout: `<div class="controls">
${kit.slider("blocks", "blocks", { low: 1, high: 27, step: 1 })}
${kit.slider("shortcut", "shortcut α", { low: 0, high: 1, step: 0.05 })}
${kit.slider("learningRate", "rate", { low: 0.001, high: 1, step: 0.001, log: true })}
${kit.slider("warmup", "warm-up steps", { low: 0, high: 100, step: 5 })}
${kit.button("train", "Train")} ${kit.button("clear", "Clear")}
</div>
<div class="panels"><div data-view="picture"></div><div data-view="losses"></div>
<div data-view="norms"></div></div>
<ul data-view="results" role="status"></ul>
<p class="reading" data-view="hint"></p>`,
    views,
    values: ({ blocks, shortcut, learningRate, warmup }) => ({
      blocks: String(blocks),
      shortcut: String(shortcut),
      learningRate: String(learningRate),
      warmup: String(warmup),
    }),
    act,
    points,
    weights,
    train,
  };
}

/** Does the first trainings of a figure, so that a page shows them without doing them again. */
export function recordRuns(kit: Kit, options: ShortcutSwitchOptions): RecordedRun[] {
  const { initial, train } = shortcutSwitch(kit, options);
  const rounded = (numbers: readonly number[]) =>
    numbers.map((value) => Number(value.toPrecision(3)));
  return initial.runs.map((settings) => {
    const run = train(settings);
    return {
      ...settings,
      ...run,
      losses: rounded(run.losses),
      firstNorms: rounded(run.firstNorms),
      lastNorms: rounded(run.lastNorms),
    };
  });
}
