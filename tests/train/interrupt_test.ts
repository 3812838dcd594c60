/** Stop as a program receives it; for Stop in a kernel see tests/notebook/kernel_test.ts. */
import assert from "node:assert/strict";

/**
 * Runs a program that listens for Stop as a kernel does, and returns its output, and whether the
 * kernel's proxy hears that a loop has noticed a Stop. In the program, `stop` presses Stop and
 * waits for 700 ms; `told` has what the proxy hears about what listens.
 */
async function inKernel(program: string): Promise<{ said: string; noticed: boolean }> {
  const { stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [
      "eval",
      "--v8-flags=--expose-gc",
      `import { evaluate, fit, ops, sgd, stages } from "resnet-lab";
      import { OneWeight, pixels } from "${import.meta.resolve("./_helpers.ts")}";
      import { linkInterrupt, listenForInterrupt } from "${
        import.meta.resolve("../../lib/tensor/interrupt.ts")
      }";
      const told = [];
      globalThis[Symbol.for("resnet-lab.tell")] = (kind, { listens }) => {
        if (kind === "stop_noticed") console.error("noticed");
        else told.push(listens);
      };
      listenForInterrupt();
      const pause = (time) => new Promise((done) => setTimeout(done, time));
      const stop = async () => {
        Deno.kill(Deno.pid, "SIGINT");
        await pause(700);
      };
      const model = new OneWeight();
      const optimizer = sgd(model.parameters(), { learningRate: 0.1 });
      const train = (more) =>
        fit(model, pixels([1, 0]), { optimizer, epochs: 100_000, batchSize: 1, ...more });
      ${program}
      Deno.exit();`,
    ],
    cwd: new URL("../..", import.meta.url),
  }).output();
  const errors = new TextDecoder().decode(stderr);
  return {
    said: new TextDecoder().decode(stdout).trim() + (/error: .*/.exec(errors)?.[0] ?? ""),
    noticed: errors.includes("noticed"),
  };
}

Deno.test("listenForInterrupt() tells of no notice when only abandoned calls of fit() are left", async () => {
  assert.deepEqual(
    await inKernel(`const it = train(); await it.next(); await stop(); await stop();`),
    { said: "", noticed: false },
  );
  const letGo = `await (async () => { await train().next(); })(); gc(); await pause(50); gc();`;
  assert.deepEqual(await inKernel(`${letGo} await stop();`), { said: "", noticed: false });
});

Deno.test("fit() ends at a Stop, awaited or iterated", async () => {
  assert.deepEqual(
    await inKernel(`setTimeout(stop, 200);
      const { steps, epochs } = await train();
      console.log(steps.length > 0 && epochs.length < 100_000);
      await pause(700);`),
    { said: "true", noticed: true },
  );
  assert.deepEqual(
    await inKernel(`let seen = 0;
      for await (const _ of train()) {
        if (++seen !== 3) continue;
        Deno.kill(Deno.pid, "SIGINT");
        await pause(100);
      }
      console.log(seen);
      await pause(700);`),
    { said: "3", noticed: true },
  );
});

Deno.test("fit() ends at a Stop in two calls at once, beside an abandoned call", async () => {
  assert.deepEqual(
    await inKernel(`const dropped = train();
      await dropped.next();
      setTimeout(stop, 200);
      const both = await Promise.all([train(), train({ validation: pixels([1]) })]);
      console.log(both.every(({ epochs }) => epochs.length < 100_000));
      await pause(700);`),
    { said: "true", noticed: true },
  );
});

Deno.test("stages end at a Stop, awaited or iterated, and leave their weights in the model", async () => {
  const script = `
    let weight = 0;
    optimizer.step = () => model.weight.assign(ops.tensor([++weight]));
    const staged = () => {
      const averaged = stages.ema(train(), { decay: 0 });
      return stages.earlyStopping(averaged, { monitor: ({ epoch }) => epoch === 1 ? 0 : 1, patience: Infinity });
    };`;
  assert.deepEqual(
    await inKernel(`${script}
      const { step } = optimizer;
      optimizer.step = () => {
        step();
        if (weight === 6) stop();
      };
      const { steps, epochs } = await staged();
      console.log(steps.length > 0 && epochs.length > 1 && epochs.length < 100_000);
      console.log(...model.weight.dataSync());
      await pause(700);`),
    { said: "true\n2", noticed: true },
  );
  assert.deepEqual(
    await inKernel(`${script}
      let seen = 0;
      for await (const _ of staged()) {
        if (++seen !== 4) continue;
        Deno.kill(Deno.pid, "SIGINT");
        await pause(100);
      }
      console.log(seen, ...model.weight.dataSync());
      await pause(700);`),
    { said: "4 2", noticed: true },
  );
});

Deno.test("fit() runs again after a Stop, and ends at the next Stop", async () => {
  assert.deepEqual(
    await inKernel(`for (const time of [1, 2]) {
        setTimeout(stop, 200);
        const { epochs } = await train();
        console.log(epochs.length > 0 && epochs.length < 100_000);
      }
      await pause(700);`),
    { said: "true\ntrue", noticed: true },
  );
});

Deno.test("linkInterrupt() tells the proxy whether anything listens, once for many short loops", async () => {
  assert.deepEqual(
    await inKernel(`await pause(0);
      for (let i = 0; i < 3; i++) await evaluate(model, pixels([1, 0]));
      await pause(50);
      const { signal } = linkInterrupt();
      await pause(50);
      Deno.kill(Deno.pid, "SIGINT");
      await pause(100);
      console.log(told.join(), signal.aborted);`),
    { said: "true,false,true,false true", noticed: true },
  );
});
