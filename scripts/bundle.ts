/**
 * `deno task bundle` writes `dist`: the library for web pages in one file, `resnet_lab.js`, and
 * beside it the files that it loads.
 */
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { build, type Metafile, stop } from "esbuild";
import { exists, refuseArguments, thisEnvironment } from "./environment.ts";

/** The packages that run in a page. */
const PACKAGES = /^(@tensorflow|@dagrejs|fast-png)(\/|$)/;

/**
 * Bundles `lib/browser.ts` into a folder. Where a file `x.page.ts` lies beside `x.ts`, it stands in
 * for it.
 *
 * @returns esbuild's list of what the bundle has.
 */
export async function bundle(root: string, folder: string): Promise<Metafile> {
  const packages = join(root, "node_modules"), lib = join(root, "lib");
  const { metafile } = await build({
    entryPoints: [join(lib, "browser.ts")],
    outfile: join(folder, "resnet_lab.js"),
    absWorkingDir: root,
    bundle: true,
    format: "esm",
    platform: "browser",
    target: "esnext",
    minify: true,
    metafile: true,
    logLevel: "warning",
    plugins: [{
      name: "pages",
      setup({ onResolve }) {
        onResolve({ filter: /^\..*\.ts$/ }, ({ path, resolveDir }) => {
          const page = join(resolveDir, path.replace(/\.ts$/, ".page.ts"));
          return exists(page) ? { path: page } : undefined;
        });
        // Imports of other packages go with the functions that use them, which no page calls.
        onResolve(
          { filter: /^[^./]/ },
          ({ path, importer }) =>
            importer.startsWith(lib) && !PACKAGES.test(path)
              ? { path, external: true, sideEffects: false }
              : undefined,
        );
      },
    }],
  }).finally(stop);
  const wasm = join(packages, "@tensorflow", "tfjs-backend-wasm", "dist");
  const subset = join("data", "fashion_mnist_subset");
  Deno.mkdirSync(join(folder, subset), { recursive: true });
  for (const { name } of Deno.readDirSync(wasm)) {
    if (name.endsWith(".wasm")) Deno.copyFileSync(join(wasm, name), join(folder, name));
  }
  for (const { name } of Deno.readDirSync(join(root, subset))) {
    Deno.copyFileSync(join(root, subset, name), join(folder, subset, name));
  }
  return metafile;
}

if (import.meta.main) {
  refuseArguments("bundle", "writes the library for web pages to dist");
  const { root } = thisEnvironment(), folder = join(root, "dist");
  await bundle(root, folder);
  const bytes = gzipSync(Deno.readFileSync(join(folder, "resnet_lab.js"))).length;
  console.log(`dist/resnet_lab.js: ${Math.round(bytes / 1000)} kB compressed`);
}
