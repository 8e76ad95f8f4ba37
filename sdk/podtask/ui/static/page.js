// Keeps a page up to date. Every page can be read without this script: the server draws, this fetches and updates.
// @ts-check

import { Idiomorph } from "./idiomorph.esm.js";

const LINES_KEPT = 5000;
const LEAST_MS = 1000; // between two drawings
const body = document.body;
const pulse = document.getElementById("pulse");

/** Sign in at once: the link was opened by a person with a browser. */
const enter = /** @type {HTMLFormElement | null} */ (document.getElementById("enter"));
if (enter) enter.requestSubmit();

/** @param {string} text @param {boolean} lost */
function say(text, lost) {
  if (!pulse) return;
  pulse.hidden = false;
  pulse.classList.toggle("lost", lost);
  if (pulse.textContent !== text) pulse.textContent = text;
}

const STREAMED = new Set(["lines", "logend"]); // the stream of the log writes them

/**
 * Writes what differs into the elements that are there: the focus, a selection, what is typed and how far a box is
 * scrolled survive. Rows and nodes have ids, so that an element never becomes that of another run.
 * @param {Document} fresh @param {boolean} streamed whether the same stream goes on
 */
function update(fresh, streamed) {
  const here = document.getElementById("main");
  const next = fresh.getElementById("main");
  if (!here || !next) return;
  Idiomorph.morph(here, next, {
    callbacks: {
      beforeNodeMorphed: (/** @type {Node} */ node) =>
        !(streamed && node instanceof Element && STREAMED.has(node.id)),
      beforeAttributeUpdated: (/** @type {string} */ attribute) => attribute !== "value",
    },
  });
  document.title = fresh.title;
}

let last = 0;
let waiting = false;
let fetching = false;

/** Fetch the page again, at most once a second, not while nobody looks or a pointer is down. */
function refresh() {
  if (waiting) return;
  waiting = true;
  setTimeout(draw, Math.max(0, last + LEAST_MS - Date.now()));
}

async function draw() {
  waiting = false;
  if (document.hidden || fetching || pressed) {
    stale = true;
    return;
  }
  fetching = true;
  last = Date.now();
  try {
    const answer = await fetch(location.href, { headers: { "X-Live": "yes" }, redirect: "manual" });
    if (answer.status === 401 || answer.type === "opaqueredirect") {
      location.assign(answer.headers.get("X-Ended") ? "/login?ended=yes" : "/login");
      return;
    }
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    const live = fresh.body.dataset.live ?? "";
    const streamed = !answer.ok || live === body.dataset.live;
    update(fresh, streamed);
    if (!streamed) listen(live, fresh.body.dataset.version); // another attempt, or its end
  } catch (error) {
    console.error(error);
    say("Not connected", true);
  } finally {
    fetching = false;
    catchUp();
  }
}

let stale = false;
function catchUp() {
  if (!stale || document.hidden || pressed) return;
  stale = false;
  refresh();
}
document.addEventListener("visibilitychange", catchUp);

let pressed = false; // nothing moves away below a pointer that is down
addEventListener("pointerdown", () => (pressed = true));
for (const end of ["pointerup", "pointercancel", "dragend", "blur"]) {
  addEventListener(end, () => {
    pressed = false;
    catchUp();
  });
}

/** @param {string[]} lines already escaped by the server */
function append(lines) {
  const box = document.getElementById("lines");
  if (!box) return;
  const atEnd = box.scrollHeight - box.scrollTop - box.clientHeight < 40;
  const holder = document.createElement("template");
  holder.innerHTML = lines.map((line) => `<span class="line">${line}\n</span>`).join("");
  box.append(holder.content);
  while (box.childElementCount > LINES_KEPT) box.firstElementChild?.remove();
  if (atEnd) box.scrollTop = box.scrollHeight;
}

/** @type {EventSource | undefined} */
let stream;
addEventListener("pagehide", () => stream?.close());

/** @param {string} address of the stream, empty for none @param {string | undefined} version what is drawn */
function listen(address, version) {
  stream?.close();
  body.dataset.live = address;
  if (pulse) pulse.hidden = true;
  toTheEnd();
  if (!address) return;
  const source = new EventSource(address);
  stream = source;
  let failures = 0;
  source.addEventListener("open", () => {
    failures = 0;
    say("Live", false);
  });
  source.addEventListener("change", (event) => {
    if (event.lastEventId === version) return;
    version = event.lastEventId;
    refresh();
  });
  source.addEventListener("log-start", () => document.getElementById("lines")?.replaceChildren());
  source.addEventListener("log", (event) => append(JSON.parse(event.data)));
  source.addEventListener("log-end", (event) => {
    const end = document.getElementById("logend");
    if (end) end.textContent = JSON.parse(event.data);
  });
  source.addEventListener("error", () => {
    say("Not connected", true);
    failures += 1;
    if (failures > 1 || source.readyState === EventSource.CLOSED) refresh();
  });
}

function toTheEnd() {
  const box = document.getElementById("lines");
  if (box) box.scrollTop = box.scrollHeight;
}

listen(body.dataset.live ?? "", body.dataset.version);

/** Ages grow by themselves. */
setInterval(() => {
  for (const one of document.querySelectorAll("time[datetime]")) {
    const seconds = (Date.now() - Date.parse(one.getAttribute("datetime") ?? "")) / 1000;
    if (seconds < 3600 && one.textContent?.endsWith("ago")) one.textContent = `${span(seconds)} ago`;
  }
}, 5000);

/** As the server and kubectl write it, below an hour. @param {number} seconds */
function span(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  const minutes = Math.floor(whole / 60);
  if (whole < 120) return `${whole}s`;
  if (minutes < 10 && whole % 60) return `${minutes}m${whole % 60}s`;
  return `${minutes}m`;
}
