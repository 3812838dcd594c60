import type * as deno from "./checkpoint_folder.ts";

/** The folder of a training in a web page, which has no files, or in Node. */
export const CheckpointFolder: Pick<typeof deno.CheckpointFolder, "open"> = {
  open(action) {
    throw new RangeError(
      `${action}: checkpoint must be left out in a web page and in Node, found a folder.`,
    );
  },
};
