/** The start of scripts that have options. */
import assert from "node:assert/strict";
import { root } from "../_project.ts";

/** Runs a script; returns its exit code, and the first line and the paragraph after it. */
async function start(script: string, ...args: string[]) {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", script, ...args],
    cwd: root,
    env: { NO_COLOR: "1" },
  }).output();
  const [first, second] = new TextDecoder().decode(code === 0 ? stdout : stderr).split("\n\n");
  return { code, first, second };
}

const does = {
  "scripts/parallel.ts": /^Runs a program in several processes/,
  "scripts/sweep.ts": /^Runs each combination of the settings/,
};
for (const [script, usage] of Object.entries(does)) {
  Deno.test(`${script} shows its usage, and names an option that does not exist`, async () => {
    const help = await start(script, "--help");
    assert.equal(help.code, 0);
    assert.match(help.first!, usage);
    for (const args of [["--shards", "1/2"], ["-m", "1", "a.ts"], ["-m"]]) {
      const { code, first, second } = await start(script, ...args);
      assert.equal(code, 1);
      assert.equal(first, `Unknown option '${args[0]}'.`);
      assert.match(second!, usage);
    }
  });
}
