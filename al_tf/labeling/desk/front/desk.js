// The labeling desk: its views in one element, and the keys for the one in front.

import { AlikeView } from "./alike.js";
import { ClassesView } from "./classes_view.js";
import { make } from "./elements.js";
import { LabelingView } from "./labeling.js";
import { ReviewView } from "./review.js";
import { PastAnswers, SingleView } from "./single.js";
import { followTheme } from "./theme.js";

class DeskViews {
  // root: the desk's element; ask(request) -> Promise of the reply
  constructor(root, ask) {
    Object.assign(this, { root, ask });
    const labeling = new LabelingView(root, ask, (name, of) => this.open(name, of));
    this.views = [labeling]; // the one in front last; the others are hidden
    root.append(labeling.element);
  }

  get front() {
    return this.views.at(-1);
  }

  open(name, of) {
    this.front.element.hidden = true;
    const open = (next, nextOf) => this.open(next, nextOf);
    const leave = (did) => this.leave(did);
    const views = {
      review: () => new ReviewView(this.root, this.ask, open, leave, of),
      single: () => new SingleView(this.root, this.ask, open, leave, of),
      alike: () => new AlikeView(this.root, this.ask, open, leave, of),
      classes: () => new ClassesView(this.root, this.ask, leave),
      past: () => new SingleView(this.root, this.ask, open, leave, new PastAnswers(this.ask)),
    };
    const view = views[name]();
    view.viewName = name;
    this.views.push(view);
    this.root.append(view.element);
    this.root.dataset.view = name;
    this.root.focus({ preventScroll: true });
  }

  leave(did) {
    const view = this.views.pop();
    view.close();
    view.element.remove();
    this.front.element.hidden = false;
    if (this.front.viewName) this.root.dataset.view = this.front.viewName;
    else delete this.root.dataset.view;
    this.root.focus({ preventScroll: true });
    this.front.resume(did);
  }

  close() {
    for (const view of this.views) view.close();
  }
}

// Put the desk into an element; returns a function that takes it away again.
// page: whether the desk is the whole page
export function mount(el, ask, { page = false } = {}) {
  const root = make("section", { class: page ? "altf altf-page" : "altf", tabIndex: -1, aria: { label: "Labeling desk" } });
  el.append(root);
  const views = new DeskViews(root, ask);
  if (!page) root.append(make("p", { class: "altf-hint", textContent: "Click here to label with the keys 1 … 9, u and s." }));
  // At the window, on the way down: notebooks listen at the document, and would take 1 or s or dd
  // for commands of their own.
  const onKey = (event) => (page || root.contains(event.target)) && views.front.key(event);
  window.addEventListener("keydown", onKey, true);
  const unfollow = followTheme(root);
  return () => {
    window.removeEventListener("keydown", onKey, true);
    unfollow();
    views.close();
    root.remove();
  };
}
