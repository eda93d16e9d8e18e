// The images that follow, fetched and decoded before they are needed.

export class Ahead {
  // ask(request) -> Promise of the reply; load(item) -> <img> of its picture, see Stage;
  // counted(n): so many can be shown at once
  constructor(ask, load, counted) {
    Object.assign(this, { ask, load, counted });
    this.entries = []; // { item, picture: <img> }, in order
    this.answered = new Set(); // slots that were answered here, and perhaps not yet there
    this.asking = false;
  }

  // Fetch what follows the slot that is shown, if little is left or all is to be `fresh`
  async fill(slot, fresh = false) {
    this.slot = slot;
    this.keep(this.entries);
    if (this.asking || (this.entries.length > 1 && !fresh)) return;
    this.asking = true;
    const { ahead = [] } = await this.ask({ do: "ahead" }).catch(() => ({}));
    this.asking = false;
    const pictures = new Map(this.entries.map(({ item, picture }) => [item.slot, picture]));
    this.keep(ahead.map((item) => ({ item, picture: pictures.get(item.slot) })));
    for (const entry of this.entries) entry.picture ??= this.loaded(entry.item);
    if (this.slot !== slot && this.entries.length <= 1) this.fill(this.slot);
  }

  loaded(item) {
    const picture = this.load(item);
    picture.ready.then(() => this.count());
    return picture;
  }

  count() {
    this.counted(this.entries.filter(({ picture }) => picture?.complete && picture.naturalWidth).length);
  }

  keep(entries) {
    this.entries = entries.filter(({ item }) => !this.answered.has(item.slot) && item.slot !== this.slot);
    this.count();
  }

  // The next one, if it is ready to be shown
  take() {
    const picture = this.entries[0]?.picture;
    return picture?.complete && picture.naturalWidth ? this.entries.shift() : undefined;
  }

  forget() {
    this.entries = [];
  }

  // After another light, pictures are fetched anew
  reload() {
    for (const entry of this.entries) entry.picture = this.loaded(entry.item);
  }
}
