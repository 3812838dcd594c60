import { join } from "node:path";
import { exists, jupyterVariables, projectPaths } from "./environment.ts";
import { setUpOrExit } from "./setup.ts";

if (Deno.args.includes("--help") || Deno.args.includes("-h")) {
  console.log(`Opens JupyterLab on the notebooks, or on a folder with notebooks of your own.

  deno task lab [FOLDER] [OPTIONS OF JUPYTERLAB]

  --no-browser         only print the address
  --port=8888          the port to listen on
  --ip=0.0.0.0         listen to other machines as well
  --help-all           all options of JupyterLab
`);
  Deno.exit();
}

const [folder] = Deno.args;
const ownFolder = folder?.startsWith("-") === false;
if (ownFolder && !exists(folder)) {
  console.error(`There is no folder ${folder} in ${Deno.cwd()}.`);
  Deno.exit(1);
}
const environment = await setUpOrExit({ orContinue: true });
// JupyterLab gets Ctrl-C as well, and ends the kernels.
Deno.addSignalListener("SIGINT", () => {});
const child = new Deno.Command(projectPaths(environment.root).python, {
  args: [
    ...["-I", "-m", "jupyterlab", ...(ownFolder ? [] : [join(environment.root, "notebooks")])],
    "--MultiKernelManager.default_kernel_name=deno",
    // JupyterLab refuses root, which is the usual user in a container.
    ...(Deno.uid() === 0 ? ["--allow-root"] : []),
    ...Deno.args,
  ],
  env: jupyterVariables(environment),
}).spawn();
Deno.addSignalListener("SIGTERM", () => child.kill());
Deno.exit((await child.status).code);
