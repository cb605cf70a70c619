/* What editing in place needs beyond htmx: one click is one change, and a change that was not saved says so. */
(() => {
  "use strict";

  // The second click of a double click would hit whatever moved under the pointer: another country's ×.
  document.addEventListener(
    "click",
    (event) => {
      if (event.detail > 1 && event.target.closest?.("form[hx-post] button")) event.preventDefault();
    },
    true,
  );

  function notSaved(event) {
    const form = event.detail.elt;
    const status = form.closest?.("#phone-number")?.querySelector("[data-edit-status]");
    if (!status || !form.matches("form")) return;
    status.textContent = "";
    const words = document.createElement("div");
    words.className = "fc-outcome fc-tone-danger";
    words.textContent = "This was not saved: the console did not answer. Try again, or reload the page.";
    status.append(words);
  }

  document.addEventListener("htmx:sendError", notSaved);
  document.addEventListener("htmx:responseError", notSaved);
  document.addEventListener("htmx:timeout", notSaved);

  /* ── tables with rows that come and go: [data-rows], [data-add-row], [data-remove-row] ─────────── */
  document.addEventListener("click", (event) => {
    const remove = event.target.closest?.("[data-remove-row]");
    if (remove) {
      const row = remove.closest("tr");
      // The last one stays, emptied: it is what further ones are made of.
      if (row.parentElement.rows.length > 1) row.remove();
      else row.querySelector("input").value = "";
    }
    const add = event.target.closest?.("[data-add-row]");
    if (add) {
      const body = add.parentElement.previousElementSibling.tBodies[0];
      const row = body.rows[body.rows.length - 1].cloneNode(true);
      row.querySelector("input").value = "";
      body.append(row);
      row.querySelector("input").focus();
    }
  });

  /* ── what a list of countries leaves out: [data-left-out="select's id"][data-main][data-codes] ─── */
  const wanted = (hint) => hint.dataset.codes.split(" ");

  function showLeftOut(select) {
    const chosen = new Set([...select.selectedOptions].map((option) => option.value));
    for (const hint of document.querySelectorAll(`[data-left-out="${select.id}"]`)) {
      hint.hidden = !chosen.has(hint.dataset.main) || wanted(hint).every((code) => chosen.has(code));
    }
  }

  document.addEventListener("click", (event) => {
    const hint = event.target.closest?.("[data-add-codes]")?.closest("[data-left-out]");
    if (!hint) return;
    const select = document.getElementById(hint.dataset.leftOut);
    for (const option of select.options) if (wanted(hint).includes(option.value)) option.selected = true;
    window.django?.jQuery?.(select).trigger("change");
    showLeftOut(select);
  });
  document.addEventListener("DOMContentLoaded", () => {
    for (const hint of document.querySelectorAll("[data-left-out]")) {
      const select = document.getElementById(hint.dataset.leftOut);
      if (!select || select.dataset.heard) continue;
      select.dataset.heard = "yes";
      select.addEventListener("change", () => showLeftOut(select));
      // The picker of select2 tells jQuery alone.
      window.django?.jQuery?.(select).on("change", () => showLeftOut(select));
    }
  });

  // The picker of select2 stands for a field and has no name of its own.
  const nameThePickers = () => {
    for (const box of document.querySelectorAll("select + .select2-container")) {
      const select = box.previousElementSibling;
      const label = select.labels[0];
      if (!label) continue;
      label.id ||= `${select.id}-label`;
      const shown = box.querySelector(".select2-selection__rendered");
      for (const part of box.querySelectorAll(".select2-search__field, [role=textbox]")) {
        part.setAttribute("aria-labelledby", label.id);
      }
      box.querySelector("[role=combobox]")?.setAttribute("aria-labelledby", `${label.id} ${shown?.id ?? ""}`.trim());
    }
  };
  // It is made by what waits for jQuery to be ready, which may be after the page is.
  window.addEventListener("load", () => window.django?.jQuery?.(nameThePickers));

  // A form without htmx is sent once, however often its button is pressed.
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (event.defaultPrevented || form.method !== "post" || form.matches("[hx-post]")) return;
    if (form.dataset.sent) event.preventDefault();
    form.dataset.sent = "yes";
    setTimeout(() => delete form.dataset.sent, 3000);
  });
  window.addEventListener("pageshow", () => {
    for (const form of document.querySelectorAll("form[data-sent]")) delete form.dataset.sent;
  });
})();
