/**
 * Tests the section "Your own notebooks" of the README: its deno.json and its cell in a folder
 * beside the project.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { encode } from "fast-png";
import { exists, projectPaths, thisEnvironment } from "../../scripts/environment.ts";

const { root } = thisEnvironment();
const readme = await Deno.readTextFile(join(root, "README.md"));
const block = "[^]*?```ts ignore\\n([^]*?)```";
const [, config, cell, prediction] =
  new RegExp(`## Your own notebooks\\n[^]*?\`\`\`json\\n([^]*?)\`\`\`${block}${block}`)
    .exec(readme) ?? [];

async function deno(cwd: string, ...args: string[]): Promise<string> {
  const command = new Deno.Command(Deno.execPath(), { args, cwd, env: { NO_COLOR: "1" } });
  const { code, stdout, stderr } = await command.output();
  const text = new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
  assert.equal(code, 0, text);
  return text;
}

/**
 * Writes pictures of red apples and green pears, all a little different, and a file that is no
 * picture.
 */
async function writePictures(folder: string): Promise<void> {
  for (const [name, color] of [["apples", [220, 40, 30]], ["pears", [90, 190, 60]]] as const) {
    await Deno.mkdir(join(folder, name), { recursive: true });
    for (let i = 0; i < 10; i++) {
      const data = Uint8Array.from({ length: 20 * 24 * 3 }, (_, n) => {
        return color[n % 3]! + (n * 7919 + i * 104729) % 61 - 30;
      });
      const picture = encode({ width: 20, height: 24, channels: 3, data });
      await Deno.writeFile(join(folder, name, `${i}.png`), picture);
    }
  }
  await Deno.writeTextFile(join(folder, "pears", "broken.jpg"), "no picture");
}

Deno.test({
  name:
    "a notebook in a folder beside the project trains on pictures of its own, as the README says",
  // The notebook needs the kernel, which set-up installs.
  ignore: !exists(projectPaths(root).stamp),
  async fn() {
    assert(config && cell, "the README has the deno.json and the cell");
    assert(cell.trim().split("\n").length < 15, cell);
    const beside = await Deno.makeTempDir({ prefix: "beside " });
    try {
      const own = join(beside, "own");
      await writePictures(join(own, "pictures"));
      await Deno.symlink(root, join(beside, "resnet-lab"));
      await Deno.writeTextFile(join(own, "deno.json"), config);
      const notebook = {
        cells: [{
          ...{ id: "cell-0", cell_type: "code", source: cell },
          ...{ execution_count: null, metadata: {}, outputs: [] },
        }],
        ...{ metadata: {}, nbformat: 4, nbformat_minor: 5 },
      };
      const file = join(own, "first.ipynb");
      await Deno.writeTextFile(file, JSON.stringify(notebook));
      await deno(root, "run", "-A", join(root, "scripts", "run.ts"), file, "--write");

      const [{ outputs }] = JSON.parse(await Deno.readTextFile(file)).cells;
      const chart = outputs.find((output: { data?: object }) => output.data)?.data;
      // 8 of each class to train on, in batches of 8.
      assert.match(String(chart?.["text/plain"]), /Finished 20 steps/);
      assert.match(chart["image/png"], /^iVBOR/);
      const said = outputs.flatMap(({ text }: { text?: string | string[] }) => text ?? []).join("");
      assert.match(
        said,
        /100\.0 % right on 4 pictures it never saw\nNot read: \[\s+\{\s+file: "pears\/broken\.jpg"/,
      );

      // The kernel does not check types.
      await Deno.writeTextFile(join(own, "cell.ts"), cell);
      await Deno.writeTextFile(join(own, "prediction.ts"), prediction!);
      await deno(own, "check", "cell.ts", "prediction.ts");

      await Deno.copyFile(join(own, "pictures", "pears", "3.png"), join(own, "new.jpg"));
      assert.match(
        await deno(own, "run", "-A", "prediction.ts"),
        /label: 1,\s+className: "pears",\s+probability: [^]*className: "apples"/,
      );
    } finally {
      await Deno.remove(beside, { recursive: true });
    }
  },
});

Deno.test("a script in a folder beside the project imports resnet-lab and a room of it, without a warning", async () => {
  const beside = await Deno.makeTempDir({ prefix: "beside " });
  try {
    const own = join(beside, "own");
    await Deno.mkdir(own);
    await Deno.symlink(root, join(beside, "resnet-lab"));
    await Deno.writeTextFile(join(own, "deno.json"), config!);
    const program = 'import { ops } from "resnet-lab";\n' +
      'import { lenet } from "resnet-lab/models";\n' +
      "console.log(lenet().forward(ops.zeros([1, 28, 28, 1])).shape.length);";
    await Deno.writeTextFile(join(own, "hello.ts"), program);
    const said = await deno(own, "run", "-A", "hello.ts");
    // Deno prints its downloads, the first time on a machine.
    const rest = said.split("\n").filter((line) => !/^(Download|Initialize) /.test(line));
    assert.deepEqual(rest, [
      "2",
      ...(exists(projectPaths(root).addon)
        ? []
        : [rest.find((line) => line.startsWith("Native TensorFlow is not set up"))]),
      "",
    ]);
  } finally {
    await Deno.remove(beside, { recursive: true });
  }
});
