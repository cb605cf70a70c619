/* What the console's pages do beyond HTML and htmx; every page works without it, with less comfort.
   Owns: tooltips, relative times, copying, confirmation, dialogs, auto-refresh. The map is in world_map.js. */
(() => {
  "use strict";

  /* ── tooltips: [data-tip], and the <title> of chart and map parts ─────────────────────────────── */
  const tip = document.createElement("div");
  tip.className = "fc-tip";
  tip.id = "fc-tip";
  tip.setAttribute("role", "tooltip");
  tip.hidden = true;
  let tipOwner = null;

  function wordsOf(element) {
    if (element.dataset.tip) return element.dataset.tip;
    const title = element.querySelector(":scope > title");
    if (!title) return "";
    // Taken out of the drawing, or the browser would show a second tooltip over ours.
    element.dataset.tip = title.textContent;
    if (element.matches("a")) element.setAttribute("aria-label", title.textContent);
    title.remove();
    return element.dataset.tip;
  }

  function showTip(element, x, y) {
    tip.textContent = wordsOf(element);
    tip.hidden = !tip.textContent;
    if (tip.hidden) return;
    tipOwner = element;
    const room = 8;
    const left = Math.min(Math.max(room, x - tip.offsetWidth / 2), innerWidth - tip.offsetWidth - room);
    const above = y - tip.offsetHeight - 14;
    tip.style.transform = `translate(${left}px, ${above > room ? above : y + 20}px)`;
  }

  function hideTip() {
    tip.hidden = true;
    tipOwner = null;
  }

  const tipped = (event) =>
    event.target.closest?.("[data-tip], .fc-chart__column, .fc-chart__spike, .fc-map__svg [data-country]");

  document.addEventListener("pointermove", (event) => {
    if (event.pointerType === "touch") return;
    const element = tipped(event);
    if (element) showTip(element, event.clientX, event.clientY);
    else if (tipOwner) hideTip();
  });
  document.addEventListener("focusin", (event) => {
    const element = tipped(event) ?? event.target.querySelector?.(":scope > [data-country]");
    if (!element || !event.target.matches(":focus-visible")) return hideTip();
    const box = element.getBoundingClientRect();
    showTip(element, box.x + box.width / 2, box.y);
  });
  document.addEventListener("focusout", hideTip);
  document.addEventListener("scroll", hideTip, { capture: true, passive: true });
  document.addEventListener("keydown", (event) => event.key === "Escape" && hideTip());

  /* ── relative times: <time datetime data-relative> ────────────────────────────────────────────── */
  const UNITS = [["d", 86400], ["h", 3600], ["min", 60], ["s", 1]];

  function relative(seconds) {
    const distance = Math.abs(seconds);
    if (distance < 1) return "now";
    const [unit, size] = UNITS.find(([, length]) => distance >= length);
    const words = `${Math.floor(distance / size)} ${unit}`;
    return seconds < 0 ? `in ${words}` : `${words} ago`;
  }

  function writeTimes() {
    if (document.hidden) return;
    for (const element of document.querySelectorAll("time[data-relative]")) {
      const at = Date.parse(element.dateTime);
      if (Number.isNaN(at)) continue;
      const words = relative((Date.now() - at) / 1000);
      if (element.textContent !== words) element.textContent = words;
    }
  }

  /* ── copying: [data-copy] ─────────────────────────────────────────────────────────────────────── */
  const toast = document.createElement("div");
  toast.className = "fc-toast";
  toast.setAttribute("role", "status");
  let toastTimer;

  function say(words) {
    toast.textContent = words;
    clearTimeout(toastTimer);
    toastTimer = setTimeout(() => (toast.textContent = ""), 2500);
  }

  async function copy(text) {
    try {
      await navigator.clipboard.writeText(text);
      say(`Copied ${text}`);
    } catch {
      // Without https there is no clipboard; a prompt lets the person copy by hand.
      window.prompt("Copy with Ctrl+C", text);
    }
  }

  document.addEventListener("click", (event) => {
    const source = event.target.closest?.("[data-copy]");
    if (!source) return;
    event.preventDefault();
    copy(source.dataset.copy);
  });

  /* ── confirmation: data-confirm on a form, link or htmx element ───────────────────────────────── */
  function ask(element) {
    const dialog = document.createElement("dialog");
    dialog.className = "fc-dialog";
    dialog.setAttribute("aria-labelledby", "fc-dialog-title");
    dialog.setAttribute("aria-describedby", "fc-dialog-text");
    dialog.innerHTML =
      '<form method="dialog"><h2 class="fc-dialog__title" id="fc-dialog-title"></h2>' +
      '<p class="fc-dialog__text" id="fc-dialog-text"></p><div class="fc-dialog__actions">' +
      '<button class="fc-button" value="" autofocus>Cancel</button><button value="yes"></button></div></form>';
    const verb = element.dataset.confirmVerb || "Continue";
    const yes = dialog.querySelector('[value="yes"]');
    yes.textContent = verb;
    yes.className = `fc-button fc-button-${"confirmDanger" in element.dataset ? "danger" : "primary"}`;
    dialog.querySelector("h2").textContent = `${verb}?`;
    dialog.querySelector("p").textContent = element.dataset.confirm;
    document.body.append(dialog);
    dialog.showModal();
    return new Promise((resolve) => {
      dialog.addEventListener("close", () => {
        dialog.remove();
        resolve(dialog.returnValue === "yes");
      });
    });
  }

  const isHtmx = (element) => element.matches("[hx-get], [hx-post], [hx-put], [hx-patch], [hx-delete]");

  document.addEventListener("submit", async (event) => {
    const form = event.target;
    if (!form.dataset.confirm || isHtmx(form) || form.dataset.confirmed) return;
    event.preventDefault();
    const submitter = event.submitter;
    if (!(await ask(form))) return;
    form.dataset.confirmed = "yes";
    form.requestSubmit(submitter);
    delete form.dataset.confirmed;
  });
  document.addEventListener("click", async (event) => {
    const link = event.target.closest?.("a[data-confirm]");
    if (!link || isHtmx(link)) return;
    event.preventDefault();
    if (await ask(link)) location.assign(link.href);
  });
  document.addEventListener("htmx:confirm", async (event) => {
    const element = event.detail.elt;
    if (!element.dataset?.confirm) return;
    event.preventDefault();
    if (await ask(element)) event.detail.issueRequest(true);
  });

  /* ── dialogs of the page itself: [data-opens="id"] shows one, [data-closes] in it hides it ──────── */
  document.addEventListener("click", (event) => {
    const dialog = document.getElementById(event.target.closest?.("[data-opens]")?.dataset.opens);
    if (dialog) {
      event.preventDefault();
      dialog.showModal();
    }
    event.target.closest?.("[data-closes]")?.closest("dialog").close();
  });

  /* ── auto-refresh: [data-auto-refresh] with hx-trigger="every 5s, refresh" ──────────────────────
     [data-stale] on what asks names the panel that an answer would have renewed. */
  let paused = false;

  function mustWait(panel) {
    if (document.hidden || paused || document.querySelector("dialog[open]")) return true;
    // Replacing what somebody is reading with the keyboard, or has selected, would take it away from them.
    const focused = panel.querySelector(":focus-visible");
    const selection = document.getSelection();
    return Boolean(focused) || (!selection.isCollapsed && panel.contains(selection.anchorNode));
  }

  function refreshAll() {
    for (const panel of document.querySelectorAll("[data-auto-refresh]")) window.htmx?.trigger(panel, "refresh");
  }

  function markStale(event) {
    const source = event.detail.elt;
    const panel = source.dataset?.stale
      ? document.querySelector(source.dataset.stale)
      : source.closest?.("[data-auto-refresh]");
    if (!panel || panel.querySelector(":scope > .fc-stale-note")) return;
    const note = document.createElement("p");
    note.className = "fc-stale-note";
    note.setAttribute("role", "status");
    note.textContent = "Not up to date: the console did not answer. Trying again.";
    panel.prepend(note);
  }

  document.addEventListener("htmx:beforeRequest", (event) => {
    const panel = event.detail.elt;
    if (panel.matches?.("[data-auto-refresh]") && mustWait(panel)) event.preventDefault();
  });
  document.addEventListener("htmx:sendError", markStale);
  document.addEventListener("htmx:responseError", markStale);
  document.addEventListener("htmx:timeout", markStale);
  document.addEventListener("htmx:afterRequest", (event) => {
    if (!event.detail.successful) return;
    event.detail.elt.querySelector?.(":scope > .fc-stale-note")?.remove();
  });
  document.addEventListener("htmx:afterSwap", () => {
    if (!tipOwner?.isConnected) hideTip();
    writeTimes();
  });
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) return;
    writeTimes();
    refreshAll();
  });
  document.addEventListener("click", (event) => {
    const button = event.target.closest?.("[data-refresh-toggle]");
    if (!button) return;
    paused = !paused;
    button.setAttribute("aria-pressed", String(paused));
    button.querySelector("[data-refresh-words]").textContent = paused ? "Paused" : "Live";
    if (!paused) refreshAll();
  });

  document.addEventListener("DOMContentLoaded", () => {
    document.body.append(tip, toast);
    for (const button of document.querySelectorAll("[data-refresh-toggle]")) button.hidden = false;
    writeTimes();
    setInterval(writeTimes, 1000);
  });
})();
