"""The fixed table of scenarios for benches with real lines: few, since each takes its time for real."""

from __future__ import annotations

from dataclasses import dataclass

from rig.scenario import Attack, Carry, Fault, Intent, Scenario


@dataclass(frozen=True, slots=True)
class Row:
    """One scenario of the table.

    Attributes:
        name: for the report.
        cites: requirements it must give evidence for: vacuous there is a failure of the row.
        scenario: what happens.
        relock: watch for the relock (30 s).
        watch_us: how long *opened* is watched in all other rows.
    """

    name: str
    cites: tuple[str, ...]
    scenario: Scenario
    relock: bool = False
    watch_us: int = 5_000_000


COLD, WARM, NO_CARD = Carry(), Carry(session="warm"), Carry(card=False)
DOWN = (
    Fault("server.500", 0),
    Fault("network.car_offline", 0),
    Fault("bluetooth.out_of_range", 0),
)


def _ladder(*faults: Fault, carry: Carry = COLD) -> Scenario:
    return Scenario(carry=carry, timeline=(*faults, Intent("unlock", 200_000)))


ROWS: tuple[Row, ...] = (
    # The longest first, so that they run beside all others.
    Row("relock after bluetooth", ("SAF-3", "AVL-2"), Scenario(timeline=(Intent("unlock", 0, "bluetooth"),)), True),
    Row(
        "relock after a card and a reset", ("SAF-3", "SEC-10"),
        Scenario(timeline=(Intent("unlock", 0, "card"), Fault("power.reset", 3_000_000, 3_300_000))), True,
    ),
    Row("everything down: the card", ("AVL-1", "AVL-4"), _ladder(*DOWN)),
    Row("everything down, signed out, warm", ("AVL-1", "AVL-4"),
        _ladder(*DOWN[1:], Fault("phone.signed_out", 0), carry=WARM)),
    Row("server hangs, bluetooth lost before writing", ("AVL-1", "AVL-4", "AVL-10"),
        _ladder(Fault("server.hang", 0), Fault("bluetooth.lost_before_write", 0), carry=WARM)),
    Row("server 503, bluetooth lost after writing", ("AVL-1", "AVL-10", "SEC-5"),
        _ladder(Fault("server.503", 0), Fault("bluetooth.lost_after_write", 0), carry=WARM)),
    Row("radio off, network slow", ("AVL-1",), _ladder(Fault("bluetooth.radio_off", 0), Fault("network.latency", 0))),
    Row("token refused, out of range", ("AVL-1", "AVL-4"),
        _ladder(Fault("server.token_refused", 0), Fault("bluetooth.out_of_range", 0))),
    Row("no card: bluetooth alone", ("AVL-2", "AVL-10"), _ladder(Fault("server.500", 0), carry=NO_CARD)),
    Row("no card: the server alone", ("AVL-3", "AVL-10"), _ladder(Fault("bluetooth.radio_off", 0), carry=NO_CARD)),
    Row("bluetooth, cold, healthy", ("AVL-2", "AVL-10", "STA-1", "SEC-5"),
        Scenario(timeline=(Intent("unlock", 200_000, "bluetooth"),))),
    Row("bluetooth, warm, server 500", ("AVL-2", "AVL-5"),
        Scenario(carry=WARM, timeline=(Fault("server.500", 0), Intent("unlock", 200_000, "bluetooth")))),
    Row("bluetooth, warm, car offline", ("AVL-2", "AVL-5"),
        Scenario(carry=WARM, timeline=(Fault("network.car_offline", 0), Intent("unlock", 1_500_000, "bluetooth")))),
    Row("cloud, out of range", ("AVL-3", "AVL-5"),
        Scenario(timeline=(Fault("bluetooth.out_of_range", 0), Intent("unlock", 200_000, "cloud")))),
    Row("card, bus-off", ("AVL-4", "AVL-5"),
        Scenario(timeline=(Fault("can.bus_off", 0), Intent("unlock", 500_000, "card")))),
    Row("card, car offline", ("AVL-4", "AVL-5"),
        Scenario(timeline=(Fault("network.car_offline", 0), Intent("unlock", 1_700_000, "card")))),
    Row("card, healthy", ("AVL-4", "STA-1"), Scenario(timeline=(Intent("unlock", 200_000, "card"),))),
    Row("card, log flood", ("AVL-4", "AVL-5"),
        Scenario(timeline=(Fault("can.log_flood", 0), Intent("unlock", 500_000, "card")))),
    Row("bluetooth lock and unlock, server 500", ("AVL-13", "AVL-5", "AVL-10"),
        Scenario(carry=WARM, timeline=(Fault("server.500", 0), Intent("unlock", 200_000, "bluetooth"),
                                       Intent("lock", 3_200_000, "bluetooth")))),
    Row("cloud lock", ("AVL-13",), Scenario(doors="unlocked", timeline=(Intent("lock", 200_000, "cloud"),))),
    Row("card after a reset", ("AVL-8", "SEC-10"),
        Scenario(timeline=(Fault("power.reset", 200_000, 500_000), Intent("unlock", 1_600_000, "card")))),
    Row("bluetooth after a dip", ("AVL-8", "SEC-10"),
        Scenario(timeline=(Fault("power.dip", 200_000, 700_000), Intent("unlock", 1_800_000, "bluetooth")))),
    Row("replay over bluetooth", ("SEC-2",),
        Scenario(timeline=(Intent("unlock", 0, "bluetooth"), Intent("lock", 2_000_000, "bluetooth"),
                           Attack("replay_bluetooth", 4_000_000)))),
    Row("replay over the cloud", ("SEC-2",),
        Scenario(timeline=(Intent("unlock", 0, "cloud"), Intent("lock", 2_000_000, "cloud"),
                           Attack("replay_cloud", 4_000_000)))),
    Row("forged commands and frames", ("SEC-1",),
        Scenario(carry=WARM, timeline=(Attack("forge_unsigned_bluetooth", 0), Attack("forge_tag_cloud", 700_000),
                                       Attack("plain_interior", 1_400_000)))),
    Row("bad lifetimes", ("SEC-3",),
        Scenario(timeline=(Fault("credential.lifetime_zero", 0, 3_000_000),
                           Fault("credential.lifetime_long", 3_500_000, 6_500_000)))),
    Row("delivered late", ("SEC-4",),
        Scenario(timeline=(Attack("hold_bluetooth", 0, (("delay_ms", 13_000),)), Intent("unlock", 200_000, "bluetooth"),
                           Fault("bluetooth.radio_off", 1_600_000)))),
    Row("unlock while unlocked", ("SEC-5",),
        Scenario(timeline=(Intent("unlock", 0, "bluetooth"), Intent("unlock", 2_500_000, "cloud")))),
    Row("bluetooth, the gateway is silent", ("AVL-2", "AVL-7"),
        Scenario(timeline=(Fault("can.sender_silent", 0), Intent("unlock", 500_000, "bluetooth")))),
    Row("cloud, restbus corrupt, the unit's clock wrong", ("AVL-3", "AVL-7"),
        Scenario(timeline=(Fault("can.restbus_corrupted", 0), Fault("power.tcu_clock_wrong", 0),
                           Intent("unlock", 500_000, "cloud")))),
    Row("card, two pulses of each door stick", ("AVL-4", "ACT-1"),
        Scenario(timeline=(Fault("actuator.pulses_stuck", 0, None, (("pulses", 2),)),
                           Intent("unlock", 500_000, "card")))),
    Row("a slow card, in a tunnel, a handle chatters", ("AVL-4", "AVL-5"),
        Scenario(timeline=(Fault("serial.card_slow", 0), Fault("common.tunnel", 0),
                           Fault("actuator.handle_chatter", 0), Intent("unlock", 500_000, "card")))),
    Row("card, channels' frames lost", ("AVL-4", "AVL-5"),
        Scenario(timeline=(Fault("can.frames_dropped", 0), Intent("unlock", 500_000, "card")))),
)  # fmt: skip
