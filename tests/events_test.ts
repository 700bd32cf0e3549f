/**
 * The catalogue of events: what fires, that the page says so, and that nobody pays for what nobody listens to.
 *
 * @module
 */

import { assert, assertEquals, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { globSync, readFileSync } from "node:fs";
import { Client, CLOSE_REASONS, messageType, Server, text } from "../mod.ts";
import { ROOT } from "../scripts/runtimes.ts";
import { CLIENT_EVENTS } from "../src/client/client_events.ts";
import { SERVER_EVENTS } from "../src/server/server_events.ts";
import { memoryWorld } from "./session_support.ts";

const ECHO = messageType(200, "echo", text, text);

/** All events of Python 2.0, as its `internal/events.py` has them. */
const PYTHON: Record<string, string> = {
  ServerEvent: "ON_CONNECT ON_DISCONNECT STARTED STOPPED CLIENT_REJECTED",
  ClientEvent:
    "ON_CONNECT ON_DISCONNECT SOCKET_DISCONNECTED CONNECTING DISCONNECTING TAG_ADDED TAG_REMOVED TAG_CLEARED",
  MessageEvent: "RECEIVED SENT ROUTED UNHANDLED PENDING_REGISTERED PENDING_SATISFIED PENDING_TIMEOUT " +
    "ROUTE_REGISTERED ROUTE_UNREGISTERED",
  ProtocolEvent: "PING PONG HANDSHAKE_START HANDSHAKE_DONE HANDSHAKE_FAIL",
  ErrorEvent: "NETWORK HANDLER CALLBACK SEND ACCEPT CONNECTION_REFUSED",
  ReconnectEvent: "ATTEMPT FAIL SUCCESS CANCELLED",
};

describe("docs/events.md", () => {
  const rows = readFileSync(`${ROOT}docs/events.md`, "utf8").split("\n").filter((line) => line.startsWith("| `"));
  const cells = rows.map((row) => row.split(" | ").map((cell) => cell.replace(/^\| |\|$/g, "").trim()));

  it("names every event of a Server and of a Client, and no other", () => {
    const named = (on: string): string[] =>
      [
        ...new Set(
          cells.filter(([, where]) => where === on || where === "both").flatMap(([names]) => names.split(", ")),
        ),
      ]
        .map((name) => name.replaceAll("`", "")).sort();
    assertEquals(named("server"), [...SERVER_EVENTS].sort());
    assertEquals(named("client"), [...CLIENT_EVENTS].sort());
  });

  it("has a place for every event of Python 2.0", () => {
    const column = readFileSync(`${ROOT}docs/events.md`, "utf8").split("\n").filter((line) => line.startsWith("|"))
      .map((row) => row.split(" | ").at(-1)!);
    const placed = new Set<string>();
    for (const cell of column) {
      let group = "";
      for (const [, name, event] of cell.matchAll(/`(?:(\w+)\.)?([A-Z_]+)`/g)) {
        group = name ?? group;
        placed.add(`${group}.${event}`);
      }
    }
    const all = Object.entries(PYTHON).flatMap(([group, events]) => events.split(" ").map((one) => `${group}.${one}`));
    assertEquals(all.filter((event) => !placed.has(event)), []);
  });
});

describe("docs/errors.md", () => {
  it("says what every reason for the end of a connection means", () => {
    const page = readFileSync(`${ROOT}docs/errors.md`, "utf8");
    const rows = page.slice(page.indexOf("## Reasons")).split("\n").filter((line) => line.startsWith("| `"));
    const named = rows.flatMap((row) => [...row.split(" | ")[0].matchAll(/`([a-z-]+)`/g)].map(([, reason]) => reason));
    assertEquals(named.sort(), [...CLOSE_REASONS].sort());
  });

  it("has every code of an error, and says what to do about it", () => {
    const tables = readFileSync(`${ROOT}docs/errors.md`, "utf8").split("\n\n").filter((block) =>
      block.startsWith("| ")
    );
    const rows = tables.flatMap((table) => {
      const [head, , ...lines] = table.split("\n").filter(Boolean)
        .map((line) => line.slice(2, -2).split(" | ").map((cell) => cell.trim()));
      assertEquals(head.at(-1), "what to do");
      return lines;
    });
    for (const row of rows) assert(row.at(-1) !== "", row.join(" | "));
    const text = rows.map(([first, second]) => first + second).join();

    const unions = readFileSync(`${ROOT}src/errors.ts`, "utf8").matchAll(/type \w+ErrorCode =([^;]*);/g);
    const codes = [...unions].flatMap(([, union]) => [...union.matchAll(/"([a-z-]+)"/g)]);
    const answers = globSync("src/**/*.ts", { cwd: ROOT })
      .flatMap((path) => [...readFileSync(`${ROOT}${path}`, "utf8").matchAll(/answerError\(\s*"([a-z-]+)"/g)]);
    assert(codes.length > 60 && answers.length > 5);
    assertEquals([...codes, ...answers].map(([, code]) => code).filter((code) => !text.includes(`\`${code}\``)), []);
  });
});

describe("the events of a Server and its Client", () => {
  it("tell the whole story of a connection, in order", async () => {
    const world = memoryWorld();
    const story: string[] = [];
    const server = new Server({ hostname: "127.0.0.1", port: 0, transport: world.transport });
    const tell = (who: string, name: string): void => void story.push(`${who} ${name}`);
    for (const name of SERVER_EVENTS) server.on(name, () => tell("server", name));
    server.route(ECHO, ({ data }) => data);
    await server.start();
    const client = new Client({ ...server.addresses[0], transport: world.transport });
    for (const name of CLIENT_EVENTS) client.on(name, () => tell("client", name));
    client.on("connecting", ({ attempt }) => assertEquals(attempt, 0));
    await client.connect();
    assertEquals(await client.request(ECHO, "x"), "x");
    server.clients[0].addTag("room");
    client.send(messageType(300), new Uint8Array(3));
    await client.ping();
    const over = new Promise((resolve) => server.on("disconnect", resolve));
    await client.close();
    await over;
    await server.close();
    const of = (who: string): string =>
      story.filter((line) => line.startsWith(who)).map((line) => line.slice(7)).join(" ");
    assertEquals(
      of("server"),
      "route listening handshake connect received routed sent tag received message received sent received disconnect " +
        "closing close",
    );
    assertEquals(
      of("client"),
      "connecting connect sent received settled sent sent received settled closing sent disconnect",
    );
  });

  it("hand out numbers and names, and the client on a server", async () => {
    const world = memoryWorld();
    await using server = new Server({ hostname: "127.0.0.1", port: 0, transport: world.transport });
    server.route(ECHO, ({ data }) => data);
    const got: unknown[] = [];
    server.on("received", (info, peer) => got.push([info, peer.id]));
    await server.start();
    await using client = new Client({ ...server.addresses[0], transport: world.transport });
    client.on("settled", (info) => got.push(info));
    await client.connect();
    await client.request(ECHO, "four");
    assertEquals(got, [
      [{ code: 200, size: 4, requestId: 1, kind: "request" }, 1],
      { name: "echo", requestId: 1, outcome: "answered", ms: 0 },
    ]);
  });

  it("can be listened to by their names alone", () => {
    const client = new Client();
    assertThrows(() => client.on("recieved" as never, () => {}), TypeError, "the events are connecting, connect");
    assert(!(CLIENT_EVENTS as readonly string[]).includes("recieved"));
  });
});
