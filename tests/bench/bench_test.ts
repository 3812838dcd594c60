import assert from "node:assert/strict";
import { readOrders } from "../../bench/bench.ts";
import { works } from "../../bench/works.ts";

Deno.test("the command line chooses works and rounds", () => {
  const all = readOrders([]);
  assert.deepEqual([all.works.length, all.rounds, all.write], [works.length, 11, false]);
  const quick = readOrders(["--quick"]);
  assert(quick.works.length < works.length && quick.rounds === 3);
  const only = readOrders(["--quick", "--only", "input", "--only", "resnet50", "--rounds", "5"]);
  assert.deepEqual(only.works.map(({ name }) => name), ["resnet50", "input"]);
  assert.equal(only.rounds, 5);
});

Deno.test("the command line is refused if it asks for what there is not", () => {
  assert.throws(() => readOrders(["--only", "resnet19"]), /no work "resnet19".*resnet18/);
  assert.throws(() => readOrders(["--rounds", "0"]), /positive integer, found "0"/);
  assert.throws(() => readOrders(["--loud"]), TypeError);
});
