"""Faults are met where a real client meets them: aiohttp's own errors, statuses and bodies, at `stack`."""

from __future__ import annotations

import pytest

from hardware.cloud.stack import StackCloud
from hardware.stack import Stack, emulated_stack
from rig.scenario import Carry, Fault, Intent, Scenario
from rig.trace import Trace, number, word
from rig.world.world import Watch

ORIGIN_US = 3_000_000
BRIEF = Watch(relock_us=0, opened_us=0)
FRESH = {
    "server.cert_expired": "ClientConnectorCertificateError",
    "server.cert_foreign": "ClientConnectorCertificateError",
    "server.cert_wrong_host": "ClientConnectorCertificateError",
    "server.refused": "ClientConnectorError",
    "server.truncated": "ClientPayloadError",
    "network.dns_none": "ClientConnectorDNSError",
    "network.dns_wrong": "ClientConnectorCertificateError",
    "network.captive_portal": "ClientConnectorCertificateError",
    "network.reset": "ClientOSError",
}
"""What aiohttp says on a new connection."""
STATUSES = {
    "500": "500", "502": "502", "503": "503", "504": "504", "540": "540", "429": "429", "403": "403", "408": "408",
    "408_other": "408", "412": "412", "421": "421", "422": "422", "token_refused": "401",
}  # fmt: skip
SILENT = (
    "server.hang", "server.answer_lost", "server.region_down", "server.everything_down", "network.partition",
    "network.partition_request", "network.dns_hang",
)  # fmt: skip
"""Nothing comes: only the phone's own limit ends the request."""


@pytest.fixture(scope="module")
def stack() -> Stack:
    return emulated_stack(lambda loop: StackCloud(loop).links())


def run(stack: Stack, mode: str, session: str = "warm", before: bool = False) -> Trace:
    """One unlock over the server while a mode holds; `before`: a healthy one first, so that a connection stands."""
    first = (Intent("unlock", 100_000, "cloud"),) if before else ()
    carry = Carry(session=session)  # type: ignore[arg-type]
    timeline = (*first, Fault(mode, 4_000_000), Intent("unlock", 5_000_000, "cloud"))
    return stack.run(Scenario(1, carry, timeline=timeline), BRIEF)


def phone(trace: Trace, what: str) -> list[str]:
    """What the phone's HTTP came to after the fault began."""
    return [
        word(e, 4)
        for e in trace.of("http")
        if word(e, 2) == "phone" and word(e, 3) == what and number(e, 0) > ORIGIN_US + 4_000_000
    ]


@pytest.mark.parametrize(("mode", "error"), FRESH.items())
def test_a_broken_connection_is_the_client_librarys_error(stack: Stack, mode: str, error: str) -> None:
    failures = phone(run(stack, mode), "failed")
    assert failures and set(failures) == {error}


@pytest.mark.parametrize(("mode", "status"), STATUSES.items())
def test_refusals_are_http_statuses(stack: Stack, mode: str, status: str) -> None:
    assert set(phone(run(stack, f"server.{mode}"), "response")) == {status}


@pytest.mark.parametrize("mode", SILENT)
def test_silence_is_silence(stack: Stack, mode: str) -> None:
    trace = run(stack, mode)
    assert phone(trace, "request") and not phone(trace, "response") and not phone(trace, "failed")


UNNOTICED = ("server.refused", "server.cert_expired", "network.dns_none", "network.captive_portal")


@pytest.mark.parametrize("mode", UNNOTICED)
def test_a_connection_that_stands_does_not_notice(stack: Stack, mode: str) -> None:
    assert set(phone(run(stack, mode, before=True), "response")) == {"200"}


def test_a_half_open_connection_costs_the_phones_limit_and_no_more(stack: Stack) -> None:
    trace = run(stack, "network.half_open", before=True)
    asked = [number(e, 0) for e in trace.of("http") if e[2] == "phone" and e[3] == "request"][-2:]
    assert asked[1] - asked[0] == 6_500_000, "the phone's limit of 6 s and its back-off of 0.5 s"
    assert phone(trace, "response") == ["200"]


def test_trickling_bytes_arrive_as_late_as_they_were_sent(stack: Stack) -> None:
    trace = run(stack, "server.trickle")
    sent = next(number(e, 0) for e in trace.of("http") if e[2:4] == ("server", "response"))
    got = next(number(e, 0) for e in trace.of("http") if e[2:4] == ("phone", "response"))
    assert got - sent == 4_000_000 + 25_000


def test_the_telematics_unit_calls_in_again(stack: Stack) -> None:
    timeline = (Fault("network.car_offline", 0, 8_000_000), Intent("unlock", 20_000_000, "cloud"))
    trace = stack.run(Scenario(1, timeline=timeline), BRIEF)
    lines = [(number(e, 0), word(e, 4)) for e in trace.of("http") if e[3] == "line"]
    assert [what for _, what in lines] == ["up", "down", "up"]
    assert lines[1][0] == ORIGIN_US + 3_000_000, "the server notices after TCP's keep-alive"
    assert ORIGIN_US + 8_000_000 < lines[2][0] < ORIGIN_US + 14_000_000
    assert [word(e, 3) for e in trace.of("told")] == ["opened"]


def test_nothing_is_left_behind(stack: Stack, recwarn: pytest.WarningsRecorder) -> None:
    for mode in ("server.hang", "server.truncated", "network.reset", "network.partition"):
        run(stack, mode)
    assert not [str(w.message) for w in recwarn if issubclass(w.category, ResourceWarning)]
