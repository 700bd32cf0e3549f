/**
 * The chat, as users start it on this runtime: a server and some terminals.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { it } from "@std/testing/bdd";
import { INTERRUPTED, Program } from "./examples_support.ts";
import { describeOnPosix } from "./posix.ts";

describeOnPosix("examples/chat", () => {
  it("brings lines to those in the same room, and to nobody else", async () => {
    await using server = new Program("chat/server.ts", "0");
    const [, port] = await server.find(/at port (\d+)/);
    await using ann = new Program("chat/client.ts", "Ann", port);
    await ann.find(/You are in lobby, with nobody else\n/);
    await using bob = new Program("chat/client.ts", "Bob", port);
    await bob.find(/You are in lobby, with Ann\n/);
    await ann.find(/Bob {2}is here\n/);

    bob.type("hello \x1b[2J\x1b[31mAnn");
    assertEquals((await ann.find(/Bob {2}hello (.*)\n/))[1], "�[2J\x1b[31mAnn");
    bob.type("/enter garden");
    await ann.find(/Bob {2}goes to garden\n/);
    await bob.find(/You are in garden, with nobody else\n/);
    ann.type("only for the lobby");
    ann.type("/rooms");
    await ann.find(/lobby \(1\), garden \(1\)\n/);
    ann.type("/enter garden");
    await bob.find(/Ann {2}is here\n/);
    ann.type("/who");
    assertEquals((await ann.find(/Here: (.*)\n/))[1].split(", ").sort(), ["Ann", "Bob"]);
    assertEquals(bob.text.includes("only for the lobby"), false);

    // A name belongs to one, and is free when its owner has left.
    await using other = new Program("chat/client.ts", "Ann", port);
    assertEquals([await other.end(), other.text.includes("Somebody is called Ann already")], [1, true], other.text);
    ann.type("/quit");
    await bob.find(/Ann {2}has left\n/);
    assertEquals(await ann.end(), 0);

    server.interrupt();
    assertEquals([await server.end(), server.text.endsWith("The chat is over\n")], [INTERRUPTED, true], server.text);
    await bob.find(/The server is away \(going-away\)/);
    bob.endInput();
    assertEquals(await bob.end(), 0);
  });
});
