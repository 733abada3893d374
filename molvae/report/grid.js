"use strict";
/* The grid: sort, filter, select and export rows; the details of a row. molvae.grid(element, data) returns its handle. */
(() => {
  const {make} = molvae;
  const count = n => n.toLocaleString("en");
  const empty = value => value === null || value === undefined || value === "";

  molvae.format = (value, column) => {
    if (empty(value)) return column.kind === "text" ? "" : "–";
    if (column.kind === "flag") return value ? "yes" : "no";
    if (typeof value !== "number") return String(value);
    if (column.kind === "integer") return String(value);
    return column.digits === null ? String(Number(value.toPrecision(3))) : value.toFixed(column.digits);
  };

  /* Missing values come last in either direction. */
  const compare = (a, b, _rowA, _rowB, _column, direction) => {
    if (empty(a) || empty(b)) {
      const last = direction === "asc" ? 1 : -1;
      return empty(a) && empty(b) ? 0 : empty(a) ? last : -last;
    }
    if (typeof a === "string") return a.localeCompare(b, "en", {numeric: true});
    return a - b;
  };

  /* Tabulator reads titles and tooltips as HTML; names of columns come from files. */
  const asHTML = text => { const box = make("span"); box.textContent = text; return box.innerHTML; };
  const labelOf = cell => { const box = make("textarea"); box.innerHTML = cell.getColumn().getDefinition().title; return box.value; };

  const rangeEditor = (cell, rendered, success) => {
    const title = labelOf(cell);
    const [low, high] = ["min", "max"].map(name => make("input", {
      type: "text", inputmode: "decimal", placeholder: name, "aria-label": `${title}: ${name}imum`, class: name,
    }));
    let timer = 0;
    const change = () => {
      clearTimeout(timer);
      timer = setTimeout(() => success({min: low.value.trim().replace(",", "."), max: high.value.trim().replace(",", ".")}), 200);
    };
    for (const input of [low, high]) {
      input.addEventListener("input", change);
      input.addEventListener("keydown", event => event.stopPropagation());
    }
    return make("div", {class: "range"}, low, high);
  };
  const inRange = (range, value) => {
    const low = range.min === "" ? NaN : Number(range.min), high = range.max === "" ? NaN : Number(range.max);
    if (Number.isNaN(low) && Number.isNaN(high)) return true;
    if (empty(value)) return false;
    return !(value < low) && !(value > high);
  };
  const choiceEditor = (cell, rendered, success, cancel, {choices}) => {
    const select = make("select", {"aria-label": `${labelOf(cell)}: filter`});
    select.append(make("option", {value: ""}, "all"), ...choices.map(([value, label]) => make("option", {value}, label)));
    select.addEventListener("change", () => success(select.value));
    select.addEventListener("keydown", event => event.stopPropagation());
    return select;
  };
  const textEditor = (cell, rendered, success) => {
    const input = make("input", {type: "text", placeholder: "contains", "aria-label": `${labelOf(cell)}: contains`});
    let timer = 0;
    input.addEventListener("input", () => { clearTimeout(timer); timer = setTimeout(() => success(input.value), 200); });
    input.addEventListener("keydown", event => event.stopPropagation());
    return input;
  };

  const save = (name, type, text) => {
    const url = URL.createObjectURL(new Blob([text], {type}));
    const link = make("a", {href: url, download: name});
    document.body.append(link);
    link.click();
    link.remove();
    setTimeout(() => URL.revokeObjectURL(url), 10000);
  };

  /* As molvae writes CSV: text that a spreadsheet would run as a formula gets an apostrophe and quotation marks. */
  const quoted = text => `"${text.replaceAll('"', '""')}"`;
  const csvCell = value => {
    if (empty(value)) return "";
    if (typeof value === "boolean") return value ? "True" : "False";
    if (typeof value === "number") return String(value);
    if (/^'*[=+\-@\t\r\n]/.test(value)) return quoted("'" + value);
    return /[",\r\n]/.test(value) ? quoted(value) : value;
  };
  const oneLine = value => {
    const text = empty(value) ? "" : typeof value === "boolean" ? (value ? "True" : "False") : String(value);
    const line = text.split(/\r\n|[\r\n\u2028\u2029]/).join(" ");
    return /^(\$\$\$\$|>)/.test(line) ? " " + line : line;
  };

  molvae.grid = (element, data) => {
    const {columns, name} = data;
    const field = index => `c${index}`;
    const at = Object.assign(Object.create(null), Object.fromEntries(columns.map((column, index) => [column.name, index])));
    const n = columns.length ? data.values[0].length : 0;
    const rows = Array.from({length: n}, (_, row) => {
      const one = {row};
      data.values.forEach((values, index) => { one[field(index)] = values[row]; });
      return one;
    });
    const cell = (row, title) => title in at ? row[field(at[title])] : null;
    const smilesOf = row => data.smiles === null ? null : row[field(data.smiles)];
    const titleOf = row => String(data.id === null ? `row ${row.row + 1}` : row[field(data.id)] ?? `row ${row.row + 1}`);
    const keyOf = (row, id) => "run" in at ? `${cell(row, "run")}\n${id}` : id;  // ids are unique within a run
    const byId = new Map(data.id === null ? [] : rows.map(row => [keyOf(row, row[field(data.id)]), row]));
    const relative = (row, id) => empty(id) ? undefined : byId.get(keyOf(row, id));
    const lead = data.lead ?? null;
    let pattern = null, patternText = "", likeness = null;
    const styleOf = row => ({query: pattern, atoms: data.marks?.[row.row] ?? [], lead});

    const structure = cell => {
      const row = cell.getRow().getData();
      const box = make("div");
      return empty(smilesOf(row)) ? box : molvae.drawInto(box, smilesOf(row), 160, 110, styleOf(row));
    };
    const textual = column => cell => {
      const value = cell.getValue();
      const text = make("span", {class: column.kind === "text" ? "clamp" : ""}, molvae.format(value, column));
      if (column.kind === "text" && !empty(value)) text.title = value;
      if (column.smiles) text.classList.add("smiles");
      if (column.name === "passed") text.className = value ? "ok" : "bad";
      if (column.name === "reason" || column.name === "failed_checks") text.classList.add("bad");
      return text;
    };
    const definition = (column, index) => {
      const one = {
        title: asHTML(column.title), field: field(index), visible: column.visible, headerTooltip: asHTML(column.hint || column.name), sorter: compare,
        formatter: textual(column), headerSortStartingDir: column.kind === "number" || column.kind === "flag" ? "desc" : "asc",
      };
      if (column.kind === "number" || column.kind === "integer")
        Object.assign(one, {cssClass: "n", width: 108, hozAlign: "right", headerFilter: rangeEditor, headerFilterFunc: inRange,
          headerFilterLiveFilter: false, headerFilterEmptyCheck: range => !range || (range.min === "" && range.max === "")});
      else if (column.kind === "flag")
        Object.assign(one, {width: 104, headerFilter: choiceEditor, headerFilterParams: {choices: [["true", "yes"], ["false", "no"]]},
          headerFilterFunc: (wanted, value) => String(value) === wanted});
      else if (column.choices)
        Object.assign(one, {width: Math.min(190, Math.max(110, 8 * column.longest + 22)), headerFilter: choiceEditor, headerFilterParams: {choices: column.choices.map(choice => [choice, choice])},
          headerFilterFunc: (wanted, value) => !empty(value) && value.split(", ").includes(wanted)});
      else
        Object.assign(one, {width: column.smiles ? 210 : Math.min(190, Math.max(104, 8 * column.longest + 22)), headerFilter: textEditor, headerFilterPlaceholder: "contains",
          headerFilterFunc: (wanted, value) => !empty(value) && value.toLowerCase().includes(wanted.toLowerCase())});
      return one;
    };
    const isWide = window.matchMedia("(min-width: 800px)").matches;
    const shown = columns.map(definition);
    if (data.id !== null) shown[data.id].minWidth = 96;
    const structureColumn = {title: "Structure", field: "structure", width: 148, headerSort: false, formatter: structure, frozen: isWide};
    const similarityColumn = {title: "Similarity to query", field: "like", visible: false, width: 108, cssClass: "n", sorter: compare,
      headerSortStartingDir: "desc", formatter: cell => molvae.format(cell.getValue(), {kind: "number", digits: 2}),
      headerFilter: rangeEditor, headerFilterFunc: inRange, headerFilterLiveFilter: false};

    /* tools */
    const error = make("p", {class: "error", role: "alert"});
    const output = make("output", {role: "status"});
    const text = make("input", {type: "search", class: "control", placeholder: "id, reason, SMILES, …"});
    const withRDKit = data.smiles !== null;
    const pass = make("select", {class: "control"}, ...[["", "all"], ["true", "passed"], ["false", "failed"]].map(([value, label]) => make("option", {value}, label)));
    const failures = "failed_checks" in at ? columns[at.failed_checks].choices ?? [] : [];
    const failed = make("select", {class: "control"}, make("option", {value: ""}, "any"), ...failures.map(one => make("option", {value: one}, one.replaceAll("_", " "))));
    const sub = make("input", {type: "search", class: "control", placeholder: "SMARTS or SMILES", spellcheck: "false", autocomplete: "off"});
    const like = make("input", {type: "search", class: "control", placeholder: "SMILES", spellcheck: "false", autocomplete: "off"});
    const least = make("input", {type: "number", class: "control", min: "0", max: "1", step: "0.05", value: "0.4", "aria-label": "lowest similarity"});
    const labelled = (label, control) => { control.setAttribute("aria-label", label); return make("label", {}, label, control); };
    const chooser = make("div", {class: "menu"});
    const clear = make("button", {type: "button", class: "button"}, "Clear filters");
    element.append(
      make("div", {class: "tools", role: "search"},
        labelled("Text in any column", text),
        "passed" in at ? labelled("Checks", pass) : null,
        failures.length ? labelled("Failed check", failed) : null,
        withRDKit ? labelled("Substructure", sub) : null,
        withRDKit ? make("div", {class: "field"}, "Similarity to a molecule, at least", make("div", {class: "row"}, like, least)) : null,
        make("details", {class: "chooser"}, make("summary", {class: "button"}, "Columns"), chooser),
        clear),
      error);
    like.setAttribute("aria-label", "similarity to this SMILES");

    const exports = ["CSV", "SDF"].map(kind => make("button", {type: "button", class: "button", "data-export": kind.toLowerCase()}, `Export ${kind}`));
    const copy = make("button", {type: "button", class: "button"}, "Copy SMILES");
    if (!withRDKit) { exports[1].hidden = true; copy.hidden = true; }
    element.append(make("div", {class: "status"}, output, ...exports, copy));
    const holder = make("div", {class: data.smiles === null ? "holder flat" : "holder"});
    element.append(holder);

    const table = new Tabulator(holder, {
      data: rows, index: "row", nestedFieldSeparator: false, height: Math.min(Math.max(n, 1) * (data.smiles === null ? 35 : 104) + 110, Math.round(window.innerHeight * 0.82)) + "px",
      rowHeight: data.smiles === null ? 34 : 103, layout: "fitData", movableColumns: isWide, selectableRows: "highlight", selectableRowsRangeMode: "click",
      placeholder: n ? "No row matches the filters." : "The table has no rows.",
      rowHeader: {headerSort: false, resizable: false, frozen: isWide, width: 40, hozAlign: "center", formatter: "rowSelection", titleFormatter: "rowSelection",
        titleFormatterParams: {rowRange: "active"}, cellClick: (event, cell) => { event.stopPropagation(); cell.getRow().toggleSelect(); }},
      columns: data.smiles === null ? shown  // the SMILES come last: the structures show them
        : [structureColumn, ...shown.filter((_, index) => index !== data.smiles), similarityColumn, shown[data.smiles]],
      columnDefaults: {resizable: "header", vertAlign: "middle"},
    });
    const handle = {table, rows, cell, smilesOf, titleOf, byId, onFilter: [], columns, at, field};

    const visibleIn = row => {
      if (text.value.trim()) {
        const wanted = text.value.trim().toLowerCase();
        if (!columns.some((_, index) => { const value = row[field(index)]; return typeof value === "string" && value.toLowerCase().includes(wanted); })) return false;
      }
      if (pass.value && String(cell(row, "passed")) !== pass.value) return false;
      if (failed.value && !(cell(row, "failed_checks") ?? "").split(", ").includes(failed.value)) return false;
      if (pattern && !row.hit) return false;
      if (likeness !== null && !(row.like >= Number(least.value))) return false;
      return handle.extra ? handle.extra(row) : true;
    };
    const refilter = () => table.setFilter(visibleIn);
    handle.refilter = refilter;
    const later = use => { let timer = 0; return () => { clearTimeout(timer); timer = setTimeout(use, 250); }; };

    /* Computes a value per row in steps, so that the page stays responsive; a newer request stops it. */
    let request = 0;
    const forAll = async use => {
      const mine = ++request;
      for (let start = 0; start < rows.length; start += 200) {
        rows.slice(start, start + 200).forEach(use);
        await new Promise(done => setTimeout(done));
        if (mine !== request) return false;
      }
      return true;
    };
    const redraw = () => { table.getRows("visible").forEach(row => row.reformat()); };
    const searchStructures = async () => {
      error.textContent = "";
      try { await molvae.rdkit; } catch { error.textContent = "This browser cannot run RDKit, so structures cannot be searched."; return; }
      if (sub.value.trim() !== patternText) {
        patternText = sub.value.trim();
        pattern?.delete();
        pattern = patternText ? molvae.query(patternText) : null;
        if (patternText && !pattern) error.textContent = `Substructure: ${patternText} is neither SMARTS nor SMILES.`;
        const query = pattern;
        if (query && !await forAll(row => { row.hit = !empty(smilesOf(row)) && molvae.matches(smilesOf(row), query); })) return;
        redraw();
      }
      const wanted = like.value.trim();
      if (wanted !== (likeness ?? "")) {
        likeness = wanted && molvae.withMol(wanted, () => true) ? wanted : null;
        if (wanted && likeness === null) error.textContent = `Similarity: ${wanted} is not a valid SMILES.`;
        if (likeness !== null && !await forAll(row => { row.like = empty(smilesOf(row)) ? null : molvae.similarity(smilesOf(row), likeness); })) return;
        if (likeness !== null) { table.showColumn("like"); table.setSort("like", "desc"); redraw(); } else table.hideColumn("like");
      }
      refilter();
    };
    text.addEventListener("input", later(refilter));
    pass.addEventListener("change", refilter);
    failed.addEventListener("change", refilter);
    for (const input of [sub, like, least]) input.addEventListener("input", later(searchStructures));
    handle.setFailed = name => { failed.value = name; refilter(); };
    handle.setText = words => { text.value = words; refilter(); };
    clear.addEventListener("click", () => {
      for (const input of [text, pass, failed, sub, like]) input.value = "";
      handle.extra = null;
      table.clearHeaderFilter();
      for (const input of holder.querySelectorAll(".tabulator-header-filter input,.tabulator-header-filter select")) input.value = "";
      handle.onClear?.();
      searchStructures();
    });

    /* columns */
    table.on("tableBuilt", () => {
      isBuilt = true;
      columns.forEach((column, index) => {
        const box = make("input", {type: "checkbox", checked: column.visible});
        box.addEventListener("change", () => box.checked ? table.showColumn(field(index)) : table.hideColumn(field(index)));
        chooser.append(make("label", {title: column.hint || column.name}, box, column.title));
      });
      for (const column of table.getColumns()) {
        const head = column.getElement(), one = column.getDefinition();
        if (!one.sorter) continue;
        head.tabIndex = 0;
        head.addEventListener("keydown", event => {
          if (event.target !== head || (event.key !== "Enter" && event.key !== " ")) return;
          event.preventDefault();
          const now = head.getAttribute("aria-sort");
          const first = one.headerSortStartingDir;
          table.setSort(column.getField(), now === "ascending" ? "desc" : now === "descending" ? "asc" : first);
        });
      }
      const body = holder.querySelector(".tabulator-tableholder");
      body.tabIndex = 0;
      body.setAttribute("aria-label", `${name}: arrow keys move, Enter opens the details, Space selects`);
      body.addEventListener("keydown", move);
      for (const box of holder.querySelectorAll(".tabulator-header input[type=checkbox]")) box.setAttribute("aria-label", "select all rows that are shown");
      handle.ready?.();
    });

    /* keyboard: a current row */
    let current = null;
    const mark = row => {
      holder.querySelectorAll(".tabulator-row.current").forEach(one => one.classList.remove("current"));
      current = row;
      row?.getElement().classList.add("current");
    };
    const move = event => {
      const active = table.getRows("active");
      if (!active.length || event.target.closest("input,select,button")) return;
      const place = current ? active.findIndex(row => row.getIndex() === current.getIndex()) : -1;
      const steps = {ArrowDown: 1, ArrowUp: -1};
      if (event.key in steps) {
        event.preventDefault();
        const row = active[Math.min(Math.max(place + steps[event.key], 0), active.length - 1)];
        table.scrollToRow(row, "nearest", false).catch(() => {}).then(() => mark(row));
      } else if (place >= 0 && event.key === "Enter") { event.preventDefault(); open(active[place].getData()); }
      else if (place >= 0 && event.key === " ") { event.preventDefault(); active[place].toggleSelect(); }
    };
    table.on("rowClick", (event, row) => {
      if (event.target.closest("input,button,a")) return;
      mark(row);
      open(row.getData());
    });

    /* rows, selection, export */
    let active = rows;
    const chosen = () => { const selected = table.getSelectedData(); return selected.length ? table.getRows("active").map(row => row.getData()).filter(row => selected.includes(row)).concat(selected.filter(row => !active.includes(row))) : active; };
    let isBuilt = false;
    const tell = () => {
      const selected = isBuilt ? table.getSelectedRows().length : 0;
      output.textContent = `${count(active.length)} of ${count(n)} rows shown` + (handle.extra ? `, ${handle.extraLabel}` : "") + (selected ? `, ${count(selected)} selected` : "");
      const what = selected ? `${count(selected)} selected` : active.length === n ? "all" : `${count(active.length)} shown`;
      exports[0].textContent = `Export ${what} as CSV`;
      exports[1].textContent = "as SDF";
      exports[1].setAttribute("aria-label", `Export ${what} as SDF`);
    };
    handle.current = () => active;
    table.on("dataFiltered", (_filters, found) => {
      active = found.map(row => row.getData());
      tell();
      handle.onFilter.forEach(use => use(active));
    });
    table.on("rowSelectionChanged", tell);
    tell();
    exports[0].addEventListener("click", () => {
      const lines = [columns.map(column => csvCell(column.name)), ...chosen().map(row => columns.map((_, index) => csvCell(row[field(index)])))];
      save(`${name}.csv`, "text/csv;charset=utf-8", lines.map(line => line.join(",") + "\n").join(""));
    });
    exports[1].addEventListener("click", async () => {
      try { await molvae.rdkit; } catch { error.textContent = "This browser cannot run RDKit, so no SDF can be written."; return; }
      const records = chosen().map(row => {
        const block = molvae.molBlock(smilesOf(row) ?? "") ?? "\n     RDKit          2D\n\n  0  0  0  0  0  0  0  0  0  0999 V2000\nM  END\n";
        const fields = columns.map((column, index) => `>  <${oneLine(column.name).replaceAll(">", "")}>\n${oneLine(row[field(index)])}\n\n`);
        return oneLine(titleOf(row)) + block.slice(block.indexOf("\n")) + fields.join("") + "$$$$\n";
      });
      save(`${name}.sdf`, "chemical/x-mdl-sdfile", records.join(""));
    });
    copy.addEventListener("click", async () => {
      await navigator.clipboard.writeText(chosen().map(smilesOf).filter(Boolean).join("\n")).then(
        () => { copy.textContent = "Copied"; setTimeout(() => { copy.textContent = "Copy SMILES"; }, 1500); },
        () => { error.textContent = "The browser refused access to the clipboard."; });
    });

    /* details of a row */
    const dialog = make("dialog", {class: "details", "aria-labelledby": "details-title"});
    document.body.append(dialog);
    dialog.addEventListener("keydown", event => {
      if (event.target.closest("input,select")) return;
      if (event.key === "ArrowRight" || event.key === "ArrowLeft") { event.preventDefault(); step(event.key === "ArrowRight" ? 1 : -1); }
    });
    dialog.addEventListener("click", event => { if (event.target === dialog) dialog.close(); });
    let opened = null;
    const step = by => {
      const list = table.getRows("active").map(row => row.getData());
      const place = list.indexOf(opened);
      const next = list[place < 0 ? 0 : place + by];
      if (next) open(next);
    };
    const figure = (smiles, title, caption, options = {}) => make("figure", {},
      molvae.drawInto(make("div"), smiles, 160, 110, options),
      make("figcaption", {}, title, caption ? make("div", {}, caption) : null));
    const link = (row, label) => make("button", {type: "button", class: "link", onclick: () => open(row)}, label);
    const ancestors = row => {
      const found = [], seen = new Set([row]);
      for (let parent = relative(row, cell(row, "parent_id")); parent && !seen.has(parent) && found.length < 12; parent = relative(parent, cell(parent, "parent_id"))) {
        seen.add(parent);
        found.push(parent);
      }
      return found;
    };
    const scoreText = row => empty(cell(row, "score")) ? "" : `score ${molvae.format(cell(row, "score"), {kind: "number", digits: 3})}`;
    const open = row => {
      opened = row;
      const isSelected = () => table.getSelectedData().includes(row);
      const selector = make("button", {type: "button", class: "button"}, isSelected() ? "Deselect" : "Select");
      selector.addEventListener("click", () => { table.getRow(row.row).toggleSelect(); selector.textContent = isSelected() ? "Deselect" : "Select"; });
      const body = make("div", {class: "body"});
      const smiles = smilesOf(row);
      if (!empty(smiles)) body.append(
        molvae.drawInto(make("div", {class: "big"}), smiles, 400, 250, styleOf(row)),
        make("p", {class: "smiles"}, smiles));
      const used = new Set(["candidate_id", "smiles", "score", "parent_id", "parent_smiles", "mate_id", "mate_smiles", "nearest_reference",
        "nearest_reference_smiles", "nearest_reference_similarity", "reason", "failed_checks", "passed"]);
      if ("passed" in at) body.append(cell(row, "passed")
        ? make("p", {class: "ok"}, "passed every check")
        : make("p", {class: "why"}, cell(row, "reason") || cell(row, "failed_checks") || "failed a check"));
      if (!empty(cell(row, "unscored_reason"))) body.append(make("p", {class: "why"}, cell(row, "unscored_reason")));
      if (data.marks?.[row.row]?.length) body.append(make("p", {class: "sub"}, "The atoms of its structural alerts are marked."));
      const terms = columns.filter(column => /^score_/.test(column.name)).map(column => column.name.slice(6));
      if (terms.length) {
        const lines = make("tbody");
        for (const term of terms) {
          const value = cell(row, `value_${term}`), score = cell(row, `score_${term}`);
          used.add(`value_${term}`); used.add(`score_${term}`);
          const column = columns[at[`value_${term}`]];
          const bar = document.createElementNS("http://www.w3.org/2000/svg", "svg");
          for (const [key, setting] of [["class", "bar"], ["viewBox", "0 0 100 8"], ["preserveAspectRatio", "none"], ["aria-hidden", "true"]]) bar.setAttribute(key, setting);
          const filled = document.createElementNS(bar.namespaceURI, "rect");
          filled.setAttribute("width", String(100 * Math.min(Math.max(score ?? 0, 0), 1)));
          filled.setAttribute("height", "8");
          bar.append(filled);
          lines.append(make("tr", {}, make("th", {scope: "row"}, column ? column.title.replace(/, [^,]*$/, "") : term.replaceAll("_", " ")),
            make("td", {class: "v"}, column ? molvae.format(value, column) + (column.unit ? ` ${column.unit}` : "") : ""),
            make("td", {class: "v"}, molvae.format(score, {kind: "number", digits: 2})), make("td", {class: "b"}, bar)));
        }
        body.append(make("h3", {}, "Score"), make("table", {class: "bars"},
          make("thead", {}, make("tr", {}, ...["term", "value", "desirability", ""].map((head, i) => make("th", {scope: "col", class: i === 1 || i === 2 ? "v" : ""}, head)))), lines));
      }
      const line = ancestors(row);
      const parents = [["parent", "parent"], ["mate", "second parent"]].map(([key, label]) => {
        const id = cell(row, `${key}_id`), known = relative(row, id);
        const drawn = cell(row, `${key}_smiles`) ?? (known ? smilesOf(known) : null);
        if (empty(id) && empty(drawn)) return null;
        if (empty(drawn)) return make("figure", {}, make("figcaption", {}, `${label} ${id}`));
        return figure(drawn, known ? link(known, `${label} ${id}`) : `${label} ${id ?? ""}`, known ? scoreText(known) : "");
      }).filter(Boolean);
      const made = [];
      if (!empty(cell(row, "round"))) made.push(`round ${cell(row, "round")}`);
      if (!empty(cell(row, "move"))) made.push(`move ${cell(row, "move")}`);
      if (cell(row, "is_start")) made.push("a start molecule");
      if (made.length || parents.length) {
        used.add("round"); used.add("move"); used.add("is_start");
        body.append(make("h3", {}, "Origin"), made.length ? make("p", {class: "sub"}, made.join(", ")) : "", make("div", {class: "lineage"}, ...parents));
        if (line.length > 1) body.append(make("details", {}, make("summary", {}, `Lineage (${line.length})`),
          make("div", {class: "lineage"}, ...line.map(one => figure(smilesOf(one), link(one, titleOf(one)), [scoreText(one), empty(cell(one, "move")) ? "" : cell(one, "move")].filter(Boolean).join(", "))))));
      }
      if (!empty(cell(row, "nearest_reference_smiles"))) body.append(make("h3", {}, "Nearest reference molecule"), make("div", {class: "lineage"},
        figure(cell(row, "nearest_reference_smiles"), String(cell(row, "nearest_reference") ?? ""), `similarity ${molvae.format(cell(row, "nearest_reference_similarity"), {kind: "number", digits: 2})}`)));
      else { used.delete("nearest_reference"); used.delete("nearest_reference_similarity"); }
      const others = columns.map((column, index) => [column, row[field(index)]]).filter(([column, value]) => !used.has(column.name) && !empty(value));
      if (others.length) {
        const list = make("dl");
        for (const [column, value] of others) list.append(make("dt", {title: column.hint || null}, column.title), make("dd", {class: column.smiles ? "smiles" : ""}, molvae.format(value, column) + (column.unit && !column.title.includes(",") ? ` ${column.unit}` : "")));
        body.append(make("h3", {}, "Values"), list);
      }
      dialog.replaceChildren(
        make("div", {class: "bar-top"}, make("h2", {id: "details-title"}, titleOf(row)), make("span", {class: "sub-score"}, scoreText(row)),
          selector,
          make("button", {type: "button", class: "button", "aria-label": "previous row", onclick: () => step(-1)}, "‹"),
          make("button", {type: "button", class: "button", "aria-label": "next row", onclick: () => step(1)}, "›"),
          make("button", {type: "button", class: "button close", "aria-label": "close", onclick: () => dialog.close()}, "×")),
        body);
      if (!dialog.open) dialog.showModal();
      dialog.scrollTop = 0;
      dialog.querySelector(".close").focus();
    };
    handle.open = open;
    return handle;
  };

  /* A page that holds only a grid. */
  const page = document.querySelector("[data-grid]");
  if (page) molvae.data.then(data => {
    const handle = molvae.grid(page, data);
    handle.ready = () => { document.documentElement.dataset.ready = "true"; };
  });
})();
