import type { Component, ComponentMaker } from "./component.ts";
import { makeKit } from "./kit.ts";

/** The forms in which a notebook stores an interactive figure. */
export interface InteractiveBundle {
  /** The pictures before any action, and the script that puts the live figure in their place. */
  "text/html": string;
  /** One sentence. */
  "text/plain": string;
}

/**
 * A figure with controls that computes in the page: in JupyterLab, in an exported notebook, in a
 * book. Where scripts are off it is a picture.
 */
export class InteractiveFigure {
  /** One sentence that describes the figure before any action. */
  readonly description: string;
  readonly #html: string;

  /** @internal */
  constructor(maker: ComponentMaker, options: object) {
    const component: Component<unknown> = maker(makeKit(), options);
    this.description = component.describe(component.initial);
    this.#html = html(maker, options, component);
  }

  /** Returns the description. */
  toString(): string {
    return this.description;
  }

  /** Returns the description, which `console.log` shows. */
  [Symbol.for("Deno.customInspect")](): string {
    return this.description;
  }

  /** Returns the figure as HTML and as a sentence, as a notebook stores it. */
  [Symbol.for("Jupyter.display")](): InteractiveBundle {
    return { "text/html": this.#html, "text/plain": this.description };
  }
}

/**
 * Returns the pictures and the script. The script is the text of the functions `makeKit` and
 * `maker`, so nothing has to be built or loaded; that is why they may not refer to anything else.
 */
function html(
  maker: ComponentMaker,
  options: object,
  component: Component<unknown>,
): string {
  const { pictures, initial, css } = component;
  const contents = component.views(initial), json = JSON.stringify(options);
  // Equal figures have equal names, so that running a notebook again does not change it.
  const name = `${maker.name}-${hash(json)}`;
  const images = pictures.map((view, index) =>
    `<img src="data:image/svg+xml;base64,${
      new TextEncoder().encode(picture(contents[view]!, css)).toBase64()
    }" ` +
    `alt="${index === 0 ? makeKit().escape(component.describe(initial)) : ""}" ` +
    `style="max-width: 100%; background: white; vertical-align: top; margin: 0 12px 8px 0">`
  );
  const script = `for (const place of document.querySelectorAll('[data-figure="${name}"]')) {
const kit = (${makeKit})();
kit.mount(place, (${maker})(kit, ${json}));
}`;
  return `<div data-figure="${name}">${images.join("\n")}</div>
<script>
${script.replace(COMMENTS, "").replaceAll("</", "<\\/")}
</script>`;
}

/**
 * Returns a drawing as a file of its own, on white. JupyterLab removes SVG elements from the
 * outputs of a notebook that is not trusted, but not images.
 */
export function picture(drawing: string, css: string): string {
  const style =
    `svg { --ink: #222; --paper: #fff; --soft: #eee; --line: #999; } ${makeKit().drawingCss} ${css}`;
  return drawing.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ')
    .replace(">", `><style>${style}</style>`);
}

/** Comments that begin a line, and indentation. */
const COMMENTS = /^\s*(?:(?:\/\/.*$|\/\*\*[^]*?\*\/)\s*)*/gm;

/** Returns a short name for a text (FNV-1a). */
function hash(text: string): string {
  let value = 0x811c9dc5;
  for (const letter of text) value = Math.imul(value ^ letter.codePointAt(0)!, 0x01000193);
  return (value >>> 0).toString(36);
}
