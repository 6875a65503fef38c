"""What outside clients need to use a live vehicle, as files: keys, tokens, the authority to trust.

Test keys, made from fixed labels: they protect nothing and must not be enrolled on a car that is used.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from hardware.vehicle import rig_keys

if TYPE_CHECKING:
    from hardware.live.vehicle import LiveVehicle


def write_credentials(vehicle: LiveVehicle, folder: Path, control: str) -> dict[str, str]:
    """Writes `ca.pem`, a key a person, and `vehicle.json` that names all of them and the addresses.

    Raises:
        OSError: the folder cannot be written to.
    """
    keys = rig_keys(vehicle.world.vin)
    people = {"owner": keys.phone, "driver": keys.valet, "guest": keys.guest, **keys.more}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "ca.pem").write_bytes(vehicle.trust.ca_pem)
    for name, identity in people.items():
        pem = identity.private.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
        path = folder / f"{name}.pem"
        path.touch(mode=0o600)
        path.write_bytes(pem)
    access, refresh = vehicle.world.server.sign_in()
    known = {
        "server": vehicle.places.server,
        "vin": vehicle.world.vin,
        "access_token": access,
        "refresh_token": refresh,
        "ca": str(folder / "ca.pem"),
        "key": str(folder / "owner.pem"),
        "control": control,
        "hci": " ".join(vehicle.places.hci),
        "reader": vehicle.places.reader,
    }
    (folder / "vehicle.json").write_text(json.dumps(known, indent=2) + "\n", encoding="utf-8")
    return known
