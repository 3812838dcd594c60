/**
 * Drawings that explain convolutional networks: a sliding window, the receptive field of a unit,
 * the stages of a network on one scale, nested classes of functions, and the numbers that a
 * normalisation averages.
 *
 * They are as wide as half a page, so that they stay readable on a phone.
 *
 * @module
 */
export * from "./sliding_window.ts";
export * from "./receptive_field.ts";
export * from "./stages.ts";
export * from "./function_classes.ts";
export * from "./normalization.ts";
