import { homedir } from "node:os";
import { basename, join } from "node:path";
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
