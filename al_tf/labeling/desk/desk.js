// The labeling desk on the screen. It keeps no state of its own: every reply says how things stand.

import { make, minutes, percent, plural } from "./elements.js";
import { DIGITS, TRAINING, classButtons, commandButton, curveChart, facts, neighbourCards, predictionRows } from "./parts.js";
import { followTheme } from "./theme.js";

const GUARD_MS = 250; // nobody sees an image and answers sooner: that is a key or click that bounced
const POLL_MS = 1_000;
const BUSY_STATES = ["embedding", "running"];

class DeskView {
  // ask(request) -> Promise of the reply; page: whether the desk is the whole page
  constructor(root, ask, page) {
    Object.assign(this, { root, ask, page });
    this.item = null;
    this.whyOpen = true;
    this.over = "labels"; // what the curve is drawn over
    this.busy = false; // an answer is on its way: no other is taken
    this.turn = 0; // of the newest request; replies to older ones are dropped
    this.shownAt = Infinity;
    this.build();
    this.listen();
    this.send({ do: "look" });
  }

  build() {
    const part = (tag, name, properties = {}) => (this[name] = make(tag, { class: `altf-${name}`, ...properties }));
    part("span", "name");
    part("span", "place");
    part("span", "pill");
    part("p", "error", { role: "alert", hidden: true });
    part("img", "image", { alt: "", hidden: true, draggable: false });
    part("p", "done", { hidden: true });
    part("div", "classes", { role: "group", aria: { label: "Classes" } });
    part("input", "filter", { type: "search", hidden: true, placeholder: "Type to find a class, Enter to choose (/)", aria: { label: "Find a class" } });
    part("p", "live", { role: "status" });
    part("p", "reason");
    part("ol", "predictions", { aria: { label: "What the model predicts" } });
    part("div", "neighbours");
    part("dl", "facts");
    part("progress", "bar", { aria: { label: "Images with an answer" } });
    part("p", "advice");
    part("details", "problems", { hidden: true });
    part("p", "headline", { hidden: true });
    part("div", "axis", { role: "group", aria: { label: "Horizontal axis" } });
    this.axis.append(this.axisButton("labels"), this.axisButton("minutes"));
    part("div", "curve");
    this.commands = {
      u: commandButton("u", "Undo", () => this.undo()),
      s: commandButton("s", "Skip", () => this.skip()),
      r: commandButton("r", "Retrain", () => this.retrain()),
      w: commandButton("w", "Why", () => this.toggleWhy()),
    };
    this.commands.w.setAttribute("aria-expanded", "true");
    const heading = (text, ...more) => make("div", { class: "altf-heading" }, make("h3", { textContent: text }), ...more);
    this.why = make("section", { class: "altf-panel altf-why", aria: { label: "Why this image" } },
      heading("Why this image"), this.reason, this.predictions, this.neighbours);
    this.stage = make("div", { class: "altf-stage" }, this.image, this.done);
    const frame = make("div", { class: "altf-frame" },
      make("header", { class: "altf-head" }, make("span", { class: "altf-title" }, this.name, this.place), this.pill),
      make("div", { class: "altf-work" }, this.error, this.stage, this.filter, this.classes,
        make("div", { class: "altf-commands", role: "group", aria: { label: "Commands" } }, ...Object.values(this.commands)), this.live),
      make("aside", { class: "altf-side", aria: { label: "About the work" } }, this.why,
        make("section", { class: "altf-panel" }, heading("Progress"), this.bar, this.facts, this.advice, this.problems),
        make("section", { class: "altf-panel" }, heading("Estimated accuracy", this.axis), this.headline, this.curve)),
    );
    this.root.append(frame);
    if (!this.page) {
      this.root.append(make("p", { class: "altf-hint", textContent: "Click here to label with the keys 1 … 9, u and s." }));
    }
  }

  listen() {
    // At the window, on the way down: notebooks listen at the document, and would take 1 or s or dd
    // for commands of their own.
    this.onKey = (event) => (this.page || this.root.contains(event.target)) && this.key(event);
    window.addEventListener("keydown", this.onKey, true);
    this.filter.addEventListener("input", () => this.narrow());
    this.image.addEventListener("load", () => this.imageShown());
    this.onVisible = () => document.hidden || this.busy || this.send({ do: "look" });
    document.addEventListener("visibilitychange", this.onVisible);
    const unfollow = followTheme(this.root);
    this.close = () => {
      window.removeEventListener("keydown", this.onKey, true);
      document.removeEventListener("visibilitychange", this.onVisible);
      clearTimeout(this.timer);
      this.turn = NaN; // no reply is the newest one any more
      unfollow();
    };
  }

  // What the person does ----------------------------------------------------------------------

  key(event) {
    if (event.ctrlKey || event.altKey || event.metaKey || event.isComposing) return;
    if (event.key.length === 1 || ["Enter", "Backspace", "Delete"].includes(event.key)) event.stopPropagation();
    if (event.target === this.filter) return this.filterKey(event);
    const digit = event.code?.match(/^(?:Digit|Numpad)(\d)$/)?.[1]; // whatever the layout types
    const letter = event.key.toLowerCase();
    const run = this.classOfKey(DIGITS.includes(letter) ? letter : digit) ?? this.commandOfKey(letter);
    if (!run) return;
    event.preventDefault();
    if (!event.repeat) run();
  }

  classOfKey(digit) {
    const name = this.names?.[DIGITS.indexOf(digit)];
    return digit && name !== undefined ? () => this.answer(name) : undefined;
  }

  commandOfKey(letter) {
    if (letter === "/" && !this.filter.hidden) return () => this.filter.focus();
    return Object.hasOwn(this.commands, letter) ? () => this.commands[letter].click() : undefined;
  }

  filterKey(event) {
    if (event.key === "Escape") {
      this.filter.value = "";
      this.narrow();
      this.root.focus();
    } else if (event.key === "Enter" && this.match) {
      const name = this.match;
      this.filter.value = "";
      this.narrow();
      this.answer(name);
    }
  }

  narrow() {
    const wanted = this.filter.value.trim().toLowerCase();
    const fits = this.names.map((name) => name.toLowerCase().includes(wanted));
    const starts = this.names.findIndex((name) => name.toLowerCase().startsWith(wanted));
    const first = !wanted ? -1 : starts >= 0 ? starts : fits.indexOf(true);
    this.match = this.names[first];
    [...this.classes.children].forEach((button, i) => {
      button.hidden = !fits[i];
      button.classList.toggle("altf-match", i === first);
    });
  }

  answer(label) {
    if (this.mayAnswer()) this.send({ do: "label", slot: this.item.slot, label });
  }

  skip() {
    if (this.mayAnswer()) this.send({ do: "skip", slot: this.item.slot });
  }

  undo() {
    if (!this.busy && performance.now() - this.shownAt >= GUARD_MS) this.send({ do: "undo", slot: this.item?.slot ?? null });
  }

  retrain() {
    if (!this.busy) this.send({ do: "retrain" });
  }

  toggleWhy() {
    this.whyOpen = !this.whyOpen;
    this.commands.w.setAttribute("aria-expanded", this.whyOpen);
    this.why.hidden = !this.whyOpen || !this.item;
  }

  mayAnswer() {
    return this.item && !this.busy && performance.now() - this.shownAt >= GUARD_MS;
  }

  // Asking and showing ------------------------------------------------------------------------

  // A quiet request holds up no answer; one that is given meanwhile makes its reply void.
  async send(request, quiet = request.do === "status") {
    clearTimeout(this.timer);
    const turn = ++this.turn;
    if (!quiet) this.setBusy(true);
    let reply;
    try {
      reply = await this.ask(request);
    } catch (error) {
      reply = { error: error.message };
    }
    if (turn !== this.turn) return;
    this.setBusy(false);
    this.show(reply, quiet);
  }

  setBusy(busy) {
    this.busy = busy;
    this.root.setAttribute("aria-busy", String(busy));
  }

  show({ error, did, item, status }, quiet) {
    const before = this.status?.training.state;
    const now = status?.training.state;
    const failure = status?.training.error;
    if (error) this.showError(error, "Look again", { do: "look" });
    else if (failure) this.showError(`The training failed; the labels are safe. ${failure}`, "Train again", { do: "retrain" });
    else if (!quiet) this.error.hidden = true;
    if (did) this.live.textContent = did;
    if (status) this.showStatus(status);
    if (item !== undefined) this.showItem(item);
    if (BUSY_STATES.includes(now)) this.timer = setTimeout(() => this.send({ do: "status" }), POLL_MS);
    else if (quiet && now && BUSY_STATES.includes(before)) this.send({ do: "look" }, true); // what the new model predicts
  }

  showError(text, remedy, request) {
    const button = make("button", { type: "button", class: "altf-button", textContent: remedy });
    button.addEventListener("click", () => this.busy || this.send(request));
    this.error.replaceChildren(make("span", { textContent: text }), button);
    this.error.hidden = false;
  }

  showItem(item) {
    const same = item && this.item && item.slot === this.item.slot && item.image === this.item.image;
    this.item = item;
    this.root.classList.toggle("altf-finished", !item);
    for (const button of [...this.classes.children, this.commands.s]) button.disabled = !item;
    this.image.hidden = !item;
    this.done.hidden = Boolean(item);
    this.name.textContent = item ? item.name : "Nothing left to label";
    this.name.title = item ? item.name : "";
    this.place.textContent = item ? `${item.position} of ${item.batch} in this batch` : "";
    this.showWhy(item);
    if (!item) {
      this.image.removeAttribute("src");
      this.root.dataset.slot = "";
      this.shownAt = performance.now();
      this.done.textContent = this.status?.remaining
        ? `The other ${plural(this.status.remaining, "image")} without an answer are set aside for other annotators.`
        : "Every image has an answer.";
    } else if (!same) {
      this.shownAt = Infinity; // until it has been painted
      this.image.alt = `Image to label: ${item.name}`;
      this.image.src = item.image;
    }
  }

  imageShown() {
    this.shownAt = performance.now();
    const { naturalWidth: w, naturalHeight: h } = this.image;
    const scale = Math.min(this.stage.clientWidth / w, this.stage.clientHeight / h);
    this.image.classList.toggle("altf-tiny", scale >= 2);
    this.root.dataset.slot = this.item?.slot ?? "";
  }

  showWhy(item) {
    this.why.hidden = !this.whyOpen || !item;
    this.reason.textContent = item?.why ?? "";
    this.predictions.replaceChildren(...predictionRows(item?.predictions ?? []));
    this.neighbours.replaceChildren();
    if (item?.neighbours.length) {
      this.neighbours.append(make("h4", { textContent: "Nearest labeled images" }),
        make("div", { class: "altf-cards" }, ...neighbourCards(item.neighbours)));
    }
  }

  showStatus(status) {
    if (status.classes.join("\0") !== this.names?.join("\0")) {
      this.names = status.classes;
      this.classes.replaceChildren(...classButtons(this.names, (name) => this.answer(name)));
      this.filter.hidden = this.names.length <= DIGITS.length;
    }
    status.perClass.forEach((n, i) => (this.classes.children[i].lastChild.textContent = n));
    const { training } = status;
    this.pill.textContent = TRAINING[training.state](training, status.images);
    this.pill.dataset.state = training.state;
    this.pill.title = training.seconds === null ? "" : `The last training took ${training.seconds.toFixed(1)} s`;
    this.bar.max = status.images;
    this.bar.value = status.images - status.remaining;
    this.showFacts(status);
    this.advice.dataset.stop = status.advice.stop;
    this.advice.textContent = `${status.advice.stop ? "You may stop." : "Go on."} ${status.advice.reason}`;
    this.showProblems(status);
    this.status = status;
    this.showCurve();
  }

  showFacts(status) {
    const rows = [["Labels", `${status.labels} of ${status.images}`]];
    if (status.skipped) rows.push(["Skipped", String(status.skipped)]);
    rows.push(["Time", `${minutes(status.minutes)} min`]);
    if (status.myLabels !== status.labels) {
      rows.push([`Of these ${status.annotator}`, `${plural(status.myLabels, "label")}, ${minutes(status.myMinutes)} min`]);
    }
    if (status.selfAgreement) {
      const { value, n } = status.selfAgreement;
      rows.push(["Same answer on repeats", `${Math.round(value * n)} of ${n}`]);
    }
    this.facts.replaceChildren(...facts(rows));
  }

  showProblems(status) {
    this.problems.hidden = !status.unreadable;
    const more = status.unreadable - status.problems.length;
    this.problems.replaceChildren(
      make("summary", { textContent: `${plural(status.unreadable, "file")} cannot be shown` }),
      ...status.problems.map((text) => make("p", { textContent: text })),
      ...(more > 0 ? [make("p", { textContent: `… and ${more} more.` })] : []),
    );
  }

  showCurve() {
    const { accuracy, curve } = this.status;
    this.headline.hidden = !accuracy;
    if (accuracy) {
      const { value, low, high, n } = accuracy;
      this.headline.replaceChildren(
        make("strong", { textContent: percent(value) }),
        make("span", { textContent: `${percent(low)} to ${percent(high)}, ${plural(n, "random image")}` }),
      );
    }
    this.axis.hidden = !curve.length;
    for (const button of this.axis.children) button.setAttribute("aria-pressed", button.value === this.over);
    if (curve.length) this.curve.replaceChildren(curveChart(curve, this.over));
    else this.curve.textContent = "Begins with the first model and the first labeled image that was drawn at random.";
  }

  axisButton(over) {
    const button = make("button", { type: "button", value: over, textContent: over });
    button.addEventListener("click", () => {
      this.over = over;
      this.showCurve();
    });
    return button;
  }
}

// Put the desk into an element; returns a function that takes it away again.
export function mount(el, ask, { page = false } = {}) {
  const root = make("section", { class: page ? "altf altf-page" : "altf", tabIndex: -1, aria: { label: "Labeling desk" } });
  el.append(root);
  const view = new DeskView(root, ask, page);
  return () => {
    view.close();
    root.remove();
  };
}
