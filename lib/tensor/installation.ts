/**
 * Where this installation of the library is, and the commands for it that messages name. This
 * module imports only Node's modules, so that a script that runs before set-up can use it.
 */
import { homedir } from "node:os";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/**
 * Returns the folder of all downloads: the environment variable `RESNET_LAB_CACHE` if it is set,
 * else a folder in the user's cache folder (`~/.cache/resnet-lab` on Linux,
 * `~/Library/Caches/resnet-lab` on macOS).
 */
export function cacheFolder(): string {
  const chosen = Deno.env.get("RESNET_LAB_CACHE");
  if (chosen) return chosen;
  // homedir() needs a permission that nothing else needs.
  const home = Deno.env.get("HOME") || homedir();
  return Deno.build.os === "darwin"
    ? join(home, "Library", "Caches", "resnet-lab")
    : join(Deno.env.get("XDG_CACHE_HOME") || join(home, ".cache"), "resnet-lab");
}

/**
 * Returns the folder of the project: the clone, or if the library is imported from a registry, the
 * copy that the registry's `setup` makes in the cache folder.
 */
export function projectFolder(): string {
  const root = new URL("../../", import.meta.url);
  if (root.protocol === "file:") return fileURLToPath(root);
  return join(cacheFolder(), "project", basename(root.pathname));
}

/** Returns the path of the addon that connects TensorFlow.js to TensorFlow. */
export function addonPath(): string {
  return join(projectFolder(), ".venv", "tfjs_binding.node");
}

/** The version of Deno that the project is developed with, and the oldest that it supports. */
export const denoVersion = "2.9.6";

/** The tasks that are entry points of the package. */
const ENTRY_POINTS: readonly string[] = ["lab", "setup", "doctor"];

/**
 * Returns the command that starts a task of this installation: of a clone, from its folder, or of a
 * version that was imported from a registry.
 *
 * @param root The folder that contains `lib`, with a slash at the end.
 */
export function commandOf(task: string, root = new URL("../../", import.meta.url)): string {
  const version = installedVersion(root);
  if (version === undefined) return `npx --yes deno@${denoVersion} task ${task}`;
  if (ENTRY_POINTS.includes(task)) {
    return `deno run -A jsr:@resnet-lab/resnet-lab@${version}/${task}`;
  }
  const folder = root.protocol === "file:" ? fileURLToPath(root) : projectFolder();
  const config = join(folder, "deno.json");
  return `deno task --config ${/\s/.test(config) ? `'${config}'` : config} ${task}`;
}

/**
 * Returns the version of a library that was imported from a registry, or that is the copy of one in
 * the cache folder, which is in a folder with its name; undefined for a clone.
 */
export function installedVersion(root = new URL("../../", import.meta.url)): string | undefined {
  const folder = root.pathname, version = basename(folder);
  const isCopy = basename(dirname(folder)) === "project" && /^\d+\.\d+\.\d/.test(version);
  return root.protocol !== "file:" || isCopy ? version : undefined;
}

/** Returns how to repair a backend, as a sentence: by a task of the project. */
export function remedyBy(task: "setup" | "doctor"): string {
  const where = installedVersion() === undefined ? "In the resnet-lab folder run" : "Run";
  return `${where}: ${commandOf(task)}`;
}
