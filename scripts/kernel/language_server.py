"""Checks, completion and help for the cells of a notebook, by `deno lsp`.

Help must never make a notebook worse. So every method of `LanguageServer` but `check_all` has a time
limit, raises nothing, and returns an empty answer where the server is missing, slow or dead.
"""

import asyncio
import logging
import os
import re
from dataclasses import dataclass, replace
from pathlib import Path

import documents
import help_text
from lsp_client import LspClient, ServerLost

log = logging.getLogger(__name__)

Cells = list[tuple[str, str]]
"""The cells run so far in order of execution, each with its id and its text."""

# Reading the library takes seconds after a start. A cell does not wait for its check.
START_SECONDS = 30
CHECK_SECONDS = 60
# JupyterLab waits 5 s for completions, as set-up tells it (providerTimeout in scripts/setup.ts).
COMPLETE_SECONDS = 4
INSPECT_SECONDS = 3
# The type of each completion is a request, so a long list goes without.
MOST_SIGNATURES = 60

SETTINGS = {
    "enable": True,
    "lint": False,
    # Without this limit, the server opens every module of the folder. It then needs twice the
    # memory, and it does not find how the library extends TensorFlow.js's types.
    "documentPreloadLimit": 0,
    "suggest": {"autoImports": False, "imports": {"autoDiscover": False}},
}

# Names of LSP's CompletionItemKind.
KINDS = dict(
    enumerate(
        "text method function constructor property variable class interface module property unit "
        "value enum keyword snippet color file reference folder enummember constant struct event "
        "operator typeparameter".split(),
        start=1,
    )
)
MEMBER_KINDS = {"method", "function", "property"}
# An argument whose type is unknown, because a module is not downloaded yet.
IMPLICIT_ANY = range(7000, 7060)
SYNTAX_ERRORS = range(1000, 2000)


@dataclass(frozen=True)
class Diagnostic:
    """An error of the compiler. Lines and columns count from 1, columns in characters."""

    line: int
    column: int
    end_line: int
    end_column: int
    message: str
    is_error: bool


class LanguageServer:
    """A language server for one notebook. One that ended is started again, once."""

    def __init__(self) -> None:
        self._deno = ""
        self._folder = Path()
        self._client: LspClient | None = None
        self._starts_left = 0
        self._starting: asyncio.Future | None = None
        self._warming: asyncio.Future | None = None
        # Checks and help have documents of their own, so that neither changes those of the other.
        self._locks = {"check": asyncio.Lock(), "help": asyncio.Lock()}
        self._open: dict[str, tuple[int, str]] = {}

    async def start(self, deno: str, folder: str, warm_up: bool = True) -> None:
        """Starts `deno lsp` for notebooks in `folder`, and lets it read the library."""
        self._deno, self._folder = deno, Path(folder).absolute()
        self._starts_left = 2
        await self._within(START_SECONDS, self._running())
        if warm_up:
            self._warming = asyncio.ensure_future(self.check([("", 'import "resnet-lab";')]))

    async def stop(self) -> None:
        """Ends the server."""
        self._starts_left = 0
        for task in (self._warming, self._starting):
            if task:
                task.cancel()
        if self._client:
            await self._client.stop()

    @property
    def pid(self) -> int | None:
        """The server's process, if it runs."""
        return self._client.pid if self._client and self._client.alive else None

    async def check(self, cells: Cells) -> list[Diagnostic]:
        """Returns the errors in the last of the cells."""
        try:
            # The limit begins with the turn of this check: many wait if all cells run at once.
            async with self._locks["check"]:
                return await asyncio.wait_for(self._check(cells), CHECK_SECONDS)
        except asyncio.TimeoutError:
            log.warning("The language server does not answer.")
            if self._client:
                await self._client.stop()
        except Exception:
            log.debug("A cell was not checked.", exc_info=True)
        return []

    async def check_all(self, cells: Cells) -> list[tuple[int, Diagnostic]]:
        """Returns the errors in all cells, each with the index of its cell.

        As `check` of each cell finds them, but faster: where the compiler accepts all cells
        together, one check is enough. Raises `ServerLost` if there is no answer.
        """

        async def checked(count: int) -> list[Diagnostic]:
            async with self._locks["check"]:
                return await self._check(cells[:count])

        async with self._locks["check"]:
            accepted = await self._accepts(cells)
        suspects = documents.depends_on_later(cells) if accepted else range(len(cells))
        return [(index, found) for index in suspects for found in await checked(index + 1)]

    async def complete(self, cells: Cells, code: str, cursor_pos: int) -> dict | None:
        """Returns the content of a `complete_reply`, or None if the kernel should be asked."""
        return await self._within(COMPLETE_SECONDS, self._complete(cells, code, cursor_pos))

    async def inspect(self, cells: Cells, code: str, cursor_pos: int) -> dict | None:
        """Returns the content of an `inspect_reply`, or None if the kernel should be asked."""
        return await self._within(INSPECT_SECONDS, self._inspect(cells, code, cursor_pos))

    async def _within(self, seconds: float, work):
        try:
            return await asyncio.wait_for(work, seconds)
        except Exception:
            log.debug("No help from the language server.", exc_info=True)
            return None

    async def _running(self) -> LspClient:
        if self._client and self._client.alive:
            return self._client
        if self._starting is None or self._starting.done():
            if self._starts_left == 0:
                raise ServerLost("The language server has ended.")
            self._starts_left -= 1
            self._starting = asyncio.ensure_future(asyncio.wait_for(self._spawn(), START_SECONDS))
        # A request that is short of time must not end the start.
        return await asyncio.shield(self._starting)

    async def _spawn(self) -> LspClient:
        client = await LspClient.spawn([self._deno, "lsp"], str(self._folder), SETTINGS)
        try:
            root = project_root(self._folder).as_uri()
            capabilities = {
                "workspace": {"configuration": True},
                "textDocument": {
                    "diagnostic": {},
                    "hover": {"contentFormat": ["markdown"]},
                    "completion": {"completionItem": {"documentationFormat": ["markdown"]}},
                    "signatureHelp": {
                        "signatureInformation": {"documentationFormat": ["markdown"]}
                    },
                },
            }
            params = {
                # The server ends when this process has ended.
                "processId": os.getpid(),
                "rootUri": root,
                "workspaceFolders": [{"uri": root, "name": "notebook"}],
                "capabilities": capabilities,
                "initializationOptions": SETTINGS,
            }
            await client.request("initialize", params)
            client.notify("initialized", {})
        except BaseException:
            await client.stop()
            raise
        self._open.clear()
        self._client = client
        return client

    def _show(self, client: LspClient, role: str, cells: Cells) -> tuple[list[str], int]:
        """Shows the cells to the server. Returns the addresses of their modules, and the line, from
        0, at which the last cell begins in the last of them."""

        def name(n: int) -> str:
            return f".{role}_{n + 1}.ts"

        texts, first_line = documents.modules(cells, lambda n: f"./{name(n)}")
        # The files do not exist. Their folder decides what their imports mean.
        uris = [(self._folder / name(n)).as_uri() for n in range(len(texts))]
        for uri, text in zip(uris, texts):
            version, old = self._open.get(uri, (0, ""))
            if version and text == old:
                continue
            self._open[uri] = (version + 1, text)
            document = {"uri": uri, "version": version + 1}
            if version == 0:
                document |= {"languageId": "typescript", "text": text}
                client.notify("textDocument/didOpen", {"textDocument": document})
            else:
                changes = {"textDocument": document, "contentChanges": [change(old, text)]}
                client.notify("textDocument/didChange", changes)
        unused = (self._folder / name(len(texts))).as_uri()
        n = len(texts)
        while unused in self._open:
            client.notify("textDocument/didClose", {"textDocument": {"uri": unused}})
            del self._open[unused]
            n += 1
            unused = (self._folder / name(n)).as_uri()
        return uris, first_line

    async def _check(self, cells: Cells) -> list[Diagnostic]:
        client = await self._running()
        (*_, uri), first_line = self._show(client, "check", cells)
        document = {"textDocument": {"uri": uri}}
        report = await client.request("textDocument/diagnostic", document)
        return diagnostics_of(report["items"], cells[-1][1], first_line)

    async def _accepts(self, cells: Cells) -> bool:
        """Whether the compiler finds no error in any module of the cells."""
        client = await self._running()
        for uri in self._show(client, "check", cells)[0]:
            document = {"textDocument": {"uri": uri}}
            report = await client.request("textDocument/diagnostic", document)
            if any(item.get("severity") == 1 for item in report["items"]):
                return False
        return True

    async def _complete(self, cells: Cells, code: str, cursor_pos: int) -> dict | None:
        async with self._locks["help"]:
            client = await self._running()
            (*_, uri), first_line = self._show(client, "help", [*cells, ("", code)])
            place = at(uri, first_line, code, cursor_pos)
            items = await completions(client, place)
            if not items:
                return None
            word = re.search(r"[\w$]*$", code[:cursor_pos]).start()
            chosen = []
            for item in items:
                edit = item.get("textEdit")
                begin = word
                if edit:
                    place = (edit.get("range") or edit["insert"])["start"]
                    begin = offset(code, place, first_line)
                label = item["label"].removesuffix("?")
                text = edit["newText"] if edit else item.get("insertText", label)
                filter_text = item.get("filterText", text)
                if filter_text.casefold().startswith(code[begin:cursor_pos].casefold()):
                    chosen.append((begin, text, item))
            # Jupyter replaces one range for all. Others, such as `?.x`, are rare.
            start = min((begin for begin, *_ in chosen), default=cursor_pos)
            chosen = [one for one in chosen if one[0] == start]
            chosen.sort(key=lambda one: (one[2].get("sortText", ""), one[1]))
            few = chosen if len(chosen) <= MOST_SIGNATURES else []
            full = await resolve(client, [item for *_, item in few], COMPLETE_SECONDS / 2)
            details = [help_text.detail(item) for item in full]
        types = [
            {
                "start": start,
                "end": cursor_pos,
                "text": text,
                "type": KINDS.get(item.get("kind"), "text"),
                "signature": details[n] if n < len(details) else "",
            }
            for n, (_, text, item) in enumerate(chosen)
        ]
        return {
            "status": "ok",
            "matches": [text for _, text, _ in chosen],
            "cursor_start": start,
            "cursor_end": cursor_pos,
            "metadata": {"_jupyter_types_experimental": types},
        }

    async def _inspect(self, cells: Cells, code: str, cursor_pos: int) -> dict | None:
        async with self._locks["help"]:
            client = await self._running()
            (*_, uri), first_line = self._show(client, "help", [*cells, ("", code)])
            markdown = await self._help(client, uri, first_line, code, cursor_pos)
        if not markdown:
            return None
        data = {"text/markdown": markdown, "text/plain": help_text.plain(markdown)}
        return {"status": "ok", "found": True, "data": data, "metadata": {}}

    async def _help(
        self, client: LspClient, uri: str, first_line: int, code: str, cursor_pos: int
    ) -> str:
        """The help at the cursor: of the name, of the options, or of the call around it."""
        here = at(uri, first_line, code, cursor_pos)
        in_braces = documents.tokens_of(code[:cursor_pos])[1][-1:] == ["{"]
        before = re.search(r"[\w$]*$", code[:cursor_pos])[0]
        if before or re.match(r"[\w$]", code[cursor_pos : cursor_pos + 1]):
            place = at(uri, first_line, code, cursor_pos - len(before))
            hover = help_text.hover(await client.request("textDocument/hover", place))
            # A name that is not complete yet has the type `any`.
            if hover and not (in_braces and ": any\n" in hover):
                return hover
        signature = help_text.signature(await client.request("textDocument/signatureHelp", here))
        if in_braces and signature:
            items = await completions(client, here)
            if 0 < len(items) <= MOST_SIGNATURES and all(
                KINDS.get(item.get("kind")) in MEMBER_KINDS for item in items
            ):
                full = await resolve(client, items, INSPECT_SECONDS / 2)
                return help_text.options(signature, full)
        return signature


async def completions(client: LspClient, place: dict) -> list[dict]:
    """The completions at a place: the server answers with a list, with an object, or with none."""
    answer = await client.request("textDocument/completion", place)
    return answer["items"] if isinstance(answer, dict) else answer or []


async def resolve(client: LspClient, items: list[dict], seconds: float) -> list[dict]:
    """The completions with their types and texts, as far as these come in time."""
    requests = [
        asyncio.ensure_future(client.request("completionItem/resolve", item)) for item in items
    ]
    try:
        if requests:
            await asyncio.wait(requests, timeout=seconds)
        return [
            request.result() if request.done() and not request.exception() else item
            for request, item in zip(requests, items)
        ]
    finally:
        for request in requests:
            request.cancel()


def project_root(folder: Path) -> Path:
    """The nearest folder upwards with a configuration of Deno, or the folder itself."""
    for candidate in (folder, *folder.parents):
        if (candidate / "deno.json").exists() or (candidate / "deno.jsonc").exists():
            return candidate
    return folder


def change(old: str, new: str) -> dict:
    """One change that makes the lines of `old` those of `new`."""
    a, b = old.split("\n"), new.split("\n")
    start = end = 0
    while start < min(len(a), len(b)) - 1 and a[start] == b[start]:
        start += 1
    while end < min(len(a), len(b)) - 1 - start and a[-1 - end] == b[-1 - end]:
        end += 1
    last = len(a) - 1 - end
    changed = {
        "start": {"line": start, "character": 0},
        "end": {"line": last, "character": utf16(a[last])},
    }
    return {"range": changed, "text": "\n".join(b[start : len(b) - end])}


def utf16(text: str) -> int:
    """The length in the units in which LSP counts. Python and Jupyter count characters."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def characters(line: str, units: int) -> int:
    """The number of characters in the first `units` units of a line."""
    part = line.encode("utf-16-le", "surrogatepass")[: 2 * units]
    return len(part.decode("utf-16-le", "ignore"))


def at(uri: str, first_line: int, code: str, cursor_pos: int) -> dict:
    """The parameters of a request about a place in the last cell."""
    before = code[:cursor_pos].split("\n")
    position = {"line": first_line + len(before) - 1, "character": utf16(before[-1])}
    return {"textDocument": {"uri": uri}, "position": position}


def offset(code: str, position: dict, first_line: int) -> int:
    """The index in the last cell of a place in its module."""
    lines = code.split("\n")
    line = position["line"] - first_line
    before = sum(len(text) + 1 for text in lines[:line])
    return before + characters(lines[line], position["character"])


def diagnostics_of(items: list[dict], text: str, first_line: int) -> list[Diagnostic]:
    """The errors of the compiler in the last cell, of those in its module."""
    missing = any(item.get("source") == "deno" for item in items)
    errors = [
        item
        for item in items
        if item.get("severity") == 1
        # Other sources are hints, and modules that the kernel downloads when the cell runs.
        and item.get("source") == "deno-ts"
        and not item.get("tags")
        and item["range"]["start"]["line"] >= first_line
        and not (missing and int(item["code"]) in IMPLICIT_ANY)
    ]
    # After a mistake in the syntax, what the compiler says about types is misleading.
    syntax = [item for item in errors if int(item["code"]) in SYNTAX_ERRORS]
    lines = text.split("\n")

    def place(position: dict) -> tuple[int, int]:
        line = min(position["line"] - first_line, len(lines) - 1)
        return line + 1, characters(lines[line], position["character"]) + 1

    return with_joined_names([
        Diagnostic(
            *place(item["range"]["start"]),
            *place(item["range"]["end"]),
            help_text.message(item["message"], item.get("relatedInformation") or []),
            is_error=True,
        )
        for item in syntax or errors
    ])


def with_joined_names(found: list[Diagnostic]) -> list[Diagnostic]:
    """Makes one error of all names of a line that do not exist."""
    joined: dict = {}
    for each in found:
        name = re.fullmatch(r"Cannot find name '([^']+)'\.", each.message)
        joined.setdefault(each.line if name else each, []).append((each, name and name[1]))
    result = []
    for group in joined.values():
        (first, name), (last, _) = group[0], group[-1]
        names = list(dict.fromkeys(each for _, each in group))
        if len(names) > 1:
            listed = ", ".join(f"'{each}'" for each in names[:-1])
            first = replace(
                first,
                end_line=last.end_line,
                end_column=last.end_column,
                message=f"Cannot find names {listed} and '{names[-1]}'.",
            )
        result.append(first)
    return result
