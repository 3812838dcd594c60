/**
 * A reader of the part of Python's pickle format that files of tensors use. It makes numbers,
 * strings, tuples, lists and dictionaries. Where a pickle calls a Python function, it calls our
 * replacement for it. Any other Python name, and every object made with it, becomes a
 * {@linkcode Foreign}. No code of the file runs.
 */
import { show } from "../tensor/internal.ts";

/** A Python class or function that a pickle may name, with our replacement for a call of it. */
export class Global {
  constructor(
    readonly name: string,
    readonly call?: (values: readonly unknown[]) => unknown,
  ) {}
}

/** A Python class or function that the reader does not know, or an object made with it. */
export class Foreign {
  constructor(readonly name: string) {}
}

/** The surroundings of a pickle. */
export interface PickleContext {
  /** The action of the caller, for messages. */
  readonly action: string;
  /** The known classes and functions by module and name, such as `"collections OrderedDict"`. */
  readonly globals: ReadonlyMap<string, Global>;
  /** Returns an object outside of the pickle by its id. */
  readonly persistent: (id: unknown) => unknown;
  /** Maximum memory of the values in bytes, roughly. */
  readonly memory: number;
}

/**
 * Maximum number of values on the stack. Python's pickler never stacks more than about a thousand.
 */
const MAX_STACK = 2 ** 20;

/** The memory that values take in V8, in bytes. */
const COSTS = { dictionary: 184, list: 32, text: 32, slot: 8, memo: 49 } as const;

/** The instructions that files of tensors use, by their names in Python's pickletools. */
const OPCODES: Readonly<Record<number, string>> = {
  0x28: "MARK",
  0x29: "EMPTY_TUPLE",
  0x2e: "STOP",
  0x30: "POP",
  0x31: "POP_MARK",
  0x32: "DUP",
  0x42: "BINBYTES",
  0x43: "SHORT_BINBYTES",
  0x47: "BINFLOAT",
  0x4a: "BININT",
  0x4b: "BININT1",
  0x4d: "BININT2",
  0x4e: "NONE",
  0x51: "BINPERSID",
  0x52: "REDUCE",
  0x58: "BINUNICODE",
  0x5d: "EMPTY_LIST",
  0x61: "APPEND",
  0x62: "BUILD",
  0x63: "GLOBAL",
  0x65: "APPENDS",
  0x68: "BINGET",
  0x6a: "LONG_BINGET",
  0x71: "BINPUT",
  0x72: "LONG_BINPUT",
  0x73: "SETITEM",
  0x74: "TUPLE",
  0x75: "SETITEMS",
  0x7d: "EMPTY_DICT",
  0x80: "PROTO",
  0x81: "NEWOBJ",
  0x85: "TUPLE1",
  0x86: "TUPLE2",
  0x87: "TUPLE3",
  0x88: "NEWTRUE",
  0x89: "NEWFALSE",
  0x8a: "LONG1",
  0x8b: "LONG4",
  0x8c: "SHORT_BINUNICODE",
  0x8d: "BINUNICODE8",
  0x8e: "BINBYTES8",
  0x8f: "EMPTY_SET",
  0x90: "ADDITEMS",
  0x91: "FROZENSET",
  0x92: "NEWOBJ_EX",
  0x93: "STACK_GLOBAL",
  0x94: "MEMOIZE",
  0x95: "FRAME",
  0x96: "BYTEARRAY8",
};

/**
 * Reads the pickle that begins at a position. Tuples and lists become arrays, dictionaries maps.
 *
 * @returns The value, the position after the pickle, and the first {@linkcode Foreign} in it.
 * @throws {RangeError} If the pickle is truncated or inconsistent, or would take too much memory.
 * @throws {TypeError} If it has an unknown instruction or protocol.
 */
export function unpickle(
  bytes: Uint8Array,
  start: number,
  { action, globals, persistent, memory }: PickleContext,
): { value: unknown; end: number; foreign: Foreign | undefined } {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  /** The memoised values by index: without gaps, as Python writes them, and all others. */
  const memo: unknown[] = [], sparseMemo = new Map<number, unknown>();
  const marks: number[] = [];
  const stack: unknown[] = [];
  const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  let position = start;
  /** The position of the current instruction. */
  let at = start;
  let spent = 0;
  let foreign: Foreign | undefined;

  const wrong = (condition: string, found: string, ErrorClass = RangeError) =>
    new ErrorClass(`${action}: the pickle must have ${condition}, found ${found} at byte ${at}.`);
  const spend = (cost: number) => {
    spent += cost;
    if (spent > memory) throw wrong(`values of at most ${memory} bytes for such a file`, "more");
  };
  const push = (value: unknown) => {
    if (stack.length >= MAX_STACK) throw wrong(`at most ${MAX_STACK} values`, "more");
    stack.push(value);
  };
  const take = (count: number): number => {
    const from = position;
    if (count > bytes.length - from) {
      throw wrong(`${count} more bytes`, `${bytes.length - from}, the end,`);
    }
    position += count;
    return from;
  };
  const text = (length: number): string => {
    const from = take(length);
    spend(COSTS.text + 2 * length);
    try {
      return decoder.decode(bytes.subarray(from, position));
    } catch {
      throw wrong("strings in UTF-8", "other bytes", TypeError);
    }
  };
  const line = (): string => {
    const end = bytes.indexOf(0x0a, position);
    if (end < 0) throw wrong("a line that ends", "no end");
    const result = text(end - position);
    position = end + 1;
    return result;
  };
  const pop = (): unknown => {
    if (stack.length <= (marks.at(-1) ?? 0)) throw wrong("a value", "none");
    return stack.pop();
  };
  const popToMark = (): unknown[] => {
    const mark = marks.pop();
    if (mark === undefined) throw wrong("a mark", "none");
    spend(COSTS.list + COSTS.slot * (stack.length - mark));
    return stack.splice(mark);
  };
  const top = (): unknown => {
    const value = pop();
    stack.push(value);
    return value;
  };
  const memoize = (index: number) => {
    const value = top(), isNext = index === memo.length;
    spend(isNext ? 2 * COSTS.slot : COSTS.memo);
    if (index <= memo.length) memo[index] = value;
    else sparseMemo.set(index, value);
  };
  const recall = (index: number): unknown => {
    if (index < memo.length) return memo[index];
    if (!sparseMemo.has(index)) throw wrong("a memoised value", `none at index ${index}`);
    return sparseMemo.get(index);
  };
  const lookUp = (name: string): Global | Foreign => {
    const known = globals.get(name);
    if (known) return known;
    const unknown = new Foreign(name.replace(" ", "."));
    spend(COSTS.list);
    foreign ??= unknown;
    return unknown;
  };
  const call = (callee: unknown, values: unknown): unknown => {
    if (callee instanceof Foreign) return callee;
    if (!(callee instanceof Global && callee.call)) {
      throw wrong("a function to call", describeValue(callee), TypeError);
    }
    if (!Array.isArray(values)) {
      throw wrong("arguments for a call", describeValue(values), TypeError);
    }
    spend(COSTS.dictionary);
    return callee.call(values);
  };
  const append = (items: readonly unknown[]) => {
    const list = top();
    if (list instanceof Foreign) return;
    if (!Array.isArray(list)) throw wrong("a list", describeValue(list), TypeError);
    // V8 reserves 16 more slots when an array grows.
    spend((list.length === 0 ? 16 * COSTS.slot : 0) + COSTS.slot * items.length);
    for (const item of items) list.push(item);
  };
  const setItems = (items: readonly unknown[]) => {
    const dictionary = top();
    if (dictionary instanceof Foreign) return;
    if (!(dictionary instanceof Map)) {
      throw wrong("a dictionary", describeValue(dictionary), TypeError);
    }
    if (items.length % 2 !== 0) throw wrong("a value for each name", "a name without one");
    spend(COSTS.memo * items.length / 2);
    for (let i = 0; i < items.length; i += 2) {
      if (dictionary.has(items[i])) {
        throw wrong("each name once", `${describeValue(items[i])} twice`, TypeError);
      }
      dictionary.set(items[i], items[i + 1]);
    }
  };

  for (;;) {
    at = position;
    const opcode = bytes[take(1)]!;
    switch (OPCODES[opcode]) {
      case "PROTO": {
        const protocol = bytes[take(1)]!;
        if (protocol < 2 || protocol > 5) {
          throw wrong("pickle protocol 2 to 5", `${protocol}`, TypeError);
        }
        break;
      }
      case "FRAME":
        take(8);
        break;
      case "STOP": {
        const value = pop();
        if (stack.length + marks.length > 0) throw wrong("one value", "more");
        return { value, end: position, foreign };
      }
      case "MARK":
        if (marks.length >= MAX_STACK) throw wrong(`at most ${MAX_STACK} marks`, "more");
        marks.push(stack.length);
        break;
      case "NONE":
        push(null);
        break;
      case "NEWTRUE":
        push(true);
        break;
      case "NEWFALSE":
        push(false);
        break;
      case "BININT":
        push(view.getInt32(take(4), true));
        break;
      case "BININT1":
        push(bytes[take(1)]);
        break;
      case "BININT2":
        push(view.getUint16(take(2), true));
        break;
      case "LONG4":
      case "LONG1": {
        const isShort = OPCODES[opcode] === "LONG1";
        const length = isShort ? bytes[take(1)]! : view.getUint32(take(4), true);
        const from = take(length);
        let value = 0n;
        for (let i = Math.min(length, 9) - 1; i >= 0; i--) {
          value = value << 8n | BigInt(bytes[from + i]!);
        }
        const number = Number(BigInt.asIntN(8 * Math.min(length, 9), value));
        push(Number.isSafeInteger(number) && length < 9 ? number : new Foreign("a large number"));
        break;
      }
      case "BINBYTES8":
      case "BYTEARRAY8":
        take(Number(view.getBigUint64(take(8), true)));
        push(new Foreign("bytes"));
        break;
      case "BINBYTES":
        take(view.getUint32(take(4), true));
        push(new Foreign("bytes"));
        break;
      case "SHORT_BINBYTES":
        take(bytes[take(1)]!);
        push(new Foreign("bytes"));
        break;
      case "BINFLOAT":
        push(view.getFloat64(take(8)));
        break;
      case "SHORT_BINUNICODE":
        push(text(bytes[take(1)]!));
        break;
      case "BINUNICODE":
        push(text(view.getUint32(take(4), true)));
        break;
      case "BINUNICODE8":
        push(text(Number(view.getBigUint64(take(8), true))));
        break;
      case "EMPTY_TUPLE":
      case "EMPTY_LIST":
      case "EMPTY_SET":
        spend(COSTS.list);
        push([]);
        break;
      case "EMPTY_DICT":
        spend(COSTS.dictionary);
        push(new Map());
        break;
      case "POP":
        // In Python a mark is a value on the stack.
        if (stack.length === marks.at(-1)) marks.pop();
        else pop();
        break;
      case "POP_MARK":
        popToMark();
        break;
      case "DUP":
        push(top());
        break;
      case "FROZENSET":
      case "TUPLE":
        push(popToMark());
        break;
      case "TUPLE1":
        spend(COSTS.list);
        push([pop()]);
        break;
      case "TUPLE2":
        spend(COSTS.list);
        push([pop(), pop()].reverse());
        break;
      case "TUPLE3":
        spend(COSTS.list);
        push([pop(), pop(), pop()].reverse());
        break;
      case "APPEND":
        append([pop()]);
        break;
      case "ADDITEMS":
      case "APPENDS":
        append(popToMark());
        break;
      case "SETITEM":
        setItems([pop(), pop()].reverse());
        break;
      case "SETITEMS":
        setItems(popToMark());
        break;
      case "BINPUT":
        memoize(bytes[take(1)]!);
        break;
      case "LONG_BINPUT":
        memoize(view.getUint32(take(4), true));
        break;
      case "MEMOIZE":
        memoize(memo.length);
        break;
      case "BINGET":
        push(recall(bytes[take(1)]!));
        break;
      case "LONG_BINGET":
        push(recall(view.getUint32(take(4), true)));
        break;
      case "GLOBAL":
        push(lookUp(`${line()} ${line()}`));
        break;
      case "STACK_GLOBAL": {
        const [module, name] = [pop(), pop()].reverse();
        if (typeof module !== "string" || typeof name !== "string") {
          throw wrong("the name of a class or function", describeValue(name), TypeError);
        }
        push(lookUp(`${module} ${name}`));
        break;
      }
      case "BINPERSID":
        spend(COSTS.dictionary);
        push(persistent(pop()));
        break;
      case "NEWOBJ":
      case "REDUCE": {
        const values = pop(), callee = pop();
        push(call(callee, values));
        break;
      }
      case "NEWOBJ_EX": {
        pop();
        const values = pop(), callee = pop();
        push(call(callee, values));
        break;
      }
      case "BUILD": {
        // PyTorch sets the versions of modules as an attribute of the dictionary of tensors.
        const attributes = pop(), owner = top();
        if (owner instanceof Foreign) break;
        if (!(owner instanceof Map && attributes instanceof Map)) {
          throw wrong("a dictionary with attributes", describeValue(owner), TypeError);
        }
        break;
      }
      default:
        throw wrong(
          "the instructions of a file of tensors",
          `0x${opcode.toString(16).padStart(2, "0")}`,
          TypeError,
        );
    }
  }
}

/** A value of a pickle as an error message shows it. */
export function describeValue(value: unknown): string {
  if (value === null) return "None";
  if (value instanceof Map) return "a dictionary";
  if (value instanceof Global) return value.name;
  if (value instanceof Foreign) return show(value.name);
  if (Array.isArray(value)) return `a list of ${value.length}`;
  if (typeof value === "object") return "a tensor";
  return show(value);
}
