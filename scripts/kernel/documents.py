"""TypeScript modules made of the cells of a notebook.

A cell may declare a name again, a module may not. So the cells become a chain of modules: a module
has the cells, in order of execution, up to the first that declares one of its names again. The next
module begins with that cell and imports the other names. In this way each cell has the types of the
latest declarations, and within a module the compiler follows the flow of the code from cell to cell
(`if (x === undefined) throw …` in one cell narrows `x` in the next).

The first line of a module is generated: its imports and exports. The cells follow unchanged, except
that the imports of all but the last cell move to the first line, because cells often repeat them.
"""

import re
from dataclasses import dataclass, field, replace
from functools import lru_cache

TOKEN = re.compile(
    r"""(?P<space>\s+|//[^\n]*|/\*.*?\*/)
    |(?P<string>"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*')
    |(?P<word>[\w$]+)
    |(?P<regex>/(?![*/])(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\\[\n])+/\w*)
    |(?P<other>.)""",
    re.S | re.X,
)
TEMPLATE = re.compile(r"(?:\\.|\$(?!\{)|[^`\\$])*(`|\$\{)", re.S)
TWICE = ("++", "--")
CLOSING = {")": "(", "]": "[", "}": "{"}
BEFORE_REGEX = set(
    "return typeof case in of await void delete new throw else do yield instanceof".split()
)
DECLARATION = {
    **dict.fromkeys(("const", "using"), "const"),
    **dict.fromkeys(("let", "var"), "let"),
    **dict.fromkeys(("function", "class", "enum", "interface", "type", "namespace"), "other"),
}
MODIFIERS = {"export", "declare", "abstract", "async", "default", "await", "const"}


@dataclass(frozen=True)
class Token:
    kind: str
    text: str
    start: int
    depth: int
    """Number of brackets and templates around the token."""
    first: bool
    """Whether it is the first token of its line."""


def tokens_of(text: str) -> tuple[list[Token], list[str]]:
    """Returns the tokens without comments, and the brackets that have no partner."""
    tokens: list[Token] = []
    open_brackets: list[str] = []
    too_many: list[str] = []
    at, line_start = 0, True
    # Whether a value is before the place, so that `/` divides and does not open a pattern.
    value = False

    def add(kind: str, token: str) -> None:
        nonlocal line_start, value
        tokens.append(Token(kind, token, at, len(open_brackets), line_start))
        line_start = False
        after_value = token == "!" or text[at : at + 2] in TWICE or text[at - 1 : at + 1] in TWICE
        value = (
            kind in ("string", "regex")
            or kind == "word" and token not in BEFORE_REGEX
            or token in (")", "]", "}")
            or value and after_value
        )

    def template_part() -> int:
        nonlocal value
        part = TEMPLATE.match(text, at)
        if not part:
            return len(text)
        value = part[1] == "`"
        if part[1] == "`":
            open_brackets.pop()
        else:
            open_brackets.append("${")
        return part.end()

    while at < len(text):
        match = TOKEN.match(text, at)
        kind, token = match.lastgroup, match[0]
        if kind == "regex" and value:
            kind, token = "other", "/"
        if kind == "space":
            line_start = line_start or "\n" in token
        elif token == "`":
            add(kind, token)
            open_brackets.append("`")
            at += 1
            at = template_part()
            continue
        elif token == "}" and open_brackets[-1:] == ["${"]:
            open_brackets.pop()
            at += 1
            at = template_part()
            continue
        elif kind == "other" and token in CLOSING:
            if open_brackets[-1:] == [CLOSING[token]]:
                open_brackets.pop()
            else:
                too_many.append(token)
            add(kind, token)
        else:
            add(kind, token)
            if kind == "other" and token in "([{":
                open_brackets.append(token)
        at += len(token)
    return tokens, too_many + open_brackets


@dataclass(frozen=True)
class Import:
    source: str
    """The specifier in its quotes, with import attributes."""
    name: str
    """The exported name, or `*`."""
    type_only: bool


@dataclass
class Cell:
    text: str
    names: dict[str, str] = field(default_factory=dict)
    """The names that the cell declares, each with `const`, `let` or `other`."""
    imports: dict[str, Import] = field(default_factory=dict)
    code: str = ""
    """The text with spaces in place of its imports."""
    mentions: set[str] = field(default_factory=set)
    whole: bool = True
    """Whether all brackets and strings are closed. Only such a cell can have run."""
    throws: bool = False
    """Whether the compiler takes what follows the cell for unreachable."""

    def declares(self) -> set[str]:
        return self.names.keys() | self.imports.keys()


@lru_cache(maxsize=1000)
def parse(text: str) -> Cell:
    """Finds what a cell declares and imports. It must not fail, whatever the text."""
    tokens, brackets = tokens_of(text)
    cell = Cell(text, code=text)
    cell.whole = not brackets and not any(
        token.kind == "other"
        and (token.text in "\"'" or text.startswith("/*", token.start))
        for token in tokens
    )
    for i, token in enumerate(tokens):
        after_dot = i > 0 and tokens[i - 1].text == "." and (i < 2 or tokens[i - 2].text != ".")
        key = i + 1 < len(tokens) and tokens[i + 1].text == ":"
        if token.kind == "word" and not after_dot and not key:
            cell.mentions.add(token.text)
    # The kind of the declaration that a comma continues. A comma within a type's `<…>` does not.
    declaring, in_type, angles = None, False, 0
    i = 0
    while i < len(tokens):
        token = tokens[i]
        if token.depth > 0:
            i += 1
            continue
        before = tokens[i - 1] if i > 0 else None
        starts = token.kind == "word" and (
            before is None or token.first or before.text in (";", "}") or before.text in MODIFIERS
        )
        following = tokens[i + 1] if i + 1 < len(tokens) else None
        if starts and token.text == "import" and following and following.text not in ("(", "."):
            i = parse_import(cell, tokens, i)
            declaring = None
            continue
        if starts and token.text == "throw":
            cell.throws = True
        if starts and token.text in DECLARATION and following and (
            following.kind == "word" or following.text in ("{", "[", "*")
        ):
            declaring = None
            kind = DECLARATION[token.text]
            if kind == "other":
                i += 2 if following.text == "*" else 1
                if i < len(tokens) and tokens[i].kind == "word":
                    cell.names[tokens[i].text] = kind
            elif following.text != "enum":
                declaring, in_type, angles = kind, True, 0
                i = parse_binding(cell, tokens, i + 1, kind)
                continue
        elif declaring and in_type and token.text in ("<", ">") and before.text != "=":
            angles += 1 if token.text == "<" else -1
        elif declaring and token.text == "=" and following and following.text != ">":
            in_type, angles = False, 0
        elif declaring and token.text == "," and angles <= 0:
            in_type, angles = True, 0
            i = parse_binding(cell, tokens, i + 1, declaring)
            continue
        elif token.text == ";":
            declaring = None
        i += 1
    return cell


def parse_binding(cell: Cell, tokens: list[Token], i: int, kind: str) -> int:
    """Reads `x`, `{ a, b: c }` or `[a, , b]` at token `i`. Returns the index of what follows."""
    if i >= len(tokens):
        return i
    token = tokens[i]
    if token.kind == "word":
        following = tokens[i + 1] if i + 1 < len(tokens) else None
        if following is None or following.first or following.text in ("=", ":", ",", ";", "!"):
            cell.names[token.text] = kind
        return i + 1
    if token.text not in ("{", "["):
        return i
    end = next(
        (n for n in range(i + 1, len(tokens)) if tokens[n].depth == token.depth), len(tokens)
    )
    if end + 1 >= len(tokens) or tokens[end + 1].text not in ("=", ":"):
        return end + 1  # Part of a type, as in `Map<string, { a: number }>`.
    n, default = i + 1, None
    while n < end:
        part, following = tokens[n], tokens[n + 1] if n + 1 < len(tokens) else None
        if default is not None and part.depth == default and part.text == ",":
            default = None
        elif default is None and part.text == "=":
            default = part.depth
        elif default is None and part.text == "[" and tokens[n - 1].text in ("{", ","):
            pass
        elif default is None and part.kind == "word" and (
            following is None or following.text in (",", "}", "]", "=")
        ):
            cell.names[part.text] = kind
        if default is not None and part.depth < default:
            default = None
        n += 1
    return end + 1


def parse_import(cell: Cell, tokens: list[Token], i: int) -> int:
    """Reads the import at token `i`. Returns the index of what follows."""
    start = i
    end = next((n for n in range(i + 1, len(tokens)) if tokens[n].kind == "string"), None)
    if end is None or end - i > 1000:
        return i + 1
    clause = tokens[i + 1 : end]
    last = end
    if end + 1 < len(tokens) and tokens[end + 1].text == "with":
        last = next((n for n in range(end, len(tokens)) if tokens[n].text == "}"), end)
    if not clause:  # An import for its effects may stand twice.
        return last + 1
    if clause[-1].text != "from":
        return i + 1
    stop = tokens[last].start + len(tokens[last].text)
    source = cell.text[tokens[end].start : stop].replace("\n", " ")
    words = [token.text for token in clause[:-1]]
    all_types = words[0] == "type" and len(words) > 1 and words[1] != ","
    if all_types:
        words = words[1:]
    for part in re.split(r"[,{}]", " ".join(words)):
        names = part.split()
        type_only = all_types
        if len(names) > 1 and names[0] == "type" and names[1] != "as":
            type_only, names = True, names[1:]
        if not names:
            continue
        in_braces = "{" in words and names[0] in words[words.index("{") :]
        name = names[0] if in_braces or names[0] == "*" else "default"
        cell.imports[names[-1]] = Import(source, name, type_only)
    begin = tokens[start].start
    blank = re.sub(r"[^\n]", " ", cell.text[begin:stop])
    cell.code = cell.code[:begin] + blank + cell.code[stop:]
    return last + 1


@dataclass(frozen=True)
class Variable:
    """A name that a module before declares."""

    kind: str
    url: str
    """The module that declares it."""
    end: str
    """The last module that mentions it. Its end is where the flow of the code goes on."""


Outer = dict[str, Import | Variable]


@dataclass
class Module:
    """One module of the chain."""

    url: str
    outer: Outer
    """The names from the modules before."""
    cells: list[Cell] = field(default_factory=list)
    names: dict[str, str] = field(default_factory=dict)
    imports: dict[str, Import] = field(default_factory=dict)
    mentions: set[str] = field(default_factory=set)

    def accepts(self, cell: Cell) -> bool:
        """Whether the cell may follow in this module."""
        if self.cells and self.cells[-1].throws:
            return False
        for name in cell.declares():
            if name in self.names:
                return False
            known = self.imports.get(name)
            if known is None and name in self.mentions:
                # A cell of this module may use the name as a module before declared it.
                known = self.outer.get(name)
            if known is not None and not same(known, cell.imports.get(name)):
                return False
        return True

    def add(self, cell: Cell) -> None:
        self.cells.append(cell)
        self.names |= cell.names
        for name, imported in cell.imports.items():
            known = self.imports.get(name)
            type_only = imported.type_only and (known is None or known.type_only)
            self.imports[name] = replace(imported, type_only=type_only)
        self.mentions |= cell.mentions

    def known(self) -> Outer:
        """The names at the end of the module."""
        known = {
            name: replace(origin, end=self.url)
            if isinstance(origin, Variable) and name in self.mentions
            else origin
            for name, origin in self.outer.items()
        }
        own = {name: Variable(kind, self.url, self.url) for name, kind in self.names.items()}
        return {**known, **self.imports, **own}

    def last_text(self) -> tuple[str, int]:
        """The text of the last module of a chain, in which the last cell stays as it is, and the
        line, from 0, at which this cell begins."""
        *before, last = self.cells
        head = self.head(self.names.keys() | last.imports.keys())
        lines = [head, *(cell.code for cell in before), last.text]
        # The semicolon ends a cell whose last line has none.
        text = "\n;\n".join(lines)
        return text, text.count("\n") - last.text.count("\n")

    def text(self) -> str:
        """The text of a module that others follow. It exports its names, and for each variable
        what the compiler knows of it at the end."""
        head = f"export {{ {', '.join(self.names)} }};" + self.head(self.names.keys())
        ends = [
            f"export const $end_{name} = {name};"
            for name, origin in self.known().items()
            if isinstance(origin, Variable) and origin.kind != "other" and origin.end == self.url
        ]
        return "\n;\n".join([head, *(cell.code for cell in self.cells), "".join(ends)])

    def head(self, without: set[str]) -> str:
        origins = {**self.outer, **self.imports}
        return "".join(
            import_of(name, origin) for name, origin in origins.items() if name not in without
        )


def same(a, b) -> bool:
    return (
        isinstance(a, Import)
        and isinstance(b, Import)
        and (a.source.strip("\"'"), a.name) == (b.source.strip("\"'"), b.name)
    )


def import_of(name: str, origin: Import | Variable) -> str:
    if isinstance(origin, Import):
        word = "type " if origin.type_only else ""
        if origin.name == "*":
            return f"import {word}* as {name} from {origin.source};"
        return f"import {{ {word}{origin.name} as {name} }} from {origin.source};"
    if origin.kind == "other":
        return f'import {{ {name} }} from "{origin.url}";'
    at_end = f'typeof import("{origin.end}").$end_{name}'
    if origin.kind == "const":
        return f"declare const {name}: {at_end};"
    # An imported name cannot be assigned to.
    return f'let {name}: typeof import("{origin.url}").{name} = null! as {at_end};'


def without_superseded(cells: list[tuple[str, str]]) -> list[Cell]:
    """Leaves out the runs of cells that ran again, where the earlier run no longer matters."""
    kept: list[Cell] = []
    # The names that are declared again, before any cell that is kept mentions them.
    superseded: set[str] = set()
    ids: set[str] = set()
    for cell_id, text in reversed(cells):
        cell = parse(text)
        names = cell.declares()
        again = cell_id in ids and names <= superseded
        if not kept or cell.whole and not again:
            kept.append(cell)
            superseded = (superseded - cell.mentions) | names
        ids.add(cell_id)
    return kept[::-1]


def depends_on_later(cells: list[tuple[str, str]]) -> list[int]:
    """The indices of cells that mention a name which only later cells declare. Checked together,
    the compiler would take their declarations for a cell that runs before them."""
    first: dict[str, int] = {}
    for index, (_, text) in enumerate(cells):
        for name in parse(text).declares():
            first.setdefault(name, index)
    return [
        index
        for index, (_, text) in enumerate(cells)
        if any(first.get(name, index) > index for name in parse(text).mentions)
    ]


def modules(cells: list[tuple[str, str]], url) -> tuple[list[str], int]:
    """Returns the texts of the modules, and the line, from 0, of the last one at which the last
    cell begins. `url(n)` is the specifier by which they import module `n`."""
    chain: list[Module] = []
    for cell in without_superseded(cells):
        if not chain or not chain[-1].accepts(cell):
            chain.append(Module(url(len(chain)), chain[-1].known() if chain else {}))
        chain[-1].add(cell)
    *before, last = chain
    text, line = last.last_text()
    return [*(module.text() for module in before), text], line
