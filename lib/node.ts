/**
 * The library in Node and Bun, which have files: `deno task bundle` makes one file of this module
 * and all that it imports. Where a file `x.node.ts` or `x.page.ts` lies beside `x.ts`, the bundle
 * has that one.
 *
 * @module
 */
export * from "./browser.ts";
export { writeSafetensors } from "./weights/mod.ts";
