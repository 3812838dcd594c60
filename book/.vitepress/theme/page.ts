/// <reference lib="dom" />
/** Adds to a page what needs scripts. Without them it shows everything, as pictures and text. */
import { addCharts } from "./charts.ts";
import { addFigures } from "./figures.ts";
import { addLive } from "./live.ts";
import { addPredictions } from "./predictions.ts";
import { listenForTypes } from "./types.ts";

/** Adds to the page that is shown now. */
export function enhance(): void {
  const page = document.querySelector<HTMLElement>(".vp-doc");
  if (!page) return;
  addCharts(page);
  addFigures(page);
  addLive(page);
  addPredictions(page);
  reachWide(page);
}

/** Makes formulas, code and charts that are wider than the page scroll, by the keyboard too. */
function reachWide(page: HTMLElement): void {
  for (const element of page.querySelectorAll<HTMLElement>("p, pre, .chart > .wide")) {
    if (element.scrollWidth > element.clientWidth) element.tabIndex = 0;
  }
}

/** Listens to what happens on all pages. */
export function listen(): void {
  listenForTypes();
  // A file that is dropped beside the figure would take the place of the page.
  for (const type of ["dragover", "drop"]) {
    addEventListener(type, (event) => {
      if (document.querySelector("[data-live]")) event.preventDefault();
    });
  }
  addEventListener("resize", () => {
    const page = document.querySelector<HTMLElement>(".vp-doc");
    if (page) reachWide(page);
  });
  let undo: (() => void) | undefined;
  addEventListener("beforeprint", () => undo ??= preparePrint());
  addEventListener("afterprint", () => {
    undo?.();
    undo = undefined;
  });
}

/** Makes the page ready for paper, and returns what undoes that. */
function preparePrint(): () => void {
  // What has not come near the window yet would be missing on paper.
  for (const image of document.querySelectorAll("img")) image.loading = "eager";
  const folded = document.querySelectorAll<HTMLDetailsElement>("details:not([open])");
  for (const details of folded) details.open = true;
  // Paper is white, and printers leave backgrounds out.
  const { classList } = document.documentElement, isDark = classList.contains("dark");
  classList.remove("dark");
  return () => {
    for (const details of folded) details.open = false;
    if (isDark) classList.add("dark");
  };
}
