"""Formats: what programs and their pages take from the results: JUnit, a badge, a summary in Markdown."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any
from xml.etree import ElementTree as ET

from conformance import wording
from conformance.verdicts import RED, Exit, Verdict, times

Results = Mapping[str, Any]
ENDINGS = {
    Exit.PASSED: "passed: everything that was judged holds",
    Exit.FAILED: "failed: a requirement is not met",
    Exit.USAGE: "not judged: the command made no sense",
    Exit.NOT_JUDGED: "not judged: nothing, or not everything, could be judged",
    Exit.BROKE_PROTOCOL: "not judged: the target did not keep to the protocol of the suite, or died",
    Exit.STALE: "passed, and the file of known failures says more than is true",
}
"""The exit statuses in words."""
_ELEMENTS = {
    Verdict.FAIL: "failure",
    Verdict.UNTESTABLE: "failure",
    Verdict.BLOCKED: "failure",
    Verdict.ERROR: "error",
    Verdict.UNSUPPORTED: "skipped",
}
_SHOWN = 50
"""Failures that a summary tells at length."""


_LEFT_OUT = {
    "role": "of the other role",
    "phase": "of a later phase",
    "no check": "without a check",
    "not written": "without a check for this role",
    "not selected": "not selected",
    "not reached": "not reached before the run ended",
}
"""Why a requirement was not judged, in few words."""


def requirements(count: int) -> str:
    """Return so many requirements in words."""
    return f"{count} requirement{'' if count == 1 else 's'}"


def judged(counts: Mapping[str, int]) -> str:
    """Return how many requirements have which verdict, in words."""
    each = ", ".join(f"{count} {verdict}" for verdict, count in counts.items())
    return f"{requirements(sum(counts.values()))} judged: {each}" if counts else "no requirement was judged"


def left_out(unjudged: Sequence[Mapping[str, Any]], only: Sequence[str], untried: int = 0) -> str:
    """Return how many requirements were not judged and why, in words; nothing when all were.

    Where somebody has selected, what that left out is no news. `untried` are those that stand in the
    results and were not reached all the same.
    """
    reached = [one["because"] for one in unjudged if not only or one["because"] == "not reached"]
    because = Counter([*reached, *["not reached"] * untried])
    each = ", ".join(f"{because[one]} {words}" for one, words in _LEFT_OUT.items() if because[one])
    return f"{because.total()} not judged: {each}" if each else ""


def unsupported(reasons: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    """Return which requirements were not judged for which reason, each under one: the rarest that it has."""
    found: dict[str, list[str]] = {}
    for rule, reason in reasons:
        found.setdefault(reason, []).append(rule)
    told: set[str] = set()
    for reason in sorted(found, key=lambda one: len(set(found[one]))):
        found[reason] = [one for one in dict.fromkeys(found[reason]) if one not in told]
        told |= {*found[reason]}
    return {reason: those for reason, those in found.items() if those}


def again(results: Results, rule: str, check: Mapping[str, Any]) -> str:
    """Return the command that shows this again: the plan where there is one, else the check alone."""
    start = ["python", "-m", "conformance"]
    if check["plan"]:
        return wording.command([*start, "replay", check["plan"], "--target", results["target"]])
    return wording.command([*start, *results["command"], "--only", rule])


def troubles(results: Results) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Yield every requirement and check of it that neither passed nor is merely unsupported.

    What was not tried because the target was lost says the same as the run, and is left out.
    """
    quiet = (Verdict.PASS, Verdict.UNSUPPORTED)
    for rule in results["requirements"]:
        for check in rule["checks"]:
            if check["verdict"] not in quiet and not untried(results, check):
                yield rule, check


def untried(results: Results, check: Mapping[str, Any]) -> bool:
    """Tell whether a check only repeats why the run could not go on."""
    return bool(check["verdict"] == Verdict.ERROR and check["message"] == results["fault"])


def flaky(check: Mapping[str, Any]) -> str:
    """Return how often a check failed that failed some times, and not each time; else nothing."""
    failed, performed = check.get("failed", 0), check.get("performed", 1)
    return times(failed, performed) if 0 < failed < performed else ""


def junit(results: Results) -> str:
    """Return the results as JUnit XML: a test suite a chapter, a test case a check."""
    root = ET.Element("testsuites", name=f"conformance of {_printable(results['target'])}")
    suites: dict[str, ET.Element] = {}
    for rule in results["requirements"]:
        suite = suites.get(rule["chapter"])
        if suite is None:
            suite = suites[rule["chapter"]] = ET.SubElement(root, "testsuite", name=rule["chapter"])
        for one in rule["checks"]:
            _case(suite, results, rule, one)
    if results["fault"]:  # said once, and not by every check that was not tried
        suite = suites["run"] = ET.SubElement(root, "testsuite", name="run")
        case = ET.SubElement(suite, "testcase", classname="run", name="the run comes to its end", time="0")
        ET.SubElement(case, "error", message=_printable(results["fault"]))
    for suite in suites.values():
        suite.set("tests", str(len(suite)))
        for plural, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
            suite.set(plural, str(len(suite.findall(f"*/{tag}"))))
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _case(suite: ET.Element, results: Results, rule: Mapping[str, Any], one: Mapping[str, Any]) -> None:
    seconds = results["timing"]["checks"].get(one["name"], 0)
    case = ET.SubElement(suite, "testcase", classname=rule["id"], name=one["name"], time=str(seconds))
    known = rule["known"] and one["verdict"] in RED
    passed_over = known or untried(results, one)
    element = "skipped" if passed_over else _ELEMENTS.get(Verdict(one["verdict"]))
    if element is None:
        return
    said = ET.SubElement(case, element, message=_printable(f"{_verdict(one)}: {one['message']}"))
    lines = [f"{rule['id']}: {rule['sentence']}", f"known: {rule['known']}" if known else ""]
    lines += [f"flaky: {flaky(one)}" if flaky(one) else ""]
    lines += [f"{name}: {one[name]}" if one[name] else "" for name in ("expected", "received")]
    lines += [f"record: {one['record']}" if "record" in one else ""]
    lines += [f"again: {again(results, rule['id'], one)}"]
    said.text = "\n".join(map(_printable, filter(None, lines)))


def _verdict(check: Mapping[str, Any]) -> str:
    """Return a verdict in words, with how often it was so where it was not each time."""
    often = flaky(check)
    return f"{check['verdict']} (flaky: {often})" if often else str(check["verdict"])


def _printable(text: str) -> str:
    """XML has no way to say a control character."""
    return "".join(one if one.isprintable() else "\N{REPLACEMENT CHARACTER}" for one in text)


def badge(results: Results) -> str:
    """Return what a badge service shows, as JSON."""
    required = [one for one in results["requirements"] if one["verdict"] != Verdict.UNSUPPORTED]
    passed = sum(one["verdict"] in (Verdict.PASS, Verdict.WARN) for one in required)
    good = results["exit_status"] == Exit.PASSED and results["complete"]
    shown = {
        "schemaVersion": 1,
        "label": f"DirectCall {results['role']}, phase {results['phase']}",
        "message": f"{passed} of {len(required)}",
        "color": "brightgreen" if good else "red",
    }
    return json.dumps(shown) + "\n"


def summary(results: Results) -> str:
    """Return the results as Markdown: the count, and what every failure says."""
    left = left_out(results["unjudged"], results["only"])
    lines = [
        f"# DirectCall {results['role']}, phase {wording.markdown(results['phase'])}",
        "",
        f"**{ENDINGS[Exit(results['exit_status'])].capitalize()}.**",
        f"{_capitalized(judged(results['summary']))}.",
        *([f"{left}."] if left else []),
        "",
        f"Target {wording.code(results['target'])}, seed {results['seed']}.",
        f"Suite {wording.markdown(results['suite'])}, specification {wording.markdown(results['spec'])}.",
    ]
    if results["fault"]:
        lines += ["", f"The run is not complete: {wording.markdown(results['fault'])}"]
    stale = [f"- The file of known failures is stale: {wording.markdown(one)}" for one in results["stale"]]
    lines += ["", *stale] if stale else []
    told = [*troubles(results)]
    for rule, check in told[:_SHOWN]:
        lines += ["", *_told(results, rule, check)]
    if len(told) > _SHOWN:
        lines += ["", f"{len(told) - _SHOWN} more are told in `report.html` and `results.json`."]
    lines += _lacking(results)
    return "\n".join(lines).rstrip() + "\n"


def _capitalized(text: str) -> str:
    return text[:1].upper() + text[1:]


def _lacking(results: Results) -> list[str]:
    """Return what could not be judged of this target and why, the reasons of many requirements first."""
    rules = [rule for rule in results["requirements"] if rule["verdict"] == Verdict.UNSUPPORTED]
    groups = unsupported((rule["id"], check["message"]) for rule in rules for check in rule["checks"])
    if not groups:
        return []
    told = sorted(groups.items(), key=lambda one: -len(one[1]))
    lines = [
        "",
        f"## Unsupported: {len(rules)}",
        "",
        "What the target does not offer was not asked of it.",
        "",
    ]
    lines += [f"- {wording.ids(those)}: {wording.markdown(why)}" for why, those in told[:_SHOWN]]
    if len(told) > _SHOWN:
        lines += [f"- and for {len(told) - _SHOWN} reasons more, which `report.html` tells"]
    return lines


def _told(results: Results, rule: Mapping[str, Any], check: Mapping[str, Any]) -> Iterator[str]:
    yield f"## {rule['id']}: {_verdict(check)}{' (known)' if rule['known'] else ''}"
    yield ""
    yield f"{wording.markdown(rule['sentence'])}"
    yield ""
    yield f"- what happened: {wording.markdown(check['message'])}"
    for name in ("expected", "received"):
        if check[name]:
            yield f"- {name}: {wording.code(check[name])}"
    if rule["known"]:
        yield f"- accepted: {wording.markdown(rule['known'])}"
    if "record" in check:
        yield f"- record: {wording.code(check['record'] + '/wire.pcapng')}"
    if "record_note" in check:
        yield f"- of the record: {wording.markdown(check['record_note'])}"
    yield f"- again: {wording.code(again(results, rule['id'], check))}"
