// What makes the pages alive; they do without. Times become local, what waits
// counts down, buttons copy, and a page that is marked as live asks now and then
// whether anything has changed: every four seconds while it does, and less and
// less often while it does not. What somebody points at, writes in or has
// selected stays as it is until he lets go, and so does all that stands above.
"use strict";
(() => {
  const soonest = 4000, latest = 60000, patience = 15000;
  const news = document.getElementById("news");
  const pad = (n) => String(n).padStart(2, "0");
  const local = (t) => `${t.getFullYear()}-${pad(t.getMonth() + 1)}-${pad(t.getDate())} ${pad(t.getHours())}:${pad(t.getMinutes())}:${pad(t.getSeconds())}`;

  function remaining(t) {
    const s = Math.round((t - Date.now()) / 1000);
    if (s <= 0) return "due now";
    const [h, m] = [Math.floor(s / 3600), Math.floor((s % 3600) / 60)];
    return "in " + (h ? `${h} h ${m} min` : m ? `${m} min ${s % 60} s` : `${s} s`);
  }
  function count(e) {
    const t = new Date(e.dateTime);
    if (!isNaN(t)) e.textContent = `${local(t)} (${remaining(t)})`;
  }
  // dress makes a part of the page, as the server sends it, what a reader likes.
  function dress(root) {
    for (const e of root.querySelectorAll("time[datetime]")) {
      const t = new Date(e.dateTime);
      if (isNaN(t)) continue;
      e.title = t.toISOString().replace("T", " ").replace("Z", " UTC");
      if (e.hasAttribute("data-countdown")) count(e); else e.textContent = local(t);
    }
    for (const b of root.querySelectorAll("[data-copy]")) b.hidden = !navigator.clipboard;
    stops(root);
  }
  // stops leaves what does not scroll out of the way of Tab.
  function stops(root) {
    for (const e of root.querySelectorAll(".scroll, pre")) {
      if (e.scrollWidth > e.clientWidth || e.scrollHeight > e.clientHeight) e.tabIndex = 0; else e.removeAttribute("tabindex");
    }
  }
  addEventListener("resize", () => stops(document));
  document.addEventListener("toggle", () => stops(document), true); // of details
  const was = new Map(); // each part as the server sent it
  for (const part of document.querySelectorAll("[data-part]")) was.set(part.id, part.innerHTML);
  dress(document);
  const zone = document.getElementById("zone");
  if (zone) zone.textContent = `Times are local (${Intl.DateTimeFormat().resolvedOptions().timeZone}); point at one for UTC.`;
  setInterval(() => document.querySelectorAll("time[data-countdown]").forEach(count), 1000);

  // A message of a moment does not come again with a reload, nor a page of
  // before with the Back button.
  const address = new URL(location.href);
  for (const name of ["said", "welcome"]) address.searchParams.delete(name);
  history.replaceState(history.state, "", address);
  addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });

  document.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-copy]");
    if (!button) return;
    try {
      await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent);
      button.textContent = "Copied";
    } catch {
      button.textContent = "Not copied: select it instead";
    }
    setTimeout(() => { button.textContent = "Copy"; }, 2000);
  });

  if (!document.querySelector("main[data-live]")) return;

  // tell shows a message once, however often it is told; "" shows none.
  function tell(text, label, act) {
    if (news.dataset.text === text) return;
    news.dataset.text = text;
    news.textContent = text;
    if (!label) return;
    const control = document.createElement(typeof act === "string" ? "a" : "button");
    control.textContent = label;
    if (typeof act === "string") control.href = act; else control.addEventListener("click", act);
    news.append(" ", control);
  }

  // focus is where somebody is with the keyboard: a click into a list is no stay there.
  let focus = null;
  document.addEventListener("focusin", (event) => { focus = event.target.matches(":focus-visible") ? event.target : null; });
  document.addEventListener("focusout", () => { focus = null; });
  // held is what somebody is about to use: a control that he points at or is in.
  function held() {
    const controls = "a,button,input,select,textarea,summary";
    return [...document.querySelectorAll(":hover")].reverse().find((e) => e.matches(controls)) ||
      (focus && focus.matches(controls) && !news.contains(focus) ? focus : null);
  }
  function busy(part, control) {
    const s = getSelection();
    const selected = !s.isCollapsed && s.rangeCount && s.getRangeAt(0).intersectsNode(part);
    return selected || part.matches(":hover") || part.contains(focus) ||
      (control && part.compareDocumentPosition(control) & Node.DOCUMENT_POSITION_FOLLOWING);
  }
  // replace puts what is new into a part, and leaves what the reader did to it.
  function replace(part, now) {
    const open = new Map([...part.querySelectorAll("details[id]")].map((d) => [d.id, d.open]));
    const at = [...part.querySelectorAll(".scroll, pre")].map((e) => [e.scrollLeft, e.scrollTop]);
    part.replaceChildren(...document.importNode(now, true).childNodes);
    for (const d of part.querySelectorAll("details[id]")) if (open.has(d.id)) d.open = open.get(d.id);
    dress(part);
    part.querySelectorAll(".scroll, pre").forEach((e, i) => { if (at[i]) [e.scrollLeft, e.scrollTop] = at[i]; });
  }

  let tag = "", wait = soonest, fresh = null, timer = 0, looking = false;
  function renew(all) {
    let left = 0;
    const control = held();
    for (const part of document.querySelectorAll("[data-part]")) {
      const now = fresh.getElementById(part.id);
      if (!now || now.innerHTML === was.get(part.id)) continue;
      if (!all && busy(part, control)) { left++; continue; }
      was.set(part.id, now.innerHTML);
      replace(part, now);
    }
    const over = !fresh.querySelector("main[data-live]");
    if (left) tell("Something has changed.", "Show it", () => { news.dataset.text = ""; renew(true); });
    else { fresh = null; tell(""); }
    return over && !left;
  }
  // look asks for the page, and tells whether it will change no more.
  async function look() {
    const answer = await fetch(location.href, { credentials: "same-origin", headers: { "X-Jobhook-Poll": "1" }, signal: AbortSignal.timeout(patience) });
    if (answer.redirected) { tell("You are signed out.", "Sign in again", "/sign-in?next=" + encodeURIComponent(location.pathname + location.search)); return true; }
    if (answer.status === 404) { tell("What this page shows is no longer there."); return true; }
    if (!answer.ok) throw new Error(answer.status);
    const changed = answer.headers.get("ETag") !== tag;
    wait = changed ? soonest : Math.min(wait * 1.5, latest);
    if (!changed) { if (!fresh) tell(""); return false; }
    tag = answer.headers.get("ETag");
    fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    return renew(false);
  }
  // nextDue is how long it is until something is due that counts down here.
  function nextDue() {
    const waits = [...document.querySelectorAll("time[data-countdown]")].map((e) => new Date(e.dateTime) - Date.now()).filter((d) => d > 0);
    return Math.max(soonest, Math.min(latest, ...waits) + 1000);
  }
  async function round() {
    if (document.hidden || looking) return; // visibilitychange goes on
    looking = true;
    let over = false;
    try {
      if (fresh) over = renew(false);
      if (!over) over = await look();
    } catch {
      wait = Math.min(wait * 2, latest);
      tell("The server does not answer. Trying again.");
    }
    looking = false;
    clearTimeout(timer);
    if (!over) timer = setTimeout(round, fresh ? soonest : Math.min(wait, nextDue()));
  }
  document.addEventListener("visibilitychange", () => { wait = soonest; clearTimeout(timer); round(); });
  timer = setTimeout(round, soonest);
})();
