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
