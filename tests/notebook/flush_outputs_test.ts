import assert from "node:assert/strict";
import { join } from "node:path";
import { isSetUp, kernelVariables, paths, root } from "../_project.ts";

Deno.test({
  name: "flush_outputs.ts keeps every output with its cell in the kernel",
  ignore: !isSetUp,
  async fn() {
    const module = join(root, "lib", "notebook", "flush_outputs.ts");
    const { success, stdout, stderr } = await new Deno.Command(paths.python, {
      args: [
        join(import.meta.dirname!, "flush_outputs.py"),
        ...[root, `await import(${JSON.stringify(module)});`],
      ],
      env: kernelVariables(),
    }).output();
    assert(success, new TextDecoder().decode(stderr));
    assert.equal(new TextDecoder().decode(stdout), "0\n", "cells with outputs that came late");
  },
});
