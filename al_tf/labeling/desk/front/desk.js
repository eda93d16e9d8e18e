// The labeling desk: its views in one element, and the keys for the one that is shown.

import { make } from "./elements.js";
import { LabelingView } from "./labeling.js";
import { followTheme } from "./theme.js";

// Put the desk into an element; returns a function that takes it away again.
// ask(request) -> Promise of the reply; page: whether the desk is the whole page
export function mount(el, ask, { page = false } = {}) {
  const root = make("section", { class: page ? "altf altf-page" : "altf", tabIndex: -1, aria: { label: "Labeling desk" } });
  el.append(root);
  const view = new LabelingView(root, ask);
  root.append(view.element);
  if (!page) root.append(make("p", { class: "altf-hint", textContent: "Click here to label with the keys 1 … 9, u and s." }));
  // At the window, on the way down: notebooks listen at the document, and would take 1 or s or dd
  // for commands of their own.
  const onKey = (event) => (page || root.contains(event.target)) && view.key(event);
  window.addEventListener("keydown", onKey, true);
  const unfollow = followTheme(root);
  return () => {
    window.removeEventListener("keydown", onKey, true);
    unfollow();
    view.close();
    root.remove();
  };
}
