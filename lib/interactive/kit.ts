import type { Action, Component, Kit, PageElement, PageEvent, SliderOptions } from "./component.ts";

/**
 * Makes what components share.
 *
 * The text of this function is part of each figure, so it refers to nothing outside of itself.
 */
export function makeKit(): Kit {
  // The names of JupyterLab's colours; other pages may define them too. The texts of SVG keep their
  // size, because panels stand below each other where the window is narrow.
  const theme = (ink: string, paper: string, soft: string, line: string) =>
    `--ink: var(--jp-content-font-color1, ${ink}); --paper: var(--jp-layout-color0, ${paper}); ` +
    `--soft: var(--jp-layout-color2, ${soft}); --line: var(--jp-border-color1, ${line});`;
  const light = theme("#222", "#fff", "#eee", "#999");
  const drawingCss = `text { font: 12px system-ui, "DejaVu Sans", sans-serif; fill: var(--ink); }
.small { font-size: 11px; } .bold { font-weight: bold; } .middle { text-anchor: middle; }
.end { text-anchor: end; } .line { stroke: var(--line); fill: none; }
.grid { stroke: var(--line); opacity: 0.35; fill: none; }
.curve { fill: none; stroke-width: 2; stroke-linejoin: round; }`;
  const css = `:host { display: block; ${light} color: var(--ink); max-width: 860px;
  font: 14px/1.45 system-ui, "DejaVu Sans", sans-serif; font-variant-numeric: tabular-nums; }
@media (prefers-color-scheme: dark) { :host { ${theme("#e4e4e4", "#161616", "#333", "#888")} } }
* { box-sizing: border-box; }
.figure { container-type: inline-size; background: var(--paper); border: 1px solid var(--line); border-radius: 6px;
  padding: 10px 12px; }
.controls, .panels { display: flex; flex-wrap: wrap; gap: 6px 16px; align-items: center; }
.panels { align-items: flex-start; gap: 10px 16px; margin: 8px 0; }
.panels > * { min-width: 0; max-width: 100%; }
svg { display: block; max-width: 100%; height: auto; }
label { display: inline-flex; align-items: center; gap: 6px; }
fieldset { border: 0; padding: 0; margin: 0; display: flex; flex-wrap: wrap; gap: 4px 12px; }
input, select, button { font: inherit; color: var(--ink); background: var(--paper); margin: 0;
  border: 1px solid var(--line); border-radius: 4px; padding: 3px 6px; min-height: 28px; }
input[type=range], input[type=checkbox] { accent-color: #1e82c8; padding: 0; }
input[type=range] { width: 130px; border: 0; background: none; }
input[type=checkbox] { min-height: 0; width: 16px; height: 16px; }
input[type=number] { width: 76px; }
button { background: var(--soft); cursor: pointer; padding: 3px 10px; }
button:disabled { opacity: 0.5; cursor: default; }
:focus-visible { outline: 2px solid #1e82c8; outline-offset: 2px; }
.reading { margin: 6px 0 0; min-height: 1.45em; }
${drawingCss}`;

  function escape(text: string): string {
    return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;")
      .replaceAll('"', "&quot;");
  }

  function num(value: number, digits = 3): string {
    if (!Number.isFinite(value)) return Number.isNaN(value) ? "not a number" : "infinite";
    const size = Math.abs(value);
    const text = size !== 0 && (size < 1e-4 || size >= 1e6)
      ? value.toExponential(Math.min(2, digits - 1)).replace("e+", "e")
      : String(Number(value.toPrecision(Math.max(digits, size < 1e6 ? wholeDigits(size) : 0))));
    return text.replaceAll("-", "−");
  }

  function wholeDigits(size: number): number {
    return size < 1 ? 1 : Math.floor(Math.log10(size)) + 1;
  }

  function svg(width: number, height: number, label: string, content: string): string {
    return `<svg viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" ` +
      `aria-label="${escape(label)}">${content}</svg>`;
  }

  function text(x: number, y: number, text: string, attributes = ""): string {
    return `<text x="${Math.round(10 * x) / 10}" y="${Math.round(10 * y) / 10}" ${attributes}>${
      escape(text)
    }</text>`;
  }

  function slider(name: string, label: string, { low, high, step, log }: SliderOptions): string {
    const [from, to, by] = log ? [Math.log10(low), Math.log10(high), 0.01] : [low, high, step];
    return `<label>${escape(label)} <input type="range" data-name="${name}" min="${from}" ` +
      `max="${to}" step="${by}"${log ? ' data-log=""' : ""}>` +
      `<input type="number" data-name="${name}" min="${low}" max="${high}" step="${step}" ` +
      `aria-label="${escape(label)}, exact"></label>`;
  }

  function choice(
    name: string,
    label: string,
    values: readonly (readonly [string, string])[],
  ): string {
    const options = values.map(([value, label]) =>
      `<option value="${escape(value)}">${escape(label)}</option>`
    );
    return `<label>${escape(label)} <select data-name="${name}" aria-label="${escape(label)}">` +
      `${options.join("")}</select></label>`;
  }

  function checkbox(name: string, label: string): string {
    return `<label><input type="checkbox" data-name="${name}">${label}</label>`;
  }

  function button(name: string, label: string): string {
    return `<button type="button" data-press="${name}">${escape(label)}</button>`;
  }

  function read(value: string, old: number, low: number, high: number): number {
    const number = value.trim() === "" ? NaN : Number(value);
    return Number.isNaN(number) ? old : Math.min(high, Math.max(low, number));
  }

  function mount<State>(place: PageElement, component: Component<State>): void {
    if (place.shadowRoot) return;
    let state = component.initial;
    // A root of its own keeps the styles of page and figure apart. JupyterLab must not take the
    // keys of a slider for its own shortcuts.
    const root = place.attachShadow({ mode: "open" });
    place.setAttribute("data-lm-suppress-shortcuts", "true");
    root.innerHTML =
      `<style>${css}\n${component.css}</style><div class="figure">${component.layout}</div>`;
    const shown: Record<string, string> = {};

    function show(): void {
      const views = component.views(state);
      for (const view of root.querySelectorAll("[data-view]")) {
        const name = view.dataset.view!;
        if (shown[name] !== views[name]) view.innerHTML = shown[name] = views[name] ?? "";
      }
      const values = component.values(state);
      for (const input of root.querySelectorAll("[data-name]")) {
        const value = values[input.dataset.name!];
        if (value === undefined) continue;
        if (input.type === "checkbox") input.checked = value === "true";
        // A number that is being typed stays as it is.
        else if (input.type !== "number" || input !== root.activeElement) {
          input.value = "log" in input.dataset ? String(Math.log10(Number(value))) : value;
        }
      }
    }

    function act(action: Partial<Action> & Pick<Action, "kind" | "name">): boolean {
      const before = state;
      state = component.act(state, { value: "", x: 0, y: 0, pressed: false, ...action });
      if (state === before) return false;
      show();
      return true;
    }

    root.addEventListener("input", ({ target }) => {
      const name = target.dataset.name;
      if (name === undefined) return;
      const value = target.type === "checkbox"
        ? String(target.checked)
        : "log" in target.dataset
        ? String(Number((10 ** Number(target.value)).toPrecision(3)))
        : target.value!;
      act({ kind: "set", name, value });
    });
    root.addEventListener("focusout", () => setTimeout(show));
    root.addEventListener("click", ({ target }) => {
      const name = target.closest("[data-press]")?.dataset.press;
      if (name !== undefined) act({ kind: "press", name });
    });
    root.addEventListener("keydown", (event) => {
      const { target, key, altKey, ctrlKey, metaKey } = event;
      const name = target.dataset.pad;
      if (name === undefined || altKey || ctrlKey || metaKey) return;
      if (act({ kind: "key", name, value: key })) event.preventDefault();
    });

    function point(kind: Action["kind"], event: PageEvent): void {
      const pad = event.target.closest("[data-pad]"), drawing = pad?.querySelector("svg");
      if (!pad || !drawing) return;
      const box = drawing.getBoundingClientRect(), { width, height } = drawing.viewBox!.baseVal;
      act({
        kind,
        name: pad.dataset.pad!,
        x: (event.clientX - box.left) * width / box.width,
        y: (event.clientY - box.top) * height / box.height,
        pressed: event.buttons !== 0,
      });
    }
    root.addEventListener("pointerdown", (event) => {
      // A finger may be about to scroll; it counts when it is lifted.
      if (event.pointerType === "touch") return;
      event.target.closest("[data-pad]")?.setPointerCapture?.(event.pointerId);
      point("down", event);
    });
    root.addEventListener("pointermove", (event) => {
      if (event.pointerType !== "touch") point("move", event);
    });
    root.addEventListener("pointerup", (event) => {
      if (event.pointerType === "touch") point("down", event);
      point("up", event);
    });
    root.addEventListener("pointerout", (event) => {
      // Between two shapes of a drawing the pointer stays over the view.
      const pad = event.target.closest("[data-pad]");
      if (event.pointerType === "touch" || pad === event.relatedTarget?.closest("[data-pad]")) {
        return;
      }
      point("leave", event);
    });
    show();
  }

  return {
    ...{ drawingCss, escape, num, svg, text, slider, choice, checkbox, button, read, mount },
    colors: ["#1e82c8", "#d55e00", "#009e73", "#b8609a"],
  };
}
