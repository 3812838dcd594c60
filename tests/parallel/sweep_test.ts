import assert from "node:assert/strict";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { parseArguments } from "../../scripts/sweep.ts";
import { runsOf } from "../../scripts/sweep_runs.ts";
import { environment, root } from "../_project.ts";

const file = join(import.meta.dirname!, "sweep_example.ts");
const options = {
  env: { TF_NUM_INTRAOP_THREADS: "1", NO_COLOR: "1" },
  stdout: "piped",
  stderr: "piped",
} as const;

function namesIn(folder: string, suffix: string): string[] {
  let names: string[];
  try {
    names = Array.from(Deno.readDirSync(folder), ({ name }) => name);
  } catch (error) { // A process has removed it, or not made it yet.
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    return [];
  }
  return names
    .filter((name) => name.endsWith(suffix)).map((name) => name.slice(0, -suffix.length));
}

/** Whether a run has saved a checkpoint and has no result. */
function isHalfDone(results: string): boolean {
  const done = namesIn(results, ".json");
  return namesIn(results, ".checkpoint").some((name) =>
    !done.includes(name) && namesIn(join(results, `${name}.checkpoint`), ".safetensors").length > 0
  );
}

Deno.test("a sweep of 12 runs that is killed twice ends with the results of one process", async () => {
  const results = await Deno.makeTempDir();
  try {
    const args = ["run", "-A", join(root, "scripts", "sweep.ts"), file, "--results", results];
    const all = new Deno.Command(environment.deno, { args: ["run", "-A", file], ...options });
    const expected = all.output();
    for (const finished of [1, 5]) {
      const child = new Deno.Command(environment.deno, {
        args: [...args, "--jobs", "2"],
        ...options,
        stdout: "null",
        stderr: "null",
      }).spawn();
      let hasEnded = false;
      const ended = child.status.then(() => hasEnded = true);
      while (namesIn(results, ".json").length < finished || !isHalfDone(results)) {
        assert(!hasEnded, "the sweep must not end before it is killed");
        await setTimeout(5);
      }
      child.kill("SIGKILL");
      await ended;
    }
    const before = namesIn(results, ".json");
    assert(before.length < 12);
    const last = await new Deno.Command(environment.deno, { args, ...options }).output();
    const output = new TextDecoder().decode(last.stdout);
    assert(last.success, output + new TextDecoder().decode(last.stderr));
    assert.match(output, /^12 runs, [1-9]\d* of them done/);
    for (const name of before) assert(!output.includes(`${name}, `), `${name} ran again`);

    const logs = namesIn(results, ".log").map((name) =>
      Deno.readTextFileSync(join(results, `${name}.log`))
    );
    assert(logs.some((log) => log.includes("continuing from")), "a run must have been killed");
    const { stdout } = await expected;
    const found = Object.fromEntries(
      namesIn(results, ".json").map((name) => [
        name,
        JSON.parse(Deno.readTextFileSync(join(results, `${name}.json`))),
      ]),
    );
    assert.deepEqual(found, JSON.parse(new TextDecoder().decode(stdout)));
  } finally {
    await Deno.remove(results, { recursive: true });
  }
});

Deno.test("a sweep whose runs fail runs the others, and names them", async () => {
  const folder = await Deno.makeTempDir();
  try {
    await Deno.writeTextFile(
      join(folder, "lr.ts"),
      `export default {
  settings: { rate: [1, 2, 3] },
  seeds: [7],
  run({ settings: { rate } }) {
    if (rate === 2) throw new Error("no such rate");
    return Promise.resolve({ value: rate === 3 ? NaN : rate });
  },
};`,
    );
    const { success, stdout, stderr } = await new Deno.Command(environment.deno, {
      args: ["run", "-A", join(root, "scripts", "sweep.ts"), "lr.ts"],
      ...options,
      env: { ...options.env, INIT_CWD: folder },
    }).output();
    const [out, error] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
    assert(!success);
    assert.match(out!, /1 of 3: rate=1,seed=7, [\d.]+ s: \{"value":1\}/);
    assert.match(error!, /rate=2,seed=7 failed[^]*no such rate/);
    assert.match(error!, /rate=3,seed=7 must be finite numbers, found value NaN\./);
    assert.match(error!, /all runs must succeed, found that 2 failed\./);
    assert.deepEqual(namesIn(join(folder, "runs", "lr"), ".json"), ["rate=1,seed=7"]);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("runsOf() combines all settings and seeds, each once, under names for files", () => {
  const run = () => {};
  const names = runsOf("Running", { settings: { a: [1, "x/y"], b: [true] }, seeds: [1, 2], run })
    .map(({ name }) => name);
  assert.deepEqual(names, [
    "a=1,b=true,seed=1",
    "a=1,b=true,seed=2",
    "a=x%2Fy,b=true,seed=1",
    "a=x%2Fy,b=true,seed=2",
  ]);
  const [long, other] = runsOf("Running", {
    settings: { a: ["é".repeat(100), `${"é".repeat(100)}!`] },
    seeds: [1],
    run,
  });
  assert(long!.name.length < 200 && long!.name !== other!.name);
  assert.throws(
    () => runsOf("Running", { settings: {}, seeds: [1] }),
    /Running: the default export/,
  );
  assert.throws(() => runsOf("Running", { settings: {}, seeds: [], run }), /found none/);
  assert.throws(
    () => runsOf("Running", { settings: {}, seeds: [1, 1], run }),
    /found seed=1 twice/,
  );
});

Deno.test("deno task sweep reads its command line", () => {
  const parse = (...args: string[]) => parseArguments(args, import.meta.dirname!);
  const { results, threads, shard } = parse("sweep_example.ts", "--shard", "2/3");
  assert.equal(results, join(import.meta.dirname!, "runs", "sweep_example"));
  assert.deepEqual([threads, shard], [1, { index: 2, count: 3 }]);
  assert.equal(parse("sweep_example.ts", "--jobs", "3").jobs, 3);
  assert.throws(() => parse(), /there must be one file, found none/);
  assert.throws(() => parse("none.ts"), /found no none\.ts/);
  assert.throws(() => parse("sweep_example.ts", "--shard", "0/3"), /--shard must be from 1\/N/);
  assert.throws(() => parse("sweep_example.ts", "--jobs", "0"), /--jobs must be a whole number/);
  assert.throws(() => parse("sweep_example.ts", "--job", "1"), /--job/);
});
