import assert from "node:assert/strict";
import { parseArguments } from "../../scripts/parallel.ts";
import { processes } from "resnet-lab/parallel";

Deno.test("deno task parallel passes what follows the program on to it", () => {
  const { processes, hosts, threads, program } = parseArguments(
    ["-n", "4", "--hosts", "a,b", "--threads", "2", "train.ts", "-n", "7", "--epochs", "3"],
  );
  assert.deepEqual([processes, hosts, threads], [4, "a,b", 2]);
  assert.deepEqual(program, ["train.ts", "-n", "7", "--epochs", "3"]);
  assert.equal(parseArguments(["-n", "100000", "train.ts"]).threads, 1);
});

Deno.test("deno task parallel refuses a command line without processes or a program", () => {
  assert.throws(() => parseArguments(["train.ts"]), /-n must be a whole number .* found none/);
  assert.throws(() => parseArguments(["-n", "0", "train.ts"]), /-n must be .* found 0/);
  assert.throws(() => parseArguments(["-n", "2"]), /there must be a program/);
  assert.throws(() => parseArguments(["-n", "2", "--host", "a", "train.ts"]), /--host/);
});

Deno.test("processes() of a process alone are one", () => {
  assert.deepEqual(processes(), { rank: 0, count: 1 });
});
