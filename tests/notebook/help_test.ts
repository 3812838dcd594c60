import assert from "node:assert/strict";
import { join } from "node:path";
import * as library from "resnet-lab";
import {
  conv2d,
  type Features,
  fit,
  help,
  initializers,
  interactive,
  linear,
  Module,
  ops,
  stages,
} from "resnet-lab";
import { relu, resnet18, summary } from "resnet-lab";

/** The text of a page, with its indentation as one space. */
function textOf(subject: unknown): string {
  return String(help(subject)).replaceAll(/ {2,}/g, " ");
}

Deno.test("help() finds every value of the library", () => {
  for (const [name, value] of Object.entries(library)) {
    assert.equal(textOf(value), textOf(name), name);
  }
  for (const [name, value] of Object.entries({ ...ops })) {
    assert.equal(textOf(value), textOf(`ops.${name}`), name);
  }
  for (const [name, value] of Object.entries({ ...initializers })) {
    assert.equal(textOf(value), textOf(`initializers.${name}`), name);
  }
});

Deno.test("help() finds every stage, and their list", () => {
  for (const [name, value] of Object.entries({ ...stages })) {
    assert.equal(textOf(value), textOf(`stages.${name}`), name);
  }
  assert.match(textOf(stages.ema), /\n decay\?: number \(default: 0\.999\)/);
  assert.match(textOf("stages"), /earlyStopping/);
});

Deno.test("help() finds every interactive figure", () => {
  for (const [name, value] of Object.entries({ ...interactive })) {
    assert.equal(textOf(value), textOf(`interactive.${name}`), name);
  }
  assert.match(textOf(interactive.valley), /\n steepness\?: number \(default: 25\)/);
});

Deno.test("help() shows signature, options with types and defaults, errors and an example", () => {
  const page = textOf(conv2d);
  assert.match(
    page,
    /^conv2d\(\n inChannels: number,\n outChannels: number,\n options: Conv2dOptions\n\): Conv2d\n\nMakes a convolution/,
  );
  assert.match(page, /\n kernelSize: Pair\n Height and width of the window in pixels\.\n/);
  assert.match(page, /\n useBias\?: boolean \(default: true\)\n/);
  assert.match(page, /\n Padding = "same" \| "valid" \| number\n/);
  assert.match(page, /\n RangeError\n If an option is not a whole number/);
  assert.match(page, /\nExample:\n\nimport \{ conv2d, ops \} from "resnet-lab";\n/);
  assert.match(textOf(ops.conv2d), /^ops\.conv2d\([^]*\n bias\?: Tensor1D\n/);
});

Deno.test("help() shows inherited options, and those of a type made of others", () => {
  assert.match(
    textOf(fit),
    /\n optimizer: Optimizer\n[^]*\n precision\?: Precision \| "auto" \(default: "fp32"\)/,
  );
  const resnet = textOf(resnet18);
  assert.match(resnet, /^resnet18\(options\?: ResNetVariantOptions\): ResNet\n/);
  assert.match(resnet, /\n inChannels\?: number \(default: 3\)/);
  assert.doesNotMatch(resnet, /imageSize/);
});

Deno.test("help() of an object shows its class and the function that makes it", () => {
  const page = textOf(linear(2, 3));
  assert.match(page, /^linear\([^]*\n\nclass Linear extends Module\n[^]*\n weight: Variable2D\n/);
  assert.match(textOf(relu()), /^Made by .*`relu`.*\n\nclass Activation /);
  assert.match(textOf(summary(linear(2, 3), [2])), /^summary\(/);
  assert.match(textOf(ops.zeros([2])), /^type Tensor /);
  class Own extends Module<Features<2>, Features<2>> {
    override forward(x: Features<2>) {
      return x;
    }
  }
  assert.match(textOf(new Own()), /Module[^]*\n forward\(/);
});

Deno.test("help() lists the operations", () => {
  assert.match(textOf(ops), /\n ops\.matMul\n \S/);
  assert.match(textOf(initializers), /\n initializers\.heNormal\n \S/);
});

Deno.test("help() shows HTML, escaped and without Markdown", () => {
  const page = help(fit);
  const bundle = Reflect.get(page, Symbol.for("Jupyter.display")).call(page);
  assert.deepEqual(Object.keys(bundle), ["text/html", "text/plain"]);
  const html: string = bundle["text/html"];
  assert.match(html, /<code>optimizer: Optimizer<\/code>/);
  assert.match(html, /resolves to the <code>History<\/code>/);
  assert.match(html, /&lt; 1\) break;/);
  assert.doesNotMatch(html, /```|\{@link|@default/);
  assert.equal(bundle["text/plain"], String(page));
});

Deno.test("help() converts all Markdown of the docs", () => {
  for (const name of Object.keys(library)) {
    const page = help(name);
    const html: string = Reflect.get(page, Symbol.for("Jupyter.display")).call(page)["text/html"];
    const texts = html.replaceAll(/<pre[^]*?<\/pre>|<code>[^]*?<\/code>/g, "");
    assert.doesNotMatch(texts, /`|\*\*|\]\(|^#+ |^\|/m, name);
  }
});

Deno.test("help() refuses what the library does not have, and says what can be asked", () => {
  const rule = "the subject must be something that resnet-lab exports, an object of one of its " +
    'classes, or a name such as "FitOptions"';
  assert.throws(() => help(3), {
    name: "RangeError",
    message: `Showing help: ${rule}, found 3. help("ops") lists the operations.`,
  });
  assert.throws(() => help("convd2"), {
    name: "RangeError",
    message: `Showing help: ${rule}, found "convd2". Did you mean "conv2d"?`,
  });
  assert.throws(() => help({ toString: 1 }), RangeError);
});

Deno.test("help() reads the docs in any folder, keeps them, and fails in words", async () => {
  const cache = await Deno.makeTempDir(), elsewhere = await Deno.makeTempDir();
  const config = join(import.meta.dirname!, "..", "..", "deno.json");
  const run = async (...args: string[]) => {
    const { stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "--no-check", "--config", config, ...args, join(elsewhere, "ask.ts")],
      cwd: elsewhere,
      env: { RESNET_LAB_CACHE: cache, NO_COLOR: "1" },
    }).output();
    return new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
  };
  await Deno.writeTextFile(
    join(elsewhere, "ask.ts"),
    `import { help, relu } from "resnet-lab"; console.log(String(help(relu)).slice(0, 6));`,
  );
  const withoutRun = ["--allow-read", "--allow-env", "--allow-ffi", "--allow-write", "--allow-sys"];
  assert.match(
    await run(...withoutRun),
    /Error: Showing help: the docs must be readable by deno doc, found an error at its start: .*run access/,
  );
  assert.match(await run("-A"), /^relu\(\)\n/);
  // The second time neither deno doc nor its permission is needed.
  assert.match(await run(...withoutRun), /^relu\(\)\n/);
  await Promise.all([cache, elsewhere].map((folder) => Deno.remove(folder, { recursive: true })));
});
