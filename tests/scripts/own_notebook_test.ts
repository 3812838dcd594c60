/**
 * Tests the section "Your own notebooks" of the README: its deno.json and its cell in a folder
 * beside the project.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { encode } from "fast-png";
import { exists } from "../../scripts/environment.ts";
import { isSetUp, ownFolder, ownNotebooks, paths, root } from "../_project.ts";

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
  ignore: !isSetUp,
  async fn() {
    const { config, cell, prediction } = ownNotebooks;
    assert(config && cell, "the README has the deno.json and the cell");
    assert(cell.trim().split("\n").length < 15, cell);
    await using own = await ownFolder();
    await writePictures(join(own.path, "pictures"));
    const notebook = {
      cells: [{
        ...{ id: "cell-0", cell_type: "code", source: cell },
        ...{ execution_count: null, metadata: {}, outputs: [] },
      }],
      ...{ metadata: {}, nbformat: 4, nbformat_minor: 5 },
    };
    const file = join(own.path, "first.ipynb");
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
    await Deno.writeTextFile(join(own.path, "cell.ts"), cell);
    await Deno.writeTextFile(join(own.path, "prediction.ts"), prediction!);
    await deno(own.path, "check", "cell.ts", "prediction.ts");

    await Deno.copyFile(join(own.path, "pictures", "pears", "3.png"), join(own.path, "new.jpg"));
    assert.match(
      await deno(own.path, "run", "-A", "prediction.ts"),
      /label: 1,\s+className: "pears",\s+probability: [^]*className: "apples"/,
    );
  },
});

Deno.test("a script in a folder beside the project imports resnet-lab and a room of it, without a warning", async () => {
  await using own = await ownFolder();
  const program = 'import { ops } from "resnet-lab";\n' +
    'import { lenet } from "resnet-lab/models";\n' +
    "console.log(lenet().forward(ops.zeros([1, 28, 28, 1])).shape.length);";
  await Deno.writeTextFile(join(own.path, "hello.ts"), program);
  const said = await deno(own.path, "run", "-A", "hello.ts");
  // Deno prints its downloads, the first time on a machine.
  const rest = said.split("\n").filter((line) => !/^(Download|Initialize) /.test(line));
  assert.deepEqual(rest, [
    "2",
    ...(exists(paths.addon)
      ? []
      : [rest.find((line) => line.startsWith("Native TensorFlow is not set up"))]),
    "",
  ]);
});
