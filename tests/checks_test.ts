import { assertEquals, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import {
  checkBoolean,
  nonEmpty,
  oneOf,
  optional,
  type OptionTable,
  readOptions,
  unchecked,
  whole,
  wholeOrInfinity,
} from "../src/base/checks.ts";

interface Options {
  readonly size?: number;
  readonly name?: string;
  readonly mode?: "slow" | "fast";
  readonly extra?: unknown;
}

const TABLE = {
  size: optional(whole(1, 9), 3),
  name: optional(nonEmpty),
  mode: optional(oneOf("slow", "fast", "faster"), "slow"),
  extra: unchecked<unknown>(),
} satisfies OptionTable<Options>;

describe("readOptions()", () => {
  it("returns every option of the table, checked or by its default, and leaves what it is given alone", () => {
    const defaults = { size: 3, name: undefined, mode: "slow", extra: undefined } as const;
    assertEquals(readOptions("it", {}, TABLE), defaults);
    const given = Object.freeze({ size: 9, name: undefined, extra: null });
    assertEquals(readOptions("it", given, TABLE), { ...defaults, size: 9, extra: null });
  });

  it("reads what an object inherits, as a configuration may be an instance of a class", () => {
    class Config {
      get size(): number {
        return 5;
      }
    }
    assertEquals(readOptions("it", new Config(), TABLE).size, 5);
  });

  it("refuses what is no object, and names that are not in the table", () => {
    for (const [given, shown] of [[null, "null"], [5, "5"], [[], "an array"], [undefined, "undefined"]] as const) {
      const { message } = assertThrows(() => readOptions("it", given as never, TABLE), TypeError);
      assertEquals(message, `it must be an object, not ${shown}`);
    }
    for (const name of ["siez", "toString", "__proto__"]) {
      const given = JSON.parse(`{"${name}":1}`);
      const { message } = assertThrows(() => readOptions("it", given, TABLE), TypeError);
      assertEquals(message, `Unknown option "${name}": it has extra, mode, name, size`);
    }
    readOptions("it", { siez: undefined }, TABLE);
  });

  it("says which option an unknown one is likely meant to be", () => {
    const table = { hostname: optional(nonEmpty), maxConnections: optional(whole(1)), tls: unchecked<unknown>() };
    const cases = { host: "hostname", max_connections: "maxConnections", maxConection: "maxConnections", TLS: "tls" };
    for (const [name, meant] of Object.entries(cases)) {
      const { message } = assertThrows(() => readOptions("it", { [name]: 1 }, table), TypeError);
      assertEquals(message, `Unknown option "${name}": it has hostname, maxConnections, tls; did you mean "${meant}"?`);
    }
    for (const name of ["h", "", "name", "connections", "tsl"]) {
      const { message } = assertThrows(() => readOptions("it", { [name]: 1 }, table), TypeError);
      assertEquals(message, `Unknown option "${name}": it has hostname, maxConnections, tls`);
    }
  });

  it("names a wrong option with the prefix", () => {
    const wrong: [options: object, type: typeof TypeError | typeof RangeError, message: string][] = [
      [{ size: 10 }, RangeError, "it.size must be a whole number from 1 to 9, not 10"],
      [{ size: null }, TypeError, "it.size must be a number, not null"],
      [{ name: "" }, TypeError, 'it.name must be a non-empty string, not ""'],
      [{ mode: "slowest" }, RangeError, 'it.mode must be slow, fast or faster, not "slowest"'],
      [{ mode: 1 }, TypeError, "it.mode must be slow, fast or faster, not 1"],
    ];
    for (const [options, type, message] of wrong) {
      const error = assertThrows(() => readOptions("it", options, TABLE, "it."), type) as Error;
      assertEquals([error.name, error.message], [type.name, message]);
    }
  });

  it("has exact types: a table lacks no option and has none too many, and the result is what its checks return", () => {
    // @ts-expect-error extra is missing
    const short = { size: whole(1), name: nonEmpty, mode: oneOf("slow") } satisfies OptionTable<Options>;
    // @ts-expect-error there is no more
    const long = { ...short, extra: unchecked(), more: whole(1) } satisfies OptionTable<Options>;
    const { size, mode }: { readonly size: number; readonly mode: "slow" } = readOptions("it", {
      size: 1,
      mode: "slow",
    }, {
      ...short,
      name: optional(nonEmpty),
    });
    // @ts-expect-error it may be left out
    const name: string = readOptions("it", {}, TABLE).name;
    assertEquals([size, mode, name, Object.keys(long).length], [1, "slow", undefined, 5]);
  });
});

describe("the checks", () => {
  it("of wholeOrInfinity() take Infinity, and no other number that is not whole", () => {
    const check = wholeOrInfinity(2);
    assertEquals([check("n", 2), check("n", Infinity)], [2, Infinity]);
    for (const value of [1, -Infinity, NaN, 2.5]) assertThrows(() => check("n", value), RangeError, "n must be");
  });

  it("of checkBoolean() take booleans only, and show what came instead", () => {
    assertEquals([checkBoolean("b", true), checkBoolean("b", false)], [true, false]);
    assertThrows(() => checkBoolean("b", "yes"), TypeError, 'b must be a boolean, not "yes"');
  });
});
