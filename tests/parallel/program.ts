/** The program of the tests on several processes: its arguments are a folder, and cases. */
import { join } from "node:path";
import { processes } from "resnet-lab";
import { train } from "./trainings.ts";

const { rank, count } = processes();
const [folder, ...names] = Deno.args as [string, ...string[]];

const checkpoint = { folder: join(folder, "checkpoint"), seconds: 0 };

/** The cases. What they return is written to RANK.json. */
const CASES: Readonly<Record<string, () => Promise<unknown>>> = {
  lenet: () => train("lenet"),
  resnet: () => train("resnet"),
  random: () => train("random"),
  "random compiled": () => train("random", { compile: true }),
  refused: async () =>
    await messageOf(() => train("lenet", { batchSize: 31 })) +
    await messageOf(() => train("resnet", { compile: true })),
  // The last process dies at step 7.
  killed: () =>
    train("random", { checkpoint }, (progress) => {
      const isLast = rank === count - 1 && progress.kind === "step" && progress.step === 7;
      if (!isLast) return;
      Deno.writeTextFileSync(join(folder, "died"), String(Date.now()));
      Deno.kill(Deno.pid, "SIGKILL");
    }),
  continued: () => train("random", { checkpoint }),
  "other options": () => train("lenet", { epochs: 1 + rank }),
  "leaves early": async () => rank > 0 ? undefined : await train("lenet"),
  "own error": () =>
    train("lenet", {}, () => {
      if (rank === 1) throw new Error("process 1 has an error of its own");
    }),
};

async function messageOf(work: () => Promise<unknown>): Promise<string> {
  try {
    await work();
    return "no error";
  } catch (error) {
    return String(error);
  }
}

const results: Record<string, unknown> = {};
for (const name of names) results[name] = await CASES[name]!();
console.log(`process ${rank} of ${count} has finished`);
await Deno.writeTextFile(join(folder, `${rank}.json`), JSON.stringify(results));
