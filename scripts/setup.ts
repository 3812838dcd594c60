import { createHash } from "node:crypto";
import { dirname, join, relative } from "node:path";
import {
  type Environment,
  exists,
  findCompiler,
  findPython,
  hasNvidiaGpu,
  places,
  run,
  SetupError,
  tensorFlowFolder,
  thisEnvironment,
} from "./environment.ts";

/** One thing that set-up makes. It is made again when `key` changes or a product is gone. */
interface Step {
  readonly name: string;
  readonly title: string;
  /** Everything that the products depend on. */
  readonly key: string;
  readonly products: readonly string[];
  readonly make: () => Promise<void>;
}

/** Makes everything that the project needs; what is there already is left alone. */
export async function setUp(environment: Environment): Promise<void> {
  const { root, os, log } = environment;
  const { venv, stamp } = places(root);
  if (os !== "linux" && os !== "darwin") {
    throw new SetupError(
      `ResNet Lab runs on Linux and macOS, not on ${os}. On Windows, use it in WSL: run \`wsl --install\`, ` +
        "open Ubuntu, and clone the project there.",
    );
  }
  await Deno.mkdir(join(root, ".cache"), { recursive: true });
  using lock = await Deno.open(join(root, ".cache", "setup.lock"), { create: true, write: true });
  await lock.lock(true);

  let made: Record<string, string> = {};
  try {
    made = JSON.parse(await Deno.readTextFile(stamp));
  } catch {
    // Never finished, or half-finished: the first step starts afresh.
  }
  for (const define of [packages, python, addon, kernelspec]) {
    const step = await define(environment);
    if (made[step.name] === step.key && step.products.every(exists)) continue;
    log(`${step.title} …`);
    const start = performance.now();
    delete made[step.name];
    await step.make();
    made[step.name] = step.key;
    await Deno.mkdir(venv, { recursive: true });
    await Deno.writeTextFile(`${stamp}.part`, JSON.stringify(made, null, 2));
    await Deno.rename(`${stamp}.part`, stamp);
    log(`  done in ${((performance.now() - start) / 1000).toFixed(1)} s`);
  }
}

/** The npm packages, by `deno install` and the lock file. */
async function packages(environment: Environment): Promise<Step> {
  const { root } = environment;
  const { addonSource, nodeHeaders } = places(root);
  return {
    name: "packages",
    title: "Installing the npm packages",
    key: await hash(environment, ["deno.json", "deno.lock"]),
    products: [addonSource, nodeHeaders],
    async make() {
      const { success, output } = await run(environment, [Deno.execPath(), "install"]);
      if (!success) throw new SetupError(`The npm packages could not be installed.\n${why(output)}`);
    },
  };
}

/** The virtual environment with JupyterLab and TensorFlow, from the pinned requirements. */
async function python(environment: Environment): Promise<Step> {
  const { root, status } = environment;
  const { venv, python } = places(root);
  const requirements = await hasNvidiaGpu(environment)
    ? "requirements-gpu.txt"
    : "requirements.txt";
  return {
    name: "python",
    title: "Installing JupyterLab and TensorFlow (1 to 5 minutes, 2 GB)",
    key: await hash(environment, [requirements], root),
    products: [python],
    async make() {
      const { python: base, tooOld } = await findPython(environment);
      if (base === undefined) {
        throw new SetupError(
          (tooOld
            ? `Python ${tooOld.version} is too old: ResNet Lab needs Python 3.10 or newer, best 3.10 to 3.13. `
            : "There is no Python: ResNet Lab needs Python 3.10 or newer, best 3.10 to 3.13. ") +
            `${howToInstallPython(environment)}`,
        );
      }
      if (exists(venv)) await Deno.remove(venv, { recursive: true });
      const made = await run(environment, [base.program, "-I", "-m", "venv", venv]);
      if (!made.success) {
        throw new SetupError(
          /ensurepip|No module named venv/.test(made.output)
            ? `Python ${base.version} lacks its module venv. Install it with \`sudo apt install python3-venv\` ` +
              "(Debian, Ubuntu) and run this again."
            : `Python could not make the virtual environment ${venv}.\n${why(made.output)}`,
        );
      }
      const installed = await run(
        environment,
        [python, "-I", "-m", "pip", "install", "--no-input", "--no-compile", "-r", requirements],
        { extra: { PIP_DISABLE_PIP_VERSION_CHECK: "1" }, onLine: status },
      );
      status("");
      if (!installed.success) {
        throw new SetupError(`The Python packages could not be installed.\n${why(installed.output)}`);
      }
    },
  };
}

const compilerFlags = ["-O2", "-shared", "-fPIC", "-std=c++17", "-DNAPI_VERSION=8"];

/** The addon that joins TensorFlow.js to TensorFlow, compiled from the C++ in its npm package. */
async function addon(environment: Environment): Promise<Step> {
  const { root, os, log } = environment;
  const { venv, python, addon, addonSource, nodeHeaders } = places(root);
  const tensorFlow = tensorFlowFolder(root);
  if (tensorFlow === undefined) {
    return { name: "addon", title: "", key: "none", products: [], make: () => Promise.resolve() };
  }
  const [suffix, origin] = os === "darwin" ? [".2.dylib", "@loader_path"] : [".so.2", "$ORIGIN"];
  const libraries = ["cc", "framework"].map((name) =>
    join(tensorFlow, `libtensorflow_${name}${suffix}`)
  );
  const flags = [
    ...compilerFlags,
    ...(os === "darwin" ? ["-undefined", "dynamic_lookup"] : []),
    `-I${nodeHeaders}`,
    `-I${join(tensorFlow, "include")}`,
    join(addonSource, "binding", "tfjs_backend.cc"),
    join(addonSource, "binding", "tfjs_binding.cc"),
    ...libraries,
    `-Wl,-rpath,${origin}/${relative(venv, tensorFlow)}`,
  ];
  return {
    name: "addon",
    title: "Compiling the TensorFlow.js addon (10 s)",
    key: await hash(environment, ["deno.lock"], ...flags),
    products: [addon],
    async make() {
      const compiler = await findCompiler(environment);
      const zig = join(venv, "zig");
      let command: [string, ...string[]] = [compiler ?? ""];
      if (compiler === undefined) {
        log("  no C++ compiler here: using the one of the Python package ziglang");
        const installed = await run(environment, [
          ...[python, "-I", "-m", "pip", "install", "--no-input", "ziglang==0.17.1"] as const,
        ]);
        if (!installed.success) {
          throw new SetupError(
            "There is no C++ compiler, and the Python package ziglang, which has one, could not be installed.\n" +
              why(installed.output),
          );
        }
        command = [python, "-I", "-m", "ziglang", "c++"];
      }
      const compiled = await run(environment, [...command, ...flags, "-o", `${addon}.part`], {
        extra: { ZIG_GLOBAL_CACHE_DIR: zig, ZIG_LOCAL_CACHE_DIR: zig },
      });
      if (exists(zig)) await Deno.remove(zig, { recursive: true });
      if (!compiled.success) {
        throw new SetupError(
          `The TensorFlow.js addon could not be compiled with ${compiler ?? "ziglang"}.\n${
            why(compiled.output)
          }`,
        );
      }
      await Deno.rename(`${addon}.part`, addon);
    },
  };
}

/** The Jupyter kernel: this very Deno, linked into `.venv`, where emptying npm's cache does not reach it. */
async function kernelspec({ root }: Environment): Promise<Step> {
  const { deno, kernelspec } = places(root);
  const text = JSON.stringify(
    {
      argv: [deno, "jupyter", "--kernel", "--conn", "{connection_file}"],
      display_name: "Deno",
      language: "typescript",
    },
    null,
    2,
  );
  return {
    name: "kernelspec",
    title: "Registering the Deno kernel",
    key: `${Deno.version.deno} ${text}`,
    products: [deno, kernelspec],
    async make() {
      await Deno.mkdir(dirname(kernelspec), { recursive: true });
      if (exists(deno)) await Deno.remove(deno);
      await Deno.link(Deno.execPath(), deno).catch(() => Deno.copyFile(Deno.execPath(), deno));
      await Deno.writeTextFile(kernelspec, text);
    },
  };
}

async function hash({ root }: Environment, files: string[], ...texts: string[]): Promise<string> {
  const sum = createHash("sha256");
  for (const file of files) sum.update(await Deno.readFile(join(root, file)));
  for (const text of texts) sum.update(`\0${text}`);
  return sum.digest("hex");
}

function howToInstallPython({ os }: Environment): string {
  return os === "darwin"
    ? "Install it with `brew install python@3.13` or from python.org, and run this again."
    : "Install it with `sudo apt install python3 python3-venv` (Debian, Ubuntu) or `sudo dnf install python3.13` (Fedora), and run this again.";
}

/** What to do about a command that failed, from what it said. */
function why(output: string): string {
  const end = output.trim().split("\n").slice(-12).map((line) => `  ${line}`).join("\n");
  if (/No space left on device|ENOSPC|Disk quota exceeded/i.test(output)) {
    return "The disk is full. Free at least 3 GB here and in the folder for temporary files, and run this again.";
  }
  if (
    /name resolution|resolve host|dns error|Network is unreachable|Max retries|NewConnectionError|ConnectTimeout|ReadTimeout|timed out|connection refused|client error \(Connect\)/i
      .test(output)
  ) {
    return `The network cannot be reached:\n${end}\nConnect to it (behind a proxy, set HTTPS_PROXY) and run this again.`;
  }
  return `It said:\n${end}\nMend that, and run this again.`;
}

if (import.meta.main) {
  Deno.addSignalListener("SIGINT", () => {
    console.error("\nSet-up was stopped. Run the same command again to go on.");
    Deno.exit(1);
  });
  try {
    await setUp(thisEnvironment());
  } catch (error) {
    if (!(error instanceof SetupError)) throw error;
    console.error(`\nSet-up failed. ${error.message}`);
    Deno.exit(1);
  }
}
