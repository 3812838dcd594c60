import { join } from "node:path";
import { jupyterVariables, places } from "./environment.ts";
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

const environment = await setUpOrExit({ orGoOn: true });
const ownFolder = Deno.args[0]?.startsWith("-") === false;
// Ctrl-C reaches JupyterLab as well, and it is JupyterLab that ends the kernels.
Deno.addSignalListener("SIGINT", () => {});
const child = new Deno.Command(places(environment.root).python, {
  args: [
    ...["-I", "-m", "jupyterlab", ...(ownFolder ? [] : [join(environment.root, "notebooks")])],
    "--MultiKernelManager.default_kernel_name=deno",
    // In a container everybody is root, and JupyterLab would refuse.
    ...(Deno.uid() === 0 ? ["--allow-root"] : []),
    ...Deno.args,
  ],
  env: jupyterVariables(environment),
}).spawn();
Deno.addSignalListener("SIGTERM", () => child.kill());
Deno.exit((await child.status).code);
