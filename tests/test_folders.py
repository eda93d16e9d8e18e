"""Which files of a folder are images, and what is said of the others."""

import json
import os

import numpy as np
import pytest

from al_tf.folders import list_folder, list_images

from .datasets.makers import write_image

GREY = np.arange(6, dtype=np.uint8).reshape(2, 3)


def test_nothing_is_said_of_a_folder_of_images_alone(tmp_path):
    for name in ("b.png", "a.jpg", "deep/er/c.tif"):
        write_image(tmp_path / name, GREY)
    for name in (".DS_Store", "Thumbs.db", "._b.png", "desktop.ini", "__MACOSX/b.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"of the system")
    listing = list_folder(tmp_path)
    assert [path.relative_to(tmp_path).as_posix() for path in listing.images] == [
        "a.jpg", "b.png", "deep/er/c.tif",
    ]  # fmt: skip
    assert str(listing) == ""


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("photo.HEIC", "1 file left out: 1 .heic."),
        ("drawing.svg", "1 file left out: 1 .svg."),
        ("notes", "1 file left out: 1 without an extension."),
        (".hidden.png", "1 file left out: 1 hidden."),
    ],
)
def test_a_file_left_out_is_counted_by_reason(tmp_path, name, reason):
    (tmp_path / name).write_bytes(b"x")
    assert str(list_folder(tmp_path)) == reason


def test_links_that_lead_nowhere_and_linked_folders_are_counted(tmp_path):
    (tmp_path / "pool").mkdir()
    (tmp_path / "elsewhere").mkdir()
    write_image(tmp_path / "elsewhere" / "a.png", GREY)
    (tmp_path / "pool" / "gone.png").symlink_to(tmp_path / "nowhere.png")
    (tmp_path / "pool" / "linked").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "pool" / "a.png").symlink_to(tmp_path / "elsewhere" / "a.png")
    listing = list_folder(tmp_path / "pool")
    assert [path.name for path in listing.images] == ["a.png"]
    assert dict(listing.left_out) == {"broken link": 1, "linked folder": 1}


def test_the_line_has_the_most_frequent_reason_first(tmp_path):
    for i in range(3):
        (tmp_path / f"{i}.heic").touch()
    (tmp_path / "a.cr2").touch()
    assert str(list_folder(tmp_path)) == "4 files left out: 3 .heic, 1 .cr2."


def export(folder, classes=("cat", "dog")):
    for name in classes:
        write_image(folder / name / "0.png", GREY)
    index = {name: f"class {name}" for name in classes}
    (folder / "classes.json").write_text(json.dumps(index))


def test_an_export_of_labels_inside_the_folder_is_passed_over(tmp_path):
    write_image(tmp_path / "0.png", GREY)
    export(tmp_path / "export")
    listing = list_folder(tmp_path)
    assert [path.name for path in listing.images] == ["0.png"]
    assert str(listing) == "3 files left out: 3 in an export of al-tf."


def test_an_export_without_its_empty_folders_is_passed_over_too(tmp_path):
    export(tmp_path / "export", ("cat", "dog", "fox"))
    (tmp_path / "export" / "fox" / "0.png").unlink()
    (tmp_path / "export" / "fox").rmdir()
    assert list_images(tmp_path) == []


def test_an_export_itself_can_be_read(tmp_path):
    export(tmp_path)
    assert len(list_images(tmp_path)) == 2


@pytest.mark.parametrize(
    "text", ["{}", "[1]", "no JSON", '{"cat": "cat"}', '{"cat": 0, "dog": 1}', "\xff"]
)
def test_a_file_of_that_name_alone_makes_no_export(tmp_path, text):
    export(tmp_path / "mine")
    (tmp_path / "mine" / "classes.json").write_bytes(text.encode("latin-1"))
    assert len(list_images(tmp_path)) == 2


def test_what_export_writes_is_recognised(tmp_path):
    from al_tf.labeling import LabelLedger
    from al_tf.labeling.exchange.export import export_folders
    from al_tf.labeling.pool import FolderPool

    write_image(tmp_path / "pool" / "a.png", GREY)
    pool = FolderPool(tmp_path / "pool")
    with LabelLedger(tmp_path / "labels.db") as ledger:
        ledger.fix_classes(["good", "not so / good"])
        ledger.label(pool.ids[0], "not so / good", annotator="ann")
        export_folders(ledger, pool, tmp_path / "pool" / "export")
    assert len(list(os.scandir(tmp_path / "pool" / "export"))) == 3
    assert [path.name for path in list_images(tmp_path / "pool")] == ["a.png"]
