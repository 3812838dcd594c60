/**
 * What setSeed() says of threads: with a fixed number of them, results do not depend on the number
 * of cores.
 */
import assert from "node:assert/strict";
import { backend } from "resnet-lab";

const program = `
import { cifarResnet, crossEntropy, ops, Random, setSeed, sgd, valueAndGradients } from "resnet-lab";
setSeed(1);
const model = cifarResnet({ depth: 20 }), optimizer = sgd(model.parameters(), { learningRate: 0.1 });
const images = new Random(2).normal([32, 32, 32, 3]);
const labels = ops.tensor(Array.from({ length: 32 }, (_, i) => i % 10), [32], "int32");
const losses = [1, 2, 3].map(() => {
  const loss = () => crossEntropy(model.forward(images, { training: true }), labels);
  const { value, gradients } = valueAndGradients(loss, model.parameters());
  optimizer.step(gradients);
  return value.dataSync()[0];
});
console.log(losses.join(" "));
`;

/** The losses of three steps on the first so many cores, by a number of threads. */
async function losses(cores: string, threads: number): Promise<string> {
  const config = new URL("../../deno.json", import.meta.url).pathname;
  const file = await Deno.makeTempFile({ suffix: ".ts" });
  try {
    await Deno.writeTextFile(file, program);
    const { code, stdout, stderr } = await new Deno.Command("taskset", {
      args: ["-c", cores, Deno.execPath(), "run", "-A", "--no-check", "--config", config, file],
      env: { TF_NUM_INTRAOP_THREADS: String(threads), NO_COLOR: "1" },
    }).output();
    assert.equal(code, 0, new TextDecoder().decode(stderr));
    return new TextDecoder().decode(stdout);
  } finally {
    await Deno.remove(file);
  }
}

async function hasTwoCores(): Promise<boolean> {
  try {
    return (await new Deno.Command("taskset", { args: ["-c", "0,1", "true"] }).output()).success &&
      navigator.hardwareConcurrency > 1;
  } catch {
    return false;
  }
}

Deno.test(
  "a fixed number of threads gives the same training on one core and on two, to the last bit",
  { ignore: backend() !== "tensorflow" || !(await hasTwoCores()) },
  async () => {
    for (const threads of [1, 3]) {
      const one = await losses("0", threads);
      assert.match(one, /^\d+\.\d+ \d+\.\d+ \d+\.\d+\n$/);
      assert.equal(await losses("0,1", threads), one);
    }
  },
);
