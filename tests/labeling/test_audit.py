"""The audit reserve, and photographs of one part in it."""

import numpy as np
import pytest

from al_tf.labeling import ArrayPool, LabelingSession, audit
from al_tf.labeling.audit import AuditReserve, audit_rank

from .work import CLASSES, PATIENCE, NearestMean, make_images

PART = r"(part \d+) shot \d"


@pytest.fixture
def pool():
    images, _ = make_images(120)
    return ArrayPool(images, [f"part {i // 4} shot {i % 4}" for i in range(120)])


def opened(pool, path, **options):
    options = {"classes": CLASSES, "audit_share": 0.3, "repeat_share": 0.0} | options
    return LabelingSession(NearestMean(), pool, path, random_state=0, auto_retrain=False, **options)


def parts(pool, reserve):
    """Return how many shots of each part are in the reserve."""
    names = [pool.name(image)[:-7] for image in pool.ids]
    held = [image in reserve for image in pool.ids]
    return {part: sum(h for n, h in zip(names, held, strict=True) if n == part) for part in names}


def test_whole_parts_are_drawn(pool):
    reserve = AuditReserve(pool, 0.3, seed=1, group=PART)
    counts = set(parts(pool, reserve).values())
    assert counts == {0, 4}
    alone = AuditReserve(pool, 0.3, seed=1)
    assert set(parts(pool, alone).values()) >= {1, 2}
    assert all((image in alone) == (audit_rank(image, 1) < 0.3) for image in pool.ids)


def test_a_part_is_either_audited_or_learned(pool, tmp_path):
    with opened(pool, tmp_path / "labels.db", group=PART) as session:
        while (item := session.next()) is not None:
            session.label(CLASSES[0], slot=item.slot)
        purposes = {}
        for event in session.ledger.answers().values():
            purposes.setdefault(event.name[:-7], set()).add(event.purpose)
    assert all(len(kinds) == 1 for kinds in purposes.values())
    assert {"audit"} in purposes.values()


def test_the_ledger_keeps_it(pool, tmp_path):
    path = tmp_path / "labels.db"
    opened(pool, path, group=PART).close()
    with opened(pool, path) as again:
        assert set(parts(pool, again._reserve).values()) == {0, 4}
    with pytest.raises(ValueError, match=r"was begun with group=.* Begin a new ledger"):
        opened(pool, path, group=r"part (\d+).*")


def test_it_cannot_come_later(pool, tmp_path):
    path = tmp_path / "labels.db"
    opened(pool, path).close()
    with pytest.raises(ValueError, match="was begun with no grouping"):
        opened(pool, path, group=PART)


@pytest.mark.parametrize(
    ("group", "problem"),
    [
        ("(", "not a regular expression"),
        ("part", "no parentheses"),
        (r"(\d+)", "none of the 120 names"),
    ],
)
def test_what_makes_no_groups_is_refused_before_anything_is_stored(pool, tmp_path, group, problem):
    with pytest.raises(ValueError, match=problem):
        opened(pool, tmp_path / "labels.db", group=group)
    opened(pool, tmp_path / "labels.db", group=PART).close()


def test_what_is_outside_is_the_same_before_and_after_all_images_were_drawn_for(pool):
    reserve = AuditReserve(pool, 0.3, seed=1, group=PART)
    outside = [image for image in pool.ids if image not in reserve]
    assert reserve.without(pool.ids) == outside
    assert set(reserve.drawn()) == set(pool.ids) - set(outside)
    assert reserve.without(pool.ids) == outside


def test_of_a_large_pool_the_first_are_those_among_its_first_arrivals(pool):
    reserve = AuditReserve(pool, 0.3, seed=1)

    def expected(n, among, free):
        held = [image for image in pool.arrivals[:among] if image in reserve and free(image)]
        return sorted(held, key=lambda image: audit_rank(image, reserve.seed))[:n]

    def first(n, among, free):
        images = AuditReserve(pool, 0.3, seed=1).first(n, free, among)
        assert reserve.first(n, free, among) == images  # whatever it was asked before
        return images

    def anything(image):
        return True

    assert first(3, 40, anything) == expected(3, 40, anything) != expected(3, 120, anything)
    held = expected(40, 120, anything)
    late = set(held) - set(expected(40, 40, anything))
    assert first(3, 40, late.__contains__) == expected(3, 80, late.__contains__)
    assert first(len(held) + 1, 40, anything) == held  # all, as there are no more


def test_the_others_are_drawn_for_soon_after(pool, monkeypatch):
    monkeypatch.setattr(audit, "SOON", 0.0)
    monkeypatch.setattr(audit, "DRAWN_AT_ONCE", 40)
    reserve = AuditReserve(pool, 0.3, seed=1)
    first = reserve.first(3, lambda image: True, among=40)
    reserve._later.join(PATIENCE)
    assert reserve._n_seen == len(pool)
    assert reserve._drawn.keys() == {image for image in pool.ids if image in reserve}
    assert reserve.first(3, lambda image: True, among=40) == first


def test_the_order_within_the_reserve_is_drawn_by_image(pool):
    reserve = AuditReserve(pool, 0.5, seed=3, group=PART)
    held = sorted(
        (image for image in pool.ids if image in reserve),
        key=lambda image: audit_rank(image, reserve.seed),
    )
    shown = [pool.name(image)[:-7] for image in held[:8]]
    assert len(set(shown)) > 2
    assert np.unique([audit_rank(image, reserve.seed) for image in held]).size == len(held)
