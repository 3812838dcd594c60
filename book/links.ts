/** Finds dead links of a built site, and what a page would load from elsewhere. */
import { join, posix } from "node:path";

/** The attributes whose value is an address. Those of `data-` are read by our scripts. */
const attributes = /<(\w+)([^>]*?)\s(href|src|data-chart|data-options|data-types)="([^"]*)"/g;

/**
 * Returns a sentence for each dead link of a site: a file or a place in a page that is not there.
 * A page may link to another site, but must not load anything from it.
 *
 * @param base The path under which the site is served.
 */
export async function deadLinks(site: string, base: string): Promise<string[]> {
  const files = new Set(filesOf(site, ""));
  const places = new Map<string, ReadonlySet<string>>();
  async function placesOf(file: string): Promise<ReadonlySet<string>> {
    let found = places.get(file);
    if (!found) {
      const text = await Deno.readTextFile(join(site, file));
      found = new Set(Array.from(text.matchAll(/\sid="([^"]*)"/g), ([, id]) => unescape(id!)));
      places.set(file, found);
    }
    return found;
  }
  const problems: string[] = [];
  for (const file of files) {
    if (!file.endsWith(".html")) continue;
    const text = await Deno.readTextFile(join(site, file));
    for (const [, tag, , attribute, value] of text.matchAll(attributes)) {
      const address = new URL(unescape(value!), `http://book.invalid${base}${file}`);
      const dead = `${file}: ${attribute} ${value}`;
      if (address.protocol === "data:" || address.protocol === "mailto:") continue;
      if (address.hostname !== "book.invalid") {
        if (tag !== "a") problems.push(`${dead} would be loaded from another site`);
        continue;
      }
      const path = decodeURIComponent(address.pathname);
      const target = path.endsWith("/") ? `${path}index.html` : path;
      const place = decodeURIComponent(address.hash.slice(1));
      const inSite = posix.relative(base, target);
      if (!target.startsWith(base) || !files.has(inSite)) problems.push(`${dead} is not there`);
      // The state of a figure is no place.
      else if (place !== "" && !place.includes("=") && !(await placesOf(inSite)).has(place)) {
        problems.push(`${dead}: the page has no such place`);
      }
    }
  }
  return problems;
}

/** Returns the paths of all files of a folder, relative to it. */
function filesOf(folder: string, prefix: string): string[] {
  return Array.from(Deno.readDirSync(folder)).flatMap(({ name, isDirectory }) =>
    isDirectory ? filesOf(join(folder, name), `${prefix}${name}/`) : [prefix + name]
  );
}

/** Replaces the names of letters that HTML escapes. */
export function unescape(text: string): string {
  return text.replaceAll("&quot;", '"').replaceAll("&lt;", "<").replaceAll("&gt;", ">")
    .replaceAll("&#x2F;", "/").replaceAll("&amp;", "&");
}
