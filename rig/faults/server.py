"""The maker's server: what it answers, and whether it answers."""

from __future__ import annotations

from rig.faults.mode import Mode, Param

RETRY_AFTER = Param("retry_after_s", "s", 3, 1, 60)
_SERVER = frozenset({"server"})

MODES: tuple[Mode, ...] = (
    Mode("server.500", "answers 500 to everything", _SERVER, lambda w, f: w.server.error_500.hold()),
    Mode("server.503", "answers 503 to everything", _SERVER, lambda w, f: w.server.error_503.hold()),
    Mode(
        "server.429",
        "answers 429 with Retry-After to everything",
        _SERVER,
        lambda w, f: w.server.error_429.hold(f.param("retry_after_s", RETRY_AFTER.default)),
        (RETRY_AFTER,),
    ),
    Mode("server.hang", "takes requests and never answers", _SERVER, lambda w, f: w.server.hang.hold()),
    Mode(
        "server.token_refused",
        "refuses access and refresh tokens (401)",
        _SERVER,
        lambda w, f: w.server.token_refused.hold(),
    ),
)
