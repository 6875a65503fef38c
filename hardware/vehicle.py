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


def rig_keys(vin: str = DEFAULT_VIN) -> Keys:
    """The driver's phone and card, and the second phone."""
    return Keys(
        vin=vin,
        phone=Identity.from_seed(b"unlock-rig driver phone"),
        valet=Identity.from_seed(b"unlock-rig second phone"),
        card=CardKey.from_seed(b"unlock-rig driver card"),
    )


def rig_provision(vin: str = DEFAULT_VIN) -> Provision:
    """What the emulated ECU comes from the factory with: those keys enrolled."""
    keys = rig_keys(vin)
    return Provision(
        identity=Identity.from_seed(b"unlock-rig vehicle"),
        keys=(
            EnrolledKey(keys.phone.public, int(Role.Value("ROLE_OWNER"))),
            EnrolledKey(keys.valet.public, int(Role.Value("ROLE_DRIVER"))),
        ),
        cards=(keys.card.public,),
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
