import assert from "node:assert/strict";
import { grad, interactive, ops, type Scalar } from "resnet-lab";
import {
  backward,
  type BackwardOptions,
  type Formula,
} from "../../lib/interactive/components/backward.ts";
import { action, after, fromText } from "./_helpers.ts";

const component = (options: BackwardOptions = {}) => fromText(backward, options);

/** Each formula with the library's ops, and places to take its gradients at. */
const formulas: Record<Formula, (inputs: Record<string, Scalar>) => Scalar> = {
  "(a·b + c)²": ({ a, b, c }) => ops.square(ops.add(ops.mul(a!, b!), c!)),
  "x·x + x": ({ x }) => ops.add(ops.mul(x!, x!), x!),
};
const places = [{ a: 2, b: -3, c: 10, x: 3 }, { a: 0, b: 5, c: -1.5, x: -0.5 }, {
  a: -1,
  b: 1,
  c: 1,
  x: 0,
}];

Deno.test("backward() finds the gradients that grad() finds", () => {
  for (const formula of Object.keys(formulas) as Formula[]) {
    for (const all of places) {
      const made = component({ formula });
      const names = made.names(formula);
      const inputs = Object.fromEntries(names.map((name) => [name, ops.scalar(all[name as "a"])]));
      const values = Object.fromEntries(
        names.map((name) => [`value ${name}`, `${all[name as "a"]}`]),
      );
      const state = made.act(after(made, values), action({ kind: "press", name: "all" }));
      const { gradients, values: found } = made.walk(state);
      assert.equal(found.at(-1), formulas[formula](inputs).dataSync()[0]);
      // The inputs a, b and c stand at the places 0, 1 and 3.
      const indices = formula === "x·x + x" ? [0] : [0, 1, 3];
      names.forEach((name, i) => {
        const slope = grad((one: Scalar) => formulas[formula]({ ...inputs, [name]: one }));
        // In JavaScript, 0 · −1 is −0.
        assert.equal(gradients[indices[i]!]! + 0, slope(inputs[name]!).dataSync()[0]! + 0, name);
      });
    }
  }
});

/** The gradients after each step, as the nodes have them. */
function gradientsByStep(options: BackwardOptions, settings: Record<string, string> = {}) {
  const made = component(options);
  const rows = [];
  for (let state = after(made, settings);;) {
    rows.push(made.walk(state).gradients);
    const next = made.act(state, action({ kind: "press", name: "step" }));
    if (next.steps === state.steps) return rows;
    state = next;
  }
}
const none = undefined;

Deno.test("backward() goes back by one node for each step", () => {
  // a, b, p = a·b, c, s = p + c and L = s².
  assert.deepEqual(gradientsByStep({}), [
    [none, none, none, none, none, 1],
    [none, none, none, none, 8, 1],
    [none, none, 8, 8, 8, 1],
    [-24, 16, 8, 8, 8, 1],
  ]);
  // x, p = x·x and y = p + x: 1 from the sum, then 3 and 3 from the product.
  assert.deepEqual(gradientsByStep({ formula: "x·x + x" }), [[none, none, 1], [1, 1, 1], [
    7,
    1,
    1,
  ]]);
});

Deno.test("backward() goes wrong with = for +=, and where nodes hand on too early", () => {
  assert.deepEqual(gradientsByStep({ formula: "x·x + x", arrival: "=" }).at(-1), [3, 1, 1]);
  assert.deepEqual(gradientsByStep({ arrival: "=" }).at(-1), [-24, 16, 8, 8, 8, 1]);
  const early = { order: "first first" };
  assert.deepEqual(gradientsByStep({ formula: "x·x + x" }, early).at(-1), [1, 1, 1]);
  const [a, b] = gradientsByStep({}, early).at(-1)!;
  // −0 counts as 0.
  assert.deepEqual([a! + 0, b! + 0], [0, 0]);
});

Deno.test("backward() says what each step does", () => {
  const made = component({ formula: "x·x + x" });
  const press = (state: typeof made.initial, name: string) =>
    made.act(state, action({ kind: "press", name }));
  const said = (state: typeof made.initial) => made.views(state).said;
  assert.match(said(made.initial)!, /^The gradient of y in itself is 1/);
  const once = press(made.initial, "step");
  assert.equal(said(once), "y hands on local · upstream: p += 1 · 1, x += 1 · 1.");
  assert.match(said(press(once, "step"))!, /x \+= 3 · 1, x \+= 3 · 1\. At the end: ∂y\/∂x = 7\.$/);
  assert.equal(press(once, "undo").steps, 0);
  assert.equal(press(press(once, "all"), "reset").steps, 0);
  const early = press(after(made, { order: "first first" }), "step");
  assert.match(said(early)!, /No gradient had arrived there yet: it hands on 0/);
  assert.match(made.views(made.initial).measured!, /measured by a nudge: x: 7\./);
  assert.match(component().views(component().initial).measured!, /a: −24, b: 16, c: 8\./);
});

Deno.test("interactive.backward() refuses a formula or an input that it does not have", () => {
  const refused = (options: object, name: string, message: RegExp) =>
    assert.throws(() => interactive.backward(options), { name, message });
  refused({ formula: "a + b" }, "RangeError", /formula must be one of/);
  refused({ values: { x: 1 } }, "RangeError", /an input must be one of "a", "b", "c", found "x"/);
  refused({ values: { a: 1e5 } }, "RangeError", /the value of a must be from/);
  refused({ arrival: "-=" }, "RangeError", /arrival must be one of/);
});
