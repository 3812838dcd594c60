/** Builds the book: the notebooks and the reference of the library as a static site. */
import { basename, dirname, join } from "node:path";
import { parseArgs } from "node:util";
import { build } from "vitepress";
import { type Environment, run, thisEnvironment } from "../scripts/environment.ts";
import { notebooksIn } from "../scripts/run.ts";
import { lessonTable, titleOf } from "../scripts/start_page.ts";
import type { CheckedNotebook } from "../scripts/check_notebooks.ts";
import { meaningsOf } from "./code.ts";
import { deadLinks } from "./links.ts";
import { convert, type Notebook } from "./notebook.ts";
import { marksFile, notebooksFolder, pagesFolder, siteFolder } from "./paths.ts";
import {
  accessible,
  correctSearch,
  forBook,
  removeDeadLinks,
  renameTwins,
  withRooms,
} from "./reference.ts";
import { serve } from "./serve.ts";

const usage = `Builds the book, a static site, into the folder book/site.

  deno task book [--base PATH] [--serve] [--port PORT]

  --base    the path under which the site will be served, such as /resnet-lab/ (/ if not given)
  --serve   serve the site to this machine after it is built
  --port    the port to serve at (8000 if not given)
`;

/**
 * Builds the site.
 *
 * @param base The path under which it will be served.
 * @throws {Error} If a link is dead, or a page would load something from another site.
 */
async function buildBook(environment: Environment, base: string): Promise<void> {
  await Deno.remove(pagesFolder, { recursive: true }).catch(() => {});
  const pages = await writeReference(environment, join(pagesFolder, "public", "reference"), base);
  const titles: Record<string, string> = {};
  const notebooks = new Map<string, CheckedNotebook>();
  for (const path of notebooksIn(notebooksFolder)) {
    const text = await Deno.readTextFile(path);
    const notebook: Notebook & CheckedNotebook = JSON.parse(text);
    const { markdown, files } = convert(path, notebook, base);
    const name = basename(path, ".ipynb");
    notebooks.set(path, notebook);
    titles[`${name}.ipynb`] = titleOf(text) ?? name;
    await write(`${name}.md`, markdown);
    await write(`public/notebooks/${name}.ipynb`, text);
    for (const [file, contents] of files) await write(`public/${file}`, contents);
  }
  await write("index.md", frontPage(titles));
  await writeLivePage(environment, base);
  await writeTrainingPage(environment, base);
  const { stdout: denoTypes } = await run(environment, [environment.deno, "types"]);
  const { cells, types } = meaningsOf(environment.root, notebooks, denoTypes, pages);
  for (const [name, texts] of Object.entries(types)) {
    await write(`public/files/${name}/types.json`, JSON.stringify(texts));
  }
  await Deno.writeTextFile(
    marksFile,
    JSON.stringify({ marks: cells, reference: `${base}reference/~/` }),
  );
  const plotly = join(environment.root, "node_modules", "plotly.js-dist-min", "plotly.min.js");
  await Deno.copyFile(plotly, join(pagesFolder, "public", "plotly.min.js"));
  await build(import.meta.dirname!, { base });
  const problems = await deadLinks(siteFolder, base);
  if (problems.length > 0) {
    throw new Error(
      `Building the book: all links must lead somewhere, found\n${problems.join("\n")}`,
    );
  }
}

/**
 * Writes the pages of the library's public names, with a way back to the lessons. Returns their
 * files, by the names that deno doc gave them.
 */
async function writeReference(
  environment: Environment,
  folder: string,
  base: string,
): Promise<ReadonlyMap<string, string>> {
  await Deno.mkdir(dirname(folder), { recursive: true });
  const { success, output } = await run(environment, [
    environment.deno,
    ...["doc", "--html", "--name=ResNet Lab", `--output=${folder}`, "lib/mod.ts"],
  ]);
  if (!success) throw new Error(`Building the book: deno doc must succeed, found\n${output}`);
  const pages = await renameTwins(folder);
  const library = await Deno.readTextFile(join(environment.root, "lib", "mod.ts"));
  const index = join(folder, "index.html");
  await Deno.writeTextFile(
    index,
    withRooms(await Deno.readTextFile(index), library, pages),
  );
  const start = '<ul class="breadcrumbs">';
  const back = `<li><a href="${base}" class="contextLink">Lessons</a></li><span>·</span>`;
  for (
    const file of [
      index,
      join(folder, "all_symbols.html"),
      ...[...pages.values()].map((name) => join(folder, "~", name)),
    ]
  ) {
    const text = await Deno.readTextFile(file);
    await Deno.writeTextFile(file, accessible(forBook(text.replace(start, start + back))));
  }
  await removeDeadLinks(folder);
  await correctSearch(folder);
  return pages;
}

/** Writes the page whose networks run in the browser, and the files that it loads at its start. */
async function writeLivePage(environment: Environment, base: string): Promise<void> {
  const { root, deno } = environment;
  const { success, output } = await run(environment, [
    deno,
    ...["run", "-A", "--no-check", join(root, "scripts", "bundle.ts")],
  ]);
  if (!success) throw new Error(`Building the book: the bundle must be made, found\n${output}`);
  const subset = join("data", "fashion_mnist_subset");
  for (
    const [from, to] of [
      [join(root, "dist"), "lab"],
      [join(root, "dist", subset), join("lab", subset)],
      [join(root, "data", "live"), "live"],
    ] as const
  ) {
    for (const { name, isFile } of Deno.readDirSync(from)) {
      // The page shows test pictures only, and VitePress would take Markdown for a page.
      if (!isFile || name.startsWith("train-") || name.endsWith(".md")) continue;
      if (name.includes(".node.") || name === "package.json") continue;
      await write(join("public", to, name), await Deno.readFile(join(from, name)));
    }
  }
  // A network is on the page when its weights are there.
  const networks = Array.from(
    Deno.readDirSync(join(root, "data", "live")),
    ({ name }) => basename(name, ".safetensors"),
  );
  await write("live_networks.md", livePage(base, networks));
}

function livePage(base: string, networks: readonly string[]): string {
  return `---
aside: false
prev: false
next: false
---
# Live networks

Trained networks of this course run in this page, with the library of the course. Layer by layer, a
network turns a picture into a probability for each class. Push the picture, draw one, or choose a
picture file: the probabilities follow at once. Each number in a layer is a unit. Click one to see
which pixels it depends on, and from which numbers its value comes.

<div data-live="${base}live/" data-networks="${networks.join(" ")}"
data-library="${base}lab/resnet_lab.js?RESNET_LAB_BACKEND=wasm">
<p><button type="button" class="start" hidden>Start (loads 2.3 MB)</button></p>
</div>

The address of this page has all that you choose: copy it to show someone the same unit of the same
picture. The networks of the course were trained on the 60,000 training pictures of Fashion-MNIST
for a few epochs. Each was trained once, so small differences between them may be chance.

- The blue frame in the picture has the pixels that the chosen unit depends on; the ones in the
  layers mark the unit and its channel.
- <a href="${base}reference/~/gradCam.html" target="_self">Grad-CAM</a> shows which places speak for
  the most probable class. It adds the last maps that have rows and columns, each times the mean
  gradient of the class's logit in that map.
- In the networks of the course, each batch norm is folded into the convolution before it: one sum
  of products and a bias gives the value that the next layer gets.

## A network of yours

Start the figure, and drop the folder on it that
<a href="${base}reference/~/writeGraphModel.html" target="_self"><code>writeGraphModel</code></a> has
written of your network, or choose all of the folder's files. The figure explains it in the same way, with
pictures of the size and channels that it takes (up to 256×256, grey or RGB). Its classes have names
if <code>writeGraphModel</code> got <code>classNames</code>. The files stay in this page: the address
holds neither your network nor a picture that is not 28×28 and grey.
`;
}

/** Writes the page in which a network is trained. It loads the library of the live networks. */
async function writeTrainingPage(environment: Environment, base: string): Promise<void> {
  const { root, deno } = environment, folder = join(pagesFolder, "public", "training");
  const { success, output } = await run(environment, [
    deno,
    ...["run", "-A", "--no-check", join(root, "scripts", "training_pictures.ts"), folder],
  ]);
  if (!success) throw new Error(`Building the book: the pictures must be made, found\n${output}`);
  await write("train_a_network.md", trainingPage(base));
}

function trainingPage(base: string): string {
  const pictures = {
    plane:
      "Blue and orange points of two moons, the line that a small network draws between them, " +
      "and its mistakes, which are crossed out",
    losses: "The loss on training points and on held-out points over 300 steps",
  };
  const images = Object.entries(pictures).map(([name, alt]) =>
    `<img src="${base}training/${name}.svg" alt="${alt}" width="360">`
  );
  return `---
aside: false
prev: false
next: false
---
# Train a network

A small network learns, in this page and with the library of the course, to tell blue points from
orange ones. While it trains you see what it finds at each place of the plane, the gradient of each
layer, and its loss and mistakes: on the training points, and on held-out points, from which it never
learns.

<div data-library="${base}lab/resnet_lab.js?RESNET_LAB_BACKEND=wasm">
<div class="preview">
${images.join("\n")}
</div>
<p>The points, the network's mistakes and its loss after 300 steps. The figure itself needs
scripts.</p>
<p><button type="button" class="start" hidden>Open the figure (loads 1.7 MB)</button></p>
</div>

The address of this page has all settings and the step: copy it to show someone this very situation.
Their browser trains the same network to the same step. Nothing is sent anywhere.

## Situations to look at

Predict first, then open the situation.

- [Without hidden layers, on xor](#data=xor&layers=0&step=300): the line between the classes is
  straight, and no straight line separates them.
- [All initial weights zero](#data=circles&start=zeros&step=300): the gradient of the hidden layers
  is exactly 0 at each step, so they never learn.
- [Three layers of sigmoid](#data=spirals&layers=3&activation=sigmoid&step=1000): the gradient gets
  smaller from each layer to the one before, and the loss hardly moves.
- [A learning rate of 3](#rate=3&step=300): after a few steps all units of a layer give zero for
  every point, and the gradient of the hidden layers is 0 from then on. The network gives all points
  the same answer.
- [More weights than points](#points=100&noise=0.3&heldOut=50&dataSeed=2&layers=3&width=32&optimizer=adam&rate=0.02&step=500):
  the loss on the training points falls, and on the held-out points it rises.
- [Spirals, learned](#data=spirals&noise=0.05&layers=3&width=16&step=2000): almost no mistake is left
  on either part.

## What the numbers are

- A step trains on one batch of points, and an epoch on all training points once. A seed chooses the
  random numbers: those of the points, or those of the initial weights and the order of the points.
- A change of a setting begins the training anew. So the settings and the step say all, and equal
  ones give equal numbers in the same browser; another browser may round differently.
- Both losses are means over all points of their part, after the step and without weight decay. The
  gradients are those of the batch that made the step.
- The loss surface is not drawn here: each picture of it needs hundreds of passes over the points,
  and in two random directions the path of a training hardly shows (Li et al. 2018, section 7.1).
  <a href="${base}reference/~/lossSurface.html" target="_self">lossSurface</a> computes it, and the
  lesson on [deeper ResNets](./11_deeper_resnets) draws it.
`;
}

function frontPage(titles: Readonly<Record<string, string>>): string {
  return `---
aside: false
prev: false
---
# ResNet Lab: from tensors to ResNet

A course on convolutional networks, in TypeScript, on one typed library. Each section asks a
question, lets you predict, shows a run, and reads its numbers. The charts and figures are live.

Everything can be read here; nothing has to be installed. Begin with
[the first lesson](./${basename(Object.keys(titles)[0]!, ".ipynb")}), and write down each prediction
before you reveal what happened.

You need to read JavaScript or TypeScript, and to know what a derivative is. Nothing about networks
is assumed. Each lesson uses what the ones before it built.

To try first, without reading: [train a small network](./train_a_network) in your browser and watch
its mistakes, or [look into trained networks](./live_networks) unit by unit.

## The lessons

<div class="map">

${lessonTable(titles, { link: (file) => `./${basename(file, ".ipynb")}` })}

</div>

The minutes are what a computer with two cores needs for what the lesson runs. To run the lessons
yourself, choose “Open in my Jupyter” in any of them. All names of the library are in
the <a href="./reference/" target="_self">reference</a>.
`;
}

async function write(file: string, contents: string | Uint8Array): Promise<void> {
  const path = join(pagesFolder, file);
  await Deno.mkdir(dirname(path), { recursive: true });
  if (typeof contents === "string") await Deno.writeTextFile(path, contents);
  else await Deno.writeFile(path, contents);
}

/** Reads the command line. */
function parseArguments(args: string[]) {
  const { values } = parseArgs({
    args,
    options: {
      base: { type: "string", default: "/" },
      serve: { type: "boolean", default: false },
      port: { type: "string", default: "8000" },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  if (!/^\/(.*\/)?$/.test(values.base)) {
    throw new RangeError(
      `Building the book: --base must begin and end with /, found ${values.base}.`,
    );
  }
  return values;
}

if (import.meta.main) {
  let options: ReturnType<typeof parseArguments>;
  try {
    options = parseArguments(Deno.args);
  } catch (error) {
    console.error(`${error instanceof Error ? error.message : error}\n\n${usage}`);
    Deno.exit(1);
  }
  if (options.help) {
    console.log(usage);
    Deno.exit();
  }
  try {
    await buildBook(thisEnvironment(), options.base);
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    Deno.exit(1);
  }
  console.log(`The book is in ${siteFolder}.`);
  if (options.serve) {
    const { addr } = serve(siteFolder, Number(options.port), options.base);
    const address = `http://127.0.0.1:${addr.port}${options.base}`;
    console.log(`It is served at ${address} until you press Ctrl+C.`);
  }
}
