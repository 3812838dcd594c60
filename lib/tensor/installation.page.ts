/** Returns what to say of a backend that does not start. */
export function remedyBy(_task: "setup" | "doctor"): string {
  return "This browser does not offer it.";
}
