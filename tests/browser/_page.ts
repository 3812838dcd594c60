/** Helpers for tests of interactive figures in a page. */
import { join } from "node:path";
import type { Locator, Page } from "playwright-core";
import type { InteractiveFigure } from "resnet-lab";
import { browserProgram, openBrowser } from "./_lab.ts";

/** Returns the HTML that a notebook stores of a figure. */
export function htmlOf(figure: InteractiveFigure): string {
  const display: () => { "text/html": string } = Reflect.get(figure, Symbol.for("Jupyter.display"));
  return display.call(figure)["text/html"];
}

/**
 * Registers a test of HTML in a page of headless Chromium, which fails if a script of the page
 * throws. Without Chromium the test is ignored.
 */
export function pageTest(name: string, html: () => string, fn: (page: Page) => Promise<void>) {
  Deno.test({
    name: browserProgram === undefined ? `${name} (ignored: there is no Chromium)` : name,
    ignore: browserProgram === undefined,
    // Playwright keeps its connections until the process ends.
    sanitizeOps: false,
    sanitizeResources: false,
    async fn() {
      const browser = await openBrowser();
      try {
        const page = await browser.newPage({ viewport: { width: 1280, height: 700 } });
        const errors: Error[] = [];
        page.on("pageerror", (error) => errors.push(error));
        await page.setContent(`<!doctype html><meta name="viewport" content="width=device-width">
<body style="margin: 8px; color-scheme: light dark">${html()}`);
        await fn(page);
        if (errors.length > 0) throw errors[0];
      } finally {
        await browser.close();
      }
    },
  });
}

/** Sets a slider by keys, as a reader without a mouse does: an arrow for each step. */
export async function press(input: Locator, key: string, times: number): Promise<void> {
  await input.focus();
  for (let i = 0; i < times; i++) await input.press(key);
}

/** The slider of a name. The box beside it for the exact number has the same name. */
export function slider(figure: Page | Locator, name: string): Locator {
  return figure.locator(`input[type=range][data-name="${name}"]`);
}

/** The box for a number of a name. */
export function box(figure: Page | Locator, name: string): Locator {
  return figure.locator(`input[type=number][data-name="${name}"]`);
}

/** Checks that no text of a figure's drawings is cut off. */
export async function textsFit(figure: Locator): Promise<void> {
  const cut = await figure.locator("svg text").evaluateAll((texts) =>
    texts.filter((text) => {
      const own = text.getBoundingClientRect(), all = text.closest("svg")!.getBoundingClientRect();
      return own.left < all.left - 1 || own.right > all.right + 1 || own.bottom > all.bottom + 1;
    }).map((text) => text.textContent)
  );
  if (cut.length > 0) throw new Error(`These texts are cut off: ${cut.join(", ")}.`);
}

/**
 * Checks that a figure fits into a window of 390 pixels. Saves pictures of the page at both widths
 * and in both themes where the environment variable RESNET_LAB_SHOTS says.
 */
export async function fitsAndShows(page: Page, name: string): Promise<void> {
  const folder = Deno.env.get("RESNET_LAB_SHOTS");
  for (const colorScheme of ["light", "dark"] as const) {
    await page.emulateMedia({ colorScheme });
    for (const width of [1280, 390]) {
      await page.setViewportSize({ width, height: 700 });
      const widest = await page.evaluate("document.documentElement.scrollWidth");
      if (Number(widest) > width) throw new Error(`${name} is ${widest} wide at ${width}.`);
      if (!folder) continue;
      const path = join(folder, `${name}_${width}_${colorScheme}.png`);
      await page.screenshot({ path, fullPage: true });
    }
  }
}
