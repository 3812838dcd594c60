import assert from "node:assert/strict";
import { exercise, ops } from "resnet-lab";

/** The forms of an exercise as a notebook stores them. */
async function bundleOf(shown: object): Promise<Record<string, string>> {
  return await Reflect.get(shown, Symbol.for("Jupyter.display")).call(shown);
}

Deno.test("exercise() is open, right or wrong, as text and as HTML", async () => {
  const isTwo = (found: number) => found === 2 || found > 9 && "that is too large";
  const cases = [
    [undefined, "open", "○ two: not done yet", "Not done yet"],
    [2, "right", "✓ two: 2", "Right: "],
    [3, "wrong", "✗ two: 3", "Found: "],
    [10, "wrong", "✗ two: 10\n  that is too large", "that is too large"],
  ] as const;
  for (const [answer, state, text, html] of cases) {
    for (const attempt of [() => answer, () => Promise.resolve(answer)]) {
      const shown = exercise<number>("two", attempt, isTwo);
      assert.equal(await shown.state(), state);
      assert.equal(String(shown), text);
      assert.equal(Deno.inspect(shown), text);
      const bundle = await bundleOf(shown);
      assert.equal(bundle["text/plain"], text);
      assert.match(bundle["text/html"]!, new RegExp(html));
    }
  }
});

Deno.test("exercise() colours its states differently, and shows text in the page's own colour", async () => {
  const answers = [undefined, 1, 2];
  const pages = await Promise.all(
    answers.map(async (answer) =>
      (await bundleOf(exercise<number>("one", () => answer, (found) => found === 1)))["text/html"]!
    ),
  );
  const bars = pages.map((html) => /border-left: 6px solid (#[0-9a-f]{6})/.exec(html)?.[1]);
  assert.deepEqual(bars, ["#8c8c8c", "#009e73", "#d55e00"]);
  for (const html of pages) assert(!/[ ";]color: (?!inherit)/.test(html), html);
});

Deno.test("exercise() shows errors of the attempt and of the check, and throws none", async () => {
  const fail = () => {
    throw new RangeError("no such class");
  };
  const rejected = () => Promise.reject(new TypeError("no promise"));
  const cases = [
    [exercise("a", fail, () => true), "✗ a: an error\n  RangeError: no such class"],
    [exercise("a", rejected, () => true), "✗ a: an error\n  TypeError: no promise"],
    [exercise("a", () => 1, fail), "✗ a: 1\n  RangeError: no such class"],
    [exercise("a", () => 1, rejected), "✗ a: 1\n  TypeError: no promise"],
    [
      exercise("a", () => {
        throw "a text";
      }, () => true),
      "✗ a: an error\n  a text",
    ],
    [
      exercise("a", () => 1, () => 0 as never),
      "✗ a: 1\n  The check must return true, false or a text, found 0.",
    ],
  ] as const;
  for (const [shown, text] of cases) {
    assert.equal(await shown.state(), "wrong");
    assert.equal(String(shown), text);
  }
});

Deno.test("exercise() awaits an async check, and says meanwhile that it runs", async () => {
  const shown = exercise("a", () => 1, () => Promise.resolve(true));
  assert.equal(String(shown), "… a: running");
  assert.equal(await shown.state(), "right");
  assert.equal(String(shown), "✓ a: 1");
});

Deno.test("exercise() shows answers of all kinds, cut if they are long, without markup", async () => {
  using x = ops.tensor([[1, 2]]);
  const textOf = (answer: unknown) => String(exercise("a", () => answer, () => true));
  assert.equal(textOf(x), "✓ a: a tensor of float32 [1, 2]: [ [ 1, 2 ] ]");
  assert.equal(textOf("<b>"), "✓ a: <b>");
  assert.equal(textOf(null), "✓ a: null");
  assert.equal(textOf({ a: [1, "x"] }), "✓ a: { a: [ 1, 'x' ] }");
  assert.equal(textOf("y".repeat(1000)), `✓ a: ${"y".repeat(300)}…`);
  const gone = ops.ones([1]);
  gone.dispose();
  assert.match(textOf(gone), /^✓ a: /);
  const html = (await bundleOf(exercise("<i>", () => "<b>", () => true)))["text/html"]!;
  assert(html.includes("&lt;i&gt;") && html.includes("&lt;b&gt;") && !html.includes("<i>"));
});

Deno.test("exercise() refuses arguments of the wrong kind", () => {
  const cases: [() => unknown, RegExp][] = [
    [() => exercise(5 as never, () => 1, () => true), /the task must be a string, found 5\.$/],
    [() => exercise("a", 1 as never, () => true), /attempt must be a function, found 1\.$/],
    [() => exercise("a", () => 1, true as never), /isRight must be a function, found true\.$/],
  ];
  for (const [call, message] of cases) {
    assert.throws(call, { name: "TypeError", message });
    assert.throws(call, /^TypeError: Making an exercise: /);
  }
});

/** Lines that must not compile. The function is checked, never called. */
export function types() {
  const open = (): number[] | undefined => undefined;
  exercise("numbers", open, (found) => found.length === 2);
  exercise("numbers", async () => await Promise.resolve(open()), (found) => found[0] === 1);
  // @ts-expect-error: the answer is an array of numbers
  exercise("numbers", open, (found) => found === "2,4");
  // @ts-expect-error: a number does not say whether the answer is right
  exercise("numbers", open, (found) => found.length);
}
