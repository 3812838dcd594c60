/** Reads tests/fixtures/tensor.json, which make_tensor_fixtures.py wrote with PyTorch. */
import assert from "node:assert/strict";
import { grad, ops, type Padding, type Pair, type Tensor, tidy } from "resnet-lab";
import { assertClose } from "../_helpers.ts";

/** A tensor as the file has it. */
interface Written {
  shape: number[];
  values: string;
}
interface Fixture<Options, Names extends string> {
  options: Options;
  /** The upstream gradient. */
  dy: Written;
  y: Written;
  inputs: Record<Names, Written>;
  gradients: Record<Names, Written>;
}
type WindowCase = { kernelSize: Pair; stride?: Pair; padding?: Padding };
interface Fixtures {
  conv2d: Fixture<
    { stride?: Pair; padding?: Padding; dilation?: Pair; groups?: number },
    "x" | "kernel"
  >[];
  maxPool: Fixture<WindowCase, "x">[];
  avgPool: Fixture<WindowCase, "x">[];
  batchNorm:
    & Fixture<{ epsilon: number }, "x" | "scale" | "offset">[]
    & { mean: Written; variance: Written }[];
  crossEntropy: Fixture<{ labels: number[]; labelSmoothing: number }, "logits">[];
  localResponseNorm: Fixture<
    { size: number; bias: number; alpha: number; beta: number },
    "x"
  >[];
  resizeBilinear: Fixture<{ size: [number, number] }, "x">[];
}

export const fixtures: Fixtures = JSON.parse(
  await Deno.readTextFile(new URL("../fixtures/tensor.json", import.meta.url)),
);

/** The numbers of a written tensor. */
export function numbers({ values }: Written): number[] {
  return values.split(" ").map(Number);
}

/** A written tensor as one of a rank that the caller knows. */
export function read<T extends Tensor>({ shape, values }: Written): T {
  return ops.tensor(numbers({ shape, values }), shape) as Tensor as T;
}

/**
 * Asserts that the value of `f` at the inputs, and its gradient with respect to each of them, are
 * PyTorch's.
 */
export function assertAsPyTorch<Names extends string>(
  fixture: Fixture<unknown, Names>,
  f: (inputs: Record<Names, Tensor>) => Tensor,
  tolerance = 1e-5,
): void {
  tidy(() => {
    const names = Object.keys(fixture.inputs) as Names[];
    const inputs = Object.fromEntries(
      names.map((name) => [name, read(fixture.inputs[name])]),
    ) as Record<Names, Tensor>;
    const y = f(inputs);
    assert.deepEqual(y.shape, fixture.y.shape);
    assertClose(y, numbers(fixture.y), tolerance);
    for (const name of names) {
      const gradient = grad((x: Tensor) => f({ ...inputs, [name]: x }))(
        inputs[name],
        read(fixture.dy),
      );
      assert.deepEqual(gradient.shape, fixture.inputs[name].shape);
      assertClose(gradient, numbers(fixture.gradients[name]), tolerance);
    }
  });
}
