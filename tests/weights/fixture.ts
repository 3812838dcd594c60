/** The files of tests/fixtures/weights, which make_weight_fixtures.py wrote. */
import { type Images, ops, type StateDict } from "resnet-lab";

/** The path of a file of tests/fixtures/weights. */
export function fixture(name: string): string {
  return new URL(`../fixtures/weights/${name}`, import.meta.url).pathname;
}

/**
 * What PyTorch computed: logits, or maps [batch, height, width, channels], by the file of the
 * weights; names of torchvision and timm.
 */
export const { expected, names }: {
  expected: Record<string, number[]>;
  names: Record<string, string[]>;
} = JSON.parse(Deno.readTextFileSync(fixture("weights.json")));

/** The images of make_weight_fixtures.py. */
export function images(count: number, height: number, width: number): Images<3> {
  const numbers = new Float32Array(count * height * width * 3);
  return ops.tensor(numbers.map((_, i) => (i * 7919) % 1024 / 512 - 1), [count, height, width, 3]);
}

/**
 * What odd_tensors of make_weight_fixtures.py makes, worked out by hand: the type, the shape, and
 * the numbers in row-major order.
 */
export const rowMajor: Readonly<Record<string, [string, number[], number[]]>> = {
  F64: ["F64", [2], [1.5, -2.25]],
  F32: ["F32", [2, 2], [1.5, -2.25, Math.fround(0.1), Math.fround(3e38)]],
  // 6e-8 is nearest to the smallest number of float16, 2⁻²⁴.
  F16: ["F16", [4], [1.5, -2.25, 2 ** -24, 65504]],
  // 3e38 has the bits 7F61B1E6 as float32, of which bfloat16 keeps 7F62, rounded: 226/128 · 2¹²⁷.
  BF16: ["BF16", [3], [1.5, -2.25, 226 / 128 * 2 ** 127]],
  I64: ["I64", [2], [-(2 ** 62), 5]],
  I32: ["I32", [2], [-(2 ** 31), 5]],
  I16: ["I16", [2], [-(2 ** 15), 5]],
  I8: ["I8", [2], [-128, 5]],
  U8: ["U8", [2], [255, 5]],
  BOOL: ["BOOL", [3], [1, 0, 1]],
  "one number": ["F32", [], [7]],
  empty: ["F32", [2, 0, 3], []],
  "größe.重み": ["F32", [1], [4]],
};
export const views: typeof rowMajor = {
  transposed: ["F32", [3, 2], [0, 3, 1, 4, 2, 5]],
  "channels last": ["F16", [1, 2, 2, 2], [0, 1, 2, 3, 4, 5, 6, 7]],
  "every third": ["I64", [4], [2, 5, 8, 11]],
  "shared, from 2": ["F32", [3], [2, 3, 4]],
  "shared, whole": ["F32", [10], [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]],
  parameter: ["F32", [1], [8]],
};

/** Types, shapes and numbers of tensors by name, to compare with those above. */
export function plain(tensors: StateDict): Record<string, [string, readonly number[], number[]]> {
  return Object.fromEntries(
    [...tensors].map(([name, tensor]) => [
      name,
      [tensor.dtype, tensor.shape, Array.from<number | bigint, number>(tensor.values(), Number)],
    ]),
  );
}

/** A file in a folder of its own, for tests that write. */
export async function temporary(name: string, content?: Uint8Array): Promise<string> {
  const file = `${await Deno.makeTempDir()}/${name}`;
  if (content) await Deno.writeFile(file, content);
  return file;
}
