/** Stop in the project's kernel, over Jupyter's protocol. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline/promises";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { isSetUp, kernelVariables, paths, root } from "../_project.ts";

interface Output {
  type: string;
  /** The name of a stream. */
  name?: string;
  text?: string;
  /** The content of a display or a result. */
  data?: Record<string, unknown>;
  transient?: { display_id?: string };
  /** The name of an error. */
  ename?: string;
  evalue?: string;
}

interface Result {
  outputs: Output[];
  interruptedAt: number | null;
  alive: boolean;
}

interface Request {
  code: string;
  interruptOn?: string;
  interruptIdle?: boolean;
  interruptAfter?: number;
}

/** The module with `linkInterrupt`, whose signal fires at Stop. */
const interrupt = import.meta.resolve("../../lib/tensor/interrupt.ts");

/** A kernel that runs until it is disposed. */
function startKernel() {
  const child = spawn(paths.python, [fileURLToPath(new URL("kernel.py", import.meta.url))], {
    cwd: root,
    env: kernelVariables(),
  });
  const answers = createInterface(child.stdout)[Symbol.asyncIterator]();
  const closed = once(child, "close"), errors = text(child.stderr);
  return {
    async run(request: Request): Promise<Result> {
      child.stdin.write(JSON.stringify(request) + "\n");
      const { value, done } = await answers.next();
      if (done) throw new Error(await errors);
      return JSON.parse(value);
    },
    async [Symbol.asyncDispose]() {
      child.stdin.end();
      await closed;
    },
  };
}

/** The output of a cell: printed text and result. */
function said({ outputs }: Result): string {
  return outputs.map(({ text, data }) => text ?? String(data?.["text/plain"])).join("");
}

Deno.test({
  name: "Stop in Jupyter",
  ignore: !isSetUp,
  async fn(t) {
    await using kernel = startKernel();

    async function run(request: Request): Promise<Result> {
      const result = await kernel.run(request);
      assert(result.alive, "the kernel died");
      return result;
    }

    function assertNoError({ outputs }: Result): void {
      assert.deepEqual(outputs.filter(({ type }) => type === "error"), []);
    }

    assertNoError(
      await run({
        code: `
          import { evaluate, fashionMnist, fit, lenet, sgd, showProgress } from "resnet-lab";
          const kept = "still here";
          const { train, test } = await fashionMnist({ subset: true });
          const model = lenet();
          const optimizer = sgd(model.parameters(), { learningRate: 0.05 });
          const first = model.parameters()[0]!.dataSync();
          let ends;
          async function* timed(training) {
            ends = [];
            for await (const progress of training) {
              ends.push(Date.now());
              yield progress;
            }
          }`,
      }),
    );

    for (const time of ["first", "second"]) {
      await t.step(`ends training within one step, the ${time} time`, async () => {
        // On a busy machine the signal itself can take longer than a step, so the best of three
        // stops counts.
        let result: Result, steps, after: number, tries = 0;
        do {
          result = await run({
            code: `
              var history = await showProgress(
                timed(fit(model, train, { optimizer, epochs: 1000, batchSize: 128 })),
              );`,
            interruptOn: "update_display_data",
          });
          assertNoError(result);
          const seen = JSON.parse(
            said(
              await run({ code: "console.log(JSON.stringify({ ends, steps: history.steps }))" }),
            ),
          );
          steps = seen.steps;
          const { interruptedAt } = result;
          after = seen.ends.filter((end: number) => end > interruptedAt!).length;
        } while (after > 1 && ++tries < 3);
        assert(after <= 1, `${after} steps ended after Stop`);
        const { step, totalSteps } = steps.at(-1);
        assert.equal(totalSteps, 47_000);
        assert.equal(steps.length, step);

        const displays = result.outputs;
        assert.deepEqual(
          displays.map(({ type }) => type),
          ["display_data", ...displays.slice(1).map(() => "update_display_data")],
        );
        assert.equal(new Set(displays.map(({ transient }) => transient?.display_id)).size, 1);
        const last = displays.at(-1)?.data ?? {};
        assert.match(String(last["text/plain"]), RegExp(`Stopped at step ${step} of 47,000`));
        assert(last["application/vnd.plotly.v1+json"]);
        assert.match(String(last["image/png"]), /^iVBOR/);
      });

      await t.step(`keeps variables and the model as trained, the ${time} time`, async () => {
        const result = await run({
          code: `
            const now = model.parameters()[0]!.dataSync();
            console.log(kept, now.every(Number.isFinite), now.some((value, i) => value !== first[i]));`
            .replaceAll("now", `now_${time}`),
        });
        assert.equal(said(result), "still here true true\n");
      });
    }

    await t.step("ends a loop over fit without showProgress", async () => {
      const result = await run({
        code: `
          for await (const { step } of timed(fit(model, train, { optimizer, epochs: 1000, batchSize: 128 }))) {
            if (step === 2) console.log("under way");
          }`,
        interruptOn: "stream",
      });
      assertNoError(result);
    });

    await t.step("ends an evaluation with an error", async () => {
      const result = await run({
        code: `
          console.log("under way");
          while (true) await evaluate(model, train);`,
        interruptOn: "stream",
      });
      const error = result.outputs.find(({ type }) => type === "error");
      assert.equal(error?.ename, "AbortError");
      assert.equal(error?.evalue, "Stopped");
    });

    const lib = (file: string) => import.meta.resolve(`../../lib/${file}`);
    assertNoError(
      await run({
        code: `
          import { imageFolder } from "resnet-lab";
          import { download } from "${lib("data/download.ts")}";
          import { readCatsAndDogs } from "${lib("data/cats_and_dogs.ts")}";
          import { readCifar10 } from "${lib("data/cifar10.ts")}";
          import { fashionMnistFile } from "${lib("data/fashion_mnist_files.ts")}";
          import { readFromHub } from "${lib("weights/pretrained.ts")}";
          const slow = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen() {} }, () => {
            console.log("under way");
            return new Response(new ReadableStream({ start: (c) => c.enqueue(new Uint8Array(9)) }));
          });
          const url = "http://127.0.0.1:" + slow.addr.port;
          const cache = await Deno.makeTempDir();
          Deno.env.set("RESNET_LAB_CACHE", cache);
          await Deno.mkdir(cache + "/set/a", { recursive: true });
          for (let i = 0; i < 9000; i++) await Deno.writeTextFile(cache + "/set/a/" + i + ".png", "x");`,
      }),
    );
    for (
      const [what, code] of [
        ["download()", `download(url, { file: cache + "/x", sha256: "01234567" })`],
        [
          "download() between two tries",
          `console.log("under way"),
          download("http://127.0.0.1:1/", { file: cache + "/y", sha256: "01234567", retryDelay: 60_000 })`,
        ],
        ["pretrained()", `readFromHub("x-01234567.pth", { hub: url })`],
        ["cifar10()", `readCifar10({ url })`],
        [
          "fashionMnist()",
          `fashionMnistFile("t10k-labels-idx1-ubyte", { publisher: url, systemFolder: "/none" })`,
        ],
        ["catsAndDogs()", `readCatsAndDogs({ url, size: [2, 2] })`],
        [
          "imageFolder()",
          `imageFolder(cache + "/set", {
            size: [2, 2],
            onProgress: ({ read }) => read === 1 && console.log("under way"),
          })`,
        ],
      ] as const
    ) {
      await t.step(`ends ${what} with an error`, async () => {
        const result = await run({ code: `await (${code});`, interruptOn: "stream" });
        const error = result.outputs.find(({ type }) => type === "error");
        assert.deepEqual([error?.ename, error?.evalue], ["AbortError", "Stopped"]);
      });
    }

    await t.step("lets a cell without a loop that listens end by itself, and says so", async () => {
      const result = await run({
        code: `
          console.log("under way");
          await new Promise((done) => setTimeout(done, 4000));
          console.log("at its end");`,
        interruptOn: "stream",
      });
      assertNoError(result);
      assert.match(said(result), /^under way\nStop found no loop that listens.*\nat its end\n$/);
    });

    await run({
      code: "await Promise.all([slow.shutdown(), Deno.remove(cache, { recursive: true })]);",
    });
    await t.step("between two cells changes nothing", async () => {
      await run({ code: "1 + 1", interruptIdle: true });
      assert.equal(said(await run({ code: "console.log(kept)" })), "still here\n");
    });
  },
});

// Stops while Deno compiles the modules, while TensorFlow starts, and afterwards.
for (const interruptAfter of [0, 0.1, 0.4, 0.8, 1.5]) {
  Deno.test({
    name: `Stop ${interruptAfter} s after the start of the first import keeps the kernel`,
    ignore: !isSetUp,
    async fn() {
      await using kernel = startKernel();
      const code =
        `import "resnet-lab";\nimport { linkInterrupt } from "${interrupt}";\nlet kept = 1;`;
      const first = await kernel.run({ code, interruptAfter });
      assert(first.alive, "the kernel died");
      assert.deepEqual(first.outputs.filter(({ type }) => type === "error"), []);
      // The library is loaded, and reacts to the next Stop.
      const loop = `
        const { signal } = linkInterrupt();
        console.log("under way");
        while (!signal.aborted) await new Promise((done) => setTimeout(done));
        console.log("stopped", kept);`;
      const second = await kernel.run({ code: loop, interruptOn: "stream" });
      assert.match(said(second), /^under way\nstopped 1\n$/);
    },
  });
}
