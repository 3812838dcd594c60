/** Options that the charts share. */

/** Options that every chart takes. */
export interface FigureOptions {
  /** Title above the figure. */
  title?: string;
  /**
   * One sentence that describes the figure.
   *
   * @default a sentence made from the numbers
   */
  description?: string;
  /**
   * Width in pixels.
   *
   * @default 700
   */
  width?: number;
  /** Height in pixels. */
  height?: number;
}

/** A measured quantity. */
export interface Quantity {
  /** Name, such as "Loss". */
  title: string;
  /** Unit, such as "images/s"; drawn in brackets after the title. */
  unit?: string;
}

/** An axis: the quantity it measures, and how it is drawn. */
export interface Axis extends Quantity {
  /**
   * Ends of the axis.
   *
   * @default the ends of the data
   */
  range?: readonly [number, number];
  /**
   * Equal steps ("linear") or equal factors ("log").
   *
   * @default "linear"
   */
  scale?: "linear" | "log";
}

/** An axis whose numbers may be fractions. */
export interface FractionAxis extends Axis {
  /**
   * Whether the numbers and the range are fractions, such as accuracies from 0 to 1, that are drawn
   * as per cent. The unit is then "%" if none is given; that of differences is "points".
   *
   * @default false
   */
  percent?: boolean;
}

/** Which of the seven colours of the palette the parts of a chart have. */
export interface ColorOptions {
  /**
   * The place of the colour in the palette, from 0 to 6, of each part. Parts that share an idea,
   * such as an activation with and without a norm, have one colour.
   *
   * @default 0, 1, 2, …
   */
  colors?: readonly number[];
}

/** Names of the options that all figures have. */
export const figureNames = { title: true, description: true, width: true } as const;

/** Names of the options that all figures with two axes have. */
export const chartNames = { ...figureNames, height: true, x: true, y: true } as const;
