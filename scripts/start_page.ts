import { basename, join } from "node:path";
import { exists, writeAtomically } from "./environment.ts";
import { notebooksIn } from "./run.ts";
import type { Notebook } from "./working_copies.ts";

/** The file name of the start page. */
export const startPageName = "00_start.md";

/** The skills that a lesson teaches, and the minutes that it computes at the scale cpu. */
const lessons: Readonly<Record<string, readonly [learn: string, minutes: string]>> = {
  "01": ["build a classifier from mean pictures, read any shape, find the leak", "1"],
  "02": ["write an engine for gradients, train a network with it, check any gradient", "1"],
  "03": ["train a classifier, hold it back from memorising, report an accuracy that holds", "1"],
  "03b": [
    "compare optimizers fairly, find a learning rate, start a deep network so that it learns",
    "1",
  ],
  "04": ["say what a convolution assumes, write one, and build, test and open LeNet", "1"],
  "05": ["build AlexNet as its paper describes it, and see what each new part is for", "1"],
  "06": ["write a network as data, and let small kernels compete with a large one", "1"],
  "07": ["put a small network on each pixel, and ask a network where it saw its answer", "1"],
  "08": ["build a block of several windows, and measure what they and more outputs bring", "1"],
  "09": ["normalise batches by hand, know training from inference, and say what it is worth", "1"],
  "10": [
    "show what depth costs and what an addition repairs, and account for all of ResNet-18",
    "1",
  ],
  "11": ["choose a shortcut, an order of layers and a block, each by an experiment", "½"],
  "12": ["mix a kernel for each picture, and measure whether the network uses the picture", "½"],
  "13": ["use a trained network where labels are few", "1"],
  "14": ["choose a network by data and cost, make it faster, go from a folder to answers", "1"],
  "15": ["tell which part of a recipe brings how much, and report a record that holds", "½"],
};

/** The scales, and the minutes that a lesson computes if they are alike for all. */
const scales: Readonly<Record<string, { readonly means: string; readonly time?: string }>> = {
  smoke: { means: "tiny trainings on the images that ship with the project", time: "1" },
  cpu: { means: "the full data (30 MB, downloaded once) and minutes on a laptop" },
  gpu: { means: "the papers' settings, for a machine with an NVIDIA GPU", time: "not measured" },
};

/** The commands of the tasks that the start page names. */
export interface Commands {
  readonly lab: string;
  readonly doctor: string;
}

/**
 * Writes the start page into a folder with notebooks, if it has changed.
 *
 * @param options.copies Whether these are copies to work in, and not the notebooks to read.
 */
export async function writeStartPage(
  folder: string,
  commands: Commands,
  options: { readonly scale: string; readonly copies: boolean },
): Promise<void> {
  const titles: Record<string, string> = {};
  for (const path of notebooksIn(folder)) {
    // The copies are the learner's, and may be anything.
    titles[basename(path)] = titleOf(await Deno.readTextFile(path)) ?? basename(path, ".ipynb");
  }
  const file = join(folder, startPageName);
  const text = startPage(titles, commands, options);
  if (!exists(file) || await Deno.readTextFile(file) !== text) await writeAtomically(file, text);
}

/** Returns the first heading of a notebook. */
export function titleOf(text: string): string | undefined {
  try {
    const notebook: Notebook = JSON.parse(text);
    return /^# (.+)/.exec([notebook.cells[0]?.source ?? ""].flat().join(""))?.[1]?.trim();
  } catch {
    return undefined;
  }
}

/**
 * Returns the map of the course as a table of Markdown, for notebooks with these titles.
 *
 * @param options.link The address of a notebook. @default its file name
 * @param options.time The minutes that each lesson computes, if they are alike for all.
 */
export function lessonTable(
  titles: Readonly<Record<string, string>>,
  { link = (file) => file, time }: {
    readonly link?: (file: string) => string;
    readonly time?: string;
  } = {},
): string {
  const rows = Object.entries(titles).flatMap(([file, title]) => {
    const lesson = lessons[file.split("_")[0]!];
    return lesson ? [`| [${title}](${link(file)}) | ${lesson[0]} | ${time ?? lesson[1]} |`] : [];
  });
  return `| lesson | after it you can | minutes it computes |
| :-- | :-- | --: |
${rows.join("\n")}`;
}

/** Returns the start page of the course as Markdown, for notebooks with these titles. */
export function startPage(
  titles: Readonly<Record<string, string>>,
  { lab, doctor }: Commands,
  { scale, copies }: { readonly scale: string; readonly copies: boolean },
): string {
  const { means, time } = scales[scale] ?? { means: "not a scale: use smoke, cpu or gpu" };
  return `# ResNet Lab: from tensors to ResNet

${
    copies
      ? `Begin with [01](01_tensors.ipynb). These notebooks are **your copies**: without outputs, so
that you can predict before you run, and with an empty cell after the task of each exercise; its
solution is folded below. Nothing overwrites them. To read the notebooks with the outputs of a real
run, start with \`${lab} --read\`.`
      : `These are the notebooks of the course **to read**, with the outputs of a real run at the
scale cpu. Cells can run, but nothing is saved. To work in copies of your own, start with
\`${lab}\`.`
  }

## The lessons

You need to read JavaScript or TypeScript, and to know what a derivative is. Nothing about networks
is assumed. Each lesson uses what the ones before it built.

${lessonTable(titles, { time })}

## The scale in use: ${scale}

The scale is how much a notebook computes. **${scale}** means ${means}. To change it, end JupyterLab
(Ctrl+C in its terminal, or File › Shut Down) and start it with another one: smoke, cpu or gpu.

    ${lab} --scale smoke

## How to …

| to … | do this |
| :-- | :-- |
| **run** a cell | Shift+Enter. Run › Run All Cells runs the whole notebook. |
| **stop** | ■ in the toolbar ends the cell and those that wait. A training ends after its current step; variables and the model stay. An endless loop ends after some seconds. |
| **leave** a training | Closing the browser tab does not end it, but what it prints from then on is not shown. Open the notebook again, and run a cell that reads the results. |
| **restart** | ⟳ in the toolbar forgets all variables, and ends whatever hangs. Then choose Run › Run All Above Selected Cell. |
| **reset** a notebook | ${
    copies
      ? "Rename or delete it in the list on the left. The next start makes a new copy."
      : "Reload the page. Nothing was saved."
  } |
| **get help** | \`help(conv2d)\` in a cell, Shift+Tab inside the parentheses of a call, Tab to complete a name or an option. |
| write **your own** notebook | ${
    copies
      ? "File › New › Notebook. It stays in this folder, and can import `resnet-lab`."
      : `Start with \`${lab}\`: this folder is read-only.`
  } For a folder of its own, start with \`${lab} FOLDER\`. |
| find out **what is wrong** | \`${doctor}\` in a terminal. |

A line that begins with ✓ is a claim that the notebook checked as it ran. _This page is written anew
at each start._
`;
}
