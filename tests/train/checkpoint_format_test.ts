/** The file of a checkpoint: damaged, foreign and old files, and failing writes. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { fit, linear, Random, setSeed, sgd, stages, stateDict, writeSafetensors } from "resnet-lab";
import { writeAtomically } from "../../lib/data/files.ts";
import { CheckpointFolder, type WriteFile } from "../../lib/train/checkpoint_folder.ts";
import {
  type Checkpoint,
  DamagedError,
  decodeCheckpoint,
  encodeCheckpoint,
} from "../../lib/train/checkpoint_format.ts";
import type { StageState } from "../../lib/train/stage.ts";
import { StoredTensor } from "../../lib/weights/internal.ts";
import { OneWeight, pixels } from "./_helpers.ts";

/** A checkpoint of everything, with numbers that JSON does not hold. */
const sample: Checkpoint = {
  facts: { batchSize: 2, "the model": ["linear 3 → 2"], augment: { results: [1, NaN, -0] } },
  machine: { backend: "tensorflow", processors: 2 },
  isPending: true,
  state: {
    epoch: 2,
    batch: 1,
    step: 3,
    seconds: 0.1,
    sums: { images: 2, loss: Infinity, accuracy: NaN, metrics: { norm: -0 } },
    streams: {
      shuffle: { seed: -7, draws: 4 },
      transform: { seed: 11, draws: 9 },
      mixup: undefined,
      default: { seed: 1, draws: 1e10 },
      others: [{ seed: 5, state: { seed: 6, draws: 2 } }],
    },
  },
  calls: {
    step: [{ key: "false 1[2,3] ", calls: 3, nextCheck: 16, isReplacement: true }],
    evaluation: [],
  },
  optimizer: {
    learningRate: 0.1,
    settings: { optimizer: "sgd", momentum: 0.9, nesterov: false },
    numbers: { steps: 3, overflows: 0, huge: 1e300 },
  },
  model: new Map([
    ["weight", new StoredTensor("F32", [2, 3], new Uint8Array(24).map((_, i) => 9 * i))],
    ["bias", new StoredTensor("F32", [2], Uint8Array.of(0, 0, 192, 127, 0, 0, 0, 128))],
    ["count", new StoredTensor("I64", [], new Uint8Array(8))],
    ["none", new StoredTensor("F32", [0], new Uint8Array())],
  ]),
  slots: new Map([["0.velocity", new StoredTensor("F32", [2], new Uint8Array(8))]]),
  stages: new Map<string, StageState>([
    ["ema", {
      numbers: { updates: 3 },
      weights: new Map([
        ["bias", new StoredTensor("F32", [2], Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8))],
      ]),
    }],
    ["earlyStopping", { numbers: { best: Infinity, waited: 0 }, weights: new Map() }],
  ]),
  steps: [{ loss: 1, "metrics.a": 0.5 }, { loss: NaN }, { loss: -0, "metrics.a": Infinity }],
  epochs: [{ trainLoss: 1 / 3 }],
};

const file = "checkpoint-000001.safetensors";

function joined(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  parts.reduce((at, part) => (bytes.set(part, at), at + part.length), 0);
  return bytes;
}

const encode = async (checkpoint: Checkpoint) =>
  joined(await encodeCheckpoint("Writing", checkpoint));

/** A checkpoint with the bytes of its tensors, to compare. */
function plain({ model, slots, stages, ...rest }: Checkpoint) {
  const weights = [...stages.values()].map(({ weights }) => weights);
  const tensors = [model, slots, ...weights].map((tensors) =>
    [...tensors].map(([name, { dtype, shape }]) =>
      `${name} ${dtype} [${shape}] ${tensors.get(name)!.bytes().toHex()}`
    ).sort()
  );
  const numbers = Array.from(stages, ([name, { numbers }]) => [name, numbers]);
  return { ...rest, numbers, tensors };
}

Deno.test("decodeCheckpoint() returns what encodeCheckpoint() wrote, to the last bit", async () => {
  assert.deepEqual(plain(await decodeCheckpoint(await encode(sample), file)), plain(sample));
});

/** Changes some bytes. May return the same bytes by chance. */
function mutate(original: Uint8Array<ArrayBuffer>, random: Random): Uint8Array<ArrayBuffer> {
  const bytes = original.slice(), { length } = bytes;
  const place = () => random.integer(length);
  switch (random.integer(9)) {
    case 0: // one bit
      bytes[place()]! ^= 1 << random.integer(8);
      return bytes;
    case 1: // some bytes
      for (let n = random.integer(16); n >= 0; n--) bytes[place()] = random.integer(256);
      return bytes;
    case 2: // a truncated file
      return bytes.slice(0, place());
    case 3: // more at the end
      return joined([bytes, bytes.slice(place())]);
    case 4: // a block of zeros, as after a power failure
      return bytes.fill(0, place());
    case 5: { // a part twice
      const at = place();
      return joined([bytes.slice(0, at), bytes.slice(at >> 1)]);
    }
    case 6: { // two bytes swapped
      const [a, b] = [place(), place()];
      [bytes[a], bytes[b]] = [bytes[b]!, bytes[a]!];
      return bytes;
    }
    case 7: { // a missing part
      const at = place();
      return joined([bytes.slice(0, at), bytes.slice(at + 1 + random.integer(20))]);
    }
    default: { // another digit in the header
      const digits = [...bytes.keys()].filter((i) => i > 8 && bytes[i]! >= 48 && bytes[i]! <= 57);
      bytes[digits[random.integer(digits.length)]!] = 48 + random.integer(10);
      return bytes;
    }
  }
}

Deno.test("decodeCheckpoint() refuses 1,000 mutated files as damaged", async () => {
  const original = await encode(sample), random = new Random(1);
  let unchanged = 0;
  for (let i = 0; i < 1000; i++) {
    const bytes = mutate(original, random);
    if (bytes.toHex() === original.toHex()) {
      unchanged++;
      continue;
    }
    await assert.rejects(decodeCheckpoint(bytes, file), DamagedError, `mutation ${i}`);
  }
  assert(unchanged < 100, `${unchanged} unchanged`);
});

/** The file with changes in its JSON, and the checksum made anew. */
async function forged(change: (json: Record<string, never>) => void) {
  const { model, slots, stages, ...rest } = sample;
  const copy = structuredClone(rest) as never;
  change(copy);
  return await encode({ ...(copy as Checkpoint), model, slots, stages });
}

Deno.test("decodeCheckpoint() refuses a state with a checksum that fits, but without its fields", async () => {
  // Each leaf and each branch of the state, replaced by other values.
  const paths: string[][] = [];
  const visit = (value: unknown, path: string[]) => {
    if (path.length > 0) paths.push(path);
    if (typeof value !== "object" || value === null || Array.isArray(value)) return;
    for (const [key, child] of Object.entries(value)) visit(child, [...path, key]);
  };
  const { isPending, state, calls, optimizer } = sample;
  visit({ isPending, state, calls, optimizer }, []);
  let refused = 0;
  for (const path of paths) {
    for (const value of [null, "text", -1.5, []]) {
      const bytes = await forged((json) => {
        let at = json as Record<string, Record<string, never>>;
        for (const key of path.slice(0, -1)) at = at[key]! as never;
        (at as Record<string, unknown>)[path.at(-1)!] = value;
      });
      try {
        await decodeCheckpoint(bytes, file);
      } catch (error) {
        assert(error instanceof DamagedError, `${path}: ${error}`);
        refused++;
      }
    }
  }
  assert(refused > 2.5 * paths.length, `${refused} of ${4 * paths.length}`);
  for (const numbers of [{ updates: "3" }, "three", null]) {
    const stages = new Map([["ema", { numbers, weights: new Map() }]]);
    const bytes = await encode({ ...sample, stages } as unknown as Checkpoint);
    await assert.rejects(decodeCheckpoint(bytes, file), DamagedError);
  }
});

Deno.test("decodeCheckpoint() refuses foreign files, and says so of a later version", async () => {
  const folder = await Deno.makeTempDir();
  const weights = join(folder, "weights.safetensors");
  await writeSafetensors(weights, stateDict(linear(3, 2)));
  const foreign: [Uint8Array<ArrayBuffer>, RegExp][] = [
    [new Uint8Array(), /must begin with 8 bytes/],
    [new Uint8Array(100), /must begin with/],
    [new TextEncoder().encode("not a checkpoint at all, but text"), /must have at most/],
    [Uint8Array.of(0x50, 0x4b, 3, 4, 0, 0, 0, 0, 1), /read it with readPth/],
    [await Deno.readFile(weights), /must be a checkpoint, found another safetensors file/],
  ];
  for (const [bytes, message] of foreign) {
    await assert.rejects(decodeCheckpoint(bytes, file), { name: "DamagedError", message });
  }
  const later = await encode({ ...sample, version: 3 } as Checkpoint);
  await assert.rejects(decodeCheckpoint(later, file), {
    name: "RangeError",
    message: /version of the file must be at most 2, found 3\. It was written by a later version/,
  });
  await Deno.remove(folder, { recursive: true });
});

/** Writes like writeAtomically, until the disk is full after some bytes. */
function fullAfter(bytes: number): WriteFile {
  return (file, pieces) =>
    writeAtomically(
      file,
      (function* () {
        let left = bytes;
        for (const piece of pieces) {
          yield piece.subarray(0, left);
          if (piece.length > left) throw new Error("No space left on device (os error 28)");
          left -= piece.length;
        }
      })(),
    );
}

Deno.test("CheckpointFolder.save() keeps the last file when a write fails after any byte", async () => {
  const root = await Deno.makeTempDir();
  const { warn } = console, printed: string[] = [];
  console.warn = (line: string) => void printed.push(line);
  try {
    const { length } = await encode(sample);
    for (const bytes of [0, 7, 8, 500, length - 1, length]) {
      const path = join(root, `${bytes}`);
      let folder = await CheckpointFolder.open("Fitting", path);
      assert(await folder.save(sample));
      folder.close();
      printed.length = 0;
      folder = await CheckpointFolder.open("Fitting", path, fullAfter(bytes));
      const later = { ...sample, isPending: false };
      const isSaved = bytes === length;
      assert.equal(await folder.save(later), isSaved);
      assert.equal(await folder.save(later), isSaved);
      assert.equal(printed.length, isSaved ? 0 : 1);
      if (!isSaved) {
        assert.match(printed[0]!, /could not be saved, and goes on; .* No space left on device/);
        assert.deepEqual(Array.from(Deno.readDirSync(path), ({ name }) => name).sort(), [
          file,
          "lock",
        ]);
      }
      assert.equal((await folder.read())!.isPending, !isSaved);
      folder.close();
    }
  } finally {
    console.warn = warn;
    await Deno.remove(root, { recursive: true });
  }
});

// Each fixture was written by this test with --update, by its version of the file.
const fixture = (version: number) =>
  new URL(`../fixtures/train/checkpoint_v${version}.safetensors`, import.meta.url);

function oneWeight(version: number, checkpoint?: string) {
  setSeed(1);
  const model = new OneWeight(0.5);
  const optimizer = sgd(model.parameters(), { learningRate: 0.5, momentum: 0.9 });
  const validation = pixels([1, 0]);
  const options = { optimizer, epochs: 3, batchSize: 2, mixup: 0.2, validation, checkpoint };
  const training = fit(model, pixels([1, 0, 1, 1, 0]), options);
  if (version === 1) return { model, training };
  const averaged = stages.ema(stages.lookahead(training, { syncPeriod: 2 }), { decay: 0.5 });
  return { model, training: stages.earlyStopping(averaged) };
}

for (const version of [1, 2]) {
  Deno.test(`fit() continues from a file of version ${version}`, async () => {
    const folder = await Deno.makeTempDir();
    const { info, warn } = console;
    console.info = console.warn = () => {};
    try {
      if (Deno.args.includes("--update") && version === 2) {
        for await (const progress of oneWeight(version, folder).training) {
          if (progress.kind === "step" && progress.step === 4) break;
        }
        const names = Array.from(Deno.readDirSync(folder), ({ name }) => name);
        const last = names.filter((name) => name.startsWith("checkpoint")).sort().at(-1)!;
        await Deno.copyFile(join(folder, last), fixture(version));
        await Deno.remove(folder, { recursive: true });
        await Deno.mkdir(folder);
      }
      await Deno.copyFile(fixture(version), join(folder, file));
      const whole = oneWeight(version), continued = oneWeight(version, folder);
      const { steps } = await whole.training;
      const seen = await continued.training;
      // Another machine may round differently.
      seen.steps.forEach(({ loss }, i) => assert(Math.abs(loss - steps[i]!.loss) < 1e-5));
      assert.equal(seen.steps.length, 9);
      const [weight] = continued.model.weight.dataSync();
      assert(Math.abs(weight! - whole.model.weight.dataSync()[0]!) < 1e-5);
    } finally {
      Object.assign(console, { info, warn });
      await Deno.remove(folder, { recursive: true });
    }
  });
}
