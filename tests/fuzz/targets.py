"""Every reader of bytes from outside, with a few good inputs to start from.

A target takes bytes and a scratch folder. It returns or raises an error of ours; anything else that
comes out of it is a bug. `test_fuzz.py` tries altered inputs with hypothesis, `atheris_run.py`
(``make fuzz``) with coverage feedback for as long as one likes.
"""

import gzip
import io
import json
import shutil
import tarfile
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image

from al_tf.datasets._archive import iter_members, read_payload
from al_tf.datasets._idx import parse_idx
from al_tf.datasets._label_table import read_label_table
from al_tf.datasets.cifar10 import parse_batch
from al_tf.errors import AlTfError
from al_tf.experiments import ExperimentConfig, load_profile, load_results, read_meta
from al_tf.images import decode_image
from al_tf.labeling import LabelLedger
from al_tf.labeling.exchange.label_studio import import_annotations
from al_tf.labeling.exchange.predict import _notes
from al_tf.labeling.pool import FolderPool

MIB = 2**20
ROOT = Path(__file__).parent.parent.parent
STUDY = ROOT / "figures" / "fashion_mnist"
OURS = (AlTfError, ValueError, FileNotFoundError)  # documented ValueErrors say what was expected
NOT_OURS = (UnicodeError, json.JSONDecodeError)  # ValueErrors of others, that say nothing to a user


def allowed(error):
    """Whether an error is one that a reader may end in."""
    return isinstance(error, OURS) and not isinstance(error, NOT_OURS)


def idx(data, folder):
    assert parse_idx(data, 3, "file").nbytes <= len(data)


def cifar(data, folder):
    parse_batch(data, "file")


def image(data, folder):
    assert decode_image(data, "file", size=(32, 32)).shape[:2] == (32, 32)


def archive(data, folder):
    path = folder / "archive"
    path.write_bytes(data)
    assert sum(len(content) for _, content in iter_members(path, MIB)) <= MIB


def payload(data, folder):
    path = folder / "payload.gz"
    path.write_bytes(data)
    assert len(read_payload(path, MIB)) <= MIB


def image_folder(data, folder):
    (folder / "pool").mkdir(exist_ok=True)
    (folder / "pool" / "image.png").write_bytes(data)
    FolderPool(folder / "pool")


def label_table(data, folder):
    images = folder / "images"
    if not images.exists():
        images.mkdir()
        for name in ("a.png", "b.png"):
            (images / name).write_bytes(_png())
    (folder / "labels.csv").write_bytes(data)
    assert len(read_label_table(folder / "labels.csv", images).files) <= 2


def run_records(data, folder):
    shutil.copy(STUDY / "study.toml", folder)
    (folder / "runs").mkdir(exist_ok=True)
    (folder / "runs" / "margin-seed0.jsonl").write_bytes(data)
    load_results(folder)


def packed_records(data, folder):
    shutil.copy(STUDY / "study.toml", folder)
    (folder / "records.jsonl.gz").write_bytes(data)
    load_results(folder)


def study(data, folder):
    (folder / "study.toml").write_bytes(data)
    load_results(folder)


def study_of_the_form_before(data, folder):
    (folder / "config.json").write_bytes(data)
    load_results(folder)


def profile(data, folder):
    path = folder / "profile.toml"
    path.write_bytes(data)
    ExperimentConfig.from_dict(load_profile(path))


def ledger(data, folder):
    path = folder / "labels.db"
    path.write_bytes(data)
    try:
        LabelLedger(path).history()
    finally:
        for left in folder.glob("labels.db*"):
            left.unlink()


def label_studio(data, folder):
    path = folder / "tasks.json"
    path.write_bytes(data)
    target = LabelLedger(folder / "target.db", synchronous="NORMAL")
    target.fix_classes(("cat", "dog"))
    before = len(target.history())
    try:
        import_annotations(target, path)
    except AlTfError:
        assert len(target.history()) == before  # all of it or nothing


def model_notes(data, folder):
    path = folder / "model.keras"
    path.write_bytes(data)
    _notes(path)


def _png():
    buffer = io.BytesIO()
    Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8)).save(buffer, "PNG")
    return buffer.getvalue()


def _jpeg():
    buffer = io.BytesIO()
    Image.fromarray(np.arange(192, dtype=np.uint8).reshape(8, 8, 3)).save(buffer, "JPEG")
    return buffer.getvalue()


def _zip(name="a/0.png", content=b"x" * 50):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr(name, content)
    return buffer.getvalue()


def _tar():
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as file:
        info = tarfile.TarInfo("a/0.png")
        info.size = 50
        file.addfile(info, io.BytesIO(b"x" * 50))
    return buffer.getvalue()


def _ledger(folder):
    path = folder / "seed.db"
    path.unlink(missing_ok=True)
    seed = LabelLedger(path)
    seed.fix_classes(("cat", "dog"))
    seed.label("abc", "cat", annotator="ann")
    seed.close()
    return path.read_bytes()


def _ledgers_with_damaged_text(folder):
    """Bytes that are no UTF-8, in the schema (and so in SQLite's messages) and in a row."""
    good = _ledger(folder)
    yield good.replace(b"CREATE TABLE events", b"CREATE TABLE \xc7vents")
    yield good.replace(b"CREATE TABLE events", b"CREATE TXBLE \xc7vents")
    yield good.replace(b"ann", b"a\xc7n")


def _tasks():
    annotation = {"id": 1, "result": [{"type": "choices", "value": {"choices": ["cat"]}}],
                  "completed_by": {"email": "a@b.c"}, "lead_time": 2.5}  # fmt: skip
    task = {"id": 7, "data": {"image_id": "abc", "name": "a.png"}, "annotations": [annotation]}
    return json.dumps([task, task | {"annotations": []}]).encode()


def _deep(opening, closing):
    return opening * 100_000 + closing * 100_000


def seeds(folder):
    """Return good inputs, and a few known to be nasty, for each target by name."""
    packed = (STUDY / "records.jsonl.gz").read_bytes()
    lines = gzip.decompress(packed).splitlines(keepends=True)
    records = b"".join(line for line in lines if b'"strategy":"margin","seed":0,' in line)[:6000]
    profiles = [p.read_bytes() for p in ROOT.glob("al_tf/experiments/profiles/*.toml")]
    settings = (STUDY / "study.toml").read_bytes()
    config = json.dumps(read_meta(STUDY)).encode()
    deep = _deep(b"[", b"]")
    return {
        idx: [b"\0\0\x08\x03" + b"\0\0\0\x02" * 3 + b"12345678"],
        cifar: [bytes(3073 * 10_000), b"\x09" * 3073 * 10_000],
        image: [_png(), _jpeg()],
        archive: [_zip(), _tar(), _zip("../../evil"), gzip.compress(b"x" * 100)],
        payload: [gzip.compress(b"x" * 100), gzip.compress(bytes(8 * MIB))],
        image_folder: [_png(), _jpeg()],
        label_table: [b"name,label\r\na.png,007\r\nb.png,x\r\n", b"\xef\xbb\xbfsep=;\nid;species\na;x\nb;y",
                      b'"a.png","x"\n"b.png","y', b"name,label\na.png\x00,b", b"a" * 200_000 + b",b"],
        run_records: [records, records + b"\n", deep],
        packed_records: [gzip.compress(b"".join(lines[:9])), gzip.compress(deep), packed[:900]],
        study: [settings, b"config = 5", b"config = " + deep],
        study_of_the_form_before: [config, b"[]", b"5", b'{"config": 5}', deep],
        profile: [*profiles, b"a = " + deep, b"datasets = 5", b"seeds = 99999999999999999999"],
        ledger: [_ledger(folder), *_ledgers_with_damaged_text(folder)],
        label_studio: [_tasks(), deep, _tasks().replace(b"cat", b"\\ud800"),
                       _tasks().replace(b"2.5", b"1e999"), _tasks().replace(b"2.5", b"9" * 400)],
        model_notes: [_zip("al_tf.json", b'{"classes": ["a"]}'), _zip("al_tf.json", b"[1]")],
    }  # fmt: skip
