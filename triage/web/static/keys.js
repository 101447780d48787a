// Keys of one character, which speech input and unsteady hands press unmeant: they can be switched
// off (WCAG 2.2, 2.1.4), for this browser and for every page.

const KEPT = "triage.keys"; // in the local storage

/** Whether a key is to be heard: one with a name always, one of one character if they are on. */
export function isHeard(key) {
  return key.length > 1 || on();
}

/** Let a checkbox switch them. */
export function switchBy(box) {
  box.checked = on();
  box.addEventListener("change", () => {
    try {
      if (box.checked) localStorage.removeItem(KEPT);
      else localStorage.setItem(KEPT, "off");
    } catch { /* a browser that keeps nothing: they stay on */ }
    box.checked = on();
  });
}

function on() {
  try {
    return localStorage.getItem(KEPT) !== "off";
  } catch {
    return true;
  }
}
