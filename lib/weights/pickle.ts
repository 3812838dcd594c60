/**
 * A reader of Python's pickle that knows what files of tensors need and nothing else: it makes
 * numbers, texts, tuples, lists and dictionaries, and calls functions of ours by the names of
 * Python's. For any other name, and for what Python would make with it, a {@linkcode Foreign}
 * stands. No code is run.
 */

/** Something of Python that a pickle may name, and what it does where it is called. */
export class Global {
  constructor(
    readonly name: string,
    readonly call?: (values: readonly unknown[]) => unknown,
  ) {}
}

/** Something of Python that is not known here, such as a class, or an object of it. */
export class Foreign {
  constructor(readonly name: string) {}
}

/** What a pickle may refer to. */
export interface PickleWorld {
  /** What is being done, for messages. */
  readonly doing: string;
  /** By module and name, such as `"collections OrderedDict"`. */
  readonly globals: ReadonlyMap<string, Global>;
  /** What lies outside of the pickle. */
  readonly persistent: (id: unknown) => unknown;
  /** The memory in bytes that its values may take, about. */
  readonly memory: number;
}

/**
 * Values that wait on the stack at most; Python's own pickles put down what they have after a
 * thousand.
 */
const LARGEST_STACK = 2 ** 20;

/** The memory that values take in V8, in bytes. */
const COSTS = { dictionary: 184, list: 32, text: 32, slot: 8, memo: 49 } as const;

/** All instructions of pickle up to protocol 5, with the names of Python's documentation. */
const OPCODES: Readonly<Record<number, string>> = {
  0x28: "MARK",
  0x29: "EMPTY_TUPLE",
  0x2e: "STOP",
  0x30: "POP",
  0x31: "POP_MARK",
  0x32: "DUP",
  0x42: "BINBYTES",
  0x43: "SHORT_BINBYTES",
  0x46: "FLOAT",
  0x47: "BINFLOAT",
  0x49: "INT",
  0x4a: "BININT",
  0x4b: "BININT1",
  0x4c: "LONG",
  0x4d: "BININT2",
  0x4e: "NONE",
  0x50: "PERSID",
  0x51: "BINPERSID",
  0x52: "REDUCE",
  0x53: "STRING",
  0x54: "BINSTRING",
  0x55: "SHORT_BINSTRING",
  0x56: "UNICODE",
  0x58: "BINUNICODE",
  0x5d: "EMPTY_LIST",
  0x61: "APPEND",
  0x62: "BUILD",
  0x63: "GLOBAL",
  0x64: "DICT",
  0x65: "APPENDS",
  0x67: "GET",
  0x68: "BINGET",
  0x69: "INST",
  0x6a: "LONG_BINGET",
  0x6c: "LIST",
  0x6f: "OBJ",
  0x70: "PUT",
  0x71: "BINPUT",
  0x72: "LONG_BINPUT",
  0x73: "SETITEM",
  0x74: "TUPLE",
  0x75: "SETITEMS",
  0x7d: "EMPTY_DICT",
  0x80: "PROTO",
  0x81: "NEWOBJ",
  0x82: "EXT1",
  0x83: "EXT2",
  0x84: "EXT4",
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
  0x97: "NEXT_BUFFER",
  0x98: "READONLY_BUFFER",
};

/**
 * The value of the pickle that begins at a position of some bytes, and the position after it.
 *
 * Tuples and lists come as arrays, dictionaries as maps.
 *
 * @throws {RangeError} If it ends too early, refers to what is not there, or would take too much
 * memory.
 * @throws {TypeError} If it has an instruction or a protocol that is not read here, named in the
 * message.
 */
export function unpickle(
  bytes: Uint8Array,
  start: number,
  { doing, globals, persistent, memory }: PickleWorld,
): { value: unknown; end: number; foreign: Foreign | undefined } {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  /** Values that are kept for later, by number; Python counts them, and others are in a map. */
  const memo: unknown[] = [], sparse = new Map<number, unknown>();
  const marks: number[] = [];
  const stack: unknown[] = [];
  const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  let position = start;
  let at = start;
  let spent = 0;
  let foreign: Foreign | undefined;

  const wrong = (expected: string, found: string, Kind = RangeError) =>
    new Kind(`${doing}: expected ${expected}, found ${found} at byte ${at} of its pickle.`);
  const spend = (cost: number) => {
    spent += cost;
    if (spent > memory) throw wrong(`values of at most ${memory} bytes for such a file`, "more");
  };
  const push = (value: unknown) => {
    if (stack.length >= LARGEST_STACK) throw wrong(`at most ${LARGEST_STACK} values`, "more");
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
      throw wrong("a text in UTF-8", "other bytes", TypeError);
    }
  };
  const line = (): string => {
    const end = bytes.indexOf(0x0a, position);
    if (end < 0) throw wrong("a line", "no end of it");
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
  const keep = (index: number) => {
    const value = top(), isNext = index === memo.length;
    spend(isNext ? 2 * COSTS.slot : COSTS.memo);
    if (index <= memo.length) memo[index] = value;
    else sparse.set(index, value);
  };
  const recall = (index: number): unknown => {
    if (index < memo.length) return memo[index];
    if (!sparse.has(index)) throw wrong("a value that was kept before", `none under ${index}`);
    return sparse.get(index);
  };
  /** Looks up a name of Python. */
  const named = (name: string): Global | Foreign => {
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
      throw wrong("something to call", kindOf(callee), TypeError);
    }
    if (!Array.isArray(values)) throw wrong("values to call it with", kindOf(values), TypeError);
    spend(COSTS.dictionary);
    return callee.call(values);
  };
  const append = (items: readonly unknown[]) => {
    const list = top();
    if (list instanceof Foreign) return;
    if (!Array.isArray(list)) throw wrong("a list", kindOf(list), TypeError);
    // An array that grows has room for 16 more.
    spend((list.length === 0 ? 16 * COSTS.slot : 0) + COSTS.slot * items.length);
    for (const item of items) list.push(item);
  };
  const setItems = (items: readonly unknown[]) => {
    const dictionary = top();
    if (dictionary instanceof Foreign) return;
    if (!(dictionary instanceof Map)) throw wrong("a dictionary", kindOf(dictionary), TypeError);
    if (items.length % 2 !== 0) throw wrong("names with values", "a name without one");
    spend(COSTS.memo * items.length / 2);
    for (let i = 0; i < items.length; i += 2) {
      if (dictionary.has(items[i])) {
        throw wrong("each name once", `${kindOf(items[i])} twice`, TypeError);
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
        if (marks.length >= LARGEST_STACK) throw wrong(`at most ${LARGEST_STACK} marks`, "more");
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
        // A mark counts as a value here.
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
        keep(bytes[take(1)]!);
        break;
      case "LONG_BINPUT":
        keep(view.getUint32(take(4), true));
        break;
      case "MEMOIZE":
        keep(memo.length);
        break;
      case "BINGET":
        push(recall(bytes[take(1)]!));
        break;
      case "LONG_BINGET":
        push(recall(view.getUint32(take(4), true)));
        break;
      case "GLOBAL":
        push(named(`${line()} ${line()}`));
        break;
      case "STACK_GLOBAL": {
        const [module, name] = [pop(), pop()].reverse();
        if (typeof module !== "string" || typeof name !== "string") {
          throw wrong("the name of something of Python", kindOf(name), TypeError);
        }
        push(named(`${module} ${name}`));
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
        // PyTorch notes the versions of modules beside the dictionary of their tensors.
        const attributes = pop(), owner = top();
        if (owner instanceof Foreign) break;
        if (!(owner instanceof Map && attributes instanceof Map)) {
          throw wrong("a dictionary with attributes", kindOf(owner), TypeError);
        }
        break;
      }
      default:
        throw wrong(
          "an instruction that files of tensors have",
          `0x${opcode.toString(16).padStart(2, "0")} (${OPCODES[opcode] ?? "no instruction"})`,
          TypeError,
        );
    }
  }
}

/** What a value of a pickle is, for messages. */
export function kindOf(value: unknown): string {
  if (value === null) return "None";
  if (value instanceof Map) return "a dictionary";
  if (value instanceof Global) return value.name;
  if (value instanceof Foreign) return show(value.name);
  if (Array.isArray(value)) return `a list of ${value.length}`;
  if (typeof value === "string") return show(value);
  if (typeof value === "object") return "a tensor";
  return String(value);
}

function show(text: string): string {
  return JSON.stringify(text.length > 100 ? `${text.slice(0, 100)}…` : text);
}
