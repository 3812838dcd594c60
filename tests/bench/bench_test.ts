import assert from "node:assert/strict";
import { parseArguments } from "../../bench/bench.ts";
import { workloads } from "../../bench/workloads.ts";

Deno.test("parseArguments() chooses workloads and rounds", () => {
  const all = parseArguments([]);
  assert.deepEqual([all.workloads.length, all.rounds, all.write], [workloads.length, 11, false]);
  const quick = parseArguments(["--quick"]);
  assert(quick.workloads.length < workloads.length && quick.rounds === 3);
  const only = parseArguments([
    "--quick",
    "--only",
    "input",
    "--only",
    "resnet50",
    "--rounds",
    "5",
  ]);
  assert.deepEqual(only.workloads.map(({ name }) => name), ["resnet50", "input"]);
  assert.equal(only.rounds, 5);
});

Deno.test("parseArguments() refuses unknown workloads and options, and zero rounds", () => {
  assert.throws(() => parseArguments(["--only", "resnet19"]), /no workload "resnet19".*resnet18/);
  assert.throws(() => parseArguments(["--rounds", "0"]), /whole number of at least 1, found "0"/);
  assert.throws(() => parseArguments(["--loud"]), TypeError);
});
