/**
 * Writes the pictures of the page "Train a network" that stand where scripts are off, to the folder
 * that is its argument.
 */
import { join } from "node:path";
import { makeKit } from "../lib/interactive/kit.ts";
import { picture } from "../lib/interactive/figure.ts";
import { trainingComponent } from "../lib/interactive/training/component.ts";
import { TrainingRun } from "../lib/interactive/training/run.ts";
import { situationOf } from "../lib/interactive/training/settings.ts";

const [folder] = Deno.args;
if (folder === undefined) throw new TypeError("Writing pictures: there must be a folder.");
const link = "step=300", run = new TrainingRun(situationOf(link).settings);
while (run.step < 300) await run.next();
const component = trainingComponent(makeKit(), { run: () => run, shown() {} }, link);
const views = component.views(component.initial);
Deno.mkdirSync(folder, { recursive: true });
for (const name of component.pictures) {
  Deno.writeTextFileSync(join(folder, `${name}.svg`), picture(views[name]!, component.css));
}
