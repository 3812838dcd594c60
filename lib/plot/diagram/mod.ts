/**
 * Drawings that explain convolutional networks: a sliding window, the receptive field of a unit,
<<<<<<< HEAD
 * the stages of a network on one scale, and nested classes of functions.
=======
 * the stages of a network on one scale, and the numbers that a normalisation averages.
>>>>>>> main
 *
 * They are as wide as half a page, so that they stay readable on a phone.
 *
 * @module
 */
export * from "./sliding_window.ts";
export * from "./receptive_field.ts";
export * from "./stages.ts";
<<<<<<< HEAD
export * from "./function_classes.ts";
=======
export * from "./normalization.ts";
>>>>>>> main
