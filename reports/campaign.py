"""campaign.toml: what only people know of a campaign, read with complaints that name file, line and mend.

Laboratory, customer, place, order, item, sampling, approvers. Each key says which clause of ISO/IEC 17025:2017 asks for
it; what is missing is listed, never guessed. Knows nothing of results and of how a report looks.
"""

from __future__ import annotations

import dataclasses
import difflib
import hashlib
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

NAME = "campaign.toml"
"""The file's name beside a results.json."""


class CampaignError(ValueError):
    """A campaign.toml that cannot be used; the text names file, line, key and mend."""


def said(label: str, clause: str = "", *, needed: bool = False, item: bool = False, kind: str = "text") -> Any:
    """A field of one of the tables below.

    Args:
        label: what the report calls it.
        clause: of ISO/IEC 17025:2017, if that asks for it.
        needed: a report without it is incomplete.
        item: it is about a thing that was delivered, so that a campaign on the emulated ECU has none.
        kind: "text", or "date" (2026-01-31).
    """
    return field(
        default="", metadata={"label": label, "clause": clause, "needed": needed, "item": item, "kind": kind}
    )


def dated(label: str, clause: str = "", *, needed: bool = False, item: bool = False) -> Any:
    """A field that holds a date."""
    return said(label, clause, needed=needed, item=item, kind="date")


def listed(label: str, clause: str = "") -> Any:
    """A field that holds several texts."""
    meta = {"label": label, "clause": clause, "needed": False, "item": False, "kind": "list"}
    return field(default=(), metadata=meta)


@dataclass(frozen=True, slots=True)
class Report:
    """[report]: the document itself."""

    number: str = said("report number", "7.8.2.1 d")
    issued: str = dated("date of issue", "7.8.2.1 j", needed=True)
    remarks: str = said("remarks", "7.8.3.1 e")
    opinions: str = said("opinions and interpretations", "7.8.3.1 d")
    opinions_by: str = said("who gives them and is authorised to", "7.8.7.1")
    opinions_basis: str = said("what they rest on", "7.8.7.2")


@dataclass(frozen=True, slots=True)
class Laboratory:
    """[laboratory]: who tested."""

    name: str = said("laboratory", "7.8.2.1 b", needed=True)
    address: str = said("address", "7.8.2.1 b", needed=True)
    contact: str = said("contact")
    accreditation: str = said("accreditation")
    place: str = said("place of the activities", "7.8.2.1 c", needed=True)


@dataclass(frozen=True, slots=True)
class Customer:
    """[customer]: who ordered."""

    name: str = said("customer", "7.8.2.1 e", needed=True)
    address: str = said("address", "7.8.2.1 e", needed=True)
    contact: str = said("contact", "7.8.2.1 e")
    order: str = said("order")
    states: tuple[str, ...] = listed("stated by the customer", "7.8.2.2")


@dataclass(frozen=True, slots=True)
class Item:
    """[item]: the device under test, as people describe it."""

    description: str = said("description", "7.8.2.1 g", needed=True, item=True)
    manufacturer: str = said("manufacturer", "7.8.2.1 g", item=True)
    part_number: str = said("part number", "7.8.2.1 g", needed=True, item=True)
    serial_number: str = said("serial number", "7.8.2.1 g", needed=True, item=True)
    hardware: str = said("hardware version", "7.8.2.1 g", item=True)
    firmware: str = said("firmware version", "7.8.2.1 g", item=True)
    firmware_sha256: str = said("firmware, SHA-256", "7.8.2.1 g", needed=True, item=True)
    condition: str = said("condition on receipt", "7.8.2.1 g", item=True)
    received: str = dated("date of receipt", "7.8.2.1 h", needed=True, item=True)


@dataclass(frozen=True, slots=True)
class Sampling:
    """[sampling]: where the item came from."""

    by: str = said("sampled by", "7.8.2.1 k", needed=True, item=True)
    plan: str = said("sampling plan and method", "7.8.2.1 k", needed=True, item=True)
    taken: str = dated("date of sampling", "7.8.2.1 h", item=True)


@dataclass(frozen=True, slots=True)
class Method:
    """[method]: what was done otherwise than the method says."""

    standards: tuple[str, ...] = listed("methods and specifications", "7.8.2.1 f")
    additions: tuple[str, ...] = listed("additions", "7.8.2.1 n")
    deviations: tuple[str, ...] = listed("deviations", "7.8.2.1 n")
    exclusions: tuple[str, ...] = listed("exclusions", "7.8.2.1 n")
    decision_rule: str = said("decision rule agreed with the customer", "7.8.6.1")


@dataclass(frozen=True, slots=True)
class Conditions:
    """[conditions]: around the bench."""

    temperature: str = said("ambient temperature", "7.8.3.1 a", needed=True, item=True)
    humidity: str = said("relative humidity", "7.8.3.1 a", item=True)
    supply: str = said("supply of the item", "7.8.3.1 a", item=True)
    other: str = said("other conditions", "7.8.3.1 a", item=True)


@dataclass(frozen=True, slots=True)
class Equipment:
    """[[equipment]]: one device of the bench that was measured with."""

    name: str = said("device")
    serial_number: str = said("serial number")
    calibrated: str = dated("calibrated")
    due: str = dated("calibration due")
    certificate: str = said("calibration certificate")
    uncertainty: str = said("uncertainty")


@dataclass(frozen=True, slots=True)
class External:
    """[[external]]: results that somebody else provided."""

    provider: str = said("provider", "7.8.2.1 p")
    results: str = said("what", "7.8.2.1 p")


@dataclass(frozen=True, slots=True)
class Person:
    """[[person]]: who answers for the report."""

    name: str = said("name", "7.8.2.1 o")
    role: str = said("role", "7.8.2.1 o")
    function: str = said("function", "7.8.2.1 o")


ROLES = ("author", "approver")
"""What a person may be to a report."""


@dataclass(frozen=True, slots=True)
class Missing:
    """Something that the standard asks for and nobody said."""

    key: str
    label: str
    clause: str

    def __str__(self) -> str:
        return f"{self.key} ({self.label}; ISO/IEC 17025:2017, {self.clause})"


@dataclass(frozen=True, slots=True)
class Particulars:
    """The whole file.

    Attributes:
        sha256: of the file's bytes; "" if there is none.
    """

    report: Report = field(default_factory=Report)
    laboratory: Laboratory = field(default_factory=Laboratory)
    customer: Customer = field(default_factory=Customer)
    item: Item = field(default_factory=Item)
    sampling: Sampling = field(default_factory=Sampling)
    method: Method = field(default_factory=Method)
    conditions: Conditions = field(default_factory=Conditions)
    equipment: tuple[Equipment, ...] = ()
    external: tuple[External, ...] = ()
    person: tuple[Person, ...] = ()
    sha256: str = ""

    def missing(self, *, emulated: bool) -> list[Missing]:
        """What ISO/IEC 17025:2017 asks for and this file does not say.

        Args:
            emulated: the DUT was the emulated ECU, so that nothing was received, sampled or at a temperature.
        """
        out = []
        for table in _TABLES:
            part = getattr(self, table)
            for at in dataclasses.fields(part):
                meta = at.metadata
                if meta["needed"] and not (emulated and meta["item"]) and not getattr(part, at.name):
                    out.append(Missing(f"{table}.{at.name}", meta["label"], meta["clause"]))
        if self.report.opinions:
            for name in ("opinions_by", "opinions_basis"):
                if not getattr(self.report, name):
                    meta = next(f.metadata for f in dataclasses.fields(Report) if f.name == name)
                    out.append(Missing(f"report.{name}", meta["label"], meta["clause"]))
        if not any(p.role == "approver" for p in self.person):
            out.append(Missing("person", "who authorises the report: a [[person]] with role \"approver\"", "7.8.2.1 o"))
        return out

    def by_customer(self, key: str) -> bool:
        """Whether the customer supplied it: `table.key` or a whole table."""
        return key in self.customer.states or key.partition(".")[0] in self.customer.states


_TABLES: dict[str, type[Any]] = {
    "report": Report, "laboratory": Laboratory, "customer": Customer, "item": Item, "sampling": Sampling,
    "method": Method, "conditions": Conditions,
}  # fmt: skip
_LISTS: dict[str, type[Any]] = {"equipment": Equipment, "external": External, "person": Person}


def load_campaign(file: Path) -> Particulars:
    """Reads a campaign.toml.

    Raises:
        CampaignError: it cannot be read, is not TOML, or has a key that is not known or of a wrong kind.
    """
    try:
        raw = file.read_bytes()
        text = raw.decode("utf-8")
    except OSError as error:
        raise CampaignError(f"{file}: cannot be read ({error.strerror}); is the path right?") from None
    except UnicodeDecodeError:
        raise CampaignError(f"{file}: is not UTF-8 text; save it as UTF-8, as TOML asks") from None
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise CampaignError(
            f"{file}: not TOML: {error}; texts stand in quotes, tables in [brackets], dates as 2026-01-31"
        ) from None
    return _Reader(file, text).read(content, hashlib.sha256(raw).hexdigest())


class _Reader:
    def __init__(self, file: Path, text: str) -> None:
        self.file = file
        self.lines = _lines(text)

    def read(self, content: Mapping[str, object], sha256: str) -> Particulars:
        self._known(content, (), [*_TABLES, *_LISTS])
        parts: dict[str, Any] = {}
        for name, cls in _TABLES.items():
            if name in content:
                parts[name] = self._table(content[name], (name, 0), cls)
        for name, cls in _LISTS.items():
            if name in content:
                parts[name] = tuple(self._each(content[name], name, cls))
        for place, person in enumerate(parts.get("person", ())):
            self._role(person, ("person", place))
        digest = parts["item"].firmware_sha256 if "item" in parts else ""
        if digest and not re.fullmatch(r"[0-9a-f]{64}", digest):
            raise self._error(("item", 0), "firmware_sha256",
                              f'"{digest}" is no SHA-256; sha256sum prints one: 64 digits 0-9 and a-f')  # fmt: skip
        particulars = Particulars(**parts, sha256=sha256)
        for key in particulars.customer.states:
            if key not in _keys():
                near = difflib.get_close_matches(key, _keys(), 1)
                hint = f'did you mean "{near[0]}"?' if near else 'name keys as "item.hardware", or a whole table'
                raise self._error(("customer", 0), "states", f'"{key}" is no key of this file; {hint}')
        return particulars

    def _table(self, content: object, at: tuple[str, int], cls: type[Any]) -> Any:
        if not isinstance(content, dict):
            raise self._error((at[0], 0), "", f"{at[0]} is a table: write [{at[0]}] and its keys below")
        fields = {f.name: f for f in dataclasses.fields(cls)}
        self._known(content, at, list(fields))
        return cls(**{key: self._value(value, fields[key], at) for key, value in content.items()})

    def _each(self, content: object, name: str, cls: type[Any]) -> Iterator[Any]:
        if not isinstance(content, list):
            raise self._error((name, 0), "", f"there may be several of these: write [[{name}]], in two brackets")
        for place, one in enumerate(content):
            read = self._table(one, (name, place), cls)
            first = dataclasses.fields(cls)[0].name
            if not getattr(read, first):
                raise self._error((name, place), "", f"[[{name}]] has no {first}; give it one")
            yield read

    def _value(self, value: object, at: dataclasses.Field[Any], table: tuple[str, int]) -> object:
        kind = at.metadata["kind"]
        if kind == "list":
            if isinstance(value, list) and all(isinstance(v, str) for v in value):
                return tuple(str(v).strip() for v in value)
            raise self._error(table, at.name, f'{at.name} is a list of texts: {at.name} = ["…", "…"]')
        if kind == "date":
            if isinstance(value, date):
                return value.isoformat()[:10]
            raise self._error(table, at.name, f"{at.name} is a date without quotes: {at.name} = 2026-01-31")
        if isinstance(value, str):
            return value.strip()
        raise self._error(table, at.name, f'{at.name} is a text in quotes: {at.name} = "{value}"')

    def _role(self, person: Person, at: tuple[str, int]) -> None:
        if person.role not in ROLES:
            what = f'"{person.role}" is no role' if person.role else f"{person.name} has no role"
            raise self._error(at, "role", f"{what}; a person's role is " + " or ".join(f'"{r}"' for r in ROLES))

    def _known(self, content: Mapping[str, object], at: tuple[str, int] | tuple[()], known: list[str]) -> None:
        for key in content:
            if key not in known:
                near = difflib.get_close_matches(key, known, 1)
                hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(known)}"
                where = f"[{at[0]}] " if at else ""
                raise self._error(at or (key, 0), key if at else "", f"{where}has no {key}; {hint}" if at else
                                  f"[{key}] is not known; {hint}")  # fmt: skip

    def _error(self, at: tuple[str, int], key: str, text: str) -> CampaignError:
        line = self.lines.get((*at, key)) or self.lines.get((*at, ""))
        return CampaignError(f"{self.file}{f', line {line}' if line else ''}: {text}")


def _keys() -> list[str]:
    """Everything that a customer may have stated."""
    out = [*_TABLES, *_LISTS]
    for name, cls in _TABLES.items():
        out += [f"{name}.{f.name}" for f in dataclasses.fields(cls)]
    return out


def _lines(text: str) -> dict[tuple[str, int, str], int]:
    """The line of each table ("" as key) and key; of tables in two brackets, which one it is."""
    found: dict[tuple[str, int, str], int] = {}
    seen: dict[str, int] = {}
    table, place = "", 0
    for number, line in enumerate(text.splitlines(), start=1):
        head = re.match(r"\s*\[\[?\s*([\w-]+)", line)
        if head:
            table = head[1]
            place = seen.get(table, -1) + 1 if "[[" in line else 0
            seen[table] = place
            found.setdefault((table, place, ""), number)
            continue
        key = re.match(r"\s*([\w-]+)\s*=", line)
        if key:
            found.setdefault((table, place, key[1]), number)
            if not table:
                found.setdefault((key[1], 0, ""), number)
    return found


def template() -> str:
    """A campaign.toml with every key, to be filled in; as it stands it says nothing."""
    out = [
        "# What only people know of a campaign. Take the # from a line and fill it in; what stays out is printed as",
        "# not stated. Behind each key: what it is, and the clause of ISO/IEC 17025:2017 that asks for it.",
        "",
    ]
    for name, cls in (*_TABLES.items(), *_LISTS.items()):
        head = f"[{name}]" if name in _TABLES else f"# [[{name}]]"
        out.append(f"{head}  # {(cls.__doc__ or '').split(': ', 1)[1].rstrip('.')}" + _several(name))
        for at in dataclasses.fields(cls):
            meta = at.metadata
            blank = {"date": "2026-01-31", "list": '["…"]'}.get(meta["kind"], '"…"')
            if at.name == "role":
                blank = '"approver"  # or "author"'
            if at.name == "states":
                blank = '["item", "sampling.plan"]'
            clause = f", {meta['clause']}" if meta["clause"] else ""
            must = ": must be stated" if meta["needed"] else ""
            out.append(f"# {at.name} = {blank}  # {meta['label']}{clause}{must}")
        out.append("")
    return "\n".join(out).rstrip() + "\n"


def _several(name: str) -> str:
    return "; one of these tables for each" if name in _LISTS else ""
