"""Reads a TOML file so that every complaint names file, line and mend.

Knows TOML and types; knows nothing of what a bench is.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path

Scalar = str | int | float | bool
KeyPath = tuple[str, ...]

_KINDS: dict[type, str] = {
    str: "a text in quotes",
    int: "a whole number",
    bool: "true or false",
    list: "a list",
    dict: "a table",
    float: "a number",
}


class BenchError(Exception):
    """A bench cannot be used as it is.

    Attributes:
        file: the bench file.
        line: where in it, from 1; None: nowhere in particular.
        mend: what to do.
    """

    def __init__(self, file: Path | None, line: int | None, text: str, mend: str) -> None:
        place = f"{file}" if file is not None else "bench"
        if line is not None:
            place += f", line {line}"
        super().__init__(f"{place}: {text}; {mend}")
        self.file = file
        self.line = line
        self.mend = mend


def positions(text: str) -> dict[KeyPath, int]:
    """The line of each table and key of a valid TOML document, from 1.

    The parser itself finds where statements end: lines are gathered until they parse, so that texts and lists
    over several lines need no grammar of our own.
    """
    found: dict[KeyPath, int] = {}
    table: KeyPath = ()
    statement = ""
    begins = 0
    for number, line in enumerate(text.splitlines(), start=1):
        if not statement:
            begins = number
        statement += line + "\n"
        try:
            parsed = tomllib.loads(statement)
        except tomllib.TOMLDecodeError:
            continue
        if re.match(r"\s*\[", statement):
            table = _only_path(parsed)
            found.setdefault(table, begins)
        else:
            for path in _paths(parsed):
                found.setdefault(table + path, begins)
        statement = ""
    return found


def _only_path(parsed: Mapping[str, object]) -> KeyPath:
    path: KeyPath = ()
    inner: object = parsed
    while inner:
        if isinstance(inner, list):
            inner = inner[0]
        elif isinstance(inner, dict):
            key = next(iter(inner))
            path += (str(key),)
            inner = inner[key]
    return path


def _paths(parsed: Mapping[str, object]) -> list[KeyPath]:
    paths: list[KeyPath] = []
    for key, value in parsed.items():
        paths.append((key,))
        if isinstance(value, dict):
            paths += [(key, *rest) for rest in _paths(value)]
    return paths


class Table:
    """One table of a file; every key must be asked for before `end`.

    Args:
        file: for messages.
        lines: where each key stands.
        path: of this table.
        content: what it holds.
    """

    def __init__(
        self, file: Path, lines: Mapping[KeyPath, int], path: KeyPath, content: Mapping[str, object]
    ) -> None:
        self._file = file
        self._lines = lines
        self._path = path
        self._content = content
        self._known: list[str] = []

    @classmethod
    def load(cls, file: Path) -> Table:
        """The top of a TOML file.

        Raises:
            BenchError: it cannot be read, or is not TOML.
        """
        try:
            text = file.read_text("utf-8")
        except OSError as error:
            raise BenchError(
                file,
                None,
                f"cannot be read ({error.strerror})",
                "is the path right, and may this user read it?",
            ) from error
        except UnicodeDecodeError as error:
            raise BenchError(file, None, "is not UTF-8 text", "save it as UTF-8, as TOML asks") from error
        try:
            content = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            what, line = _toml_place(str(error), text)
            raise BenchError(
                file, line, f"not TOML: {what}", "texts stand in quotes, tables in [brackets], one key a line"
            ) from error
        return cls(file, positions(text), (), content)

    def line(self, key: str | None = None) -> int | None:
        """Where a key stands, or where this table begins."""
        path = self._path if key is None else (*self._path, key)
        while path:
            if path in self._lines:
                return self._lines[path]
            path = path[:-1]
        return None

    def error(self, key: str | None, text: str, mend: str) -> BenchError:
        """A complaint about a key of this table, or about the table."""
        return BenchError(self._file, self.line(key), text, mend)

    def has(self, key: str) -> bool:
        """Whether a key is there; makes it a known one."""
        self._known.append(key)
        return key in self._content

    def text(self, key: str, default: str | None = None, choices: Sequence[str] = ()) -> str:
        """A text, one of `choices` if there are any; a must if there is no default."""
        value = self._take(key, str, default)
        assert isinstance(value, str)
        if choices and value not in choices:
            near = _suggest(value, choices)
            raise self.error(
                key, f'{self._name(key)} is "{value}"', near or f"it is one of {_listed(choices)}"
            )
        if not value.strip():
            raise self.error(key, f"{self._name(key)} is empty", "fill it in, or remove the line")
        return value

    def whole(self, key: str, low: int, high: int, default: int | None = None) -> int:
        """A whole number from `low` to `high`."""
        value = self._take(key, int, default)
        assert isinstance(value, int)
        if not low <= value <= high:
            raise self.error(key, f"{self._name(key)} is {value}", f"it may be from {low} to {high}")
        return value

    def texts(self, key: str, default: tuple[str, ...]) -> tuple[str, ...]:
        """A list of texts."""
        value = self._take(key, list, list(default))
        assert isinstance(value, list)
        if not value or not all(isinstance(one, str) for one in value):
            raise self.error(key, f"{self._name(key)} is not a list of texts", 'write it as ["one", "two"]')
        return tuple(value)

    def scalars(self, key: str) -> dict[str, Scalar]:
        """A table of any keys with plain values; empty if it is not there."""
        value = self._take(key, dict, {})
        assert isinstance(value, dict)
        plain: dict[str, Scalar] = {}
        for name, one in value.items():
            if not isinstance(one, str | int | float | bool):
                inner = Table(self._file, self._lines, (*self._path, key), value)
                raise inner.error(
                    name, f"{inner._name(name)} is not a plain value", "give a text, number or true/false"
                )
            plain[name] = one
        return plain

    def table(self, key: str, why: str) -> Table:
        """A table below this one; `why` says what it is for, should it be missing."""
        value = self._take(key, dict, None, why)
        assert isinstance(value, dict)
        return Table(self._file, self._lines, (*self._path, key), value)

    def end(self) -> None:
        """Complains of keys that nobody asked for.

        Raises:
            BenchError: there is one.
        """
        for key in self._content:
            if key not in self._known:
                near = _suggest(key, self._known)
                where = f"[{'.'.join(self._path)}]" if self._path else "a bench file"
                raise self.error(
                    key,
                    f'unknown key "{key}"',
                    near or f"{where} may have {_listed(sorted(set(self._known)))}",
                )

    def _take(self, key: str, kind: type, default: object, why: str = "") -> object:
        self._known.append(key)
        if key not in self._content:
            if default is None:
                # A misspelt key is the likeliest reason that one is missing.
                unknown = [one for one in self._content if _suggest(one, [key])]
                if unknown:
                    raise self.error(unknown[0], f'unknown key "{unknown[0]}"', f'did you mean "{key}"?')
                mend = f"add [{'.'.join((*self._path, key))}]" if kind is dict else f"add {key} = …"
                raise self.error(None, f"{self._name(key)} is missing", f"{mend} ({why or _KINDS[kind]})")
            return default
        value = self._content[key]
        # In Python True is an int; in a bench file it never is.
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            got = _KINDS.get(type(value), "a date or time")
            raise self.error(key, f"{self._name(key)} is {got}", f"it must be {_KINDS[kind]}")
        return value

    def _name(self, key: str) -> str:
        return ".".join((*self._path, key))


def _suggest(word: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    return f'did you mean "{near[0]}"?' if near else ""


def _listed(words: Sequence[str]) -> str:
    return ", ".join(f'"{word}"' for word in words)


def _toml_place(message: str, text: str) -> tuple[str, int | None]:
    """The parser's complaint without its place, and the line."""
    match = re.search(r" \(at (?:line (\d+), column \d+|end of document)\)$", message)
    if match is None:
        return message, None
    line = int(match[1]) if match[1] else max(1, len(text.splitlines()))
    return message[: match.start()], line
