// Keeps a page up to date. Every page can be read without this script: the server draws, this fetches and swaps.
// @ts-check

export {};

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

/** @type {Map<string, string>} what each part was drawn from */
const drawn = new Map();
for (const part of document.querySelectorAll("[data-part]")) drawn.set(name(part), part.innerHTML);

/** @param {Element} part */
function name(part) {
  return part.getAttribute("data-part") ?? "";
}

/** Draw anew what differs; what has the focus, and how far it is scrolled, stays. @param {Document} fresh */
function swap(fresh) {
  const there = [...document.querySelectorAll("[data-part]")].map(name).join();
  const wanted = [...fresh.querySelectorAll("[data-part]")].map(name).join();
  const here = document.getElementById("main");
  const next = fresh.getElementById("main");
  if (!here || !next) return;
  if (there !== wanted) {
    if (!typing()) here.replaceChildren(...next.childNodes);
    drawn.clear();
    for (const part of document.querySelectorAll("[data-part]")) drawn.set(name(part), part.innerHTML);
    return;
  }
  for (const part of document.querySelectorAll("[data-part]")) {
    const other = fresh.querySelector(`[data-part="${CSS.escape(name(part))}"]`);
    if (!other || other.innerHTML === drawn.get(name(part))) continue;
    if (part.contains(document.activeElement) && typing()) continue;
    drawn.set(name(part), other.innerHTML);
    const focused = part.contains(document.activeElement) ? document.activeElement?.getAttribute("href") : null;
    const scrolled = [...part.querySelectorAll(".scroll, .box")].map((box) => [box.scrollLeft, box.scrollTop]);
    part.replaceChildren(...other.childNodes);
    [...part.querySelectorAll(".scroll, .box")].forEach((box, index) => {
      if (scrolled[index]) [box.scrollLeft, box.scrollTop] = scrolled[index];
    });
    if (focused) {
      /** @type {HTMLElement | null} */ (part.querySelector(`[href="${CSS.escape(focused)}"]`))?.focus();
    }
  }
  document.title = fresh.title;
}

function typing() {
  return document.activeElement instanceof HTMLInputElement;
}

let last = 0;
let waiting = false;
let fetching = false;

/** Fetch the page again, at most once a second, not while nobody looks. */
function refresh() {
  if (waiting) return;
  waiting = true;
  setTimeout(draw, Math.max(0, last + LEAST_MS - Date.now()));
}

async function draw() {
  if (document.hidden || fetching) {
    waiting = false;
    stale = true;
    return;
  }
  waiting = false;
  fetching = true;
  last = Date.now();
  try {
    const answer = await fetch(location.href, { headers: { "X-Live": "yes" }, redirect: "manual" });
    if (answer.status === 401 || answer.type === "opaqueredirect") {
      location.assign(answer.headers.get("X-Ended") ? "/login?ended=yes" : "/login");
      return;
    }
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    if (fresh.body.dataset.live !== body.dataset.live && answer.ok && !typing()) {
      location.reload(); // another attempt, or its end: another stream, another log
      return;
    }
    swap(fresh);
  } catch {
    say("Not connected", true);
  } finally {
    fetching = false;
    if (stale && !document.hidden) {
      stale = false;
      refresh();
    }
  }
}

let stale = false;
document.addEventListener("visibilitychange", () => {
  if (!document.hidden && stale) {
    stale = false;
    refresh();
  }
});

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

const address = body.dataset.live;
if (address) {
  const stream = new EventSource(address);
  let version = body.dataset.version;
  let failures = 0;
  stream.addEventListener("open", () => {
    failures = 0;
    say("Live", false);
  });
  stream.addEventListener("change", (event) => {
    if (event.lastEventId === version) return;
    version = event.lastEventId;
    refresh();
  });
  stream.addEventListener("log-start", () => document.getElementById("lines")?.replaceChildren());
  stream.addEventListener("log", (event) => append(JSON.parse(event.data)));
  stream.addEventListener("log-end", (event) => {
    const end = document.getElementById("logend");
    if (end) end.textContent = JSON.parse(event.data);
  });
  stream.addEventListener("error", () => {
    say("Not connected", true);
    failures += 1;
    if (failures > 1 || stream.readyState === EventSource.CLOSED) refresh();
  });
  addEventListener("pagehide", () => stream.close());
}

const box = document.getElementById("lines");
if (box) box.scrollTop = box.scrollHeight;

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
