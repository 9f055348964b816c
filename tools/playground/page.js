// The page of the playground: a text, the verdict as it is typed, and an address that holds the message.
//
// Rules of this file: nothing is asked of anybody, what a message says is shown as text and never as markup,
// and every state can be reached by the keyboard.

import { Malformed, position } from "./strict_json.js";
import { LONG, VIEWS, examples, judge, phases, since } from "./verdict.js";

const PAUSE = 150; // milliseconds of silence after which a text is judged
const PREFIX = "#json=";
const LONGEST_ADDRESS = 32_768; // a longer address is cut by some programs
const MOST = 20; // faults that are listed
const SAYS = { emit: "could be sent by", accept: "is accepted by" };

function element(name, content = [], attributes = {}) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...(Array.isArray(content) ? content : [content]));
  return made;
}

/** Return phases as a person says them: "phases 0 to 3 and 7", "phase 7", "no phase". */
export function spoken(which) {
  const runs = [];
  for (const [index, phase] of phases.entries()) {
    if (!which.includes(phase)) continue;
    if (runs.at(-1)?.last === index - 1) runs.at(-1).last = index;
    else runs.push({ first: index, last: index });
  }
  if (runs.length === 0) return "no phase";
  const words = runs.map(({ first, last }) => (first === last ? phases[first] : `${phases[first]} to ${phases[last]}`));
  return `phase${which.length === 1 ? "" : "s"} ${words.join(" and ")}`;
}

function fits(verdicts, view) {
  return verdicts.filter((one) => one.view === view && one.faults.length === 0).map((one) => one.phase);
}

/** Return the faults of all phases, each once, with the phases that find it in what is sent and in what is taken. */
function gathered(verdicts) {
  const found = new Map();
  for (const { phase, view, faults } of verdicts) {
    for (const { pointer, text, rule } of faults) {
      const key = JSON.stringify([pointer, text]);
      if (!found.has(key)) found.set(key, { pointer, text, emit: [], accept: [], rules: new Set() });
      found.get(key)[view].push(phase);
      found.get(key).rules.add(rule);
    }
  }
  return [...found.values()];
}

class Playground {
  constructor(room) {
    this.text = room.querySelector("textarea");
    this.choice = room.querySelector("select");
    this.summary = room.querySelector("[role=status]");
    this.verdict = room.querySelector(".verdict");
    this.link = room.querySelector("a.permalink");
    this.rules = new Map([...document.querySelectorAll("a")].map((one) => [one.textContent, one.href]));
    this.waiting = null;
    this.offer();
    this.lead();
    this.text.addEventListener("input", () => this.later());
    this.choice.addEventListener("change", () => this.load(this.choice.value));
    room.querySelector("button.arrange").addEventListener("click", () => this.arrange());
    addEventListener("hashchange", () => this.follow());
    room.hidden = false;
    if (!this.follow()) this.load(this.choice.value);
  }

  offer() {
    for (const [message, those] of Object.entries(examples)) {
      const options = those.map(({ name, kind }) => {
        const sign = { valid: "✓", accept: "◐", invalid: "✗" }[kind];
        return element("option", `${sign} ${message}: ${name}`, { value: `${message}.${name}` });
      });
      this.choice.append(element("optgroup", options, { label: message }));
    }
  }

  /** Let the list of examples lead here; its places would otherwise be where the browser scrolls to. */
  lead() {
    for (const place of document.querySelectorAll("a[id][data-example]")) {
      place.nextElementSibling.setAttribute("href", `#${place.id}`);
      place.removeAttribute("id");
    }
  }

  /** Show what the address names: an example of the list, or a message that it holds. */
  follow() {
    if (location.hash.startsWith(PREFIX)) {
      let text;
      try {
        text = decodeURIComponent(location.hash.slice(PREFIX.length));
      } catch {
        return false; // an address that was cut
      }
      if (text !== this.text.value) this.put(text, "");
      return true;
    }
    const named = location.hash.slice(1);
    if (!this.find(named)) return false;
    this.load(named);
    this.choice.scrollIntoView({ block: "center" });
    return true;
  }

  find(named) {
    const [message, name] = named.split(".");
    return Object.hasOwn(examples, message) ? examples[message].find((one) => one.name === name) : undefined;
  }

  load(named) {
    const example = this.find(named);
    if (example) this.put(example.text, named);
  }

  put(text, named) {
    this.text.value = text;
    this.choice.value = named;
    this.now();
  }

  later() {
    clearTimeout(this.waiting);
    this.choice.value = "";
    this.waiting = setTimeout(() => this.now(), PAUSE);
  }

  now() {
    clearTimeout(this.waiting);
    const text = this.text.value;
    const address = `${PREFIX}${encodeURIComponent(text.toWellFormed())}`;
    this.link.hidden = address.length > LONGEST_ADDRESS;
    this.link.href = address;
    try {
      this.show(judge(text), text);
    } catch (error) {
      if (!(error instanceof Malformed)) throw error;
      this.refuse(error, text);
    }
  }

  refuse(error, text) {
    const { line, column } = position(text, error.offset);
    this.text.setAttribute("aria-invalid", "true");
    const what = error.rule === "WIRE-4" ? "Malformed" : "Too much";
    this.summary.textContent = `${what}: no phase could send it, and every receiver ignores it.`;
    const place = this.goto(`line ${line}, column ${column}`, [error.offset, error.offset + 1]);
    this.verdict.replaceChildren(element("ul", element("li", [place, `: ${error.message}. `, this.rule(error.rule)])));
  }

  show({ name, verdicts, places }, text) {
    const [sent, taken] = VIEWS.map((view) => fits(verdicts, view));
    const what = Object.hasOwn(since, name ?? "") ? name : "This";
    this.text.setAttribute("aria-invalid", String(taken.length === 0));
    this.summary.textContent = `${what} ${SAYS.emit} ${spoken(sent)}, and ${SAYS.accept} ${spoken(taken)}.`;
    this.verdict.replaceChildren(...this.faults(gathered(verdicts), places, text), this.table(verdicts));
  }

  table(verdicts) {
    const cell = (phase, view) => {
      const good = fits(verdicts, view).includes(phase);
      return element("td", `${good ? "✓ yes" : "✗ no"}`, { class: good ? "yes" : "no" });
    };
    const rows = phases.map((phase) => element("tr",
      [element("th", phase, { scope: "row" }), ...VIEWS.map((view) => cell(phase, view))]));
    const heads = ["phase", "could send it", "accepts it"].map((one) => element("th", one, { scope: "col" }));
    return element("table", [
      element("caption", "What each phase says"),
      element("thead", element("tr", heads)), element("tbody", rows)], { class: "phases" });
  }

  faults(found, places, text) {
    if (found.length === 0) return [];
    const items = found.slice(0, MOST).map(({ pointer, text: said, emit, accept, rules }) => {
      const place = places.get(pointer) ?? places.get(pointer.replace(/\/[^/]*$/, ""));
      const { line } = position(text, place[0]);
      const whose = [emit.length ? `not sent by ${spoken(emit)}` : "", accept.length ? `not accepted by ${spoken(accept)}` : ""];
      const links = [...rules].flatMap((rule, index) => [index ? ", " : " (", this.rule(rule)]);
      return element("li", [
        element("code", pointer || "the whole"), " (", this.goto(`line ${line}`, place), "): ", said, "; ",
        whose.filter(Boolean).join(", "), ...links, ")"]);
    });
    const more = found.length - items.length;
    if (more > 0) items.push(element("li", `${more} more`));
    if (text.length > LONG) items.push(element("li", `Of a text of more than ${LONG} characters not all faults are sought.`));
    return [element("h3", found.length === 1 ? "The fault" : "The faults"), element("ul", items)];
  }

  rule(id) {
    return this.rules.has(id) ? element("a", id, { href: this.rules.get(id) }) : id;
  }

  goto(words, [begin, end]) {
    const button = element("button", words, { type: "button", class: "place" });
    button.addEventListener("click", () => {
      this.text.focus();
      this.text.setSelectionRange(begin, end);
    });
    return button;
  }

  /** Write the text anew with two blanks a level, without touching a digit of it. */
  arrange() {
    try {
      judge(this.text.value);
    } catch (error) {
      if (error instanceof Malformed) return; // what is wrong is told beneath
      throw error;
    }
    this.put(arranged(this.text.value), this.choice.value);
  }
}

/** Return a well-formed text with its tokens as they are: arrays of plain values on a line, the rest indented. */
export function arranged(text) {
  const tokens = text.match(/"(?:[^"\\]|\\.)*"|[[\]{},:]|[^\s[\]{},:"]+/gs);
  const wide = []; // whether what opens here is written over several lines
  for (let index = tokens.length - 1, next = -1; index >= 0; index -= 1) {
    const token = tokens[index];
    if (token === "{") wide[index] = next !== index + 1;
    else if (token === "[") wide[index] = tokens[next] !== "]";
    if ("[]{}".includes(token)) next = index;
  }
  const open = [];
  const line = () => (open.at(-1) ? `\n${"  ".repeat(open.length)}` : "");
  return `${tokens.map((token, index) => {
    if (token === "{" || token === "[") {
      open.push(wide[index]);
      return token + line();
    }
    if (token === "}" || token === "]") return (open.pop() ? `\n${"  ".repeat(open.length)}` : "") + token;
    if (token === ",") return open.at(-1) ? `,${line()}` : ", ";
    return token === ":" ? ": " : token;
  }).join("")}\n`;
}

globalThis.directcall = { judge, position, spoken, arranged, Malformed };
const room = document.getElementById("playground-room");
if (room) room.playground = new Playground(room);
