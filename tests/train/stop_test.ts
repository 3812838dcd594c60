/** Ctrl-C in a terminal; for Stop in a kernel see tests/notebook/kernel_test.ts. */
import assert from "node:assert/strict";

Deno.test("the first Ctrl-C fires the signal, the second ends the process", async () => {
  const child = new Deno.Command(Deno.execPath(), {
    args: [
      "eval",
      `import { stopSignal } from "${import.meta.resolve("../../lib/tensor/stop.ts")}";
      const signal = stopSignal();
      console.log(stopSignal() === signal);
      while (!signal.aborted) await new Promise((done) => setTimeout(done));
      console.log(signal.reason.message);
      setTimeout(() => {}, 30_000);`,
    ],
    stdout: "piped",
  }).spawn();
  const lines = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  assert.equal((await lines.read()).value, "true\n");
  child.kill("SIGINT");
  assert.equal((await lines.read()).value, "Stopped\n");
  child.kill("SIGINT");
  await lines.cancel();
  assert.equal((await child.status).signal, "SIGINT");
});

Deno.test("after a Ctrl-C there is a new signal", async () => {
  const { stdout } = await new Deno.Command(Deno.execPath(), {
    args: [
      "eval",
      `import { stopSignal } from "${import.meta.resolve("../../lib/tensor/stop.ts")}";
      for (let i = 0; i < 2; i++) {
        const signal = stopSignal();
        Deno.kill(Deno.pid, "SIGINT");
        while (!signal.aborted) await new Promise((done) => setTimeout(done));
      }
      console.log(stopSignal().aborted);`,
    ],
  }).output();
  assert.equal(new TextDecoder().decode(stdout), "false\n");
});

Deno.test("a signal that nobody fires does not keep the process alive", async () => {
  const { success } = await new Deno.Command(Deno.execPath(), {
    args: [
      "eval",
      `import { stopSignal } from "${import.meta.resolve("../../lib/tensor/stop.ts")}";
      stopSignal();`,
    ],
    signal: AbortSignal.timeout(20_000),
  }).output();
  assert(success);
});
