import katex from "@vscode/markdown-it-katex";
import { join } from "node:path";
import { basename } from "node:path";
import { defineConfig, type MarkdownOptions } from "vitepress";
import { notebooksIn } from "../../scripts/run.ts";
import { titleOf } from "../../scripts/start_page.ts";
import { theme, transformer } from "../highlight.ts";
import { marksFile, notebooksFolder, pagesFolder, siteFolder } from "../paths.ts";

const { marks, reference } = JSON.parse(await Deno.readTextFile(marksFile));

/** The Markdown of pages: formulas are laid out at build time, HTML of outputs passes through. */
const markdown: MarkdownOptions = {
  theme,
  codeTransformers: [transformer(marks, reference)],
  config(md) {
    // VitePress has another version of the types of markdown-it.
    md.use(Reflect.get(katex, "default") ?? katex);
    const fence = md.renderer.rules.fence!;
    md.renderer.rules.fence = (tokens, index, ...rest) => {
      const { info, content } = tokens[index]!;
      const prefix = "html-as-is ";
      return info.startsWith(prefix)
        ? `${info.slice(prefix.length)}\n${content}</div>\n`
        : fence(tokens, index, ...rest);
    };
  },
};

const lessons = notebooksIn(notebooksFolder).map((path) => {
  const name = basename(path, ".ipynb");
  return { text: titleOf(Deno.readTextFileSync(path)) ?? name, link: `/${name}` };
});

/** A block and its shortcut. */
const icon = "data:image/svg+xml," + encodeURIComponent(
  '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><rect x="4" y="11" width="14" ' +
    'height="10" rx="2" fill="#3451b2"/><path d="M2 16V5h24v11M18 16h12" fill="none" ' +
    'stroke="#d55e00" stroke-width="3"/></svg>',
);

export default defineConfig({
  title: "ResNet Lab",
  description: "From tensors to ResNet: a course of notebooks in TypeScript",
  lang: "en",
  srcDir: pagesFolder,
  outDir: siteFolder,
  cacheDir: join(pagesFolder, "..", "vite"),
  markdown,
  // The addresses of pictures are final. Without this each one would become an import.
  vue: { template: { transformAssetUrls: false } },
  metaChunk: true,
  router: { prefetchLinks: false },
  // Only where scripts run, results are hidden until the reader has predicted.
  head: [
    ["script", {}, "document.documentElement.classList.add('js')"],
    ["link", { rel: "icon", href: icon }],
  ],
  // The pages of deno doc are not VitePress's; the build checks these links too.
  ignoreDeadLinks: [/\/reference\//],
  themeConfig: {
    nav: [
      { text: "Lessons", link: "/" },
      { text: "Live networks", link: "/live_networks" },
      { text: "Train a network", link: "/train_a_network" },
      { text: "Reference", link: "/reference/", target: "_self" },
    ],
    sidebar: [
      { text: "Lessons", items: lessons },
      {
        text: "To try",
        items: [
          { text: "Live networks", link: "/live_networks" },
          { text: "Train a network", link: "/train_a_network" },
        ],
      },
    ],
    search: {
      provider: "local",
      options: {
        // Colours of code and outputs are of no use to the search.
        _render: (source, env, md) =>
          md.render(
            source.replaceAll(/^~~~~~~html-as-is[^]*?\n~~~~~~$/gm, "")
              .replaceAll(/^(~~~~~~|```)ts cell=.*$/gm, "$1text"),
            env,
          ),
      },
    },
    outline: [2, 3],
    notFound: {
      title: "There is no such page",
      quote: "The lessons are in the list of the first page, and the search knows all of them.",
      linkText: "To the first page",
      linkLabel: "To the first page",
    },
  },
});
