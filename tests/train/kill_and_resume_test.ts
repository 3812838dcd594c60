/** Ten kills of processes that train; `kill_and_resume.ts` runs more of them. */
import assert from "node:assert/strict";
import { backend } from "resnet-lab";
import { killAndResume } from "./kill_and_resume.ts";

Deno.test("fit() with checkpoint ends in the same bytes after ten kills", {
  ignore: Deno.build.os === "windows",
}, async () => {
  const settings = backend() === "tensorflow" ? ["lenet", "resnet-bf16-compiled"] : ["lenet"];
  const { kills, duringSave, differences } = await killAndResume(10, 1, settings);
  assert.deepEqual(differences, []);
  assert(kills >= 10);
  assert(3 * duringSave >= 10, `${duringSave} of ${kills} kills during a save`);
});
