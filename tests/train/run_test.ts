import assert from "node:assert/strict";
import { yieldToEventLoop } from "../../lib/train/run.ts";

Deno.test("yieldToEventLoop() lets a signal of the process through", async () => {
  let steps = 0;
  for (let run = 0; run < 5; run++) {
    let heard = false;
    const listen = () => heard = true;
    Deno.addSignalListener("SIGUSR2", listen);
    await new Promise((done) => setTimeout(done, 5)); // The listener is in place.
    Deno.kill(Deno.pid, "SIGUSR2");
    while (!heard && steps < 200) {
      const until = performance.now() + 5; // A short step of training.
      while (performance.now() < until);
      await yieldToEventLoop();
      steps++;
    }
    Deno.removeSignalListener("SIGUSR2", listen);
  }
  // One for each of the five where the processor is free; a single turn makes it 15 to 40 for each.
  assert(steps <= 30, `${steps} steps for 5 signals`);
});

Deno.test("yieldToEventLoop() lets timers and files through", async () => {
  let rang = false, read = false;
  setTimeout(() => rang = true, 1);
  Deno.readTextFile(new URL(import.meta.url)).then(() => read = true);
  for (let i = 0; i < 1000 && !(rang && read); i++) await yieldToEventLoop();
  assert(rang && read);
});
