// An open page follows what happens elsewhere: lists and entries are shown as they are
// now, a log-in of another browser is told, and a session that is over shows the log-in.
// Only a page that is seen has a stream: a browser opens no more than six at once.

import { UNUSED, all, forgetDrafts, make, makeButton, one, read, replaceBy, root, say } from "./page.js";

// Of these ends the person knows, and what they typed is theirs.
const KEEPS_DRAFTS = ["timed out", "replaced"];
const otherTabs = new BroadcastChannel("ended");
let stream, again, last = "", session, sessions;

function open() {
  clearTimeout(again);
  if (stream || document.hidden) return;
  stream = new EventSource(`${root}live?after=${last}`);
  stream.addEventListener("state", onState);
  stream.addEventListener("log-in", ({ data }) => tellLogIn(JSON.parse(data)));
  stream.addEventListener("ended", ({ data }) => onEnded(JSON.parse(data)));
  stream.addEventListener("error", () => {
    // By itself a browser comes again only where it was cut off, not where it was refused.
    if (stream?.readyState !== EventSource.CLOSED) return;
    close();
    again = setTimeout(open, 15000);
  });
}

function close() {
  stream?.close();
  stream = undefined;
}

function onState({ data, lastEventId }) {
  const state = JSON.parse(data);
  last = lastEventId;
  session = state.session;
  if (state.sessions !== sessions) forgetLogIns((id) => !state.newer.includes(id));
  sessions = state.sessions;
  document.dispatchEvent(new CustomEvent("live", { detail: state }));
  if (all("[data-live]").some((place) => place.dataset.version !== state[place.dataset.live])) refresh();
}

// --- What is shown is fetched anew, one time after the other ---

let refreshing, isStale = false;

async function refresh() {
  isStale = true;
  if (refreshing) return;
  refreshing = true;
  while (isStale) {
    isStale = false;
    await fetchAnew().catch(() => {});  // The next state is as good.
  }
  refreshing = false;
}

async function fetchAnew() {
  const address = location.href;
  const answer = await fetch(address, UNUSED);
  if (answer.redirected || address !== location.href) return;
  if (answer.status === 404) return location.reload();
  if (!answer.ok) return;
  const page = await read(answer);
  for (const place of all("[data-live]")) if (page.getElementById(place.id)) replaceBy(page, place);
}

// --- Another browser has logged in ---

// Over the page: what somebody is about to press stays where it is.
const newest = make("aside", { className: "newest", ariaLabel: "News" });
const MOST = 3;

function tellLogIn({ id, device, address, at }) {
  // Another tab may have been told that it was them.
  if (known().includes(id) || one(`#log-in-${id}`)) return;
  const time = make("time", { dateTime: at, textContent: "just now" });
  const words = make("p", {}, make("strong", { textContent: device }), ` (${address}) logged in to your account `, time, ". Not you?");
  const mine = makeButton("It was me", () => know([id]));
  const end = make("form", { method: "post", action: `${root}sessions/${id}/end` },
    one("[name=form_token]").cloneNode(), make("button", { textContent: "End it" }));
  const notice = make("div", { id: `log-in-${id}`, className: "notice split" }, words, make("div", { className: "actions" }, end, mine));
  // What comes together with its role is not read out everywhere.
  say(`${device} (${address}) logged in to your account.`, { isSeen: false });
  newest.prepend(notice);
  notices()[MOST]?.remove();
  allMine.remove();
  if (notices().length > 1) newest.prepend(allMine);
  document.body.append(newest);
}

const notices = () => all("[id^=log-in-]", newest);
const idOf = (notice) => Number(notice.id.slice("log-in-".length));
const allMine = makeButton("All of these were me", () => know(notices().map(idOf)));
const known = () => JSON.parse(localStorage.knownLogIns ?? "[]");

function know(ids) {
  localStorage.knownLogIns = JSON.stringify([...known(), ...ids].slice(-50));
  forgetLogIns((id) => ids.includes(id));
}

function forgetLogIns(isPast) {
  for (const notice of notices()) if (isPast(idOf(notice))) notice.remove();
  if (notices().length < 2) allMine.remove();
}

addEventListener("storage", ({ key }) => {
  if (key === "knownLogIns") forgetLogIns((id) => known().includes(id));
});

// --- The session is over ---

function onEnded(end) {
  otherTabs.postMessage(end);
  leave(end.reason);
}

// What somebody sends may be what ends it, and the answer to that says more. It may also
// become a download, and then the page stays.
let sending, left;

addEventListener("submit", ({ defaultPrevented, target }) => {
  if (defaultPrevented || target.method !== "post") return;
  clearTimeout(sending);
  sending = setTimeout(() => {
    sending = undefined;
    if (left !== undefined) leave(left);
  }, 5000);
});

function leave(reason) {
  close();
  left = reason;
  if (sending) return;
  if (!KEEPS_DRAFTS.includes(reason)) {
    document.documentElement.dataset.over = "yes";
    forgetDrafts(() => true);
  }
  sessionStorage.ended = reason || "it is not known here";
  location.replace(`${root}login?next=${encodeURIComponent(location.pathname + location.search)}`);
}

otherTabs.addEventListener("message", ({ data }) => data.session === session && leave(data.reason));
document.addEventListener("visibilitychange", () => (document.hidden ? close() : open()));
addEventListener("pagehide", close);
addEventListener("pageshow", () => (again = setTimeout(open, 1000)));
