/** The reference that `deno doc` writes: names of files that no disk confuses, and access. */
import { join } from "node:path";
import { unescape } from "./links.ts";

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

/**
 * Removes the pages whose names cannot stand in an address, such as
 * `FigureBundle.image%2Fpng.html`, and the addresses of links to missing pages and places.
 *
 * @param folder The folder that `deno doc --html` has written.
 */
export async function removeDeadLinks(folder: string): Promise<void> {
  const pages = join(folder, "~");
  for (const { name } of [...Deno.readDirSync(pages)]) {
    if (!/^[\w.$-]+$/.test(name)) await Deno.remove(join(pages, name));
  }
  const files = new Set(Array.from(Deno.readDirSync(pages), ({ name }) => name));
  for (const path of [...rootFiles(folder), ...[...files].map((name) => join(pages, name))]) {
    if (!path.endsWith(".html")) continue;
    const text = await Deno.readTextFile(path);
    const places = new Set(Array.from(text.matchAll(/\sid="([^"]*)"/g), ([, id]) => unescape(id!)));
    const isThere = (address: string) => {
      const [, page, place] = /^([^#]*)#?(.*)$/.exec(decodeURIComponent(address))!;
      if (page === "") return places.has(place!);
      const name = /~\/(.*)$/.exec(page!)?.[1];
      return name === undefined || files.has(name);
    };
    const changed = text.replaceAll(
      /(<a\b[^>]*?)\shref="([^"]*)"/g,
      (link, start: string, address: string) => isThere(unescape(address)) ? link : start,
    );
    if (changed !== text) await Deno.writeTextFile(path, changed);
  }
}

/** A result of the search, in the index that deno doc writes. */
interface Found {
  readonly kind: readonly { readonly kind: string }[];
  readonly name: string;
  /** The page, from the folder of the reference. */
  readonly url: string;
}

/**
 * Corrects the search: a result leads to the file of its page, which `renameTwins` may have
 * renamed; functions, and then the other names without a dot, come first among results that fit
 * alike; names without a page are left out.
 */
export async function correctSearch(folder: string): Promise<void> {
  const script = join(folder, "search.js"), index = join(folder, "search_index.js");
  const code = await Deno.readTextFile(script), list = await Deno.readTextFile(index);
  const byName = "${pathToRoot}${result.file}/~/${result.name}.html";
  const [start, json, end] = list.split(/(\{"kind":"search".*\})(?=;)/);
  if (!code.includes(byName) || json === undefined) {
    throw new Error(
      "Writing the reference: the search of deno doc must be as known, found other code.",
    );
  }
  const { nodes, ...rest }: { readonly nodes: Found[] } = JSON.parse(json);
  const files = new Set(Array.from(Deno.readDirSync(join(folder, "~")), ({ name }) => name));
  const rank = ({ kind, name }: Found) =>
    name.includes(".") ? 2 : kind.some(({ kind }) => kind === "Function") ? 0 : 1;
  const sorted = nodes.filter(({ url }) => files.has(url.replace(/^.*\//, "").replace(/#.*$/, "")))
    .sort((a, b) => rank(a) - rank(b));
  await Deno.writeTextFile(script, code.replace(byName, "${pathToRoot}${result.url}"));
  await Deno.writeTextFile(index, start + JSON.stringify({ ...rest, nodes: sorted }) + end);
}

/**
 * Returns the first page with the names of all values, by the rooms of the library.
 *
 * @param page The page that deno doc has written, which has five names.
 * @param library The text of `lib/mod.ts`, which exports the names of each room with a comment.
 * @param pages The file of each page, by the name that deno doc gave it.
 */
export function withRooms(
  page: string,
  library: string,
  pages: ReadonlyMap<string, string>,
): string {
  const rooms = library.matchAll(/^\/\/ (.*)\nexport \{([^}]*)\} from "\.\/(\w+)\/mod\.ts";$/gm);
  const list = Array.from(rooms, ([, about, names]) => {
    const links = names!.split(",").map((name) => name.trim()).filter((name) =>
      name !== "" && !name.startsWith("type ")
    ).map((name) => {
      const file = pages.get(`${name}.html`);
      if (file === undefined) {
        throw new Error(
          `Writing the reference: each name must have a page, found none of ${name}.`,
        );
      }
      return `<a href="./~/${file}"><code>${name}</code></a>`;
    });
    const text = about!.replaceAll(/`([^`]*)`/g, "<code>$1</code>");
    const [title, ...words] = text.split(": "), sentence = words.join(": ");
    return `<h2>${title}</h2>\n<p>${sentence.charAt(0).toUpperCase()}${sentence.slice(1)}</p>\n<p>${
      links.join(", ")
    }</p>`;
  });
  const [before, after, ...more] = page.split(/(?=<\/div><\/div>\s*<\/div>\s*<\/section>)/);
  if (list.length === 0 || after === undefined || more.length > 0) {
    throw new Error(
      "Writing the reference: the rooms and the end of the first page's text must be found, " +
        `found ${list.length} rooms and ${more.length} other ends.`,
    );
  }
  return `${before}${list.join("\n")}${after}`;
}

/**
 * Returns a page of deno doc without what is wrong in a book: links to files of the machine that
 * built it, an import from ".", and in the list of all names their types and members.
 */
export function forBook(page: string): string {
  return page
    .replaceAll(/<a\s+class="sourceButton"\s+href="file:[^"]*"[^>]*>[^]*?<\/a>/g, "")
    .replaceAll(/ from &quot;\.&quot;;/g, " from &quot;resnet-lab&quot;;")
    .replaceAll(/<ul class="namespaceItemContentSubItems">[^]*?<\/ul>/g, "")
    .replaceAll(/(<a href="[^"]*" title="([^"]*)">)\s*<span>[^]*?<\/a>/g, "$1<span>$2</span></a>")
    // The only entry point has no name.
    .replace(
      /<span class="text-black dark:text-white"><svg[^]*?<\/svg>\s*<\/span><a href="[^"]*" class="contextLink">default<\/a>/,
      "",
    )
    .replace(/(class="link text-xl font-bold">)default</, "$1All names<")
    .replace(/<title>(.*) - default - /, "<title>$1 - ");
}

/**
 * The changes to the looks of deno doc: contrast, and pages that fit a phone. There the list of
 * names, which is all that the first page has, stands below the page instead of being left out.
 */
const style = `<link rel="icon" href="data:,">
<style>
.light .td-kw { color: #0b6578 } .light .td-lit { color: #9a3c00 } .light .td-str { color: #14692f }
.light .td-ref, .light .ddoc .markdown a { color: #1f56b5 } .light .td-tp { color: #7a4b00 }
.ddoc .namespaceItemContentSubItems, .ddoc .namespaceItemContent * { opacity: 1 !important }
.ddoc .td-ref { text-decoration: underline }
.light .text-Class { color: #12702d } .light .text-readonly { color: #5334d8 }
.light .text-Interface { color: #80500f } .light .text-Namespace { color: #a83a2c }
.light .text-Enum { color: #0f6a6e } .light .ddoc .type { color: #57534e }
.light .ddoc a code { color: #1f56b5 !important }
.light .td-op { color: #a3195b } .light .ddoc .contextLink { color: #0b5273 }
.light .ddoc [class*=text-stone-500] { color: #57534e }
.light .token.comment { color: #5c6370 } .light .token.punctuation { color: #57534e }
.light .token.function, .light .token.class-name { color: #a3195b }
.light .token.string { color: #3f6100 } .light .token.operator { color: #6f4e24 }
.light .token.keyword { color: #005f8a }
.light .text-optional, .light .text-abstract { color: #0a6270 }
.dark .type { color: #a8a29e !important } .dark .text-readonly { color: #a99bff }
@media (max-width: 767px) {
  .ddoc > *, .ddoc article { min-width: 0; max-width: 100% }
  .ddoc #topnav { height: auto }
  .ddoc #topnav > div { flex-wrap: wrap; gap: 0.5rem }
  .ddoc #topnav > div > * { max-width: 100% }
  .ddoc #searchbar { min-width: 0; flex-shrink: 1 }
  .ddoc .breadcrumbs { word-break: normal; overflow-wrap: anywhere }
  .ddoc #content { flex-direction: column }
  .ddoc #content > * { min-width: 0; max-width: 100% }
  .ddoc #content code { overflow-wrap: anywhere }
  .ddoc #content pre, .ddoc #content pre code { overflow-x: auto; overflow-wrap: normal }
  .ddoc .toc { display: block; position: static; width: auto; height: auto; max-height: none }
}
</style></head>`;

/** Returns a page of deno doc with what screen readers, the keyboard and phones need. */
export function accessible(page: string): string {
  return page
    .replace("<html>", '<html lang="en">')
    .replace("</head>", style)
    // The list holds links and arrows that are no items.
    .replace('<ul class="breadcrumbs">', '<ul class="breadcrumbs" role="presentation">')
    .replaceAll('<button class="copyButton"', '<button class="copyButton" aria-label="Copy"')
    .replaceAll('<code class="language-', '<code tabindex="0" class="language-');
}

/** Returns the paths of the files beside the folder of pages that may link to a page. */
function rootFiles(folder: string): string[] {
  return Array.from(Deno.readDirSync(folder)).map(({ name }) => name)
    .filter((name) => name.endsWith(".html") || name === "search_index.js")
    .map((name) => join(folder, name));
}
