import { join } from "node:path";
import { type Environment, exists, findPython, run, SetupError } from "../scripts/environment.ts";

/** Returns the path of the Python with PyTorch and Keras, which {@linkcode setUpPeers} installs. */
export function peersPython(root: string): string {
  return join(root, ".venv", "peers", "bin", "python");
}

/**
 * Installs PyTorch and Keras into the virtual environment `.venv/peers`, once.
 *
 * @throws {SetupError} If they cannot be installed; the message names the reason.
 */
export async function setUpPeers(environment: Environment): Promise<void> {
  const { root, log, status } = environment;
  const folder = join(root, ".venv", "peers");
  const requirements = join(import.meta.dirname!, "peers", "requirements.txt");
  const pinned = await Deno.readTextFile(requirements);
  const stamp = join(folder, "installed.txt");
  if (exists(stamp) && await Deno.readTextFile(stamp) === pinned) return;

  const { python } = await findPython(environment);
  if (python === undefined || python.version.startsWith("3.10.")) {
    throw new SetupError(
      `PyTorch and Keras need Python 3.11 to 3.13, found ${python?.version ?? "none"}.`,
    );
  }
  log("Installing PyTorch and Keras to compare with (6 GB, 2 to 10 minutes) …");
  if (exists(folder)) await Deno.remove(folder, { recursive: true });
  const commands: [string, ...string[]][] = [
    [python.program, "-I", "-m", "venv", folder],
    [peersPython(root), "-I", "-m", "pip", "install", "--no-input", "-r", requirements],
  ];
  for (const command of commands) {
    const { success, output } = await run(environment, command, { onLine: status });
    status("");
    if (!success) {
      throw new SetupError(
        `PyTorch and Keras could not be installed:\n${
          output.trim().split("\n").slice(-8).join("\n")
        }`,
      );
    }
  }
  await Deno.writeTextFile(stamp, pinned);
}
