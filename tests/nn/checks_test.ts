import assert from "node:assert/strict";
import { checkOptions, checkWhole, linear, ops, relu } from "resnet-lab";

Deno.test("checkWhole takes whole numbers that are large enough", () => {
  checkWhole("Building a net", "depth", 1);
  checkWhole("Building a net", "padding", 0, 0);
  for (
    const [value, kind, found] of [
      [0, "RangeError", "0"],
      [1.5, "RangeError", "1.5"],
      [NaN, "RangeError", "NaN"],
      [Infinity, "RangeError", "Infinity"],
      [2 ** 53, "RangeError", "9007199254740992"],
      ["3", "TypeError", '"3"'],
      [null, "TypeError", "null"],
      [3n, "TypeError", "3"],
      [[3], "TypeError", "[3]"],
      [ops.ones([2]), "TypeError", "a tensor of float32 [2]"],
      [relu, "TypeError", "the function relu (call it: relu())"],
      [linear(2, 3), "TypeError", "the module linear 2 → 3"],
      [{}, "TypeError", "an object of another kind"],
    ] as const
  ) {
    assert.throws(() => checkWhole("Building a net", "depth", value as number), {
      name: kind,
      message: `Building a net: depth must be a whole number of at least 1, found ${found}.`,
    });
  }
});

Deno.test("checkOptions takes an object that is no list and no module", () => {
  checkOptions("Building a net", {}, "{ depth: 20 }");
  for (
    const [options, found] of [
      [undefined, "undefined"],
      [20, "20"],
      [[20], "[20]"],
      [relu(), "the module relu"],
      [null, "null"],
    ] as const
  ) {
    assert.throws(() => checkOptions("Building a net", options, "{ depth: 20 }"), {
      name: "TypeError",
      message:
        `Building a net: the options must be an object such as { depth: 20 }, found ${found}.`,
    });
  }
});
