"""What tests record of the suites of checks that other packages have, and the summary of it after a run."""

from collections.abc import Callable, Mapping
from typing import Any

RECORDED = "suite of checks"


def report(
    record_property: Callable[[str, Any], None], suite: str, results: Mapping[str, Any], excluded: Mapping[str, str]
) -> None:
    """Record a suite's results ("PASSED", or what went wrong, for each check), then fail where a check failed."""
    failed = {name: result for name, result in results.items() if result != "PASSED"}
    record_property(RECORDED, (suite, len(results) - len(failed), sorted(failed), dict(excluded)))
    assert not failed, "\n".join(f"{name}: {result!r}" for name, result in failed.items())


def passed(record_property: Callable[[str, Any], None], suite: str) -> None:
    """Record that a check has passed which is a test of its own."""
    record_property(RECORDED, (suite, 1, [], {}))


def summary(terminalreporter: Any) -> None:
    """Print for each suite how many checks passed and failed, and which were excluded."""
    reports = [report for reports in terminalreporter.stats.values() for report in reports]
    recorded = [
        value
        for report in reports
        if getattr(report, "when", None) == "call"
        for name, value in report.user_properties
        if name == RECORDED
    ]
    if recorded:
        terminalreporter.section("checks of other packages")
    for suite in sorted({suite for suite, *_ in recorded}):
        parts = [part for name, *part in recorded if name == suite]
        n_passed = sum(n for n, _, _ in parts)
        failed = [name for _, names, _ in parts for name in names]
        excluded = {name: reason for _, _, reasons in parts for name, reason in reasons.items()}
        terminalreporter.line(f"{suite}: {n_passed} passed, {len(failed)} failed, {len(excluded)} excluded")
        for name in failed:
            terminalreporter.line(f"  failed: {name}")
        for name, reason in excluded.items():
            terminalreporter.line(f"  excluded: {name}: {reason}")
