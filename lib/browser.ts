/**
 * The library in a web page: `deno task bundle` makes one file of this module and all that it
 * imports. Where a file `x.page.ts` lies beside `x.ts`, the bundle has the former.
 *
 * @module
 */
export * from "./tensor/mod.ts";
export * from "./nn/mod.ts";
export * from "./models/mod.ts";
export {
  augmentation,
  batches,
  compose,
  fashionMnist,
  ImageDataset,
  normalize,
  readImage,
  resize,
  syntheticImages,
} from "./data/mod.ts";
export { loadStateDict, readSafetensors, stateDict, timm } from "./weights/mod.ts";
export * from "./train/mod.ts";
export * from "./plot/mod.ts";
export * as interactive from "./interactive/page.ts";
