import assert from "node:assert/strict";
import { linear, ops, relu } from "resnet-lab";
import { checkInteger, checkOptions } from "../../lib/tensor/internal.ts";

Deno.test("checkInteger() refuses what is no whole number of at least 1", () => {
  checkInteger("Building a net", "depth", 1);
  checkInteger("Building a net", "padding", 0, 0);
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
      [{}, "TypeError", "an object"],
    ] as const
  ) {
    assert.throws(() => checkInteger("Building a net", "depth", value as number), {
      name: kind,
      message: `Building a net: depth must be a whole number of at least 1, found ${found}.`,
    });
  }
});

Deno.test("checkOptions() takes an object that is no list and no module", () => {
  const names = { depth: true } as const;
  checkOptions<{ depth?: number }>("Building a net", {}, "{ depth: 20 }", names);
  for (
    const [options, found] of [
      [undefined, "undefined"],
      [20, "20"],
      [[20], "[20]"],
      [relu(), "the module relu"],
      [null, "null"],
    ] as const
  ) {
    assert.throws(
      () => checkOptions<{ depth?: number }>("Building a net", options, "{ depth: 20 }", names),
      {
        name: "TypeError",
        message:
          `Building a net: the options must be an object such as { depth: 20 }, found ${found}.`,
      },
    );
  }
});

Deno.test("checkOptions() refuses an option that does not exist, and names the nearest", () => {
  type Options = Record<"learningRate" | "batchSize" | "classes" | "validation" | "useBias", 1>;
  const names = {
    learningRate: true,
    batchSize: true,
    classes: true,
    validation: true,
    useBias: true,
  } as const;
  for (
    const [wrong, meant] of [
      ["num_classes", "classes"],
      ["lr", "learningRate"],
      ["batch", "batchSize"],
      ["validationData", "validation"],
      ["bias", "useBias"],
      ["learning_rate", "learningRate"],
      ["toString", undefined],
      ["clases", "classes"],
      ["device", undefined],
      ["depth", undefined],
      ["criterion", undefined],
    ] as const
  ) {
    const options = { classes: 2, [wrong]: undefined };
    assert.throws(() => checkOptions<Options>("Building a net", options, "{ classes: 2 }", names), {
      name: "TypeError",
      message: `Building a net: there is no option ${wrong}. ` +
        (meant === undefined ? "" : `Did you mean ${meant}? `) +
        "The options are learningRate, batchSize, classes, validation, useBias.",
    });
  }
  assert.throws(
    () => checkOptions<Options>("Building a net", { lr: 1, bias: 1 }, "{ classes: 2 }", names),
    { message: /there are no options lr, bias\. Did you mean learningRate, useBias\?/ },
  );
});
