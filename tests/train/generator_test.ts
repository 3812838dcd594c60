/** Trainings on generators of batches. */
import assert from "node:assert/strict";
import {
  batches,
  type Examples,
  type Features,
  fit,
  linear,
  meanSquaredError,
  memory,
  ops,
  Random,
  sgd,
  tidy,
} from "resnet-lab";
import { assertClose, tensorsAfter } from "../_helpers.ts";
import { OneWeight, pixels } from "./_helpers.ts";

type Rows = Examples<Features<1>, Features<1>>;

/** Batches of 1, 2, 3, … examples with x = 1 and the target of their number. */
function* counting(count: number, log: string[] = []): Generator<Rows> {
  try {
    for (let i = 1; i <= count; i++) {
      log.push(`batch ${i}`);
      yield { inputs: ops.ones([i, 1]), targets: ops.full([i, 1], i) };
    }
  } finally {
    log.push("end");
  }
}

async function* later(batches: Iterable<Rows>): AsyncGenerator<Rows> {
  for (const batch of batches) {
    await new Promise((resolve) => setTimeout(resolve, 1));
    yield batch;
  }
}

function begin() {
  const model = linear(1, 1, { useBias: false });
  tidy(() => model.weight.assign(ops.zeros([1, 1])));
  const optimizer = sgd(model.parameters(), { learningRate: 0.25 });
  return { model, options: { optimizer, loss: meanSquaredError } };
}

for (const isAsync of [false, true]) {
  const kind = isAsync ? "an async generator" : "a generator";
  Deno.test(`fit() trains on ${kind} of batches, and ends it`, async () => {
    const before = memory().tensors;
    const { model, options } = begin(), log: string[] = [];
    const source = isAsync ? later(counting(9, log)) : counting(9, log);
    const { steps, epochs } = await fit(model, source, {
      ...options,
      epochs: 2,
      stepsPerEpoch: 3,
    });
    // The error is (w − i)², and a step with rate ¼ goes half of the way to i.
    const expected: number[] = [];
    let w = 0;
    for (let i = 1; i <= 6; i++) {
      expected.push((w - i) ** 2);
      w += (i - w) / 2;
    }
    assertClose(steps.map(({ loss }) => loss), expected);
    assertClose(model.weight, [w]);
    assert.deepEqual(steps.map(({ epoch }) => epoch), [1, 1, 1, 2, 2, 2]);
    assert(steps.every(({ totalSteps }) => totalSteps === 6));
    // The epoch counts each batch by its examples: 1, 2 and 3.
    assertClose(epochs[0]!.trainLoss, (expected[0]! + 2 * expected[1]! + 3 * expected[2]!) / 6);
    await new Promise((resolve) => setTimeout(resolve, 20));
    assert.equal(log.at(-1), "end");
    assert.equal(log.length, 7, "no batch after the last epoch is made");
    model.weight.dispose();
    assert.equal(memory().tensors, before);
  });
}

Deno.test("fit() takes the batches of batches(), and other iterables", async () => {
  const model = new OneWeight(), set = pixels([0, 1, 1, 0]);
  using optimizer = sgd(model.parameters(), { learningRate: 0.1 });
  const some = batches(set, { batchSize: 2, shuffle: new Random(1) });
  const { steps } = await fit(model, some, { optimizer, epochs: 1, stepsPerEpoch: 2 });
  assert.equal(steps.length, 2);
  assert(steps.every(({ accuracy }) => accuracy >= 0));
});

Deno.test("fit() says how many batches a generator must yield", async () => {
  const before = memory().tensors;
  for (const source of [counting(4), later(counting(4))]) {
    const { model, options } = begin();
    await assert.rejects(fit(model, source, { ...options, epochs: 2, stepsPerEpoch: 3 }).then(), {
      name: "RangeError",
      message:
        "Fitting to a generator: the generator must yield 6 batches, 3 for each epoch, found 4.",
    });
    model.weight.dispose();
  }
  assert.equal(await tensorsAfter(20, before), before);
});

Deno.test("fit() ends while a generator waits, and passes on its error", async () => {
  const stop = new AbortController(), { model, options } = begin();
  async function* stuck(): AsyncGenerator<Rows> {
    yield* counting(2);
    await new Promise(() => {});
  }
  const run = { ...options, epochs: 2, stepsPerEpoch: 3 };
  let steps = 0;
  for await (const _progress of fit(model, stuck(), { ...run, signal: stop.signal })) {
    if (++steps === 2) setTimeout(() => stop.abort(), 20);
  }
  assert.equal(steps, 2);
  async function* broken(): AsyncGenerator<Rows> {
    yield* counting(1);
    await Promise.resolve();
    throw new Error("no more network");
  }
  await assert.rejects(fit(model, broken(), run).then(), /^Error: no more network$/);
});

Deno.test("fit() augments the batches of a generator by the seed, and evaluates after each epoch", async () => {
  const losses = async (seed: number) => {
    const { model, options } = begin();
    const { steps, epochs } = await fit(model, counting(4), {
      ...options,
      epochs: 2,
      stepsPerEpoch: 2,
      seed,
      augment: (x, random) => ops.add(x, random.normal(x.shape)),
      validation: {
        name: "five",
        count: 1,
        batch: () => ({ inputs: ops.ones([1, 1]), targets: ops.full([1, 1], 5) }),
      },
    });
    const [weight] = model.weight.dataSync();
    assertClose(epochs[1]!.validation!.loss, (weight! - 5) ** 2);
    return steps.map(({ loss }) => loss);
  };
  assert.deepEqual(await losses(1), await losses(1));
  assert.notDeepEqual(await losses(1), await losses(2));
});

Deno.test("fit() refuses in words what a generator cannot do", () => {
  const { model, options } = begin();
  const run = { ...options, epochs: 1, stepsPerEpoch: 1 };
  const refuse = (more: object, message: string | RegExp) =>
    assert.throws(() => fit(model as never, counting(1), { ...run, ...more } as never), {
      name: "TypeError",
      message,
    });
  const remedy = "A data set { name, count, batch } can have it.";
  refuse(
    { checkpoint: "runs/first" },
    "Fitting to a generator: checkpoint must be left out for a generator of batches, because a " +
      "generator cannot go back to the batch after which a training stopped, found " +
      `"runs/first". ${remedy}`,
  );
  refuse(
    { batchSize: 4 },
    "Fitting to a generator: batchSize must be left out for a generator of batches, because the " +
      `generator decides how many examples are in a batch, found 4. ${remedy}`,
  );
  refuse(
    { dropLast: true },
    "Fitting to a generator: dropLast must be left out for a generator of batches, because the " +
      `generator decides which batches there are, found true. ${remedy}`,
  );
  refuse({ stepsPerEpoch: undefined }, /stepsPerEpoch must be a whole number of at least 1/);
  refuse({ shuffle: new Random(1) }, /there is no option shuffle/);
  assert.throws(
    () => fit(new OneWeight(), pixels([0, 1]), { ...run, batchSize: 1 } as never),
    {
      name: "TypeError",
      message: 'Fitting to "pixels": stepsPerEpoch must be left out, because the data set has a ' +
        "count, found 1.",
    },
  );
  assert.throws(() => batches(counting(1) as never, { batchSize: 1 }), /the data set must be/);
  assert.throws(() => fit(model as never, [1, 2] as never, run as never), /the data set must be/);
});

Deno.test("fit() refuses a batch of a generator that is none", async () => {
  const { model, options } = begin();
  const odd = [[1]].values() as unknown as Iterable<Rows>;
  await assert.rejects(fit(model, odd, { ...options, epochs: 1, stepsPerEpoch: 1 }).then(), {
    name: "TypeError",
    message: "Fitting to a generator: a batch must be { inputs, targets }, two tensors, found [1].",
  });
});
