/**
 * Deep equality as the assertions use it: `NaN` equals `NaN`, `-0` equals `0`, an absent property differs from one that
 * is `undefined`, objects of different classes differ, and cycles are followed once.
 *
 * @module
 */

/**
 * Whether two values are deeply equal.
 *
 * @param actual The first value.
 * @param expected The second value.
 * @returns `true` when they are.
 */
export function equal(actual: unknown, expected: unknown): boolean {
  return compare(actual, expected, new Map());
}

type Seen = Map<object, Set<object>>;

function compare(a: unknown, b: unknown, seen: Seen): boolean {
  if (a === b || (Number.isNaN(a) && Number.isNaN(b))) return true;
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return false;
  if (!sameClass(a, b)) return false;
  if (isBare(a) && isBare(b)) return sameBare(a, b, seen);
  if (a instanceof Date && b instanceof Date) return compare(a.getTime(), b.getTime(), seen);
  if ((a instanceof RegExp && b instanceof RegExp) || (a instanceof URL && b instanceof URL)) {
    return String(a) === String(b);
  }
  if (a instanceof WeakMap || a instanceof WeakSet) {
    throw new TypeError(`Cannot compare ${a instanceof WeakMap ? "WeakMap" : "WeakSet"} instances`);
  }
  if (a instanceof WeakRef && b instanceof WeakRef) return compare(a.deref(), b.deref(), seen);
  if (isBoxed(a) && isBoxed(b) && !compare(a.valueOf(), b.valueOf(), seen)) return false;

  if (wasSeen(a, b, seen)) return true;

  const bytesA = bytesOf(a);
  const bytesB = bytesOf(b);
  if (bytesA && bytesB) return sameBytes(bytesA, bytesB);
  if (ArrayBuffer.isView(a) && ArrayBuffer.isView(b)) return sameItems(a, b, seen);
  if (Array.isArray(a) && Array.isArray(b) && a.length !== b.length) return false;
  if (a instanceof Error && b instanceof Error) {
    if (a.name !== b.name || a.message !== b.message || !compare(a.cause, b.cause, seen)) return false;
  }
  if (a instanceof Map && b instanceof Map && !sameMap(a, b, seen)) return false;
  if (a instanceof Set && b instanceof Set && !sameSet(a, b, seen)) return false;
  return sameProperties(a, b, seen);
}

/** Whether this pair was met before; from now on it was. */
function wasSeen(a: object, b: object, seen: Seen): boolean {
  const partners = seen.get(a);
  if (partners?.has(b)) return true;
  if (partners) partners.add(b);
  else seen.set(a, new Set([b]));
  return false;
}

/** Whether it is an object or array as it is written, with nothing but properties to compare. */
function isBare(value: object): boolean {
  const parent = Object.getPrototypeOf(value);
  return (parent === Array.prototype ? Array.isArray(value) : parent === Object.prototype) &&
    !ArrayBuffer.isView(value) && Object.getOwnPropertySymbols(value).length === 0;
}

/** What {@linkcode sameProperties} finds, at a fraction of its cost: most of what tests compare is bare. */
function sameBare(a: object, b: object, seen: Seen): boolean {
  const keys = Object.keys(a);
  const others = Object.keys(b);
  if (keys.length !== others.length) return false;
  const lists = Array.isArray(a) && Array.isArray(b);
  if (lists && a.length !== b.length) return false;
  // Its last key tells that an array has nothing but items, and all of them.
  const last = lists && a.length > 0 ? `${a.length - 1}` : undefined;
  const full = keys.length === (lists ? a.length : -1) && keys.at(-1) === last && others.at(-1) === last;
  let met = false;
  for (let i = 0; i < keys.length; i++) {
    const key = full ? i : keys[i];
    if (!full && !Object.prototype.propertyIsEnumerable.call(b, key)) return false;
    const left = (a as Record<PropertyKey, unknown>)[key];
    const right = (b as Record<PropertyKey, unknown>)[key];
    if (left === right) continue;
    // A cycle leads through a pair of objects.
    if (!met && typeof left === "object" && typeof right === "object") {
      if (wasSeen(a, b, seen)) return true;
      met = true;
    }
    if (!compare(left, right, seen)) return false;
  }
  return true;
}

function sameClass(a: object, b: object): boolean {
  const classOf = (value: object): unknown => value.constructor ?? Object;
  return classOf(a) === classOf(b);
}

function isBoxed(value: object): boolean {
  return value instanceof Number || value instanceof String || value instanceof Boolean;
}

/** The bytes of what is only bytes, so that large buffers compare fast. */
function bytesOf(value: object): Uint8Array | undefined {
  if (value instanceof ArrayBuffer) return new Uint8Array(value);
  if (typeof SharedArrayBuffer !== "undefined" && value instanceof SharedArrayBuffer) return new Uint8Array(value);
  if (value instanceof Uint8Array) return value;
  if (value instanceof DataView) return new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
  return undefined;
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

function sameItems(a: ArrayBufferView, b: ArrayBufferView, seen: Seen): boolean {
  const left = Array.from(a as unknown as ArrayLike<unknown>);
  const right = Array.from(b as unknown as ArrayLike<unknown>);
  return left.length === right.length && left.every((item, index) => compare(item, right[index], seen));
}

function sameMap(a: Map<unknown, unknown>, b: Map<unknown, unknown>, seen: Seen): boolean {
  if (a.size !== b.size) return false;
  return matchAll(
    [...a],
    [...b],
    ([key, value], [otherKey, otherValue]) => compare(key, otherKey, seen) && compare(value, otherValue, seen),
  );
}

function sameSet(a: Set<unknown>, b: Set<unknown>, seen: Seen): boolean {
  if (a.size !== b.size) return false;
  const missing = [...a].filter((item) => !b.has(item));
  const free = [...b].filter((item) => !a.has(item));
  return matchAll(missing, free, (item, other) => compare(item, other, seen));
}

/** Whether every item finds a partner of its own. Equality is transitive, so the first free match will do. */
function matchAll<T>(items: T[], others: T[], same: (item: T, other: T) => boolean): boolean {
  const free = [...others];
  return items.every((item) => {
    const index = free.findIndex((other) => same(item, other));
    if (index >= 0) free.splice(index, 1);
    return index >= 0;
  });
}

function sameProperties(a: object, b: object, seen: Seen): boolean {
  const keys = enumerableKeys(a);
  if (keys.length !== enumerableKeys(b).length) return false;
  return keys.every((key) =>
    Object.prototype.propertyIsEnumerable.call(b, key) && compare(Reflect.get(a, key), Reflect.get(b, key), seen)
  );
}

function enumerableKeys(value: object): PropertyKey[] {
  return Reflect.ownKeys(value).filter((key) => Object.prototype.propertyIsEnumerable.call(value, key));
}
