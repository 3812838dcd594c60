import { delimiter, join } from "node:path";

/** What a set-up works on: where the project is, and what the commands that it starts see. */
export interface Environment {
  /** The project's folder. */
  readonly root: string;
  /** The environment variables of every command; programs are looked up on its `PATH`. */
  readonly variables: Readonly<Record<string, string>>;
  readonly os: typeof Deno.build.os;
  /** The Deno executable. */
  readonly deno: string;
  /** Shows a line that stays. */
  readonly log: (line: string) => void;
  /** Shows what is being done this moment, in place of what was being done before. */
  readonly status: (line: string) => void;
  /** Ends the command that is running. */
  readonly signal?: AbortSignal;
}

/** The Deno that this project is made with, and the oldest that it runs on. */
export const denoVersion = "2.9.6";

/** Whether a version such as "2.1.10" comes before {@linkcode denoVersion}. */
export function isOldDeno(version: string): boolean {
  return version.localeCompare(denoVersion, "en", { numeric: true }) < 0;
}

/** A set-up that cannot go on. The message is for the user: what happened and what to do. */
export class SetupError extends Error {
  override name = "SetupError";
}

/**
 * Ends a task that takes no arguments if it was given one: with a line about it for `--help`, else
 * with 1.
 */
export function refuseArguments(task: string, does: string): void {
  const [argument] = Deno.args;
  if (argument === undefined) return;
  const isHelp = argument === "--help" || argument === "-h";
  if (!isHelp) console.error(`The task ${task} takes no arguments, found ${argument}.\n`);
  console.log(`deno task ${task}    ${does}`);
  Deno.exit(isHelp ? 0 : 1);
}

/** The environment of this process, for the project that this file is in. */
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

/** The folders that set-up works with and removes again are named so, with a random end. */
export const unfinishedPrefix = ".venv.";

/**
 * Where set-up puts things: all of it in a virtual environment, `.venv` unless it is being made, so
 * that deleting `.venv` undoes it. Nothing in there holds its own path, so it can be moved.
 */
export function places(root: string, venv: string = join(root, ".venv")) {
  return {
    venv,
    python: join(venv, "bin", "python"),
    deno: join(venv, "bin", "deno"),
    addon: join(venv, "tfjs_binding.node"),
    kernelspec: join(venv, "share", "jupyter", "kernels", "deno", "kernel.json"),
    overrides: join(venv, "share", "jupyter", "lab", "settings", "overrides.json"),
    stamp: join(venv, "setup.json"),
    packagesStamp: join(root, "node_modules", ".setup.json"),
    addonSource: join(root, "node_modules", "@tensorflow", "tfjs-node-gpu"),
    nodeHeaders: join(root, "node_modules", "node-api-headers", "include"),
  };
}

/**
 * The variables for every program that is started. Without those that lead Python to other modules
 * than those in `.venv`, or away from it, which `-I` does for one process but not for its children.
 */
function cleanVariables(variables: Environment["variables"]): Record<string, string> {
  return Object.fromEntries(
    Object.entries(variables).filter(([name]) =>
      !/^(PYTHON|PIP_|VIRTUAL_ENV$|__PYVENV_LAUNCHER__$)/.test(name)
    ),
  );
}

/** A folder in `.cache` that is removed when it goes out of scope. */
export interface ScratchFolder extends AsyncDisposable {
  readonly path: string;
}

/**
 * Makes a scratch folder, and removes those that runs of the same kind have left when they were
 * killed.
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
 * Runs a command to its end. A program that does not exist is a command that failed. Its standard
 * input is at its end from the start, or with `leash` when this process ends, however that happens.
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

/** The full path of a program, looked up on `PATH` unless it is a path already. */
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

export interface Python {
  readonly program: string;
  readonly version: string;
  /** Whether TensorFlow has a wheel for it. */
  readonly hasTensorFlow: boolean;
}

/**
 * The Python to build on: the first on `PATH` that TensorFlow supports (3.10 to 3.13), or else a
 * newer one.
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
 * The NVIDIA GPUs that TensorFlow could use, as `nvidia-smi` lists them. Its CUDA builds are for
 * Linux on x86-64 only.
 */
export async function findNvidiaGpus(environment: Environment): Promise<string | undefined> {
  if (environment.os !== "linux" || Deno.build.arch !== "x86_64") return undefined;
  const { success, output } = await run(environment, ["nvidia-smi", "-L"]);
  return success ? output.trim() : undefined;
}

/**
 * The C++ compiler of the system, if there is one that answers (macOS has a stub that does not).
 */
export async function findCompiler(environment: Environment): Promise<string | undefined> {
  for (const program of ["c++", "g++", "clang++"]) {
    if ((await run(environment, [program, "--version"])).success) return program;
  }
}

/** Loads the addon in a process of its own, because a wrong one can end the process. */
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
 * The environment variables for JupyterLab and its kernels: our kernel is found before all others,
 * and what JupyterLab remembers stays in the project, so that a personal configuration neither
 * disturbs nor is disturbed. Where this user cannot write in the project it lasts as long as this
 * process.
 */
export function jupyterVariables({ root, variables }: Environment): Record<string, string> {
  const jupyter = writableFolder(join(root, ".cache", "jupyter"));
  return {
    ...cleanVariables(variables),
    PATH: `${join(places(root).venv, "bin")}${delimiter}${variables.PATH ?? ""}`,
    JUPYTER_PREFER_ENV_PATH: "1",
    JUPYTER_CONFIG_DIR: join(jupyter, "config"),
    JUPYTER_DATA_DIR: join(jupyter, "data"),
    JUPYTER_RUNTIME_DIR: join(jupyter, "runtime"),
    IPYTHONDIR: join(jupyter, "ipython"),
    PYTHONUTF8: "1",
  };
}

/** The folder itself if this user can write in it, else a temporary one. */
function writableFolder(folder: string): string {
  try {
    Deno.mkdirSync(folder, { recursive: true });
    // The mode says nothing about disks mounted to be read, and nothing to root.
    Deno.removeSync(Deno.makeTempDirSync({ dir: folder }));
    return folder;
  } catch {
    const temporary = Deno.makeTempDirSync({ prefix: "resnet_lab_jupyter_" });
    addEventListener("unload", () => Deno.removeSync(temporary, { recursive: true }));
    return temporary;
  }
}

/** TensorFlow's folder in a virtual environment, if it is there. */
export function tensorFlowFolder(venv: string): string | undefined {
  const lib = join(venv, "lib");
  if (!exists(lib)) return undefined;
  for (const { name } of Deno.readDirSync(lib)) {
    const folder = join(lib, name, "site-packages", "tensorflow");
    if (exists(join(folder, "include"))) return folder;
  }
}
