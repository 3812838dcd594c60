/**
 * Shows what is installed, and what is missing: `deno run -A jsr:@resnet-lab/resnet-lab/doctor`.
 *
 * @module
 */
import { runTask } from "./copy.ts";

await runTask("doctor.ts");
