import { statfs } from "node:fs/promises";
import { join } from "node:path";
import {
  cacheFolder,
  commandOf,
  denoVersion,
  installedVersion,
} from "../lib/tensor/installation.ts";
import {
  type Environment,
  exists,
  findCompiler,
  findNvidiaGpus,
  findPython,
  isOldDeno,
  jupyterVariables,
  loadAddon,
  projectPaths,
  refuseArguments,
  run,
  tensorFlowFolder,
  thisEnvironment,
} from "./environment.ts";

/** A thing that the project needs, and whether it is there. */
export interface Check {
  readonly name: string;
  /** A description of the thing that was found; undefined if it is missing. */
  readonly found?: string;
  /** The instructions if it is missing. */
  readonly fix: string;
  /** Whether the project works without it, only less well. */
  readonly optional?: boolean;
}

const setUpAgain = commandOf("setup");

/** Whether this is a clone, in whose folder the reader is. Else it is in the cache folder. */
function isClone(): boolean {
  return installedVersion() === undefined;
}

/** The virtual environment, as a reader of the message finds it. */
function venvOf({ root }: Environment): string {
  return isClone() ? ".venv" : projectPaths(root).venv;
}

/** Checks everything that the project needs, and changes nothing. */
export function runChecks(environment: Environment): Promise<Check[]> {
  return Promise.all([
    installation(environment),
    deno(environment),
    python(environment),
    compiler(environment),
    packages(environment),
    jupyter(environment),
    kernel(environment),
    tensorFlow(environment),
    gpu(environment),
    mpi(environment),
    dataSets(environment),
    disk(environment),
  ]);
}

/** Where the files are that the other lines name. */
function installation({ root }: Environment): Check {
  return { name: "ResNet Lab", found: root, fix: "" };
}

function deno({ deno }: Environment): Check {
  return {
    name: "Deno",
    found: isOldDeno(Deno.version.deno) ? undefined : `${Deno.version.deno}, ${deno}`,
    fix: `${Deno.version.deno} is too old; start every command with npx --yes deno@${denoVersion}` +
      (isClone() ? "" : " in place of deno"),
  };
}

async function python(environment: Environment): Promise<Check> {
  const { python, tooOld } = await findPython(environment);
  return {
    name: "Python",
    found: python && `${python.version}${python.hasTensorFlow ? "" : ", which has no TensorFlow"}`,
    fix: (tooOld ? `${tooOld.version} is too old; ` : "") +
      "install Python 3.10 to 3.13 (Debian, Ubuntu: sudo apt install python3 python3-venv)",
    // A finished virtual environment contains a Python.
    optional: exists(projectPaths(environment.root).python),
  };
}

async function compiler(environment: Environment): Promise<Check> {
  return {
    name: "C++ compiler",
    found: await findCompiler(environment),
    fix: "nothing to do: set-up uses the compiler of the Python package ziglang",
    optional: true,
  };
}

function packages({ root }: Environment): Check {
  const { addonSource, nodeHeaders } = projectPaths(root);
  return {
    name: "npm packages",
    found: [addonSource, nodeHeaders].every(exists) ? "node_modules" : undefined,
    fix: setUpAgain,
  };
}

async function jupyter(environment: Environment): Promise<Check> {
  const { python } = projectPaths(environment.root);
  const { success, stdout } = await run(environment, [
    python,
    "-I",
    "-m",
    "jupyterlab",
    "--version",
  ]);
  return {
    name: "JupyterLab",
    found: success ? `${stdout.trim()}, .venv` : undefined,
    fix: setUpAgain,
  };
}

/**
 * Starts a kernel as JupyterLab does, and executes two cells: one that works, and one whose error
 * the proxy finds with Deno's parser.
 */
const kernelTrial = `from jupyter_client.manager import start_new_kernel
manager, client = start_new_kernel(startup_timeout=30, kernel_name="deno")
try:
    for cell, expected in (("1 + 1", None), ("let = ;", "SyntaxError")):
        reply = client.execute_interactive(cell, timeout=30, output_hook=lambda message: None)
        assert reply["content"].get("ename") == expected, reply["content"]
finally:
    client.stop_channels()
    manager.shutdown_kernel(now=True)`;

async function kernel(environment: Environment): Promise<Check> {
  const { deno, python } = projectPaths(environment.root);
  const [{ success, output }, version] = await Promise.all([
    run(environment, [python, "-I", "-c", kernelTrial], { extra: jupyterVariables(environment) }),
    run(environment, [deno, "--version"]),
  ]);
  return {
    name: "Deno kernel",
    found: success ? version.stdout.split("\n")[0] : undefined,
    fix: exists(python)
      ? `it does not start; delete ${venvOf(environment)} and run ${setUpAgain} (${
        output.trim().split("\n").at(-1)
      })`
      : setUpAgain,
  };
}

async function tensorFlow(environment: Environment): Promise<Check> {
  const { addon, python, venv } = projectPaths(environment.root);
  if (!exists(addon)) {
    return {
      name: "Native TensorFlow",
      fix: exists(python) && tensorFlowFolder(venv) === undefined
        ? `install Python 3.10 to 3.13, delete ${venvOf(environment)}, and run ${setUpAgain}; ` +
          "until then lib runs on the slower WebAssembly backend"
        : setUpAgain,
    };
  }
  const { loads, tensorFlow, usesGpu, output } = await loadAddon(environment, addon);
  return {
    name: "Native TensorFlow",
    found: loads ? `${tensorFlow}, on the ${usesGpu ? "GPU" : "processor"}` : undefined,
    fix: `the addon does not load; delete ${venvOf(environment)} and run ${setUpAgain} (${
      output.trim().split("\n")[0]
    })`,
  };
}

async function gpu(environment: Environment): Promise<Check> {
  return {
    name: "NVIDIA GPU",
    found: await findNvidiaGpus(environment),
    fix:
      `nothing to do: the scale cpu needs none (with a GPU: install its driver, then ${setUpAgain})`,
    optional: true,
  };
}

function mpi({ root }: Environment): Check {
  const { mpi, mpiexec } = projectPaths(root);
  return {
    name: "MPI",
    found: [mpi, mpiexec].every(exists)
      ? `MPICH, .venv; run a program with ${commandOf("parallel")} -n 4 PROGRAM`
      : undefined,
    fix: `for training on several processes: ${setUpAgain} --parallel`,
    optional: true,
  };
}

function dataSets({ root }: Environment): Check {
  const subset = join("data", "fashion_mnist_subset");
  const cache = cacheFolder();
  // The folder "project" has the copies of the library itself.
  const downloaded = exists(cache)
    ? Array.from(Deno.readDirSync(cache)).filter(({ name, isDirectory }) =>
      isDirectory && name !== "project"
    )
    : [];
  const system = "/usr/share/datasets/fashion-mnist";
  const found = [
    ...(exists(join(root, subset)) ? [subset] : []),
    ...downloaded.map(({ name }) => join(cache, name)),
    ...(exists(system) ? [system] : []),
  ];
  return {
    name: "Data sets",
    found: found.length > 0 ? found.join(", ") : undefined,
    fix: isClone() ? "git checkout -- data" : `delete ${root} and run ${setUpAgain}`,
  };
}

async function disk({ root }: Environment): Promise<Check> {
  const { bavail, bsize } = await statfs(root);
  const free = bavail * bsize / 1e9;
  const needed = exists(projectPaths(root).stamp) ? 1 : 5;
  return {
    name: "Disk",
    found: free >= needed ? `${free.toFixed(0)} GB free` : undefined,
    fix: `only ${free.toFixed(1)} GB are free; free ${needed} GB`,
  };
}

if (import.meta.main) {
  refuseArguments(
    "doctor",
    "shows what is installed, what is missing, and the command that fixes it",
  );
  const checks = await runChecks(thisEnvironment());
  for (const { name, found, fix, optional } of checks) {
    const sign = found !== undefined ? "✓" : optional ? "–" : "✗";
    console.log(`${sign} ${name.padEnd(18)} ${found ?? fix}`);
  }
  const missing = checks.filter(({ found, optional }) => found === undefined && !optional);
  if (missing.length > 0) {
    console.log(`\nMissing: ${missing.map(({ name }) => name).join(", ")}`);
    Deno.exit(1);
  }
}
