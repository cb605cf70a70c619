/* Refreshed panels that do not flicker: an unchanged answer changes nothing, and what somebody opened or
   scrolled to stays. When to refresh is decided by console.js. */
(() => {
  "use strict";
  const lastAnswer = new Map();
  const before = new Map();

  const ownRefresh = (event) => {
    const panel = event.detail.requestConfig?.elt;
    return panel?.matches?.("[data-auto-refresh]") && panel === event.detail.target ? panel : null;
  };
  const rowsOf = (panel) => [...panel.querySelectorAll("tr[data-row]")].map((row) => row.dataset.row);

  document.addEventListener("htmx:beforeSwap", (event) => {
    const panel = ownRefresh(event);
    if (!panel || !panel.id || event.detail.xhr.status !== 200) return;
    const answer = event.detail.xhr.responseText;
    if (lastAnswer.get(panel.id) === answer) {
      event.detail.shouldSwap = false;
      return;
    }
    lastAnswer.set(panel.id, answer);
    before.set(panel.id, {
      open: [...panel.querySelectorAll("details")].map((details) => details.open),
      scrolled: [...panel.querySelectorAll(".fc-table-scroll")].map((box) => [box.scrollLeft, box.scrollTop]),
      rows: new Set(rowsOf(panel)),
    });
  });

  document.addEventListener("htmx:afterSwap", () => {
    for (const [id, state] of before) {
      const panel = document.getElementById(id);
      before.delete(id);
      if (!panel) continue;
      panel.querySelectorAll("details").forEach((details, i) => (details.open = Boolean(state.open[i])));
      panel.querySelectorAll(".fc-table-scroll").forEach((box, i) => {
        [box.scrollLeft, box.scrollTop] = state.scrolled[i] ?? [0, 0];
      });
      if (!state.rows.size) continue;
      for (const row of panel.querySelectorAll("tr[data-row]")) {
        if (!state.rows.has(row.dataset.row)) row.classList.add("fc-new");
      }
    }
  });
})();
