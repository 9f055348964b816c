// Verdict: what each phase says of a message, with the exact faults (WIRE-4 to WIRE-6, WIRE-10, WIRE-15).
//
// A message is judged by its name: its body against the definition of that name in a view, so that a fault
// is one of this message and not of all that it might have been. Rules of this file: the views decide, and
// what they cannot say of the text (how an integer is written, digits that a double loses) is said here.
// tools/site/faults.py words the same faults for the pages; a test compares the two.

/*! The validator is @cfworker/json-schema, copyright Jeremy Danyow, MIT License. */
import { Validator } from "@cfworker/json-schema";
import { escaped, parse } from "./strict_json.js";
import data from "./data.json";

export const VIEWS = ["emit", "accept"];
export const { phases, since, examples } = data;
export const LONG = 16_384; // of a longer text not all faults are sought: a million of them help nobody
const SHOWN = 60;
const AROUND = new Set(["$ref", "properties", "items", "anyOf", "additionalProperties"]);
const INTEGER = /^(?:0|-?[1-9][0-9]*)$/;
const NOUNS = {
  string: "a string", number: "a number", integer: "an integer", boolean: "true or false",
  array: "an array", object: "an object", null: "null",
};
const made = new Map(); // validators, as many as there are different definitions
const led = new Map();

/** Return { name, verdicts: [{ phase, view, faults }], places }; throws Malformed. */
export function judge(text) {
  const read = parse(text);
  const message = opened(read.value);
  const known = new Map(); // phases with the same definitions find the same
  const verdicts = phases.flatMap((phase) => VIEWS.map((view) => {
    const key = `${view} ${closure(message.name, data.views[view][phase])}`;
    if (!known.has(key)) known.set(key, faults(message, read, text, phase, view));
    return { phase, view, faults: known.get(key) };
  }));
  return { name: message.name, verdicts, places: read.places };
}

function opened(value) {
  if (typeof value === "string") return { name: value, body: value, bare: true };
  const names = value !== null && typeof value === "object" && !Array.isArray(value) ? Object.keys(value) : [];
  return names.length === 1 ? { name: names[0], body: value[names[0]], bare: false } : { name: null };
}

function faults(message, read, text, phase, view) {
  const refused = view === "emit" ? "WIRE-10" : "WIRE-5";
  const shown = shower(read, text);
  if (message.name === null) {
    return [{ pointer: "", text: `${shown("", read.value)} is neither an object of one member nor a string`, rule: refused }];
  }
  const definitions = data.views[view][phase];
  if (!Object.hasOwn(definitions, message.name) || !Object.hasOwn(since, message.name)) {
    return [{ pointer: "", text: unknown(message.name), rule: view === "emit" ? "WIRE-10" : "WIRE-6" }];
  }
  const { name, body, bare } = message;
  if ("const" in data.bodies[definitions[name]]) {
    if (bare) return [];
    return [{ pointer: `/${name}`, text: `${name} has no members and is written as a string`, rule: "WIRE-15" }];
  }
  if (bare) return [{ pointer: `/${name}`, text: `${name} has members and is written as an object`, rule: refused }];
  return ofBody(name, body, definitions, { read, text, shown, refused });
}

function unknown(name) {
  if (Object.hasOwn(since, name)) return `${name} exists since phase ${since[name]}`;
  return `no message is called ${JSON.stringify(name).slice(0, SHOWN)}`;
}

/** Return what shows a value: as it is written, when it is short, and never a whole payload. */
function shower(read, text) {
  return (pointer, value) => {
    if (Array.isArray(value)) return `an array of ${value.length}`;
    if (value !== null && typeof value === "object") return `an object of ${Object.keys(value).length}`;
    const place = read.places.get(pointer);
    const written = typeof value === "string" ? JSON.stringify(value) : text.slice(...place);
    return written.length > SHOWN ? `${written.slice(0, SHOWN)}…` : written;
  };
}

function ofBody(name, body, definitions, { read, text, shown, refused }) {
  const once = text.length > LONG;
  const { root, validator } = prepared(name, definitions, once);
  const found = new Map();
  const add = (place, keyword, sentence) => {
    const pointer = `/${name}${place}`;
    found.set(`${pointer} ${sentence}`, { pointer, keyword, text: sentence, rule: refused });
  };
  const result = validator.validate(body);
  const nullable = new Set(result.errors.filter((one) => one.keyword === "anyOf").map((one) => one.instanceLocation));
  for (const error of result.errors) {
    if (AROUND.has(error.keyword)) continue;
    const place = decoded(error.instanceLocation);
    const value = reached(body, place);
    const schema = error.keyword === "false" ? null : definition(root, error.keywordLocation);
    if (schema?.type === "null") continue; // the other half of a value that may be null
    const sentences = worded(error.keyword, schema, value, shown(`/${name}${place}`, value), {
      nullable: nullable.has(error.instanceLocation), place,
    });
    for (const one of sentences) add(one.place ?? place, error.keyword, one.text);
  }
  const source = { root, text, shown: (place, value) => shown(`/${name}${place}`, value), at: (place) => read.places.get(`/${name}${place}`) };
  for (const [place, sentence] of integers(source, root, body, "")) {
    if (once && found.size > 0) break;
    add(place, "integer", sentence);
  }
  return ranked([...found.values()], result.valid, refused, name);
}

/** Keep of the faults of one place the one that says it: a value of another type breaks every rule. */
function ranked(found, valid, refused, name) {
  const broken = new Map(); // the keywords of each place
  for (const { pointer, keyword } of found) {
    if (!broken.has(pointer)) broken.set(pointer, new Set());
    broken.get(pointer).add(keyword);
  }
  const kept = found.filter(({ pointer, keyword }) => {
    const those = broken.get(pointer);
    return keyword === "type" || !(those.has("type") || (keyword === "pattern" && those.has("not")));
  });
  if (!valid && kept.length === 0) return [{ pointer: `/${name}`, text: "the view refuses it", rule: refused }];
  return kept.map(({ pointer, text, rule }) => ({ pointer, text, rule }))
    .sort((one, other) => (one.pointer < other.pointer ? -1 : one.pointer > other.pointer ? 1 : one.text < other.text ? -1 : 1));
}

/** Return what decides about a message in a view: its definition and every type it leads to, by number. */
function closure(name, definitions) {
  if (name === null || !Object.hasOwn(definitions, name)) return "";
  const names = [name];
  for (const one of names) { // grows while it is walked: types lead to types
    for (const other of leads(definitions[one])) if (!names.includes(other)) names.push(other);
  }
  return names.map((one) => `${one}:${definitions[one]}`).join(" ");
}

function leads(number) {
  if (!led.has(number)) {
    led.set(number, [...JSON.stringify(data.bodies[number]).matchAll(/"#\/\$defs\/(\w+)"/g)].map((one) => one[1]));
  }
  return led.get(number);
}

/** Return the definition and its validator; phases with the same definitions share them. */
function prepared(name, definitions, once) {
  const parts = closure(name, definitions);
  const key = `${once} ${parts}`;
  if (!made.has(key)) {
    const $defs = Object.fromEntries(parts.split(" ").map((part) => {
      const [one, number] = part.split(":");
      return [one, structuredClone(data.bodies[number])];
    }));
    const root = { ...structuredClone(data.bodies[definitions[name]]), $defs };
    made.set(key, { root, validator: new Validator(root, "2020-12", once) });
  }
  return made.get(key);
}

function decoded(location) {
  return location.slice(1).split("/").map(decodeURI).join("/");
}

function parts(pointer) {
  return pointer.split("/").slice(1).map((part) => part.replaceAll("~1", "/").replaceAll("~0", "~"));
}

function reached(value, pointer) {
  return parts(pointer).reduce((one, part) => one[part], value);
}

/** Return the schema that a keyword stands in, following each $ref on the way. */
function definition(root, location) {
  return parts(decoded(location)).slice(0, -1).reduce(
    (node, part) => (part === "$ref" ? root.$defs[node.$ref.split("/").at(-1)] : node[part]), root);
}

/** Return the sentences for one broken keyword; that of a missing member is said of the object. */
function worded(keyword, schema, value, shown, { nullable, place }) {
  const limit = schema?.["x-limits"]?.[keyword] ?? schema?.[keyword];
  const count = Array.isArray(value) ? value.length : typeof value === "string" ? [...value].length : null;
  switch (keyword) {
    case "type": return [{ text: `${shown} is not ${NOUNS[limit]}${nullable ? " or null" : ""}` }];
    case "required":
      return limit.filter((name) => !Object.hasOwn(value, name)).map((name) => ({ text: `the member ${name} is missing` }));
    case "false": return [{ place, text: `the phase has no member ${JSON.stringify(parts(place).at(-1))}` }];
    case "enum": return [{ text: `${shown} is none of ${limit.map((one) => JSON.stringify(one)).join(", ")}` }];
    case "pattern": return [{ text: `${shown} does not match ${limit}` }];
    case "not": return [{ text: `${shown} matches ${limit.pattern}, which is not allowed` }];
    case "minimum": return [{ text: `${shown} is under ${limit}` }];
    case "maximum": return [{ text: `${shown} is over ${limit}` }];
    case "minLength": case "maxLength":
      return [{ text: `${count} characters, and ${keyword === "maxLength" ? "at most" : "at least"} ${limit}` }];
    case "minItems": case "maxItems":
      return [{ text: `${count} items, and ${keyword === "maxItems" ? "at most" : "at least"} ${limit}` }];
    case "minProperties": case "maxProperties":
      return [{ text: `${Object.keys(value).length} members, and ${keyword === "maxProperties" ? "at most" : "at least"} ${limit}` }];
    default: return [{ text: `${shown} breaks ${keyword}` }];
  }
}

/** Yield what is wrong with how an integer is written: spec/wire.md, JSON; its limits hold to the last digit. */
function* integers(source, schema, value, place) {
  if ("$ref" in schema) yield* integers(source, source.root.$defs[schema.$ref.split("/").at(-1)], value, place);
  if (schema.type === "integer" && Number.isInteger(value)) yield* integer(source, schema, value, place);
  for (const choice of schema.anyOf ?? []) yield* integers(source, choice, value, place);
  if (Array.isArray(value) && schema.items) {
    for (const [index, one] of value.entries()) yield* integers(source, schema.items, one, `${place}/${index}`);
  } else if (value !== null && typeof value === "object") {
    for (const [name, below] of Object.entries(schema.properties ?? {})) {
      if (Object.hasOwn(value, name)) yield* integers(source, below, value[name], `${place}/${escaped(name)}`);
    }
  }
}

function* integer(source, schema, value, place) {
  const written = source.text.slice(...source.at(place));
  const maximum = schema["x-limits"]?.maximum;
  const shown = source.shown(place, value);
  if (!INTEGER.test(written)) yield [place, `${shown} is not written as an integer`];
  else if (maximum !== undefined && BigInt(written) > BigInt(maximum)) yield [place, `${shown} is over ${maximum}`];
}
