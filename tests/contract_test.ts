/**
 * The option `contract`: what the log's line about a handshake says of the message types of both sides. And the entry
 * `./contract`, for the file that both sides share.
 *
 * @module
 */

import { assertEquals, assertStrictEquals, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import * as core from "@veltix/core";
import { Client, fingerprint, messageTypes, Server, text } from "@veltix/core";
import * as contract from "@veltix/core/contract";
import { HOST, memoryWorld, Raw, Recorder, serve, until } from "./session_support.ts";

const OURS = messageTypes({ chat: text, add: [text, text] });
const THEIRS = messageTypes({ add: [text, text], chat: text });
const [ours, theirs] = [OURS, THEIRS].map(fingerprint);

/** What each side writes about the handshake, without the addresses. */
async function lines(server: object, client: object): Promise<[server: string, client: string]> {
  const world = memoryWorld();
  const said: string[] = [];
  const logger = { warn: () => {}, error: () => {}, debug: (line: string) => said.push(line) };
  await using served = await serve(world, { ...server, logger });
  const events = new Recorder(served.server, ["connect"]);
  const heard: string[] = [];
  const info = (line: string): unknown => heard.push(line);
  const caller = new Client({
    ...served.address,
    transport: world.transport,
    logger: { warn: () => {}, error: () => {}, info },
    ...client,
  });
  await caller.connect();
  await events.next("connect");
  await caller.close();
  return [said[0].replace(/ from \S+/, ""), heard[0].replace(/ to \S+/, "")];
}

describe("contract", () => {
  it("stands in the line about a handshake on both sides, and the other's where it is another one", async () => {
    assertEquals(await lines({ contract: OURS }, { contract: { ...OURS } }), [
      `Client 1 connected native, contract ${ours}`,
      `Connected native, contract ${ours}`,
    ]);
    assertEquals(await lines({ contract: OURS }, { contract: THEIRS }), [
      `Client 1 connected native, contract ${ours}, the client has ${theirs}`,
      `Connected native, contract ${theirs}, the server has ${ours}`,
    ]);
    assertEquals(await lines({ contract: OURS }, {}), [
      `Client 1 connected native, contract ${ours}`,
      "Connected native",
    ]);
    assertEquals(await lines({}, { contract: OURS }), [
      "Client 1 connected native",
      `Connected native, contract ${ours}`,
    ]);
    assertEquals(await lines({ contract: OURS, protocol: "1.6.3" }, { contract: OURS }), [
      `Client 1 connected 1.6.3, contract ${ours}`,
      `Connected 1.6.3, contract ${ours}`,
    ]);
  });

  it("of a peer that tells nonsense is not written", async () => {
    for (const fingerprint of ["\x1b[2J", "x".repeat(1_000), "1234567", "ABCDEF01"]) {
      const world = memoryWorld();
      const said: string[] = [];
      const logger = { warn: () => {}, error: () => {}, debug: (line: string) => said.push(line) };
      await using served = await serve(world, { contract: OURS, logger });
      await using _raw = await Raw.connect(world, served.address, "native", {
        features: { contract: { fingerprint } },
      });
      await until(() => said.length > 0);
      assertEquals(
        said[0].replace(/ from \S+/, ""),
        `Client 1 connected native, contract ${ours}, the client has one that is no fingerprint`,
      );
    }
    for (const features of [{ contract: { fingerprint: 5 } }, { contract: {} }, { contract: [] }]) {
      const world = memoryWorld();
      const said: string[] = [];
      const logger = { warn: () => {}, error: () => {}, debug: (line: string) => said.push(line) };
      await using served = await serve(world, { contract: OURS, logger });
      await using _raw = await Raw.connect(world, served.address, "native", { features: features as never });
      await until(() => said.length > 0);
      assertEquals(said[0].replace(/ from \S+/, ""), `Client 1 connected native, contract ${ours}`);
    }
  });

  it("is refused where it is none", () => {
    for (const contract of [5, null, { chat: text }]) {
      for (const make of [Server, Client]) {
        assertThrows(() => new make({ hostname: HOST, contract: contract as never }), TypeError, "fingerprint");
      }
    }
  });
});

describe("the entry ./contract", () => {
  it("has the very functions and codecs of the main entry", () => {
    const names = Object.keys(contract) as (keyof typeof contract)[];
    assertEquals(names.sort(), [
      "bytes",
      "empty",
      "fingerprint",
      "json",
      "messageType",
      "messageTypes",
      "streamType",
      "text",
    ]);
    for (const name of names) assertStrictEquals<unknown>(contract[name], core[name], name);
  });

  it("makes types for a Server and a Client", async () => {
    const { hello, feed } = contract.messageTypes({
      hello: [contract.text, contract.json<string[]>()],
      feed: { stream: { head: contract.json<number>(), down: contract.json<number>() } },
    });
    const world = memoryWorld();
    await using served = await serve(world, { contract: { hello, feed } });
    served.server.route(hello, ({ data }) => [...data]);
    served.server.stream(feed, async function* ({ head }): AsyncGenerator<number> {
      for (let i = 0; i < head; i++) yield i;
    });
    await using client = new Client({ ...served.address, transport: world.transport });
    await client.connect();
    const letters: string[] = await client.request(hello, "abc");
    assertEquals(letters, ["a", "b", "c"]);
    assertEquals(await Array.fromAsync(client.open(feed, 3).readable), [0, 1, 2]);
  });
});
