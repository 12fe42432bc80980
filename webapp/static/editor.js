// The editor of an entry where scripts run: JSON is checked while one types, what was
// typed is kept as a draft of this tab, leaving asks first, and what others do to the
// entry meanwhile is told. The time at which it ends is typed in the reader's own zone.

import { UNUSED, make, one, read as readPage, say } from "./page.js";

const form = document.querySelector("form:has(textarea[name=value])");
const { value, secret, version } = form.elements;
const fields = [...form.elements].filter((field) => field.name && field.type !== "hidden");

const read = (field) => (isTick(field) ? field.checked : field.value);
const isTick = (field) => field.type === "checkbox" || field.type === "radio";
const nameOf = (field) => (field.type === "radio" ? `${field.name}=${field.value}` : field.name);
const isChanged = () => fields.some((field) => read(field) !== before(field));
// The server shows what was typed once more, and none of it is saved.
const isRefused = "unsaved" in form.dataset;
const isUnsaved = () => isRefused || isChanged();

function before(field) {
  if (isTick(field)) return field.defaultChecked;
  if (field.type !== "datetime-local") return field.defaultValue;
  // The browser writes a time its own way, as in leaving out seconds that are 0.
  return Object.assign(field.cloneNode(), { value: field.defaultValue }).value;
}

// --- The end: typed in the zone of the reader, sent in UTC as without this script ---

const ends = form.elements.expires_at;
const endsInUtc = ends.defaultValue;
const SECONDS = "YYYY-MM-DDTHH:MM:SS".length;

function toOwnZone(utc) {
  const when = new Date(`${utc}Z`);
  if (isNaN(when)) return utc;
  return new Date(when - 60000 * when.getTimezoneOffset()).toISOString().slice(0, SECONDS);
}

// What the field comes with; what is in it already, the browser has put back.
ends.defaultValue = toOwnZone(endsInUtc);
const { timeZone } = new Intl.DateTimeFormat().resolvedOptions();
one(".own-zone", form).textContent = timeZone.replaceAll("_", " ");
form.addEventListener("formdata", ({ formData }) => {
  if (!ends.value) return;
  // An hour that comes twice in autumn stays the one it was.
  const isUntouched = ends.value === before(ends);
  formData.set("expires_at", isUntouched ? endsInUtc : new Date(ends.value).toISOString().slice(0, SECONDS));
});

// --- JSON: what the server would say of it, before it is sent ---

const TOKEN = /"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[\da-fA-F]{4}))*"|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?(?![\d.eE+-])|true|false|null|[[\]{}:,]/y;
const STRING = /"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[\da-fA-F]{4}))*/y;
const SPACE = /[ \t\n\r]*/y;
const DEEPEST = 200;

function mistakeOf(text) {
  const open = [];
  let at = 0, expected = "value";
  const wrong = (words) => {
    const lines = text.slice(0, at).split("\n");
    return `${words} at line ${lines.length}, column ${[...lines.at(-1)].length + 1}`;
  };
  for (;;) {
    SPACE.lastIndex = at;
    at += SPACE.exec(text)[0].length;
    if (at === text.length) return expected === "end" ? "" : wrong("its end comes too early");
    if (expected === "end") return wrong("something after its end");
    TOKEN.lastIndex = at;
    const token = TOKEN.exec(text)?.[0];
    if (!token && text[at] === '"') {
      STRING.lastIndex = at;
      at += STRING.exec(text)[0].length;
      if (at === text.length) return wrong("its end comes too early");
      return wrong(text[at] === "\\" ? "a backslash before something that needs none"
        : "a line break, a tab or the like inside a string");
    }
    if (!token) return wrong("nothing that JSON knows as a value");
    if (token[0] === '"' && token.includes("\\u") && !JSON.parse(token).isWellFormed()) return wrong("half of a character");
    const inside = open.at(-1);
    const closes = token === { "[": "]", "{": "}" }[inside];
    if (expected === "colon") {
      if (token !== ":") return wrong("no colon after a key");
      expected = "value";
    } else if (expected === "comma" || (closes && expected.endsWith("first"))) {
      if (closes) {
        open.pop();
        expected = open.length ? "comma" : "end";
      } else if (token === ",") expected = inside === "{" ? "key" : "value";
      else return wrong(`no comma and no ${inside === "{" ? "}" : "]"}`);
    } else if (expected.startsWith("key")) {
      if (token[0] !== '"') return wrong(closes ? "a comma too many" : "a key without double quotes");
      expected = "colon";
    } else if (token === "[" || token === "{") {
      if (open.push(token) > DEEPEST) return wrong("more than 200 levels, one in the other,");
      expected = token === "[" ? "value, first" : "key, first";
    } else if ("]}:,".includes(token)) {
      return wrong(closes ? "a comma too many" : "nothing that JSON knows as a value");
    } else expected = open.length ? "comma" : "end";
    at += token.length;
  }
}

const verdict = make("p", { className: "hint", id: "json-verdict", role: "status" });

function checkJson() {
  const isJson = form.elements.kind.value === "json" && value.value.trim();
  const mistake = isJson ? mistakeOf(value.value) : "";
  const words = mistake ? `This is not JSON: ${mistake}.` : isJson ? "This is JSON." : "";
  if (verdict.textContent !== words) verdict.textContent = words;
  verdict.classList.toggle("error", Boolean(mistake));
}

// --- Notices above the form; that they are there is said aloud as well ---

function tell(textContent, actions, className = "") {
  const words = make("p", { textContent });
  const notice = make("div", { className: `notice split ${className}` }, words, ...actions);
  form.before(notice);
  // A live region that comes together with its words is often not heard.
  say(textContent, { isSeen: false });
  return notice;
}

// --- A draft of what was typed, for this tab, this page and this person ---

const person = document.querySelector(".who").textContent;
// Where it is sent to: the page may have come from another address, as of a conflict.
const place = "draft:" + new URL(form.action).pathname;
// A secret value is kept nowhere; neither is one that was secret when the page came.
const isSecret = () => secret.checked || secret.defaultChecked;

function keepDraft({ isSent = false } = {}) {
  const isOver = "over" in document.documentElement.dataset;
  if (isOver || isSecret() || !isUnsaved()) return sessionStorage.removeItem(place);
  const typed = Object.fromEntries(fields.map((field) => [nameOf(field), read(field)]));
  try {
    sessionStorage.setItem(place, JSON.stringify({ person, typed, isSent, version: version?.value }));
  } catch {
    // The browser has no room for it; the page itself still has it.
  }
}

function offerDraft() {
  const draft = JSON.parse(sessionStorage.getItem(place) ?? "null");
  if (!draft) return;
  const isKnown = fields.every((field) => draft.typed[nameOf(field)] === before(field));
  if (isRefused) return;
  if (draft.person !== person || isKnown || isSecret()) return sessionStorage.removeItem(place);
  if (isChanged()) return; // The browser has put it back by itself.
  const restore = make("button", { type: "button", textContent: "Restore it" });
  const discard = make("button", { type: "button", className: "quiet", textContent: "Discard it" });
  restore.addEventListener("click", () => {
    for (const field of fields.filter((each) => nameOf(each) in draft.typed)) {
      const was = draft.typed[nameOf(field)];
      if (isTick(field)) field.checked = was;
      else field.value = was;
    }
    // What it was typed over: if the entry has changed since, the server shows both.
    if (version) version.value = draft.version;
    offer.remove();
    checkJson();
    value.focus();
  });
  discard.addEventListener("click", () => {
    sessionStorage.removeItem(place);
    offer.remove();
    value.focus();
  });
  const actions = make("div", { className: "actions" }, restore, discard);
  const offer = tell("You typed something here that was not saved.", [actions]);
}

// --- What others do to the entry meanwhile; live.js hears of it ---

let told;

async function lookAgain() {
  const answer = await fetch(form.dataset.entry, UNUSED);
  const isGone = answer.status === 404;
  if (!isGone && (!answer.ok || answer.redirected)) return;
  const found = isGone ? "deleted" : one("[data-entry-version]", await readPage(answer)).dataset.entryVersion;
  if (found === told || found === version.value) return;
  told = found;
  one(".notice.elsewhere")?.remove();
  const words = isGone ? "This entry was deleted elsewhere. What you typed is still here, and saving keeps it anew."
    : isUnsaved() ? "This entry was changed elsewhere. What you typed is still here, and saving shows you both."
    : "This entry was changed elsewhere.";
  const link = { href: form.dataset.entry, className: "button quiet", textContent: "See what it is now" };
  const look = make("a", isUnsaved() ? { ...link, target: "_blank" } : { ...link, href: location.href });
  tell(words, isGone ? [] : [look], "elsewhere");
}

if (form.dataset.entry) {
  document.addEventListener("live", ({ detail: { entries } }) => {
    if (entries !== form.dataset.version) lookAgain();
    form.dataset.version = entries;
  });
}

// --- Leaving ---

let isLeaving = false;
let pause;
form.addEventListener("input", () => {
  if (isSecret()) keepDraft();
  clearTimeout(pause);
  pause = setTimeout(() => {
    checkJson();
    keepDraft();
  }, 300);
});
form.addEventListener("submit", (event) => {
  if (event.defaultPrevented) return;
  // page.js forgets it where the next page says that it is saved.
  keepDraft({ isSent: true });
  isLeaving = true;
});
addEventListener("beforeunload", (event) => {
  if (isUnsaved() && !isLeaving && !("ended" in sessionStorage)) event.preventDefault();
});
addEventListener("pagehide", () => isLeaving || keepDraft());
addEventListener("pageshow", () => (isLeaving = false));
value.after(verdict);
value.setAttribute("aria-describedby", `${value.getAttribute("aria-describedby") ?? ""} ${verdict.id}`.trim());
offerDraft();
