import { basename, dirname, join, relative, resolve } from "node:path";
import { commandOf } from "../lib/tensor/installation.ts";
import { readCommandLine } from "./command_line.ts";
import {
  exists,
  jupyterVariables,
  projectPaths,
  scaleNames,
  thisEnvironment,
} from "./environment.ts";
import { setUpOrExit } from "./setup.ts";
import { startPageName, writeStartPage } from "./start_page.ts";
import { makeWorkingCopies } from "./working_copies.ts";

/** Where the copies of the notebooks are. */
export interface Place {
  readonly folder: string;
  /** Makes what the notebooks of a folder need beside them to find the library. */
  readonly prepare: (folder: string) => Promise<void>;
}

/** The place in a clone of the project. */
function placeInClone(): Place {
  const { root } = thisEnvironment();
  // Notebooks in the clone find the library by its deno.json.
  return { folder: join(root, "my_notebooks"), prepare: (folder) => sayHowToFind(folder, root) };
}

/** Says how the notebooks of a folder find the library, if they do not. */
async function sayHowToFind(folder: string, root: string): Promise<void> {
  const { name, version, allowScripts }: Config = JSON.parse(
    await Deno.readTextFile(join(root, "deno.json")),
  );
  if (await findsLibrary(folder)) return;
  const config = {
    links: [relative(folder, root)],
    imports: { "resnet-lab": `jsr:${name}@${version}` },
    allowScripts,
  };
  console.error(
    `Notebooks in ${folder} find the library by a deno.json, which is missing there:\n` +
      JSON.stringify(config, null, 2),
  );
}

/** The part of the project's `deno.json` that a folder with notebooks needs. */
export interface Config {
  readonly name: string;
  readonly version: string;
  readonly allowScripts: object;
}

/** Returns whether a `deno.json` of a folder, or of one around it, leads to the library. */
export async function findsLibrary(folder: string): Promise<boolean> {
  for (let at = resolve(folder);; at = dirname(at)) {
    for (const file of ["deno.json", "deno.jsonc"].map((name) => join(at, name))) {
      if (exists(file) && (await Deno.readTextFile(file)).includes('"resnet-lab"')) return true;
    }
    if (at === dirname(at)) return false;
  }
}

function usageIn({ folder }: Place): string {
  const where = folder === Deno.cwd() ? "the current folder" : `${basename(folder)}/`;
  const lab = commandOf("lab");
  return `Opens JupyterLab on copies of the notebooks, in ${where}.

  ${lab} [--scale smoke|cpu|gpu] [OPTIONS OF JUPYTERLAB]
  ${lab} --read [OPTIONS]
  ${lab} FOLDER [OPTIONS]

  --read               open the notebooks of the course with their outputs; saves nothing
  FOLDER               open a folder with notebooks of your own
  --scale              how much the notebooks compute (cpu if not given); see the start page

  --no-browser         only print the address
  --port=8888          the port to listen on
  --ip=0.0.0.0         listen to other machines as well
  --help-all           all options of JupyterLab

A missing copy is made, and one that is there is never overwritten. To begin a notebook again,
rename or delete its copy.
`;
}

/** The options of the command line. */
export interface LabOptions {
  /** A folder with the user's own notebooks. */
  readonly folder?: string;
  /** Whether to open the notebooks of the course to read. */
  readonly read: boolean;
  readonly scale: string;
  /** The options that JupyterLab gets. */
  readonly rest: readonly string[];
}

/**
 * Reads the command line. Options that are not of this task belong to JupyterLab.
 *
 * @param scaleOfEnvironment The value of RESNET_LAB_SCALE.
 * @throws {RangeError} If the folder does not exist, or the scale is unknown.
 * @throws {TypeError} If a folder is to be read.
 */
export function parseLabArguments(args: readonly string[], scaleOfEnvironment = "cpu"): LabOptions {
  const rest: string[] = [];
  let read = false, scale = scaleOfEnvironment, folder: string | undefined;
  for (let i = 0; i < args.length; i++) {
    const arg = args[i]!;
    const mayBeFolder = folder === undefined && rest.length === 0 && !arg.startsWith("-");
    if (arg === "--read") read = true;
    else if (arg === "--scale") scale = args[++i] ?? "";
    else if (arg.startsWith("--scale=")) scale = arg.slice("--scale=".length);
    // A word after an option of JupyterLab may be its value.
    else if (mayBeFolder) folder = arg;
    else rest.push(arg);
  }
  if (!scaleNames.includes(scale)) {
    throw new RangeError(`The scale must be smoke, cpu or gpu, found "${scale}".`);
  }
  if (folder !== undefined && read) {
    throw new TypeError("--read opens the notebooks of the course: leave out the folder.");
  }
  if (folder !== undefined && !exists(folder)) {
    throw new RangeError(`There is no folder ${folder} in ${Deno.cwd()}.`);
  }
  return { folder, read, scale, rest };
}

/**
 * Makes the folder ready that JupyterLab opens on, and returns it with the options for it. Where
 * nothing can be written, the notebooks of the course are opened to read.
 */
async function prepare(
  root: string,
  { read, scale }: LabOptions,
  place: Place,
): Promise<string[]> {
  const originals = join(root, "notebooks");
  const commands = { lab: commandOf("lab"), doctor: commandOf("doctor") };
  let { folder } = place;
  if (!read) {
    try {
      await place.prepare(folder);
      for (const name of await makeWorkingCopies(originals, folder)) {
        console.error(
          `${name} has changed since your copy was made. To get the new one, rename or delete ` +
            `${join(relative(Deno.cwd(), folder), name)} and start again.`,
        );
      }
      await writeStartPage(folder, commands, { scale, copies: true });
    } catch (error) {
      console.error(`No copies can be made (${error}), so the notebooks are opened to read.`);
      read = true;
    }
  }
  if (read) {
    folder = originals;
    await writeStartPage(folder, commands, { scale, copies: false }).catch(() => {});
  }
  return [
    folder,
    ...(read ? [`--config=${join(import.meta.dirname!, "read_only_config.py")}`] : []),
    ...(exists(join(folder, startPageName))
      ? [`--LabApp.default_url=/lab/tree/${startPageName}`]
      : []),
  ];
}

/** Sets up, and runs JupyterLab with the options of the command line until it ends. */
export async function openLab(place: Place): Promise<never> {
  const options = readCommandLine(
    usageIn(place),
    () => parseLabArguments(Deno.args, Deno.env.get("RESNET_LAB_SCALE")),
  );
  const environment = await setUpOrExit({ orContinue: true });
  if (options.folder !== undefined) await place.prepare(options.folder);
  // JupyterLab gets Ctrl-C as well, and ends the kernels.
  Deno.addSignalListener("SIGINT", () => {});
  const child = new Deno.Command(projectPaths(environment.root).python, {
    args: [
      ...["-I", "-m", "jupyterlab"],
      ...(options.folder === undefined
        ? await prepare(environment.root, options, place)
        : [options.folder]),
      "--MultiKernelManager.default_kernel_name=deno",
      // The kernel of Python, a dependency of JupyterLab, can run nothing here.
      "--KernelSpecManager.allowed_kernelspecs=deno",
      // JupyterLab refuses root, which is the usual user in a container.
      ...(Deno.uid() === 0 ? ["--allow-root"] : []),
      ...options.rest,
    ],
    env: {
      ...jupyterVariables(environment),
      RESNET_LAB_SCALE: options.scale,
      RESNET_LAB_COMMAND: commandOf("lab"),
    },
  }).spawn();
  Deno.addSignalListener("SIGTERM", () => child.kill());
  Deno.exit((await child.status).code);
}

if (import.meta.main) await openLab(placeInClone());
