import { createHash } from "node:crypto";
import { dirname, join, relative } from "node:path";
import { setTimeout } from "node:timers/promises";
import {
  denoVersion,
  type Environment,
  exists,
  findCompiler,
  findNvidiaGpus,
  findPython,
  isOldDeno,
  loadAddon,
  places,
  run,
  SetupError,
  tensorFlowFolder,
  thisEnvironment,
} from "./environment.ts";

/** One thing that set-up makes. It is made anew when `key` has changed or a product is gone. */
interface Step {
  readonly name: string;
  readonly title: string;
  /** Everything that the products depend on. */
  readonly key: string;
  readonly products: readonly string[];
  readonly make: () => Promise<void>;
}

/**
 * Makes everything that the project needs, and leaves alone what is there already. A step that fails or is stopped leaves no stamp, so
 * that the next set-up makes it again from its beginning.
 *
 * @throws {SetupError} If a step cannot be done; the message says what to do.
 */
export async function setUp(environment: Environment): Promise<void> {
  const { root, os, log, signal } = environment;
  const { stamp } = places(root);
  if (os !== "linux" && os !== "darwin") {
    throw new SetupError(
      `ResNet Lab runs on Linux and macOS, not on ${os}. On Windows use it inside WSL: run "wsl --install", ` +
        "open Ubuntu, and clone the project there.",
    );
  }
  if (isOldDeno(Deno.version.deno)) {
    throw new SetupError(
      `Deno ${Deno.version.deno} is too old. Start the command with "npx --yes deno@${denoVersion}" in place of "deno".`,
    );
  }
  try {
    using _lock = await lockSetUp(environment);
    const made = await readStamp(stamp);
    for (const plan of [packages, python, addon, jupyter]) {
      const step = await plan(environment);
      if (made[step.name] === step.key && step.products.every(exists)) continue;
      log(`${step.title} …`);
      const start = performance.now();
      await step.make();
      made[step.name] = step.key;
      await writeWhole(stamp, JSON.stringify(made, null, 2));
      log(`  done in ${((performance.now() - start) / 1000).toFixed(1)} s`);
    }
  } catch (error) {
    if (signal?.aborted) {
      throw new SetupError("It was stopped. Run the same command again to go on.");
    }
    if (error instanceof SetupError) throw error;
    throw new SetupError(advice(error instanceof Error ? error.message : String(error)));
  }
}

/** Two set-ups at once would undo each other's work, so the second waits. */
async function lockSetUp({ root, log, signal }: Environment): Promise<Deno.FsFile> {
  await Deno.mkdir(join(root, ".cache"), { recursive: true });
  const file = await Deno.open(join(root, ".cache", "setup.lock"), { create: true, write: true });
  for (let waited = false; !await file.tryLock(true); waited = true) {
    if (!waited) log("Another set-up of this project is running: waiting for it.");
    await setTimeout(200, undefined, { signal });
  }
  return file;
}

/** What is made already: the keys of the steps. Nothing, if set-up never got that far. */
async function readStamp(stamp: string): Promise<Record<string, string>> {
  try {
    return JSON.parse(await Deno.readTextFile(stamp));
  } catch {
    return {};
  }
}

/** The npm packages, by the lock file. */
async function packages(environment: Environment): Promise<Step> {
  const { root, deno } = environment;
  const { addonSource, nodeHeaders } = places(root);
  return {
    name: "packages",
    title: "Installing the npm packages",
    key: await hash(root, ["deno.json", "deno.lock"]),
    products: [addonSource, nodeHeaders],
    async make() {
      const { success, output } = await run(environment, [deno, "install"]);
      if (!success) {
        throw new SetupError(`The npm packages could not be installed. ${advice(output)}`);
      }
    },
  };
}

/** The virtual environment with JupyterLab and TensorFlow, by the pinned requirements. */
async function python(environment: Environment): Promise<Step> {
  const { root, log } = environment;
  const { venv, python } = places(root);
  const gpu = await findNvidiaGpus(environment) !== undefined;
  const requirements = gpu ? "requirements-gpu.txt" : "requirements.txt";
  return {
    name: "python",
    title: `Installing JupyterLab and TensorFlow (${
      gpu ? "for the GPU, 7 GB" : "2 GB"
    }, 1 to 5 minutes)`,
    // Scripts in a virtual environment hold its path, so a folder that was moved needs a new one.
    key: await hash(root, [requirements], root),
    products: [python],
    async make() {
      const { python: base, tooOld } = await findPython(environment);
      if (base === undefined) {
        throw new SetupError(
          `${
            tooOld ? `Python ${tooOld.version} is too old` : "There is no Python"
          }: ResNet Lab needs Python 3.10 to 3.13. ${howToInstallPython(environment)}`,
        );
      }
      if (!base.hasTensorFlow) {
        log(
          `  Python ${base.version} has no TensorFlow yet, so everything will run on the slower WebAssembly backend. ` +
            "For TensorFlow install Python 3.13, delete .venv, and set up again.",
        );
      }
      if (exists(venv)) await Deno.remove(venv, { recursive: true });
      try {
        await makeVirtualEnvironment(environment, base.program, base.version);
        const { success, output } = await pip(environment, ["-r", requirements]);
        if (!success) {
          throw new SetupError(`The Python packages could not be installed. ${advice(output)}`);
        }
      } catch (error) {
        // A half-made one is of no use, and holds space that may be what is missing.
        await Deno.remove(venv, { recursive: true }).catch(() => {});
        throw error;
      }
    },
  };
}

async function makeVirtualEnvironment(environment: Environment, program: string, version: string) {
  const { venv } = places(environment.root);
  const { success, output } = await run(environment, [program, "-I", "-m", "venv", venv]);
  if (success) return;
  throw new SetupError(
    /ensurepip|No module named '?venv/.test(output)
      ? `Python ${version} lacks its module venv. Install it (on Debian and Ubuntu: sudo apt install python3-venv) ` +
        "and run this again."
      : `Python could not make the virtual environment in .venv. ${advice(output)}`,
  );
}

function pip(environment: Environment, what: readonly string[]) {
  const { python } = places(environment.root);
  return run(environment, [
    python,
    "-I",
    "-m",
    "pip",
    "install",
    "--no-input",
    "--no-compile",
    ...what,
  ], {
    extra: { PIP_DISABLE_PIP_VERSION_CHECK: "1" },
    onLine: environment.status,
  }).finally(() => environment.status(""));
}

/** The addon that joins TensorFlow.js to TensorFlow, compiled from the C++ in its npm package. */
async function addon(environment: Environment): Promise<Step> {
  const { root, os } = environment;
  const { venv, addon, addonSource, nodeHeaders } = places(root);
  const name = "addon";
  const tensorFlow = tensorFlowFolder(root);
  if (tensorFlow === undefined) {
    return {
      name,
      title: "Leaving out the TensorFlow.js addon",
      key: "",
      products: [],
      async make() {},
    };
  }
  const [suffix, origin] = os === "darwin" ? ["2.dylib", "@loader_path"] : ["so.2", "$ORIGIN"];
  const flags = [
    ...["-O2", "-shared", "-fPIC", "-std=c++17", "-DNAPI_VERSION=8"],
    // The N-API functions come from Deno when it loads the addon; only the linker of macOS wants to be told.
    ...(os === "darwin" ? ["-undefined", "dynamic_lookup"] : []),
    `-I${nodeHeaders}`,
    `-I${join(tensorFlow, "include")}`,
    join(addonSource, "binding", "tfjs_backend.cc"),
    join(addonSource, "binding", "tfjs_binding.cc"),
    join(tensorFlow, `libtensorflow_cc.${suffix}`),
    join(tensorFlow, `libtensorflow_framework.${suffix}`),
    `-Wl,-rpath,${origin}/${relative(venv, tensorFlow)}`,
  ];
  return {
    name,
    title: "Compiling the TensorFlow.js addon (10 s; with ziglang 1 minute)",
    key: await hash(addonSource, ["package.json"], ...flags),
    products: [addon],
    async make() {
      const part = join(venv, "part.node");
      await compile(environment, [...flags, "-o", part]);
      const { loads, output } = await loadAddon(environment, part);
      if (!loads) {
        throw new SetupError(
          `The TensorFlow.js addon was compiled but does not load. ${advice(output)}`,
        );
      }
      await Deno.rename(part, addon);
    },
  };
}

/** Calls the system's C++ compiler, or the one in the Python package ziglang where the system has none. */
async function compile(environment: Environment, flags: readonly string[]) {
  const { venv, python } = places(environment.root);
  const compiler = await findCompiler(environment);
  if (compiler === undefined) {
    environment.log(
      "  there is no C++ compiler here: fetching the one of the Python package ziglang",
    );
    const { success, output } = await pip(environment, ["ziglang==0.17.1"]);
    if (!success) {
      throw new SetupError(
        `There is no C++ compiler, and ziglang, which would do, could not be installed. ${
          advice(output)
        }`,
      );
    }
  }
  const cache = join(venv, "zig-cache");
  const { success, output } = await run(
    environment,
    compiler === undefined
      ? [python, "-I", "-m", "ziglang", "c++", ...flags]
      : [compiler, ...flags],
    { extra: { ZIG_GLOBAL_CACHE_DIR: cache, ZIG_LOCAL_CACHE_DIR: cache } },
  );
  if (exists(cache)) await Deno.remove(cache, { recursive: true });
  if (!success) {
    throw new SetupError(
      `The TensorFlow.js addon could not be compiled with ${compiler ?? "ziglang"}. ${
        advice(output)
      }`,
    );
  }
}

/** The Deno kernel, and the settings with which JupyterLab starts. */
function jupyter({ root, deno: running }: Environment): Promise<Step> {
  const { deno, kernelspec, overrides } = places(root);
  const files = {
    [kernelspec]: {
      argv: [deno, "jupyter", "--kernel", "--conn", "{connection_file}"],
      display_name: "Deno",
      language: "typescript",
    },
    [overrides]: {
      "@jupyterlab/apputils-extension:notification": { fetchNews: "false", checkForUpdates: false },
    },
  };
  return Promise.resolve({
    name: "jupyter",
    title: "Registering the Deno kernel",
    key: `${Deno.version.deno} ${JSON.stringify(files)}`,
    products: [deno, ...Object.keys(files)],
    async make() {
      // Deno may live in npm's cache, which gets emptied, so the kernel has a link of its own (or a copy, across disks).
      await Deno.mkdir(dirname(deno), { recursive: true });
      if (exists(deno)) await Deno.remove(deno);
      await Deno.link(running, deno).catch(() => Deno.copyFile(running, deno));
      for (const [file, content] of Object.entries(files)) {
        await writeWhole(file, JSON.stringify(content, null, 2));
      }
    },
  });
}

/** Writes a file, or nothing: never a part of it. */
async function writeWhole(file: string, text: string) {
  await Deno.mkdir(dirname(file), { recursive: true });
  await Deno.writeTextFile(`${file}.part`, text);
  await Deno.rename(`${file}.part`, file);
}

async function hash(root: string, files: readonly string[], ...texts: string[]): Promise<string> {
  const sum = createHash("sha256");
  for (const file of files) sum.update(await Deno.readFile(join(root, file)));
  for (const text of texts) sum.update(`\0${text}`);
  return sum.digest("hex");
}

function howToInstallPython({ os }: Environment): string {
  return os === "darwin"
    ? "Install it (brew install python@3.13, or from python.org) and run this again."
    : "Install it (on Debian and Ubuntu: sudo apt install python3 python3-venv; on Fedora: sudo dnf install python3.13) " +
      "and run this again.";
}

/** What to do about a command that failed, judged by what it said. */
function advice(output: string): string {
  if (/No space left on device|ENOSPC|os error 28|Disk quota exceeded/.test(output)) {
    return "The disk is full. Free 5 GB (here, and in the folder for temporary files) and run this again.";
  }
  const unreachable =
    /name resolution|not known|ProxyError|NewConnectionError|ConnectTimeout|ReadTimeout|timed out|dns error|client error \(Connect\)|Network is unreachable/
      .exec(output);
  if (unreachable) {
    return `The network cannot be reached (${
      unreachable[0]
    }). Connect to it (behind a proxy: set HTTPS_PROXY) and run this again.`;
  }
  const said = output.trim().split("\n").filter((line) => !/^(Ignoring |Collecting )/.test(line));
  return `Mend this and run it again:\n${said.slice(-12).map((line) => `  ${line}`).join("\n")}`;
}

/** Sets up this project for a command that needs it. A failure, or Ctrl-C, is told to the user and ends the process with 1. */
export async function setUpOrExit(): Promise<Environment> {
  const environment = thisEnvironment();
  const stop = new AbortController();
  const onInterrupt = () => stop.abort();
  Deno.addSignalListener("SIGINT", onInterrupt);
  try {
    await setUp({ ...environment, signal: stop.signal });
    return environment;
  } catch (error) {
    if (!(error instanceof SetupError)) throw error;
    console.error(`\nSet-up is not done. ${error.message}`);
    Deno.exit(1);
  } finally {
    Deno.removeSignalListener("SIGINT", onInterrupt);
  }
}

if (import.meta.main) await setUpOrExit();
