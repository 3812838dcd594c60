/**
 * Installs native TensorFlow, which the library then uses:
 * `deno run -A jsr:@resnet-lab/resnet-lab/setup`.
 *
 * @module
 */
import { runTask } from "./copy.ts";

await runTask("setup.ts");
