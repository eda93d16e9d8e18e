"""Pools of images: what counts as one image, and folders that hold anything and change."""

import shutil
import threading
import tracemalloc

import numpy as np
import pytest
from PIL import Image

from al_tf.errors import DataNotFoundError, ImageGoneError
from al_tf.labeling import ArrayPool, FolderPool, LabelingSession, folder_pool, open_pool
from al_tf.labeling.folder_files import FolderFiles
from al_tf.labeling.pictures import MAX_SHOWN_SIDE
from al_tf.progress import progress_bar

from .makers import huge_png, make_folder, truncated_jpeg, write_image
from .work import PATIENCE, NearestMean, make_images


class TestIdentity:
    def test_of_a_file_is_its_content_not_its_name(self, tmp_path):
        folder = make_folder(tmp_path / "a", 3)
        before = FolderPool(folder)
        (folder / "2.png").rename(folder / "renamed.png")
        shutil.copy(folder / "0.png", folder / "copy.png")
        after = FolderPool(folder)
        assert set(after.ids) == set(before.ids)
        assert after.name(before.ids[2]) == "renamed.png"

    def test_of_an_array_is_shape_and_pixels(self):
        images, _ = make_images(5)
        pool = ArrayPool(np.concatenate([images, images[:2]]))
        assert len(pool) == 5
        assert ArrayPool(images.reshape(5, 4, 9)).ids[0] != pool.ids[0]
        assert pool.row(pool.ids[3]) == 3

    def test_names_of_an_array(self):
        images, _ = make_images(2)
        pool = ArrayPool(images, names=["x", "y"])
        assert [pool.name(image) for image in pool.ids] == ["x", "y"]
        with pytest.raises(ValueError, match="a name for each of 2 images; got 1"):
            ArrayPool(images, names=["x"])


class TestSources:
    def test_folder_array_and_pool(self, tmp_path):
        assert isinstance(open_pool(str(make_folder(tmp_path / "a"))), FolderPool)
        pool = open_pool(make_images(3)[0])
        assert open_pool(pool) is pool

    @pytest.mark.parametrize(
        "images", [np.zeros((3, 4, 4)), np.zeros((3, 4), dtype=np.uint8), [[1]], None]
    )
    def test_anything_else_is_refused(self, images):
        with pytest.raises(ValueError, match="must be uint8 of shape"):
            open_pool(images)

    def test_empty_ones(self, tmp_path):
        with pytest.raises(ValueError, match="pool is empty"):
            open_pool(np.zeros((0, 4, 4), dtype=np.uint8))
        with pytest.raises(DataNotFoundError, match="no such folder"):
            open_pool(tmp_path / "none")
        with pytest.raises(DataNotFoundError, match="found none that can be read"):
            open_pool(tmp_path)

    def test_a_folder_of_bad_files_says_what_is_wrong_with_them(self, tmp_path):
        (tmp_path / "a.png").write_bytes(b"hello")
        with pytest.raises(DataNotFoundError, match=r"a\.png: expected an image"):
            open_pool(tmp_path)


@pytest.mark.parametrize("progress", [False, True])
def test_many_files_are_read_with_a_bar_if_one_is_wanted(tmp_path, monkeypatch, progress):
    bars = []

    def bar(**options):
        bars.append((options["total"], options["shown"]))
        return progress_bar(**options)

    monkeypatch.setattr("al_tf.labeling.folder_pool.progress_bar", bar)
    FolderPool(make_folder(tmp_path), progress=progress)
    assert bars == [(6, progress)]


class TestViews:
    def test_scaled_for_the_model_and_as_they_are_for_people(self, tmp_path):
        Image.new("RGB", (300, 200), "red").save(tmp_path / "a.png")
        pool = FolderPool(tmp_path, size=32)
        assert pool.shape == (32, 32, 3)
        assert pool.view(pool.ids)[:].shape == (1, 32, 32, 3)
        assert pool.shown(pool.ids[0]).shape == (200, 300, 3)

    def test_twelve_bits_in_sixteen_are_scaled_alike_and_as_stated(self, tmp_path):
        for name, value in (("bright.png", 4_095), ("dark.png", 819)):
            pixels = np.full((8, 8), value, np.uint16)
            Image.fromarray(pixels).save(tmp_path / name)
        first = FolderPool(tmp_path, size=8)
        assert first.bits == 12
        values = [int(first.seen_by_model(image).max()) for image in first.ids]
        assert values == [255, 51]
        (tmp_path / "bright.png").unlink()  # what a ledger or a model states holds
        again = FolderPool(tmp_path, size=8, bits=12)
        assert again.seen_by_model(again.ids[0]).max() == 51

    def test_large_ones_are_shrunk_for_the_screen(self, tmp_path):
        Image.new("L", (3_000, 1_500)).save(tmp_path / "a.png")
        pool = FolderPool(tmp_path)
        assert pool.shown(pool.ids[0]).shape == (MAX_SHOWN_SIDE // 2, MAX_SHOWN_SIDE)

    def test_a_view_behaves_as_an_array(self):
        images, _ = make_images(6)
        pool = ArrayPool(images)
        view = pool.view(pool.ids)
        assert view.shape == images.shape
        assert view.ndim == 3
        assert len(view) == 6
        for key in (2, slice(1, 4), [4, 0], np.array([True] * 3 + [False] * 3)):
            assert np.array_equal(view[key], images[key])
        assert np.array_equal(np.asarray(view, dtype=float), images)


class TestBadFiles:
    @pytest.fixture
    def folder(self, tmp_path):
        make_folder(tmp_path)
        (tmp_path / "text.png").write_text("not an image")
        (tmp_path / "empty.jpg").write_bytes(b"")
        (tmp_path / "huge.png").write_bytes(huge_png())
        (tmp_path / "truncated.jpg").write_bytes(truncated_jpeg())
        (tmp_path / "notes.txt").write_text("no image, and does not say so")
        return tmp_path

    def session(self, folder, **options):
        options = {"audit_share": 0.0, "repeat_share": 0.0} | options
        return LabelingSession(
            NearestMean(), folder, folder / "labels.db", classes=["a", "b"],
            auto_retrain=False, random_state=0, **options,
        )  # fmt: skip

    def label_all(self, session):
        names = []
        while (item := session.next()) is not None:
            names.append(item.name)
            session.label("ab"[len(names) % 2], slot=item.slot)
        return names

    def test_are_passed_over_with_a_reason(self, folder):
        session = self.session(folder)
        assert sorted(self.label_all(session)) == [f"{i}.png" for i in range(6)]
        problems = session.pool.problems
        assert set(problems) == {"text.png", "empty.jpg", "huge.png", "truncated.jpg"}
        assert "exceeds limit" in problems["huge.png"] or "20000 × 20000" in problems["huge.png"]
        assert session.progress().unreadable == 4
        assert session.retrain(wait=True)

    def test_a_huge_image_is_refused_from_its_header(self, folder):
        tracemalloc.start()
        FolderPool(folder)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 50 << 20

    def test_a_file_that_vanishes_on_the_screen(self, folder):
        session = self.session(folder)
        item = session.next()
        item.path.unlink()
        assert session.next().image_id != item.image_id
        assert len(self.label_all(session)) == 5

    def test_a_file_whose_content_changes_is_another_image(self, folder):
        session = self.session(folder)
        item = session.next()
        write_image(item.path, seed=99)
        names = self.label_all(session)
        assert names.count(item.name) == 1  # the new image
        assert item.image_id not in set(session.ledger.current()["image"])

    def test_new_files_come_in_with_the_next_batch(self, folder):
        session = self.session(folder, batch_size=3)
        session.next()
        write_image(folder / "sub" / "new.png", seed=50)
        assert "sub/new.png" in self.label_all(session)

    def test_no_answer_waits_for_the_folder_to_be_listed(self, folder, monkeypatch):
        session = self.session(folder, batch_size=3)
        listed_in = []
        for lists in (FolderFiles.scan, FolderFiles.scan_changed):

            def scan(files, lists=lists, **options):
                listed_in.append(threading.current_thread())
                lists(files, **options)

            monkeypatch.setattr(FolderFiles, lists.__name__, scan)
        monkeypatch.setattr(folder_pool, "LISTING_PAUSE", 0.0)
        write_image(folder / "new.png", seed=50)
        session.label("a", slot=session.next().slot)
        listing = session.pool._refreshing
        if listing is not None:  # else it has ended already
            listing.join(PATIENCE)
        assert "new.png" in map(session.pool.name, session.pool.ids)
        for label in "bab":  # into the next batch
            session.label(label, slot=session.next().slot)
        assert listed_in
        assert threading.current_thread() not in listed_in

    def test_new_files_wait_for_a_model_that_knows_them(self, folder):
        for i in range(20):
            write_image(folder / f"more {i}.png", seed=100 + i)
        session = self.session(folder, batch_size=4)
        for i in range(8):
            session.label("ab"[i % 2], slot=session.next().slot)
        session.retrain(wait=True)
        write_image(folder / "new.png", seed=51)
        assert "new.png" in self.label_all(session)

    def test_labeled_images_that_are_gone_are_left_out_of_the_training(self, folder):
        session = self.session(folder)
        paths = [session.pool.path(image) for image in session.pool.ids]
        assert len(self.label_all(session)) == 6
        paths[0].unlink()
        again = self.session(folder)
        assert again.retrain(wait=True)
        assert again.training.labels == 5

    def test_all_files_gone(self, folder):
        session = self.session(folder)
        for path in list(folder.glob("*.png")):
            path.unlink()
        assert session.next() is None
        with pytest.raises(ImageGoneError):
            session.pool.shown("0" * 64)

    @pytest.mark.parametrize("name", ["<img src=x onerror=alert(1)>.png", "a,\"b'.png", "ä 漢.png"])
    def test_odd_file_names_are_only_text(self, tmp_path, name):
        write_image(tmp_path / name, seed=1)
        write_image(tmp_path / "other.png", seed=2)
        session = self.session(tmp_path)
        assert set(self.label_all(session)) == {name, "other.png"}
        assert set(session.ledger.history()["name"]) == {name, "other.png"}

    def test_a_name_that_is_no_text(self, tmp_path):
        write_image(tmp_path / "b.png", seed=1)
        (tmp_path / "b.png").rename(tmp_path / b"\xff.png".decode("utf-8", "surrogateescape"))
        session = self.session(tmp_path)
        assert self.label_all(session) == ["\ufffd.png"]


def test_files_that_are_not_images_are_counted(tmp_path):
    folder = make_folder(tmp_path)
    for name in ("a.heic", "b.heic", ".hidden.png"):
        (folder / name).touch()
    pool = FolderPool(folder)
    assert dict(pool.left_out) == {".heic": 2, "hidden": 1}
    (folder / "a.heic").unlink()
    pool.refresh()
    assert dict(pool.left_out) == {".heic": 1, "hidden": 1}
