import assert from "node:assert/strict";
import { runChecks } from "../../scripts/doctor.ts";
import { projectPaths } from "../../scripts/environment.ts";
import { setUp } from "../../scripts/setup.ts";
import { makeProject, type Project, python } from "./_helpers.ts";

/** The required things that are missing, each with its fix. */
async function missing({ environment }: Project): Promise<Record<string, string>> {
  const checks = await runChecks(environment);
  return Object.fromEntries(
    checks
      .filter(({ found, optional }) => found === undefined && !optional)
      .map(({ name, fix }) => [name, fix]),
  );
}

Deno.test("runChecks() names everything that set-up makes, with the command for it", async () => {
  using project = makeProject();
  Deno.mkdirSync(`${project.environment.root}/data/fashion_mnist_subset`, { recursive: true });
  const setUpAgain = "npx --yes deno@2.9.6 task setup";
  assert.deepEqual(await missing(project), {
    "JupyterLab": setUpAgain,
    "Deno kernel": setUpAgain,
    "Native TensorFlow": setUpAgain,
  });
  await setUp(project.environment);
  assert.deepEqual(await missing(project), {});
});

Deno.test("runChecks() says what to install if no Python is suitable", async () => {
  using none = makeProject({ python3: undefined });
  assert.match((await missing(none))["Python"]!, /^install Python 3\.10 to 3\.13/);
  using old = makeProject({ python3: python("3.8.10") });
  assert.match((await missing(old))["Python"]!, /^3\.8\.10 is too old; install/);
});

Deno.test("runChecks() reports an addon that does not load", async () => {
  using project = makeProject();
  await setUp(project.environment);
  project.setProgram("deno", 'case "$*" in *eval*) echo "undefined symbol: x"; exit 1;; esac');
  assert.match((await missing(project))["Native TensorFlow"]!, /does not load.*undefined symbol/);
  Deno.removeSync(projectPaths(project.environment.root).addon);
  assert.match((await missing(project))["Native TensorFlow"]!, /task setup/);
});

Deno.test("runChecks() reports a kernel that does not start", async () => {
  const kernel = 'echo "Kernel didn\'t respond in 30 seconds"; exit 1';
  using project = makeProject({
    python3: `case "$*" in *start_new_kernel*) ${kernel};; esac\n${python("3.12.1")}`,
  });
  await setUp(project.environment);
  const fix = (await missing(project))["Deno kernel"]!;
  assert.match(
    fix,
    /^it does not start; delete \.venv and run .*task setup \(Kernel didn't respond/,
  );
});
