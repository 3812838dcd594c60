import {
  type EdgeLabel,
  Graph,
  type GraphLabel,
  layout as layoutGraph,
  type NodeLabel,
} from "@dagrejs/dagre";
import type { Annotations } from "plotly.js";
import { checkArray, checkOneOf, checkOptions, checkString } from "../tensor/internal.ts";
import { checkFigureOptions, checkNotEmpty } from "./checks.ts";
import { Figure } from "./figure.ts";
import { escapeText, joinClauses } from "./format.ts";
import { extent } from "./numbers.ts";
import type { FigureOptions } from "./options.ts";
import { baseLayout, colors, extraTitleHeight, label } from "./style.ts";

/** An operation or a value of a computation graph. */
export interface GraphNode {
  /** Id by which edges name the node. */
  readonly id: string;
  /** Text in the box of the node. */
  readonly label: string;
  /** A second, smaller line, such as a value or a shape. */
  readonly detail?: string;
}

/** An arrow from one node to another, by their ids. */
export interface GraphEdge {
  /** Id of the node where the arrow starts. */
  readonly from: string;
  /** Id of the node where the arrow ends. */
  readonly to: string;
  /** Text on the arrow, such as a local derivative. */
  readonly label?: string;
}

/** Vermilion, darkened until it is readable on white. */
const edgeLabelColor = "#a84a00";

/** Options of {@linkcode graphDiagram}. */
export interface GraphDiagramOptions extends Omit<FigureOptions, "width" | "height"> {
  /**
   * Direction of the arrows.
   *
   * @default "down"
   */
  direction?: "down" | "right";
}

/**
 * Draws a computation graph in layers, each node after its inputs.
 *
 * @param graph The nodes and the edges between them.
 * @param options The direction and title. The size of the figure follows from the graph.
 * @throws {RangeError} If there are no nodes, two have the same id, or an edge names a node that
 * does not exist.
 * @throws {TypeError} If an option does not exist, or an argument is of the wrong kind.
 *
 * @example
 * ```ts
 * import { graphDiagram } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const figure = graphDiagram({
 *   nodes: [{ id: "x", label: "x", detail: "3" }, { id: "y", label: "square", detail: "9" }],
 *   edges: [{ from: "x", to: "y" }],
 * });
 * assert.equal(figure.description, "Graph of 2 nodes and 1 edge: x → square.");
 * ```
 */
export function graphDiagram(
  graph: { readonly nodes: readonly GraphNode[]; readonly edges: readonly GraphEdge[] },
  options: GraphDiagramOptions = {},
): Figure {
  const action = "Drawing a graph";
  checkFigureOptions<GraphDiagramOptions>(action, options, '{ direction: "right" }', {
    title: true,
    description: true,
    direction: true,
  });
  checkOptions<typeof graph>(`${action}, the graph`, graph, "{ nodes: […], edges: […] }", {
    nodes: true,
    edges: true,
  });
  const { nodes, edges } = graph;
  checkNotEmpty(action, "nodes", nodes);
  checkArray(action, "edges", edges);
  const { direction = "down" } = options;
  checkOneOf(action, "direction", direction, ["down", "right"]);

  const dagre = new Graph<GraphLabel, NodeLabel, EdgeLabel>({ multigraph: true });
  dagre.setGraph({ rankdir: direction === "down" ? "TB" : "LR", nodesep: 24, ranksep: 40 });
  const byId = new Map<string, GraphNode>();
  for (const node of nodes) {
    checkOptions<GraphNode>(`${action}, a node`, node, '{ id: "x", label: "x" }', {
      id: true,
      label: true,
      detail: true,
    });
    checkString(action, "the id of a node", node.id);
    checkString(action, `the label of node "${node.id}"`, node.label);
    if (node.detail !== undefined) {
      checkString(action, `the detail of node "${node.id}"`, node.detail);
    }
    if (byId.has(node.id)) {
      throw new RangeError(`${action}: the ids of nodes must differ, found "${node.id}" twice.`);
    }
    byId.set(node.id, node);
    const width = 24 + Math.max(8 * node.label.length, 6.5 * (node.detail?.length ?? 0));
    dagre.setNode(node.id, { width, height: node.detail ? 44 : 28 });
  }
  edges.forEach((edge, index) => {
    checkOptions<GraphEdge>(`${action}, edges[${index}]`, edge, '{ from: "x", to: "y" }', {
      from: true,
      to: true,
      label: true,
    });
    const { from, to } = edge;
    if (edge.label !== undefined) {
      checkString(action, `the label of edges[${index}]`, edge.label);
    }
    for (const id of [from, to]) {
      if (!byId.has(id)) {
        throw new RangeError(
          `${action}: edges must be between the nodes ${[...byId.keys()].join(", ")}, ` +
            `found one from "${from}" to "${to}".`,
        );
      }
    }
    const size = edge.label === undefined
      ? {}
      : { width: 8 + 7 * edge.label.length, height: 18, labelpos: "c" as const };
    dagre.setEdge(from, to, size, String(index));
  });
  layoutGraph(dagre);

  // All arrows are one trace: the points of each edge, a head at the last point, then a gap.
  const x: (number | null)[] = [], y: (number | null)[] = [], sizes: number[] = [];
  for (const edge of dagre.edges()) {
    const points = dagre.edge(edge).points ?? [];
    points.forEach((point, index) => {
      x.push(point.x);
      y.push(point.y);
      sizes.push(index === points.length - 1 ? 11 : 0);
    });
    x.push(null);
    y.push(null);
    sizes.push(0);
  }
  // The graph's own size excludes edges that run around the outside.
  const boxes = nodes.map(({ id }) => dagre.node(id));
  const [left, right] = drawnEnds([...x.filter(isNumber), ...ends(boxes, "x", "width")]);
  const [top, bottom] = drawnEnds([...y.filter(isNumber), ...ends(boxes, "y", "height")]);
  const width = right - left, height = bottom - top;
  const figureWidth = Math.max(320, width + 32);
  const titleHeight = extraTitleHeight({ ...options, width: figureWidth });
  const margin = { l: 16, r: 16, t: options.title === undefined ? 16 : 52 + titleHeight, b: 16 };
  const hidden = { visible: false, fixedrange: true };
  const names = (id: string) => byId.get(id)?.label ?? id;
  return new Figure(
    [{
      type: "scatter",
      mode: "lines+markers",
      x,
      y,
      line: { color: "#8c8c8c", width: 1.5 },
      marker: { color: "#8c8c8c", symbol: "arrow", angleref: "previous", size: sizes, opacity: 1 },
      hoverinfo: "skip",
    }],
    {
      ...baseLayout({ ...options, width: figureWidth }),
      width: figureWidth,
      height: height + margin.t + margin.b,
      margin: { ...margin, r: figureWidth - width - margin.l },
      xaxis: { ...hidden, range: [left, right] },
      yaxis: { ...hidden, range: [bottom, top] },
      annotations: [
        ...nodes.map((node, index) => {
          const { x, y, width, height } = boxes[index]!;
          const detail = !node.detail
            ? ""
            : `<br><span style="font-size:11px;color:#595959">${
              escapeText(node.detail, Infinity)
            }</span>`;
          return label(escapeText(node.label, Infinity) + detail, {
            x,
            y,
            width: width - 2,
            height: height - 2,
            bgcolor: "#eef4fa",
            bordercolor: colors[0],
            borderwidth: 1,
            borderpad: 0,
            font: { size: 13 },
          });
        }),
        ...edges.flatMap((edge, index) =>
          edgeLabels(edge, dagre.edge(edge.from, edge.to, String(index)))
        ),
      ],
    },
    options.description ??
      `Graph of ${nodes.length} ${nodes.length === 1 ? "node" : "nodes"} and ${edges.length} ` +
        `${edges.length === 1 ? "edge" : "edges"}` +
        (edges.length === 0 ? "." : `: ${
          joinClauses(
            edges.map(({ from, to, label }) =>
              `${names(from)} → ${names(to)}${label === undefined ? "" : ` (${label})`}`
            ),
            ", ",
          )
        }.`),
  );
}

/** Returns the label of an edge, if it has one, on a white ground over the arrow. */
function edgeLabels(
  { label: text }: GraphEdge,
  { x, y }: EdgeLabel,
): Partial<Annotations>[] {
  if (text === undefined) return [];
  return [
    label(escapeText(text, Infinity), {
      ...{ x, y },
      bgcolor: "#ffffff",
      borderpad: 1,
      font: { size: 12, color: edgeLabelColor },
    }),
  ];
}

/** Returns the ends of what is drawn, with half the width of a line. */
function drawnEnds(positions: readonly number[]): [number, number] {
  const [low, high] = extent(positions);
  return [low - 1, high + 1];
}

function ends(boxes: readonly NodeLabel[], center: "x" | "y", size: "width" | "height"): number[] {
  return boxes.flatMap((box) => {
    const middle = box[center] ?? 0;
    return [middle - box[size] / 2, middle + box[size] / 2];
  });
}

function isNumber(value: number | null): value is number {
  return value !== null;
}
