/** The files of tests/fixtures/weights, which make_weight_fixtures.py wrote. */
import { type Images, ops } from "resnet-lab";

/** The path of a file of tests/fixtures/weights. */
export function fixture(name: string): string {
  return new URL(`../fixtures/weights/${name}`, import.meta.url).pathname;
}

/** What PyTorch computed: logits, or maps [batch, height, width, channels], by the file of the weights; names of torchvision and timm. */
export const { expected, names }: {
  expected: Record<string, number[]>;
  names: Record<string, string[]>;
} = JSON.parse(Deno.readTextFileSync(fixture("weights.json")));

/** The images of make_weight_fixtures.py. */
export function images(count: number, height: number, width: number): Images<3> {
  const numbers = new Float32Array(count * height * width * 3);
  return ops.tensor(numbers.map((_, i) => (i * 7919) % 1024 / 512 - 1), [count, height, width, 3]);
}

/** The values of all tensors by name, as plain numbers. */
export function plain(
  tensors: ReadonlyMap<string, { shape: readonly number[]; values(): ArrayLike<number | bigint> }>,
): Record<string, { shape: readonly number[]; values: number[] }> {
  return Object.fromEntries(
    [...tensors].map(([name, tensor]) => [
      name,
      { shape: tensor.shape, values: Array.from(tensor.values(), Number) },
    ]),
  );
}
