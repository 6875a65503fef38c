"""nfcpy, unmodified, on the emulated PN532 over its pseudo-terminal: it finds the card and the card authenticates."""

from __future__ import annotations

import asyncio
import random
import threading
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

pytest.importorskip("nfc", reason="needs the extra interop")

import nfc.clf.pn532
import nfc.clf.transport
import nfc.tag.tt4
from nfc.clf import ContactlessFrontend, RemoteTarget

from hardware.bytestream import open_pty
from hardware.serialport import SerialPort
from hardware.vehicle import rig_keys
from rig.kernel import Channel, Kernel
from rig.protocol.keycard import AID, CardKey, check_answer
from rig.pump import Pump, realtime_loop
from rig.sim.card import Card
from rig.sim.reader import Pn532Reader

READER_KEY = CardKey.from_seed(b"some other reader")
CHALLENGE = bytes(range(16))
LONGEST_S = 60.0


@dataclass
class Reader:
    """The emulated reader in real time, in a thread of its own, since nfcpy blocks."""

    path: str
    loop: asyncio.AbstractEventLoop
    kernel: Kernel
    pn532: Pn532Reader

    def place(self, card: Card) -> None:
        """A card enters the field."""
        self.loop.call_soon_threadsafe(self.kernel.post, self.pn532.place, card)

    def remove(self, card: Card) -> None:
        """It leaves."""
        self.loop.call_soon_threadsafe(self.kernel.post, self.pn532.remove, card)


@pytest.fixture
def reader() -> Iterator[Reader]:
    loop, ready, made = realtime_loop(), threading.Event(), []
    kernel = Kernel()
    over: Channel[bool] = Channel(kernel, "over")

    async def until_over() -> None:
        await over.recv()

    async def live() -> None:
        stream, path = open_pty(loop, "reader")
        kernel.edges += 1
        pn532 = Pn532Reader(kernel, SerialPort(kernel, stream), random.Random(1))
        made.append(Reader(path, loop, kernel, pn532))
        ready.set()
        try:
            await Pump(kernel).drive(until_over(), until=LONGEST_S)
        finally:
            stream.close()

    thread = threading.Thread(target=loop.run_until_complete, args=(live(),))
    thread.start()
    assert ready.wait(5.0)
    yield made[0]
    loop.call_soon_threadsafe(kernel.post, over.put, True)
    thread.join(5.0)
    assert not thread.is_alive()
    loop.close()


@pytest.fixture
def frontend(reader: Reader) -> Iterator[ContactlessFrontend]:
    """nfcpy's front end; it opens no pseudo-terminal by its path, so its driver is given one."""
    clf = ContactlessFrontend()
    clf.device = nfc.clf.pn532.init(nfc.clf.transport.TTY(reader.path))
    clf.device._vendor_name, clf.device._device_name, clf.device._path = "rig", "emulated", reader.path
    yield clf
    clf.close()


def find(clf: ContactlessFrontend) -> RemoteTarget | None:
    return clf.sense(RemoteTarget("106A"), iterations=5, interval=0.05)


def test_it_knows_the_chip(frontend: ContactlessFrontend) -> None:
    assert frontend.device.chipset_name == "PN532v1.6"


def test_it_finds_no_card_in_an_empty_field(frontend: ContactlessFrontend) -> None:
    assert find(frontend) is None


@pytest.mark.parametrize("genuine", [True, False])
def test_it_finds_the_card_and_the_card_authenticates(
    reader: Reader, frontend: ContactlessFrontend, genuine: bool
) -> None:
    """The key-card applet over ISO-DEP, all of it nfcpy's: selection, public key, challenge."""
    keys = rig_keys()
    card = Card(keys.card if genuine else keys.foreign_card)
    reader.place(card)
    target = find(frontend)
    assert target is not None
    tag = nfc.tag.tt4.activate(frontend, target)
    tag.send_apdu(0x00, 0xA4, 0x04, 0x00, AID)
    public = bytes(tag.send_apdu(0x80, 0x04, 0x00, 0x00, mrl=256))
    assert public == card.key.public
    answer = bytes(tag.send_apdu(0x80, 0x11, 0x00, 0x00, READER_KEY.public + CHALLENGE, mrl=256))
    assert check_answer(READER_KEY, public, CHALLENGE, answer)
    # What tells a genuine card from another is that its key is the one that is enrolled.
    assert check_answer(READER_KEY, keys.card.public, CHALLENGE, answer) == genuine
    reader.remove(card)
