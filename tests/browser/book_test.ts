/// <reference lib="dom" />
import assert from "node:assert/strict";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import type { BrowserContext, Page } from "playwright-core";
import { joined, type Notebook } from "../../book/notebook.ts";
import { notebooksFolder, siteFolder } from "../../book/paths.ts";
import { serve } from "../../book/serve.ts";
import { notebooksIn } from "../../scripts/run.ts";
import { root } from "../_project.ts";
import { browserProgram, openBrowser } from "./_lab.ts";

const lessons = notebooksIn(notebooksFolder).map((path) => ({
  path,
  name: basename(path, ".ipynb"),
}));
const axe = fileURLToPath(import.meta.resolve("axe-core"));
const shots = Deno.env.get("RESNET_LAB_SHOTS");

/** The part of axe-core that is used here. */
interface Axe {
  run(options: object): Promise<{
    violations: { id: string; impact: string; nodes: { html: string; failureSummary: string }[] }[];
  }>;
}

/** Opens pages that refuse and record whatever does not come from the site itself. */
async function openSite(context: BrowserContext, address: string) {
  const refused: string[] = [], errors: string[] = [];
  await context.route("**", (route) => {
    const url = route.request().url();
    if (url.startsWith(address) || url.startsWith("data:")) return route.continue();
    refused.push(url);
    return route.abort();
  });
  context.on("weberror", (error) => errors.push(String(error.error())));
  context.on("console", (message) => message.type() === "error" && errors.push(message.text()));
  return { refused, errors };
}

/** Returns what axe finds that is serious or critical, as sentences. */
async function seriousFindings(page: Page): Promise<string[]> {
  if (!await page.evaluate(() => "axe" in globalThis)) await page.addScriptTag({ path: axe });
  const { violations } = await page.evaluate(() =>
    (Reflect.get(globalThis, "axe") as Axe).run({ resultTypes: ["violations"] })
  );
  return violations.filter(({ impact }) => impact === "serious" || impact === "critical")
    .flatMap(({ id, nodes }) =>
      nodes.slice(0, 3).map(({ html, failureSummary }) => `${id}: ${html} ${failureSummary}`)
    );
}

Deno.test({
  name: browserProgram === undefined ? "book (ignored: there is no Chromium)" : "book",
  ignore: browserProgram === undefined,
  // Playwright keeps its connections until the process ends.
  sanitizeOps: false,
  sanitizeResources: false,
  async fn(t) {
    if (!Deno.env.get("RESNET_LAB_BOOK_IS_BUILT")) {
      await t.step("deno task book builds the site, and finds no dead link", async () => {
        const { success, stderr } = await new Deno.Command(Deno.execPath(), {
          args: ["run", "-A", "--no-check", join(root, "book", "build.ts")],
        }).output();
        assert(success, new TextDecoder().decode(stderr));
      });
    }
    const server = serve(siteFolder, 0);
    const address = `http://127.0.0.1:${server.addr.port}/`;
    const browser = await openBrowser();
    try {
      const context = await browser.newContext({ viewport: { width: 1280, height: 900 } });
      const { refused, errors } = await openSite(context, address);
      const page = await context.newPage();
      page.setDefaultTimeout(60_000);
      let bytes = 0;
      page.on("response", async (response) => bytes += (await response.body()).length);

      for (const { path, name } of lessons) {
        await t.step(`${name} is the notebook, is light, and its charts are drawn`, async () => {
          bytes = 0;
          await page.goto(`${address}${name}.html`, { waitUntil: "networkidle" });
          assert(bytes < 1.5e6, `${name} loads ${bytes} bytes before it is touched`);

          const notebook: Notebook = JSON.parse(await Deno.readTextFile(path));
          const cells = notebook.cells.filter(({ cell_type }) => cell_type === "code")
            .map(({ source }) => joined(source)).filter((text) => text.trim() !== "");
          const shown = await page.evaluate(() =>
            Array.from(document.querySelectorAll(".cell code"), ({ textContent }) => textContent)
          );
          assert.deepEqual(shown, cells);

          await page.locator("input.show-all").check();
          const figures = page.locator("figure[data-chart]");
          const count = notebook.cells.flatMap(({ outputs = [] }) => outputs)
            .filter(({ data }) => data?.["application/vnd.plotly.v1+json"]).length;
          assert.equal(await figures.count(), count);
          for (const figure of await figures.all()) {
            await figure.getByRole("button", { name: "Explore" }).dispatchEvent("click");
          }
          await page.waitForFunction(
            (count) => document.querySelectorAll("[data-state=drawn] .main-svg").length >= count,
            count,
          );
          await page.locator("input.show-all").uncheck();
        });
      }

      for (const { name } of [{ name: "index" }, ...lessons]) {
        await t.step(`${name} fits a phone, and axe finds nothing serious`, async () => {
          for (const colorScheme of ["light", "dark"] as const) {
            await page.emulateMedia({ colorScheme });
            await page.goto(`${address}${name}.html`);
            await page.locator(".VPDoc").waitFor();
            if (name !== "index") await page.locator("input.show-all").check();
            for (const width of [1280, 390]) {
              await page.setViewportSize({ width, height: 900 });
              const widest = await page.evaluate(() => document.documentElement.scrollWidth);
              assert(widest <= width, `${name} is ${widest} wide at ${width}`);
              if (shots) {
                const path = join(shots, `${name}_${width}_${colorScheme}.png`);
                await page.screenshot({ path, fullPage: true });
              }
            }
            assert.deepEqual(await seriousFindings(page), []);
          }
        });
      }

      await t.step("nothing was asked from elsewhere, and no script failed", () => {
        assert.deepEqual(refused, []);
        assert.deepEqual(errors, []);
      });
    } finally {
      await browser.close();
      await server.shutdown();
    }
  },
});
