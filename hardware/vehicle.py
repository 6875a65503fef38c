"""The rig's own vehicle: the keys of its driver, and an emulated ECU that they are enrolled on.

Test keys, made from fixed labels: they protect nothing and must not be enrolled on a car that is used.
"""

from __future__ import annotations

from functools import lru_cache

from hardware.dbc import body_dbc_text
from hardware.model import model_edges
from hardware.provision import DEFAULT_VIN, EnrolledKey, Provision
from rig.kernel import Kernel
from rig.model import FrameLog, Model
from rig.ports import Edges
from rig.protocol.dbc import Codecs, load_codecs
from rig.protocol.keycard import CardKey
from rig.protocol.vcp import Identity, Role
from rig.scenario import Scenario
from rig.world.world import Keys

MORE_ROLES = {
    "keeper": "ROLE_OWNER",
    "service": "ROLE_SERVICE",
    "fm": "ROLE_FM",
    "monitor": "ROLE_VEHICLE_MONITOR",
    "disabled": "ROLE_DRIVER",
}
"""Keys besides those of driver, guest and valet; the one called disabled is enrolled and disabled."""


def rig_keys(vin: str = DEFAULT_VIN) -> Keys:
    """Everybody's keys: those that are enrolled, and one that is not."""
    return Keys(
        vin=vin,
        phone=Identity.from_seed(b"unlock-rig driver phone"),
        valet=Identity.from_seed(b"unlock-rig second phone"),
        card=CardKey.from_seed(b"unlock-rig driver card"),
        guest=Identity.from_seed(b"unlock-rig guest phone"),
        guest_card=CardKey.from_seed(b"unlock-rig guest card"),
        more={name: Identity.from_seed(f"unlock-rig {name}".encode()) for name in (*MORE_ROLES, "spare")},
    )


def rig_provision(vin: str = DEFAULT_VIN) -> Provision:
    """What the emulated ECU comes from the factory with: those keys enrolled."""
    keys = rig_keys(vin)
    driver = int(Role.Value("ROLE_DRIVER"))
    return Provision(
        identity=Identity.from_seed(b"unlock-rig vehicle"),
        keys=(
            EnrolledKey(keys.phone.public, int(Role.Value("ROLE_OWNER"))),
            EnrolledKey(keys.valet.public, driver),
            EnrolledKey(keys.guest.public, driver),
            *(
                EnrolledKey(keys.more[name].public, int(Role.Value(role)), name != "disabled")
                for name, role in MORE_ROLES.items()
            ),
        ),
        cards=(keys.card.public, keys.guest_card.public),
        vin=vin,
    )


@lru_cache(maxsize=1)
def body_codecs() -> Codecs:
    """The body CAN's codecs, compiled once."""
    return load_codecs(body_dbc_text(), "hardware/dbc/body.dbc")


def emulated_model(defect: str | None = None, *, collapse: bool = True) -> Model:
    """Scenarios against the emulated ECU in process.

    Args:
        defect: name of a planted defect, or None for the healthy ECU.
        collapse: skip idle cycles and collapse floods (outcomes are equal either way, and tested to be).
    """
    provision = rig_provision()

    def edges(kernel: Kernel, scenario: Scenario, frame: FrameLog) -> Edges:
        return model_edges(
            kernel, defect=defect, seed=scenario.seed, identities=provision, on_frame=frame, collapse=collapse
        )

    return Model(rig_keys(), body_codecs(), edges)
