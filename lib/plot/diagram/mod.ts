/**
 * Drawings that explain convolutional networks: a sliding window, the receptive field of a unit,
 * the blocks and the stages of a network, nested classes of functions, and the numbers that a
 * normalisation averages.
 *
 * All but the blocks are as wide as half a page, so that they stay readable on a phone.
 *
 * @module
 */
export * from "./sliding_window.ts";
export * from "./receptive_field.ts";
export * from "./blocks.ts";
export * from "./stages.ts";
export * from "./function_classes.ts";
export * from "./normalization.ts";
