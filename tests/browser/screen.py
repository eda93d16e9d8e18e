"""The desk as a person meets it: what is on the screen, and what keys and clicks do."""

import base64
import contextlib

import numpy as np
from sklearn.linear_model import LogisticRegression

REFLEX_MS = 300  # longer than what the desk takes for a bounce


class Pixels(LogisticRegression):
    """Logistic regression on the pixels: a training takes a fraction of a second."""

    def __init__(self, C=0.01, max_iter=100, class_weight="balanced"):
        super().__init__(C=C, max_iter=max_iter, class_weight=class_weight)

    def fit(self, X, y):
        return super().fit(self.transform(X), y)

    def predict_proba(self, X):
        return super().predict_proba(self.transform(X))

    def transform(self, X):
        return np.asarray(X, dtype=np.float32).reshape(len(X), -1) / 255


class Screen:
    """A desk on a page (or a frame) of the browser."""

    def __init__(self, page, frame=None):
        self.page, self.frame = page, frame or page
        self.trouble = []
        page.on("console", lambda m: m.type == "error" and self.trouble.append(m.text))
        page.on("pageerror", lambda error: self.trouble.append(str(error)))
        page.on("dialog", self.dialog)

    def dialog(self, dialog):
        if dialog.type != "beforeunload":  # that one is JupyterLab's
            self.trouble.append(dialog.message)
        dialog.accept()

    def open(self, url):
        self.page.goto(url)
        self.frame.wait_for_selector(".altf:is([data-slot], .altf-finished)")  # painted
        self.ready()
        return self

    def ready(self):
        self.frame.wait_for_selector(".altf[aria-busy=false]")
        self.page.wait_for_timeout(REFLEX_MS)

    def resize(self, width, height):
        """Give the window another size, and wait until the image has its place in it.

        The window has its size at once; the page puts the image in its place with the next frame.
        """
        self.page.set_viewport_size({"width": width, "height": height})
        self.page.wait_for_function(
            "size => innerWidth === size[0] && innerHeight === size[1]", arg=[width, height]
        )
        # stable: the same box over two animation frames
        self.frame.wait_for_selector(".altf-image").wait_for_element_state("stable")

    @property
    def slot(self):
        return self.frame.get_attribute(".altf", "data-slot")

    @property
    def name(self):
        return self.text(".altf-name")

    @property
    def error(self):
        box = self.frame.query_selector(".altf-error:not([hidden]) span")
        return box and box.text_content()

    def text(self, selector):
        return self.frame.text_content(selector)

    def image_bytes(self):
        url = self.frame.get_attribute(".altf-image", "src")
        return base64.b64decode(url.partition(",")[2])

    @contextlib.contextmanager
    def next_image(self):
        """Do something, and wait until another image has been painted."""
        before = self.slot
        yield
        self.frame.wait_for_function(
            "before => document.querySelector('.altf').dataset.slot !== before", arg=before
        )
        self.ready()

    def press(self, key):
        with self.next_image():
            self.page.keyboard.press(key)

    def click(self, text):
        with self.next_image():
            self.button(text).click()

    def button(self, text):
        return self.frame.locator("button.altf-button", has_text=text).first

    def wait_for_training(self):
        self.frame.wait_for_selector(".altf-pill[data-state=ready]")
        self.frame.wait_for_selector(".altf-predictions li")
        self.ready()
