/** Returns what to say of a backend that does not start. */
export function remedyBy(_task: "setup" | "doctor"): string {
  return "Run it on Deno, which has native TensorFlow.";
}
