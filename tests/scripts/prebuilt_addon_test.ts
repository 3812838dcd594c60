/** Tests of the addon as an npm package. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { exists, onPath, projectPaths } from "../../scripts/environment.ts";
import { packAddon } from "../../scripts/prebuilt_addon.ts";
import { setUp } from "../../scripts/setup.ts";
import { environment, isSetUp, paths, root } from "../_project.ts";
import { makeProject } from "./_helpers.ts";
import { Registry } from "./_registry.ts";

const { os } = environment, cpu = Deno.build.arch === "aarch64" ? "arm64" : "x64";

/** Makes a fake project with an addon of this version in a package, and sets it up twice. */
async function setUpWith(version: string, deno?: string) {
  using project = makeProject(deno === undefined ? {} : { deno });
  const { root } = project.environment, packages = join(root, "node_modules");
  await Deno.writeTextFile(
    join(packages, "@tensorflow/tfjs-node-gpu/package.json"),
    '{"version":"4.22.0"}',
  );
  // Where Deno puts what other packages depend on.
  const folder = join(packages, ".deno/node_modules/@resnet-lab", `addon-${os}-${cpu}`);
  await Deno.mkdir(folder, { recursive: true });
  await Deno.writeTextFile(join(folder, "package.json"), JSON.stringify({ version }));
  await Deno.writeTextFile(join(folder, "tfjs_binding.node"), "prebuilt");
  // The fake pip makes TensorFlow without its version, so the Python packages come first.
  await setUp({ ...project.environment, os });
  const { venv, addon } = projectPaths(root);
  await Deno.mkdir(join(venv, "lib/python3.12/site-packages/tensorflow_cpu-2.21.0.dist-info"));
  await Deno.remove(addon);
  const before = project.calls().length;
  await setUp({ ...project.environment, os });
  const isCompiled = project.calls().slice(before).some((call) => call.includes("-shared"));
  return { addon: (await Deno.readTextFile(addon)).trim(), isCompiled, log: project.log };
}

Deno.test("setUp() takes the addon of a package for its versions, and compiles if there is none", async () => {
  const { addon, isCompiled, log } = await setUpWith("4.22.0-tensorflow.2.21.0");
  assert.deepEqual([addon, isCompiled], ["prebuilt", false]);
  assert(log.includes("Copying the TensorFlow.js addon from its npm package …"));
  for (const version of ["4.22.0-tensorflow.2.20.0", "4.21.0-tensorflow.2.21.0"]) {
    const { addon, isCompiled } = await setUpWith(version);
    assert.deepEqual([addon, isCompiled], ["addon", true]);
  }
});

Deno.test("setUp() compiles where the addon of the package does not load", async () => {
  // Fails for an addon with the text of the package only.
  const deno = `case "$*" in *eval*)
    file=$(printf '%s' "$*" | sed -n 's/.*("\\(.*\\.node\\)").*/\\1/p')
    if grep -q prebuilt "$file"; then exit 1; fi
    echo "TensorFlow=2.21.0 GPU=false";; esac`;
  const { addon, isCompiled, log } = await setUpWith("4.22.0-tensorflow.2.21.0", deno);
  assert.deepEqual([addon, isCompiled], ["addon", true]);
  assert(log.includes("  the one of the npm package does not load here, so it is compiled"));
});

Deno.test({
  name: "packAddon() packs an addon that npm installs, and that trains without a C++ compiler",
  ignore: !isSetUp || !exists(paths.addon) || onPath(environment.variables, "npm") === undefined,
  async fn() {
    const base = await Deno.makeTempDir();
    try {
      const packed = await packAddon(environment, join(base, "packed"));
      // The files that an import from a registry uses, with all that set-up makes but the addon.
      const { version } = JSON.parse(await Deno.readTextFile(join(root, "deno.json")));
      const project = join(base, "project", version), packages = join(project, "node_modules");
      const there = projectPaths(project);
      await Deno.mkdir(packages, { recursive: true });
      const requirements = ["requirements.txt", "requirements-parallel.txt"];
      const files = ["deno.json", "deno.lock", "scripts", ...requirements];
      for (const name of files) await Deno.symlink(join(root, name), join(project, name));
      const install = await new Deno.Command("npm", {
        args: ["install", "--offline", "--no-audit", "--no-fund", packed],
        cwd: project,
      }).output();
      assert(install.success, new TextDecoder().decode(install.stderr));
      await Deno.remove(join(project, "package.json"));
      const own = join(packages, "@resnet-lab", `addon-${os}-${cpu}`);
      assert.deepEqual(Array.from(Deno.readDirSync(own), ({ name }) => name).sort(), [
        "package.json",
        "tfjs_binding.node",
      ]);
      const { scripts, ...fields } = JSON.parse(await Deno.readTextFile(join(own, "package.json")));
      assert.equal(scripts, undefined);
      assert.deepEqual([fields.os, fields.cpu], [[os], [cpu]]);
      for (const { name } of Deno.readDirSync(join(root, "node_modules"))) {
        if (!exists(join(packages, name))) {
          await Deno.symlink(join(root, "node_modules", name), join(packages, name));
        }
      }
      await Deno.mkdir(there.venv);
      for (const { name } of Deno.readDirSync(paths.venv)) {
        if (/\.(node|json)$/.test(name)) continue;
        await Deno.symlink(join(paths.venv, name), join(there.venv, name));
      }
      const { addon: _, ...stamp } = JSON.parse(await Deno.readTextFile(paths.stamp));
      await Deno.writeTextFile(there.stamp, JSON.stringify(stamp));

      const log: string[] = [];
      await setUp({
        ...environment,
        ...{ root: project, variables: { PATH: "/nowhere" }, log: (line) => log.push(line) },
      });
      assert.match(log.join("\n"), /^Copying the TensorFlow\.js addon from its npm package …\n/);
      assert.deepEqual(await Deno.readFile(there.addon), await Deno.readFile(paths.addon));

      await using registry = new Registry();
      await Deno.writeTextFile(
        join(base, "train.ts"),
        `import { backend, evaluate, fashionMnist, fit, lenet, sgd } from "jsr:@resnet-lab/resnet-lab";
        const { train } = await fashionMnist({ subset: true });
        const model = lenet({ activation: "relu" }), some = train.take(640);
        const optimizer = sgd(model.parameters(), { learningRate: 0.05, momentum: 0.9 });
        const { loss } = await evaluate(model, some);
        await fit(model, some, { optimizer, epochs: 2, batchSize: 32, seed: 1 });
        console.log(backend(), (await evaluate(model, some)).loss < loss - 0.3);`,
      );
      const { stdout, stderr } = await new Deno.Command(Deno.execPath(), {
        args: ["run", "-A", "--quiet", "train.ts"],
        cwd: base,
        env: { JSR_URL: registry.url, RESNET_LAB_CACHE: base, NO_COLOR: "1" },
      }).output();
      const [out, err] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
      assert.equal(out, "tensorflow true\n", err ?? "");
    } finally {
      await Deno.remove(base, { recursive: true });
    }
  },
});
