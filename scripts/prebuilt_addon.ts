/**
 * The addon as an npm package for one platform, so that set-up need not compile it. This packs the
 * addon of this machine, for the registry or for `npm install FILE`:
 *
 *     deno run -A scripts/prebuilt_addon.ts [FOLDER]
 */
import { join, resolve } from "node:path";
import {
  advice,
  type Environment,
  exists,
  projectPaths,
  run,
  SetupError,
  tensorFlowFolder,
  thisEnvironment,
} from "./environment.ts";

const ADDON = "tfjs_binding.node";

/** The `package.json` of a package with the addon of one platform. It has no install script. */
interface AddonPackage {
  readonly name: string;
  /** The versions of TensorFlow.js and of TensorFlow that the addon connects. */
  readonly version: string;
  readonly [field: string]: unknown;
}

/** Describes the package that fits a virtual environment; undefined if that has no TensorFlow. */
function packageFor({ root, os }: Environment, venv: string): AddonPackage | undefined {
  const { addonSource } = projectPaths(root);
  const tensorFlow = tensorFlowVersion(venv), source = join(addonSource, "package.json");
  if (tensorFlow === undefined || !exists(source)) return undefined;
  const cpu = Deno.build.arch === "aarch64" ? "arm64" : "x64";
  return {
    name: `@resnet-lab/addon-${os}-${cpu}`,
    version: `${JSON.parse(Deno.readTextFileSync(source)).version}-tensorflow.${tensorFlow}`,
    description: "The addon that connects TensorFlow.js to the TensorFlow of ResNet Lab",
    license: "Apache-2.0",
    os: [os],
    cpu: [cpu],
    // TensorFlow has no build for musl.
    ...(os === "linux" ? { libc: ["glibc"] } : {}),
    main: ADDON,
    files: [ADDON],
  };
}

/** Returns the version of the TensorFlow in a virtual environment. */
function tensorFlowVersion(venv: string): string | undefined {
  const folder = tensorFlowFolder(venv);
  if (folder === undefined) return undefined;
  return Array.from(Deno.readDirSync(join(folder, "..")), ({ name }) => {
    return /^tensorflow(?:_cpu)?-([\d.]+)\.dist-info$/.exec(name)?.[1];
  }).find(Boolean);
}

/**
 * Returns the addon of an installed package, if there is one for this platform and exactly these
 * versions.
 */
export function findPrebuilt(environment: Environment, venv: string): string | undefined {
  const expected = packageFor(environment, venv);
  if (expected === undefined) return undefined;
  const packages = join(environment.root, "node_modules");
  // Deno puts what another package depends on into the second folder.
  for (const folder of [packages, join(packages, ".deno", "node_modules")]) {
    const found = join(folder, expected.name), addon = join(found, ADDON);
    if (!exists(addon)) continue;
    const { version } = JSON.parse(Deno.readTextFileSync(join(found, "package.json")));
    if (version === expected.version) return addon;
  }
}

/**
 * Packs the addon of this machine.
 *
 * @param folder Where the packed file is written.
 * @returns The path of the packed file.
 * @throws {SetupError} If the project is not set up, or npm fails.
 */
export async function packAddon(environment: Environment, folder: string): Promise<string> {
  const { venv, addon } = projectPaths(environment.root);
  const content = packageFor(environment, venv);
  if (content === undefined || !exists(addon)) {
    throw new SetupError("Packing the addon: it must be compiled, found none. Set up first.");
  }
  const source = await Deno.makeTempDir();
  try {
    await Deno.writeTextFile(join(source, "package.json"), JSON.stringify(content, null, 2));
    await Deno.copyFile(addon, join(source, ADDON));
    await Deno.mkdir(folder, { recursive: true });
    const { success, stdout, output } = await run(environment, [
      "npm",
      ...["pack", source, "--pack-destination", folder, "--silent"],
    ]);
    if (!success) throw new SetupError(`The addon could not be packed. ${advice(output)}`);
    return join(folder, stdout.trim());
  } finally {
    await Deno.remove(source, { recursive: true });
  }
}

if (import.meta.main) {
  console.log(await packAddon(thisEnvironment(), resolve(Deno.args[0] ?? "dist")));
}
