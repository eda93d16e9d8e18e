"""Folders of very many files: known from before, read in the background, in random order."""

import os
import signal
import threading
import time

import pytest

from al_tf.errors import ImageGoneError
from al_tf.labeling import (
    FolderPool,
    LabelingSession,
    LabelLedger,
    file_index,
    folder_files,
    folder_pool,
)
from al_tf.labeling.audit import audit_rank
from al_tf.labeling.desk.protocol import Desk
from al_tf.labeling.file_index import FileIndex, look_at
from al_tf.labeling.ledger import Candidate
from al_tf.network.probe import LinearProbeClassifier

from .makers import make_folder, write_image
from .work import CLASSES, PATIENCE, FakeBackbone, NearestMean, processes, wait_for

FILES = 90


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("AL_TF_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(file_index, "SETTLED_NS", 0)
    return tmp_path / "cache"


@pytest.fixture
def folder(tmp_path):
    return make_folder(tmp_path / "images", FILES)


@pytest.fixture
def reads(monkeypatch):
    """The names of the files that are read, in their order; `reads.gate` holds up reading."""
    return Reads(monkeypatch)


class Reads(list):
    def __init__(self, monkeypatch):
        super().__init__()
        self.gate = threading.Event()
        self.gate.set()
        monkeypatch.setattr(folder_files, "look_at", self.look_at)

    def look_at(self, path):
        if len(self) >= folder_files.PART:
            assert self.gate.wait(PATIENCE)
        self.append(path.name)
        return look_at(path)


@pytest.fixture
def all_ids(folder):
    return FolderPool(folder).ids


@pytest.fixture
def half_read(folder, all_ids, reads, monkeypatch):
    """A pool of which one part has been read; the rest waits for `reads.gate`."""
    monkeypatch.setattr("al_tf.labeling.folder_pool.FIRST_SECONDS", 0)
    monkeypatch.setattr("al_tf.labeling.folder_pool.FIRST_IMAGES", 1)
    reads.gate.clear()
    pool = FolderPool(folder, size=12, background=True, remember=True)
    yield pool
    reads.gate.set()
    pool.close()


def finish(pool, reads):
    reads.gate.set()
    wait_for(lambda: not pool.n_unread and not pool.is_reading)


def open_session(pool, ledger, estimator=None, **options):
    options = {"audit_share": 0.2, "repeat_share": 0.0, "auto_retrain": False} | options
    return LabelingSession(
        estimator or NearestMean(), pool, ledger, classes=CLASSES, random_state=0, **options
    )


class TestKnownFiles:
    def test_are_not_read_again(self, folder, reads):
        before = FolderPool(folder, remember=True)
        assert sorted(reads) == sorted(path.name for path in folder.iterdir())
        reads.clear()
        again = FolderPool(folder, remember=True)
        assert reads == []
        assert (again.ids, again.shape) == (before.ids, before.shape)
        write_image(folder / "3.png", seed=1_000)
        write_image(folder / "new.png", seed=1_001)
        (folder / "4.png").unlink()
        latest = FolderPool(folder, remember=True)
        assert sorted(reads) == ["3.png", "new.png"]
        assert latest.ids == FolderPool(folder).ids

    def test_a_refresh_reads_what_is_new_or_changed(self, folder, reads):
        pool = FolderPool(folder)
        reads.clear()
        pool.refresh()
        assert reads == []
        write_image(folder / "3.png", seed=1_000)
        write_image(folder / "sub" / "new.png", seed=1_001)
        (folder / "4.png").rename(folder / "5a.png")
        pool.refresh()
        assert sorted(reads) == ["3.png", "5a.png", "new.png"]
        assert pool.ids == FolderPool(folder).ids

    def test_the_disk_is_asked_for_the_marks_of_known_files_alone(self, folder, monkeypatch):
        asked = []
        mark = folder_files.file_mark
        monkeypatch.setattr(folder_files, "file_mark", lambda stat: asked.append(1) or mark(stat))
        pool = FolderPool(folder, remember=True)
        assert asked == []
        write_image(folder / "new.png", seed=1_000)
        pool.refresh()
        assert len(asked) == FILES

    def test_one_whose_marks_the_disk_refuses_stays_as_it_was(self, folder, reads, monkeypatch):
        pool = FolderPool(folder)
        reads.clear()

        def refuse(stat):
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr(folder_files, "file_mark", refuse)
        pool.refresh()
        assert (len(pool), reads) == (FILES, [])

    def test_copies_are_one_image(self, folder, reads):
        for name in ("a.png", "sub/b.png"):
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_bytes((folder / "3.png").read_bytes())
        FolderPool(folder, remember=True)
        reads.clear()
        again = FolderPool(folder, remember=True)
        assert (len(again), len(again.arrivals), reads) == (FILES, FILES, [])
        assert again.names(again.id_of(folder / "3.png")) == ("3.png", "a.png", "sub/b.png")
        (folder / "3.png").unlink()
        again.refresh()
        assert again.names(again.id_of(folder / "a.png")) == ("a.png", "sub/b.png")

    def test_they_arrive_in_a_random_order_that_stays_the_same(self, folder):
        FolderPool(folder, remember=True)
        again = FolderPool(folder, remember=True)
        assert sorted(again.arrivals) == sorted(again.ids)
        assert again.arrivals != list(again.ids)
        assert again.arrivals == FolderPool(folder, remember=True).arrivals

    def test_one_that_was_written_a_moment_ago_is_read_again(self, folder, reads, monkeypatch):
        monkeypatch.setattr(file_index, "SETTLED_NS", 3_600 * 10**9)
        FolderPool(folder, remember=True)
        reads.clear()
        FolderPool(folder, remember=True)
        assert len(reads) == FILES

    def test_one_with_other_content_under_the_same_time_is_noticed_when_it_is_shown(self, folder):
        pool = FolderPool(folder, remember=True)
        image, seen = pool.ids[0], pool._files._seen["0.png"]
        other = "0" * 64
        FileIndex(folder).keep({"0.png": seen._replace(image=other)})
        again = FolderPool(folder, remember=True)
        with pytest.raises(ImageGoneError, match="content changed"):
            again.pixels(other)
        assert FolderPool(folder, remember=True).ids[0] == image


class TestKnownByName:
    """A desk that is opened again takes files for the same by their names, and looks soon."""

    @pytest.fixture
    def known(self, folder):
        """Names and images of the folder, which a pool of before has kept."""
        pool = FolderPool(folder, size=12, remember=True)
        return {pool.name(image): image for image in pool.ids}

    @pytest.fixture
    def again(self, known, folder, monkeypatch):
        """Open the folder once more, as a desk does, which looks at the files after `pause`."""
        pools = []

        def opened(pause, without_image=0.0):
            monkeypatch.setattr(folder_pool, "LISTING_PAUSE", pause)
            monkeypatch.setattr(folder_pool, "FIRST_IMAGE_SECONDS", without_image)
            pools.append(FolderPool(folder, size=12, remember=True, background=True))
            return pools[-1]

        yield opened
        for pool in pools:
            pool.close()

    def test_a_file_that_was_written_to_is_noticed_in_a_moment(self, again, known, folder):
        write_image(folder / "3.png", seed=1_000)
        pool = again(0.0)
        wait_for(lambda: pool.id_of(folder / "3.png") not in (None, known["3.png"]))
        assert pool.ids == FolderPool(folder).ids

    def test_the_first_image_comes_before(self, again, known, folder):
        write_image(folder / "3.png", seed=1_000)
        pool = again(0.0, without_image=60.0)
        looking = pool._refreshing
        looking.join(0.1)
        assert known["3.png"] in pool
        pool.pixels(known["5.png"])
        looking.join(PATIENCE)
        wait_for(lambda: not pool.n_unread)
        assert pool.ids == FolderPool(folder).ids

    def test_until_then_what_it_held_is_not_shown(self, again, known, folder, tmp_path):
        write_image(folder / "3.png", seed=1_000)
        pool = again(60.0)
        assert known["3.png"] in pool
        with open_session(pool, tmp_path / "l.db") as session:
            for _ in range(FILES - 1):
                item = session.next()
                assert item.name != "3.png"
                session.label(CLASSES[0], slot=item.slot)
            assert "content changed" in pool.problems["3.png"]
            last = session.next()  # nothing else is left, so the folder is looked at again
            assert (last.name, last.image_id) == ("3.png", look_at(folder / "3.png").image)

    def test_one_with_an_answer_is_looked_at_first(self, again, known, folder):
        write_image(folder / "3.png", seed=1_000)
        (folder / "4.png").unlink()
        pool = again(60.0)
        pool.read_first(["3.png", "4.png", "5.png"])
        assert known["3.png"] not in pool
        assert pool.id_of(folder / "3.png") is not None
        assert known["4.png"] not in pool
        assert pool.id_of(folder / "5.png") == known["5.png"]

    def test_new_and_vanished_files_are_noticed_at_once(self, again, known, folder):
        write_image(folder / "new.png", seed=1_000)
        (folder / "4.png").unlink()
        pool = again(60.0)
        wait_for(lambda: not pool.n_unread)
        assert pool.ids == FolderPool(folder).ids


class TestIndex:
    def test_a_damaged_one_is_begun_anew(self, folder, reads):
        FolderPool(folder, remember=True)
        path = FileIndex(folder).path
        path.write_bytes(b"this is no database" * 100)
        assert len(FolderPool(folder, remember=True)) == FILES
        reads.clear()
        assert len(FolderPool(folder, remember=True)) == FILES
        assert reads == []

    def test_files_are_read_again_from_where_it_makes_no_sense(self, folder, reads):
        FolderPool(folder, remember=True)
        index = FileIndex(folder)
        index._connection.execute("UPDATE file SET digest = 'no bytes' WHERE name = ?", (b"3.png",))
        reads.clear()
        with pytest.warns(RuntimeWarning, match="cannot be kept"):
            pool = FolderPool(folder, remember=True)
        assert "3.png" in reads
        assert pool.ids == FolderPool(folder).ids

    def test_without_room_files_are_read_again_next_time(self, folder, reads):
        pool = FolderPool(folder, remember=True)
        index = FileIndex(folder)
        index._connection.execute("PRAGMA max_page_count = 1")
        many = {f"{i}.png": pool._files._seen["0.png"] for i in range(10_000)}
        with pytest.warns(RuntimeWarning, match=r"cannot be kept .*full.*read again next time"):
            index.keep(many)
        index.keep(many)  # says it once
        assert len(FolderPool(folder, remember=True)) == FILES

    def test_without_a_place_the_pool_is_there_all_the_same(self, folder, cache):
        cache.write_text("a file where a folder should be")
        with pytest.warns(RuntimeWarning, match="cannot be kept"):
            pool = FolderPool(folder, remember=True)
        assert len(pool) == FILES

    def test_is_shared_by_two_desks(self, folder, reads):
        pools = [FolderPool(folder, remember=True, background=True) for _ in range(2)]
        for i, pool in enumerate(pools):
            write_image(folder / f"new {i}.png", seed=2_000 + i)
            pool.refresh()
        for pool in pools:
            pool.refresh()
            pool.close()
        reads.clear()
        assert set(FolderPool(folder, remember=True).ids) == set(pools[0].ids) == set(pools[1].ids)
        assert reads == []


class TestBackground:
    def test_what_is_known_grows_until_all_files_are_read(self, half_read, reads, all_ids):
        pool = half_read
        assert len(pool.ids) == len(pool) == folder_files.PART
        assert (pool.n_files, pool.n_unread) == (FILES, FILES - folder_files.PART)
        finish(pool, reads)
        assert pool.ids == all_ids

    def test_what_nobody_waits_for_gives_way(self, folder, reads, monkeypatch):
        given = []
        monkeypatch.setattr(folder_files, "give_way", lambda: given.append(len(reads)))
        pool = FolderPool(folder, size=12)
        assert (len(reads), given) == (FILES, [])
        pool.close()
        monkeypatch.setattr("al_tf.labeling.folder_pool.FIRST_SECONDS", 0)
        monkeypatch.setattr("al_tf.labeling.folder_pool.FIRST_IMAGES", 1)
        pool = FolderPool(folder, size=12, background=True)
        finish(pool, reads)
        assert given == [FILES + folder_files.PART]
        pool.close()

    def test_files_are_read_in_a_random_order_that_stays_the_same(self, folder, reads):
        FolderPool(folder)
        first = reads[:]
        reads.clear()
        FolderPool(folder)
        by_name = sorted(path.name for path in folder.iterdir())
        assert first != by_name
        part = slice(folder_files.PART)  # threads may finish in another order
        assert sorted(first[part]) == sorted(reads[part]) != by_name[part]

    def test_the_audit_is_the_same_whenever_an_image_is_read(
        self, half_read, reads, all_ids, tmp_path
    ):
        with open_session(half_read, tmp_path / "l.db", batch_size=10) as session:
            for _ in range(20):
                session.label(CLASSES[0], slot=session.next().slot)
            finish(half_read, reads)
            while (item := session.next()) is not None:
                session.label(CLASSES[0], slot=item.slot)
            answers = session.ledger.answers()
            seed = session.ledger.setting("seed")
        assert set(answers) == set(all_ids)
        reserve = {image for image in all_ids if audit_rank(image, seed) < 0.2}
        audited = {event.image for event in answers.values() if event.purpose == "audit"}
        assert audited == reserve

    def test_the_desk_says_how_many_files_are_read(self, half_read, reads, tmp_path):
        with open_session(half_read, tmp_path / "l.db") as session:
            desk = Desk(session)
            status = desk.handle({"do": "look"})["status"]
            assert (status["files"], status["unread"]) == (FILES, FILES - folder_files.PART)
            assert status["images"] == status["remaining"] == folder_files.PART
            finish(half_read, reads)
            status = desk.handle({"do": "status"})["status"]
            assert (status["unread"], status["images"]) == (0, FILES)

    def test_an_image_set_aside_waits_until_its_file_is_read(
        self, half_read, reads, all_ids, tmp_path
    ):
        late = next(image for image in all_ids if image not in half_read)
        ledger = LabelLedger(tmp_path / "l.db")
        (slot,) = ledger.queue.claim(
            [Candidate(late, "query", "random")], 1, annotator="annotator", round=0,
            lease_seconds=600,
        )  # fmt: skip
        with open_session(half_read, ledger) as session:
            assert session.next().image_id != late
            finish(half_read, reads)
            assert session.next().slot == slot.id

    def test_files_of_earlier_answers_come_first(self, half_read, folder, reads):
        late = [path.name for path in folder.iterdir() if path.name not in reads][:3]
        reads.gate.set()
        half_read.read_first([*late, "nothing.png"])
        known = {half_read.name(image) for image in half_read.ids}
        assert set(late) <= known

    def test_nobody_is_told_that_nothing_is_left_while_files_are_read(
        self, half_read, reads, tmp_path
    ):
        with open_session(half_read, tmp_path / "l.db", batch_size=8) as session:
            for _ in range(folder_files.PART):
                session.label(CLASSES[0], slot=session.next().slot)
            threading.Timer(0.2, reads.gate.set).start()
            assert session.next() is not None

    def test_bad_files_are_told_and_those_that_vanish_are_not(self, half_read, reads, folder):
        late = [path for path in folder.iterdir() if path.name not in reads]
        late[0].write_bytes(b"no image")
        late[1].unlink()
        half_read.refresh()
        finish(half_read, reads)
        assert set(half_read.problems) == {late[0].name}
        assert len(half_read) == FILES - 2


class TestOddFolders:
    def test_a_file_that_changes_while_it_is_read(self, tmp_path, monkeypatch):
        path = write_image(tmp_path / "a.png", seed=0)
        read = file_index.read_image_file
        seeds = iter(range(1, 2))

        def changing(path):
            data = read(path)
            for seed in seeds:
                write_image(path, seed=seed, side=13)
            return data

        monkeypatch.setattr(file_index, "read_image_file", changing)
        seen = look_at(path)
        assert seen.image == look_at(path).image
        seeds = iter(range(2, 100))

        def restless(path):
            data = read(path)
            write_image(path, side=next(seeds))
            return data

        monkeypatch.setattr(file_index, "read_image_file", restless)
        assert "changes while it is being read" in look_at(path).problem

    def test_links_that_lead_in_a_circle(self, folder):
        (folder / "loop.png").symlink_to(folder / "loop.png")
        (folder / "again").symlink_to(folder)
        pool = FolderPool(folder)
        assert len(pool) == FILES
        assert dict(pool.left_out) == {"broken link": 1, "linked folder": 1}

    def test_a_folder_that_cannot_be_read_is_counted(self, folder, monkeypatch):
        closed = folder / "closed"
        write_image(closed / "a.png", seed=5_000)
        scandir = os.scandir

        def refuse(path):
            if os.fspath(path) == str(closed):
                raise PermissionError(13, "Permission denied", path)
            return scandir(path)

        monkeypatch.setattr(os, "scandir", refuse)
        pool = FolderPool(folder)
        assert (len(pool), dict(pool.left_out)) == (FILES, {"unreadable folder": 1})


class TestFoldersThatChange:
    """In the background, those folders alone are listed in which something came or went."""

    @pytest.fixture
    def listed(self, monkeypatch):
        """The folders that are listed, by name."""
        listed = []
        quick = os.scandir

        def scandir(path):
            listed.append(os.path.basename(os.path.normpath(path)))
            return quick(path)

        monkeypatch.setattr(os, "scandir", scandir)
        return listed

    @pytest.fixture
    def files(self, tmp_path, listed):
        for name in ("a", "b", "c"):
            make_folder(tmp_path / "images" / name, 3, seed=10 * ord(name))
        files = folder_files.FolderFiles(tmp_path / "images")
        files.scan()
        files.read()
        listed.clear()
        return files

    def shown(self, files):
        files.read()
        return sorted(name for image in files.ids for name in files.names(image))

    def test_nothing_is_listed_while_nothing_changes(self, files, listed):
        files.scan_changed()
        assert listed == []

    def test_new_and_vanished_files_are_noticed(self, files, listed):
        folder = files.folder
        image = files.image_in("b/1.png")
        (folder / "b" / "1.png").unlink()
        write_image(folder / "b" / "new.png", seed=7)
        files.scan_changed()
        assert listed == ["b"]
        expected = [f"{name}/{i}.png" for name in "abc" for i in range(3)]
        expected[expected.index("b/1.png")] = "b/new.png"
        assert self.shown(files) == sorted(expected)
        assert files.gone == [image]
        assert files.names(image) == ("b/1.png",)

    def test_each_folder_is_listed_once_when_all_are(self, files, listed):
        (files.folder / "b" / "1.png").unlink()
        files.scan()
        assert sorted(listed) == ["a", "b", "c", "images"]
        assert len(files) == 8

    def test_whoever_waits_is_told_how_many_files_there_are(self, files, monkeypatch):
        monkeypatch.setattr(folder_files, "TOLD_AFTER", 4)
        numbers = []
        files.scan(listed=numbers.append)
        assert numbers == [0, 6]  # before the first folder of three files and before the last

    def test_new_and_vanished_folders_are_noticed(self, files, listed):
        folder = files.folder
        make_folder(folder / "a" / "deep" / "deeper", 2, seed=5)
        for path in (folder / "c").iterdir():
            path.unlink()
        (folder / "c").rmdir()
        files.scan_changed()
        assert sorted(listed) == ["a", "c", "deep", "deeper", "images"]
        deep = [f"a/deep/deeper/{i}.png" for i in range(2)]
        expected = [f"{name}/{i}.png" for name in "ab" for i in range(3)] + deep
        assert self.shown(files) == sorted(expected)
        listed.clear()
        files.scan_changed()
        assert listed == []

    def test_a_file_that_moves_keeps_its_image(self, files):
        image = files.image_in("a/0.png")
        (files.folder / "a" / "0.png").rename(files.folder / "b" / "moved.png")
        files.scan_changed()
        files.read()
        assert files.names(image) == ("b/moved.png",)
        assert (len(files), files.gone) == (9, [])

    def test_a_file_that_was_written_to_is_noticed_when_all_are_listed(self, files):
        image = files.image_in("a/0.png")
        write_image(files.folder / "a" / "0.png", seed=99)
        files.scan_changed()
        assert files.image_in("a/0.png") == image
        assert not files.is_unchanged(image)
        files.scan()
        files.read()
        assert files.image_in("a/0.png") not in (image, None)

    def test_a_folder_that_changed_a_moment_ago_is_listed_again(self, files, listed, monkeypatch):
        monkeypatch.setattr(file_index, "SETTLED_NS", 60_000_000_000)
        files.scan()
        listed.clear()
        files.scan_changed()
        assert sorted(listed) == ["a", "b", "c", "images"]

    def test_the_pool_looks_at_them_while_it_rests_from_listing_all(self, tmp_path, files, listed):
        pool = FolderPool(files.folder, size=12)
        pool._rest_until = time.monotonic() + 60
        listed.clear()
        write_image(files.folder / "b" / "new.png", seed=7)
        pool.refresh_soon()
        wait_for(lambda: len(pool) == 10)
        assert listed == ["b"]


class TestFeatures:
    def test_the_model_is_asked_over_the_images_with_features_so_far(self, folder, tmp_path):
        backbone = Slow(12)
        pool = FolderPool(make_folder(folder, 150), size=12)
        probe = LinearProbeClassifier(backbone)
        with open_session(pool, tmp_path / "l.db", probe, audit_share=0.0) as session:
            wait_for(lambda: session.training.embedded == 64)
            features = session._trainer.inputs
            known = [image for image in pool.ids if image in features.table]
            for i, image in enumerate(known[:6]):
                session.ledger.label(image, CLASSES[i % 2], annotator="annotator", seconds=1.0)
            assert session.retrain()
            wait_for(lambda: session.training.round == 1)
            assert session.training.state == "embedding"
            item = session.next()
            assert item.strategy == "margin"
            assert item.image_id in known
            backbone.held.set()
            assert session.wait(PATIENCE)
            assert session.training.round == 1
            assert set(session._trainer.model.predicted()) == set(pool.ids)


class Slow(FakeBackbone):
    """Waits for `held` after the first 64 images."""

    def __init__(self, side):
        super().__init__(side)
        self.held = threading.Event()

    def features(self, X, **options):
        if not self.embedded:
            held, self.held = self.held, None
            try:
                return super().features(X, **options)
            finally:
                self.held = held
        return super().features(X, **options)


def read_slowly(folder, cache, pipe):
    """Read a folder in the background, and say how much is read."""
    os.environ["AL_TF_CACHE_DIR"] = str(cache)
    file_index.SETTLED_NS, folder_files.KEEP_SECONDS = 0, 0.0
    quick = folder_files.look_at

    def slow(path):
        time.sleep(0.05)
        return quick(path)

    folder_files.look_at = slow
    pool = FolderPool(folder, size=12, remember=True, background=True)
    while True:
        pipe.send(len(pool))
        time.sleep(0.01)


@pytest.mark.slow
def test_a_kill_while_files_are_read_costs_only_what_was_not_kept(folder, cache, reads):
    ours, theirs = processes.Pipe(duplex=False)
    worker = processes.Process(target=read_slowly, args=(folder, cache, theirs))
    worker.start()
    while ours.recv() < 2 * folder_files.PART:
        pass
    os.kill(worker.pid, signal.SIGKILL)
    worker.join()
    pool = FolderPool(folder, size=12, remember=True)
    assert len(pool) == FILES
    assert 0 < len(reads) <= FILES - folder_files.PART
