// One view: a picture that is zoomed and moved in its window, and its map, laid over it.

const STEP = 60; // pixels that an arrow key moves it
const MOST = 16; // pixels of the screen for one of the picture
const AGAIN = 10_000; // milliseconds until a picture that did not come is asked for again

export class Viewer {
  #window;
  #sheet;
  #picture;
  #map = null;
  #scale = 1; // of the sheet, which has the size of the first picture
  #x = 0; // of the sheet's corner in the window
  #y = 0;
  #fitted = true; // it follows the window's size until somebody zooms or moves it
  #wholeSize = null; // a promise of the picture as large as it is

  /** *chosen* is called when the reader wants this view alone, or no longer. */
  constructor(figure, chosen) {
    this.figure = figure;
    this.#window = figure.querySelector(".window");
    if (!this.#window) return; // its pixels were deleted
    this.#sheet = figure.querySelector(".sheet");
    this.#picture = figure.querySelector("img.pixels");
    if (this.#picture.complete && this.#picture.naturalWidth) this.#begin();
    else if (this.#picture.complete) this.#explain();
    this.#picture.addEventListener("load", () => this.#begin());
    this.#picture.addEventListener("error", () => this.#explain());
    this.#listen(chosen);
  }

  focus() {
    this.#window?.focus({ preventScroll: true });
  }

  fit() {
    this.#fitted = true;
    this.#lay();
  }

  /** Make it larger or smaller around a point of the window, the middle where none is given. */
  zoom(factor, x = this.#window?.clientWidth / 2, y = this.#window?.clientHeight / 2) {
    if (!this.#isThere) return;
    const scale = Math.min(Math.max(this.#scale * factor, this.#fitScale / 2), MOST);
    this.#x = x - (x - this.#x) * scale / this.#scale;
    this.#y = y - (y - this.#y) * scale / this.#scale;
    this.#scale = scale;
    this.#fitted = false;
    this.#lay();
  }

  /** Show it so that a pixel of the image is one of the screen. */
  async whole() {
    if (!this.#isThere) return;
    const size = await this.#loadWhole();
    this.zoom(size.naturalWidth / this.#width / devicePixelRatio / this.#scale);
  }

  showMap(wanted) {
    if (!this.#window) return;
    if (wanted && !this.#map && "map" in this.figure.dataset) {
      this.#map = new Image();
      this.#map.className = "map";
      this.#map.alt = `Activation map over view ${this.figure.dataset.number}`;
      this.#map.draggable = false;
      this.#map.src = `${this.figure.dataset.address}/map.png?of=${this.figure.dataset.map}`;
      this.#map.addEventListener("error", () => {
        this.#map?.remove();
        this.#map = null; // asked for again, it is tried again
      });
      this.#sheet.append(this.#map);
    }
    if (this.#map) this.#map.hidden = !wanted;
  }

  /** Take in what its map is by now; undefined where there is none. */
  takeMap(name) {
    if (this.figure.dataset.map === name) return;
    if (name) this.figure.dataset.map = name;
    else delete this.figure.dataset.map;
    this.#map?.remove();
    this.#map = null;
  }

  get #isThere() {
    return Boolean(this.#window && this.#width);
  }

  get #width() {
    return this.#sheet.clientWidth;
  }

  get #fitScale() {
    const { clientWidth, clientHeight } = this.#window;
    return Math.min(clientWidth / this.#sheet.clientWidth, clientHeight / this.#sheet.clientHeight);
  }

  /** The first picture has come: the sheet takes its size, and keeps it. */
  #begin() {
    this.figure.querySelector(".trouble").hidden = true;
    this.#sheet.style.width = `${this.#picture.naturalWidth}px`;
    this.#sheet.style.height = `${this.#picture.naturalHeight}px`;
    this.#sheet.classList.add("laid");
    new ResizeObserver(() => this.#lay()).observe(this.#window);
  }

  /** Say in words why there is no picture. */
  async #explain() {
    const trouble = this.figure.querySelector(".trouble");
    let words = "The picture cannot be shown.";
    try {
      const answer = await fetch(this.#picture.src);
      words = (await answer.json()).detail ?? words;
    } catch { /* the words stay */ }
    trouble.textContent = words;
    trouble.hidden = false;
    this.#window.hidden = true;
  }

  #lay() {
    if (this.#fitted) {
      this.#scale = this.#fitScale;
      this.#x = (this.#window.clientWidth - this.#width * this.#scale) / 2;
      this.#y = (this.#window.clientHeight - this.#sheet.clientHeight * this.#scale) / 2;
    }
    this.#x = this.#kept(this.#x, this.#window.clientWidth, this.#width);
    this.#y = this.#kept(this.#y, this.#window.clientHeight, this.#sheet.clientHeight);
    this.#sheet.style.transform = `translate(${this.#x}px, ${this.#y}px) scale(${this.#scale})`;
    this.figure.dataset.scale = this.#scale.toFixed(3);
    if (this.#scale * devicePixelRatio > 1.05) this.#loadWhole();
  }

  /** Keep a corner where a quarter of the sheet at least is in the window. */
  #kept(corner, room, extent) {
    const shown = extent * this.#scale / 4;
    return Math.min(Math.max(corner, shown - extent * this.#scale), room - shown);
  }

  /** Have the picture in its own size, in place of the smaller one. */
  #loadWhole() {
    this.#wholeSize ??= (async () => {
      const whole = new Image();
      whole.src = `${this.figure.dataset.address}.png?of=${this.figure.dataset.pixels}`;
      try {
        await whole.decode();
        this.#picture.replaceWith(whole);
        whole.className = "pixels whole";
        whole.alt = this.#picture.alt;
        whole.draggable = false;
        this.#picture = whole;
      } catch {
        setTimeout(() => { this.#wholeSize = null; }, AGAIN); // the smaller one stays meanwhile
        return this.#picture;
      }
      return whole;
    })();
    return this.#wholeSize;
  }

  #listen(chosen) {
    const held = new Map(); // pointers on the view
    this.#window.addEventListener("wheel", (event) => {
      event.preventDefault();
      const corner = this.#window.getBoundingClientRect();
      this.zoom(Math.exp(-event.deltaY * (event.ctrlKey ? 0.01 : 0.0015)), event.clientX - corner.x, event.clientY - corner.y);
    }, { passive: false });
    this.#window.addEventListener("dblclick", chosen);
    this.#window.addEventListener("pointerdown", (event) => {
      if (event.button) return;
      held.set(event.pointerId, event);
      this.#window.setPointerCapture(event.pointerId);
    });
    this.#window.addEventListener("pointermove", (event) => {
      const before = held.get(event.pointerId);
      if (!before || !this.#isThere) return;
      const other = [...held.values()].find(({ pointerId }) => pointerId !== event.pointerId);
      if (other) this.#pinch(before, event, other);
      else this.#move(event.clientX - before.clientX, event.clientY - before.clientY);
      held.set(event.pointerId, event);
    });
    for (const end of ["pointerup", "pointercancel", "lostpointercapture"]) {
      this.#window.addEventListener(end, (event) => held.delete(event.pointerId));
    }
    const moves = { ArrowLeft: [STEP, 0], ArrowRight: [-STEP, 0], ArrowUp: [0, STEP], ArrowDown: [0, -STEP] };
    this.#window.addEventListener("keydown", (event) => {
      if (event.key in moves && this.#isThere) this.#move(...moves[event.key]);
      else if (event.key === "Enter") chosen();
      else return;
      event.preventDefault();
    });
  }

  #move(x, y) {
    this.#x += x;
    this.#y += y;
    this.#fitted = false;
    this.#lay();
  }

  #pinch(before, now, other) {
    const apart = (one) => Math.hypot(one.clientX - other.clientX, one.clientY - other.clientY);
    const corner = this.#window.getBoundingClientRect();
    this.zoom(
      apart(now) / Math.max(1, apart(before)),
      (now.clientX + other.clientX) / 2 - corner.x,
      (now.clientY + other.clientY) / 2 - corner.y,
    );
  }
}
