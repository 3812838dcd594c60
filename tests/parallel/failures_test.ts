import assert from "node:assert/strict";
import { hasMpi, relativeDifference, runInProcesses } from "./_helpers.ts";
import { train, type Trained } from "./trainings.ts";

const ignore = !hasMpi;

/** Runs a case that fails in 2 processes, and returns what was printed. */
async function outputOfFailure(name: string): Promise<string> {
  const folder = await Deno.makeTempDir();
  try {
    const { success, output } = await runInProcesses(2, folder, name);
    assert(!success, output);
    return output;
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test({
  name:
    "fit() of which one process is killed ends the others in 10 s, and continues on 3 processes",
  ignore,
  async fn() {
    const folder = await Deno.makeTempDir();
    try {
      const killed = await runInProcesses(2, folder, "killed");
      assert(!killed.success);
      assert.match(killed.output, /process 1 was killed by signal 9; the others were ended too/);
      const died = Number(await Deno.readTextFile(`${folder}/died`));
      assert(killed.ended - died < 10_000, `${killed.ended - died} ms`);

      const continued = await runInProcesses(3, folder, "continued");
      assert(continued.success, continued.output);
      assert.match(continued.output, /continuing from .* after step [67] of 8/);
      const expected = await train("random");
      for (const rank of [0, 1, 2]) {
        const results = JSON.parse(await Deno.readTextFile(`${folder}/${rank}.json`));
        const found: Trained = results.continued;
        assert(relativeDifference(found.weights, expected.weights) < 1e-6);
        assert(relativeDifference(found.losses, expected.losses) < 1e-6);
      }
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
});

Deno.test({
  name: "fit() of which one process has an error ends all, and shows it",
  ignore,
  async fn() {
    const output = await outputOfFailure("own error");
    assert.match(output, /\[1\] .*process 1 has an error of its own/);
    assert.match(output, /process 1 ended with exit code 1/);
  },
});

Deno.test({
  name: "fit() refuses processes that do not train alike",
  ignore,
  async fn() {
    assert.match(
      await outputOfFailure("other options"),
      /all processes must train alike, found that options of process 0 is .*"epochs":1.*, and of process 1 .*"epochs":2/,
    );
    assert.match(
      await outputOfFailure("leaves early"),
      /all 2 processes must be at the start of a training, found 1 at the end of the program/,
    );
  },
});
