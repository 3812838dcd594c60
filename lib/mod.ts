/**
 * ResNet Lab: typed networks, layers, data and training on TensorFlow.js, from tensors to ResNet.
 *
 * @module
 */
export * from "./tensor/mod.ts";
export * from "./nn/mod.ts";
export * from "./models/mod.ts";
export * from "./data/mod.ts";
export * from "./train/mod.ts";
export * from "./weights/mod.ts";
export * from "./plot/mod.ts";
export * from "./notebook/mod.ts";
