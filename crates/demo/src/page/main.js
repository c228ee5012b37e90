// Listens to the demo, and shows what it says.
"use strict";
import { show_cards } from "./cards.js";
import { clock, el, mebibytes, number, say } from "./draw.js";
import { light, picture } from "./picture.js";

const $ = id => document.getElementById(id);
const tiles = {};

function tile(name, value, unit, note) {
  if (!tiles[name]) {
    const [b, span] = [el("b"), el("span")];
    tiles[name] = { b, span };
    $("tiles").append(el("div", { className: "tile" }, b, span));
  }
  const { b, span } = tiles[name];
  if (b.textContent !== value + unit) b.replaceChildren(value, el("small", {}, unit));
  say(span, note);
}

function figures(state) {
  const of = name => state.sidecars.find(s => s.name === name), sum = f => state.sidecars.reduce((sum, s) => sum + f(s), 0);
  const proxy = of("reverse-proxy"), logs = of("log-shipper"), rate = proxy?.rate.points.at(-1), p50 = proxy?.plot.points.at(-1), p99 = proxy?.plot.tails.at(-1);
  const arrived = logs?.facts.find(f => f.name.startsWith("arrived"))?.value.split(" ")[0];
  const ready = state.sidecars.filter(s => s.ready).length, restarts = sum(s => s.restarts);
  tile("rate", rate === undefined ? "–" : number(rate), " /s", "requests by the proxy");
  tile("p50", p50 === undefined ? "–" : number(p50), " ms", "a visit through it, p50");
  tile("p99", p99 === undefined ? "–" : number(p99), " ms", "a visit through it, p99");
  tile("lines", arrived === undefined ? "–" : number(Number(arrived)), " lines", "arrived, each once");
  tile("memory", mebibytes(sum(s => s.resident)), " MiB", `RSS of all five${state.build ? ", " + state.build : ""}`);
  tile("ready", `${ready} of ${state.sidecars.length}`, " ready", `${sum(s => s.cpu_percent).toFixed(1)} % of a core` + (restarts ? `, ${restarts} came back` : ""));
}

const KINDS = { good: "good: ", refused: "refused: ", change: "change: " };
let seen = 0, first = true, phase = "";

function happened(state) {
  const fresh = state.events.filter(e => e.number > seen), list = $("events");
  for (const e of fresh) list.prepend(el("li", { className: e.kind, title: KINDS[e.kind] ?? "" }, el("time", {}, clock(e.at)), el("b", {}, e.who), " " + e.text));
  while (list.children.length > 60) list.lastChild.remove();
  // Steps that are milliseconds apart are shown one after the other, or nobody would see which came first.
  if (!first) fresh.forEach((e, i) => light(e, i * 300));
  seen = state.events.at(-1)?.number ?? seen;
  first = false;
}

function stops(state) {
  $("stopping").hidden = !state.stops.length;
  const list = $("stops");
  if (list.children.length === state.stops.length) return;
  list.replaceChildren(...state.stops.map(s => el("li", { className: s.code === "0" ? "good" : "refused" }, el("b", {}, s.name),
    el("span", {}, `exit ${s.code} after ${number(s.seconds * 1000)} ms: ${s.words}`))));
}

function show(state) {
  // Another demo at the same address.
  if ((state.events.at(-1)?.number ?? 0) < seen) return location.reload();
  phase = state.phase;
  say($("clock"), clock(state.seconds));
  say($("what"), { stopped: "stopped: every process is gone", stopping: "stopping, in order" }[phase] ?? "one app and its five sidecars, on this machine");
  figures(state);
  picture($("picture"), state);
  show_cards($("sidecars"), state);
  happened(state);
  stops(state);
}

const feed = new EventSource("/feed");
let last;
feed.addEventListener("message", event => { last = JSON.parse(event.data); show(last); });
feed.addEventListener("error", () => {
  if (phase === "stopped") return feed.close();
  say($("what"), "the demo does not answer; waiting for it to come back");
});
matchMedia("(max-width: 620px)").addEventListener("change", () => last && show(last));
