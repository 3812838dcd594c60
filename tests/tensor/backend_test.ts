import assert from "node:assert/strict";
import { cp, mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import {
  backend,
  compile,
  type Features,
  grad,
  ops,
  tidy,
  valueAndGradients,
  withBackend,
  withPrecision,
} from "resnet-lab";
import { dependsOn, traceKernels } from "../../lib/tensor/internal.ts";

const root = fileURLToPath(new URL("../../", import.meta.url));
/** The program of a new process. It prints its backend and a gradient through kernels of ours. */
const script = `
  import { backend, grad, ops } from "./lib/tensor/mod.ts";
  const x = ops.tensor([-1, 2], [1, 1, 2, 1]);
  const f = (x) => ops.sum(ops.square(ops.relu(ops.conv2d(x, ops.ones([1, 1, 1, 1])))));
  console.log(backend(), ...grad(f)(x).dataSync());
`;

async function run(folder: string, env: Record<string, string> = {}, program = script) {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["eval", program],
    cwd: folder,
    env,
  }).output();
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes).trim();
  return { code, stdout: text(stdout), stderr: text(stderr) };
}

/** A copy of the room without what set-up makes, but for the npm packages. */
async function withCopy(work: (folder: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "resnet-lab-"));
  try {
    await cp(join(root, "lib", "tensor"), join(folder, "lib", "tensor"), { recursive: true });
    for (const file of ["deno.json", "deno.lock"]) await cp(join(root, file), join(folder, file));
    await symlink(join(root, "node_modules"), join(folder, "node_modules"), "junction");
    await work(folder);
  } finally {
    await rm(folder, { recursive: true });
  }
}

Deno.test(
  "a compiled function convolves by oneDNN on each x86 processor",
  { ignore: backend() !== "tensorflow" || Deno.build.arch !== "x86_64" },
  async () => {
    // The third call runs the graph. oneDNN writes a line for each of its kernels that runs.
    const { stdout } = await run(
      root,
      { ONEDNN_VERBOSE: "1" },
      `
        import { compile, ops } from "./lib/tensor/mod.ts";
        const f = compile((x) => ops.conv2d(x, ops.ones([3, 3, 2, 4])));
        const x = ops.ones([8, 6, 6, 2]);
        for (let call = 1; call <= 3; call++) {
          console.log("call", call);
          f(x).dataSync();
        }
      `,
    );
    assert.match(stdout.split("call 3")[1]!, /onednn_verbose.*exec,cpu,convolution/);
  },
);

Deno.test(
  "compile() runs a graph whose ops are all small on one thread, and only such a graph",
  { ignore: backend() !== "tensorflow" },
  () => {
    const { writeFileSync } = Deno;
    let change = (bytes: Uint8Array) => bytes;
    const configs: Uint8Array[] = [];
    Deno.writeFileSync = (path, bytes) => {
      if (!String(path).endsWith("session_config.pb")) return writeFileSync(path, bytes);
      configs.push(bytes);
      writeFileSync(path, change(bytes));
    };
    // The third call runs the graph.
    const runThrice = (size: number) =>
      tidy(() => {
        using product = compile((x: Features) => ops.matMul(x, x));
        for (let call = 1; call <= 3; call++) product(ops.ones([size, size]));
      });
    try {
      runThrice(100); // 1e6 multiplications
      // Fields 2, 5 and 9 of ConfigProto (tensorflow/core/protobuf/config.proto).
      assert.deepEqual(configs, [Uint8Array.of(0x10, 1, 0x28, 1, 0x48, 1)]);
      runThrice(2100); // 9e9
      assert.equal(configs.length, Deno.env.get("TF_NUM_INTRAOP_THREADS") === "1" ? 2 : 1);
      change = () => Uint8Array.of(0xff);
      assert.throws(() => runThrice(100), /ConfigProto/);
    } finally {
      Deno.writeFileSync = writeFileSync;
    }
  },
);

Deno.test('backend() is "wasm" without set-up, and one line names the remedy', async () => {
  await withCopy(async (folder) => {
    const { code, stdout, stderr } = await run(folder);
    assert.equal(stdout, "wasm 0 4");
    assert.equal(
      stderr,
      "Native TensorFlow is not set up, so this runs on the WebAssembly backend, slower (2 to 4 times per core). " +
        "In the resnet-lab folder run: npx --yes deno@2.9.6 task setup",
    );
    assert.equal(code, 0);
  });
});

Deno.test('backend() is "wasm" with an addon that does not load, and one line names the remedy', async () => {
  await withCopy(async (folder) => {
    await mkdir(join(folder, ".venv"));
    await writeFile(join(folder, ".venv", "tfjs_binding.node"), "no addon");
    const { code, stdout, stderr } = await run(folder);
    assert.equal(stdout, "wasm 0 4");
    assert.match(
      stderr,
      /^Native TensorFlow is set up but did not load \(.+\), so .+ run: npx --yes deno@2\.9\.6 task doctor$/s,
    );
    assert.equal(code, 0);
  });
});

Deno.test('backend() is "cpu" where WebAssembly does not start', async () => {
  await withCopy(async (folder) => {
    await writeFile(
      join(folder, "lib", "tensor", "kernels", "wasm_overrides.ts"),
      "throw new Error();",
    );
    const { code, stdout, stderr } = await run(folder);
    assert.deepEqual({ code, stdout }, { code: 0, stdout: "cpu 0 4" });
    assert.match(stderr, /^Native TensorFlow is not set up, so this runs on the plain JavaScript/);
  });
});

Deno.test("backend() is the one in RESNET_LAB_BACKEND, and another name is refused", async () => {
  for (const name of ["wasm", "cpu"] as const) {
    const { code, stdout, stderr } = await run(root, { RESNET_LAB_BACKEND: name });
    assert.deepEqual({ code, stdout, stderr }, { code: 0, stdout: `${name} 0 4`, stderr: "" });
  }
  const wrong = await run(root, { RESNET_LAB_BACKEND: "gpu" });
  assert.notEqual(wrong.code, 0);
  assert.match(
    wrong.stderr,
    /RangeError: Choosing a backend: RESNET_LAB_BACKEND must be "tensorflow", "wasm" or "cpu", found "gpu"\./,
  );
});

Deno.test("withBackend() restores the backend before, also after an error", async () => {
  const before = backend();
  const seen = await withBackend("cpu", async () => {
    await Promise.resolve();
    return backend();
  });
  assert.equal(seen, "cpu");
  assert.equal(backend(), before);
  const stop = () => {
    throw new Error("stopped on purpose");
  };
  await assert.rejects(withBackend("cpu", stop), /on purpose/);
  assert.equal(backend(), before);
  await assert.rejects(withBackend("abacus" as never, () => 1), {
    name: "RangeError",
    message:
      'Choosing a backend: the name must be one of "tensorflow", "wasm", "cpu", found "abacus".',
  });
  assert.equal(backend(), before);
});

Deno.test("withBackend() refuses a call before another has ended", async () => {
  const before = backend();
  let go: (() => void) | undefined;
  const first = withBackend("wasm", async () => {
    await new Promise<void>((done) => go = done);
    return backend();
  });
  const message =
    'Choosing a backend: the work on "wasm" must have ended, found it running. Await it.';
  await assert.rejects(withBackend("cpu", () => 1), { name: "RangeError", message });
  while (!go) await new Promise((done) => setTimeout(done, 1));
  await assert.rejects(withBackend("cpu", () => 1), { name: "RangeError", message });
  go();
  assert.equal(await first, "wasm");
  assert.equal(backend(), before);
  assert.equal(await withBackend("cpu", backend), "cpu");
});

Deno.test("withBackend() refuses to end before a call within it, which restores the first backend", async () => {
  const before = backend();
  let go = () => {}, inner: Promise<string> | undefined;
  const outer = withBackend("wasm", () => {
    inner = withBackend("cpu", async () => {
      await new Promise<void>((done) => go = done);
      return backend();
    });
  });
  await assert.rejects(outer, { name: "RangeError", message: /the work on "cpu" must have ended/ });
  go();
  assert.equal(await inner, "cpu");
  assert.equal(backend(), before);
});

Deno.test("withBackend() can be nested, and restores the backend after an error", async () => {
  const before = backend();
  await withBackend("wasm", async () => {
    await withBackend("cpu", () => assert.equal(backend(), "cpu"));
    assert.equal(backend(), "wasm");
  });
  await assert.rejects(
    withBackend("wasm", () => {
      throw new Error("mine");
    }),
    /mine/,
  );
  assert.equal(backend(), before);
  await assert.rejects(withBackend(3 as never, () => 1), {
    name: "TypeError",
    message: 'Choosing a backend: the name must be one of "tensorflow", "wasm", "cpu", found 3.',
  });
  await assert.rejects(withBackend("wasm", 1 as never), {
    name: "TypeError",
    message: "Choosing a backend: the work must be a function, found 1.",
  });
});

Deno.test("tidy(), compile(), grad() and the like refuse values that are not functions, and promises", () => {
  const cases: [() => unknown, RegExp][] = [
    [() => tidy(1 as never), /^Tidying: work must be a function, found 1\.$/],
    [
      () => compile("f" as never),
      /^Compiling a function: the argument must be a function, found "f"\.$/,
    ],
    [
      () => grad(undefined as never),
      /^Taking a gradient: f must be a function, found undefined\.$/,
    ],
    [() => valueAndGradients(null as never, []), /: f must be a function, found null/],
    [() => valueAndGradients(() => ops.scalar(1), 1 as never), /the variables must be an array/],
    [() => dependsOn(1 as never, []), /: f must be a function, found 1/],
    [
      () => dependsOn(() => ops.scalar(1), [1 as never]),
      /an input must be a tensor, found 1\.$/,
    ],
    [() => traceKernels(ops.scalar(1), 1 as never), /Tracing a computation: run must be/],
    [
      () => withPrecision("fp32", 1 as never),
      /Choosing a precision: the work must be a function/,
    ],
    [() => withPrecision("fp32", async () => await Promise.resolve(1)), /must be synchronous/],
    [() => compile((async () => await ops.scalar(1)) as never)(), /must be synchronous/],
  ];
  for (const [run, message] of cases) assert.throws(run, { name: "TypeError", message });
});
