/**
 * Opens JupyterLab on copies of the notebooks in the current folder:
 * `deno run -A jsr:@resnet-lab/resnet-lab/lab`.
 *
 * @module
 */
import { runTask } from "./copy.ts";

await runTask("installed/lab_here.ts", { cwd: Deno.cwd() });
