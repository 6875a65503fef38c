"""Requirements to and from ReqIF 1.2, the format that requirements tools exchange (OMG formal/2016-07-01).

Written with the attribute names of the ReqIF implementation guide where it has one ("ReqIF.ForeignID", "ReqIF.Text"),
so that other tools show them as such; read from whatever names them so, or names them as our files do.
"""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from xml.etree import ElementTree as ET

from rig.judge.requirements import Requirement, Target, parse_requirements

NAMESPACE = "http://www.omg.org/spec/ReqIF/20110401/reqif.xsd"
"""Of ReqIF 1.0.1 to 1.2; the schema did not change its name."""
XHTML = "http://www.w3.org/1999/xhtml"
LARGEST = 64 * 1024 * 1024
"""Bytes of a file that is read; a list of requirements is smaller, what is larger is an accident or an attack."""
ID, TEXT, NAME = "ReqIF.ForeignID", "ReqIF.Text", "ReqIF.Name"
PLAIN = ("why", "limit_ms", "limit_text", "evidence", "source", "retired")
TARGETS = ("runs", "t_way", "quantile", "confidence")
LONGEST = 32_000
"""Characters of a text attribute, as the data type declares."""


class ReqifError(ValueError):
    """A ReqIF file that cannot be used; names file, place and mend."""


@dataclass(frozen=True, slots=True)
class Imported:
    """What a ReqIF file held: requirements, and the names of attributes that have no place in ours."""

    requirements: Mapping[str, Requirement]
    left_out: tuple[str, ...]


# -- out ---------------------------------------------------------------------------------------------


def to_reqif(requirements: Mapping[str, Requirement], at: datetime) -> str:
    """All requirements as one specification; equal input gives equal text.

    Args:
        requirements: what to write.
        at: the time of the change that ReqIF wants on everything.
    """
    ET.register_namespace("", NAMESPACE)
    ET.register_namespace("xhtml", XHTML)
    stamp = at.astimezone(UTC).isoformat(timespec="seconds")
    root = ET.Element(_tag("REQ-IF"))
    header = _below(_below(root, "THE-HEADER"), "REQ-IF-HEADER", IDENTIFIER=_identifier("header"))
    for tag, text in (
        ("CREATION-TIME", stamp), ("REQ-IF-TOOL-ID", "unlock-rig"), ("REQ-IF-VERSION", "1.0"),
        ("SOURCE-TOOL-ID", "unlock-rig"), ("TITLE", "Requirements of a door-lock ECU"),
    ):  # fmt: skip
        _below(header, tag).text = text
    content = _below(_below(root, "CORE-CONTENT"), "REQ-IF-CONTENT")
    _types(content, stamp)
    objects = _below(content, "SPEC-OBJECTS")
    for requirement in requirements.values():
        _object(objects, requirement, stamp)
    _specification(content, requirements, stamp)
    ET.indent(root, " ")
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _types(content: ET.Element, stamp: str) -> None:
    data = _below(content, "DATATYPES")
    _named(data, "DATATYPE-DEFINITION-STRING", "string", "text", stamp).set("MAX-LENGTH", str(LONGEST))
    _named(data, "DATATYPE-DEFINITION-XHTML", "xhtml", "formatted text", stamp)
    types = _below(content, "SPEC-TYPES")
    requirement = _named(types, "SPEC-OBJECT-TYPE", "requirement", "Requirement", stamp)
    attributes = _below(requirement, "SPEC-ATTRIBUTES")
    for name in (ID, *PLAIN, *(f"target.{t}" for t in TARGETS)):
        attribute = _named(attributes, "ATTRIBUTE-DEFINITION-STRING", f"attribute {name}", name, stamp)
        _below(_below(attribute, "TYPE"), "DATATYPE-DEFINITION-STRING-REF").text = _identifier("string")
    attribute = _named(attributes, "ATTRIBUTE-DEFINITION-XHTML", f"attribute {TEXT}", TEXT, stamp)
    _below(_below(attribute, "TYPE"), "DATATYPE-DEFINITION-XHTML-REF").text = _identifier("xhtml")
    _named(types, "SPECIFICATION-TYPE", "specification type", "Specification", stamp)


def _object(objects: ET.Element, requirement: Requirement, stamp: str) -> None:
    entry = _named(objects, "SPEC-OBJECT", f"requirement {requirement.id}", requirement.id, stamp)
    values = _below(entry, "VALUES")
    for name, text in _attributes(requirement).items():
        value = _below(values, "ATTRIBUTE-VALUE-STRING")
        value.set("THE-VALUE", text)
        _refer(value, "ATTRIBUTE-DEFINITION-STRING-REF", name)
    value = _below(values, "ATTRIBUTE-VALUE-XHTML")
    ET.SubElement(_below(value, "THE-VALUE"), f"{{{XHTML}}}div").text = requirement.text
    _refer(value, "ATTRIBUTE-DEFINITION-XHTML-REF", TEXT)
    _below(_below(entry, "TYPE"), "SPEC-OBJECT-TYPE-REF").text = _identifier("requirement")


def _attributes(requirement: Requirement) -> dict[str, str]:
    """The attributes of a requirement that are plain text; what says nothing is left out."""
    found = {ID: requirement.id}
    for name in PLAIN:
        value = getattr(requirement, name)
        if value not in ("", None):
            found[name] = str(value)
    for name in TARGETS:
        value = getattr(requirement.target, name)
        if value != getattr(Target(), name):
            found[f"target.{name}"] = str(value)
    return found


def _specification(content: ET.Element, requirements: Mapping[str, Requirement], stamp: str) -> None:
    whole = _named(_below(content, "SPECIFICATIONS"), "SPECIFICATION", "specification", "Door-lock ECU", stamp)
    _below(_below(whole, "TYPE"), "SPECIFICATION-TYPE-REF").text = _identifier("specification type")
    children = _below(whole, "CHILDREN")
    for name in requirements:
        place = _named(children, "SPEC-HIERARCHY", f"place {name}", name, stamp)
        _below(_below(place, "OBJECT"), "SPEC-OBJECT-REF").text = _identifier(f"requirement {name}")


def _refer(value: ET.Element, tag: str, name: str) -> None:
    _below(_below(value, "DEFINITION"), tag).text = _identifier(f"attribute {name}")


def _named(parent: ET.Element, tag: str, what: str, name: str, stamp: str) -> ET.Element:
    return _below(parent, tag, **{"IDENTIFIER": _identifier(what), "LAST-CHANGE": stamp, "LONG-NAME": name})


def _below(parent: ET.Element, tag: str, **attributes: str) -> ET.Element:
    return ET.SubElement(parent, _tag(tag), attributes)


def _tag(name: str) -> str:
    return f"{{{NAMESPACE}}}{name}"


def _identifier(what: str) -> str:
    """The same for the same thing in every file; ReqIF wants an xsd:ID, which begins with no digit."""
    return "_" + hashlib.sha256(f"unlock-rig {what}".encode()).hexdigest()[:32]


# -- in ----------------------------------------------------------------------------------------------


def from_reqif(path: Path) -> Imported:
    """Reads a .reqif, or a .reqifz that holds one.

    An object without text (a chapter) is no requirement. Its id is its "ReqIF.ForeignID", or else its long name, or
    else its identifier; its source is the file and the identifier, unless the file itself says where it is from.

    Raises:
        ReqifError: it cannot be read, is no ReqIF, or two requirements have one id.
    """
    try:
        root = ET.fromstring(_bytes_of(path))  # noqa: S314  # expat since 2.4.1 bounds entities, and fetches nothing
    except ET.ParseError as error:
        raise ReqifError(f"{path}: is no XML ({error})") from None
    if _local(root) != "REQ-IF":
        raise ReqifError(f"{path}: is no ReqIF; its outermost element is {_local(root)}")
    names = {
        e.get("IDENTIFIER", ""): e.get("LONG-NAME", "")
        for e in root.iter()
        if _local(e).startswith("ATTRIBUTE-DEFINITION-") and e.get("IDENTIFIER")
    }
    enumerated = {e.get("IDENTIFIER", ""): e.get("LONG-NAME", "") for e in root.iter() if _local(e) == "ENUM-VALUE"}
    tables: dict[str, dict[str, object]] = {}
    left_out: dict[str, None] = {}
    for entry in (e for e in root.iter() if _local(e) == "SPEC-OBJECT"):
        values = dict(_values(entry, names, enumerated))
        text = values.pop(TEXT, "") or values.pop("text", "")
        if not text:
            continue
        identifier = entry.get("IDENTIFIER", "")
        name = values.pop(ID, "") or entry.get("LONG-NAME", "") or identifier
        if name in tables:
            raise ReqifError(f"{path}: two requirements are called {name}; give one of them another {ID}")
        table, strange = _table(values, f"{path}: {name}")
        tables[name] = {"text": text, "source": f"{path.name} {identifier}", **table}
        left_out |= dict.fromkeys(strange)
    toml = "".join(_toml(name, table) for name, table in tables.items())
    return Imported(parse_requirements(toml, str(path)), tuple(left_out))


def _bytes_of(path: Path) -> bytes:
    """The XML of a file, or of the one .reqif in a ZIP."""
    try:
        with path.open("rb") as reading:
            content = reading.read(LARGEST + 1)
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                inside = [n for n in archive.namelist() if n.lower().endswith(".reqif")]
                if len(inside) != 1:
                    raise ReqifError(f"{path}: holds {len(inside)} .reqif files; unpack it and name one")
                with archive.open(inside[0]) as reading:
                    content = reading.read(LARGEST + 1)
    except (OSError, zipfile.BadZipFile, RuntimeError) as error:
        raise ReqifError(f"{path}: cannot be read ({error})") from None
    if len(content) > LARGEST:
        raise ReqifError(f"{path}: is larger than {LARGEST >> 20} MiB, which no list of requirements is")
    return content


def _values(
    entry: ET.Element, names: Mapping[str, str], enumerated: Mapping[str, str]
) -> Iterator[tuple[str, str]]:
    """Name and text of each attribute of an object."""
    for value in (e for e in entry.iter() if _local(e).startswith("ATTRIBUTE-VALUE-")):
        reference = next((e.text or "" for e in value.iter() if _local(e).startswith("ATTRIBUTE-DEFINITION-")), "")
        name = names.get(reference.strip(), "")
        if not name:
            continue
        if "THE-VALUE" in value.attrib:
            yield name, value.attrib["THE-VALUE"].strip()
            continue
        chosen = [enumerated.get((e.text or "").strip(), "") for e in value.iter() if _local(e) == "ENUM-VALUE-REF"]
        inside = next((e for e in value if _local(e) == "THE-VALUE"), None)
        words = ", ".join(chosen) if inside is None else " ".join("".join(inside.itertext()).split())
        yield name, words


def _table(values: Mapping[str, str], where: str) -> tuple[dict[str, object], list[str]]:
    """Attributes as a table of ours, and the names of those that it has no place for."""
    table: dict[str, object] = {}
    target: dict[str, object] = {}
    strange = []
    for name, text in values.items():
        if not text:
            continue
        try:
            if name == "limit_ms":
                table[name] = int(text)
            elif name in PLAIN:
                table[name] = text
            elif name.removeprefix("target.") in TARGETS and name.startswith("target."):
                key = name.removeprefix("target.")
                target[key] = int(text) if key in ("runs", "t_way") else float(text)
            elif name != NAME:
                strange.append(name)
        except ValueError:
            raise ReqifError(f'{where}: {name} = "{text}" is no number') from None
    if target:
        table["target"] = target
    return table, strange


def _local(element: ET.Element) -> str:
    """A tag without its namespace."""
    return str(element.tag).rpartition("}")[2]


# -- TOML --------------------------------------------------------------------------------------------


def to_toml(requirements: Mapping[str, Requirement]) -> str:
    """Requirements as a TOML file of ours."""
    return "\n".join(_toml(r.id, _toml_table(r)) for r in requirements.values())


def _toml_table(requirement: Requirement) -> dict[str, object]:
    table: dict[str, object] = {"text": requirement.text}
    for name in PLAIN:
        value = getattr(requirement, name)
        # Words that are made from the number say nothing of their own.
        if value not in ("", None) and not (name == "limit_text" and value == "none in time"):
            table[name] = value
    target = {n: getattr(requirement.target, n) for n in TARGETS}
    said = {n: v for n, v in target.items() if v != getattr(Target(), n)}
    return {**table, "target": said} if said else table


def _toml(name: str, table: Mapping[str, object]) -> str:
    lines = [f"[{json.dumps(name, ensure_ascii=False)}]"]
    for key, value in table.items():
        if isinstance(value, dict):
            value = "{ " + ", ".join(f"{k} = {v}" for k, v in value.items()) + " }"
            lines.append(f"{key} = {value}")
        else:
            lines.append(f"{key} = {_toml_value(value)}")
    return "\n".join(lines) + "\n"


def _toml_value(value: object) -> str:
    # JSON's strings are TOML's basic strings, but for the DEL that TOML wants escaped.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f") if isinstance(value, str) else str(value)
