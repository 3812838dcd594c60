/**
 * Tasks of the project for people who import the library from a registry. They run in a copy of the
 * package in the user's cache folder.
 */
import { createHash } from "node:crypto";
import { dirname, join } from "node:path";
import { projectFolder } from "../../lib/tensor/installation.ts";

/**
 * Runs a task of the project, and ends this process with its exit code.
 *
 * @param script The program of the task, in the folder of the project's scripts.
 * @param options.cwd The folder in which it runs. @default the project's
 */
export async function runTask(script: string, { cwd }: { cwd?: string } = {}): Promise<never> {
  const folder = projectFolder();
  await copyPackage(folder);
  const child = new Deno.Command(Deno.execPath(), {
    args: [
      ...["run", "-A", "--config", join(folder, "deno.json")],
      ...[join(folder, "scripts", script), ...Deno.args],
    ],
    cwd: cwd ?? folder,
    stdin: "inherit",
    stdout: "inherit",
    stderr: "inherit",
  }).spawn();
  // Ctrl-C reaches the task too, which ends in its own way.
  if (Deno.build.os !== "windows") {
    Deno.addSignalListener("SIGINT", () => {});
    Deno.addSignalListener("SIGTERM", () => child.kill());
  }
  Deno.exit((await child.status).code);
}

/** Copies the package of this module to a folder, unless it is there. `deno.json` comes last. */
async function copyPackage(folder: string): Promise<void> {
  const root = new URL("../../", import.meta.url);
  const last = "/deno.json";
  if (root.protocol === "file:" || await exists(join(folder, last))) return;
  const list = `${root.href.replace(/\/$/, "")}_meta.json`;
  const { manifest }: { manifest: Record<string, { checksum: string }> } = JSON.parse(
    new TextDecoder().decode(await bytesOf(list)),
  );
  const paths = Object.keys(manifest).filter((path) => path !== last);
  for (const path of [...paths, last]) {
    const bytes = await bytesOf(new URL(`.${path}`, root).href);
    const found = `sha256-${createHash("sha256").update(bytes).digest("hex")}`;
    if (found !== manifest[path]?.checksum) {
      throw new Error(
        `Copying ${path}: its checksum must be ${
          manifest[path]?.checksum
        }, found ${found}. Try again.`,
      );
    }
    const file = join(folder, path);
    await Deno.mkdir(dirname(file), { recursive: true });
    await Deno.writeFile(file, bytes);
  }
}

async function exists(file: string): Promise<boolean> {
  return await Deno.stat(file).then(() => true, () => false);
}

async function bytesOf(address: string): Promise<Uint8Array<ArrayBuffer>> {
  const response = await fetch(address);
  if (response.ok) return await response.bytes();
  throw new Error(
    `Reading ${address}: the registry must send the file, found the status ${response.status}.`,
  );
}
