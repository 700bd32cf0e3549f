/**
 * Who is not who it should be: a client that reaches another program or a Python server that does not answer, and a server
 * that is reached by another program or by a Python client of another release. Each error says what came and what to try.
 */

import { assert, assertEquals, assertInstanceOf, assertRejects, assertStringIncludes } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { Client, Server } from "../mod.ts";
import { ConnectionError, HandshakeError } from "../src/errors.ts";
import { encodeFrame } from "../src/wire/encoder.ts";
import { SystemCode } from "../src/wire/frame.ts";
import { helloFrame } from "../src/wire/python/hello_frames.ts";
import { protocol } from "../src/wire/protocols.ts";
import {
  advanceUntil,
  memoryWorld,
  message,
  pass,
  Raw,
  RawServer,
  serve,
  turn,
  until,
  watched,
  WORLDS,
} from "./session_support.ts";
import { cutEvery, unhex, utf8 } from "./wire_support.ts";

const CHECK = "check the host and the port";
const ALERTED = "set the option tls, or connect to a port without TLS";
const GREETED = "set the option tls of the listener, or connect without TLS";

/** What other programs say first, what it is called, and what there is to try. */
const GREETINGS: readonly [name: string, bytes: Uint8Array, what: string, advice: string, code?: string][] = [
  [
    "an HTTP server that sends an error page",
    utf8("HTTP/1.1 408 Request Timeout\r\nContent-Type: text/html\r\n\r\n<html><body>408</body></html>"),
    'an HTTP answer, "HTTP/1.1 408 Request Timeout"',
    CHECK,
  ],
  [
    "an SSH server",
    utf8("SSH-2.0-OpenSSH_9.9p1 Debian-3\r\n"),
    'an SSH greeting, "SSH-2.0-OpenSSH_9.9p1 Debian-3"',
    CHECK,
  ],
  ["a mail server", utf8("220 mx.example ESMTP\r\n"), 'an SMTP or FTP greeting, "220 mx.example ESMTP"', CHECK],
  ["a Redis server", utf8("-DENIED Redis is running\r\n"), 'a Redis or POP3 answer, "-DENIED Redis is running"', CHECK],
  ["a TLS alert", unhex("15030300020228"), "a TLS alert", ALERTED, "tls-required"],
  ["a TLS hello", unhex("160303007a020000760303"), "a TLS handshake", GREETED, "tls-required"],
  ["garbage", unhex("f3a5919b0044cc27f3a5919b0044cc27ff"), `the bytes f3 a5 91 9b 00 44 cc 27 f3`, CHECK],
  ["zeros", new Uint8Array(300), "the bytes 00 00 00 00", CHECK],
  [
    "a Python server of release 1.3 that speaks first",
    encodeFrame(protocol("1.3.0"), {
      code: 200,
      content: utf8("welcome"),
      requestId: "00112233-4455-4677-8899-aabbccddeeff",
      flags: 0,
    }),
    "a frame of type 200, framed as in releases 1.2 to 1.6.1",
    'set protocol to its release, such as "1.3.0"',
  ],
];

for (const world of WORLDS) {
  describe(`a client that reaches, ${world.name},`, () => {
    for (const [name, bytes, what, advice, code = "handshake-failed"] of GREETINGS) {
      it(`${name} fails at once, says what came and what to try`, async () => {
        const made = await world.make();
        await using server = await RawServer.listen(made);
        const client = new Client({ ...server.address, transport: made.transport });
        const connecting = client.connect();
        connecting.catch(() => {});
        await using raw = await server.accept("native");
        await raw.connection.write(bytes);
        const ended = raw.end();
        const error = await assertRejects(() => connecting, HandshakeError) as HandshakeError;
        assertEquals([error.code, made.clock.now()], [code, 0]);
        assertStringIncludes(error.message, `it greeted with ${what}`);
        assert(error.message.endsWith(`which is no Veltix greeting; ${advice}`), error.message);
        await ended;
        assertEquals(client.state, "disconnected");
      });
    }

    for (const [said, what] of [["", "nothing"], ["5", 'the text "5"'], ["SS", 'the text "SS"']]) {
      it(`a peer that says ${what} and no more fails within handshakeTimeout, and says what to try`, async () => {
        const made = await world.make();
        await using server = await RawServer.listen(made);
        const seen = watched(made.transport);
        const client = new Client({ ...server.address, transport: seen.transport, handshakeTimeout: 7_000 });
        const connecting = assertRejects(() => client.connect(), HandshakeError) as Promise<HandshakeError>;
        await using raw = await server.accept("native");
        for (const byte of cutEvery(utf8(said), 1)) await raw.connection.write(byte);
        await until(() => seen.opened.length === 1 && seen.bytesRead === said.length);
        const ended = raw.end();
        await made.clock.advance(6_990);
        await turn();
        assertEquals(client.state, "connecting");
        const { code, message } = await pass(made.clock, 30, connecting);
        assertEquals(code, "handshake-timeout");
        assertStringIncludes(message, `it sent ${what}`);
        const parts = said === ""
          ? [
            "1.2 or 1.3",
            'set protocol to "1.3.0" or "1.2.1"',
            "full or held up by another client",
            "no Veltix server",
          ]
          : [];
        for (const part of [...parts, CHECK]) assertStringIncludes(message, part);
        await ended;
      });
    }
  });
}

describe("a client that reaches", () => {
  it("an HTTP server that answers nothing until it is asked learns the three things it can be", async () => {
    const world = memoryWorld();
    await using server = await RawServer.listen(world);
    const client = new Client({ ...server.address, transport: world.transport });
    const connecting = assertRejects(() => client.connect(), HandshakeError, "it sent nothing: it is no Veltix server");
    await using raw = await server.accept("native");
    const asked = raw.connection.read();
    await advanceUntil(world.clock, connecting);
    assert(world.clock.now() >= 9_900 && world.clock.now() <= 10_300, `${world.clock.now()}`);
    assertEquals(await advanceUntil(world.clock, asked), null, "it was never sent a byte");
  });

  it("a release without a greeting connects once it is named, as the error says", async () => {
    const world = memoryWorld();
    await using served = await serve(world, { protocol: "1.3.0" });
    const auto = new Client({ ...served.address, transport: world.transport });
    const refused = assertRejects(() => auto.connect(), HandshakeError) as Promise<HandshakeError>;
    const { message } = await advanceUntil(world.clock, refused);
    const named = /set protocol to "([\d.]+)"/.exec(message)![1];
    await using client = new Client({ ...served.address, transport: world.transport, protocol: named });
    await client.connect();
    assertEquals([named, client.stats().protocol], ["1.3.0", "1.3.0"]);
    assert(await client.ping() >= 0);
  });

  it("somebody who closes without a word fails with closed, and says so", async () => {
    const world = memoryWorld();
    await using server = await RawServer.listen(world);
    const client = new Client({ ...server.address, transport: world.transport });
    const connecting = assertRejects(() => client.connect(), ConnectionError) as Promise<ConnectionError>;
    await using raw = await server.accept("native");
    await raw.connection.closeWrite();
    const { code, message } = await connecting;
    assertEquals(code, "closed");
    assertStringIncludes(message, `it closed the connection during the handshake, it sent nothing; ${CHECK}`);
  });
});

/** Who else connects to a server. */
const STRANGERS: readonly [name: string, bytes: Uint8Array, what: string, advice: string, code?: string][] = [
  [
    "an HTTP client",
    utf8("GET /index.html HTTP/1.1\r\nHost: example.org\r\nUser-Agent: x\r\nAccept: */*\r\n\r\n"),
    'an HTTP request, "GET /index.html HTTP/1.1"',
    CHECK,
  ],
  ["an HTTP/2 client", utf8("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), 'an HTTP request, "PRI * HTTP/2.0"', CHECK],
  [
    "a TLS client",
    unhex(`16030100c8010000c40303${"5a".repeat(80)}`),
    "a TLS handshake",
    GREETED,
    "tls-unavailable",
  ],
  ["an SSH client", utf8("SSH-2.0-PuTTY_Release_0.81\r\n"), 'an SSH greeting, "SSH-2.0-PuTTY_Release_0.81"', CHECK],
  ["a Redis client", utf8("*1\r\n$4\r\nPING\r\n".padEnd(40)), 'a Redis command, "*1"', CHECK],
  ["a mail client", utf8("EHLO relay.example.org with a name\r\n"), 'an SMTP command, "EHLO relay.example.org', CHECK],
  ["garbage", new Uint8Array(300).fill(0xa7), "the bytes a7 a7 a7 a7", CHECK],
];

describe("a server that is reached by", () => {
  for (const release of ["native", "2.0.0", "1.9.0", "1.7.5", "1.6.10", "1.6.3", "1.6.0"]) {
    for (const [name, bytes, what, advice, code] of STRANGERS) {
      it(`${name}, set to ${release}, says what came, in one piece and byte by byte`, async () => {
        for (const size of [bytes.length, 1]) {
          const world = memoryWorld();
          await using served = await serve(world, { protocol: release });
          const connection = await world.transport.connect(served.address);
          const raw = new Raw(connection, "native");
          const writing = (async () => {
            for (const piece of cutEvery(bytes, size)) await connection.write(piece);
          })();
          writing.catch(() => {});
          const [{ reason, error }] = await advanceUntil(world.clock, served.events.next("rejected"));
          assert(["handshake-failed", "protocol-error"].includes(reason), `${reason}: ${error}`);
          if (code !== undefined) assertEquals(error.code, code);
          // Byte by byte it is known before there is much to say about.
          if (size > 1) assertStringIncludes(error.message, `it sent ${what}`);
          if (size > 1) assert(error.message.endsWith(`; ${advice}`), error.message);
          assertStringIncludes(error.message, "it sent ");
          await advanceUntil(world.clock, raw.end());
          await raw[Symbol.asyncDispose]();
        }
      });
    }
  }
});

describe("a server that is reached by a Python client of another release", () => {
  it("names both versions where the client has said its own", async () => {
    for (
      const [ours, theirs] of [["2.0.0", "2.1.0"], ["2.0.0", "1.9.0"], ["1.9.0", "1.8.1"], ["1.7.5", "1.7.3"], [
        "1.6.3",
        "1.6.9",
      ]]
    ) {
      const world = memoryWorld();
      await using served = await serve(world, { protocol: ours });
      await using raw = new Raw(await world.transport.connect(served.address), ours);
      if (raw.protocol.handshake === "json") {
        await raw.message();
        await raw.connection.write(message({ v: theirs, meta: {} }));
      } else {
        const { requestId } = (await raw.frame())!;
        await raw.connection.write(helloFrame(raw.protocol, SystemCode.HELLO_ACK, requestId, 0, theirs));
      }
      const [{ reason, error }] = await served.events.next("rejected");
      assertEquals([reason, error.code], ["handshake-failed", "version-mismatch"]);
      const said = `it is release "${theirs}", this listener serves "${ours}"; set protocol to its release`;
      assertStringIncludes(error.message, said);
    }
  });

  it("says what it announced and what to set where the client closes without an answer, as 1.6.10 and 1.8 on do", async () => {
    for (const ours of ["2.0.0", "native", "1.9.0", "1.7.5", "1.6.10", "1.6.3"]) {
      const world = memoryWorld();
      await using served = await serve(world, { protocol: ours });
      await using raw = new Raw(await world.transport.connect(served.address), ours);
      if (raw.protocol.handshake === "json") await raw.message();
      else await raw.frame();
      await raw.connection.closeWrite();
      const [{ reason, error }] = await served.events.next("rejected");
      assertInstanceOf(error, ConnectionError);
      assertEquals([reason, error.code], ["peer-closed", "closed"]);
      assertTells(error, ours === "native" ? "2.0.0" : ours, "left without a word");
    }
  });

  it("says the same where the client never acknowledges, as 1.4 to 1.6.9 do", async () => {
    for (const ours of ["2.0.0", "1.7.5", "1.6.3", "1.6.0"]) {
      const world = memoryWorld();
      await using served = await serve(world, { protocol: ours });
      await using raw = new Raw(await world.transport.connect(served.address), ours);
      const [{ reason, error }] = await advanceUntil(world.clock, served.events.next("rejected"));
      assertInstanceOf(error, HandshakeError);
      assertEquals([reason, error.code], ["handshake-timeout", "handshake-timeout"]);
      assertTells(error, ours, "said nothing");
      await raw.end();
    }
  });

  it("says the same where the client goes on without acknowledging, as 1.4.0 to 1.6.1 do", async () => {
    for (const ours of ["1.6.0", "1.4.0"]) {
      const world = memoryWorld();
      await using served = await serve(world, { protocol: ours });
      await using raw = new Raw(await world.transport.connect(served.address), ours);
      const requestId = "00112233-4455-4677-8899-aabbccddeeff";
      const frame = encodeFrame(raw.protocol, { code: 200, content: utf8("hi"), requestId, flags: 0 });
      await raw.connection.write(frame);
      const [{ reason, error }] = await served.events.next("rejected");
      assertEquals(reason, "handshake-failed");
      assertStringIncludes(
        error.message,
        "it sent a frame of type 200 before HELLO_ACK: a Python client of another release does just that; set protocol",
      );
      await raw.end();
    }
  });

  it("knows a frame of the releases that talk without a handshake, or go on without one", async () => {
    const world = memoryWorld();
    const cases: [release: string, framing: string, named: string][] = [
      ["1.3.0", "releases 1.2 to 1.6.1", "1.3.0"],
      ["1.6.1", "releases 1.2 to 1.6.1", "1.3.0"],
      ["1.6.9", "releases 1.6.2 to 1.6.9", "1.6.9"],
      ["1.6.10", "release 1.6.10", "1.6.10"],
      ["1.9.0", "releases 1.7 to 1.9", "1.9.0"],
    ];
    await using served = await serve(world);
    for (const [release, framing, named] of cases) {
      const spoken = protocol(release);
      await using raw = new Raw(await world.transport.connect(served.address), "native");
      const requestId = spoken.ids === "uuid" ? "00112233-4455-4677-8899-aabbccddeeff" : 7;
      const content = utf8("a message without a handshake");
      await raw.connection.write(encodeFrame(spoken, { code: 200, content, requestId, flags: 0 }));
      const [{ error }] = await served.events.next("rejected");
      assertStringIncludes(error.message, `it sent a frame of type 200, framed as in ${framing}`);
      assertStringIncludes(error.message, `set protocol to its release, such as "${named}"`);
      await raw.end();
    }
  });

  it("logs that where nobody listens: a refusal as a warning, and one who left without a word where debug is on", async () => {
    const world = memoryWorld();
    const lines: string[] = [];
    const write = (level: string) => (line: unknown) => void lines.push(`${level} ${String(line)}`);
    const logger = { warn: write("warn"), error: write("error"), debug: write("debug") };
    const server = new Server({ hostname: "127.0.0.1", port: 0, transport: world.transport, logger });
    await server.start();
    const knock = async (answer?: Uint8Array): Promise<void> => {
      const raw = new Raw(await world.transport.connect(server.addresses[0]), "2.0.0");
      await raw.message();
      if (answer !== undefined) await raw.connection.write(answer);
      await raw.connection.closeWrite();
      await raw.end();
      await raw[Symbol.asyncDispose]();
    };
    await knock(message({ v: "1.9.0", meta: {} }));
    await knock();
    await advanceUntil(world.clock, server.close());
    assertEquals(lines.length, 2);
    assert(lines[0].startsWith("warn ") && lines[0].includes('"1.9.0"') && lines[0].includes('"2.0.0"'), lines[0]);
    assert(lines[1].startsWith("debug Connection from 127.0.0.1:") && lines[1].includes("rejected: peer-closed. "));
    assertStringIncludes(lines[1], 'greeted by release "2.0.0" and left without a word');
  });
});

function assertTells(error: Error, announced: string, how: string): void {
  assertStringIncludes(error.message, `it was greeted by release "${announced}" and ${how}`);
  assertStringIncludes(error.message, "a Python client of another release does just that");
  assertStringIncludes(error.message, "set protocol to its release, or serve it at an address of its own with listen");
}
