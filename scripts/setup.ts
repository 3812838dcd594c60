import { createHash } from "node:crypto";
import { basename, dirname, join, relative } from "node:path";
import { setTimeout } from "node:timers/promises";
import {
  advice,
  denoVersion,
  type Environment,
  exists,
  findCompiler,
  findNvidiaGpus,
  findPython,
  howToInstallPython,
  isOldDeno,
  loadAddon,
  projectPaths,
  refuseArguments,
  run,
  SetupError,
  tensorFlowFolder,
  thisEnvironment,
  unfinishedPrefix,
  writeAtomically,
} from "./environment.ts";
import { findPrebuilt } from "./prebuilt_addon.ts";
import { adaptPlotlyExtension, plotlyChanges } from "./plotly_extension.ts";

/** A step of set-up. It runs again when `key` has changed or a product is missing. */
interface Step {
  readonly name: string;
  readonly title: string;
  /** A text of everything that the products depend on. */
  readonly key: string;
  readonly products: readonly string[];
  /** The file with the keys of the finished steps. */
  readonly stamp: string;
  readonly make: () => Promise<void>;
}

/**
 * Installs and compiles what the project lacks. It writes nothing to a project that is complete. A
 * step that fails or is stopped leaves no stamp, so the next set-up repeats it. A virtual
 * environment that works is replaced only by a complete new one, in one rename.
 *
 * @param options.parallel Whether to install MPI too, for training on several processes. Once
 * installed it stays.
 * @throws {SetupError} If a step fails; the message contains the remedy.
 */
export async function setUp(environment: Environment, { parallel = false } = {}): Promise<void> {
  const { root, os, signal } = environment;
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
    const steps = await venvSteps(environment, parallel);
    if (await isSetUp(environment, steps) && unfinished(root).length === 0) return;
    using lock = await lockSetUp(environment, steps);
    if (!lock) return;
    await runMissingSteps(environment, parallel);
  } catch (error) {
    if (signal?.aborted) {
      throw new SetupError("It was stopped. Run the same command again to go on.");
    }
    if (error instanceof SetupError) throw error;
    throw new SetupError(advice(error instanceof Error ? error.message : String(error)));
  }
}

/** The steps that fill the virtual environment. MPI is one if it is wanted or was installed. */
async function venvSteps({ root }: Environment, parallel: boolean) {
  const { mpi: before } = await readStamp(projectPaths(root).stamp);
  return [python, addon, jupyter, ...(parallel || before !== undefined ? [mpi] : [])];
}

type VenvSteps = Awaited<ReturnType<typeof venvSteps>>;

/** Whether every step is done. Writes nothing. */
async function isSetUp(environment: Environment, steps: VenvSteps): Promise<boolean> {
  const { venv } = projectPaths(environment.root);
  for (const stepOf of [packages, ...steps]) {
    if (!await isDone(await stepOf(environment, venv))) return false;
  }
  return true;
}

async function isDone({ name, key, products, stamp }: Step): Promise<boolean> {
  return (await readStamp(stamp))[name] === key && products.every(exists);
}

async function runMissingSteps(environment: Environment, parallel: boolean): Promise<void> {
  const { root } = environment;
  const { venv } = projectPaths(root);
  // A set-up that was killed between its two renames has left the old environment here.
  const replaced = join(root, `${unfinishedPrefix}replaced`);
  if (!isThere(venv) && isThere(replaced)) await Deno.rename(replaced, venv);
  const steps = await venvSteps(environment, parallel);

  await make(environment, await packages(environment));
  const inPlace = await isDone(await python(environment, venv));
  const target = inPlace ? venv : await startVenv(environment, replaced);
  for (const stepOf of steps) {
    await make(environment, await stepOf(environment, target));
  }
  if (!inPlace) {
    if (isThere(replaced)) await Deno.remove(replaced, { recursive: true });
    if (isThere(venv)) await Deno.rename(venv, replaced);
    await Deno.rename(target, venv);
  }
  for (const folder of unfinished(root)) await removeUnfinished(folder);
}

/**
 * Removes a folder if possible. A pip of a killed set-up may still write to it; then the next
 * set-up removes it.
 */
async function removeUnfinished(folder: string): Promise<void> {
  await Deno.remove(folder, { recursive: true }).catch(() => {});
}

async function make({ log }: Environment, step: Step): Promise<void> {
  if (await isDone(step)) return;
  log(`${step.title} …`);
  const start = performance.now();
  await step.make();
  const made = { ...await readStamp(step.stamp), [step.name]: step.key };
  await writeAtomically(step.stamp, JSON.stringify(made, null, 2));
  log(`  done in ${((performance.now() - start) / 1000).toFixed(1)} s`);
}

/**
 * Returns the folder for a new virtual environment: one in which an interrupted set-up has finished
 * the Python packages, or else a new one. Other old folders are not reused, because a pip of a
 * killed set-up may still write to them.
 */
async function startVenv(environment: Environment, replaced: string): Promise<string> {
  for (const folder of unfinished(environment.root)) {
    if (folder === replaced) continue;
    if (await isDone(await python(environment, folder))) return folder;
    await removeUnfinished(folder);
  }
  const folder = join(environment.root, `${unfinishedPrefix}${crypto.randomUUID()}`);
  await Deno.mkdir(folder);
  return folder;
}

/** Lists the folders that interrupted set-ups have left. */
function unfinished(root: string): string[] {
  return Array.from(Deno.readDirSync(root), ({ name }) => name)
    .filter((name) => name.startsWith(unfinishedPrefix))
    .map((name) => join(root, name));
}

/**
 * Locks set-up, so that a second one waits for the first. Returns undefined if the project is
 * read-only and complete; then only old folders would have to be removed.
 */
async function lockSetUp(
  environment: Environment,
  steps: VenvSteps,
): Promise<Deno.FsFile | undefined> {
  const { root, log, signal } = environment;
  let file;
  try {
    await Deno.mkdir(join(root, ".cache"), { recursive: true });
    file = await Deno.open(join(root, ".cache", "setup.lock"), { create: true, write: true });
  } catch (error) {
    if (await isSetUp(environment, steps)) return undefined;
    throw error;
  }
  for (let waited = false; !await file.tryLock(true); waited = true) {
    if (!waited) log("Another set-up of this project is running: waiting for it.");
    await setTimeout(200, undefined, { signal });
  }
  return file;
}

/** Whether a path exists, even as a broken link. */
function isThere(path: string): boolean {
  try {
    Deno.lstatSync(path);
    return true;
  } catch {
    return false;
  }
}

/** Reads the keys of the finished steps; empty if there is no file. */
async function readStamp(stamp: string): Promise<Record<string, string>> {
  try {
    return JSON.parse(await Deno.readTextFile(stamp));
  } catch {
    return {};
  }
}

/** The npm packages, from the lock file. */
async function packages(environment: Environment): Promise<Step> {
  const { root, deno } = environment;
  const { addonSource, nodeHeaders, packagesStamp } = projectPaths(root);
  return {
    name: "packages",
    title: "Installing the npm packages",
    key: await hash(root, ["deno.json", "deno.lock"]),
    products: [addonSource, nodeHeaders],
    stamp: packagesStamp,
    async make() {
      const { success, output } = await run(environment, [deno, "install"]);
      if (!success) {
        throw new SetupError(`The npm packages could not be installed. ${advice(output)}`);
      }
    },
  };
}

/** The virtual environment with JupyterLab and TensorFlow, from the pinned requirements. */
async function python(environment: Environment, venv: string): Promise<Step> {
  const { root, log } = environment;
  const { python, stamp } = projectPaths(root, venv);
  const gpu = await findNvidiaGpus(environment) !== undefined;
  const requirements = gpu ? "requirements-gpu.txt" : "requirements.txt";
  return {
    name: "python",
    title: `Installing JupyterLab and TensorFlow (${
      gpu ? "for the GPU, 7 GB" : "2 GB"
    }, 1 to 5 minutes)`,
    key: await hash(root, [requirements]),
    // The system's Python, on which .venv is built, may be removed or replaced by another version,
    // which looks for packages elsewhere.
    products: [python, join(await packagesFolder(environment, python), "jupyterlab")],
    stamp,
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
      try {
        await makeVirtualEnvironment(environment, venv, base.program, base.version);
        const { success, output } = await pip(environment, venv, requirements);
        if (!success) {
          throw new SetupError(`The Python packages could not be installed. ${advice(output)}`);
        }
        await makeRelocatable(root, venv);
      } catch (error) {
        // An incomplete environment is useless, and the disk may be full.
        await Deno.remove(venv, { recursive: true }).catch(() => {});
        throw error;
      }
    },
  };
}

/** Returns the folder of the packages of a Python; an empty text if it does not start. */
async function packagesFolder(environment: Environment, python: string): Promise<string> {
  const { stdout } = await run(environment, [
    python,
    ...["-I", "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
  ]);
  return stdout.trim();
}

async function makeVirtualEnvironment(
  environment: Environment,
  venv: string,
  program: string,
  version: string,
) {
  const { success, output } = await run(environment, [program, "-I", "-m", "venv", venv]);
  if (success) return;
  throw new SetupError(
    /ensurepip|No module named '?venv/.test(output)
      ? `Python ${version} lacks its module venv. Install it (on Debian and Ubuntu: sudo apt install python3-venv) ` +
        "and run this again."
      : `Python could not make the virtual environment in .venv. ${advice(output)}`,
  );
}

/**
 * Makes the programs of a virtual environment find its Python beside themselves. pip writes the
 * absolute path of the environment into them.
 */
async function makeRelocatable(root: string, venv: string) {
  // For a long path or one with spaces, pip writes a header that calls the shell.
  const header = RegExp(
    `^#!(?:/bin/sh\\n'''exec' "?)?${
      RegExp.escape(venv)
    }/bin/(python[\\d.]*)[^\\n]*\\n(?:' '''\\n)?`,
  );
  for await (const { name, isFile } of Deno.readDir(join(venv, "bin"))) {
    const file = join(venv, "bin", name);
    // Larger files are not scripts.
    if (!isFile || (await Deno.stat(file)).size > 100_000) continue;
    const text = await Deno.readTextFile(file);
    if (!text.includes(basename(venv))) continue;
    const portable = text
      .replace(header, (_, python) => {
        return `#!/bin/sh\n'''exec' "$(dirname -- "$(realpath -- "$0")")/${python}" "$0" "$@"\n' '''\n`;
      })
      .replaceAll(basename(venv), basename(projectPaths(root).venv));
    await Deno.writeTextFile(file, portable);
  }
}

/** Runs pip, and ends it with its standard input, so that it does not outlive a killed set-up. */
const pipOnLeash = `import os, runpy, threading
def watch():
    os.read(0, 1)
    os._exit(1)
threading.Thread(target=watch, daemon=True).start()
runpy.run_module("pip", run_name="__main__", alter_sys=True)`;

/** Installs the packages of a requirements file, which pins each by its hash. */
async function pip(environment: Environment, venv: string, requirements: string) {
  const { python } = projectPaths(environment.root, venv);
  const temporary = join(venv, "tmp");
  // Some packages have no wheel for Macs with an Intel processor.
  const intelMac = environment.os === "darwin" && Deno.build.arch === "x86_64";
  await Deno.mkdir(temporary, { recursive: true });
  try {
    return await run(
      environment,
      [
        python,
        ...["-I", "-c", pipOnLeash, "install", "--no-input", "--no-compile"],
        ...(intelMac ? [] : ["--only-binary", ":all:"]),
        ...["--require-hashes", "-r", requirements],
      ],
      {
        extra: {
          ...await pipSettings(environment, python),
          PIP_DISABLE_PIP_VERSION_CHECK: "1",
          // Files that a killed pip leaves are removed with the folder.
          TMPDIR: temporary,
        },
        onLine: environment.status,
        leash: true,
      },
    );
  } finally {
    environment.status("");
    await Deno.remove(temporary, { recursive: true }).catch(() => {});
  }
}

/**
 * The settings of pip for reaching packages. All other settings of the user are ignored, because
 * they could install to another place or break the set-up.
 */
const networkSettings = [
  ...["index-url", "pypi-url", "extra-index-url", "no-index", "find-links", "trusted-host"],
  ...["proxy", "cert", "client-cert", "timeout", "default-timeout", "retries", "keyring-provider"],
  ...["cache-dir", "no-cache-dir", "use-feature", "use-deprecated"],
];

/**
 * Returns the user's {@linkcode networkSettings} of pip, from files and from variables.
 */
async function pipSettings(
  environment: Environment,
  python: string,
): Promise<Record<string, string>> {
  const nameOf = (setting: string) => `PIP_${setting.toUpperCase().replaceAll("-", "_")}`;
  const { PIP_CONFIG_FILE } = environment.variables;
  const { stdout } = await run(environment, [python, "-I", "-m", "pip", "config", "list"], {
    extra: { PIP_QUIET: "0", ...(PIP_CONFIG_FILE === undefined ? {} : { PIP_CONFIG_FILE }) },
  });
  const settings: Record<string, string> = { PIP_CONFIG_FILE: "/dev/null" };
  // A line is install.find-links='/a\n/b': a section, a name and a string of Python.
  for (const [, name, , value] of stdout.matchAll(/^[^.=]+\.([\w-]+)=(['"])(.*)\2$/gm)) {
    if (!networkSettings.includes(name!)) continue;
    settings[nameOf(name!)] = value!.replace(/\\(.)/g, (_, c) => c === "n" ? "\n" : c);
  }
  for (const name of networkSettings.map(nameOf)) {
    const value = environment.variables[name];
    if (value !== undefined) settings[name] = value;
  }
  return settings;
}

/** The suffix of an addon that is not complete yet. */
const partSuffix = ".part.node";

/**
 * The addon that connects TensorFlow.js to TensorFlow: from a package for this platform if one is
 * installed, or else compiled from the C++ in the npm package of TensorFlow.js.
 */
async function addon(environment: Environment, venv: string): Promise<Step> {
  const { root, os } = environment;
  const { addon, addonHeader, addonSource, nodeHeaders, stamp } = projectPaths(root, venv);
  const name = "addon";
  const tensorFlow = tensorFlowFolder(venv);
  if (tensorFlow === undefined) {
    return {
      name,
      title: "Leaving out the TensorFlow.js addon",
      key: "",
      products: [],
      stamp,
      async make() {},
    };
  }
  const [suffix, origin] = os === "darwin" ? ["2.dylib", "@loader_path"] : ["so.2", "$ORIGIN"];
  // Relative to the project, where the compiler runs, so that a moved project keeps its addon.
  const source = relative(root, addonSource);
  const inVenv = relative(venv, tensorFlow);
  const flagsFor = (tensorFlow: string) => [
    ...["-O2", "-shared", "-fPIC", "-std=c++17", "-DNAPI_VERSION=8"],
    // Deno provides the N-API functions when it loads the addon. The linker of macOS needs this
    // option for that.
    ...(os === "darwin" ? ["-undefined", "dynamic_lookup"] : []),
    `-I${relative(root, nodeHeaders)}`,
    `-I${join(tensorFlow, "include")}`,
    ...["-include", relative(root, addonHeader)],
    join(source, "binding", "tfjs_backend.cc"),
    join(source, "binding", "tfjs_binding.cc"),
    join(tensorFlow, `libtensorflow_cc.${suffix}`),
    join(tensorFlow, `libtensorflow_framework.${suffix}`),
    // Any Python that has TensorFlow, so that a package with the addon fits each.
    ...[10, 11, 12, 13].map((minor) =>
      `-Wl,-rpath,${origin}/${inVenv.replace(/python[\d.]+/, `python3.${minor}`)}`
    ),
  ];
  return {
    name,
    title: findPrebuilt(environment, venv) === undefined
      ? "Compiling the TensorFlow.js addon (10 s; with ziglang 1 minute)"
      : "Copying the TensorFlow.js addon from its npm package",
    key: await hash(
      addonSource,
      ["package.json"],
      await Deno.readTextFile(addonHeader),
      ...flagsFor(inVenv),
    ),
    products: [addon],
    stamp,
    async make() {
      for (const { name } of Deno.readDirSync(venv)) {
        if (name.endsWith(partSuffix)) await Deno.remove(join(venv, name));
      }
      const part = join(venv, `${crypto.randomUUID()}${partSuffix}`);
      const prebuilt = findPrebuilt(environment, venv);
      if (prebuilt !== undefined) {
        await Deno.copyFile(prebuilt, part);
        if ((await loadAddon(environment, part)).loads) return await Deno.rename(part, addon);
        environment.log("  the one of the npm package does not load here, so it is compiled");
        await Deno.remove(part);
      }
      await compile(environment, venv, [...flagsFor(relative(root, tensorFlow)), "-o", part]);
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

/**
 * Calls the system's C++ compiler, or else the compiler of the Python package ziglang.
 */
async function compile(environment: Environment, venv: string, flags: readonly string[]) {
  const { python } = projectPaths(environment.root, venv);
  const compiler = await findCompiler(environment);
  if (compiler === undefined) {
    environment.log(
      "  there is no C++ compiler here: installing the Python package ziglang, which has one",
    );
    const { success, output } = await pip(environment, venv, "requirements-ziglang.txt");
    if (!success) {
      throw new SetupError(
        `There is no C++ compiler, and ziglang, which has one, could not be installed. ${
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

/** The Deno kernel with its proxy, and the settings with which JupyterLab starts. */
function jupyter({ root, deno: running }: Environment, venv: string): Promise<Step> {
  const { deno, kernelspec, overrides, python, stamp } = projectPaths(root, venv);
  // Relative, so that the project can be moved.
  const inSpec = (path: string) => `{resource_dir}/${relative(dirname(kernelspec), path)}`;
  const spec = {
    // Stop is a SIGINT, which would end a Python that still starts. The shell ignores the signal,
    // and Python inherits that until the proxy listens.
    argv: [
      ...["/bin/sh", "-c", `trap "" INT; exec "$0" "$@"`],
      ...[inSpec(python), "-I", inSpec(join(venv, "..", "scripts", "kernel"))],
      "{connection_file}",
    ],
    display_name: "Deno",
    language: "typescript",
  };
  const settings = {
    "@jupyterlab/apputils-extension:notification": { fetchNews: "false", checkForUpdates: false },
    // The start page.
    "@jupyterlab/docmanager-extension:plugin": { defaultViewers: { markdown: "Markdown Preview" } },
    // Only what the kernel answers, without all words of the line. The first answer takes seconds.
    "@jupyterlab/completer-extension:manager": {
      availableProviders: { "CompletionProvider:context": -1, "CompletionProvider:kernel": 550 },
      providerTimeout: 5000,
    },
  };
  return Promise.resolve({
    name: "jupyter",
    title: "Registering the Deno kernel",
    key: `${Deno.version.deno} ${JSON.stringify([spec, settings])} ${plotlyChanges}`,
    products: [deno, kernelspec, overrides],
    stamp,
    async make() {
      // Deno may be in npm's cache, which can be emptied. So the kernel gets a hard link to it, or
      // a copy on another disk.
      await Deno.mkdir(dirname(deno), { recursive: true });
      const part = `${deno}.part`;
      if (exists(part)) await Deno.remove(part);
      await Deno.link(running, part).catch(() => Deno.copyFile(running, part));
      await Deno.rename(part, deno);
      await writeAtomically(kernelspec, JSON.stringify(spec, null, 2));
      await writeAtomically(overrides, JSON.stringify(settings, null, 2));
      await adaptPlotlyExtension(venv);
    },
  });
}

/** MPI for training on several processes, from the Python package mpich. */
async function mpi(environment: Environment, venv: string): Promise<Step> {
  const { mpi, mpiexec, stamp } = projectPaths(environment.root, venv);
  const requirements = "requirements-parallel.txt";
  return {
    name: "mpi",
    title: "Installing MPI (13 MB)",
    key: await hash(environment.root, [requirements]),
    products: [mpi, mpiexec],
    stamp,
    async make() {
      const { success, output } = await pip(environment, venv, requirements);
      if (!success) throw new SetupError(`MPI could not be installed. ${advice(output)}`);
    },
  };
}

async function hash(root: string, files: readonly string[], ...texts: string[]): Promise<string> {
  const sum = createHash("sha256");
  for (const file of files) sum.update(await Deno.readFile(join(root, file)));
  for (const text of texts) sum.update(`\0${text}`);
  return sum.digest("hex");
}

/**
 * Sets up this project for a command. A failure or Ctrl-C prints a message and ends the process
 * with exit code 1.
 *
 * @param options.orContinue Whether to continue after a failure if an earlier set-up was complete.
 * @param options.parallel Whether to install MPI too.
 */
export async function setUpOrExit(
  { orContinue = false, parallel = false } = {},
): Promise<Environment> {
  const environment = thisEnvironment();
  const stop = new AbortController();
  const onStop = () => stop.abort();
  const signals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
  for (const signal of signals) Deno.addSignalListener(signal, onStop);
  try {
    await setUp({ ...environment, signal: stop.signal }, { parallel });
  } catch (error) {
    if (!(error instanceof SetupError)) throw error;
    console.error(`\nSet-up is not done. ${error.message}`);
    // The kernelspec is a product of the last step.
    if (stop.signal.aborted || !orContinue || !exists(projectPaths(environment.root).kernelspec)) {
      Deno.exit(1);
    }
    console.error("\nContinuing with an earlier set-up.\n");
  } finally {
    for (const signal of signals) Deno.removeSignalListener(signal, onStop);
  }
  return environment;
}

if (import.meta.main) {
  const does = "only sets up: installs and compiles what is missing; with --parallel MPI too";
  refuseArguments("setup", does, ["--parallel"]);
  await setUpOrExit({ parallel: Deno.args.includes("--parallel") });
}
