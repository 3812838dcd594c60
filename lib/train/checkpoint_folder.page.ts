import type * as deno from "./checkpoint_folder.ts";

/** The folder of a training in a web page, which has no files. */
export const CheckpointFolder: Pick<typeof deno.CheckpointFolder, "open"> = {
  open(action) {
    throw new RangeError(
      `${action}: checkpoint must be left out in a web page, which has no files, found a folder.`,
    );
  },
};
