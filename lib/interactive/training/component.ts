/** The figure of the page "Train a network": settings, a training, and its drawings. */
import type { Action, Component, Kit } from "../component.ts";
import { jump } from "../jump.ts";
import { type Curve, drawCurves, drawPlane } from "./drawings.ts";
import type { TrainingRun } from "./run.ts";
import {
  choices,
  isWholeNumber,
  labels,
  LAST_STEP,
  linkOf,
  ranges,
  type Settings,
  type Situation,
  situationOf,
  wantedNumber,
} from "./settings.ts";

/** How fast a training runs: steps in a second, or all that fit. */
export const paces = { slow: "4 steps a second", medium: "30 steps a second", fast: "fast" };

/** The state of the figure. The settings and the step of the training are in its link. */
export interface TrainingState extends Situation {
  /** The number of the training: another number begins anew. */
  readonly run: number;
  /** The step to train to; Infinity until the reader pauses. */
  readonly step: number;
  readonly pace: keyof typeof paces;
}

/** The functions that the figure calls in the page. */
export interface TrainingData {
  /** Returns the training of a state, which it begins if necessary. */
  run(state: TrainingState): TrainingRun;
  /** Called with each state that is shown, and its text for a link. */
  shown(state: TrainingState, link: string): void;
}

/** The command that tells the figure that its training has moved on. */
export const MOVED = "moved";

/** Makes the figure. */
export function trainingComponent(
  kit: Kit,
  data: TrainingData,
  link: string,
): Component<TrainingState> {
  const { escape, num } = kit;

  /** Whether the training goes on. */
  function isRunning(state: TrainingState): boolean {
    const run = data.run(state);
    return run.canContinue && run.step < state.step;
  }

  function mistakes(run: TrainingRun): string {
    const [trained, heldOut] = run.counts, { trainMistakes, heldOutMistakes } = run.history;
    const share = (mistakes: number, count: number, kind: string) =>
      `${mistakes} of ${count} ${kind} points (${(100 * mistakes / count).toFixed(1)}%)`;
    return `${share(trainMistakes.at(-1)!, trained, "training")} and ` +
      `${share(heldOutMistakes.at(-1)!, heldOut, "held-out")}`;
  }

  function said(state: TrainingState): string {
    const { problem, step } = state, run = data.run(state);
    // The text of a running training stays, because it is read aloud when it changes.
    const now = run.problem ||
      (isRunning(state)
        ? step === Infinity ? "The network trains." : `The network trains until step ${step}.`
        : run.step === LAST_STEP
        ? `Step ${LAST_STEP} is the last on this page.`
        : run.step === 0
        ? "The network has its initial weights. Start the training, or let it make one step."
        : `Paused after step ${run.step}. The network is wrong about ${mistakes(run)}.`);
    return problem === "" ? now : `${problem} ${now}`;
  }

  function aboutLoss({ history: { trainLoss, heldOutLoss } }: TrainingRun): string {
    const lowest = heldOutLoss.indexOf(Math.min(...heldOutLoss));
    const rose = heldOutLoss.at(-1)! > 1.25 * heldOutLoss[lowest]!
      ? ` The held-out loss was lowest at step ${lowest}: ${num(heldOutLoss[lowest]!)}.`
      : "";
    return `The mean cross-entropy is ${num(trainLoss.at(-1)!)} on the training points and ` +
      `${
        num(heldOutLoss.at(-1)!)
      } on the held-out points, on which the network is not trained.${rose}`;
  }

  function aboutGradients({ step, history: { gradientNorms } }: TrainingRun): string {
    if (step === 0) return "The norm of the gradient of each layer will be here for each step.";
    const now = gradientNorms.map((norms, layer) =>
      `${num(norms.at(-1)!)} in ${nameOf(layer, gradientNorms.length)}`
    );
    const bottom = gradientNorms.some((norms) => norms.at(-1) === 0)
      ? " On this axis 0 is drawn at the bottom."
      : "";
    return `The norm of the gradient that made step ${step}, of the weights and biases of a layer, ` +
      `was ${now.join(", ")}.${bottom}`;
  }

  function nameOf(layer: number, layers: number): string {
    return layer === layers - 1 ? "output" : `layer ${layer + 1}`;
  }

  /** The curves of both parts of the points, not in the colours of the classes. */
  function bothParts(trained: readonly number[], heldOut: readonly number[]): Curve[] {
    return [
      { name: "training points", values: trained, color: kit.colors[2]! },
      { name: "held-out points", values: heldOut, color: kit.colors[3]! },
    ];
  }

  function views(state: TrainingState): Record<string, string> {
    const run = data.run(state), { history, counts: [trained, heldOut] } = run;
    data.shown(
      state,
      linkOf(state.settings, state.step === Infinity ? run.step : Math.max(run.step, state.step)),
    );
    const wrong = `The network is wrong about ${mistakes(run)}`;
    const shares = (values: readonly number[], count: number) => values.map((one) => one / count);
    const perEpoch = Math.ceil(trained / Math.min(state.settings.batch, trained));
    return {
      toggle: isRunning(state) ? "Pause" : "Start",
      said: escape(said(state)),
      epoch: `${num(run.step / perEpoch)} epochs of ${trained} training points`,
      momentum: state.settings.optimizer === "sgd"
        ? kit.slider("momentum", labels.momentum, ranges.momentum)
        : "",
      plane: drawPlane(kit, run, `The plane with ${trained + heldOut} points. ${wrong}.`),
      aboutPlane: "The colour of a place is that of the class that the network finds more " +
        "probable there, and stronger where it is surer; on the line both are equally " +
        `probable. The network is wrong about the crossed points, ${
          history.trainMistakes.at(-1)! + history.heldOutMistakes.at(-1)!
        } of ${trained + heldOut}.`,
      losses: drawCurves(kit, {
        label: `The loss after each step, on a logarithmic axis. ${aboutLoss(run)}`,
        curves: bothParts(history.trainLoss, history.heldOutLoss),
        isLog: true,
      }),
      aboutLosses: aboutLoss(run),
      gradients: drawCurves(kit, {
        label: `The gradient of each layer at each step, on a logarithmic axis. ${
          aboutGradients(run)
        }`,
        curves: history.gradientNorms.map((values, layer) => ({
          name: nameOf(layer, history.gradientNorms.length),
          values,
          color: kit.colors[layer]!,
        })),
        isLog: true,
      }),
      aboutGradients: aboutGradients(run),
      mistakes: drawCurves(kit, {
        label: `The share of points that the network gets wrong after each step. ${wrong}.`,
        curves: bothParts(
          shares(history.trainMistakes, trained),
          shares(history.heldOutMistakes, heldOut),
        ),
        isLog: false,
      }),
      aboutMistakes: `${wrong}.`,
    };
  }

  /** The state with another training, which goes on if the one before does. */
  function anew(state: TrainingState, change: Partial<TrainingState>): TrainingState {
    const step = state.step === Infinity ? Infinity : 0;
    return { ...state, problem: "", step, run: state.run + 1, ...change };
  }

  function press(state: TrainingState, name: string): TrainingState {
    const { begun } = data.run(state);
    if (name === "restart") return anew(state, { step: 0 });
    const wanted = name === "step" ? begun + 1 : isRunning(state) ? begun : Infinity;
    return { ...state, problem: "", step: wanted };
  }

  /** A sentence about a number that a reader has typed, if another one is taken; otherwise "". */
  function problemOf(name: string, label: string, value: string, taken: string | number): string {
    if (value.trim() === "" || Number(value) === taken) return "";
    return `${label} must be ${wantedNumber(name)}, found ${value}: ${taken} is taken.`;
  }

  function set(state: TrainingState, name: string, value: string): TrainingState {
    if (name === "command") {
      if (value !== MOVED) return anew(state, situationOf(value));
      // A training that has ended waits for the reader.
      return { ...state, step: isRunning(state) ? state.step : data.run(state).step };
    }
    if (name === "pace") return { ...state, pace: value as TrainingState["pace"] };
    if (name === "step") {
      const { begun } = data.run(state), wanted = Math.round(kit.read(value, begun, 0, LAST_STEP));
      const problem = problemOf(name, "step", value, wanted);
      return wanted < begun
        ? anew(state, { step: wanted, problem })
        : { ...state, problem, step: wanted };
    }
    const { settings } = state,
      old = Reflect.get(settings, name),
      range = Reflect.get(ranges, name);
    let changed: string | number = value;
    if (range) {
      const number = kit.read(value, old, range.low, range.high);
      changed = isWholeNumber(name) ? Math.round(number) : number;
    }
    const problem = range
      ? problemOf(name, labels[name as keyof typeof ranges], value, changed)
      : "";
    if (changed === old) return problem === state.problem ? state : { ...state, problem };
    return anew(state, { settings: { ...settings, [name]: changed } as Settings, problem });
  }

  const choice = (name: keyof typeof choices, label: string) =>
    kit.choice(name, label, Object.entries(choices[name]));
  const slider = (name: keyof typeof ranges) => kit.slider(name, labels[name], ranges[name]);
  const drawing = (title: string, view: string) =>
    `<figure><h2>${title}</h2><div data-view="${view}"></div>` +
    `<figcaption data-view="about${view[0]!.toUpperCase()}${view.slice(1)}"></figcaption></figure>`;
  const group = (title: string, ...controls: readonly string[]) =>
    `<div class="group" role="group" aria-label="${title}"><h2>${title}</h2>${
      controls.join("")
    }</div>`;
  const mark = (content: string, label: string, width = 14) =>
    `<span><svg viewBox="-7 -7 ${width} 14" width="${width}" height="14" aria-hidden="true">` +
    `${content}</svg> ${label}</span>`;
  const circle = (look: string) =>
    `<circle class="${look}" style="--own: ${kit.colors[0]}" r="4"/>`;
  const square = (look: string, x = -3.5) =>
    `<rect class="${look}" style="--own: ${
      kit.colors[1]
    }" x="${x}" y="-3.5" width="7" height="7"/>`;
  return {
    css: `:host { max-width: none; }
h2 { margin: 0 0 2px; font: inherit; font-weight: bold; }
.main { display: grid; gap: 12px 20px; margin-top: 8px; }
.drawings { display: flex; flex-wrap: wrap; gap: 14px 20px; min-width: 0; }
.column { flex: 1 1 270px; min-width: 0; max-width: 380px; display: grid; gap: 14px;
  align-content: start; }
figure { margin: 0; } figcaption { font-size: 13px; min-height: 3lh; }
.settings { display: grid; gap: 12px; align-content: start; }
.settings label { display: flex; justify-content: space-between; white-space: nowrap; }
.group { display: grid; gap: 4px; }
.settings input[type=range] { flex: 1 1 60px; min-width: 30px; width: 60px; }
.settings select { flex: 0 1 140px; } .settings input[type=number] { width: 70px; }
label { max-width: 100%; } select { min-width: 0; }
[data-press=toggle] { min-width: 76px; font-weight: bold; }
.marks { display: flex; flex-wrap: wrap; gap: 0 12px; font-size: 13px; }
.marks span { display: inline-flex; gap: 4px; align-items: center; }
.trained { fill: var(--own); stroke: var(--paper); } .held { fill: var(--paper); stroke: var(--own); stroke-width: 2; }
.border { fill: none; stroke: var(--ink); stroke-width: 1.5; }
.halo { fill: none; stroke: var(--paper); stroke-width: 4.5; } .wrong { fill: none; stroke: var(--ink); stroke-width: 2; }
.figure, .settings { scroll-margin-top: 64px; } .settings .jump { justify-self: start; }
@container (max-width: 520px) { [data-view=said] { min-height: 3lh; } }
@container (min-width: 640px) {
  .main { grid-template-columns: minmax(0, 1fr) 256px; }
  .jump { display: none; }
}`,
    initial: { ...situationOf(link), run: 1, pace: "medium" },
    pictures: ["plane", "losses"],
    describe: said,
    layout: `<div class="controls">
<button type="button" data-press="toggle"><span data-view="toggle"></span></button>
${kit.button("step", "One step")} ${kit.button("restart", "Restart")}
<label>Step <input type="number" data-name="step" min="0" max="${LAST_STEP}" step="1"></label>
${kit.choice("pace", "Speed", Object.entries(paces))}
${jump(".settings", "Down to the settings")}
<span data-view="epoch"></span><input type="hidden" data-name="command"></div>
<div class="reading" data-view="said" role="status"></div>
<div class="main"><div class="drawings"><div class="column">
<figure><h2>What the network finds</h2><div data-view="plane"></div>
<div class="marks">${mark(circle("trained"), "blue")}${mark(square("trained"), "orange")}
${mark(circle("held") + square("held", 8), "held out", 24)}
${mark('<path class="wrong" d="M-7 -7l4 4m6 6l4 4m0 -14l-4 4m-6 6l-4 4"/>', "wrong")}</div>
<figcaption data-view="aboutPlane"></figcaption></figure>
${drawing("Mistakes", "mistakes")}
</div><div class="column">
${drawing("Loss", "losses")}
${drawing("Gradient of each layer", "gradients")}
</div></div>
<div class="settings">${jump(".figure", "Up to the start")}${
      group(
        "Points",
        ...[choice("data", "shape"), slider("points"), slider("noise")],
        ...[slider("heldOut"), slider("dataSeed")],
      )
    }${
      group(
        "Network",
        ...[slider("layers"), slider("width")],
        ...[choice("activation", "activation"), choice("start", "initial weights")],
        slider("seed"),
      )
    }${
      group(
        "Optimizer",
        ...[choice("optimizer", "rule"), slider("rate")],
        '<div data-view="momentum"></div>',
        ...[slider("decay"), slider("batch")],
      )
    }
<p class="reading">A change of a setting begins the training anew, so that the settings and the step
say all: equal ones give equal numbers.</p>
</div></div>`,
    views,
    values: (state) => ({
      ...Object.fromEntries(
        Object.entries(state.settings).map(([name, value]) => [name, String(value)]),
      ),
      ...{ step: String(data.run(state).step), pace: state.pace },
    }),
    act(state: TrainingState, { kind, name, value }: Action): TrainingState {
      return kind === "press"
        ? press(state, name)
        : kind === "set"
        ? set(state, name, value)
        : state;
    },
  };
}
