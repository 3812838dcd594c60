/** The output of `deno doc --json`, version 2, as far as `help` reads it, and its types as text. */

/** A documented symbol, and its declarations: a type and a value may have one name. */
export interface DocSymbol {
  readonly name: string;
  readonly declarations: readonly Declaration[];
}

/** One declaration of a symbol. */
export interface Declaration {
  readonly kind: "function" | "class" | "interface" | "typeAlias" | "variable" | "namespace";
  readonly jsDoc?: JsDoc;
  readonly def: Definition;
}

/** The parts of a declaration; each kind has some of them. */
export interface Definition extends Signature {
  readonly elements?: readonly DocSymbol[];
  readonly properties?: readonly Member[];
  readonly methods?: readonly Member[];
  readonly constructors?: readonly Signature[];
  readonly callSignatures?: readonly Signature[];
  /** The name of the superclass, or the types that an interface extends. */
  readonly extends?: string | readonly DocType[];
  readonly tsType?: DocType;
}

/** Parameters and result of a function. */
export interface Signature {
  readonly params?: readonly Parameter[];
  readonly returnType?: DocType;
  readonly tsType?: DocType;
  readonly typeParams?: readonly { readonly name: string; readonly constraint?: DocType }[];
}

/** A property or a method. */
export interface Member extends Signature {
  readonly name: string;
  readonly jsDoc?: JsDoc;
  readonly optional?: boolean;
  readonly accessibility?: string;
  readonly functionDef?: Signature;
}

/** A parameter of a function. */
export interface Parameter {
  readonly kind: string;
  readonly name?: string;
  readonly optional?: boolean;
  readonly tsType?: DocType;
  /** The parameter that has a default value. */
  readonly left?: Parameter;
  /** The parameter that collects the rest. */
  readonly arg?: Parameter;
}

/** A doc comment. */
export interface JsDoc {
  readonly doc?: string;
  readonly tags?: readonly {
    readonly kind: string;
    readonly name?: string;
    readonly doc?: string;
    readonly value?: string;
    readonly tsType?: DocType;
  }[];
}

/** Types whose first argument tells a reader enough. */
export const TRANSPARENT: ReadonlySet<string> = new Set([
  "NoInfer",
  "Omit",
  "Partial",
  "Pick",
  "Readonly",
]);

/** A type. */
export interface DocType {
  readonly kind: string;
  readonly repr?: string;
  // The form of the value depends on the kind.
  // deno-lint-ignore no-explicit-any
  readonly value?: any;
}

/**
 * Prints types and signatures as a reader needs them, which is simpler than the compiler's: a type
 * parameter is the type which it extends, of a condition only the first outcome is printed, and of
 * an intersection only the first part.
 */
export class TypePrinter {
  readonly #documented: ReadonlySet<string>;

  /**
   * Makes a printer.
   *
   * @param documented The names of types that have docs of their own: their type arguments are left
   * out.
   */
  constructor(documented: ReadonlySet<string>) {
    this.#documented = documented;
  }

  /** Returns a function as text: `conv2d(inChannels: number, …): Conv2d`. */
  signature(name: string, signature: Signature): string {
    const known = this.constraints(signature);
    const result = signature.returnType ?? signature.tsType;
    return `${name}(${this.#list(signature.params, known)})` +
      (result ? `: ${this.type(result, known)}` : "");
  }

  /** Returns the text of each type parameter: that of the type which it extends. */
  constraints({ typeParams = [] }: Signature): Map<string, string> {
    const known = new Map<string, string>();
    for (const { name, constraint } of typeParams) {
      if (constraint) known.set(name, this.type(constraint, known));
    }
    return known;
  }

  /** Returns a type as text. */
  type(type: DocType, known: ReadonlyMap<string, string> = new Map()): string {
    const print = (inner: DocType) => this.type(inner, known);
    const { kind, value } = type;
    switch (kind) {
      case "typeRef": {
        const { typeName, typeParams = [] } = value;
        const name = known.get(typeName);
        if (name !== undefined) return name;
        if (TRANSPARENT.has(typeName)) return print(typeParams[0]);
        return typeParams.length === 0 || this.#documented.has(typeName)
          ? typeName
          : `${typeName}<${typeParams.map(print).join(", ")}>`;
      }
      case "array": {
        const inner = print(value);
        return /^[\w.<>[\]]+$/.test(inner) ? `${inner}[]` : `(${inner})[]`;
      }
      case "literal":
        return value.kind === "string"
          ? JSON.stringify(value.string)
          : value.kind === "template"
          ? "string"
          : String(value[value.kind]);
      case "union":
        return value.map(print).join(" | ");
      case "intersection":
        return print(value[0]);
      case "tuple":
        return `[${value.map(print).join(", ")}]`;
      case "typeOperator":
        return `${value.operator} ${print(value.tsType)}`;
      case "rest":
        return `...${print(value)}`;
      case "optional":
        return `${print(value)}?`;
      case "parenthesized":
        return `(${print(value)})`;
      case "indexedAccess":
        return `${print(value.objType)}[${print(value.indexType)}]`;
      case "conditional":
        return print(value.trueType);
      case "mapped":
        return `{ [key]: ${value.tsType ? print(value.tsType) : "unknown"} }`;
      case "fnOrConstructor":
        return `(${this.#list(value.params, known)}) => ${print(value.tsType)}`;
      case "typeLiteral": {
        const { properties = [], methods = [] }: Definition = value;
        const parts = [...properties, ...methods].map((member) => this.member(member, known));
        return parts.length === 0 ? "{}" : `{ ${parts.join("; ")} }`;
      }
      default:
        // deno doc prints some types in colour.
        // deno-lint-ignore no-control-regex
        return (type.repr ?? kind).replaceAll(/\x1b\[[\d;]*m/g, "");
    }
  }

  /** Returns a property or a method as text. */
  member(member: Member, known: ReadonlyMap<string, string> = new Map()): string {
    const signature = member.functionDef ?? (member.params ? member : undefined);
    if (signature) return this.signature(member.name, signature);
    const type = member.tsType ? `: ${this.type(member.tsType, known)}` : "";
    return `${member.name}${member.optional ? "?" : ""}${type}`;
  }

  #list(params: readonly Parameter[] = [], known: ReadonlyMap<string, string>): string {
    return params.map((param) => {
      const { name, optional, tsType } = param.left ?? param.arg ?? param;
      const type = param.tsType ?? tsType;
      return `${param.kind === "rest" ? "..." : ""}${(name ?? "options").replace(/^_/, "")}` +
        `${optional || param.left ? "?" : ""}${type ? `: ${this.type(type, known)}` : ""}`;
    }).join(", ");
  }
}
