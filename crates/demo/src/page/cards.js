// A card for the app and for each sidecar. Each is made once and then only told what is new, so that focus stays where it is.
"use strict";
import { bars, el, line, mebibytes, number, say, shape } from "./draw.js";

const MINUTE = 60, BARS = 24;
const cards = {};

let hide;
function tell(text) {
  const said = document.getElementById("said");
  say(said, text);
  said.classList.add("shown");
  clearTimeout(hide);
  hide = setTimeout(() => { said.classList.remove("shown"); said.textContent = ""; }, 3500);
}

async function press(sidecar, action, typed, label) {
  try {
    const answer = await fetch(`/do/${sidecar}/${action}`, { method: "POST", headers: { "x-demo": "1" }, body: typed });
    tell(answer.ok ? `${label}: see what happens` : (await answer.text()).trim());
  } catch { tell("the demo does not answer"); }
}

function control(sidecar, { action, label, input }) {
  if (!input) {
    const button = el("button", { type: "button" }, label);
    button.addEventListener("click", () => press(sidecar, action, "", label));
    return button;
  }
  const field = el("input", { type: "text", name: input, placeholder: `a new ${input}`, maxLength: 60, autocomplete: "off" });
  field.setAttribute("aria-label", `a new ${input}`);
  const form = el("form", {}, field, el("button", { type: "submit" }, label));
  form.addEventListener("submit", event => { event.preventDefault(); press(sidecar, action, field.value, label); });
  return form;
}

function plotted(kind) {
  const figure = el("div", { className: "figure" }), name = el("small", { className: "name" }), svg = shape("svg", { class: "plot", role: "img" });
  return { kind, figure, name, svg, node: el("div", {}, figure, name, svg) };
}

function show(part, plot, unit) {
  const last = plot.points.at(-1), tail = plot.tails.at(-1);
  part.node.hidden = last === undefined;
  if (last === undefined) return;
  const is = tail === undefined ? [number(last), el("small", {}, unit)] : [number(last), el("small", {}, unit + "  p99 "), el("small", { className: "p99" }, number(tail))];
  part.figure.replaceChildren(...is);
  say(part.name, plot.note ? `${plot.name}, ${plot.note}` : tail === undefined ? plot.name : `${plot.name}, p50`);
  part.svg.setAttribute("aria-label", `${plot.name}: ${number(last)}${unit}` + (tail === undefined ? "" : `, p99 ${number(tail)}${unit}`));
  if (part.kind === "bars") bars(part.svg, plot, BARS); else line(part.svg, plot, MINUTE);
}

function list(dl, facts) {
  if (dl.children.length !== facts.length) dl.replaceChildren(...facts.map(() => el("div", {}, el("dt"), el("dd"))));
  facts.forEach(([name, value], i) => { say(dl.children[i].children[0], name); say(dl.children[i].children[1], value); });
}

function made(s) {
  const card = { name: el("h3", { id: `card-${s.name}` }, s.name), pill: el("span", { className: "pill" }), rate: plotted("line"),
    times: plotted(s.name === "config-reloader" ? "bars" : "line"), plots: el("div", { className: "plots" }), facts: el("dl"), process: el("dl", { className: "process" }),
    trouble: el("p", { className: "trouble" }), metrics: el("a", {}, "metrics") };
  card.plots.append(card.rate.node, card.times.node);
  const kill = el("button", { type: "button", className: "kill" }, "kill -9");
  kill.setAttribute("aria-label", `kill -9 of ${s.name}`);
  kill.addEventListener("click", () => press(s.name, "kill", "", "kill -9"));
  const links = [card.metrics];
  if (s.link) links.unshift(el("a", { href: s.link.url, target: "_blank", rel: "noopener" }, s.link.label));
  card.controls = el("div", { className: "controls" }, ...s.controls.map(c => control(s.name, c)), kill);
  card.node = el("article", { className: "card sidecar" }, el("div", { className: "head" }, card.name, card.pill), el("p", { className: "soft" }, s.job),
    card.plots, card.facts, card.process, card.trouble, card.controls, el("div", { className: "links" }, ...links));
  card.node.setAttribute("aria-labelledby", card.name.id);
  return card;
}

function light(pill, ready, gone) {
  pill.className = ready ? "pill" : gone ? "pill gone" : "pill off";
  say(pill, ready ? "ready" : gone ? "stopped" : "not ready");
}

function update(card, state, s) {
  const gone = state.stops.some(stop => stop.name === s.name);
  light(card.pill, s.ready, gone);
  show(card.rate, s.rate, s.rate.unit);
  show(card.times, s.plot, " ms");
  card.plots.classList.toggle("one", card.rate.node.hidden || card.times.node.hidden);
  list(card.facts, s.facts.map(f => [f.name, f.value]));
  list(card.process, [["RSS", mebibytes(s.resident) + " MiB"], ["CPU", s.cpu_percent.toFixed(1) + " %"], ["threads", String(s.threads)], ["restarts", String(s.restarts)]]);
  const trouble = !s.ready && !gone && s.reason ? ["not ready ", s.reason] : s.trouble ? ["last trouble ", s.trouble] : null;
  card.trouble.hidden = !trouble;
  if (trouble && card.trouble.textContent !== trouble.join("")) card.trouble.replaceChildren(el("b", {}, trouble[0]), trouble[1]);
  card.metrics.href = s.admin + "metrics";
  for (const button of card.controls.querySelectorAll("button")) button.disabled = state.phase !== "running";
}

function app(state) {
  const card = { rate: plotted("line"), pill: el("span", { className: "pill" }), says: el("p", { id: "says" }), url: el("a"), facts: el("dl"), told: el("p", { className: "trouble" }, "Its config comes by config-reloader, and auth-proxy says who its members are.") };
  card.node = el("article", { className: "card sidecar app" }, el("div", { className: "head" }, el("h3", {}, "app"), card.pill),
    el("p", { className: "soft" }, "greets, writes logs, counts; knows nothing of the others"), card.says, el("div", { className: "plots one" }, card.rate.node), card.facts, card.told, el("div", { className: "controls" }),
    el("div", { className: "links" }, card.url));
  return card;
}

export function show_cards(parent, state) {
  if (!cards.app) { cards.app = app(state); parent.append(cards.app.node); }
  light(cards.app.pill, state.app.ready, state.stops.some(s => s.name === "app"));
  say(cards.app.says, state.app.greeting ? `“${state.app.greeting}”` : "…");
  cards.app.url.href = state.app.url; say(cards.app.url, state.app.url.replace(/^http:..|.$/g, ""));
  show(cards.app.rate, state.app.rate, state.app.rate.unit);
  list(cards.app.facts, state.app.facts.map(f => [f.name, f.value]));
  for (const s of state.sidecars) {
    if (!cards[s.name]) { cards[s.name] = made(s); parent.append(cards[s.name].node); }
    update(cards[s.name], state, s);
  }
}
