import { type Images, isTensor, ops, type TensorContainer, tidy } from "../tensor/mod.ts";
import { show } from "../tensor/internal.ts";
import { checkArguments, checkModule } from "./checks.ts";
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
  Closed,
  OutputOf,
  Shortcut,
} from "./shapes.ts";

/** Runs a module whose types are not known here; its own checks say what does not fit. */
function run(module: AnyModule, input: unknown, options?: ForwardOptions): TensorContainer {
  return module.forward(input as never, options) as TensorContainer;
}

/**
 * Modules with those in one field by their number, so that paths read `0.weight` and not
 * `layers.0.weight`.
 */
function numbered(children: Map<string, AnyModule>, field: string): Map<string, AnyModule> {
  return new Map(
    [...children].map(([name, child]) => [name.replace(new RegExp(`^${field}\\.`), ""), child]),
  );
}

function checkModules(what: string, name: string, modules: readonly unknown[]): void {
  if (!Array.isArray(modules)) {
    throw new TypeError(
      `Building ${what}: it must be an array of modules, found ${show(modules)}.`,
    );
  }
  if (modules.length === 0) {
    throw new TypeError(`Building ${what}: at least one ${name} is needed.`);
  }
  modules.forEach((module, i) => checkModule(`Building ${what}`, `${name} ${i}`, module));
}

/** Layers one after the other; made by {@linkcode sequential}. */
export class Sequential<
  Layers extends readonly AnyModule[],
  In = ChainInput<Layers>,
  Out = ChainOutput<In, Layers>,
> extends Module<In, Out> {
  declare readonly [shapeRule]: ChainRule<Layers>;

  /** @param layers The layers, in the order of the forward pass. */
  constructor(readonly layers: Layers) {
    super();
    checkModules("sequential", "layer", layers);
  }

  override forward(input: In, options?: ForwardOptions): Out {
    return tidy(() => {
      let value = input as TensorContainer;
      for (const layer of this.layers) value = run(layer, value, options);
      return value;
    }) as Out;
  }

  override describe(): string {
    return "sequential";
  }

  override children(): Map<string, AnyModule> {
    return numbered(super.children(), "layers");
  }
}

/**
 * Layers one after the other: `y = lₙ(… l₂(l₁(x)))`. A layer that does not take what the one before
 * it gives is a compile error at that argument; so is an array of layers, spread as `...blocks`,
 * that do not fit one another.
 *
 * @throws {TypeError} If there is no layer, or something is not a layer.
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
 * // @ts-expect-error: this layer takes 16 features, but the layer before it gives 8 features
 * sequential(body, linear(16, 10));
 * ```
 */
export function sequential<const Layers extends readonly AnyModule[]>(
  ...layers: Chain<ChainInput<Layers>, Layers> extends Layers ? Layers
    : Chain<ChainInput<Layers>, Layers>
): Sequential<Layers> {
  return new Sequential<Layers>(layers as readonly AnyModule[] as Layers);
}

/** A body and a shortcut around it, added; made by {@linkcode residual}. */
export class Residual<
  Body extends AnyModule,
  Side extends AnyModule | undefined = undefined,
  In = InputOf<Body>,
  Out = OutputOf<Body>,
> extends Module<In, Out> {
  /**
   * @param body The layers whose output is added.
   * @param shortcut What brings the input into the body's output shape; the input itself where
   * there is none.
   */
  constructor(readonly body: Body, readonly shortcut: Side) {
    super();
    checkModule("Building residual", "the body", body);
    if (shortcut !== undefined) checkModule("Building residual", "the shortcut", shortcut);
  }

  override forward(input: In, options?: ForwardOptions): Out {
    return tidy(() => {
      const y = run(this.body, input, options);
      const x = this.shortcut ? run(this.shortcut, input, options) : input;
      if (!isTensor(y) || !isTensor(x) || String(y.shape) !== String(x.shape)) {
        const side = this.shortcut ? "the shortcut gives" : "the input is";
        throw new RangeError(
          `${this.describe()}: the body gives ${show(y)}, but ${side} ${
            show(x)
          }, and the two are added. ` +
            "Give the shortcut the same stride and channels as the body.",
        );
      }
      return ops.add(y, x);
    }) as Out;
  }

  override describe(): string {
    return "residual";
  }
}

/**
 * A residual connection, `y = body(x) + shortcut(x)`, with the identity where no shortcut is given
 * (He et al. 2016, section 3.2).
 *
 * A body whose output cannot be added to the shortcut's is a compile error as far as the channels
 * tell, else an error in `forward` and in {@linkcode summary}.
 *
 * @throws {TypeError} If the body or the shortcut is not a layer.
 * @throws {RangeError} In `forward`, if the body and the shortcut give different shapes.
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
  const Side extends AnyModule | undefined = undefined,
>(
  body: Closed<Body, Side> extends Body ? Body : Closed<Body, Side>,
  shortcut?: Shortcut<Body, Side> extends Side ? Side : Shortcut<Body, Side>,
): Residual<Body, Side> {
  checkArguments("Building residual", arguments, 2);
  return new Residual(body as AnyModule as Body, shortcut as AnyModule | undefined as Side);
}

/** Branches over the same input, joined along the channels; made by {@linkcode parallel}. */
export class Parallel<
  All extends readonly AnyModule[],
  In = BranchInput<All>,
  Channels extends number = BranchChannels<In, All>,
> extends Module<In, Images<Channels>> {
  /** @param branches The branches, in the order of their channels in the output. */
  constructor(readonly branches: All) {
    super();
    checkModules("parallel", "branch", branches);
  }

  override forward(input: In, options?: ForwardOptions): Images<Channels> {
    return tidy(() => {
      const outputs = this.branches.map((branch) => run(branch, input, options)) as Images[];
      const [first] = outputs;
      outputs.forEach((output, i) => {
        const fits = isTensor(output) && output.rank === 4 &&
          String(output.shape.slice(0, 3)) === String(first?.shape.slice(0, 3));
        if (fits) return;
        throw new RangeError(
          `${this.describe()}: branches are joined along the channels, so all must give images of one batch, height and width, but branch 0 gives ${
            show(first)
          } and branch ${i} gives ${show(output)}.`,
        );
      });
      return ops.concat(outputs, 3);
    });
  }

  override describe(): string {
    return "parallel";
  }

  override children(): Map<string, AnyModule> {
    return numbered(super.children(), "branches");
  }
}

/**
 * Branches over the same images, their outputs joined along the channels (Szegedy et al. 2015,
 * section 4): the channels of the result are the sum, in the type as well.
 *
 * @throws {TypeError} If there is no branch, or something is not a layer.
 * @throws {RangeError} In `forward`, if the branches give images of different heights or widths.
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
