/** Tests of the figure "Live networks": trained networks that run in a page. */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { join } from "node:path";
import type { Locator } from "playwright-core";
import {
  cifarResnet,
  fashionMnist,
  foldBatchNorm,
  googlenet,
  gradCam,
  type GraphModelOptions,
  type Images,
  lenet,
  loadStateDict,
  type Module,
  onForward,
  ops,
  Random,
  readSafetensors,
  setSeed,
  type Tensor,
  tidy,
  withBackend,
  writeGraphModel,
} from "resnet-lab";
import { encode } from "fast-png";
import { makeKit } from "../../lib/interactive/kit.ts";
import { explain, valueAt } from "../../lib/interactive/live/explain.ts";
import { answerOf, loadLive } from "../../lib/interactive/live/mod.ts";
import {
  type LiveModel,
  type LiveName,
  liveNetworks,
} from "../../lib/interactive/live/networks.ts";
import { onBlack, pictureOf, pushed, textOf } from "../../lib/interactive/live/picture.ts";
import { assertClose } from "../_helpers.ts";
import { exists } from "../../scripts/environment.ts";
import { root } from "../_project.ts";
import { fitsAndShows, textsFit } from "./_page.ts";
import { makeBundle, Site, siteTest } from "./_site.ts";

const weights = join(root, "data", "live");
/** The networks whose weights are in the project. */
const names = (Object.keys(liveNetworks) as LiveName[]).filter((name) =>
  exists(join(weights, `${name}.safetensors`))
);

/** Opens the figure in a page. The page keeps it as `figure`, with what it reports as `states`. */
async function openFigure(state = ""): Promise<Site> {
  const site = await Site.open({ lab: (await makeBundle()).folder, data: weights });
  site.page.on("console", (message) => {
    if (message.type() === "error") site.errors.push(new Error(message.text()));
  });
  await site.run(
    `
    document.body.style = "margin: 8px; color-scheme: light dark";
    document.head.insertAdjacentHTML("beforeend", '<meta name="viewport" content="width=device-width">');
    document.body.innerHTML = "<div id=live></div>";
    const { interactive } = await import("/lab/resnet_lab.js?RESNET_LAB_BACKEND=wasm");
    globalThis.states = [];
    globalThis.figure = await interactive.live(document.querySelector("#live"), {
      weights: "/data/", networks: values.names, state: values.state, changed: (state) => states.push(state) });`,
    { state, names },
  );
  await site.page.locator("[data-value], [data-unit]").first().waitFor();
  return site;
}

/** The numbers that the page computes, in a form for JSON. */
interface Answer {
  readonly logits: number[];
  readonly layers: { path: string; values: number[] }[];
}

const ANSWER = `
  const { logits, layers } = figure.answer;
  return { logits: [...logits], layers: layers.map(({ path, values }) => ({ path, values: [...values] })) };`;

for (const name of names) {
  siteTest(`${liveNetworks[name].title} computes in a page what it computes here`, async () => {
    await using site = await openFigure(`network=${name}&picture=3&push=2,-1`);
    const page = await site.run<Answer>(ANSWER);
    const { test } = await fashionMnist({ subset: true });
    const pixels = pushed(Float32Array.from(test.images([3]).dataSync()), 2, -1);
    const { model } = await loadLive(name, join(weights, `${name}.safetensors`));
    const here = answerOf(model, pixels);
    assertClose(page.logits, here.logits, 1e-4);
    // Without the folding of batch norms.
    const unfolded: LiveModel = liveNetworks[name].build();
    loadStateDict(unfolded, await readSafetensors(join(weights, `${name}.safetensors`)));
    assertClose(page.logits, unfolded.forward(ops.tensor(pixels, [1, 28, 28, 1])), 1e-4);
    assert.deepEqual(page.layers.map(({ path }) => path), here.layers.map(({ path }) => path));
    page.layers.forEach(({ values }, i) => assertClose(values, here.layers[i]!.values, 1e-4));
  });
}

siteTest("a reader chooses a unit, and its value is the sum of its products", async () => {
  await using site = await openFigure("network=lenet&picture=3&layer=features.3&unit=5,4,6");
  const { page } = site,
    number = async (name: string) =>
      Number(await page.locator(`[data-${name}]`).first().getAttribute(`data-${name}`));
  const isSum = async () =>
    assertClose(await number("sum") + await number("bias"), await number("value"), 1e-4);
  const { layers } = await site.run<Answer>(ANSWER);
  const values = layers.find(({ path }) => path === "features.3")!.values;
  assert.equal(await number("value"), values[(4 * 10 + 6) * 16 + 5]);
  await isSum();
  // 5×5 after a pooling of 2×2 after 5×5: 2 · 4 + 1 + 1 + 4 = 14 pixels.
  assert.equal(await page.locator("[data-field]").getAttribute("data-field"), "6,19,10,23");
  // At an edge the padding is left out: rows −2 to 11.
  await page.getByRole("spinbutton", { name: "Row" }).fill("1");
  assert.equal(await page.locator("[data-field]").getAttribute("data-field"), "0,11,10,23");
  await isSum();

  // A click in the second map of the first layer: row 10, column 20.
  const pad = page.locator('[data-pad="layer features.0"] svg');
  const { width } = (await pad.boundingBox())!;
  const unit = width / Number(await pad.getAttribute("width"));
  await pad.click({ position: { x: (29 + 20.5) * 2 * unit, y: 10.5 * 2 * unit } });
  assert.match(
    await page.locator("[data-view=value]").innerText(),
    /^features\.0, channel 2, row 11, column 21/,
  );
  assert.equal(await page.locator("[data-field]").getAttribute("data-field"), "8,12,18,22");
  await isSum();

  await page.getByRole("combobox", { name: "Layer" }).selectOption("classifier.5");
  await isSum();
  assert.equal(await page.locator("[data-field]").getAttribute("data-field"), "0,27,0,27");
  assert.deepEqual(
    site.requests.filter((url) => !url.includes(site.origin) && !url.startsWith("data:")),
    [],
  );
});

siteTest("a reader pushes and draws a picture, and its link shows the same", async () => {
  await using site = await openFigure("network=lenet&picture=3");
  const { page } = site, picture = page.locator("[data-view=picture]");
  const probabilities = () =>
    page.locator("[data-probability]").evaluateAll((bars) =>
      bars.map((bar) => Number(bar.getAttribute("data-probability")))
    );
  const before = await probabilities();
  await picture.focus();
  await picture.press("ArrowRight");
  await picture.press("ArrowDown");
  assert.notDeepEqual(await probabilities(), before);
  const state = () => site.run<string>("return figure.state");
  assert.match(await state(), /push=1%2C1/);

  await page.getByRole("button", { name: "Draw on black" }).click();
  const { x, y, width } = (await picture.locator("svg").boundingBox())!;
  await page.mouse.move(x + width / 4, y + width / 4);
  await page.mouse.down();
  await page.mouse.move(x + width / 2, y + width / 2);
  await page.mouse.up();
  const link = await state(), own = pictureOf(new URLSearchParams(link).get("own")!)!;
  assert.equal(own[10 * 28 + 10], 1);
  assert.equal(own[20 * 28 + 20], 0);
  assert.equal(own[0], 0);
  const drawn = await probabilities();
  const { logits } = await site.run<Answer>(ANSWER);
  const { model } = await loadLive("lenet", join(weights, "lenet.safetensors"));
  assertClose(logits, answerOf(model, own).logits, 1e-4);

  await using other = await openFigure(link);
  assert.deepEqual((await other.run<Answer>(ANSWER)).logits, logits);
  assert.equal(await other.run("return figure.state"), link);
  assert.equal(drawn.length, 10);
});

siteTest("a picture file is read in grey, on black", async () => {
  await using site = await openFigure();
  // Dark on white: the figure inverts it.
  const data = Uint8Array.from(
    { length: 56 * 56 },
    (_, i) => i % 56 >= 20 && i % 56 < 36 && i / 56 >= 10 && i / 56 < 46 ? 0 : 255,
  );
  const png = encode({ width: 56, height: 56, channels: 1, data });
  const files = site.page.locator('input[accept="image/*"]');
  await files.setInputFiles({
    name: "tower.png",
    mimeType: "image/png",
    buffer: Buffer.from(png),
  });
  await site.page.waitForFunction("figure.state.includes('own=')");
  const link = await site.run<string>("return figure.state");
  const own = pictureOf(new URLSearchParams(link).get("own")!)!;
  assert.deepEqual([own[0], own[14 * 28 + 14], own[14 * 28 + 5]], [0, 1, 0]);

  // A file that is no picture changes nothing, and the figure says why.
  const text = Buffer.from("no picture");
  await files.setInputFiles({ name: "notes.txt", mimeType: "text/plain", buffer: text });
  const said = site.page.locator("[data-view=said]");
  await said.filter({ hasText: "Reading" }).waitFor();
  assert.doesNotMatch(await said.innerText(), /\.\./);
  assert.equal(await site.run("return figure.state"), link);
});

siteTest("the heat maps are those of gradCam() here", async () => {
  const { test } = await fashionMnist({ subset: true }), image = test.images([3]);
  for (const name of names) {
    await using site = await openFigure(`network=${name}&picture=3`);
    const page = await site.run<number[]>("return [...figure.heat]");
    const { model } = await loadLive(name, join(weights, `${name}.safetensors`));
    const logits = [...model.forward(image).dataSync()];
    const best = logits.indexOf(Math.max(...logits));
    assertClose(page, gradCam(model, liveNetworks[name].gradCamPath, image, best), 1e-4);
    assert(Math.max(...page) > 0);
  }
});

/** A graph model of a reader's. */
interface OwnModel {
  readonly make: () => Module<Images, Tensor>;
  readonly shape: readonly [height: number, width: number, channels: number];
  readonly options: GraphModelOptions;
}

const ownModels: Readonly<Record<string, OwnModel>> = {
  lenet: { make: () => lenet() as never, shape: [28, 28, 1], options: {} },
  resnet: {
    make: () => cifarResnet({ depth: 8, width: 1 / 2, classes: 3 }) as never,
    // The means over 4 and 8 rows and columns are exact in float16.
    shape: [16, 32, 3],
    options: {
      ...{ foldBatchNorm: true, softmax: true, weightType: "float16" },
      classNames: ["cat", "dog", "otter"],
    },
  },
  googlenet: {
    make: () => googlenet({ variant: "torchvision", width: 1 / 16, classes: 5 }) as never,
    shape: [64, 64, 3],
    options: {},
  },
};

/** Writes a model of a reader's, with running statistics that are not those of the start. */
async function writeOwn({ make, shape, options }: OwnModel) {
  setSeed(1);
  const model = make(), folder = await Deno.makeTempDir({ prefix: "own_" });
  tidy(() => model.forward(new Random(2).normal([8, ...shape]), { training: true }));
  await writeGraphModel(folder, model, shape, options);
  return { model, folder, [Symbol.asyncDispose]: () => Deno.remove(folder, { recursive: true }) };
}

/** Returns the outputs of nodes of a graph model, computed by TensorFlow.js alone. */
async function nodesOf(
  folder: string,
  shape: OwnModel["shape"],
  pixels: Float32Array,
  nodes: readonly string[],
): Promise<Float32Array[]> {
  // Without its types, which would stand in the way of those that lib gives to tensors.
  const tfjs: string = "@tensorflow/tfjs";
  const { loadGraphModel } = await import(tfjs);
  await using server = Deno.serve(
    { port: 0, hostname: "127.0.0.1", onListen() {} },
    async ({ url }) => new Response(await Deno.readFile(folder + new URL(url).pathname)),
  );
  return await withBackend("cpu", async () => {
    const loaded = await loadGraphModel(`http://127.0.0.1:${server.addr.port}/model.json`);
    using input = ops.tensor(pixels, [1, ...shape]);
    const outputs: Tensor[] = tidy(() => loaded.execute(input, nodes));
    return outputs.map((output) => output.dataSync() as Float32Array);
  });
}

/** Shows a picture of a shape in the figure, and returns it. */
async function showPicture(site: Site, [height, width, channels]: OwnModel["shape"]) {
  const data = Uint8Array.from({ length: height * width * channels }, (_, i) => i * i * 7 % 256);
  const buffer = Buffer.from(encode({ width, height, channels, data }));
  await site.run("globalThis.before = figure.answer");
  await site.page.locator('input[accept="image/*"]')
    .setInputFiles({ name: "picture.png", mimeType: "image/png", buffer });
  await site.page.waitForFunction("figure.answer !== before");
  return Float32Array.from(data, (byte) => byte / 255);
}

/** Drops a folder or a file on the figure, as a reader does with a mouse. */
async function drop(site: Site, folder: string): Promise<void> {
  const { x, y } = (await site.page.locator("[data-view=picture]").boundingBox())!;
  const session = await site.page.context().newCDPSession(site.page);
  for (const type of ["dragEnter", "dragOver", "drop"] as const) {
    const data = { items: [], files: [folder], dragOperationsMask: 1 };
    await session.send("Input.dispatchDragEvent", { type, x: x + 20, y: y + 20, data });
  }
}

const ownIsChosen = `figure.state.startsWith("network=own")`;

for (const [name, own] of Object.entries(ownModels)) {
  siteTest(`a reader drops a folder of writeGraphModel(): ${name}`, async () => {
    await using written = await writeOwn(own);
    const { folder, model } = written, { shape, options } = own;
    await using site = await openFigure("network=lenet&picture=3");
    await drop(site, folder);
    await site.page.waitForFunction(ownIsChosen);
    const shown = await showPicture(site, shape);
    // Pictures that fit into links have 15 levels.
    const pixels = name === "lenet" ? shown.map((x) => Math.round(x * 15) / 15) : shown;
    const page = await site.run<Answer>(ANSWER);

    // All layers by TensorFlow.js, and the logits by the library.
    const nodes = await nodesOf(folder, shape, pixels, page.layers.map(({ path }) => path));
    page.layers.forEach(({ values }, i) => assertClose(values, nodes[i]!, 1e-4));
    if (options.foldBatchNorm) foldBatchNorm(model, shape);
    if (options.weightType === "float16") {
      for (const weight of model.parameters()) {
        const half = Float32Array.from(Float16Array.from(weight.dataSync()));
        tidy(() => weight.assign(ops.tensor(half, weight.shape) as never));
      }
    }
    const image: Images = ops.tensor(pixels, [1, ...shape]);
    const maps: Float32Array[] = [];
    const logits = onForward(model, image, ({ module, output }) => {
      const isMap = module.children().size === 0 && (output as Tensor).rank === 4;
      if (isMap) maps.push((output as Tensor).dataSync() as Float32Array);
    });
    assertClose(page.logits, logits, 1e-4);
    // Each feature map of a module is one of the page's.
    for (const values of maps) {
      const isClose = (other: readonly number[]) =>
        other.length === values.length && other.every((x, i) => Math.abs(x - values[i]!) < 1e-4);
      assert(page.layers.some(({ values }) => isClose(values)));
    }
    assert(maps.length >= (name === "lenet" ? 6 : 8));

    const probabilities = ops.softmax(logits as Images).dataSync();
    const best = probabilities.indexOf(Math.max(...probabilities));
    const bars = await site.page.locator("[data-probability]").evaluateAll((bars) =>
      bars.map((bar) => Number(bar.getAttribute("data-probability")))
    );
    assertClose(bars, probabilities, 1e-4);
    const said = await site.page.locator("[data-view=said]").innerText();
    const title = `Your network (${folder.split("/").at(-1)})`;
    assert.equal(
      said,
      `${title} says ${options.classNames?.[best] ?? `class ${best}`} with probability ${
        probabilities[best]!.toFixed(3)
      }.`,
    );
    // The heat map of the last layer with rows and columns, by the library.
    const path = { lenet: "features.5", resnet: "layer3", googlenet: "inception5b" }[name]!;
    assertClose(
      await site.run<number[]>("return [...figure.heat]"),
      gradCam(model as never, path, image as never, best),
      1e-4,
    );
    assert.deepEqual(
      site.requests.filter((url) => !url.startsWith(site.origin) && !/^(data|blob):/.test(url)),
      [],
    );
  });
}

siteTest("a reader chooses the files of a network by keyboard, and any unit of it", async () => {
  await using lenet = await writeOwn(ownModels.lenet!);
  await using other = await writeOwn(ownModels.resnet!);
  await using site = await openFigure("network=lenet&picture=3");
  const { page } = site;
  const number = async (name: string) =>
    Number(await page.locator(`[data-${name}]`).first().getAttribute(`data-${name}`));
  const field = () => page.locator("[data-field]").getAttribute("data-field");
  const choose = async (folder: string) => {
    const [chooser] = await Promise.all([
      page.waitForEvent("filechooser"),
      page.getByLabel("Your network: all files").press("Enter"),
    ]);
    await chooser.setFiles([...Deno.readDirSync(folder)].map(({ name }) => join(folder, name)));
  };
  await choose(lenet.folder);
  await page.waitForFunction(ownIsChosen);
  // The second convolution; its field is worked out in the test of LeNet above.
  const layers = await site.run<string[]>("return figure.answer.layers.map(({ path }) => path)");
  await page.getByRole("combobox", { name: "Layer" }).selectOption(layers[3]!);
  for (const [name, value] of [["Channel", 6], ["Row", 5], ["Column", 7]] as const) {
    await page.getByRole("spinbutton", { name }).fill(String(value));
  }
  assert.equal(await field(), "6,19,10,23");
  assertClose(await number("sum") + await number("bias"), await number("value"), 1e-4);
  const maps = await site.run<Answer>(ANSWER);
  assert.equal(await number("value"), maps.layers[3]!.values[(4 * 10 + 6) * 16 + 5]);

  // Another network with other pictures takes its place, and a reader draws on them.
  await choose(other.folder);
  await page.waitForFunction("figure.answer.logits.length === 3");
  await page.getByRole("button", { name: "Draw on black" }).click();
  const drawn = page.locator("[data-view=picture] svg"),
    { x, y, width, height } = (await drawn.boundingBox())!;
  assert(Math.abs(width / height - 32 / 16) < 0.01);
  const black = await site.run<number[]>("return [...figure.answer.logits]");
  await page.mouse.move(x + width / 4, y + height / 4);
  await page.mouse.down();
  await page.mouse.move(x + width / 2, y + height / 2);
  await page.mouse.up();
  assert.notDeepEqual(await site.run<number[]>("return [...figure.answer.logits]"), black);
  // A click on row 7, column 16 of the first map: 3×3 pixels around it.
  const pad = page.locator("[data-pad^=layer] svg").first(), box = (await pad.boundingBox())!;
  const unit = box.width / Number(await pad.getAttribute("width"));
  await pad.click({ position: { x: 16.5 * 2 * unit, y: 7.5 * 2 * unit } });
  assert.equal(await field(), "6,8,15,17");
  await fitsAndShows(page, "live_own");

  // The networks of the course still run. Their pictures are those of links.
  await page.getByRole("combobox", { name: "Network" }).selectOption("lenet");
  assert.equal(await page.locator("[data-probability]").count(), 10);
  assert.match(await site.run<string>("return figure.state"), /^network=lenet&own=\w/);
  // A link to a network that is not there shows the first one.
  await using linked = await openFigure("network=own&picture=3");
  assert.match(await linked.run<string>("return figure.state"), /^network=lenet&picture=3&/);
});

siteTest("the figure says why it cannot run a reader's files, and goes on", async () => {
  await using own = await writeOwn(ownModels.lenet!);
  await using site = await openFigure("network=lenet&picture=3");
  const { page } = site, said = page.locator("[data-view=said]");
  const before = await site.run("return figure.state");
  const json = await Deno.readTextFile(join(own.folder, "model.json"));
  const choose = (files: Record<string, string>) =>
    page.getByLabel("Your network: all files").setInputFiles(
      Object.entries(files).map(([name, text]) => ({
        ...{ name, mimeType: "application/octet-stream", buffer: Buffer.from(text) },
      })),
    );
  for (
    const [files, message] of [
      [
        { "notes.txt": "" },
        /: the files must include model\.json, found notes\.txt\. Drop the whole/,
      ],
      [
        { "model.json": json },
        /must include weights\.\w+\.bin, which model\.json names, found model/,
      ],
      [
        { "model.json": '{"format":"layers-model"}' },
        /must be "graph-model", found "layers-model"/,
      ],
    ] as const
  ) {
    await choose(files as Record<string, string>);
    await said.filter({ hasText: message }).waitFor();
    assert.match(await said.innerText(), /^Reading a graph model: /);
    assert.equal(await site.run("return figure.state"), before);
  }
  // A dropped file that is no picture is taken for one of a network.
  await drop(site, join(weights, "lenet.safetensors"));
  await said.filter({ hasText: /found lenet\.safetensors\. Drop the whole folder that writeGraph/ })
    .waitFor();
  // A folder with another shard.
  const shard = [...Deno.readDirSync(own.folder)].find(({ name }) => name.endsWith(".bin"))!.name;
  await Deno.truncate(join(own.folder, shard), 400);
  await drop(site, own.folder);
  await said.filter({ hasText: /must have \d+ bytes, found 400\. The files may be of two/ })
    .waitFor();
  await page.getByRole("combobox", { name: "Layer" }).selectOption("features.3");
  await said.filter({ hasText: /^LeNet says/ }).waitFor();
  assert.deepEqual(site.errors, []);
});

siteTest("a link with wrong values says so", async () => {
  await using site = await openFigure(
    "network=own&picture=99&unit=1,2&push=a,0&from=-2&own=abc&layer=top&colour=red",
  );
  const said = await site.page.locator("[data-view=said]").innerText();
  assert.match(said, /^Reading the link: the network of a reader is not in it\. Drop its folder/);
  for (const name of ["picture", "unit", "push", "from", "own", "each name"]) {
    assert.match(said, new RegExp(`${name} must be`));
  }
  assert.match(said, /colour/);
  assert.match(said, /there is no layer top; features\.0 is shown\./);
  assert.match(said, /LeNet says \w/);
  // An action of the reader ends the message.
  await site.page.getByRole("combobox", { name: "Layer" }).selectOption("features.3");
  assert.match(await site.page.locator("[data-view=said]").innerText(), /^LeNet says/);
  await using other = await openFigure("network=vgg16");
  assert.match(
    await other.page.locator("[data-view=said]").innerText(),
    /network must be one of lenet, .*, found vgg16\./,
  );
});

siteTest("on a phone the picture stays in its place, and a unit leads to its numbers", async () => {
  await using site = await openFigure("network=lenet&picture=3");
  const { page } = site, picture = page.locator("[data-view=picture]");
  await page.setViewportSize({ width: 390, height: 800 });
  const top = async (place: Locator) => (await place.boundingBox())!.y;
  const before = await top(picture);
  await page.getByRole("button", { name: "Draw on black" }).click();
  assert.equal(await top(picture), before);

  const pad = page.locator('[data-pad="layer features.5"] svg');
  await pad.scrollIntoViewIfNeeded();
  await pad.click({ position: { x: 10, y: 10 } });
  const heading = page.getByRole("heading", { name: /^One unit/ });
  assert(await top(heading) < 0);
  await page.getByRole("button", { name: "Show its numbers" }).click();
  assert(await top(heading) >= 0 && await top(heading) < 200);
  assert.match(await page.locator("[data-view=value]").innerText(), /^features\.5, channel 1/);
  await page.getByRole("button", { name: "Show it in its layer" }).click();
  assert(await top(pad) >= 0 && await top(pad) < 800);
});

siteTest(
  "the figure fits a phone, and its pictures stand side by side on a wide page",
  async () => {
    for (const name of names) {
      await using site = await openFigure(`network=${name}&picture=3`);
      await textsFit(site.page.locator("#live"));
      // The column of a page of the book.
      await site.page.setViewportSize({ width: 936, height: 900 });
      const tops = await site.page.locator(".panels:has([data-view=picture]) h4")
        .evaluateAll((titles) => titles.map((title) => title.getBoundingClientRect().top));
      assert(tops.length === 3 && tops.every((top) => top === tops[0]), `${tops}`);
      await fitsAndShows(site.page, `live_${name}`);
    }
  },
);

Deno.test("textOf() and pictureOf() give a picture back, and refuse other text", () => {
  const pixels = Float32Array.from({ length: 784 }, (_, i) => i % 16 / 15);
  assertClose(pictureOf(textOf(pixels))!, pixels, 1e-6);
  assert.equal(pictureOf("abc"), undefined);
  assert.equal(pictureOf("*"), undefined);
  assert.equal(onBlack(pixels.map(() => 1))[5], 0);
});

for (const name of Object.keys(liveNetworks) as LiveName[]) {
  Deno.test(`${liveNetworks[name].title}: units see no pixel outside of their fields, and sums are right`, () => {
    setSeed(2);
    const model: LiveModel = liveNetworks[name].build(), random = new Random(3), kit = makeKit();
    foldBatchNorm(model, [28, 28, 1]);
    const picture = () => Float32Array.from(random.uniform([784]).dataSync());
    const pixels = picture(), { layers } = answerOf(model, pixels);
    // A picture that differs outside of the field of the unit in the middle of each layer.
    for (const layer of layers.filter((_, i) => i % 2 === 0 || i > layers.length - 4)) {
      const unit = {
        ...{ channel: 1, row: layer.height >> 1, column: layer.width >> 1 },
      };
      const [top, bottom, left, right] = layer.field(unit.row, unit.column, unit.channel);
      const other = picture().map((value, i) => {
        const x = i % 28, y = Math.floor(i / 28);
        return x < left || x > right || y < top || y > bottom ? value : pixels[i]!;
      });
      const value = valueAt(layer, unit);
      const changed = answerOf(model, other).layers.find(({ path }) => path === layer.path)!;
      assertClose(valueAt(changed, unit), value, 1e-4);

      const html = explain(kit, layer, unit, -1);
      const [sum, bias, inner, shortcut] = ["sum", "bias", "inner", "shortcut"].map((name) =>
        Number(new RegExp(`data-${name}="([^"]*)"`).exec(html)?.[1] ?? NaN)
      );
      if (!Number.isNaN(sum)) assertClose(sum! + bias!, value, 1e-4);
      if (!Number.isNaN(inner)) assertClose(Math.max(0, inner! + shortcut!), value, 1e-4);
    }
    if (name === "resnet20") {
      assert(layers.some((layer) =>
        explain(kit, layer, { channel: 0, row: 0, column: 0 }, -1)
          .includes("data-shortcut")
      ));
    }
  });
}
