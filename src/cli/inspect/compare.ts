/**
 * Compares what came with what was recorded, and says what is different in words.
 *
 * @module
 */

import { isPeerObject } from "../../base/untrusted.ts";
import { flagNames } from "./header_fields.ts";
import { payloadText } from "./describe.ts";
import { textOf } from "./payload.ts";
import type { SeenFrame, SeenHandshake } from "./seen.ts";

/** Something that is different. */
export interface Difference {
  /** What it is about, such as `reply of type 201, id 1`. */
  readonly item: string;
  /** What is different about it. */
  readonly what: string;
  readonly expected: string;
  readonly got: string;
}

/** Members of handshakes that are new each time, or that this conversation has of its own. */
const FRESH = new Set(["nonce", "id", "key", "credentials", "attempt", "received"]);
/** Metadata that depends on the time. */
const TIMED_META = new Set(["deadline", "traceparent", "tracestate"]);
/** The most characters of a value in a difference. */
const SHOWN = 200;

/** Returns what something is called in a difference. */
export function nameOf(item: SeenFrame | SeenHandshake): string {
  if (item.type === "handshake") return `message ${item.step} of the handshake`;
  const { code, id } = item.fields;
  return code < 200 ? `${item.kind}, id ${id}` : `${item.kind} of type ${code}, id ${id}`;
}

/** Compares two messages of a handshake. */
export function compareHandshakes(recorded: SeenHandshake, live: SeenHandshake): Difference[] {
  return compareJson(recorded.message, live.message, FRESH, "").map((found) => ({ item: nameOf(recorded), ...found }));
}

/** Compares two frames. Their ids and times may differ. */
export function compareFrames(recorded: SeenFrame, live: SeenFrame, ignored: ReadonlySet<string>): Difference[] {
  const item = nameOf(recorded);
  const found: Omit<Difference, "item">[] = [];
  const field = (what: string, expected: string, got: string): void => {
    if (expected !== got) found.push({ what: `the ${what} differs`, expected, got });
  };
  field("protocol", recorded.protocol.name, live.protocol.name);
  field("kind", recorded.kind, live.kind);
  field("type", String(recorded.fields.code), String(live.fields.code));
  // Whether it was worth compressing is no matter of what it says.
  const flags = ({ fields }: SeenFrame): string =>
    flagNames(fields.flags ?? 0).filter((name) => name !== "COMPRESSED" && name !== "META").join(" ");
  field("flags", flags(recorded), flags(live));
  const meta = { ...recorded.payload.meta };
  found.push(...compareJson(meta, { ...live.payload.meta }, new Set([...TIMED_META, ...ignored]), "meta"));
  if (recorded.kind !== "end") found.push(...comparePayloads(recorded, live, ignored));
  return found.map((one) => ({ item, ...one }));
}

function comparePayloads(
  recorded: SeenFrame,
  live: SeenFrame,
  ignored: ReadonlySet<string>,
): Omit<Difference, "item">[] {
  const [expected, got] = [recorded.payload.bytes, live.payload.bytes];
  if (expected.length === got.length && expected.every((byte, i) => byte === got[i])) return [];
  const [before, after] = [textOf(expected), textOf(got)];
  if (before.format === "json" && after.format === "json") {
    return compareJson(before.value, after.value, ignored, "");
  }
  const at = expected.findIndex((byte, i) => byte !== got[i]);
  const where = `the payload differs from byte ${at < 0 ? Math.min(expected.length, got.length) : at} on`;
  return [{ what: where, expected: payloadText(expected, SHOWN), got: payloadText(got, SHOWN) }];
}

function compareJson(
  recorded: unknown,
  live: unknown,
  ignored: ReadonlySet<string>,
  path: string,
): Omit<Difference, "item">[] {
  if (isPeerObject(recorded) && isPeerObject(live)) {
    const names = new Set([...Object.keys(recorded), ...Object.keys(live)]);
    return [...names].filter((name) => !ignored.has(name)).flatMap((name) => {
      const below = path === "" ? name : `${path}.${name}`;
      const value = (object: typeof recorded): unknown => Object.hasOwn(object, name) ? object[name] : undefined;
      return compareJson(value(recorded), value(live), ignored, below);
    });
  }
  if (Array.isArray(recorded) && Array.isArray(live) && recorded.length === live.length) {
    return recorded.flatMap((value, i) => compareJson(value, live[i], ignored, `${path}[${i}]`));
  }
  const [expected, got] = [jsonText(recorded), jsonText(live)];
  return expected === got ? [] : [{ what: `${path === "" ? "the payload" : path} differs`, expected, got }];
}

function jsonText(value: unknown): string {
  if (value === undefined) return "nothing";
  return payloadText(new TextEncoder().encode(JSON.stringify(value)), SHOWN);
}
