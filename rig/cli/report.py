"""`rig report`: makes the report of a folder of evidence, as HTML and PDF."""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from reports.signing.manifest import SIGNATURES
from rig.cli.words import FAIL, PASS, USAGE, add_command, complain, console

if TYPE_CHECKING:
    from reports.content.evidence import Evidence
    from rig.cli.words import Commands

DESCRIPTION = """\
Makes the report of a folder of evidence from its results.json: report.html, without scripts, and report.pdf, an archive
file (PDF/A-3b) with the results inside. Both say the same, and the same folder gives the same bytes.
campaign.toml says what only people know: laboratory, customer, place, order, item, approvers. What ISO/IEC 17025 asks
for and nobody has stated is printed as missing; with --strict it is refused."""
EPILOG = """\
examples:
  rig report out/certify                                  HTML and PDF again
  rig report out/certify --campaign campaign.toml         with what people know; a copy goes into the folder
  rig report out/certify --strict --pdf                   refuse if anything is missing
  rig report --template > campaign.toml                   a campaign.toml to fill in

exit codes: 0 written, 1 refused: something is missing, 3 wrong usage"""


def add_to(commands: Commands) -> None:
    """Adds the command."""
    command = add_command(commands, "report", "the report of a folder of evidence", DESCRIPTION, EPILOG)
    command.add_argument("folder", metavar="DIR", type=Path, nargs="?", help="a folder of evidence")
    command.add_argument("--html", action="store_true", help="only report.html")
    command.add_argument("--pdf", action="store_true", help="only report.pdf; needs typst")
    command.add_argument(
        "--campaign", type=Path, metavar="FILE", help="what only people know; a copy is put into the folder"
    )
    command.add_argument(
        "--strict", action="store_true", help="refuse if ISO/IEC 17025 asks for something that nobody has stated"
    )
    command.add_argument(
        "--fonts", type=Path, metavar="DIR", action="append", default=[],
        help="further fonts for the PDF, for scripts beyond Latin, Greek and Cyrillic; may be given several times",
    )  # fmt: skip
    command.add_argument("--template", action="store_true", help="print a campaign.toml to fill in, nothing else")
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Reads the folder, checks what is missing, writes."""
    from reports.campaign import NAME, load_campaign, template
    from reports.content.evidence import Evidence
    from reports.report import missing

    if options.template:
        print(template(), end="")
        return PASS
    if options.folder is None:
        complain("which folder? rig report DIR; `rig certify` makes one: out/certify")
        return USAGE
    folder: Path = options.folder
    if (folder / SIGNATURES).exists():
        complain(f"{folder}: is signed, and a signed report is not written again; `rig amend` makes a new revision")
        return USAGE
    try:
        if options.campaign is not None:
            load_campaign(options.campaign)
            _keep(options.campaign, folder / NAME)
        evidence = Evidence.read(folder)
    except (ValueError, OSError) as error:
        complain(str(error))
        return USAGE
    lacking = missing(evidence)
    for one in lacking:
        console().print(f"{'missing' if options.strict else 'not stated'}: {one}", markup=False, soft_wrap=True)
    if lacking and options.strict:
        complain(f"no report: {len(lacking)} things are missing; campaign.toml says them: rig report --template")
        return FAIL
    return write(evidence, html=options.html or not options.pdf, pdf=options.pdf or not options.html,
                 fonts=options.fonts, must=options.pdf)  # fmt: skip


def make(folder: Path, campaign: Path | None) -> int:
    """The report at the end of a campaign: HTML always, PDF where typst is installed; says where they lie."""
    from reports.campaign import NAME, load_campaign
    from reports.content.evidence import Evidence

    try:
        if campaign is not None:
            load_campaign(campaign)
            _keep(campaign, folder / NAME)
        evidence = Evidence.read(folder)
    except (ValueError, OSError) as error:
        complain(f"no report: {error}")
        return USAGE
    return write(evidence, html=True, pdf=True, fonts=[], must=False)


def _keep(given: Path, kept: Path) -> None:
    if not (kept.exists() and kept.samefile(given)):
        shutil.copyfile(given, kept)


def write(evidence: Evidence, *, html: bool, pdf: bool, fonts: list[Path], must: bool) -> int:
    """Writes what is wanted and says where it lies.

    Args:
        evidence: what the report is made from.
        html: write report.html.
        pdf: write report.pdf.
        fonts: for the PDF.
        must: a PDF that cannot be made is an error; otherwise it is said how to get it.
    """
    from reports.report import write_html, write_pdf, write_trace
    from reports.views.pdf import PdfError

    try:
        # First, since the report lists it.
        write_trace(evidence)
        if html:
            console().print(f"report: {write_html(evidence)}", markup=False, soft_wrap=True)
        if pdf:
            console().print(f"report: {write_pdf(evidence, fonts)}", markup=False, soft_wrap=True)
    except PdfError as error:
        if must:
            complain(str(error))
            return USAGE
        console().print(f"no PDF: {error}", markup=False, soft_wrap=True)
    except OSError as error:
        complain(f"{error.filename}: cannot be written ({error.strerror}); is the disk full, may this user write?")
        return USAGE
    return PASS
