import assert from "node:assert/strict";
import { join } from "node:path";
import {
  conv2d,
  fashionMnist,
  flatten,
  globalAveragePool,
  interactive,
  linear,
  maxPool,
  relu,
  sequential,
  setSeed,
} from "resnet-lab";
import { browserTest } from "./_lab.ts";
import { box, fitsAndShows, htmlOf, pageTest, press, slider } from "./_page.ts";

pageTest(
  "valley: sliders, boxes, checkboxes and the mouse move the path",
  () => htmlOf(interactive.valley()) + htmlOf(interactive.valley({ surface: "saddle" })),
  async (page) => {
    const [figure, saddle] = [0, 1].map((i) => page.locator("[data-figure]").nth(i));
    assert(figure && saddle);
    const result = (rule: string) => figure.locator(`[data-result="${rule}"]`).innerText();
    const factor = () => figure.locator("[data-factor]").innerText();
    // By hand: b is multiplied by 1 − 25 · 0.07 at each step, a by 0.93, from (−8, 2).
    const height = ((8 * 0.93 ** 60) ** 2 + 25 * (2 * 0.75 ** 60) ** 2) / 2;
    assert.equal(await result("sgd"), String(Number(height.toPrecision(3))));
    assert.equal(await factor(), "−0.75");

    await box(figure, "learningRate").fill("0.04");
    assert.equal(await factor(), "0");
    // The slider goes by hundredths of a decade, from 10^−1.4 to 10^−1.1.
    await press(slider(figure, "learningRate"), "ArrowRight", 30);
    assert.equal(await box(figure, "learningRate").inputValue(), "0.0794");
    await figure.getByLabel("momentum", { exact: true }).check();
    await press(slider(figure, "momentum"), "Home", 1);
    // Without momentum both rules are one.
    assert.equal(await result("momentum"), await result("sgd"));

    const map = (await figure.locator("[data-view=map]").boundingBox())!;
    await page.mouse.move(map.x + 60, map.y + 60);
    await page.mouse.down();
    await page.mouse.move(map.x + map.width / 2, map.y + 100, { steps: 3 });
    await page.mouse.up();
    await page.mouse.move(map.x + 20, map.y + 20);
    const along = Number(await box(figure, "along").inputValue());
    assert(Math.abs(along) < 1, `dragged to ${along}`);
    assert.equal(await saddle.locator("select").inputValue(), "saddle", "the other one stays");
    assert.equal(await box(saddle, "along").inputValue(), "-0.02");
    await fitsAndShows(page, "valley");
  },
);

pageTest(
  "shortcutSwitch: sliders and the button train another network",
  () => htmlOf(interactive.shortcutSwitch({ blocks: 2 })),
  async (page) => {
    const figure = page.locator("[data-figure]");
    assert.equal(await figure.locator("[data-result]").count(), 2);
    await press(slider(figure, "blocks"), "ArrowLeft", 1);
    await box(figure, "warmup").fill("20");
    assert.match(await figure.locator("[data-view=hint]").innerText(), /Press Train for 4 layers/);
    await figure.getByRole("button", { name: "Train" }).press("Enter");
    assert.equal(await figure.locator("[data-result]").count(), 3);
    assert.match(
      await figure.locator("ul").innerText(),
      /4 layers, α 1, rate 0.1, warm-up 20: loss/,
    );
    await fitsAndShows(page, "shortcutSwitch");
    await figure.getByRole("button", { name: "Clear" }).click();
    assert.equal(await figure.locator("[data-result]").count(), 0);
  },
);

pageTest(
  "kernelWorkshop: painting, editing and pointing change the feature map and the sum",
  () => htmlOf(interactive.kernelWorkshop({ kernel: "identity" })),
  async (page) => {
    const figure = page.locator("[data-figure]");
    const text = (name: string) => figure.locator(`[data-${name}]`).innerText();
    const picture = figure.locator("[data-pad=picture]"),
      output = figure.locator("[data-pad=output]");
    // Side of an output: 300 / 7 pixels, at most 40. Of a pixel of the picture: 300 / 9 = 33.
    await output.hover({ position: { x: 10, y: 10 } });
    assert.equal(await text("sum"), "9");
    await figure.getByLabel("kernel, row 0, column 0").fill("-2.5");
    await figure.getByLabel("kernel, row 1, column 1").fill("2");
    assert.equal(await text("sum"), "18");
    assert.equal(await figure.getByLabel("Kernel", { exact: true }).inputValue(), "own");

    await box(figure, "brush").fill("4");
    await picture.click({ position: { x: 10, y: 10 } });
    assert.equal(await text("sum"), "8", "4 · (−2.5) + 9 · 2");
    assert.equal(await text("seen"), "1");
    await figure.getByLabel("Padding").selectOption("1");
    await picture.hover({ position: { x: 30 + 10, y: 30 + 10 } });
    assert.equal(await text("seen"), "4");
    assert.equal(await text("size"), "9");

    await figure.getByLabel("Stride").selectOption("2");
    await output.focus();
    for (const key of ["ArrowRight", "ArrowDown"]) await page.keyboard.press(key);
    assert.match(await figure.locator("[data-view=sum]").innerText(), /^Output \(1, 1\)/);
    await figure.getByLabel("Kernel size").selectOption("5");
    assert.equal(await figure.locator(".kernel input").count(), 25);
    await figure.getByRole("button", { name: "Start again" }).click();
    assert.equal(await text("size"), "7");
    await fitsAndShows(page, "kernel_workshop");
  },
);

pageTest(
  "backward: buttons walk back over the graph, with edited values",
  () => htmlOf(interactive.backward()),
  async (page) => {
    const figure = page.locator("[data-figure]");
    const press = (name: string) => figure.getByRole("button", { name }).click();
    const said = () => figure.locator("[data-view=said]").innerText();
    const drawn = () => figure.locator("[data-view=wide]").innerText();
    await press("One step back");
    assert.equal(await said(), "L hands on local · upstream: s += 8 · 1.");
    await press("One step back");
    await press("One step back");
    assert.match(await said(), /At the end: ∂L\/∂a = −24, ∂L\/∂b = 16, ∂L\/∂c = 8\.$/);
    assert.match(await drawn(), /gradient −24/);
    // L = (1·(−3) + 10)² = 49, and its slope in a is −3 · 2 · 7.
    await figure.getByLabel("a", { exact: true }).fill("1");
    assert.match(await said(), /∂L\/∂a = −42/);
    assert.match(await figure.locator("[data-view=measured]").innerText(), /a: −42, b: 14, c: 14/);

    await figure.getByLabel("Formula").selectOption("x·x + x");
    assert.equal(await figure.getByLabel("x", { exact: true }).inputValue(), "3");
    await figure.getByLabel("A gradient that arrives is").selectOption("=");
    // By keys: the button has the focus after a click.
    await press("One step back");
    await page.keyboard.press("Enter");
    assert.match(await said(), /∂y\/∂x = 3\.$/);
    await fitsAndShows(page, "backward");
    assert(
      await figure.locator("[data-view=tall]").isVisible(),
      "narrow windows have their drawing",
    );
    assert(!await figure.locator("[data-view=wide]").isVisible());
  },
);

pageTest(
  "scores: sliders, the true class and the temperature change probabilities and loss",
  () => htmlOf(interactive.scores({ classNames: ["t-shirt", "coat", "bag"] })),
  async (page) => {
    const figure = page.locator("[data-figure]");
    const loss = () => figure.locator("[data-loss]").innerText();
    const number = (kind: string, i: number) => figure.locator(`[data-${kind}="${i}"]`).innerText();
    await figure.getByRole("button", { name: "Undecided" }).click();
    assert.equal(await loss(), "1.1", "log 3");
    assert.deepEqual([await number("slope", 0), await number("slope", 1)], ["−0.667", "0.333"]);
    // e^1.1 is 3.004, and the others are 1 each.
    await press(slider(figure, "score 1"), "ArrowRight", 11);
    assert.equal(await number("probability", 1), "0.6");
    await figure.getByLabel("True class", { exact: true }).selectOption("coat");
    assert.equal(await number("slope", 1), "−0.4");
    await box(figure, "temperature").fill("10");
    assert.equal(await number("probability", 1), "0.358");
    await figure.getByLabel("add 1000 to all scores").check();
    assert.equal(await number("probability", 1), "0.358");
    await figure.getByRole("button", { name: "Start again" }).click();
    await figure.getByRole("button", { name: "Sure and wrong" }).click();
    assert.equal(await loss(), "8");
    assert.equal(await number("squared", 1), "0.00201");
    await fitsAndShows(page, "scores");
  },
);

pageTest(
  "normalizer: gain, company and mode change the signals and the answer",
  () => {
    const channel = { weight: [1], bias: [0], runningMean: [0], runningVariance: [1] };
    const kernel = [0, 0, 0, 0, 1, 0, 0, 0, 0];
    return htmlOf(interactive.normalizer({
      layers: [{ kernel, ...channel }, { kernel, ...channel }],
      head: { weight: [4, -4], bias: [-1, 1] },
      pictures: ["0f0f", "00ff", "0fff", "f0ff"],
      labels: [0, 1, 0, 1],
      classNames: ["stripes", "halves"],
      pixels: { mean: 0.5, standardDeviation: 0.5 },
    }));
  },
  async (page) => {
    const figure = page.locator("[data-figure]");
    const said = () => figure.locator("[data-view=said]").innerText();
    const answer = () => figure.locator("[data-view=answer] svg").innerHTML();
    assert.match(await said(), /training mode, gain 1, on a batch of 4 pictures/);
    const mixed = await answer();
    await figure.getByLabel("company", { exact: true }).selectOption("only: halves");
    assert.notEqual(await answer(), mixed, "another company, another answer");
    await figure.getByLabel("inference mode").check();
    const alone = await answer();
    await figure.getByLabel("company", { exact: true }).selectOption("mixed");
    assert.equal(await answer(), alone, "in inference mode the company does not matter");
    await press(slider(figure, "gain"), "Home", 1);
    assert.equal(await box(figure, "gain").inputValue(), "0.3");
    assert.notEqual(await answer(), alone, "the running statistics stay");
    await figure.getByLabel("batch norm", { exact: true }).uncheck();
    assert.match(await said(), /without batch norm, gain 0\.3.*the answer means nothing/);
    await figure.getByRole("button", { name: "Start again" }).click();
    assert.equal(await answer(), mixed);
    await fitsAndShows(page, "normalizer");
  },
);

pageTest(
  "receptiveField: pointing at a unit, keys and boxes show what it sees",
  () => htmlOf(interactive.receptiveField()),
  async (page) => {
    const figure = page.locator("[data-figure]"), map = figure.locator("[data-pad=map]");
    const said = () => figure.locator("[data-view=said]").innerText();
    assert.equal(await said(), "Unit 4 of layer 4 sees the pixels 8 to 17: 10 across.");
    await map.focus();
    await page.keyboard.press("ArrowRight");
    assert.equal(await said(), "Unit 5 of layer 4 sees the pixels 10 to 19: 10 across.");
    await map.hover({ position: { x: 390, y: 20 + 3 * 64 + 12 } });
    assert.equal(await said(), "Unit 25 of layer 1 sees the pixels 25 to 27: 3 across.");
    await figure.getByLabel("layer 1, stride").fill("2");
    assert.equal(await figure.locator("[data-field='4']").innerText(), "17");
    await figure.getByRole("button", { name: "Start again" }).click();
    await fitsAndShows(page, "receptive_field");
  },
);

pageTest(
  "inceptionMixer: sliders and boxes change the block and its price",
  () => htmlOf(interactive.inceptionMixer()),
  async (page) => {
    const figure = page.locator("[data-figure]");
    const macs = () => figure.locator("[data-total]").innerText();
    assert.equal(await macs(), "128,049,152");
    // A channel more from the 1×1: 28² · 192 MACs.
    await press(slider(figure, "c1"), "ArrowRight", 1);
    assert.equal(await macs(), "128,199,680");
    await box(figure, "c1").fill("64");
    await box(figure, "r3").fill("32");
    assert.equal(await figure.locator("[data-macs='2']").innerText(), "24,887,296");
    assert.equal(await figure.locator("[data-parameters]").innerText(), "179,584");
    await figure.getByRole("button", { name: "Start again" }).click();
    await fitsAndShows(page, "inception_mixer");
  },
);

pageTest(
  "kernelMixer: picture, attention and temperature change the mixture",
  () => {
    const dark = Array.from({ length: 8 }, () => [0, 0, 0, 0.5, 0, 0, 0, 0]);
    const bright = dark.map((row) => row.map((value) => 1 - value));
    return htmlOf(interactive.kernelMixer({ pictures: { dark, bright } }));
  },
  async (page) => {
    const figure = page.locator("[data-figure]");
    const said = () => figure.locator("[data-view=said]").innerText();
    // The mean is 0.0625, so the scores are ±5.46 and ±1.82.
    assert.equal(await said(), "Its mean is 0.0625, so identity has the largest weight: 0.974.");
    await figure.getByLabel("Attention of").selectOption("bright");
    assert.match(
      await said(),
      /^The attention is that of bright, .* vertical edges has the largest/,
    );
    await box(figure, "temperature").fill("100");
    assert.match(await said(), /largest weight: 0\.\d+\.$/);
    await figure.getByRole("button", { name: "Start again" }).click();
    await fitsAndShows(page, "kernel_mixer");
  },
);

const { test: clothes } = await fashionMnist({ subset: true });

/** A figure of two fresh networks, about as large as those of lesson 07. */
function pushedPicture(): string {
  setSeed(1);
  const layers = () =>
    [
      ...[conv2d(1, 8, { kernelSize: 5, padding: 2 }), relu(), maxPool({ kernelSize: 2 })] as const,
      ...[conv2d(8, 16, { kernelSize: 5, padding: 2 }), relu()] as const,
      ...[maxPool({ kernelSize: 2 }), conv2d(16, 10, { kernelSize: 3, padding: 1 })] as const,
    ] as const;
  return htmlOf(interactive.pushedPicture({
    networks: {
      NiN: sequential(...layers(), globalAveragePool()),
      linear: sequential(...layers(), flatten(), linear(490, 10)),
    },
    pictures: clothes.take(3),
    normalize: { mean: 0.286, standardDeviation: 0.353 },
  }));
}

pageTest(
  "pushedPicture: sliders, keys and the mouse move the picture",
  () => pushedPicture(),
  async (page) => {
    assert(pushedPicture().length < 60_000);
    const figure = page.locator("[data-figure]"), pad = figure.locator("[data-pad=picture]");
    const offsets = () =>
      Promise.all(["right", "down"].map((name) => box(figure, name).inputValue()));
    const bars = () => figure.locator("[data-view=bars]").innerHTML();
    const before = await bars();
    await press(slider(figure, "right"), "ArrowRight", 4);
    await pad.focus();
    await page.keyboard.press("ArrowUp");
    assert.deepEqual(await offsets(), ["4", "-1"]);
    assert.notEqual(await bars(), before);
    const map = figure.locator("[data-view=map]"), old = await map.innerHTML();
    await figure.getByLabel("Map of", { exact: true }).selectOption({ index: 3 });
    assert.notEqual(await map.innerHTML(), old);
    const place = (await pad.boundingBox())!;
    await page.mouse.move(place.x + 100, place.y + 100);
    await page.mouse.down();
    await page.mouse.move(place.x + 76, place.y + 124, { steps: 4 });
    await page.mouse.up();
    assert.deepEqual(await offsets(), ["1", "2"]);
    await figure.getByRole("button", { name: "Back to the middle" }).click();
    assert.equal(await bars(), before);
    await fitsAndShows(page, "pushed_picture");
  },
);

browserTest("an interactive figure lives in JupyterLab, and is a picture until it is trusted", {
  async prepare(root) {
    await Deno.mkdir(join(root, "my_notebooks"));
    const source = 'import { interactive } from "resnet-lab";\n\ninteractive.valley()';
    const outputs = [{
      output_type: "execute_result",
      execution_count: 1,
      metadata: {},
      data: { "text/html": htmlOf(interactive.valley()), "text/plain": "" },
    }];
    const metadata = {};
    const cell = { id: "a", cell_type: "code", execution_count: 1, metadata, outputs, source };
    await Deno.writeTextFile(
      join(root, "my_notebooks", "figure.ipynb"),
      JSON.stringify({
        cells: [cell],
        metadata: { kernelspec: { name: "deno", display_name: "Deno", language: "typescript" } },
        nbformat: 4,
        nbformat_minor: 5,
      }),
    );
  },
}, async (lab, t) => {
  const { page } = lab;
  await lab.openNotebook("figure.ipynb");
  const figure = page.locator(".jp-OutputArea [data-figure], .jp-OutputArea img").first();

  await t.step("nobody has trusted the notebook: a picture with a description", async () => {
    const picture = page.locator(".jp-OutputArea img").first();
    await picture.waitFor();
    assert.match(await picture.getAttribute("alt") ?? "", /SGD ends at height/);
    assert(await picture.evaluate((image) => Reflect.get(image, "naturalWidth")) > 300);
    assert.equal(await page.locator(".jp-OutputArea input").count(), 0);
    await lab.screenshot("interactive_untrusted");
  });

  await t.step("after the cell ran, keys move a slider and nothing else", async () => {
    const [output] = await lab.runCell(0);
    assert.match(output?.data?.["text/plain"] ?? "", /^Paths from \(−8, 2\)/);
    assert(htmlOf(interactive.valley()) === output?.data?.["text/html"], "the same each time");
    const factor = figure.locator("[data-factor]");
    assert.equal(await factor.innerText(), "−0.75");
    const cells = (await lab.cells()).length;
    await press(slider(figure, "learningRate"), "End", 1);
    assert.equal(await factor.innerText(), "−24");
    await press(slider(figure, "learningRate"), "ArrowDown", 1);
    assert.equal(await box(figure, "learningRate").inputValue(), "0.977");
    // In JupyterLab "a" and "b" insert cells and "x" cuts one, outside of boxes for text.
    for (const key of ["a", "b", "x"]) await press(slider(figure, "steepness"), key, 1);
    await box(figure, "learningRate").fill("0.04");
    assert.equal(await factor.innerText(), "0");
    assert.equal((await lab.cells()).length, cells);
    await lab.screenshot("interactive_light");
    await lab.command("apputils:change-theme", { theme: "JupyterLab Dark" });
    await lab.screenshot("interactive_dark");
  });
});
