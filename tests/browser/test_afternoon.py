"""A quality inspector's afternoon, from the first image to the evaluated model."""

import contextlib
import csv
import re
import signal
import subprocess
import sys
import time

import pandas as pd
import pytest

from al_tf.labeling import LabelLedger
from tests import interruptible

from .conftest import CLASSES, new_context, write_images
from .screen import Screen
from .test_grid import FRONT, cell, count, go, said, settled, show

PEOPLE = ("ann", "ben")
KEYS = {label: str(1 + i) for i, label in enumerate(CLASSES)}
OTHER = dict(zip(CLASSES, reversed(CLASSES), strict=True))


class Afternoon:
    """Two people at a desk, who note what they do."""

    def __init__(self, browser, folder, truth, ledger):
        self.browser, self.folder, self.truth, self.ledger = browser, folder, truth, ledger
        self.done = []
        self.mistakes = []

    @contextlib.contextmanager
    def desk(self, *options):
        """Run the command; the block gets the screens of both."""
        command = [sys.executable, "-m", "al_tf", "label", str(self.folder), "--no-browser"]
        command += ["--ledger", str(self.ledger), "--annotators", ",".join(PEOPLE), *options]
        with (
            subprocess.Popen(
                command, stdout=subprocess.PIPE, text=True, preexec_fn=interruptible
            ) as self.process,
            contextlib.ExitStack() as at_end,
        ):
            at_end.callback(self.process.kill)  # does nothing to a process that has ended
            links = []
            while len(links) < len(PEOPLE):
                links += re.findall(r"http://\S+", self.process.stdout.readline())
            self.screens = {}
            for who, link in zip(PEOPLE, links, strict=True):
                context = new_context(self.browser, height=1000)
                at_end.callback(context.close)
                self.screens[who] = Screen(context.new_page()).open(link)
            yield self.screens

    def events(self):
        with LabelLedger(self.ledger, read_only=True) as book:
            return [(e.annotator, e.kind, e.name, e.label) for e in book.events()]

    def newest(self):
        """Wait for something new in the ledger, note it, and return it."""
        for _ in range(600):
            new = self.events()[len(self.done) :]
            if new:
                break
            time.sleep(0.1)
        self.done += new
        return new

    def answer(self, who, how, *, wrong=False):
        screen = self.screens[who]
        name = screen.name
        label = OTHER[self.truth[name]] if wrong else self.truth[name]
        screen.press(KEYS[label]) if how == "key" else screen.click(label)
        self.done.append((who, "label", name, label))
        self.mistakes += [(name, self.truth[name])] * wrong

    def undo(self, who):
        screen = self.screens[who]
        *_, (_, _, name, _) = (entry for entry in self.done if entry[0] == who)
        screen.press("u")
        assert screen.name == name
        self.done.append((who, "undo", name, None))

    def label_alike(self, who):
        """Label the images most like the one shown, but for those of the other class."""
        screen = self.screens[who]
        label = self.truth[screen.name]
        go(screen, "a", "alike")
        cells = screen.page.locator(f"{FRONT} .altf-cell")
        names = cells.evaluate_all("cells => cells.map(c => c.title)")
        assert count(screen) == f"{len(names)} of {len(names)} images ticked"
        for place, name in enumerate(names):
            if self.truth[name] != label:
                cell(screen, place).click()
        same = {name for name in names if self.truth[name] == label}
        if not same:
            screen.page.keyboard.press("Escape")
            return
        screen.page.keyboard.press(KEYS[label])
        said(screen, f"Labeled {len(same)} image")
        screen.ready()
        assert sorted(self.newest()) == sorted((who, "label", name, label) for name in same)

    def correct(self, who):
        """Find the mistakes in the grid, by name, and correct them by mouse and key."""
        screen = self.screens[who]
        go(screen, "g", "review")
        for name, label in self.mistakes:
            screen.page.locator(f"{FRONT} input[aria-label=Name]").fill(name)
            screen.page.wait_for_selector(f"{FRONT} .altf-cell[data-place='0'][title='{name}']")
            settled(screen)
            assert count(screen) == "1 image"
            cell(screen, 0).click()
            screen.page.keyboard.press(KEYS[label])
            assert self.newest() == [(who, "relabel", name, label)]
            screen.page.keyboard.press("Home")
        screen.page.locator(f"{FRONT} input[aria-label=Name]").fill("")
        settled(screen)

    def label_in_the_grid(self, who, label, most):
        """Choose unlabeled images of a class one by one, and label them by one click."""
        screen = self.screens[who]
        show(screen, "Unlabeled")
        last = int(count(screen).split()[0]) - 1
        screen.page.locator(f"{FRONT} .altf-cells").focus()
        screen.page.keyboard.press("End")  # in the order of the names, which goes by class
        cell(screen, last).locator(".altf-none").wait_for()
        cells = screen.page.locator(f"{FRONT} .altf-cell")
        titles = cells.evaluate_all("cells => cells.map(c => [c.dataset.place, c.title])")
        chosen = [(p, name) for p, name in titles if self.truth.get(name) == label][:most]
        assert chosen
        for i, (place, _) in enumerate(chosen):
            cell(screen, place).click(modifiers=["Control"] if i else [])
        screen.page.locator(f"{FRONT} .altf-class", has_text=label).click()
        said(screen, "Labeled")
        new = self.newest()  # without those of the audit, which are for the main view
        assert {(who, kind, answer) for who, kind, _, answer in new} == {(who, "label", label)}
        assert {name for *_, name, _ in new} <= {name for _, name in chosen}
        screen.page.keyboard.press("g")
        screen.page.wait_for_selector(".altf:not([data-view])")
        screen.ready()


def run(*arguments):
    command = [sys.executable, "-m", "al_tf", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.keras
def test_from_the_first_image_to_the_evaluated_model(chromium, tmp_path):
    pool, held, ledger = tmp_path / "pool", tmp_path / "held", tmp_path / "labels.db"
    truth, held_truth = write_images(pool, 300), write_images(held, 100, held_out=True)
    day = Afternoon(chromium, pool, truth, ledger)
    with day.desk("--classes", ",".join(CLASSES), "--size", "96") as screens:
        for turn in range(48):
            how = "mouse" if turn % 3 == 2 else "key"
            day.answer(PEOPLE[turn % 2], how, wrong=turn in (5, 16, 30))
        day.undo("ben")
        day.answer("ben", "key")
        day.label_alike("ann")
        day.correct("ann")
        day.label_in_the_grid("ann", CLASSES[1], 8)
        assert day.events() == day.done
        waiting = {who: screen.name for who, screen in screens.items()}
        trouble = [screen.trouble for screen in screens.values()]
        assert trouble == [[], []]
        day.process.kill()
        day.process.wait()
    assert day.events() == day.done

    with day.desk() as screens:
        assert {who: screen.name for who, screen in screens.items()} == waiting
        screens["ann"].page.wait_for_selector(".altf-pill[data-state=ready]")
        day.label_alike("ben")
        turn = 0
        while len({name for _, kind, name, _ in day.done if kind == "label"}) < 160:
            day.answer(PEOPLE[turn % 2], "mouse" if turn % 4 == 3 else "key")
            turn += 1
        assert [screen.trouble for screen in screens.values()] == [[], []]
        day.process.send_signal(signal.SIGINT)
        day.process.wait(timeout=60)
    assert day.events() == day.done

    table, model, guesses = (tmp_path / n for n in ("labels.csv", "model.keras", "guesses.csv"))
    run("export", ledger, table)
    with open(table, newline="", encoding="utf-8") as file:
        labels = {row["name"]: row["label"] for row in csv.DictReader(file)}
    assert len(labels) == 160
    assert labels == {name: truth[name] for name in labels}
    run("export", ledger, model, "--format", "model", "--images", pool)
    run("predict", model, held, "--out", guesses)
    assert set(pd.read_csv(guesses)["name"]) == set(held_truth)
    with open(tmp_path / "truth.csv", "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("name", "label"), *held_truth.items()])
    said_of_it = run(
        "evaluate", model, tmp_path / "truth.csv", "--images", held, "--out", tmp_path / "report"
    )
    assert f"{len(held_truth)} labeled images" in said_of_it
    judged = pd.read_csv(tmp_path / "report" / "images.csv")
    commonest = judged["label"].value_counts().iloc[0]
    assert (judged["label"] == judged["predicted"]).sum() > commonest
