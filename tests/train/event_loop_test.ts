import assert from "node:assert/strict";
import { turnEventLoop } from "../../lib/train/event_loop.ts";

Deno.test("turnEventLoop lets a signal of the process through within a few steps of 5 ms", async () => {
  for (let run = 0; run < 5; run++) {
    let heard = false;
    const listen = () => heard = true;
    Deno.addSignalListener("SIGUSR2", listen);
    await new Promise((done) => setTimeout(done, 5)); // The listener is in place.
    Deno.kill(Deno.pid, "SIGUSR2");
    let turns = 0;
    for (; !heard && turns < 100; turns++) {
      const until = performance.now() + 5;
      while (performance.now() < until);
      await turnEventLoop();
    }
    Deno.removeSignalListener("SIGUSR2", listen);
    // Single turns take 15 to 40 here.
    assert(turns <= 5, `${turns} steps`);
  }
});

Deno.test("turnEventLoop lets timers and files through", async () => {
  let rang = false, read = false;
  setTimeout(() => rang = true, 1);
  Deno.readTextFile(new URL(import.meta.url)).then(() => read = true);
  for (let i = 0; i < 20; i++) await turnEventLoop();
  assert(rang && read);
});
