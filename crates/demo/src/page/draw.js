// What the other scripts draw with. Text goes in as text, never as HTML: it comes from config files and logs.
"use strict";
const NS = "http://www.w3.org/2000/svg";

export const el = (name, attributes, ...inner) => {
  const node = document.createElement(name);
  Object.assign(node, attributes);
  node.append(...inner);
  return node;
};

export const shape = (name, attributes, text) => {
  const node = document.createElementNS(NS, name);
  for (const key in attributes) node.setAttribute(key, attributes[key]);
  if (text !== undefined) node.textContent = text;
  return node;
};

// Only what is new: whoever has selected or focused something keeps it.
export const say = (node, text) => { if (node.textContent !== text) node.textContent = text; };

export const clock = s => Math.floor(s / 60) + ":" + String(Math.floor(s % 60)).padStart(2, "0");
export const number = value => value.toLocaleString("en", { maximumFractionDigits: value < 10 ? 1 : 0 });
export const mebibytes = bytes => (bytes / 1048576).toFixed(1);

const WIDE = 240, TALL = 46;

// A line over the last minute, newest on the right; with the slowest of a hundred above it where that is known.
export function line(svg, plot, most) {
  const values = plot.points, tails = plot.tails;
  const top = Math.max(...values, ...tails, 1e-9) * 1.12, step = WIDE / (most - 1);
  const at = (points, i) => `${(WIDE - (points.length - 1 - i) * step).toFixed(1)} ${(TALL - points[i] / top * (TALL - 2)).toFixed(1)}`;
  const path = points => points.map((_, i) => (i ? "L" : "M") + at(points, i)).join("");
  svg.setAttribute("viewBox", `0 0 ${WIDE} ${TALL}`);
  svg.setAttribute("preserveAspectRatio", "none");
  const parts = [shape("path", { class: "base", d: `M0 ${TALL}H${WIDE}` })];
  if (values.length > 1) {
    const first = (WIDE - (values.length - 1) * step).toFixed(1);
    parts.push(shape("path", { class: "area", d: `${path(values)}L${WIDE} ${TALL}L${first} ${TALL}z` }));
    if (tails.length > 1) parts.push(shape("path", { class: "tail", d: path(tails) }));
    parts.push(shape("path", { class: "line", d: path(values) }));
  }
  svg.replaceChildren(...parts);
}

// Bars for what happens now and then.
export function bars(svg, plot, most) {
  const last = plot.points.slice(-most), top = Math.max(...last, 1e-9) * 1.1, step = WIDE / most;
  svg.setAttribute("viewBox", `0 0 ${WIDE} ${TALL}`);
  svg.setAttribute("preserveAspectRatio", "none");
  const bar = (value, i) => {
    const high = Math.max(2, value / top * (TALL - 2));
    return shape("rect", { class: "bar", x: WIDE - (last.length - i) * step + 2, y: TALL - high, width: step - 3, height: high, opacity: i === last.length - 1 ? 1 : .45 });
  };
  svg.replaceChildren(shape("path", { class: "base", d: `M0 ${TALL}H${WIDE}` }), ...last.map(bar));
}
