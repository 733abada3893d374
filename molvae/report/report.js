"use strict";
/* The report: plots that follow the filters of the grid, and links from cards, scaffolds and checks to it. */
(() => {
  const {make} = molvae;
  Chart.defaults.plugins.colors.enabled = false;
  Chart.defaults.font.family = getComputedStyle(document.body).fontFamily;
  const byId = id => document.getElementById(id);
  const LIGHT = {"--ink": "#1b2330", "--soft": "#5a6577", "--line": "#dde2ea", "--card": "#fff", "--accent": "#0b6e69", "--accent2": "#c2410c",
    "--dot": "#aab4c3", "--eN": "#2546c8", "--eP": "#a33b93", "--low": "#b8c4d6", "--middle": "#3a8fb0", "--high": "#c2410c"};
  let isPrinting = false;
  const color = name => isPrinting ? LIGHT[name] : getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const charts = [];
  const refresh = () => charts.forEach(one => one());
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", refresh);
  addEventListener("beforeprint", () => { isPrinting = true; refresh(); });
  addEventListener("afterprint", () => { isPrinting = false; refresh(); });

  /* On paper, a chart has the size of its column. */
  const fit = (chart, width, height) => isPrinting ? chart.resize(width, height) : chart.resize();
  const toHex = text => { const one = text.replace("#", ""); const full = one.length === 3 ? [...one].map(x => x + x).join("") : one; return [0, 2, 4].map(i => parseInt(full.slice(i, i + 2), 16)); };
  const ramp = () => {
    const stops = ["--low", "--middle", "--high"].map(name => toHex(color(name)));
    return share => {
      const at = Math.min(Math.max(share, 0), 1) * 2, i = Math.min(Math.floor(at), 1);
      return `rgb(${stops[i].map((from, k) => Math.round(from + (stops[i + 1][k] - from) * (at - i))).join(",")})`;
    };
  };
  const axis = (title, more = {}) => ({
    title: {display: Boolean(title), text: title, color: color("--ink"), font: {weight: "600"}},
    grid: {color: color("--line")}, ticks: {color: color("--soft"), maxTicksLimit: 8}, border: {color: color("--line")}, ...more,
  });
  const median = values => { const sorted = values.toSorted((a, b) => a - b), n = sorted.length; return n ? (sorted[(n - 1) >> 1] + sorted[n >> 1]) / 2 : null; };
  const short = value => value === null || value === undefined ? "–" : Math.abs(value) >= 100 ? value.toFixed(0) : String(Number(value.toPrecision(3)));

  molvae.data.then(data => {
    const root = byId("grid");
    const explore = data.explore;
    if (!root) { document.documentElement.dataset.ready = "true"; return; }
    const grid = molvae.grid(root, data);
    const {columns, at, field, cell} = grid;
    const numeric = columns.filter(column => column.kind === "number" || column.kind === "integer").map(column => column.name)
      .filter(name => name !== "latent_row");
    const titleOf = name => columns[at[name]].title;
    const value = (row, name) => row[field(at[name])];
    const passed = row => cell(row, "passed") === true;

    /* links into the grid */
    const toGrid = () => byId("list").scrollIntoView({behavior: matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth"});
    document.addEventListener("click", event => {
      const link = event.target.closest("[data-open],[data-failed],[data-scaffold]");
      if (!link) return;
      event.preventDefault();
      const {open, failed, scaffold} = link.dataset;
      if (open !== undefined) { const row = grid.byId.get(open); if (row) grid.open(row); return; }
      if (failed !== undefined) grid.setFailed(failed);
      else { grid.extra = row => cell(row, "scaffold") === scaffold; grid.extraLabel = `only the scaffold ${scaffold}`; grid.refilter(); }
      toGrid();
    });

    /* the structure next to the pointer */
    const tip = make("div", {class: "tip", hidden: true});
    document.body.append(tip);
    let tipped = null;
    const hide = () => { tip.hidden = true; tipped = null; };
    const show = (point, left, top) => {
      if (tipped !== point) {
        tipped = point;
        const smiles = point.known ? point.known.smiles : grid.smilesOf(point.row);
        const lines = point.known ? [point.known.kind, point.known.label]
          : [grid.titleOf(point.row), ...(point.lines ?? []), passed(point.row) ? "passed every check" : cell(point.row, "reason")];
        tip.replaceChildren(molvae.drawInto(make("div"), smiles, 190, 120, point.known ? {} : {atoms: data.marks[point.row.row] ?? [], lead: data.lead}),
          ...lines.filter(Boolean).map((line, i) => i ? make("p", {}, line) : make("strong", {}, line)));
      }
      tip.hidden = false;
      const width = tip.offsetWidth, height = tip.offsetHeight;
      tip.style.left = `${Math.max(6, left + 18 + width > innerWidth ? left - width - 18 : left + 18)}px`;
      tip.style.top = `${Math.max(6, Math.min(top - height / 2, innerHeight - height - 6))}px`;
    };
    addEventListener("scroll", hide, {passive: true});

    /* A scatter plot; describe() returns its datasets of points and the titles of its axes. */
    const plotPoints = (canvas, describe) => {
      const chart = new Chart(canvas, {
        type: "scatter", data: {datasets: []},
        options: {
          animation: false, maintainAspectRatio: false, interaction: {mode: "nearest", intersect: true},
          plugins: {
            legend: {position: "bottom", labels: {usePointStyle: true, boxHeight: 7, color: color("--soft"), generateLabels: own =>
              Chart.defaults.plugins.legend.labels.generateLabels(own).map(item => {
                const fixed = own.data.datasets[item.datasetIndex].legendColor;
                return fixed ? {...item, fillStyle: fixed, strokeStyle: fixed} : item;
              })}},
            tooltip: {enabled: false, external: ({chart: own, tooltip}) => {
              const found = tooltip.opacity && tooltip.dataPoints?.[0]?.raw;
              if (!found || (!found.row && !found.known)) return hide();
              const frame = own.canvas.getBoundingClientRect();
              show(found, frame.left + tooltip.caretX, frame.top + tooltip.caretY);
            }},
          },
          onHover: (event, found) => { canvas.style.cursor = found.length ? "pointer" : "crosshair"; },
        },
      });
      const update = () => {
        const {datasets, x, y} = describe();
        chart.data.datasets = datasets;
        chart.options.scales = {x: axis(x), y: axis(y)};
        chart.options.plugins.legend.labels.color = color("--soft");
        fit(chart, 330, 260);
        chart.update();
      };
      charts.push(update);

      /* drag: a box selects; click: details */
      let from = null, box = null;
      const at = event => { const frame = canvas.getBoundingClientRect(); return [event.clientX - frame.left, event.clientY - frame.top]; };
      canvas.addEventListener("pointerdown", event => { if (event.pointerType === "mouse" && event.button === 0) from = at(event); });
      canvas.addEventListener("pointermove", event => {
        if (!from) return;
        const to = at(event);
        if (!box && Math.hypot(to[0] - from[0], to[1] - from[1]) < 6) return;
        if (!box) { box = make("div", {class: "box"}); canvas.parentElement.append(box); canvas.setPointerCapture(event.pointerId); hide(); }
        Object.assign(box.style, {left: `${Math.min(from[0], to[0])}px`, top: `${Math.min(from[1], to[1])}px`,
          width: `${Math.abs(to[0] - from[0])}px`, height: `${Math.abs(to[1] - from[1])}px`});
      });
      canvas.addEventListener("pointerup", event => {
        const to = at(event), start = from;
        from = null;
        if (!box || !start) return;
        box.remove();
        box = null;
        dragged = true;
        const limits = ["x", "y"].map((name, i) => [start[i], to[i]].map(pixel => chart.scales[name].getValueForPixel(pixel)).sort((a, b) => a - b));
        const inside = chart.data.datasets.flatMap(one => one.data).filter(point => point.row &&
          point.x >= limits[0][0] && point.x <= limits[0][1] && point.y >= limits[1][0] && point.y <= limits[1][1]);
        grid.table.deselectRow();
        grid.table.selectRow([...new Set(inside.map(point => point.row.row))]);
      });
      let dragged = false;
      canvas.addEventListener("click", event => {
        if (dragged) { dragged = false; return; }
        const found = chart.getElementsAtEventForMode(event, "nearest", {intersect: true}, false)[0];
        const point = found && chart.data.datasets[found.datasetIndex].data[found.index];
        if (point?.row) { hide(); grid.open(point.row); }
      });
      canvas.addEventListener("pointerleave", hide);

      /* keyboard: the arrow keys visit the points from left to right */
      let visited = -1;
      canvas.addEventListener("keydown", event => {
        const points = chart.data.datasets.flatMap((one, datasetIndex) => one.data.map((point, index) => ({point, datasetIndex, index}))).filter(one => one.point.row)
          .sort((a, b) => a.point.x - b.point.x);
        if (!points.length) return;
        const steps = {ArrowRight: 1, ArrowLeft: -1};
        if (event.key in steps) {
          event.preventDefault();
          visited = Math.min(Math.max(visited + steps[event.key], 0), points.length - 1);
          const {point} = points[visited], frame = canvas.getBoundingClientRect();
          show(point, frame.left + chart.scales.x.getPixelForValue(point.x), frame.top + chart.scales.y.getPixelForValue(point.y));
        } else if (event.key === "Enter" && visited >= 0) { event.preventDefault(); hide(); grid.open(points[visited].point.row); }
        else if (event.key === "Escape") hide();
      });
      canvas.addEventListener("blur", hide);
      return {chart, update};
    };

    /* colors of points: by checks, or by a column */
    const colorChoices = [["", "checks"], ...numeric.map(name => [name, titleOf(name)])];
    const paint = (rows, name, scale) => {
      if (!name) { scale.replaceChildren(); return row => color(passed(row) ? "--accent" : "--dot"); }
      const known = rows.map(row => value(row, name)).filter(one => one !== null);
      const low = Math.min(...known), high = Math.max(...known), tint = ramp();
      scale.replaceChildren(`${titleOf(name)}: ${short(known.length ? low : null)}`, make("i"), short(known.length ? high : null));
      return row => value(row, name) === null ? color("--line") : tint(high > low ? (value(row, name) - low) / (high - low) : 1);
    };
    const groups = (rows, place, tint, more, isTinted) => {
      const made = [];
      for (const [title, list, pointStyle] of [["failed a check", rows.filter(row => !passed(row)), "circle"], ["passed every check", rows.filter(passed), "circle"]]) {
        const points = list.map(row => ({row, ...place(row), ...(more ? {lines: more(row)} : {})})).filter(point => Number.isFinite(point.x) && Number.isFinite(point.y));
        const isFailed = title.startsWith("failed");
        const colors = points.map(point => tint(point.row));
        made.push({label: `${title} (${points.length.toLocaleString("en")})`, data: points, pointStyle, radius: isFailed ? 2.6 : 3.6, hoverRadius: 7, hitRadius: 3,
          legendColor: isTinted ? color("--soft") : color(isFailed ? "--dot" : "--accent"), backgroundColor: colors.length ? colors : color("--dot"), borderColor: color("--card"), borderWidth: isFailed ? 0 : 0.6, order: isFailed ? 5 : 4});
      }
      return made;
    };

    const options = (select, choices, chosen) => {
      select.append(...choices.map(([key, title]) => make("option", {value: key, selected: key === chosen}, title)));
    };

    /* two columns, with the Pareto front of the molecules that passed */
    const x = byId("x"), y = byId("y"), xBetter = byId("x-better"), yBetter = byId("y-better"), hue = byId("color");
    const lower = ["sa_score", "alerts", "mol_weight", "tpsa", "std"];
    const values = columns.filter(column => /^value_/.test(column.name) && column.kind === "number").map(column => column.name);
    const terms = values.filter(name => name.replace("value_", "score_") in at);
    const wanted = data.goals.length > 1 ? data.goals.slice(0, 2).map(goal => `value_${goal}`) : terms.length > 1 ? [terms[1], terms[0]] : ["qed", "score"];
    const firsts = [...wanted, "score", ...values, ...numeric].filter(name => name && name in at && numeric.includes(name));
    const start = [...new Set(firsts)].slice(0, 2);
    options(x, numeric.map(name => [name, titleOf(name)]), start[0]);
    options(y, numeric.map(name => [name, titleOf(name)]), start[1] ?? start[0]);
    options(hue, colorChoices, "");
    const guess = (select, better) => { better.value = lower.some(word => select.value.endsWith(word)) ? "-1" : "1"; };
    guess(x, xBetter); guess(y, yBetter);
    const front = points => {
      const signs = [Number(xBetter.value), Number(yBetter.value)];
      const sorted = points.toSorted((a, b) => signs[0] * (b.x - a.x) || signs[1] * (b.y - a.y));
      let best = -Infinity;
      return sorted.filter(point => { if (signs[1] * point.y > best) { best = signs[1] * point.y; return true; } return false; });
    };
    const scatter = plotPoints(byId("scatter"), () => {
      const rows = grid.current(), a = x.value, b = y.value;
      const lines = row => [a, b].map(name => `${titleOf(name)} ${molvae.format(value(row, name), columns[at[name]])}`);
      const sets = groups(rows, row => ({x: value(row, a) ?? NaN, y: value(row, b) ?? NaN}), paint(rows, hue.value, byId("scatter-scale")), lines, Boolean(hue.value));
      const best = front(sets[1].data);
      sets.push({label: `Pareto front of the molecules that passed (${best.length})`, data: best, showLine: true, stepped: false, borderColor: color("--accent2"), borderWidth: 1.6,
        pointStyle: "rectRot", radius: 5.5, hoverRadius: 8, backgroundColor: color("--accent2"), order: 1});
      byId("scatter").setAttribute("role", "img");
      byId("scatter").setAttribute("aria-label", `${titleOf(b)} by ${titleOf(a)} of ${rows.length} molecules; the arrow keys move between them, Enter opens one`);
      return {datasets: sets, x: titleOf(a), y: titleOf(b)};
    });
    for (const [select, better] of [[x, xBetter], [y, yBetter]]) select.addEventListener("change", () => { guess(select, better); scatter.update(); });
    for (const select of [xBetter, yBetter, hue]) select.addEventListener("change", scatter.update);

    /* the map of the latent space */
    const map = explore.map;
    if (map && byId("map")) {
      const mapHue = byId("map-color");
      options(mapHue, colorChoices, "score");
      const kinds = [...new Set(map.known.map(one => one.kind))];
      const styles = [["triangle", "--eP"], ["star", "--eN"], ["rect", "--ink"]];
      const drawn = plotPoints(byId("map"), () => {
        const rows = grid.current(), shown = new Set(rows);
        const place = row => ({x: map.x[row.row] ?? NaN, y: map.y[row.row] ?? NaN});
        const sets = groups(rows, place, paint(rows, mapHue.value, byId("map-scale")), row => [`score ${short(cell(row, "score"))}`], Boolean(mapHue.value));
        const starts = rows.filter(row => cell(row, "is_start")).map(row => ({row, ...place(row), lines: ["start molecule", `score ${short(cell(row, "score"))}`]}));
        if (starts.length) sets.push({label: `start molecules (${starts.length})`, data: starts, pointStyle: "rectRounded", radius: 4.5, hoverRadius: 7, backgroundColor: "transparent",
          borderColor: color("--ink"), borderWidth: 1.4, order: 3});
        kinds.forEach((kind, i) => {
          const points = map.known.filter(one => one.kind === kind).map(known => ({known, x: known.x, y: known.y}));
          const [pointStyle, name] = styles[i % styles.length];
          sets.push({label: `${kind} (${points.length})`, data: points, pointStyle, radius: 4, hoverRadius: 7, backgroundColor: "transparent", borderColor: color(name), borderWidth: 1.4, order: 2});
        });
        const path = map.path.map(row => grid.rows[row]).filter(row => shown.has(row)).map(row => ({row, ...place(row), lines: [`score ${short(cell(row, "score"))}`]}))
          .filter(point => Number.isFinite(point.x));
        sets.push({label: "best so far", data: path, showLine: true, borderColor: color("--accent2"), borderWidth: 1.5, pointStyle: "rectRot", radius: 4.5, hoverRadius: 8,
          backgroundColor: color("--accent2"), order: 1});
        byId("map").setAttribute("role", "img");
        byId("map").setAttribute("aria-label", `Map of the latent vectors of ${rows.length} molecules; the arrow keys move between them, Enter opens one`);
        return {datasets: sets, x: "component 1", y: "component 2"};
      });
      mapHue.addEventListener("change", drawn.update);
    }

    /* histograms */
    const home = byId("histograms");
    const order = ["score", ...values, "mol_weight", "logp", "tpsa", "hbd", "hba", "rotatable_bonds", "rings", "fraction_csp3", "qed", "sa_score", "nearest_reference_similarity"];
    const shownNames = [...new Set(order)].filter(name => numeric.includes(name) && !(`value_${name}` in at)).slice(0, 16);
    for (const name of shownNames) {
      const reference = explore.reference[name.replace(/^value_/, "")] ?? explore.reference[name] ?? [];
      const everything = grid.rows.map(row => value(row, name)).filter(one => one !== null).concat(reference);
      if (!everything.length) continue;
      const note = make("p"), canvas = make("canvas", {role: "img"});
      home.append(make("div", {class: "keep"}, make("h4", {}, titleOf(name)), note, make("div", {class: "chart tiny"}, canvas)));
      const low = Math.min(...everything), high = Math.max(...everything);
      const is_whole = everything.every(Number.isInteger) && high - low <= 60;
      const n = is_whole ? high - low + 1 : 24, width = is_whole ? 1 : (high - low) / n || 1;
      const left = is_whole ? low - 0.5 : low;
      const shares = list => {
        const found = new Array(n).fill(0);
        for (const one of list) found[Math.min(n - 1, Math.floor((one - left) / width))]++;
        return found.map(one => list.length ? 100 * one / list.length : 0);
      };
      const centers = Array.from({length: n}, (_, i) => left + (i + 0.5) * width);
      const chart = new Chart(canvas, {
        data: {labels: centers.map(short), datasets: [
          ...(reference.length ? [{type: "line", data: shares(reference), stepped: "middle", pointRadius: 0, borderWidth: 1.6, fill: false}] : []),
          {type: "bar", data: [], barPercentage: 1, categoryPercentage: 0.92}]},
        options: {animation: false, maintainAspectRatio: false, interaction: {mode: "index", intersect: false},
          plugins: {legend: {display: false}, tooltip: {callbacks: {
            title: items => `${titleOf(name)} about ${items[0].label}`,
            label: item => `${item.dataset.type === "line" ? "library" : "shown"}: ${item.parsed.y.toFixed(1)} %`}}}},
      });
      charts.push(() => {
        const list = grid.current().map(row => value(row, name)).filter(one => one !== null);
        const bars = chart.data.datasets.at(-1);
        bars.data = shares(list);
        bars.backgroundColor = color("--accent");
        if (reference.length) chart.data.datasets[0].borderColor = color("--accent2");
        chart.options.scales = {x: axis("", {grid: {display: false}, ticks: {color: color("--soft"), maxTicksLimit: 5, maxRotation: 0, font: {size: 10}}}),
          y: axis("", {beginAtZero: true, display: false})};
        note.textContent = `median ${short(median(list))}` + (reference.length ? `, library ${short(median(reference))}` : "");
        canvas.setAttribute("aria-label", `Histogram of ${titleOf(name)}: ${note.textContent}`);
        fit(chart, 124, 70);
        chart.update();
      });
    }

    /* the surrogate */
    if (byId("surrogate") && explore.surrogate.length) {
      const chart = new Chart(byId("surrogate"), {
        type: "line", data: {datasets: [{data: explore.surrogate.map(([calls, , rank]) => ({x: calls, y: rank})), borderWidth: 2, pointRadius: 4, spanGaps: true}]},
        options: {animation: false, maintainAspectRatio: false, parsing: false, interaction: {mode: "nearest", axis: "x", intersect: false},
          plugins: {legend: {display: false}, tooltip: {displayColors: false, callbacks: {
            title: items => `up to molecule ${explore.surrogate[items[0].dataIndex][0].toLocaleString("en")}`,
            label: item => { const [, n, rank, error] = explore.surrogate[item.dataIndex]; return [`Spearman ${rank === null ? "undefined" : rank.toFixed(2)}`, `mean absolute error ${short(error)}`, `${n} predictions`]; }}}}},
      });
      charts.push(() => {
        chart.data.datasets[0].borderColor = chart.data.datasets[0].backgroundColor = color("--accent");
        chart.options.scales = {x: axis("molecules scored", {type: "linear", min: 0}), y: axis("Spearman", {suggestedMin: 0, max: 1})};
        fit(chart, 330, 170);
        chart.update();
      });
    }

    /* the plot of the goals */
    const goals = document.querySelector("svg.goals"), pointed = byId("pointed");
    if (goals && pointed) for (const kind of ["pointerover", "focusin"]) goals.addEventListener(kind, event => {
      const mark = event.target.closest("[data-row]") ?? event.target.querySelector?.("a > [data-row]");
      if (!mark || event.target === event.currentTarget) return;
      const row = grid.rows[Number(mark.dataset.row)];
      byId("pointed-title").textContent = "Structure";
      pointed.replaceChildren(molvae.drawInto(make("div"), grid.smilesOf(row), 240, 180, {lead: data.lead}), make("p", {class: "smiles"}, mark.querySelector("title").textContent),
        make("p", {class: "smiles"}, grid.smilesOf(row)));
    });

    let timer = 0;
    grid.onFilter.push(() => { clearTimeout(timer); timer = setTimeout(refresh, 120); });
    refresh();
    grid.ready = () => { document.documentElement.dataset.ready = "true"; };
  });
})();
