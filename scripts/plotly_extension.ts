import { join } from "node:path";
import { exists, writeAtomically } from "./environment.ts";

/**
 * The place in plotly's extension of JupyterLab that stores a picture of the page in the notebook
 * when the pointer moves over a figure. That picture is as wide as the window, and replaces the one
 * that the library drew.
 */
const storesPicture =
  /(\w+)\.data\["image\/png"\]!==(\w+)&&\1\.setData\(\{data:\{\.\.\.\1\.data,"image\/png":\2\}\}\)/;

/**
 * Removes from plotly's extension of JupyterLab the code that overwrites the pictures in notebooks.
 * It has no setting for that. Its version is pinned by a hash; in another one, where the code is
 * not found, nothing changes, and the browser tests fail.
 */
export async function keepStaticPictures(venv: string): Promise<void> {
  const folder = join(venv, "share", "jupyter", "labextensions", "jupyterlab-plotly", "static");
  if (!exists(folder)) return;
  for (const { name } of Array.from(Deno.readDirSync(folder))) {
    if (!name.endsWith(".js")) continue;
    const file = join(folder, name);
    const text = await Deno.readTextFile(file);
    if (storesPicture.test(text)) {
      await writeAtomically(file, text.replace(storesPicture, "void 0"));
    }
  }
}
