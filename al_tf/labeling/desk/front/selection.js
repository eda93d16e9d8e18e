// Which places of a list are selected, as by clicks and keys in a file manager. No element is known here.

export class Selection {
  constructor(total = 0) {
    this.reset(total);
  }

  reset(total) {
    this.total = total;
    this.chosen = new Set();
    this.focus = Math.min(this.focus ?? 0, Math.max(0, total - 1)); // where keys go on
    this.anchor = this.focus; // where a range begins
  }

  // extend: all from the anchor to here; toggle: this one more, or less
  choose(place, { extend = false, toggle = false } = {}) {
    if (extend) {
      if (!toggle) this.chosen.clear();
      const [first, last] = [Math.min(this.anchor, place), Math.max(this.anchor, place)];
      for (let i = first; i <= last; i++) this.chosen.add(i);
    } else {
      if (!toggle) this.chosen.clear();
      if (!this.chosen.delete(place)) this.chosen.add(place);
      this.anchor = place;
    }
    this.focus = place;
  }

  // hold: the focus alone moves
  move(step, { extend = false, hold = false } = {}) {
    if (!this.total) return;
    const place = Math.min(Math.max(this.focus + step, 0), this.total - 1);
    if (hold) this.focus = place;
    else this.choose(place, { extend });
  }

  chooseAll() {
    this.chosen = new Set(Array(this.total).keys());
  }

  clear() {
    this.chosen.clear();
    this.anchor = this.focus;
  }

  has(place) {
    return this.chosen.has(place);
  }

  get places() {
    return [...this.chosen].sort((one, other) => one - other);
  }
}

// The step that an arrow key means in a grid of so many columns and visible rows, or undefined.
export function stepOfKey(key, columns, rows, total) {
  return {
    ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns,
    PageUp: -columns * rows, PageDown: columns * rows, Home: -total, End: total,
  }[key];
}
