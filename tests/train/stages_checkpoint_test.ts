/** Stages around a training that is saved and continues. */
import assert from "node:assert/strict";
import { join } from "node:path";
import {
  batchNorm,
  conv2d,
  dropout,
  fit,
  type FitOptions,
  flatten,
  type History,
  ImageDataset,
  type Images,
  type Labels,
  linear,
  loadStateDict,
  Random,
  readSafetensors,
  relu,
  sequential,
  setSeed,
  sgd,
  stages,
  stateDict,
  type Training,
} from "resnet-lab";
import { decodeCheckpoint, encodeCheckpoint } from "../../lib/train/checkpoint_format.ts";
import type { StageState } from "../../lib/train/stage.ts";
import { testInFolder } from "./_helpers.ts";

const random = new Random(1);
const set = new ImageDataset({
  name: "noise",
  pixels: Uint8Array.from({ length: 46 * 36 }, () => random.integer(256)),
  labels: Array.from({ length: 46 }, () => random.integer(3)),
  height: 6,
  width: 6,
  channels: 1,
  classes: 3,
  classNames: ["a", "b", "c"],
});

/** A training of 4 epochs with 5 steps each, made anew as in a new process. */
function begin(options: Partial<FitOptions<Images<1>, Labels<3>>>, stage = allStages) {
  setSeed(1);
  const model = sequential(
    conv2d(1, 16, { kernelSize: 3, padding: 1, useBias: false }),
    batchNorm(16),
    relu(),
    flatten(),
    dropout(0.2),
    linear(16 * 36, 3),
  );
  const optimizer = sgd(model.parameters(), { learningRate: 0.05, momentum: 0.9 });
  const training = fit(model, set, {
    optimizer,
    epochs: 4,
    batchSize: 10,
    validation: set.take(22),
    ...options,
  });
  return { model, optimizer, training: stage(training) };
}

/** The best epoch is the second, and the third and fourth are not better. */
const monitor = ({ epoch }: { epoch: number }) => [3, 1, 2, 2][epoch - 1]!;

function allStages(training: Training): Training {
  const averaged = stages.ema(stages.lookahead(training, { syncPeriod: 3 }), { decay: 0.7 });
  return stages.earlyStopping(averaged, { monitor, patience: 2 });
}

/** The history without times, as text. */
function text(history: History): string {
  return JSON.stringify(
    history,
    (key, value) => key === "imagesPerSecond" || key === "seconds" ? undefined : value,
  );
}

/** The bytes of the weights. */
function bytes({ model }: ReturnType<typeof begin>): string {
  return [...stateDict(model)].map(([name, stored]) => name + stored.bytes().toHex()).join("\n");
}

/** Iterates until a step, or the end of an epoch, and leaves the loop there. */
async function until(training: Training, step: number, kind = "step") {
  let steps = 0;
  for await (const progress of training) {
    if (progress.kind === "step") steps = progress.step;
    if (progress.kind === kind && steps >= step) break;
  }
}

function lastFile(folder: string): string {
  const names = Array.from(Deno.readDirSync(folder), ({ name }) => name)
    .filter((name) => name.endsWith(".safetensors"));
  return join(folder, names.sort().at(-1)!);
}

for (const compile of [false, true]) {
  testInFolder(
    `stages continue from a checkpoint to the last bit${compile ? ", compiled" : ""}`,
    async (folder) => {
      const whole = begin({ compile });
      const history = text(await whole.training);
      const seconds = [Infinity, 0];
      // In an epoch, at a sync, at the last step of an epoch, at its end, at the first step.
      for (
        const [i, [step, kind]] of ([
          [1, "step"],
          [3, "step"],
          [5, "step"],
          [5, "epoch"],
          [6, "step"],
          [10, "step"],
          [10, "epoch"],
          [13, "step"],
          [20, "step"],
        ] as const).entries()
      ) {
        const checkpoint = { folder, seconds: seconds[i % 2] };
        await until(begin({ compile, checkpoint }).training, step, kind);
      }
      const last = begin({ compile, checkpoint: folder });
      assert.equal(text(await last.training), history);
      assert.equal(bytes(last), bytes(whole));
      // And when it has finished.
      const again = begin({ compile, checkpoint: folder });
      assert.equal(text(await again.training), history);
      assert.equal(bytes(again), bytes(whole));
    },
  );
}

testInFolder(
  "stages that end at the last progress before a kill leave the checkpoint of no kill",
  async (folder) => {
    // Early stopping leaves the loop at the end of an epoch, which was saved before it was yielded.
    await begin({ checkpoint: folder }).training;
    const final = Deno.readFileSync(lastFile(folder));
    assert.equal((await decodeCheckpoint(final, folder)).isPending, false);
    Deno.removeSync(lastFile(folder));
    const before = Deno.readFileSync(lastFile(folder));
    assert.equal((await decodeCheckpoint(before, folder)).isPending, true);
    await begin({ checkpoint: folder }).training;
    const again = await decodeCheckpoint(Deno.readFileSync(lastFile(folder)), folder);
    const expected = await decodeCheckpoint(final, folder);
    assert.equal(again.isPending, false);
    for (const [name, { numbers }] of expected.stages) {
      assert.deepEqual(again.stages.get(name)?.numbers, numbers, name);
    }
  },
);

testInFolder(
  "stages continue where each save left off, as after a kill at any step",
  async (folder) => {
    const whole = begin({});
    const history = text(await whole.training);
    const copies: string[] = [];
    for await (const _ of begin({ checkpoint: { folder, seconds: 0 } }).training) {
      // The caller has this progress; the file says that it has not.
      const copy = `${folder}-${copies.length}`;
      await Deno.mkdir(copy);
      await Deno.copyFile(lastFile(folder), join(copy, "checkpoint-000001.safetensors"));
      copies.push(copy);
    }
    assert.equal(copies.length, 24);
    for (const copy of copies) {
      const continued = begin({ checkpoint: copy });
      assert.equal(text(await continued.training), history);
      assert.equal(bytes(continued), bytes(whole));
      continued.model.dispose();
      continued.optimizer.dispose();
    }
  },
);

testInFolder(
  "stages have their weights from the first progress that is restored",
  async (folder) => {
    for (const stage of [stages.ema, allStages]) {
      await Deno.remove(folder, { recursive: true }).catch(() => {});
      const first = begin({ checkpoint: folder }, stage);
      await until(first.training, 7);
      const again = begin({ checkpoint: folder }, stage);
      for await (const progress of again.training) {
        assert(progress.restored);
        if (progress.kind === "step" && progress.step === 3) break;
      }
      assert.equal(bytes(again), bytes(first));
    }
  },
);

testInFolder("a checkpoint holds the weights of stages for loadStateDict()", async (folder) => {
  const loaded = async (prefix: string) => {
    const { model } = begin({});
    loadStateDict(model, await readSafetensors(lastFile(folder)), { prefix });
    return bytes({ model } as ReturnType<typeof begin>);
  };
  const parts = begin({ checkpoint: folder });
  await parts.training;
  assert.equal(await loaded("stages.earlyStopping."), bytes(parts));
  const averaged = begin({ checkpoint: folder }, stages.ema);
  await assert.rejects(averaged.training.then(), /the stages must/);
  await Deno.remove(folder, { recursive: true });
  const other = begin({ checkpoint: folder }, (training) => stages.ema(training, { decay: 0.7 }));
  await until(other.training, 7);
  assert.equal(await loaded("stages.ema."), bytes(other));
  assert.notEqual(await loaded("model."), bytes(other));
});

testInFolder("stages.earlyStopping() trains on with more patience", async (folder) => {
  const stop = (patience: number) => (training: Training) =>
    stages.earlyStopping(training, { monitor, patience });
  const first = begin({ checkpoint: folder }, stop(1));
  assert.equal((await first.training).epochs.length, 3);
  assert.equal((await begin({ checkpoint: folder }, stop(1)).training).epochs.length, 3);
  const more = begin({ checkpoint: folder }, stop(3));
  assert.equal((await more.training).epochs.length, 4);
  const whole = begin({}, stop(3));
  await whole.training;
  assert.equal(bytes(more), bytes(whole));
  assert.equal(bytes(more), bytes(first));
});

const changes: Record<string, [(training: Training) => Training, RegExp]> = {
  "another decay": [
    (training) => stages.ema(training, { decay: 0.9 }),
    /^decay of ema must be 0\.7, found 0\.9\.$/m,
  ],
  "no stage": [(training) => training, /^the stages must be \["ema"\], found left out\.$/m],
  "another stage": [
    stages.lookahead,
    /^the stages must have ema as number 1, found lookahead\.$/m,
  ],
  "one more stage": [
    (training) => stages.ema(stages.lookahead(training), { decay: 0.7 }),
    /^the stages must have ema as number 1, found lookahead\.$/m,
  ],
};
for (const [what, [stage, message]] of Object.entries(changes)) {
  testInFolder(`fit() with checkpoint refuses another call, and names ${what}`, async (folder) => {
    const first = (training: Training) => stages.ema(training, { decay: 0.7 });
    await until(begin({ checkpoint: folder }, first).training, 7);
    await assert.rejects(begin({ checkpoint: folder }, stage).training.then(), {
      name: "RangeError",
      message,
    });
    assert.equal((await begin({ checkpoint: folder }, first).training).steps.length, 20);
  });
}

testInFolder(
  "fit() with checkpoint refuses stages around a training that had none",
  async (folder) => {
    await until(begin({ checkpoint: folder }, (training) => training).training, 7);
    await assert.rejects(
      begin({ checkpoint: folder }, stages.ema).training.then(),
      /^the stages must be left out, found \["ema"\]\.$/m,
    );
  },
);

testInFolder("fit() with checkpoint refuses another microBatchSize", async (folder) => {
  const options = { checkpoint: folder, microBatchSize: 4 };
  await until(begin(options).training, 7);
  await assert.rejects(
    begin({ ...options, microBatchSize: 5 }).training.then(),
    /^microBatchSize must be 4, found 5\.$/m,
  );
  const whole = begin({ microBatchSize: 4 });
  const history = text(await whole.training);
  const continued = begin(options);
  assert.equal(text(await continued.training), history);
  assert.equal(bytes(continued), bytes(whole));
});

testInFolder(
  "fit() with checkpoint refuses the state of a stage that is incomplete",
  async (folder) => {
    await until(begin({ checkpoint: folder }).training, 7);
    const file = lastFile(folder);
    const checkpoint = await decodeCheckpoint(await Deno.readFile(file), file);
    const { numbers, weights } = checkpoint.stages.get("ema")!;
    const forged: [StageState | undefined, RegExp][] = [
      [undefined, /^the stage ema must have a state, found none\.$/m],
      [{ numbers: {}, weights }, /^the stage ema must have updates, found none\.$/m],
      [
        { numbers, weights: new Map([...weights].filter(([name]) => name !== "0.weight")) },
        /^the stage ema must have no tensor 0\.weight, found F32 \[16,1,3,3\]\.$/m,
      ],
    ];
    for (const [state, message] of forged) {
      const stages = new Map(checkpoint.stages);
      if (state) stages.set("ema", state);
      else stages.delete("ema");
      const parts = await encodeCheckpoint("Writing", { ...checkpoint, stages });
      await Deno.writeFile(file, new Uint8Array(await new Blob(parts).arrayBuffer()));
      await assert.rejects(begin({ checkpoint: folder }).training.then(), {
        name: "RangeError",
        message,
      });
    }
  },
);
