import assert from "node:assert/strict";
import { panelGrid } from "../../lib/plot/panels.ts";

Deno.test("panelGrid fills rows from the left, with the gaps in pixels", () => {
  const { panels, layout } = panelGrid(5, {
    columns: 2,
    width: 320,
    panelHeight: 80,
    columnGap: 40,
    rowGap: 60,
    margin: { l: 70, r: 10, t: 30, b: 50 },
  });
  // 240 pixels between the margins: panels of 100 and a gap of 40. Three rows: 3·80 + 2·60 = 360.
  assert.equal(layout.height, 360 + 30 + 50);
  const places = panels.map(({ xaxis, yaxis }) =>
    [xaxis.domain, yaxis.domain].map((ends, axis) =>
      ends?.map((end) => Math.round(end * (axis === 0 ? 240 : 360)))
    )
  );
  assert.deepEqual(places, [
    [[0, 100], [280, 360]],
    [[140, 240], [280, 360]],
    [[0, 100], [140, 220]],
    [[140, 240], [140, 220]],
    [[0, 100], [0, 80]],
  ]);
  assert.deepEqual(panels.map(({ xKey, yKey }) => [xKey, yKey]).slice(0, 2), [
    ["xaxis", "yaxis"],
    ["xaxis2", "yaxis2"],
  ]);
  assert.deepEqual(panels[4]?.trace, { xaxis: "x5", yaxis: "y5" });
  assert.deepEqual([panels[4]?.xaxis.anchor, panels[4]?.yaxis.anchor], ["y5", "x5"]);
});
