/** The folders of the book. */
import { join } from "node:path";

const root = join(import.meta.dirname!, "..");

/** The folder of the notebooks. */
export const notebooksFolder: string = join(root, "notebooks");

/** The pages as Markdown, and the files that they load. Written by the build. */
export const pagesFolder: string = join(root, ".cache", "book", "pages");

/** The links and types of names in code. Written by the build. */
export const marksFile: string = join(root, ".cache", "book", "marks.json");

/** The site. Written by the build. */
export const siteFolder: string = join(root, "book", "site");
