/// <reference lib="dom" />
/** The types of names in code, shown beside the pointer, the focus or the finger. */

/** The texts about the names of pages, by their addresses. */
const loaded = new Map<string, Promise<readonly string[]>>();

/** Shows the type of a name while the pointer is over it or it has the focus. */
export function listenForTypes(): void {
  const tip = document.createElement("div");
  tip.className = "type-tip";
  tip.id = "type-tip";
  tip.role = "tooltip";
  tip.hidden = true;
  document.body.append(tip);
  let current: HTMLElement | undefined;
  /** The name that a finger has touched once. */
  let touched: HTMLElement | undefined;
  let pointer = "";
  const hide = () => {
    current?.removeAttribute("aria-describedby");
    current = touched = undefined;
    tip.hidden = true;
  };
  const show = async (name: HTMLElement) => {
    if (name === current) return;
    hide();
    current = name;
    const text = await textOf(name);
    if (current !== name || text === undefined) return;
    const [type = "", sentence] = text.split("\n\n");
    const code = document.createElement("code");
    code.className = "type";
    code.textContent = type;
    tip.replaceChildren(code);
    if (sentence !== undefined) {
      const words = document.createElement("p");
      // What stands in backticks is code.
      words.append(
        ...sentence.split("`").map((part, index) => {
          if (index % 2 === 0) return part;
          const code = document.createElement("code");
          code.textContent = part;
          return code;
        }),
      );
      tip.append(words);
    }
    if (pointer === "touch" && name instanceof HTMLAnchorElement) {
      const hint = document.createElement("p");
      hint.textContent = "Tap again to open its page.";
      tip.append(hint);
    }
    tip.hidden = false;
    name.setAttribute("aria-describedby", tip.id);
    place(tip, name.getBoundingClientRect());
  };
  const onName = ({ target }: Event) => {
    const name = target instanceof Element ? target.closest<HTMLElement>("[data-type]") : null;
    if (name) show(name).catch((error: unknown) => console.error(error));
    else hide();
  };
  for (const type of ["pointerover", "pointerdown"] as const) {
    addEventListener(type, ({ pointerType }) => pointer = pointerType, { capture: true });
  }
  for (const type of ["pointerover", "focusin", "click"]) addEventListener(type, onName);
  // A finger cannot hover: the first tap shows the type, the second one follows the link.
  addEventListener("click", (event) => {
    const name = event.target instanceof Element
      ? event.target.closest<HTMLElement>("a[data-type]")
      : null;
    if (pointer !== "touch" || !name || name === touched) return;
    event.preventDefault();
    touched = name;
  });
  addEventListener("focusout", hide);
  addEventListener("keydown", ({ key }) => key === "Escape" && hide());
  addEventListener("scroll", hide, { capture: true, passive: true });
}

async function textOf(name: HTMLElement): Promise<string | undefined> {
  const address = document.querySelector<HTMLElement>("[data-types]")?.dataset.types;
  if (address === undefined) return undefined;
  let texts = loaded.get(address);
  if (!texts) {
    texts = fetch(address).then((response) => response.json());
    // What could not be loaded is asked for again.
    texts.catch(() => loaded.delete(address));
    loaded.set(address, texts);
  }
  return (await texts)[Number(name.dataset.type)];
}

/** Puts the tip below a name, or above it where there is no room below. */
function place(tip: HTMLElement, name: DOMRect): void {
  const left = Math.min(name.left, innerWidth - tip.offsetWidth - 8);
  const below = name.bottom + 6;
  const isRoom = below + tip.offsetHeight < innerHeight;
  tip.style.left = `${Math.max(8, left)}px`;
  tip.style.top = `${isRoom ? below : Math.max(8, name.top - tip.offsetHeight - 6)}px`;
}
