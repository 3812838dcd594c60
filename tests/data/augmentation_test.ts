import assert from "node:assert/strict";
import {
  type AnyChannelsTransform,
  augmentation,
  compose,
  type Images,
  memory,
  normalize,
  ops,
  Random,
  type Transform,
} from "resnet-lab";
import { assertClose, assertNoLeak, testOnEachBackend } from "../_helpers.ts";
import { distinct } from "./_helpers.ts";

const random = () => new Random(5);

testOnEachBackend("randomCrop() returns windows of the padded image, pixel for pixel", () => {
  const [batch, height, width, padding] = [64, 5, 7, 2];
  const images = distinct(batch, height, width, 2);
  const moved = augmentation.randomCrop({ padding })(images, random());
  const original = images.arraySync();
  const seen = new Set<string>();
  moved.arraySync().forEach((image, b) => {
    // The offset at which the window fits; all are tried.
    const fits = (dy: number, dx: number) =>
      image.every((row, y) =>
        row.every((pixel, x) =>
          pixel.every((value, c) => value === (original[b]![y + dy]?.[x + dx]?.[c] ?? 0))
        )
      );
    const shifts = [-2, -1, 0, 1, 2];
    const found = shifts.flatMap((dy) => shifts.map((dx) => [dy, dx] as const))
      .filter(([dy, dx]) => fits(dy, dx));
    assert.equal(found.length, 1, `image ${b} is no window of the padded image`);
    seen.add(String(found[0]));
  });
  // 64 draws of 25 offsets: about 23 different ones.
  assert(seen.size >= 18, `only ${seen.size} different offsets`);
});

for (const size of [28, 32, 224]) {
  testOnEachBackend(
    `randomCrop() copies pixels exactly at ${size} × ${size}`,
    () =>
      assertNoLeak(() => {
        const images = distinct(8, size, size, 1);
        const moved = augmentation.randomCrop({ padding: 4 })(images, random());
        // Every value is a whole number of the image, or the padding's 0; none is interpolated.
        const values = moved.dataSync();
        const before = new Set<number>(images.dataSync()).add(0);
        assert(values.every((value) => before.has(value)));
        // Neighbours differ by 1 along a row and by the width along a column.
        const inner = values[size * (size >> 1) + (size >> 1)]!;
        assert.equal(values[size * (size >> 1) + (size >> 1) + 1], inner + 1);
        assert.equal(values[size * ((size >> 1) + 1) + (size >> 1)], inner + size);
        images.dispose();
        moved.dispose();
      }),
  );
}

testOnEachBackend("randomFlip() mirrors about half of the images, pixel for pixel", () => {
  const images = distinct(64, 3, 5, 2);
  const mirrored = ops.reverse(images, [2]).arraySync();
  const original = images.arraySync();
  let count = 0;
  augmentation.randomFlip()(images, random()).arraySync().forEach((image, b) => {
    const flipped = String(image) === String(mirrored[b]);
    assert(flipped || String(image) === String(original[b]), `image ${b} is neither`);
    if (flipped) count++;
  });
  assert(count >= 20 && count <= 44, `${count} of 64 mirrored`); // ± 3 standard deviations
});

/** Images whose two channels are the row and the column, counted from 1. */
function places(batch: number, height: number, width: number): Images {
  const values = Float32Array.from(
    { length: batch * height * width * 2 },
    (_, i) => 1 + (i % 2 === 0 ? Math.floor(i / 2 / width) % height : (i >> 1) % width),
  );
  return ops.tensor(values, [batch, height, width, 2]);
}

testOnEachBackend(
  "randomResizedCrop() of the whole image is the image, or its corners and middle",
  () => {
    const images = distinct(3, 5, 5, 2);
    const whole = { scale: [1, 1], ratio: [1, 1] } as const;
    assertClose(
      augmentation.randomResizedCrop({ size: [5, 5], ...whole })(images, random()),
      images,
      1e-4,
    );
    const [small] = augmentation.randomResizedCrop({ size: [3, 3], ...whole })(
      places(1, 5, 5),
      random(),
    )
      .arraySync();
    const expected = [1, 3, 5].map((row) => [1, 3, 5].map((column) => [row, column]));
    assertClose(ops.tensor(small!.flat(2)), expected.flat(2), 1e-4);
  },
);

testOnEachBackend(
  "randomResizedCrop() cuts even rectangles of the areas and proportions asked for",
  () => {
    const [batch, height, width] = [400, 40, 60];
    const options = { size: [2, 3], scale: [0.1, 0.3], ratio: [0.5, 2] } as const;
    const crops = augmentation.randomResizedCrop(options)(places(batch, height, width), random())
      .arraySync();
    const areas: number[] = [], ratios: number[] = [], tops: number[] = [], lefts: number[] = [];
    for (const crop of crops) {
      const [top, left] = crop[0]![0]!, [bottom, right] = crop[1]![2]!;
      // Values between them are linear, each channel along its axis only.
      const middle = (left! + right!) / 2;
      assertClose(
        crop.flat(2),
        [
          top,
          left,
          top,
          middle,
          top,
          right,
          bottom,
          left,
          bottom,
          middle,
          bottom,
          right,
        ] as number[],
        1e-3,
      );
      const [cutHeight, cutWidth] = [bottom! - top! + 1, right! - left! + 1];
      assert(top! >= 1 && left! >= 1 && bottom! <= height && right! <= width);
      areas.push(cutHeight * cutWidth / (height * width));
      ratios.push(Math.log2(cutWidth / cutHeight));
      tops.push((top! - 1) / (height - cutHeight));
      lefts.push((left! - 1) / (width - cutWidth));
    }
    // Uniform over the range: the mean is the middle, with a standard deviation of a sixtieth to a
    // seventieth of the range.
    for (
      const [values, low, high] of [[areas, 0.1, 0.3], [ratios, -1, 1], [tops, 0, 1], [
        lefts,
        0,
        1,
      ]] as const
    ) {
      const [least, most] = [Math.min(...values), Math.max(...values)];
      assert(least > low - 1e-3 && most < high + 1e-3, `${least} to ${most}`);
      assert(
        least < low + 0.05 * (high - low) && most > high - 0.05 * (high - low),
        `${least} to ${most}`,
      );
      const mean = values.reduce((sum, value) => sum + value, 0) / batch;
      assert(Math.abs(mean - (low + high) / 2) < 0.05 * (high - low), `mean ${mean}`);
    }
  },
);

testOnEachBackend(
  "randomResizedCrop() never reads outside of the image, whatever the rounding",
  () => {
    for (const [from, to] of [[32, 32], [33, 17], [224, 112], [7, 64], [1, 4], [5, 1]] as const) {
      const images = ops.ones([64, from, from, 1]);
      for (const scale of [[0.08, 1], [1, 1]] as const) {
        const crops = augmentation.randomResizedCrop({ size: [to, to], scale })(images, random());
        assertClose(ops.min(crops, [0, 1, 2, 3]), [1], 1e-6);
      }
    }
  },
);

testOnEachBackend(
  "colorJitter() by hand: brightness, contrast and saturation, each with a factor for each image",
  () => {
    // Two pixels; the greys are 0.2989 · 0.2 + 0.587 · 0.4 + 0.114 · 0.6 = 0.36298 and 0.8 of all,
    // 0.79992.
    const pixels = [0.2, 0.4, 0.6, 0.8, 0.8, 0.8];
    const greys = [0.36298, 0.36298, 0.36298, 0.79992, 0.79992, 0.79992];
    const mean = (0.36298 + 0.79992) / 2;
    const batch = 100;
    const images = ops.tile(ops.tensor(pixels, [1, 1, 2, 3]), [batch, 1, 1, 1]);
    const others = {
      brightness: Array(6).fill(0),
      contrast: Array(6).fill(mean),
      saturation: greys,
    };
    for (const [name, other] of Object.entries(others)) {
      const result = augmentation.colorJitter({ [name]: 0.2 })(images, random()).dataSync();
      const factors = Array.from({ length: batch }, (_, b) => {
        const factor = (result[b * 6]! - other[0]!) / (0.2 - other[0]!);
        assertClose(
          result.slice(b * 6, b * 6 + 6),
          pixels.map((x, i) => Math.min(1, factor * x + (1 - factor) * other[i]!)),
          1e-5,
        );
        return factor;
      });
      const [least, most] = [Math.min(...factors), Math.max(...factors)];
      assert(least >= 0.8 - 1e-4 && most <= 1.2 + 1e-4, `${name}: ${least} to ${most}`);
      assert(
        least < 0.85 && most > 1.15 && new Set(factors).size > 90,
        `${name}: ${least} to ${most}`,
      );
    }
  },
);

testOnEachBackend("colorJitter() stays from 0 to 1 and never inverts colours", () => {
  const images = ops.tensor(
    Float32Array.from({ length: 50 * 12 }, (_, i) => (i * 37 % 101) / 100),
    [50, 2, 2, 3],
  );
  const all = { brightness: 3, contrast: 3, saturation: 3 };
  const result = augmentation.colorJitter(all)(images, random()).dataSync();
  assert(result.every((value) => value >= 0 && value <= 1));
  // With a negative factor the second pixel would be brighter.
  const pair = ops.tile(ops.tensor([0.9, 0.9, 0.9, 0.1, 0.1, 0.1], [1, 1, 2, 3]), [50, 1, 1, 1]);
  const pixels = augmentation.colorJitter({ contrast: 3 })(pair, random()).arraySync();
  assert(pixels.every(([row]) => row![0]![0]! >= row![1]![0]! - 1e-6));
});

testOnEachBackend("colorJitter() without options changes nothing", () => {
  const images = ops.tensor([0.1, 0.5, 0.9], [1, 1, 1, 3]);
  assertClose(augmentation.colorJitter({})(images, random()), images, 0);
});

for (const size of [3, 4]) {
  testOnEachBackend(
    `cutout() sets squares of ${size} to 0, around each pixel about as often`,
    () => {
      const [batch, height, width] = [400, 5, 7];
      const images = distinct(batch, height, width, 2);
      const before = images.arraySync();
      const seen = new Map<string, number>();
      augmentation.cutout({ size })(images, random()).arraySync().forEach((image, b) => {
        const zeros = image.flatMap((row, y) =>
          row.flatMap((pixel, x) => {
            assert(
              pixel.every((value) => value === 0) || String(pixel) === String(before[b]![y]![x]),
            );
            return pixel[0] === 0 ? [`${y} ${x}`] : [];
          })
        ).join();
        seen.set(zeros, (seen.get(zeros) ?? 0) + 1);
      });
      // By hand: the square starts ⌊size / 2⌋ before the pixel, and ends at the edge of the image.
      const expected = new Set<string>();
      for (let y = 0; y < height; y++) {
        for (let x = 0; x < width; x++) {
          const zeros: string[] = [];
          for (let row = 0; row < height; row++) {
            for (let column = 0; column < width; column++) {
              const [down, right] = [
                row - y + Math.floor(size / 2),
                column - x + Math.floor(size / 2),
              ];
              if (down >= 0 && down < size && right >= 0 && right < size) {
                zeros.push(`${row} ${column}`);
              }
            }
          }
          expected.add(zeros.join());
        }
      }
      assert.deepEqual([...seen.keys()].filter((zeros) => !expected.has(zeros)), []);
      assert.equal(seen.size, expected.size);
    },
  );
}

const transforms: Record<string, AnyChannelsTransform | Transform<3>> = {
  "randomCrop": augmentation.randomCrop({ padding: 2 }),
  "randomFlip": augmentation.randomFlip(),
  "randomResizedCrop": augmentation.randomResizedCrop({ size: [3, 4] }),
  "colorJitter": augmentation.colorJitter({ brightness: 0.1, contrast: 0.2, saturation: 0.3 }),
  "colorJitter of nothing": augmentation.colorJitter({}),
  "cutout": augmentation.cutout({ size: 2 }),
};
for (const [name, transform] of Object.entries(transforms)) {
  testOnEachBackend(`${name}() leaves no tensor but its result, and keeps its input`, () => {
    const images: Images<3> = distinct(4, 5, 5, 3);
    const before = memory().tensors;
    const result = transform(images, random());
    assert.equal(memory().tensors, before + 1);
    result.dispose();
    assert.equal(images.arraySync().length, 4);
    images.dispose();
  });

  testOnEachBackend(`${name}() does the same for the same seed`, () => {
    const images: Images<3> = distinct(16, 5, 5, 3);
    assertClose(transform(images, random()), transform(images, random()), 0);
  });
}

const wrong: [string, () => unknown, string][] = [
  [
    "randomCrop refuses a padding of 0",
    () => augmentation.randomCrop({ padding: 0 }),
    "Cropping images at random: padding must be a whole number of at least 1, found 0.",
  ],
  [
    "randomResizedCrop refuses half a pixel",
    () => augmentation.randomResizedCrop({ size: [4, 2.5] }),
    "Cropping images at random: width must be a whole number of at least 1, found 2.5.",
  ],
  [
    "randomResizedCrop refuses more than the image",
    () => augmentation.randomResizedCrop({ size: [4, 4], scale: [0.5, 1.5] }),
    "Cropping images at random: scale must be two numbers in order, above 0 and at most 1, found [0.5, 1.5].",
  ],
  [
    "randomResizedCrop refuses proportions out of order",
    () => augmentation.randomResizedCrop({ size: [4, 4], ratio: [2, 1] }),
    "Cropping images at random: ratio must be two numbers in order, above 0 and at most 1000000, found [2, 1].",
  ],
  [
    "colorJitter refuses less than nothing",
    () => augmentation.colorJitter({ contrast: -0.1 }),
    "Changing colours at random: contrast must be a finite number of at least 0, found -0.1.",
  ],
  [
    "colorJitter refuses NaN",
    () => augmentation.colorJitter({ saturation: NaN }),
    "Changing colours at random: saturation must be a finite number of at least 0, found NaN.",
  ],
  [
    "colorJitter refuses images that are not in colour",
    () => augmentation.colorJitter({})(ops.zeros([2, 4, 4, 4]) as Images, random()),
    "Changing colours at random: the images must have 3 channels, found [2,4,4,4].",
  ],
  [
    "cutout refuses a size of 0",
    () => augmentation.cutout({ size: 0 }),
    "Cutting squares out: size must be a whole number of at least 1, found 0.",
  ],
];
for (const [name, make, message] of wrong) {
  Deno.test(name, () => assert.throws(make, { name: "RangeError", message }));
}

/** Options of a cell, whose types are not checked. */
const misspelt: [string, () => unknown, string][] = [
  [
    "randomCrop",
    () => augmentation.randomCrop({ pading: 4 } as unknown as { padding: number }),
    "Cropping images at random: there is no option pading. Did you mean padding? The options are padding.",
  ],
  [
    "randomCrop",
    () => augmentation.randomCrop({} as unknown as { padding: number }),
    "Cropping images at random: padding must be a whole number of at least 1, found undefined.",
  ],
  [
    "randomCrop",
    () => augmentation.randomCrop(4 as unknown as { padding: number }),
    "Cropping images at random: the options must be an object such as { padding: 4 }, found 4.",
  ],
  [
    "randomFlip",
    () => (augmentation.randomFlip as (options: object) => unknown)({ probability: 0.3 }),
    "Mirroring images at random: there is no option probability. It takes none.",
  ],
  [
    "randomResizedCrop",
    () => augmentation.randomResizedCrop({ size: 224 } as unknown as { size: [1, 1] }),
    "Cropping images at random: size must be [height, width] such as [224, 224], found 224.",
  ],
  [
    "randomResizedCrop",
    () => augmentation.randomResizedCrop({ size: [2, 2], area: 1 } as unknown as { size: [2, 2] }),
    "Cropping images at random: there is no option area. Did you mean scale? The options are size, scale, ratio.",
  ],
  [
    "colorJitter",
    () => augmentation.colorJitter({ hue: 0.1 } as object),
    "Changing colours at random: there is no option hue. The options are brightness, contrast, saturation.",
  ],
  [
    "cutout",
    () => augmentation.cutout({ length: 16 } as unknown as { size: number }),
    "Cutting squares out: there is no option length. Did you mean size? The options are size.",
  ],
  [
    "normalize",
    () => normalize({ mean: 0.5, std: 0.2 } as unknown as { mean: 1; standardDeviation: 1 }),
    "Normalizing images: there is no option std. Did you mean standardDeviation? The options are mean, standardDeviation.",
  ],
  [
    "compose",
    () =>
      (compose as (...transforms: unknown[]) => unknown)(augmentation.randomFlip(), { padding: 4 }),
    "Composing transforms: transform 1 must be a function, found an object.",
  ],
];
for (const [name, make, message] of misspelt) {
  Deno.test(`${name} refuses options that do not exist: ${message.slice(-40)}`, () => {
    assert.throws(make, { name: "TypeError", message });
  });
}

Deno.test("randomResizedCrop() and colorJitter() refuse numbers of a wrong kind", () => {
  const scale = "ab" as unknown as [1, 1];
  assert.throws(() => augmentation.randomResizedCrop({ size: [2, 2], scale }), {
    name: "RangeError",
    message: /: scale must be two numbers in order, above 0 and at most 1, found "ab"\.$/,
  });
  assert.throws(() => augmentation.colorJitter({ contrast: "0.4" as unknown as number }), {
    name: "TypeError",
    message: /: contrast must be a finite number of at least 0, found "0\.4"\.$/,
  });
});
