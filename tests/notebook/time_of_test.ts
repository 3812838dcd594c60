import assert from "node:assert/strict";
import { memory, ops, timeOf, type TimeOfOptions } from "resnet-lab";

/** Measures calls that take these times, by a clock that only they advance. */
async function timeOfCalls(times: readonly number[], options?: TimeOfOptions) {
  const real = performance.now;
  let now = 0, calls = 0;
  performance.now = () => now;
  try {
    const time = await timeOf(() => {
      now += times[calls++]!;
    }, options);
    return { time, calls };
  } finally {
    performance.now = real;
  }
}

Deno.test("timeOf() is the median of the calls after the first", async () => {
  assert.deepEqual(await timeOfCalls([500, 9, 1, 3], { repeats: 3 }), { time: 3, calls: 4 });
  assert.deepEqual(await timeOfCalls([0, 9, 5, 7], { repeats: 3 }), { time: 7, calls: 4 });
  assert.deepEqual(await timeOfCalls([500, 9, 1, 3, 5], { repeats: 4 }), { time: 4, calls: 5 });
  assert.deepEqual(await timeOfCalls([500, 7], { repeats: 1 }), { time: 7, calls: 2 });
  assert.deepEqual(await timeOfCalls([500, 2, 4, 3, 1, 50]), { time: 3, calls: 6 });
});

Deno.test("timeOf() is the fastest of the calls after the first, on demand", async () => {
  const options = { repeats: 3, fastest: true };
  assert.deepEqual(await timeOfCalls([1, 9, 2, 30], options), { time: 2, calls: 4 });
});

Deno.test("timeOf() awaits an async call, and disposes the tensors that a call returns", async () => {
  const wait = () => new Promise((done) => setTimeout(done, 20));
  assert(await timeOf(wait, { repeats: 1 }) > 15);
  const before = memory().tensors;
  await timeOf(() => [ops.ones([2]), { x: ops.zeros([3]) }]);
  await timeOf(() => Promise.resolve(ops.ones([2])));
  assert.equal(memory().tensors, before);
  await timeOf(() => "no tensor");
  await timeOf(() => null);
});

Deno.test("timeOf() refuses what is no call and no number of calls, and passes on errors", async () => {
  await assert.rejects(timeOf(1 as never), {
    name: "TypeError",
    message: "Measuring a time: the call must be a function, found 1.",
  });
  await assert.rejects(timeOf(() => {}, { repeats: 0 }), {
    name: "RangeError",
    message: "Measuring a time: repeats must be a whole number of at least 1, found 0.",
  });
  await assert.rejects(
    timeOf(() => {
      throw new Error("mine");
    }),
    /^Error: mine$/,
  );
});
