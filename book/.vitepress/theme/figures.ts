/// <reference lib="dom" />
/** The interactive figures of the library, put in the place of their pictures. */

declare global {
  interface ImportMeta {
    /** Returns a function for each file that loads it as a module; a part of Vite. */
    glob(path: string): Readonly<Record<string, () => Promise<object>>>;
  }
}

// An import would make Deno install the packages of the whole library for the book too.
const [loadFigures] = Object.values(import.meta.glob("../../../lib/interactive/browser.ts"));

/** Mounts the figures of a page when they come near the window. */
export function addFigures(page: HTMLElement): void {
  const observer = new IntersectionObserver((entries) => {
    for (const { target, isIntersecting } of entries) {
      if (!isIntersecting || !(target instanceof HTMLElement)) continue;
      observer.unobserve(target);
      mount(target).catch((error: unknown) => console.error(error));
    }
  }, { rootMargin: "400px" });
  for (const place of page.querySelectorAll<HTMLElement>("[data-figure]")) observer.observe(place);
}

async function mount(place: HTMLElement): Promise<void> {
  const [figures, response] = await Promise.all([
    loadFigures!(),
    fetch(place.dataset.options!),
  ]);
  const figure: unknown = Reflect.get(figures, place.dataset.figure!);
  if (typeof figure !== "function") {
    throw new TypeError(`Mounting a figure: there is no figure ${place.dataset.figure}.`);
  }
  figure(place, await response.json());
}
