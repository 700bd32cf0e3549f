/**
 * Checks options. Each error names the option, what it must be and what it was.
 *
 * @module
 */

/** Checks the value of an option and returns the one to use. Messages call the option `name`. */
export type Check<Value> = (name: string, value: unknown) => Value;

/** One check for each option. A table with a missing or an unknown option does not compile. */
export type OptionTable<Options extends object> = Readonly<Record<keyof Options, Check<unknown>>>;

/** The same for a table that is exported: it declares what each check returns. */
export type Checks<Read extends object> = { readonly [Name in keyof Read]: Check<Read[Name]> };

/** Options that are read without defaults. Each is present, and may be `undefined`. */
export type Given<Options extends object> = { readonly [Name in keyof Required<Options>]: Options[Name] };

/** The options that a table reads, with their defaults. */
export type Checked<Table extends Readonly<Record<string, Check<unknown>>>> = {
  readonly [Name in keyof Table]: ReturnType<Table[Name]>;
};

/**
 * Reads options by a table of checks. It refuses names that the table does not have. A misspelled limit would otherwise
 * silently not be set, and no compiler checks a configuration that comes from a file.
 *
 * @param what What messages call the options as a whole.
 * @param given The options.
 * @param table The checks.
 * @param prefix A prefix for the names in messages.
 * @returns The checked options, with their defaults.
 * @throws {TypeError} `given` is not an object, or it has an unknown name. The message lists the known names.
 * @throws {unknown} What a check throws.
 */
export function readOptions<Table extends Readonly<Record<string, Check<unknown>>>>(
  what: string,
  given: object,
  table: Table,
  prefix: string = "",
): Checked<Table> {
  if (typeof given !== "object" || given === null || Array.isArray(given)) {
    throw new TypeError(`${what} must be an object, not ${show(given)}`);
  }
  const values = given as Readonly<Record<string, unknown>>;
  for (const name of Object.keys(values)) {
    if (Object.hasOwn(table, name) || values[name] === undefined) continue;
    const known = Object.keys(table).sort();
    const meant = known.filter((one) => isLike(name, one));
    const hint = meant.length === 1 ? `; did you mean "${meant[0]}"?` : "";
    throw new TypeError(`Unknown option "${name}": ${what} has ${known.join(", ")}${hint}`);
  }
  const read: Record<string, unknown> = {};
  for (const name of Object.keys(table)) read[name] = table[name](prefix + name, values[name]);
  return read as Checked<Table>;
}

/**
 * Returns whether a name is likely meant to be a known one: its beginning, such as `host` for `hostname`, the same in
 * other notation, such as `max_connections`, or the same with up to two letters left out.
 */
function isLike(name: string, known: string): boolean {
  const [given, right] = [name, known].map((one) => one.replaceAll(/[_-]/g, "").toLowerCase());
  if (given.length < 3) return false;
  if (right.startsWith(given)) return true;
  let found = 0;
  for (const letter of right) if (letter === given[found]) found++;
  return found === given.length && right.length - given.length <= 2;
}

/** Returns the check of an option that may be left out. `fallback` is its default. */
export function optional<Value>(check: Check<Value>): Check<Value | undefined>;
export function optional<Value>(check: Check<Value>, fallback: Value): Check<Value>;
export function optional<Value>(check: Check<Value>, fallback?: Value): Check<Value | undefined> {
  return (name, value) => value === undefined ? fallback : check(name, value);
}

/** Returns the check of a whole number. */
export function whole(least: number, most?: number): Check<number> {
  return (name, value) => wholeNumber(name, value, least, most);
}

/** Returns the check of a whole number or `Infinity`, which means no limit. */
export function wholeOrInfinity(least: number): Check<number> {
  return (name, value) => value === Infinity ? value : wholeNumber(name, value, least);
}

/** Returns the check of one of several words. */
export function oneOf<const Word extends string>(...words: readonly Word[]): Check<Word> {
  return (name, value) => {
    if (words.includes(value as Word)) return value as Word;
    const right = `${name} must be ${words.slice(0, -1).join(", ")} or ${words.at(-1)}, not ${show(value)}`;
    throw typeof value === "string" ? new RangeError(right) : new TypeError(right);
  };
}

/** Returns the check of an option that takes any value, or is checked elsewhere. */
export function unchecked<Value>(): Check<Value> {
  return (_name, value) => value as Value;
}

/** Checks a boolean and returns it. */
export function checkBoolean(name: string, value: unknown): boolean {
  if (typeof value === "boolean") return value;
  throw new TypeError(`${name} must be a boolean, not ${show(value)}`);
}

/** Checks a function and returns it. */
export function checkFunction<Function>(name: string, value: Function): Function {
  if (typeof value === "function") return value;
  throw new TypeError(`${name} must be a function, not ${show(value)}`);
}

/** Checks a whole number and returns it. The default of `most` is what a signed 32-bit timer or size can hold. */
export function wholeNumber(name: string, value: unknown, least: number, most: number = 0x7fffffff): number {
  if (typeof value !== "number") throw new TypeError(`${name} must be a number, not ${show(value)}`);
  if (Number.isInteger(value) && value >= least && value <= most) return value;
  throw new RangeError(`${name} must be a whole number from ${least} to ${most}, not ${value}`);
}

/** Checks a string that must not be empty and returns it. */
export function nonEmpty(name: string, value: unknown): string {
  if (typeof value === "string" && value !== "") return value;
  throw new TypeError(`${name} must be a non-empty string, not ${show(value)}`);
}

/** Returns a short text for a wrong value in a message. Never throws. */
export function show(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(value.slice(0, 100));
  if (typeof value === "number" || typeof value === "boolean") return String(value);
  return value === null
    ? "null"
    : Array.isArray(value)
    ? "an array"
    : value === undefined
    ? "undefined"
    : `of type ${typeof value}`;
}
