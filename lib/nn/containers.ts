import { type Images, ops, type TensorContainer, tidy } from "../tensor/mod.ts";
import { checkArguments, checkArray, isTensor, show } from "../tensor/internal.ts";
import { checkModule } from "./checks.ts";
import {
  type AnyModule,
  type ForwardOptions,
  type InputOf,
  Module,
  type shapeRule,
} from "./module.ts";
import type {
  BranchChannels,
  Branches,
  BranchInput,
  Chain,
  ChainInput,
  ChainOutput,
  ChainRule,
  OutputOf,
  ResidualBody,
  ResidualShortcut,
} from "./shapes.ts";

/** Runs a module of unknown types. The module checks its input itself. */
function run(module: AnyModule, input: unknown, options?: ForwardOptions): TensorContainer {
  return module.forward(input as never, options) as TensorContainer;
}

/** Removes the name of the field from names, so that paths are `0.weight`, as in PyTorch. */
function withoutField(children: Map<string, AnyModule>, field: string): Map<string, AnyModule> {
  return new Map(
    [...children].map(([name, child]) => [name.replace(new RegExp(`^${field}\\.`), ""), child]),
  );
}

function checkModules(
  action: string,
  subjects: string,
  subject: string,
  modules: readonly unknown[],
): void {
  checkArray(action, `the ${subjects}`, modules);
  if (modules.length === 0) {
    throw new RangeError(`${action}: there must be at least one ${subject}, found none.`);
  }
  modules.forEach((module, i) => {
    if (Array.isArray(module) && module.some((part) => part instanceof Module)) {
      throw new TypeError(
        `${action}: ${subject} ${i} must be a module, found ${
          show(module)
        }. Spread the array: ...${subjects}.`,
      );
    }
    checkModule(action, `${subject} ${i}`, module);
  });
}

/** Layers that run one after the other; made by {@linkcode sequential}. */
export class Sequential<
  Layers extends readonly AnyModule[],
  In = ChainInput<Layers>,
  Out = ChainOutput<In, Layers>,
> extends Module<In, Out> {
  /** For the compiler only: see {@linkcode ShapeRule}. */
  declare readonly [shapeRule]: ChainRule<Layers>;

  /** See {@linkcode sequential}. */
  constructor(
    /** The layers, in the order of the forward pass. */
    readonly layers: Layers,
  ) {
    super();
    checkModules("Building sequential", "layers", "layer", layers);
  }

  /** Runs the layers, each on the output of the layer before. */
  override forward(input: In, options?: ForwardOptions): Out {
    return tidy(() => {
      let value = input as TensorContainer;
      for (const layer of this.layers) value = run(layer, value, options);
      return value;
    }) as Out;
  }

  /** Returns the name of the container. */
  override describe(): string {
    return "sequential";
  }

  /** Returns the layers by their index. */
  override children(): Map<string, AnyModule> {
    return withoutField(super.children(), "layers");
  }
}

/**
 * Makes a model of layers that run one after the other: `y = lₙ(… l₂(l₁(x)))`. A layer that does
 * not fit the output of the layer before is a compile error at that argument. So is an array,
 * spread as `...blocks`, whose layers do not fit one another.
 *
 * @throws {RangeError} If there is no layer.
 * @throws {TypeError} If an argument is not a module.
 *
 * @example
 * ```ts
 * import { conv2d, globalAveragePool, linear, ops, relu, sequential } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const model = sequential(
 *   conv2d(1, 8, { kernelSize: 3 }),
 *   relu(),
 *   globalAveragePool(),
 *   linear(8, 10),
 * );
 * assert.deepEqual(model.forward(ops.zeros([2, 28, 28, 1])).shape, [2, 10]);
 *
 * const body = sequential(conv2d(1, 8, { kernelSize: 3 }), globalAveragePool());
 * // @ts-expect-error: this layer takes 16 features, but the layer before it returns 8 features
 * sequential(body, linear(16, 10));
 * ```
 */
export function sequential<const Layers extends readonly AnyModule[]>(
  ...layers: Chain<ChainInput<Layers>, Layers> extends Layers ? Layers
    : Chain<ChainInput<Layers>, Layers>
): Sequential<Layers> {
  return new Sequential<Layers>(layers as readonly AnyModule[] as Layers);
}

/** The sum of a body and a shortcut around it; made by {@linkcode residual}. */
export class Residual<
  Body extends AnyModule,
  ShortcutModule extends AnyModule | undefined = undefined,
  In = InputOf<Body>,
  Out = OutputOf<Body>,
> extends Module<In, Out> {
  /** See {@linkcode residual}. */
  constructor(
    /** The layers whose output is added. */
    readonly body: Body,
    /** The layers from the input to the output shape of the body; undefined for the identity. */
    readonly shortcut: ShortcutModule,
  ) {
    super();
    const action = "Building residual";
    checkModule(action, "the body", body);
    if (shortcut !== undefined) checkModule(action, "the shortcut", shortcut);
  }

  /**
   * Adds the outputs of the body and the shortcut.
   *
   * @throws {RangeError} If they have different shapes.
   */
  override forward(input: In, options?: ForwardOptions): Out {
    return tidy(() => {
      const y = run(this.body, input, options);
      const x = this.shortcut ? run(this.shortcut, input, options) : input;
      if (!isTensor(y) || !isTensor(x) || String(y.shape) !== String(x.shape)) {
        const other = this.shortcut ? "output of the shortcut" : "input";
        throw new RangeError(
          `${this.describe()}: the output of the body must have the shape of the ${other}, to which it is added, found ${
            show(y)
          } and ${show(x)}. Give the shortcut the same stride and channels as the body.`,
        );
      }
      return ops.add(y, x);
    }) as Out;
  }

  /** Returns the name of the container. */
  override describe(): string {
    return "residual";
  }
}

/**
 * Makes a residual connection, `y = body(x) + shortcut(x)` (He et al. 2016, section 3.2). Without a
 * shortcut it is `body(x) + x`.
 *
 * A body and a shortcut with different channels are a compile error. Other differences are an error
 * in `forward` and in {@linkcode summary}.
 *
 * @throws {TypeError} If the body or the shortcut is not a module.
 * @throws {RangeError} In `forward`, if the outputs of body and shortcut have different shapes.
 *
 * @example
 * ```ts
 * import { conv2d, ops, residual } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const block = residual(conv2d(4, 4, { kernelSize: 3, padding: 1 }));
 * assert.deepEqual(block.forward(ops.zeros([1, 8, 8, 4])).shape, [1, 8, 8, 4]);
 *
 * // @ts-expect-error: 4 channels in and 8 out cannot be added without a shortcut
 * residual(conv2d(4, 8, { kernelSize: 3, padding: 1 }));
 * ```
 */
export function residual<
  const Body extends AnyModule,
  const ShortcutModule extends AnyModule | undefined = undefined,
>(
  body: ResidualBody<Body, ShortcutModule> extends Body ? Body : ResidualBody<Body, ShortcutModule>,
  shortcut?: ResidualShortcut<Body, ShortcutModule> extends ShortcutModule ? ShortcutModule
    : ResidualShortcut<Body, ShortcutModule>,
): Residual<Body, ShortcutModule> {
  checkArguments("Building residual", arguments, 2);
  return new Residual(
    body as AnyModule as Body,
    shortcut as AnyModule | undefined as ShortcutModule,
  );
}

/** Branches over one input, joined along the channels; made by {@linkcode parallel}. */
export class Parallel<
  All extends readonly AnyModule[],
  In = BranchInput<All>,
  Channels extends number = BranchChannels<In, All>,
> extends Module<In, Images<Channels>> {
  /** See {@linkcode parallel}. */
  constructor(
    /** The branches, in the order of their channels in the output. */
    readonly branches: All,
  ) {
    super();
    checkModules("Building parallel", "branches", "branch", branches);
  }

  /**
   * Concatenates the outputs of the branches.
   *
   * @throws {RangeError} If they have different batches, heights or widths.
   */
  override forward(input: In, options?: ForwardOptions): Images<Channels> {
    return tidy(() => {
      const outputs = this.branches.map((branch) => run(branch, input, options)) as Images[];
      const [first] = outputs;
      outputs.forEach((output, i) => {
        const fits = isTensor(output) && output.rank === 4 &&
          String(output.shape.slice(0, 3)) === String(first?.shape.slice(0, 3));
        if (fits) return;
        throw new RangeError(
          `${this.describe()}: the outputs of all branches must be images of one batch, height and width, found ${
            show(first)
          } of branch 0 and ${show(output)} of branch ${i}.`,
        );
      });
      return ops.concat(outputs, 3);
    });
  }

  /** Returns the name of the container. */
  override describe(): string {
    return "parallel";
  }

  /** Returns the branches by their index. */
  override children(): Map<string, AnyModule> {
    return withoutField(super.children(), "branches");
  }
}

/**
 * Makes branches over the same images, whose outputs are joined along the channels (Szegedy et al.
 * 2015, section 4). The type of the output has the sum of the channels.
 *
 * @throws {RangeError} If there is no branch. In `forward`, if the outputs have different heights
 * or widths.
 * @throws {TypeError} If an argument is not a module.
 *
 * @example
 * ```ts
 * import { conv2d, type Images, ops, parallel } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const block = parallel(
 *   conv2d(3, 4, { kernelSize: 1 }),
 *   conv2d(3, 8, { kernelSize: 3, padding: 1 }),
 * );
 * const y: Images<12> = block.forward(ops.zeros([1, 8, 8, 3]));
 * assert.deepEqual(y.shape, [1, 8, 8, 12]);
 * ```
 */
export function parallel<const All extends readonly AnyModule[]>(
  ...branches: Branches<BranchInput<All>, All> extends All ? All : Branches<BranchInput<All>, All>
): Parallel<All> {
  return new Parallel<All>(branches as readonly AnyModule[] as All);
}
