/** Tests of the figure "Live networks": trained networks that run in a page. */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { join } from "node:path";
import {
  fashionMnist,
  foldBatchNorm,
  gradCam,
  loadStateDict,
  ops,
  Random,
  readSafetensors,
  setSeed,
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
import { fitsAndShows } from "./_page.ts";
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
  const files = site.page.locator("input[type=file]");
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
  assert.equal(await site.run("return figure.state"), link);
});

siteTest("the heat map is that of gradCam() here", async () => {
  await using site = await openFigure("network=lenet&picture=3");
  const page = await site.run<number[]>("return [...figure.heat]");
  const { test } = await fashionMnist({ subset: true });
  const { model } = await loadLive("lenet", join(weights, "lenet.safetensors"));
  const image = test.images([3]), logits = [...model.forward(image).dataSync()];
  const best = logits.indexOf(Math.max(...logits));
  assertClose(page, gradCam(model, liveNetworks.lenet.gradCamPath, image, best), 1e-4);
  assert(Math.max(...page) > 0);
});

siteTest("the figure fits a phone", async () => {
  for (const name of names) {
    await using site = await openFigure(`network=${name}&picture=3`);
    await fitsAndShows(site.page, `live_${name}`);
  }
});

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
