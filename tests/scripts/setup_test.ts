import assert from "node:assert/strict";
import { join } from "node:path";
import { exists, places, SetupError } from "../../scripts/environment.ts";
import { setUp } from "../../scripts/setup.ts";
import { goodCompiler, goodPython, makeProject, type Project, python } from "./project.ts";

/** Asserts that set-up fails with a message for the user, and then succeeds once `mend` has been done. */
async function assertFailsThenWorks(project: Project, message: RegExp, mend: () => void) {
  await assert.rejects(setUp(project.environment), (error) => {
    assert(error instanceof SetupError, String(error));
    assert.match(error.message, message);
    return true;
  });
  mend();
  await setUp(project.environment);
  assertWhole(project);
}

function assertWhole({ environment: { root } }: Project) {
  const { python, addon, deno, kernelspec } = places(root);
  for (const product of [python, addon, deno, kernelspec]) assert(exists(product), product);
  const parts = Array.from(Deno.readDirSync(join(root, ".venv")), ({ name }) => name)
    .filter((name) => name.includes("part"));
  assert.deepEqual(parts, [], "half-made files");
}

Deno.test("set-up makes everything once, and then nothing", async () => {
  using project = makeProject();
  await setUp(project.environment);
  assertWhole(project);
  const calls = project.calls();
  assert.equal(calls.filter((call) => call.includes("-m venv")).length, 1);
  assert.equal(calls.filter((call) => call.includes("-r requirements.txt")).length, 1);
  const { kernelspec, deno } = places(project.environment.root);
  assert.deepEqual(JSON.parse(Deno.readTextFileSync(kernelspec)).argv, [
    ...[deno, "jupyter", "--kernel", "--conn", "{connection_file}"],
  ]);
  await setUp(project.environment);
  assert.deepEqual(project.calls(), calls, "programs called by a second set-up");
});

Deno.test("set-up makes anew what changed or went away, and only that", async () => {
  using project = makeProject();
  const { environment, calls } = project;
  await setUp(environment);
  let before = calls().length;
  Deno.removeSync(places(environment.root).addon);
  await setUp(environment);
  assert(calls().slice(before).some((call) => call.includes("tfjs_backend.cc")), "compiles");
  assert(!calls().slice(before).some((call) => / install|venv /.test(call)), "compiles only");

  before = calls().length;
  Deno.writeTextFileSync(join(environment.root, "requirements.txt"), "jupyterlab==4");
  await setUp(environment);
  assert(calls().slice(before).some((call) => call.includes("-r requirements.txt")));
  assertWhole(project);

  before = calls().length;
  Deno.removeSync(places(environment.root).python);
  await setUp(environment);
  assert(calls().slice(before).some((call) => call.includes("-m venv")), "the Python went away");
});

Deno.test("set-up with a GPU installs TensorFlow for it", async () => {
  using project = makeProject({ "nvidia-smi": 'echo "GPU 0"' });
  await setUp(project.environment);
  const gpu = Deno.build.arch === "x86_64" ? "requirements-gpu.txt" : "requirements.txt";
  assert(project.calls().some((call) => call.endsWith(`-r ${gpu}`)));
});

Deno.test("set-up without Python says how to get one", async () => {
  using project = makeProject({ python3: undefined });
  await assertFailsThenWorks(
    project,
    /There is no Python: .*3\.10 to 3\.13.*sudo apt install python3 python3-venv/,
    () => project.setProgram("python3", goodPython),
  );
});

Deno.test("set-up with a Python that is too old says so, and takes a newer one beside it", async () => {
  using project = makeProject({ python3: python("3.8.10") });
  await assertFailsThenWorks(
    project,
    /Python 3\.8\.10 is too old: .*3\.10 to 3\.13/,
    () => project.setProgram("python3.12", goodPython),
  );
});

Deno.test("set-up with a Python for which there is no TensorFlow does without the addon", async () => {
  using project = makeProject({ python3: python("3.14.2") });
  await setUp(project.environment);
  assert(project.log.some((line) => /Python 3\.14\.2 has no TensorFlow yet/.test(line)));
  assert(!exists(places(project.environment.root).addon));
  const calls = project.calls();
  await setUp(project.environment);
  assert.deepEqual(
    project.calls().filter((call) => !call.startsWith("nvidia")),
    calls,
    "nothing is made again",
  );
});

Deno.test("set-up prefers a Python that has TensorFlow", async () => {
  using project = makeProject({ python3: python("3.14.2"), "python3.11": python("3.11.9") });
  await setUp(project.environment);
  assert(project.calls().some((call) => call.startsWith("python3.11 -I -m venv")));
});

Deno.test("set-up without the module venv names the package to install", async () => {
  const venv = 'echo "ensurepip is not available"; exit 1';
  using project = makeProject({ python3: python("3.12.1", { venv }) });
  await assertFailsThenWorks(
    project,
    /lacks its module venv.*sudo apt install python3-venv/,
    () => project.setProgram("python3", goodPython),
  );
});

for (
  const [name, said, message] of [
    ["the network is down", "Temporary failure in name resolution", /network cannot be reached/],
    ["the disk is full", "[Errno 28] No space left on device", /disk is full.*Free 5 GB/],
    [
      "a package is gone",
      "ERROR: No matching distribution found for x",
      /No matching distribution/,
    ],
  ] as const
) {
  Deno.test(`set-up where pip fails because ${name} says so and leaves nothing half-made`, async () => {
    using project = makeProject({ python3: python("3.12.1", { pip: `echo "${said}"; exit 1` }) });
    await assertFailsThenWorks(project, message, () => {
      assert(!exists(places(project.environment.root).venv), "a half-made .venv is left");
      project.setProgram("python3", goodPython);
    });
  });
}

Deno.test("set-up where npm packages cannot be had says so", async () => {
  using project = makeProject({ deno: 'echo "error: dns error"; exit 1' });
  await assertFailsThenWorks(
    project,
    /npm packages could not be installed. The network cannot be reached/,
    () => project.setProgram("deno", ""),
  );
});

Deno.test("set-up where the compiler fails shows what it said, and keeps the Python packages", async () => {
  const fails = `case "$*" in *--version*) ;; *) echo "fatal error: no such file"; exit 1;; esac`;
  using project = makeProject({ "c++": fails });
  await assertFailsThenWorks(
    project,
    /could not be compiled with c\+\+.*\n.*fatal error: no such file/,
    () => project.setProgram("c++", goodCompiler),
  );
  assert.equal(project.calls().filter((call) => call.includes("-r requirements")).length, 1);
});

Deno.test("set-up where the addon does not load says so, and leaves none that looks good", async () => {
  const fails = `case "$*" in *eval*) echo "undefined symbol: napi_x"; exit 1;; esac`;
  using project = makeProject({ deno: fails });
  await assertFailsThenWorks(project, /does not load.*\n.*undefined symbol/, () => {
    assert(!exists(places(project.environment.root).addon));
    project.setProgram("deno", "");
  });
});

Deno.test("set-up without a compiler takes the one of ziglang", async () => {
  using project = makeProject({ "c++": undefined });
  await setUp(project.environment);
  assertWhole(project);
  assert(project.calls().some((call) => /-m pip install .*ziglang==/.test(call)));
  assert(project.calls().some((call) => /-m ziglang c\+\+ .*tfjs_backend\.cc/.test(call)));
});

Deno.test("set-up without a compiler and without ziglang says so", async () => {
  const pip = 'case "$*" in *ziglang*) echo "ConnectTimeout"; exit 1;; esac';
  using project = makeProject({ "c++": undefined, python3: python("3.12.1", { pip }) });
  await assertFailsThenWorks(
    project,
    /no C\+\+ compiler, and ziglang.*could not be installed. The network/,
    () => project.setProgram("c++", goodCompiler),
  );
});

Deno.test("set-up replaces a .venv that an earlier run left half-made", async () => {
  using project = makeProject();
  const { venv, stamp } = places(project.environment.root);
  for (const text of [undefined, '{"python": "', '{"python": "of an earlier version"}']) {
    Deno.mkdirSync(join(venv, "bin"), { recursive: true });
    Deno.writeTextFileSync(join(venv, "bin", "stale"), "");
    if (text !== undefined) Deno.writeTextFileSync(stamp, text);
    await setUp(project.environment);
    assertWhole(project);
    assert(!exists(join(venv, "bin", "stale")));
    Deno.removeSync(stamp);
  }
});

Deno.test("set-up in a folder that cannot be written says so", async () => {
  using project = makeProject();
  // A file where a folder must be, because to root every folder can be written.
  Deno.writeTextFileSync(join(project.environment.root, ".cache"), "");
  await assertFailsThenWorks(
    project,
    /Mend this and run it again:\n.*(exists|directory)/,
    () => Deno.removeSync(join(project.environment.root, ".cache")),
  );
});

Deno.test("set-up on Windows points to WSL", async () => {
  using project = makeProject();
  await assert.rejects(setUp({ ...project.environment, os: "windows" }), /WSL/);
});

Deno.test("of two set-ups at once the second waits and finds everything made", async () => {
  using project = makeProject({ python3: python("3.12.1", { pip: "sleep 0.3" }) });
  await Promise.all([setUp(project.environment), setUp(project.environment)]);
  assertWhole(project);
  assert(project.log.some((line) => /Another set-up/.test(line)));
  assert.equal(project.calls().filter((call) => call.includes("-m venv")).length, 1);
});

/** Runs the set-up of a copy of scripts/ in the project, as the task does. */
function startSetUp({ environment: { root, variables } }: Project) {
  const scripts = join(import.meta.dirname!, "..", "..", "scripts");
  Deno.mkdirSync(join(root, "scripts"), { recursive: true });
  for (const file of ["environment.ts", "setup.ts"]) {
    Deno.copyFileSync(join(scripts, file), join(root, "scripts", file));
  }
  return new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", join(root, "scripts", "setup.ts")],
    clearEnv: true,
    env: { ...variables, HOME: root, NO_COLOR: "1" },
    stderr: "piped",
  }).spawn();
}

Deno.test("the command ends with one message and 1", async () => {
  using project = makeProject({ python3: undefined });
  const { code, stderr } = await startSetUp(project).output();
  const text = new TextDecoder().decode(stderr);
  assert.equal(code, 1);
  assert.match(text, /\nSet-up is not done\. There is no Python.*run this again\.\n$/);
  assert.doesNotMatch(text, /at .*setup\.ts/, "a stack trace");
});

Deno.test("Ctrl-C in the middle ends the command with one message, and the next run works", async () => {
  using project = makeProject({ python3: python("3.12.1", { pip: "exec sleep 20" }) });
  const child = startSetUp(project);
  while (!project.calls().some((call) => call.includes("-m pip"))) {
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  child.kill("SIGINT");
  const { code, stderr } = await child.output();
  assert.equal(code, 1);
  assert.match(
    new TextDecoder().decode(stderr),
    /\nSet-up is not done\. It was stopped\. Run the same command again to go on\.\n$/,
  );
  project.setProgram("python3", goodPython);
  await setUp(project.environment);
  assertWhole(project);
});
