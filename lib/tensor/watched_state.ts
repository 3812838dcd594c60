/**
 * The state in JavaScript that a compiled function depends on, as far as it is known: the fields of
 * the modules whose `forward` it calls, and the objects in these fields.
 */
import { isTensor } from "./checks.ts";

/** The objects whose `forward` was called, for each {@linkcode watchCalls} that runs now. */
const watchers: Set<object>[] = [];

/** Tells {@linkcode watchCalls} that the `forward` of an object was called. */
export function noteForward(object: object): void {
  for (const called of watchers) called.add(object);
}

/** Runs `work`, and returns its result and the objects whose `forward` it called. */
export function watchCalls<T>(work: () => T): { result: T; called: Set<object> } {
  const called = new Set<object>();
  watchers.push(called);
  try {
    return { result: work(), called };
  } finally {
    watchers.splice(watchers.indexOf(called), 1);
  }
}

/** Arrays with more elements are watched by their identity and length only. */
const MAX_ELEMENTS = 1000;

/** The state of objects at one time. */
export class State {
  readonly #reads: (() => unknown)[] = [];
  readonly #values: unknown[];
  readonly #visited = new Set<object>();

  /** Reads the state of these objects. */
  constructor(objects: Iterable<object>) {
    for (const object of objects) this.#visit(object);
    this.#visited.clear();
    this.#values = this.#reads.map((read) => read());
  }

  /** Whether each value is the same as at first. */
  get isUnchanged(): boolean {
    const reads = this.#reads, values = this.#values;
    for (let i = 0; i < reads.length; i++) {
      if (!Object.is(reads[i]!(), values[i])) return false;
    }
    return true;
  }

  /** Adds the state of an object, and of the objects in it. */
  #visit(value: unknown): void {
    if (typeof value !== "object" || value === null || this.#visited.has(value)) return;
    this.#visited.add(value);
    if (isTensor(value)) {
      // A graph reads its values anew at each run.
      if ("trainable" in value) this.#reads.push(() => value.trainable);
    } else if (Array.isArray(value) || ArrayBuffer.isView(value) && "length" in value) {
      const array = value as ArrayLike<unknown>;
      this.#reads.push(() => array.length);
      if (array.length > MAX_ELEMENTS) return;
      for (let i = 0; i < array.length; i++) this.#add(() => array[i]);
    } else if (value instanceof Map || value instanceof Set) {
      this.#reads.push(() => value.size);
      if (value.size > MAX_ELEMENTS) return;
      for (const key of value.keys()) {
        this.#add(value instanceof Map ? () => value.get(key) : () => value.has(key));
      }
    } else if (!(value instanceof ArrayBuffer)) {
      const owner = value as Record<string, unknown>;
      this.#reads.push(() => Object.keys(owner).length);
      for (const key of [...Object.keys(owner), ...accessors(owner)]) {
        this.#add(() => owner[key]);
      }
    }
  }

  #add(read: () => unknown): void {
    this.#reads.push(read);
    this.#visit(read());
  }
}

/**
 * Returns the accessors of an object that have a setter, which stand for private fields, and
 * `isFrozen`.
 */
function accessors(object: object): string[] {
  const keys: string[] = [];
  let prototype = Object.getPrototypeOf(object);
  for (
    ;
    prototype && prototype !== Object.prototype;
    prototype = Object.getPrototypeOf(prototype)
  ) {
    for (const [key, { get, set }] of Object.entries(Object.getOwnPropertyDescriptors(prototype))) {
      if (get && (set || key === "isFrozen") && !throwsError(get, object)) keys.push(key);
    }
  }
  return keys;
}

function throwsError(get: () => unknown, object: object): boolean {
  try {
    get.call(object);
    return false;
  } catch {
    return true;
  }
}
