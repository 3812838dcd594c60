import { checkOptions, checkString } from "../../tensor/internal.ts";
import { checkFigureOptions, checkNotEmpty, checkStrings } from "../checks.ts";
import type { Figure } from "../figure.ts";
import { graphDiagram, type GraphEdge, type GraphNode } from "../graph_diagram.ts";
import type { FigureOptions } from "../options.ts";

/** A block of a network, for {@linkcode blocks}. */
export interface DrawnBlock {
  /** The name, which stands at the input. */
  readonly name: string;
  /** The layers in order, each in a few words. */
  readonly layers: readonly string[];
  /**
   * The layers of the shortcut, `[]` for one that passes the input on as it is. Layers and shortcut
   * meet in an addition.
   *
   * @default there is no shortcut, and no addition
   */
  readonly shortcut?: readonly string[];
  /**
   * The layers after the addition.
   *
   * @default none
   */
  readonly after?: readonly string[];
}

/** Options of {@linkcode blocks}. */
export type BlocksOptions = Omit<FigureOptions, "width" | "height">;

/**
 * Draws blocks of networks side by side, from the input x to the output y: their layers, their
 * shortcuts, and where the two are added.
 *
 * @param drawn The blocks.
 * @param options The title. The size of the figure follows from the blocks.
 * @throws {RangeError} If there are no blocks, or a block has no layers.
 * @throws {TypeError} If an option does not exist, or an argument is of the wrong kind.
 *
 * @example
 * ```ts
 * import { diagram } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const layers = ["3×3 conv", "relu", "3×3 conv"];
 * const figure = diagram.blocks([
 *   { name: "plain", layers, after: ["relu"] },
 *   { name: "residual", layers, shortcut: [], after: ["relu"] },
 * ]);
 * assert.equal(
 *   figure.description,
 *   "Blocks: plain: 3×3 conv, relu, 3×3 conv, relu; " +
 *     "residual: 3×3 conv, relu, 3×3 conv, plus the input, relu.",
 * );
 * ```
 */
export function blocks(drawn: readonly DrawnBlock[], options: BlocksOptions = {}): Figure {
  const action = "Drawing blocks";
  checkFigureOptions<BlocksOptions>(action, options, '{ title: "…" }', {
    title: true,
    description: true,
  });
  checkNotEmpty(action, "blocks", drawn);
  const nodes: GraphNode[] = [], edges: GraphEdge[] = [];
  drawn.forEach((block, index) => {
    checkBlock(action, index, block);
    const { name, layers, shortcut, after = [] } = block;
    const chain = (first: string, labels: readonly string[]) =>
      labels.reduce((from, label) => {
        const to = `${index}.${nodes.length}`;
        nodes.push({ id: to, label });
        edges.push({ from, to });
        return to;
      }, first);
    const input = `${index}.x`;
    nodes.push({ id: input, label: "x", detail: name });
    const last = chain(input, shortcut ? [...layers, "+"] : layers);
    if (shortcut) edges.push({ from: chain(input, shortcut), to: last });
    chain(last, [...after, "y"]);
  });
  const description = `Blocks: ${drawn.map(inWords).join("; ")}.`;
  return graphDiagram({ nodes, edges }, { description, ...options });
}

function inWords({ name, layers, shortcut, after = [] }: DrawnBlock): string {
  const added = shortcut && `plus the input${shortcut.map((layer) => ` → ${layer}`).join("")}`;
  return `${name}: ${[...layers, ...(added === undefined ? [] : [added]), ...after].join(", ")}`;
}

function checkBlock(action: string, index: number, block: DrawnBlock): void {
  const subject = `blocks[${index}]`;
  checkOptions<DrawnBlock>(
    `${action}, ${subject}`,
    block,
    '{ name: "plain", layers: ["3×3 conv", "relu"] }',
    { name: true, layers: true, shortcut: true, after: true },
  );
  const { name, layers, shortcut = [], after = [] } = block;
  checkString(action, `the name of ${subject}`, name);
  checkNotEmpty(action, `the layers of ${subject}`, layers);
  for (const [part, labels] of Object.entries({ layers, shortcut, after })) {
    checkStrings(action, `the ${part} of ${subject}`, labels);
  }
}
