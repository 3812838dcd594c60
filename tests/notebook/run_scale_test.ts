import assert from "node:assert/strict";
import { byRunScale, runScale } from "resnet-lab";

/** Runs `body` with RESNET_LAB_SCALE set, or not set. */
function withScale(name: string | undefined, body: () => void): void {
  const before = Deno.env.get("RESNET_LAB_SCALE");
  const set = (value: string | undefined) =>
    value === undefined
      ? Deno.env.delete("RESNET_LAB_SCALE")
      : Deno.env.set("RESNET_LAB_SCALE", value);
  set(name);
  try {
    body();
  } finally {
    set(before);
  }
}

Deno.test("runScale() is cpu if RESNET_LAB_SCALE is not set", () => {
  const values = { smoke: 1, cpu: 5, gpu: 20 };
  withScale(undefined, () => assert.deepEqual([runScale(), byRunScale(values)], ["cpu", 5]));
  withScale("smoke", () => assert.deepEqual([runScale(), byRunScale(values)], ["smoke", 1]));
  withScale("gpu", () => assert.deepEqual([runScale(), byRunScale(values)], ["gpu", 20]));
});

Deno.test("byRunScale() refuses an unknown scale in RESNET_LAB_SCALE", () => {
  for (const name of ["GPU", ""]) {
    withScale(name, () =>
      assert.throws(() => byRunScale({ smoke: 1, cpu: 5, gpu: 20 }), {
        name: "RangeError",
        message:
          `Choosing the run scale: RESNET_LAB_SCALE must be one of "smoke", "cpu", "gpu", found "${name}".`,
      }));
  }
});

Deno.test("byRunScale() refuses values without the current scale", () => {
  withScale("gpu", () =>
    // @ts-expect-error: a value for gpu is missing
    assert.throws(() => byRunScale({ smoke: 1, cpu: 5 }), {
      name: "TypeError",
      message: "Choosing by run scale: the values must include gpu, found only smoke, cpu.",
    }));
});

Deno.test("byRunScale() takes values of one type", () => {
  const epochs: number = byRunScale({ smoke: 1, cpu: 5, gpu: 20 });
  assert.equal(typeof epochs, "number");
  // @ts-expect-error: the value for gpu is no number
  const wrong: number = byRunScale({ smoke: 1, cpu: 5, gpu: "20" });
  assert(wrong);
});

Deno.test("byRunScale() refuses a value for an unknown scale", () => {
  const values = { smoke: 1, cpu: 2, gpu: 3, tpu: 4 };
  assert.throws(() => byRunScale(values), {
    name: "TypeError",
    message: "Choosing by run scale: there is no option tpu. The options are smoke, cpu, gpu.",
  });
});
