"""Texts of the compiler and of doc comments, for people."""

import re

# Types of the library have a sentence in place of a type that does not fit.
SENTENCE = re.compile(
    r"""type '([^\n]*)' is not assignable to (?:parameter of )?type '"([^"]+)"(?: \| undefined)?'""",
    re.IGNORECASE,
)
SHORTEST_SENTENCE = 4
EXAMPLE = re.compile(r"\*\*Example\*\*\s*```.*?```", re.S)
# `?` says already that an option may be undefined.
OPTIONAL = re.compile(r"(\?: .*) \| undefined$", re.M)


# A namespace of the library, such as `ops`, is a module to the compiler.
MODULE = re.compile(
    r"""on type 'typeof import\("[^"]*?([\w-]+)(?:/mod)?(?:\.ts)?"(?:, \{ with: \{[^}]*\} \})?\)'"""
)
FORGOTTEN_AWAIT = "Did you forget to use 'await'?"


def message(text: str, related: list[dict] = ()) -> str:
    """The sentence of the library in an error of the compiler, or the first two levels of it.

    `related` is LSP's `relatedInformation`.
    """
    for given, sentence in SENTENCE.findall(text):
        # Where a text is given, the type may be one of the texts that are allowed.
        is_text = given == "string" or given.startswith('"')
        if sentence.startswith("there is no option") or (
            not is_text and len(sentence.split()) >= SHORTEST_SENTENCE
        ):
            return sentence
    lines = [line for line in text.split("\n") if not line.startswith("    ")]
    lines[0] = MODULE.sub(r"in '\1'", lines[0])
    if any(each.get("message") == FORGOTTEN_AWAIT for each in related):
        lines[0] += f" {FORGOTTEN_AWAIT}"
    return "\n".join(lines)


def tidy(markdown: str) -> str:
    """Markdown of the server as Jupyter shows it well."""
    markdown = re.sub(r"\{@link(?:code|plain)?\s+([^}|\s]+)[^}]*\}", r"`\1`", markdown)
    # The server takes this comment in an example for a tag.
    markdown = re.sub(r"//\s*\*@ts-expect-error\* —\s*:?\s*", "// @ts-expect-error: ", markdown)
    markdown = re.sub(r"```tsx?\b", "```typescript", markdown)
    markdown = re.sub(r"\*@throws\* — \{(\w+)\}", r"**Throws** `\1`:", markdown)
    markdown = re.sub(r"\*@default\* — `?(\S+?)`?$", r"**Default:** `\1`", markdown, flags=re.M)
    markdown = re.sub(r"\*@default\* —", "**Default:**", markdown)
    # Links to files of the library lead nowhere from a notebook.
    markdown = re.sub(r"\[`?([^\]`]+)`?\]\((?:file|deno|asset):[^)]*\)", r"`\1`", markdown)
    markdown = re.sub(
        r"\*@(\w+)\*(?: —)?", lambda tag: f"**{tag[1].capitalize()}**", markdown
    )
    markdown = re.sub(r"^\((?:alias|property|local var|local const)\) ", "", markdown, flags=re.M)
    markdown = re.sub(r"^import \w+\n```", "```", markdown, flags=re.M)
    markdown = OPTIONAL.sub(r"\1", markdown)
    return re.sub(r"\n{3,}", "\n\n", markdown).strip()


def hover(answer) -> str:
    """The markdown of an answer to `textDocument/hover`."""
    return tidy(markup(answer.get("contents"))) if answer else ""


def markup(text) -> str:
    """The text of LSP's `MarkupContent`, `MarkedString` or a list of these."""
    if isinstance(text, list):
        return "\n\n".join(markup(part) for part in text)
    if isinstance(text, dict):
        if "language" in text:
            return f"```{text['language']}\n{text['value']}\n```"
        return text.get("value", "")
    return text or ""


def signature(answer) -> str:
    """The markdown of an answer to `textDocument/signatureHelp`."""
    signatures = (answer or {}).get("signatures") or []
    if not signatures:
        return ""
    active = min(answer.get("activeSignature") or 0, len(signatures) - 1)
    shown = signatures[active]
    text = f"```typescript\n{shown['label']}\n```\n{markup(shown.get('documentation'))}"
    parameters = shown.get("parameters") or []
    number = shown.get("activeParameter", answer.get("activeParameter"))
    if number is not None and number < len(parameters):
        label = parameters[number]["label"]
        if isinstance(label, str):
            about = markup(parameters[number].get("documentation")).strip()
            text += f"\n\n**Here:** `{label}`" + (f": {about}" if about else "")
    if len(signatures) > 1:
        text += f"\n\nOne of {len(signatures)} signatures."
    return tidy(text)


def options(heading: str, items: list[dict]) -> str:
    """The options of an object in a call, under the signature of the call."""
    code = heading.split("\n```")[0] + "\n```"
    lines = [code, ""]
    for item in items:
        about = " ".join(re.sub(EXAMPLE, "", tidy(markup(item.get("documentation")))).split())
        # The server leaves a space after the name that a link shows.
        about = re.sub(r" ([.,;])", r"\1", about)
        name = detail(item) or item["label"]
        lines.append(f"- `{name}`" + (f": {about}" if about else ""))
    return "\n".join(lines)


def detail(item: dict) -> str:
    """The type of a completion: `stride?: Pair` for `(property) Conv2dOptions.stride?: Pair`."""
    owner = r"^\((?:property|method|alias)\) (?:[\w$]+(?:<[^>]*>)?\.)*"
    text = re.sub(owner, "", item.get("detail") or "")
    text = re.sub(r"\n(?:export|import) [\w$]+$", "", text)
    return OPTIONAL.sub(r"\1", " ".join(text.split()))


def plain(markdown: str) -> str:
    """The text without the marks of code blocks and bold print."""
    return re.sub(r"^```\w*\n?|\*\*", "", markdown, flags=re.M).strip()
