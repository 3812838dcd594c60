import { checkOptions, ops, type Tensor, tidy, type Variable } from "../tensor/mod.ts";
import { type AnyModule, BatchNorm, Conv2d, Flatten, Linear, Module, Parallel } from "../nn/mod.ts";
import { StoredTensor } from "./stored_tensor.ts";

/** The tensors of a model by PyTorch's names, in PyTorch's layout. */
export type ModelState = ReadonlyMap<string, StoredTensor>;

/** How PyTorch lays out a variable. */
interface Layout {
  /** PyTorch's shape. */
  readonly shape: readonly number[];
  /** PyTorch's layout of a value in ours. */
  readonly theirs: (value: Tensor) => Tensor;
  /** Our layout of a value in PyTorch's. */
  readonly ours: (value: Tensor) => Tensor;
}

/** A parameter or running statistic of a model under PyTorch's name. */
interface Part extends Layout {
  readonly name: string;
  readonly variable: Variable;
  /** The name of PyTorch's count of batches, which it keeps behind the statistics of a batch norm, and nothing depends on. */
  readonly counter: string | undefined;
}

/** PyTorch's names of variables that have others here, by layer. */
const NAMES = [
  [Conv2d, { kernel: "weight" }],
  [BatchNorm, {
    scale: "weight",
    offset: "bias",
    runningMean: "running_mean",
    runningVariance: "running_var",
  }],
] as const;

/** The parameters and running statistics of a model, in the order of its layers. */
function partsOf(model: AnyModule): Part[] {
  const parts: Part[] = [];
  const seen = new Set<AnyModule>();
  /** Of the maps on the way, as far as they are known. */
  let channels: number | undefined;
  /** Of the maps that a flatten made features of, until a linear layer mixes these. */
  let flattened: number | undefined;
  const visit = (path: string, module: AnyModule) => {
    if (seen.has(module)) return;
    seen.add(module);
    const at = (name: string) => path === "" ? name : `${path}.${name}`;
    const names: Readonly<Record<string, string>> =
      NAMES.find(([Layer]) => module instanceof Layer)?.[1] ?? {};
    for (const [name, variable] of module.variables()) {
      parts.push({
        name: at(names[name] ?? name),
        variable,
        counter: module instanceof BatchNorm && name === "runningVariance"
          ? at("num_batches_tracked")
          : undefined,
        ...layoutOf(module, name, variable, flattened),
      });
    }
    if (module instanceof Flatten) flattened = channels;
    if (module instanceof Linear) flattened = undefined;
    const before = channels;
    let joined: number | undefined = 0;
    for (const [name, child] of module.children()) {
      if (module instanceof Parallel) channels = before;
      visit(at(name), child);
      joined = joined !== undefined && channels !== undefined ? joined + channels : undefined;
    }
    if (module instanceof Parallel) channels = joined;
    if ("outChannels" in module && typeof module.outChannels === "number") {
      channels = module.outChannels;
    }
  };
  visit("", model);
  return parts;
}

function layoutOf(
  module: AnyModule,
  name: string,
  variable: Variable,
  flattened: number | undefined,
): Layout {
  if (module instanceof Conv2d && name === "kernel") {
    const [height, width, inChannels, outChannels] = module.kernel.shape;
    return {
      shape: [outChannels, inChannels, height, width],
      theirs: (value) => ops.transpose(value, [3, 2, 0, 1]),
      ours: (value) => ops.transpose(value, [2, 3, 1, 0]),
    };
  }
  if (module instanceof Linear && name === "weight" || module instanceof BatchNorm && flattened) {
    // PyTorch's maps are [channels, pixels] where ours are [pixels, channels], and so are the features that a flatten makes of them.
    const [count = 1, outputs = 1] = variable.shape;
    const channels = flattened && count % flattened === 0 ? flattened : count;
    const shape = variable.shape.toReversed();
    const turned = (value: Tensor, first: number, last: number, result: readonly number[]) =>
      ops.reshape(ops.transpose(ops.reshape(value, [first, channels, last]), [2, 1, 0]), result);
    return {
      shape,
      theirs: (value) => turned(value, count / channels, outputs, shape),
      ours: (value) => turned(value, outputs, count / channels, variable.shape),
    };
  }
  return { shape: variable.shape, theirs: (value) => value, ours: (value) => value };
}

/**
 * The parameters and running statistics of a model by PyTorch's names and in PyTorch's layout, ready for {@linkcode writeSafetensors}.
 *
 * Kernels become `[out, in, height, width]`, weights of linear layers `[out, in]`; behind a flatten, features go by channel, height and
 * width. `kernel` and `scale` are called `weight`, `offset` is `bias`, `runningMean` and `runningVariance` are `running_mean` and
 * `running_var`, and each batch norm has PyTorch's `num_batches_tracked`, which is 0. So what is written for AlexNet (its variant
 * `"torchvision"`), VGG, GoogLeNet and the ResNets loads in torchvision with `strict=True`. Variables of layers of your own keep their
 * names and layout; where a flatten has no layer before it that says its `outChannels`, features keep the order that they have here.
 *
 * @throws {TypeError} If it is no model, or was disposed.
 *
 * @example
 * ```ts
 * import { conv2d, stateOf } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const state = stateOf(conv2d(3, 8, { kernelSize: 5 }));
 * assert.deepEqual([...state.keys()], ["weight", "bias"]);
 * assert.deepEqual(state.get("weight")!.shape, [8, 3, 5, 5]);
 * ```
 */
export function stateOf(model: AnyModule): Map<string, StoredTensor> {
  const doing = "Taking the state of a model";
  checkModel(doing, model);
  checkAlive(doing, model);
  const state = new Map<string, StoredTensor>();
  for (const { name, variable, counter, theirs } of partsOf(model)) {
    tidy(() => void state.set(name, StoredTensor.of(theirs(variable))));
    if (counter) state.set(counter, new StoredTensor("I64", [], new Uint8Array(8)));
  }
  return state;
}

/** The options of {@linkcode loadState}. */
export interface LoadOptions {
  /** Paths of what is left as it is, such as `["fc"]` for a new head; in the file it may be there, missing, or of another shape. */
  readonly except?: readonly string[];
}

/**
 * Gives a model the parameters and running statistics of a file, by PyTorch's names and in PyTorch's layout; {@linkcode stateOf} says
 * which. Fractions of any width become float32; PyTorch's counts of batches are ignored.
 *
 * Everything is checked first: where anything is wrong, all of it is listed, and nothing in the model is changed.
 *
 * @throws {RangeError} If tensors are missing, not in the model, of another shape, or hold what is no finite fraction; or if `except`
 * names what is in neither.
 * @throws {TypeError} If it is no model, it was disposed, or the tensors are no map of stored tensors.
 *
 * @example
 * ```ts
 * import { loadState, resnet18, stateOf } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const trained = resnet18({ width: 1 / 16, classes: 10 });
 * const cats = resnet18({ width: 1 / 16, classes: 2 });
 * assert.throws(() => loadState(cats, stateOf(trained)), /Of another shape: fc.weight \(expected \[2, 32\], found \[10, 32\]\)/);
 * loadState(cats, stateOf(trained), { except: ["fc"] });
 * assert.deepEqual(cats.conv1.kernel.dataSync(), trained.conv1.kernel.dataSync());
 * ```
 */
export function loadState(model: AnyModule, tensors: ModelState, options: LoadOptions = {}): void {
  const doing = "Loading the state of a model";
  checkModel(doing, model);
  checkOptions<LoadOptions>(doing, options, '{ except: ["fc"] }', { except: true });
  if (!(tensors instanceof Map) || ![...tensors.values()].every((x) => x instanceof StoredTensor)) {
    throw new TypeError(
      `${doing}: expected stored tensors by name, as readSafetensors and readPth give them, found something else.`,
    );
  }
  checkAlive(doing, model);
  const all = partsOf(model);
  const excepted = exceptions(doing, options.except ?? [], [
    ...all.map(({ name }) => name),
    ...tensors.keys(),
  ]);
  const parts = all.filter(({ name }) => !excepted(name));
  const known = new Set(all.flatMap(({ name, counter }) => counter ? [name, counter] : [name]));
  const problems = [
    problem("Missing", parts.filter(({ name }) => !tensors.has(name)).map(named)),
    problem(
      "Not in the model",
      [...tensors].filter(([name]) => !known.has(name) && !excepted(name))
        .map(([name, { shape }]) => named({ name, shape })),
    ),
    problem(
      "Of another shape",
      parts.flatMap(({ name, shape }) => {
        const found = tensors.get(name)?.shape;
        return !found || String(found) === String(shape)
          ? []
          : [`${name} (expected ${shown(shape)}, found ${shown(found)})`];
      }),
    ),
    problem(
      "Of another type",
      parts.flatMap(({ name }) => {
        const found = tensors.get(name);
        return !found || found.isFloat
          ? []
          : [`${name} (expected fractions, found ${found.dtype})`];
      }),
    ),
  ].flat();
  if (problems.length === 0) {
    problems.push(...problem(
      "With numbers that are not finite",
      parts.filter(({ name }) => !isAllFinite(tensors.get(name)!)).map(named),
    ));
  }
  if (problems.length > 0) {
    throw new RangeError(
      [
        `${doing}: expected the ${parts.length} tensors of ${model.describe()}, found others. ` +
        "Nothing was loaded; except: [paths] leaves parts out.",
        ...problems,
      ].join("\n"),
    );
  }
  for (const { name, variable, ours } of parts) {
    tidy(() => variable.assign(ours(tensors.get(name)!.tensor())));
  }
}

/** Whether a name is at or below one of the paths, of which each must lead somewhere. */
function exceptions(
  doing: string,
  paths: readonly string[],
  names: readonly string[],
): (name: string) => boolean {
  if (!Array.isArray(paths)) {
    throw new TypeError(`${doing}: except must be paths such as ["fc"], found ${paths}.`);
  }
  const below = (path: string, name: string) => name === path || name.startsWith(`${path}.`);
  for (const path of paths) {
    if (!names.some((name) => below(path, name))) {
      const first = new Set(names.map((name) => name.split(".")[0]));
      throw new RangeError(
        `${doing}: except must name parts of the model or the file, found ${
          JSON.stringify(path)
        }. The first parts of the paths there are ${[...first].join(", ")}.`,
      );
    }
  }
  return (name) => paths.some((path) => below(path, name));
}

function problem(what: string, found: readonly string[]): string[] {
  return found.length === 0 ? [] : [`${what}: ${found.join(", ")}.`];
}

function named({ name, shape }: { readonly name: string; readonly shape: readonly number[] }) {
  return `${name} ${shown(shape)}`;
}

function shown(shape: readonly number[]): string {
  return `[${shape.join(", ")}]`;
}

function isAllFinite(stored: StoredTensor): boolean {
  using finite = tidy(() => ops.all(ops.isFinite(stored.tensor())));
  return finite.dataSync()[0] === 1;
}

function checkAlive(doing: string, model: AnyModule): void {
  const gone = [...model.namedVariables()].find(([, variable]) => variable.isDisposed);
  if (!gone) return;
  throw new TypeError(`${doing}: the model must be alive, but its ${gone[0]} was disposed.`);
}

function checkModel(doing: string, model: unknown): void {
  if (!(model instanceof Module)) {
    throw new TypeError(`${doing}: expected a model, found ${typeof model}.`);
  }
}
