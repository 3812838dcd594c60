/** Pages of help, made from the docs: their parts, and their forms as HTML and as text. */
import { escapeHtml, tableHtml } from "../nn/internal.ts";
import {
  type Declaration,
  type DocSymbol,
  type DocType,
  type JsDoc,
  type Member,
  type Signature,
  TRANSPARENT,
  TypePrinter,
} from "./doc_types.ts";

/** One part of a page. Texts are Markdown as it is used in doc comments. */
export type Part =
  | { readonly code: string }
  | { readonly text: string }
  | { readonly heading: string; readonly items: readonly Item[] };

/** An entry of a list, such as an option: its code, and a text about it. */
interface Item {
  readonly code: string;
  readonly fallback?: string;
  readonly text: string;
}

/** The text of the type parameters around a type. */
type Known = ReadonlyMap<string, string>;
type KnownMember = Member & { readonly known: Known };

type Docs = ReadonlyMap<string, DocSymbol>;

/** Longer types are not repeated below the options. */
const MAX_TYPE = 100;

/** Returns the parts of the page about a symbol. */
export function pageOf(name: string, docs: Docs): Part[] {
  const { declarations } = docs.get(name)!;
  // Overloads share one page; their docs are written at the first.
  return declarations.flatMap((declaration) => new Page(name, declaration, docs).parts());
}

/** Returns the names of the functions that make an object of a class. */
export function factoriesOf(className: string, docs: Docs): string[] {
  return Array.from(docs).filter(([, { declarations }]) =>
    declarations.some(({ kind, def }) =>
      kind === "function" && def.returnType?.value?.typeName === className
    )
  ).map(([name]) => name);
}

/** The page about one declaration of a symbol. */
class Page {
  readonly #name: string;
  readonly #declaration: Declaration;
  readonly #docs: Docs;
  readonly #printer: TypePrinter;

  constructor(name: string, declaration: Declaration, docs: Docs) {
    this.#name = name;
    this.#declaration = declaration;
    this.#docs = docs;
    this.#printer = new TypePrinter(
      new Set(Array.from(docs.keys(), (name) => name.replace("ops.", ""))),
    );
  }

  parts(): Part[] {
    const { kind, jsDoc, def } = this.#declaration;
    const functions = kind === "function" ? [def] : this.#callable();
    const heads = functions.map((one) => this.#printer.signature(this.#name, one));
    const tags = (tag: string) => jsDoc?.tags?.filter(({ kind }) => kind === tag) ?? [];
    const params = tags("param").map(({ name = "", doc = "" }) => ({ code: name, text: doc }));
    const throws = tags("throws").map(({ tsType, doc = "" }) => ({
      code: tsType ? this.#printer.type(tsType) : "Error",
      text: doc,
    }));
    const options = functions.flatMap(({ params = [] }) => params).flatMap((param) => {
      const type = param.tsType ?? param.left?.tsType;
      const name = param.left?.name ?? param.name ?? "options";
      const members = type && isOptions(type) ? this.#members(type, new Map()) : [];
      const items = members.map((member) => this.#item(member));
      return items.length === 0 ? [] : [{ heading: `Properties of ${name}`, items }];
    });
    const elements = kind !== "namespace" ? [] : Array.from(this.#docs)
      .filter(([name]) => name.startsWith(`${this.#name}.`))
      .map(([code, { declarations }]) => ({ code, text: firstSentence(declarations[0]?.jsDoc) }));
    const own = ["class", "interface"].includes(kind) && functions.length === 0
      ? this.#membersOf(this.#declaration).map((member) => this.#item(member))
      : [];
    const lists = [
      { heading: "Parameters", items: params },
      ...options,
      { heading: "Members", items: [...own, ...elements] },
      {
        heading: "Types",
        items: this.#aliases([...heads, ...codesOf(options), ...codesOf([{ items: own }])]),
      },
      { heading: "Errors", items: throws },
    ].filter(({ items }) => items.length > 0);
    return [
      { code: (heads.length > 0 ? heads : [this.#head()]).map(wrapSignature).join("\n") },
      { text: jsDoc?.doc ?? "" },
      ...tags("return").map(({ doc }) => ({ text: `Returns: ${doc ?? ""}` })),
      ...lists,
      ...tags("example").flatMap(({ doc = "" }) => [
        { heading: "Example", items: [] },
        { text: doc },
      ]),
    ];
  }

  /** The first line of the page about a symbol that is no function. */
  #head(): string {
    const { kind, def } = this.#declaration;
    const name = this.#name;
    if (kind === "namespace") return `${name}.…`;
    if (kind === "variable") {
      return `${name}${def.tsType ? `: ${this.#printer.type(def.tsType)}` : ""}`;
    }
    if (kind === "typeAlias") return `type ${name} = ${this.#printer.type(def.tsType!)}`;
    const bases = typeof def.extends === "string"
      ? [def.extends]
      : (def.extends ?? []).map((type) => this.#printer.type(type));
    const [constructor] = def.constructors ?? [];
    if (constructor?.params && factoriesOf(name, this.#docs).length === 0) {
      return this.#printer.signature(`new ${name}`, constructor);
    }
    return `${kind} ${name}${bases.length > 0 ? ` extends ${bases.join(", ")}` : ""}`;
  }

  /** The signatures of a constant that is a function, and of the type of such constants. */
  #callable(): readonly Signature[] {
    const { kind, def } = this.#declaration;
    if (kind === "interface") return def.callSignatures ?? [];
    const type = kind === "variable" ? def.tsType?.value?.typeName : undefined;
    return this.#lookup(type)?.declarations[0]?.def.callSignatures ?? [];
  }

  /** The symbol that a page names: in its own namespace, or in the library. */
  #lookup(name: string): DocSymbol | undefined {
    const namespace = this.#name.slice(0, this.#name.lastIndexOf(".") + 1);
    return this.#docs.get(namespace + name) ?? this.#docs.get(name);
  }

  /** The properties of the objects of a type, with those that it takes from others. */
  #members(type: DocType, known: Known): KnownMember[] {
    const { kind, value } = type;
    if (kind === "typeLiteral") {
      return (value.properties ?? []).map((member: Member) => ({ ...member, known }));
    }
    if (kind === "intersection") {
      const parts: KnownMember[] = value.flatMap((part: DocType) => this.#members(part, known));
      return [...new Map(parts.map((part) => [part.name, part])).values()];
    }
    if (kind === "parenthesized") return this.#members(value, known);
    if (kind === "conditional") return this.#members(value.trueType, known);
    if (kind !== "typeRef") return [];
    const [first, second] = value.typeParams ?? [];
    if (["Omit", "Pick"].includes(value.typeName)) {
      const names = new Set((second.kind === "union" ? second.value : [second]).map(
        ({ value }: DocType) => value.string,
      ));
      const picks = value.typeName === "Pick";
      return this.#members(first, known).filter(({ name }) => names.has(name) === picks);
    }
    if (TRANSPARENT.has(value.typeName)) return this.#members(first, known);
    return (this.#lookup(value.typeName)?.declarations ?? []).flatMap((declaration) => {
      if (declaration.kind === "interface") return this.#membersOf(declaration);
      if (declaration.kind !== "typeAlias") return [];
      const { def } = declaration;
      return this.#members(def.tsType!, this.#printer.constraints(def));
    });
  }

  #membersOf({ def }: Declaration): KnownMember[] {
    const known = this.#printer.constraints(def);
    const own = [...def.properties ?? [], ...def.methods ?? []].filter(
      ({ name, accessibility }) => accessibility === undefined && !name.startsWith("["),
    ).map((member) => ({ ...member, known }));
    const names = new Set(own.map(({ name }) => name));
    const bases = typeof def.extends === "object" ? def.extends : [];
    const inherited = bases.flatMap((base) => this.#members(base, known));
    return [...own, ...inherited.filter(({ name }) => !names.has(name))];
  }

  #item(member: KnownMember): Item {
    const fallback = member.jsDoc?.tags?.map(({ value }) => value)
      .find((value) => /^@default\b/.test(value ?? ""));
    return {
      code: this.#printer.member(member, member.known),
      fallback: fallback?.replace(/^@default\s*/, "").trim(),
      text: member.jsDoc?.doc ?? "",
    };
  }

  /** The meaning of the short types that a page names. */
  #aliases(codes: readonly string[]): Item[] {
    const words = new Set(codes.flatMap((code) => code.match(/\b[A-Z]\w+/g) ?? []));
    return [...words].flatMap((word) => {
      if (word === this.#name) return [];
      const declaration = this.#lookup(word)?.declarations.at(-1);
      const { tsType, typeParams = [] } = declaration?.def ?? {};
      if (declaration?.kind !== "typeAlias" || !tsType || typeParams.length > 0) return [];
      const text = this.#printer.type(tsType);
      return text.length > MAX_TYPE ? [] : [{ code: `${word} = ${text}`, text: "" }];
    });
  }
}

/** Whether a parameter of this type is written as `{ … }`. */
function isOptions({ kind, value }: DocType): boolean {
  return kind === "typeLiteral" || kind === "intersection" && value.some(isOptions) ||
    kind === "typeRef" && (TRANSPARENT.has(value.typeName) || value.typeName.endsWith("Options"));
}

function codesOf(lists: readonly { readonly items: readonly Item[] }[]): string[] {
  return lists.flatMap(({ items }) => items.map(({ code }) => code.replace(/^\w+/, "")));
}

function firstSentence(jsDoc: JsDoc | undefined): string {
  return /^[^]*?[.:](?=\s|$)/.exec(jsDoc?.doc ?? "")?.[0].replace(/:$/, ".") ?? "";
}

/** Breaks the parameters of a long signature into lines. */
function wrapSignature(text: string): string {
  if (text.length <= 76) return text;
  let depth = 0;
  return text.replace(/=>|[(<[{]|[)>\]}]|, /g, (part) => {
    if (part === "=>") return part;
    if (part === ", ") return depth === 1 ? ",\n  " : part;
    const opens = "(<[{".includes(part);
    if (opens) return depth++ === 0 && part === "(" ? "(\n  " : part;
    return --depth === 0 && part === ")" ? "\n)" : part;
  });
}

/** Returns a page as text. */
export function pageText(parts: readonly Part[]): string {
  return parts.map((part) => {
    if ("code" in part) return part.code;
    if ("text" in part) return plain(part.text).replaceAll(/^```.*\n|\n```$/gm, "");
    const items = part.items.map(({ code, fallback, text }) => {
      const first = `  ${code}${fallback ? `  (default: ${plain(fallback)})` : ""}`;
      return [first, ...text.trim() ? plain(text).split("\n") : []].join("\n      ")
        .replaceAll(/ +$/gm, "");
    });
    return `${part.heading}:\n${items.join("\n")}`.trimEnd();
  }).filter((text) => text.trim() !== "").join("\n\n");
}

/**
 * Returns a page as HTML, with styles as attributes (see `tableHtml`). Jupyter sets the terms of a
 * `dl` beside their texts in a column that is too narrow for code, so lists are `div`s.
 */
export function pageHtml(parts: readonly Part[]): string {
  return `<div style="max-width: 760px">\n${
    parts.map((part) => {
      if ("code" in part) return codeHtml(part.code, true);
      if ("text" in part) return markdownHtml(part.text);
      const items = part.items.map(({ code, fallback, text }) =>
        `<div style="margin-top: 4px"><code>${escapeHtml(code)}</code>${
          fallback
            ? ` <span style="opacity: 0.75; margin-left: 8px">default: ${
              inlineHtml(fallback)
            }</span>`
            : ""
        }</div><div style="margin-left: 24px">${inlineHtml(text.trim())}</div>`
      );
      return `<p style="margin: 12px 0 0"><b>${escapeHtml(part.heading)}</b></p>\n` +
        items.join("\n");
    }).join("\n")
  }\n</div>`;
}

/** Removes the doc links of a doc comment. */
function plain(markdown: string): string {
  return markdown.trim().replaceAll(/\{@link(?:code)? ([^}]*)\}/g, "$1");
}

/** Converts the Markdown of doc comments: paragraphs, lists, tables, code. */
function markdownHtml(markdown: string): string {
  return markdown.trim().split(/(^```[^]*?^```$)/m).map((section) => {
    const [, code] = /^```\w*\n([^]*?)\n?```$/.exec(section) ?? [];
    if (code !== undefined) return codeHtml(code);
    return section.split(/\n\s*\n/).filter((text) => text.trim() !== "").map((text) => {
      if (text.startsWith("|")) return markdownTable(text);
      const [first = "", ...items] = text.split(/^[-*] /m);
      return (first.trim() === "" ? "" : `<p>${inlineHtml(first)}</p>`) +
        (items.length === 0
          ? ""
          : `<ul>${items.map((item) => `<li>${inlineHtml(item)}</li>`).join("")}</ul>`);
    }).join("\n");
  }).join("\n");
}

/** Converts a table. */
function markdownTable(markdown: string): string {
  const [header = [], , ...rows] = markdown.trim().split("\n").map((line) =>
    line.split("|").slice(1, -1).map((cell) => plain(cell).replaceAll("`", ""))
  );
  return tableHtml({ columns: header.map((name) => ({ name, align: "left" })), rows });
}

/** Converts code, doc links and links within a line. */
function inlineHtml(markdown: string): string {
  return escapeHtml(markdown.trim())
    .replaceAll(/\{@link(?:code)? ([^}]*)\}/g, "<code>$1</code>")
    .replaceAll(/`([^`]*)`/g, "<code>$1</code>")
    .replaceAll(/\[([^\]]*)\]\((https?:[^)\s]*)\)/g, '<a href="$2">$1</a>');
}

function codeHtml(code: string, isHead = false): string {
  const style = "overflow-x: auto; margin: 8px 0; padding: 6px 10px; white-space: pre; " +
    "background: var(--jp-layout-color2, rgba(128, 128, 128, 0.15)); color: inherit" +
    (isHead ? "; font-weight: bold" : "");
  return `<pre style="${style}"><code style="background: none">${escapeHtml(code)}</code></pre>`;
}
