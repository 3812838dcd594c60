/** Tests of the library in Node and Bun: the bundle for them, on WebAssembly. */
import assert from "node:assert/strict";
import { join } from "node:path";
import {
  evaluate,
  fashionMnist,
  fit,
  lenet,
  loadStateDict,
  readSafetensors,
  setSeed,
  sgd,
  stateDict,
  writeSafetensors,
} from "resnet-lab";
import { bundle } from "../../scripts/bundle.ts";
import { onPath } from "../../scripts/environment.ts";
import { assertClose } from "../_helpers.ts";
import { environment, root } from "../_project.ts";

const PROGRAM = `
import * as lab from "./dist/resnet_lab.node.js";
const { train } = await lab.fashionMnist({ subset: true });
const model = lab.lenet({ activation: "relu" });
lab.loadStateDict(model, await lab.readSafetensors("lenet.safetensors"));
const optimizer = lab.sgd(model.parameters(), { learningRate: 0.05, momentum: 0.9 });
const losses = [];
for await (const progress of lab.fit(model, train.take(512), { optimizer, epochs: 1, batchSize: 32, seed: 3 })) {
  if (progress.kind === "step") losses.push(progress.loss);
}
await lab.writeSafetensors("trained.safetensors", lab.stateDict(model));
const message = (call) => Promise.resolve().then(call).then(() => "no error", (error) => error.message);
const axis = { title: "x" };
console.log(JSON.stringify({ backend: lab.backend(), losses, loss: (await lab.evaluate(model, train.take(100))).loss, name: train.constructor.name, messages: [
  await message(() => lab.readImage("lenet.safetensors", { size: [8, 8] })),
  await message(() => lab.barChart(["a"], [1], { x: axis, y: axis }).toPng()),
  await message(() => lab.withPrecision("bf16", () => 1)),
  await message(() => lab.writeSafetensors("no/such.safetensors", lab.stateDict(model))),
]}));
lab.fit(model, train, { optimizer, epochs: 1, batchSize: 32 });`;

/** Trains LeNet from the weights in a file, here. */
async function lossesHere(weights: string): Promise<number[]> {
  const { train } = await fashionMnist({ subset: true });
  const model = lenet({ activation: "relu" });
  loadStateDict(model, await readSafetensors(weights));
  const optimizer = sgd(model.parameters(), { learningRate: 0.05, momentum: 0.9 });
  const options = { optimizer, epochs: 1, batchSize: 32, seed: 3 };
  const { steps } = await fit(model, train.take(512), options);
  return steps.map(({ loss }) => loss);
}

for (const program of ["node", "bun"]) {
  const found = onPath(environment.variables, program);
  Deno.test({
    name: `LeNet trains in ${program} as it does here${found ? "" : " (ignored: it is missing)"}`,
    ignore: !found,
    async fn() {
      const folder = await Deno.makeTempDir(), weights = join(folder, "lenet.safetensors");
      try {
        await bundle(root, join(folder, "dist"), "node");
        // What npm init writes; the folder of the bundle says otherwise.
        await Deno.writeTextFile(join(folder, "package.json"), '{ "type": "commonjs" }');
        setSeed(1);
        await writeSafetensors(weights, stateDict(lenet({ activation: "relu" })));
        await Deno.writeTextFile(join(folder, "train.mjs"), PROGRAM);
        const { code, stdout, stderr } = await new Deno.Command(found!, {
          args: ["train.mjs"],
          cwd: folder,
        }).output();
        const [out, err] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
        assert.equal(code, 0, err!.slice(-2000));
        const { backend, losses, loss, name, messages } = JSON.parse(out!);
        assert.equal(backend, "wasm");
        assert.equal(name, "ImageDataset");
        const here = await lossesHere(weights);
        assert.equal(losses.length, 16);
        assertClose(losses, here, 1e-4);
        assert(losses.at(-1)! < losses[0]! - 0.3, String(losses));
        const trained = lenet({ activation: "relu" });
        loadStateDict(trained, await readSafetensors(join(folder, "trained.safetensors")));
        const { train } = await fashionMnist({ subset: true });
        assertClose([loss], [(await evaluate(trained, train.take(100))).loss], 1e-4);
        const names = Array.from(Deno.readDirSync(folder), ({ name }) => name);
        assert.deepEqual(names.filter((name) => name.endsWith(".part")), []);
        const [picture, chart, precision, missing] = messages;
        assert.match(picture, /must run on Deno or in a web page, found Node or Bun/);
        assert.match(chart, /must run on Deno or in a web page, found Node or Bun/);
        assert.match(precision, /Run it on Deno, which has native TensorFlow\.$/);
        assert.match(missing, /^Writing no\/such\.safetensors: .*no such file or directory/);
        assert.match(err!, /has not started, so nothing was trained/);
      } finally {
        await Deno.remove(folder, { recursive: true });
      }
    },
  });
}

const node = onPath(environment.variables, "node");
Deno.test({
  name: `the program of the README trains LeNet in Node${node ? "" : " (ignored: it is missing)"}`,
  ignore: !node,
  async fn() {
    const readme = await Deno.readTextFile(join(root, "README.md"));
    const [, program] = /\*\*In Node and Bun\.\*\*[^]*?```js ignore\n([^]*?)```/.exec(readme)!;
    const folder = await Deno.makeTempDir();
    try {
      // As npm install makes a package of a folder.
      await bundle(root, join(folder, "dist"), "node");
      await Deno.mkdir(join(folder, "node_modules"));
      await Deno.symlink(join(folder, "dist"), join(folder, "node_modules", "resnet-lab"));
      await Deno.writeTextFile(join(folder, "train.mjs"), program!);
      const { code, stdout, stderr } = await new Deno.Command(node!, {
        args: ["train.mjs"],
        cwd: folder,
      }).output();
      const [out, err] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
      assert.equal(code, 0, err!.slice(-2000));
      const [, accuracy] = /^accuracy (\S+)$/m.exec(out!)!;
      // Guessing is right for a quarter.
      assert(Number(accuracy) > 0.5, out!);
      assert.match(out!, /className: '(disc|ring|square|triangle)'/);
      assert.equal(err, "");
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
});
