/// <reference lib="dom" />
/** The interactive figures of the library, put in the place of their pictures. */

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
    import("../../../lib/interactive/browser.ts"),
    fetch(place.dataset.options!),
  ]);
  const figure: unknown = Reflect.get(figures, place.dataset.figure!);
  if (typeof figure !== "function") {
    throw new TypeError(`Mounting a figure: there is no figure ${place.dataset.figure}.`);
  }
  figure(place, await response.json());
}
