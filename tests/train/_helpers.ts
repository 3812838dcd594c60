/** The smallest training that there is: images of one pixel, and a model of one weight. */
import { join } from "node:path";
import {
  type Features,
  ImageDataset,
  type Images,
  Module,
  ops,
  variable,
  type Variable1D,
} from "resnet-lab";

/** One pixel per image, 0 or 255, which is its class. */
export function pixels(values: readonly number[]): ImageDataset<1, 2> {
  return new ImageDataset({
    name: "pixels",
    pixels: Uint8Array.from(values, (value) => 255 * value),
    labels: Uint8Array.from(values),
    height: 1,
    width: 1,
    channels: 1,
    classes: 2,
    classNames: ["dark", "light"],
  });
}

/** Logits `[0, weight · pixel]`. */
export class OneWeight extends Module<Images<1>, Features<2>> {
  readonly weight: Variable1D;
  constructor(weight = 0) {
    super();
    this.weight = variable(ops.full([1], weight));
  }
  override forward(images: Images<1>): Features<2> {
    const x = ops.mul(ops.reshape(images, [-1, 1]), this.weight);
    return ops.concat([ops.zerosLike(x), x], 1);
  }
}

/** Runs a test with a folder, and collects what is printed. */
export function testInFolder(
  title: string,
  body: (folder: string, printed: string[]) => Promise<void>,
  options: Omit<Deno.TestDefinition, "name" | "fn"> = {},
): void {
  Deno.test({
    ...options,
    name: title,
    fn: async () => {
      const folder = await Deno.makeTempDir();
      const { info, warn } = console, printed: string[] = [];
      console.info = console.warn = (line: string) => void printed.push(line);
      try {
        await body(join(folder, "run"), printed);
      } finally {
        Object.assign(console, { info, warn });
        await Deno.remove(folder, { recursive: true });
      }
    },
  });
}
