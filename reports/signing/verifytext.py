"""VERIFY.txt: how to check a folder of evidence with a shell and OpenSSL 3 alone; the very commands, to be typed off.

They are tested as they stand here. Nothing of it needs the rig, or trust in whoever made the evidence.
"""

from __future__ import annotations

from reports.signing.manifest import FILES_ENVELOPE, RESULT_ENVELOPE, SIGNATURES

NAME = "VERIFY.txt"

TEXT = """\
HOW TO CHECK THIS EVIDENCE WITH OPENSSL ALONE
Report {report}

You need: a POSIX shell, OpenSSL 3, this folder, and the public keys of author and approver. Take the keys, or at
least their ids, from the laboratory by another way than this folder came: a key that comes with what it signs
proves nothing. Nothing below runs anything that lies in this folder; read the commands, then type them off.

1. Say where things are.

    DIR=.                        # this folder
    AUTHOR=author.pub            # the author's public key
    APPROVER=approver.pub        # the approver's public key
    WORK=$(mktemp -d)            # scratch, outside of this folder

2. Are they the right keys? This prints the id of each key, which the laboratory publishes. They must differ: two
   people have signed.

    for key in "$AUTHOR" "$APPROVER"; do
      openssl pkey -pubin -in "$key" -outform DER | openssl dgst -sha256 -r
    done

3. Are the signatures theirs? What is signed is not the payload alone but its DSSE pre-authentication encoding (PAE):
   the text "DSSEv1", length and text of the type, length and bytes of the payload. This must print "Signature Verified
   Successfully" four times.

    for name in {result} {files}; do
      file="$DIR/{signatures}/$name"
      type=$(sed -n 's/^ "payloadType": "\\(.*\\)",$/\\1/p' "$file")
      sed -n 's/^ "payload": "\\(.*\\)",$/\\1/p' "$file" | openssl base64 -d -A > "$WORK/$name"
      {{ printf 'DSSEv1 %d %s %d ' "${{#type}}" "$type" "$(wc -c < "$WORK/$name")"; cat "$WORK/$name"; }} > "$WORK/pae"
      for key in "$AUTHOR" "$APPROVER"; do
        id=$(openssl pkey -pubin -in "$key" -outform DER | openssl dgst -sha256 -r | cut -c 1-64)
        sed -n "/\\"keyid\\": \\"$id\\"/{{n;s/.*\\"sig\\": \\"\\(.*\\)\\".*/\\1/p;}}" "$file" |
          openssl base64 -d -A > "$WORK/sig"
        openssl pkeyutl -verify -pubin -inkey "$key" -rawin -in "$WORK/pae" -sigfile "$WORK/sig"
      done
    done

4. Are all files as they were signed, none missing and none added? This must print "all files as signed" and nothing
   else. Only what step 3 has verified is worth comparing with.

    sed -n 's/^  {{"name": "\\(.*\\)", "digest": {{"sha256": "\\([0-9a-f]*\\)"}}}},\\{{0,1\\}}$/\\2 \\1/p' \\
      "$WORK/{files}" > "$WORK/signed"
    while IFS=' ' read -r sum name; do
      found=$(openssl dgst -sha256 -r "$DIR/$name" 2>&1 | cut -c 1-64)
      [ "$found" = "$sum" ] || echo "CHANGED OR MISSING: $name"
    done < "$WORK/signed" > "$WORK/wrong"
    (cd "$DIR" && find . ! -type d ! -path './{signatures}/{result}' ! -path './{signatures}/{files}') |
      sed 's,^\\./,,' | LC_ALL=C sort > "$WORK/there"
    cut -d ' ' -f 2- "$WORK/signed" | LC_ALL=C sort | LC_ALL=C comm -13 - "$WORK/there" |
      sed 's/^/NOT SIGNED: /' >> "$WORK/wrong"
    cat "$WORK/wrong"
    [ -s "$WORK/signed" ] && [ ! -s "$WORK/wrong" ] && echo "all files as signed"

5. Is it about your firmware, and what came of it? The first line is the SHA-256 that was tested; hash your own file
   with `openssl dgst -sha256 -r FILE` and compare. "result" is in-toto's: PASSED, WARNED or FAILED, where evidence that
   decided nothing is FAILED too; "verdict" is the report's own word.

    sed -n 's/.*"sha256": "\\([0-9a-f]*\\)".*/\\1/p;/"passedTests"/q' "$WORK/{result}" | sed -n 1p
    sed -n '/"result"/p;/"verdict"/p;/"why"/p' "$WORK/{result}"

6. Does the report say what the journal says? OpenSSL cannot tell. Either read both, or let the rig recompute every
   verdict and every figure from the journal:

    rig verify DIR --author author.pub --approver approver.pub
"""


def verify_text(report: str) -> str:
    """The file's content.

    Args:
        report: id and revision of the report.
    """
    return TEXT.format(report=report, result=RESULT_ENVELOPE, files=FILES_ENVELOPE, signatures=SIGNATURES)
