/** Buttons that bring another part of a tall figure into view. */
import type { PageRoot } from "./component.ts";

/** Lays out a button that shows the element of a selector. */
export function jump(selector: string, label: string): string {
  return `<button type="button" class="jump" data-jump="${selector}">${label}</button>`;
}

/** Makes the buttons of a figure work. */
export function listenForJumps(root: PageRoot): void {
  root.addEventListener("click", ({ target }) => {
    const selector = target.closest("[data-jump]")?.dataset.jump;
    if (selector === undefined) return;
    for (const element of root.querySelectorAll(selector)) element.scrollIntoView?.();
  });
}
