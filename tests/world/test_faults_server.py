"""The looks at the maker's server: what the phone hears, and whether the car was handed anything."""

from __future__ import annotations

from tests.world.look import Look
from tests.world.online import OK, REQUEST_S, copies, inside, login, refused, request, state, when_handed

LOOKS: dict[str, Look] = {
    **{
        f"server.{name}": refused(status)
        for name, status in {
            "500": "500", "502": "502", "503": "503", "504": "504", "540": "540", "429": "429 retry after 3",
            "403": "403", "408": "408", "408_other": "408", "412": "412", "421": "421", "422": "422",
            "hang": "nothing", "token_refused": "401", "refused": "no network",
            "cert_expired": "no network", "cert_foreign": "no network", "cert_wrong_host": "no network",
            "wrong_vin": "200",
        }.items()
    },
    "server.token_expired": Look(login, "200", "401, then 200", takes_s=REQUEST_S, momentary=True),
    "server.slow": Look(request, OK, ("200 late", "handed"), takes_s=REQUEST_S),
    "server.trickle": Look(request, OK, ("200 late", "handed"), takes_s=REQUEST_S),
    "server.truncated": Look(inside, "an answer", "no answer", takes_s=REQUEST_S),
    "server.malformed": Look(inside, "an answer", "no answer", takes_s=REQUEST_S),
    "server.error_inside": Look(inside, "an answer", "no answer", takes_s=REQUEST_S),
    "server.cached_online": Look(state, "offline", "online", takes_s=REQUEST_S, lag_s=5.5),
    "server.queue_late": Look(when_handed, "at once", "late", takes_s=13.0, lag_s=13.0),
    "server.queue_twice": Look(copies, 1, 2, takes_s=REQUEST_S + 0.5),
    "server.queue_reordered": Look(when_handed, "at once", "late", takes_s=13.0, lag_s=3.0),
    "server.answer_lost": Look(request, OK, ("nothing", "handed"), takes_s=REQUEST_S),
    "server.region_down": Look(request, OK, ("nothing", "not handed"), takes_s=REQUEST_S, lag_s=5.5),
    "server.everything_down": Look(request, OK, ("nothing", "not handed"), takes_s=REQUEST_S, lag_s=5.5),
    "server.overload": Look(request, OK, ("200 late", "handed"), takes_s=REQUEST_S),
}  # fmt: skip
