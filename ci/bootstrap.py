"""Makes the project's virtual environment and installs the lock file into it, with nothing but python3.

Does nothing if that was done before and nothing changed. Where python3 comes without pip and ensurepip
(Debian and Ubuntu pack them apart), it takes pip from the package index that pip's own settings name.
"""

from __future__ import annotations

import argparse
import configparser
import hashlib
import html
import importlib.util
import os
import re
import shutil
import ssl
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOCK = ROOT / "requirements.lock"
STAMP = "unlock-rig.stamp"

PIP_WHEEL = "pip-26.3-py3-none-any.whl"
PIP_SHA256 = "f3b60b20ffaadd4415ed7957212a38ac63fa4c5fa375bd0f4a797777940fad13"
DEFAULT_INDEX = "https://pypi.org/simple"
"""What pip itself takes if nobody says otherwise."""
PIP_CAN_SERVE_OTHERS = (22, 3)
"""The first pip that installs into another interpreter's environment (`pip --python`)."""


class BootstrapError(Exception):
    """The environment cannot be made; the text says why and what mends it."""


def main() -> int:
    """Makes or checks the environment; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--venv", type=Path, default=ROOT / ".venv", help="where to make it (default: .venv)")
    venv: Path = parser.parse_args().venv.absolute()
    stamp = venv / STAMP
    wanted = _fingerprint(venv)
    if _runs(venv) and stamp.is_file() and stamp.read_text(encoding="utf-8") == wanted:
        return 0
    try:
        _make(venv)
        _install(venv)
        stamp.write_text(wanted, encoding="utf-8")
    except BootstrapError as error:
        print(f"unlock-rig: {error}", file=sys.stderr)
        return 2
    except PermissionError as error:
        print(
            f"unlock-rig: {error.filename}: may not be written; was {venv.name} made by another user? "
            "Remove it, or name another place: make VENV=/somewhere",
            file=sys.stderr,
        )
        return 2
    except KeyboardInterrupt:
        print("unlock-rig: interrupted; the next make goes on from here", file=sys.stderr)
        return 2
    return 0


def _fingerprint(venv: Path) -> str:
    """Changes if the environment must be made or filled again."""
    parts = [LOCK.read_bytes(), (ROOT / "pyproject.toml").read_bytes()]
    parts += [os.fsencode(p) for p in (venv, ROOT)]
    parts += [sys.version.encode(), os.fsencode(sys.base_prefix)]
    return hashlib.sha256(b"\0".join(parts)).hexdigest() + "\n"


def _python(venv: Path) -> Path:
    return venv / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def _runs(venv: Path) -> bool:
    """Whether the environment's interpreter is there (a removed one leaves a dead link), of this version."""
    python = _python(venv)
    return python.exists() and _pyvenv_version(venv) == sys.version_info[:3]


def _pyvenv_version(venv: Path) -> tuple[int, ...]:
    try:
        text = (venv / "pyvenv.cfg").read_text(encoding="utf-8")
    except OSError:
        return ()
    found = re.search(r"^version(?:_info)?\s*=\s*(\d+)\.(\d+)\.(\d+)", text, re.MULTILINE)
    return tuple(int(n) for n in found.groups()) if found else ()


def _environment() -> dict[str, str]:
    """This environment without what would lead pip away from the virtual environment."""
    away = {"PYTHONHOME", "PYTHONPATH", "PIP_TARGET", "PIP_PREFIX", "PIP_USER", "PIP_REQUIRE_HASHES"}
    kept = {name: value for name, value in os.environ.items() if name not in away}
    calm = {"PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_NO_INPUT": "1", "PIP_ROOT_USER_ACTION": "ignore"}
    return kept | calm


def _run(*command: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(c) for c in command], check=False, capture_output=True, text=True, env=_environment(), cwd=ROOT
    )


def _make(venv: Path) -> None:
    """Makes an environment that has pip."""
    if _runs(venv) and _run(_python(venv), "-m", "pip", "--version").returncode == 0:
        return
    if importlib.util.find_spec("venv") is None:
        raise BootstrapError(
            f"{sys.executable} has no module venv; install the full Python of your system "
            "(Debian, Ubuntu: python3-venv), or name another one: make PYTHON=/path/to/python3"
        )
    if venv.exists():
        if not (venv / "pyvenv.cfg").is_file() and any(venv.iterdir()):
            raise BootstrapError(
                f"{venv} is there and is no virtual environment; move it away, or use make VENV=..."
            )
        shutil.rmtree(venv)
    print(f"making {venv}")
    if importlib.util.find_spec("ensurepip") is not None:
        if _run(sys.executable, "-m", "venv", venv).returncode == 0:
            return
        shutil.rmtree(venv, ignore_errors=True)
    made = _run(sys.executable, "-m", "venv", "--without-pip", venv)
    if made.returncode != 0:
        raise BootstrapError(f"python3 -m venv failed:\n{made.stdout}{made.stderr}")
    _add_pip(venv)


def _add_pip(venv: Path) -> None:
    """Puts pip into an environment that was made without it."""
    python = _python(venv)
    version = PIP_WHEEL.split("-")[1]
    if _host_pip() >= PIP_CAN_SERVE_OTHERS:
        done = _run(sys.executable, "-m", "pip", "--python", python, "install", "--quiet", f"pip=={version}")
        if done.returncode == 0:
            return
    wheel = venv / PIP_WHEEL
    wheel.write_bytes(_fetch_pip())
    # A wheel of pip is a zip file that Python can run.
    done = _run(python, wheel / "pip", "install", "--quiet", "--no-index", "--no-deps", wheel)
    wheel.unlink()
    if done.returncode != 0:
        raise BootstrapError(f"pip {version} did not install itself:\n{done.stdout}{done.stderr}")


def _host_pip() -> tuple[int, ...]:
    found = re.match(r"pip (\d+)\.(\d+)", _run(sys.executable, "-m", "pip", "--version").stdout)
    return tuple(int(n) for n in found.groups()) if found else ()


def _fetch_pip() -> bytes:
    """The pinned wheel of pip, from the first place that has it."""
    tried: list[str] = []
    for place in _places():
        try:
            data = _read(place)
        except (OSError, ValueError) as error:
            tried.append(f"  {_without_password(place)}: {error}")
            continue
        if hashlib.sha256(data).hexdigest() == PIP_SHA256:
            return data
        tried.append(f"  {_without_password(place)}: is another file (its hash differs)")
    raise BootstrapError(
        f"this Python has neither pip nor ensurepip, and no package index gave {PIP_WHEEL}:\n"
        + "\n".join(tried)
        + "\nName your index in PIP_INDEX_URL, or install pip (Debian, Ubuntu: apt-get install python3-venv)."
    )


def _places() -> Iterator[str]:
    """Addresses where the wheel may be: folders of wheels first, then every index that pip would ask."""
    settings = _pip_settings()
    for folder in settings["find-links"]:
        if "://" not in folder:
            path = Path(folder, PIP_WHEEL)
            if path.is_file():
                yield path.as_uri()
    for index in [*(settings["index-url"][-1:] or [DEFAULT_INDEX]), *settings["extra-index-url"]]:
        page_url = index.rstrip("/") + "/pip/"
        try:
            page = _read(page_url).decode("utf-8", "replace")
        except (OSError, ValueError):
            yield page_url
            continue
        for link in re.findall(r"""href\s*=\s*["']([^"']+)["']""", page):
            url = urllib.parse.urljoin(page_url, html.unescape(link)).partition("#")[0]
            if url.rsplit("/", 1)[-1] == PIP_WHEEL:
                yield url


def _pip_settings() -> dict[str, list[str]]:
    """What pip's configuration files and variables say about where packages come from, the strongest last."""
    names = ("index-url", "extra-index-url", "find-links")
    out: dict[str, list[str]] = {name: [] for name in names}
    files = [Path("/etc/pip.conf"), Path("~/.pip/pip.conf"), Path("~/.config/pip/pip.conf")]
    files.append(Path(os.environ.get("PIP_CONFIG_FILE", os.devnull)))
    parser = configparser.RawConfigParser()
    for file in files:
        try:
            parser.read(file.expanduser(), encoding="utf-8")
        except (OSError, RuntimeError, configparser.Error):
            continue
    for name in names:
        for section in ("global", "install"):
            out[name] += parser.get(section, name, fallback="").split()
        out[name] += os.environ.get("PIP_" + name.upper().replace("-", "_"), "").split()
    return out


def _read(url: str) -> bytes:
    """Reads an address; without the system's certificates too, if no password could leak by that.

    What is read is checked by its hash, so an unchecked certificate can do no harm to it.
    """
    parts = urllib.parse.urlsplit(url)
    if parts.scheme == "file":
        path = Path(urllib.request.url2pathname(parts.path))
        return (path / "index.html" if path.is_dir() else path).read_bytes()
    if parts.scheme not in ("http", "https"):
        raise ValueError(f"cannot read {parts.scheme}: addresses")
    headers = {"Accept": "text/html", "User-Agent": "unlock-rig"}
    request = urllib.request.Request(_without_password(url), headers=headers)  # noqa: S310
    if parts.username:
        import base64  # noqa: PLC0415

        login = urllib.parse.unquote(f"{parts.username}:{parts.password or ''}")
        request.add_header("Authorization", "Basic " + base64.b64encode(login.encode()).decode())
    ca_file = os.environ.get("PIP_CERT") or os.environ.get("REQUESTS_CA_BUNDLE") or None
    try:
        checked = ssl.create_default_context(cafile=ca_file)
        with urllib.request.urlopen(request, timeout=30, context=checked) as r:  # noqa: S310
            return bytes(r.read())
    except urllib.error.URLError as error:
        if parts.username or not isinstance(error.reason, ssl.SSLCertVerificationError):
            raise
    unchecked = ssl._create_unverified_context()  # noqa: S323
    with urllib.request.urlopen(request, timeout=30, context=unchecked) as r:  # noqa: S310
        return bytes(r.read())


def _without_password(url: str) -> str:
    parts = urllib.parse.urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


def _install(venv: Path) -> None:
    """Installs what the lock file lists, by its hashes, and the project itself in place."""
    python = _python(venv)
    print("installing the lock file", flush=True)
    steps = (
        ("--prefer-binary", "--require-hashes", "--requirement", str(LOCK)),
        ("--no-deps", "--no-build-isolation", "--no-index", "--editable", str(ROOT)),
    )
    for step in steps:
        done = subprocess.run(
            [python, "-m", "pip", "install", "-qq", "--progress-bar", "off", *step],
            check=False,
            env=_environment(),
            cwd=ROOT,
        )
        if done.returncode != 0:
            raise BootstrapError(
                f"pip ended with {done.returncode}; its message is above. Is the package index reachable? "
                "pip reads PIP_INDEX_URL, HTTPS_PROXY and pip.conf. Then run make again."
            )


if __name__ == "__main__":
    sys.exit(main())
