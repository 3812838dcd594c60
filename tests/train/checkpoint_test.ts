/** Continuing trainings in one process. For killed processes see kill_and_resume_test.ts. */
import assert from "node:assert/strict";
import { join } from "node:path";
import {
  adagrad,
  adam,
  adamW,
  augmentation,
  backend,
  batchNorm,
  conv2d,
  cosine,
  crossEntropy,
  dropout,
  type Features,
  fit,
  type FitOptions,
  flatten,
  type ForwardOptions,
  type History,
  ImageDataset,
  type Images,
  type Labels,
  linear,
  meanSquaredError,
  Module,
  normalize,
  ops,
  type Optimizer,
  type Progress,
  Random,
  readSafetensors,
  relu,
  rmsProp,
  sequential,
  setSeed,
  sgd,
  showProgress,
  stateDict,
  tidy,
  type Variable,
  variable,
  writeSafetensors,
} from "resnet-lab";
import { collectHistory } from "../../lib/train/internal.ts";
import { assertNoLeak } from "../_helpers.ts";
import { OneWeight, pixels, testInFolder } from "./_helpers.ts";

type Options = Partial<FitOptions<Images<1>, Labels<3>>>;

/** Images of noise. */
function noise(count: number, seed: number): ImageDataset<1, 3> {
  const random = new Random(seed);
  return new ImageDataset({
    name: "noise",
    pixels: Uint8Array.from({ length: count * 36 }, () => random.integer(256)),
    labels: Array.from({ length: count }, () => random.integer(3)),
    height: 6,
    width: 6,
    channels: 1,
    classes: 3,
    classNames: ["a", "b", "c"],
  });
}

const set = noise(46, 1), other = noise(46, 2), validation = noise(22, 3);

function network(rate = 0.2) {
  return sequential(
    conv2d(1, 16, { kernelSize: 3, padding: 1, useBias: false }),
    batchNorm(16),
    relu(),
    flatten(),
    dropout(rate),
    linear(16 * 36, 3),
  );
}

/** All that a training has by default here; 5 steps in an epoch, the last one smaller. */
const full = {
  epochs: 3,
  batchSize: 10,
  validation,
  augment: augmentation.randomCrop({ padding: 1 }),
  transform: normalize({ mean: 0.5, standardDeviation: 0.25 }),
  mixup: 0.4,
  maxGradientNorm: 2,
} as const;

/** A training that is made anew as in a new process. Messages are collected. */
function begin(
  options: Options,
  make = network as () => ReturnType<typeof network>,
  optimizerOf = (parameters: Variable[]): Optimizer => adam(parameters, { learningRate: 0.01 }),
  data = set,
) {
  setSeed(1);
  const model = make(), optimizer = optimizerOf(model.parameters());
  const training = fit(model, data, { ...full, optimizer, ...options });
  return { model, optimizer, training };
}

/** The history without times, as text. */
function text(history: History): string {
  return JSON.stringify(
    history,
    (key, value) => key === "imagesPerSecond" || key === "seconds" ? undefined : value,
  );
}

/** All bytes of a model and an optimizer. */
function bytes({ model, optimizer }: { model: Module; optimizer: Optimizer }): string {
  const { numbers, tensors } = optimizer.state!();
  const state = Object.entries(tensors).map(([name, tensor]) => {
    using _ = tensor;
    return name + new Uint8Array(tensor.dataSync().slice().buffer).toHex();
  });
  const weights = [...stateDict(model)].map(([name, stored]) => name + stored.bytes().toHex());
  return [...weights, ...state, JSON.stringify(numbers)].join("\n");
}

/** Iterates until a step, or the end of an epoch, and leaves the loop there. */
async function until(training: AsyncIterable<Progress>, step: number, kind = "step") {
  let steps = 0;
  for await (const progress of training) {
    if (progress.kind === "step") steps = progress.step;
    if (progress.kind === kind && steps >= step) break;
  }
}

const native = backend() === "tensorflow";
const modes: Record<string, Options> = {
  "in float32": {},
  "in bfloat16": { precision: "bf16" },
  // At call 16 a compiled function compares the graph with a new one.
  compiled: { compile: true, epochs: 5 },
  "compiled in bfloat16": { compile: true, precision: "bf16", epochs: 5 },
};
for (const [mode, options] of Object.entries(modes)) {
  testInFolder(
    `fit() with checkpoint continues to the last bit, ${mode}`,
    async (folder) => {
      const whole = begin(options);
      const history = text(await collectHistory(whole.training));
      // A step in the middle, the last step of an epoch, the end of an epoch, the first step.
      for (const [step, kind] of [[1, "step"], [3, "step"], [5, "step"], [10, "epoch"]] as const) {
        await until(begin({ ...options, checkpoint: folder }).training, step, kind);
      }
      for (const step of [11, 13]) {
        const checkpoint = { folder, seconds: 0 };
        await until(begin({ ...options, checkpoint }).training, step);
      }
      const last = begin({ ...options, checkpoint: folder });
      assert.equal(text(await last.training), history);
      assert.equal(bytes(last), bytes(whole));
    },
    { ignore: !native && mode !== "in float32" },
  );
}

/** Adds noise from a stream of its own. */
class Noise extends Module<Images<1>, Features<3>> {
  readonly random = new Random(5);
  readonly inner = network();
  override forward(images: Images<1>, options?: ForwardOptions): Features<3> {
    return tidy(() =>
      this.inner.forward(
        options?.training
          ? ops.add(images, this.random.normal(images.shape, { standardDeviation: 0.1 })) as Images<
            1
          >
          : images,
        options,
      )
    );
  }
}

for (const compile of [false, true]) {
  testInFolder(
    `fit() with checkpoint continues streams of the caller${compile ? ", compiled" : ""}`,
    async (folder) => {
      const start = (checkpoint?: string) => {
        // Two streams with one seed, one that is made at each step, and one of a layer.
        const first = new Random(7), second = new Random(7);
        const augment = (images: Images<1>) =>
          tidy(() => {
            const third = new Random(7).uniform(images.shape, { max: 0.01 });
            const sum = ops.add(
              ops.mul(first.uniform(images.shape), 2),
              second.uniform(images.shape),
            );
            return ops.add(images, ops.add(ops.mul(sum, 0.05), third)) as Images<1>;
          });
        const options = { augment, compile, checkpoint };
        return begin(options, () => new Noise() as unknown as ReturnType<typeof network>);
      };
      const whole = start();
      const history = text(await whole.training);
      for (const step of [2, 7, 14]) await until(start(folder).training, step);
      const last = start(folder);
      assert.equal(text(await last.training), history);
      assert.equal(bytes(last), bytes(whole));
    },
  );
}

const optimizers: Record<string, (parameters: Variable[]) => Optimizer> = {
  sgd: (parameters) => sgd(parameters, { learningRate: 0.1 }),
  "sgd with momentum": (parameters) => sgd(parameters, { learningRate: 0.1, momentum: 0.9 }),
  adagrad: (parameters) => adagrad(parameters, { learningRate: 0.1 }),
  rmsProp: (parameters) => rmsProp(parameters, { learningRate: 0.1 }),
  adam: (parameters) => adam(parameters, { learningRate: 0.1 }),
  adamW: (parameters) => adamW(parameters, { learningRate: 0.1 }),
};
for (const [name, make] of Object.entries(optimizers)) {
  Deno.test(`the state of ${name} is saved and loaded on its own`, () =>
    assertNoLeak(() => {
      const gradients = [[0.5, -2], [1e20, 1], [0.25, 3], [-1, 0.125]];
      const step = (optimizer: Optimizer, i: number) => optimizer.step([ops.tensor(gradients[i]!)]);
      using one = variable(ops.tensor([1, 2])), same = variable(ops.tensor([0, 0]));
      using first = make([one]), second = make([same]);
      tidy(() => {
        step(first, 0);
        step(first, 1);
        first.learningRate = 0.05;
        const state = first.state!();
        same.assign(ops.clone(one));
        step(first, 2); // The state is a copy.
        second.loadState!(state);
        assert.equal(second.learningRate, 0.05);
        step(second, 2);
      });
      assert.deepEqual([...same.dataSync()], [...one.dataSync()]);
      tidy(() => {
        second.loadState!(first.state!());
        step(first, 3);
        step(second, 3);
      });
      assert.deepEqual([...same.dataSync()], [...one.dataSync()]);
    }));
}

Deno.test("loadState() of an optimizer names what differs, and changes nothing then", () => {
  using w = variable(ops.tensor([1])), v = variable(ops.tensor([1]));
  using first = sgd([w], { learningRate: 0.1, momentum: 0.9 });
  const state = first.state!();
  const refused: [Optimizer, RegExp][] = [
    [
      sgd([w], { learningRate: 0.1, momentum: 0.5 }),
      /momentum must be 0.9, as in the state, found 0.5/,
    ],
    [adam([w], { learningRate: 0.1 }), /optimizer must be "sgd", as in the state, found "adam"/],
    [
      sgd([w], { learningRate: 0.1, momentum: 0.9, weightDecay: 0.1 }),
      /weightDecay must be 0, as in the state, found 0.1/,
    ],
    [
      sgd([{ parameters: [w], learningRateFactor: 2 }, { parameters: [v] }], {
        learningRate: 0.1,
        momentum: 0.9,
      }),
      /learningRateFactor must be 1, as in the state, found "2 × 1, 1 × 1"/,
    ],
  ];
  for (const [optimizer, message] of refused) {
    const before = JSON.stringify(optimizer.state!().numbers);
    assert.throws(() => optimizer.loadState!(state), { name: "RangeError", message });
    assert.equal(JSON.stringify(optimizer.state!().numbers), before);
  }
});

testInFolder(
  "fit() with checkpoint first yields what it restored, and then the last progress",
  async (folder, printed) => {
    await until(begin({ checkpoint: folder }).training, 7);
    const seen: string[] = [];
    for await (const { kind, restored, ...progress } of begin({ checkpoint: folder }).training) {
      const place = kind === "step" && "step" in progress ? progress.step : kind;
      seen.push(`${place}${restored ? " restored" : ""}`);
      if (seen.length === 10) break;
    }
    assert.deepEqual(seen, [
      ...[1, 2, 3, 4, 5, "epoch", 6, 7].map((place) => `${place} restored`),
      "8",
      "9",
    ]);
    assert.deepEqual(printed, [
      `Fitting to "noise": continuing from ${folder} after step 7 of 15.`,
    ]);
  },
);

testInFolder("fit() with checkpoint yields progress that was not received anew", async (folder) => {
  const checkpoint = { folder, seconds: 0 };
  const training = begin({ checkpoint }).training;
  // Saved before the caller receives the step; a killed process would stop here.
  await training.next();
  await training.next();
  const copy = `${folder}-copy`;
  await copyFolder(folder, copy);
  await training.return();
  const seen: [number, boolean][] = [];
  for await (const progress of begin({ checkpoint: copy }).training) {
    if (progress.kind === "step") seen.push([progress.step, progress.restored ?? false]);
    if (seen.length === 3) break;
  }
  assert.deepEqual(seen, [[1, true], [2, false], [3, false]]);
});

async function copyFolder(from: string, to: string): Promise<void> {
  await Deno.mkdir(to, { recursive: true });
  for await (const { name } of Deno.readDir(from)) {
    await Deno.copyFile(join(from, name), join(to, name));
  }
}

testInFolder(
  "fit() with checkpoint repeats what the caller does at each progress",
  async (folder) => {
    // Halves the learning rate at the end of an epoch, and at step 7.
    const run = async (checkpoint: string | undefined, stop = Infinity) => {
      const parts = begin({ checkpoint });
      for await (const progress of parts.training) {
        if (progress.kind === "epoch" || progress.step === 7) parts.optimizer.learningRate /= 2;
        if (progress.kind === "step" && progress.step === stop) break;
      }
      return parts;
    };
    const whole = await run(undefined);
    assert.equal(whole.optimizer.learningRate, 0.01 / 2 ** 4);
    for (const stop of [5, 6, 7, 8, 12]) await run(folder, stop);
    assert.equal(bytes(await run(folder)), bytes(whole));
  },
);

testInFolder(
  "fit() with checkpoint returns the history of a finished training, and the model",
  async (folder) => {
    const whole = begin({ checkpoint: folder });
    const history = text(await whole.training);
    const again = begin({ checkpoint: folder });
    assert.equal(text(await again.training), history);
    assert.equal(bytes(again), bytes(whole));
  },
);

testInFolder(
  "fit() with checkpoint continues with more epochs, and another schedule from then on",
  async (folder) => {
    const first = cosine({ learningRate: 0.01, steps: 20 });
    const second = (step: number) => step < 10 ? first(step) : 0.003;
    await begin({ checkpoint: folder, epochs: 2, schedule: first }).training;
    const whole = begin({ epochs: 4, schedule: second });
    const history = text(await whole.training);
    const more = begin({ checkpoint: folder, epochs: 4, schedule: second });
    assert.equal(text(await more.training), history);
    assert.equal(bytes(more), bytes(whole));
  },
);

testInFolder("fit() with checkpoint saves where signal ends it", async (folder) => {
  const history = text(await begin({}).training);
  const controller = new AbortController();
  for await (const progress of begin({ checkpoint: folder, signal: controller.signal }).training) {
    if (progress.kind === "step" && progress.step === 8) controller.abort();
  }
  const { steps } = await stored(folder);
  assert.equal(steps.length, 8);
  assert.equal(text(await begin({ checkpoint: folder }).training), history);
});

/** The losses in the newest checkpoint of a folder. */
async function stored(folder: string): Promise<{ steps: number[] }> {
  const file = join(folder, names(folder).at(-1)!);
  const steps = (await readSafetensors(file)).get("history.steps.loss")!.values();
  return { steps: Array.from(steps as Float64Array) };
}

function names(folder: string): string[] {
  return Array.from(Deno.readDirSync(folder), ({ name }) => name)
    .filter((name) => name.endsWith(".safetensors")).sort();
}

testInFolder(
  "fit() with checkpoint does not save after an error, and continues before it",
  async (folder) => {
    const history = text(await begin({}).training);
    let calls = 0;
    const breaking = (logits: Features<3>, labels: Parameters<typeof crossEntropy>[1]) => {
      if (++calls === 25) throw new Error("no loss today");
      return crossEntropy(logits, labels);
    };
    const checkpoint = { folder, seconds: Infinity };
    await assert.rejects(begin({ checkpoint, loss: breaking }).training.then(), /no loss today/);
    assert.equal((await stored(folder)).steps.length, 5);
    assert.equal(text(await begin({ checkpoint }).training), history);
  },
);

testInFolder(
  "fit() with checkpoint keeps two files, and leaves other files alone",
  async (folder) => {
    await Deno.mkdir(folder);
    await Deno.writeTextFile(join(folder, "notes.txt"), "mine");
    const part = `checkpoint-000009.safetensors.${crypto.randomUUID()}.part`;
    await Deno.writeTextFile(join(folder, part), "of a killed process");
    await begin({ checkpoint: { folder, seconds: 0 } }).training;
    assert.deepEqual(Array.from(Deno.readDirSync(folder), ({ name }) => name).sort(), [
      "checkpoint-000017.safetensors",
      "checkpoint-000018.safetensors",
      "lock",
      "notes.txt",
    ]);
  },
);

testInFolder("fit() with checkpoint names a folder that cannot be made", async (folder) => {
  await Deno.mkdir(folder);
  const file = join(folder, "notes.txt");
  await Deno.writeTextFile(file, "mine");
  for (const checkpoint of [file, join(file, "first")]) {
    await assert.rejects(
      begin({ checkpoint }).training.then(),
      (error: Error) =>
        error.message.includes(
          `the folder of checkpoint must be one that can be written, found ${checkpoint}: `,
        ) && error.message.endsWith(". Choose another folder."),
    );
  }
});

testInFolder("fit() with checkpoint leaves no tensors", async (folder) => {
  await assertNoLeak(async () => {
    const parts = begin({ checkpoint: folder });
    await until(parts.training, 7);
    const again = begin({ checkpoint: folder });
    await again.training;
    for (const { model, optimizer } of [parts, again]) {
      model.dispose();
      optimizer.dispose();
    }
    await Deno.remove(folder, { recursive: true });
  });
});

testInFolder(
  "showProgress() shows the whole history of a training that continues",
  async (folder) => {
    await until(begin({ checkpoint: folder }).training, 7);
    const { log } = console, lines: string[] = [];
    console.log = (line: string) => void lines.push(line);
    try {
      const { steps, epochs } = await showProgress(begin({ checkpoint: folder }).training);
      assert.equal(steps.length, 15);
      assert.equal(epochs.length, 3);
    } finally {
      console.log = log;
    }
    assert.equal(lines.filter((line) => line.startsWith("Epoch ")).length, 3);
    assert.match(lines.at(-1)!, /^Finished 15 steps in .*, continued after step 7 /);
  },
);

// Calls that differ.

const changes: Record<
  string,
  [change: () => ReturnType<typeof begin>["training"], message: RegExp]
> = {
  batchSize: [
    () => begin({ batchSize: 23, checkpoint: at }).training,
    /^batchSize must be 10, found 23\.$/m,
  ],
  seed: [() => begin({ seed: 3, checkpoint: at }).training, /^seed must be left out, found 3\.$/m],
  mixup: [
    () => begin({ mixup: 0.2, checkpoint: at }).training,
    /^mixup must be 0\.4, found 0\.2\.$/m,
  ],
  "mixup, left out": [
    () => begin({ mixup: undefined, checkpoint: at }).training,
    /^mixup must be 0\.4, found left out\.$/m,
  ],
  dropLast: [
    () => begin({ dropLast: true, checkpoint: at }).training,
    /^dropLast must be false, found true\.$/m,
  ],
  compile: [
    () => begin({ compile: true, checkpoint: at }).training,
    /^compile must be false, found true\.$/m,
  ],
  maxGradientNorm: [
    () => begin({ maxGradientNorm: 1, checkpoint: at }).training,
    /^maxGradientNorm must be 2, found 1\.$/m,
  ],
  augment: [
    () => begin({ augment: augmentation.randomCrop({ padding: 2 }), checkpoint: at }).training,
    /^augment must return the same as before for the same input/m,
  ],
  transform: [
    () =>
      begin({ transform: normalize({ mean: 0.5, standardDeviation: 0.5 }), checkpoint: at })
        .training,
    /^transform must return the same as before/m,
  ],
  loss: [
    () =>
      begin({
        loss: (logits, labels) => crossEntropy(logits, labels, { labelSmoothing: 0.1 }),
        checkpoint: at,
      }).training,
    /^loss must return the same as before/m,
  ],
  validation: [
    () => begin({ validation: undefined, checkpoint: at }).training,
    /^validation must be "noise", 22 images 6 × 6 × 1 of 3 classes, found left out\.$/m,
  ],
  "the content of validation": [
    () => begin({ validation: noise(22, 4), checkpoint: at }).training,
    /^the content of validation must be the same, found another\.$/m,
  ],
  "the data set": [
    () => begin({ checkpoint: at }, undefined, undefined, noise(47, 1)).training,
    /^the data set must be "noise", 46 images 6 × 6 × 1 of 3 classes, found "noise", 47 images/m,
  ],
  "one pixel": [
    () => begin({ checkpoint: at }, undefined, undefined, withOnePixel(set)).training,
    /^the content of the data set must be the same, found another\.$/m,
  ],
  "another content": [
    () => begin({ checkpoint: at }, undefined, undefined, other).training,
    /^the content of the data set must be the same/m,
  ],
  learningRate: [
    () =>
      begin({ checkpoint: at }, undefined, (parameters) => adam(parameters, { learningRate: 0.02 }))
        .training,
    /^learningRate must be 0\.01, found 0\.02\.$/m,
  ],
  "a schedule": [
    () => begin({ schedule: () => 0.01, checkpoint: at }).training,
    /^schedule must be left out, found one\.$/m,
  ],
  "an option of the optimizer": [
    () =>
      begin(
        { checkpoint: at },
        undefined,
        (parameters) => adam(parameters, { learningRate: 0.01, betas: [0.8, 0.999] }),
      ).training,
    /^the optimizer's beta1 must be 0\.9, found 0\.8\.$/m,
  ],
  "another optimizer": [
    () =>
      begin(
        { checkpoint: at },
        undefined,
        (parameters) => adamW(parameters, { learningRate: 0.01 }),
      )
        .training,
    /^optimizer must be adam, found adamW\.$/m,
  ],
  "the parameters of the optimizer": [
    () =>
      begin(
        { checkpoint: at },
        undefined,
        (parameters) => adam(parameters.slice(1), { learningRate: 0.01 }),
      ).training,
    /^the parameters of the optimizer must have 0\.weight as number 1, found 1\.weight\.$/m,
  ],
  "a rate of dropout": [
    () => begin({ checkpoint: at }, () => network(0.3)).training,
    /^the model must have \(4\) dropout 0\.2 as number 6, found \(4\) dropout 0\.3\.$/m,
  ],
  epochs: [
    () => begin({ epochs: 1, checkpoint: at }).training,
    /^epochs must be at least 2, because the training is in epoch 2, found 1\.$/m,
  ],
};
let at = "";
function withOnePixel({ pixels, labels }: ImageDataset<1, 3>): ImageDataset<1, 3> {
  const { name, height, width, channels, classes, classNames } = set;
  const changed = Uint8Array.from(pixels);
  changed[17]! ^= 1;
  return new ImageDataset({
    name,
    height,
    width,
    channels,
    classes,
    classNames,
    pixels: changed,
    labels,
  });
}
for (const [what, [start, message]] of Object.entries(changes)) {
  testInFolder(`fit() with checkpoint refuses another call, and names ${what}`, async (folder) => {
    at = folder;
    await until(begin({ checkpoint: folder }).training, 7);
    const before = names(folder);
    await assert.rejects(start().then(), { name: "RangeError", message });
    assert.deepEqual(names(folder), before);
    const { steps } = await begin({ checkpoint: folder }).training;
    assert.equal(steps.length, 15);
  });
}

testInFolder(
  "fit() with checkpoint refuses a schedule that was another, and an objective",
  async (folder) => {
    const schedule = (step: number) => 0.01 / (1 + step);
    await until(begin({ checkpoint: folder, schedule }).training, 7);
    await assert.rejects(
      begin({ checkpoint: folder, schedule: (step) => step < 5 ? schedule(step) : 0.01 }).training
        .then(),
      /^schedule\(5, \d+\) must be 0\.0016666666666666668, found 0\.01\.$/m,
    );
  },
);

Deno.test("fit() refuses a checkpoint of another kind, and optimizers without a state", () => {
  const call = (checkpoint: unknown) => () => begin({ checkpoint } as Options);
  assert.throws(call(5), {
    name: "TypeError",
    message: /checkpoint must be a folder such as "runs\/first"/,
  });
  assert.throws(call(""), { name: "TypeError", message: /checkpoint must be a folder/ });
  assert.throws(call({ folder: 5 }), {
    name: "TypeError",
    message: /folder of checkpoint must be a path/,
  });
  assert.throws(call({ folder: "a", second: 5 }), {
    name: "TypeError",
    message: /no option second\. Did you mean seconds\?/,
  });
  assert.throws(call({ folder: "a", seconds: -1 }), {
    name: "RangeError",
    message: /seconds must be a number of at least 0, found -1/,
  });
  assert.throws(call({ folder: "a", seconds: NaN }), {
    name: "RangeError",
    message: /seconds must be a number of at least 0/,
  });
  const model = new OneWeight();
  const optimizer = {
    parameters: [model.weight],
    learningRate: 1,
    step() {},
  } as unknown as Optimizer;
  assert.throws(
    () => fit(model, pixels([1, 0]), { optimizer, epochs: 1, batchSize: 1, checkpoint: "a" }),
    { name: "TypeError", message: /optimizer must have the methods state and loadState/ },
  );
});

// Files.

/** The chance with which the folder is copied at a call; `-- --copied 0.5` makes more copies. */
const COPIED = Number(Deno.args[Deno.args.indexOf("--copied") + 1] ?? NaN) || 0.006;

/** Overwrites a byte in the middle of a file. */
function damage(file: string): void {
  const content = Deno.readFileSync(file);
  content[Math.floor(content.length / 2)]! ^= 0x10;
  Deno.writeFileSync(file, content);
}

testInFolder(
  "fit() with checkpoint continues from the file before a damaged one, and says so",
  async (folder, printed) => {
    const whole = begin({});
    const history = text(await whole.training);
    for (const step of [4, 8]) await until(begin({ checkpoint: folder }).training, step);
    const [first, second] = names(folder);
    damage(join(folder, second!));
    printed.length = 0;
    const last = begin({ checkpoint: folder });
    assert.equal(text(await last.training), history);
    assert.equal(bytes(last), bytes(whole));
    assert.equal(printed.length, 2);
    assert.match(
      printed[0]!,
      RegExp(`${second} is damaged, so the training continues from ${first}\\. .*checksum`),
    );
    assert(Deno.statSync(join(folder, `${second}.damaged`)).isFile);
  },
);

testInFolder("fit() with checkpoint refuses a folder with damaged files only", async (folder) => {
  for (const step of [4, 8]) await until(begin({ checkpoint: folder }).training, step);
  const files = names(folder).map((name) => join(folder, name));
  files.forEach(damage);
  await assert.rejects(
    begin({ checkpoint: folder }).training.then(),
    /a checkpoint in .*run must be readable, found only damaged ones\. Choose another folder.*\n.*checksum.*\n.*checksum/,
  );
  await writeSafetensors(files[1]!, stateDict(network()));
  await assert.rejects(
    begin({ checkpoint: folder }).training.then(),
    /found another safetensors file/,
  );
  assert.equal(names(folder).length, 2);
});

testInFolder(
  "fit() with checkpoint says that a full disk stopped a save, and goes on",
  async (folder, printed) => {
    await Deno.mkdir(folder);
    const { success } = await new Deno.Command("mount", {
      args: ["-t", "tmpfs", "-o", "size=200k", "tmpfs", folder],
    }).output();
    assert(success);
    try {
      const whole = begin({});
      const history = text(await whole.training);
      await until(begin({ checkpoint: folder }).training, 4);
      fill(join(folder, "large"));
      const parts = begin({ checkpoint: folder });
      let steps = 0;
      for await (const progress of parts.training) {
        if (progress.kind !== "step") continue;
        steps = progress.step;
        if (progress.step === 13) Deno.removeSync(join(folder, "large"));
      }
      assert.equal(steps, 15);
      assert.equal(bytes(parts), bytes(whole));
      assert.equal(
        printed.filter((line) => /could not be saved, and goes on.*space/.test(line)).length,
        1,
      );
      assert.match(printed.at(-1)!, /could be saved again/);
      assert.equal(text(await begin({ checkpoint: folder }).training), history);
    } finally {
      await new Deno.Command("umount", { args: [folder] }).output();
    }
  },
  { ignore: !await canMount() },
);

/** Writes to a file until the disk is full. */
function fill(file: string): void {
  using handle = Deno.openSync(file, { write: true, createNew: true });
  assert.throws(() => {
    for (let i = 0; i < 1000; i++) handle.writeSync(new Uint8Array(4096));
  }, /space/);
}

/** Whether a test may mount a small file system. */
async function canMount(): Promise<boolean> {
  if (Deno.build.os !== "linux" || Deno.uid() !== 0) return false;
  const folder = await Deno.makeTempDir();
  try {
    const { success } = await new Deno.Command("mount", {
      args: ["-t", "tmpfs", "-o", "size=4k", "tmpfs", folder],
    }).output();
    if (success) await new Deno.Command("umount", { args: [folder] }).output();
    return success;
  } catch {
    return false;
  } finally {
    await Deno.remove(folder);
  }
}

/**
 * Runs `work`, and copies a folder before and after calls of the file system, and in the middle of
 * writes: each copy is what a process that is killed there leaves.
 */
async function copiesWhile(
  folder: string,
  chance: number,
  random: Random,
  work: () => Promise<unknown>,
): Promise<string[]> {
  const copies: string[] = [];
  const copy = () => {
    if (random.integer(1000) >= 1000 * chance) return;
    const to = `${folder}-${copies.length}`;
    Deno.mkdirSync(to);
    for (const { name } of Deno.readDirSync(folder)) {
      Deno.copyFileSync(join(folder, name), join(to, name));
    }
    copies.push(to);
  };
  const { write, sync } = Deno.FsFile.prototype, { renameSync, remove } = Deno;
  Deno.FsFile.prototype.write = async function (bytes) {
    copy();
    // A write may write less than all; the caller goes on with the rest.
    return await write.call(this, bytes.subarray(0, 1 + random.integer(bytes.length)));
  };
  Deno.FsFile.prototype.sync = async function () {
    copy();
    await sync.call(this);
  };
  Deno.renameSync = (from, to) => {
    copy();
    renameSync(from, to);
    copy();
  };
  Deno.remove = async (...file) => {
    copy();
    await remove(...file);
    copy();
  };
  try {
    await work();
  } finally {
    Object.assign(Deno.FsFile.prototype, { write, sync });
    Object.assign(Deno, { renameSync, remove });
  }
  return copies;
}

testInFolder(
  "fit() with checkpoint continues from what any call of the file system leaves",
  async (folder) => {
    const whole = begin({});
    const history = text(await whole.training);
    const copies = await copiesWhile(folder, COPIED, new Random(1), async () => {
      await begin({ checkpoint: { folder, seconds: 0 } }).training;
    });
    assert(copies.length >= 8, `${copies.length} copies`);
    let unfinished = 0;
    for (const copy of copies) {
      if ([...Deno.readDirSync(copy)].some(({ name }) => name.endsWith(".part"))) unfinished++;
      const continued = begin({ checkpoint: copy });
      assert.equal(text(await continued.training), history);
      assert.equal(bytes(continued), bytes(whole));
      continued.model.dispose();
      continued.optimizer.dispose();
    }
    assert(unfinished > copies.length / 3, `${unfinished} of ${copies.length} in a write`);
  },
);

testInFolder(
  "fit() with checkpoint goes on when its folder disappears",
  async (folder, printed) => {
    const whole = begin({});
    await whole.training;
    const parts = begin({ checkpoint: { folder, seconds: 0 } });
    for await (const progress of parts.training) {
      if (progress.kind === "step" && progress.step === 3) {
        await Deno.remove(folder, { recursive: true });
      }
    }
    assert.equal(bytes(parts), bytes(whole));
    assert.match(printed.join("\n"), /could not be saved, and goes on/);
  },
);

testInFolder(
  "fit() with checkpoint refuses a folder that another process writes to, until it is dead",
  async (folder) => {
    await Deno.mkdir(folder, { recursive: true });
    const child = new Deno.Command(Deno.execPath(), {
      args: [
        "eval",
        `const file = await Deno.open(Deno.args[0] + "/lock", { create: true, write: true });
      await file.lock(true);
      await file.write(new TextEncoder().encode("process " + Deno.pid + "\\n"));
      console.log("locked");
      setTimeout(() => {}, 60_000);`,
        folder,
      ],
      stdout: "piped",
    }).spawn();
    await child.stdout.getReader().read();
    await assert.rejects(
      begin({ checkpoint: folder }).training.then(),
      RegExp(`one process must write to .*run, found that process ${child.pid} does\\.`),
    );
    child.kill("SIGKILL");
    await child.status;
    const { steps } = await begin({ checkpoint: folder }).training;
    assert.equal(steps.length, 15);
  },
);

testInFolder(
  "fit() with checkpoint takes the folder over from a suspended training of the process",
  async (folder) => {
    const history = text(await begin({}).training);
    const suspended = begin({ checkpoint: { folder, seconds: 0 } }).training;
    for (let i = 0; i < 3; i++) await suspended.next();
    assert.equal(text(await begin({ checkpoint: folder }).training), history);
    await assert.rejects(
      suspended.next(),
      /one training must write to .*run, found that a later one/,
    );
  },
);

testInFolder(
  "a checkpoint holds weights for loadStateDict() and PyTorch, and metrics",
  async (folder) => {
    const objective: Options["objective"] = (model, { images, labels }) => {
      const logits = (model as unknown as ReturnType<typeof network>).forward(images, {
        training: true,
      });
      return {
        loss: crossEntropy(logits, labels),
        metrics: { square: meanSquaredError(logits, ops.zerosLike(logits)) },
      };
    };
    const options = { objective, mixup: undefined, checkpoint: { folder, seconds: 0 } };
    const whole = begin({ ...options, checkpoint: undefined });
    const history = await whole.training;
    await until(begin(options).training, 7);
    const parts = begin(options);
    assert.deepEqual(text(await parts.training), text(history));
    assert(Number.isNaN(history.epochs[0]!.trainAccuracy));
    const file = join(folder, names(folder).at(-1)!);
    const tensors = await readSafetensors(file);
    assert.deepEqual(
      [...tensors.get("history.steps.metrics.square")!.values()],
      history.steps.map(({ metrics }) => metrics!.square),
    );
    for (const [name, stored] of stateDict(parts.model)) {
      assert.deepEqual(tensors.get(`model.${name}`)!.bytes(), stored.bytes());
    }
    assert.match((await readSafetensors(file)).metadata["resnet-lab.checkpoint"]!, /"version":2/);
  },
);
