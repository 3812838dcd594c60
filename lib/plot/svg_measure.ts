/**
 * Functions that plotly.js needs and jsdom lacks: sizes of text, boxes and paths, and a 2d canvas.
 *
 * jsdom has no layout engine. The size of text follows from the metrics of the font that also draws
 * the picture, the size of a path from its geometry, and a group is the union of its children.
 */
import type { Canvas, createCanvas, DOMMatrix, Image, Path2D } from "@napi-rs/canvas";
import type { svgPathProperties } from "svg-path-properties";

interface Box {
  left: number;
  top: number;
  right: number;
  bottom: number;
}

/** The used part of a DOM node; jsdom's own types need a browser's global types. */
interface SvgElement {
  readonly nodeName: string;
  readonly nodeType: number;
  readonly textContent: string | null;
  readonly childNodes: Iterable<SvgElement>;
  readonly parentElement: SvgElement | null;
  readonly style?: { fontSize: string; fontWeight: string; textAnchor?: string };
  getAttribute(name: string): string | null;
  querySelectorAll(selector: string): Iterable<SvgElement>;
}

interface CanvasElement {
  readonly width: number;
  readonly height: number;
}

interface BrowserWindow {
  Element: { prototype: object };
  SVGElement: { prototype: object };
  HTMLCanvasElement: { prototype: object };
  URL: object;
  Image?: object;
}

interface CanvasModule {
  createCanvas: typeof createCanvas;
  DOMMatrix: typeof DOMMatrix;
  Image: typeof Image;
  Path2D: typeof Path2D;
}

const textNode = 3;
const fontFamily = "DejaVu Sans";

/** Adds the missing measurements and the 2d canvas to the prototypes of a jsdom window. */
export function polyfillSvgMeasurements(
  window: BrowserWindow,
  { createCanvas, DOMMatrix, Image, Path2D }: CanvasModule,
  Path: typeof svgPathProperties,
): void {
  const pen = createCanvas(1, 1).getContext("2d");

  function fontOf(element: SvgElement): { size: number; weight: string } {
    const parent = element.parentElement;
    const size = element.style?.fontSize ?? "";
    const weight = element.style?.fontWeight ?? "";
    if (size.endsWith("px") && weight) return { size: parseFloat(size), weight };
    const inherited = parent ? fontOf(parent) : { size: 12, weight: "normal" };
    return {
      size: size.endsWith("%")
        ? inherited.size * parseFloat(size) / 100
        : size
        ? parseFloat(size)
        : inherited.size,
      weight: weight || inherited.weight,
    };
  }

  function setFont({ size, weight }: { size: number; weight: string }): void {
    pen.font = `${
      weight === "bold" || Number(weight) >= 600 ? "bold" : "normal"
    } ${size}px ${fontFamily}`;
  }

  function textWidth(element: SvgElement): number {
    let width = 0;
    for (const child of element.childNodes) {
      if (child.nodeType !== textNode) {
        width += textWidth(child);
      } else if (child.textContent) {
        setFont(fontOf(element));
        width += pen.measureText(child.textContent).width;
      }
    }
    return width;
  }

  function textBox(text: SvgElement): Box | undefined {
    if (!text.textContent) return undefined;
    const lines = [...text.querySelectorAll("tspan.line")];
    const font = fontOf(text);
    setFont(font);
    const { fontBoundingBoxAscent: ascent, fontBoundingBoxDescent: descent } = pen.measureText("x");
    const anchor = text.getAttribute("text-anchor") || text.style?.textAnchor;
    return union((lines.length > 0 ? lines : [text]).map((line) => {
      const width = textWidth(line);
      const baseline = numberOf(line, "y") + numberOf(line, "dy") * font.size;
      const left = numberOf(line, "x") -
        (anchor === "middle" ? width / 2 : anchor === "end" ? width : 0);
      return { left, right: left + width, top: baseline - ascent, bottom: baseline + descent };
    }));
  }

  /** Returns the box of an element in its own coordinates, before its `transform`. */
  function boxOf(element: SvgElement): Box | undefined {
    switch (element.nodeName.toLowerCase()) {
      case "text":
        return textBox(element);
      case "rect":
      case "image": {
        const left = numberOf(element, "x"), top = numberOf(element, "y");
        const right = left + numberOf(element, "width");
        return { left, top, right, bottom: top + numberOf(element, "height") };
      }
      case "path": {
        const [left, top, right, bottom] = new Path2D(element.getAttribute("d") ?? "").getBounds();
        return { left, top, right, bottom };
      }
      case "g":
      case "a":
      case "svg":
        return union([...element.childNodes].map(transformedBox));
      default:
        return undefined;
    }
  }

  /** Returns the box of an element in the coordinates of its parent. */
  function transformedBox(element: SvgElement): Box | undefined {
    if (element.nodeType === textNode) return undefined;
    const box = boxOf(element);
    const transform = element.getAttribute("transform");
    if (!box || !transform) return box;
    const matrix = matrixOf(transform);
    const { left, top, right, bottom } = box;
    const corners = [[left, top], [right, top], [right, bottom], [left, bottom]] as const;
    return union(corners.map(([x, y]) => {
      const { a, b, c, d, e, f } = matrix;
      const cornerX = a * x + c * y + e, cornerY = b * x + d * y + f;
      return { left: cornerX, right: cornerX, top: cornerY, bottom: cornerY };
    }));
  }

  function matrixOf(transform: string): DOMMatrix {
    const matrix = new DOMMatrix();
    for (const [, kind, list = ""] of transform.matchAll(/(\w+)\s*\(([^)]*)\)/g)) {
      const [p = 0, q, r] = list.split(/[\s,]+/).map(Number);
      if (kind === "translate") matrix.translateSelf(p, q ?? 0);
      else if (kind === "scale") matrix.scaleSelf(p, q ?? p);
      else if (kind === "rotate") {
        matrix.translateSelf(q ?? 0, r ?? 0).rotateSelf(p).translateSelf(-(q ?? 0), -(r ?? 0));
      }
    }
    return matrix;
  }

  function rectangle(box: Box | undefined) {
    const { left, top, right, bottom } = box ?? { left: 0, top: 0, right: 0, bottom: 0 };
    return { x: left, y: top, left, top, right, bottom, width: right - left, height: bottom - top };
  }

  const pathOf = (element: SvgElement) => new Path(element.getAttribute("d") ?? "");

  Object.assign(window.SVGElement.prototype, {
    getBBox(this: SvgElement) {
      return rectangle(boxOf(this));
    },
    getComputedTextLength(this: SvgElement) {
      return textWidth(this);
    },
    getTotalLength(this: SvgElement) {
      return pathOf(this).getTotalLength();
    },
    getPointAtLength(this: SvgElement, length: number) {
      return pathOf(this).getPointAtLength(length);
    },
  });
  Object.assign(window.Element.prototype, {
    getBoundingClientRect(this: SvgElement) {
      return rectangle(transformedBox(this));
    },
  });
  const canvases = new WeakMap<CanvasElement, Canvas>();
  Object.assign(window.HTMLCanvasElement.prototype, {
    getContext(this: CanvasElement) {
      let canvas = canvases.get(this);
      if (canvas?.width !== this.width || canvas.height !== this.height) {
        canvas = createCanvas(this.width, this.height);
        canvases.set(this, canvas);
      }
      return canvas.getContext("2d");
    },
    toDataURL(this: CanvasElement) {
      return canvases.get(this)?.toDataURL("image/png");
    },
  });
  Object.assign(window.URL, { createObjectURL: () => "" });
  // An image trace waits until its picture is loaded, which jsdom's own Image never is.
  window.Image = class extends Image {
    setAttribute(_name: "src", source: string) {
      this.src = source;
    }
  };
}

function numberOf(element: SvgElement, attribute: string): number {
  return parseFloat(element.getAttribute(attribute) ?? "") || 0;
}

function union(boxes: readonly (Box | undefined)[]): Box | undefined {
  const defined = boxes.filter((box) => box !== undefined);
  if (defined.length === 0) return undefined;
  return {
    left: Math.min(...defined.map(({ left }) => left)),
    top: Math.min(...defined.map(({ top }) => top)),
    right: Math.max(...defined.map(({ right }) => right)),
    bottom: Math.max(...defined.map(({ bottom }) => bottom)),
  };
}
