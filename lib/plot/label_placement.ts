/** The placement of labels beside points, such that they cover each other and the points least. */
import type { Annotations } from "plotly.js";

/** A rectangle in pixels; y grows downwards. */
export interface Box {
  readonly left: number;
  readonly top: number;
  readonly right: number;
  readonly bottom: number;
}

/** A point in pixels, the text beside it, and the boxes of its marker and its error bar. */
export interface LabelledPoint {
  readonly x: number;
  readonly y: number;
  readonly text: string;
  readonly boxes: readonly Box[];
}

/** The place of a label as part of a plotly.js annotation. */
export type LabelPlace = Partial<Annotations>;

/** Sides of a point, best first: to the right and down, each -1, 0 or 1. */
const sides = [[1, 0], [-1, 0], [0, -1], [0, 1], [1, -1], [1, 1], [-1, -1], [-1, 1]] as const;

/** Distances of a label from its point in pixels. From the second on a line leads to the point. */
const distances = [6, 20, 34, 48] as const;

/** The cost of a further distance in square pixels of overlap, and that of a worse side. */
const distanceCost = 12, sideCost = 0.1;

/** The font size of the labels, the mean width of a letter and the height of a line, in pixels. */
const fontSize = 11, letterWidth = 6.5, lineHeight = 12;

/**
 * Returns a place for each label. Each takes in turn the place where it covers least of the
 * points, their bars and the other labels, until none of them moves any more.
 *
 * @param area The size of the plot, outside of which a label could be cut off.
 */
export function placeLabels(
  points: readonly LabelledPoint[],
  { width, height }: { readonly width: number; readonly height: number },
): LabelPlace[] {
  const everywhere = { left: -Infinity, top: -Infinity, right: Infinity, bottom: Infinity };
  const outside: Box[] = [
    { ...everywhere, right: 0 },
    { ...everywhere, left: width },
    { ...everywhere, bottom: 0 },
    { ...everywhere, top: height },
  ];
  const candidates = points.map(candidatesFor);
  const chosen: Candidate[] = [];
  // First beside the points only, so that no label is far away where it need not be.
  for (const steps of [1, distances.length]) {
    for (let round = 0, moved = true; moved && round < 10; round++) {
      moved = false;
      candidates.forEach((own, self) => {
        const isOther = (_: unknown, other: number) => other !== self;
        const others = [
          ...points.filter(isOther).flatMap(({ boxes }) => boxes),
          ...chosen.filter(isOther).flatMap(({ label, line }) => [label, ...line]),
          ...outside,
        ];
        const costs = own.slice(0, steps * sides.length).map(({ label, line, cost }) =>
          cost + overlap([label], points[self]!.boxes) + overlap([label, ...line], others)
        );
        const best = own[costs.indexOf(Math.min(...costs))]!;
        moved ||= best !== chosen[self];
        chosen[self] = best;
      });
    }
  }
  return chosen.map(({ place }) => place);
}

/** A possible place of a label, with the cost of its side and distance. */
interface Candidate {
  readonly label: Box;
  /** Small boxes along the line to the point. */
  readonly line: readonly Box[];
  readonly place: LabelPlace;
  readonly cost: number;
}

function candidatesFor({ x, y, text }: LabelledPoint): Candidate[] {
  const width = letterWidth * text.length;
  return distances.flatMap((distance, step) =>
    sides.map(([right, down], side): Candidate => {
      const left = x + right * distance + (right - 1) * width / 2;
      const top = y + down * distance + (down - 1) * lineHeight / 2;
      return {
        label: { left, right: left + width, top, bottom: top + lineHeight },
        line: lineTo(x, y, right, down, distance),
        place: placeAt(right, down, distance, step > 0),
        cost: step * distanceCost + side * sideCost,
      };
    })
  );
}

/** Returns boxes of 6 pixels along the line from the edge of the marker to a label. */
function lineTo(x: number, y: number, right: number, down: number, distance: number): Box[] {
  const boxes: Box[] = [];
  for (let from = distances[0] + 3; from < distance; from += 3) {
    const [left, top] = [x + right * from - 3, y + down * from - 3];
    boxes.push({ left, right: left + 6, top, bottom: top + 6 });
  }
  return boxes;
}

function placeAt(right: number, down: number, distance: number, hasLine: boolean): LabelPlace {
  const [across, along] = [right * distance, down * distance];
  return {
    xanchor: right === 0 ? "center" : right > 0 ? "left" : "right",
    yanchor: down === 0 ? "middle" : down > 0 ? "top" : "bottom",
    borderpad: 0,
    font: { size: fontSize },
    ...(hasLine
      ? { showarrow: true, ax: across, ay: along, arrowhead: 0, arrowwidth: 1, standoff: 5 }
      : { showarrow: false, xshift: across, yshift: -along }),
  };
}

/** Returns the area that boxes share with others, in square pixels. */
function overlap(boxes: readonly Box[], others: readonly Box[]): number {
  let area = 0;
  for (const a of boxes) {
    for (const b of others) {
      const width = Math.min(a.right, b.right) - Math.max(a.left, b.left);
      const height = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
      area += Math.max(0, width) * Math.max(0, height);
    }
  }
  return area;
}
