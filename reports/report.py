"""The report of a folder of evidence: put together from its sections, written as HTML and PDF.

Everything comes from results.json, the files it names, and campaign.toml; the same folder gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from reports.campaign import NAME, Missing
from reports.content import (
    clauses,
    closing,
    conformity,
    coverage,
    cuts,
    failures,
    front,
    latency,
    qualification,
    subject,
    tested,
    tracing,
    undone,
)
from reports.content.evidence import Evidence
from reports.document import Document
from reports.traceability.evidence import shown_by
from reports.traceability.matrix import rows, to_csv
from reports.traceability.waivers import Weighed
from reports.views.html import as_html
from reports.views.pdf import as_pdf

HTML, PDF, TRACE = "report.html", "report.pdf", "trace.csv"


def document_of(evidence: Evidence) -> Document:
    """The report as a value."""
    lacking = missing(evidence)
    particulars = evidence.particulars
    return Document(
        number=evidence.number,
        revision=evidence.revision,
        title=front.TITLE,
        by=particulars.laboratory.name or "Laboratory not stated",
        at=evidence.ended,
        cover=front.cover(evidence, lacking),
        sections=(
            front.scope(evidence),
            subject.item(evidence),
            subject.bench(evidence),
            conformity.section(evidence),
            tracing.section(evidence),
            tested.section(evidence),
            coverage.section(evidence),
            latency.section(evidence),
            cuts.section(evidence),
            qualification.section(evidence),
            failures.section(evidence),
            undone.section(evidence),
            closing.reproduction(evidence),
            closing.files(evidence),
            closing.amendments(evidence),
            clauses.section(evidence, lacking),
        ),
        end=f"End of test report {evidence.number}, revision {evidence.revision}",
    )


def missing(evidence: Evidence) -> list[Missing]:
    """What ISO/IEC 17025 asks for and nobody has stated."""
    return evidence.particulars.missing(emulated=evidence.emulated)


def trace_of(evidence: Evidence) -> str | None:
    """trace.csv: every pair of requirement and test; None if the results do not say who cites what."""
    found = evidence.tracing()
    if found is None:
        return None
    weighed = Weighed(found.open, found.waived, (), ())
    return to_csv(rows(found.requirements, found.tests, weighed, shown_by(asdict(evidence.results))))


def write_trace(evidence: Evidence) -> Path | None:
    """Writes trace.csv into the folder; before the report, which lists it.

    Raises:
        OSError: it cannot be written.
    """
    text = trace_of(evidence)
    if text is None:
        return None
    file = evidence.folder / TRACE
    file.write_text(text, encoding="utf-8", newline="")
    return file


def html_of(folder: Path) -> str:
    """The HTML of a folder's report, without writing it.

    Raises:
        ResultsError, CampaignError: a file of the folder cannot be used.
    """
    return as_html(document_of(Evidence.read(folder)))


def write_html(evidence: Evidence) -> Path:
    """Writes report.html into the folder.

    Raises:
        OSError: it cannot be written.
    """
    file = evidence.folder / HTML
    file.write_text(as_html(document_of(evidence)), encoding="utf-8")
    return file


def pdf_of(evidence: Evidence, fonts: Sequence[Path] = ()) -> bytes:
    """The PDF of a folder's report, with results.json and campaign.toml inside, without writing it.

    Raises:
        PdfError: typst is not there, or cannot set it.
        OSError: a file of the folder cannot be read.
    """
    folder = evidence.folder
    attached = {"results.json": ((folder / "results.json").read_bytes(), "all results, from which this report is made")}
    if (folder / NAME).exists():
        attached[NAME] = ((folder / NAME).read_bytes(), "what people stated")
    return as_pdf(document_of(evidence), attached, fonts)


def write_pdf(evidence: Evidence, fonts: Sequence[Path] = ()) -> Path:
    """Writes report.pdf into the folder.

    Raises:
        PdfError: typst is not there, or cannot set it.
        OSError: it cannot be written.
    """
    file = evidence.folder / PDF
    file.write_bytes(pdf_of(evidence, fonts))
    return file
