/** The stages that write logs: csv() and tensorBoard(). */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import {
  crossEntropy,
  fit,
  type FitOptions,
  type Images,
  type Labels,
  ops,
  type Progress,
  setSeed,
  sgd,
  stages,
  type Training,
} from "resnet-lab";
import {
  crc32c,
  scalarsRecord,
  versionRecord,
  wallTimesOf,
} from "../../lib/train/stages/event_file.ts";
import { paths } from "../_project.ts";
import { OneWeight, pixels } from "./_helpers.ts";

const fixture = JSON.parse(
  readFileSync(new URL("../fixtures/stages.json", import.meta.url), "utf8"),
);

/** A training of 3 epochs with 2 steps each. */
function begin(options: Partial<FitOptions<Images<1>, Labels<2>>> = {}): Training {
  setSeed(1);
  const model = new OneWeight(0.5);
  const optimizer = sgd(model.parameters(), { learningRate: 0.5 });
  return fit(model, pixels([1, 0, 1, 1]), { optimizer, epochs: 3, batchSize: 2, ...options });
}

/** Runs a test with a folder, without messages. */
function test(
  title: string,
  body: (folder: string, printed: string[]) => Promise<void>,
  ignore = false,
): void {
  Deno.test(title, { ignore }, async () => {
    const folder = await Deno.makeTempDir(), printed: string[] = [];
    const { info, warn } = console;
    console.info = console.warn = (line: string) => void printed.push(line);
    try {
      await body(folder, printed);
    } finally {
      Object.assign(console, { info, warn });
      await Deno.remove(folder, { recursive: true });
    }
  });
}

async function until(training: AsyncIterable<Progress>, step: number): Promise<void> {
  for await (const progress of training) {
    if (progress.kind === "step" && progress.step === step) break;
  }
}

test("stages.csv() writes the numbers of the history, one line for each epoch", async (folder) => {
  const file = join(folder, "new", "log.csv");
  const { epochs } = await stages.csv(begin({ validation: pixels([1, 0]) }), file);
  assert.equal(
    await Deno.readTextFile(file),
    [
      "epoch,trainLoss,trainAccuracy,validationLoss,validationAccuracy,learningRate,seconds",
      ...epochs.map(({ epoch, trainLoss, trainAccuracy, validation, learningRate, seconds }) =>
        [
          ...[epoch, trainLoss, trainAccuracy, validation!.loss, validation!.accuracy],
          ...[learningRate, seconds],
        ].join()
      ),
      "",
    ].join("\n"),
  );
});

const objective: FitOptions<Images<1>, Labels<2>>["objective"] = (model, { images, labels }) => {
  const loss = crossEntropy((model as unknown as OneWeight).forward(images), labels);
  return { loss, metrics: { 'a "b", c': ops.mul(loss, 2) as typeof loss } };
};

test("stages.csv() writes each step, and quotes the names of metrics", async (folder) => {
  const file = join(folder, "log.csv");
  const { steps } = await stages.csv(begin({ objective }), file, { every: "step" });
  const lines = (await Deno.readTextFile(file)).split("\n");
  assert.equal(
    lines[0],
    'step,epoch,loss,accuracy,gradientNorm,learningRate,imagesPerSecond,"metrics.a ""b"", c"',
  );
  assert.equal(lines.length, 8);
  const { loss, gradientNorm, imagesPerSecond, metrics } = steps[3]!;
  const numbers = [4, 2, loss, NaN, gradientNorm, 0.5, imagesPerSecond, metrics!['a "b", c']];
  assert.equal(lines[4], numbers.join());
});

test("stages.csv() has each line once in a training that continues", async (folder) => {
  const file = join(folder, "log.csv"), checkpoint = join(folder, "run");
  const start = () => {
    const logged = stages.csv(begin({ checkpoint }), file, { every: "step" });
    return stages.csv(logged, `${file}.epochs`);
  };
  const places = async (file: string) =>
    (await Deno.readTextFile(file)).trim().split("\n").map((line) => line.split(",")[0]);
  await until(start(), 3);
  assert.deepEqual(await places(file), ["step", "1", "2", "3"]);
  const before = await Deno.readTextFile(file);
  // A killed training may have written lines that no checkpoint has, and half a line.
  await Deno.writeTextFile(file, "4,2,0.5\n5,", { append: true });
  await until(start(), 4);
  assert((await Deno.readTextFile(file)).startsWith(before));
  assert.deepEqual(await places(file), ["step", "1", "2", "3", "4"]);
  await Deno.remove(file);
  await start();
  assert.deepEqual(await places(file), ["step", "1", "2", "3", "4", "5", "6"]);
  assert.deepEqual(await places(`${file}.epochs`), ["epoch", "1", "2", "3"]);
  await start();
  assert.deepEqual(await places(file), ["step", "1", "2", "3", "4", "5", "6"]);
});

test("stages.csv() keeps all lines while the earlier progress comes again", async (folder) => {
  const file = join(folder, "log.csv"), checkpoint = join(folder, "run");
  const start = () => stages.csv(begin({ checkpoint }), file, { every: "step" });
  await until(start(), 5);
  const before = await Deno.readTextFile(file);
  let restored = 0;
  for await (const progress of start()) {
    if (!progress.restored) break;
    restored++;
    assert.equal(await Deno.readTextFile(file), before);
  }
  assert.equal(restored, 7);
});

test("stages.csv() leaves the file alone if the training cannot continue", async (folder) => {
  const file = join(folder, "log.csv"), checkpoint = join(folder, "run");
  await until(stages.csv(begin({ checkpoint }), file, { every: "step" }), 3);
  const before = await Deno.readTextFile(file);
  const other = stages.csv(begin({ checkpoint, batchSize: 4 }), file, { every: "step" });
  await assert.rejects(other.then(), /batchSize must be 2, found 4/);
  assert.equal(await Deno.readTextFile(file), before);
});

test(
  "stages.csv() says once that it cannot write, and writes all later",
  async (folder, printed) => {
    const file = join(folder, "log.csv"), { writeSync } = Deno.FsFile.prototype;
    let calls = 0;
    Deno.FsFile.prototype.writeSync = function (bytes) {
      calls++;
      // Half of the third line, and then nothing.
      if (calls === 3) return writeSync.call(this, bytes.subarray(0, 5));
      if (calls > 3 && calls < 6) throw new Error("No space left on device");
      return writeSync.call(this, bytes);
    };
    try {
      await stages.csv(begin(), file, { every: "step" });
    } finally {
      Deno.FsFile.prototype.writeSync = writeSync;
    }
    assert(calls > 6);
    const lines = (await Deno.readTextFile(file)).trim().split("\n");
    assert.deepEqual(lines.map((line) => line.split(",")[0]), ["step", ..."123456"]);
    assert.equal(new Set(lines.map((line) => line.split(",").length)).size, 1);
    assert.deepEqual(printed, [
      `Writing ${file}: the log could not be written, and the training goes on. No space left on device.`,
    ]);
  },
);

test("stages.csv() and tensorBoard() refuse what they cannot write", async (folder) => {
  assert.throws(() => stages.csv(begin(), ""), {
    name: "TypeError",
    message: 'Writing a CSV log: the file must be a path such as "runs/log.csv", found "".',
  });
  assert.throws(() => stages.tensorBoard(begin(), 5 as never), {
    name: "TypeError",
    message: 'Writing a TensorBoard log: the folder must be a path such as "runs/first", found 5.',
  });
  assert.throws(() => stages.csv(begin(), "a.csv", { every: "batch" as never }), {
    name: "RangeError",
    message: /every must be one of "epoch", "step", found "batch"/,
  });
  await assert.rejects(stages.csv(begin(), folder).then(), /^Error: Writing .*: Is a directory/);
});

// TensorBoard.

Deno.test("crc32c() returns the check value of the polynomial", () => {
  // RFC 3720, B.4, and the usual check value of CRC catalogues.
  assert.equal(crc32c(new Uint8Array(32)), 0x8a9136aa);
  assert.equal(crc32c(new TextEncoder().encode("123456789")), 0xe3069283);
});

Deno.test("event files have the bytes that TensorFlow writes", () => {
  const scalars = { epoch_loss: 0.1, épreuve: -3e-20 };
  const records = [versionRecord(1.5e9), scalarsRecord(1.5e9 + 0.25, 300, scalars)];
  const hex = records.map((record) => record.toHex()).join("");
  assert.equal(hex, fixture.events);
  const file = Uint8Array.fromHex(hex);
  assert.deepEqual(wallTimesOf(file), [1.5e9, 1.5e9 + 0.25]);
  assert.deepEqual(wallTimesOf(file.slice(0, -1)), [1.5e9]);
  file[60]! ^= 1;
  assert.deepEqual(wallTimesOf(file), [1.5e9]);
  assert.deepEqual(wallTimesOf(Uint8Array.of(1, 2, 3)), []);
});

const name = "events.out.tfevents.resnet-lab";

/** Reads an event file by TensorFlow, which checks its checksums. */
async function eventsOf(file: string): Promise<[time: number, step: number, tags: object][]> {
  const program = `
import json, sys
import tensorflow as tf
from tensorflow.core.util.event_pb2 import Event
events = []
for record in tf.data.TFRecordDataset(sys.argv[1]):
    event = Event.FromString(record.numpy())
    values = {v.tag: v.simple_value for v in event.summary.value} or event.file_version
    events.append([event.wall_time, event.step, values])
print(json.dumps(events))`;
  const { success, stdout, stderr } = await new Deno.Command(paths.python, {
    args: ["-I", "-c", program, file],
  }).output();
  assert(success, new TextDecoder().decode(stderr));
  return JSON.parse(new TextDecoder().decode(stdout));
}

/** Whether TensorFlow for Python is set up. */
const hasTensorFlow = await new Deno.Command(paths.python, {
  args: [
    "-I",
    "-c",
    "import importlib.util, sys; sys.exit(not importlib.util.find_spec('tensorflow'))",
  ],
}).output().then(({ success }) => success, () => false);

test("stages.tensorBoard() writes what TensorFlow reads", async (folder) => {
  const options = { validation: pixels([1, 0]), epochs: 2 };
  const before = Date.now() / 1000;
  const { steps, epochs } = await stages.tensorBoard(begin(options), folder, { every: "step" });
  const f32 = Math.fround;
  const [[time, , version], ...events] = await eventsOf(join(folder, "train", name)) as [
    [number, number, string],
    ...[number, number, object][],
  ];
  assert.equal(version, "brain.Event:2");
  assert(time >= before && time <= Date.now() / 1000);
  const step = (i: number) => {
    const { loss, accuracy, gradientNorm, imagesPerSecond } = steps[i]!;
    return [i + 1, {
      batch_loss: f32(loss),
      batch_accuracy: accuracy,
      batch_learning_rate: 0.5,
      batch_gradient_norm: f32(gradientNorm),
      batch_images_per_second: f32(imagesPerSecond),
    }];
  };
  const epoch = (i: number) => {
    const { trainLoss, trainAccuracy } = epochs[i]!;
    const scalars = { epoch_loss: f32(trainLoss), epoch_accuracy: f32(trainAccuracy) };
    return [i + 1, { ...scalars, epoch_learning_rate: 0.5 }];
  };
  assert.deepEqual(events.map(([, ...rest]) => rest), [
    ...[step(0), step(1), epoch(0)],
    ...[step(2), step(3), epoch(1)],
  ]);
  const validation = await eventsOf(join(folder, "validation", name));
  assert.deepEqual(
    validation.slice(1).map(([, ...rest]) => rest),
    [1, 2].map((epoch) => {
      const { loss, accuracy } = epochs[epoch - 1]!.validation!;
      return [epoch, { epoch_loss: f32(loss), epoch_accuracy: accuracy }];
    }),
  );
}, !hasTensorFlow);

test("stages.tensorBoard() leaves numbers out that are NaN, and has metrics", async (folder) => {
  await stages.tensorBoard(begin({ objective, epochs: 1 }), folder);
  const events = await eventsOf(join(folder, "train", name));
  assert.deepEqual(events.map(([, , tags]) => Object.keys(tags)).at(-1), [
    ...["epoch_loss", "epoch_learning_rate", 'epoch_a "b", c'],
  ]);
  assert.deepEqual([...Deno.readDirSync(folder)].map(({ name }) => name), ["train"]);
}, !hasTensorFlow);

test("stages.tensorBoard() keeps the bytes of earlier events in a training that continues", async (folder) => {
  const file = join(folder, "train", name), checkpoint = join(folder, "run");
  const start = () => stages.tensorBoard(begin({ checkpoint }), folder, { every: "step" });
  await until(start(), 3);
  const before = await Deno.readFile(file);
  assert.equal(wallTimesOf(before).length, 5); // the version, 3 steps and an epoch
  // A killed training may have written records that no checkpoint has, and half a record.
  await Deno.writeFile(file, before.slice(before.length - 70), { append: true });
  const { ino } = await Deno.stat(file);
  await until(start(), 4);
  const after = await Deno.readFile(file);
  assert.equal(after.slice(0, before.length).toHex(), before.toHex());
  assert.equal(wallTimesOf(after).length, 6);
  assert.equal((await Deno.stat(file)).ino, ino);
  await start();
  assert.equal(wallTimesOf(await Deno.readFile(file)).length, 10);
  // Without a checkpoint it begins again.
  await until(stages.tensorBoard(begin(), folder, { every: "step" }), 2);
  const anew = wallTimesOf(await Deno.readFile(file));
  assert.equal(anew.length, 3);
  assert(anew[1]! > wallTimesOf(after)[1]!);
});
