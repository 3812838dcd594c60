/** The reference that `deno doc` writes: names of files that no disk confuses. */
import { join } from "node:path";

/** A link to a page, in the HTML of deno doc and in its search index. */
const links = /(~(?:\/|&#x2F;))([\w.$]+\.html)/g;

/**
 * Renames each page whose name differs from another one only by case, as `Conv2d.html` from
 * `conv2d.html`, and rewrites the links to it. Disks of macOS and Windows take such names for one
 * file. A function keeps its name; its twin gets its kind: `Conv2d-class.html`.
 *
 * @param folder The folder that `deno doc --html` has written.
 * @returns The file of each page, by the name that deno doc gave it.
 */
export async function renameTwins(folder: string): Promise<ReadonlyMap<string, string>> {
  const index = await Deno.readTextFile(join(folder, "search_index.js"));
  const kinds = new Map<string, string>();
  for (const [, kind, name] of index.matchAll(/"title":"([^"]*)"\}\],"name":"([^"]*)"/g)) {
    kinds.set(`${name}.html`, kind!);
  }
  const names = Array.from(Deno.readDirSync(join(folder, "~")), ({ name }) => name).sort();
  const groups = Object.values(Object.groupBy(names, (name) => name.toLowerCase()));
  const files = new Map(names.map((name) => [name, name]));
  for (const group of groups) {
    for (const name of group!.length > 1 ? group! : []) {
      const kind = kinds.get(name) ?? "page";
      if (kind === "Function") continue;
      const suffix = kind.toLowerCase().replaceAll(" ", "-");
      files.set(name, name.replace(/\.html$/, `-${suffix}.html`));
    }
  }
  const distinct = new Set([...files.values()].map((file) => file.toLowerCase()));
  if (distinct.size < files.size) {
    throw new Error(
      "Writing the reference: the names of its pages must differ by more than case, found " +
        `${files.size} pages with ${distinct.size} names.`,
    );
  }
  for (const path of [...rootFiles(folder), ...names.map((name) => join(folder, "~", name))]) {
    const text = await Deno.readTextFile(path);
    const changed = text.replaceAll(
      links,
      (_, start: string, page: string) => start + (files.get(page) ?? page),
    );
    if (changed !== text) await Deno.writeTextFile(path, changed);
  }
  for (const [name, file] of files) {
    if (file !== name) await Deno.rename(join(folder, "~", name), join(folder, "~", file));
  }
  return files;
}

/** Returns the paths of the files beside the folder of pages that may link to a page. */
function rootFiles(folder: string): string[] {
  return Array.from(Deno.readDirSync(folder)).map(({ name }) => name)
    .filter((name) => name.endsWith(".html") || name === "search_index.js")
    .map((name) => join(folder, name));
}
