import assert from "node:assert/strict";
import { dispose, memory, ops, type Tensor, tidy, variable } from "resnet-lab";
import "../_helpers.ts";
import { isTensor, keep } from "../../lib/tensor/internal.ts";

Deno.test("tidy keeps what it returns, of any depth, and frees the rest", () => {
  const before = memory().tensors;
  const { pair, one } = tidy(() => {
    const x = ops.tensor([1, 2]);
    return { pair: [ops.neg(x), ops.square(x)], one: { y: ops.sum(ops.exp(x)) } };
  });
  assert.equal(memory().tensors, before + 3);
  dispose([pair, one]);
  assert.equal(memory().tensors, before);
});

Deno.test("tidy frees everything where its function throws", () => {
  const before = memory().tensors;
  assert.throws(() =>
    tidy(() => {
      ops.add(ops.ones([2]), ops.ones([3]));
    }), RangeError);
  assert.equal(memory().tensors, before);
});

Deno.test("tidy takes no promise", async () => {
  const before = memory().tensors;
  let later: Promise<unknown> | undefined;
  // What goes on after the error fails, without ending the program.
  const work = () => later = Promise.resolve(ops.ones([2])).then((x) => ops.neg(x));
  assert.throws(() => tidy(work as never), {
    name: "TypeError",
    message:
      "Tidying: the function must be synchronous, found one that returned a promise. Await first, and compute afterwards.",
  });
  await assert.rejects(later!, /must be alive/);
  assert.equal(memory().tensors, before);
});

Deno.test("keep outlasts tidy", () => {
  const before = memory().tensors;
  let kept: Tensor | undefined;
  tidy(() => {
    kept = keep(ops.ones([2]));
  });
  assert.equal(memory().tensors, before + 1);
  dispose(kept);
  assert.equal(memory().tensors, before);
  assert.throws(() => keep(kept!), {
    name: "TypeError",
    message: /^Keeping a tensor: .* disposed/,
  });
});

Deno.test("memory counts tensors and bytes", () => {
  const before = memory();
  using x = ops.zeros([10, 3]);
  using labels = ops.zeros([10], "int32");
  using mask = ops.zeros([10], "bool");
  assert(x && labels && mask);
  assert.deepEqual(memory(), { tensors: before.tensors + 3, bytes: before.bytes + 120 + 40 + 10 });
});

Deno.test("tensors and variables end with the block that declares them with using", () => {
  const before = memory().tensors;
  const seen: Tensor[] = [];
  {
    using x = ops.ones([2]);
    using w = variable(ops.ones([3]));
    seen.push(x, w);
    assert.equal(memory().tensors, before + 2);
  }
  assert(seen.every((x) => x.isDisposed));
  assert.equal(memory().tensors, before);
});

Deno.test("disposing twice does nothing more", () => {
  const x = ops.ones([2]), before = memory().tensors;
  dispose(x);
  dispose([x, { x }]);
  assert.equal(memory().tensors, before - 1);
});

Deno.test("tensors are known as such", () => {
  using x = ops.ones([2]);
  assert(isTensor(x));
  assert(!isTensor({ shape: [2] }));
  assert(!isTensor(null));
});
