/** JupyterLab on copies of the notebooks in the current folder, for `lab.ts` beside this file. */
import { join } from "node:path";
import { exists, thisEnvironment, writeAtomically } from "../environment.ts";
import { openLab } from "../lab.ts";

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
  const imports = { "resnet-lab": `jsr:${name}@${version}` };
  const file = ["deno.json", "deno.jsonc"].map((name) => join(folder, name)).find(exists);
  if (file === undefined) {
    await writeAtomically(
      join(folder, "deno.json"),
      `${JSON.stringify({ imports, allowScripts }, null, 2)}\n`,
    );
  } else if (!(await Deno.readTextFile(file)).includes('"resnet-lab"')) {
    console.error(
      `${file} is yours, so it is left as it is. For the notebooks add this to its imports:\n` +
        `  "resnet-lab": "${imports["resnet-lab"]}"`,
    );
  }
}

interface Config {
  readonly name: string;
  readonly version: string;
  readonly allowScripts: object;
}

if (import.meta.main) {
  const folder = Deno.cwd(), command = "deno run -A jsr:@resnet-lab/resnet-lab";
  await openLab({
    folder,
    lab: `${command}/lab`,
    doctor: `${command}/doctor`,
    prepare: () => writeConfig(folder, thisEnvironment().root),
  });
}
