/**
 * What an editor makes of `implement()` and `caller()`, as TypeScript's language service tells it: definitions, hovers,
 * completions, and the words of its errors. A step of `deno task ok`.
 *
 * @module
 */

import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { findRuntimes, ROOT } from "../../scripts/runtimes.ts";

const [node] = findRuntimes(["node"]);
const installed = node.path !== undefined && existsSync(join(ROOT, "node_modules/typescript/lib/typescript.js"));
if (!installed && process.env.VELTIX_REQUIRE_ALL === "1") throw new Error("Cannot compile: no TypeScript");
const told = installed ? it : it.skip;

interface Place {
  readonly file: string;
  readonly start: number;
  /** True if it is in the program itself. */
  readonly own: boolean;
}

interface Answer {
  readonly definitions: readonly Place[];
  readonly references: readonly Place[];
  readonly hover: string;
  readonly completions: readonly string[];
}

interface Told {
  readonly diagnostics: readonly { readonly start: number; readonly at: string; readonly message: string }[];
  readonly answers: readonly Answer[];
}

/** Asks the language service about programs, each with positions in it. Checks that it is the oldest one. */
function ask(...programs: { readonly source: string; readonly at: readonly number[] }[]): Told[] {
  const { stdout, stderr, status } = spawnSync(node.path!, [join(ROOT, "tests/types/language_service.mjs")], {
    input: JSON.stringify({ root: ROOT, programs }),
    encoding: "utf8",
    maxBuffer: 2 ** 26,
  });
  assertEquals([status, stderr], [0, ""]);
  const { version, told } = JSON.parse(stdout);
  assertMatch(version, /^5\.7\./);
  return told;
}

/** The contract of the programs below. */
const HEAD = `
import {
  caller, Client, type Caller, type ConnectedClient, type Contract, empty, errorOf, type Handlers, implement, isErrorOf,
  json, messageTypes, Server, text,
} from "../../mod.ts";

const contract = messageTypes({
  /** Adds two numbers. */
  add: [json<{ a: number; b: number }>(), json<number>()],
  note: text,
  time: [empty, json<number>()],
  turn: [text, json<"left" | "right">()],
  find: { payload: json<number>(), reply: text, errors: ["not-found", "busy"] },
  count: { stream: { head: json<number>(), up: false, down: json<number>() } },
});
const server = new Server();
const client = new Client();
const api = caller(client, contract);
const handlers: Handlers<typeof contract, ConnectedClient> = null!;
`;

/** The place of a member in the contract. */
function declared(name: string): number {
  const start = HEAD.search(new RegExp(`^  ${name}:`, "m")) + 2;
  assert(start > 2, name);
  return start;
}

describe("the definition", () => {
  /** Programs with a mark before a name, and the member whose line in the contract the editor is to go to. */
  const programs: Readonly<Record<string, [program: string, member: string]>> = {
    "of a request": ["api.@add({ a: 1, b: 2 });", "add"],
    "of a message": ['api.@note("x");', "note"],
    "of a request without a payload": ["api.@time();", "time"],
    "of a type with errors": ["api.@find(1);", "find"],
    "of a stream": ["api.@count(1);", "count"],
    "of a call of a server": ["caller(server.clients[0], contract).@add({ a: 1, b: 2 });", "add"],
    "of a function that is taken out": ["const { @add } = api;", "add"],
    "of a call behind a function of one's own": [
      "function call<Types extends Contract>(types: Types): Caller<Types> { return caller(client, types); }\n" +
      "call(contract).@add({ a: 1, b: 2 });",
      "add",
    ],
    "of a type": ["contract.@add;", "add"],
    "of a handler": [
      "implement(server, contract, { ...handlers, @add: ({ data }) => data.a });",
      "add",
    ],
    "of a handler in a complete object": [
      `implement(client, contract, {
        add: ({ data }) => data.a + data.b,
        note: () => {},
        time: () => 5,
        turn: () => "left",
        find: () => "x",
        @count: async function* () {},
      });`,
      "count",
    ],
    "of the options of a route": [
      "implement(server, contract, handlers, { routes: { @add: { ordered: true } } });",
      "add",
    ],
  };

  told("of a call or a handler is its line in the contract", () => {
    const told = ask(
      ...Object.values(programs).map(([program]) => ({
        source: HEAD + program.replace("@", ""),
        at: [HEAD.length + program.indexOf("@")],
      })),
    );
    for (const [i, [what, [, member]]] of Object.entries(programs).entries()) {
      const { answers: [{ definitions }], diagnostics } = told[i];
      assertEquals(diagnostics, [], what);
      assertEquals(definitions.map(({ own, start }) => [own, start]), [[true, declared(member)]], what);
    }
  });

  told("of a member of a part is its line in the part, and that of its type the one in the contract", () => {
    const part = "const part = { add: contract.@add };\n";
    const program = `${part}caller(client, part).@add({ a: 1, b: 2 });`;
    const marks = [program.indexOf("@"), program.lastIndexOf("@") - 1];
    const source = HEAD + program.replaceAll("@", "");
    const [{ answers }] = ask({ source, at: marks.map((mark) => HEAD.length + mark) });
    assertEquals(answers.map(({ definitions }) => definitions.map(({ start }) => start)), [
      [declared("add")],
      [HEAD.length + part.indexOf("add:")],
    ]);
  });

  told("has its comment, its references, and is completed", () => {
    const program = "api.add({ a: 1, b: 2 });\nimplement(server, contract, { ...handlers, add: () => 5 });\n" +
      "api.;\nimplement(server, contract, { });";
    const marks = [program.indexOf("add"), program.indexOf("api.;") + 4, program.lastIndexOf("{") + 1];
    const at = [declared("add"), ...marks.map((mark) => HEAD.length + mark)];
    const [{ answers }] = ask({ source: HEAD + program, at });
    const [member, call, dot, brace] = answers;
    assertStringIncludes(call.hover, "options?: RequestOptions) => Promise<number>");
    assertStringIncludes(call.hover, "\nAdds two numbers.");
    const found = member.references.filter(({ own }) => own).map(({ start }) => start);
    for (const at of [program.indexOf("add"), program.indexOf("add: () => 5")]) {
      assert(found.includes(HEAD.length + at), `${found} lacks ${HEAD.length + at}`);
    }
    const names = ["add", "count", "find", "note", "time", "turn"];
    assertEquals(dot.completions.toSorted(), names);
    assertEquals(brace.completions.toSorted(), names);
  });
});

describe("an error of the compiler", () => {
  /** Mistakes: what is written, what the first line of the error is, and the text that it is about. */
  const mistakes: readonly [source: string, says: RegExp, at: string][] = [
    // A handler is missing.
    [
      "{ const { note, ...others } = handlers; implement(server, contract, others); }",
      /^Argument of type .* is not assignable to parameter of type '"note has no handler"'\.$/,
      "others",
    ],
    [
      "implement(server, { add: contract.add, note: contract.note }, { add: ({ data }) => data.a });",
      /^Argument of type '\{ add: .* parameter of type '"note has no handler"'\.$/,
      "{ add: ({ data }) => data.a }",
    ],
    [
      "implement(server, contract, {});",
      /^Argument of type '\{\}' is not .* parameter of type '("\w+ has no handler"( \| )?){6}'\.$/,
      "{}",
    ],
    [
      "implement(server, contract, { ...handlers, add: undefined });",
      /^Type 'undefined' is not assignable to type 'Handler<\{ a: number; b: number; \}, number, ConnectedClient<undefined>>'\.$/,
      "add",
    ],
    [
      "implement(server, contract, {} as Partial<typeof handlers>);",
      /^Argument of type 'Partial<Handlers<.* parameter of type '("\w+ has no handler"( \| )?){6}'\.$/,
      "{} as Partial<typeof handlers>",
    ],
    // A handler has no member.
    [
      "implement(server, contract, { ...handlers, nota: () => {} });",
      /^Type '\(\) => void' is not assignable to type '\(\(\) => void\) & "nota is no member of the contract"'\.$/,
      "nota",
    ],
    [
      "implement(server, contract, handlers, { routes: { nota: {} } });",
      /^Object literal may only specify known properties, (but|and) 'nota' does not exist in type /,
      "nota",
    ],
    // A handler takes or returns something else.
    [
      'implement(server, contract, { ...handlers, add: ({ data }) => "5" });',
      /^Type '\(\{ data \}: Message<.*>\) => string' is not assignable to type 'Handler<.*, number, ConnectedClient<undefined>>'\.$/,
      "add",
    ],
    [
      "implement(server, contract, { ...handlers, add: async () => {} });",
      /^Type '\(\) => Promise<void>' is not assignable to type 'Handler<.*, number, ConnectedClient<undefined>>'\.$/,
      "add",
    ],
    [
      'implement(server, contract, { ...handlers, turn: () => "up" });',
      /^Type '\(\) => "up"' is not assignable to type 'Handler<string, "left" \| "right", ConnectedClient<undefined>>'\.$/,
      "turn",
    ],
    [
      "implement(server, contract, { ...handlers, add: ({ data }) => data.c });",
      /^Property 'c' does not exist on type '\{ a: number; b: number; \}'\.$/,
      "c",
    ],
    [
      "implement(server, contract, { ...handlers, add: (message: { data: string }) => 5 });",
      /^Type '\(message: \{ data: string; \}\) => number' is not assignable to type 'Handler<.*'\.$/,
      "add",
    ],
    [
      "implement(server, contract, { ...handlers, add: (_, peer: Client) => peer.ping().then(() => 5) });",
      /^Type '\(_: .*, peer: Client\) => Promise<.*>' is not assignable to type 'Handler<.*ConnectedClient<undefined>>'\.$/,
      "add",
    ],
    [
      'implement(server, contract, { ...handlers, count: async function* () { yield "5"; } });',
      /^Type '\(\) => AsyncGenerator<string, void, unknown>' is not assignable to type 'StreamHandler<number, .*>'\.$/,
      "count",
    ],
    [
      "implement(server, contract, { ...handlers, count: () => 5 });",
      /^Type '\(\) => number' is not assignable to type 'StreamHandler<number, .*>'\.$/,
      "count",
    ],
    [
      "implement(server, contract, handlers, { routes: { count: { ordered: true } } });",
      /^Type '\{ ordered: true; \}' is not assignable to type 'undefined'\.$/,
      "count",
    ],
    ["implement(server.clients[0], contract, handlers);", /'ConnectedClient<undefined>'/, "server.clients[0]"],
    // A call passes something else.
    [
      "void api.add({ a: 1 });",
      /^Argument of type '\{ a: number; \}' is not assignable to parameter of type '\{ a: number; b: number; \}'\.$/,
      "{ a: 1 }",
    ],
    [
      'void api.add({ a: 1, b: "2" });',
      /^Type 'string' is not assignable to type 'number'\.$/,
      "b",
    ],
    ["void api.add();", /^Expected 1-2 arguments, but got 0\.$/, "add"],
    ["api.note(5);", /^Argument of type 'number' is not assignable to parameter of type 'string'\.$/, "5"],
    ["void api.time(5);", /^Type '5' has no properties in common with type 'RequestOptions'\.$/, "5"],
    ["void api.add({ a: 1, b: 2 }, { timout: 5 });", /'timout' does not exist in type 'RequestOptions'/, "timout"],
    ['api.note("x", { timeout: 5 });', /'timeout' does not exist in type 'SendOptions'/, "timeout"],
    ['api.count("x");', /^Argument of type 'string' is not assignable to parameter of type 'number'\.$/, '"x"'],
    // What a call returns is something else.
    [
      "void api.add({ a: 1, b: 2 }).then((sum) => sum.length);",
      /^Property 'length' does not exist on type 'number'\.$/,
      "length",
    ],
    ["api.note('x').then();", /^Property 'then' does not exist on type 'boolean'\.$/, "then"],
    // There is no such member.
    ["void api.nota('x');", /^Property 'nota' does not exist on type 'Caller<ContractTypes<\{ /, "nota"],
    ["api.add = api.add;", /^Cannot assign to 'add' because it is a read-only property\.$/, "add"],
    [
      "caller(server, contract);",
      /^Argument of type 'Server<undefined>' is not assignable to .* 'CallTarget'\.$/,
      "server",
    ],
    ["caller(client, { add: text });", /^Type 'Codec<string, string>' is not assignable to type /, "add"],
    // An error is not declared.
    [
      'void errorOf(contract.find, "gone");',
      /^Argument of type '"gone"' is not assignable to parameter of type '"not-found" \| "busy"'\.$/,
      '"gone"',
    ],
    ['void errorOf(contract.add, "busy");', /^Argument of type 'MessageType<.*DeclaresErrors<.*>/, "contract.add"],
    [
      'try {} catch (error) { if (isErrorOf(error, contract.find) && error.code === "gone") throw error; }',
      /^This comparison appears to be unintentional because the types '"not-found" \| "busy"' and '"gone"' have no overlap\.$/,
      'error.code === "gone"',
    ],
  ];

  told("is about the right place, and its first line is one line that says what is wrong", () => {
    const lines = mistakes.map(([source]) => source);
    const source = HEAD + lines.join("\n");
    const [{ diagnostics }] = ask({ source, at: [] });
    const line = (start: number): number => source.slice(0, start).split("\n").length;
    const first = HEAD.split("\n").length;
    for (const [i, [source, says, at]] of mistakes.entries()) {
      const [error, ...more] = diagnostics.filter(({ start }) => line(start) === first + i);
      assert(error !== undefined, `it compiles: ${source}`);
      assertEquals(more, [], source);
      const [head] = error.message.split("\n");
      assertMatch(head, says, source);
      assert(head.length < 550, `${head.length} characters: ${head}`);
      assertEquals(error.at, at, source);
    }
    assertEquals(diagnostics.length, mistakes.length);
  });

  told("names the one member that is missing in a contract of a hundred", () => {
    const members = Array.from({ length: 100 }, (_, i) => `  member${i}: [text, json<{ a: number; b: string[] }>()],`);
    const source = [
      'import { implement, json, messageTypes, Server, text } from "../../mod.ts";',
      `const contract = messageTypes({\n${members.join("\n")}\n});`,
      "implement(new Server(), contract, {",
      ...members.slice(1).map((_, i) => `  member${i + 1}: ({ data }) => ({ a: data.length, b: [] }),`),
      "});",
    ].join("\n");
    const [{ diagnostics }] = ask({ source, at: [] });
    assertEquals(diagnostics.length, 1);
    const [head] = diagnostics[0].message.split("\n");
    assertStringIncludes(head, `"member0 has no handler"`);
    assert(head.length < 550, `${head.length} characters: ${head}`);
  });
});
