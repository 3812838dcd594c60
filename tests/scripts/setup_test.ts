import assert from "node:assert/strict";
import { join } from "node:path";
import { exists, places, SetupError } from "../../scripts/environment.ts";
import { setUp } from "../../scripts/setup.ts";
import {
  goodCompiler,
  goodPrograms,
  goodPython,
  makeProject,
  type Project,
  python,
} from "./project.ts";

/**
 * Asserts that set-up fails with a message for the user, and then succeeds once `mend` has been
 * done.
 */
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

function unfinished(root: string): string[] {
  return [root, join(root, ".venv"), join(root, ".venv", "bin")].flatMap((folder) =>
    Array.from(Deno.readDirSync(folder), ({ name }) => name)
      .filter((name) => /part|^tmp$|zig-cache|^\.venv\./.test(name))
  );
}

/** The calls of fakes but for those that only ask. */
function works(calls: string[]): string[] {
  return calls.filter((call) => !/^nvidia|sysconfig|pip config|sys\.version/.test(call));
}

function assertWhole({ environment: { root } }: Project) {
  const { python, addon, deno, kernelspec } = places(root);
  for (const product of [python, addon, deno, kernelspec]) assert(exists(product), product);
  assert.deepEqual(unfinished(root), [], "half-made files");
}

Deno.test("set-up makes everything once, and then nothing", async () => {
  using project = makeProject();
  await setUp(project.environment);
  assertWhole(project);
  const calls = project.calls();
  assert.equal(calls.filter((call) => call.includes("-m venv")).length, 1);
  assert.equal(calls.filter((call) => call.includes("-r requirements.txt")).length, 1);
  const { kernelspec, deno } = places(project.environment.root);
  const { argv } = JSON.parse(Deno.readTextFileSync(kernelspec));
  assert.deepEqual(argv.slice(-4), ["jupyter", "--kernel", "--conn", "{connection_file}"]);
  assert.equal(join(argv.at(-5).replace("{resource_dir}", join(kernelspec, ".."))), deno);
  await setUp(project.environment);
  assert.deepEqual(works(project.calls()), works(calls), "programs called by a second set-up");
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
  assert.deepEqual(works(project.calls()), works(calls), "nothing is made again");
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
  assert(
    project.calls().some((call) =>
      / install .*--only-binary :all: --require-hashes -r requirements-ziglang.txt/.test(call)
    ),
  );
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

/** Everything in a folder but what changes without harm: paths, with what is in the files. */
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
  Deno.test(`set-up that fails for want of ${name} leaves the .venv that worked as it was`, async () => {
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

Deno.test("set-up has nothing to do in a project that was moved", async () => {
  using project = makeProject();
  using elsewhere = makeProject();
  await setUp(project.environment);
  const calls = works(project.calls()), said = project.log.length;
  const root = join(elsewhere.environment.root, "new näme");
  Deno.renameSync(project.environment.root, root);
  try {
    const bin = join(root, "bin");
    const moved = { root, deno: join(bin, "deno"), variables: { PATH: bin } };
    await setUp({ ...project.environment, ...moved });
    assert.deepEqual(project.log.slice(said), []);
    for (const [file, text] of Object.entries(contents(join(root, ".venv")))) {
      // A fake notes its calls at the path at which it was made.
      if (file.includes("/bin/")) continue;
      assert(!text.includes(project.environment.root), `${file} holds the path`);
    }
  } finally {
    Deno.renameSync(root, project.environment.root);
  }
  assert.deepEqual(works(project.calls()), calls);
});

Deno.test("set-up has nothing to write in a project that is ready", async () => {
  using project = makeProject();
  const { root } = project.environment;
  await setUp(project.environment);
  Deno.removeSync(join(root, ".cache"), { recursive: true });
  await setUp(project.environment);
  assert(!exists(join(root, ".cache")));
  // Leftovers do not make it fail where nothing can be written, which this stands for.
  Deno.writeTextFileSync(join(root, ".cache"), "");
  Deno.mkdirSync(join(root, ".venv.left"));
  await setUp(project.environment);
});

Deno.test("set-up that was killed between its two renames left the .venv that worked, and the next takes it back", async () => {
  using project = makeProject({ python3: python("3.12.1") });
  const { root } = project.environment;
  await setUp(project.environment);
  const before = works(project.calls());
  Deno.renameSync(join(root, ".venv"), join(root, ".venv.replaced"));
  await setUp(project.environment);
  assertWhole(project);
  assert.deepEqual(works(project.calls()), before);
});

Deno.test("set-up makes .venv anew when the system's Python has become another", async () => {
  using project = makeProject();
  await setUp(project.environment);
  const { python } = places(project.environment.root);
  // The link to the system's Python now leads to one that looks for its packages elsewhere.
  Deno.writeTextFileSync(
    python,
    Deno.readTextFileSync(python).replaceAll("python3.12", "python3.13"),
  );
  const before = project.calls().length;
  await setUp(project.environment);
  assert(project.calls().slice(before).some((call) => call.includes("-m venv")));
});

Deno.test("pip obeys the user's settings as to where packages are, and no others", async () => {
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
function startSetUp({ environment: { root, variables } }: Project, script = "setup.ts") {
  const scripts = join(import.meta.dirname!, "..", "..", "scripts");
  Deno.mkdirSync(join(root, "scripts"), { recursive: true });
  for (const file of ["environment.ts", "setup.ts", "lab.ts"]) {
    Deno.copyFileSync(join(scripts, file), join(root, "scripts", file));
  }
  return new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", join(root, "scripts", script)],
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

Deno.test("a kill in the middle leaves the .venv that worked, pip ends too, and the next run works", async () => {
  using project = makeProject();
  const { environment: { root } } = project;
  await setUp(project.environment);
  const before = contents(join(root, ".venv"));
  Deno.writeTextFileSync(join(root, "requirements.txt"), "jupyterlab==5");
  // A pip as it is, which ends with its standard input, and one that outlives its set-up and goes
  // on writing.
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

Deno.test("JupyterLab opens on an earlier set-up when a new one fails, and not without one", async () => {
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
    /network cannot be reached[^]*Going on with what an earlier set-up has made/,
  );
  assert(opened());
});
