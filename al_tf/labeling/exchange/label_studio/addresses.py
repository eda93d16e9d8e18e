"""From the address of an image in Label Studio's data to an image of a pool."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import parse_qs, unquote, urlsplit

from ...image_pool import ImagePool

LOCAL_PATH = "/data/local-files/"
_UPLOAD = re.compile(r"/data/upload/(?:\d+/)?(?P<mark>[0-9a-f]{8})-(?P<name>[^/?]+)$")
_SCHEME = re.compile(r"^[A-Za-z][A-Za-z0-9+.-]+://")
_SHORTENED = re.compile(r"_[A-Za-z0-9]{7}(?=\.[^.]*$|$)")
_LONGEST_UPLOAD = 85
"""Characters; Label Studio shortens the names of uploaded files that exceed some 90."""


@dataclass(frozen=True)
class Match:
    """The image that an address names, or why none is known."""

    image: str | None
    reason: str = ""


def paths_of(address: str) -> list[str]:
    """Return the file paths that an address may mean, the likeliest first; see `upload_name`.

    Addresses under http, https, s3, gs, azure-blob and the like, local files of Label Studio,
    paths. Percent signs are decoded, and taken literally as a second guess where names of files
    may hold them.
    """
    if LOCAL_PATH in address:
        named = parse_qs(urlsplit(address).query).get("d", [])
        texts = [named[0]] if named else []
    elif address.startswith(("http://", "https://")):
        texts = [unquote(urlsplit(address).path)]
    elif _SCHEME.match(address):
        rest = _SCHEME.sub("", address)
        texts = [rest, unquote(rest)]
    else:
        texts = [address, unquote(address)]
    plain = [_normal(text.replace("\\", "/").lstrip("/")) for text in texts]
    return list(dict.fromkeys(path for path in plain if path))


def upload_name(address: str) -> str | None:
    """Return the name of a file that was uploaded to Label Studio, or None for other addresses."""
    match = _UPLOAD.search(urlsplit(address).path if "?" in address else address)
    return None if match is None else _normal(unquote(match["name"]))


def stored_name(name: str) -> str:
    """Return what Label Studio makes of a file name: underscores for spaces, no odd characters."""
    return re.sub(r"(?u)[^-\w.]", "", name.strip().replace(" ", "_"))


class ImageIndex:
    """The images of a pool by the names that addresses may give them.

    An address is matched by path, where one folder in front of the pool's names explains as many
    of the addresses asked for as possible; else by the file's own name, if no other image has it.

    Parameters
    ----------
    pool : ImagePool
    """

    def __init__(self, pool: ImagePool) -> None:
        self.pool = pool
        self._fronts: Counter[str] = Counter()
        self._counted: set[str] = set()
        self._ids: tuple[str, ...] | None = None
        self._read()

    def match(self, addresses: Sequence[str]) -> list[Match]:
        """Return the image of each address."""
        self._read()
        for address in dict.fromkeys(addresses):
            if address not in self._counted:
                self._counted.add(address)
                self._fronts.update({front for front, _ in self._candidates(address)})
        by_path = {address: self._by_path(address) for address in dict.fromkeys(addresses)}
        claimed = {image: address for address, image in by_path.items() if image is not None}
        named: dict[str, str] = {}
        found: dict[str, Match] = {}
        for address, image in by_path.items():
            found[address] = Match(image) if image else self._by_name(address, claimed, named)
        return [found[address] for address in addresses]

    def _read(self) -> None:
        ids = self.pool.ids
        if ids == self._ids:
            return
        self._ids = ids
        self._names: dict[str, str] = {}
        self._files: dict[str, set[str]] = defaultdict(set)
        self._stored: dict[str, set[str]] = defaultdict(set)
        for image in ids:
            for name in map(_normal, self.pool.names(image)):
                self._names[name] = image
                base = name.rpartition("/")[2]
                self._files[base].add(image)
                self._stored[stored_name(base)].add(image)
        self._fronts.clear()
        self._counted.clear()

    def _candidates(self, address: str) -> list[tuple[str, str]]:
        """Return what is in front of each name of the pool that a path ends in, and the name."""
        if upload_name(address) is not None:
            return []
        found = []
        for path in paths_of(address):
            parts = path.split("/")
            tails = ["/".join(parts[i:]) for i in range(len(parts))]
            found += [(path[: len(path) - len(t)], t) for t in tails if t in self._names]
        return found

    def _by_path(self, address: str) -> str | None:
        """Return the image whose path an address names, as far as other addresses confirm it."""
        candidates = self._candidates(address)
        if not candidates:
            return None
        front, name = max(candidates, key=lambda c: (self._fronts[c[0]], len(c[1])))
        usual = max(self._fronts.values(), default=0)
        if front == "" or self._fronts[front] == usual or "/" in name:
            return self._names[name]
        return None

    def _by_name(self, address: str, claimed: dict[str, str], named: dict[str, str]) -> Match:
        upload = upload_name(address)
        if upload is not None:
            images = self._files.get(upload) or self._stored.get(upload) or self._longer(upload)
        else:
            bases = [path.rpartition("/")[2] for path in paths_of(address)]
            images = next((self._files[base] for base in bases if base in self._files), set())
        if not images:
            return Match(None, "no image of the folder has this name")
        if len(images) > 1:
            names = sorted(self.pool.name(image) for image in images)
            return Match(None, f"ambiguous: it may be {' or '.join(names[:4])}")
        (image,) = images
        other = claimed.get(image) or named.setdefault(image, address)
        if upload is None and other != address:
            return Match(None, f"ambiguous: {other} names {self.pool.name(image)} as well")
        return Match(image)

    def _longer(self, upload: str) -> set[str]:
        """Return the images whose long name Label Studio may have shortened to this one."""
        start, suffix = _SHORTENED.sub("", upload), upload.rpartition(".")[2]
        if start == upload or len(upload) < _LONGEST_UPLOAD - len(suffix):
            return set()
        start = start.removesuffix("." + suffix)
        return {
            image
            for name, images in self._stored.items()
            if name.startswith(start) and name.endswith(suffix)
            for image in images
        }


def _normal(name: str) -> str:
    """Return a name as everybody writes it: accents are composed."""
    return unicodedata.normalize("NFC", name)
