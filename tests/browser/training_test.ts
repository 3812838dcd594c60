/** Tests of the figure "Train a network". */
import assert from "node:assert/strict";
import type { Locator } from "playwright-core";
import {
  adam,
  crossEntropy,
  type Dataset,
  evaluate,
  type Features,
  fit,
  initializers,
  type Labels,
  linear,
  ops,
  type Optimizer,
  Random,
  relu,
  sequential,
  sgd,
  tanh,
  valueAndGradients,
} from "resnet-lab";
import { makeKit } from "../../lib/interactive/kit.ts";
import { trainingComponent } from "../../lib/interactive/training/component.ts";
import { type RunHistory, SQUARES, TrainingRun } from "../../lib/interactive/training/run.ts";
import { type Point, pointsOf } from "../../lib/interactive/training/points.ts";
import {
  choices,
  defaults,
  linkOf,
  type Settings,
  situationOf,
} from "../../lib/interactive/training/settings.ts";
import { exists } from "../../scripts/environment.ts";
import { assertClose } from "../_helpers.ts";
import { axe, seriousFindings } from "./_axe.ts";
import { box, fitsAndShows, textsFit } from "./_page.ts";
import { makeBundle, Site, siteTest } from "./_site.ts";

/** Opens the figure in a page, which keeps it as `figure`, and what it reports as `states`. */
async function openFigure(state = ""): Promise<Site> {
  const site = await Site.open({ lab: (await makeBundle()).folder });
  await site.run(
    `
    document.documentElement.lang = "en";
    document.body.style = "margin: 8px; color-scheme: light dark";
    document.head.insertAdjacentHTML("beforeend", '<meta name="viewport" content="width=device-width">');
    document.body.innerHTML = "<main><h1>Train a network</h1><div id=figure></div></main>";
    const { interactive } = await import("/lab/resnet_lab.js?RESNET_LAB_BACKEND=wasm");
    globalThis.states = [];
    globalThis.figure = interactive.trainNetwork(document.querySelector("#figure"), {
      state: values.state, changed: (state) => states.push(state) });`,
    { state },
  );
  return site;
}

/** Waits until the training has reached a step and rests there. */
async function waitForStep({ page }: Site, step: number): Promise<void> {
  await page.locator(`[data-view=said]`, { hasText: `after step ${step}.` }).waitFor();
}

const historyOf = (site: Site) => site.run<RunHistory>("return figure.history");
const stepOf = (site: Site) => site.run<number>("return figure.history.trainLoss.length - 1");

/** Points as a data set. */
function datasetOf(points: readonly Point[]): Dataset<Features<2>, Labels<2>> {
  return {
    ...{ name: "points", count: points.length, classNames: ["blue", "orange"] },
    batch(indices) {
      const some = Array.from(indices, (i) => points[i]!);
      return {
        inputs: ops.tensor(some.map(({ x, y }) => [x, y])),
        targets: ops.tensor(some.map(({ label }) => label), undefined, "int32"),
      };
    },
  };
}

/** A layer whose weights come from a stream of their own. */
function layer(inputs: number, outputs: number, random: Random, initializer: "he" | "xavier") {
  const make = initializer === "he" ? initializers.heNormal() : initializers.xavierNormal();
  return linear(inputs, outputs, { weightInitializer: (shape, fans) => make(shape, fans, random) });
}

/** The trainings that are compared: their settings, and network and rule without the figure. */
const trainings = {
  "SGD with momentum and weight decay": {
    settings: { ...defaults, momentum: 0.9, decay: 0.002, batch: 16, seed: 3 },
    steps: 60,
    network: (random: Random) =>
      sequential(
        ...[layer(2, 8, random, "he"), relu(), layer(8, 8, random, "he"), relu()] as const,
        layer(8, 2, random, "he"),
      ),
    rule: (parameters: Parameters<typeof sgd>[0]): Optimizer =>
      sgd(parameters, { learningRate: 0.1, momentum: 0.9, weightDecay: 0.002 }),
  },
  "Adam on all points at once": {
    settings: {
      ...{ ...defaults, data: "circles", points: 150, noise: 0.1, heldOut: 20, layers: 1 },
      ...{ width: 5, activation: "tanh", start: "xavier", optimizer: "adam", rate: 0.02 },
      ...{ batch: 120, seed: 7 },
    },
    steps: 40,
    network: (random: Random) =>
      sequential(layer(2, 5, random, "xavier"), tanh(), layer(5, 2, random, "xavier")),
    rule: (parameters: Parameters<typeof adam>[0]): Optimizer =>
      adam(parameters, { learningRate: 0.02 }),
  },
} as const satisfies Record<string, {
  readonly settings: Settings;
  readonly steps: number;
  readonly network: unknown;
  readonly rule: unknown;
}>;

for (const [name, { settings, steps, network, rule }] of Object.entries(trainings)) {
  siteTest(`${name}: a page has the numbers of fit() here`, async () => {
    const points = pointsOf(settings), model = network(new Random(settings.seed));
    const train = datasetOf(points.filter(({ isHeldOut }) => !isHeldOut));
    const heldOut = datasetOf(points.filter(({ isHeldOut }) => isHeldOut));
    const optimizer = rule(model.parameters()), { batch: batchSize, seed } = settings;
    const losses: number[][] = [], mistakes: number[][] = [], norms: number[] = [];
    const byLayer: number[][] = [],
      all = train.batch(Int32Array.from({ length: train.count }, (_, i) => i));
    assert(!(all instanceof Promise));
    const measure = async () => {
      const results = [await evaluate(model, train), await evaluate(model, heldOut)];
      losses.push(results.map(({ loss }) => loss));
      mistakes.push(
        results.map(({ accuracy }, i) => Math.round((1 - accuracy) * [train, heldOut][i]!.count)),
      );
      const { gradients } = valueAndGradients(
        () => crossEntropy(model.forward(all.inputs), all.targets),
        model.parameters(),
      );
      const squares = gradients.map((gradient) =>
        [...gradient.dataSync()].reduce((sum, value) => sum + value ** 2, 0)
      );
      byLayer.push(
        squares.flatMap((square, i) => i % 2 === 0 ? [Math.sqrt(square + squares[i + 1]!)] : []),
      );
    };
    await measure();
    for await (const progress of fit(model, train, { optimizer, epochs: steps, batchSize, seed })) {
      if (progress.kind !== "step") continue;
      norms.push(progress.gradientNorm);
      await measure();
      if (norms.length === steps) break;
    }
    assert(losses.at(-1)![0]! < 0.9 * losses[0]![0]!, "the network learns something");

    await using site = await openFigure(linkOf(settings, steps));
    await waitForStep(site, steps);
    const history = await historyOf(site);
    assertClose(history.trainLoss, losses.map(([loss]) => loss!), 1e-4);
    assertClose(history.heldOutLoss, losses.map(([, loss]) => loss!), 1e-4);
    assert.deepEqual(history.trainMistakes, mistakes.map(([count]) => count));
    assert.deepEqual(history.heldOutMistakes, mistakes.map(([, count]) => count));
    const { gradientNorms } = history;
    const total = norms.map((_, i) => Math.hypot(...gradientNorms.map((norms) => norms[i + 1]!)));
    assertClose(total, norms, 1e-4);
    assert.equal(gradientNorms.length, byLayer[0]!.length);
    if (batchSize === train.count) {
      gradientNorms.forEach((norms, layer) =>
        assertClose(norms.slice(1), byLayer.slice(0, -1).map((norms) => norms[layer]!), 1e-4)
      );
    }
    // The page says what it has.
    const wrong = history.trainMistakes.at(-1), of = train.count;
    assert.match(
      await site.page.locator("[data-view=said]").innerText(),
      new RegExp(`wrong about ${wrong} of ${of} training points`),
    );
    const crosses = await site.page.locator("path.wrong").nth(0).getAttribute("d");
    assert.equal(crosses!.match(/M/g)!.length, wrong! + history.heldOutMistakes.at(-1)!);
  });
}

siteTest("a link shows the same training at the same step", async () => {
  const link = linkOf({ ...defaults, data: "circles", noise: 0.2, width: 5 }, 25);
  await using site = await openFigure(link);
  await waitForStep(site, 25);
  assert.equal(await site.run("return figure.state"), link);
  assert.equal(await site.run("return states.at(-1)"), link);
  await using other = await openFigure();
  await other.run("figure.set(values.link)", { link });
  await waitForStep(other, 25);
  assert.deepEqual(await historyOf(other), await historyOf(site));
  assert.equal(await other.run("return figure.state"), link);
  const plane = (site: Site) => site.page.locator("[data-view=plane]").innerHTML();
  assert.equal(await plane(other), await plane(site));
});

Deno.test("a pause during a step waits for the end of that step", async () => {
  const run = new TrainingRun(defaults);
  const { act, initial, views } = trainingComponent(makeKit(), { run: () => run, shown() {} }, "");
  const press = { kind: "press", name: "toggle", value: "", x: 0, y: 0, pressed: false } as const;
  const started = act(initial, press), step = run.next();
  const paused = act(started, press);
  assert.equal(views(paused).toggle, "Pause");
  await step;
  assert.equal(views(paused).toggle, "Start");
  assert.match(views(paused).said!, /^Paused after step 1\./);
  await run.dispose();
});

siteTest("a reader starts, pauses, makes one step, and restarts", async () => {
  await using site = await openFigure();
  const { page } = site;
  const press = async (button: Locator) => {
    await button.focus();
    await page.keyboard.press("Space");
  };
  const toggle = page.locator("[data-press=toggle]");
  assert.equal(await toggle.innerText(), "Start");
  await press(toggle);
  await page.waitForFunction("figure.history.trainLoss.length > 5");
  assert.equal(await toggle.innerText(), "Pause");
  await press(toggle);
  await page.locator("[data-view=said]", { hasText: "Paused" }).waitFor();
  assert.equal(await toggle.innerText(), "Start");
  const step = await stepOf(site);
  await page.waitForTimeout(500);
  assert.equal(await stepOf(site), step);
  assert.match(await site.run("return figure.state"), new RegExp(`step=${step}$`));

  await press(page.getByRole("button", { name: "One step" }));
  await waitForStep(site, step + 1);
  assert.equal(await stepOf(site), step + 1);
  await page.getByRole("spinbutton", { name: "Step" }).fill(String(step + 5));
  await waitForStep(site, step + 5);
  const before = await historyOf(site);
  // An earlier step is reached from the start.
  await page.getByRole("spinbutton", { name: "Step" }).fill("2");
  await waitForStep(site, 2);
  assert.deepEqual((await historyOf(site)).trainLoss, before.trainLoss.slice(0, 3));

  await page.getByRole("combobox", { name: "activation" }).selectOption("tanh");
  assert.equal(await stepOf(site), 0);
  assert.match(await site.run("return figure.state"), /activation=tanh.*step=0$/);
  await press(page.getByRole("button", { name: "One step" }));
  await waitForStep(site, 1);
  assert.notEqual((await historyOf(site)).trainLoss[1], before.trainLoss[1]);
  await press(page.getByRole("button", { name: "Restart" }));
  assert.equal(await stepOf(site), 0);

  // Momentum belongs to one rule only.
  assert.equal(await page.locator("[data-name=momentum]").count(), 2);
  await page.getByRole("combobox", { name: "rule" }).selectOption("adam");
  assert.equal(await page.locator("[data-name=momentum]").count(), 0);
  // A change while the network trains begins anew, and goes on.
  await press(toggle);
  await page.getByRole("combobox", { name: "shape" }).selectOption("xor");
  await page.waitForFunction("figure.history.trainLoss.length > 5");
  assert.match(await site.run("return figure.state"), /data=xor/);
});

siteTest("a link with wrong values says so, and shows the first settings", async () => {
  await using site = await openFigure("data=stars&points=1e9&width=2.5&rate=&colour=red&seed=9");
  const said = await site.page.locator("[data-view=said]").innerText();
  for (const name of ["data", "points", "width", "rate"]) {
    assert.match(said, new RegExp(`${name} must be`));
  }
  assert.match(said, /stars/);
  assert.match(said, /colour/);
  assert.equal(await site.run("return figure.state"), linkOf({ ...defaults, seed: 9 }, 0));
  await site.page.getByRole("button", { name: "One step" }).click();
  await waitForStep(site, 1);
  assert.doesNotMatch(await site.page.locator("[data-view=said]").innerText(), /must be/);
});

siteTest("a training that diverges stops, and says why", async () => {
  await using site = await openFigure("layers=3&activation=none&start=large&rate=10&step=200");
  const said = site.page.locator("[data-view=said]", { hasText: "Training stopped at step" });
  await said.waitFor();
  const step = await stepOf(site);
  assert(step < 200);
  // The figure has neither of these.
  assert.doesNotMatch(await said.innerText(), /warm-up|maxGradientNorm/);
  await site.page.locator("[data-press=toggle]").click();
  assert.equal(await site.page.locator("[data-press=toggle]").innerText(), "Start");
  assert.equal(await stepOf(site), step);
});

siteTest("a number beyond its ends is said", async () => {
  await using site = await openFigure();
  const said = site.page.locator("[data-view=said]");
  for (
    const [name, value, message] of [
      ["points", "5", "points must be a whole number from 20 to 500, found 5: 20 is taken."],
      ["rate", "1e9", "learning rate must be a number from 0.0001 to 10, found 1e9: 10 is taken."],
      [
        "step",
        "10001",
        "step must be a whole number from 0 to 10000, found 10001: 10000 is taken.",
      ],
    ] as const
  ) {
    await box(site.page, name).fill(value);
    assert.equal((await said.innerText()).slice(0, message.length), message);
    await box(site.page, name).fill("");
  }
  await box(site.page, "points").fill("40");
  assert.doesNotMatch(await said.innerText(), /must be/);
});

siteTest("no text is cut off, however large the loss", async () => {
  await using site = await openFigure(
    "points=20&heldOut=80&layers=3&width=3&rate=10&momentum=0.99&decay=0.05&batch=1&step=40",
  );
  await site.page.locator("[data-view=said]", { hasText: "Training stopped" }).waitFor();
  const history = await historyOf(site);
  assert(history.trainLoss.some((loss) => loss > 1e12), "the loss is large");
  await textsFit(site.page.locator("#figure"));
});

siteTest("on a phone buttons lead to the settings and back", async () => {
  await using site = await openFigure();
  const { page } = site,
    isSeen = async (top: Locator) => {
      const { y } = (await top.boundingBox())!;
      return y >= 0 && y < 800;
    };
  await page.setViewportSize({ width: 390, height: 800 });
  const shape = page.getByRole("combobox", { name: "shape" });
  const start = page.locator("[data-press=toggle]");
  assert(!await isSeen(shape));
  await page.getByRole("button", { name: "Down to the settings" }).click();
  assert(await isSeen(shape) && !await isSeen(start));
  await page.getByRole("button", { name: "Up to the start" }).click();
  assert(await isSeen(start));
  await page.setViewportSize({ width: 1280, height: 800 });
  assert.equal(await page.locator(".jump:visible").count(), 0);
});

siteTest("a figure that begins anew keeps no tensor of the training before", async () => {
  await using site = await openFigure("step=5");
  await waitForStep(site, 5);
  const tensors = () =>
    site.run<number>(`
      const { memory } = await import("/lab/resnet_lab.js?RESNET_LAB_BACKEND=wasm");
      return memory().tensors;`);
  const before = await tensors();
  await site.page.locator("[data-press=toggle]").click();
  for (const seed of [2, 3, 4]) {
    await site.run(`figure.set("seed=${seed}&step=400")`);
    await site.page.waitForFunction("figure.history.trainLoss.length > 3");
  }
  await site.run(`figure.set("seed=5&step=6")`);
  await waitForStep(site, 6);
  assert.equal(await tensors(), before);
});

siteTest("readers who avoid motion see one picture a second", async () => {
  await using site = await openFigure();
  await site.page.emulateMedia({ reducedMotion: "reduce" });
  await site.run(`
    globalThis.pictures = 0;
    const view = document.querySelector("#figure").shadowRoot.querySelector("[data-view=losses]");
    new MutationObserver(() => pictures++).observe(view, { childList: true });`);
  await site.page.locator("[data-press=toggle]").click();
  await site.page.waitForTimeout(2500);
  const pictures = await site.run<number>("return pictures");
  assert(pictures >= 1 && pictures <= 3, `${pictures} pictures`);
  assert(await stepOf(site) > pictures);
});

siteTest("the figure fits a phone, and axe finds nothing serious", async () => {
  await using site = await openFigure("data=spirals&layers=3&step=30");
  await waitForStep(site, 30);
  await fitsAndShows(site.page, "training");
  if (!exists(axe)) return;
  await site.page.setViewportSize({ width: 390, height: 844 });
  for (const colorScheme of ["light", "dark"] as const) {
    await site.page.emulateMedia({ colorScheme });
    assert.deepEqual(await seriousFindings(site.page), []);
  }
});

Deno.test("the surface of a TrainingRun has the class of each point where the point is", async () => {
  const run = new TrainingRun({ ...defaults, data: "moons" });
  while (run.step < 50) await run.next();
  const surface = run.surface(),
    index = (x: number) => Math.floor((x / run.reach + 1) / 2 * SQUARES);
  const isEqual = run.points.map(({ x, y }, i) =>
    surface[index(-y) * SQUARES + index(x)]! > 0 === (run.predicted[i] === 1)
  );
  // The border may cross the square of a point.
  const share = isEqual.filter(Boolean).length / isEqual.length;
  assert(share > 0.95, `${share}`);
  await run.dispose();
});

Deno.test("situationOf() reads what linkOf() writes", () => {
  const settings: Settings = {
    ...{ data: "clouds", points: 33, noise: 0.25, heldOut: 55, dataSeed: 12, layers: 0, width: 32 },
    ...{ activation: "none", start: "zeros", seed: 5, optimizer: "rmsProp", rate: 0.0015 },
    ...{ momentum: 0.5, decay: 0.013, batch: 1 },
  };
  assert.deepEqual(situationOf(linkOf(settings, 77)), { settings, step: 77, problem: "" });
  assert.deepEqual(situationOf(""), { settings: defaults, step: 0, problem: "" });
});

Deno.test("pointsOf() lays the points of each class where its shape is", () => {
  const settings: Settings = { ...defaults, points: 100, noise: 0, heldOut: 30 };
  for (const data of Object.keys(choices.data) as Settings["data"][]) {
    const points = pointsOf({ ...settings, data });
    assert.equal(points.filter(({ isHeldOut }) => isHeldOut).length, 30);
    assert.equal(points.filter(({ label }) => label === 1).length, 50);
    assert.deepEqual(
      pointsOf({ ...settings, data, points: 40 }).map(({ x }) => x),
      points.slice(0, 40).map(({ x }) => x),
    );
    for (const { x, y, label } of points) {
      const radius = Math.hypot(x, y);
      if (data === "circles") assertClose([radius], [label === 0 ? 1 : 0.4], 1e-6);
      if (data === "xor") assert.equal(x * y >= 0, label === 0);
      if (data === "clouds") assert(label === 0 ? x + y > 0 : x + y < 0);
      if (data === "moons") {
        const [a, b] = label === 0 ? [x + 0.4, y + 0.2] : [0.4 - x, 0.2 - y];
        assertClose([Math.hypot(a, b)], [0.8], 1e-6);
        assert(b > -1e-9);
      }
      if (data === "spirals") {
        // The angle grows with the distance from the middle: 1.25 turns for 0.95.
        const turns = 1.25 * (radius - 0.1) / 0.95 + (label === 0 ? 0 : 0.5);
        assertClose([Math.cos(2 * Math.PI * turns)], [x / radius], 1e-5);
      }
    }
  }
  const noisy = pointsOf({ ...settings, noise: 0.3 }), clean = pointsOf(settings);
  const moves = noisy.flatMap(({ x, y }, i) => [x - clean[i]!.x, y - clean[i]!.y]);
  const deviation = Math.sqrt(moves.reduce((sum, move) => sum + move ** 2, 0) / moves.length);
  assert(Math.abs(deviation - 0.3) < 0.05, `${deviation}`);
});
