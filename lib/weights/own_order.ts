/** Marks tensors whose features are in this library's order, because PyTorch's is not known. */
import type { StateDict } from "./state.ts";
import type { StoredTensor } from "./stored_tensor.ts";

const marked = new WeakSet<StoredTensor>();

/** The end of the names of such tensors in a file: PyTorch then reports them as unexpected. */
const SUFFIX = " (features by row, column, channel)";

export function markOwnOrder(tensor: StoredTensor): void {
  marked.add(tensor);
}

export function isInOwnOrder(tensor: StoredTensor): boolean {
  return marked.has(tensor);
}

/** The tensors by their names in a file. */
export function namesForFile(state: StateDict): Map<string, StoredTensor> {
  return new Map(
    Array.from(state, ([name, tensor]) => [isInOwnOrder(tensor) ? name + SUFFIX : name, tensor]),
  );
}

/** The tensors of a file by their own names. */
export function namesFromFile(file: Map<string, StoredTensor>): Map<string, StoredTensor> {
  return new Map(
    Array.from(file, ([name, tensor]) => {
      if (!name.endsWith(SUFFIX)) return [name, tensor];
      markOwnOrder(tensor);
      return [name.slice(0, -SUFFIX.length), tensor];
    }),
  );
}
