// A list of images that is fetched in parts, as they come into view.

export const PART = 500;

export class Listing {
  // ask(request) -> Promise of the reply; conditions: of the filter
  constructor(ask, conditions) {
    Object.assign(this, { ask, conditions });
    this.rows = [];
    this.total = 0;
    this.parts = new Map(); // number -> Promise
  }

  // Fetch the first part; returns the reply
  async open() {
    const reply = await this.fetch({ ...this.conditions, limit: PART });
    this.number = reply.review.listing;
    this.total = reply.review.total;
    this.parts.set(0, Promise.resolve());
    this.keep(reply.review);
    return reply;
  }

  // Have all rows from `first` up to, but not with, `end`
  async need(first, end) {
    const wanted = [];
    for (let part = Math.floor(first / PART); part * PART < Math.min(end, this.total); part++) {
      if (!this.parts.has(part)) this.parts.set(part, this.load(part));
      wanted.push(this.parts.get(part));
    }
    await Promise.all(wanted);
  }

  async load(part) {
    try {
      const reply = await this.fetch({ listing: this.number, offset: part * PART, limit: PART });
      this.keep(reply.review);
    } catch (error) {
      this.parts.delete(part); // it may be tried again
      throw error;
    }
  }

  async fetch(request) {
    const reply = await this.ask({ do: "review", ...request });
    if (reply.error) throw new Error(reply.error);
    return reply;
  }

  keep({ offset, rows }) {
    rows.forEach((row, i) => (this.rows[offset + i] = row));
  }
}
