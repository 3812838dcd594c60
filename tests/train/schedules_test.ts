import assert from "node:assert/strict";
import { cosine, oneCycle, type Schedule, stepDecay, warmup } from "resnet-lab";
import { assertClose } from "../_helpers.ts";
import fixtures from "../fixtures/train.json" with { type: "json" };

const schedules: Record<keyof typeof fixtures.schedules, Schedule> = {
  "stepDecay": stepDecay({ learningRate: 0.5, at: [3, 7], factor: 0.2 }),
  "cosine": cosine({ learningRate: 0.5, steps: 10, minimum: 0.01 }),
  "warmup": warmup(4, cosine({ learningRate: 0.5, steps: 8 })),
  "oneCycle": oneCycle({ maximum: 0.5, steps: 20 }),
  "oneCycle, other options": oneCycle({
    maximum: 0.5,
    steps: 15,
    rise: 0.45,
    startDivisor: 10,
    endDivisor: 100,
  }),
};

for (const name of Object.keys(schedules) as (keyof typeof schedules)[]) {
  Deno.test(`${name} gives PyTorch's learning rates`, () => {
    const expected = fixtures.schedules[name];
    assertClose(expected.map((_, step) => schedules[name](step)), expected, 1e-9);
  });
}

Deno.test("schedules keep their last learning rate after the last step", () => {
  assert.equal(schedules.stepDecay(1e6), 0.5 * 0.2 ** 2);
  assert.equal(schedules.cosine(11), 0.01);
  assert.equal(schedules.warmup(1e6), 0);
  assert.equal(schedules.oneCycle(21), 0.5 / 25 / 1e4);
});

Deno.test("schedules are pure: in any order, the same numbers", () => {
  for (const schedule of Object.values(schedules)) {
    const steps = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9];
    assert.deepEqual(steps.toReversed().map(schedule), steps.map(schedule).toReversed());
  }
});

Deno.test("warmup() continues with a constant rate", () => {
  assert.deepEqual([0, 1, 2, 3, 4, 5].map(warmup(4, () => 8)), [2, 4, 6, 8, 8, 8]);
});

const options = { learningRate: 1, steps: 10 };
const refused: [make: () => Schedule, message: RegExp][] = [
  [
    () => cosine({ ...options, learningRate: -1 }),
    /^Making the schedule cosine: learningRate must be a positive number, found -1\.$/,
  ],
  [() => cosine({ ...options, steps: 0 }), /steps must be a whole number of at least 1, found 0/],
  [
    () => cosine({ ...options, steps: 2.5 }),
    /steps must be a whole number of at least 1, found 2\.5/,
  ],
  [
    () => cosine({ ...options, minimum: 2 }),
    /minimum must be from 0 to the learning rate, 1, found 2/,
  ],
  [
    () => stepDecay({ learningRate: NaN, at: [] }),
    /learningRate must be a positive number, found NaN/,
  ],
  [() => stepDecay({ learningRate: 1, at: [3], factor: 0 }), /factor must be a positive number/],
  [
    () => stepDecay({ learningRate: 1, at: [3, 1.5] }),
    /at\[1\] must be a whole number of at least 1, found 1\.5/,
  ],
  [() => stepDecay({ learningRate: 1, at: [3, 3] }), /at must be ascending, found \[3,3\]/],
  [
    () => warmup(0, () => 1),
    /Making the schedule warmup: steps must be a whole number of at least 1, found 0/,
  ],
  [() => oneCycle({ maximum: Infinity, steps: 10 }), /maximum must be a positive number/],
  [
    () => oneCycle({ maximum: 1, steps: 3 }),
    /must be a part of 3 steps that leaves at least one step to rise and one to fall, found 0\.3/,
  ],
  [() => oneCycle({ maximum: 1, steps: 10, rise: 1 }), /to rise and one to fall, found 1/],
];
for (const [make, message] of refused) {
  Deno.test(`schedules refuse: ${message.source}`, () =>
    assert.throws(make, { name: "RangeError", message }));
}

Deno.test("schedules without steps end with the training", () => {
  for (
    const [ofTraining, ofSteps] of [
      [cosine({ learningRate: 2 }), cosine({ learningRate: 2, steps: 30 })],
      [oneCycle({ maximum: 2 }), oneCycle({ maximum: 2, steps: 30 })],
      [warmup(5, cosine({ learningRate: 2 })), warmup(5, cosine({ learningRate: 2, steps: 25 }))],
    ] as const
  ) {
    for (let step = 0; step < 30; step++) assert.equal(ofTraining(step, 30), ofSteps(step));
  }
  assert.equal(cosine({ learningRate: 2 })(30, 30), 0);
  assert.throws(() => cosine({ learningRate: 2 })(3), {
    name: "TypeError",
    message:
      "Reading the schedule cosine: without the option steps, the number of all steps must be the second argument, found undefined.",
  });
  assert.throws(() => oneCycle({ maximum: 1 })(0, 3), /must be a part of 3 steps/);
});
