// Strict JSON (spec/wire.md, WIRE-4 and WIRE-16): one reading of a text, or none.
//
// JSON.parse hides what the wire refuses: doubled members, lone surrogates, depth, and the digits that a
// double loses. Rules of this file: whatever is wrong is a Malformed with the place where it is; no value
// is read that JSON.parse would read differently, but for the digits, which stay in the text.

export const DEPTH_LIMIT = 64;
export const MEMBER_LIMIT = 16_384;
export const FRAME_LIMIT = 1_048_576;

const NUMBER = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y;
const PLAIN = /[^"\\\u0000-\u001f]*/y;
const ESCAPED = new Map([
  ['"', '"'], ["\\", "\\"], ["/", "/"], ["b", "\b"], ["f", "\f"], ["n", "\n"], ["r", "\r"], ["t", "\t"],
]);
const WORDS = new Map([["true", true], ["false", false], ["null", null]]);
const SHOWN = 40;

/** A text that is no payload by a rule; `offset` is the place, in units of the string. */
export class Malformed extends Error {
  constructor(message, offset, rule = "WIRE-4") {
    super(message);
    this.offset = offset;
    this.rule = rule;
  }
}

/** Return the line and the column of a place, both from 1; a column is a character. */
export function position(text, offset) {
  const before = text.slice(0, offset).split("\n");
  return { line: before.length, column: [...before.at(-1)].length + 1 };
}

/** Return a name as a part of a JSON pointer (RFC 6901). */
export function escaped(name) {
  return String(name).replaceAll("~", "~0").replaceAll("/", "~1");
}

/** Return the value, and the place [begin, end] of every value by its JSON pointer; throws Malformed. */
export function parse(text) {
  const bytes = new TextEncoder().encode(text).length;
  if (bytes > FRAME_LIMIT) {
    throw new Malformed(`the payload has ${bytes} bytes, over the limit of ${FRAME_LIMIT}`, 0, "WIRE-2");
  }
  if (text.startsWith("\ufeff")) throw new Malformed("a byte order mark stands in front", 0);
  return new Reader(text).whole();
}

class Reader {
  constructor(text) {
    this.text = text;
    this.at = 0;
    this.depth = 0;
    this.members = 0;
    this.places = new Map();
  }

  whole() {
    const value = this.value("");
    this.blank();
    if (this.at < this.text.length) this.refuse(`${this.here()} stands behind the value`);
    return { value, places: this.places };
  }

  refuse(message, offset = this.at) {
    throw new Malformed(message, offset);
  }

  here() {
    const character = this.text.codePointAt(this.at);
    return character === undefined ? "the end of the text" : JSON.stringify(String.fromCodePoint(character));
  }

  blank() {
    while (" \t\n\r".includes(this.text[this.at] ?? "none")) this.at += 1;
  }

  value(pointer) {
    this.blank();
    const begin = this.at;
    const value = this.any(pointer);
    this.places.set(pointer, [begin, this.at]);
    return value;
  }

  any(pointer) {
    const first = this.text[this.at];
    if (first === "{") return this.nested(() => this.object(pointer));
    if (first === "[") return this.nested(() => this.array(pointer));
    if (first === '"') return this.string();
    if (first === "-" || (first >= "0" && first <= "9")) return this.number();
    const word = /^[A-Za-z]*/.exec(this.text.slice(this.at, this.at + SHOWN))[0];
    if (!WORDS.has(word)) this.refuse(`a value is missing: here is ${word || this.here()}`);
    this.at += word.length;
    return WORDS.get(word);
  }

  /** Read a member or an entry, if there may be one more. */
  next(pointer) {
    this.members += 1;
    if (this.members > MEMBER_LIMIT) {
      throw new Malformed(`there are more than ${MEMBER_LIMIT} members and entries`, this.at, "WIRE-16");
    }
    return this.value(pointer);
  }

  nested(read) {
    if (this.depth === DEPTH_LIMIT) this.refuse(`more than ${DEPTH_LIMIT} objects and arrays are open at once`);
    this.depth += 1;
    this.at += 1;
    const value = read();
    this.depth -= 1;
    return value;
  }

  object(pointer) {
    const found = Object.create(null); // a member may be called __proto__
    this.blank();
    if (this.taken("}")) return found;
    do {
      this.blank();
      const begin = this.at;
      if (this.text[begin] !== '"') this.refuse(`the name of a member is missing: here is ${this.here()}`);
      const name = this.string();
      if (Object.hasOwn(found, name)) this.refuse(`an object has the member ${JSON.stringify(name)} twice`, begin);
      this.blank();
      if (!this.taken(":")) this.refuse(`a colon is missing behind a name: here is ${this.here()}`);
      found[name] = this.next(`${pointer}/${escaped(name)}`);
    } while (this.another("}"));
    return found;
  }

  array(pointer) {
    const found = [];
    this.blank();
    if (this.taken("]")) return found;
    do found.push(this.next(`${pointer}/${found.length}`));
    while (this.another("]"));
    return found;
  }

  taken(character) {
    const there = this.text[this.at] === character;
    if (there) this.at += 1;
    return there;
  }

  another(end) {
    this.blank();
    if (this.taken(",")) return true;
    if (!this.taken(end)) this.refuse(`a comma or ${end} is missing: here is ${this.here()}`);
    return false;
  }

  number() {
    NUMBER.lastIndex = this.at;
    const found = NUMBER.exec(this.text);
    if (found === null) this.refuse("a minus sign stands without digits");
    const end = NUMBER.lastIndex;
    if (/[0-9.eE+-]/.test(this.text[end] ?? "")) {
      this.refuse(`no number is written like ${/[0-9.eE+-]+/.exec(this.text.slice(this.at, this.at + SHOWN))[0]}`);
    }
    const value = Number(found[0]);
    if (!Number.isFinite(value)) this.refuse(`the number ${found[0].slice(0, SHOWN)} is outside the range of a double`);
    this.at = end;
    return value;
  }

  string() {
    const begin = this.at;
    const pieces = [];
    this.at += 1;
    for (;;) {
      PLAIN.lastIndex = this.at;
      pieces.push(PLAIN.exec(this.text)[0]);
      this.at = PLAIN.lastIndex;
      if (this.taken('"')) break;
      if (this.at >= this.text.length) this.refuse("a string does not end", begin);
      if (!this.taken("\\")) this.refuse(`a string has ${this.here()}, which has to be escaped`);
      pieces.push(this.escape());
    }
    const value = pieces.join("");
    if (!value.isWellFormed()) this.refuse(`${JSON.stringify(value).slice(0, SHOWN)} has a lone surrogate`, begin);
    return value;
  }

  escape() {
    const character = this.text[this.at];
    if (character === "u") {
      const digits = this.text.slice(this.at + 1, this.at + 5);
      if (!/^[0-9a-fA-F]{4}$/.test(digits)) this.refuse("\\u is not followed by four hexadecimal digits");
      this.at += 5;
      return String.fromCharCode(Number.parseInt(digits, 16));
    }
    if (!ESCAPED.has(character)) this.refuse(`no escape is written \\${character ?? ""}`);
    this.at += 1;
    return ESCAPED.get(character);
  }
}
