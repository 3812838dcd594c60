/** JupyterLab on copies of the notebooks in the current folder, for `lab.ts` beside this file. */
import { join } from "node:path";
import { exists, thisEnvironment, writeAtomically } from "../environment.ts";
import { type Config, findsLibrary, openLab } from "../lab.ts";

/**
 * Writes the `deno.json` with which the notebooks of a folder find the library, unless there is
 * one.
 *
 * @param root The folder of the project, whose version they import.
 */
export async function writeConfig(folder: string, root: string): Promise<void> {
  const { name, version, allowScripts }: Config = JSON.parse(
    await Deno.readTextFile(join(root, "deno.json")),
  );
  if (await findsLibrary(folder)) return;
  const imports = { "resnet-lab": `jsr:${name}@${version}` };
  const file = ["deno.json", "deno.jsonc"].map((name) => join(folder, name)).find(exists);
  if (file === undefined) {
    await writeAtomically(
      join(folder, "deno.json"),
      `${JSON.stringify({ imports, allowScripts }, null, 2)}\n`,
    );
  } else {
    console.error(
      `${file} is yours, so it is left as it is. For the notebooks add this to its imports:\n` +
        `  "resnet-lab": "${imports["resnet-lab"]}"`,
    );
  }
}

if (import.meta.main) {
  await openLab({
    folder: Deno.cwd(),
    prepare: (folder) => writeConfig(folder, thisEnvironment().root),
  });
}
