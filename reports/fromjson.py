"""From parsed JSON to dataclasses, and from dataclasses to the JSON schema that describes them.

Dataclasses of plain fields: str, int, float, bool, None, Any, lists, dicts with text keys, unions with None, and
other dataclasses.
"""

from __future__ import annotations

import dataclasses
import inspect
import types
from functools import cache
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

T = TypeVar("T")


class Mismatch(ValueError):
    """A value that is not what the dataclass says; names the place."""


def from_json(cls: type[T], raw: Any, place: str = "") -> T:
    """A dataclass from parsed JSON.

    Raises:
        Mismatch: a field is missing, not known, or of a wrong type.
    """
    made = _convert(cls, raw, place)
    assert isinstance(made, cls)
    return made


@cache
def _hints(cls: type) -> dict[str, Any]:
    return get_type_hints(cls)


@cache
def _needed(cls: type) -> tuple[tuple[str, bool], ...]:
    missing = dataclasses.MISSING
    return tuple(
        (f.name, f.default is missing and f.default_factory is missing)
        for f in dataclasses.fields(cls)
    )  # fmt: skip


def _convert(kind: Any, raw: Any, place: str) -> Any:
    if kind is Any:
        return raw
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        return _object(kind, raw, place)
    origin = get_origin(kind)
    if origin in (Union, types.UnionType):
        if raw is None and type(None) in get_args(kind):
            return None
        inner = [a for a in get_args(kind) if a is not type(None)]
        return _convert(inner[0], raw, place)
    if origin is list:
        if not isinstance(raw, list):
            raise Mismatch(f"{place} is no list")
        inside = get_args(kind)[0]
        if inside in (str, int, Any) and all(type(v) is inside or inside is Any for v in raw):
            return raw
        return [_convert(inside, value, f"{place}[{number}]") for number, value in enumerate(raw)]
    if origin is dict:
        if not isinstance(raw, dict):
            raise Mismatch(f"{place} is no object")
        inside = get_args(kind)[1]
        return {key: _convert(inside, value, f"{place}.{key}") for key, value in raw.items()}
    if kind is float and type(raw) in (int, float):
        return raw
    if type(raw) is not kind:
        raise Mismatch(f"{place} is {raw!r}, which is no {kind.__name__}")
    return raw


def _object(cls: type, raw: Any, place: str) -> Any:
    if not isinstance(raw, dict):
        raise Mismatch(f"{place or cls.__name__} is no object")
    hints, values = _hints(cls), {}
    for name, needed in _needed(cls):
        if name in raw:
            values[name] = _convert(hints[name], raw[name], f"{place}.{name}" if place else name)
        elif needed:
            raise Mismatch(f"{place + '.' if place else ''}{name} is missing")
    for name in raw:
        if name not in hints:
            raise Mismatch(f"{place + '.' if place else ''}{name} is not known")
    return cls(**values)


def schema(cls: type, identity: str, title: str, fixed: dict[str, Any]) -> dict[str, Any]:
    """JSON Schema (2020-12) of a dataclass.

    Args:
        cls: the whole document.
        identity: its $id.
        title: in words.
        fixed: more properties of the document, with their schemas.
    """
    defs: dict[str, Any] = {}
    top = _schema_of(cls, defs)
    top["properties"] = {**fixed, **top["properties"]}
    top["required"] = [*fixed, *top["required"]]
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": identity, "title": title}
    return {**head, **top, "$defs": {name: defs[name] for name in sorted(defs)}}


def _schema_of(cls: type, defs: dict[str, Any]) -> dict[str, Any]:
    hints = _hints(cls)
    return {
        "description": inspect.cleandoc(cls.__doc__ or ""),
        "type": "object",
        "properties": {name: _type(hints[name], defs) for name, _ in _needed(cls)},
        "required": [name for name, _ in _needed(cls)],
        "additionalProperties": False,
    }


def _type(kind: Any, defs: dict[str, Any]) -> dict[str, Any]:
    if kind is Any:
        return {}
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        if kind.__name__ not in defs:
            defs[kind.__name__] = {}
            defs[kind.__name__] = _schema_of(kind, defs)
        return {"$ref": f"#/$defs/{kind.__name__}"}
    origin = get_origin(kind)
    if origin in (Union, types.UnionType):
        return {"anyOf": [_type(a, defs) for a in get_args(kind)]}
    if origin is list:
        return {"type": "array", "items": _type(get_args(kind)[0], defs)}
    if origin is dict:
        return {"type": "object", "additionalProperties": _type(get_args(kind)[1], defs)}
    names = {str: "string", int: "integer", float: "number", bool: "boolean", type(None): "null"}
    return {"type": names[kind]}
