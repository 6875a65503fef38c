"""How two JSON documents differ, told place by place in words; entries of lists are known by their names.

Knows nothing of what the documents are about.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

NAMES = ("id", "name", "requirement", "test", "path", "file", "t")
"""Fields that name an entry of a list, the first that all of them have and that tells them apart."""
LONGEST = 80
"""Characters of a value that are shown."""


def differences(said: Any, should: Any, most: int = 50) -> list[str]:
    """What a document says that it should not, or fails to say; at most so many places, then how many more.

    Args:
        said: the document as it is.
        should: as it should be.
        most: how many places to name.
    """
    found = list(_differ("", said, should))
    if len(found) > most:
        return [*found[:most], f"… and {len(found) - most:,} more"]
    return found


def _differ(place: str, said: Any, should: Any) -> Iterator[str]:
    if isinstance(said, Mapping) and isinstance(should, Mapping):
        for key in {**should, **said}:
            inner = f"{place}.{key}" if place else str(key)
            if key not in said:
                yield f"{inner} is missing; it should be {_shown(should[key])}"
            elif key not in should:
                yield f"{inner} should not be there; it says {_shown(said[key])}"
            else:
                yield from _differ(inner, said[key], should[key])
    elif _is_list(said) and _is_list(should):
        yield from _lists(place, said, should)
    elif type(said) is not type(should) or said != should:
        yield f"{place} says {_shown(said)}, it should say {_shown(should)}"


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str)


def _lists(place: str, said: Sequence[Any], should: Sequence[Any]) -> Iterator[str]:
    key = _naming(said, should)
    if key is None:
        for number in range(max(len(said), len(should))):
            inner = f"{place}[{number}]"
            if number >= len(said):
                yield f"{inner} is missing; it should be {_shown(should[number])}"
            elif number >= len(should):
                yield f"{inner} should not be there; it says {_shown(said[number])}"
            else:
                yield from _differ(inner, said[number], should[number])
        return
    ours, theirs = {e[key]: e for e in said}, {e[key]: e for e in should}
    for name in {**theirs, **ours}:
        inner = f"{place}[{name}]"
        if name not in ours:
            yield f"{inner} was removed"
        elif name not in theirs:
            yield f"{inner} was added"
        else:
            yield from _differ(inner, ours[name], theirs[name])
    if set(ours) == set(theirs) and list(ours) != list(theirs):
        yield f"{place} is in another order"


def _naming(*lists: Sequence[Any]) -> str | None:
    """The field that names the entries of these lists, if one does."""
    if not any(lists):
        return None
    for key in NAMES:
        if all(_names(key, entries) for entries in lists):
            return key
    return None


def _names(key: str, entries: Sequence[Any]) -> bool:
    """Whether a field tells all entries of a list apart."""
    if not all(isinstance(e, Mapping) and isinstance(e.get(key), str | int) for e in entries):
        return False
    return len({e[key] for e in entries}) == len(entries)


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"
