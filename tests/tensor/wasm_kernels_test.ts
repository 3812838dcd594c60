import {
  grad,
  type Images,
  ops,
  Random,
  tidy,
  valueAndGradients,
  variable,
  withBackend,
} from "resnet-lab";
import { assertClose } from "../_helpers.ts";

/** The gradients of a convolution of noise, of the images and of the kernel. */
function convolutionGradients(
  size: number,
  kernelSize: number,
  stride: number,
  padding: 0 | 1 | "same",
) {
  return tidy(() => {
    const random = new Random(1);
    const x = variable(random.normal([2, size, size + 1, 3]));
    const kernel = variable(random.normal([kernelSize, kernelSize, 3, 4]));
    const { gradients } = valueAndGradients(
      () => ops.sum(ops.square(ops.conv2d(x, kernel, { stride, padding }))),
      [x, kernel],
    );
    x.dispose();
    kernel.dispose();
    return gradients.map((gradient) => gradient.dataSync());
  });
}

Deno.test("a convolution has the same gradients as in plain JavaScript, wherever its windows stand", async () => {
  for (const size of [4, 5, 6]) {
    for (const kernelSize of [1, 2, 3]) {
      for (const stride of [1, 2, 3]) {
        for (const padding of [0, 1, "same"] as const) {
          const gradients = () => convolutionGradients(size, kernelSize, stride, padding);
          const expected = await withBackend("cpu", gradients);
          const actual = await withBackend("wasm", gradients);
          expected.forEach((values, i) => assertClose(actual[i]!, values, 1e-4));
        }
      }
    }
  }
});

Deno.test("the first of equal maxima has the gradient, be they negative, zero or positive", async () => {
  await withBackend("wasm", () =>
    tidy(() => {
      // In columns: three numbers that are pooled.
      const columns = [[-3, -2, -2], [-1e-9, 0, 0], [-1e9, -1e9, -1e10], [5, 7, 7], [0, 0, -1]];
      const x = ops.reshape(ops.transpose(ops.tensor(columns)), [1, 3, 5, 1]);
      const dx = grad((x: Images) => ops.sum(ops.maxPool(x, { kernelSize: [3, 1] })))(x);
      const expected = [[0, 1, 0], [0, 1, 0], [1, 0, 0], [0, 1, 0], [1, 0, 0]];
      assertClose(ops.transpose(ops.reshape(dx, [3, 5])), expected.flat());
    }));
});
