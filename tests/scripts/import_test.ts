/** Tests of the import from a registry, as a stranger does it: in an empty folder. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { isSetUp, paths, root } from "../_project.ts";
import { Registry } from "./_registry.ts";

const { version } = JSON.parse(Deno.readTextFileSync(join(root, "deno.json")));

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
    /found another one\. Run: deno run -A jsr:@resnet-lab\/resnet-lab\/doctor$/,
  );
  // One line, and no other noise.
  assert.match(
    err,
    /^Native TensorFlow is not set up, so this runs on the WebAssembly backend, .*\. Run: deno run -A jsr:@resnet-lab\/resnet-lab\/setup$/,
  );
  assert.deepEqual(files, ["cache", "main.ts"]);
});

Deno.test({
  name:
    "the import from a registry uses the TensorFlow that jsr:@resnet-lab/resnet-lab/setup has installed",
  ignore: !isSetUp,
  async fn() {
    const { out, err } = await runAsStranger(
      `import { backend, ops } from "jsr:@resnet-lab/resnet-lab/tensor";
      console.log(backend(), ops.sum(ops.ones([3])).dataSync()[0]);`,
      (folder) => {
        // What setup leaves, without the minutes that it takes.
        const copy = join(folder, "cache", "project", version);
        Deno.mkdirSync(copy, { recursive: true });
        Deno.symlinkSync(paths.venv, join(copy, ".venv"));
      },
    );
    assert.deepEqual(out, ["tensorflow 3"]);
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
  assert.match(out!, /^deno task doctor /, err!);
  const copy = join(folder, "cache", "project", version);
  for (const file of ["deno.json", "deno.lock", "requirements.txt", "scripts/setup.ts"]) {
    assert((await Deno.stat(join(copy, file))).isFile);
  }
  await Deno.remove(folder, { recursive: true });
});
