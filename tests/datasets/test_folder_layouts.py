"""Folders as people really have them: right, or warned of, or refused with what to change."""

import json
import os
import unicodedata
import warnings

import numpy as np
import pytest

from al_tf.datasets import load_dataset
from al_tf.datasets._split import choose_test
from al_tf.errors import DataCorruptError, DataNotFoundError, DataWarning
from al_tf.seeding import stream

from .makers import write_image


def picture(number):
    """An image of its own for each number."""
    return np.random.default_rng(number).integers(0, 256, (6, 5), dtype=np.uint8)


def fill(root, counts, start=0):
    """Write so many different images into each subfolder."""
    number = start
    for name, n in counts.items():
        for i in range(n):
            write_image(root / name / f"{i:03}.png", picture(number := number + 1))


def load(root, **options):
    return load_dataset(f"folder:{root}", **options)


def load_quietly(root, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return load(root, **options)


def sides(dataset):
    """Return the images of the pool and of the test set as sets."""
    return {x.tobytes() for x in dataset.x_train}, {x.tobytes() for x in dataset.x_test}


class TestCopies:
    @pytest.mark.parametrize("seed", range(5))
    def test_of_one_image_stay_on_one_side(self, tmp_path, seed):
        for k, name in enumerate(("a", "b")):
            for i in range(40):  # 10 images, each under four names
                write_image(tmp_path / name / f"{i:03}.png", picture(100 * k + i % 10))
        pool, test = sides(load_quietly(tmp_path, seed=seed))
        assert not pool & test
        assert test

    def test_with_other_bytes_count_too(self, tmp_path):
        for k, name in enumerate(("a", "b")):
            for i in range(8):
                write_image(tmp_path / name / f"{i}.png", picture(100 * k + i))
                write_image(tmp_path / name / f"{i} copy.bmp", picture(100 * k + i))
        pool, test = sides(load_quietly(tmp_path))
        assert not pool & test

    @pytest.mark.parametrize("seed", range(3))
    def test_that_differ_by_extension_are_warned_of_and_stay_on_one_side(self, tmp_path, seed):
        for name in ("a", "b"):
            for i in range(8):
                image = np.full((6, 5), 10 * i + 5 * (name == "b"), np.uint8)
                write_image(tmp_path / name / f"{i}.png", image)
                write_image(tmp_path / name / f"{i}.bmp", image + 1)  # a mask, or another format
        with pytest.warns(UserWarning, match=r"16 files have the name .*0.bmp and 0.png.* masks"):
            dataset = load(tmp_path, seed=seed)
        pool, test = ({x[0, 0] // 5 for x in xs} for xs in (dataset.x_train, dataset.x_test))
        assert not pool & test

    def test_do_not_move_the_split_of_folders_without_any(self, tmp_path):
        fill(tmp_path, {"a": 10, "b": 10})
        test = choose_test(np.repeat([0, 1], 10), 0.2, stream(3, "folder", "test"))
        images = [picture(1 + i).tobytes() for i in np.flatnonzero(test)]
        assert [x.tobytes() for x in load_quietly(tmp_path, seed=3).x_test] == images

    def test_across_train_and_test_are_warned_of(self, tmp_path):
        fill(tmp_path / "train", {"a": 3, "b": 3})
        fill(tmp_path / "test", {"a": 3, "b": 1}, start=0)
        write_image(tmp_path / "test" / "b" / "000.png", picture(50))
        with pytest.warns(UserWarning, match="3 of the 4 test images are copies of training"):
            load(tmp_path)

    def test_in_two_classes_are_warned_of(self, tmp_path):
        fill(tmp_path, {"a": 4, "b": 4})
        write_image(tmp_path / "b" / "9.png", picture(1))
        with pytest.warns(
            UserWarning, match=r"1 images are copies .*9.png \(b\) of .*000.png \(a\)"
        ):
            load(tmp_path)


class TestNearCopies:
    @pytest.fixture
    def shots(self, tmp_path):
        for name in ("good", "bad"):
            for tile in range(6):
                for shot in range(4):
                    image = np.full((6, 5), 40 * tile + shot + 10 * (name == "bad"), np.uint8)
                    write_image(tmp_path / name / f"{name}{tile}_{shot}.png", image)
        return tmp_path

    @pytest.mark.parametrize("pattern", [r"(.*)_\d+", r"(.*)_.", r"(good|bad)(\d)_\d"])
    @pytest.mark.parametrize("seed", range(3))
    def test_that_a_pattern_groups_stay_on_one_side(self, shots, pattern, seed):
        dataset = load_quietly(shots, group=pattern, seed=seed)
        pool, test = ({int(x[0, 0]) // 40 * 2 + int(y) for x, y in zip(xs, ys, strict=True)}
                      for xs, ys in ((dataset.x_train, dataset.y_train),
                                     (dataset.x_test, dataset.y_test)))  # fmt: skip
        assert not pool & test
        assert set(dataset.y_test) == {0, 1}
        assert pattern in dataset.source

    def test_without_a_pattern_are_on_both_sides(self, shots):
        _, test = sides(load_quietly(shots))
        shades = {np.frombuffer(x, np.uint8)[0] // 40 for x in test}
        assert len(shades) > len(test) / 4  # shots, not whole tiles

    @pytest.mark.parametrize(
        ("pattern", "message"),
        [
            ("(.*", "is not a regular expression"),
            (r".*_\d+", "has no parentheses"),
            (r"tile(\d+)", "matches none of the 48 names .*'bad0_0' for example"),
            ("(.).*", "No image is left for the test set"),  # a group for each class
            (r"().*", "No image is left for the test set"),
        ],
    )
    def test_patterns_that_cannot_be_meant_are_refused(self, shots, pattern, message):
        with pytest.raises(ValueError, match=message):
            load(shots, group=pattern)


class TestClasses:
    def test_with_one_image_stay_in_the_pool_with_a_warning(self, tmp_path):
        fill(tmp_path, {"common": 10, "rare": 1})
        with pytest.warns(UserWarning, match=r"no image of 1 of 2 classes: rare \(1 in all\)"):
            dataset = load(tmp_path)
        assert np.bincount(dataset.y_train, minlength=2)[1] == 1

    def test_absent_from_the_test_folder_are_warned_of(self, tmp_path):
        fill(tmp_path / "train", {"a": 3, "b": 3, "c": 3})
        fill(tmp_path / "test", {"a": 3}, start=50)
        with pytest.warns(UserWarning, match=r"no image of 2 of 3 classes: b .*, c "):
            load(tmp_path)

    def test_of_one_image_each_leave_nothing_to_test(self, tmp_path):
        fill(tmp_path, {"a": 1, "b": 1})
        with pytest.raises(ValueError, match="No image is left for the test set"):
            load(tmp_path)

    def test_of_which_there_is_one_are_warned_of(self, tmp_path):
        fill(tmp_path, {"images": 5})
        with pytest.warns(UserWarning, match="one class only, 'images'"):
            load(tmp_path)

    @pytest.mark.parametrize("inside", [("a", "b"), ("train", "test")])
    def test_one_folder_too_high_is_refused(self, tmp_path, inside):
        for name in inside:
            fill(tmp_path / "data" / "images", {name: 3})
        with pytest.raises(
            DataCorruptError,
            match=r"only subfolder, images/, holds folders .* name that folder: folder:.*images$",
        ):
            load(tmp_path / "data")

    def test_with_subfolders_are_still_classes(self, tmp_path):
        fill(tmp_path / "a", {"monday": 2, "tuesday": 3})
        fill(tmp_path, {"b": 5}, start=50)
        assert load_quietly(tmp_path).class_names == ("a", "b")

    def test_of_images_beside_them_are_warned_of(self, tmp_path):
        fill(tmp_path, {"a": 3, "b": 3})
        write_image(tmp_path / "stray.png", picture(9))
        (tmp_path / "a" / "x.heic").touch()
        (tmp_path / "labels.csv").touch()
        with pytest.warns(
            UserWarning, match=r"2 files left out: 1 .heic, 1 beside the class folders\.$"
        ):
            assert len(load(tmp_path).x_train) == 4

    @pytest.mark.parametrize("name", [b"gr\xf6\xdfe", "größe".encode(), b"  spaced", b"#1, 2"])
    def test_may_have_any_name(self, tmp_path, name):
        fill(tmp_path, {os.fsdecode(name): 5, "b": 5})
        dataset = load_quietly(tmp_path)
        assert name.decode("utf-8", "replace") in dataset.class_names
        json.dumps(dataset.class_names, ensure_ascii=False).encode()

    def test_are_the_same_in_either_form_of_accents(self, tmp_path):
        fill(tmp_path / "train", {"größe": 3, "b": 3})
        fill(tmp_path / "test", {unicodedata.normalize("NFD", "größe"): 2, "b": 2}, start=50)
        assert load_quietly(tmp_path).class_names == ("b", "größe")

    def test_reasons_that_do_not_occur_are_not_listed(self, tmp_path):
        fill(tmp_path, {"a": 3, "b": 3})
        (tmp_path / "a" / "x.heic").touch()
        with pytest.warns(DataWarning, match=r": 1 file left out: 1 \.heic\.$"):
            load(tmp_path)


class TestSplits:
    @pytest.mark.parametrize("name", ["valid", "val", "validation"])
    def test_validation_is_the_test_set_where_there_is_no_other(self, tmp_path, name):
        fill(tmp_path / "train", {"a": 3, "b": 3})
        fill(tmp_path / name, {"a": 1, "b": 1}, start=50)
        dataset = load_quietly(tmp_path)
        assert len(dataset.x_test) == 2
        assert f"tested on {name}/" in dataset.source

    def test_roboflow_train_valid_test(self, tmp_path):
        fill(tmp_path / "train", {"a": 3, "b": 3})
        fill(tmp_path / "valid", {"a": 2, "b": 2}, start=50)
        fill(tmp_path / "test", {"a": 1, "b": 1}, start=80)
        (tmp_path / "README.roboflow.txt").touch()
        with pytest.warns(UserWarning, match="valid/ is left out: .* move them into train/"):
            dataset = load(tmp_path)
        assert (len(dataset.x_train), len(dataset.x_test)) == (6, 2)

    def test_keras_main_directory_of_class_folders(self, tmp_path):
        fill(tmp_path, {"class_a": 5, "class_b": 5})
        dataset = load_quietly(tmp_path, test_size=0.4)
        assert dataset.class_names == ("class_a", "class_b")
        assert np.bincount(dataset.y_test).tolist() == [2, 2]

    def test_an_unlabeled_test_folder_is_left_out_with_a_warning(self, tmp_path):
        fill(tmp_path / "train", {"a": 5, "b": 5})
        write_image(tmp_path / "test" / "1.png", picture(99))
        with pytest.warns(UserWarning, match="has no class folders, so its images have no labels"):
            dataset = load(tmp_path)
        assert len(dataset.x_test) == 2
        assert "split by seed" in dataset.source

    def test_train_and_test_without_class_folders_are_refused(self, tmp_path):
        for name in ("train", "valid", "test"):
            write_image(tmp_path / name / "1.png", picture(1))
        with pytest.raises(
            DataCorruptError, match=r"hold images, not a folder .* labels=FILE\.csv"
        ):
            load(tmp_path)


class TestTables:
    @pytest.fixture
    def images(self, tmp_path):
        for i in range(6):
            write_image(tmp_path / "images" / f"{i:04}.png", picture(i))
        return tmp_path / "images"

    LABELS = ("007", "008", "007", "008", "007", "008")

    def write(self, images, text, encoding="utf-8"):
        table = images.parent / "labels.csv"
        table.write_bytes(text.encode(encoding))
        return table

    @pytest.mark.parametrize("end", ["\n", "\r\n"])
    @pytest.mark.parametrize("separator", [",", ";", "\t"])
    @pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
    def test_byte_order_mark_line_ends_separators_and_leading_zeros(
        self, images, end, separator, encoding
    ):
        rows = [("name", "label"), *((f"{i:04}.png", self.LABELS[i]) for i in range(6))]
        text = end.join(separator.join(row) for row in rows) + end
        dataset = load_quietly(images, labels=self.write(images, text, encoding), test_size=0.4)
        assert dataset.class_names == ("007", "008")
        of = {x.tobytes(): y for x, y in zip(dataset.x_train, dataset.y_train, strict=True)}
        of |= {x.tobytes(): y for x, y in zip(dataset.x_test, dataset.y_test, strict=True)}
        assert [of[picture(i).tobytes()] for i in range(6)] == [0, 1, 0, 1, 0, 1]

    @pytest.mark.parametrize(
        "line",
        [
            "{i:04}.png,{label}",
            "{i:04},{label}",
            "./{i:04}.png, {label} ",
            '"{i:04}.png","{label}"',
            "{i:04}.PNG.png,{label}",
        ],
    )
    def test_names_as_they_are_written(self, images, line):
        rows = [line.format(i=i, label=self.LABELS[i]) for i in range(6)]
        if "PNG" in line:
            for i in range(6):
                (images / f"{i:04}.png").rename(images / f"{i:04}.PNG.png")
        for header in ("file,class\n", "id,species\n", ""):  # with and without one
            dataset = load_quietly(images, labels=self.write(images, header + "\n".join(rows)))
            assert dataset.class_names == ("007", "008")
            assert len(dataset.x_train) + len(dataset.x_test) == 6

    @pytest.mark.parametrize("name", ["a/1.png", "a\\1.png", "a/1"])
    def test_paths_beneath_the_folder(self, tmp_path, name):
        fill(tmp_path, {"a": 2, "b": 2})
        for folder in "ab":
            (tmp_path / folder / "001.png").rename(tmp_path / folder / "1.png")
        rows = [f"{name},x", "a/000.png,x", "b/1.png,y", "b/000.png,y"]
        dataset = load_quietly(tmp_path, labels=self.write(tmp_path / "a", "\n".join(rows)))
        assert np.bincount([*dataset.y_train, *dataset.y_test]).tolist() == [2, 2]

    @pytest.mark.parametrize(
        ("in_table", "on_disk"),
        [
            ("größe{}.png", unicodedata.normalize("NFD", "größe{}.png")),
            (unicodedata.normalize("NFD", "größe{}"), "größe{}.png"),
            ("IMG_{}.JPG", "IMG_{}.jpg"),
            ("sub/img_{}.jpg", "Sub/IMG_{}.jpg"),
        ],
    )
    def test_names_that_are_the_same_to_people(self, tmp_path, in_table, on_disk):
        for i in range(4):
            write_image(tmp_path / "x" / on_disk.format(i), picture(i))
        rows = [f"{in_table.format(i)},{'ab'[i % 2]}" for i in range(4)]
        dataset = load_quietly(tmp_path / "x", labels=self.write(tmp_path / "x", "\n".join(rows)))
        assert dataset.class_names == ("a", "b")

    def test_names_that_differ_by_case_alone_stay_apart(self, tmp_path):
        for i, name in enumerate(("a.png", "A.png", "b.png", "B.png")):
            write_image(tmp_path / "x" / name, picture(i))
        rows = "a.png,x\nA.png,y\nb.png,x\nB.png,y"
        dataset = load_quietly(
            tmp_path / "x", labels=self.write(tmp_path / "x", rows), test_size=0.5
        )
        of = {x.tobytes(): y for x, y in zip(dataset.x_train, dataset.y_train, strict=True)}
        of |= {x.tobytes(): y for x, y in zip(dataset.x_test, dataset.y_test, strict=True)}
        assert [of[picture(i).tobytes()] for i in range(4)] == [0, 1, 0, 1]

    def test_other_columns_and_their_order_do_not_matter(self, images):
        rows = [f"2024,{self.LABELS[i]},{i:04}.png" for i in range(6)]
        table = self.write(images, "year,Label,Filename\n" + "\n".join(rows))
        assert load_quietly(images, labels=table).class_names == ("007", "008")

    def test_excels_first_line_is_understood(self, images):
        rows = [f"{i:04}.png;{self.LABELS[i]}" for i in range(6)]
        table = self.write(images, "sep=;\r\nname;label\r\n" + "\r\n".join(rows), "utf-8-sig")
        assert load_quietly(images, labels=table).class_names == ("007", "008")

    def test_the_table_may_be_in_the_folder_and_images_it_lacks_are_counted(self, images):
        rows = "name,label\n" + "\n".join(f"{i:04}.png,{self.LABELS[i]}" for i in range(4))
        (images / "labels.csv").write_text(rows)
        with pytest.warns(UserWarning, match=r"2 files left out: 2 without a label in labels\.csv"):
            dataset = load(images, labels="labels.csv")
        assert len(dataset.x_train) + len(dataset.x_test) == 4

    def test_what_the_desk_exports_is_read(self, images, tmp_path):
        from al_tf.labeling import LabelLedger
        from al_tf.labeling.exchange.export import export_csv
        from al_tf.labeling.pool import FolderPool

        pool = FolderPool(images)
        with LabelLedger(tmp_path / "labels.db") as ledger:
            ledger.fix_classes(["007", "008"])
            for image, label in zip(pool.ids[:5], self.LABELS[:5], strict=True):
                ledger.label(image, label, annotator="ann", name=pool.name(image))
            ledger.skip(pool.ids[5], annotator="ann", name=pool.name(pool.ids[5]))
            export_csv(ledger, tmp_path / "labels.csv")
        with pytest.warns(UserWarning, match="1 without a label"):
            dataset = load(images, labels=tmp_path / "labels.csv")
        assert dataset.class_names == ("007", "008")
        assert len(dataset.x_train) + len(dataset.x_test) == 5

    @pytest.mark.parametrize(
        ("text", "error", "message"),
        [
            ("name,label\n9.png,a\n0001.png,b", DataNotFoundError, "names 1 of 2 files .*: 9.png"),
            (
                "name,label\n0001.png,a\n0001.png,b",
                DataCorruptError,
                "the labels a and b. Keep one",
            ),
            ("name\n0001.png", DataCorruptError, "expected two columns"),
            ("", DataCorruptError, "expected two columns"),
        ],
    )
    def test_tables_that_make_no_sense_are_refused(self, images, text, error, message):
        with pytest.raises(error, match=message):
            load(images, labels=self.write(images, text))

    def test_another_encoding_is_refused_with_what_to_do(self, images):
        table = self.write(images, "name,label\n0001.png,größe", "cp1252")
        with pytest.raises(DataCorruptError, match=r'UTF-8.* In Excel, save it as "CSV UTF-8"'):
            load(images, labels=table)

    def test_a_table_that_is_not_there(self, images):
        with pytest.raises(DataNotFoundError, match=r"labels='no.csv': no such file"):
            load(images, labels="no.csv")
