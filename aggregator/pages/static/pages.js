// What pages do beyond being read: times by the reader's clock, one cursor in all charts, zoom by selecting, and new
// numbers while a page is open. Everything else works without it.
"use strict";
(() => {
  const LEFT = 74, RIGHT = 10, WIDTH = 560, TOP = 10, BOTTOM = 24, HEIGHT = 150, NS = "http://www.w3.org/2000/svg";
  const lang = document.documentElement.lang;
  const clock = new Intl.DateTimeFormat(lang, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
  const day = new Intl.DateTimeFormat(lang, { day: "numeric", month: "short" });
  const full = new Intl.DateTimeFormat(lang, { dateStyle: "medium", timeStyle: "short", hourCycle: "h23" });
  const charts = () => [...document.querySelectorAll("svg.chart[data-from]")];
  const span = (svg) => [Number(svg.dataset.from), Number(svg.dataset.to)];
  let at = null, from = null;

  function localise(root) {
    for (const time of root.querySelectorAll("time")) time.textContent = full.format(new Date(time.dateTime));
    for (const tick of root.querySelectorAll("text[data-at]")) {
      const form = Number(tick.dataset.step) >= 86400 ? day : clock;
      tick.textContent = form.format(new Date(1000 * Number(tick.dataset.at)));
    }
    for (const note of root.querySelectorAll("[data-utc]")) note.hidden = true;
  }

  // The value of a drawn line at a place: what is on the screen is all that there is to read.
  function valueAt(path, x, top) {
    let before = null;
    for (const piece of path.getAttribute("d").split("M").slice(1)) {
      for (const pair of piece.replace(/V.*/, "").split("L")) {
        const [px, py] = pair.split(" ").map(Number);
        if (px >= x) {
          const near = before && x - before[0] < px - x ? before : [px, py];
          return Math.abs(near[0] - x) > 8 ? null : (1 - (near[1] - TOP) / (HEIGHT - TOP - BOTTOM)) * top;
        }
        before = [px, py];
      }
      before = null;
    }
    return null;
  }

  function written(svg, value) {
    const top = Number(svg.dataset.top);
    const unit = [...svg.querySelectorAll("text.tick.end")].pop();
    const [, number, rest] = /^([\d.,\s]+)(.*)$/.exec(unit ? unit.textContent : "") || [];
    const scale = number ? Number(number.replace(/\s/g, "").replace(",", ".")) / top : 1;
    return (value * scale).toLocaleString(lang, { maximumSignificantDigits: 3 }) + (rest ? "\u00a0" + rest.trim() : "");
  }

  function draw() {
    for (const svg of charts()) {
      svg.querySelectorAll(".cursor, .chosen").forEach((each) => each.remove());
      const output = svg.parentElement.querySelector("output");
      if (at === null) { if (output) output.textContent = ""; continue; }
      const [start, end] = span(svg), x = (time) => LEFT + ((time - start) / (end - start)) * (WIDTH - LEFT - RIGHT);
      const height = svg.viewBox.baseVal.height;
      if (from !== null) {
        const rect = document.createElementNS(NS, "rect");
        const [a, b] = [x(from), x(at)].sort((one, other) => one - other);
        for (const [name, value] of Object.entries({ class: "chosen", x: a, y: TOP, width: b - a, height: height - TOP - BOTTOM })) rect.setAttribute(name, value);
        svg.append(rect);
      }
      const line = document.createElementNS(NS, "path");
      line.setAttribute("class", "cursor");
      line.setAttribute("d", `M${x(at)} ${TOP}V${height - BOTTOM}`);
      svg.append(line);
      if (!output) continue;
      const read = [...svg.querySelectorAll("path.line")].map((path) => [path.dataset.name, valueAt(path, x(at), Number(svg.dataset.top))]);
      output.textContent = [full.format(new Date(1000 * at)), ...read.filter(([, value]) => value !== null).map(([name, value]) => `${name} ${written(svg, value)}`.trim())].join(" · ");
    }
  }

  function zoom(one, other) {
    const [start, end] = [one, other].sort((a, b) => a - b).map(Math.round);
    if (end - start < 60) return;
    const query = new URLSearchParams(location.search);
    query.set("start", start);
    query.set("end", end);
    location.search = query;
  }

  function timeOf(svg, event) {
    const box = svg.getBoundingClientRect(), [start, end] = span(svg);
    const share = ((event.clientX - box.left) * WIDTH / box.width - LEFT) / (WIDTH - LEFT - RIGHT);
    return start + Math.min(1, Math.max(0, share)) * (end - start);
  }

  function prepare(root) {
    localise(root);
    for (const svg of root.querySelectorAll("svg.chart[data-from]")) {
      svg.tabIndex = 0;
      const output = document.createElement("output");
      output.setAttribute("for", "");
      svg.after(output);
      svg.addEventListener("pointermove", (event) => { at = timeOf(svg, event); draw(); });
      svg.addEventListener("pointerleave", () => { if (from === null) { at = null; draw(); } });
      svg.addEventListener("pointerdown", (event) => {
        if (event.pointerType === "touch") return;
        svg.setPointerCapture(event.pointerId);
        from = at = timeOf(svg, event);
      });
      svg.addEventListener("pointerup", () => { const begin = from; from = null; if (begin !== null) zoom(begin, at); draw(); });
      svg.addEventListener("keydown", (event) => key(svg, event));
      svg.addEventListener("blur", () => { at = from = null; draw(); });
    }
  }

  // Arrows move the cursor, Shift with them selects, Enter zooms, Escape ends it.
  function key(svg, event) {
    const [start, end] = span(svg), step = (end - start) / 100 * (event.key === "ArrowLeft" ? -1 : 1);
    if (event.key === "ArrowLeft" || event.key === "ArrowRight") {
      if (event.shiftKey && from === null) from = at ?? start;
      at = Math.min(end, Math.max(start, (at ?? start) + step));
    } else if (event.key === "Enter" && from !== null) zoom(from, at);
    else if (event.key === "Escape") at = from = null;
    else return;
    event.preventDefault();
    draw();
  }

  const main = document.getElementById("main"), seconds = Number(main.dataset.refresh);
  const place = document.getElementById("live");
  let live = sessionStorage.getItem("live") !== "off";

  async function renew() {
    const busy = document.hidden || !live || at !== null || (main.contains(document.activeElement) && document.activeElement !== main) || String(getSelection());
    if (busy) return;
    const response = await fetch(location.href, { headers: { Accept: "text/html" } }).catch(() => null);
    if (!response || !response.ok) return;
    const found = new DOMParser().parseFromString(await response.text(), "text/html").getElementById("main");
    if (!found) return;
    for (const details of main.querySelectorAll("details[open]")) found.querySelector(`#${CSS.escape(details.id)}`)?.setAttribute("open", "");
    main.replaceChildren(...found.childNodes);
    prepare(main);
  }

  prepare(document);
  if (seconds && place) {
    const button = document.createElement("button");
    const show = () => {
      button.textContent = live ? place.dataset.on : place.dataset.off;
      button.setAttribute("aria-pressed", live);
    };
    button.type = "button";
    button.addEventListener("click", () => { live = !live; sessionStorage.setItem("live", live ? "on" : "off"); show(); });
    show();
    place.append(button);
    setInterval(renew, 1000 * seconds);
  }
})();
