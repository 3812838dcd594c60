import { checkOptions, isTensor, ops, tidy, type Variable } from "../tensor/mod.ts";
import { checkInputShape, checkModule, checkWhole } from "./checks.ts";
import { type AnyModule, joinPath } from "./module.ts";
import { onForward } from "./observe.ts";

/** One layer in a {@linkcode Summary}. */
export interface SummaryRow {
  /** Where the layer is in the model: `stage2.0.conv1`. */
  readonly path: string;
  /** The layer in a few words. */
  readonly layer: string;
  /** The shape it gives, without the batch axis. */
  readonly outputShape: readonly number[];
  /** Numbers in it that are trained: frozen ones are not counted. */
  readonly parameters: number;
  /** Multiply-accumulate operations for one input. */
  readonly macs: number;
}

/**
 * The layers of a model with their output shapes, parameters and multiply-accumulates; made by
 * {@linkcode summary}.
 */
export class Summary {
  /** See {@linkcode summary}. */
  constructor(
    readonly inputShape: readonly number[],
    readonly rows: readonly SummaryRow[],
    /**
     * Numbers in the whole model that are trained, shared ones once, those that inference does not
     * reach as well.
     */
    readonly parameters: number,
    /** Multiply-accumulate operations for one input. */
    readonly macs: number,
  ) {}

  /** The table as text, with a closing line of totals. */
  toString(): string {
    const number = (value: number) => value === 0 ? "" : value.toLocaleString("en-US");
    const table = [
      ["path", "layer", "output", "parameters", "MACs"],
      ["", "input", this.inputShape.join("×"), "", ""],
      ...this.rows.map((row) => [
        row.path,
        row.layer,
        row.outputShape.join("×"),
        number(row.parameters),
        number(row.macs),
      ]),
      ["", "total", "", number(this.parameters), number(this.macs)],
    ];
    const widths = [0, 1, 2, 3, 4].map((column) =>
      Math.max(...table.map((cells) => cells[column]!.length))
    );
    const lines = table.map((cells) =>
      cells.map((cell, column) =>
        column < 2 ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!)
      ).join("  ").trimEnd()
    );
    const rule = "─".repeat(widths.reduce((total, width) => total + width + 2, -2));
    return [lines[0], rule, ...lines.slice(1, -1), rule, lines.at(-1)].join("\n");
  }

  /** What `console.log` and a cell's last expression show. */
  [Symbol.for("Deno.customInspect")](): string {
    return this.toString();
  }
}

/**
 * The layers of a model in the order of the forward pass, with the shapes they give for one input
 * of `inputShape` (without the batch axis), their parameters and multiply-accumulates.
 *
 * It runs the model once on a single input of zeros, so that a layer that does not fit is found
 * before any data is.
 *
 * With `depth` the parts below that many steps of the path are added up: 1 gives a row for each
 * direct part of the model.
 *
 * @throws {RangeError} If a layer does not fit its input, with the layer's path, what it expects
 * and what it found; or if `depth` or `inputShape` are not whole numbers above 0.
 * @throws {TypeError} If the model is not a module.
 *
 * @example
 * ```ts
 * import { conv2d, flatten, linear, sequential, summary } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const model = sequential(conv2d(1, 6, { kernelSize: 5 }), flatten(), linear(3456, 10));
 * const table = summary(model, [28, 28, 1]);
 * assert.deepEqual(table.rows[0]?.outputShape, [24, 24, 6]);
 * assert.equal(table.rows[0]?.macs, 24 * 24 * 6 * 5 * 5);
 * assert.equal(table.parameters, 6 * 25 + 6 + 3456 * 10 + 10);
 *
 * assert.throws(() => summary(model, [32, 32, 1]), /At 2 \(linear 3456 → 10\)/);
 * ```
 */
export function summary(
  model: AnyModule,
  inputShape: readonly number[],
  options: { depth?: number } = {},
): Summary {
  checkModule("Summarising a model", "the model", model);
  checkOptions<typeof options>("Summarising a model", options, "{ depth: 1 }", { depth: true });
  const { depth = Infinity } = options;
  checkInputShape("Summarising a model", inputShape);
  if (depth !== Infinity) checkWhole("Summarising a model", "depth", depth);
  const rows: SummaryRow[] = [];
  const add = (row: SummaryRow) => {
    const at = rows.findIndex(({ path }) => path === row.path);
    const earlier = rows[at];
    if (earlier === undefined) rows.push(row);
    else {
      rows[at] = {
        ...row,
        parameters: earlier.parameters + row.parameters,
        macs: earlier.macs + row.macs,
      };
    }
  };
  const trained = new Set(model.parameters());
  const counted = new Set<Variable>();
  tidy(() => {
    onForward(
      model,
      ops.zeros([1, ...inputShape]) as never,
      ({ path, module, input, output }) => {
        const steps = path === "" ? [] : path.split(".");
        let parameters = 0;
        for (const variable of module.variables().values()) {
          if (trained.has(variable) && !counted.has(variable)) parameters += variable.size;
          counted.add(variable);
        }
        const outputShape = shapeOf(output);
        const macs = module.macs(shapeOf(input), outputShape);
        const shown = module.children().size === 0 || parameters > 0 || macs > 0 ||
          steps.length === depth;
        if (!shown) return;
        if (steps.length <= depth) {
          add({ path, layer: module.describe(), outputShape, parameters, macs });
        } else {
          const above = steps.slice(0, depth).reduce(joinPath, "");
          add({ path: above, layer: "", outputShape, parameters, macs });
        }
      },
    );
  });
  return new Summary(
    [...inputShape],
    rows,
    [...trained].reduce((total, variable) => total + variable.size, 0),
    rows.reduce((total, row) => total + row.macs, 0),
  );
}

function shapeOf(value: unknown): number[] {
  return isTensor(value) ? value.shape.slice(1) : [];
}
