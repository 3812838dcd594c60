"""Errors of a cell in the learner's terms: the lines as they were typed, with their numbers.

The kernel runs JavaScript that Deno made of the cell, and its stack traces have the lines of that
JavaScript. `deno transpile` makes the same text with a source map, which leads back to the lines of
the cell. A line that is not certain is not shown.
"""

import asyncio
import dataclasses
import difflib
import json
import os
import pathlib
import re
import tempfile

# The kernel puts this before the JavaScript of each cell.
PREFIX = "'use strict'; void 0;"

# How many characters of a line an error shows at most.
MAX_LINE_LENGTH = 120

# How many of the learner's lines an error shows at most. A recursion has thousands.
MAX_LINES = 12

# Deno needs 50 ms for a cell.
TRANSPILE_SECONDS = 10

PLAIN_IMPORT = re.compile(r"""import ([\w$ {},*]+ from )?["'][^"']*["'];( //.*)?$""")
BEGINS_WITH_IMPORT = re.compile(r"(\s*(//.*\n|/\*[\s\S]*?\*/))*\s*import\s+(?!type\b)")
EXPORT_OR_EQUALS = re.compile(r"^\s*(export\b|import\s+[\w$]+\s*=)", re.MULTILINE)

# Deno made the name of the module that imports.
UNKNOWN_IMPORT = re.compile(
    r"""(Import "([^"]+)" not a dependency and not in import map) from "file:[^"]*\$repl\.mts\""""
)

VLQ_DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"


@dataclasses.dataclass
class SyntaxProblem:
    """The place where Deno's parser gave up; line and column count from 1."""

    message: str
    line: int
    column: int


@dataclasses.dataclass
class Transpiled:
    """The JavaScript of a cell, and for each of its lines the segments of the source map: the
    column in JavaScript and the line in the cell, both from 0."""

    lines: list[str]
    segments: list[list[tuple[int, int]]]


@dataclasses.dataclass
class Frame:
    """A frame of a stack trace in a cell; line and column of the JavaScript count from 1."""

    cell: str
    line: int
    column: int


@dataclasses.dataclass
class Stack:
    """A stack trace: its frames in cells, innermost first, the number of those in files, and the
    lines of all."""

    frames: list[Frame]
    library: int
    lines: list[str]


def stack_of(recorded: dict | None, traceback: list[str]) -> Stack:
    """Returns a stack as prepare_kernel.js has recorded it, or what its text says."""
    if recorded is None:
        return Stack([], 0, traceback)
    frames = [Frame(*frame) for frame in recorded["frames"]]
    return Stack(frames, recorded["library"], recorded["lines"])


@dataclasses.dataclass
class Cell:
    """A cell that has run."""

    code: str
    execution_count: int


async def transpile(deno: str, code: str) -> Transpiled | SyntaxProblem | None:
    """Transpiles a cell as the kernel does. Returns None if Deno gives no answer."""
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        # The kernel keeps the imports that a cell does not use, for the cells after it.
        (folder / "deno.json").write_text('{"compilerOptions": {"verbatimModuleSyntax": true}}')
        (folder / "cell.ts").write_text(code, encoding="utf-8")
        process = await asyncio.create_subprocess_exec(
            *[deno, "transpile", "--source-map", "separate", "-o", "cell.js", "cell.ts"],
            cwd=folder,
            env={**os.environ, "NO_COLOR": "1"},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            _, output = await asyncio.wait_for(process.communicate(), TRANSPILE_SECONDS)
        except asyncio.TimeoutError:
            process.kill()
            return None
        if process.returncode == 0:
            source_map = json.loads((folder / "cell.js.map").read_text(encoding="utf-8"))
            text = (folder / "cell.js").read_text(encoding="utf-8")
            return Transpiled(text.split("\n"), decode_mappings(source_map["mappings"]))
    said = output.decode("utf-8", "replace")
    message = re.search(r"^error: (?:SyntaxError: )?(.*)", said, re.MULTILINE)
    place = re.search(r"^ +at .*cell\.ts:(\d+):(\d+)$", said, re.MULTILINE)
    if message is None or place is None:
        return None
    return SyntaxProblem(message[1], int(place[1]), int(place[2]))


def decode_mappings(mappings: str) -> list[list[tuple[int, int]]]:
    """Decodes the `mappings` of a source map, version 3."""
    lines, source_line = [], 0
    for line in mappings.split(";"):
        segments, column = [], 0
        for segment in filter(None, line.split(",")):
            numbers, value, shift = [], 0, 0
            for digit in map(VLQ_DIGITS.index, segment):
                value |= (digit & 31) << shift
                shift += 5
                if not digit & 32:
                    numbers.append(-(value >> 1) if value & 1 else value >> 1)
                    value = shift = 0
            column += numbers[0]
            if len(numbers) > 1:
                source_line += numbers[2]
                segments.append((column, source_line))
        lines.append(segments)
    return lines


def is_like_the_kernels(transpiled: Transpiled, code: str) -> bool:
    """Whether the kernel's JavaScript has the same lines.

    The kernel turns imports into variables. A plain import stays on its line; one with attributes
    or comments does not. The kernel leaves out exports, imports with an equals sign, and comments
    before an import, but not those before an import at the beginning of the cell.
    """
    if EXPORT_OR_EQUALS.search(code):
        return False
    after_comment, first = False, BEGINS_WITH_IMPORT.match(code) is not None
    for line in transpiled.lines:
        if line.startswith("import"):
            if not PLAIN_IMPORT.match(line) or (after_comment and not first):
                return False
            first = False
        after_comment = line.startswith(("//", "/*", " *")) or line.endswith("*/")
        if not after_comment:
            first = False
    return True


def line_in_cell(transpiled: Transpiled, line: int, column: int) -> int | None:
    """Returns the line of the cell, from 1, for a place in the JavaScript that the kernel ran.

    V8 names the place where an expression begins, and the source map has a segment for it. Returns
    None where the line is not certain.
    """
    if not 1 <= line <= len(transpiled.segments):
        return None
    if line == 1:
        column -= len(PREFIX)
    segments = transpiled.segments[line - 1]
    lines = {source_line for _, source_line in segments}
    if transpiled.lines[line - 1].startswith("import "):
        return segments[0][1] + 1 if segments else None
    exact = {source_line for start, source_line in segments if start == column - 1}
    for candidates in (exact, lines):
        if len(candidates) == 1:
            return candidates.pop() + 1
    return None


def excerpt(code: str, line: int, column: int = 1) -> str:
    """Returns a line of a cell, without its indentation. A long one is cut around a column."""
    lines = code.split("\n")
    text = lines[line - 1].rstrip() if line <= len(lines) else ""
    column -= len(text) - len(text.lstrip())
    text = text.lstrip()
    start = max(0, min(column - MAX_LINE_LENGTH // 2, len(text) - MAX_LINE_LENGTH))
    text = f"…{text[start + 1 :]}" if start > 0 else text
    return text if len(text) <= MAX_LINE_LENGTH else f"{text[:MAX_LINE_LENGTH - 1]}…"


def line_of_throw(code: str, value: str) -> int | None:
    """Returns the line on which a cell throws a text or a number, if it is the only one. Only
    errors have a stack."""
    throw = re.compile(rf"""\bthrow\s+(["'`]?){re.escape(value)}\1\s*(?:[;}})]|//|$)""")
    found = [number for number, line in enumerate(code.split("\n"), 1) if throw.search(line)]
    return found[0] if len(found) == 1 else None


def syntax_error(problem: SyntaxProblem, code: str) -> dict:
    """Returns the content of an error message for a cell that cannot be parsed."""
    title = f"cell line {problem.line}: "
    lines = code.split("\n")
    text = lines[problem.line - 1] if problem.line <= len(lines) else ""
    # A long line is cut around the place.
    start = max(0, problem.column - MAX_LINE_LENGTH // 2) if len(text) > MAX_LINE_LENGTH else 0
    text = text[start : start + MAX_LINE_LENGTH]
    caret = " " * (len(title) + problem.column - 1 - start) + "^"
    return error_content("SyntaxError", problem.message, [title + text, caret])


def error_content(name: str, message: str, lines: list[str]) -> dict:
    return {"ename": name, "evalue": message, "traceback": [f"{name}: {message}", *lines]}


STOPPED = error_content(
    "Stopped",
    "Stop ended this cell where it was. Variables are kept.",
    [],
)

RESTARTED = error_content(
    "KernelRestarted",
    "The cell did not stop, so the kernel was restarted. All variables are gone: run the cells "
    "again from the top.",
    [],
)

REFUSED = error_content(
    "Error",
    "The kernel gave neither a result of this cell nor a reason. Often a package that it imports "
    "cannot be installed: look at its name and at the network. Otherwise run the cell again.",
    [],
)


def header_of(content: dict) -> list[str]:
    """Returns the lines of a traceback before its frames, or the message if it has none."""
    header = []
    for line in content["traceback"]:
        if line.startswith("    at "):
            break
        header.append(line)
    return header if any(header) else [f"{content['ename']}: {content['evalue']}"]


def with_import_advice(content: dict) -> dict:
    """Adds the name of the import map that an import may mean to an error message."""
    found = UNKNOWN_IMPORT.search(content["evalue"])
    if found is None:
        return content
    name = found[2]
    folders = (pathlib.Path.cwd(), *pathlib.Path.cwd().parents)
    file = next((each / "deno.json" for each in folders if (each / "deno.json").exists()), None)
    imports = json.loads(file.read_text(encoding="utf-8")).get("imports", {}) if file else {}
    close = difflib.get_close_matches(name, imports, 1, 0.7)
    text = found[1] + (f'. Did you mean "{close[0]}"?' if close else "")
    lines = [line.replace(found[0], text) for line in content["traceback"]]
    return {**content, "evalue": content["evalue"].replace(found[0], text), "traceback": lines}


async def runtime_error(
    deno: str, content: dict, stack: Stack, current: str, cells: dict[str, Cell]
) -> dict:
    """Rewrites an error message: its text, the learner's lines, and the rest of the stack folded.

    `current` is the name of the cell that runs.
    """
    content = with_import_advice(content)
    frames = stack.frames
    names = {frame.cell for frame in frames if frame.cell in cells}
    results = await asyncio.gather(*(transpile(deno, cells[name].code) for name in names))
    transpiled = dict(zip(names, results))
    lines: list[str] = []
    for frame in frames:
        cell, text = cells.get(frame.cell), transpiled.get(frame.cell)
        if cell is None or not isinstance(text, Transpiled):
            continue
        if not is_like_the_kernels(text, cell.code):
            continue
        number = line_in_cell(text, frame.line, frame.column)
        place = "cell" if frame.cell == current else f"cell [{cell.execution_count}]"
        if number is not None:
            shown = f"{place} line {number}: {excerpt(cell.code, number)}"
            if not lines or lines[-1] != shown:
                lines.append(shown)
    if not frames and stack.library == 0 and current in cells:
        code = cells[current].code
        number = line_of_throw(code, content["evalue"])
        if number is not None:
            lines.append(f"cell line {number}: {excerpt(code, number)}")
    if len(lines) > MAX_LINES:
        lines[MAX_LINES - 1 : -1] = [f"… {len(lines) - MAX_LINES} more lines"]
    if stack.library > 0:
        lines.append(f"… {stack.library} frame{'s' if stack.library > 1 else ''} of the library")
    return {**content, "traceback": [*header_of(content), *lines]}
