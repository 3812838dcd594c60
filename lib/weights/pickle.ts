/**
 * A reader of Python's pickle that knows what files of tensors need and nothing else: it makes numbers, texts, tuples, lists and
 * dictionaries, and calls functions of ours by the names of Python's. No name is looked up anywhere else, and no code is run.
 */

/** Something of Python that a pickle may name, and what it does where it is called. */
export class Global {
  constructor(
    readonly name: string,
    readonly call?: (values: readonly unknown[]) => unknown,
  ) {}
}

/** What a pickle may refer to. */
export interface PickleWorld {
  /** What is being done, for messages. */
  readonly doing: string;
  /** By module and name, such as `"collections OrderedDict"`. */
  readonly globals: ReadonlyMap<string, Global>;
  /** What lies outside of the pickle. */
  readonly persistent: (id: unknown) => unknown;
}

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
 * @throws {RangeError} If it ends too early or refers to what is not there.
 * @throws {TypeError} If it has an instruction, a protocol or a global that is not read here, named in the message.
 */
export function unpickle(
  bytes: Uint8Array,
  start: number,
  { doing, globals, persistent }: PickleWorld,
): { value: unknown; end: number } {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const memo = new Map<number, unknown>();
  const marks: number[] = [];
  const stack: unknown[] = [];
  let position = start;
  let at = start;

  const wrong = (expected: string, found: string, Kind = RangeError) =>
    new Kind(`${doing}: expected ${expected}, found ${found} at byte ${at} of its pickle.`);
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
    try {
      return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })
        .decode(bytes.subarray(from, position));
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
    return stack.splice(mark);
  };
  const top = (): unknown => {
    const value = pop();
    stack.push(value);
    return value;
  };
  const recall = (index: number): unknown => {
    if (!memo.has(index)) throw wrong("a value that was kept before", `none under ${index}`);
    return memo.get(index);
  };
  const append = (items: readonly unknown[]) => {
    const list = top();
    if (!Array.isArray(list)) throw wrong("a list", kindOf(list), TypeError);
    for (const item of items) list.push(item);
  };
  const setItems = (items: readonly unknown[]) => {
    const dictionary = top();
    if (!(dictionary instanceof Map)) throw wrong("a dictionary", kindOf(dictionary), TypeError);
    if (items.length % 2 !== 0) throw wrong("names with values", "a name without one");
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
        if (protocol !== 2) throw wrong("pickle protocol 2", `${protocol}`, TypeError);
        break;
      }
      case "STOP": {
        const value = pop();
        if (stack.length + marks.length > 0) throw wrong("one value", "more");
        return { value, end: position };
      }
      case "MARK":
        marks.push(stack.length);
        break;
      case "NONE":
        stack.push(null);
        break;
      case "NEWTRUE":
        stack.push(true);
        break;
      case "NEWFALSE":
        stack.push(false);
        break;
      case "BININT":
        stack.push(view.getInt32(take(4), true));
        break;
      case "BININT1":
        stack.push(bytes[take(1)]);
        break;
      case "BININT2":
        stack.push(view.getUint16(take(2), true));
        break;
      case "LONG1": {
        const length = bytes[take(1)]!;
        const from = take(length);
        let value = 0n;
        for (let i = length - 1; i >= 0; i--) value = value << 8n | BigInt(bytes[from + i]!);
        value = BigInt.asIntN(8 * length, value);
        // Texts of longer ones, such as the number by which PyTorch knows its older files.
        stack.push(Number.isSafeInteger(Number(value)) ? Number(value) : `${value}`);
        break;
      }
      case "BINFLOAT":
        stack.push(view.getFloat64(take(8)));
        break;
      case "BINUNICODE":
        stack.push(text(view.getUint32(take(4), true)));
        break;
      case "EMPTY_TUPLE":
      case "EMPTY_LIST":
        stack.push([]);
        break;
      case "EMPTY_DICT":
        stack.push(new Map());
        break;
      case "TUPLE":
        stack.push(popToMark());
        break;
      case "TUPLE1":
        stack.push([pop()]);
        break;
      case "TUPLE2":
        stack.push([pop(), pop()].reverse());
        break;
      case "TUPLE3":
        stack.push([pop(), pop(), pop()].reverse());
        break;
      case "APPEND":
        append([pop()]);
        break;
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
        memo.set(bytes[take(1)]!, top());
        break;
      case "LONG_BINPUT":
        memo.set(view.getUint32(take(4), true), top());
        break;
      case "BINGET":
        stack.push(recall(bytes[take(1)]!));
        break;
      case "LONG_BINGET":
        stack.push(recall(view.getUint32(take(4), true)));
        break;
      case "GLOBAL": {
        const name = `${line()} ${line()}`;
        const global = globals.get(name);
        if (!global) {
          throw wrong(
            "nothing of Python but what makes tensors",
            `${show(name.replace(" ", "."))}, which could run code,`,
            TypeError,
          );
        }
        stack.push(global);
        break;
      }
      case "BINPERSID":
        stack.push(persistent(pop()));
        break;
      case "REDUCE": {
        const values = pop(), global = pop();
        if (!(global instanceof Global && global.call)) {
          throw wrong("something to call", kindOf(global), TypeError);
        }
        if (!Array.isArray(values)) {
          throw wrong("values to call it with", kindOf(values), TypeError);
        }
        stack.push(global.call(values));
        break;
      }
      case "BUILD": {
        // PyTorch notes the versions of modules beside the dictionary of their tensors.
        const attributes = pop(), owner = top();
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
  if (Array.isArray(value)) return `a list of ${value.length}`;
  if (typeof value === "string") return show(value);
  if (typeof value === "object") return "a tensor";
  return String(value);
}

function show(text: string): string {
  return JSON.stringify(text.length > 100 ? `${text.slice(0, 100)}…` : text);
}
