// The pod as a picture: who is outside, the sidecars, the app and the volume, and what goes from whom to whom.
"use strict";
import { number, say, shape } from "./draw.js";

// Where things are: [middle of x, middle of y], on a screen and on a phone.
const WIDE = {
  size: [880, 430], frame: [150, 10, 580, 410], outside: [112, 42], sidecar: [156, 54], app: [116, 76], volume: [116, 64],
  places: { visitors: [60, 84], "reverse-proxy": [246, 84], members: [60, 184], OpenID: [60, 244], "auth-proxy": [246, 214],
    ConfigMap: [60, 350], "config-reloader": [246, 350], app: [440, 150], volume: [440, 330],
    "metrics-adapter": [634, 150], Prometheus: [820, 150], "log-shipper": [634, 330], Elasticsearch: [820, 330] },
};
const NARROW = {
  size: [372, 500], frame: [108, 6, 262, 488], outside: [94, 38], sidecar: [128, 52], app: [84, 70], volume: [84, 62],
  places: { visitors: [49, 66], "reverse-proxy": [184, 66], members: [49, 142], OpenID: [49, 190], "auth-proxy": [184, 160],
    Prometheus: [49, 260], "metrics-adapter": [184, 260], ConfigMap: [49, 350], "config-reloader": [184, 350],
    Elasticsearch: [49, 440], "log-shipper": [184, 440], app: [322, 170], volume: [322, 395] },
};
const narrow = matchMedia("(max-width: 620px)"), calm = matchMedia("(prefers-reduced-motion: reduce)");
let drawn = "", boxes = {}, wires = {};

const spread = (box, towards) => box.y + Math.max(-14, Math.min(14, (towards.y - box.y) / 3));

function way(a, b, count) {
  // One above the other: down on the one side, up on the other.
  if (Math.abs(a.x - b.x) < 60) {
    const down = b.y > a.y ? 1 : -1, x = a.x + 16 * down;
    return { d: `M${x} ${a.y + down * (a.h / 2 + 2)}V${b.y - down * (b.h / 2 + 9)}`, tip: `M${x - 5} ${b.y - down * (b.h / 2 + 9)}h10l-5 ${7 * down}z` };
  }
  const right = b.x > a.x ? 1 : -1, x1 = a.x + right * (a.w / 2 + 2), x2 = b.x - right * (b.w / 2 + 9);
  const y1 = spread(a, b), y2 = spread(b, a) + count, bend = (x1 + x2) / 2;
  return { d: `M${x1} ${y1}C${bend} ${y1} ${bend} ${y2} ${x2} ${y2}`, tip: `M${x2} ${y2 - 5}v10l${7 * right} -5z` };
}

function box(name, kind, plan) {
  const [x, y] = plan.places[name], [w, h] = plan[kind];
  return { x, y, w, h, kind };
}

function figure(b, name) {
  const left = b.x - b.w / 2, top = b.y - b.h / 2;
  b.node = b.kind === "volume"
    ? shape("path", { class: "box", d: `M${left} ${top + 8}v${b.h - 16}a${b.w / 2} 8 0 0 0 ${b.w} 0v${16 - b.h}a${b.w / 2} 8 0 0 0 ${-b.w} 0a${b.w / 2} 8 0 0 0 ${b.w} 0` })
    : shape("rect", { class: b.kind === "outside" ? "box plain" : "box", x: left, y: top, width: b.w, height: b.h, rx: 10 });
  if (b.kind === "outside") return [b.node, shape("text", { class: "outside", x: b.x, y: b.y + 4 }, name)];
  const low = b.kind === "volume" ? 8 : 0;
  b.sub = shape("text", { class: "sub", x: b.x, y: b.y + 15 + low }, { app: "your app", volume: "shared" }[b.kind] ?? "");
  return [b.node, shape("text", { x: b.x, y: b.y - 2 + low }, b.kind === "volume" ? "volume" : name), b.sub];
}

function draw(svg, state) {
  const plan = narrow.matches ? NARROW : WIDE, key = state.sidecars.map(s => s.name).join() + narrow.matches;
  if (key === drawn) return;
  drawn = key; boxes = {}; wires = {};
  const names = new Set(state.sidecars.map(s => s.name)), all = state.sidecars.flatMap(s => s.wires);
  for (const name of new Set(["app", "volume", ...names, ...all.flat()])) {
    const kind = name === "app" || name === "volume" ? name : names.has(name) ? "sidecar" : "outside";
    if (plan.places[name]) boxes[name] = box(name, kind, plan);
  }
  const [fx, fy, fw, fh] = plan.frame;
  svg.setAttribute("viewBox", `0 0 ${plan.size.join(" ")}`);
  svg.replaceChildren(shape("rect", { class: "frame", x: fx, y: fy, width: fw, height: fh, rx: 16 }), shape("text", { class: "sub corner", x: fx + 14, y: fy + 21 }, "pod"));
  for (const [from, to] of all) {
    const a = boxes[from], b = boxes[to], key = from + ">" + to;
    if (!a || !b || wires[key]) continue;
    const { d, tip } = way(a, b, 0), flow = shape("path", { class: "flow still", d }), spark = shape("path", { class: "spark", d, pathLength: 1 });
    svg.append(shape("path", { class: "wire", d }), flow, shape("path", { class: "tip", d: tip }), spark);
    wires[key] = { flow, spark, of: state.sidecars.find(s => s.wires.some(w => w[0] === from && w[1] === to)).name };
  }
  for (const name in boxes) svg.append(...figure(boxes[name], name));
}

const again = (node, name) => { node.classList.remove("hit", "bad", name); node.getBoundingClientRect(); node.classList.add(name); };

// Lights up who has done something, and the wires that it went along.
export function light(event, after) {
  setTimeout(() => {
    if (boxes[event.who]) again(boxes[event.who].node, event.kind === "refused" ? "bad" : "hit");
    event.wires.forEach(([from, to], i) => setTimeout(() => {
      const spark = wires[from + ">" + to]?.spark;
      if (!spark) return;
      again(spark, "go");
      if (calm.matches) setTimeout(() => spark.classList.remove("go"), 1500);
    }, i * 300));
  }, after);
}

// Things that flow all the time, while their sidecar has anything to do.
const STEADY = ["visitors>reverse-proxy", "reverse-proxy>app", "members>auth-proxy", "auth-proxy>app", "app>volume", "volume>log-shipper",
  "log-shipper>Elasticsearch", "app>metrics-adapter", "Prometheus>metrics-adapter"];

export function picture(svg, state) {
  draw(svg, state);
  const stopped = name => state.stops.some(s => s.name === name);
  const mark = (name, ready) => {
    boxes[name]?.node.classList.toggle("on", ready);
    boxes[name]?.node.classList.toggle("off", !ready && !stopped(name) && state.phase === "running");
  };
  mark("app", state.app.ready);
  for (const s of state.sidecars) {
    mark(s.name, s.ready);
    const rate = s.rate.points.at(-1), took = s.plot.points.at(-1);
    const text = stopped(s.name) ? "stopped" : !s.ready ? "not ready" : rate !== undefined ? `${number(rate)} ${s.rate.name.split(" ")[0]}${s.rate.unit}` : took !== undefined ? `told in ${number(took)} ms` : "ready";
    if (boxes[s.name]) say(boxes[s.name].sub, text);
  }
  for (const key of STEADY) {
    const wire = wires[key], s = wire && state.sidecars.find(s => s.name === wire.of);
    if (s) wire.flow.classList.toggle("still", !(s.ready && state.app.ready && state.phase === "running"));
  }
}
