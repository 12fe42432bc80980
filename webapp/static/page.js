// What every page does more where scripts run: times in the reader's zone, shortcuts,
// copying, the list that filters while one types, forms that wait for the network.
// Without it every page works as well.

export const all = (selector, within = document) => [...within.querySelectorAll(selector)];
export const one = (selector, within = document) => within.querySelector(selector);
export const root = one(".brand").href;

export function make(name, properties, ...children) {
  const element = Object.assign(document.createElement(name), properties);
  element.append(...children);
  return element;
}

export function makeButton(textContent, onclick) {
  return make("button", { type: "button", className: "quiet small", textContent, onclick });
}

// --- Saying something, to eyes and ears alike or to ears alone ---

const status = document.body.appendChild(make("p", { className: "said", role: "status" }));
let silence;

export function say(words, { lasts = false, isSeen = true } = {}) {
  status.textContent = words;
  status.classList.toggle("unseen", !isSeen);
  clearTimeout(silence);
  if (!lasts) silence = setTimeout(() => (status.textContent = ""), 4000);
}

// --- Times ---

const language = navigator.languages[0];
const ago = new Intl.RelativeTimeFormat(language);
const near = new Intl.RelativeTimeFormat(language, { numeric: "auto" });
const exact = new Intl.DateTimeFormat(language, { dateStyle: "full", timeStyle: "long" });
const short = new Intl.DateTimeFormat(language, { dateStyle: "medium", timeStyle: "medium" });
// Each with its seconds, and how many of it are one of the next: as the server writes it.
const UNITS = [
  ["second", 1, 60], ["minute", 60, 60], ["hour", 3600, 24],
  ["day", 86400, 60], ["month", 2635200, 12], ["year", 31536000, Infinity],
];

function showTimes(within = document) {
  for (const time of all("time[datetime]", within)) {
    const when = new Date(time.dateTime);
    if (isNaN(when)) continue;
    const words = time.dataset.as === "exact" ? short.format(when) : relative(when);
    if (time.textContent !== words) time.textContent = words;
    // The words may be the same as the server's; what it says when pointed at is in UTC.
    time.title = exact.format(when);
    time.lang = ago.resolvedOptions().locale;
  }
}

function relative(when) {
  const seconds = (when - Date.now()) / 1000;
  const [unit, length] = UNITS.find(([, length, most]) => Math.round(Math.abs(seconds) / length) < most);
  if (unit === "day") return near.format(Math.round((midnight(when) - midnight()) / 864e5), unit);
  return (unit === "second" ? near : ago).format(Math.round(seconds / length), unit);
}

// "Yesterday" is a matter of the calendar, not of 24 hours.
const midnight = (when = Date.now()) => new Date(when).setHours(0, 0, 0, 0);

// --- Copying; the clipboard is there on https and on this machine only ---

function addCopyButtons(within = document) {
  if (!navigator.clipboard) return;
  for (const value of all("pre.value", within)) {
    const { whole } = value.dataset;
    const button = makeButton("Copy", async () => {
      try {
        await (whole ? copyWhole(whole) : navigator.clipboard.writeText(value.textContent));
        say("Copied.");
      } catch {
        if (whole) return say("It could not be copied: this is a part of it. Show all of it, and try again.");
        getSelection().selectAllChildren(value);
        say("The browser did not allow it. The text is selected: press Ctrl+C or ⌘C.");
      }
    });
    const label = value.getAttribute("aria-label");
    if (label) button.setAttribute("aria-label", `Copy: ${label}`);
    const box = make("div", { className: "copied" });
    value.replaceWith(box);
    box.append(button, value);
  }
}

// Of a large value the page has the beginning. The clipboard is opened at once and filled
// when the rest is there: some browsers forbid it a moment after the button was pressed.
function copyWhole(address) {
  const text = fetch(address, UNUSED).then(read).then((page) => new Blob([one("pre.value", page).textContent], { type: "text/plain" }));
  return navigator.clipboard.write([new ClipboardItem({ "text/plain": text })]);
}

// --- A file that is too large is told before minutes are spent on sending it ---

for (const field of all("input[data-most]")) {
  field.addEventListener("change", () => {
    const isLarge = field.files[0]?.size > field.dataset.most;
    field.setCustomValidity(isLarge ? "This file is too large to be imported. Divide it, or take a smaller one." : "");
    field.reportValidity();
  });
}

// --- Shortcuts: one key each, so they can be switched off (WCAG 2.1.4) ---

// A cookie, since logging out clears localStorage, and with it what somebody needs.
const OFF = "shortcuts=off";
const GO = { l: "entries", n: "entries/new", s: "sessions", a: "account", b: "entries/bin", o: "overview" };
const SHORTCUTS = [
  ["/", "Search"], ["n", "New entry"], ["e", "Edit the entry"],
  ["j k", "Next and previous line of a list"],
  ["g l", "Go to your entries"], ["g o", "Go to your year"],
  ["g s", "Go to where you are logged in"],
  ["g a", "Go to your account"], ["g b", "Go to deleted entries"],
  ["Esc", "Clear the search, close this"], ["?", "This list"],
];
const LINES = ".entries tbody tr:not([hidden]) th a, .lines a, .history a";
let wasG = 0;

const areOn = () => !document.cookie.split("; ").includes(OFF);
const isTyped = (target) => target.closest("input, textarea, select, dialog, [contenteditable]");

function onKey(event) {
  if (event.ctrlKey || event.altKey || event.metaKey || event.isComposing) return;
  if (event.defaultPrevented || one("dialog[open]") || isTyped(event.target)) return;
  const { key } = event, isArrow = key === "ArrowDown" || key === "ArrowUp";
  if (isArrow ? !event.target.matches?.(LINES) : !areOn()) return;
  const afterG = Date.now() - wasG < 1500;
  wasG = 0;
  if (afterG && GO[key]) location.assign(root + GO[key]);
  else if (key === "g") wasG = Date.now();
  else if (key === "?") openList();
  else if (key === "/") search();
  else if (key === "n") location.assign(root + GO.n);
  else if (key === "e" && one("[data-shortcut=e]")) one("[data-shortcut=e]").click();
  else if (key === "j" || key === "ArrowDown") move(1);
  else if (key === "k" || key === "ArrowUp") move(-1);
  else return;
  event.preventDefault();
}

function search() {
  const field = one("#q");
  if (!field) return location.assign(`${root}entries#q`);
  // Not every browser moves the focus there to select what is in it.
  field.focus();
  field.select();
}

function move(step) {
  const links = all(LINES);
  const at = links.indexOf(document.activeElement);
  (at < 0 ? links.at(step > 0 ? 0 : -1) : links[at + step])?.focus();
}

function openList() {
  const before = document.activeElement;
  const keys = SHORTCUTS.map(([pressed, what]) => {
    const each = pressed.split(" ").flatMap((textContent) => [make("kbd", { textContent }), " "]);
    return make("div", {}, make("dt", {}, ...each), make("dd", { textContent: what }));
  });
  const onchange = () => {
    document.cookie = `${OFF}; path=/; samesite=lax; max-age=${box.checked ? 0 : 31536000}`;
  };
  const box = make("input", { type: "checkbox", checked: areOn(), onchange });
  const heading = make("h2", { id: "shortcuts-title", textContent: "Keyboard shortcuts" });
  const dialog = document.body.appendChild(make("dialog", {}, heading, make("dl", { className: "keys" }, ...keys),
    make("label", { className: "tick" }, box, " Shortcuts of a single key"),
    make("form", { method: "dialog" }, make("button", { textContent: "Close" }))));
  dialog.setAttribute("aria-labelledby", heading.id);
  dialog.addEventListener("close", () => (dialog.remove(), before?.focus()));
  dialog.showModal();
}

function addShortcuts() {
  document.addEventListener("keydown", onKey);
  document.body.append(make("footer", { className: "foot" }, makeButton("Keyboard shortcuts", openList)));
  if (location.hash === "#q") search();
}

// --- A part of the page is replaced by what the server says of it now ---

// What a page that is open asks by itself is no use of the session.
export const UNUSED = { headers: { "X-Refresh": "1" } };
export const read = async (answer) => new DOMParser().parseFromString(await answer.text(), "text/html");

export function replaceBy(page, place) {
  const found = document.adoptNode(page.getElementById(place.id));
  showTimes(found);
  const { activeElement } = document;
  const nameOf = (link) => link.href ?? (link.getAttribute("formaction") || link.ariaLabel);
  // A table that somebody has opened stays so.
  if (one("details[open]", place)) for (const details of all("details", found)) details.open = true;
  const focused = place.contains(activeElement) && nameOf(activeElement);
  const chosen = all("input:checked", place).map(({ name, value }) => `${name} ${value}`);
  place.replaceChildren(...found.childNodes);
  for (const box of all("input", place)) if (chosen.includes(`${box.name} ${box.value}`)) box.checked = true;
  for (const [name, value] of Object.entries(found.dataset)) place.dataset[name] = value;
  addCopyButtons(place);
  if (focused) all("a, button", place).find((link) => nameOf(link) === focused)?.focus();
}

// --- The list filters while one types: at once what is there, then the server's answer ---

function filterList() {
  const field = one("form.search #q");
  const place = one("#results");
  if (!field || !place) return;
  const { form } = field;
  let asked, pause, shown = field.value;
  field.addEventListener("input", () => change(250));
  field.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || !field.value) return;
    event.preventDefault();
    field.value = "";
    change(0);
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    change(0);
  });

  function change(wait) {
    const words = field.value.toLowerCase();
    const has = (part) => part.textContent.toLowerCase().includes(words);
    const rows = all(".entries tbody tr", place);
    const fits = rows.map((row) => has(one("th", row)) || has(one("td", row)));
    // An empty table would flicker: where nothing fits, the server's answer comes first.
    rows.forEach((row, at) => (row.hidden = fits.includes(true) && !fits[at]));
    clearTimeout(pause);
    pause = setTimeout(ask, wait);
  }

  async function ask() {
    asked?.abort();
    if (field.value === shown) return;
    asked = new AbortController();
    const words = field.value;
    const query = new URLSearchParams([...new FormData(form)].filter(([, value]) => value));
    const address = query.size ? `${form.action}?${query}` : form.action;
    try {
      const answer = await fetch(address, { signal: asked.signal });
      // An error, or the page to log in on: what there is to see has a page of its own.
      if (!answer.ok || answer.redirected) return location.assign(address);
      const page = await read(answer);
      shown = words;
      replaceBy(page, place);
      document.title = page.title;
      history.replaceState(null, "", address);
      const count = all(".entries tbody tr", place).length;
      const more = one(".pages", place) ? " or more" : "";
      if (words) say(count ? `${count}${more} found.` : "Nothing found.", { isSeen: false });
    } catch (error) {
      if (error.name === "AbortError") return;
      say("The server cannot be reached. Only what was on the page is searched.", { lasts: true });
    }
  }
}

// --- A day ends where the reader is ---

function sendOffset(date) {
  date.form.addEventListener("formdata", ({ formData }) => {
    const end = new Date(`${date.value}T23:59:59`);
    if (!isNaN(end)) formData.set("offset", -end.getTimezoneOffset());
  });
}

// --- A form that is sent while the server cannot be reached stays where it is ---

const OFFLINE = "Not sent: the server cannot be reached. What you typed is still here, to be sent later.";
// Forms that somebody put work into; of the others little is lost.
const LABOURED = "textarea, [name=act], [type=password], [type=file]";
const AWAY = [502, 503, 504];
const asking = new WeakSet(), sent = new WeakSet();

async function onSubmit(event) {
  const { target: form, submitter } = event;
  if (form.method !== "post") return;
  if (asking.has(form) || sent.has(form)) return event.preventDefault();
  if (form.dataset.reachable || (navigator.onLine && !one(LABOURED, form))) {
    delete form.dataset.reachable;
    // Pressed twice is meant once.
    sent.add(form);
    setTimeout(() => sent.delete(form), 5000);
    return;
  }
  event.preventDefault();
  asking.add(form);
  const isThere = await isReachable();
  asking.delete(form);
  if (!isThere) return say(OFFLINE, { lasts: true });
  form.dataset.reachable = "yes";
  form.requestSubmit(submitter);
}

async function isReachable() {
  if (!navigator.onLine) return false;
  const options = { method: "HEAD", cache: "no-store", signal: AbortSignal.timeout(5000) };
  try {
    return !AWAY.includes((await fetch(`${root}healthz`, options)).status);
  } catch (error) {
    // Slow is not away: the browser may try by itself.
    return error.name === "TimeoutError";
  }
}

// --- Drafts of editor.js: forgotten when saved, and when somebody logs out or leaves ---

export function forgetDrafts(isDone) {
  for (const key of Object.keys(sessionStorage)) {
    if (key.startsWith("draft:") && isDone(JSON.parse(sessionStorage[key]))) sessionStorage.removeItem(key);
  }
}

function followLogOut() {
  const otherTabs = new BroadcastChannel("log-out");
  let isLoggingOut = false;
  const forget = () => {
    document.documentElement.dataset.over = "yes";
    forgetDrafts(() => true);
  };
  document.addEventListener("submit", ({ target, defaultPrevented }) => {
    isLoggingOut = !defaultPrevented && /\/logout$|\/account\/delete$/.test(target.action);
  });
  otherTabs.addEventListener("message", forget);
  addEventListener("pagehide", () => {
    if (isLoggingOut) otherTabs.postMessage(forget());
  });
}

document.documentElement.classList.add("scripted");
showTimes();
setInterval(showTimes, 15000);
document.addEventListener("visibilitychange", () => showTimes());
addCopyButtons();
if (one(".who")) {
  addShortcuts();
  followLogOut();
}
if (sessionStorage.ended) {
  // live.js has shown the way to the log-in; another tab may have been there first.
  if (!one(".who")) one("main > .notice")?.prepend(`Your session here is over: ${sessionStorage.ended}. `);
  sessionStorage.removeItem("ended");
}
if (one(".notice.saved")) forgetDrafts((draft) => draft.isSent);
filterList();
all("input[type=date]").forEach(sendOffset);
document.addEventListener("submit", onSubmit, { capture: true });
addEventListener("pageshow", () => all("form").forEach((form) => sent.delete(form)));
addEventListener("online", () => say("You are online again."));
addEventListener("offline", () => say("You are offline. What you type stays here.", { lasts: true }));
