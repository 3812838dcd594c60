import assert from "node:assert/strict";
import { join } from "node:path";
import {
  exists,
  jupyterVariables,
  projectPaths,
  thisEnvironment,
} from "../../scripts/environment.ts";

Deno.test({
  name: "flush_outputs.ts keeps every output with its cell in the kernel",
  ignore: !exists(projectPaths(thisEnvironment().root).stamp),
  async fn() {
    const environment = thisEnvironment();
    const module = join(environment.root, "lib", "notebook", "flush_outputs.ts");
    const { success, stdout, stderr } = await new Deno.Command(
      projectPaths(environment.root).python,
      {
        args: [
          join(import.meta.dirname!, "flush_outputs.py"),
          ...[environment.root, `await import(${JSON.stringify(module)});`],
        ],
        env: jupyterVariables(environment),
      },
    ).output();
    assert(success, new TextDecoder().decode(stderr));
    assert.equal(new TextDecoder().decode(stdout), "0\n", "cells with outputs that came late");
  },
});
