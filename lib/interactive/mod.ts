/**
 * Interactive figures: they have sliders and buttons, and compute in the page.
 *
 * A figure is the last expression of a cell. In a notebook that is not trusted, in print and on
 * pages without scripts it is a picture.
 *
 * @module
 */
export * as interactive from "./figures.ts";
export type { InteractiveBundle, InteractiveFigure } from "./figure.ts";
export type { BackwardOptions, Formula } from "./components/backward.ts";
export type { InceptionMixerOptions } from "./components/inception_mixer.ts";
export type { KernelMixerOptions } from "./components/kernel_mixer.ts";
export type { KernelWorkshopOptions, Matrix } from "./components/kernel_workshop.ts";
export type { NormalizedLayer, NormalizerOptions } from "./components/normalizer.ts";
export type { PushedPictureOptions } from "./figures.ts";
export type { ReceptiveFieldOptions, WindowLayer } from "./components/receptive_field.ts";
export type { ScoresOptions } from "./components/scores.ts";
export type { ShortcutSwitchOptions } from "./components/shortcut_switch.ts";
export type { StepRule, Surface, ValleyOptions } from "./components/valley.ts";
