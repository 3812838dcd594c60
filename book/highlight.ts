/** The look of code, and the links and types of its names. */
import type { MarkdownOptions } from "vitepress";
import type { Mark } from "./code.ts";

type Theme = MarkdownOptions["theme"];
type Transformer = NonNullable<MarkdownOptions["codeTransformers"]>[number];

/** The kinds of words that have a colour; style.css has the colours, by the class `code-KIND`. */
const kinds: Readonly<Record<string, readonly string[]>> = {
  comment: ["comment", "punctuation.definition.comment"],
  keyword: ["keyword", "storage", "variable.language", "constant.language", "keyword.operator.new"],
  string: ["string", "punctuation.definition.string", "constant.other.character-class"],
  number: ["constant.numeric"],
  function: ["entity.name.function", "support.function"],
  type: ["entity.name.type", "support.type", "support.class", "entity.other.inherited-class"],
  plain: ["keyword.operator", "punctuation", "meta.embedded", "storage.type.function.arrow"],
};

/** A theme whose colours are only names: `#000001` is the first kind. */
export const theme: Theme = {
  name: "resnet-lab",
  type: "light",
  fg: "inherit",
  bg: "transparent",
  settings: Object.values(kinds).map((scope, index) => ({
    scope: [...scope],
    settings: { foreground: colorOf(index) },
  })),
};

function colorOf(index: number): string {
  return `#${String(index + 1).padStart(6, "0")}`;
}

/**
 * Returns what the fence of a cell has after its language, by which the transformer finds its
 * marks. Digits become letters, because VitePress takes a number there for a line to highlight.
 */
export function cellAttribute(cell: string): string {
  return `cell=${cell.replaceAll(/\d/g, (digit) => "abcdefghij"[Number(digit)]!)}`;
}

/**
 * Makes the transformer that gives words their classes, and the names of a cell their types and
 * links.
 *
 * @param marks The marks of each cell.
 * @param reference The address of the pages of the reference.
 */
export function transformer(
  marks: Readonly<Record<string, readonly Mark[]>>,
  reference: string,
): Transformer {
  const byAttribute = new Map(
    Object.entries(marks).map(([cell, marks]) => [cellAttribute(cell), marks]),
  );
  const ofCell = (attribute = "") => byAttribute.get(attribute.trim()) ?? [];
  return {
    name: "resnet-lab",
    // Splits words, so that each name is one.
    tokens(lines) {
      const names = ofCell(this.options.meta?.__raw);
      const ends = new Set(names.flatMap(({ start, end }) => [start, end]));
      return lines.map((line) =>
        line.flatMap((token) => {
          const parts: typeof line = [];
          let from = 0;
          for (let i = 1; i <= token.content.length; i++) {
            if (i < token.content.length && !ends.has(token.offset + i)) continue;
            const content = token.content.slice(from, i);
            parts.push({ ...token, content, offset: token.offset + from });
            from = i;
          }
          return parts;
        })
      );
    },
    span(node, _line, _column, _element, token) {
      const { style, ...properties } = node.properties;
      const [, number] = /#(\d{6})/.exec(String(style)) ?? [];
      const kind = Object.keys(kinds)[Number(number) - 1];
      node.properties = properties;
      if (kind !== undefined && kind !== "plain") node.properties.class = `code-${kind}`;
      const name = ofCell(this.options.meta?.__raw).find(({ start, end }) =>
        start === token.offset && end === token.offset + token.content.length
      );
      if (!name) return;
      if (name.type !== undefined) node.properties["data-type"] = name.type;
      if (name.link === undefined) return;
      node.tagName = "a";
      node.properties.href = reference + encodeURI(name.link);
      // VitePress must not look for this page among its own.
      node.properties.target = "_self";
    },
  };
}
