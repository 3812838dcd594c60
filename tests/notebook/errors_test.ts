import assert from "node:assert/strict";
import { conv2d, errorMessage } from "resnet-lab";

Deno.test("errorMessage() returns the name and message of an error, also of an async call", async () => {
  assert.equal(
    await errorMessage(() => conv2d(1, 8, { kernelSize: 0 })),
    "RangeError: Building conv2d: kernelSize must be a whole number of at least 1, found 0.",
  );
  assert.equal(await errorMessage(() => Promise.reject(new TypeError("late"))), "TypeError: late");
  assert.equal(await errorMessage(() => Promise.reject("a text")), "a text");
});

Deno.test("errorMessage() refuses a call that is not refused, and what is no call", async () => {
  await assert.rejects(errorMessage(() => Promise.resolve(3)), {
    name: "RangeError",
    message: "Showing an error: the call must be refused, found the result 3.",
  });
  await assert.rejects(errorMessage(5 as never), {
    name: "TypeError",
    message: "Showing an error: the call must be a function, found 5.",
  });
});
