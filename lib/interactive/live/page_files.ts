/** The files that a reader chooses, or drops on a figure. */
import type { PageRoot } from "../component.ts";

/** The part of a file that is used here. */
interface PageFile {
  readonly name: string;
  /** The MIME type. */
  readonly type: string;
  arrayBuffer(): Promise<ArrayBuffer>;
}

/** The part of a file or folder among dropped things that is used here. */
interface Entry {
  readonly isDirectory: boolean;
  readonly name: string;
  file(found: (file: PageFile) => void, failed: (error: unknown) => void): void;
  createReader(): {
    readEntries(found: (entries: readonly Entry[]) => void, failed: (error: unknown) => void): void;
  };
}

/** The part of the page's events with files that is used here. */
interface FileEvent {
  readonly target: {
    readonly files?: Iterable<PageFile> | null;
    readonly multiple?: boolean;
    value: string;
  };
  readonly dataTransfer?: {
    readonly files: Iterable<PageFile>;
    readonly items: Iterable<{ webkitGetAsEntry(): Entry | null }>;
  };
  preventDefault(): void;
}

/**
 * Calls a function with the files that are chosen or dropped, whether they are of a network, and
 * the name of their folder if that is known. A dropped folder is of a network, and so are files
 * that are not all pictures.
 */
export function listenForFiles(
  root: PageRoot,
  found: (files: readonly PageFile[], isNetwork: boolean, folder?: string) => void,
): void {
  const on = (type: string, listener: (event: FileEvent) => void) =>
    root.addEventListener(type, (event) => listener(event as unknown as FileEvent));
  on("change", ({ target }) => {
    const files = [...target.files ?? []];
    if (files.length === 0) return;
    found(files, target.multiple === true);
    // So that the same files can be chosen again after they have changed.
    if (target.multiple) target.value = "";
  });
  // Without this the browser would leave the page and open the file.
  on("dragover", (event) => event.preventDefault());
  on("drop", (event) => {
    event.preventDefault();
    const { files = [], items = [] } = event.dataTransfer ?? {};
    // The browser forgets what was dropped after this event.
    const folder = Array.from(items, (item) => item.webkitGetAsEntry())
      .find((entry) => entry?.isDirectory);
    if (folder) {
      void filesOf(folder).catch(() => []).then((files) => found(files, true, folder.name));
      return;
    }
    const dropped = [...files];
    if (dropped.length === 0) return;
    found(dropped, !dropped.every(({ type }) => type.startsWith("image/")));
  });
}

/** Returns the files of a folder, without those of folders in it. */
async function filesOf(folder: Entry): Promise<PageFile[]> {
  const reader = folder.createReader(), files: PageFile[] = [];
  while (true) {
    // A browser returns a hundred at a time.
    const entries = await new Promise<readonly Entry[]>((found, failed) =>
      reader.readEntries(found, failed)
    );
    if (entries.length === 0) return files;
    for (const entry of entries) {
      if (entry.isDirectory) continue;
      files.push(await new Promise<PageFile>((found, failed) => entry.file(found, failed)));
    }
  }
}
