/**
 * PyTorch's results for narrow networks (tests/fixtures/make_model_fixtures.py), and assertions
 * that the tests of all networks share.
 */
import assert from "node:assert/strict";
import {
  adam,
  type AnyModule,
  crossEntropy,
  dispose,
  type Features,
  type Images,
  type Labels,
  memory,
  ops,
  Random,
  type Scalar,
  summary,
  type Tensor,
  tidy,
  valueAndGradients,
  type Variable,
} from "resnet-lab";
import { Dropout } from "../../lib/nn/internal.ts";
import { assertNoLeak } from "../_helpers.ts";
import { numbersOf, type Stored } from "../nn/_helpers.ts";

/** One training step and one inference of a network in PyTorch. */
export interface NetworkCase<Options> {
  options: Options;
  images: [number, number, number, number];
  labels: number[];
  /**
   * PyTorch's names of parameters and running statistics, in the order in which they were filled.
   */
  names: string[];
  logits: Stored;
  loss: number;
  auxiliary: Stored[];
  /** Gradients of the first and the last layers, by PyTorch's names. */
  gradients: Record<string, Stored>;
  /** All running statistics after the step, one after the other. */
  running: Stored | null;
}
/** Parameters, multiply-accumulates and shapes of a network of torchvision at its full size. */
export interface Count<Options> {
  options: Options;
  input: [number, number, number];
  parameters: number;
  macs: number;
  shapes: Record<string, number[]>;
}

/** Reads a file of tests/fixtures/models. */
export function readNetworks<Options, CountOptions = Options>(
  name: string,
): { counts: Count<CountOptions>[]; cases: NetworkCase<Options>[] } {
  const file = new URL(`../fixtures/models/${name}.json`, import.meta.url);
  return JSON.parse(Deno.readTextFileSync(file));
}

/**
 * Returns the numbers of make_model_fixtures.py for a seed: a hash of the index, scaled to −1 to 1,
 * then changed by `change`.
 */
function numbers(
  seed: number,
  shape: readonly number[],
  change: (u: number) => number = (u) => u,
): Tensor {
  const count = shape.reduce((product, axis) => product * axis, 1);
  const start = Math.imul(seed, 0x9e3779b9);
  const values = Float32Array.from({ length: count }, (_, i) => {
    let x = (i + start) >>> 0;
    x = Math.imul(x ^ (x >>> 16), 0x21f0aaad);
    x = Math.imul(x ^ (x >>> 15), 0xd35a2d97);
    x ^= x >>> 15;
    return change((x >>> 0) / 2 ** 31 - 1);
  });
  return ops.tensor(values, shape);
}

/** Returns PyTorch's name of a parameter or running statistic. */
function nameInPyTorch(path: string): string {
  return path.replace(/runningMean$/, "running_mean").replace(/runningVariance$/, "running_var");
}

/** Returns our variables by PyTorch's names; asserts that the names are the same. */
function byName(model: AnyModule, names: readonly string[]): Map<string, Variable> {
  const variables = new Map(
    [...model.namedVariables()].map(([path, variable]) => [nameInPyTorch(path), variable]),
  );
  assert.deepEqual([...variables.keys()].sort(), [...names].sort());
  return variables;
}

/** Assigns PyTorch's numbers to every parameter and running statistic. */
function fill(variables: Map<string, Variable>, names: readonly string[]): void {
  names.forEach((name, seed) => {
    const variable = variables.get(name)!;
    const fanIn = variable.shape.slice(0, -1).reduce((product, axis) => product * axis, 1);
    using value = numbers(seed, variable.shape, (u) => {
      if (variable.rank > 1) return u * Math.sqrt(6 / fanIn);
      return /(weight|running_var)$/.test(name) ? 1 + 0.5 * u : u * 0.1;
    });
    variable.assign(value);
  });
}

/** Turns dropout off, since its random numbers differ between libraries. */
export function withoutDropout<M extends AnyModule>(model: M): M {
  for (const module of model.namedModules().values()) {
    if (module instanceof Dropout) {
      Object.defineProperty(module, "forward", { value: (x: Tensor) => ops.clone(x) });
    }
  }
  return model;
}

/** Returns the path and the rate of each dropout of a network. */
export function dropouts(model: AnyModule): string[] {
  return [...model.namedModules()].flatMap(([path, module]) =>
    module instanceof Dropout ? [`${path} ${module.rate}`] : []
  );
}

/** Returns the largest absolute value of stored tensors. */
function largest(...stored: Stored[]): number {
  return Math.max(
    ...stored.map((one) => numbersOf(one).reduce((a, b) => Math.max(a, Math.abs(b)), 0)),
  );
}

/**
 * Asserts that two tensors agree to a fraction of a scale, by default the largest expected value.
 */
function assertNear(
  actual: Tensor,
  expected: Stored,
  tolerance: number,
  what: string,
  scale = largest(expected),
): void {
  assert.deepEqual(actual.shape, [...expected.shape], what);
  assert(scale > 0, what);
  const found = actual.dataSync();
  numbersOf(expected).forEach((value, i) => {
    assert(
      Math.abs(found[i]! - value) <= tolerance * scale,
      `${what}, element ${i}: ${found[i]}, expected ${value} (to ${tolerance} of ${scale})`,
    );
  });
}

/** A network from any images to logits. */
type Network = AnyModule & {
  forward(images: Images, options?: { training?: boolean }): Features;
};
/** Returns the logits of a network and of its auxiliary heads, for a training step. */
export type Outputs = (images: Images) => readonly [Features, ...Features[]];

/**
 * Asserts that a network has PyTorch's names and logits, and in a training step PyTorch's loss,
 * gradients of the first and last layers, and running statistics.
 */
export function assertLikePyTorch<Options>(
  model: Network,
  expected: NetworkCase<Options>,
  outputs: Outputs = (images) => [model.forward(images, { training: true })],
): void {
  const variables = byName(model, expected.names);
  fill(variables, expected.names);
  withoutDropout(model);
  tidy(() => {
    const images: Images = ops.reshape(numbers(1000, expected.images), expected.images);
    const labels: Labels = ops.tensor(expected.labels, [expected.labels.length], "int32");
    assertNear(model.forward(images), expected.logits, 1e-4, "logits");
    const { value, gradients } = valueAndGradients(() => {
      const [logits, ...heads] = outputs(images);
      assert.equal(heads.length, expected.auxiliary.length);
      heads.forEach((head, i) => assertNear(head, expected.auxiliary[i]!, 1e-4, `head ${i + 1}`));
      return heads.reduce<Scalar>(
        (loss, head) => ops.add(loss, ops.mul(crossEntropy(head, labels), 0.3)),
        crossEntropy(logits, labels),
      );
    }, model.parameters());
    const loss = value.dataSync()[0]!;
    assert(Math.abs(loss - expected.loss) < 1e-4 * expected.loss, `${loss}, ${expected.loss}`);
    const paths = [...model.namedParameters().keys()].map(nameInPyTorch);
    for (const [name, gradient] of Object.entries(expected.gradients)) {
      // A bias before batch norm has a gradient of zero, with rounding errors of the size of the
      // weight's.
      const layer = name.slice(0, name.lastIndexOf("."));
      const scale = largest(expected.gradients[name]!, expected.gradients[`${layer}.weight`]!);
      assertNear(gradients[paths.indexOf(name)]!, gradient, 1e-3, `gradient of ${name}`, scale);
    }
    const running = expected.names.filter((name) => /running_(mean|var)$/.test(name));
    assert.equal(running.length > 0, expected.running !== null);
    if (expected.running) {
      const statistics = running.map((name): Tensor => variables.get(name)!);
      assertNear(ops.concat(statistics), expected.running, 1e-3, "running statistics");
    }
  });
}

/** Asserts that a summary has the output shapes of PyTorch's layers of the same names. */
export function assertShapes(
  model: AnyModule,
  { input, shapes }: Pick<Count<unknown>, "input" | "shapes">,
): void {
  for (const { path, outputShape } of summary(model, input).rows) {
    const expected = shapes[path];
    // PyTorch's global average pooling returns images of 1×1, ours not always; its flatten is no
    // layer.
    const words = (shape: readonly number[]) => shape.join("×").replace(/^1×1×/, "");
    if (expected) assert.equal(words(outputShape), words(expected), path);
    else assert.equal(path, "flatten");
  }
}

/** Returns labelled images. */
export function batchOf(
  ...[count, size, channels]: [count: number, size: number, channels: number]
): { images: Images; labels: Labels } {
  const images: Images = new Random(2).uniform([count, size, size, channels]);
  return { images, labels: ops.tensor([...Array(count).keys()], [count], "int32") };
}

/**
 * Asserts that each parameter of a network gets a gradient that is finite, and except for `except`
 * not zero.
 */
export function assertEveryParameterLearns(
  model: AnyModule,
  loss: () => Scalar,
  except: (path: string) => boolean = () => false,
): void {
  tidy(() => {
    const { gradients } = valueAndGradients(loss, model.parameters());
    [...model.namedParameters()].forEach(([path, { shape }], i) => {
      assert.deepEqual(gradients[i]!.shape, shape);
      const values = gradients[i]!.dataSync();
      assert(values.every(Number.isFinite), path);
      assert(except(path) || values.some((value) => value !== 0), path);
    });
  });
}

/** Asserts that a few steps without dropout bring the loss of one batch near zero. */
export function assertOverfits(
  model: AnyModule,
  loss: () => Scalar,
  { steps = 120, learningRate = 0.002 } = {},
): void {
  withoutDropout(model);
  using optimizer = adam(model.parameters(), { learningRate });
  let last = Infinity;
  for (let step = 0; step < steps && last > 0.05; step++) {
    tidy(() => {
      const { value, gradients } = valueAndGradients(loss, optimizer.parameters);
      optimizer.step(gradients);
      last = value.dataSync()[0]!;
    });
  }
  assert(last <= 0.05, `the loss is ${last} after ${steps} steps`);
}

/**
 * Asserts that inference is the same each time, that a training pass differs (dropout, batch norm),
 * that both leave no tensor but their outputs, and that a disposed network leaves no tensor.
 */
export function assertTrainingDiffers(build: () => Network, images: Images): void {
  const before = memory().tensors;
  const model = build();
  const built = memory().tensors;
  const outputs = [false, false, true].map((training) => model.forward(images, { training }));
  assert.equal(memory().tensors - built, outputs.length, "tensors left besides the output");
  const [first, second, training] = outputs.map((output) => output.dataSync());
  assert.deepEqual(first, second);
  assert.notDeepEqual(first, training);
  dispose(outputs);
  model.dispose();
  assert.equal(memory().tensors, before);
}

/**
 * Asserts that a call throws an error of a class, whose message starts with the action, and leaves
 * no tensor.
 */
export async function assertRefused(
  refused: () => unknown,
  kind: "RangeError" | "TypeError",
  action: string,
  message: string,
): Promise<void> {
  await assertNoLeak(() =>
    assert.throws(refused, (error: Error) => {
      assert.equal(error.name, kind);
      assert(error.message.startsWith(action), error.message);
      assert(error.message.includes(message), error.message);
      return true;
    })
  );
}

/**
 * Fills each convolution with one number by path, or zero, and makes batch norm the identity.
 */
export function constantKernels<M extends AnyModule>(model: M, numbers: Record<string, number>): M {
  for (const [path, variable] of model.namedVariables()) {
    const [, layer, name] = /^(.*)\.(\w+)$/.exec(path)!;
    using value = variable.rank === 4
      ? ops.full(variable.shape, numbers[layer!] ?? 0)
      : name === "runningVariance"
      ? ops.full(variable.shape, 1 - 1e-5)
      : ops.clone(variable);
    variable.assign(value);
  }
  return model;
}
