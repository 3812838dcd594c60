import { ops, tidy, type Variable } from "../tensor/mod.ts";
import { checkInteger, checkOptions, isTensor } from "../tensor/internal.ts";
import { checkInputShape, checkModule } from "./checks.ts";
import { onForward } from "./hooks.ts";
import { type AnyModule, joinPath } from "./module.ts";
import { type TableBundle, tableBundle, tableText, type TableView } from "./table_view.ts";

/** One layer in a {@linkcode Summary}. */
export interface SummaryRow {
  /** The path of the layer in the model: `stage2.0.conv1`. */
  readonly path: string;
  /** The description of the layer; of one that runs n times it ends in `×n`. */
  readonly layer: string;
  /** The shape of the output, without the batch axis. */
  readonly outputShape: readonly number[];
  /** The number of parameters, frozen ones among them. */
  readonly parameters: number;
  /** Multiply-accumulates for one input. */
  readonly macs: number;
}

/** The table that {@linkcode summary} returns. A notebook shows it as HTML. */
export class Summary {
  /** See {@linkcode summary}. */
  constructor(
    /** The shape of one input, without the batch axis. */
    readonly inputShape: readonly number[],
    /** The layers, in the order of the forward pass. */
    readonly rows: readonly SummaryRow[],
    /**
     * The number of parameters of the whole model. Shared parameters count once, and layers that
     * inference does not run count too.
     */
    readonly parameters: number,
    /** Multiply-accumulates for one input. */
    readonly macs: number,
    /** The number of parameters that are not frozen. */
    readonly trainedParameters: number,
  ) {}

  /** Returns the table as text, with the totals below, and what is trained if some is frozen. */
  toString(): string {
    return tableText(this.#view());
  }

  /** Returns the text that `console.log` shows. */
  [Symbol.for("Deno.customInspect")](): string {
    return this.toString();
  }

  /** Returns the table as HTML and as text, as a notebook stores it. */
  [Symbol.for("Jupyter.display")](): TableBundle {
    return tableBundle(this.#view());
  }

  #view(): TableView {
    const formatCount = (value: number) => value === 0 ? "" : value.toLocaleString("en-US");
    return {
      columns: [
        { name: "path", align: "left" },
        { name: "layer", align: "left" },
        { name: "output", align: "right" },
        { name: "parameters", align: "right" },
        { name: "MACs", align: "right" },
      ],
      rows: [
        ["", "input", this.inputShape.join("×"), "", ""],
        ...this.rows.map((row) => [
          row.path,
          row.layer,
          row.outputShape.join("×"),
          formatCount(row.parameters),
          formatCount(row.macs),
        ]),
      ],
      totals: [
        ["", "total", "", formatCount(this.parameters), formatCount(this.macs)],
        ...(this.trainedParameters < this.parameters
          ? [["", "trained", "", this.trainedParameters.toLocaleString("en-US"), ""]]
          : []),
      ],
    };
  }
}

/** The options of {@linkcode summary}. */
export interface SummaryOptions {
  /**
   * The depth of the rows in the model's tree. Parts below it are added up: 1 makes a row for each
   * direct part of the model.
   *
   * @default Infinity
   */
  depth?: number;
}

/**
 * Returns the layers of a model in the order of the forward pass, with their output shapes,
 * parameters and multiply-accumulates for one input of `inputShape` (without the batch axis).
 *
 * It runs the model once on an input of zeros, so it finds a layer that does not fit before there
 * is any data.
 *
 * @throws {RangeError} If a layer does not fit its input, with the layer's path and both shapes; or
 * if `depth` or `inputShape` are not whole numbers of at least 1.
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
  options: SummaryOptions = {},
): Summary {
  const action = "Summarising a model";
  checkModule(action, "the model", model);
  checkOptions<SummaryOptions>(action, options, "{ depth: 1 }", { depth: true });
  const { depth = Infinity } = options;
  checkInputShape(action, inputShape);
  if (depth !== Infinity) checkInteger(action, "depth", depth);
  const rows: SummaryRow[] = [];
  const calls = new Map<AnyModule, number>();
  const add = (row: SummaryRow) => {
    const index = rows.findIndex(({ path }) => path === row.path);
    const earlier = rows[index];
    if (earlier === undefined) rows.push(row);
    else {
      rows[index] = {
        ...row,
        parameters: earlier.parameters + row.parameters,
        macs: earlier.macs + row.macs,
      };
    }
  };
  const all = [...model.namedVariables().values()].filter(({ trainable }) => trainable);
  const sizeOf = (variables: readonly Variable[]) =>
    variables.reduce((total, variable) => total + variable.size, 0);
  const counted = new Set<Variable>();
  tidy(() => {
    onForward(
      model,
      ops.zeros([1, ...inputShape]) as never,
      ({ path, module, input, output }) => {
        const steps = path === "" ? [] : path.split(".");
        let parameters = 0;
        for (const variable of module.variables().values()) {
          if (variable.trainable && !counted.has(variable)) parameters += variable.size;
          counted.add(variable);
        }
        const outputShape = shapeOf(output);
        const macs = module.macs(shapeOf(input), outputShape);
        const isShown = module.children().size === 0 || parameters > 0 || macs > 0 ||
          steps.length === depth;
        if (!isShown) return;
        if (steps.length <= depth) {
          const count = (calls.get(module) ?? 0) + 1;
          calls.set(module, count);
          const layer = `${module.describe()}${count > 1 ? ` ×${count}` : ""}`;
          add({ path, layer, outputShape, parameters, macs });
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
    sizeOf(all),
    rows.reduce((total, row) => total + row.macs, 0),
    sizeOf(model.parameters()),
  );
}

function shapeOf(value: unknown): number[] {
  return isTensor(value) ? value.shape.slice(1) : [];
}
