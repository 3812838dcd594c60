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

/** A side of a point: to the right and down, each from -1 to 1. */
type Side = readonly [right: number, down: number];

/** Sides of a point, best first. */
const nearSides: readonly Side[] = [
  ...[[1, 0], [-1, 0], [0, -1], [0, 1], [1, -1], [1, 1], [-1, -1], [-1, 1]] as const,
];

/** Sides for labels with a line to their point. */
const farSides: readonly Side[] = [
  ...nearSides,
  ...[[1, -0.5], [1, 0.5], [-1, -0.5], [-1, 0.5]] as const,
  ...[[0.5, -1], [0.5, 1], [-0.5, -1], [-0.5, 1]] as const,
];

/** Distances of a label from its point in pixels. From the second on a line leads to the point. */
const distances = [7, 20, 34, 48, 64, 82, 102] as const;

/** So many orders of the labels are tried. More labels than `maxTried` are placed once only. */
const attempts = 24, maxTried = 40;

/** The cost of a further distance in square pixels of overlap, and that of a worse side. */
const distanceCost = 12, sideCost = 0.1;

/** The font size of the labels and the height of a line, in pixels. */
const fontSize = 11, lineHeight = 13;

/** Narrow and wide letters of DejaVu Sans, and their widths as parts of the font size. */
const narrow = /[fijlrtI ,.:;'|()/−-]/,
  wide = /[mwMW×%]/,
  letterWidths = [0.36, 0.63, 0.88] as const;

/**
 * Returns a place for each label. Each takes in turn the place where it covers least of the
 * points, their bars and the other labels, until none of them moves any more. The result depends on
 * the order of the labels, so several orders are tried.
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
  let best: Placement | undefined;
  for (let attempt = 0; attempt < (points.length > maxTried ? 1 : attempts); attempt++) {
    const order = orderOf(points.length, attempt);
    // First beside the points only, so that no label is far away where it need not be. But this
    // can end where no single label can move, so every other attempt is free from the start.
    const phases = attempt % 2 === 0 ? [nearSides.length, Infinity] : [Infinity];
    const found = descend(points, candidates, outside, order, phases);
    if (!best || found.cost < best.cost) best = found;
  }
  return best!.chosen.map(({ place }) => place);
}

/** Returns the indices of points: in their own order for the first attempt, then in others. */
function orderOf(count: number, attempt: number): number[] {
  const place = (index: number) => (0.618034 * attempt * (index + 1)) % 1;
  return Array.from({ length: count }, (_, index) => index).sort((a, b) => place(a) - place(b));
}

/** A place for each label, and the sum of their costs. */
interface Placement {
  readonly chosen: readonly Candidate[];
  readonly cost: number;
}

/**
 * Moves the labels in an order, until none of them moves any more.
 *
 * @param phases The number of places that the labels may take, in one phase after the other.
 */
function descend(
  points: readonly LabelledPoint[],
  candidates: readonly (readonly Candidate[])[],
  outside: readonly Box[],
  order: readonly number[],
  phases: readonly number[],
): Placement {
  const chosen: Candidate[] = [];
  let cost = 0;
  for (const places of phases) {
    for (let round = 0, moved = true; moved && round < 10; round++) {
      moved = false;
      cost = 0;
      for (const self of order) {
        const isOther = (_: unknown, other: number) => other !== self;
        const others = [
          ...points.filter(isOther).flatMap(({ boxes }) => boxes),
          ...chosen.filter(isOther).flatMap(({ label, line }) => [label, ...line]),
          ...outside,
        ];
        let least = Infinity, best: Candidate | undefined;
        for (const candidate of candidates[self]!.slice(0, places)) {
          if (candidate.cost >= least) continue;
          const { label, line } = candidate;
          const total = candidate.cost + overlap([label], points[self]!.boxes) +
            overlap([label, ...line], others);
          if (total < least) [least, best] = [total, candidate];
        }
        moved ||= best !== chosen[self];
        chosen[self] = best!;
        cost += least;
      }
    }
  }
  return { chosen, cost };
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
  const width = widthOf(text);
  return distances.flatMap((distance, step) =>
    (step === 0 ? nearSides : farSides).map(([right, down], side): Candidate => {
      const left = x + right * distance + (Math.trunc(right) - 1) * width / 2;
      const top = y + down * distance + (Math.trunc(down) - 1) * lineHeight / 2;
      return {
        label: { left, right: left + width, top, bottom: top + lineHeight },
        line: lineTo(x, y, right, down, distance),
        place: placeAt(right, down, distance, step > 0),
        cost: step * distanceCost + side * sideCost,
      };
    })
  );
}

/** Returns the width of a label in pixels. */
function widthOf(text: string): number {
  let width = 0;
  for (const letter of text) {
    width += letterWidths[narrow.test(letter) ? 0 : wide.test(letter) ? 2 : 1];
  }
  return 1.04 * fontSize * width;
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
    xanchor: (["right", "center", "left"] as const)[Math.trunc(right) + 1]!,
    yanchor: (["bottom", "middle", "top"] as const)[Math.trunc(down) + 1]!,
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
