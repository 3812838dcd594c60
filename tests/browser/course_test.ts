import assert from "node:assert/strict";
import { join } from "node:path";
import { browserTest } from "./_lab.ts";

const first = "01_tensors.ipynb";
/** The cell of notebook 01 with its first figure. */
const figureCell = 4;
/** The cell with its second figure, which is interactive only when the pointer is over it. */
const secondFigureCell = 6;

browserTest("deno task lab opens the start page, and copies of the notebooks", {
  async prepare(root) {
    await Deno.mkdir(join(root, "my_notebooks"));
    await Deno.writeTextFile(join(root, "my_notebooks", "02_autograd.ipynb"), "mine");
  },
}, async (lab, t) => {
  const { page, root } = lab;
  const copy = join(root, "my_notebooks", first);
  const original = await Deno.readTextFile(join(root, "notebooks", first));

  await t.step("the start page shows the lessons and the scale in use", async () => {
    await lab.screenshot("start");
    const text = await page.locator(".jp-MarkdownViewer").innerText();
    assert.match(text, /The scale in use: smoke/);
    assert.match(text, /14\. What to use when/);
    const notebooks = [...Deno.readDirSync(join(root, "notebooks"))]
      .filter(({ name }) => name.endsWith(".ipynb"));
    assert.equal(
      await page.locator(".jp-MarkdownViewer table").first().locator("tr").count(),
      notebooks.length + 1, // a header
    );
  });

  await t.step("a link opens the notebook without a change", async () => {
    await page.locator(".jp-MarkdownViewer a", { hasText: "01. Tensors" }).click();
    await lab.idle();
    assert.equal(await lab.dirty(), false);
    assert(!(await Deno.readTextFile(copy)).includes('"output_type"'), "no outputs yet");
  });

  await t.step("Run All of 01 gives no error", async () => {
    await lab.command("notebook:run-all-cells");
    await lab.idle();
    const cells = await lab.cells();
    const outputs = cells.flatMap(({ outputs }) => outputs ?? []);
    assert(outputs.length > 30, `${outputs.length} outputs`);
    assert.deepEqual(outputs.filter((output) => "ename" in output), []);
    const skipped = cells.filter(({ cell_type, execution_count }) =>
      cell_type === "code" && !execution_count
    );
    assert.deepEqual(skipped, [], "cells that did not run");
  });

  await t.step("pointing at a figure leaves the saved copy unchanged", async () => {
    await lab.command("docmanager:save");
    const before = await Deno.readTextFile(copy);
    await lab.hover(figureCell);
    await lab.screenshot("hover");
    assert.equal(await lab.dirty(), false);
    await lab.command("docmanager:save");
    assert.equal(await Deno.readTextFile(copy), before);
  });

  await t.step(
    "figures follow the pointer in a window of 700 pixels and in the dark theme",
    async (t) => {
      await page.setViewportSize({ width: 700, height: 900 });
      await lab.cell(secondFigureCell);
      await lab.screenshot("narrow");
      await lab.command("apputils:change-theme", { theme: "JupyterLab Dark" });
      const figure = await lab.hover(secondFigureCell);
      await lab.screenshot("narrow_dark");
      await t.step({
        name: "the figure fits",
        // Figures have a fixed width of 700 pixels as yet.
        async fn() {
          const drawing = figure.locator(".main-svg").first();
          const [right, edge] = await drawing.evaluate((node) => [
            node.getBoundingClientRect().right,
            node.closest(".jp-OutputArea-output")!.getBoundingClientRect().right,
          ]);
          assert(right! <= edge! + 1, `the figure ends at ${right}, its cell at ${edge}`);
        },
      });
      await page.setViewportSize({ width: 1280, height: 900 });
      await lab.cell(secondFigureCell);
      await lab.screenshot("dark");
      await lab.command("apputils:change-theme", { theme: "JupyterLab Light" });
    },
  );

  await t.step("only kernels that can run the course are offered", async () => {
    await lab.command("launcher:create");
    await page.locator(".jp-LauncherCard").first().waitFor();
    const kernels = await page.locator('.jp-LauncherCard[data-category="Notebook"]')
      .allInnerTexts();
    assert.deepEqual(kernels.map((text) => text.trim().split("\n").at(-1)), ["Deno"]);
  });

  await t.step("files that were there, and the committed notebooks, are unchanged", async () => {
    assert.equal(await Deno.readTextFile(join(root, "notebooks", first)), original);
    const own = join(root, "my_notebooks", "02_autograd.ipynb");
    assert.equal(await Deno.readTextFile(own), "mine");
  });
});

browserTest("deno task lab --read shows the committed notebooks and never changes them", {
  args: ["--read"],
}, async (lab) => {
  const file = join(lab.root, "notebooks", first);
  const before = await Deno.readFile(file);
  await lab.openNotebook(first);
  assert.equal(await lab.dirty(), false);
  await lab.hover(figureCell);
  assert.equal(await lab.dirty(), false);

  await lab.runCell(1);
  assert.match(await lab.saidBy(1, /scale/), /at scale "smoke"/);
  await lab.page.keyboard.press("Control+s");
  await lab.page.getByText("is read-only. Use").waitFor();
  await lab.screenshot("read");
  assert.deepEqual(await Deno.readFile(file), before);
  assert(!Array.from(Deno.readDirSync(lab.root)).some(({ name }) => name === "my_notebooks"));
});
