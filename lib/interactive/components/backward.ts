import type { Action, Component, Kit } from "../component.ts";

/** A formula whose graph is walked back. */
export type Formula = "(a·b + c)²" | "x·x + x";

/** The options of {@linkcode interactive.backward}: what it shows at first. */
export interface BackwardOptions {
  /**
   * The formula.
   *
   * @default "(a·b + c)²"
   */
  formula?: Formula;
  /**
   * Whether a gradient that arrives replaces the one that is there (`=`) or is added (`+=`).
   *
   * @default "+="
   */
  arrival?: "+=" | "=";
  /**
   * The values of the inputs, by name.
   *
   * @default a = 2, b = −3, c = 10 and x = 3
   */
  values?: Readonly<Record<string, number>>;
}

/** A node: an input, or a step of the computation. */
interface Node {
  readonly name: string;
  readonly op: "" | "·" | "+" | "²";
  /** Indices of the nodes that it is made from. */
  readonly from: readonly number[];
  /** The text in the node. */
  readonly text: string;
  /** Its place in the drawing for wide windows, and in that for narrow ones. */
  readonly wide: readonly [x: number, y: number];
  readonly tall: readonly [x: number, y: number];
}

/** One addition to a gradient: from a node, along one of its inputs. */
interface Contribution {
  readonly from: number;
  readonly to: number;
  /** Which of the inputs of `from`. */
  readonly input: number;
  readonly local: number;
  readonly upstream: number;
}

/** The state of the figure. */
interface State {
  readonly formula: Formula;
  readonly arrival: "+=" | "=";
  /** Whether each node waits until all its gradients have arrived, or hands on too early. */
  readonly order: "last first" | "first first";
  /** The values of the inputs of both formulas. */
  readonly inputs: Readonly<Record<string, number>>;
  /** The number of nodes whose backward step has run. */
  readonly steps: number;
}

/** The gradients after some steps of the walk. */
export interface BackwardWalk {
  /** The value of each node. */
  readonly values: readonly number[];
  /** The gradient of each node, or undefined where none has arrived. */
  readonly gradients: readonly (number | undefined)[];
  /** The gradients that the nodes have passed to their inputs, step by step. */
  readonly steps: readonly (readonly Contribution[])[];
}

/**
 * The graph of a formula, and the walk back over it.
 *
 * The text of this function is part of each figure: it refers to nothing outside of itself.
 */
export function backward(
  kit: Kit,
  options: BackwardOptions,
): Component<State> & {
  walk(state: State): BackwardWalk;
  names(formula: Formula): readonly string[];
} {
  const { num, text } = kit;
  const graphs: Readonly<Record<Formula, readonly Node[]>> = {
    "(a·b + c)²": [
      { name: "a", op: "", from: [], text: "a", wide: [60, 50], tall: [60, 64] },
      { name: "b", op: "", from: [], text: "b", wide: [60, 160], tall: [262, 64] },
      { name: "p", op: "·", from: [0, 1], text: "p = a·b", wide: [245, 105], tall: [160, 180] },
      { name: "c", op: "", from: [], text: "c", wide: [245, 235], tall: [302, 180] },
      { name: "s", op: "+", from: [2, 3], text: "s = p + c", wide: [440, 160], tall: [205, 295] },
      { name: "L", op: "²", from: [4], text: "L = s²", wide: [635, 160], tall: [205, 405] },
    ],
    "x·x + x": [
      { name: "x", op: "", from: [], text: "x", wide: [80, 165], tall: [70, 64] },
      { name: "p", op: "·", from: [0, 0], text: "p = x·x", wide: [350, 80], tall: [215, 210] },
      { name: "y", op: "+", from: [1, 0], text: "y = p + x", wide: [620, 165], tall: [70, 360] },
    ],
  };
  const formulas = Object.keys(graphs) as Formula[];
  const initial: State = {
    formula: options.formula ?? formulas[0]!,
    arrival: options.arrival ?? "+=",
    order: "last first",
    inputs: { a: 2, b: -3, c: 10, x: 3, ...options.values },
    steps: 0,
  };

  function names(formula: Formula): readonly string[] {
    return graphs[formula].filter(({ op }) => op === "").map(({ name }) => name);
  }

  /** The value of a node, and its derivative in each of its inputs. */
  function compute({ op }: Node, inputs: readonly number[]): readonly [number, readonly number[]] {
    const [first = 0, second = 0] = inputs;
    if (op === "·") return [first * second, [second, first]];
    if (op === "+") return [first + second, [1, 1]];
    return [first ** 2, [2 * first]];
  }

  /** The nodes that hand on, in the order in which they do. */
  function order(state: State): readonly number[] {
    const nodes = graphs[state.formula];
    // Each node stands after its inputs, so this order is topological.
    const steps = nodes.flatMap(({ op }, index) => op === "" ? [] : [index]);
    return state.order === "first first" ? steps : steps.reverse();
  }

  function walk(state: State): BackwardWalk {
    const nodes = graphs[state.formula];
    const values: number[] = [], locals: (readonly number[])[] = [];
    for (const node of nodes) {
      const inputs = node.from.map((index) => values[index]!);
      const [value, local] = node.op === ""
        ? [state.inputs[node.name]!, []] as const
        : compute(node, inputs);
      values.push(value);
      locals.push(local);
    }
    const gradients: (number | undefined)[] = nodes.map(() => undefined);
    gradients[nodes.length - 1] = 1;
    const steps = order(state).slice(0, state.steps).map((from) =>
      nodes[from]!.from.map((to, input): Contribution => {
        const local = locals[from]![input]!, upstream = gradients[from] ?? 0;
        const before = state.arrival === "=" ? 0 : gradients[to] ?? 0;
        gradients[to] = before + local * upstream;
        return { from, to, input, local, upstream };
      })
    );
    return { values, gradients, steps };
  }

  /** The local derivatives, also of the nodes whose backward step has not run. */
  function localOf(values: readonly number[], node: Node, input: number): number {
    return compute(node, node.from.map((index) => values[index]!))[1][input]!;
  }

  type Shape = "wide" | "tall";
  const radius = 31;
  const sizes: Readonly<Record<Shape, readonly [number, number]>> = {
    wide: [700, 290],
    tall: [345, 445],
  };

  /** The ends of an edge on the circles of its nodes, and its middle. */
  function edge(nodes: readonly Node[], to: Node, input: number, shape: Shape) {
    const from = nodes[to.from[input]!]!, [x1, y1] = from[shape], [x2, y2] = to[shape];
    // The first of two edges between the same nodes is bent, and so is an edge that passes a node.
    const isTwin = to.from[0] === to.from[1] && input === 0;
    const passes = shape === "wide" && to.name === "y" && from.name === "x";
    const bend = isTwin ? -95 : passes ? 70 : 0;
    const length = Math.hypot(x2 - x1, y2 - y1);
    const control = [
      (x1 + x2) / 2 - (y2 - y1) / length * bend,
      (y1 + y2) / 2 + (x2 - x1) / length * bend,
    ] as const;
    const outside = ([x, y]: readonly [number, number]) => {
      const [dx, dy] = [control[0] - x, control[1] - y], part = (radius + 2) / Math.hypot(dx, dy);
      return [x + dx * part, y + dy * part] as const;
    };
    const start = outside(from[shape]), end = outside(to[shape]);
    const middle = [0, 1].map((i) => (start[i]! + 2 * control[i]! + end[i]!) / 4);
    return { start, control, end, middle };
  }

  function graph(state: State, shape: Shape): string {
    const nodes = graphs[state.formula];
    const { values, gradients, steps } = walk(state);
    const next = order(state)[state.steps], latest = steps.at(-1) ?? [];
    const round = (numbers: readonly number[]) => numbers.map((n) => Math.round(n)).join(" ");
    const edges = nodes.flatMap((node, index) =>
      node.from.map((_, input) => {
        const { start, control, end, middle } = edge(nodes, node, input, shape);
        const one = latest.find((one) => one.from === index && one.input === input);
        const local = localOf(values, node, input);
        const css = one ? "edge back" : index === next ? "edge next" : "edge";
        const [x = 0, y = 0] = middle;
        const written = one
          ? `${num(local)} · ${num(one.upstream)} = ${num(local * one.upstream)}`
          : `× ${num(local)}`;
        const width = written.length * 7 + 6;
        return `<path class="${css}" d="M${round(start)}Q${round(control)} ${round(end)}" ` +
          `marker-${one ? "start" : "end"}="url(#${one ? "back" : "arrow"}-${shape})"/>` +
          `<rect class="label" x="${x - width / 2}" y="${y - 9}" width="${width}" height="18"/>` +
          text(x, y + 4, written, `class="middle${one ? " hot" : ""}"`);
      })
    );
    const circles = nodes.map((node, index) => {
      const gradient = gradients[index], isNew = latest.some(({ to }) => to === index);
      const [x, y] = node[shape], css = index === next ? "node next" : "node";
      const written = gradient === undefined ? "" : `gradient ${num(gradient, 4)}`;
      const color = isNew ? "hot" : "gradient";
      return `<circle class="${css}" cx="${x}" cy="${y}" r="${radius}"/>` +
        text(x, y - 3, node.text, 'class="small middle bold"') +
        text(x, y + 14, num(values[index]!, 4), 'class="middle"') +
        (shape === "wide"
          ? text(x, y + radius + 16, written, `class="middle bold ${color}"`)
          : node.op === ""
          ? text(x, y - radius - 8, written, `class="middle bold ${color}"`)
          : text(x + radius + 6, y + 4, written, `class="bold ${color}"`));
    });
    const marker = (name: string, path: string, tip: number) =>
      `<marker id="${name}-${shape}" viewBox="0 0 8 8" refX="${tip}" refY="4" markerWidth="6" ` +
      `markerHeight="6" orient="auto"><path d="${path}" class="${name}"/></marker>`;
    return kit.svg(
      ...sizes[shape],
      describe(state),
      `<defs>${marker("arrow", "M0 0L8 4L0 8z", 8)}${marker("back", "M8 0L0 4L8 8z", 0)}</defs>` +
        edges.join("") + circles.join(""),
    );
  }

  /** The last step, in words and numbers. */
  function said(state: State): string {
    const nodes = graphs[state.formula], { steps, gradients } = walk(state);
    const last = nodes.at(-1)!.name, latest = steps.at(-1);
    if (latest === undefined) {
      return `The gradient of ${last} in itself is 1. Each number on an edge is a local derivative.`;
    }
    const from = nodes[latest[0]!.from]!;
    const parts = latest.map(({ to, local, upstream }) =>
      `${nodes[to]!.name} ${state.arrival} ${num(local)} · ${num(upstream)}`
    );
    const isEarly = gradients[latest[0]!.from] === undefined;
    const waiting = isEarly ? " No gradient had arrived there yet: it hands on 0." : "";
    const end = state.steps < order(state).length ? "" : ` At the end: ${result(state)}.`;
    return `${from.name} hands on local · upstream: ${parts.join(", ")}.${waiting}${end}`;
  }

  /** The gradients of the inputs, as text. */
  function result(state: State): string {
    const nodes = graphs[state.formula], { gradients } = walk(state), last = nodes.at(-1)!.name;
    return names(state.formula).map((name) => {
      const gradient = gradients[nodes.findIndex((node) => node.name === name)] ?? 0;
      return `∂${last}/∂${name} = ${num(gradient, 4)}`;
    }).join(", ");
  }

  /** The slopes that a nudge measures, to compare with. */
  function measured(state: State): string {
    const nodes = graphs[state.formula], last = nodes.at(-1)!.name;
    const valueAt = (name: string, nudge: number) => {
      const inputs = { ...state.inputs, [name]: state.inputs[name]! + nudge };
      return walk({ ...state, inputs }).values.at(-1)!;
    };
    const slopes = names(state.formula).map((name) => {
      const h = 1e-4 * Math.max(1, Math.abs(state.inputs[name]!));
      const slope = (valueAt(name, h) - valueAt(name, -h)) / (2 * h);
      return `${name}: ${num(Number(slope.toFixed(4)), 4)}`;
    });
    return `Slopes of ${last} measured by a nudge: ${slopes.join(", ")}.`;
  }

  function describe(state: State): string {
    const { values } = walk(state), nodes = graphs[state.formula];
    const given = names(state.formula).map((name) => `${name} = ${num(state.inputs[name]!)}`);
    return `The graph of ${nodes.at(-1)!.name} = ${state.formula} at ${given.join(", ")}, where ` +
      `it is ${num(values.at(-1)!, 4)}, with the local derivative on each edge; after ` +
      `${state.steps} of ${order(state).length} steps back.`;
  }

  function editor({ formula }: State): string {
    return names(formula).map((name) =>
      `<label>${name} <input type="number" step="any" data-name="value ${name}"></label>`
    ).join(" ");
  }

  function act(state: State, { kind, name, value }: Action): State {
    const last = order(state).length;
    if (kind === "press") {
      const steps = { step: state.steps + 1, undo: state.steps - 1, all: last, reset: 0 }[name] ??
        0;
      return { ...state, steps: Math.max(0, Math.min(last, steps)) };
    }
    if (kind !== "set") return state;
    if (name.startsWith("value ")) {
      const input = name.slice(6), old = state.inputs[input]!;
      return { ...state, inputs: { ...state.inputs, [input]: kit.read(value, old, -1e4, 1e4) } };
    }
    return { ...state, [name]: value, steps: name === "arrival" ? state.steps : 0 };
  }

  return {
    css: `.edge { stroke: var(--line); stroke-width: 1.5; fill: none; }
.edge.next { stroke: #1e82c8; stroke-width: 2.5; } .edge.back { stroke: #d55e00; stroke-width: 2.5; }
.node { fill: var(--soft); stroke: var(--line); stroke-width: 1.5; }
.node.next { stroke: #1e82c8; stroke-width: 4; } .label { fill: var(--paper); }
.arrow { fill: var(--line); } .back:not(.edge) { fill: #d55e00; }
text.hot { fill: #d55e00; font-weight: bold; } text.gradient { fill: #1e82c8; }
[data-view=tall] { display: none; }
@container (max-width: 640px) {
  [data-view=wide] { display: none; } [data-view=tall] { display: block; }
}`,
    initial,
    pictures: ["wide"],
    describe,
    layout: `<div class="controls">
${kit.choice("formula", "Formula", formulas.map((formula) => [formula, formula]))}
<span data-view="editor"></span>
${kit.choice("arrival", "A gradient that arrives is", [["+=", "added (+=)"], ["=", "stored (=)"]])}
${
      kit.choice("order", "Order", [
        ["last first", "last first (right)"],
        ["first first", "first first (too early)"],
      ])
    }
</div>
<div class="controls" style="margin-top: 8px">
${kit.button("step", "One step back")} ${kit.button("undo", "Undo")} ${
      kit.button("all", "All steps")
    }
${kit.button("reset", "Start again")}
</div>
<div data-view="wide"></div><div data-view="tall"></div>
<div class="reading" data-view="said" role="status"></div>
<div class="reading" data-view="measured"></div>`,
    views: (state) => ({
      wide: graph(state, "wide"),
      tall: graph(state, "tall"),
      said: said(state),
      editor: editor(state),
      measured: measured(state),
    }),
    values: (state) => ({
      formula: state.formula,
      arrival: state.arrival,
      order: state.order,
      ...Object.fromEntries(
        Object.entries(state.inputs).map(([name, value]) => [`value ${name}`, String(value)]),
      ),
    }),
    act,
    walk,
    names,
  };
}
