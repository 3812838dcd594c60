import assert from "node:assert/strict";
import { browserTest } from "./_lab.ts";

browserTest("a notebook of one's own in my_notebooks", {}, async (lab, t) => {
  const { page } = lab;

  await t.step("relative paths lead to the images beside the notebooks", async () => {
    await lab.newNotebook("images.ipynb", [
      { markdown: "![LeNet](images/lenet.png)" },
      'Deno.statSync("images/lenet.png").isFile;',
    ]);
    const image = page.locator(".jp-RenderedMarkdown img");
    await image.waitFor();
    const loaded = () => image.evaluate((node) => "naturalWidth" in node && node.naturalWidth);
    for (let i = 0; i < 50 && !await loaded(); i++) await page.waitForTimeout(100);
    assert(Number(await loaded()) > 100);
    await lab.runCell(1);
    assert.match(await lab.saidBy(1, /true/), /true/);
  });

  await t.step("Stop ends a training after its current step, and keeps the model", async (t) => {
    await lab.newNotebook("stop.ipynb", [
      'import { adam, evaluate, fashionMnist, fit, lenet, showProgress } from "resnet-lab";\n' +
      "const { train } = await fashionMnist({ subset: true });\n" +
      "const model = lenet();\n" +
      "const optimizer = adam(model.parameters(), { learningRate: 0.001 });",
      "await showProgress(fit(model, train, { optimizer, epochs: 1000, batchSize: 32 }));",
      'console.log("second");',
      'console.log("third");',
      'console.log("fourth");',
      "(await evaluate(model, train.take(100))).accuracy > 0;",
    ]);
    await lab.runCell(0);
    await lab.select(1);
    lab.start("notebook:run-all-below");
    await lab.saidBy(1, /step/);
    await lab.stop();
    await lab.idle(20);
    await lab.screenshot("stop");
    assert.match(await lab.saidBy(1, /Stopped at step/), /Stopped at step \d+/);

    await t.step({
      name: "the cells that wait do not run",
      async fn() {
        for (const index of [2, 3, 4]) assert.deepEqual(await lab.outputs(index), []);
      },
    });
    await lab.runCell(5);
    assert.match(await lab.saidBy(5, /true/), /true/);
  });

  await t.step({
    name: "Stop ends an endless loop, and says what happened to the kernel",
    async fn() {
      await lab.newNotebook("loop.ipynb", ["while (true);", "1 + 1;"]);
      lab.start("notebook:run-cell");
      await page.waitForTimeout(1000);
      await lab.stop();
      await lab.idle(30);
      await lab.screenshot("loop");
      const said = await lab.saidBy(0, /ended|restarted/);
      assert.match(said, /ended|restarted/);
      await lab.runCell(1);
      assert.match(await lab.saidBy(1, /2/), /2/);
    },
  });

  await t.step({
    name: "an error of a callback is shown below the cell that waits, which goes on",
    async fn() {
      await lab.newNotebook("callback.ipynb", [
        'setTimeout(() => {\n  throw new Error("in a callback");\n}, 500);\n' +
        'await new Promise((done) => setTimeout(done, 1500));\n"waited";',
      ]);
      await lab.runCell(0);
      const said = await lab.saidBy(0, /waited/);
      await lab.screenshot("callback");
      assert.match(said, /Error: in a callback\ncell line 2: throw new Error/);
      assert.match(said, /waited/);
    },
  });

  await t.step({
    name: "a syntax error is an error at its line",
    async fn() {
      await lab.newNotebook("syntax.ipynb", ["const x = 1;\nconst z = [1, 2;"]);
      await lab.runCell(0);
      await lab.screenshot("syntax");
      assert((await lab.outputs(0)).some(({ output_type }) => output_type === "error"));
      assert.match(await lab.saidBy(0, /line 2/), /line 2\b[^]*const z = \[1, 2;/);
    },
  });

  await t.step({
    name: "a type error is a warning in the library's words, and the cell runs",
    async fn() {
      await lab.newNotebook("types.ipynb", [
        'import { conv2d, relu, sequential } from "resnet-lab";',
        "const small = { kernelSize: 3 };\n" +
        "sequential(conv2d(3, 64, small), relu(), conv2d(128, 10, small));\n" +
        'console.log("it ran");',
      ]);
      await lab.runCell(0);
      await lab.runCell(1);
      const sentence =
        /this layer takes images with 128 channels, but the layer before it returns images with 64/;
      const said = await lab.saidBy(1, sentence);
      await lab.screenshot("types");
      assert.match(said, sentence);
      assert.match(said, /line 2\b/);
      assert.match(said, /it ran/);
      assert(!(await lab.outputs(1)).some(({ output_type }) => output_type === "error"));
    },
  });

  await t.step({
    name: "an error inside a network of 20 layers names the learner's line",
    async fn() {
      await lab.newNotebook("runtime.ipynb", [
        'import { cifarResnet, ops } from "resnet-lab";\n' +
        "const network = cifarResnet({ depth: 20, inChannels: 1 });\n\n" +
        "const logits = network.forward(ops.zeros([2, 28, 28, 3]));",
      ]);
      await lab.runCell(0);
      const said = await lab.saidBy(0, /line 4/);
      await lab.screenshot("runtime");
      assert.match(said, /channels 1\], found \[2, 28, 28, 3\]/);
      assert.match(said, /line 4\b[^]*network\.forward/);
      assert(!said.includes("node_modules"), said);
    },
  });

  await t.step({
    name: "Shift+Tab inside the parentheses of conv2d shows its arguments",
    async fn() {
      await lab.newNotebook("help.ipynb", ['import { conv2d } from "resnet-lab";']);
      await lab.runCell(0);
      await lab.type("conv2d(");
      const tooltip = page.locator(".jp-Tooltip");
      // There is no help while the language server starts.
      for (let i = 0; i < 20 && !await tooltip.isVisible(); i++) {
        await page.keyboard.press("Shift+Tab");
        await page.waitForTimeout(2000);
      }
      await lab.screenshot("tooltip");
      assert.match(await tooltip.innerText(), /inChannels[^]*outChannels/);
      await page.keyboard.press("Escape");
    },
  });

  await t.step({
    name: "Tab inside the options of conv2d lists exactly its options",
    async fn() {
      await lab.type("conv2d(1, 8, { ");
      await page.keyboard.press("Tab");
      const items = page.locator(".jp-Completer-item .jp-Completer-match");
      await items.first().waitFor();
      await lab.screenshot("options");
      const names = (await items.allInnerTexts()).map((text) => text.replace("?", ""));
      // Neither global names nor the words of the line.
      assert.deepEqual(names, [
        ...["kernelSize", "dilation", "groups", "padding", "stride", "useBias"],
        "weightInitializer",
      ]);
    },
  });
});
