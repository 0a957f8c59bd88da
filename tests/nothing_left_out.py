"""A pytest plugin: where CI runs the tests, one that is left out has failed.

A person's machine may lack a program, an engine or the network, and the other tests still say
something. In CI the gap would look green. What no set-up can give a machine is named here, and
shown with the results.
"""

from __future__ import annotations

import os

import pytest

# The kernel or the init system of a container decides; nothing could be installed.
NOT_TO_BE_HAD = ("this machine has no IPv6 loopback", "systemd is not installed")


def pytest_configure(config: pytest.Config) -> None:
    if _is_ci() and "s" not in config.option.reportchars:
        config.option.reportchars += "s"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    return _judged((yield))


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector):
    return _judged((yield))


def _judged(report):
    if _is_ci() and report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2].removeprefix("Skipped: ")
        if reason not in NOT_TO_BE_HAD:
            report.outcome = "failed"
            report.longrepr = f"Left out, which CI does not allow: {reason}"
    return report


def _is_ci() -> bool:
    return os.environ.get("CI") == "true"
