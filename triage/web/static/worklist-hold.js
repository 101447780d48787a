// While a reader's pointer is among the rows, none of them moves.

const REST = 15_000; // milliseconds without a movement after which the pointer is left lying
const LEAVE = 300; // a tap leaves before it clicks

export class Hold {
  #timer;
  #release;
  #swallow = false;
  held = false;
  y = null; // where the pointer is, in the window; null outside
  moved = false; // whether rows have moved under a pointer that lies still

  /** `release` is called when what was held back may be shown; `refused` for a press too late. */
  constructor(list, release, refused) {
    this.#release = release;
    list.addEventListener("pointermove", (event) => this.#used(event));
    list.addEventListener("pointerdown", (event) => {
      this.#swallow = this.moved;
      this.#used(event);
    });
    list.addEventListener("wheel", (event) => this.#used(event), { passive: true });
    list.addEventListener("pointerleave", () => {
      this.y = null;
      this.moved = false;
      this.#releaseIn(LEAVE);
    });
    // What is pressed is what was seen there: not a row that came under the pointer meanwhile.
    for (const kind of ["click", "dblclick"]) {
      list.addEventListener(kind, (event) => {
        if (!this.#swallow) return;
        event.preventDefault();
        event.stopPropagation();
        if (kind === "click") refused();
      }, { capture: true });
    }
  }

  /** Show what was held back, now. */
  end() {
    clearTimeout(this.#timer);
    this.held = false;
    this.#release();
  }

  #used(event) {
    // Browsers send a movement of nothing when the rows move under the pointer.
    if (event.type === "pointermove" && event.clientY === this.y && !event.movementX) return;
    this.y = event.clientY;
    this.moved = false;
    this.held = true;
    this.#releaseIn(REST);
  }

  #releaseIn(milliseconds) {
    clearTimeout(this.#timer);
    if (this.held) this.#timer = setTimeout(() => this.end(), milliseconds);
  }
}
