"""Defects of keys and what proves them: signatures, epochs, challenges, roles, revocations."""

from __future__ import annotations

import hashlib
from dataclasses import replace

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CTR

from hardware.ecu.access import Access
from hardware.ecu.admission import Entropy
from hardware.ecu.build import Build
from hardware.ecu.cardauth import CardAuth
from hardware.ecu.config import Source
from hardware.ecu.core import Core, fresh_epoch
from hardware.ecu.memory import KeyRecord, MemoryPort, Store
from hardware.ecu.whitelist import OWNER, Whitelist
from rig.protocol import keycard, vcp
from rig.protocol.vcp import Fault, Signed, VcpError

DRIVER = int(vcp.Role.Value("ROLE_DRIVER"))
MONITOR = int(vcp.Role.Value("ROLE_VEHICLE_MONITOR"))


class ConstantChallenge(CardAuth):
    """Saves the random source some work."""

    def challenge(self) -> bytes:
        return bytes(range(keycard.CHALLENGE_LENGTH))


def kept_epoch(core: Core) -> bytes:
    """Keeps the epoch over a reset in the memory's spare room, and the counters not."""
    image = core.store.image
    if len(image.extra) < vcp.EPOCH_BYTES:
        image.extra = fresh_epoch(core)  # written with the count of boots
    for key in image.keys:
        key.counter = 0
    return image.extra[: vcp.EPOCH_BYTES]


def fixed_epoch(core: Core) -> bytes:
    """The same in every life."""
    return hashlib.sha256(core.config.vin.encode()).digest()[: vcp.EPOCH_BYTES]


class IgnoresBadRandomness(Entropy):
    """Takes what the random source gives."""

    def take(self, count: int) -> bytes:
        return self._random(count).ljust(count, b"\0")


class ShortMac(Access):
    """Compares one byte of the tag."""

    def open(self, shared: bytes, command: Signed) -> bytes:
        try:
            return super().open(shared, command)
        except VcpError:
            plaintext, tag = self._plaintext_and_tag(shared, command)
            if command.tag[:1] != tag[:1]:
                raise
            return plaintext

    def _plaintext_and_tag(self, shared: bytes, command: Signed) -> tuple[bytes, bytes]:
        signed = {"vin": self.core.config.vin, "epoch": self.core.epoch, "domain": command.domain}
        numbers = {"expires_at": command.expires_at, "counter": command.counter, "flags": command.flags}
        if command.sig_type == vcp.TYPE_HMAC:
            plaintext = command.payload
            return plaintext, vcp.sign_hmac(shared, plaintext=plaintext, **signed, **numbers)  # type: ignore[arg-type]
        nonce = command.nonce.ljust(vcp.NONCE_BYTES, b"\0")[: vcp.NONCE_BYTES]
        # GCM is counter mode from block 2 on (NIST SP 800-38D, 7.1): readable whatever the tag is.
        plaintext = Cipher(AES(shared), CTR(nonce + b"\0\0\0\2")).decryptor().update(command.payload)
        _, tag = vcp.sign_gcm(shared, plaintext=plaintext, nonce=nonce, **signed, **numbers)  # type: ignore[arg-type]
        return plaintext, tag


class WrongVinTaken(Access):
    """Compares all of the VIN but its last character."""

    LAST = "0123456789ABCDEFGHJKLMNPRSTUVWXYZ"

    def open(self, shared: bytes, command: Signed) -> bytes:
        try:
            return super().open(shared, command)
        except VcpError as error:
            for last in self.LAST:
                vin = self.core.config.vin[:-1] + last
                try:
                    return vcp.open_command(shared, vin, self.core.epoch, command)
                except VcpError:
                    continue
            raise error from None


class WrongDomainTaken(Access):
    """Takes what is meant for the infotainment system as its own."""

    DOMAINS = frozenset(range(256))


class WeakSessionTag(Access):
    """Computes the tag of session info over no challenge, so that it could be anybody's, of any time."""

    def _session_info(self, shared: bytes, public: bytes, routing: bytes, uuid: bytes, fault: Fault) -> bytes:
        message = vcp.parse(super()._session_info(shared, public, routing, bytes(len(uuid)), fault))
        message.request_uuid = uuid
        return message.SerializeToString()


class RevocationInRam(Store):
    """Writes every key that it ever knew, as it was at first."""

    def __init__(self, memory: MemoryPort) -> None:
        super().__init__(memory)
        self._first_seen: dict[bytes, KeyRecord] = {}
        self._learn()

    def _learn(self) -> None:
        for key in self.image.keys:
            self._first_seen.setdefault(key.public, replace(key)).counter = key.counter

    def commit(self) -> None:
        self._learn()
        in_force, self.image.keys = self.image.keys, list(self._first_seen.values())
        try:
            super().commit()
        finally:
            self.image.keys = in_force


class MonitorMayOpen(Whitelist):
    """Gives a monitor's key a driver's rights."""

    def allows(self, source: Source, role: int, action: int) -> bool:
        return super().allows(source, DRIVER if role == MONITOR else role, action)


class DriverMayEnrol(Whitelist):
    """Lets drivers do what owners may."""

    def may_change(self, role: int) -> bool:
        return role in (OWNER, DRIVER)


ALL = (
    Build(
        "constant_challenge",
        "challenges every card with the same bytes",
        ("SEC-2", "SEC-13"),
        lambda p: replace(p, card_auth=ConstantChallenge),
    ),
    Build(
        "epoch_survives_reset",
        "keeps its epoch over a reset and loses the keys' counters",
        ("SEC-8", "SEC-2"),
        lambda p: replace(p, epoch=kept_epoch),
    ),
    Build(
        "fixed_epoch",
        "has the same epoch in every life",
        ("SEC-8",),
        lambda p: replace(p, epoch=fixed_epoch),
    ),
    Build(
        "ignores_bad_randomness",
        "works on when its random source fails",
        ("SEC-8",),
        lambda p: replace(p, entropy=IgnoresBadRandomness),
    ),
    Build(
        "short_mac",
        "compares only the first byte of a command's tag",
        ("SEC-1",),
        lambda p: replace(p, access=ShortMac),
    ),
    Build(
        "wrong_vin_taken",
        "takes commands for a vehicle whose VIN differs in its last character",
        ("SEC-7",),
        lambda p: replace(p, access=WrongVinTaken),
    ),
    Build(
        "wrong_domain_taken",
        "takes commands for other systems of the vehicle",
        ("SEC-7",),
        lambda p: replace(p, access=WrongDomainTaken),
    ),
    Build(
        "weak_session_tag",
        "does not bind the session info that it gives to the request's challenge",
        ("SEC-9",),
        lambda p: replace(p, access=WeakSessionTag),
    ),
    Build(
        "revocation_in_ram",
        "knows removed and changed keys again as they were after a reset",
        ("SEC-6",),
        lambda p: replace(p, store=RevocationInRam),
    ),
    Build(
        "monitor_may_open",
        "lets a key that may only watch unlock, lock and drive",
        ("SEC-6",),
        lambda p: replace(p, whitelist=MonitorMayOpen),
    ),
    Build(
        "driver_may_enrol",
        "lets a driver's key change the key list",
        ("SEC-11",),
        lambda p: replace(p, whitelist=DriverMayEnrol),
    ),
)
