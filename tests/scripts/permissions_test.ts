/**
 * Tests what the README says about permissions: the flags for training, and the flags for each
 * further action.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { exists } from "../../scripts/environment.ts";
import { paths, root } from "../_project.ts";

const readme = await Deno.readTextFile(join(root, "README.md"));
const [enough = ""] = /--allow-read .*(?= script\.ts`)/.exec(readme) ?? [];
const isSetUp = exists(paths.addon);

/** Runs a program in the project with these permissions only. */
async function run(program: string, ...flags: string[]) {
  const folder = await Deno.makeTempDir({ prefix: "permissions " });
  try {
    const file = join(folder, "script.ts");
    await Deno.writeTextFile(file, program);
    const config = join(root, "deno.json");
    const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "--quiet", "--no-prompt", "--config", config, ...flags, file, folder],
      env: { NO_COLOR: "1" },
    }).output();
    const decoder = new TextDecoder();
    return { code, said: decoder.decode(stdout), warned: decoder.decode(stderr) };
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

function training(options = "") {
  return `
    import { backend, fashionMnist, fit, lenet, sgd } from "resnet-lab";
    const { train } = await fashionMnist({ subset: true });
    const model = lenet(), optimizer = sgd(model.parameters(), { learningRate: 0.1 });
    const few = train.subset(Array.from({ length: 96 }, (_, i) => i));
    let steps = 0;
    for await (const _ of fit(model, few, { optimizer, epochs: 1, batchSize: 32, ${options} })) steps++;
    console.log(backend(), "trained", steps >= 3);`;
}

Deno.test({
  name:
    "a script trains on native TensorFlow with the permissions in the README, without a warning",
  ignore: !isSetUp,
  async fn() {
    assert.equal(enough, "--allow-read --allow-env --allow-ffi");
    const { code, said, warned } = await run(training(), ...enough.split(" "));
    assert.deepEqual({ code, said, warned }, {
      code: 0,
      said: "tensorflow trained true\n",
      warned: "",
    });
  },
});

Deno.test("a script without a permission computes on another backend, and prints one line of warning", async () => {
  const cases = [
    [[], "cpu"],
    [["--allow-env", "--allow-ffi"], "cpu"],
    [["--allow-read"], "wasm"],
    [["--allow-read", "--allow-env"], "wasm"],
  ] as const;
  const program = `
    import { backend, ops } from "resnet-lab";
    console.log(backend(), ops.sum(ops.ones([3])).dataSync()[0]);`;
  for (const [flags, backend] of isSetUp ? cases : cases.slice(0, 2)) {
    const { code, said, warned } = await run(program, ...flags);
    assert.equal(code, 0, warned);
    assert.equal(said, `${backend} 3\n`, flags.join(" "));
    assert.match(
      warned,
      /^Native TensorFlow did not load \(Requires (read|ffi) access.*slower(?: \(2 to 4 times per core\))?\. Start Deno with --allow-read --allow-env --allow-ffi\n$/,
    );
  }
});

for (
  const [permission, what, program] of [
    [
      "--allow-write",
      "saves",
      `import { lenet, stateDict, writeSafetensors } from "resnet-lab";
       await writeSafetensors(Deno.args[0] + "/weights.safetensors", stateDict(lenet()));`,
    ],
    ["--allow-write", "compiles", training("compile: true")],
    [
      "--allow-sys",
      "draws",
      `import { histogram } from "resnet-lab";
       await histogram([1, 2, 3], { title: "t", x: { title: "x" } }).toPng();`,
    ],
  ] as const
) {
  Deno.test({
    name: `a script that ${what} needs ${permission} as well, as the README says`,
    ignore: !isSetUp,
    async fn() {
      const flags = enough.split(" ");
      const { code, warned } = await run(program, ...flags);
      assert.equal(code, 1);
      assert(warned.includes(permission), warned);
      const { code: codeThen, warned: thenWarned } = await run(program, ...flags, permission);
      assert.equal(codeThen, 0, thenWarned);
      assert.match(readme, RegExp(`\\| .${permission}. +\\|`));
    },
  });
}
