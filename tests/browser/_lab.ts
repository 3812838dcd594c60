/**
 * Helpers for tests of JupyterLab in headless Chromium. Each test works on a copy of the project,
 * so that it may write, with the installed packages of this one.
 */
import { join } from "node:path";
import { type Browser, chromium, type Locator, type Page } from "playwright-core";
import { onPath } from "../../scripts/environment.ts";
import type { Cell } from "../../scripts/working_copies.ts";
import { environment, isSetUp, root, startOf } from "../_project.ts";

const programs = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];
/** The path of Chromium, if it is there. */
export const browserProgram = programs.map((name) => onPath(environment.variables, name)).find(
  Boolean,
);

/** The reason why the browser tests cannot run here, if there is one. */
const missing = !isSetUp
  ? "set-up has not run"
  : browserProgram === undefined
  ? "there is no Chromium (on Debian and Ubuntu: apt install chromium)"
  : undefined;

/** The settings with which a test opens JupyterLab. */
export interface LabOptions {
  /** Arguments of `deno task lab`. */
  readonly args?: readonly string[];
  /** Changes the copy of the project before JupyterLab starts. */
  readonly prepare?: (root: string) => Promise<void>;
}

/**
 * Registers a test of JupyterLab, which is opened at the scale smoke and shows its start page.
 * Without Chromium the test is ignored, and its name says why.
 */
export function browserTest(
  name: string,
  options: LabOptions,
  fn: (lab: Lab, t: Deno.TestContext) => Promise<void>,
): void {
  Deno.test({
    name: missing === undefined ? name : `${name} (ignored: ${missing})`,
    ignore: missing !== undefined,
    // Playwright keeps its connections until the process ends.
    sanitizeOps: false,
    sanitizeResources: false,
    async fn(t) {
      await using lab = await Lab.open(options);
      await fn(lab, t);
    },
  });
}

/** An output of a code cell, with its texts joined. */
export interface Output {
  readonly output_type: string;
  readonly text?: string;
  readonly data?: Readonly<Record<string, string>>;
  readonly ename?: string;
  readonly evalue?: string;
  readonly traceback?: readonly string[];
}

/** JupyterLab's application, as far as the tests call it in the page. */
interface Application {
  readonly commands: { execute(command: string, args?: object): Promise<unknown> };
  readonly shell: {
    readonly currentWidget: {
      readonly context: { readonly path: string; readonly model: { readonly dirty: boolean } };
      readonly sessionContext: {
        readonly session: { readonly kernel: { readonly status: string } | null } | null;
      };
      readonly content: {
        activeCellIndex: number;
        readonly model: { toJSON(): { readonly cells: readonly Cell[] } };
        readonly widgets: readonly { readonly prompt: string }[];
        scrollToItem(index: number, align: string): Promise<void>;
      };
    };
  };
}

declare global {
  // JupyterLab sets it with the option expose_app_in_browser.
  var jupyterapp: Application;
}

/** JupyterLab in a browser, on a copy of the project. */
export class Lab implements AsyncDisposable {
  private constructor(
    /** The copy of the project. */
    readonly root: string,
    readonly page: Page,
    /** Returns the text that `deno task lab` has printed so far. */
    readonly said: () => string,
    private readonly browser: Browser,
    private readonly server: Deno.ChildProcess,
  ) {}

  /** Starts `deno task lab` in a copy of the project, and opens its page. */
  static async open({ args = [], prepare }: LabOptions): Promise<Lab> {
    const root = copyOfProject();
    await prepare?.(root);
    const server = new Deno.Command(Deno.execPath(), {
      args: [
        ...["run", "-A", "--no-check", join(root, "scripts", "lab.ts"), ...args],
        ...["--no-browser", "--port=0", "--IdentityProvider.token="],
        "--LabApp.expose_app_in_browser=True",
      ],
      cwd: root,
      env: { RESNET_LAB_SCALE: "smoke", NO_COLOR: "1" },
      stdout: "null",
      stderr: "piped",
    }).spawn();
    const { address, said } = await startOf(server);
    const browser = await openBrowser();
    const page = await browser.newPage({ viewport: { width: 1280, height: 900 } });
    // JupyterLab takes 5 s to load, and many times that on a machine with other work.
    page.setDefaultTimeout(90_000);
    const lab = new Lab(root, page, said, browser, server);
    try {
      await lab.load(address);
    } catch (error) {
      await lab[Symbol.asyncDispose]();
      throw error;
    }
    return lab;
  }

  private async load(address: string): Promise<void> {
    await this.page.goto(address);
    await this.page.waitForFunction(() => globalThis.jupyterapp !== undefined);
    // JupyterLab opens the start page last, and it would cover a notebook.
    await this.page.locator(".jp-MarkdownViewer h1").waitFor();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.browser.close();
    // JupyterLab ends its kernels, and then the task.
    this.server.kill("SIGTERM");
    await this.server.status;
    await Deno.remove(this.root, { recursive: true });
  }

  /** Executes a command of JupyterLab, such as "notebook:run-all-cells". */
  async command(name: string, args: object = {}): Promise<void> {
    await this.page.evaluate(
      async ([name, args]) => {
        await jupyterapp.commands.execute(name, args);
      },
      [name, args] as const,
    );
  }

  /** Begins a command that may take long, and does not wait for it. */
  start(name: string): void {
    // It fails if the page closes before.
    this.command(name).catch(() => {});
  }

  /** Opens a notebook of the folder that JupyterLab shows, and waits for its kernel. */
  async openNotebook(path: string): Promise<void> {
    await this.command("docmanager:open", { path, factory: "Notebook" });
    await this.idle();
  }

  /** Writes a notebook with these cells into my_notebooks, and opens it. */
  async newNotebook(
    name: string,
    sources: readonly (string | { readonly markdown: string })[],
  ): Promise<void> {
    const cells = sources.map((source, index) => ({
      ...{ id: `cell-${index}`, metadata: {} },
      ...(typeof source === "string"
        ? { cell_type: "code", execution_count: null, outputs: [], source }
        : { cell_type: "markdown", source: source.markdown }),
    }));
    const kernelspec = { name: "deno", display_name: "Deno", language: "typescript" };
    const text = JSON.stringify({
      cells,
      metadata: { kernelspec },
      nbformat: 4,
      nbformat_minor: 5,
    });
    await Deno.writeTextFile(join(this.root, "my_notebooks", name), text);
    await this.openNotebook(name);
  }

  /** Waits until the kernel of the open notebook has nothing to do. */
  async idle(seconds = 120): Promise<void> {
    await this.page.waitForFunction(
      () =>
        jupyterapp.shell.currentWidget?.sessionContext?.session?.kernel?.status === "idle" &&
        // A cell that waits has an asterisk.
        jupyterapp.shell.currentWidget.content.widgets.every(({ prompt }) => prompt !== "*"),
      undefined,
      { timeout: seconds * 1000, polling: 100 },
    );
  }

  /** Makes a cell of the open notebook the active one. */
  async select(index: number): Promise<void> {
    await this.page.evaluate((index) => {
      jupyterapp.shell.currentWidget.content.activeCellIndex = index;
    }, index);
  }

  /** Runs one cell of the open notebook, and returns its outputs. */
  async runCell(index: number): Promise<Output[]> {
    await this.select(index);
    await this.command("notebook:run-cell");
    await this.idle();
    return await this.outputs(index);
  }

  /** Returns the outputs of a cell of the open notebook. */
  async outputs(index: number): Promise<Output[]> {
    const cell = (await this.cells())[index];
    return JSON.parse(JSON.stringify(cell?.outputs ?? []));
  }

  /** Returns the cells of the open notebook, as they would be saved. */
  async cells(): Promise<readonly Cell[]> {
    return await this.page.evaluate(() =>
      jupyterapp.shell.currentWidget.content.model.toJSON().cells
    );
  }

  /** Whether the open notebook has changes that are not saved. */
  async dirty(): Promise<boolean> {
    return await this.page.evaluate(() => jupyterapp.shell.currentWidget.context.model.dirty);
  }

  /** Scrolls to a cell of the open notebook, and returns its place in the page. */
  async cell(index: number): Promise<Locator> {
    await this.page.evaluate(
      (index) => jupyterapp.shell.currentWidget.content.scrollToItem(index, "start"),
      index,
    );
    return this.page.locator(".jp-NotebookPanel:not(.lm-mod-hidden) .jp-Cell").nth(index);
  }

  /** Moves the pointer over the figure of a cell, and waits until the figure is interactive. */
  async hover(index: number): Promise<Locator> {
    const cell = await this.cell(index);
    const picture = cell.locator(".plot-img");
    const figure = cell.locator(".plot-container");
    // The page may still scroll or change its layout. picture.hover() would not do, because the
    // interactive figure covers the picture at once.
    for (let i = 0; i < 20 && !await figure.isVisible(); i++) {
      await picture.scrollIntoViewIfNeeded();
      const box = await picture.boundingBox();
      await this.page.mouse.move(0, 0);
      if (box) await this.page.mouse.move(box.x + box.width / 2, box.y + 50, { steps: 3 });
      await this.page.waitForTimeout(500);
    }
    await figure.waitFor({ timeout: 1000 });
    // Plotly's extension made its own picture a moment after.
    await this.page.waitForTimeout(1500);
    return figure;
  }

  /** Returns all texts in the outputs of a cell, once they match, or after some seconds. */
  async saidBy(index: number, pattern: RegExp, seconds = 20): Promise<string> {
    for (const end = Date.now() + seconds * 1000;;) {
      const said = (await this.outputs(index)).flatMap((output) => [
        ...[output.text, output.ename, output.evalue, ...output.traceback ?? []],
        ...Object.values(output.data ?? {}),
      ]).join("\n");
      if (pattern.test(said) || Date.now() > end) return said;
      await this.page.waitForTimeout(100);
    }
  }

  /** Puts the cursor at the end of a new cell with this text. */
  async type(text: string): Promise<void> {
    await this.command("notebook:insert-cell-below");
    await this.command("notebook:enter-edit-mode");
    // JupyterLab closes brackets by itself, so the text is inserted, not typed.
    await this.page.keyboard.insertText(text);
  }

  /** Presses the button with the square. */
  async stop(): Promise<void> {
    await this.page.locator('[data-command="notebook:interrupt-kernel"]').last().click();
  }

  /** Saves a picture of the page where the environment variable RESNET_LAB_SHOTS says. */
  async screenshot(name: string): Promise<void> {
    const folder = Deno.env.get("RESNET_LAB_SHOTS");
    if (folder) await this.page.screenshot({ path: join(folder, `${name}.png`) });
  }
}

/** Starts Chromium without a window. */
export async function openBrowser(args: readonly string[] = []): Promise<Browser> {
  return await chromium.launch({
    executablePath: browserProgram,
    // Chromium refuses to be sandboxed as root, which is the usual user in a container.
    args: [...(Deno.uid() === 0 ? ["--no-sandbox"] : []), ...args],
  });
}

/** Makes a copy of the project, with links to what set-up has installed. */
function copyOfProject(): string {
  const copy = Deno.realPathSync(Deno.makeTempDirSync({ prefix: "resnet lab " }));
  const { success } = new Deno.Command("cp", {
    args: [
      "-r",
      ...["lib", "data", "notebooks", "scripts", "deno.json", "deno.lock", "requirements.txt"],
      ...["requirements-gpu.txt", "requirements-ziglang.txt", copy],
    ],
    cwd: root,
  }).outputSync();
  if (!success) throw new Error(`Copying the project to ${copy} failed.`);
  for (const name of ["node_modules", ".venv"]) {
    Deno.symlinkSync(join(root, name), join(copy, name));
  }
  return copy;
}
