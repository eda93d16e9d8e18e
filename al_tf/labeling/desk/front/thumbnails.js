// Thumbnails, fetched a few at a time: those that are in view now, and no longer those that were.

const AT_ONCE = 24; // images in a request
const REQUESTS = 2; // under way at a time
const KEPT = 3_000;

export class ThumbnailLoader {
  // ask(request) -> Promise of the reply; arrived(): some are there that were not
  constructor(ask, arrived) {
    Object.assign(this, { ask, arrived });
    this.urls = new Map(); // image -> URL, or null where it cannot be shown; the oldest first
    this.wanted = [];
    this.asked = new Set();
    this.running = 0;
  }

  url(image) {
    return this.urls.get(image);
  }

  // Fetch these, in this order, and none else that has not been asked for yet
  want(images) {
    this.wanted = images.filter((image) => !this.urls.has(image) && !this.asked.has(image));
    while (this.running < REQUESTS && this.wanted.length) this.fetch(this.wanted.splice(0, AT_ONCE));
  }

  async fetch(images) {
    this.running += 1;
    for (const image of images) this.asked.add(image);
    try {
      const { thumbnails } = await this.ask({ do: "thumbnails", images });
      for (const [image, url] of Object.entries(thumbnails ?? {})) this.urls.set(image, url);
      for (const image of this.urls.keys()) {
        if (this.urls.size <= KEPT) break;
        this.urls.delete(image);
      }
      if (thumbnails) this.arrived();
    } catch {
      // the next scroll asks again; what the person does reports the error
    } finally {
      for (const image of images) this.asked.delete(image);
      this.running -= 1;
      this.want(this.wanted);
    }
  }
}
