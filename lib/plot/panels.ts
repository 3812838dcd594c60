import type { Layout, LayoutAxis, XAxisName, YAxisName } from "plotly.js";

/** Position and axes of one of several small charts of a figure. */
export interface Panel {
  /** Names of the axes in a trace. */
  readonly trace: { xaxis: XAxisName; yaxis: YAxisName };
  /** Names of the axes in the layout. */
  readonly xKey: string;
  readonly yKey: string;
  readonly xaxis: Partial<LayoutAxis>;
  readonly yaxis: Partial<LayoutAxis>;
  /** Left end and top as fractions of the plot area. */
  readonly left: number;
  readonly top: number;
  readonly row: number;
  readonly column: number;
}

/** Sizes of a grid of panels, in pixels. */
export interface PanelGridOptions {
  columns: number;
  width: number;
  panelHeight: number;
  /** Distance between columns and between rows. */
  columnGap: number;
  rowGap: number;
  margin: { l: number; r: number; t: number; b: number };
}

/** Lays out panels row by row. Sizes in pixels ensure that text of a known size fits. */
export function panelGrid(
  count: number,
  { columns, width, panelHeight, columnGap, rowGap, margin }: PanelGridOptions,
): { panels: Panel[]; layout: Partial<Layout> } {
  const rows = Math.ceil(count / columns);
  const innerWidth = width - margin.l - margin.r;
  const panelWidth = (innerWidth - (columns - 1) * columnGap) / columns;
  const innerHeight = rows * panelHeight + (rows - 1) * rowGap;
  const panels = Array.from({ length: count }, (_, index): Panel => {
    const row = Math.floor(index / columns), column = index % columns;
    const left = column * (panelWidth + columnGap), top = row * (panelHeight + rowGap);
    // The type has the names of only 99 axes; plotly.js accepts any number.
    const suffix = index === 0 ? "" : index + 1;
    const xName = `x${suffix}` as XAxisName, yName = `y${suffix}` as YAxisName;
    return {
      trace: { xaxis: xName, yaxis: yName },
      xKey: xName.replace("x", "xaxis"),
      yKey: yName.replace("y", "yaxis"),
      xaxis: {
        anchor: yName,
        domain: [left / innerWidth, (left + panelWidth) / innerWidth],
        automargin: false,
      },
      yaxis: {
        anchor: xName,
        domain: [1 - (top + panelHeight) / innerHeight, 1 - top / innerHeight],
        automargin: false,
      },
      left: left / innerWidth,
      top: 1 - top / innerHeight,
      row,
      column,
    };
  });
  return { panels, layout: { width, height: innerHeight + margin.t + margin.b, margin } };
}
