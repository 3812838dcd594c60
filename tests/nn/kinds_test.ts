/**
 * Refusals of calls that the types refuse and that nothing type-checks in a cell: options of the
 * wrong kind, and arguments that would be ignored.
 */
import assert from "node:assert/strict";
import * as lib from "resnet-lab";
import { fansOf } from "../../lib/nn/internal.ts";
import { assertNoLeak } from "../_helpers.ts";

// deno-lint-ignore no-explicit-any -- as in a cell, which is not type-checked.
const untyped = lib as any;
const { ops } = lib;
const model = lib.sequential(lib.flatten(), lib.linear(4, 2));
const x = ops.ones([1, 2, 2, 1]);
const { conv2d, dynamicConv2d, linear, batchNorm, relu, initializers } = untyped;

/** Calls with what is wrong, by the message. */
const CALLS: readonly (readonly [message: RegExp, call: () => unknown])[] = [
  [
    /conv2d: useBias must be true or false, found "no"/,
    () => conv2d(1, 1, { kernelSize: 1, useBias: "no" }),
  ],
  [/conv2d: useBias .* found 0/, () => conv2d(1, 1, { kernelSize: 1, useBias: 0 })],
  [
    /dynamicConv2d: useBias .* found "no"/,
    () => dynamicConv2d(1, 1, { kernelSize: 1, useBias: "no" }),
  ],
  [/linear: useBias must be true or false, found null/, () => linear(1, 1, { useBias: null })],
  [
    /padding must be "same", .* found "SAME"/,
    () => conv2d(1, 1, { kernelSize: 1, padding: "SAME" }),
  ],
  [/padding .* found true/, () => conv2d(1, 1, { kernelSize: 1, padding: true })],
  [/padding .* found \[1, 1\]/, () => conv2d(1, 1, { kernelSize: 1, padding: [1, 1] })],
  [/stride .* found 1.5/, () => conv2d(1, 1, { kernelSize: 1, stride: 1.5 })],
  [/stride .* found null/, () => conv2d(1, 1, { kernelSize: 1, stride: null })],
  [/kernelSize .* found an object/, () => conv2d(1, 1, { kernelSize: {} })],
  [/kernelSize .* found undefined/, () => conv2d(1, 1, {})],
  [
    /groups must divide the channels, found 2 groups/,
    () => conv2d(3, 4, { kernelSize: 1, groups: 2 }),
  ],
  [/inChannels .* found "3"/, () => conv2d("3", 1, { kernelSize: 1 })],
  [/initializer .* found "he"/, () => conv2d(1, 1, { kernelSize: 1, weightInitializer: "he" })],
  [
    /initializer .* found "he"/,
    () => dynamicConv2d(1, 1, { kernelSize: 1, weightInitializer: "he" }),
  ],
  [
    /initializer .* found a function \(was it/,
    () => dynamicConv2d(1, 1, { kernelSize: 1, weightInitializer: initializers.heNormal }),
  ],
  [/initializer .* found null/, () => linear(1, 1, { weightInitializer: null })],
  [/momentum must be a number from 0 to 1, found null/, () => batchNorm(1, { momentum: null })],
  [/epsilon .* found -1/, () => batchNorm(1, { epsilon: -1 })],
  [/the options must be an object .* found 0.00001/, () => batchNorm(1, 1e-5)],
  [
    /ceilMode must be true or false, found 1/,
    () => untyped.maxPool({ kernelSize: 2, ceilMode: 1 }),
  ],
  [
    /maxPool: there must be at most 1 argument, found 2, the last of them 2/,
    () => untyped.maxPool(2, 2),
  ],
  [/relu: there must be no arguments, found 1, the last of them true/, () => relu(true)],
  [/gelu: there must be no arguments/, () => untyped.gelu("tanh")],
  [/hardSwish: there must be no arguments/, () => untyped.hardSwish(3)],
  [/heNormal: there must be no arguments/, () => initializers.heNormal({ mode: "fan_out" })],
  [/xavierUniform: there must be no arguments/, () => untyped.initializers.xavierUniform(2)],
  [/flatten: there must be no arguments/, () => untyped.flatten(2)],
  [/dropout: there must be at most 1/, () => untyped.dropout(0.5, true)],
  [/rate .* found NaN/, () => lib.dropout(NaN)],
  [/rate .* found 1\./, () => lib.dropout(1)],
  [/rate .* found an object/, () => untyped.dropout({ rate: 0.5 })],
  [/slope .* found null/, () => untyped.leakyRelu(null)],
  [/the size \[height, width\] must be an array, found 7/, () => untyped.adaptiveAveragePool(7)],
  [/the layers must be an array, found the module relu/, () => new untyped.Sequential(relu())],
  [/the function must be a function, found undefined/, () => new untyped.Activation("x")],
  [
    /the output must have the shape of the input, found a promise/,
    () => new untyped.Activation("x", () => Promise.resolve(x)).forward(x),
  ],
  [/the hook must be a function, found undefined/, () => untyped.onForward(model, x)],
  [/path must be a string .* found \["1"\]/, () => untyped.sequential(relu()).freeze(["1"])],
  [/path must be a string .* found the module/, () => untyped.sequential(relu()).freeze(relu())],
  [/path must be a string .* found undefined/, () => untyped.gradCam(model, undefined, x, 0)],
  [/the shape must end in inputs and outputs, found 5/, () => fansOf(5 as never)],
  [/reduction .* found 2/, () => dynamicConv2d(4, 2, { kernelSize: 1, reduction: 2 })],
  // The networks.
  [/resnet18: there must be at most 1/, () => untyped.resnet18({ width: 1 / 64 }, true)],
  [/resnet18: classes .* found null/, () => untyped.resnet18({ classes: null })],
  [/resnet: the options must be an object/, () => untyped.resnet(null)],
  [
    /the result of convolution must be a module, found 5/,
    () => untyped.basicBlock(1, 1, { convolution: () => 5 }),
  ],
  [
    /batchNorm must be true or false, found "no"/,
    () => untyped.vgg({ architecture: 11, batchNorm: "no" }),
  ],
  [
    /batchNorm must be true or false, found 1/,
    () => untyped.vggBlock(1, 1, { convolutions: 1, batchNorm: 1 }),
  ],
  [
    /auxiliary must be true or false, found "no"/,
    () => untyped.googlenet({ variant: "d2l", auxiliary: "no" }),
  ],
  [
    /auxiliary must be true or false, found 1/,
    () => untyped.googlenet({ variant: "d2l", auxiliary: 1 }),
  ],
  [/branch 2 must be two numbers/, () => untyped.inception(1, [1, 1, [1, 1], 1])],
  [
    /variant must be one of "d2l", "torchvision", found "D2L"/,
    () => untyped.inception(1, [1, [1, 1], [1, 1], 1], { variant: "D2L" }),
  ],
  [/variant must be one of "original", .* found undefined/, () => untyped.alexnet({})],
  [
    /activation must be one of .* found the function relu \(call it/,
    () => untyped.lenet({ activation: relu }),
  ],
  [
    /there is no option useBias/,
    () => untyped.ninBlock(1, 1, { kernelSize: 1, useBias: false }),
  ],
];

for (const [message, call] of CALLS) {
  Deno.test(`refused in words: ${message.source}`, async () => {
    await assertNoLeak(() =>
      assert.throws(
        call,
        (error: Error) =>
          (error instanceof TypeError || error instanceof RangeError) &&
          message.test(error.message),
      )
    );
  });
}
