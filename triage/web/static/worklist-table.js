// The table of thousands of rows, of which those are drawn that are seen.

import { written } from "./address.js";
import { moment, span, wholeMoment } from "./times.js";
import * as words from "./worklist-words.js";

const BEYOND = 8; // rows drawn above and below what is seen
const FLASH = 4_000; // milliseconds for which a changed row stands out

export class Table {
  #list; #grid; #body; #above; #below; #template; #height;
  #drawn = new Map(); // UID -> its <tr>
  #waits = false;
  rows = []; // shown, in their order
  chosen = null; // the UID of the chosen study

  /** `markOf` gives what has lately changed about a UID. */
  constructor(list, template, reader, markOf) {
    this.#list = list;
    this.#grid = list.querySelector("table");
    this.#body = list.querySelector("tbody.rows");
    [this.#above, this.#below] = list.querySelectorAll("tbody.room td");
    this.#template = template;
    this.reader = reader;
    this.markOf = markOf;
    list.addEventListener("scroll", () => this.#drawSoon(), { passive: true });
    new ResizeObserver(() => { this.#measure(); this.#drawSoon(); }).observe(list);
    this.#measure();
  }

  /** Show these rows, and keep the row with the UID `anchor` where it stands on the screen. */
  show(rows, anchor = null) {
    const before = this.indexOf(anchor);
    this.rows = rows;
    const after = this.indexOf(anchor);
    this.#grid.setAttribute("aria-rowcount", rows.length + 1);
    this.#room(0, rows.length); // so that there is something to scroll
    if (before >= 0 && after >= 0 && before !== after) {
      this.#list.scrollTop += (after - before) * this.#height;
    }
    this.draw();
  }

  /** Say whether these rows could be shown with nothing moving that is seen. */
  wouldStay(rows) {
    const first = this.#first(), seen = this.rows.slice(first, first + this.visible + 2);
    const at = seen.length ? rows.findIndex((row) => same(row, seen[0])) : 0;
    // At the very top what comes above would have to push, or be out of sight.
    return at >= 0 && (first > 0 || at === 0) && seen.every((row, k) => rows[at + k] && same(row, rows[at + k]));
  }

  /** Draw the same studies in the same places, as `get` knows them now. */
  renew(get) {
    this.rows = this.rows.map((row) => {
      const now = get(row.study_instance_uid);
      if (!now) row.left ??= "Left the list";
      return now ?? row;
    });
    this.draw();
  }

  indexOf(uid) {
    return uid === null ? -1 : this.rows.findIndex((row) => row.study_instance_uid === uid);
  }

  /** The UID of the row at this height of the window; null where there is none. */
  uidAt(y) {
    if (y === null) return null;
    const within = y - this.#list.getBoundingClientRect().top - this.#head();
    if (within < 0) return null;
    const index = Math.floor((within + this.#list.scrollTop) / this.#height);
    return this.rows[index]?.study_instance_uid ?? null;
  }

  /** The UID of a row by which the reader's place is kept; null at the top of the list. */
  get place() {
    if (this.#list.scrollTop < this.#height / 2) return null;
    const chosen = this.indexOf(this.chosen);
    if (chosen >= this.#first() && chosen < this.#first() + this.visible) return this.chosen;
    return this.rows[this.#first()]?.study_instance_uid ?? null;
  }

  /** How many rows are seen at once. */
  get visible() {
    return Math.max(1, Math.floor((this.#list.clientHeight - this.#head()) / this.#height));
  }

  /** Choose a study, and have it seen. */
  choose(uid) {
    this.chosen = uid;
    const index = this.indexOf(uid);
    if (index >= 0) {
      const top = index * this.#height, room = this.#list.clientHeight - this.#head();
      const { scrollTop } = this.#list;
      if (top < scrollTop) this.#list.scrollTop = top;
      else if (top + this.#height > scrollTop + room) this.#list.scrollTop = top + this.#height - room;
    }
    this.draw();
  }

  /** Put a row at the upper end of what is seen. */
  scrollTo(uid) {
    const index = this.indexOf(uid);
    if (index >= 0) this.#list.scrollTop = index * this.#height;
  }

  /** Draw what is seen as it is now. */
  draw() {
    const first = Math.max(0, this.#first() - BEYOND);
    const seen = this.rows.slice(first, first + this.visible + 2 * BEYOND + 1);
    const wanted = new Set(seen.map((row) => row.study_instance_uid));
    for (const [uid, tr] of this.#drawn) {
      if (wanted.has(uid)) continue;
      tr.remove();
      this.#drawn.delete(uid);
    }
    let next = this.#body.firstElementChild;
    for (const [offset, row] of seen.entries()) {
      const tr = this.#rowOf(row);
      this.#fill(tr, row, first + offset);
      if (tr === next) next = next.nextElementSibling;
      else this.#body.insertBefore(tr, next);
    }
    this.#room(first, this.rows.length - first - seen.length);
    const active = this.#drawn.get(this.chosen);
    if (active) this.#grid.setAttribute("aria-activedescendant", active.id);
    else this.#grid.removeAttribute("aria-activedescendant");
  }

  #drawSoon() {
    if (this.#waits) return;
    this.#waits = true;
    requestAnimationFrame(() => { this.#waits = false; this.draw(); });
  }

  #first() {
    return Math.floor(this.#list.scrollTop / this.#height);
  }

  #head() {
    return this.#grid.tHead.offsetHeight;
  }

  #measure() {
    const rem = parseFloat(getComputedStyle(document.documentElement).fontSize);
    this.#height = parseFloat(getComputedStyle(this.#list).getPropertyValue("--row")) * rem;
  }

  /** Leave room for the rows that are not drawn. */
  #room(above, below) {
    this.#above.style.height = `${above * this.#height}px`;
    this.#below.style.height = `${below * this.#height}px`;
  }

  #rowOf(row) {
    const uid = row.study_instance_uid;
    let tr = this.#drawn.get(uid);
    if (!tr) {
      tr = this.#template.content.firstElementChild.cloneNode(true);
      tr.id = `study-${uid}`;
      tr.dataset.study = uid;
      tr.fields = Object.fromEntries(
        [...tr.querySelectorAll("[data-field]")].map((element) => [element.dataset.field, element]),
      );
      tr.fields.type.href = `/studies/${written(uid)}`;
      this.#drawn.set(uid, tr);
    }
    return tr;
  }

  #fill(tr, row, index) {
    const { fields } = tr, mark = this.markOf(row.study_instance_uid);
    const scored = row.probability !== null;
    tr.setAttribute("aria-rowindex", index + 2);
    tr.setAttribute("aria-selected", row.study_instance_uid === this.chosen);
    set(tr, "priority", row.priority);
    set(tr, "label", row.label ?? "");
    set(tr, "claimed", row.claimed_by === null ? "" : row.claimed_by === this.reader ? "mine" : "other");
    set(tr, "left", row.left ?? "");
    set(tr, "fresh", mark && Date.now() - mark.at < FLASH ? "yes" : "");
    put(fields.position, row.position);
    put(fields.moved, mark?.moved ? `${mark.moved > 0 ? "\u25B2" : "\u25BC"} ${Math.abs(mark.moved)}` : "");
    fields.moved.title = mark?.moved ? `Moved ${mark.moved > 0 ? "up" : "down"} by ${Math.abs(mark.moved)}` : "";
    fields.priority.dataset.priority = row.priority;
    put(fields.priority, words.PRIORITY[row.priority]);
    fields.overdue.hidden = !row.overdue;
    put(fields.why, row.left || mark?.words || "");
    fields.why.title = fields.why.textContent;
    put(fields.type, words.studyType(row));
    put(fields.description, row.study_description ?? "");
    put(fields.patient, words.person(row.patient_name) || "No name");
    put(fields.patientId, row.patient_id ?? "");
    put(fields.accession, row.accession_number ?? "");
    put(fields.accessionToo, row.accession_number ?? "");
    put(fields.probability, scored ? words.probability(row.probability) : "");
    put(fields.opinion, words.opinion(row));
    fields.meter.hidden = !scored;
    fields.meter.value = row.probability ?? 0;
    put(fields.progress, words.progress(row));
    fields.progress.title = fields.progress.textContent;
    put(fields.views, `${row.views_scored} of ${row.views}`);
    put(fields.waiting, span((Date.now() - row.since) / 1000));
    put(fields.arrived, moment(row.received_at));
    fields.arrived.dateTime = row.received_at;
    fields.arrived.title = wholeMoment(row.received_at);
    put(fields.reader, row.claimed_by === this.reader ? "You" : row.claimed_by ?? "");
    fields.reader.title = row.claimed_by ?? "";
  }
}

function same(row, other) {
  return row.study_instance_uid === other.study_instance_uid;
}

/** Change the page only where it has changed: a screen reader and the layout are spared. */
function put(element, text) {
  const said = String(text);
  if (element.textContent !== said) element.textContent = said;
}

function set(element, name, value) {
  if (element.dataset[name] !== value) element.dataset[name] = value;
}
