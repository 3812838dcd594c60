/** Tests of the import from a registry, as a stranger does it: in an empty folder. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { isSetUp, paths, root, startOf } from "../_project.ts";
import { Registry } from "./_registry.ts";

const { version } = JSON.parse(Deno.readTextFileSync(join(root, "deno.json")));

/** The package that messages name: of this version, because each has its own set-up. */
const PACKAGE = `jsr:@resnet-lab/resnet-lab@${version}`;

/** Runs a program in an empty folder, with a registry on loopback. */
async function runAsStranger(program: string, prepare?: (folder: string) => void) {
  await using registry = new Registry();
  const folder = await Deno.makeTempDir();
  prepare?.(folder);
  await Deno.writeTextFile(join(folder, "main.ts"), program);
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--quiet", "main.ts"],
    cwd: folder,
    env: {
      JSR_URL: registry.url,
      RESNET_LAB_CACHE: join(folder, "cache"),
      NO_COLOR: "1",
    },
  }).output();
  const files = [...Deno.readDirSync(folder)].map(({ name }) => name).sort();
  await Deno.remove(folder, { recursive: true });
  const [out, err] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
  assert.equal(code, 0, err!);
  return { out: out!.trim().split("\n"), err: err!.trim(), files };
}

Deno.test("one import from a registry trains LeNet on the shipped subset and draws a picture", async () => {
  const { out, err, files } = await runAsStranger(`
    import { backend, evaluate, fashionMnist, fit, lenet, lineChart, sgd, withPrecision } from "jsr:@resnet-lab/resnet-lab";
    const { train, test } = await fashionMnist({ subset: true });
    const model = lenet({ activation: "relu" });
    const optimizer = sgd(model.parameters(), { learningRate: 0.05, momentum: 0.9 });
    const { loss } = await evaluate(model, test.take(200));
    await fit(model, train.take(1280), { optimizer, epochs: 1, batchSize: 64, seed: 1 });
    console.log(backend(), (await evaluate(model, test.take(200))).loss < loss - 0.3);
    const chart = lineChart([{ name: "a", y: [1, 2] }], { x: { title: "x" }, y: { title: "y" } });
    console.log(new TextDecoder().decode((await chart.toPng()).subarray(1, 4)));
    try { withPrecision("bf16", () => 1); } catch (error) { console.log(error.message); }`);
  assert.equal(out[0], "wasm true");
  assert.equal(out[1], "PNG");
  assert.match(
    out[2]!,
    RegExp(`found another one\\. Run: deno run -A ${PACKAGE}/doctor$`),
  );
  // One line, and no other noise.
  assert.match(
    err,
    RegExp(
      "^Native TensorFlow is not set up, so this runs on the WebAssembly backend, .*\\. " +
        `Run: deno run -A ${PACKAGE}/setup$`,
    ),
  );
  assert.deepEqual(files, ["cache", "main.ts"]);
});

Deno.test({
  name:
    "the import from a registry uses the TensorFlow and the results that jsr:@resnet-lab/resnet-lab/setup has copied",
  ignore: !isSetUp,
  async fn() {
    const { out, err } = await runAsStranger(
      `import { backend, ops } from "jsr:@resnet-lab/resnet-lab/tensor";
      import { cachedExperiment } from "jsr:@resnet-lab/resnet-lab/notebook";
      const { sum } = await cachedExperiment("sums", "1 + 1", () => Promise.resolve({ sum: 0 }));
      console.log(backend(), ops.sum(ops.ones([3])).dataSync()[0], sum);`,
      (folder) => {
        // What setup leaves, without the minutes that it takes.
        const copy = join(folder, "cache", "project", version);
        Deno.mkdirSync(copy, { recursive: true });
        Deno.mkdirSync(join(copy, "data"), { recursive: true });
        Deno.symlinkSync(paths.venv, join(copy, ".venv"));
        const results = JSON.stringify({ "cpu: 1 + 1": { sum: 2 } });
        Deno.writeTextFileSync(join(copy, "data", "sums.json"), results);
      },
    );
    assert.deepEqual(out, ["tensorflow 3 2"]);
    assert.equal(err, "");
  },
});

Deno.test("jsr:@resnet-lab/resnet-lab/doctor runs in a copy of the package in the cache folder", async () => {
  await using registry = new Registry();
  const folder = await Deno.makeTempDir();
  const { stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--quiet", "jsr:@resnet-lab/resnet-lab/doctor", "--help"],
    cwd: folder,
    env: { JSR_URL: registry.url, RESNET_LAB_CACHE: join(folder, "cache"), NO_COLOR: "1" },
  }).output();
  const [out, err] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
  assert.equal(out!.split("  ")[0], `deno run -A ${PACKAGE}/doctor`, err!);
  const copy = join(folder, "cache", "project", version);
  for (const file of ["deno.json", "deno.lock", "requirements.txt", "scripts/setup.ts"]) {
    assert((await Deno.stat(join(copy, file))).isFile);
  }
  await Deno.remove(folder, { recursive: true });
});

/** Runs the first two code cells of a notebook in a kernel, and prints what they output. */
const twoCells = `import json, sys
from jupyter_client import BlockingKernelClient
connection, notebook = sys.argv[1:]
client = BlockingKernelClient(connection_file=connection)
client.load_connection_file()
client.start_channels()
client.wait_for_ready(timeout=120)
def show(message):
    content = message["content"]
    if message["msg_type"] == "stream": print(content["text"], end="")
    if message["msg_type"] == "execute_result": print(*content["data"])
    if message["msg_type"] == "error": print(content["evalue"])
cells = [cell for cell in json.load(open(notebook))["cells"] if cell["cell_type"] == "code"]
for cell in cells[:2]:
    client.execute_interactive("".join(cell["source"]), timeout=240, output_hook=show)
client.stop_channels()`;

Deno.test({
  name:
    "jsr:@resnet-lab/resnet-lab/lab opens JupyterLab on copies of the notebooks in the current folder",
  ignore: !isSetUp,
  async fn() {
    await using registry = new Registry();
    const base = await Deno.makeTempDir(), folder = join(base, "course");
    const project = join(base, "cache", "project", version);
    for (const path of [folder, project]) await Deno.mkdir(path, { recursive: true });
    // What setup leaves, without the minutes that it takes.
    for (const name of [".venv", "node_modules"]) {
      await Deno.symlink(join(root, name), join(project, name));
    }
    await Deno.writeTextFile(join(folder, "02_autograd.ipynb"), "mine");
    const env = {
      ...{ JSR_URL: registry.url, RESNET_LAB_CACHE: join(base, "cache"), NO_COLOR: "1" },
      ...{ RESNET_LAB_SCALE: "smoke", RESNET_LAB_CHECK: "off" },
    };
    const server = new Deno.Command(Deno.execPath(), {
      args: [
        ...["run", "-A", "--quiet", "jsr:@resnet-lab/resnet-lab/lab"],
        ...["--no-browser", "--port=0", "--IdentityProvider.token=secret"],
      ],
      ...{ cwd: folder, env, stdout: "null", stderr: "piped" },
    }).spawn();
    const { address, said } = await startOf(server);
    try {
      assert.doesNotMatch(said(), /Installing JupyterLab|is yours|Compiling/);
      const notebook = join(folder, "01_tensors.ipynb");
      const { cells } = JSON.parse(await Deno.readTextFile(notebook));
      assert(cells.every(({ outputs }: { outputs?: object[] }) => !outputs?.length));
      assert.equal(await Deno.readTextFile(join(folder, "02_autograd.ipynb")), "mine");
      assert((await Deno.stat(join(folder, "images", "lenet.png"))).isFile);
      const page = await Deno.readTextFile(join(folder, "00_start.md"));
      assert(page.includes(`\n    deno run -A ${PACKAGE}/lab --scale smoke\n`), page);
      assert.deepEqual(JSON.parse(await Deno.readTextFile(join(folder, "deno.json"))).imports, {
        "resnet-lab": `jsr:@resnet-lab/resnet-lab@${version}`,
      });

      // The kernel that JupyterLab starts for this notebook.
      const name = "01_tensors.ipynb";
      const start = () =>
        fetch(`${address}api/sessions`, {
          method: "POST",
          headers: { authorization: "token secret" },
          body: JSON.stringify({ path: name, name, type: "notebook", kernel: { name: "deno" } }),
        });
      // JupyterLab prints its address before it listens.
      let response = await start().catch(() => {});
      for (let tries = 0; !response && tries < 300; tries++) {
        await setTimeout(100);
        response = await start().catch(() => {});
      }
      const { kernel: { id } } = await response!.json();
      const connection = join(project, ".cache", "jupyter", "runtime", `kernel-${id}.json`);
      const { stdout, stderr } = await new Deno.Command(paths.python, {
        args: ["-I", "-c", twoCells, connection, notebook],
      }).output();
      const [out, err] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
      assert.match(
        out!,
        /^The backend "tensorflow" computes\. This run is at scale "smoke"\.$/m,
        err!,
      );
      assert.match(out!, /^✓ numbers in one picture/m);
      assert.match(out!, /image\/png/);
    } finally {
      server.kill("SIGTERM");
      await server.status;
      await Deno.remove(base, { recursive: true });
    }
  },
});

Deno.test("what is published stays below JSR's limit of 20 MB", async () => {
  await using registry = new Registry();
  const sizes = Array.from(registry.files.values(), ({ length }) => length);
  // With a margin for files that the tests do not count.
  const total = sizes.reduce((a, b) => a + b);
  assert(total < 19.5e6, `${total} bytes`);
  assert(registry.files.has("/notebooks/01_tensors.ipynb"));
});
