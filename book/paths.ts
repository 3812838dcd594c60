/** The folders of the book. */
import { join } from "node:path";

const root = join(import.meta.dirname!, "..");

/** The folder of the notebooks. */
export const notebooksFolder: string = join(root, "notebooks");

/**
 * The pages as Markdown, and the files that they load. Written by the build. They are in the folder
 * of the book, because they import its packages.
 */
export const pagesFolder: string = join(root, "book", ".cache", "pages");

/** The links and types of names in code. Written by the build. */
export const marksFile: string = join(root, "book", ".cache", "marks.json");

/** The site. Written by the build. */
export const siteFolder: string = join(root, "book", "site");
