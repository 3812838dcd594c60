import assert from "node:assert/strict";
import { setTimeout } from "node:timers/promises";
import {
  fashionMnist,
  fit,
  flatten,
  type History,
  linear,
  type Progress,
  sequential,
  sgd,
  showProgress,
} from "resnet-lab";
import { Figure } from "../../lib/plot/figure.ts";
import { collectHistory } from "../../lib/train/internal.ts";
import { type Display, follow, jupyterDisplay } from "../../lib/notebook/progress.ts";
import { assertNoLeak } from "../_helpers.ts";
import { DivergenceError } from "../../lib/train/divergence_error.ts";

/** Two epochs of `steps / 2` steps, each after `milliseconds`. */
async function* training(steps = 10, milliseconds = 0): AsyncGenerator<Progress, void, void> {
  for (let step = 1; step <= steps; step++) {
    await setTimeout(milliseconds);
    const epoch = step <= steps / 2 ? 1 : 2;
    yield {
      kind: "step",
      epoch,
      epochs: 2,
      step,
      totalSteps: steps,
      loss: 1 / step,
      accuracy: 0.5,
      gradientNorm: 1,
      learningRate: 0.05,
      imagesPerSecond: 12_345.6,
    };
    if (step !== steps / 2 && step !== steps) continue;
    yield {
      kind: "epoch",
      epoch,
      epochs: 2,
      trainLoss: 0.51234,
      trainAccuracy: 0.8,
      validation: epoch === 1 ? undefined : { loss: 0.6, accuracy: 0.75 },
      learningRate: 0.05,
      seconds: 72.4,
    };
  }
}

async function* upTo(count: number, of: AsyncIterable<Progress>, error?: Error) {
  for await (const progress of of) {
    if (count-- === 0) {
      if (error) throw error;
      return;
    }
    yield progress;
  }
}

/** A display that records its calls. */
function recorder(wait = 0) {
  const updates: string[] = [], epochs: string[] = [], ends: string[] = [];
  const display: Display = {
    async update(line) {
      updates.push(line);
      if (wait > 0) await setTimeout(wait);
    },
    epoch: (line) => void epochs.push(line),
    end: (line) => void ends.push(line),
  };
  return { display, updates, epochs, ends };
}

Deno.test("follow() returns the history of the training", async () => {
  const history = await follow(training(), recorder().display);
  assert.deepEqual(history.steps.map(({ step }) => step), [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
  assert.deepEqual(history.epochs.map(({ epoch }) => epoch), [1, 2]);
});

Deno.test("the history is one line as the result of a cell, and else an object with two lists", async () => {
  const shown = (history: History) => Reflect.get(history, Symbol.for("Jupyter.display"))();
  const history = await follow(training(), recorder().display);
  assert.deepEqual(shown(history), { "text/plain": "History: 10 steps, 2 epochs" });
  assert.deepEqual(shown(await follow(upTo(1, training()), recorder().display)), {
    "text/plain": "History: 1 step, 0 epochs",
  });
  assert.deepEqual(history, { steps: history.steps, epochs: history.epochs });
  assert.deepEqual(Reflect.ownKeys({ ...history }), ["steps", "epochs"]);
  assert.equal(
    Deno.inspect(await collectHistory(upTo(0, training()))),
    "{ steps: [], epochs: [] }",
  );
});

Deno.test("follow() shows the position, each epoch, and the end", async () => {
  const { display, updates, epochs, ends } = recorder();
  await follow(training(), display);
  assert.match(
    updates[0]!,
    /^Epoch 1 of 2 · step 1 of 10 · loss 1 · learning rate 0\.05 · 12,346 images\/s · \d s left$/,
  );
  assert.deepEqual(epochs, [
    "Epoch 1 of 2 · loss 0.512 · training accuracy 80.0 % · 1 min 12 s",
    "Epoch 2 of 2 · loss 0.512 · training accuracy 80.0 % · validation accuracy 75.0 % · 1 min 12 s",
  ]);
  assert.match(
    ends.join(),
    /^Finished 10 steps in \d s · loss 0\.1 · training accuracy 80\.0 % · validation accuracy 75\.0 %$/,
  );
});

Deno.test("follow() shows where the training was stopped", async () => {
  const { display, ends } = recorder();
  const { steps } = await follow(upTo(3, training()), display);
  assert.equal(steps.length, 3);
  assert.match(ends.join(), /^Stopped at step 3 of 10 in \d s · loss 0\.333$/);
});

Deno.test("follow() shows where the training failed, and throws its error", async () => {
  const { display, ends } = recorder();
  const error = new DivergenceError("Training stopped at step 4 of 10");
  await assert.rejects(follow(upTo(3, training(), error), display), error);
  assert.match(ends.join(), /^Failed after step 3 of 10 in \d s · loss 0\.333$/);
});

Deno.test("follow() shows nothing of a training that fails before its first step", async () => {
  const { display, updates, ends } = recorder();
  await assert.rejects(follow(upTo(0, training(), new RangeError("No")), display), /No/);
  assert.deepEqual([updates, ends], [[], []]);
});

Deno.test("follow() updates at most twice a second", async () => {
  const { display, updates } = recorder();
  const start = performance.now();
  // Two seconds, so that there is time for the next update even if one takes 20 ms by chance.
  await follow(training(900, 1), display);
  const most = 1 + Math.floor((performance.now() - start) / 500);
  assert(
    updates.length > 1 && updates.length <= most,
    `${updates.length} updates, at most ${most}`,
  );
});

Deno.test("follow() takes a hundredth of the time where an update is slow", async () => {
  const { display, updates } = recorder(20);
  const start = performance.now();
  await follow(training(400, 1), display);
  const most = 1 + Math.floor((performance.now() - start) / 2000);
  assert(
    updates.length >= 1 && updates.length <= most,
    `${updates.length} updates, at most ${most}`,
  );
});

Deno.test("jupyterDisplay() updates one output, with a static picture at the end only", async () => {
  const shown: { content: unknown; options?: Deno.jupyter.DisplayOptions }[] = [];
  await follow(
    training(400, 1),
    jupyterDisplay({
      display(content, options) {
        shown.push({ content, options });
        return Promise.resolve();
      },
    }),
  );
  const last = shown.pop();
  assert.equal(new Set(shown.map(({ options }) => options?.display_id)).size, 1);
  assert(shown[0]?.options?.display_id);
  assert.deepEqual(shown.map(({ options }) => options?.update), shown.map((_, i) => i > 0));
  for (const { content, options } of shown) {
    assert(typeof content === "object" && content);
    assert.deepEqual(Object.keys(content), ["text/html", "text/plain"]);
    assert(options?.raw);
  }
  assert(last?.content instanceof Figure);
  assert.deepEqual(last.options, { ...shown[0].options, update: true, raw: false });
  assert.match(last.content.description, /^Training curves\. Finished 400 steps .*75\.0 %\.$/);
  assert(last.content.data.some(({ name }) => name === "validation"));
});

Deno.test("showProgress() prints a line per epoch where there is neither a kernel nor a terminal", async () => {
  const { stdout } = await new Deno.Command(Deno.execPath(), {
    args: [
      "eval",
      "--ext=ts",
      `import { showProgress } from "resnet-lab";
      ${training.toString().replace("setTimeout(milliseconds)", "undefined")}
      await showProgress(training());`,
    ],
    cwd: new URL("../..", import.meta.url),
  }).output();
  assert.match(
    new TextDecoder().decode(stdout),
    /^Epoch 1 of 2 .*\nEpoch 2 of 2 .*\nFinished 10 steps .*\n$/,
  );
});

Deno.test("showProgress() leaves no tensor behind", async () => {
  const { test } = await fashionMnist({ subset: true });
  await assertNoLeak(async () => {
    using model = sequential(flatten(), linear(784, 10));
    using optimizer = sgd(model.parameters(), { learningRate: 0.1 });
    const { steps } = await showProgress(
      fit(model, test, { optimizer, epochs: 1, batchSize: 250 }),
    );
    assert.equal(steps.length, 4);
  });
});

Deno.test("showProgress() refuses a value that is no training", async () => {
  for (const training of [undefined, { steps: [], epochs: [] }, Promise.resolve()]) {
    await assert.rejects(showProgress(training as unknown as AsyncIterable<Progress>), {
      name: "TypeError",
      message:
        /^Showing the progress of a training: the training must be fit\(…\) itself, without await, or a generator of progress, found /,
    });
  }
});

Deno.test("follow() throws the error of the training, even if the display fails", async () => {
  const display: Display = { end: () => Promise.reject(new Error("no display")) };
  await assert.rejects(follow(upTo(3, training(), new Error("no data")), display), /no data/);
});

Deno.test("follow() draws the finite values of a training", async () => {
  async function* diverging() {
    for await (const progress of training(10)) {
      yield progress.kind === "step" && progress.step > 5 ? { ...progress, loss: NaN } : progress;
    }
  }
  const shown: unknown[] = [];
  const display = jupyterDisplay({
    display: (content) => {
      shown.push(content);
      return Promise.resolve();
    },
  });
  const { steps } = await follow(diverging(), display);
  assert.equal(steps.length, 10);
  const figure = shown.at(-1);
  assert(figure instanceof Figure);
  assert.equal(figure.data[0]?.x?.length, 5);
  assert(!JSON.stringify(shown).replaceAll(/loss NaN/g, "").includes("NaN"));
});

Deno.test("jupyterDisplay() breaks a long line above the curves, so that it is not cut off", async () => {
  let figure: unknown;
  const display = jupyterDisplay({
    display(content) {
      figure = content;
      return Promise.resolve();
    },
  });
  const history = await follow(training(4), { end: () => Promise.resolve() });
  const line = "Stopped at step 273 of 780 in 2 s, continued after step 39 · loss 0.00335 · " +
    "training accuracy 100.0 % · validation accuracy 91.2 %";
  await display.end(line, history);
  assert(figure instanceof Figure);
  const lines = figure.layout.title!.text!.split("<br>").map((l) => l.replace(/<[^>]*>/g, ""));
  assert.equal(lines.join(" "), line);
  assert(lines.length > 1 && lines.every(({ length }) => length <= 100), String(lines));
});
