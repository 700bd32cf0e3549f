import { assert, assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { existsSync, globSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { findViolations, type Sources } from "./import_rules.ts";

const root = fileURLToPath(new URL("..", import.meta.url));

function readPackage(): Sources {
  const paths = globSync("src/**/*.ts", { cwd: root }).map((path) => path.replaceAll("\\", "/"));
  if (existsSync(`${root}mod.ts`)) paths.push("mod.ts");
  return Object.fromEntries(paths.map((path) => [path, readFileSync(root + path, "utf8")]));
}

describe("imports", () => {
  it("keep the directions, have no cycle, and no module holds state", () => {
    const sources = readPackage();
    assert(Object.keys(sources).length > 0);
    assertEquals(findViolations(sources), []);
  });
});

describe("findViolations()", () => {
  const cases: [name: string, sources: Sources, violations: string[]][] = [
    ["accepts what is allowed", {
      "mod.ts":
        'export { Server } from "./src/server/server.ts";\nconst node = () => import("./src/adapters/node.ts");',
      "src/server/server.ts": 'import type {\n  Session,\n} from "../session/session.ts";\nexport class Server {}',
      "src/session/session.ts": 'import { frame } from "../wire/mod.ts";\nlet_it_be();',
      "src/wire/mod.ts": 'export * from "../errors.ts"; export * from "./frame.ts";',
      "src/adapters/node.ts":
        'import type * as Net from "node:net";\nexport type { Socket } from "node:net";\nDeno.exit();',
      "src/logger/log_file.ts": 'import { mkdirSync } from "node:fs";',
    }, []],
    ["ignores comments, strings and regular expressions", {
      "src/errors.ts": [
        '/** import { a } from "./adapters/deno.ts"; Deno.exit() */',
        '// import "node:fs"',
        'const quote = /["\'`]/; const text = "Deno.connect"; const name = \'let x\'; const url = "http://x"; // Bun.serve',
        "const template = `Deno.serve ${quote} import 'x'`;",
      ].join("\n"),
    }, []],
    ["sees wire import a session", {
      "src/wire/frame.ts": 'import type { Session } from "../session/session.ts";',
    }, ['src/wire/frame.ts imports "src/session/session.ts": "wire" may not import "session"']],
    ["sees a session import a single feature", {
      "src/session/session.ts": 'import { credit } from "./features/credit.ts";',
      "src/app/core.ts": 'import { FEATURES } from "../session/features/list.ts";',
      "src/session/features/list.ts": 'import { credit } from "./credit.ts";',
    }, [
      'src/session/session.ts imports "src/session/features/credit.ts": only the list of features imports a single one',
    ]],
    ["sees an import over several lines", {
      "src/message/message.ts": 'import {\n  a,\n  type B,\n} from "../session/session.ts";',
    }, ['src/message/message.ts imports "src/session/session.ts": "message" may not import "session"']],
    ["sees the core import an adapter, even lazily", {
      "src/server/server.ts": 'const adapter = await import("../adapters/node.ts");',
    }, ['src/server/server.ts imports "src/adapters/node.ts": "server" may not import "adapters"']],
    ["sees the core choose sockets and threads, which only the entry may", {
      "src/server/server.ts": 'import { loadTransport } from "../auto/load_transport.ts";',
      "src/client/client.ts": 'const threads = import("../auto/load_threads.ts");',
      "src/app/endpoint_core.ts": 'import type { RUNTIME } from "../auto/platform.ts";',
      "src/adapters/node.ts": 'export * from "../auto/client.ts";',
    }, [
      'src/server/server.ts imports "src/auto/load_transport.ts": "server" may not import "auto"',
      'src/client/client.ts imports "src/auto/load_threads.ts": "client" may not import "auto"',
      'src/app/endpoint_core.ts imports "src/auto/platform.ts": "app" may not import "auto"',
      'src/adapters/node.ts imports "src/auto/client.ts": "adapters" may not import "auto"',
    ]],
    ["sees an adapter import the core", {
      "src/adapters/deno.ts": 'export * from "../wire/mod.ts";',
    }, ['src/adapters/deno.ts imports "src/wire/mod.ts": "adapters" may not import "wire"']],
    ["sees what the oldest runtimes cannot read", {
      "src/server/a.ts": "async function f() {\n  await using listener = listen();\n}",
      "src/server/b.ts": "{\n  using file = open();\n}",
      "src/server/c.ts": "using(1); /** await using x = y; */",
    }, [
      'src/server/a.ts has "using": Node 22 cannot read it',
      'src/server/b.ts has "using": Node 22 cannot read it',
    ]],
    ["sees node: and packages in the core", {
      "src/wire/crc32.ts": 'import { crc32 } from "node:zlib";',
      "src/client/client.ts": "import 'left-pad';",
    }, [
      'src/wire/crc32.ts imports the package "node:zlib": the core has none',
      'src/client/client.ts imports the package "left-pad": the core has none',
    ]],
    ["sees an adapter import more of a module than its types, whichever way", {
      "src/adapters/node.ts": 'import type { Socket } from "node:net";\nimport { connect } from "node:net";',
      "src/adapters/tls.ts": 'import { type TLSSocket } from "node:tls";',
      "src/adapters/zlib.ts": 'const zlib = await import("node:zlib");',
      "src/adapters/bun.ts": 'import type { Socket } from "bun";',
    }, [
      'src/adapters/node.ts imports the package "node:net": here only its types',
      'src/adapters/tls.ts imports the package "node:tls": here only its types',
      'src/adapters/zlib.ts imports the package "node:zlib": here only its types',
      'src/adapters/bun.ts imports the package "bun": here only its types',
    ]],
    ["sees the core import the types of a module", {
      "src/wire/crc32.ts": 'import type { Zlib } from "node:zlib";',
    }, ['src/wire/crc32.ts imports the package "node:zlib": the core has none']],
    ["sees a runtime's global in the core", {
      "src/session/session.ts": "const start = globalThis.Deno?.pid;",
      "src/client/client.ts": "const text = `${Bun.version}`;",
    }, [
      'src/session/session.ts uses the global "Deno": only adapters may',
      'src/client/client.ts uses the global "Bun": only adapters may',
    ]],
    ["sees module-level state, but not that of a function", {
      "src/app/config.ts": "export let count = 0;",
      "src/app/events.ts": "function count() {\n  let count = 0;\n  return count;\n}",
    }, ['src/app/config.ts has module-level state: "count"']],
    ["sees collections and objects of a module that are filled later, and fields of a class", {
      "src/app/config.ts":
        "const seen = new Map<string, () => void>();\nexport const more: Set<{ a: 1; b: 2 }> = new Set();",
      "src/app/events.ts":
        "const weak = new WeakMap<object, number>([]);\nclass Bus {\n  static #one: Bus | undefined;\n}",
      "src/errors.ts": 'const made: { [name in "a"]?: Error } = {};\nmade[name] ??= new Error("a");',
      "src/version.ts": "export const list: string[] = [];\nlist.push(1);\nconst counts = {};\ncounts.a++;",
      "src/thread_seam.ts": "const ids = new Set([1]);\nexport const take = (id) => ids.delete(id);",
      // The same names as those that are there on purpose, in other files.
      "src/session/session.ts": "const LOOPS = new WeakMap<Transport, BufferPool>();",
    }, [
      'src/app/config.ts has module-level state: "seen"',
      'src/app/config.ts has module-level state: "more"',
      'src/app/events.ts has module-level state: "weak"',
      'src/app/events.ts has module-level state: "#one"',
      'src/errors.ts has module-level state: "made"',
      'src/version.ts has module-level state: "list"',
      'src/version.ts has module-level state: "counts"',
      'src/thread_seam.ts has module-level state: "ids"',
      'src/session/session.ts has module-level state: "LOOPS"',
    ]],
    ["takes tables that are filled where they are made, and what nobody fills, for no state", {
      "src/app/config.ts": "const names = new Set([1, 2]);\nconst codes = new Map<number, string>(\n  [[1, a]],\n);",
      "src/app/events.ts": "const NOBODY: readonly never[] = [];\nexport const f = (a = {}) => a === NOBODY[0];",
      "src/errors.ts": "class A {\n  static readonly name = 1;\n  static make(): A {\n    const b = new Map();\n  }\n}",
      "src/app/shared.ts": "const LOOPS = new WeakMap<Transport, BufferPool>();",
    }, []],
    ["sees a cycle of type-only imports", {
      "src/wire/a.ts": 'import type { B } from "./b.ts";',
      "src/wire/b.ts": 'import type { C } from "./c.ts";',
      "src/wire/c.ts": 'import type { A } from "./a.ts";',
    }, ["Import cycle: src/wire/a.ts -> src/wire/b.ts -> src/wire/c.ts -> src/wire/a.ts"]],
    ["sees a room without a rule, and an import from outside of src/", {
      "src/strangers/a.ts": 'import "../errors.ts";',
      "src/errors.ts": 'import "../tests/helper.ts";',
    }, [
      'src/strangers/a.ts lies in the room "strangers": it has no rule',
      'src/errors.ts imports "tests/helper.ts": it lies outside of src/',
    ]],
  ];
  for (const [name, sources, violations] of cases) {
    it(name, () => assertEquals(findViolations(sources), violations));
  }
});
