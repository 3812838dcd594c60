/** A web page trains alone. */
export function group(): undefined {}

/** Nobody else is there to wait for. */
export function meet(): boolean {
  return false;
}
