/** The proxy in front of Deno's kernel, over Jupyter's protocol, beside the bare kernel. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { isSetUp, kernelVariables, paths, root } from "../_project.ts";

/** A message of the kernel, with its content. */
interface Message {
  readonly channel: "iopub" | "shell" | "stdin";
  readonly type: string;
  readonly status?: string;
  readonly execution_state?: string;
  readonly ename?: string;
  readonly evalue?: string;
  readonly traceback?: readonly string[];
  readonly text?: string;
  readonly matches?: readonly string[];
  readonly data?: Readonly<Record<string, string>>;
  /** The metadata of the message. */
  readonly "of message": { readonly stack?: readonly string[] };
  /** Seconds; in `stops` from the start of the cell. */
  readonly at: number;
}

/** Runs a scenario of kernel_proxy.py, and returns its result. */
async function scenario(
  name: string,
  argument?: unknown,
  variables: Record<string, string> = {},
  // deno-lint-ignore no-explicit-any
): Promise<any> {
  const text = typeof argument === "string"
    ? [argument]
    : argument
    ? [JSON.stringify(argument)]
    : [];
  const { code, stdout, stderr } = await new Deno.Command(paths.python, {
    args: [join(import.meta.dirname!, "kernel_proxy.py"), name, ...text],
    env: { ...kernelVariables(), NO_COLOR: "1", ...variables },
  }).output();
  const decoder = new TextDecoder();
  assert.equal(code, 0, decoder.decode(stderr));
  return JSON.parse(decoder.decode(stdout));
}

/** The error that a cell shows; its reply must say the same. */
function errorOf(messages: readonly Message[] = []): Message {
  const [error, ...others] = messages.filter(({ type }) => type === "error");
  assert(error && others.length === 0, JSON.stringify(messages));
  const reply = messages.find(({ type }) => type === "execute_reply");
  assert.equal(reply?.status, "error");
  assert.deepEqual(
    [reply?.ename, reply?.evalue, reply?.traceback],
    [error.ename, error.evalue, error.traceback],
  );
  const kinds = messages.filter(({ channel }) => channel === "iopub")
    .map(({ type, execution_state }) => execution_state ?? type);
  assert(kinds.indexOf("error") < kinds.indexOf("idle"), `the error comes too late: ${kinds}`);
  return error;
}

function traceback(messages: readonly Message[] = []): string {
  return errorOf(messages).traceback!.join("\n");
}

/** The status of the reply, and the states of the kernel. */
function course(messages: readonly Message[]): (string | undefined)[] {
  return [
    messages.find(({ type }) => type === "execute_reply")?.status,
    ...messages.flatMap(({ execution_state }) => execution_state ?? []),
  ];
}

function result(messages: readonly Message[] = []): string | undefined {
  return messages.find(({ type }) => type === "execute_result")?.data?.["text/plain"];
}

Deno.test({
  name: "the proxy in front of Deno's kernel",
  ignore: !isSetUp,
  async fn(t) {
    // It waits most of the time, so it runs beside the others.
    const endless = scenario("many", [
      ["endless", "console.log('under way');\nfor (;;);"],
      ["endless", "console.log('under way');\nawait new Promise((done) => setTimeout(done, 1e8));"],
    ]);

    await t.step("passes every message through as the bare kernel sends it", async () => {
      assert.deepEqual(await scenario("passes"), []);
    });

    await t.step("changes nothing in the first cells of a notebook", async () => {
      const notebook = join(root, "notebooks", "02_autograd.ipynb");
      assert.deepEqual(await scenario("notebook", notebook), []);
    });

    await t.step("sends each of two clients its own replies, and both all outputs", async () => {
      assert.deepEqual(await scenario("clients"), { first: ["first"], second: ["second"] });
    });

    // All in one kernel, so that it starts once.
    const runtimeCells = [
      'import {\n  conv2d,\n  ops,\n  sequential,\n} from "resnet-lab";\n\n' +
      "const net = sequential(...Array.from({ length: 20 }, () => conv2d(4, 4, { kernelSize: 3 })));\n\n" +
      "interface Wrong {\n  size: number;\n}\n\nfunction apply(x: never) {\n" +
      "  // A comment before the line.\n  return net.forward(x);\n}",
      "const x = ops.zeros([1, 8, 8, 3]);\n\n/* of\n   two lines */\nconst y = apply(x as never);",
      "const o: { a: number } = { a: 1 };\nasync function later(n: number): Promise<number> {\n" +
      "  await new Promise((done) => setTimeout(done));\n  return [n].map((x) => {\n" +
      "    if (x > 0) {\n      throw new RangeError(`found ${x}`);\n    }\n    return x;\n  })[0]!;\n}\n" +
      "await later(\n  o.a,\n);",
      'const text = "äöü 😀"; ((s: string | null) => {\n\n  s!.length; })(null);',
      "const limit = Error.stackTraceLimit;\nfunction r(n: number): number {\n  return r(n + 1);\n}\nr(0);",
      "throw Object.assign(new Error('two\\nlines'), { name: 'Custom' });",
    ];
    const syntaxCells = [
      "// A comment.\n\nconst z = [1, 2;",
      "  let a = ;",
      'const s = "abc',
      "typeof z",
      ...["if (true)", "const later = () =>", "label:", "export", "1 +", "type T =", "for (;;)"],
    ];
    const silentCells = [
      "throw 3",
      "throw null",
      "throw new Error()",
      "return 5",
      "const a = 1; const a = 2;",
      "import { x } from './none.ts';",
      "import x from 'npm:@resnet-lab/no such package';",
      "import { fit } from 'resnet_lab';",
    ];
    const certain = [
      "// One comment.\nimport { join } from 'node:path'; // Another.\n\nlet a: number;",
      "import {\n  join,\n  sep,\n} from 'node:path';\nimport * as fs from 'node:fs';",
      "import { type PathLike, readFileSync } from 'node:fs';\ntype T = {\n  a: 1;\n};",
      "const text = `\n  ${1}\n`;\n/* two\n   lines */",
      "enum Color {\n  Red,\n}\ndeclare const nothing: Color;",
    ];
    // Deno leaves out comments and lines here in the kernel only.
    const uncertain = [
      "import { join } from 'node:path';\n// A comment.\nimport { sep } from 'node:path';\nlet b = 1;",
      "import {\n  // A comment.\n  join,\n} from 'node:path';",
      "// One.\nimport type { PathLike } from 'node:fs';\n// Two.\nimport { sep } from 'node:path';",
      "const q = 1;\nexport { q };",
      "import data from './deno.json' with { type: 'json' };\n\nlet c = 1;",
    ];
    const failed: Message[][] = await scenario("errors", [
      ...runtimeCells,
      ...syntaxCells,
      ...silentCells,
      ...[...certain, ...uncertain].map((code) => {
        const line = code.split("\n").length + 1;
        return `${code}\nthrow new Error("${line}");`;
      }),
    ]);
    const runtime = failed.splice(0, runtimeCells.length);
    const syntax = failed.splice(0, syntaxCells.length);
    const silent = failed.splice(0, silentCells.length);

    await t.step("shows a syntax error with the line and the place", () => {
      const [open, missing, string, after, ...unfinished] = syntax;
      assert.deepEqual(errorOf(open).ename, "SyntaxError");
      assert.equal(
        traceback(open),
        "SyntaxError: Expected ',', got ';'\n" +
          "cell line 3: const z = [1, 2;\n" +
          "                            ^",
      );
      assert.equal(
        traceback(missing),
        "SyntaxError: Expression expected\n" +
          "cell line 1:   let a = ;\n" +
          "                       ^",
      );
      assert.equal(
        traceback(string),
        "SyntaxError: Unterminated string constant\n" +
          'cell line 1: const s = "abc\n' +
          "                       ^",
      );
      assert.equal(result(after), '"undefined"');
      for (const cell of unfinished) assert.equal(errorOf(cell).ename, "SyntaxError");
    });

    await t.step("never shows nothing for a cell that fails", () => {
      for (const cell of silent) assert.match(traceback(cell), /\S/);
      assert.equal(traceback(silent[0]), "Error: 3\ncell line 1: throw 3");
    });

    await t.step("names the module that an import may mean", () => {
      assert.equal(
        traceback(silent.at(-1)),
        'TypeError: Import "resnet_lab" not a dependency and not in import map. ' +
          "Did you mean \"resnet-lab\"?\ncell line 1: import { fit } from 'resnet_lab';",
      );
    });

    await t.step(
      "names the learner's lines in a runtime error, by their numbers in the cell",
      () => {
        const network = errorOf(runtime[1]);
        assert.match(
          network.traceback!.join("\n"),
          RegExp(
            "^RangeError: At 0 \\(conv2d 4 → 4, 3×3\\): the input must be .*, found \\[1, 8, 8, 3\\]\\.\n" +
              "cell \\[1\\] line 15: return net\\.forward\\(x\\);\n" +
              "cell line 5: const y = apply\\(x as never\\);\n" +
              "… \\d+ frames of the library$",
          ),
        );
        assert.match(
          network["of message"].stack!.join("\n"),
          /^at checkInput \(file:.*\n[^]*<anonymous>/,
        );
        assert.equal(
          traceback(runtime[2]),
          "RangeError: found 1\n" +
            "cell line 6: throw new RangeError(`found ${x}`);\n" +
            "cell line 4: return [n].map((x) => {\n" +
            "cell line 11: await later(",
        );
        assert.match(
          traceback(runtime[3]),
          /^TypeError: .*\ncell line 3: s!\.length; }\)\(null\);/,
        );
        assert.match(
          traceback(runtime[4]),
          /^RangeError: .*\n(cell line 2: .*\n)?cell line 3: return r\(n \+ 1\);$/,
        );
        assert.match(traceback(runtime[5]), /^Custom: two\nlines\ncell line 1: /);
      },
    );

    await t.step("shows no line where it is not certain of its number", () => {
      for (const [index, code] of [...certain, ...uncertain].entries()) {
        const [message, ...lines] = errorOf(failed[index]).traceback!;
        const number = code.split("\n").length + 1;
        assert.equal(message, `Error: ${number}`);
        const line = `cell line ${number}: throw new Error("${number}");`;
        assert.deepEqual(lines, index < certain.length ? [line] : [], code);
      }
    });

    await t.step("shows the result of a cell that starts what it does not await", async () => {
      const cells: Message[][] = await scenario("errors", [
        "async function collectsGarbage() {\n  await 1;\n  gc();\n  return 5;\n}",
        "collectsGarbage();\n'result'",
        "import { join } from 'node:path';\nawait 1;\ncollectsGarbage();\njoin('a', 'b') // result",
        "for (const x of [1, 2]) { collectsGarbage(); x; }",
        "import { exercise } from 'resnet-lab';\n" +
        'exercise("five", collectsGarbage, (answer) => answer === 5);',
      ], { DENO_V8_FLAGS: "--expose-gc" });
      assert.deepEqual(cells.map(result), [
        ...[undefined, '"result"', '"a/b"', "2", "✓ five: 5"],
      ]);
      for (const cell of cells) assert.deepEqual(course(cell), ["ok", "busy", "idle"]);
    });

    await t.step("Stop ends the cell that runs and the queue", async () => {
      const { cells, after } = await scenario("stop", [
        'import { fashionMnist, fit, lenet, sgd } from "resnet-lab";\n' +
        "const { train } = await fashionMnist({ subset: true });\n" +
        "const model = lenet(), optimizer = sgd(model.parameters(), { learningRate: 0.05 });",
        "for await (const { step } of fit(model, train, { optimizer, epochs: 1000, batchSize: 128 })) {\n" +
        '  if (step === 2) console.log("under way");\n}',
        ...["1", "2", "3"],
      ]);
      assert.deepEqual(course(cells[0]), ["ok", "busy", "idle"]);
      for (const queued of cells.slice(1)) {
        assert.deepEqual(course(queued), ["aborted", "busy", "idle"]);
        assert.equal(result(queued), undefined);
      }
      assert.equal(result(after), '"usable"');
    });

    await t.step(
      "Stop ends an endless loop, and restarts the kernel where that does not help",
      async () => {
        const [loop, wait] = await endless;
        assert.match(
          errorOf(loop.cells[0]).evalue!,
          /^Stop ended this cell where it was\. Variables are kept\.$/,
        );
        assert.equal(result(loop.after), '"number"');
        assert.match(
          errorOf(wait.cells[0]).evalue!,
          /did not stop, so the kernel was restarted\. All variables are gone: run the cells again/,
        );
        assert.equal(result(wait.after), '"undefined"');
        // The cell that waits has received Stop, and may be about to end.
        assert(loop.seconds < 8 && wait.seconds >= 30, `${loop.seconds} s, ${wait.seconds} s`);
        for (const { cells, import: imported } of [loop, wait]) {
          assert.deepEqual(course(cells[0]), ["error", "busy", "idle"]);
          assert.deepEqual(course(cells[1]), ["aborted", "busy", "idle"]);
          assert.equal(result(imported), '"a/b"');
        }
      },
    );

    await t.step("shows errors that no code catches, and goes on", async () => {
      const wait = "await new Promise((done) => setTimeout(done, 3000));";
      const thrown = (value: string) =>
        `setTimeout(() => {\n  throw ${value};\n}, 300); ${wait} "waited"`;
      const cells: Message[][] = await scenario("stops", [
        [thrown('new RangeError("too large")'), null],
        [thrown('"a text"'), null],
        ['Promise.reject(new Error("nobody catches it"));\n"rejected"', null],
        ['Promise.resolve(1).then((x) => {\n  x.none.none;\n}); "then"', null],
        [`const timer = setInterval(() => { throw new Error("again") }, 5);\n${wait}`, null],
        ["clearInterval(timer);", null],
        ["const caught = Promise.reject(1); await caught.catch(() => 'caught');", null],
      ]);
      const uncaught = (cell = 0) =>
        cells[cell]!.filter(({ type }) => type === "error").map((error) => error.traceback!);
      assert.deepEqual(uncaught(0), [[
        "RangeError: too large",
        'cell line 2: throw new RangeError("too large");',
        "… in a callback",
      ]]);
      assert.deepEqual(uncaught(1), [[
        ...["Error: a text", 'cell line 2: throw "a text";', "… in a callback"],
      ]]);
      assert.deepEqual(uncaught(2), [[
        "Error: nobody catches it",
        'cell line 1: Promise.reject(new Error("nobody catches it"));',
        "… in a promise that nothing awaits",
      ]]);
      assert.deepEqual(uncaught(3), [[
        "TypeError: Cannot read properties of undefined (reading 'none')",
        "cell line 2: x.none.none;",
        "… in a promise that nothing awaits",
      ]]);
      const again = uncaught(4);
      assert.equal(again.length, 3);
      assert.match(again[2]!.at(-1)!, /more errors like this one are not shown/);
      assert.deepEqual([uncaught(5), uncaught(6)], [[], []]);
      assert.deepEqual(
        [0, 1, 2, 3, 6].map((cell) => result(cells[cell])),
        ['"waited"', '"waited"', '"rejected"', '"then"', '"caught"'],
      );
      for (const cell of cells) assert.equal(course(cell)[0], "ok");
      // Nothing has delayed the end of the cell.
      assert(cells[0]!.find(({ type }) => type === "execute_reply")!.at < 10);
    });

    await t.step("says after Stop what happens, only while the cell runs", async () => {
      const start = 'console.log("under way");\n';
      const cells: Message[][] = await scenario("stops", [
        [
          `${start}setTimeout(() => { throw new Error("late") }, 300);\n` +
          "await new Promise((done) => setTimeout(done, 2000));",
          1,
        ],
        [`${start}let kept = 1;\nwhile (true);`, 4],
        ["kept", null],
        [`${start}await new Promise((done) => setTimeout(done, 5000)); "at its end"`, 0],
        [
          'import { fashionMnist, fit, lenet, sgd } from "resnet-lab";\n' +
          "const { train } = await fashionMnist({ subset: true });\nconst model = lenet();\n" +
          "const optimizer = sgd(model.parameters(), { learningRate: 0.05 });",
          null,
        ],
        [
          "let steps = 0;\n" +
          "for await (const _ of fit(model, train, { optimizer, epochs: 1000, batchSize: 128 })) {\n" +
          `  if (++steps > 1) ${start}` +
          "  if (steps > 1) { for (const end = Date.now() + 6000; Date.now() < end;); }\n}",
          0,
        ],
        [`${start}while (true);`, 1],
      ]);
      const said = (cell: number) =>
        cells[cell]!.flatMap(({ type, text }) => type === "stream" ? text : []).join("")
          .replace("under way\n", "");
      // This cell ends by itself, 1 s after Stop.
      assert.equal(said(0), "");
      for (const cell of [1, 6]) {
        assert.equal(said(cell), "");
        assert.match(errorOf(cells[cell]).evalue!, /^Stop ended this cell where it was/);
        assert(cells[cell]!.at(-1)!.at < 10);
      }
      assert.equal(result(cells[2]), "1");
      assert.match(said(3), /^Stop found no loop that listens, so the cell runs on\..* 28 s/);
      assert.equal(result(cells[3]), '"at its end"');
      // A step may take long: nothing ends it.
      assert.match(said(5), /^Stop: the cell is in the middle of a step\./);
      assert.equal(course(cells[5]!)[0], "ok");
    });

    await t.step("Stop ends a cell that waits for an answer", async () => {
      const cell = "const answer = prompt('Your name?');\nconsole.log(answer);";
      const { cells, seconds, after, next } = await scenario("question", cell);
      assert.match(errorOf(cells[0]).evalue!, /^Stop ended this cell where it was\./);
      assert.deepEqual(course(cells[0]), ["error", "busy", "idle"]);
      assert.deepEqual(course(cells[1]), ["aborted", "busy", "idle"]);
      assert(seconds < 5, `${seconds} s`);
      assert.equal(result(after), '"number"');
      assert.equal(result(next), '"from the learner"');
    });

    await t.step("shows what the language server says, and runs cells without it", async () => {
      const { cells, completion, seconds, states, inspection, unanswered } = await scenario(
        "language",
      );
      const warning = (messages: Message[]) =>
        messages.filter(({ type }) => type === "stream").map(({ text }) => text).join("");
      assert.deepEqual(cells.map(warning), [
        "",
        "warning: line 2: two is wrong after [one]\n    const wrong = 3;\n",
        ...["", "", ""],
        "warning: line 2: three is wrong after [two one]\n    'wrong';\n",
        "",
        "warning: line 2: five is wrong after [two one three four]\n    \n",
        // The error of the cell says the same.
        "",
        "warning: line 1: there is no option colums\n    const no = { colums: 3 };\n",
        // Once, and cut around the place.
        `warning: line 1: first\nwarning: line 1: second\n    …${" ".repeat(58)}"long";${
          " ".repeat(53)
        }…\n`,
      ]);
      assert.equal(result(cells[1]), '"result"');
      // The warning comes later than the word that the cell is done: it has delayed nothing.
      const order = cells[1].map(({ type, execution_state }: Message) => execution_state ?? type);
      assert(order.indexOf("stream") > order.indexOf("idle"), order.join());
      assert.equal(result(cells[6]), '"the server dies"');
      // Help comes while a cell runs, and JupyterLab then shows again that it does.
      assert(seconds < 0.6, `${seconds} s`);
      assert.deepEqual(completion.find(({ type }: Message) => type === "complete_reply").matches, [
        "columns",
      ]);
      // Deno's list of global names would be of no use among the options.
      const matches = unanswered.map((messages: Message[]) =>
        messages.find(({ type }) => type === "complete_reply")!.matches
      );
      assert.deepEqual(matches, [[], ["jupyter"]]);
      assert.deepEqual(states, ["busy", "busy", "idle", "busy", "idle"]);
      assert.equal(inspection.find(({ type }: Message) => type === "inspect_reply").found, false);
    });

    await t.step("starts Deno's kernel again if another process has taken its port", async () => {
      assert.equal(result(await scenario("taken_port")), "42");
    });

    await t.step({
      name: "ends with the inner kernel, and the inner kernel with it",
      ignore: Deno.build.os !== "linux",
      fn: async () => {
        assert.deepEqual(await scenario("deaths"), {
          "bare exit": 3,
          "proxied exit": 3,
          "inner killed": -9,
          "inner lives after SIGKILL": false,
          "inner lives after SIGTERM": false,
        });
      },
    });
  },
});
