/** Checks against PyTorch's results for our layers (tests/fixtures/make_nn_fixtures.py). */
import assert from "node:assert/strict";
import {
  type Conv2dOptions,
  type DynamicConv2dOptions,
  grad,
  type Images,
  type LocalResponseNormOptions,
  memory,
  ops,
  type PoolOptions,
  type Tensor,
  type Tensor1D,
  type Tensor2D,
  type Tensor4D,
  tidy,
  valueAndGradients,
  type Variable,
} from "resnet-lab";
import { assertClose, centralDifference } from "../_helpers.ts";

/** A tensor in a fixture: its shape, and its numbers as little-endian float32 in base64. */
export interface Stored<Shape extends readonly number[] = readonly number[]> {
  shape: Shape;
  float32: string;
}
export type StoredImages = Stored<[number, number, number, number]>;
export type StoredFeatures = Stored<[number, number]>;
export type StoredVector = Stored<[number]>;

/** A forward and a backward pass: input, output, gradient of the output, gradient of the input. */
export interface Pass<S extends Stored = StoredImages> {
  x: S;
  y: S;
  dy: S;
  dx: S;
}
interface ConvCase extends Pass {
  name: string;
  inChannels: number;
  outChannels: number;
  options: Conv2dOptions;
  kernel: StoredImages;
  dKernel: StoredImages;
  bias?: StoredVector;
  dBias?: StoredVector;
}
export interface BatchNormCase<S extends Stored> {
  channels: number;
  epsilon: number;
  momentum: number;
  scale: StoredVector;
  offset: StoredVector;
  steps: (Pass<S> & {
    dScale: StoredVector;
    dOffset: StoredVector;
    runningMean: StoredVector;
    runningVariance: StoredVector;
  })[];
  inference: { x: S; y: S };
}
interface Layers {
  conv2d: ConvCase[];
  pool: (Pass & { layer: "maxPool" | "avgPool"; options: PoolOptions })[];
  adaptiveAveragePool: (Pass & { options: { size: [number, number] } })[];
  batchNorm: { images: BatchNormCase<StoredImages>; features: BatchNormCase<StoredFeatures> };
  localResponseNorm: (Pass & { options: LocalResponseNormOptions })[];
  activation: (Pass<StoredVector> & { name: string })[];
  linear: Pass<StoredFeatures> & {
    inFeatures: number;
    outFeatures: number;
    weight: StoredFeatures;
    bias: StoredVector;
    dWeight: StoredFeatures;
    dBias: StoredVector;
  };
  dynamicConv2d: (Pass & {
    name: string;
    inChannels: number;
    outChannels: number;
    options: DynamicConv2dOptions;
    attention: StoredFeatures;
    parameters: Record<string, { value: Stored; gradient: Stored }>;
  })[];
}

/** Reads a file of tests/fixtures/nn. */
export function read(name: string) {
  return JSON.parse(Deno.readTextFileSync(new URL(`../fixtures/nn/${name}`, import.meta.url)));
}

export const layers: Layers = read("layers.json");

/** The numbers of a stored tensor. */
export function numbersOf({ float32 }: Stored): Float32Array {
  return new Float32Array(Uint8Array.fromBase64(float32).buffer);
}

/** A stored tensor. */
export function load(stored: StoredImages): Tensor4D;
export function load(stored: StoredFeatures): Tensor2D;
export function load(stored: StoredVector): Tensor1D;
export function load(stored: Stored): Tensor;
export function load(stored: Stored): Tensor {
  return ops.tensor(numbersOf(stored), stored.shape);
}

/** Asserts that a tensor has the shape and the numbers of a stored one. */
export function assertStored(actual: Tensor, expected: Stored, tolerance = 1e-5): void {
  assert.deepEqual(actual.shape, [...expected.shape]);
  assertClose(actual, numbersOf(expected), tolerance);
}

/** Asserts that a layer returns PyTorch's output, and has PyTorch's gradient of its input. */
export function assertLikePyTorch(
  forward: (x: Tensor4D) => Tensor,
  { x, y, dy, dx }: Pass,
  tolerance = 1e-5,
): void {
  tidy(() => {
    assertStored(forward(load(x)), y, tolerance);
    assertStored(grad(forward)(load(x), load(dy)), dx, tolerance);
  });
}

/** Asserts that the gradients of `Σ forward(x) · dy` with respect to variables are PyTorch's. */
export function assertParameterGradients(
  forward: () => Tensor,
  dy: Stored,
  expected: readonly (readonly [Variable, Stored | undefined])[],
  tolerance = 1e-5,
): void {
  tidy(() => {
    const { gradients } = valueAndGradients(
      () => ops.sum(ops.mul(forward(), load(dy))),
      expected.map(([variable]) => variable),
    );
    expected.forEach(([, stored], i) => {
      assert(stored !== undefined);
      assertStored(gradients[i]!, stored, tolerance);
    });
  });
}

/**
 * Asserts that the gradients of `Σ forward(x) · w`, with fixed weights w, agree with central
 * differences, for x and for variables.
 */
export function assertGradientsByDifferences(
  forward: (x: Tensor4D) => Tensor,
  x: Tensor4D,
  variables: readonly Variable[] = [],
  { step = 1e-2, tolerance = 2e-2 } = {},
): void {
  const weighted = (input: Tensor4D) =>
    tidy(() => {
      const y = forward(input);
      return ops.sum(ops.mul(y, ops.tensor(waves(y.size, 1), y.shape)));
    });
  tidy(() => {
    const images = (input: Tensor) => ops.reshape(input, x.shape);
    assertClose(
      grad(weighted)(x),
      centralDifference((input) => tidy(() => weighted(images(input))), x, step),
      tolerance,
    );
    if (variables.length === 0) return;
    const { gradients } = valueAndGradients(() => weighted(x), variables);
    variables.forEach((variable, i) => {
      const value = ops.clone(variable);
      const differences = centralDifference(
        (shifted) => {
          variable.assign(shifted);
          return weighted(x);
        },
        value,
        step,
      );
      variable.assign(value);
      assertClose(gradients[i]!, differences, tolerance);
    });
  });
}

/** Asserts that a forward pass leaves one tensor, its output, and nothing once that is disposed. */
export function assertLeavesOnlyOutput(forward: () => Tensor): void {
  const before = memory().tensors;
  const y = forward();
  assert.equal(memory().tensors - before, 1, "tensors left besides the output");
  y.dispose();
  assert.equal(memory().tensors, before);
}

function waves(count: number, frequency: number): Float32Array {
  return Float32Array.from({ length: count }, (_, i) => Math.sin((i + 1) * frequency));
}

/** Returns images of different numbers, each too far from zero for a difference to cross it. */
export function someImages(...shape: [number, number, number, number]): Images {
  const size = shape.reduce((product, axis) => product * axis, 1);
  return ops.tensor(waves(size, 2.3).map((value) => value + Math.sign(value) * 0.2), shape);
}
