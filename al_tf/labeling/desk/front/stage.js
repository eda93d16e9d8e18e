// The stage: the image to label, which can be enlarged, moved and lit; or that none is left.

import { commandButton } from "./buttons.js";
import { make, percent, plural } from "./elements.js";
import { TonePanel } from "./tone.js";
import { covers, fitted, kept, moved, seenBox, zoomed } from "./viewport.js";

const ENLARGED = 2; // from here on, pixels are shown as squares
const STEP = 1.5;
const WHEEL = 1.0015; // to the power of pixels turned
const REST_MS = 120; // without movement, before a part is fetched
const SHARP = 1.05; // pixels of the screen for one of the picture, beyond which there is more to see
const LONGEST = 2_048; // of a part, in pixels
const SHOWN_SIDE = 1_024; // of the whole, in pixels

// Parts of images, by requests; nothing where none comes
export function viewer(ask) {
  return (request) => ask({ do: "view", ...request }).then(({ view }) => view ?? {}, () => ({}));
}

export class Stage {
  // view(request) -> Promise of a picture; painted(): another image is on the screen; relit(): the
  // light is another; hasKeys(): whether the wheel is the stage's, not the page's; leave(): keys go
  // back to the desk
  constructor({ view, painted = () => {}, relit = () => {}, hasKeys = () => true, leave = () => {} }) {
    Object.assign(this, { view, painted, relit, hasKeys });
    this.item = null;
    this.at = null; // of the image, see viewport.js; null: fitted
    this.image = make("img", { class: "altf-image", alt: "", hidden: true, draggable: false });
    this.detail = make("img", { class: "altf-detail", alt: "", hidden: true, draggable: false });
    this.done = make("p", { class: "altf-done", hidden: true });
    this.tone = new TonePanel(() => this.relight(), leave);
    this.buttons = {
      "-": commandButton("-", "Smaller", () => this.zoom(1 / STEP)),
      z: commandButton("z", "", () => this.toggleFull()),
      "+": commandButton("+", "Larger", () => this.zoom(STEP)),
      b: this.tone.button,
    };
    for (const [key, title] of [["-", "Smaller"], ["+", "Larger"]]) this.buttons[key].title = title;
    this.tools = make("div", { class: "altf-tools", role: "group", aria: { label: "View" } }, ...Object.values(this.buttons));
    this.element = make("div", { class: "altf-stage" }, this.image, this.detail, this.done, this.tone.panel, this.tools);
    this.listen();
  }

  listen() {
    const stage = this.element;
    stage.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
    stage.addEventListener("pointerdown", (event) => this.grab(event));
    stage.addEventListener("dblclick", (event) => this.onImage(event) && this.toggleFull(this.point(event)));
    this.observer = new ResizeObserver(() => this.place());
    this.observer.observe(stage);
  }

  close() {
    this.observer.disconnect();
    clearTimeout(this.timer);
  }

  // Showing -----------------------------------------------------------------------------------

  // picture: an <img> of `load`, if there is one already
  show(item, picture = this.load(item)) {
    this.item = item;
    this.at = null;
    Object.assign(picture, { className: "altf-image", alt: `Image to label: ${item.name}`, draggable: false, hidden: false });
    this.image.replaceWith(picture);
    this.image = picture;
    this.done.hidden = true;
    this.tools.hidden = false;
    this.dropDetail();
    this.tone.show(item.highest);
    this.place();
    picture.ready.then(() => {
      if (this.image !== picture) return;
      this.place();
      this.painted();
    });
  }

  // An <img> of the whole image in the present light; its promise `ready` is kept once it can be shown
  load(item) {
    const picture = make("img");
    picture.ready = this.lit(item).then((src) => {
      picture.src = src;
      return picture.decode();
    }).catch(() => {});
    return picture;
  }

  showEnd(remaining) {
    this.item = null;
    this.image.hidden = true;
    this.image.removeAttribute("src");
    this.tools.hidden = true;
    this.tone.panel.hidden = true;
    this.dropDetail();
    this.done.hidden = false;
    this.done.textContent = remaining
      ? `The other ${plural(remaining, "image")} without an answer are set aside for other annotators.`
      : "Every image has an answer.";
  }

  place() {
    if (!this.item || !this.size.width) return;
    const { scale, x, y } = this.at ? (this.at = kept(this.at, this.size, this.item)) : fitted(this.size, this.item);
    put(this.image, [0, 0, this.item.width, this.item.height], { scale, x, y });
    if (!this.detail.hidden) put(this.detail, this.detail.box, { scale, x, y });
    this.image.classList.toggle("altf-tiny", scale >= ENLARGED);
    this.detail.classList.toggle("altf-tiny", scale >= ENLARGED);
    this.element.classList.toggle("altf-zoomed", Boolean(this.at));
    const full = Math.abs(scale - 1) < 0.001;
    this.buttons.z.lastChild.textContent = percent(scale);
    this.buttons.z.setAttribute("aria-label", full ? "Fit the image, now at full size" : `Full size, now ${percent(scale)}`);
    this.sharpen();
  }

  // A part in full resolution, where the screen can show more than is there
  sharpen() {
    clearTimeout(this.timer);
    const { scale } = this.current;
    const pixels = scale * devicePixelRatio;
    const loaded = this.image.naturalWidth / this.item.width;
    if (!loaded || loaded >= 1 || pixels < loaded * SHARP) return this.dropDetail();
    const { box, sharpness } = this.detail;
    if (!this.detail.hidden && covers(box, this.current, this.size, this.item) && sharpness >= Math.min(1, pixels) / SHARP) return;
    this.timer = setTimeout(() => this.fetchDetail(), REST_MS);
  }

  async fetchDetail() {
    const { item } = this;
    const light = this.tone.of(item.highest);
    const wanted = seenBox(this.current, this.size, item);
    const longest = Math.max(wanted[2], wanted[3]);
    const side = Math.min(LONGEST, Math.ceil(longest * Math.min(1, this.current.scale * devicePixelRatio)));
    const { image, box } = await this.view({ image: item.id, box: wanted, side, ...light });
    if (!image || this.item !== item || !same(light, this.tone.of(item.highest))) return;
    this.detail.src = image;
    await this.detail.decode().catch(() => {});
    if (this.item !== item) return;
    Object.assign(this.detail, { box, sharpness: side / longest, hidden: false });
    put(this.detail, box, this.current);
    this.sharpen(); // it may have been moved meanwhile
  }

  dropDetail() {
    clearTimeout(this.timer);
    this.detail.hidden = true;
    this.detail.removeAttribute("src");
    this.detail.box = null;
  }

  // Another window of values: the whole, and then the part that is seen
  async relight() {
    const { item } = this;
    if (!item) return;
    const light = this.tone.of(item.highest);
    const src = await this.lit(item);
    if (this.item !== item || !same(light, this.tone.of(item.highest))) return;
    this.image.src = src;
    this.dropDetail();
    await this.image.decode().catch(() => {});
    if (this.item === item) this.place();
    this.relit();
  }

  // The whole image in the present light
  async lit(item) {
    const light = this.tone.of(item.highest);
    if (light.low === undefined) return item.image;
    return (await this.view({ image: item.id, side: SHOWN_SIDE, ...light })).image ?? item.image;
  }

  // Moving ------------------------------------------------------------------------------------

  get size() {
    return { width: this.element.clientWidth, height: this.element.clientHeight };
  }

  get current() {
    return this.at ?? fitted(this.size, this.item);
  }

  zoom(factor, point = { x: this.size.width / 2, y: this.size.height / 2 }) {
    if (!this.item) return;
    const next = zoomed(this.current, factor, point, this.size, this.item);
    this.at = next.scale <= fitted(this.size, this.item).scale * 1.001 ? null : next;
    this.place();
  }

  // From fitted to one pixel of the screen for one of the file (twice as large, where it is by then) and back
  toggleFull(point) {
    if (!this.item) return;
    const fit = fitted(this.size, this.item).scale;
    if (this.at) {
      this.at = null;
      this.place();
    } else this.zoom(fit < 0.9 ? 1 / fit : 2, point);
  }

  move(dx, dy) {
    if (!this.at) return;
    this.at = moved(this.at, dx, dy, this.size, this.item);
    this.place();
  }

  wheel(event) {
    if (!this.item || !(this.hasKeys() || event.ctrlKey)) return;
    event.preventDefault();
    const pixels = event.deltaY * (event.deltaMode === WheelEvent.DOM_DELTA_LINE ? 30 : 1);
    this.zoom(WHEEL ** -pixels, this.point(event));
  }

  grab(event) {
    if (!this.at || event.button !== 0 || !this.onImage(event)) return;
    event.preventDefault();
    const stage = this.element;
    stage.setPointerCapture(event.pointerId);
    stage.classList.add("altf-grabbed");
    let last = event;
    const follow = (next) => {
      this.move(next.clientX - last.clientX, next.clientY - last.clientY);
      last = next;
    };
    const release = () => {
      stage.removeEventListener("pointermove", follow);
      stage.classList.remove("altf-grabbed");
    };
    stage.addEventListener("pointermove", follow);
    stage.addEventListener("lostpointercapture", release, { once: true });
  }

  onImage(event) {
    return this.item && !event.target.closest(".altf-tools, .altf-tone");
  }

  point(event) {
    const { left, top } = this.element.getBoundingClientRect();
    return { x: event.clientX - left, y: event.clientY - top };
  }

  // What a key does, or undefined
  commandOfKey(event) {
    if (!this.item) return undefined;
    const steps = { ArrowLeft: [1, 0], ArrowRight: [-1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[event.key];
    if (steps && event.shiftKey) return () => this.move(0.2 * steps[0] * this.size.width, 0.2 * steps[1] * this.size.height);
    const key = event.key === "=" ? "+" : event.key.toLowerCase();
    return Object.hasOwn(this.buttons, key) ? () => this.buttons[key].click() : undefined;
  }
}

function put(image, [left, top, width, height], { scale, x, y }) {
  const lengths = { left: x + left * scale, top: y + top * scale, width: width * scale, height: height * scale };
  for (const [name, value] of Object.entries(lengths)) image.style[name] = `${value}px`;
}

function same(one, other) {
  return one.low === other.low && one.high === other.high;
}
