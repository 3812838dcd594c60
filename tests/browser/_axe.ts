/// <reference lib="dom" />
/** The check of accessibility by axe-core, which comes with the packages of the book. */
import { join } from "node:path";
import type { Page } from "playwright-core";
import { root } from "../_project.ts";

/** The file of axe-core, which is there if the packages of the book are installed. */
export const axe = join(root, "book", "node_modules", "axe-core", "axe.min.js");

/** The part of axe-core that is used here. */
interface Axe {
  run(options: object): Promise<{
    violations: { id: string; impact: string; nodes: { html: string; failureSummary: string }[] }[];
  }>;
}

/** Returns what axe finds that is serious or critical, as sentences. */
export async function seriousFindings(page: Page, options: object = {}): Promise<string[]> {
  if (!await page.evaluate(() => "axe" in globalThis)) await page.addScriptTag({ path: axe });
  const { violations } = await page.evaluate(
    (options) => (Reflect.get(globalThis, "axe") as Axe).run(options),
    { ...options, resultTypes: ["violations"] },
  );
  return violations.filter(({ impact }) => impact === "serious" || impact === "critical")
    .flatMap(({ id, nodes }) =>
      nodes.slice(0, 3).map(({ html, failureSummary }) => `${id}: ${html} ${failureSummary}`)
    );
}
