/**
 * The interactive figures for web pages, without the rest of the library: each member puts a live
 * figure in the place of an element's contents. A page sets its colours by JupyterLab's names, such
 * as `--jp-layout-color0`; without them the figures follow `prefers-color-scheme`.
 *
 * @example
 * ```ts ignore
 * import { valley } from "./lib/interactive/browser.ts";
 *
 * valley(document.querySelector("#valley"), { learningRate: 0.1 });
 * ```
 */
import type { Component, Kit, PageElement } from "./component.ts";
import { backward as makeBackward } from "./components/backward.ts";
import { inceptionMixer as makeInceptionMixer } from "./components/inception_mixer.ts";
import { kernelMixer as makeKernelMixer } from "./components/kernel_mixer.ts";
import { kernelWorkshop as makeKernelWorkshop } from "./components/kernel_workshop.ts";
import { normalizer as makeNormalizer } from "./components/normalizer.ts";
import { pushedPicture as makePushedPicture } from "./components/pushed_picture.ts";
import { receptiveField as makeReceptiveField } from "./components/receptive_field.ts";
import { scores as makeScores } from "./components/scores.ts";
import { shortcutSwitch as makeShortcutSwitch } from "./components/shortcut_switch.ts";
import { valley as makeValley } from "./components/valley.ts";
import { makeKit } from "./kit.ts";

/** Puts a live figure in the place of an element's contents. */
type Mount<Options> = (place: PageElement, options?: Options) => void;

function mounted<Options, State>(
  maker: (kit: Kit, options: Options) => Component<State>,
): Mount<Options> {
  return (place, options = {} as Options) => {
    const kit = makeKit();
    kit.mount(place, maker(kit, options));
  };
}

/** The figure of `interactive.valley`. */
export const valley: Mount<Parameters<typeof makeValley>[1]> = mounted(makeValley);

/** The figure of `interactive.kernelMixer`. */
export const kernelMixer: Mount<Parameters<typeof makeKernelMixer>[1]> = mounted(makeKernelMixer);

/** The figure of `interactive.kernelWorkshop`. */
export const kernelWorkshop: Mount<Parameters<typeof makeKernelWorkshop>[1]> = mounted(
  makeKernelWorkshop,
);

/** The figure of `interactive.backward`. */
export const backward: Mount<Parameters<typeof makeBackward>[1]> = mounted(makeBackward);

/** The figure of `interactive.scores`. */
export const scores: Mount<Parameters<typeof makeScores>[1]> = mounted(makeScores);

/** The figure of `interactive.receptiveField`. */
export const receptiveField: Mount<Parameters<typeof makeReceptiveField>[1]> = mounted(
  makeReceptiveField,
);

/** The figure of `interactive.shortcutSwitch`. */
export const shortcutSwitch: Mount<Parameters<typeof makeShortcutSwitch>[1]> = mounted(
  makeShortcutSwitch,
);

/** The figure of `interactive.normalizer`. */
export const normalizer: Mount<Parameters<typeof makeNormalizer>[1]> = mounted(makeNormalizer);

/** The figure of `interactive.inceptionMixer`. */
export const inceptionMixer: Mount<Parameters<typeof makeInceptionMixer>[1]> = mounted(
  makeInceptionMixer,
);

/** The figure of `interactive.pushedPicture`, with networks and pictures as JSON. */
export const pushedPicture: Mount<Parameters<typeof makePushedPicture>[1]> = mounted(
  makePushedPicture,
);
