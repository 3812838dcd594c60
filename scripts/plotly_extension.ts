import { join } from "node:path";
import { exists, writeAtomically } from "./environment.ts";

/**
 * The changes of plotly's extension of JupyterLab, which has no settings: texts of its code, and
 * their replacements.
 */
export const plotlyChanges: readonly (readonly [text: RegExp, replacement: string])[] = [
  // When the pointer moves over a figure, it stores a picture of the page in the notebook, as wide
  // as the window, in place of the one that the library drew.
  [
    /(\w+)\.data\["image\/png"\]!==(\w+)&&\1\.setData\(\{data:\{\.\.\.\1\.data,"image\/png":\2\}\}\)/,
    "void 0",
  ],
  // A picture is cut off where the window is narrower.
  [
    /(this\._img_el)\.className="plot-img"(?!,this\._img_el\.style)/,
    '$1.className="plot-img",$1.style.cssText="max-width:100%;height:auto"',
  ],
];

/**
 * Changes plotly's extension of JupyterLab, whose version is pinned by a hash. A text that is not
 * found is left out, because figures work without these changes; tests look for them.
 */
export async function adaptPlotlyExtension(venv: string): Promise<void> {
  const folder = join(venv, "share", "jupyter", "labextensions", "jupyterlab-plotly", "static");
  if (!exists(folder)) return;
  for (const { name } of Array.from(Deno.readDirSync(folder))) {
    if (!name.endsWith(".js")) continue;
    const file = join(folder, name);
    const text = await Deno.readTextFile(file);
    const changed = plotlyChanges.reduce((text, change) => text.replace(...change), text);
    if (changed !== text) await writeAtomically(file, changed);
  }
}
