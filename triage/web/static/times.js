// Moments in the reader's own zone, and how long something has waited.

const MINUTE = 60, HOUR = 60 * MINUTE, DAY = 24 * HOUR; // seconds

const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const exact = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const dated = new Intl.DateTimeFormat(undefined, {
  day: "numeric", month: "short", hour: "2-digit", minute: "2-digit",
});
const whole = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "long" });

/** A time span in the units that matter; it does not tick while one looks at it. */
export function span(seconds) {
  const s = Math.max(0, Math.floor(seconds));
  if (s < MINUTE) return "< 1 min";
  if (s < HOUR) return `${Math.floor(s / MINUTE)} min`;
  if (s < DAY) return `${Math.floor(s / HOUR)} h ${String(Math.floor(s % HOUR / MINUTE)).padStart(2, "0")} min`;
  return `${Math.floor(s / DAY)} d ${Math.floor(s % DAY / HOUR)} h`;
}

/** A moment in the reader's zone: the time alone where it was today. */
export function moment(iso, now = new Date(), today = clock) {
  const then = new Date(iso);
  return (then.toDateString() === now.toDateString() ? today : dated).format(then);
}

/** A moment with everything, the zone too. */
export function wholeMoment(iso) {
  return whole.format(new Date(iso));
}

/** Write each moment below *root*, which the server gives in UTC, as the reader's clock shows it. */
export function tellTimes(root, now = new Date()) {
  for (const time of root.querySelectorAll("time[datetime]")) {
    time.textContent = moment(time.dateTime, now, exact);
    time.title = wholeMoment(time.dateTime);
  }
  for (const wait of root.querySelectorAll("[data-since]")) {
    wait.textContent = span((now - new Date(wait.dataset.since)) / 1000);
    wait.title = `since ${wholeMoment(wait.dataset.since)}`;
  }
}

/** A sentence whose moments are in UTC, in the reader's zone. */
export function inZone(sentence) {
  return sentence.replace(/(\d{4}-\d\d-\d\d) (\d\d:\d\d) UTC/g, (_, day, time) => moment(`${day}T${time}Z`));
}
