import assert from "node:assert/strict";
import { ops } from "resnet-lab";

Deno.test("a tensor shows its dtype, its shape and its values", () => {
  assert.equal(
    Deno.inspect(ops.tensor([[1, 2, 3], [4, 5, 6]], undefined, "int32")),
    "Tensor int32 [2, 3]\n    [[1, 2, 3],\n     [4, 5, 6]]",
  );
  assert.equal(Deno.inspect(ops.scalar(0.5)), "Tensor float32 []\n    0.5");
});

Deno.test("a large tensor shows the ends of its axes", () => {
  const shown = Deno.inspect(ops.range(0, 1000, 1, "int32"));
  assert.equal(shown, "Tensor int32 [1000]\n    [0, 1, 2, ..., 997, 998, 999]");
});

Deno.test("a disposed tensor says so", () => {
  const x = ops.zeros([2, 2]);
  x.dispose();
  assert.equal(Deno.inspect(x), "Tensor float32 [2, 2], disposed");
});
