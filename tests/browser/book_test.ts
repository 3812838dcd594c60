/// <reference lib="dom" />
import assert from "node:assert/strict";
import { basename, join } from "node:path";
import type { BrowserContext } from "playwright-core";
import { joined, type Notebook } from "../../book/notebook.ts";
import { notebooksFolder, siteFolder } from "../../book/paths.ts";
import { serve } from "../../book/serve.ts";
import { exists } from "../../scripts/environment.ts";
import { notebooksIn } from "../../scripts/run.ts";
import { root } from "../_project.ts";
import { axe, seriousFindings } from "./_axe.ts";
import { browserProgram, openBrowser } from "./_lab.ts";

const shots = Deno.env.get("RESNET_LAB_SHOTS");
const lessons = notebooksIn(notebooksFolder).map((path) => ({
  path,
  name: basename(path, ".ipynb"),
}));
/** Four lessons, or all where pictures are kept: axe needs seconds for a page. */
const lessonsForAxe = lessons.filter((_, index) => shots !== undefined || index % 4 === 0);

/** The reason why the book cannot be tested here, if there is one. */
const missing = browserProgram === undefined
  ? "there is no Chromium"
  : exists(axe)
  ? undefined
  : "deno task book has not installed its packages";

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

Deno.test({
  name: missing === undefined ? "book" : `book (ignored: ${missing})`,
  ignore: missing !== undefined,
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
      /** The bytes that the page has loaded, before they were compressed. */
      const loaded = () =>
        page.evaluate(() =>
          [
            ...performance.getEntriesByType("navigation"),
            ...performance.getEntriesByType("resource"),
          ]
            .reduce((sum, entry) => sum + (entry as PerformanceResourceTiming).decodedBodySize, 0)
        );
      for (const { path, name } of lessons) {
        await t.step(`${name} is the notebook, is light, and its charts are drawn`, async () => {
          await page.goto(`${address}${name}.html`);
          await page.waitForLoadState("networkidle");
          const bytes = await loaded();
          assert(bytes > 1e5, `${name} loads ${bytes} bytes`);
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

      await t.step(
        "the live networks start when asked, and the address restores them",
        async () => {
          await page.goto(`${address}live_networks.html`);
          await page.waitForLoadState("networkidle");
          assert(await loaded() < 1.5e6, `the page loads ${await loaded()} bytes`);
          const start = page.getByRole("button", { name: /^Start/ });
          await start.click();
          const value = page.locator("[data-unit]");
          await value.waitFor();
          assert(
            await page.locator("h1").evaluate((title) =>
              !title.dispatchEvent(new DragEvent("drop", { bubbles: true, cancelable: true }))
            ),
            "a file dropped beside the figure does not take the place of the page",
          );
          await page.getByRole("combobox", { name: "Picture" }).selectOption("7");
          await page.getByRole("combobox", { name: "Layer" }).selectOption("features.3");
          await page.getByRole("spinbutton", { name: "Channel" }).fill("6");
          await page.waitForFunction(() => /picture=7.*unit=5/.test(location.hash));
          const shown = await value.getAttribute("data-unit");
          await page.reload();
          await start.click();
          await value.waitFor();
          assert.equal(await value.getAttribute("data-unit"), shown);
          for (const width of [1280, 390]) {
            await page.setViewportSize({ width, height: 900 });
            const widest = await page.evaluate(() => document.documentElement.scrollWidth);
            assert(widest <= width, `the live networks are ${widest} wide at ${width}`);
          }
          assert.deepEqual(await seriousFindings(page), []);
          await page.setViewportSize({ width: 1280, height: 900 });
        },
      );

      await t.step("a network is trained when asked, and the address restores it", async () => {
        await page.goto(`${address}train_a_network.html`);
        await page.waitForLoadState("networkidle");
        assert(await loaded() < 1.5e6, `the page loads ${await loaded()} bytes`);
        for (const picture of await page.locator(".preview img").all()) {
          assert(await picture.evaluate((image: HTMLImageElement) => image.naturalWidth) > 300);
        }
        const said = page.locator("[data-view=said]");
        // A link in the page opens the figure, and each of them is understood.
        for (const link of await page.locator(".vp-doc li a[href*='step=']").all()) {
          const step = /step=(\d+)/.exec((await link.getAttribute("href"))!)![1];
          await link.click();
          await said.filter({ hasText: new RegExp(`trains until step ${step}|step ${step}\\.`) })
            .waitFor();
          assert.doesNotMatch(await said.innerText(), /must be/);
        }
        // A link to a heading changes nothing, and going back shows the situation before.
        await said.filter({ hasText: /after step 2000/ }).waitFor();
        const learned = await said.innerText();
        await page.waitForFunction(() => location.hash.endsWith("step=2000"));
        await page.locator("#what-the-numbers-are a").click();
        await page.waitForFunction(() => location.hash === "#what-the-numbers-are");
        assert.equal(await said.innerText(), learned);
        await page.goBack();
        await page.goBack();
        await said.filter({ hasText: /after step 500/ }).waitFor();
        await page.getByRole("spinbutton", { name: "Step" }).fill("40");
        await said.filter({ hasText: "after step 40." }).waitFor();
        await page.waitForFunction(() => location.hash.endsWith("step=40"));
        const shown = await said.innerText();
        await page.reload();
        await page.getByRole("button", { name: /^Open/ }).click();
        await said.filter({ hasText: "after step 40." }).waitFor();
        assert.equal(await said.innerText(), shown);
        for (const width of [1280, 390]) {
          await page.setViewportSize({ width, height: 900 });
          const widest = await page.evaluate(() => document.documentElement.scrollWidth);
          assert(widest <= width, `the figure is ${widest} wide at ${width}`);
        }
        for (const colorScheme of ["light", "dark"] as const) {
          await page.emulateMedia({ colorScheme });
          assert.deepEqual(await seriousFindings(page), []);
        }
        await page.emulateMedia({ colorScheme: "light" });
        await page.setViewportSize({ width: 1280, height: 900 });
      });

      const others = ["index", "live_networks", "train_a_network"].map((name) => ({ name }));
      for (const { name } of [...others, ...lessons]) {
        const isLesson = lessons.some((lesson) => lesson.name === name);
        const isForAxe = !isLesson || lessonsForAxe.some((lesson) => lesson.name === name);
        const title = `${name} fits a phone${isForAxe ? ", and axe finds nothing serious" : ""}`;
        await t.step(title, async () => {
          for (const colorScheme of ["light", "dark"] as const) {
            await page.emulateMedia({ colorScheme });
            await page.goto(`${address}${name}.html`);
            await page.locator(".VPDoc").waitFor();
            if (isLesson) await page.locator("input.show-all").check();
            for (const width of [1280, 390]) {
              await page.setViewportSize({ width, height: 900 });
              const widest = await page.evaluate(() => document.documentElement.scrollWidth);
              assert(widest <= width, `${name} is ${widest} wide at ${width}`);
              const smallest = await page.evaluate(() =>
                Math.min(...Array.from(
                  document.querySelectorAll<HTMLImageElement>("figure[data-chart] img"),
                  (image) => image.offsetWidth / Number(image.getAttribute("width")),
                ))
              );
              assert(smallest > 0.79, `${name} shows a chart at ${smallest} of its size`);
              if (shots) {
                const path = join(shots, `${name}_${width}_${colorScheme}.png`);
                await page.screenshot({ path, fullPage: true });
              }
            }
            if (!isForAxe) continue;
            // All rules but the one about colours hold in both themes or in none.
            const options = colorScheme === "light" ? {} : { runOnly: ["color-contrast"] };
            assert.deepEqual(await seriousFindings(page, options), []);
          }
        });
      }

      await t.step("the search finds what is in a lesson", async () => {
        await page.setViewportSize({ width: 1280, height: 900 });
        await page.goto(address);
        await page.getByRole("button", { name: "Search" }).click();
        await page.locator("#localsearch-input").fill("residual block");
        const first = page.locator(".VPLocalSearchBox .results a").first();
        await first.waitFor();
        assert.match(await first.innerText(), /block/i);
        assert(await page.locator(".results a[href*=resnet]").count() > 0);
        await first.click();
        await page.locator(".VPDoc h1").waitFor();
      });

      await t.step("a prediction reveals what happened, and is kept", async () => {
        const { name } = lessons[1]!;
        await page.goto(`${address}${name}.html`);
        // The steps before have chosen to see everything.
        await page.evaluate(() => localStorage.clear());
        await page.reload();
        // Going back within a page keeps what scripts have added.
        const buttons = await page.getByRole("button", { name: "Reveal what happened" }).count();
        assert(buttons > 0);
        for (const index of [1, 2]) {
          await page.locator(".VPDocAsideOutline li a").nth(index).click();
        }
        await page.goBack();
        await page.waitForTimeout(500);
        assert.equal(
          await page.getByRole("button", { name: "Reveal what happened" }).count(),
          buttons,
        );
        const prediction = page.locator(".prediction").first();
        const answer = page.locator(".answer[data-after]").first();
        assert.equal(await answer.isVisible(), false);
        await prediction.getByLabel("Your prediction").fill("a, I think");
        await prediction.getByRole("button", { name: "Reveal what happened" }).click();
        assert(await answer.isVisible());
        assert.equal(await page.locator(".answer[data-after]").nth(1).isVisible(), false);
        await page.reload();
        assert(await answer.isVisible());
        assert.equal(await prediction.getByLabel("Your prediction").inputValue(), "a, I think");
        await page.emulateMedia({ media: "print" });
        assert(await page.locator(".answer[data-after]").nth(1).isVisible());
        await page.emulateMedia({ media: null });
        // Each box for a prediction that is shown has its question above it.
        for (const { name } of lessons) {
          await page.goto(`${address}${name}.html`);
          await page.locator(".prediction button").first().waitFor();
          const alone = await page.evaluate(() =>
            [...document.querySelectorAll<HTMLElement>(".prediction")].filter((box) => {
              const question = box.previousElementSibling;
              return box.offsetHeight > 0 && !(question instanceof HTMLElement &&
                question.offsetHeight > 0);
            }).length
          );
          assert.equal(alone, 0, `${name} has boxes without a question`);
        }
      });

      await t.step(
        "print is light, shows what is folded, and leaves the page as it was",
        async () => {
          const { name } = lessons[1]!;
          await page.emulateMedia({ colorScheme: "dark" });
          await page.goto(`${address}${name}.html`);
          await page.locator(".prediction button").first().waitFor();
          const state = () =>
            page.evaluate(() => ({
              dark: document.documentElement.classList.contains("dark"),
              folded: document.querySelectorAll("details:not([open])").length,
            }));
          const before = await state();
          assert(before.dark && before.folded > 0);
          await page.evaluate(() => dispatchEvent(new Event("beforeprint")));
          assert.deepEqual(await state(), { dark: false, folded: 0 });
          await page.evaluate(() => dispatchEvent(new Event("afterprint")));
          assert.deepEqual(await state(), before);
          await page.emulateMedia({ colorScheme: "light" });
        },
      );

      await t.step("the reference finds a name, and leads to its page", async () => {
        await page.goto(`${address}reference/index.html`);
        await page.locator("#searchbar").fill("conv2d");
        const results = page.locator("#searchResults a");
        await results.first().waitFor();
        assert.equal((await results.first().innerText()).split("\n").at(-1), "conv2d");
        await results.filter({ hasText: /^\s*c\s*Conv2d\s*$/ }).click();
        await page.locator("h1, .symbolTitle").first().waitFor();
        assert.match(page.url(), /Conv2d-class\.html/);
        assert.equal(await page.locator('a[href^="file:"]').count(), 0);
        assert.match(await page.locator(".usageContent").innerText(), /from "resnet-lab"/);
      });

      await t.step("names in code show their type, and lead to the reference", async () => {
        const { name } = lessons.find(({ name }) => name.includes("convolution"))!;
        await page.goto(`${address}${name}.html`);
        const tip = page.locator("#type-tip");
        const layer = page.locator("pre a", { hasText: /^conv2d$/ }).first();
        await layer.hover();
        await tip.waitFor();
        assert.match(
          await tip.innerText(),
          /conv2d[^]*images \[batch, height, width, in\] /,
        );
        assert.doesNotMatch(await tip.innerText(), /`/);
        const shaped = page.locator("pre [data-type]", { hasText: /^(images|maps)$/ }).first();
        await shaped.hover();
        await page.waitForFunction(() =>
          /Images<\d+>|ImageDataset<1, 10>/.test(document.querySelector("#type-tip")!.textContent!)
        );
        await layer.click();
        await page.waitForURL(/reference\/~\/(ops\.)?conv2d\.html$/);
        assert.match(await page.locator("body").innerText(), /conv2d/);
      });

      await t.step(
        "on a phone a tap shows a type, and charts scroll instead of shrinking",
        async () => {
          const phone = await browser.newContext({
            viewport: { width: 390, height: 844 },
            hasTouch: true,
            isMobile: true,
          });
          const page = await phone.newPage();
          const { name } = lessons.find(({ name }) => name.includes("convolution"))!;
          await page.goto(`${address}${name}.html`);
          await page.waitForLoadState("networkidle");
          const layer = page.locator("pre a", { hasText: /^conv2d$/ }).first();
          await layer.scrollIntoViewIfNeeded();
          await layer.tap();
          const tip = page.locator("#type-tip");
          await tip.waitFor();
          assert.match(await tip.innerText(), /conv2d[^]*Tap again/);
          assert.match(page.url(), /convolution/);
          await layer.tap();
          await page.waitForURL(/reference\/~\/(ops\.)?conv2d\.html$/);
          await page.goto(`${address}${name}.html`);
          await page.waitForLoadState("networkidle");
          await page.locator("input.show-all").check();
          const chart = page.locator("figure[data-chart]").first();
          await chart.getByRole("button", { name: "Explore" }).tap();
          const drawn = chart.locator(".main-svg").first();
          await drawn.waitFor();
          const { width } = (await drawn.boundingBox())!;
          const full = Number(await chart.locator("img").getAttribute("width"));
          assert(width >= 0.79 * full, `the chart is drawn ${width} wide, of ${full}`);
          assert.equal(await chart.locator(".modebar-btn").count(), 0);
          await phone.close();
        },
      );

      for (const name of ["index", "~/conv2d", "~/Conv2d-class", "~/ops"]) {
        const title = `reference/${name} fits a phone, and axe finds nothing serious`;
        await t.step(title, async () => {
          await page.setViewportSize({ width: 390, height: 900 });
          const response = await page.goto(`${address}reference/${name}.html`);
          assert.equal(response?.status(), 200);
          await page.waitForLoadState("networkidle");
          const widest = await page.evaluate(() => document.documentElement.scrollWidth);
          assert(widest <= 390, `${name} is ${widest} wide at 390`);
          assert(await page.locator(".toc a:visible, main a:visible").count() > 0);
          for (const colorScheme of ["light", "dark"] as const) {
            await page.emulateMedia({ colorScheme });
            await page.evaluate(() => localStorage.clear()); // It has the theme of the last page.
            await page.reload();
            assert.deepEqual(await seriousFindings(page), []);
          }
          await page.setViewportSize({ width: 1280, height: 900 });
        });
      }

      await t.step("each interactive figure is live", async () => {
        for (const { path, name } of lessons) {
          const count = (await Deno.readTextFile(path)).match(/<div data-figure=/g)?.length ?? 0;
          if (count === 0) continue;
          await page.goto(`${address}${name}.html`);
          await page.locator("input.show-all").check();
          const figures = page.locator("[data-figure]");
          assert.equal(await figures.count(), count);
          for (const figure of await figures.all()) {
            await figure.scrollIntoViewIfNeeded();
            await figure.locator("input, select, button").first().waitFor();
          }
        }
      });

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
