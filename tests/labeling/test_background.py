"""`BackgroundTask`: what `wait` and `close` promise, whenever other threads start further work."""

import gc
import os
import sys
import threading

import pytest

from al_tf.labeling.background import LESS_URGENT, BackgroundTask, give_way, short_waits

from .work import PATIENCE


class Work:
    """Work that goes on until it is released."""

    def __init__(self, error=None):
        self.begun, self.release, self.done = (threading.Event() for _ in range(3))
        self.error = error

    def __call__(self):
        self.begun.set()
        assert self.release.wait(PATIENCE)
        self.done.set()
        if self.error is not None:
            raise self.error


def released(error=None):
    work = Work(error)
    work.release.set()
    return work


def nothing():
    pass


class Watched(threading.Condition):
    """A condition that says when a thread waits for it."""

    def __init__(self):
        super().__init__()
        self.waited_for = threading.Event()

    def wait(self, timeout=None):
        self.waited_for.set()
        return super().wait(timeout)


def wait_in_a_thread(task, answers):
    """Return a thread that is inside `task.wait` and appends what it returns to `answers`."""
    task._changed = Watched()
    thread = threading.Thread(target=lambda: answers.append(task.wait()))
    thread.start()
    assert task._changed.waited_for.wait(PATIENCE)
    return thread


def test_wait_covers_work_that_is_started_while_the_first_ends():
    """The order in which a training that followed another one was missed by `wait`."""
    first, second, answers = Work(), Work(), []
    task = BackgroundTask(lambda: second.begun.is_set() or task.start(second))
    task.start(first)
    assert first.begun.wait(PATIENCE)
    waiter = wait_in_a_thread(task, answers)
    first.release.set()
    assert second.begun.wait(PATIENCE)
    assert answers == []  # it still waits, for the second
    second.release.set()
    waiter.join(PATIENCE)
    assert answers == [True]
    assert second.done.is_set()


def test_wait_covers_work_that_another_thread_starts_meanwhile():
    first, second, answers = Work(), Work(), []
    task = BackgroundTask(nothing)
    task.start(first)
    assert first.begun.wait(PATIENCE)
    waiter = wait_in_a_thread(task, answers)
    task.start(second)
    first.release.set()
    assert second.begun.wait(PATIENCE)
    second.release.set()
    waiter.join(PATIENCE)
    assert answers == [True]
    assert second.done.is_set()


def test_wait_ends_after_the_call_back():
    order = []
    task = BackgroundTask(lambda: order.append("ended"))
    for _ in range(50):
        task.start(released())
        assert task.wait()
        order.append("waited")
    assert order == ["ended", "waited"] * 50


def test_wait_gives_up_after_its_time():
    work = Work()
    task = BackgroundTask(nothing)
    task.start(work)
    assert not task.wait(0.01)
    assert task.running
    work.release.set()
    assert task.wait()
    assert not task.running


def test_of_several_that_wait_the_last_one_follows():
    first, dropped, last = Work(), released(), released()
    task = BackgroundTask(nothing)
    task.start(first)
    assert first.begun.wait(PATIENCE)
    task.start(dropped)
    task.start(last)
    first.release.set()
    assert task.wait()
    assert last.done.is_set()
    assert not dropped.begun.is_set()


def test_the_call_back_sees_how_the_work_ended_and_may_wait():
    seen = []
    task = BackgroundTask(lambda: seen.append((task.running, task.error, task.wait())))
    error = ValueError("no")
    task.start(released(error))
    assert task.wait()
    task.start(released())
    assert task.wait()
    assert seen == [(False, error, True), (False, None, True)]


def test_a_closed_task_starts_nothing_more():
    under_way, next_one, refused = Work(), released(), released()
    task = BackgroundTask(nothing)
    assert task.start(under_way)
    assert task.start(next_one)
    task.close()
    assert not task.start(refused)
    under_way.release.set()
    assert task.wait()
    assert next_one.done.is_set()
    assert not refused.begun.is_set()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux knows the niceness of a thread")
def test_a_thread_that_gives_way_leaves_the_others_as_they_are():
    def niceness():
        return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())

    seen = []

    def work():
        give_way()
        give_way()  # changes nothing
        seen.append(niceness())
        inner = threading.Thread(target=lambda: seen.append(niceness()))
        inner.start()
        inner.join()

    before = niceness()
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [min(19, before + LESS_URGENT)] * 2
    assert niceness() == before


def test_waits_are_short_inside_the_block_alone():
    def settings():
        return sys.getswitchinterval(), gc.get_threshold()

    @short_waits()
    def stop():
        seen.append(settings())
        with short_waits():
            seen.append(settings())
        seen.append(settings())
        raise ValueError("stop")

    usual, seen = settings(), []
    with pytest.raises(ValueError, match="stop"):
        stop()
    for turn, thresholds in seen:
        assert turn < usual[0] / 5
        assert thresholds == (*usual[1][:2], 1_000)
    assert settings() == usual
