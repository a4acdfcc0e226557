// What makes the pages alive; they do without. Times become local, what waits
// counts down, buttons copy, and a page that is marked as live asks every few
// seconds whether anything has changed. What somebody points at, writes in or
// has selected stays as it is until he lets go.
"use strict";
(() => {
  const every = 4000, most = 60000;
  const news = document.getElementById("news");
  const pad = (n) => String(n).padStart(2, "0");
  const local = (t) => `${t.getFullYear()}-${pad(t.getMonth() + 1)}-${pad(t.getDate())} ${pad(t.getHours())}:${pad(t.getMinutes())}:${pad(t.getSeconds())}`;

  function remaining(t) {
    const s = Math.round((t - Date.now()) / 1000);
    if (s <= 0) return "due now";
    const [h, m] = [Math.floor(s / 3600), Math.floor((s % 3600) / 60)];
    return "in " + (h ? `${h} h ${m} min` : m ? `${m} min ${s % 60} s` : `${s} s`);
  }
  function dress(root) {
    for (const e of root.querySelectorAll("time[datetime]")) {
      const t = new Date(e.dateTime);
      if (isNaN(t)) continue;
      e.title = t.toISOString().replace("T", " ").replace("Z", " UTC");
      e.textContent = local(t) + (e.hasAttribute("data-countdown") ? ` (${remaining(t)})` : "");
    }
    for (const b of root.querySelectorAll("[data-copy]")) b.hidden = !navigator.clipboard;
  }
  const was = new Map(); // each part as the server sent it
  for (const part of document.querySelectorAll("[data-part]")) was.set(part.id, part.innerHTML);
  dress(document);
  const zone = document.getElementById("zone");
  if (zone) zone.textContent = `Times are local (${Intl.DateTimeFormat().resolvedOptions().timeZone}); point at one for UTC.`;
  setInterval(() => {
    for (const e of document.querySelectorAll("time[data-countdown]")) e.textContent = `${local(new Date(e.dateTime))} (${remaining(new Date(e.dateTime))})`;
  }, 1000);

  document.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-copy]");
    if (!button) return;
    await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent);
    button.textContent = "Copied";
    setTimeout(() => { button.textContent = "Copy"; }, 2000);
  });

  if (!document.querySelector("main[data-live]")) return;
  const busy = (part) => {
    const s = getSelection();
    return part.matches(":hover") || part.contains(document.activeElement) || (!s.isCollapsed && part.contains(s.anchorNode));
  };
  let tag = "", wait = every, fresh = null;
  function renew() {
    let left = 0;
    for (const part of document.querySelectorAll("[data-part]")) {
      const now = fresh.getElementById(part.id);
      if (!now || now.innerHTML === was.get(part.id)) continue;
      if (busy(part)) { left++; continue; }
      const opened = new Set([...part.querySelectorAll("details[open]")].map((d) => d.id));
      was.set(part.id, now.innerHTML);
      part.replaceChildren(...document.importNode(now, true).childNodes);
      for (const d of part.querySelectorAll("details")) if (opened.has(d.id)) d.open = true;
      dress(part);
    }
    news.textContent = left ? "Something has changed; it shows once you point elsewhere." : "";
    if (!left) fresh = null;
  }
  async function look() {
    if (document.hidden) return;
    const answer = await fetch(location.href, { credentials: "same-origin" });
    if (answer.redirected || !answer.ok) throw new Error(answer.status);
    if (answer.headers.get("ETag") === tag) return;
    tag = answer.headers.get("ETag");
    fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    renew();
  }
  async function round() {
    try {
      if (fresh) renew();
      await look();
      wait = every;
    } catch {
      wait = Math.min(wait * 2, most);
      news.textContent = "The server does not answer, or you are signed out. Trying again.";
    }
    setTimeout(round, wait);
  }
  setTimeout(round, every);
})();
