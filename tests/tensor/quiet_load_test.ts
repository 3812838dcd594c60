import assert from "node:assert/strict";

const GREETING =
  "WARNING: All log messages before absl::InitializeLog() is called are written to " +
  "STDERR\nI0000 00:00:1795969719.204823   24943 port.cc:153] oneDNN custom operations are on. " +
  "You may see slightly different numerical results.\n";

/** Runs a script, and returns what it writes to stderr. */
async function stderrOf(script: string): Promise<string> {
  const { stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["eval", script],
    cwd: new URL("../..", import.meta.url),
    env: { NO_COLOR: "1" },
  }).output();
  return new TextDecoder().decode(stderr);
}

const start = `import { withoutGreeting } from "./lib/tensor/backend/quiet_load.ts";
  const write = (text) => Deno.stderr.writeSync(new TextEncoder().encode(text));`;

Deno.test(
  "withoutGreeting() leaves out TensorFlow's greeting, and no other line",
  { ignore: Deno.build.os !== "linux" },
  async () => {
    const text = JSON.stringify(`before\n${GREETING}after\n`);
    const script =
      `${start} write("first\\n"); withoutGreeting(() => write(${text})); write("last\\n");`;
    assert.equal(await stderrOf(script), "first\nbefore\nafter\nlast\n");
  },
);

Deno.test("withoutGreeting() returns the result, and passes an error on", async () => {
  const script = `${start}
    write(String(withoutGreeting(() => 5)));
    try {
      withoutGreeting(() => { write(" held"); throw new Error("broken"); });
    } catch (error) { write(" " + error.message); }`;
  assert.equal(await stderrOf(script), "5 held broken");
});
