/**
 * `deno task bundle` writes `dist`: the library for web pages in one file, `resnet_lab.js`, the one
 * for Node and Bun, `resnet_lab.node.js`, and beside them the files that they load.
 */
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { build, type BuildOptions, type Metafile, stop } from "esbuild";
import { exists, refuseArguments, thisEnvironment } from "./environment.ts";

/** The packages that run in a page. */
const PACKAGES = /^(@tensorflow|@dagrejs|fast-png)(\/|$)/;

/** Where a bundle runs. */
export type BundlePlace = "page" | "node";

/** For each place the module of lib, the file, what stands in for `x.ts`, and esbuild's options. */
const places: Readonly<
  Record<BundlePlace, {
    readonly entry: string;
    readonly file: string;
    readonly suffixes: readonly string[];
    readonly options: BuildOptions;
  }>
> = {
  page: {
    entry: "browser.ts",
    file: "resnet_lab.js",
    suffixes: [".page.ts"],
    options: { platform: "browser", target: "esnext", minify: true },
  },
  node: {
    entry: "node.ts",
    file: "resnet_lab.node.js",
    suffixes: [".node.ts", ".page.ts"],
    options: {
      // Not minified, because Node prints the line of an error.
      platform: "node",
      target: "node20",
      // Classes print with their names.
      keepNames: true,
      // As for pages: the entries of TensorFlow.js for Node would bring its core a second time.
      mainFields: ["module", "main"],
      // TensorFlow.js's WebAssembly asks for modules of Node, and for its folder.
      banner: {
        js: `import { createRequire as requireOf } from "node:module";
const require = requireOf(import.meta.url), __dirname = import.meta.dirname;`,
      },
    },
  },
};

/**
 * Bundles `lib/browser.ts`, or `lib/node.ts`, into a folder. Where a file `x.page.ts` lies beside
 * `x.ts`, it stands in for it; for Node `x.node.ts`, or else `x.page.ts`.
 *
 * @returns esbuild's list of what the bundle has.
 */
export async function bundle(
  root: string,
  folder: string,
  place: BundlePlace = "page",
): Promise<Metafile> {
  const packages = join(root, "node_modules"), lib = join(root, "lib");
  const { entry, file, suffixes, options } = places[place];
  const { metafile } = await build({
    ...options,
    entryPoints: [join(lib, entry)],
    outfile: join(folder, file),
    absWorkingDir: root,
    bundle: true,
    format: "esm",
    metafile: true,
    logLevel: "warning",
    plugins: [{
      name: "places",
      setup({ onResolve }) {
        onResolve({ filter: /^\..*\.ts$/ }, ({ path, resolveDir }) => {
          const found = suffixes.map((suffix) => join(resolveDir, path.replace(/\.ts$/, suffix)))
            .find(exists);
          return found === undefined ? undefined : { path: found };
        });
        // Imports of other packages go with the functions that use them, which nothing calls.
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
  Deno.writeTextFileSync(join(folder, "package.json"), packageFile(root));
  return metafile;
}

/**
 * Returns the description of the bundles as a package of Node, by which `npm install` takes the
 * folder. Without it, the package around the folder would say how Node reads their syntax.
 */
function packageFile(root: string): string {
  const { version }: { readonly version: string } = JSON.parse(
    Deno.readTextFileSync(join(root, "deno.json")),
  );
  const exports = { ".": `./${places.node.file}`, "./*": "./*" };
  const description = { name: "resnet-lab", version, private: true, type: "module", exports };
  return `${JSON.stringify(description, null, 2)}\n`;
}

if (import.meta.main) {
  refuseArguments("bundle", "writes the library for web pages, and for Node and Bun, to dist");
  const { root } = thisEnvironment(), folder = join(root, "dist");
  for (const place of ["page", "node"] as const) {
    await bundle(root, folder, place);
    const bytes = gzipSync(Deno.readFileSync(join(folder, places[place].file))).length;
    console.log(`dist/${places[place].file}: ${Math.round(bytes / 1000)} kB compressed`);
  }
}
