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

Deno.test("the scale is cpu unless RESNET_LAB_SCALE says otherwise", () => {
  const values = { smoke: 1, cpu: 5, gpu: 20 };
  withScale(undefined, () => assert.deepEqual([runScale(), byRunScale(values)], ["cpu", 5]));
  withScale("smoke", () => assert.deepEqual([runScale(), byRunScale(values)], ["smoke", 1]));
  withScale("gpu", () => assert.deepEqual([runScale(), byRunScale(values)], ["gpu", 20]));
});

Deno.test("a scale that there is not is an error", () => {
  for (const name of ["GPU", ""]) {
    withScale(name, () =>
      assert.throws(() => byRunScale({ smoke: 1, cpu: 5, gpu: 20 }), {
        name: "RangeError",
        message:
          `Choosing how much to compute: RESNET_LAB_SCALE must be smoke, cpu, gpu, found "${name}"`,
      }));
  }
});

Deno.test("a value that is not there is an error", () => {
  withScale("gpu", () =>
    // @ts-expect-error: a value for gpu is missing
    assert.throws(() => byRunScale({ smoke: 1, cpu: 5 }), {
      name: "TypeError",
      message: "Choosing by scale: expected a value for gpu, found only smoke, cpu",
    }));
});

Deno.test("all values are of one type", () => {
  const epochs: number = byRunScale({ smoke: 1, cpu: 5, gpu: 20 });
  assert.equal(typeof epochs, "number");
  // @ts-expect-error: the value for gpu is no number
  const wrong: number = byRunScale({ smoke: 1, cpu: 5, gpu: "20" });
  assert(wrong);
});

Deno.test("byRunScale refuses a value for what is no scale", () => {
  const values = { smoke: 1, cpu: 2, gpu: 3, tpu: 4 };
  assert.throws(() => byRunScale(values), {
    name: "TypeError",
    message:
      "Choosing by scale: there is no option tpu. Did you mean cpu? The options are smoke, cpu, gpu.",
  });
});
