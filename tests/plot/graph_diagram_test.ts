import assert from "node:assert/strict";
import { graphDiagram } from "../../lib/plot/mod.ts";

/** The graph of relu(w·x) + x. */
const graph = {
  nodes: [
    { id: "x", label: "x", detail: "2" },
    { id: "w", label: "w", detail: "−3" },
    { id: "m", label: "multiply" },
    { id: "r", label: "relu" },
    { id: "a", label: "add" },
  ],
  edges: [
    { from: "x", to: "m" },
    { from: "w", to: "m" },
    { from: "m", to: "r" },
    { from: "r", to: "a" },
    { from: "x", to: "a" },
  ],
};

/** The boxes of the nodes by their id: [left, top, right, bottom]. */
function boxesOf({ layout }: ReturnType<typeof graphDiagram>): Map<string, number[]> {
  return new Map(graph.nodes.map(({ id }, index) => {
    const { x, y, width = 0, height = 0 } = layout.annotations?.[index] ?? {};
    return [id, [
      Number(x) - width / 2,
      Number(y) - height / 2,
      Number(x) + width / 2,
      Number(y) + height / 2,
    ]];
  }));
}

Deno.test("graphDiagram sets each node below all it is computed from, none over another", () => {
  const figure = graphDiagram(graph, { title: "relu(wx) + x" });
  const boxes = boxesOf(figure);
  for (const { from, to } of graph.edges) {
    assert.ok(boxes.get(from)![3]! < boxes.get(to)![1]!, `${from} above ${to}`);
  }
  for (const [one, [left, top, right, bottom]] of boxes) {
    for (const [other, box] of boxes) {
      const apart = right! < box[0]! || box[2]! < left! || bottom! < box[1]! || box[3]! < top!;
      assert.ok(one === other || apart, `${one} and ${other}`);
    }
  }
  const { xaxis, yaxis } = figure.layout;
  for (const [id, [left, top, right, bottom]] of boxes) {
    assert.ok(left! >= xaxis?.range?.[0] && right! <= xaxis?.range?.[1], `${id} is inside`);
    assert.ok(top! >= yaxis?.range?.[1] && bottom! <= yaxis?.range?.[0], `${id} is inside`);
  }
  assert.equal(
    figure.description,
    "Graph of 5 nodes and 5 edges: x → multiply, w → multiply, multiply → relu, relu → add, " +
      "x → add.",
  );
});

Deno.test("graphDiagram ends each edge in one arrow head at its node", () => {
  const figure = graphDiagram(graph);
  const boxes = boxesOf(figure);
  const [edges] = figure.data;
  assert.ok(Array.isArray(edges?.x) && Array.isArray(edges.y));
  const sizes = edges.marker?.size;
  assert.ok(Array.isArray(sizes));
  const heads = sizes.flatMap((size, index) => size > 0 ? [index] : []);
  assert.equal(heads.length, graph.edges.length);
  const reached = heads.map((head) => {
    const x = Number(edges.x?.[head]), y = Number(edges.y?.[head]);
    return [...boxes].find(([, [left, top, right, bottom]]) =>
      x >= left! - 2 && x <= right! + 2 && y >= top! - 2 && y <= bottom! + 2
    )?.[0];
  });
  assert.deepEqual(reached.sort(), graph.edges.map(({ to }) => to).sort());
});

Deno.test("graphDiagram writes the label of an edge between its nodes", () => {
  const { nodes } = graph;
  const edges = graph.edges.map((edge, index) => ({ ...edge, label: `· ${index}` }));
  const figure = graphDiagram({ nodes, edges }, { direction: "right" });
  const boxes = boxesOf(figure);
  const labels = (figure.layout.annotations ?? []).slice(nodes.length);
  assert.deepEqual(labels.map(({ text }) => text), ["· 0", "· 1", "· 2", "· 3", "· 4"]);
  labels.forEach(({ x }, index) => {
    const { from, to } = edges[index]!;
    const isBetween = Number(x) > boxes.get(from)![2]! && Number(x) < boxes.get(to)![0]!;
    assert.ok(isBetween, `the label of ${from} → ${to} is between its nodes`);
  });
  assert.match(figure.description, /: x → multiply \(· 0\), w → multiply \(· 1\), /);
  assert.throws(
    () => graphDiagram({ nodes, edges: [{ from: "x", to: "m", label: 1 as never }] }),
    { name: "TypeError", message: /the label of edges\[0\] must be/ },
  );
});

Deno.test("graphDiagram writes details below labels and may lead to the right", () => {
  const figure = graphDiagram(graph, { direction: "right" });
  const boxes = boxesOf(figure);
  for (const { from, to } of graph.edges) {
    assert.ok(boxes.get(from)![2]! < boxes.get(to)![0]!, `${from} left of ${to}`);
  }
  assert.match(figure.layout.annotations?.[0]?.text ?? "", /^x<br><span [^>]*>2<\/span>$/);
  assert.equal(figure.layout.annotations?.[2]?.text, "multiply");
});

Deno.test("graphDiagram draws a single node", () => {
  const { description } = graphDiagram({ nodes: [{ id: "x", label: "x" }], edges: [] });
  assert.equal(description, "Graph of 1 node and 0 edges.");
});

Deno.test("graphDiagram refuses values that it cannot draw", () => {
  const [x, w] = graph.nodes;
  const cases: [() => unknown, string][] = [
    [
      () => graphDiagram({ nodes: [], edges: [] }),
      "nodes must have at least one element, found none.",
    ],
    [
      () => graphDiagram({ nodes: [x!, w!, x!], edges: [] }),
      'the ids of nodes must differ, found "x" twice.',
    ],
    [
      () => graphDiagram({ nodes: [x!, w!], edges: [{ from: "x", to: "y" }] }),
      'edges must be between the nodes x, w, found one from "x" to "y".',
    ],
  ];
  for (const [draw, message] of cases) {
    assert.throws(draw, { name: "RangeError", message: `Drawing a graph: ${message}` });
  }
});

Deno.test("graphDiagram has room for a title of two lines, and for the lines at its edges", () => {
  const tops = ["short", "a title that is too long for one line of so narrow a graph"].map((
    title,
  ) => Number(graphDiagram(graph, { title }).layout.margin?.t));
  assert.equal(tops[1], tops[0]! + 20);
  // The arrow from x to y goes around the box between them.
  const { data, layout } = graphDiagram({
    nodes: ["x", "a wide box", "y"].map((id) => ({ id, label: id })),
    edges: [
      { from: "x", to: "a wide box" },
      { from: "a wide box", to: "y" },
      { from: "x", to: "y" },
    ],
  });
  const [left, right] = layout.xaxis!.range as [number, number];
  const x = (data[0]!.x as (number | null)[]).filter((at) => at !== null);
  assert(left < Math.min(...x) && Math.max(...x) < right);
});

Deno.test("graphDiagram gives an empty detail no line", () => {
  const node = { id: "y", label: "y" };
  const [plain, empty] = [node, { ...node, detail: "" }].map((node) =>
    graphDiagram({ nodes: [node], edges: [] }).layout
  );
  assert.equal(empty!.height, plain!.height);
  assert.equal(empty!.annotations?.[0]?.text, "y");
});
