#!/bin/sh
# Judge an implementation where it is built: installs the suite beside it, runs it, leaves the reports.
#
#   TARGET          udp: or tcp:HOST:PORT, or exec:COMMAND
#   ROLE            relay or client                     KNOWN_FAILURES  TOML of accepted failures
#   PHASE           the phase to judge                  SLOW            scales every patience
#   ONLY            ids and areas, by blanks            OUT             folder for the reports
#   PYTHON          a Python that has the suite; without it a folder .directcall is set up with one
#
# The exit status is that of the suite. Where there is a job summary (GITHUB_STEP_SUMMARY) it gets the report.
set -eu
here=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
: "${TARGET:?say what to judge: udp:HOST:PORT, tcp:HOST:PORT or exec:COMMAND}"
out=${OUT:-conformance-results}

if [ -z "${PYTHON:-}" ]; then
  PYTHON=.directcall/bin/python
  if [ ! -x "$PYTHON" ]; then
    echo "installing the suite into .directcall" >&2
    python3 -m venv .directcall
    "$PYTHON" -m pip install --quiet --require-hashes -r "$here/requirements/run.txt"
    "$PYTHON" -m pip install --quiet --no-deps "$here"
  fi
fi

set -- run --role "${ROLE:-relay}" --target "$TARGET" --slow "${SLOW:-1}" --out "$out"
[ -z "${PHASE:-}" ] || set -- "$@" --phase "$PHASE"
[ -z "${KNOWN_FAILURES:-}" ] || set -- "$@" --known-failures "$KNOWN_FAILURES"
for one in ${ONLY:-}; do set -- "$@" --only "$one"; done

status=0
"$PYTHON" -m conformance "$@" || status=$?
if [ -n "${GITHUB_STEP_SUMMARY:-}" ] && [ -f "$out/summary.md" ]; then
  cat "$out/summary.md" >>"$GITHUB_STEP_SUMMARY"
fi
exit "$status"
