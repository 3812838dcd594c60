/** Random numbers and batch norm for the part of a batch that one of several processes has. */
import assert from "node:assert/strict";
import { ops, Random, type Tensor, type Tensor1D, valueAndGradients, variable } from "resnet-lab";
import { withBatchPart } from "../../lib/tensor/internal.ts";
import { assertClose, assertNoLeak, testOnEachBackend } from "../_helpers.ts";

testOnEachBackend("Random draws for a part of a batch the rows of the whole batch", () => {
  const rows = Int32Array.of(4, 1), part = { count: 5, rows };
  const whole = new Random(3), own = new Random(3);
  for (const draw of ["uniform", "normal"] as const) {
    const all = whole[draw]([5, 3]).arraySync() as number[][];
    const some = withBatchPart(part, () => own[draw]([2, 3]).arraySync());
    assert.deepEqual(some, [all[4], all[1]]);
  }
  // Other shapes, and whole numbers, are the same for all parts.
  assert.deepEqual(
    withBatchPart(part, () => [own.uniform([3]).arraySync(), own.uniform([]).arraySync()]),
    [whole.uniform([3]).arraySync(), whole.uniform([]).arraySync()],
  );
  assert.deepEqual(withBatchPart(part, () => own.permutation(2)), whole.permutation(2));
  assert.deepEqual(own.state(), whole.state());
});

/**
 * Runs work for all parts as if at once: a sum is right as soon as those before it are, so each
 * round makes one more sum right.
 */
function inParts<T>(
  parts: readonly Int32Array[],
  count: number,
  work: (rows: Int32Array) => T,
): T[] {
  let known: Float64Array[][] = [];
  while (true) {
    const seen: Float64Array[][] = parts.map(() => []);
    const results = parts.map((rows, part) =>
      withBatchPart({
        count,
        rows,
        sum: (values) => {
          const index = seen[part]!.push(values.slice()) - 1;
          const all = known.map((sums) => sums[index]);
          if (all.length === 0 || all.some((sums) => !sums)) return;
          values.forEach((_, i) => values[i] = all.reduce((sum, own) => sum + own![i]!, 0));
        },
      }, () => work(rows))
    );
    if (JSON.stringify(seen) === JSON.stringify(known)) return results;
    known = seen;
  }
}

testOnEachBackend("batchNormTraining() of uneven parts normalises over the whole batch", () => {
  const random = new Random(1), shape = [5, 2, 3, 4] as const, count = 5;
  const x = ops.add(ops.mul(random.normal(shape), 3), 7), dy = random.normal(shape);
  const [weight, bias, mean] = [0, 1, 2].map(() => random.normal([4]) as Tensor1D);
  const variance = ops.add(random.uniform([4]), 1) as Tensor1D;
  const run = (indices: Int32Array) => {
    const rows = ops.tensor(indices, undefined, "int32");
    const own = variable(ops.gather(x, rows)),
      w = variable(ops.clone(weight!)),
      b = variable(ops.clone(bias!));
    let statistics: ArrayLike<number>[] = [];
    const { gradients, value } = valueAndGradients(() => {
      const running = { mean: mean!, variance, momentum: 0.2 };
      const { y, ...rest } = ops.batchNormTraining(
        own,
        w as Tensor1D,
        b as Tensor1D,
        1e-3,
        running,
      );
      statistics = [rest.mean, rest.variance].map((tensor) => tensor.dataSync().slice());
      // A mean over the images of the part.
      return ops.div(ops.sum(ops.mul(y, ops.gather(dy, rows))), indices.length);
    }, [own, w, b]);
    return { value, gradients, statistics };
  };
  const all = Int32Array.of(0, 1, 2, 3, 4);
  const expected = run(all);
  const parts = [all.slice(0, 2), all.slice(2)];
  const found = inParts(parts, count, run);
  const share = parts.map(({ length }) => length / count);
  const weighted = (of: (result: ReturnType<typeof run>) => Tensor) =>
    found.map((result, i): Tensor => ops.mul(of(result), share[i]!)).reduce((a, b) =>
      ops.add(a, b)
    );
  assertClose(weighted(({ value }) => value), expected.value);
  const [dx, dWeight, dBias] = expected.gradients;
  assertClose(ops.concat(found.map(({ gradients }, i) => ops.mul(gradients[0]!, share[i]!))), dx!);
  assertClose(weighted(({ gradients }) => gradients[1]!), dWeight!);
  assertClose(weighted(({ gradients }) => gradients[2]!), dBias!);
  for (const { statistics } of found) {
    assertClose(statistics[0]!, expected.statistics[0]!);
    assertClose(statistics[1]!, expected.statistics[1]!);
  }
});

testOnEachBackend("batchNormTraining() of a part leaves no tensor behind", async () => {
  const x = variable(ops.ones([2, 1, 1, 3])), vector = variable(ops.ones([3])) as Tensor1D;
  await assertNoLeak(() => {
    const part = { count: 2, rows: Int32Array.of(0, 1), sum: () => {} };
    const { value, gradients } = withBatchPart(
      part,
      () => valueAndGradients(() => ops.sum(ops.batchNormTraining(x, vector, vector, 1e-3).y), [x]),
    );
    value.dispose();
    gradients[0]!.dispose();
  });
});
