// Draws templates/components/_world_map.svg.html: one shape per country, keyed by ISO 3166-1 alpha-2.
//
// Run by hand, only when the map itself must change; the output is committed and nothing here runs in production:
//
//   mkdir map && cd map && npm install d3-geo@3.1.1 topojson-client@3.1.0 world-atlas@2.0.2
//   node PROJECT/fraudconsole/assets/world_map.mjs > PROJECT/templates/components/_world_map.svg.html
//
// Borders: Natural Earth 1:110m (public domain) as packaged by world-atlas (ISC), changed in four places so that
// a shape is what a telephone number calls a country: Crimea follows ISO 3166-2 (UA-43), Northern Cyprus and
// Somaliland have no ISO code and are drawn with CY and SO, Kosovo is XK, French Guiana and Svalbard stand alone.
// Antarctica is left out. Whatever is too small to see, or missing at this scale, gets a dot.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const packages = join(process.cwd(), "node_modules");
const load = (path) => import(pathToFileURL(join(packages, path)));
const { geoEqualEarth, geoPath, geoCentroid } = await load("d3-geo/src/index.js");
const { feature, merge } = await load("topojson-client/src/index.js");
const atlas = (scale) => JSON.parse(readFileSync(join(packages, `world-atlas/countries-${scale}.json`), "utf8"));

// Twice the usual 1000 units, so that whole numbers are precise enough and paths stay short.
const WIDTH = 2000;
// Square units below which a shape cannot be seen, let alone hit with a pointer: it gets a dot too.
const TOO_SMALL = 420;

const WITHOUT_NUMERIC_CODE = { Kosovo: "XK", "N. Cyprus": "CY", Somaliland: "SO" };
// Not in Natural Earth as countries of their own; longitude and latitude of the main island or town.
const PLACES = {
  AC: [-14.36, -7.95], BQ: [-68.27, 12.18], BV: [3.36, -54.42], CC: [96.83, -12.17], CX: [105.63, -10.49],
  GI: [-5.35, 36.14], GP: [-61.55, 16.25], MQ: [-61.02, 14.64], RE: [55.54, -21.11], TA: [-12.28, -37.11],
  TK: [-171.85, -9.2], TV: [179.2, -8.52], UM: [-166.65, 19.28], YT: [45.17, -12.83],
};
// ISO 3166-1: numeric and alpha-2.
const ISO = `
  004AF 008AL 010AQ 012DZ 016AS 020AD 024AO 028AG 031AZ 032AR 036AU 040AT 044BS 048BH 050BD 051AM
  052BB 056BE 060BM 064BT 068BO 070BA 072BW 074BV 076BR 084BZ 086IO 090SB 092VG 096BN 100BG 104MM
  108BI 112BY 116KH 120CM 124CA 132CV 136KY 140CF 144LK 148TD 152CL 156CN 158TW 162CX 166CC 170CO
  174KM 175YT 178CG 180CD 184CK 188CR 191HR 192CU 196CY 203CZ 204BJ 208DK 212DM 214DO 218EC 222SV
  226GQ 231ET 232ER 233EE 234FO 238FK 239GS 242FJ 246FI 248AX 250FR 254GF 258PF 260TF 262DJ 266GA
  268GE 270GM 275PS 276DE 288GH 292GI 296KI 300GR 304GL 308GD 312GP 316GU 320GT 324GN 328GY 332HT
  334HM 336VA 340HN 344HK 348HU 352IS 356IN 360ID 364IR 368IQ 372IE 376IL 380IT 384CI 388JM 392JP
  398KZ 400JO 404KE 408KP 410KR 414KW 417KG 418LA 422LB 426LS 428LV 430LR 434LY 438LI 440LT 442LU
  446MO 450MG 454MW 458MY 462MV 466ML 470MT 474MQ 478MR 480MU 484MX 492MC 496MN 498MD 499ME 500MS
  504MA 508MZ 512OM 516NA 520NR 524NP 528NL 531CW 533AW 534SX 535BQ 540NC 548VU 554NZ 558NI 562NE
  566NG 570NU 574NF 578NO 580MP 581UM 583FM 584MH 585PW 586PK 591PA 598PG 600PY 604PE 608PH 612PN
  616PL 620PT 624GW 626TL 630PR 634QA 638RE 642RO 643RU 646RW 652BL 654SH 659KN 660AI 662LC 663MF
  666PM 670VC 674SM 678ST 682SA 686SN 688RS 690SC 694SL 702SG 703SK 704VN 705SI 706SO 710ZA 716ZW
  724ES 728SS 729SD 732EH 740SR 744SJ 748SZ 752SE 756CH 760SY 762TJ 764TH 768TG 772TK 776TO 780TT
  784AE 788TN 792TR 795TM 796TC 798TV 800UG 804UA 807MK 818EG 826GB 831GG 832JE 833IM 834TZ 840US
  850VI 854BF 858UY 860UZ 862VE 876WF 882WS 887YE 894ZM
`;
const alpha2 = new Map(ISO.trim().split(/\s+/).map((entry) => [entry.slice(0, 3), entry.slice(3)]));
const names = new Intl.DisplayNames(["en"], { type: "region" });
const shorterName = { HK: "Hong Kong", MO: "Macao", PS: "Palestine", MM: "Myanmar", TA: "Tristan da Cunha" };

function countryOf(object) {
  return alpha2.get(object.id) ?? WITHOUT_NUMERIC_CODE[object.properties.name];
}

function pieces(object) {
  const list = object.type === "Polygon" ? [object.arcs] : object.arcs;
  return list.map((arcs) => ({ type: "Polygon", arcs }));
}

/** The code under which one piece of a country is drawn. */
function codeOf(country, [longitude, latitude]) {
  if (country === "RU" && longitude > 32 && longitude < 37 && latitude < 46.5) return "UA";
  if (country === "FR" && longitude < -40) return "GF";
  if (country === "NO" && latitude > 74) return "SJ";
  return country;
}

function shapes(topology) {
  const byCode = new Map();
  for (const object of topology.objects.countries.geometries) {
    const country = countryOf(object);
    if (!country || country === "AQ") continue;
    for (const piece of pieces(object)) {
      const code = codeOf(country, geoCentroid(feature(topology, piece)));
      byCode.set(code, [...(byCode.get(code) ?? []), piece]);
    }
  }
  return new Map([...byCode].map(([code, list]) => [code, merge(topology, list)]));
}

function centres(topology) {
  const found = new Map();
  for (const object of topology.objects.countries.geometries) {
    const country = countryOf(object);
    if (country && country !== "AQ" && !found.has(country)) found.set(country, geoCentroid(feature(topology, object)));
  }
  return found;
}

/** Whole-number path with relative steps: a third of the size of d3's own text. */
function compact(d) {
  return d.split("Z").filter(Boolean).map(ring).join("");
}

function ring(text) {
  const points = text.slice(1).split("L").map((pair) => pair.split(",").map(Math.round));
  let [x, y] = points[0];
  let out = `M${x} ${y}`;
  const steps = [];
  for (const [nextX, nextY] of points.slice(1)) {
    if (nextX === x && nextY === y) continue;
    steps.push(nextX - x, nextY - y);
    [x, y] = [nextX, nextY];
  }
  if (steps.length < 4) return "";
  out += "l" + steps.join(" ").replaceAll(" -", "-");
  return out + "z";
}

const land = shapes(atlas("110m"));
const places = new Map([...centres(atlas("50m")), ...Object.entries(PLACES)]);
const wanted = [...alpha2.values(), "XK", "AC", "TA"].filter((code) => code !== "AQ").sort();
const outlines = { type: "GeometryCollection", geometries: [...land.values()] };
const dots = { type: "MultiPoint", coordinates: wanted.filter((code) => !land.has(code)).map((code) => places.get(code)) };
// Turned by 11° so that the cut runs through the Bering Strait and Russia stays in one piece.
const everything = { type: "GeometryCollection", geometries: [...outlines.geometries, dots] };
const projection = geoEqualEarth().rotate([-11, 0]).fitWidth(WIDTH, everything);
const path = geoPath(projection);
const height = Math.ceil(path.bounds(outlines)[1][1]);

const seen = [];
const small = [];
for (const code of wanted) {
  const shape = land.get(code);
  const place = shape ? geoCentroid(shape) : places.get(code);
  if (!place) throw new Error(`no place for ${code}`);
  const dotted = !shape || path.area(shape) < TOO_SMALL;
  const [x, y] = projection(place).map(Math.round);
  if (y > height) continue; // south of every shape: nobody lives or telephones there
  const name = shorterName[code] ?? names.of(code);
  const outline = shape ? `<path d="${compact(path(shape))}"/>` : "";
  const dot = dotted ? `<circle${shape ? ' class="extra"' : ""} cx="${x}" cy="${y}" r="5"/>` : "";
  (dotted ? small : seen).push(`<g data-country="${code}"><title>${name}</title>${outline}${dot}</g>`);
}
// Our own line breaks are kept: one line per country makes a change readable.
console.log("{# djlint:off #}");
// Dots last: a neighbour drawn later would cover them.
console.log(`<svg class="fc-map__svg" viewBox="0 0 ${WIDTH} ${height}" role="group" aria-label="World map" focusable="false">`);
console.log([...seen, ...small].join("\n"));
console.log("</svg>");
