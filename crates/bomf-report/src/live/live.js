// The live page: parts that have changed are replaced; marks have tooltips, and answer to keys;
// a point of the front that is picked shows its weights.
(() => {
"use strict";
const $ = id => document.getElementById(id);
const all = (selector, root = document) => [...root.querySelectorAll(selector)];
const make = (name, text, cls) => {
  const e = document.createElement(name);
  if (text !== undefined) e.textContent = text;
  if (cls) e.className = cls;
  return e;
};

// Tooltips: the nearest mark within reach answers the pointer.
const tip = $("tip"), words = new WeakMap();
let lit = null;
const link = (mark, on) => {
  for (const key of ["k", "m"]) {
    const value = mark.dataset[key];
    if (value === undefined) continue;
    for (const e of all(`[data-${key}="${CSS.escape(value)}"]`))
      e.classList.toggle(e.tagName === "TR" ? "lit-row" : e.classList.contains("profile") ? "on" : "lit", on);
  }
};
const hide = () => {
  if (lit) { lit.classList.remove("lit"); link(lit, false); }
  lit = null;
  tip.hidden = true;
};
const middle = e => { const r = e.getBoundingClientRect(); return [r.left + r.width / 2, r.top + r.height / 2]; };
const show = (mark, x, y) => {
  if (lit !== mark) { hide(); lit = mark; mark.classList.add("lit"); link(mark, true); tip.textContent = words.get(mark); }
  tip.hidden = false;
  const w = tip.offsetWidth, h = tip.offsetHeight;
  tip.style.left = Math.max(6, Math.min(x + 14, innerWidth - w - 8)) + "px";
  tip.style.top = (y + 16 + h > innerHeight ? Math.max(6, y - h - 12) : y + 16) + "px";
};

// The point that is picked, by its weights: numbers of points change while a run works.
let picked = null;
const nameOf = weights => JSON.stringify(weights);
const describe = (box, title, scores, weights, end) => {
  const names = JSON.parse(box.dataset.names), list = make("ul"), most = Math.max(...weights);
  weights.forEach((w, i) => {
    if (Math.abs(w) < 0.0005) return;
    const item = make("li"), bar = make("meter");
    bar.max = most; bar.value = w;
    bar.setAttribute("aria-hidden", "true");
    item.append(make("span", names[i] || `member ${i + 1}`), bar, make("span", w.toFixed(3)));
    list.append(item);
  });
  box.replaceChildren(make("h3", title), make("p", scores, "scores"), list, end);
};
const pick = k => {
  const box = $("pick");
  const weights = box && JSON.parse(box.dataset.weights)[k];
  if (!weights) return;
  picked = weights;
  const row = all(`tr[data-k="${k}"]`)[0];
  const heads = row ? all("thead th", row.closest("table")).map(th => th.textContent) : [];
  const scores = row ? [...row.cells].map((cell, i) => [heads[i], cell])
    .filter(([head, cell]) => head && head !== "point" && cell.dataset.v !== undefined)
    .map(([head, cell]) => `${head} ${cell.firstChild.textContent}`) : [];
  let end = make("p", "It can be written as a model once the run has ended.", "fine");
  if (box.dataset.command) {
    const text = `${box.dataset.command}${k + 1} --out point-${k + 1}`, button = make("button", "Copy");
    button.type = "button"; button.dataset.copy = text;
    end = make("p", undefined, "command");
    end.append(make("code", text), button, " writes it as a model");
  }
  describe(box, `Point ${k + 1} of the front`, scores.join(" · "), weights, end);
  for (const e of all(".picked")) e.classList.remove("picked");
  for (const e of all(`[data-k="${k}"]`)) if (!e.classList.contains("profile")) e.classList.add("picked");
};
// After the front has changed: the same mixture, under its new number or none.
const again = () => {
  const box = $("pick");
  if (!box || !picked) return;
  const k = JSON.parse(box.dataset.weights).map(nameOf).indexOf(nameOf(picked));
  if (k >= 0) return pick(k);
  describe(box, "The mixture that was picked", "It is not on the front any more: a better one was found.", picked, "");
};

// Makes a part answer to pointer and keys.
const enliven = root => {
  for (const mark of all("[data-tip]", root)) {
    const title = mark.querySelector(":scope>title");
    if (title) { words.set(mark, title.textContent); title.remove(); }
  }
  for (const svg of all("svg.figure", root)) {
    const marks = all("[data-tip]", svg).filter(mark => words.has(mark));
    if (!marks.length) continue;
    svg.addEventListener("pointermove", event => {
      let best = null, least = 28;
      for (const mark of marks) {
        const [x, y] = middle(mark), d = Math.hypot(x - event.clientX, y - event.clientY);
        if (d <= least) { least = d; best = mark; }
      }
      best ? show(best, event.clientX, event.clientY) : hide();
    });
    svg.addEventListener("pointerleave", hide);
    const points = marks.filter(mark => mark.dataset.k !== undefined);
    if (points.length) choice(svg, points);
    else walk(svg.closest("[tabindex]"), marks);
  }
  for (const row of all("tr[data-k]", root)) {
    row.addEventListener("pointerenter", () => link(row, true));
    row.addEventListener("pointerleave", () => link(row, false));
    row.addEventListener("click", () => pick(+row.dataset.k));
  }
};
// Arrow keys walk through marks that cannot be picked.
const walk = (host, marks) => {
  if (!host) return;
  let at = -1;
  host.addEventListener("keydown", event => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (step) { at = (at + step + marks.length) % marks.length; show(marks[at], ...middle(marks[at])); event.preventDefault(); }
    else if (event.key === "Escape") hide();
  });
  host.addEventListener("blur", hide);
};
// The points of a front: one stop of the Tab key, arrow keys from point to point, Enter picks.
const choice = (svg, points) => {
  svg.setAttribute("role", "group");
  const host = svg.closest("[tabindex]");
  if (host) host.removeAttribute("tabindex");
  const current = i => points.forEach((p, k) => p.setAttribute("tabindex", k === i ? "0" : "-1"));
  current(0);
  points.forEach((point, i) => {
    point.setAttribute("role", "button");
    point.setAttribute("aria-label", (words.get(point) || "").replace(/\n/g, ", "));
    point.addEventListener("click", () => { current(i); pick(+point.dataset.k); });
    point.addEventListener("focus", () => { current(i); if (point.matches(":focus-visible")) show(point, ...middle(point)); });
    point.addEventListener("blur", hide);
    point.addEventListener("keydown", event => {
      const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
      const to = step ? (i + step + points.length) % points.length : { Home: 0, End: points.length - 1 }[event.key];
      if (to !== undefined) { current(to); points[to].focus(); event.preventDefault(); }
      else if (event.key === "Enter" || event.key === " ") { pick(+point.dataset.k); event.preventDefault(); }
      else if (event.key === "Escape") hide();
    });
  });
};

document.addEventListener("click", async event => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  try { await navigator.clipboard.writeText(button.dataset.copy); button.textContent = "Copied"; }
  catch { getSelection().selectAllChildren(button.previousElementSibling); button.textContent = "Press Ctrl-C"; }
  setTimeout(() => { button.textContent = "Copy"; }, 1800);
});

// A part is replaced with what was open, scrolled and focused in it.
const replace = (section, html) => {
  const open = all("details", section).map(e => e.open);
  const scrolled = all(".scroll", section).map(e => [e.scrollLeft, e.scrollTop]);
  const focused = section.contains(document.activeElement) ? document.activeElement.dataset.k : undefined;
  hide();
  section.innerHTML = html;
  all("details", section).forEach((e, i) => { e.open = !!open[i]; });
  all(".scroll", section).forEach((e, i) => { if (scrolled[i]) [e.scrollLeft, e.scrollTop] = scrolled[i]; });
  enliven(section);
  if (section.querySelector("#pick")) again();
  if (focused !== undefined) section.querySelector(`svg [data-k="${focused}"]`)?.focus();
};

const EVERY = { running: 2000, "not begun": 2000, stopped: 5000, finished: 15000 };
let wait = 2000;
const poll = async () => {
  const sections = all("main>section");
  const have = sections.map(s => `${s.id}.${s.dataset.mark}`).join(",");
  try {
    const answer = await fetch("live?have=" + encodeURIComponent(have), { cache: "no-store" });
    if (!answer.ok) throw new Error(answer.status);
    const news = await answer.json();
    for (const { id, mark, html } of news.parts) {
      const section = $(id);
      if (section) { section.dataset.mark = mark; replace(section, html); }
    }
    wait = EVERY[news.standing] || 2000;
    $("link").textContent = "";
  } catch {
    wait = Math.min(wait * 1.5, 15000);
    $("link").textContent = "The program behind it does not answer; it is asked again.";
  }
  setTimeout(next, wait);
};
const next = () => { document.hidden ? document.addEventListener("visibilitychange", next, { once: true }) : poll(); };

for (const section of all("main>section")) enliven(section);
document.documentElement.dataset.ready = "";
setTimeout(next, 1000);
})();
