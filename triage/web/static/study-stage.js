// The views beside each other or one alone, and the activation maps, which are off until asked for.

import { Viewer } from "./study-viewer.js";

export class Stage {
  #tiles;
  #viewers = new Map(); // by the figure's id
  #alone = null; // the viewer that is shown alone
  #mapped = false;

  constructor(root) {
    this.root = root;
    this.#tiles = root.querySelector(".tiles");
    for (const figure of this.#tiles.querySelectorAll("figure")) this.#add(figure);
    root.addEventListener("click", ({ target }) => this.#use(target.closest("[data-tool]")));
  }

  /** Take in what the server shows by now: views that are new or gone, other pixels, other maps. */
  take(tiles, numbers) {
    const now = new Map([...tiles.querySelectorAll("figure")].map((figure) => [figure.id, figure]));
    for (const [id, viewer] of this.#viewers) {
      if (!now.has(id)) this.#remove(id, viewer);
    }
    for (const [id, figure] of now) {
      const viewer = this.#viewers.get(id);
      if (!viewer) {
        this.#tiles.append(document.adoptNode(figure));
        this.#add(figure);
      } else if (viewer.figure.dataset.pixels === figure.dataset.pixels) {
        viewer.figure.dataset.number = figure.dataset.number;
        viewer.takeMap(figure.dataset.map);
      } else {
        viewer.figure.replaceWith(document.adoptNode(figure));
        this.#add(figure);
        if (this.#alone === viewer) this.#alone = this.#viewers.get(id);
      }
    }
    this.#tiles.dataset.count = tiles.dataset.count;
    this.root.querySelector("#numbers").replaceWith(document.adoptNode(numbers));
    this.#show();
    this.#drawMaps();
  }

  showAll() {
    this.#alone = null;
    this.#show();
  }

  showOne(number) {
    const found = [...this.#viewers.values()].find(({ figure }) => Number(figure.dataset.number) === number);
    if (!found) return;
    this.#alone = found;
    this.#show();
    found.focus();
  }

  toggleMap() {
    this.#mapped = !this.#mapped;
    this.root.querySelector("[data-tool=map]").setAttribute("aria-pressed", this.#mapped);
    this.root.querySelector("#legend").hidden = !this.#mapped;
    this.#drawMaps();
  }

  zoom(factor) {
    for (const viewer of this.#meant()) viewer.zoom(factor);
  }

  fit() {
    for (const viewer of this.#meant()) viewer.fit();
  }

  whole() {
    for (const viewer of this.#meant()) viewer.whole();
  }

  /** Whom a key or a tool speaks to: the view with the focus, the one alone, else all. */
  #meant() {
    const shown = this.#alone ? [this.#alone] : [...this.#viewers.values()];
    const focused = shown.filter(({ figure }) => figure.contains(document.activeElement));
    return focused.length ? focused : shown;
  }

  #add(figure) {
    const viewer = new Viewer(figure, () => {
      if (this.#alone === viewer) this.showAll();
      else this.showOne(Number(figure.dataset.number));
    });
    this.#viewers.set(figure.id, viewer);
  }

  #remove(id, viewer) {
    viewer.figure.remove();
    this.#viewers.delete(id);
    if (this.#alone === viewer) this.#alone = null;
  }

  #use(button) {
    const tools = {
      all: () => this.showAll(),
      one: () => this.showOne(Number(button.dataset.view)),
      in: () => this.zoom(1.5),
      out: () => this.zoom(1 / 1.5),
      fit: () => this.fit(),
      whole: () => this.whole(),
      map: () => this.toggleMap(),
    };
    if (button) tools[button.dataset.tool]();
  }

  #show() {
    this.#tiles.toggleAttribute("data-alone", this.#alone !== null);
    for (const viewer of this.#viewers.values()) viewer.figure.classList.toggle("alone", viewer === this.#alone);
    for (const button of this.root.querySelectorAll("[data-tool=all], [data-tool=one]")) {
      const number = Number(button.dataset.view ?? 0);
      button.setAttribute("aria-pressed", number === Number(this.#alone?.figure.dataset.number ?? 0));
    }
  }

  #drawMaps() {
    for (const viewer of this.#viewers.values()) viewer.showMap(this.#mapped);
  }
}
