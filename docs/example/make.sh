#!/bin/sh
# Makes the example reports anew. From the project's folder:  sh docs/example/make.sh [WORK]
# Needs the rig with the extra `report`; takes about a quarter of an hour on two cores. What was already made in WORK
# (default: out/example) is used again. RIG is the command of the rig (default: rig), such as ".venv/bin/rig".
set -eu
rig=${RIG:-rig}
work=${1:-out/example}
here=$(dirname "$0")
mkdir -p "$work"
umask 077

made() { [ -f "$1/results.json" ] && [ ! -d "$1/signatures" ]; }

# 1. The main job on the bench `emulated`, and an ECU with a planted defect in virtual time, which must fail (1).
made "$work/evidence" || { rm -rf "$work/evidence"; $rig certify --bench emulated --seed 7 --out "$work/evidence"; }
made "$work/failing" || { rm -rf "$work/failing"; code=0
    $rig certify --bench model --scenarios 1500 --seed 1 --defect bus_off_blocks_card --out "$work/failing" || code=$?
    [ "$code" = 1 ]; }

# 2. Is the rig fit to judge? Its matrix goes into the evidence.
[ -f "$work/qualification.json" ] || $rig qualify --strategy default --json "$work/qualification.json"
[ -f "$work/evidence/qualification.json" ] || $rig results "$work/evidence" --attach "$work/qualification.json"

# 3. The reports, with what people state, issued today.
for name in evidence failing; do
    file=campaign; [ $name = evidence ] || file=failing
    sed "s/^issued = .*/issued = $(date -u +%F)/" "$here/$file.toml" > "$work/$file.toml"
    $rig report "$work/$name" --strict --campaign "$work/$file.toml"
    cp "$work/$file.toml" "$here/$file.toml"
done

# 4. Author and approver sign. Their keys and passphrases are made for this and thrown away: only what is public stays.
keys=$(mktemp -d)
trap 'rm -rf "$keys"' EXIT
for role in author approver; do
    head -c 24 /dev/urandom | od -An -tx1 | tr -d ' \n' > "$keys/$role.txt"
    $rig keys new "$keys/$role" --passphrase-file "$keys/$role.txt"
done
$rig sign "$work/evidence" --role author --key "$keys/author.key" --passphrase-file "$keys/author.txt"
$rig sign "$work/evidence" --role approver --key "$keys/approver.key" --passphrase-file "$keys/approver.txt" \
    --author "$keys/author.pub"
$rig verify "$work/evidence" --author "$keys/author.pub" --approver "$keys/approver.pub"

# 5. What is shown in docs/.
umask 022
cp "$work/evidence/report.html" "$work/evidence/report.pdf" "$work/evidence/VERIFY.txt" "$here/"
cp "$work/failing/report.pdf" "$here/failing.pdf"
mkdir -p "$here/signatures"
cp "$work/evidence/signatures/"*.dsse.json "$keys/author.pub" "$keys/approver.pub" "$here/signatures/"
chmod 644 "$here"/*.* "$here/signatures"/*
