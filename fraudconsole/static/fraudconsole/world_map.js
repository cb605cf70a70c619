/* Colours each [data-world-map] from the JSON script "<map id>-data", again after every htmx swap.
   Countries with calls become one group of links: Tab enters it, arrow keys move by rank, Enter opens the list. */
(() => {
  "use strict";
  const LAYERS = ["blocked", "allowed"];
  const SVG = "http://www.w3.org/2000/svg";

  function read(map) {
    const source = document.getElementById(`${map.id}-data`);
    return source ? JSON.parse(source.textContent) : {};
  }

  function clear(map) {
    for (const link of map.querySelectorAll(".fc-map__link")) link.replaceWith(...link.childNodes);
    for (const shape of map.querySelectorAll("[data-name]")) {
      delete shape.dataset.level;
      shape.dataset.tip = shape.dataset.name;
    }
  }

  function link(shape, country) {
    const anchor = document.createElementNS(SVG, "a");
    anchor.setAttribute("href", country.href);
    anchor.setAttribute("class", "fc-map__link");
    anchor.setAttribute("tabindex", "-1");
    anchor.setAttribute("aria-label", country.title.replace("\n", ": "));
    shape.replaceWith(anchor);
    anchor.append(shape);
  }

  function nameShapes(map) {
    for (const shape of map.querySelectorAll("[data-country]:not([data-name])")) {
      const title = shape.querySelector(":scope > title");
      shape.dataset.name = shape.dataset.tip = title.textContent;
      title.remove();
    }
  }

  function paint(map) {
    const focused = document.activeElement?.closest?.(".fc-map__link")?.querySelector("[data-country]")?.dataset.country;
    const countries = read(map);
    const layer = map.dataset.layer;
    nameShapes(map);
    clear(map);
    for (const [code, country] of Object.entries(countries)) {
      const shape = map.querySelector(`[data-country="${CSS.escape(code)}"]`);
      if (!shape) continue;
      shape.dataset.tip = country.title;
      if (country[layer]) shape.dataset.level = country[layer];
      if (country.href && country[layer]) link(shape, country);
    }
    const ranked = links(map);
    const again = ranked.find((one) => one.querySelector(`[data-country="${focused}"]`));
    (again ?? ranked[0])?.setAttribute("tabindex", "0");
    again?.focus({ preventScroll: true });
    showLayer(map, layer);
  }

  /** The links in the order of the data, which is by rank, not in the order they are drawn. */
  function links(map) {
    return Object.keys(read(map))
      .map((code) => map.querySelector(`.fc-map__link > [data-country="${CSS.escape(code)}"]`)?.parentNode)
      .filter(Boolean);
  }

  function showLayer(map, layer) {
    for (const button of map.querySelectorAll("[data-map-layer]")) {
      button.setAttribute("aria-pressed", String(button.dataset.mapLayer === layer));
    }
    for (const legend of document.querySelectorAll("[data-map-legend]")) {
      if (legend.dataset.mapLegend === map.id) legend.dataset.layer = layer;
    }
  }

  function paintAll() {
    for (const map of document.querySelectorAll("[data-world-map]")) paint(map);
  }

  document.addEventListener("click", (event) => {
    const button = event.target.closest?.("[data-map-layer]");
    const map = button?.closest("[data-world-map]");
    if (!map || !LAYERS.includes(button.dataset.mapLayer)) return;
    map.dataset.layer = button.dataset.mapLayer;
    paint(map);
  });

  document.addEventListener("keydown", (event) => {
    const current = event.target.closest?.(".fc-map__link");
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (!current || !step) return;
    event.preventDefault();
    const all = links(current.closest("[data-world-map]"));
    const next = all[(all.indexOf(current) + step + all.length) % all.length];
    current.setAttribute("tabindex", "-1");
    next.setAttribute("tabindex", "0");
    next.focus();
  });

  document.addEventListener("DOMContentLoaded", paintAll);
  document.addEventListener("htmx:afterSwap", paintAll);
})();
