"""ReqIF: what goes out comes back, and what other tools write is read."""

from __future__ import annotations

import zipfile
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from reports.traceability.reqif import NAMESPACE, ReqifError, from_reqif, to_reqif, to_toml
from rig.judge.requirements import Requirement, Target, load_requirements, parse_requirements

AT = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
ODD = Requirement(
    "ÜB 1.2", 'Text with <tags> & "quotes", ≤ 5 s', "Why\tnot", 1500, "1.5 s", "all", "ECE R116, 5.3", "gone",
    Target(300, 3, 0.999, 0.9),
)  # fmt: skip
FOREIGN = """<?xml version="1.0" encoding="UTF-8"?>
<REQ-IF xmlns="http://www.omg.org/spec/ReqIF/20110401/reqif.xsd" xmlns:reqif-xhtml="http://www.w3.org/1999/xhtml">
 <CORE-CONTENT><REQ-IF-CONTENT>
  <DATATYPES><DATATYPE-DEFINITION-ENUMERATION IDENTIFIER="dt-e"><SPECIFIED-VALUES>
   <ENUM-VALUE IDENTIFIER="ev-1" LONG-NAME="approved"/></SPECIFIED-VALUES></DATATYPE-DEFINITION-ENUMERATION></DATATYPES>
  <SPEC-TYPES><SPEC-OBJECT-TYPE IDENTIFIER="t"><SPEC-ATTRIBUTES>
   <ATTRIBUTE-DEFINITION-XHTML IDENTIFIER="a-text" LONG-NAME="ReqIF.Text"/>
   <ATTRIBUTE-DEFINITION-XHTML IDENTIFIER="a-chapter" LONG-NAME="ReqIF.ChapterName"/>
   <ATTRIBUTE-DEFINITION-STRING IDENTIFIER="a-id" LONG-NAME="ReqIF.ForeignID"/>
   <ATTRIBUTE-DEFINITION-ENUMERATION IDENTIFIER="a-status" LONG-NAME="Status"/>
  </SPEC-ATTRIBUTES></SPEC-OBJECT-TYPE></SPEC-TYPES>
  <SPEC-OBJECTS>
   <SPEC-OBJECT IDENTIFIER="o-1"><VALUES>
    <ATTRIBUTE-VALUE-XHTML><DEFINITION><ATTRIBUTE-DEFINITION-XHTML-REF>a-chapter</ATTRIBUTE-DEFINITION-XHTML-REF>
     </DEFINITION><THE-VALUE><reqif-xhtml:div>Doors</reqif-xhtml:div></THE-VALUE></ATTRIBUTE-VALUE-XHTML></VALUES>
   </SPEC-OBJECT>
   <SPEC-OBJECT IDENTIFIER="o-2"><VALUES>
    <ATTRIBUTE-VALUE-STRING THE-VALUE="SYS-7"><DEFINITION>
     <ATTRIBUTE-DEFINITION-STRING-REF>a-id</ATTRIBUTE-DEFINITION-STRING-REF></DEFINITION></ATTRIBUTE-VALUE-STRING>
    <ATTRIBUTE-VALUE-XHTML><DEFINITION><ATTRIBUTE-DEFINITION-XHTML-REF>a-text</ATTRIBUTE-DEFINITION-XHTML-REF>
     </DEFINITION><THE-VALUE><reqif-xhtml:div>Opens <reqif-xhtml:b>within</reqif-xhtml:b>
       1 s.</reqif-xhtml:div></THE-VALUE></ATTRIBUTE-VALUE-XHTML>
    <ATTRIBUTE-VALUE-ENUMERATION><VALUES><ENUM-VALUE-REF>ev-1</ENUM-VALUE-REF></VALUES><DEFINITION>
     <ATTRIBUTE-DEFINITION-ENUMERATION-REF>a-status</ATTRIBUTE-DEFINITION-ENUMERATION-REF></DEFINITION>
    </ATTRIBUTE-VALUE-ENUMERATION></VALUES>
   </SPEC-OBJECT>
   <SPEC-OBJECT IDENTIFIER="o-3" LONG-NAME="SYS-8"><VALUES>
    <ATTRIBUTE-VALUE-XHTML><DEFINITION><ATTRIBUTE-DEFINITION-XHTML-REF>a-text</ATTRIBUTE-DEFINITION-XHTML-REF>
     </DEFINITION><THE-VALUE><reqif-xhtml:div>Locks again.</reqif-xhtml:div></THE-VALUE></ATTRIBUTE-VALUE-XHTML>
    </VALUES></SPEC-OBJECT>
  </SPEC-OBJECTS>
 </REQ-IF-CONTENT></CORE-CONTENT>
</REQ-IF>
"""


def test_what_goes_out_comes_back(tmp_path: Path) -> None:
    known = {**load_requirements(), ODD.id: ODD}
    file = tmp_path / "rig.reqif"
    file.write_text(to_reqif(known, AT), encoding="utf-8")
    read = from_reqif(file)
    assert read.left_out == ()
    assert list(read.requirements) == list(known)
    for name, requirement in read.requirements.items():
        # The rig's own have no source, so that the file becomes theirs.
        assert replace(requirement, source=known[name].source) == known[name]
    assert parse_requirements(to_toml(read.requirements), "x") == read.requirements


def test_equal_requirements_give_equal_bytes_and_every_reference_leads_somewhere() -> None:
    text = to_reqif(load_requirements(), AT)
    assert text == to_reqif(load_requirements(), AT)
    root = ET.fromstring(text)
    identifiers = [e.get("IDENTIFIER") for e in root.iter() if e.get("IDENTIFIER")]
    assert len(identifiers) == len(set(identifiers))
    references = {(e.text or "") for e in root.iter() if e.tag.endswith("-REF")}
    assert references <= set(identifiers)
    assert len(list(root.iter(f"{{{NAMESPACE}}}SPEC-HIERARCHY"))) == len(load_requirements())


@pytest.mark.parametrize("packed", [False, True])
def test_what_another_tool_has_written(tmp_path: Path, packed: bool) -> None:
    file = tmp_path / ("other.reqifz" if packed else "other.reqif")
    if packed:
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr("export/other.reqif", FOREIGN)
            archive.writestr("export/picture.png", b"")
    else:
        file.write_text(FOREIGN, encoding="utf-8")
    read = from_reqif(file)
    # A chapter's name is no requirement.
    assert {r.id: r.text for r in read.requirements.values()} == {"SYS-7": "Opens within 1 s.", "SYS-8": "Locks again."}
    assert read.requirements["SYS-7"].source == f"{file.name} o-2"
    assert read.left_out == ("Status",)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("<REQ-IF", "no XML"),
        ("<html/>", "no ReqIF"),
        (FOREIGN.replace('LONG-NAME="SYS-8"', 'LONG-NAME="SYS-7"'), "two requirements are called SYS-7"),
    ],
)
def test_files_that_cannot_be_used_are_named(tmp_path: Path, text: str, says: str) -> None:
    file = tmp_path / "bad.reqif"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ReqifError, match=says) as error:
        from_reqif(file)
    assert str(file) in str(error.value)


def test_entities_that_grow_are_refused(tmp_path: Path) -> None:
    lines = ['<!DOCTYPE REQ-IF [<!ENTITY a0 "lots and lots">']
    lines += [f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 10)]
    file = tmp_path / "bomb.reqif"
    file.write_text("\n".join([*lines, "]><REQ-IF>&a9;</REQ-IF>"]), encoding="utf-8")
    with pytest.raises(ReqifError):
        from_reqif(file)
