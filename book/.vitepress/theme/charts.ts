/// <reference lib="dom" />
/** Charts: a picture, in whose place plotly draws the chart when the reader asks for it. */
import { withBase } from "vitepress";

/** The part of plotly.js that is used here. */
interface Plotly {
  newPlot(place: HTMLElement, data: unknown, layout: object, config: object): Promise<unknown>;
  relayout(place: HTMLElement, changes: object): Promise<unknown>;
}

/** A chart as a notebook stores it. */
interface Chart {
  readonly data: unknown;
  readonly layout: { readonly width?: number };
  readonly config: object;
}

/** The smallest width of a chart, as part of its own, at which its labels can be read. */
const smallest = 0.8;

let plotly: Promise<Plotly> | undefined;

/** Loads plotly.js once, with the first chart that a reader wants to touch. */
function loadPlotly(): Promise<Plotly> {
  return plotly ??= new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.src = withBase("/plotly.min.js");
    script.onload = () => resolve(Reflect.get(globalThis, "Plotly"));
    script.onerror = () => {
      plotly = undefined;
      reject(new Error("Drawing a chart: plotly.min.js could not be loaded."));
    };
    document.head.append(script);
  });
}

/** Makes the charts of a page interactive when the pointer is over them, or by their button. */
export function addCharts(page: HTMLElement): void {
  for (const figure of page.querySelectorAll<HTMLElement>("figure[data-chart]")) {
    if (figure.querySelector("button")) continue;
    const button = document.createElement("button");
    button.type = "button";
    button.className = "explore";
    button.textContent = "Explore";
    button.title = "Make this chart interactive";
    figure.append(button);
    const draw = () => {
      figure.dataset.state ??= "waiting";
      if (figure.dataset.state !== "waiting") return;
      figure.dataset.state = "loading";
      drawChart(figure).catch((error: unknown) => {
        // The picture stays, and the next touch tries again.
        figure.dataset.state = "waiting";
        console.error(error);
      });
    };
    button.addEventListener("click", draw);
    figure.addEventListener("pointerenter", ({ pointerType }) => pointerType === "mouse" && draw());
  }
}

async function drawChart(figure: HTMLElement): Promise<void> {
  const [plotly, response] = await Promise.all([loadPlotly(), fetch(figure.dataset.chart!)]);
  if (!response.ok) throw new Error(`Drawing a chart: ${response.url} could not be loaded.`);
  const { data, layout, config }: Chart = await response.json();
  const place = document.createElement("div");
  const image = figure.querySelector("img")!;
  const full = layout.width ?? Number(image.getAttribute("width"));
  // As for the picture: a narrow page scrolls sideways instead of shrinking the labels.
  const width = () => Math.min(full, Math.max(figure.clientWidth, smallest * full));
  image.parentElement!.append(place);
  // A finger that moves over a chart scrolls the page, so the tools to drag would be in the way.
  const isTouched = matchMedia("(hover: none)").matches && !("scene" in layout);
  await plotly.newPlot(
    place,
    data,
    { ...layout, ...isTouched ? { dragmode: false } : {}, width: width() },
    { ...config, ...isTouched ? { displayModeBar: false } : {} },
  );
  image.hidden = true;
  figure.querySelector("button")!.remove();
  figure.dataset.state = "drawn";
  let drawn = width();
  new ResizeObserver(() => {
    // A hidden chart has no width.
    if (width() === drawn || figure.clientWidth === 0) return;
    drawn = width();
    plotly.relayout(place, { width: drawn });
  }).observe(figure);
}
