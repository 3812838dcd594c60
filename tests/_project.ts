/** The project as set-up has left it, and folders beside it. */
import { join } from "node:path";
import { exists, jupyterVariables, projectPaths, thisEnvironment } from "../scripts/environment.ts";

export const environment = thisEnvironment();
export const { root } = environment;
export const paths = projectPaths(root);

/** Whether set-up has finished. Tests that need Python or the kernel are ignored without it. */
export const isSetUp = exists(paths.stamp);

/** Returns the environment variables for a program that starts kernels of the project. */
export function kernelVariables(): Record<string, string> {
  return jupyterVariables(environment);
}

/**
 * Waits until JupyterLab listens, and returns its address. `said` returns the text that it has
 * printed so far.
 *
 * @param server The process of JupyterLab, whose stderr is piped.
 * @throws {Error} If it ends before.
 */
export function startOf(
  server: Deno.ChildProcess,
): Promise<{ readonly address: string; readonly said: () => string }> {
  let said = "";
  return new Promise((resolve, reject) => {
    (async () => {
      for await (const text of server.stderr.pipeThrough(new TextDecoderStream())) {
        said += text;
        const found = /http:\/\/127\.0\.0\.1:\d+\//.exec(said);
        if (found) resolve({ address: found[0], said: () => said });
      }
      reject(new Error(`JupyterLab did not start:\n${said}`));
    })();
  });
}

const readme = await Deno.readTextFile(join(root, "README.md"));
const [, section = ""] = /## Your own notebooks\n([^]*?)\n## /.exec(readme) ?? [];
const [config = "", cell = "", prediction = ""] = Array.from(
  section.matchAll(/```(?:json|ts ignore)\n([^]*?)```/g),
  ([, code]) => code!,
);

/**
 * The `deno.json` of the README for notebooks in a folder beside the project, its cell that trains
 * on own pictures, and the one that names a new picture.
 */
export const ownNotebooks = { config, cell, prediction };

/** A folder beside a link to the project, deleted when it goes out of scope. */
export interface OwnFolder extends AsyncDisposable {
  readonly path: string;
}

/** Makes a folder beside the project, with the `deno.json` of the README. */
export async function ownFolder(): Promise<OwnFolder> {
  const beside = await Deno.makeTempDir({ prefix: "beside " });
  const path = join(beside, "own");
  await Deno.mkdir(path);
  await Deno.symlink(root, join(beside, "resnet-lab"));
  await Deno.writeTextFile(join(path, "deno.json"), config);
  return {
    path,
    [Symbol.asyncDispose]: () => Deno.remove(beside, { recursive: true }),
  };
}
