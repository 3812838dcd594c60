import assert from "node:assert/strict";
import { join } from "node:path";
import { exists, projectPaths, SetupError } from "../../scripts/environment.ts";
import { setUp } from "../../scripts/setup.ts";
import {
  goodCompiler,
  goodPrograms,
  goodPython,
  makeProject,
  type Project,
  python,
} from "./_helpers.ts";

/**
 * Asserts that set-up fails with a message, and succeeds after `fix`.
 */
async function assertFailsThenWorks(project: Project, message: RegExp, fix: () => void) {
  await assert.rejects(setUp(project.environment), (error) => {
    assert(error instanceof SetupError, String(error));
    assert.match(error.message, message);
    return true;
  });
  fix();
  await setUp(project.environment);
  assertWhole(project);
}

function unfinished(root: string): string[] {
  return [root, join(root, ".venv"), join(root, ".venv", "bin")].flatMap((folder) =>
    Array.from(Deno.readDirSync(folder), ({ name }) => name)
      .filter((name) => /part|^tmp$|zig-cache|^\.venv\./.test(name))
  );
}

/** The calls of fakes that change something. */
function actions(calls: string[]): string[] {
  return calls.filter((call) => !/^nvidia|sysconfig|pip config|sys\.version/.test(call));
}

function assertWhole({ environment: { root } }: Project) {
  const { python, addon, deno, kernelspec } = projectPaths(root);
  for (const product of [python, addon, deno, kernelspec]) assert(exists(product), product);
  assert.deepEqual(unfinished(root), [], "half-made files");
}

Deno.test("setUp() makes everything once, and then nothing", async () => {
  using project = makeProject();
  await setUp(project.environment);
  assertWhole(project);
  const calls = project.calls();
  assert.equal(calls.filter((call) => call.includes("-m venv")).length, 1);
  assert.equal(calls.filter((call) => call.includes("-r requirements.txt")).length, 1);
  const { root } = project.environment;
  const { kernelspec, python } = projectPaths(root);
  const { argv } = JSON.parse(Deno.readTextFileSync(kernelspec));
  const inProject = (path: string) => join(path.replace("{resource_dir}", join(kernelspec, "..")));
  assert.deepEqual(
    [inProject(argv.at(-4)), argv.at(-3), inProject(argv.at(-2)), argv.at(-1)],
    [python, "-I", join(root, "scripts", "kernel"), "{connection_file}"],
  );
  await setUp(project.environment);
  assert.deepEqual(actions(project.calls()), actions(calls), "programs called by a second set-up");
});

Deno.test("setUp() repeats only the steps whose inputs changed or whose products are missing", async () => {
  using project = makeProject();
  const { environment, calls } = project;
  await setUp(environment);
  let before = calls().length;
  Deno.removeSync(projectPaths(environment.root).addon);
  await setUp(environment);
  assert(calls().slice(before).some((call) => call.includes("tfjs_backend.cc")), "compiles");
  assert(!calls().slice(before).some((call) => / install|venv /.test(call)), "compiles only");

  before = calls().length;
  Deno.writeTextFileSync(projectPaths(environment.root).addonHeader, "// another");
  await setUp(environment);
  assert(calls().slice(before).some((call) => call.includes("tfjs_backend.cc")), "the header");

  before = calls().length;
  Deno.writeTextFileSync(join(environment.root, "requirements.txt"), "jupyterlab==4");
  await setUp(environment);
  assert(calls().slice(before).some((call) => call.includes("-r requirements.txt")));
  assertWhole(project);

  before = calls().length;
  Deno.removeSync(projectPaths(environment.root).python);
  await setUp(environment);
  assert(calls().slice(before).some((call) => call.includes("-m venv")), "the Python went away");
});

Deno.test("setUp() installs MPI when asked, and keeps it", async () => {
  using project = makeProject();
  const { environment, calls } = project;
  const installs = () =>
    calls().filter((call) => call.includes("-r requirements-parallel.txt")).length;
  await setUp(environment);
  assert.equal(installs(), 0);
  await setUp(environment, { parallel: true });
  assert.equal(installs(), 1);
  assert(exists(projectPaths(environment.root).mpiexec));
  await setUp(environment);
  await setUp(environment, { parallel: true });
  assert.equal(installs(), 1);

  // A new environment gets it too.
  Deno.writeTextFileSync(join(environment.root, "requirements.txt"), "jupyterlab==4");
  await setUp(environment);
  assert.equal(installs(), 2);
  assert(exists(projectPaths(environment.root).mpiexec));
  assertWhole(project);
});

Deno.test("setUp() with a GPU installs TensorFlow for it", async () => {
  using project = makeProject({ "nvidia-smi": 'echo "GPU 0"' });
  await setUp(project.environment);
  const gpu = Deno.build.arch === "x86_64" ? "requirements-gpu.txt" : "requirements.txt";
  assert(project.calls().some((call) => call.endsWith(`-r ${gpu}`)));
});

Deno.test("setUp() without Python says how to install it", async () => {
  using project = makeProject({ python3: undefined });
  await assertFailsThenWorks(
    project,
    /There is no Python: .*3\.10 to 3\.13.*sudo apt install python3 python3-venv/,
    () => project.setProgram("python3", goodPython),
  );
});

Deno.test("setUp() refuses an old Python, and uses a newer one beside it", async () => {
  using project = makeProject({ python3: python("3.8.10") });
  await assertFailsThenWorks(
    project,
    /Python 3\.8\.10 is too old: .*3\.10 to 3\.13/,
    () => project.setProgram("python3.12", goodPython),
  );
});

Deno.test("setUp() with a Python that has no TensorFlow makes no addon", async () => {
  using project = makeProject({ python3: python("3.14.2") });
  await setUp(project.environment);
  assert(project.log.some((line) => /Python 3\.14\.2 has no TensorFlow yet/.test(line)));
  assert(!exists(projectPaths(project.environment.root).addon));
  const calls = project.calls();
  await setUp(project.environment);
  assert.deepEqual(actions(project.calls()), actions(calls), "nothing is made again");
});

Deno.test("setUp() prefers a Python that has TensorFlow", async () => {
  using project = makeProject({ python3: python("3.14.2"), "python3.11": python("3.11.9") });
  await setUp(project.environment);
  assert(project.calls().some((call) => call.startsWith("python3.11 -I -m venv")));
});

Deno.test("setUp() without the module venv names the package to install", async () => {
  const venv = 'echo "ensurepip is not available"; exit 1';
  using project = makeProject({ python3: python("3.12.1", { venv }) });
  await assertFailsThenWorks(
    project,
    /lacks its module venv.*sudo apt install python3-venv/,
    () => project.setProgram("python3", goodPython),
  );
});

for (
  const [name, printed, message] of [
    ["the network is down", "Temporary failure in name resolution", /network cannot be reached/],
    ["the disk is full", "[Errno 28] No space left on device", /disk is full.*Free 5 GB/],
    [
      "a package is gone",
      "ERROR: No matching distribution found for x",
      /No matching distribution/,
    ],
  ] as const
) {
  Deno.test(`setUp() whose pip fails because ${name} says so, and leaves no incomplete file`, async () => {
    using project = makeProject({
      python3: python("3.12.1", { pip: `echo "${printed}"; exit 1` }),
    });
    await assertFailsThenWorks(project, message, () => {
      assert(!exists(projectPaths(project.environment.root).venv), "a half-made .venv is left");
      project.setProgram("python3", goodPython);
    });
  });
}

Deno.test("setUp() without the npm packages says so", async () => {
  using project = makeProject({ deno: 'echo "error: dns error"; exit 1' });
  await assertFailsThenWorks(
    project,
    /npm packages could not be installed. The network cannot be reached/,
    () => project.setProgram("deno", ""),
  );
});

Deno.test("setUp() shows the output of a compiler that fails, and keeps the Python packages", async () => {
  const fails = `case "$*" in *--version*) ;; *) echo "fatal error: no such file"; exit 1;; esac`;
  using project = makeProject({ "c++": fails });
  await assertFailsThenWorks(
    project,
    /could not be compiled with c\+\+.*\n.*fatal error: no such file/,
    () => project.setProgram("c++", goodCompiler),
  );
  assert.equal(project.calls().filter((call) => call.includes("-r requirements")).length, 1);
});

Deno.test("setUp() removes an addon that does not load", async () => {
  const fails = `case "$*" in *eval*) echo "undefined symbol: napi_x"; exit 1;; esac`;
  using project = makeProject({ deno: fails });
  await assertFailsThenWorks(project, /does not load.*\n.*undefined symbol/, () => {
    assert(!exists(projectPaths(project.environment.root).addon));
    project.setProgram("deno", "");
  });
});

Deno.test("setUp() without a compiler uses the compiler of ziglang", async () => {
  using project = makeProject({ "c++": undefined });
  await setUp(project.environment);
  assertWhole(project);
  assert(
    project.calls().some((call) =>
      / install .*--only-binary :all: --require-hashes -r requirements-ziglang.txt/.test(call)
    ),
  );
  assert(project.calls().some((call) => /-m ziglang c\+\+ .*tfjs_backend\.cc/.test(call)));
});

Deno.test("setUp() without a compiler and without ziglang says so", async () => {
  const pip = 'case "$*" in *ziglang*) echo "ConnectTimeout"; exit 1;; esac';
  using project = makeProject({ "c++": undefined, python3: python("3.12.1", { pip }) });
  await assertFailsThenWorks(
    project,
    /no C\+\+ compiler, and ziglang.*could not be installed. The network/,
    () => project.setProgram("c++", goodCompiler),
  );
});

Deno.test("setUp() replaces an incomplete .venv", async () => {
  using project = makeProject();
  const { venv, stamp } = projectPaths(project.environment.root);
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

/** The files of a folder: their paths and texts. */
function contents(folder: string): Record<string, string> {
  return Object.fromEntries(
    Array.from(Deno.readDirSync(folder)).flatMap(({ name, isDirectory }) => {
      const path = join(folder, name);
      return isDirectory ? Object.entries(contents(path)) : [[path, Deno.readTextFileSync(path)]];
    }),
  );
}

for (
  const [name, broken] of [
    ["Python", { python3: undefined }],
    ["the module venv", { python3: python("3.12.1", { venv: "exit 1" }) }],
    ["a package", { python3: python("3.12.1", { pip: "echo ConnectTimeout; exit 1" }) }],
    ["a compiler that works", { "c++": 'case "$*" in *--version*) ;; *) exit 1;; esac' }],
    ["an addon that loads", { deno: 'case "$*" in *eval*) exit 1;; esac' }],
  ] as const
) {
  Deno.test(`setUp() that fails without ${name} does not change a .venv that works`, async () => {
    using project = makeProject();
    const { root } = project.environment;
    await setUp(project.environment);
    const before = contents(join(root, ".venv"));
    Deno.writeTextFileSync(join(root, "requirements.txt"), "jupyterlab==5");
    for (const [program, body] of Object.entries(broken)) project.setProgram(program, body);
    await assert.rejects(setUp(project.environment), SetupError);
    assert.deepEqual(contents(join(root, ".venv")), before);
    for (const [program, body] of Object.entries(goodPrograms)) {
      project.setProgram(program, body);
    }
    await setUp(project.environment);
    assertWhole(project);
    assert.notDeepEqual(contents(join(root, ".venv")), before);
  });
}

Deno.test("setUp() has nothing to do in a project that was moved", async () => {
  using project = makeProject();
  using elsewhere = makeProject();
  await setUp(project.environment);
  const calls = actions(project.calls()), printed = project.log.length;
  const root = join(elsewhere.environment.root, "new näme");
  Deno.renameSync(project.environment.root, root);
  try {
    const bin = join(root, "bin");
    const moved = { root, deno: join(bin, "deno"), variables: { PATH: bin } };
    await setUp({ ...project.environment, ...moved });
    assert.deepEqual(project.log.slice(printed), []);
    for (const [file, text] of Object.entries(contents(join(root, ".venv")))) {
      // A fake logs its calls to the absolute path of the project.
      if (file.includes("/bin/")) continue;
      assert(!text.includes(project.environment.root), `${file} holds the path`);
    }
  } finally {
    Deno.renameSync(root, project.environment.root);
  }
  assert.deepEqual(actions(project.calls()), calls);
});

Deno.test("setUp() writes nothing to a complete project", async () => {
  using project = makeProject();
  const { root } = project.environment;
  await setUp(project.environment);
  Deno.removeSync(join(root, ".cache"), { recursive: true });
  await setUp(project.environment);
  assert(!exists(join(root, ".cache")));
  // Nor does it fail because old folders cannot be removed: a file .cache imitates a read-only
  // disk.
  Deno.writeTextFileSync(join(root, ".cache"), "");
  Deno.mkdirSync(join(root, ".venv.left"));
  await setUp(project.environment);
});

Deno.test("setUp() restores the .venv of a set-up that was killed between its two renames", async () => {
  using project = makeProject({ python3: python("3.12.1") });
  const { root } = project.environment;
  await setUp(project.environment);
  const before = actions(project.calls());
  Deno.renameSync(join(root, ".venv"), join(root, ".venv.replaced"));
  await setUp(project.environment);
  assertWhole(project);
  assert.deepEqual(actions(project.calls()), before);
});

Deno.test("setUp() makes a new .venv when the system's Python has another version", async () => {
  using project = makeProject();
  await setUp(project.environment);
  const { python } = projectPaths(project.environment.root);
  // The link to the system's Python now leads to a Python that looks for packages elsewhere.
  Deno.writeTextFileSync(
    python,
    Deno.readTextFileSync(python).replaceAll("python3.12", "python3.13"),
  );
  const before = project.calls().length;
  await setUp(project.environment);
  assert(project.calls().slice(before).some((call) => call.includes("-m venv")));
});

Deno.test("setUp() passes only the user's network settings to pip", async () => {
  const pip = 'env > "$(dirname "$0")/../pip-env"';
  using project = makeProject({ python3: python("3.12.1", { pip }) });
  const { environment } = project;
  const file = join(environment.root, "pip.conf");
  Deno.writeTextFileSync(
    file,
    [
      "global.index-url='https://packages.example/simple'",
      "global.trusted-host='a\\nb'",
      "install.user='true'",
      "global.proxy='http://from.file'",
      `install.target="/else'where"`,
    ].join("\n"),
  );
  const variables = {
    ...environment.variables,
    ...{ PIP_CONFIG_FILE: file, PIP_PROXY: "http://from.variable", PIP_CERT: "/my cert.pem" },
    ...{ HTTPS_PROXY: "http://proxy", SSL_CERT_FILE: "/cert.pem" },
    ...{ PIP_USER: "1", PIP_TARGET: "/elsewhere", PIP_PREFIX: "/elsewhere", PIP_NO_DEPS: "1" },
    ...{
      PIP_REQUIRE_VIRTUALENV: "1",
      PIP_CONSTRAINT: "/none",
      PIP_PYTHON: "/none",
      PIP_QUIET: "3",
    },
    ...{ PYTHONPATH: "/none", PYTHONHOME: "/none", VIRTUAL_ENV: "/none", PYTHONUSERBASE: "/none" },
  };
  await setUp({ ...environment, variables });
  const seen = Object.fromEntries(
    Deno.readTextFileSync(join(environment.root, ".venv", "pip-env"))
      .split(/\n(?=[A-Z_]+=)/).map((line) => line.trim().split(/=(.*)/s).slice(0, 2)),
  );
  const relevant = Object.entries(seen).filter(([name]) =>
    /^(PIP_|PYTHON|VIRTUAL|HTTPS|SSL)/.test(name)
  );
  assert.deepEqual(Object.fromEntries(relevant), {
    PIP_CONFIG_FILE: "/dev/null",
    PIP_DISABLE_PIP_VERSION_CHECK: "1",
    PIP_INDEX_URL: "https://packages.example/simple",
    PIP_TRUSTED_HOST: "a\nb",
    PIP_PROXY: "http://from.variable",
    PIP_CERT: "/my cert.pem",
    HTTPS_PROXY: "http://proxy",
    SSL_CERT_FILE: "/cert.pem",
  });
});

Deno.test("setUp() in a folder that cannot be written says so", async () => {
  using project = makeProject();
  // A file in place of a folder, because root can write to every folder.
  Deno.writeTextFileSync(join(project.environment.root, ".cache"), "");
  await assertFailsThenWorks(
    project,
    /Fix this and run it again:\n.*(exists|directory)/,
    () => Deno.removeSync(join(project.environment.root, ".cache")),
  );
});

Deno.test("setUp() on Windows names WSL", async () => {
  using project = makeProject();
  await assert.rejects(setUp({ ...project.environment, os: "windows" }), /WSL/);
});

Deno.test("setUp() waits for another set-up, and finds everything made", async () => {
  using project = makeProject({ python3: python("3.12.1", { pip: "sleep 0.3" }) });
  await Promise.all([setUp(project.environment), setUp(project.environment)]);
  assertWhole(project);
  assert(project.log.some((line) => /Another set-up/.test(line)));
  assert.equal(project.calls().filter((call) => call.includes("-m venv")).length, 1);
});

/** Runs a copy of scripts/ in the project, as the task does. */
function startSetUp({ environment: { root, variables } }: Project, script = "setup.ts") {
  const scripts = join(import.meta.dirname!, "..", "..", "scripts");
  Deno.mkdirSync(join(root, "scripts"), { recursive: true });
  for (const { name, isFile } of Deno.readDirSync(scripts)) {
    if (isFile) Deno.copyFileSync(join(scripts, name), join(root, "scripts", name));
  }
  // The only file of the library that set-up needs.
  const [from, to] = [join(scripts, ".."), root].map((root) => join(root, "lib", "tensor"));
  Deno.mkdirSync(to!, { recursive: true });
  Deno.copyFileSync(join(from!, "installation.ts"), join(to!, "installation.ts"));
  return new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", join(root, "scripts", script)],
    clearEnv: true,
    env: { ...variables, HOME: root, NO_COLOR: "1" },
    stderr: "piped",
  }).spawn();
}

Deno.test("deno task setup ends with one message and exit code 1", async () => {
  using project = makeProject({ python3: undefined });
  const { code, stderr } = await startSetUp(project).output();
  const text = new TextDecoder().decode(stderr);
  assert.equal(code, 1);
  assert.match(text, /\nSet-up is not done\. There is no Python.*run this again\.\n$/);
  assert.doesNotMatch(text, /at .*setup\.ts/, "a stack trace");
});

Deno.test("deno task setup ends with one message at Ctrl-C, and the next run succeeds", async () => {
  using project = makeProject({ python3: python("3.12.1", { pip: "exec sleep 20" }) });
  const child = startSetUp(project);
  while (!project.calls().some((call) => call.includes(" install --no"))) {
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

Deno.test("deno task setup that is killed leaves the old .venv, ends pip, and the next run succeeds", async () => {
  using project = makeProject();
  const { environment: { root } } = project;
  await setUp(project.environment);
  const before = contents(join(root, ".venv"));
  Deno.writeTextFileSync(join(root, "requirements.txt"), "jupyterlab==5");
  // One pip ends with its standard input, as the real one does. The other outlives its set-up and
  // continues to write.
  for (
    const pip of [
      "read _; exit 1",
      "exec > /dev/null; while sleep 0.01; do mkdir -p $0.d/$((i=i+1)); done",
    ]
  ) {
    project.setProgram("python3", python("3.12.1", { pip: `echo $$ > "${root}/pid"; ${pip}` }));
    if (exists(join(root, "pid"))) Deno.removeSync(join(root, "pid"));
    const child = startSetUp(project);
    while (!exists(join(root, "pid"))) await new Promise((resolve) => setTimeout(resolve, 20));
    child.kill("SIGKILL");
    await child.output();
    assert.deepEqual(contents(join(root, ".venv")), before);
  }
  const pid = Number(Deno.readTextFileSync(join(root, "pid")));
  project.setProgram("python3", goodPython);
  await setUp(project.environment);
  Deno.kill(pid, "SIGKILL");
  await new Promise((resolve) => setTimeout(resolve, 100));
  await setUp(project.environment);
  assertWhole(project);
});

Deno.test("deno task lab opens JupyterLab on an earlier set-up if a new one fails, and not without one", async () => {
  using project = makeProject();
  const pip = "echo ConnectTimeout; exit 1";
  project.setProgram("python3", python("3.12.1", { pip }));
  const opened = () => project.calls().some((call) => call.includes("-m jupyterlab"));
  assert.equal((await startSetUp(project, "lab.ts").output()).code, 1);
  assert(!opened());

  project.setProgram("python3", goodPython);
  await setUp(project.environment);
  Deno.writeTextFileSync(join(project.environment.root, "requirements.txt"), "jupyterlab==5");
  project.setProgram("python3", python("3.12.1", { pip }));
  const { code, stderr } = await startSetUp(project, "lab.ts").output();
  assert.equal(code, 0);
  assert.match(
    new TextDecoder().decode(stderr),
    /network cannot be reached[^]*Continuing with an earlier set-up/,
  );
  assert(opened());
});
