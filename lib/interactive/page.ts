/**
 * The interactive figures for web pages that have the whole library: those of `browser.ts`, and the
 * ones that compute with the library.
 */
export * from "./browser.ts";
export { answerOf, live, liveNetworks, loadLive } from "./live/mod.ts";
export { trainNetwork } from "./training/mod.ts";
