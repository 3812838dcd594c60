/** Tests of the import from a registry, as a stranger does it: in an empty folder. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { Registry } from "./_registry.ts";

/** Runs a program in an empty folder, with a registry on loopback. */
async function runAsStranger(program: string) {
  await using registry = new Registry();
  const folder = await Deno.makeTempDir();
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
  assert.equal(code, 0, err);
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
  assert.match(out[2]!, /found another one\. Native TensorFlow needs a clone of the project/);
  // One line, and no other noise.
  assert.match(err, /^Native TensorFlow is not set up, so this runs on the WebAssembly .*$/);
  assert.deepEqual(files, ["cache", "main.ts"]);
});
