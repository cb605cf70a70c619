/* The workbench of a KYC reviewer: looking at documents, keys, keeping a claim. Nothing here decides anything:
   keys open forms, and a form is sent by its own button or by Ctrl+Enter in it. */
(() => {
  "use strict";

  const KEYS_OFF = "kyc-keys-off";
  const $ = (selector, within = document) => within.querySelector(selector);
  const $$ = (selector, within = document) => [...within.querySelectorAll(selector)];

  /* ── documents: one at a time, pages on demand, zoom and rotation of what is shown ────────────── */
  const SIZES = [0.25, 0.5, 0.75, 1, 1.5, 2, 3, 4, 6];
  const views = new WeakMap();

  function viewOf(article) {
    if (!views.has(article)) views.set(article, { page: 0, size: SIZES.indexOf(1), turn: 0 });
    return views.get(article);
  }

  const current = () => $("[data-kyc-document]:not([hidden])");
  const imageOf = (article) => article && $(".fc-kyc-image", article);

  function draw(article) {
    const image = imageOf(article);
    if (!image) return;
    const view = viewOf(article);
    const stage = $("[data-kyc-stage]", article);
    const scale = SIZES[view.size];
    const sideways = view.turn % 180 !== 0;
    // At 100 % the page fits the stage, whichever way round it is.
    const ratio = image.naturalWidth ? image.naturalHeight / image.naturalWidth : 1.4;
    const room = { width: stage.clientWidth, height: stage.clientHeight };
    const shape = sideways ? { width: ratio, height: 1 } : { width: 1, height: ratio };
    const fit = Math.min(room.width / shape.width, room.height / shape.height) * scale;
    image.style.inlineSize = `${fit}px`;
    image.style.blockSize = `${fit * ratio}px`;
    const [wide, tall] = sideways ? [fit * ratio, fit] : [fit, fit * ratio];
    // A rotated image keeps its unrotated box; the margins give it the room that it really takes.
    image.style.marginInline = `${(wide - fit) / 2}px`;
    image.style.marginBlock = `${(tall - fit * ratio) / 2}px`;
    image.style.transform = `rotate(${view.turn}deg)`;
    $(".fc-kyc-zoom", article).textContent = `${Math.round(scale * 100)} %`;
  }

  function load(article) {
    const image = imageOf(article);
    if (!image) return;
    const pages = image.dataset.pages.split(" ");
    const { page } = viewOf(article);
    const name = `${image.alt.replace(/, page \d+$/, "")}, page ${page + 1}`;
    image.alt = name;
    $("[data-kyc-stage]", article).setAttribute("aria-label", name);
    const place = $(".fc-kyc-pages output", article);
    if (place) place.textContent = `${page + 1} / ${pages.length}`;
    // Only what is looked at is fetched: each look is written down.
    if (image.getAttribute("src") !== pages[page]) image.src = pages[page];
  }

  function show(article) {
    for (const other of $$("[data-kyc-document]")) other.hidden = other !== article;
    for (const tab of $$("[data-kyc-tab]")) {
      const chosen = tab.getAttribute("aria-controls") === article.id;
      tab.setAttribute("aria-selected", String(chosen));
      tab.tabIndex = chosen ? 0 : -1;
    }
    load(article);
    draw(article);
  }

  function zoom(step) {
    const article = current();
    if (!imageOf(article)) return;
    const view = viewOf(article);
    view.size = step === 0 ? SIZES.indexOf(1) : Math.min(SIZES.length - 1, Math.max(0, view.size + step));
    draw(article);
  }

  function turn(degrees) {
    const article = current();
    if (!imageOf(article)) return;
    const view = viewOf(article);
    view.turn = (view.turn + degrees + 360) % 360;
    draw(article);
  }

  function step(by) {
    const article = current();
    if (!article) return;
    const image = imageOf(article);
    const view = viewOf(article);
    const pages = image ? image.dataset.pages.split(" ").length : 1;
    if (view.page + by >= 0 && view.page + by < pages) {
      view.page += by;
      load(article);
      return;
    }
    const all = $$("[data-kyc-document]");
    const next = all[all.indexOf(article) + by];
    if (next) show(next);
  }

  document.addEventListener("click", (event) => {
    const at = (selector) => event.target.closest?.(selector);
    const tab = at("[data-kyc-tab]");
    if (tab) show(document.getElementById(tab.getAttribute("aria-controls")));
    if (at("[data-kyc-zoom]")) zoom(Number(at("[data-kyc-zoom]").dataset.kycZoom));
    if (at("[data-kyc-rotate]")) turn(Number(at("[data-kyc-rotate]").dataset.kycRotate));
    if (at("[data-kyc-page]")) step(Number(at("[data-kyc-page]").dataset.kycPage));
    if (at("[data-kyc-fit]")) zoom(0);
  });

  /* ── keys ─────────────────────────────────────────────────────────────────────────────────────── */
  const keysOff = () => localStorage.getItem(KEYS_OFF) === "yes";
  const openChoice = () => $("[data-kyc-choice][open]");
  const isTyping = (element) =>
    element.matches?.('textarea, select, input:not([type="checkbox"], [type="radio"]), [contenteditable="true"]');

  function openForm(key) {
    const choice = $(`[data-kyc-choice][data-key="${key}"]`);
    if (!choice) return false;
    for (const other of $$("[data-kyc-choice][open]")) if (other !== choice) other.open = false;
    choice.open = true;
    $("fieldset input, textarea, select, [type=submit]", choice)?.focus();
    return true;
  }

  const PLAIN = {
    "?": () => $("#kyc-shortcuts")?.showModal(),
    "+": () => zoom(1),
    "=": () => zoom(1),
    "-": () => zoom(-1),
    0: () => zoom(0),
    t: () => turn(90),
    ArrowLeft: () => step(-1),
    ArrowRight: () => step(1),
    n: () => $("[data-kyc-next]")?.requestSubmit(),
  };

  document.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      const form = event.target.closest?.(".fc-kyc-form");
      if (form) {
        event.preventDefault();
        form.requestSubmit();
      }
      return;
    }
    if (event.key === "Escape" && openChoice()) {
      const choice = openChoice();
      choice.open = false;
      $("summary", choice).focus();
      return;
    }
    if (event.ctrlKey || event.metaKey || event.altKey || event.repeat || isTyping(event.target)) return;
    if (keysOff() && event.key !== "?") return;
    if ($("dialog[open]") || !$("[data-kyc-case], [data-kyc-queue]")) return;
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    const reason = /^[1-9]$/.test(key) && $$('[name="reason_codes"]', openChoice() ?? document.createElement("i"))[key - 1];
    if (reason) {
      reason.click();
      event.preventDefault();
    } else if (key in PLAIN) {
      // Arrows scroll what has the focus; a choice among radio buttons is theirs as well.
      if (key.startsWith("Arrow") && event.target.closest?.("[data-kyc-stage], input, .fc-table-scroll")) return;
      PLAIN[key]();
      event.preventDefault();
    } else if (/^[a-z]$/.test(key) && openForm(key)) {
      event.preventDefault();
    }
  });

  /* ── forms: one open at a time, also where details know no groups ─────────────────────────────── */
  document.addEventListener(
    "toggle",
    (event) => {
      if (!event.target.matches?.("[data-kyc-choice]") || !event.target.open) return;
      for (const other of $$("[data-kyc-choice][open]")) if (other !== event.target) other.open = false;
    },
    true,
  );

  /* ── a claim is kept while somebody really works, and the page says when it is lost ───────────── */
  const RENEWED_EVERY = 4 * 60 * 1000;
  let lastSign = Date.now();
  for (const sign of ["keydown", "pointermove", "pointerdown", "wheel"]) {
    document.addEventListener(sign, () => (lastSign = Date.now()), { passive: true });
  }

  async function renew() {
    const form = $("[data-kyc-renew]");
    if (!form || document.hidden || Date.now() - lastSign > RENEWED_EVERY) return;
    try {
      const answer = await fetch(form.action, { method: "POST", body: new FormData(form) });
      if (answer.status === 200) lost(await answer.text());
    } catch {
      // Asked again in a while; the lease outlasts several tries.
    }
  }

  function lost(words) {
    const note = $("[data-kyc-lost]");
    if (!note || words.length > 400) return;
    note.textContent = words;
    note.hidden = false;
  }

  /* ── the queue's ticks ────────────────────────────────────────────────────────────────────────── */
  function countTicks() {
    const ticks = $$('[data-kyc-assign] [name="record"]');
    const ticked = ticks.filter((tick) => tick.checked).length;
    const all = $("[data-kyc-all]");
    if (all) {
      all.checked = ticked > 0 && ticked === ticks.length;
      all.indeterminate = ticked > 0 && ticked < ticks.length;
    }
    const said = $("[data-kyc-count]");
    if (said) said.textContent = ticked ? `${ticked} ticked` : "";
  }

  document.addEventListener("change", (event) => {
    if (event.target.matches("[data-kyc-all]")) {
      for (const tick of $$('[data-kyc-assign] [name="record"]')) tick.checked = event.target.checked;
    }
    if (event.target.matches('[data-kyc-all], [name="record"]')) countTicks();
    if (event.target.matches("[data-kyc-keys]")) localStorage.setItem(KEYS_OFF, event.target.checked ? "" : "yes");
  });

  function begin() {
    for (const article of $$("[data-kyc-document]")) {
      const image = imageOf(article);
      image?.addEventListener("load", () => draw(article));
      image?.addEventListener("error", () => {
        image.alt = `${image.alt} could not be fetched. Reload the page.`;
      });
    }
    const named = document.getElementById(location.hash.slice(1));
    const first = named?.matches("[data-kyc-document]") ? named : $("[data-kyc-document]");
    if (first) show(first);
    const box = $("[data-kyc-keys]");
    if (box) box.checked = !keysOff();
    countTicks();
    window.addEventListener("resize", () => current() && draw(current()));
    renew();
    setInterval(renew, RENEWED_EVERY);
  }

  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", begin);
  else begin();
})();
