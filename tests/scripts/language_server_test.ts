/** The checks and the help for notebook cells, by Deno's language server. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline/promises";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { environment, isSetUp, ownFolder, paths, root } from "../_project.ts";

type Cells = readonly (readonly [id: string, text: string])[];

interface Diagnostic {
  line: number;
  column: number;
  end_line: number;
  end_column: number;
  message: string;
  is_error: boolean;
}

interface Completion {
  status: string;
  matches: string[];
  cursor_start: number;
  cursor_end: number;
  metadata: {
    _jupyter_types_experimental: { text: string; type: string; signature: string }[];
  };
}

interface Inspection {
  found: boolean;
  data: { "text/markdown": string; "text/plain": string };
}

interface Request {
  do: string;
  deno?: string;
  cells?: Cells;
  code?: string;
  cursor?: number;
  limit?: number;
  signal?: number;
}

/** The program with the language servers. They run until it is disposed. */
function startProgram() {
  const program = fileURLToPath(new URL("language_server.py", import.meta.url));
  const child = spawn(paths.python, [program], { env: { ...Deno.env.toObject(), NO_COLOR: "1" } });
  const answers = createInterface(child.stdout)[Symbol.asyncIterator]();
  const closed = once(child, "close"), errors = text(child.stderr);
  async function ask<T>(
    folder: string,
    request: Request,
  ): Promise<{ result: T; seconds: number }> {
    child.stdin.write(JSON.stringify({ folder, ...request }) + "\n");
    const { value, done } = await answers.next();
    if (done) throw new Error(await errors);
    return JSON.parse(value);
  }
  return {
    ask,
    async start(folder: string, program = environment.deno) {
      await ask(folder, { do: "start", deno: program });
    },
    /** Checks the last of cells. A number before a colon, `3:const x = 1`, is the cell's id. */
    async check(folder: string, ...cells: string[]): Promise<Diagnostic[]> {
      const numbered = cells.map((cell, index): [string, string] => {
        const [, id, text] = /^(\d+):([^]*)$/.exec(cell) ?? [];
        return id && text ? [id, text] : [`cell ${index}`, cell];
      });
      return (await ask<Diagnostic[]>(folder, { do: "check", cells: numbered })).result;
    },
    async complete(folder: string, cells: string[], code: string, cursor?: number) {
      const numbered = cells.map((cell, index): [string, string] => [`${index}`, cell]);
      const request = { do: "complete", cells: numbered, code, cursor };
      return (await ask<Completion | null>(folder, request)).result;
    },
    async inspect(folder: string, cells: string[], code: string, cursor?: number) {
      const numbered = cells.map((cell, index): [string, string] => [`${index}`, cell]);
      const request = { do: "inspect", cells: numbered, code, cursor };
      return (await ask<Inspection | null>(folder, request)).result;
    },
    async [Symbol.asyncDispose]() {
      child.stdin.end();
      await closed;
    },
  };
}

type Program = ReturnType<typeof startProgram>;

const notebooks = join(root, "notebooks");
const layers = 'import { conv2d, imageGrid, ops, relu, sequential } from "resnet-lab";';

/** Cells without an error in the last, though a module of the same lines would have some. */
const rightCells: Record<string, string[]> = {
  "a const again": ["const x = 1", 'const x = "a"', "x.toUpperCase()"],
  "a cell again": ["1:const x = 1", '1:const x = "a"; x.toUpperCase()'],
  "a cell again, with others between": [
    ...["1:const x = 1", "2:const y = x", '1:const x = "a"', "3:y.toFixed(); x.toUpperCase()"],
  ],
  "an import again": [
    'import { join } from "node:path"',
    'import { join, parse } from "node:path"; parse(join("a"))',
  ],
  "an import in place of a const": ["const join = 5", 'import { join } from "node:path"; join("")'],
  "a const in place of an import": [
    'import { join } from "node:path"; join("a")',
    "const join = 5",
    "join.toFixed()",
  ],
  "an import not at the top": [
    "const a = 1",
    'a.toFixed(); import path from "node:path"; path.sep',
  ],
  "a type import, then the value": [
    'import type { Buffer } from "node:buffer"',
    'import { Buffer } from "node:buffer"; Buffer.alloc(1)',
  ],
  "a function again": [
    "function f() { return 1 }",
    "const y = f()",
    'function f() { return "a" }',
    "f().length; y.toFixed()",
  ],
  "a class, an interface, a type and an enum again": [
    "class A { a = 1 } interface I { a: 1 } type T = 1; enum E { A }",
    'class A { b = 1 }\ninterface I { b: 2 }\ntype T = "a"\nenum E { B }',
    'new A().b; const i: I = { b: 2 }; const t: T = "a"; E.B',
  ],
  "a destructured name again": [
    "const { a, b: [c], ...rest } = { a: 1, b: [2], d: 3 }",
    'const { a = 2 } = { a: "x" as string | undefined }; let [p, , q] = [1, 2, "y"]',
    "c!.toFixed(); rest.d.toFixed(); p; q",
  ],
  "an unused name and a value": ["const unused = 1;\nunused", "5"],
  "top-level await": [
    "const r = await Promise.resolve(3)",
    "for await (const x of [r]) x.toFixed()",
  ],
  "a let of an earlier module": ["let n = 1; const k = 1", "const k = 2; n = 3", "n += 1; n++"],
  "a type that a cell narrows": [
    'const m = new Map([[1, "a"]]).get(1)',
    "if (m === undefined) throw new Error()",
    "m.length",
  ],
  "a type that a cell narrows, in an earlier module": [
    "let n: number | undefined; const k = 1",
    "n = 4",
    "const k = 2",
    "const k = 3; n.toFixed()",
  ],
  "cells after one that throws": [
    'const q: string | undefined = ["a"][0]',
    'throw new Error("stop")',
    "if (q) q.length",
  ],
  "cells after mistakes in the syntax": [
    ...["const ok = 1", "const z = [1, 2;", 'const s = "abc', "const t = `${", "f({", "}"],
    ...["/* open", "ok.toFixed()"],
  ],
  "a cell without a semicolon before a parenthesis": ["const f = 1", "(2).toFixed()"],
  "an error that is expected": ["// @ts-expect-error: a string is no number\nconst n: number = ''"],
  "a package that is not downloaded": [
    'import some from "npm:resnet-lab-has-no-such-package@1.2.3"; some.map((x) => x)',
  ],
};

/** Cells with errors in the last. */
const wrongCells: Record<string, [cells: string[], messages: RegExp[]]> = {
  "a method of the declaration before": [
    ["const x = 1", 'const x = "a"', "x.toFixed()"],
    [/^Property 'toFixed' does not exist on type '"a"'/],
  ],
  "the same name twice in one cell": [
    ["const x = 1; const x = 2"],
    [/Cannot redeclare/, /Cannot redeclare/],
  ],
  "a name that no cell declares": [["const a = 1", "b"], [/^Cannot find name 'b'/]],
  "an expected error that is none": [["// @ts-expect-error\n1"], [/^Unused '@ts-expect-error'/]],
  "a mistake in the syntax, without what follows from it": [
    ["const z = [1, 2;\nz.nothing"],
    [/^',' expected/],
  ],
  "the message of the library": [
    [
      `${layers} const small = { kernelSize: 3 };`,
      "sequential(conv2d(3, 64, small), relu(), conv2d(128, 10, small));",
    ],
    [/^this layer takes images with 128 channels, but the layer before it returns images with 64 channels$/],
  ],
  "an option that the library names": [
    [
      'import { fashionMnist, fit, lenet, sgd } from "resnet-lab";',
      "const { train } = await fashionMnist(); const model = lenet();\n" +
      "const optimizer = sgd(model.parameters(), { learningRate: 1 });\n" +
      "fit(model, train, { optimizer, epochs: 1, epoch: 3 });",
    ],
    [/^there is no option epoch$/],
  ],
  "a text that is not one of the allowed": [
    ['const mode: "one of the texts" = "another"'],
    [/^Type '"another"' is not assignable to type '"one of the texts"'/],
  ],
  "the first two levels of a long message": [
    [
      "type D<T> = { a: { b: () => T } };\ndeclare const s: D<{ c: string }>;\n" +
      "const d: D<{ c: number }> = s;",
    ],
    [/^Type 'D<[^\n]*\n {2}[^\n ]+[^\n]*$/],
  ],
  "an option that does not exist": [
    [layers, "imageGrid([1], [1, 1, 1, 1], { colums: 7 });"],
    [/'colums' does not exist .* Did you mean to write 'columns'\?$/],
  ],
};

async function checkCells(program: Program, t: Deno.TestContext): Promise<void> {
  for (const [title, cells] of Object.entries(rightCells)) {
    await t.step(`check() accepts ${title}`, async () => {
      assert.deepEqual(await program.check(notebooks, ...cells), []);
    });
  }
  for (const [title, [cells, messages]] of Object.entries(wrongCells)) {
    await t.step(`check() reports ${title}`, async () => {
      const found = await program.check(notebooks, ...cells);
      assert.equal(found.length, messages.length, JSON.stringify(found));
      messages.forEach((message, i) => assert.match(found[i]!.message, message));
      assert(found.every(({ is_error }) => is_error));
    });
  }
  await t.step("check() names a namespace, all unknown names of a line, and await", async () => {
    const said = async (code: string) =>
      (await program.check(notebooks, layers, code)).map(({ message }) => message);
    assert.deepEqual(await said("ops.matmul;"), [
      "Property 'matmul' does not exist in 'ops'. Did you mean 'matMul'?",
    ]);
    assert.deepEqual(await said("aa + bb * aa;\ncc + dd + ee"), [
      ..."Cannot find names 'aa' and 'bb'.|Cannot find names 'cc', 'dd' and 'ee'.".split("|"),
    ]);
    assert.deepEqual(await said("const later = Promise.resolve('a'); later.length"), [
      "Property 'length' does not exist on type 'Promise<string>'. Did you forget to use 'await'?",
    ]);
  });
  await t.step("check() counts lines and characters from 1", async () => {
    const [found] = await program.check(notebooks, "let a = 1", '\n"🙂🙂"; const b: string = a;');
    const { message: _, is_error: __, ...place } = found!;
    assert.deepEqual(place, { line: 2, column: 13, end_line: 2, end_column: 14 });
  });
}

async function checkNotebooks(program: Program, t: Deno.TestContext): Promise<void> {
  for (const name of ["02_autograd", "06_vgg", "07_nin"]) {
    await t.step(`check() accepts the cells of ${name}`, async () => {
      const file = join(notebooks, `${name}.ipynb`);
      const { cells }: { cells: { cell_type: string; source: string[] }[] } = JSON.parse(
        await Deno.readTextFile(file),
      );
      const code = cells.filter(({ cell_type }) => cell_type === "code")
        .map(({ source }) => source.join(""));
      // Joined in groups, because a check of each cell takes a minute on a slow machine.
      const groups: string[] = [];
      for (let i = 0; i < code.length; i += 8) groups.push(code.slice(i, i + 8).join("\n;\n"));
      assert(groups.length > 3);
      for (let i = 1; i <= groups.length; i++) {
        assert.deepEqual(await program.check(notebooks, ...groups.slice(0, i)), []);
      }
      const [found] = await program.check(notebooks, ...groups, "const bad: number = 'a'");
      assert.match(found!.message, /'string' is not assignable to type 'number'/);
    });
  }
}

async function complete(program: Program, t: Deno.TestContext): Promise<void> {
  const signatures = (completion: Completion | null) =>
    completion!.metadata._jupyter_types_experimental.map(({ signature }) => signature);
  await t.step("complete() lists exactly the options of an object, with types", async () => {
    const code = 'const smile = "🙂"; conv2d(3, 64, { ';
    const all = await program.complete(notebooks, [layers], code + "})", [...code].length);
    assert.deepEqual(all!.matches, [
      "kernelSize",
      ...["dilation", "groups", "padding", "stride", "useBias", "weightInitializer"],
    ]);
    assert.deepEqual(signatures(all).slice(0, 3), [
      ...["kernelSize: Pair", "dilation?: Pair", "groups?: number"],
    ]);
    const some = await program.complete(notebooks, [layers], code + "st");
    assert.deepEqual(some!.matches, ["stride"]);
    assert.deepEqual([some!.cursor_start, some!.cursor_end], [35, 37]);
    assert.equal(some!.status, "ok");
  });
  await t.step("complete() lists members, names, and modules", async () => {
    assert.deepEqual((await program.complete(notebooks, [layers], "ops.con"))!.matches, [
      ...["concat", "conv2d"],
    ]);
    const cells = ["const earlier = 1"];
    assert.deepEqual((await program.complete(notebooks, cells, "earl"))!.matches, ["earlier"]);
    const own = await program.complete(notebooks, cells, "const laterName = 2;\nlaterN");
    assert.deepEqual(own!.matches, ["laterName"]);
    assert.deepEqual((await program.complete(notebooks, [], "parseI"))!.matches, ["parseInt"]);
    const module = await program.complete(notebooks, [], 'import { fit } from "resnet-lab/t');
    assert.deepEqual(module!.matches, ["resnet-lab/tensor", "resnet-lab/train"]);
    assert.equal(module!.cursor_start, 21);
  });
}

async function inspect(program: Program, t: Deno.TestContext): Promise<void> {
  async function shown(code: string, cursor?: number) {
    return (await program.inspect(notebooks, [layers], code, cursor))!.data["text/markdown"];
  }
  await t.step("inspect() shows signature, text and example of a function", async () => {
    const help = await shown("conv2d(3, 64)", 3);
    assert.match(
      help,
      /^```typescript\nconv2d<3, 64>\(inChannels: 3, [^]*\): Conv2d<3, 64>\n```\nMakes a convolution/,
    );
    assert.match(help, /\*\*Example\*\*\n```typescript\nimport \{ conv2d, ops \}/);
    assert.match(help, /\/\/ @ts-expect-error: images with one channel do not fit\n/);
    const { data } = (await program.inspect(notebooks, [layers], "conv2d"))!;
    assert.match(data["text/plain"], /^function conv2d<[^`]*\nMakes a convolution/);
  });
  await t.step("inspect() shows the call around the cursor", async () => {
    const help = await shown("conv2d(3, ");
    assert.match(help, /^```typescript\nconv2d\(inChannels: 3, outChannels: number, options: /);
    assert.match(help, /Makes a convolution[^]*\*\*Here:\*\* `outChannels: number`$/);
  });
  await t.step("inspect() lists the options in an object with types and defaults", async () => {
    const help = await shown("conv2d(3, 64, {  })", 16);
    assert.match(help, /^```typescript\nconv2d\(/);
    assert.match(help, /\n- `kernelSize: Pair`: Height and width of the window in pixels\.\n/);
    assert.match(help, /\n- `stride\?: Pair`: Pixels .* \*\*Default:\*\* `1`\n/);
  });
  await t.step("inspect() shows one option, and a local name", async () => {
    assert.match(
      await shown("conv2d(3, 64, { stride: 2 })", 19),
      /^```typescript\nConv2dOptions\.stride\?: Pair\n```\n[^]*\*\*Default:\*\* `1`$/,
    );
    assert.match(await shown("const local = [1];\nlocal"), /const local: number\[\]/);
    assert.equal(await program.inspect(notebooks, [layers], "   "), null);
  });
}

async function otherFolders(program: Program, t: Deno.TestContext): Promise<void> {
  await t.step("check() finds the library from a folder beside the project", async () => {
    await using own = await ownFolder();
    await program.start(own.path);
    const cells = [layers, "const wrong: string = conv2d(3, 64, { kernelSize: 3 });"] as const;
    const [found] = await program.check(own.path, ...cells);
    assert.match(found!.message, /^Type 'Conv2d<3, 64>' is not assignable to type 'string'/);
    assert.deepEqual(Array.from(Deno.readDirSync(own.path), ({ name }) => name), ["deno.json"]);
    await program.ask(own.path, { do: "stop" });
  });
}

/** A server for one test after the other, because a start takes seconds. */
async function faults(program: Program, t: Deno.TestContext): Promise<void> {
  const folder = await Deno.makeTempDir();
  const bad = ["const n: number = 'a'"] as const;
  const [SIGKILL, SIGSTOP, SIGCONT] = [9, 19, 18];
  try {
    await t.step("without a server there is no help and no error", async () => {
      const nowhere = join(folder, "nowhere");
      await program.start(nowhere, join(folder, "no_deno"));
      assert.deepEqual(await program.check(nowhere, ...bad), []);
      assert.equal(await program.complete(nowhere, [], "a"), null);
      assert.equal(await program.inspect(nowhere, [], "a"), null);
    });
    await t.step("check() works in a folder without deno.json, and writes nothing", async () => {
      await program.start(folder);
      assert.equal((await program.check(folder, ...bad)).length, 1);
      assert.deepEqual(Array.from(Deno.readDirSync(folder)), []);
    });
    await t.step("a server that hangs is not waited for", async () => {
      await program.ask(folder, { do: "signal", signal: SIGSTOP });
      for (const kind of ["complete", "inspect"]) {
        const request = { do: kind, code: "parseI", limit: 0.5 };
        const { result, seconds } = await program.ask(folder, request);
        assert.equal(result, null);
        assert(seconds < 5, `${kind}: ${seconds} s`);
      }
      await program.ask(folder, { do: "signal", signal: SIGCONT });
    });
    await t.step("a server that was killed is started again once", async () => {
      const { result: pid } = await program.ask(folder, { do: "signal", signal: SIGKILL });
      assert.equal((await program.check(folder, ...bad)).length, 1);
      assert.notEqual((await program.ask(folder, { do: "signal", signal: SIGKILL })).result, pid);
      assert.deepEqual(await program.check(folder, ...bad), []);
      assert.equal(await program.complete(folder, [], "parseI"), null);
      assert.equal(await program.inspect(folder, [], "parseInt"), null);
    });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test({
  name: "LanguageServer",
  ignore: !isSetUp || Deno.build.os === "windows",
  async fn(t) {
    await using program = startProgram();
    await program.start(notebooks);
    await checkCells(program, t);
    await complete(program, t);
    await inspect(program, t);
    await checkNotebooks(program, t);
    await program.ask(notebooks, { do: "stop" });
    await otherFolders(program, t);
    await faults(program, t);
  },
});
