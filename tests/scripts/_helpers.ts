/**
 * A project in a temporary folder. Every program on its PATH is a fake that logs its calls.
 */
import { join } from "node:path";
import { type Environment, exists } from "../../scripts/environment.ts";

/** A compiler that writes a file. */
export const goodCompiler = `while [ "$1" != -o ] && [ $# -gt 0 ]; do shift; done
[ -n "$2" ] && echo addon > "$2"
exit 0`;
const goodDeno = `case "$*" in *eval*) echo "TensorFlow=2.21.0 GPU=false";; esac`;

const packages = `$(dirname "$0")/../lib/python3.12/site-packages`;

/**
 * Returns the script of a fake Python. `venv` and `pip` are commands that run at the end of the
 * fake modules.
 */
export function python(version: string, { venv = "", pip = "" } = {}): string {
  return `case "$*" in
  *sys.version*) echo ${version};;
  *sysconfig*) echo "${packages}";;
  *"pip config list"*) cat "$PIP_CONFIG_FILE" 2> /dev/null;;
  *"-m venv"*)
    for folder; do :; done
    mkdir -p "$folder/bin"; cp "$0" "$folder/bin/python"
    ${venv};;
  *ziglang*c++*) ${goodCompiler};;
  *runpy*install*)
    mkdir -p "${packages}/jupyterlab"
    case "$*" in *parallel*)
      lib="$(dirname "$0")/../lib"
      touch "$(dirname "$0")/mpiexec" "$lib/libmpi_abi.so.1" "$lib/libmpi_abi.1.dylib";;
    esac
    ${version.startsWith("3.14") ? "" : `mkdir -p "${packages}/tensorflow/include"`}
    ${pip};;
esac`;
}

/** A Python with which set-up succeeds. */
export const goodPython = python("3.12.1");

/** Programs with which set-up succeeds. */
export const goodPrograms = { python3: goodPython, "c++": goodCompiler, deno: goodDeno };

/** A fake project, deleted when it goes out of scope. */
export interface Project extends Disposable {
  readonly environment: Environment;
  /** The lines that set-up has printed. */
  readonly log: readonly string[];
  /** The calls of fakes so far, oldest first, such as `"python3 -m venv"`. */
  calls(): string[];
  /** Writes a fake, or removes it. */
  setProgram(name: string, body: string | undefined): void;
}

/** Makes a project where set-up succeeds, with some programs replaced or removed. */
export function makeProject(
  programs: Readonly<Record<string, string | undefined>> = {},
): Project {
  const root = Deno.realPathSync(Deno.makeTempDirSync({ prefix: "resnet lab " }));
  const bin = join(root, "bin");
  for (
    const [file, text] of [
      ["deno.json", "{}"],
      ["deno.lock", "{}"],
      ["requirements.txt", "jupyterlab"],
      ["requirements-gpu.txt", "jupyterlab"],
      ["requirements-ziglang.txt", "ziglang"],
      ["requirements-parallel.txt", "mpich"],
      ["node_modules/@tensorflow/tfjs-node-gpu/package.json", "{}"],
      ["node_modules/node-api-headers/include/node_api.h", ""],
      ["scripts/addon/session_config.h", ""],
    ] as const
  ) {
    Deno.mkdirSync(join(root, file, ".."), { recursive: true });
    Deno.writeTextFileSync(join(root, file), text);
  }
  Deno.mkdirSync(bin);
  const log: string[] = [];
  const project: Project = {
    environment: {
      root,
      variables: { PATH: bin },
      os: "linux",
      deno: join(bin, "deno"),
      log: (line) => log.push(line),
      status: () => {},
    },
    log,
    calls() {
      try {
        return Deno.readTextFileSync(join(root, "calls")).trim().split("\n");
      } catch {
        return [];
      }
    },
    setProgram(name, body) {
      const file = join(bin, name);
      // Always removed first, because .venv may contain a hard link to it.
      if (exists(file)) Deno.removeSync(file);
      if (body === undefined) return;
      const logCall = `echo "$(basename "$0") $*" >> "${join(root, "calls")}"`;
      Deno.writeTextFileSync(file, `#!/bin/sh\nPATH=/usr/bin:/bin\n${logCall}\n${body}\n`);
      Deno.chmodSync(file, 0o755);
    },
    [Symbol.dispose]: () => Deno.removeSync(root, { recursive: true }),
  };
  for (const [name, body] of Object.entries({ ...goodPrograms, ...programs })) {
    if (body !== undefined) project.setProgram(name, body);
  }
  return project;
}
