/**
 * `docs/from-python.md` against the public API of Python's releases, as `scripts/python_api.py` lists it, against our own
 * names and against the titles of our tests; and the small behaviours in its tables that no other test holds.
 *
 * @module
 */

import { assert, assertEquals, assertRejects, assertStrictEquals, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import process from "node:process";
import { parseOptions, USAGE } from "../bench/options.ts";
import { WORKLOADS } from "../bench/workloads/all.ts";
import * as core from "../mod.ts";
import { ROOT } from "../scripts/runtimes.ts";
import { CLIENT_EVENTS } from "../src/client/client_events.ts";
import { LOG_LEVELS } from "../src/logger/mod.ts";
import { SERVER_EVENTS } from "../src/server/server_events.ts";
import { advanceUntil, HOST, memoryWorld, Recorder, serve, until } from "./session_support.ts";
import { utf8 } from "./wire_support.ts";

const { Client, ConnectionError, messageType, PayloadError, Server, text } = core;
const PAGE = readFileSync(`${ROOT}docs/from-python.md`, "utf8");

/** The releases' names, by what the column "in" calls them. */
const RELEASES = [["1.6.3", "1.6.3"], ["2.0", "2.0.0"]].map(([label, release]) => {
  const list = JSON.parse(readFileSync(`${ROOT}tests/python_api/${release}.json`, "utf8"));
  assertEquals(list.release, release);
  return [label, new Set<string>(list.names)] as const;
});
// What the page says of 3.3 is what these two have not.
const NEWEST = JSON.parse(readFileSync(`${ROOT}tests/python_api/3.3.0.json`, "utf8"));
assertEquals(NEWEST.release, "3.3.0");
const KNOWN = new Set(RELEASES.flatMap(([, names]) => [...names]));
RELEASES.push(["3.3", new Set<string>(NEWEST.names.filter((name: string) => !KNOWN.has(name)))]);

/** A row of the tables. */
interface Row {
  readonly python: readonly string[];
  readonly releases: string;
  readonly here: string;
  readonly tests: readonly (readonly [file: string, title: string])[];
  readonly line: string;
}

function rowsOf(page: string): Row[] {
  return page.split("\n").filter((line) => line.startsWith("| `")).map((line) => {
    const [python, releases, here, tests = "", ...rest] = line.replace(/^\| | *\|$/g, "").split(" | ").map((cell) =>
      cell.trim()
    );
    assertEquals(rest, [], line);
    return {
      python: codesOf(python),
      releases,
      here,
      tests: [...tests.matchAll(/`([^`]+)`: "(.*?)"(?=<br>|$)/g)].map(([, file, title]) => [file, title] as const),
      line,
    };
  });
}

/** What stands in backticks. */
function codesOf(cell: string): string[] {
  return [...cell.matchAll(/`([^`]+)`/g)].map(([, code]) => code);
}

/** The titles of a file's tests, as they are written; undefined where there is no such file. */
function titlesOf(file: string): string | undefined {
  const path = `${ROOT}tests/${file}`;
  if (!/^\w+_test\.ts$/.test(file) || !existsSync(path)) return undefined;
  const titles = readFileSync(path, "utf8").matchAll(/\b(?:it|itOnPosix|test)\(\s*(?:"((?:[^"\\]|\\.)*)"|`([^`]*)`)/g);
  return [...titles].map(([, quoted, template]) => quoted ?? template).join("\n");
}

/** All that is wrong with the names of Python and the tests of a page. */
function problemsOf(page: string): string[] {
  const problems: string[] = [];
  const rows = rowsOf(page);
  const seen = new Set<string>();
  for (const { python, releases, here, tests, line } of rows) {
    if (python.length === 0) problems.push(`no name: ${line}`);
    for (const name of python) {
      const found = RELEASES.filter(([, names]) => names.has(name)).map(([label]) => label);
      const label = found.length === 2 ? "both" : found[0];
      if (label === undefined) problems.push(`Python has no ${name}`);
      else if (label !== releases) problems.push(`${name} is in ${label}, not ${releases}`);
      if (seen.has(name)) problems.push(`${name} has two rows`);
      seen.add(name);
    }
    if (here === "") problems.push(`no counterpart and no reason: ${python}`);
    if (tests.length === 0 && !here.startsWith("none")) problems.push(`no test: ${python}`);
    for (const [file, title] of tests) {
      const titles = titlesOf(file);
      if (titles === undefined) problems.push(`no file tests/${file}`);
      else if (title.length < 12 || !titles.includes(title)) problems.push(`no test "${title}" in ${file}`);
    }
  }
  for (const [label, names] of RELEASES) {
    for (const name of names) if (!seen.has(name)) problems.push(`no row for ${name} of ${label}`);
  }
  return problems;
}

/** Our names, as `deno doc` tells them. */
interface Vocabulary {
  /** The members of each exported class, interface and type. */
  readonly members: Map<string, Set<string>>;
  /** Names of exports, members and parameters. */
  readonly words: Set<string>;
  /** Strings in types, and our lists of strings. */
  readonly strings: Set<string>;
}

/** A part of what `deno doc --json` prints. */
// deno-lint-ignore no-explicit-any
type Doc = any;

function readVocabulary(): Vocabulary {
  const entries = Object.values<string>(JSON.parse(readFileSync(`${ROOT}jsr.json`, "utf8")).exports);
  const symbols = entries.flatMap((entry): Doc[] => {
    const { stdout, stderr, status } = spawnSync(process.execPath, ["doc", "--json", entry], {
      cwd: ROOT,
      encoding: "utf8",
      maxBuffer: 256 * 2 ** 20,
    });
    assertEquals(status, 0, stderr);
    return Object.values<Doc>(JSON.parse(stdout).nodes).flatMap((node) => node.symbols);
  });
  const words = new Set<string>();
  const strings = new Set<string>([...core.CLOSE_REASONS, "error"]);
  const walk = (part: Doc): void => {
    if (typeof part !== "object" || part === null) return;
    if (part.kind === "literal" && part.value?.kind === "string") strings.add(part.value.string);
    if (typeof part.name === "string") words.add(part.name);
    Object.values(part).forEach(walk);
  };
  walk(symbols.map(({ name, declarations }) => ({ name, parts: declarations.map(({ def }: Doc) => def) })));

  const byName = new Map<string, Doc[]>();
  for (const { name, declarations } of symbols) byName.set(name, declarations.map(({ def }: Doc) => def));
  const membersOf = (part: Doc): string[] => {
    if (typeof part !== "object" || part === null) return [];
    if (part.kind === "typeRef") return (byName.get(part.value.typeName) ?? []).flatMap(membersOf);
    if (part.kind === "intersection") return part.value.flatMap(membersOf);
    if (part.kind === "typeLiteral") return membersOf(part.value);
    const own = [...part.properties ?? [], ...part.methods ?? []].map(({ name }: Doc) => name);
    const above = Array.isArray(part.extends) ? part.extends : [{ kind: "typeRef", value: { typeName: part.extends } }];
    return [...own, ...above.flatMap(membersOf), ...membersOf(part.tsType)];
  };
  const members = new Map([...byName].map(([name, parts]) => [name, new Set(parts.flatMap(membersOf))]));
  return { members, words, strings };
}

/** Words of the two languages and of the platform. */
const PLAIN = new Set([
  "new",
  "true",
  "false",
  "undefined",
  "True",
  "False",
  "None",
  "EventTarget",
  "Map",
  "NO_COLOR",
  "then",
]);
const EVENTS: Record<string, readonly string[]> = { Server: SERVER_EVENTS, Client: CLIENT_EVENTS };

/** All that is wrong with our own names on a page. */
function misnamed(page: string, { members, words, strings }: Vocabulary): string[] {
  const problems: string[] = [];
  for (const { here, python } of rowsOf(page)) {
    for (const code of codesOf(here)) {
      const wrong = (what: string): void => void problems.push(`${what} in \`${code}\`, the counterpart of ${python}`);
      if (code.startsWith("./") || code.startsWith("@veltix/")) {
        if (JSON.parse(readFileSync(`${ROOT}jsr.json`, "utf8")).exports[code] === undefined) wrong("no entry");
      } else if (/\.json$/.test(code)) {
        if (!/^\w+\.json$/.test(code) || !existsSync(ROOT + code)) checkCode(code, wrong);
      } else if (code.startsWith("deno task bench")) {
        for (const [option] of code.matchAll(/--\w+/g)) if (!USAGE.includes(`${option} `)) wrong(`no ${option}`);
        for (const name of /--only ([\w,]+)/.exec(code)?.[1].split(",") ?? []) {
          if (!Object.hasOwn(WORKLOADS, name)) wrong(`no workload ${name}`);
        }
      } else checkCode(code, wrong);
    }
  }
  return problems;

  function checkCode(code: string, wrong: (what: string) => void): void {
    for (const [, owner, event] of code.matchAll(/(\w+)\.on\("(\w+)"/g)) {
      if (!EVENTS[owner]?.includes(event)) wrong(`no event "${event}" of a ${owner}`);
    }
    const rest = code.replaceAll(/\.on\("\w+"/g, ".on(");
    for (const [, string] of rest.matchAll(/"([^"]*)"/g)) if (!strings.has(string)) wrong(`no value "${string}"`);
    for (const [path] of rest.replaceAll(/"[^"]*"/g, "").matchAll(/[A-Za-z_]\w*(?:\.\w+)*/g)) {
      const [owner, member, ...further] = path.split(".");
      if (member === undefined) {
        if (!words.has(owner) && !PLAIN.has(owner)) wrong(`no ${owner}`);
      } else if (further.length > 0 || !members.get(owner)?.has(member)) wrong(`no ${path}`);
    }
  }
}

describe("what the roadmap promised", () => {
  it("names for each promise a test that is there", () => {
    const [, rest] = PAGE.split("\n## What the roadmap promised: plugins\n");
    const lines = rest.split("\n## ")[0].split(/^- /m).slice(1).map((line) => line.replaceAll(/\s+/g, " "));
    assert(lines.length >= 8);
    for (const line of lines) {
      const [, file, title] = line.match(/`(\w+_test\.ts)`: "(.*?)" *$/) ?? [];
      assert(file !== undefined, `no test: ${line}`);
      assert(titlesOf(file)?.includes(title), `no test "${title}" in ${file}`);
    }
  });
});

describe("docs/from-python.md", () => {
  it("has one row for every name and option of the releases, and a test for every counterpart", () => {
    assertEquals(problemsOf(PAGE), []);
    assert(rowsOf(PAGE).length > 200);
  });

  it("is told apart from a page with a missing row, a wrong release, a wrong name, or a test that is not there", () => {
    const change = (from: string | RegExp, to: string): string[] => {
      const page = PAGE.replace(from, to);
      assert(page !== PAGE, `${from} is not on the page`);
      const before = problemsOf(PAGE);
      return problemsOf(page).filter((problem) => !before.includes(problem));
    };
    assertEquals(change(/^\| `Client\.stop_retry\(\)`.*\n/m, ""), [
      "no row for Client.stop_retry() of 1.6.3",
      "no row for Client.stop_retry() of 2.0",
    ]);
    assertEquals(change("`ServerConfig.port = 8080`", "`ServerConfig.port = 8081`"), [
      "Python has no ServerConfig.port = 8081",
      "no row for ServerConfig.port = 8080 of 1.6.3",
      "no row for ServerConfig.port = 8080 of 2.0",
    ]);
    assertEquals(change(/(`Server\.restart\(\)` +\| )2\.0 /, "$1both"), ["Server.restart() is in 2.0, not both"]);
    assertEquals(change('"ends at once by stopRetry()"', '"ends at once by stopRetrying()"'), [
      'no test "ends at once by stopRetrying()" in client_reconnect_test.ts',
    ]);
    assertEquals(change("`format_bytes_test.ts`", "`formatbytes_test.ts`"), ["no file tests/formatbytes_test.ts"]);
    assertEquals(change('`format_bytes_test.ts`: "prints what Python prints"', ""), ["no test: format_bytes(size)"]);
  });

  // Only Deno knows the types.
  ("Deno" in globalThis ? it : it.skip)("names nothing of ours that is not there, and would be found out", () => {
    const vocabulary = readVocabulary();
    assertEquals(misnamed(PAGE, vocabulary), []);
    const change = (from: string, to: string): string => {
      const page = PAGE.replace(`| ${from}`, `| ${to}`);
      assert(page !== PAGE, `${from} is not on the page`);
      const problems = misnamed(page, vocabulary);
      assertEquals(problems.length, 1, problems.join("\n"));
      return problems[0].replace(/,.*/, "");
    };
    assertEquals(change("`Client.stopRetry()", "`Client.stopRety()"), "no Client.stopRety in `Client.stopRety()`");
    assertEquals(
      change("`ClientConfig.hostname`", "`ClientConfig.host`"),
      "no ClientConfig.host in `ClientConfig.host`",
    );
    assertEquals(change('`Client.on("closing"', '`Client.on("close"').slice(0, 29), 'no event "close" of a Client ');
    assertEquals(change('`"manual"`', '`"manully"`'), 'no value "manully" in `"manully"`');
    assertEquals(change("`formatBytes(", "`formatByte("), "no formatByte in `formatByte(size)`");
    assertEquals(change("`deno task bench --save", "`deno task bench --store").slice(0, 10), "no --store");
  });
});

const ECHO = messageType(200, "echo", text, text);

describe("a Server and a Client", () => {
  /** What they ask their sockets for. */
  async function asked(config: core.CommonConfig): Promise<[to: unknown, bufferSize: number | undefined][]> {
    const calls: [unknown, number | undefined][] = [];
    const call = (to: unknown, options?: core.SocketOptions): Promise<never> => {
      calls.push([to, options?.bufferSize]);
      return Promise.reject(new ConnectionError("refused", "No"));
    };
    const transport = { ...memoryWorld().transport, listen: call, connect: call };
    await assertRejects(() => new Server({ ...config, transport }).start(), ConnectionError);
    await assertRejects(() => new Client({ ...config, transport }).connect(), ConnectionError);
    return calls;
  }

  it("listen and connect where Python does, by default", async () => {
    const places = (await asked({})).map(([to]) => to);
    assertEquals(places, [{ hostname: "0.0.0.0", port: 8080 }, { hostname: "127.0.0.1", port: 8080 }]);
  });

  it("reads as much at once as Python's BufferSize says", async () => {
    const sizes = { small: 1024, medium: 8192, large: 65536, huge: 1048576 } as const;
    for (const name of ["small", "medium", "large", "huge"] as const) {
      assertEquals((await asked({ bufferSize: name })).map(([, size]) => size), [sizes[name], sizes[name]]);
    }
    assertEquals((await asked({})).map(([, size]) => size), [sizes.large, sizes.large]);
  });
});

describe("a client that reconnects without jitter", () => {
  it("waits as long as retry_delay says, as often as retry says", async () => {
    const { clock, transport } = memoryWorld();
    const client = new Client({
      hostname: HOST,
      transport,
      reconnect: { attempts: 3, delay: 700, maxDelay: 700, jitter: false },
    });
    const heard = new Recorder(client, ["disconnect"]);
    await advanceUntil(clock, assertRejects(() => client.connect(), ConnectionError));
    const states = heard.of("disconnect").map(([state]) => [
      state.permanent,
      state.attempt,
      state.retryMax,
      state.nextDelay,
    ]);
    assertEquals(states, [[false, 0, 3, 700], [false, 1, 3, 700], [false, 2, 3, 700], [true, 3, 3, undefined]]);
  });
});

describe("a Message", () => {
  for (const protocol of ["1.6.3", "2.0"]) {
    it(`has what Python's Response has, of a server set to ${protocol}`, async () => {
      const world = memoryWorld();
      const DATA = messageType(210, "data");
      const got: core.Message<Uint8Array>[] = [];
      await using served = await serve(world, { protocol }, (server) => server.route(DATA, (data) => got.push(data)));
      await using client = new Client({ ...served.address, transport: world.transport });
      await client.connect();
      client.send(DATA, utf8('{"a":1}'));
      client.send(DATA, new Uint8Array([255]));
      await until(() => got.length === 2);
      const [json, bad] = got;
      assertEquals([json.type.code, json.type.name, json.text, json.json], [210, "data", '{"a":1}', { a: 1 }]);
      assertStrictEquals(json.json, json.json);
      assertEquals([bad.content, bad.data], [new Uint8Array([255]), new Uint8Array([255])]);
      assertThrows(() => bad.text, PayloadError);
      assertThrows(() => bad.json, PayloadError);
      assert(Math.abs(Date.now() - json.receivedAt) < 60_000);
      const { sentAt, latency, receivedAt, requestId } = json;
      if (protocol === "1.6.3") assertEquals([latency, typeof requestId], [receivedAt - sentAt!, "number"]);
      else assertEquals([sentAt, latency, requestId], [undefined, undefined, 0]);
    });
  }
});

describe("a connected client", () => {
  it("takes callbacks as ping_client_async does, in place of await", async () => {
    const world = memoryWorld();
    await using served = await serve(world);
    await using client = new Client({ ...served.address, transport: world.transport });
    await client.connect();
    const [peer] = await served.events.next("connect");
    const results: (number | undefined)[] = [];
    await peer.ping().then((ms: number) => results.push(ms), () => results.push(undefined));
    await client.close();
    await served.events.next("disconnect");
    await peer.ping().then((ms: number) => results.push(ms), () => results.push(undefined));
    assertEquals(results, [0, undefined]);
  });

  it("closes one client and leaves the others, by close()", async () => {
    const world = memoryWorld();
    await using served = await serve(world, {}, (server) => server.route(ECHO, ({ data }) => data));
    await using one = new Client({ ...served.address, transport: world.transport });
    await using other = new Client({ ...served.address, transport: world.transport });
    await one.connect();
    await other.connect();
    await until(() => served.server.clients.length === 2);
    const [first, second] = served.server.clients;
    await Promise.all([first.close(), one.closed]);
    assertEquals([served.server.clients, first.connected, one.state], [[second], false, "disconnected"]);
    assertEquals(await other.request(ECHO, "still"), "still");
  });
});

describe("the errors", () => {
  it("are all VeltixErrors, as Python's are, with a name and a code", () => {
    const errors = Object.entries(core).filter(([name]) => name.endsWith("Error"));
    assertEquals(errors.length, 13);
    for (const [name, value] of errors) {
      const error = new (value as new (code: string, message: string) => core.VeltixError)("code", "Message");
      assertEquals([error instanceof core.VeltixError, error.name, error.code], [true, name, "code"]);
    }
  });
});

describe("the levels of the logger", () => {
  it("have Python's numbers", () => {
    assertEquals(LOG_LEVELS, { trace: 5, debug: 10, info: 20, success: 25, warning: 30, error: 40, critical: 50 });
  });
});

describe("encodeJson() and decodeJson()", () => {
  it("know no NaN and no Infinity, which Python writes and reads", () => {
    assertEquals(core.decodeUtf8(core.encodeJson([NaN, Infinity])), "[null,null]");
    for (const number of ["NaN", "Infinity", "-Infinity"]) {
      assertThrows(() => core.decodeJson(utf8(`[${number}]`)), PayloadError);
    }
  });
});

describe("the options of the benchmark", () => {
  it("are those of Python by other names", () => {
    const line = "--only memory,latency,fps,burst,stress --rounds 4 --core node --save results.json";
    const options = parseOptions(line.split(" "))!;
    const { workloads, rounds, core, save } = options;
    assertEquals({ workloads, rounds, core, save }, {
      workloads: ["memory", "latency", "fps", "burst", "stress"],
      rounds: 4,
      core: "node",
      save: "results.json",
    });
    assertEquals(parseOptions(["--compare", "a.json", "b.json"])!.compare, ["a.json", "b.json"]);
    assertEquals([parseOptions(["--help"]), parseOptions([])!.workloads], [undefined, Object.keys(WORKLOADS)]);
  });
});
