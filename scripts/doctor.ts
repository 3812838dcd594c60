import { statfs } from "node:fs/promises";
import { join } from "node:path";
import {
  denoVersion,
  type Environment,
  exists,
  findCompiler,
  findNvidiaGpus,
  findPython,
  isOldDeno,
  jupyterVariables,
  loadAddon,
  places,
  refuseArguments,
  run,
  tensorFlowFolder,
  thisEnvironment,
} from "./environment.ts";

/** One thing that was looked for. */
export interface Finding {
  readonly what: string;
  /** What is there; undefined if nothing is. */
  readonly found?: string;
  /** What to do if it is missing. */
  readonly mend: string;
  /** Whether everything works without it, though less well. */
  readonly optional?: boolean;
}

const setUpAgain = `npx --yes deno@${denoVersion} task setup`;

/** Looks at everything that the project needs. Changes nothing of it. */
export function examine(environment: Environment): Promise<Finding[]> {
  return Promise.all([
    deno(environment),
    python(environment),
    compiler(environment),
    packages(environment),
    jupyter(environment),
    kernel(environment),
    tensorFlow(environment),
    gpu(environment),
    dataSets(environment),
    disk(environment),
  ]);
}

function deno({ deno }: Environment): Finding {
  return {
    what: "Deno",
    found: isOldDeno(Deno.version.deno) ? undefined : `${Deno.version.deno}, ${deno}`,
    mend: `${Deno.version.deno} is too old; start every command with npx --yes deno@${denoVersion}`,
  };
}

async function python(environment: Environment): Promise<Finding> {
  const { python, tooOld } = await findPython(environment);
  return {
    what: "Python",
    found: python && `${python.version}${python.hasTensorFlow ? "" : ", which has no TensorFlow"}`,
    mend: (tooOld ? `${tooOld.version} is too old; ` : "") +
      "install Python 3.10 to 3.13 (Debian, Ubuntu: sudo apt install python3 python3-venv)",
    // A virtual environment that works has one.
    optional: exists(places(environment.root).python),
  };
}

async function compiler(environment: Environment): Promise<Finding> {
  return {
    what: "C++ compiler",
    found: await findCompiler(environment),
    mend: "nothing to do: set-up takes the one in the Python package ziglang",
    optional: true,
  };
}

function packages({ root }: Environment): Finding {
  const { addonSource, nodeHeaders } = places(root);
  return {
    what: "npm packages",
    found: [addonSource, nodeHeaders].every(exists) ? "node_modules" : undefined,
    mend: setUpAgain,
  };
}

async function jupyter(environment: Environment): Promise<Finding> {
  const { python } = places(environment.root);
  const { success, stdout } = await run(environment, [
    python,
    "-I",
    "-m",
    "jupyterlab",
    "--version",
  ]);
  return {
    what: "JupyterLab",
    found: success ? `${stdout.trim()}, .venv` : undefined,
    mend: setUpAgain,
  };
}

/** Starts a kernel as JupyterLab does, and has it compute something. */
const kernelTrial = `from jupyter_client.manager import start_new_kernel
manager, client = start_new_kernel(startup_timeout=30, kernel_name="deno")
try:
    reply = client.execute_interactive("1 + 1", timeout=30, output_hook=lambda message: None)
    assert reply["content"]["status"] == "ok", reply["content"]
finally:
    client.stop_channels()
    manager.shutdown_kernel(now=True)`;

async function kernel(environment: Environment): Promise<Finding> {
  const { deno, python } = places(environment.root);
  const [{ success, output }, version] = await Promise.all([
    run(environment, [python, "-I", "-c", kernelTrial], { extra: jupyterVariables(environment) }),
    run(environment, [deno, "--version"]),
  ]);
  return {
    what: "Deno kernel",
    found: success ? version.stdout.split("\n")[0] : undefined,
    mend: exists(python)
      ? `it does not start; delete .venv and run ${setUpAgain} (${
        output.trim().split("\n").at(-1)
      })`
      : setUpAgain,
  };
}

async function tensorFlow(environment: Environment): Promise<Finding> {
  const { addon, python, venv } = places(environment.root);
  if (!exists(addon)) {
    return {
      what: "Native TensorFlow",
      mend: exists(python) && tensorFlowFolder(venv) === undefined
        ? `install Python 3.10 to 3.13, delete .venv, and run ${setUpAgain}; ` +
          "until then lib runs on the slower WebAssembly backend"
        : setUpAgain,
    };
  }
  const { loads, tensorFlow, usesGpu, output } = await loadAddon(environment, addon);
  return {
    what: "Native TensorFlow",
    found: loads ? `${tensorFlow}, on the ${usesGpu ? "GPU" : "processor"}` : undefined,
    mend: `the addon does not load; delete .venv and run ${setUpAgain} (${
      output.trim().split("\n")[0]
    })`,
  };
}

async function gpu(environment: Environment): Promise<Finding> {
  return {
    what: "NVIDIA GPU",
    found: await findNvidiaGpus(environment),
    mend:
      `nothing to do: the scale cpu does without (with a GPU: install its driver, then ${setUpAgain})`,
    optional: true,
  };
}

async function dataSets(environment: Environment): Promise<Finding> {
  const folder = join(environment.root, "data");
  const shipped = exists(folder)
    ? Array.from(Deno.readDirSync(folder)).filter((entry) => entry.isDirectory)
    : [];
  // Asked in a process of its own, because lib may not be loadable when the doctor is needed.
  const { success, output } = await run(environment, [
    environment.deno,
    ...[
      "eval",
      'import { cacheFolder } from "./lib/data/download.ts"; console.log(cacheFolder());',
    ],
  ]);
  const cache = output.trim();
  const downloaded = success && exists(cache)
    ? Array.from(Deno.readDirSync(cache)).filter((entry) => entry.isDirectory)
    : [];
  const system = "/usr/share/datasets/fashion-mnist";
  const found = [
    ...shipped.map(({ name }) => `data/${name}`),
    ...downloaded.map(({ name }) => join(cache, name)),
    ...(exists(system) ? [system] : []),
  ];
  return {
    what: "Data sets",
    found: found.length > 0 ? found.join(", ") : undefined,
    mend: "git checkout -- data",
  };
}

async function disk({ root }: Environment): Promise<Finding> {
  const { bavail, bsize } = await statfs(root);
  const free = bavail * bsize / 1e9;
  const needed = exists(places(root).stamp) ? 1 : 5;
  return {
    what: "Disk",
    found: free >= needed ? `${free.toFixed(0)} GB free` : undefined,
    mend: `only ${free.toFixed(1)} GB are free; free ${needed} GB`,
  };
}

if (import.meta.main) {
  refuseArguments("doctor", "says what is there, what is missing, and what mends it");
  const findings = await examine(thisEnvironment());
  for (const { what, found, mend, optional } of findings) {
    const sign = found !== undefined ? "✓" : optional ? "–" : "✗";
    console.log(`${sign} ${what.padEnd(18)} ${found ?? mend}`);
  }
  const missing = findings.filter(({ found, optional }) => found === undefined && !optional);
  if (missing.length > 0) {
    console.log(`\nMissing: ${missing.map(({ what }) => what).join(", ")}`);
    Deno.exit(1);
  }
}
