// How an identifier stands in an address: `triage.web.address`, in the browser's words.

/** What stands in the address for a UID. */
export function written(uid) {
  if (/^(?!\.+$)[0-9A-Za-z._-]+$/.test(uid)) return uid;
  const digits = Array.from(new TextEncoder().encode(uid), (byte) => byte.toString(16).padStart(2, "0"));
  return `~${digits.join("")}`;
}
