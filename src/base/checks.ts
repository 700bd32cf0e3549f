/**
 * Checks of options. Each error names the option, what it must be and what it was.
 *
 * @module
 */

/** The names of a configuration's members. */
export type Names<Config> = Readonly<Record<keyof Config, true>>;

/**
 * Refuses what is no configuration, and members that it does not have: a misspelt limit would silently not be set, and a
 * configuration that comes out of a file is seen by no compiler.
 *
 * @throws {TypeError} The message lists what there is.
 */
export function checkNames<Config extends object>(what: string, config: Config, names: Names<Config>): void {
  if (typeof config !== "object" || config === null || Array.isArray(config)) {
    throw new TypeError(`${what} must be an object, not ${show(config)}`);
  }
  for (const name of Object.keys(config)) {
    if (Object.hasOwn(names, name) || (config as Record<string, unknown>)[name] === undefined) continue;
    throw new TypeError(`Unknown option "${name}": ${what} has ${Object.keys(names).sort().join(", ")}`);
  }
}

/** A function, checked. Returns it. */
export function checkFunction<Function>(name: string, value: Function): Function {
  if (typeof value === "function") return value;
  throw new TypeError(`${name} must be a function, not ${show(value)}`);
}

/** A whole number, checked. The most is what a signed 32-bit timer or size can hold. */
export function wholeNumber(name: string, value: unknown, least: number, most: number = 0x7fffffff): number {
  if (typeof value !== "number") throw new TypeError(`${name} must be a number, not ${show(value)}`);
  if (Number.isInteger(value) && value >= least && value <= most) return value;
  throw new RangeError(`${name} must be a whole number from ${least} to ${most}, not ${value}`);
}

/** A string that is not empty, checked. Returns it. */
export function nonEmpty(name: string, value: unknown): string {
  if (typeof value === "string" && value !== "") return value;
  throw new TypeError(`${name} must be a non-empty string, not ${show(value)}`);
}

/** A wrong value in a message: never thrown at, never long. */
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
