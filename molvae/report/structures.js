"use strict";
/* Structures drawn by RDKit in the browser (WebAssembly): drawings, substructures, similarities, mol blocks. */
const molvae = {};
(() => {
  const unpack = async id => {
    const text = document.getElementById(id).textContent.trim();
    const bytes = Uint8Array.from(atob(text), letter => letter.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    return new Uint8Array(await new Response(stream).arrayBuffer());
  };
  molvae.data = unpack("data").then(bytes => JSON.parse(new TextDecoder().decode(bytes)));

  let rdkit = null;
  const quiet = () => {};
  let fail = quiet;
  const failed = new Promise((_, reject) => { fail = reject; });
  molvae.rdkit = document.getElementById("rdkit")
    ? Promise.race([failed, unpack("rdkit").then(bytes => initRDKitModule({
        instantiateWasm: (imports, done) => { WebAssembly.instantiate(bytes, imports).then(result => done(result.instance, result.module), fail); },
        print: quiet, printErr: quiet,
      })).then(module => rdkit = module)])
    : Promise.reject(new Error("no structures"));
  molvae.rdkit.catch(quiet);

  /* Runs `use` with the molecule and frees it; null if the SMILES is invalid. */
  const withMol = (smiles, use, make = text => rdkit.get_mol(text)) => {
    let mol = null;
    try {
      mol = make(smiles);
      return mol && mol.is_valid() ? use(mol) : null;
    } catch { return null; } finally { mol?.delete(); }
  };
  molvae.withMol = withMol;

  /* Seven colors that distinguish the classes of elements; the stylesheet sets the visible ones. */
  const COLORS = {C: [0, 0, 0], N: [0, 0, 1], O: [1, 0, 0], S: [1, 1, 0], P: [1, 0, 1], X: [0, 1, 0], Z: [0, 1, 1]};
  const NUMBERS = {C: [1, 6], N: [7], O: [8], S: [16], P: [15], X: [9, 17, 35, 53], Z: [-1]};
  const hex = color => "#" + color.map(part => (part ? "FF" : "00")).join("");
  const NAMES = Object.fromEntries(Object.entries(COLORS).map(([name, color]) => [hex(color), name]));
  const palette = Object.fromEntries(Object.entries(NUMBERS).flatMap(([name, all]) => all.map(one => [one, COLORS[name]])));

  /* Only numbers, path commands and known classes are copied from the drawing. */
  const compact = (svg, width, height, label) => {
    const frame = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    frame.setAttribute("class", "mol");
    frame.setAttribute("viewBox", `0 0 ${width} ${height}`);
    frame.setAttribute("role", "img");
    frame.setAttribute("aria-label", label);
    for (const [, tag, attributes] of svg.matchAll(/<(path|ellipse|rect|text)\s([^>]*?)\/?>/g)) {
      if (tag === "rect" || tag === "text") continue;
      const color = /(?:stroke|fill)[:=]'?(#[0-9A-F]{6})/g;
      const found = [...attributes.matchAll(color)].map(match => match[1]);
      const name = found.map(one => NAMES[one]).find(Boolean) ?? (found.length ? "mark" : "C");
      const isLine = /fill:none/.test(attributes);
      const part = document.createElementNS(frame.namespaceURI, tag);
      part.setAttribute("class", name === "mark" ? "mark" : `e${name}${isLine ? "" : " w"}`);
      for (const key of ["d", "cx", "cy", "rx", "ry"]) {
        const value = attributes.match(new RegExp(`\\b${key}='([MLQCZAHVmlqczahv\\d.,\\se-]+)'`));
        if (value) part.setAttribute(key, value[1]);
      }
      if (name === "mark" && isLine) part.setAttribute("class", "mark line");
      frame.append(part);
    }
    return frame;
  };

  const matched = (mol, query) => {
    const found = JSON.parse(mol.get_substruct_matches(query));
    return {atoms: [...new Set(found.flatMap(one => one.atoms))], bonds: [...new Set(found.flatMap(one => one.bonds))]};
  };

  /* A query from SMILES or SMARTS; text with brackets is SMARTS first. */
  molvae.query = text => {
    const attempts = [one => rdkit.get_mol(one), one => rdkit.get_qmol(one)];
    if (text.includes("[")) attempts.reverse();
    for (const attempt of attempts) {
      try {
        const mol = attempt(text);
        if (mol?.is_valid()) return mol;
        mol?.delete();
      } catch { /* the next attempt */ }
    }
    return null;
  };
  molvae.matches = (smiles, query) => withMol(smiles, mol => mol.get_substruct_match(query) !== "{}") ?? false;

  const prints = new Map();
  const print = smiles => {
    if (!prints.has(smiles))
      prints.set(smiles, withMol(smiles, mol => mol.get_morgan_fp_as_uint8array(JSON.stringify({radius: 2, nBits: 2048}))));
    return prints.get(smiles);
  };
  const ones = Uint8Array.from({length: 256}, (_, byte) => byte.toString(2).replaceAll("0", "").length);
  molvae.similarity = (one, other) => {
    const a = print(one), b = print(other);
    if (!a || !b) return null;
    let both = 0, any = 0;
    for (let i = 0; i < a.length; i++) { both += ones[a[i] & b[i]]; any += ones[a[i] | b[i]]; }
    return any ? both / any : null;
  };

  const common = new Map();
  const shared = (lead, smiles) => {
    if (!common.has(smiles)) {
      const list = new rdkit.MolList();
      const smarts = withMol(lead, a => withMol(smiles, b => {
        list.append(a); list.append(b);
        return rdkit.get_mcs_as_smarts(list, JSON.stringify({Timeout: 1, RingMatchesRingOnly: true, CompleteRingsOnly: true}));
      }));
      list.delete();
      common.set(smiles, smarts ?? "");
    }
    return common.get(smiles);
  };

  /* An SVG element. options: atoms (to mark), query (marks its matches), lead (aligned with it; the shared part is marked). */
  molvae.draw = (smiles, width, height, options = {}) => withMol(smiles, mol => {
    let marks = {atoms: options.atoms ?? [], bonds: []};
    if (options.lead && options.lead !== smiles) {
      const smarts = shared(options.lead, smiles);
      if (smarts) withMol(options.lead, lead => {
        lead.set_new_coords();
        lead.normalize_depiction(1);
        mol.generate_aligned_coords(lead, JSON.stringify({referenceSmarts: smarts, acceptFailure: true}));
        if (!marks.atoms.length && !options.query)
          withMol(smarts, query => {
            const first = JSON.parse(mol.get_substruct_match(query));
            marks = {atoms: first.atoms ?? [], bonds: first.bonds ?? []};
          }, text => rdkit.get_qmol(text));
      });
    }
    if (options.query) marks = matched(mol, options.query);
    const details = {width, height, clearBackground: false, padding: 0.06, fixedBondLength: 26, addChiralHydrogens: false,
      atomColourPalette: palette, highlightColour: [1, 0.8, 0.4], ...marks};
    return compact(mol.get_svg_with_highlights(JSON.stringify(details)), width, height, `Structure of ${smiles}`);
  });

  molvae.molBlock = smiles => withMol(smiles, mol => { mol.set_new_coords(); return mol.get_molblock(); });

  /* Draws into elements one after another, so that the page stays responsive; elements that left the page are skipped. */
  const waiting = [];
  let isRunning = false;
  const work = () => {
    const end = performance.now() + 12;
    while (waiting.length && performance.now() < end) {
      const {element, arguments: given} = waiting.pop();
      if (!element.isConnected) continue;
      const drawing = molvae.draw(...given);
      element.replaceChildren(...(drawing ? [drawing] : []));
      if (!drawing) element.textContent = "no structure";
      element.classList.remove("pending");
    }
    if (waiting.length) requestAnimationFrame(work); else isRunning = false;
  };
  molvae.drawInto = (element, smiles, width, height, options) => {
    element.classList.add("structure", "pending");
    molvae.rdkit.then(() => {
      waiting.push({element, arguments: [smiles, width, height, options]});
      if (!isRunning) { isRunning = true; requestAnimationFrame(work); }
    }, () => { element.textContent = smiles; element.classList.remove("pending"); });
    return element;
  };

  /* An element with attributes and children; text is never parsed as HTML. */
  molvae.make = (tag, attributes = {}, ...children) => {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes))
      if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
      else if (value === true) element.setAttribute(name, "");
      else if (value !== false && value != null) element.setAttribute(name, value);
    element.append(...children.filter(child => child != null));
    return element;
  };
})();
