import { delimiter, dirname, join } from "node:path";
import { commandOf, denoVersion } from "../lib/tensor/installation.ts";

/** The project that set-up works on, and the surroundings of the commands that it starts. */
export interface Environment {
  /** The project's folder. */
  readonly root: string;
  /** The environment variables of every command; programs are looked up on its `PATH`. */
  readonly variables: Readonly<Record<string, string>>;
  readonly os: typeof Deno.build.os;
  /** The Deno executable. */
  readonly deno: string;
  /** Prints a line. */
  readonly log: (line: string) => void;
  /** Shows the current action in place of the one before. */
  readonly status: (line: string) => void;
  /** Ends the running command. */
  readonly signal?: AbortSignal;
}

export { denoVersion };

/** The scales at which notebooks run. */
export const scaleNames: readonly string[] = ["smoke", "cpu", "gpu"];

/** Whether a version such as "2.1.10" is older than {@linkcode denoVersion}. */
export function isOldDeno(version: string): boolean {
  return version.localeCompare(denoVersion, "en", { numeric: true }) < 0;
}

/** A set-up that cannot continue. The message tells the user the reason and the remedy. */
export class SetupError extends Error {
  override name = "SetupError";
}

/**
 * Ends a task that takes no arguments but those of a list if there is another: with a line of help
 * for `--help`, else with exit code 1.
 */
export function refuseArguments(
  task: string,
  does: string,
  known: readonly string[] = [],
): void {
  const argument = Deno.args.find((argument) => !known.includes(argument));
  if (argument === undefined) return;
  const isHelp = argument === "--help" || argument === "-h";
  if (!isHelp) {
    const allowed = known.length > 0 ? `no argument but ${known.join(", ")}` : "no arguments";
    console.error(`Starting the task ${task}: there must be ${allowed}, found ${argument}.\n`);
  }
  console.log(`${commandOf(task)}    ${does}`);
  Deno.exit(isHelp ? 0 : 1);
}

/** Returns the environment of this process and of the project that contains this file. */
export function thisEnvironment(): Environment {
  return {
    root: join(import.meta.dirname!, ".."),
    variables: Deno.env.toObject(),
    os: Deno.build.os,
    deno: Deno.execPath(),
    log: (line) => console.error(line),
    status: (line) => {
      if (!Deno.stderr.isTerminal()) return;
      const { columns } = Deno.consoleSize();
      Deno.stderr.writeSync(new TextEncoder().encode(`\r\x1b[K${line.slice(0, columns - 1)}\r`));
    },
  };
}

/** The prefix of the temporary folders of set-up; a random name follows it. */
export const unfinishedPrefix = ".venv.";

/**
 * Returns the paths that set-up writes. Almost all are in one virtual environment, so that deleting
 * `.venv` undoes set-up. No file in it contains its own path, so the project can be moved.
 *
 * @param venv The virtual environment; a temporary folder until set-up is complete.
 */
export function projectPaths(root: string, venv: string = join(root, ".venv")) {
  return {
    venv,
    python: join(venv, "bin", "python"),
    deno: join(venv, "bin", "deno"),
    addon: join(venv, "tfjs_binding.node"),
    mpiexec: join(venv, "bin", "mpiexec"),
    mpi: join(venv, "lib", Deno.build.os === "darwin" ? "libmpi_abi.1.dylib" : "libmpi_abi.so.1"),
    kernelspec: join(venv, "share", "jupyter", "kernels", "deno", "kernel.json"),
    overrides: join(venv, "share", "jupyter", "lab", "settings", "overrides.json"),
    stamp: join(venv, "setup.json"),
    packagesStamp: join(root, "node_modules", ".setup.json"),
    addonSource: join(root, "node_modules", "@tensorflow", "tfjs-node-gpu"),
    addonHeader: join(root, "scripts", "addon", "session_config.h"),
    nodeHeaders: join(root, "node_modules", "node-api-headers", "include"),
  };
}

/**
 * Removes the variables that would lead Python to modules outside of `.venv`. Python's option `-I`
 * ignores them as well, but not in child processes.
 */
function cleanVariables(variables: Environment["variables"]): Record<string, string> {
  return Object.fromEntries(
    Object.entries(variables).filter(([name]) =>
      !/^(PYTHON|PIP_|VIRTUAL_ENV$|__PYVENV_LAUNCHER__$)/.test(name)
    ),
  );
}

/** A folder in `.cache` that is removed at the end of its scope. */
export interface ScratchFolder extends AsyncDisposable {
  readonly path: string;
}

/**
 * Makes a scratch folder, and removes the folders with this prefix that killed runs have left.
 */
export async function scratchFolder(root: string, prefix: string): Promise<ScratchFolder> {
  const cache = join(root, ".cache"), anHourAgo = Date.now() - 3600_000;
  await Deno.mkdir(cache, { recursive: true });
  for await (const { name } of Deno.readDir(cache)) {
    const path = join(cache, name);
    if (!name.startsWith(prefix) || (await Deno.stat(path)).mtime!.getTime() > anHourAgo) continue;
    await Deno.remove(path, { recursive: true });
  }
  const path = await Deno.makeTempDir({ dir: cache, prefix });
  return { path, [Symbol.asyncDispose]: () => Deno.remove(path, { recursive: true }) };
}

export interface Finished {
  readonly success: boolean;
  readonly stdout: string;
  /** Standard output and standard error, in the order in which they came. */
  readonly output: string;
}

/**
 * Runs a command to its end. A program that does not exist counts as a command that failed. Its
 * standard input is empty; with `leash` it stays open as long as this process lives.
 */
export async function run(
  { root, variables, signal }: Environment,
  [program, ...args]: readonly [string, ...string[]],
  { extra = {}, onLine, leash = false }: {
    extra?: Record<string, string>;
    onLine?: (line: string) => void;
    leash?: boolean;
  } = {},
): Promise<Finished> {
  const path = onPath(variables, program);
  if (path === undefined) return { success: false, stdout: "", output: `${program}: not found` };
  signal?.throwIfAborted();
  const child = new Deno.Command(path, {
    args,
    cwd: root,
    clearEnv: true,
    env: { ...cleanVariables(variables), ...extra },
    signal,
    stdin: leash ? "piped" : "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  let output = "";
  const read = async (stream: ReadableStream<Uint8Array<ArrayBuffer>>) => {
    let whole = "";
    for await (const text of stream.pipeThrough(new TextDecoderStream())) {
      whole += text;
      output += text;
      text.split("\n").filter((line) => line.trim()).forEach((line) => onLine?.(line.trim()));
    }
    return whole;
  };
  const [{ success }, stdout] = await Promise.all([
    child.status,
    read(child.stdout),
    read(child.stderr),
  ]);
  if (leash) await child.stdin.close().catch(() => {});
  return { success, stdout, output };
}

/** Returns the remedy for a command that failed, from its output. */
export function advice(output: string): string {
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
  const lines = output.trim().split("\n").filter((line) => !/^(Ignoring |Collecting )/.test(line));
  return `Fix this and run it again:\n${lines.slice(-12).map((line) => `  ${line}`).join("\n")}`;
}

/** Returns the remedy for a missing Python. */
export function howToInstallPython({ os }: Environment): string {
  return os === "darwin"
    ? "Install it (brew install python@3.13, or from python.org) and run this again."
    : "Install it (on Debian and Ubuntu: sudo apt install python3 python3-venv; on Fedora: sudo dnf install python3.13) " +
      "and run this again.";
}

/** Returns the path of a program, found on `PATH` if it is a plain name. */
export function onPath(
  variables: Environment["variables"],
  program: string,
): string | undefined {
  const candidates = program.includes("/")
    ? [program]
    : (variables.PATH ?? "").split(delimiter).map((folder) => join(folder, program));
  return candidates.find(exists);
}

export function exists(path: string): boolean {
  try {
    Deno.statSync(path);
    return true;
  } catch {
    return false;
  }
}

/** Writes a file completely or not at all. */
export async function writeAtomically(file: string, text: string): Promise<void> {
  await Deno.mkdir(dirname(file), { recursive: true });
  await Deno.writeTextFile(`${file}.part`, text);
  await Deno.rename(`${file}.part`, file);
}

export interface Python {
  readonly program: string;
  readonly version: string;
  /** Whether TensorFlow has a wheel for it. */
  readonly hasTensorFlow: boolean;
}

/**
 * Finds a Python on `PATH`: the first one that TensorFlow supports (3.10 to 3.13), or else a newer
 * one.
 */
export async function findPython(
  environment: Environment,
): Promise<{ python?: Python; tooOld?: Python }> {
  let tooOld: Python | undefined, tooNew: Python | undefined;
  for (
    const program of ["python3", "python3.13", "python3.12", "python3.11", "python3.10", "python"]
  ) {
    const { success, output } = await run(environment, [
      program,
      "-I",
      "-c",
      "import sys; print(sys.version.split()[0])",
    ]);
    const [, minor] = /^3\.(\d+)\.\d+/.exec(output) ?? [];
    if (!success || minor === undefined) continue;
    const python = {
      program,
      version: output.trim(),
      hasTensorFlow: Number(minor) >= 10 && Number(minor) <= 13,
    };
    if (python.hasTensorFlow) return { python };
    if (Number(minor) < 10) tooOld ??= python;
    else tooNew ??= python;
  }
  return { python: tooNew, tooOld };
}

/**
 * Lists the NVIDIA GPUs that TensorFlow can use, as `nvidia-smi` does. TensorFlow has CUDA builds
 * for Linux on x86-64 only.
 */
export async function findNvidiaGpus(environment: Environment): Promise<string | undefined> {
  if (environment.os !== "linux" || Deno.build.arch !== "x86_64") return undefined;
  const { success, output } = await run(environment, ["nvidia-smi", "-L"]);
  return success ? output.trim() : undefined;
}

/**
 * Finds the C++ compiler of the system. One that does not answer is skipped: macOS has such a stub.
 */
export async function findCompiler(environment: Environment): Promise<string | undefined> {
  for (const program of ["c++", "g++", "clang++"]) {
    if ((await run(environment, [program, "--version"])).success) return program;
  }
}

/** Loads the addon in a separate process, because a wrong one can end the process. */
export async function loadAddon(
  environment: Environment,
  addon: string,
): Promise<{ loads: boolean; tensorFlow: string; usesGpu: boolean; output: string }> {
  const { success, output } = await run(
    environment,
    [
      environment.deno,
      "eval",
      `import { createRequire } from "node:module";
const addon = createRequire(import.meta.url)(${JSON.stringify(addon)});
console.log("TensorFlow=" + addon.TF_Version, "GPU=" + addon.isUsingGpuDevice());`,
    ],
    { extra: { TF_CPP_MIN_LOG_LEVEL: "3" } },
  );
  const [, tensorFlow = "", gpu] = /TensorFlow=(\S+) GPU=(\S+)/.exec(output) ?? [];
  return { loads: success, tensorFlow, usesGpu: gpu === "true", output };
}

/**
 * Returns the environment variables for JupyterLab and its kernels. They put our kernel before all
 * others and keep JupyterLab's files in the project, apart from the user's own configuration. If
 * the project cannot be written, the files last as long as this process.
 */
export function jupyterVariables({ root, variables }: Environment): Record<string, string> {
  const jupyter = writableFolder(join(root, ".cache", "jupyter"));
  return {
    ...cleanVariables(variables),
    PATH: `${join(projectPaths(root).venv, "bin")}${delimiter}${variables.PATH ?? ""}`,
    JUPYTER_PREFER_ENV_PATH: "1",
    JUPYTER_CONFIG_DIR: join(jupyter, "config"),
    JUPYTER_DATA_DIR: join(jupyter, "data"),
    JUPYTER_RUNTIME_DIR: join(jupyter, "runtime"),
    IPYTHONDIR: join(jupyter, "ipython"),
    PYTHONUTF8: "1",
  };
}

/** Returns the folder if this user can write in it, else a temporary folder. */
function writableFolder(folder: string): string {
  try {
    Deno.mkdirSync(folder, { recursive: true });
    // Tried by writing, because file modes say nothing about read-only disks or about root.
    Deno.removeSync(Deno.makeTempDirSync({ dir: folder }));
    return folder;
  } catch {
    const temporary = Deno.makeTempDirSync({ prefix: "resnet_lab_jupyter_" });
    addEventListener("unload", () => Deno.removeSync(temporary, { recursive: true }));
    return temporary;
  }
}

/** Finds TensorFlow's folder in a virtual environment. */
export function tensorFlowFolder(venv: string): string | undefined {
  const lib = join(venv, "lib");
  if (!exists(lib)) return undefined;
  for (const { name } of Deno.readDirSync(lib)) {
    const folder = join(lib, name, "site-packages", "tensorflow");
    if (exists(join(folder, "include"))) return folder;
  }
}
