// Filters for the index of requirements. They read the cells of its table; what is chosen stands in the
// address behind #, so that a choice can be linked.
(() => {
  const table = document.querySelector(".requirements table");
  if (!table) return;
  const rows = [...table.tBodies[0].rows].map(row => ({
    row,
    id: row.cells[0].textContent.trim(),
    role: row.cells[2].textContent.trim(),
    since: row.cells[3].textContent.trim(),
    level: row.cells[4].textContent.trim(),
    text: row.textContent.toLowerCase(),
  }));
  const area = it => it.id.replace(/-\d+$/, "");
  const each = read => [...new Set(rows.map(read))];
  const phases = each(it => it.since).sort((one, other) => one - other);
  const fields = {
    role: {
      label: "Role",
      options: [["relay", "relay"], ["client", "client"]],
      fits: (it, role) => it.role.split(" and ").includes(role),
    },
    phase: {
      label: "Phase",
      options: [
        ...phases.map(phase => [phase, `holds in ${phase}`]),
        ...phases.map(phase => [`new-${phase}`, `new in ${phase}`]),
      ],
      fits: (it, phase) => phase.startsWith("new-") ? phase === `new-${it.since}` : +it.since <= +phase,
    },
    level: {
      label: "Level",
      options: each(it => it.level).map(level => [level, level]),
      fits: (it, level) => it.level === level,
    },
    area: {
      label: "Area",
      options: each(area).map(name => [name, name]),
      fits: (it, name) => area(it) === name,
    },
    text: {
      label: "Text",
      fits: (it, text) => text.toLowerCase().split(/\s+/).every(word => it.text.includes(word)),
    },
  };

  const form = document.createElement("form");
  form.className = "requirements-filter";
  form.setAttribute("role", "search");
  form.setAttribute("aria-label", "Requirements");
  for (const [name, field] of Object.entries(fields)) {
    const place = form.appendChild(document.createElement("div"));
    const label = place.appendChild(document.createElement("label"));
    label.textContent = field.label;
    field.input = place.appendChild(document.createElement(field.options ? "select" : "input"));
    field.input.name = name;
    label.htmlFor = field.input.id = `requirements-${name}`;
    if (field.options) {
      field.input.append(new Option("all", ""), ...field.options.map(([value, said]) => new Option(said, value)));
    } else {
      field.input.type = "search";
    }
  }
  const reset = form.appendChild(document.createElement("button"));
  reset.type = "reset";
  reset.textContent = "Show all";
  const count = document.createElement("p");
  count.setAttribute("role", "status");
  count.className = "requirements-count";
  document.querySelector(".requirements").before(form, count);

  const chosen = () => Object.entries(fields)
    .map(([name, field]) => [name, field.input.value.trim()])
    .filter(([, value]) => value);

  function show() {
    const wanted = chosen();
    let shown = 0;
    for (const it of rows) {
      it.row.hidden = !wanted.every(([name, value]) => fields[name].fits(it, value));
      shown += !it.row.hidden;
    }
    count.textContent = `${shown} of ${rows.length} requirements`;
  }

  function keep() {
    const state = new URLSearchParams(chosen()).toString();
    history.replaceState(null, "", state ? `#${state}` : location.pathname + location.search);
    show();
  }

  function read() {
    const state = new URLSearchParams(location.hash.slice(1));
    for (const [name, field] of Object.entries(fields)) {
      const value = state.get(name) ?? "";
      field.input.value = value;
      if (field.input.value !== value) field.input.value = ""; // no such choice
    }
    show();
  }

  form.addEventListener("input", keep);
  form.addEventListener("submit", event => event.preventDefault());
  form.addEventListener("reset", () => setTimeout(keep));
  addEventListener("hashchange", read);
  read();
})();
