import assert from "node:assert/strict";
import {
  Activation,
  evaluate,
  extractFeatures,
  fashionMnist,
  flatten,
  linear,
  Module,
  ops,
  predict,
  relu,
  sequential,
  type Tensor4D,
} from "resnet-lab";
import { nativeCpuBackend } from "../../lib/tensor/backend/select.ts";
import { yieldToEventLoop } from "../../lib/train/run.ts";
import { assertClose } from "../_helpers.ts";

/** Counts the graphs that are captured while `work` runs. */
async function capturesOf(work: () => Promise<unknown>): Promise<number> {
  const native = nativeCpuBackend()!, { captureGraph } = native;
  let captures = 0;
  native.captureGraph = (...parameters) => {
    captures++;
    return captureGraph.apply(native, parameters);
  };
  try {
    await work();
  } finally {
    native.captureGraph = captureGraph;
  }
  return captures;
}

Deno.test(
  "evaluate(), predict() and extractFeatures() compile models of the library's layers on 20 batches",
  { ignore: nativeCpuBackend() === undefined },
  async () => {
    const { test } = await fashionMnist({ subset: true });
    const batchSize = 10, twenty = test.take(200), nineteen = test.take(190);
    using model = sequential(flatten(), linear(784, 10), relu());
    for (const run of [evaluate, predict, extractFeatures] as (typeof evaluate)[]) {
      const captures = (data: typeof test, options?: { compile: boolean }) =>
        capturesOf(() => run(model, data, { batchSize, ...options }));
      assert.deepEqual([run.name, await captures(twenty) > 0], [run.name, true]);
      assert.equal(await captures(nineteen), 0);
      assert.equal(await captures(twenty, { compile: false }), 0);
      assert(await captures(nineteen, { compile: true }) > 0);
    }
    const [own, eager] = [
      await evaluate(model, twenty, { batchSize }),
      await evaluate(model, twenty, { batchSize, compile: false }),
    ];
    assertClose([own.loss, ...own.confidences], [eager.loss, ...eager.confidences], 1e-5);
  },
);

Deno.test(
  "evaluate() does not compile code of the user unless asked",
  { ignore: nativeCpuBackend() === undefined },
  async () => {
    const { test } = await fashionMnist({ subset: true });
    const data = test.take(20), options = { batchSize: 1 };
    let calls = 0;
    const counted = new Activation("counted", (x) => {
      calls++;
      return ops.relu(x);
    });
    class Counting extends Module<Tensor4D, ReturnType<typeof head.forward>> {
      readonly head = head;
      override forward(x: Tensor4D) {
        calls++;
        return this.head.forward(x);
      }
    }
    const head = sequential(flatten(), linear(784, 10));
    const hooked = sequential(flatten(), linear(784, 10));
    const forward = hooked.forward;
    hooked.forward = (...parameters) => {
      calls++;
      return forward.apply(hooked, parameters);
    };
    const models = [
      sequential(flatten(), linear(784, 10), counted),
      new Counting(),
      sequential(head, counted),
      hooked,
    ] as const;
    for (const model of models) {
      calls = 0;
      await evaluate(model as (typeof models)[0], data, options);
      assert.equal(calls, 20);
    }
    const loss = () => {
      calls++;
      return ops.tensor(1);
    };
    calls = 0;
    await evaluate(head as never, data as never, { ...options, loss } as never);
    assert.equal(calls, 20);
  },
);

Deno.test("yieldToEventLoop() lets a signal of the process through", async () => {
  const steps: number[] = [];
  for (let run = 0; run < 5; run++) {
    let heard = false, count = 0;
    const listen = () => heard = true;
    Deno.addSignalListener("SIGUSR2", listen);
    await new Promise((done) => setTimeout(done, 5)); // The listener is in place.
    Deno.kill(Deno.pid, "SIGUSR2");
    while (!heard && count < 200) {
      const until = performance.now() + 5; // A short step of training.
      while (performance.now() < until);
      await yieldToEventLoop();
      count++;
    }
    steps.push(count);
    Deno.removeSignalListener("SIGUSR2", listen);
  }
  // One step where the processor is free; a single turn makes it 15 to 40.
  assert(Math.min(...steps) <= 6, `${steps} steps for a signal`);
});

Deno.test("yieldToEventLoop() lets timers and files through", async () => {
  let rang = false, read = false;
  setTimeout(() => rang = true, 1);
  Deno.readTextFile(new URL(import.meta.url)).then(() => read = true);
  for (let i = 0; i < 1000 && !(rang && read); i++) await yieldToEventLoop();
  assert(rang && read);
});
