"""Fails if a test that CI is meant to run was skipped, or if nothing ran: reads JUnit files.

    python ci/skips.py FILE.xml [...] --allow PATTERN ...

A skip is allowed where its reason matches one of the patterns, each of which says why CI cannot run it.
"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path
from xml.etree import ElementTree


def main() -> int:
    """Prints every skip and whether it is allowed; 1 if one is not, or if a file holds no test that passed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--allow", action="append", default=[], metavar="PATTERN", help="allowed reason")
    options = parser.parse_args()
    bad = 0
    for file in options.files:
        if not file.is_file():
            print(f"{file}: is not there: its tests did not run")
            bad += 1
            continue
        # The files are written by pytest a moment ago, on this machine.
        cases = list(ElementTree.parse(file).getroot().iter("testcase"))  # noqa: S314
        passed = 0
        for case in cases:
            skipped = case.find("skipped")
            if skipped is None:
                passed += 1
                continue
            reason = skipped.get("message", "")
            allowed = any(re.search(pattern, reason) for pattern in options.allow)
            bad += not allowed
            print(f"{'may be skipped' if allowed else 'MUST NOT BE SKIPPED'}: {case.get('name')}: {reason}")
        print(f"{file}: {len(cases)} tests, {passed} not skipped")
        bad += passed == 0
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
