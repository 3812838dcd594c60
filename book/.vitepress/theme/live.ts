/// <reference lib="dom" />
/** The pages "Live networks" and "Train a network": load the library when the reader starts it. */

/** The part of the library's figure that is used here. */
interface Live {
  readonly state: string;
  set(state: string): void;
}

/** The state that the address has. A fragment without "=" is that of a heading. */
function linked(): string | undefined {
  const fragment = location.hash.slice(1);
  return fragment.includes("=") ? fragment : undefined;
}

/** Shows the start button of a page that has the figure. */
export function addLive(page: HTMLElement): void {
  const place = page.querySelector<HTMLElement>("[data-library]"),
    start = place?.querySelector("button");
  if (!place || !start) return;
  start.hidden = false;
  if (linked() !== undefined) {
    start.textContent = start.textContent!.replace(" (", " as in the link (");
  }
  // A link to a state in the same page starts too.
  const follow = () => {
    if (place.isConnected && !start.disabled && linked() !== undefined) start.click();
    if (!start.isConnected) removeEventListener("hashchange", follow);
  };
  addEventListener("hashchange", follow);
  start.addEventListener("click", () => {
    start.disabled = true;
    start.textContent = "The library is being loaded …";
    begin(place).catch((error: unknown) => {
      start.disabled = false;
      start.textContent = "Try again: something could not be loaded";
      console.error(error);
    });
  });
}

async function begin(place: HTMLElement): Promise<void> {
  const { live: weights, library, networks } = place.dataset;
  // Vite must not look for the file, which is in the site and not among the sources.
  const { interactive } = await import(/* @vite-ignore */ library!);
  let timer: ReturnType<typeof setTimeout> | undefined;
  const inner = document.createElement("div");
  let shown = "";
  const common = {
    state: linked() ?? "",
    changed(state: string) {
      shown = state;
      // Browsers limit how often a page may set its address.
      timer ??= setTimeout(() => {
        timer = undefined;
        if (inner.isConnected) history.replaceState(history.state, "", `#${shown}`);
      }, 500);
    },
  };
  const figure: Live = weights === undefined
    ? interactive.trainNetwork(inner, common)
    : await interactive.live(inner, {
      ...common,
      weights: new URL(weights, location.href).href,
      networks: networks!.split(" "),
    });
  place.replaceChildren(inner);
  if (linked() !== undefined) place.scrollIntoView();
  const follow = () => {
    const link = linked();
    if (!inner.isConnected) removeEventListener("hashchange", follow);
    else if (link !== undefined && link !== figure.state) {
      figure.set(link);
      place.scrollIntoView();
    }
  };
  addEventListener("hashchange", follow);
  // A finger on the picture draws or pushes. The figure leaves fingers to scrolling, so each one is
  // passed on as a pen.
  const picture = inner.shadowRoot!.querySelector<HTMLElement>("[data-view=picture]");
  if (!picture) return;
  for (const type of ["pointerdown", "pointermove", "pointerup"] as const) {
    picture.addEventListener(type, (event) => {
      if (event.pointerType !== "touch") return;
      event.stopPropagation();
      const { clientX, clientY, buttons, pointerId } = event;
      const pen = { clientX, clientY, buttons, pointerId, pointerType: "pen", bubbles: true };
      picture.firstElementChild!.dispatchEvent(new PointerEvent(type, pen));
    });
  }
}
