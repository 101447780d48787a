// How what the server tells is said to a reader. Nothing here touches the page.

export const PRIORITY = { HIGH: "High", MEDIUM: "Medium", LOW: "Low" };

/** A person's name as DICOM writes it (PS3.5 6.2.1), as people do: "Doe, Jane". */
export function person(name) {
  return (name ?? "")
    .split("=")
    .map((group) => {
      const [family, given, middle] = group.split("^").map((part) => part.trim());
      return [family, [given, middle].filter(Boolean).join(" ")].filter(Boolean).join(", ");
    })
    .filter(Boolean)
    .join(" / ");
}

/** A probability, with the digits that the command line gives it. */
export function probability(value) {
  return value.toFixed(3);
}

export function studyType(row) {
  const type = row.study_type;
  if (type) return type[0].toUpperCase() + type.slice(1);
  return row.reason?.startsWith("outside_upper_extremity") ? "Other part" : "Unknown part";
}

/** The sentence of a reason, `code: sentence`. */
export function sentence(reason) {
  return reason.slice(reason.indexOf(": ") + 2);
}

/** What the model says of a study, in a word or two. */
export function opinion(row) {
  if (row.label) return row.label[0].toUpperCase() + row.label.slice(1);
  if (row.status === "failed") return "Not scored: failed";
  return "Not scored";
}

/** How far a study has come, and why it has not come further. */
export function progress(row) {
  const said = [];
  if (row.provisional) said.push("provisional");
  if (row.reason) said.push(sentence(row.reason));
  else if (!row.label && row.views > row.views_scored) said.push("waits for its score");
  return said.join(", ");
}

/** A study, as a message names it. */
export function title(row) {
  return [studyType(row), row.accession_number ?? row.patient_id ?? row.study_instance_uid].join(" ");
}

/** Why a row is not what it was: [kind, words] of each cause; null `old` is a study that is new, or `back`. */
export function causes(old, row, back) {
  if (!old) {
    const late = row.reason?.startsWith("image_after_reading");
    return [["arrival", late ? "Image after reading" : back ? "Put back" : "New"]];
  }
  const found = [];
  if (row.overdue !== old.overdue) found.push(["order", row.overdue ? "Overdue" : "No longer overdue"]);
  else if (row.label !== old.label) found.push(["order", row.label ? `Scored ${row.label}` : "Score withdrawn"]);
  else if (row.probability !== old.probability && row.probability !== null && old.probability !== null) {
    found.push(["order", `Probability ${probability(old.probability)} \u2192 ${probability(row.probability)}`]);
  }
  if (row.views > old.views) found.push(["views", "Image arrived"]);
  if (row.claimed_by !== old.claimed_by) {
    found.push(["reader", row.claimed_by ? `Claimed by ${row.claimed_by}` : "Released"]);
  }
  return found;
}
