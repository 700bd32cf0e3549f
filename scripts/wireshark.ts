/**
 * Writes the tables of the Wireshark dissector, `tools/veltix.lua`, from those of `src/wire`.
 *
 *     deno run -A scripts/wireshark.ts [--check]
 *
 * With `--check` it writes nothing, and the exit code is 1 if the file is not up to date.
 *
 * @module
 */

import { readFileSync, writeFileSync } from "node:fs";
import process from "node:process";
import { FIRST_APPLICATION_CODE, Flag, SystemCode, WIRE_LIMITS } from "../src/wire/frame.ts";
import { type Protocol, protocol } from "../src/wire/protocols.ts";
import { ROOT } from "./runtimes.ts";

/** The file. */
export const DISSECTOR: string = `${ROOT}tools/veltix.lua`;

const BEGIN = "-- BEGIN generated";
const END = "-- END generated";

/** Returns the text of the dissector with tables that are up to date. */
export function upToDate(text: string): string {
  const begin = text.indexOf("\n", text.indexOf(BEGIN)) + 1;
  const end = text.indexOf(END);
  if (begin === 0 || end < begin) throw new Error(`There is no "${BEGIN}" with its "${END}" in ${DISSECTOR}`);
  return text.slice(0, begin) + tables() + text.slice(end);
}

/** A range of releases with the same protocol. */
interface Range {
  readonly from: number;
  to: number;
  readonly framing: string;
}

function tables(): string {
  const framings = new Map<string, { name: string; described: string; size: number }>();
  const ranges: Range[] = [];
  let last: Range | undefined;
  for (const release of releases()) {
    const found = known(release.join("."));
    if (found === undefined) {
      last = undefined;
      continue;
    }
    const described = framing(found);
    if (!framings.has(described)) {
      // A framing is called by the first release that has it.
      framings.set(described, { name: release.join("."), described, size: found.headerSize });
    }
    const { name } = framings.get(described)!;
    const number = (release[0] * 10_000 + release[1]) * 10_000 + release[2];
    if (last?.framing === name) last.to = number;
    else ranges.push(last = { from: number, to: number, framing: name });
  }
  const native = protocol("native");
  // Shorter headers are tried first: a longer one takes more of what follows for granted.
  const order = ["native", ...[...framings.values()].sort((a, b) => a.size - b.size).map(({ name }) => name)];
  const lua = [
    "local FRAMINGS = {",
    `  ["native"] = { name = "native", ${framing(native)} },`,
    ...[...framings.values()].map(({ described, name }) => `  ["${name}"] = { name = "${name}", ${described} },`),
    "}",
    "-- The order in which they are tried where nothing is known.",
    `local ORDER = { ${order.map((name) => JSON.stringify(name)).join(", ")} }`,
    "-- Releases as numbers: 1.6.3 is 100060003.",
    "local RELEASES = {",
    ...ranges.map(({ framing, from, to }) => `  { from = ${from}, to = ${to}, framing = "${framing}" },`),
    "}",
    "-- The framing of releases that name the version of their protocol.",
    `local LATEST = "${ranges.at(-1)!.framing}"`,
    "local CODES = {",
    ...Object.entries(SystemCode).map(([name, code]) => `  [${code}] = "${name}",`),
    "}",
    "local CODE_NUMBERS = {}",
    "for number, name in pairs(CODES) do CODE_NUMBERS[name] = number end",
    "local FLAGS = {",
    ...Object.entries(Flag).map(([name, bit]) =>
      `  { bit = 0x${bit.toString(16).padStart(2, "0")}, name = "${name}" },`
    ),
    "}",
    "local FLAG_BITS = {}",
    "for _, flag in ipairs(FLAGS) do FLAG_BITS[flag.name] = flag.bit end",
    `local FIRST_APPLICATION_CODE = ${FIRST_APPLICATION_CODE}`,
    `local MAX_HELLO = ${WIRE_LIMITS.maxHello}`,
    `local MAX_HANDSHAKE = ${WIRE_LIMITS.maxHandshakeRequest}`,
    "-- A program may allow larger messages. What seems larger than this is taken for damage.",
    `local MAX_MESSAGE_SIZE = ${64 * 1024 * 1024}`,
  ];
  return `${lua.join("\n")}\n`;
}

/** Every release that there may be, in order. */
function* releases(): Generator<[number, number, number]> {
  for (let major = 1; major < 4; major++) {
    for (let minor = 0; minor < 100; minor++) for (let patch = 0; patch < 100; patch++) yield [major, minor, patch];
  }
}

function known(release: string): Protocol | undefined {
  try {
    return protocol(release);
  } catch {
    return undefined;
  }
}

function framing({ early, headerSize, ids, integrity, layout }: Protocol): string {
  const sizes = { u16: 2, u32: 4, uuid: 16 };
  const fields = Object.entries(layout).map(([name, at]) => `${name} = ${at}`).join(", ");
  return `header = ${headerSize}, early = ${early}, integrity = "${integrity}", ids = ${sizes[ids]}, ${fields}`;
}

if (import.meta.main) {
  const text = readFileSync(DISSECTOR, "utf8");
  const wanted = upToDate(text);
  if (process.argv.includes("--check")) process.exitCode = wanted === text ? 0 : 1;
  else if (wanted !== text) writeFileSync(DISSECTOR, wanted);
}
