import assert from "node:assert/strict";
import { memory, ops } from "resnet-lab";
import { assertNoLeak } from "../_helpers.ts";
import { StoredTensor } from "../../lib/weights/stored_tensor.ts";

Deno.test("StoredTensor.of() and tensor go back and forth", async () => {
  await assertNoLeak(() => {
    using x = ops.tensor([1.5, -2, 3e38, 0, 5, 6], [3, 1, 2]);
    using whole = ops.tensor([-(2 ** 31), 7], [2], "int32");
    using truth = ops.tensor([1, 0, 1], [3], "bool");
    using one = ops.scalar(7);
    for (const tensor of [x, whole, truth, one]) {
      using back = StoredTensor.of(tensor).tensor();
      assert.equal(back.dtype, tensor.dtype);
      assert.deepEqual(back.shape, tensor.shape);
      assert.deepEqual(back.dataSync(), tensor.dataSync());
    }
  });
});

Deno.test("StoredTensor.of() keeps the numbers of its tensor when that goes", () => {
  const x = ops.tensor([1, 2]);
  const stored = StoredTensor.of(x);
  x.dispose();
  assert.deepEqual([...stored.values()], [1, 2]);
});

Deno.test("StoredTensor.values() is a view of aligned bytes, and a copy of others", () => {
  const bytes = new Uint8Array(17);
  bytes.set([0, 0, 128, 63, 0, 0, 0, 64], 8); // 1 and 2
  const stored = new StoredTensor("F32", [2], bytes.subarray(8, 16));
  assert.deepEqual([...stored.values()], [1, 2]);
  assert.equal(stored.values().buffer, bytes.buffer);
  bytes.copyWithin(9, 8, 16);
  assert.deepEqual([...new StoredTensor("F32", [2], bytes.subarray(9, 17)).values()], [1, 2]);
});

Deno.test("StoredTensor.tensor() copies the numbers", () => {
  const bytes = new Uint8Array([0, 0, 128, 63]);
  using tensor = new StoredTensor("F32", [1], bytes).tensor();
  bytes.fill(0);
  assert.deepEqual([...tensor.dataSync()], [1]);
});

for (
  const [dtype, bytes, dtypeHere, numbers] of [
    ["F64", [0, 0, 0, 0, 0, 0, 240, 63], "float32", [1]],
    ["F16", [0, 60, 0, 124], "float32", [1, Infinity]],
    ["BF16", [128, 63, 128, 255], "float32", [1, -Infinity]],
    ["I64", [254, 255, 255, 255, 255, 255, 255, 255], "int32", [-2]],
    ["I16", [254, 255], "int32", [-2]],
    ["I8", [254], "int32", [-2]],
    ["U8", [254], "int32", [254]],
    ["BOOL", [0, 1], "bool", [0, 1]],
  ] as const
) {
  Deno.test(`StoredTensor.tensor() makes ${dtypeHere} of ${dtype}`, () => {
    const shape = [numbers.length];
    using tensor = new StoredTensor(dtype, shape, new Uint8Array(bytes)).tensor();
    assert.equal(tensor.dtype, dtypeHere);
    assert.deepEqual([...tensor.dataSync()], numbers);
  });
}

Deno.test("StoredTensor.tensor() refuses whole numbers beyond int32, and more than six axes", () => {
  const { tensors: before } = memory();
  const large = new StoredTensor("I64", [1], new Uint8Array([0, 0, 0, 0, 1, 0, 0, 0]));
  assert.throws(() => large.tensor(), {
    name: "RangeError",
    message: /int32 values must be whole numbers of 32 bits, found 4294967296/,
  });
  const deep = new StoredTensor("U8", [1, 1, 1, 1, 1, 1, 1], new Uint8Array(1));
  assert.throws(() => deep.tensor(), { name: "RangeError", message: /at most six/ });
  assert.equal(memory().tensors, before);
});

Deno.test("StoredTensor reads elements by strides, for elements of every size", () => {
  for (const [dtype, size] of [["U8", 1], ["I16", 2], ["I32", 4], ["I64", 8]] as const) {
    const bytes = new Uint8Array(6 * size);
    for (let i = 0; i < 6; i++) bytes[i * size] = i;
    const stored = new StoredTensor(dtype, [2, 2, 1], bytes.subarray(size), [1, 2, 5]);
    // Element [i, j, 0] is at 1 + i + 2 j.
    assert.deepEqual(Array.from<number | bigint, number>(stored.values(), Number), [1, 3, 2, 4]);
  }
});

Deno.test("StoredTensor refuses a number of bytes that does not fit its shape", () => {
  assert.throws(() => new StoredTensor("F32", [2, 3], new Uint8Array(20)), {
    name: "RangeError",
    message: "Making a stored tensor: the data of F32 [2, 3] must have 24 bytes, found 20.",
  });
  assert.throws(() => new StoredTensor("F32", [2, 2], new Uint8Array(16), [1, 3]), {
    name: "RangeError",
    message: "Making a stored tensor: the data of F32 [2, 2] must have 20 bytes, found 16.",
  });
});

Deno.test("StoredTensor.of() refuses a value that is no tensor", () => {
  assert.throws(
    // @ts-expect-error: not a tensor
    () => StoredTensor.of([1, 2]),
    {
      name: "TypeError",
      message: "Storing a tensor: the value must be a tensor, found [1, 2].",
    },
  );
});
