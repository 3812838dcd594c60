/// <reference lib="dom" />
/** Predict, then reveal: what a question asks for is hidden until the reader has answered. */

/** Whether the reader wants to see everything at once. */
const showAll = "resnet-lab: show all";

/** Adds a box for an answer to each question of a page, and hides what would give it away. */
export function addPredictions(page: HTMLElement): void {
  const updates: (() => void)[] = [];
  for (const place of page.querySelectorAll<HTMLElement>("[data-prediction]")) {
    if (place.childElementCount > 0) continue;
    const name = place.dataset.prediction!;
    const hidden = Array.from(page.querySelectorAll<HTMLElement>(`[data-after="${name}"]`));
    if (hidden.length === 0) continue;
    const key = `resnet-lab: ${name}`;
    const text = document.createElement("textarea");
    text.rows = 2;
    text.id = `predict-${name}`;
    text.value = read(key) ?? "";
    text.placeholder = "Nobody else sees it; it stays in this browser.";
    const label = document.createElement("label");
    label.htmlFor = text.id;
    label.textContent = "Your prediction";
    const button = document.createElement("button");
    button.type = "button";
    const show = (open: boolean) => {
      for (const element of hidden) element.classList.toggle("open", open);
      place.classList.toggle("open", open);
      button.textContent = open ? "Hide what happened" : "Reveal what happened";
      button.setAttribute("aria-expanded", String(open));
    };
    button.addEventListener("click", () => {
      const open = !place.classList.contains("open");
      write(key, open ? text.value : undefined);
      show(open);
      measure();
    });
    place.replaceChildren(label, text, button);
    const update = () => show(read(key) !== undefined || read(showAll) !== undefined);
    update();
    updates.push(update);
  }
  const choice = page.querySelector<HTMLInputElement>("input.show-all");
  if (!choice) return;
  choice.checked = read(showAll) !== undefined;
  choice.addEventListener("change", () => {
    write(showAll, choice.checked ? "yes" : undefined);
    for (const update of updates) update();
    measure();
  });
}

/** Asks for the widths of what is shown now, which had none before. */
function measure(): void {
  dispatchEvent(new Event("resize"));
}

function read(key: string): string | undefined {
  try {
    return localStorage.getItem(key) ?? undefined;
  } catch {
    // The browser keeps nothing for this site.
    return undefined;
  }
}

function write(key: string, value: string | undefined): void {
  try {
    if (value === undefined) localStorage.removeItem(key);
    else localStorage.setItem(key, value);
  } catch {
    // The browser keeps nothing for this site.
  }
}
