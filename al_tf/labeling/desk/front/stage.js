// The stage: the image to label, or that none is left.

import { make, plural } from "./elements.js";

const ENLARGED = 2; // from here on, pixels are shown as squares

export class Stage {
  // painted(): called once an image is on the screen
  constructor(painted) {
    this.image = make("img", { class: "altf-image", alt: "", hidden: true, draggable: false });
    this.done = make("p", { class: "altf-done", hidden: true });
    this.element = make("div", { class: "altf-stage" }, this.image, this.done);
    this.image.addEventListener("load", () => {
      this.fit();
      painted();
    });
  }

  show(item) {
    this.image.hidden = false;
    this.done.hidden = true;
    this.image.alt = `Image to label: ${item.name}`;
    this.image.src = item.image;
  }

  showEnd(remaining) {
    this.image.hidden = true;
    this.image.removeAttribute("src");
    this.done.hidden = false;
    this.done.textContent = remaining
      ? `The other ${plural(remaining, "image")} without an answer are set aside for other annotators.`
      : "Every image has an answer.";
  }

  fit() {
    const { naturalWidth: w, naturalHeight: h } = this.image;
    const scale = Math.min(this.element.clientWidth / w, this.element.clientHeight / h);
    this.image.classList.toggle("altf-tiny", scale >= ENLARGED);
  }
}
