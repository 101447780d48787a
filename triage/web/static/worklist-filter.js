// Which studies a reader wants to see, kept while the tab is open.

const KEPT = "triage.worklist"; // in the session storage: gone with the tab

const STATES = {
  free: (row) => row.claimed_by === null,
  mine: (row, reader) => row.claimed_by === reader,
  others: (row, reader) => row.claimed_by !== null && row.claimed_by !== reader,
  overdue: (row) => row.overdue,
  receiving: (row) => row.provisional,
  unscored: (row) => row.label === null,
};

export class Filter {
  #form;
  #reader;
  #forgotten = false;

  constructor(form, reader, changed) {
    this.#form = form;
    this.#reader = reader;
    form.addEventListener("input", changed);
    form.addEventListener("submit", (event) => event.preventDefault());
  }

  /** What is asked for: {text, type, state, priorities}; nothing asked for is everything. */
  get wanted() {
    const data = new FormData(this.#form);
    return {
      text: data.get("text").trim(),
      type: data.get("type"),
      state: data.get("state"),
      priorities: data.getAll("priority"),
    };
  }

  get isOpen() {
    const { text, type, state, priorities } = this.wanted;
    return !(text || type || state || priorities.length);
  }

  clear() {
    this.#form.reset();
  }

  /** Return the function that says whether a row is asked for. */
  test() {
    const { text, type, state, priorities } = this.wanted;
    const words = plain(text).split(" ").filter(Boolean);
    return (row) =>
      (!priorities.length || priorities.includes(row.priority))
      && (!type || (row.study_type ?? "unknown") === type)
      && (!state || STATES[state](row, this.#reader))
      && (!words.length || words.every((word) => textOf(row).includes(word)));
  }

  /** Keep it, and the reader's place, for when the page is shown again. */
  keep(place) {
    if (!this.#forgotten) sessionStorage.setItem(KEPT, JSON.stringify({ reader: this.#reader, wanted: this.wanted, place }));
  }

  /** Keep nothing any more: who searched for whom is not for the next one at this desk. */
  forget() {
    this.#forgotten = true;
    sessionStorage.removeItem(KEPT);
  }

  /** Bring back what was kept, and return the place; null where there is none. */
  restore() {
    const kept = JSON.parse(sessionStorage.getItem(KEPT) ?? "null");
    if (kept?.reader !== this.#reader) return null;
    const { text, type, state, priorities } = kept.wanted;
    this.#form.elements.text.value = text;
    this.#form.elements.type.value = type;
    this.#form.elements.state.value = state;
    for (const box of this.#form.querySelectorAll("[name=priority]")) {
      box.checked = priorities.includes(box.value);
    }
    return kept.place;
  }
}

/** Take a text apart as `triage.core.wanted` does: words between single spaces. */
function plain(text) {
  const letters = text.normalize("NFD").replace(/\p{M}/gu, "");
  return letters.replace(/[\^=,\s]+/g, " ").toLowerCase().replaceAll("\u00DF", "ss");
}

function textOf(row) {
  row.text ??= plain([
    row.accession_number, row.patient_id, row.patient_name,
    row.study_description, row.study_type, row.study_instance_uid, row.reason,
  ].filter(Boolean).join(" "));
  return row.text;
}
