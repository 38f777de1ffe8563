// Images of the wall, a few at a time: what scrolled away is not waited for.

const AT_ONCE = 6;

/** Loads `src` into images, at most six together, the one asked for last first. */
export class Loading {
  constructor() {
    this.queue = [];
    this.running = new Map();
  }

  /** Show an address in an image as soon as there is room; nothing where it shows that already. */
  want(image, address) {
    if (image.dataset.wants === address) return;
    this.drop(image);
    image.dataset.wants = address;
    this.queue.push(image);
    this.next();
  }

  /** The image shows nothing any more; what is on its way is broken off. */
  drop(image) {
    delete image.dataset.wants;
    const place = this.queue.indexOf(image);
    if (place >= 0) this.queue.splice(place, 1);
    const done = this.running.get(image);
    image.removeAttribute("src");
    image.classList.remove("here");
    if (done) done();
  }

  next() {
    while (this.running.size < AT_ONCE && this.queue.length) {
      const image = this.queue.pop();
      const stop = new AbortController();
      const done = () => {
        stop.abort();
        this.running.delete(image);
        queueMicrotask(() => this.next());
      };
      this.running.set(image, done);
      image.addEventListener("load", () => { image.classList.add("here"); done(); }, { signal: stop.signal });
      image.addEventListener("error", () => { image.classList.add("broken"); done(); }, { signal: stop.signal });
      image.classList.remove("broken");
      image.src = image.dataset.wants;
    }
  }
}
