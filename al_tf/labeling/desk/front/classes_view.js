// The classes: to add, rename, merge, describe and color them.

import { commandButton, swatch } from "./buttons.js";
import { ClassForm } from "./class_form.js";
import { isolated, make, plural } from "./elements.js";

export class ClassesView {
  // root: the desk's element; ask(request) -> Promise of the reply; leave(did): go back
  constructor(root, ask, leave) {
    Object.assign(this, { root, ask, leave });
    this.opened = null; // name of the class whose form is open
    this.build();
    this.act({ do: "classes" });
  }

  build() {
    this.error = make("p", { class: "altf-error", role: "alert", hidden: true });
    this.live = make("p", { class: "altf-live", role: "status" });
    this.count = make("span", { class: "altf-place" });
    this.entries = make("ul", { class: "altf-entries", role: "list", tabIndex: -1, aria: { label: "Classes" } });
    this.added = make("input", { class: "altf-field", type: "text", maxLength: 200, autocomplete: "off", spellcheck: false });
    this.adding = make("form", { class: "altf-adding" }, make("label", {}, "New class", this.added),
      make("button", { type: "submit", class: "altf-button altf-main", textContent: "Add" }));
    this.adding.addEventListener("submit", (event) => {
      event.preventDefault();
      this.add();
    });
    this.commands = {
      u: commandButton("u", "Undo", () => this.undo()),
      Escape: commandButton("Escape", "Leave", () => this.leave(), "Esc"),
    };
    this.element = make("div", { class: "altf-frame altf-classlist", role: "region", aria: { label: "Classes" } },
      make("header", { class: "altf-head" }, make("span", { class: "altf-title" }, make("span", { class: "altf-name", textContent: "Classes" }), this.count)),
      this.error, this.entries,
      make("div", { class: "altf-actions" }, this.adding,
        make("div", { class: "altf-commands", role: "group", aria: { label: "Commands" } }, ...Object.values(this.commands)), this.live));
  }

  close() {}

  resume() {}

  async add() {
    const reply = await this.act({ do: "class", change: "add", name: this.added.value });
    if (reply?.did) this.added.value = "";
    this.added.focus();
  }

  async undo() {
    if (this.last) await this.act({ do: "takeback", last: this.last }, { do: "classes" });
    else this.live.textContent = "There is nothing to take back.";
  }

  // What a form asks for: it closes once that is done
  async change(request) {
    const { opened } = this;
    const reply = await this.act(request, undefined, () => (this.opened = null));
    if (reply?.did) this.focusOn(request.to ?? request.into ?? opened);
  }

  // Do something; then what else is asked for, to see how things stand
  async act(request, then, done) {
    if (this.root.getAttribute("aria-busy") === "true" && this.status) return undefined;
    this.root.setAttribute("aria-busy", "true");
    let reply;
    try {
      reply = await this.ask(request);
      if (then) reply = { ...reply, ...(await this.ask(then)), did: reply.did, error: reply.error };
    } catch (error) {
      reply = { error: error.message };
    }
    this.root.setAttribute("aria-busy", "false");
    this.error.hidden = !reply.error;
    this.error.textContent = reply.error ?? "";
    if (reply.did) {
      this.live.textContent = reply.did;
      done?.();
    }
    if (reply.status) this.show(reply);
    return reply;
  }

  show({ status, colors, last }) {
    Object.assign(this, { status, colors: colors ?? this.colors, last });
    this.count.textContent = `${status.classes.length} classes`;
    const place = this.entries.scrollTop;
    this.entries.replaceChildren(...status.classDetails.map((entry, i) => this.entry(entry, status.perClass[i])));
    this.entries.scrollTop = place;
    this.commands.u.disabled = !last;
  }

  entry(entry, n) {
    const edit = make("button", { type: "button", class: "altf-button", textContent: "Edit", aria: { label: `Edit ${entry.name}`, expanded: String(entry.name === this.opened) } });
    edit.addEventListener("click", () => this.open(entry.name === this.opened ? null : entry.name));
    const notes = [entry.description, entry.merged.length ? `With the answers of ${entry.merged.join(", ")}` : ""].filter(Boolean);
    const words = make("div", {}, isolated(entry.name), ...notes.map((note) => make("div", { class: "altf-note", textContent: note })));
    const key = make("kbd", { textContent: entry.key ?? "–", title: entry.key ? `Key ${entry.key}` : "No key is left: find it by name" });
    const item = make("li", { class: "altf-entry" }, make("div", { class: "altf-line" },
      swatch(entry.color), key, words, make("span", { class: "altf-count", textContent: plural(n, "answer") }), edit));
    item.dataset.name = entry.name;
    if (entry.name === this.opened) item.append(this.form(entry, n));
    return item;
  }

  form(entry, count) {
    const others = this.status.classes.filter((name) => name !== entry.name);
    return new ClassForm(entry, { others, count, colors: this.colors, send: (request) => this.change(request), cancel: () => this.open(null) }).element;
  }

  // Open the form of a class, or close the one that is open
  open(name) {
    const before = this.opened;
    this.opened = name;
    this.show(this);
    if (name === null) this.focusOn(before);
    else {
      const form = this.item(name)?.querySelector("form");
      form?.scrollIntoView({ block: "nearest" });
      form?.querySelector("input").focus();
    }
  }

  item(name) {
    return [...this.entries.children].find((item) => item.dataset.name === name);
  }

  focusOn(name) {
    (this.item(name)?.querySelector("button") ?? this.entries).focus();
  }

  key(event) {
    if (event.ctrlKey || event.altKey || event.metaKey || event.isComposing) return;
    if (event.key.length === 1 || ["Enter", "Backspace", "Delete", "Escape"].includes(event.key)) event.stopPropagation();
    const typing = event.target.matches("input:not([type=radio]), select");
    if (event.key === "Escape") {
      event.preventDefault();
      if (this.opened !== null) this.open(null);
      else this.leave();
    } else if (!typing && !event.repeat && event.key.toLowerCase() === "u") {
      event.preventDefault();
      this.undo();
    } else if (!typing && !event.repeat && event.key.toLowerCase() === "c") {
      event.preventDefault();
      this.leave();
    }
  }
}
