/** Puts the figure of the page "Train a network" into a page, and trains between its pictures. */
import type { PageElement } from "../component.ts";
import { listenForJumps } from "../jump.ts";
import { makeKit } from "../kit.ts";
import { MOVED, trainingComponent, type TrainingData, type TrainingState } from "./component.ts";
import { type RunHistory, TrainingRun } from "./run.ts";

/** The options of {@linkcode trainNetwork}. */
export interface TrainNetworkOptions {
  /** The state as text, such as the fragment of a link. */
  readonly state?: string;
  /** Called after each change, with the state as text. */
  readonly changed?: (state: string) => void;
}

/** A figure in which a network is trained. */
export interface TrainNetwork {
  /** The state as text. */
  readonly state: string;
  /** The numbers of the training so far. */
  readonly history: RunHistory;
  /** Sets the state from text. */
  set(state: string): void;
}

/** Milliseconds from one picture to the next, and for a step. */
const tempi: Readonly<Record<TrainingState["pace"], readonly [picture: number, step: number]>> = {
  slow: [250, 250],
  medium: [33, 33],
  fast: [100, 0],
};
/** Milliseconds between pictures for readers who avoid motion. */
const CALM = 1000;

/** The part of the page that is used here: the library is checked without its types. */
interface PageGlobals {
  matchMedia(query: string): { readonly matches: boolean };
  requestAnimationFrame(callback: () => void): void;
}

/** Puts the figure in the place of an element's contents. */
export function trainNetwork(
  place: PageElement,
  { state: link = "", changed }: TrainNetworkOptions = {},
): TrainNetwork {
  const page = globalThis as unknown as PageGlobals;
  let text = "", state: TrainingState | undefined, made = 0;
  let run: TrainingRun | undefined;
  /** The training that makes a step now; it is disposed after that step. */
  let busy: TrainingRun | undefined, isWorking = false;

  const data: TrainingData = {
    run(state) {
      if (run && state.run === made) return run;
      if (run !== busy) void run?.dispose();
      made = state.run;
      return run = new TrainingRun(state.settings);
    },
    shown(shown, link) {
      state = shown;
      if (link !== text) {
        text = link;
        changed?.(link);
      }
      void work();
    },
  };

  /** Trains until the step that the state asks for. */
  async function work(): Promise<void> {
    if (isWorking) return;
    isWorking = true;
    // The picture of this state must be shown before the next.
    await undefined;
    const wait = (milliseconds: number) =>
      new Promise<void>((resolve) =>
        setTimeout(() => page.requestAnimationFrame(resolve), milliseconds)
      );
    const isWanted = () => state && run?.canContinue && run.step < state.step;
    let before: number | undefined;
    while (isWanted()) {
      const begin = performance.now();
      const isCalm = page.matchMedia("(prefers-reduced-motion: reduce)").matches;
      // A step to train to is to be reached soon.
      const [short, perStep] = tempi[state!.step === Infinity ? state!.pace : "fast"];
      const interval = isCalm ? CALM : short, passed = () => performance.now() - begin;
      // The picture before may have taken longer than its time.
      const most = Math.max(1, Math.round((begin - (before ?? begin - interval)) / perStep));
      // fit yields to the page's events at each step.
      for (let steps = 0; steps < most && passed() < Math.max(100, interval); steps++) {
        if (!isWanted()) break;
        busy = run!;
        await busy.next();
        if (busy !== run) void busy.dispose();
        busy = undefined;
      }
      command(MOVED);
      before = begin;
      await wait(Math.max(0, interval - passed()));
      // The reader has left the page.
      if (place.isConnected === false) break;
    }
    isWorking = false;
  }

  /** Tells the mounted component what happened outside of it, through a hidden input. */
  function command(value: string): void {
    for (const input of place.shadowRoot!.querySelectorAll("[data-name=command]")) {
      input.value = value;
      (input as unknown as EventTarget).dispatchEvent(new Event("input", { bubbles: true }));
    }
  }

  const kit = makeKit();
  kit.mount(place, trainingComponent(kit, data, link));
  listenForJumps(place.shadowRoot!);
  return {
    get state() {
      return text;
    },
    get history() {
      return run!.history;
    },
    set: command,
  };
}
