/**
 * The directions in which the rooms of the package may import each other, and a checker that holds them. It reads the
 * text of the files: comments are left out, strings only count as specifiers.
 *
 * @module
 */

/** A file of the package: its path from the root of the repository, and its text. */
export type Sources = Record<string, string>;

/** The only file that may import any room. */
const ENTRIES = ["mod.ts"];

/** The features of the protocol, which a session must not know one by one. */
const FEATURES = "src/session/features/";
const FEATURE_LIST = `${FEATURES}list.ts`;

const GROUND = ["errors", "base"];
const LINK = [...GROUND, "wire", "transport"];
const APP = [
  ...LINK,
  "link",
  "session",
  "message",
  "workers",
  "compression_seam",
  "encryption_seam",
  "tls_seam",
  "websocket_seam",
];

/** What each room of `src/` may import besides itself. A file directly in `src/` is a room of its own. */
export const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  errors: [],
  base: ["errors"],
  transport: ["base"],
  thread_seam: ["base"],
  tls_seam: ["transport"],
  websocket_seam: ["transport", "tls_seam"],
  encryption_seam: ["base", "transport"],
  compression_seam: [],
  wire: GROUND,
  message: [...GROUND, "wire"],
  encryption: [...GROUND, "transport", "encryption_seam"],
  link: LINK,
  session: [...LINK, "link", "compression_seam"],
  workers: [...GROUND, "wire", "message", "thread_seam"],
  app: [...APP, "thread_seam"],
  // Servers and Clients load it when a plugin is registered.
  plugins: [...GROUND, "wire", "link", "session", "message", "app"],
  server: [...APP, "app", "plugins"],
  client: [...APP, "app", "plugins"],
  // The only room that joins the core to the adapters. No room imports it: the entry does.
  auto: [
    ...GROUND,
    "transport",
    "thread_seam",
    "compression_seam",
    "encryption_seam",
    "tls_seam",
    "websocket_seam",
    "encryption",
    "app",
    "server",
    "client",
    "adapters",
  ],
  adapters: [...GROUND, "transport", "thread_seam", "compression_seam", "tls_seam", "websocket_seam"],
  logger: GROUND,
  // What only those load who ask for it. Both talk to a Server or a Client as any program does.
  opentelemetry: [...GROUND, "wire", "transport", "session", "message", "app", "server", "client"],
  cli: [...APP, "app", "server", "client", "adapters", "auto", "encryption", "version"],
  // What tests of programs import. It stands on the public parts, and on frames for what peers say by hand.
  testing: [...GROUND, "wire", "transport", "message", "app", "server", "client", "adapters", "auto"],
};

/** Packages a room may import. */
const PACKAGES: Record<string, RegExp> = {
  // It runs in terminals only.
  cli: /^(commander$|node:)/,
  opentelemetry: /^@opentelemetry\/api$/,
  adapters: /^ws$/,
  // It has `node:crypto` from `getBuiltinModule`, so that a bundle for browsers names no module of a runtime.
  encryption: /^@noble\/(ciphers|curves|hashes)\//,
  // The files of a log need what LogTape imports for them, too. It is left out of bundles for browsers.
  logger: /^(@logtape\/|node:(fs|path)$)/,
};

/** Packages of which a room may import the types. They have the modules themselves from `getBuiltinModule`, too. */
const TYPES_OF: Record<string, RegExp> = {
  adapters: /^node:/,
};

/** Rooms with an entry whose types are about those of the main one, which it therefore exports, too. */
const SHOWS_ENTRY: readonly string[] = ["testing"];

/** State of a module that is there on purpose, and why. */
const ON_PURPOSE: Record<string, string> = {
  "src/app/shared.ts: LOOPS":
    "Free buffers of an event loop, and the turn that its users share: one is as good as another, for all alike.",
  "src/wire/crc32.ts: LAST": "A cache of the sums of the last header: what it has is the same for all.",
  "src/client/load_parts.ts: LOADED":
    "A cache of what the module loader keeps anyway: the code of connections is the same for all.",
  "src/auto/load_transport.ts: LOADED":
    "A cache of what the module loader keeps anyway: an adapter is the same for all.",
  "src/auto/load_encryption.ts: LOADED":
    "A cache of what the module loader keeps anyway: the encryption has no state but which ciphers the runtime has.",
  "src/logger/logger.ts: #instance": "The one logger of a program that asks for one, by `getInstance`.",
};

/** A constant of a module up to its value. */
const CONSTANT = String.raw`^(?:export\s+)?const\s+([\w$]+)(?:\s*:(?:[^;={}]|=>|\{[^{}]*\})*)?\s*=\s*`;

/** An object, an array, a map or a set: state if anything changes it. */
const TABLE = new RegExp(String.raw`${CONSTANT}(?:[{[]|new\s+(?:Weak)?(?:Map|Set)\b)`, "gm");

/** What a module, or a class, keeps and may change: variables, empty collections, static fields. */
const STATE: RegExp[] = [
  /^(?:export\s+)?(?:let|var)\s+([\w$]+|[{[])/gm,
  new RegExp(String.raw`${CONSTANT}new\s+(?:Weak)?(?:Map|Set)(?:<[^;]*?>)?\(\s*(?:\[\s*\]\s*)?\)`, "gm"),
  /^\s+static\s+(?!readonly\b)(#?[\w$]+)\s*[:;=]/gm,
];

/**
 * Checks the rules on a set of files.
 *
 * @param sources All files of the package.
 * @returns One sentence for each violation.
 */
export function findViolations(sources: Sources): string[] {
  const graph = new Map<string, string[]>();
  const violations: string[] = [];
  for (const [path, source] of Object.entries(sources)) {
    const { text, code } = read(source);
    const imports = specifiersOf(text);
    const room = roomOf(path);
    graph.set(path, imports.filter(isRelative).map((specifier) => resolve(path, specifier)));
    const values = specifiersOf(text.replaceAll(TYPE_IMPORT, ""));
    violations.push(...imports.flatMap((specifier) => checkImport(path, specifier, !values.includes(specifier))));
    const global = code.match(/(?<![\w.$"'])(?:globalThis\??\.)?(Deno|Bun)\s*(?:\?\.|\.|\[)/)?.[1];
    if (global && room !== "adapters") violations.push(`${path} uses the global "${global}": only adapters may`);
    if (/^\s*(?:await\s+)?using\s+[\w$]+\s*=/m.test(code)) {
      violations.push(`${path} has "using": Node 22 cannot read it`);
    }
    const state = stateOf(code).filter((name) => ON_PURPOSE[`${path}: ${name}`] === undefined);
    violations.push(...state.map((name) => `${path} has module-level state: "${name}"`));
  }
  return [...violations, ...findCycles(graph).map((cycle) => `Import cycle: ${cycle.join(" -> ")}`)];
}

/** The names of what a module keeps and changes; a table that is filled where it is made is none. */
function stateOf(code: string): string[] {
  const kept = STATE.flatMap((pattern) => [...code.matchAll(pattern)].map(([, name]) => name));
  const tables = [...code.matchAll(TABLE)].map(([, name]) => name);
  return [...new Set([...kept, ...tables.filter((name) => isChanged(name, code))])];
}

/** Whether something is assigned to a member of it, or put into it by a method of an array, a map or a set. */
function isChanged(name: string, code: string): boolean {
  const it = String.raw`(?<![\w.$])${name.replaceAll("$", "\\$")}`;
  const member = String.raw`(?:\s*(?:\[[^\]]*\]|\.[\w$]+))+\s*`;
  const assigned = String.raw`(?:(?:\?\?|\|\||&&|[-+*/%&|^])?=(?![=>])|\+\+|--)`;
  const put = String.raw`\s*\.(?:add|delete|fill|pop|push|set|shift|splice|unshift)\(`;
  return new RegExp(String.raw`${it}(?:${member}${assigned}|${put})|Object\.assign\(\s*${it}\b`).test(code);
}

/** `wire` for `src/wire/frame.ts`, `errors` for `src/errors.ts`, the path itself outside of `src/`. */
function roomOf(path: string): string {
  return path.match(/^src\/([^/]+?)(?:\.ts$|\/)/)?.[1] ?? path;
}

function isRelative(specifier: string): boolean {
  return specifier.startsWith("./") || specifier.startsWith("../");
}

function resolve(from: string, specifier: string): string {
  return new URL(specifier, `file:///${from}`).pathname.slice(1);
}

/** Returns the folder of a feature that is one; `undefined` for other files. */
function featureOf(path: string): string | undefined {
  const [folder, file] = path.startsWith(FEATURES) ? path.slice(FEATURES.length).split("/") : [];
  return file === undefined ? undefined : folder;
}

/** `typesOnly` is true if the file imports nothing but types by this specifier. */
function checkImport(path: string, specifier: string, typesOnly: boolean): string[] {
  const room = roomOf(path);
  const entry = ENTRIES.includes(path);
  if (!isRelative(specifier)) {
    if (PACKAGES[room]?.test(specifier) || typesOnly && TYPES_OF[room]?.test(specifier)) return [];
    return [
      `${path} imports the package "${specifier}": ${TYPES_OF[room] ? "here only its types" : "the core has none"}`,
    ];
  }
  const target = resolve(path, specifier);
  if (ENTRIES.includes(target) && typesOnly && SHOWS_ENTRY.includes(room)) return [];
  if (!target.startsWith("src/")) return [`${path} imports "${target}": it lies outside of src/`];
  const targetRoom = roomOf(target);
  const inside = featureOf(target) !== undefined && featureOf(target) === featureOf(path);
  if (target.startsWith(FEATURES) && target !== FEATURE_LIST && path !== FEATURE_LIST && !inside) {
    return [`${path} imports "${target}": only the list of features imports a single one`];
  }
  if (entry || targetRoom === room) return [];
  const allowed = MAY_IMPORT[room];
  if (!allowed) return [`${path} lies in the room "${room}": it has no rule`];
  if (allowed.includes(targetRoom)) return [];
  return [`${path} imports "${target}": "${room}" may not import "${targetRoom}"`];
}

/** Static, dynamic and type-only imports and re-exports. */
function specifiersOf(text: string): string[] {
  const found = text.matchAll(
    /(?:\b(?:import|export)\b[^"'`;()=]*?\bfrom\s*|\bimport\s*|\bimport\s*\(\s*)(?:"([^"\n]*)"|'([^'\n]*)')/g,
  );
  return [...new Set([...found].map(([, double, single]) => double ?? single))];
}

/** Imports and re-exports that bring nothing but types. */
const TYPE_IMPORT = /\b(?:import|export)\s+type\b[^"'`;()=]*?\bfrom\s*(?:"[^"\n]*"|'[^'\n]*')/g;

const TOKEN = new RegExp(
  [
    /(?<comment>\/\/[^\n]*|\/\*[\s\S]*?\*\/)/.source,
    /(?<string>"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*')/.source,
    /(?<template>`(?:\\[\s\S]|[^`\\])*`)/.source,
    /(?<regexp>(?<=[(,=:[!&|?{};\n]\s*|\breturn\s+)\/(?![*/])(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\\n[])+\/)/.source,
  ].join("|"),
  "g",
);

/** The text with its strings but without comments and templates, and the same with every string emptied. */
function read(source: string): { text: string; code: string } {
  const text = source.replace(TOKEN, (token, ...rest) => {
    const { comment, template, regexp } = rest.at(-1);
    if (comment !== undefined) return token.replaceAll(/[^\n]/g, " ");
    if (template !== undefined) return `\`${[...token.matchAll(/\$\{[^}]*\}/g)].join("")}\``;
    return regexp === undefined ? token : "/ /";
  });
  return { text, code: text.replace(TOKEN, (token, ...rest) => rest.at(-1).string === undefined ? token : '""') };
}

/** One path for every import that leads back to a file it came from. */
function findCycles(graph: Map<string, string[]>): string[][] {
  const cycles: string[][] = [];
  const done = new Set<string>();
  const walk = (path: string, trail: string[]): void => {
    const seen = trail.indexOf(path);
    if (seen >= 0) {
      cycles.push([...trail.slice(seen), path]);
      return;
    }
    if (done.has(path)) return;
    for (const target of graph.get(path) ?? []) walk(target, [...trail, path]);
    done.add(path);
  };
  for (const path of graph.keys()) walk(path, []);
  return cycles;
}
