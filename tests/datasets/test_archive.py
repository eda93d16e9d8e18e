import gzip
import io
import lzma
import tarfile
import zipfile

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from al_tf.datasets import _archive
from al_tf.datasets._archive import iter_members, read_payload
from al_tf.errors import DataCorruptError

from .makers import tar, zipped

MEMBERS = {"a/one.bin": b"one" * 50, "a/two.bin": b"two" * 70}
MIB = 1 << 20


def make(path, kind):
    if kind == "zip":
        return zipped(path, MEMBERS)
    return tar(path, MEMBERS, mode=f"w:{kind}")


def test_folders_are_passed_over(tmp_path):
    path = zipped(tmp_path / "a.zip", {"a/": b"", **MEMBERS})
    assert dict(iter_members(path, MIB)) == MEMBERS


@pytest.mark.parametrize("kind", ["gz", "xz", "zip"])
def test_members_are_read_whatever_the_file_is_called(tmp_path, kind):
    assert dict(iter_members(make(tmp_path / "misnamed", kind), MIB)) == MEMBERS


@pytest.mark.parametrize("kind", ["gz", "xz", "zip"])
def test_every_truncation_is_noticed(tmp_path, kind):
    whole = make(tmp_path / "whole", kind).read_bytes()
    part = tmp_path / "part"
    for length in range(len(whole)):
        part.write_bytes(whole[:length])
        with pytest.raises(DataCorruptError, match="part"):
            list(iter_members(part, MIB))


@pytest.mark.parametrize("kind", ["gz", "xz", "zip"])
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_altered_archives_end_in_members_or_in_our_error(tmp_path, kind, data):
    content = bytearray(make(tmp_path / f"seed-{kind}", kind).read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path / f"altered-{kind}"
    path.write_bytes(content)
    try:
        read = list(iter_members(path, MIB))
    except DataCorruptError:
        return
    assert sum(len(content) for _, content in read) <= MIB


def altered_tar(path, *infos):
    with tarfile.open(path, "w:gz") as archive:
        for info, content in infos:
            archive.addfile(info, io.BytesIO(content))
    return path


def test_names_that_climb_out_are_only_names(tmp_path):
    path = tar(tmp_path / "slip.tar.gz", {"../../evil": b"x", "/etc/evil": b"y"})
    assert dict(iter_members(path, MIB)) == {"../../evil": b"x", "/etc/evil": b"y"}
    assert [child.name for child in tmp_path.iterdir()] == ["slip.tar.gz"]


def test_links_and_devices_are_passed_over(tmp_path):
    infos = []
    for name, kind in (
        ("link", tarfile.SYMTYPE),
        ("hard", tarfile.LNKTYPE),
        ("dev", tarfile.CHRTYPE),
    ):
        info = tarfile.TarInfo(name)
        info.type, info.linkname = kind, "/etc/passwd"
        infos.append((info, b""))
    regular = tarfile.TarInfo("regular")
    regular.size = 1
    path = altered_tar(tmp_path / "links.tar.gz", *infos, (regular, b"r"))
    assert list(iter_members(path, MIB)) == [("regular", b"r")]


@pytest.mark.parametrize("opener", [gzip.open, lzma.open])
def test_a_tar_bomb_stops_at_the_limit(tmp_path, opener):
    path = tmp_path / "bomb.tar"
    with opener(path, "wb") as file, tarfile.open(fileobj=file, mode="w|") as archive:
        for i in range(40):
            info = tarfile.TarInfo(f"zeros-{i}")
            info.size = MIB
            archive.addfile(info, io.BytesIO(bytes(MIB)))
    assert path.stat().st_size < 200_000
    seen = []
    with pytest.raises(DataCorruptError, match="at most 4,194,304 bytes decompressed, found more"):
        seen.extend(name for name, _ in iter_members(path, 4 * MIB))
    assert len(seen) < 5


def test_a_zip_bomb_stops_at_the_limit(tmp_path):
    path = zipped(tmp_path / "bomb.zip", {f"zeros-{i}": bytes(MIB) for i in range(40)})
    with pytest.raises(DataCorruptError, match="at most 4,194,304 bytes decompressed, found more"):
        list(iter_members(path, 4 * MIB))


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.REGTYPE])
def test_a_declared_size_is_not_believed(tmp_path, kind):
    info = tarfile.TarInfo("liar")
    info.type, info.size = kind, 8 << 30
    path = tmp_path / "liar.tar.gz"
    path.write_bytes(gzip.compress(info.tobuf(tarfile.GNU_FORMAT) + bytes(4096)))
    with pytest.raises(DataCorruptError, match="liar"):
        list(iter_members(path, MIB))


def test_a_zip_member_that_lies_about_its_size_is_noticed(tmp_path):
    path = tmp_path / "liar.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("zeros", bytes(MIB))
    content = path.read_bytes().replace(MIB.to_bytes(4, "little"), (10).to_bytes(4, "little"))
    path.write_bytes(content)
    with pytest.raises(DataCorruptError, match=r"liar.zip: truncated or damaged"):
        list(iter_members(path, 4 * MIB))


@pytest.mark.parametrize("make_archive", [tar, zipped])
def test_too_many_members_are_refused(tmp_path, monkeypatch, make_archive):
    monkeypatch.setattr(_archive, "MAX_MEMBERS", 3)
    path = make_archive(tmp_path / "many", {str(i): b"" for i in range(5)})
    with pytest.raises(DataCorruptError, match="at most 3 members, found more"):
        list(iter_members(path, MIB))


@pytest.mark.parametrize("make_archive", [tar, zipped])
def test_too_large_a_member_is_refused(tmp_path, monkeypatch, make_archive):
    monkeypatch.setattr(_archive, "MAX_MEMBER_BYTES", 1000)
    path = make_archive(tmp_path / "large", {"large": bytes(1001)})
    with pytest.raises(DataCorruptError, match="'large' declares 1,001 bytes; at most 1,000"):
        list(iter_members(path, MIB))


@pytest.mark.parametrize("content", [b"", b"<html>", b"BZh9", b"\x7fELF\x02\x01"])
def test_another_format_is_named_by_its_first_bytes(tmp_path, content):
    path = tmp_path / "page.tar.gz"
    path.write_bytes(content)
    with pytest.raises(
        DataCorruptError, match=r"expected a .tar.gz, .tar.xz or .zip archive, found"
    ):
        list(iter_members(path, MIB))


def test_a_payload_is_read_with_and_without_gzip(tmp_path):
    path = tmp_path / "file"
    for content in (b"payload", gzip.compress(b"payload")):
        path.write_bytes(content)
        assert read_payload(path, 7) == b"payload"


@pytest.mark.parametrize("compress", [bytes, gzip.compress])
def test_a_payload_beyond_its_length_is_refused(tmp_path, compress):
    path = tmp_path / "file"
    path.write_bytes(compress(bytes(1000)))
    with pytest.raises(DataCorruptError, match="expected at most 999 bytes, found more"):
        read_payload(path, 999)


def test_every_truncation_of_a_gzip_payload_is_noticed(tmp_path):
    whole = gzip.compress(bytes(range(200)))
    path = tmp_path / "file"
    for length in range(2, len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(DataCorruptError, match="truncated or damaged"):
            read_payload(path, 1000)
