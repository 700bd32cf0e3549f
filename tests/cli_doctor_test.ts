/** `veltix doctor` and `veltix fingerprint`, before servers of every kind and before what is no server of Veltix. */

import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer as createHttp } from "node:http";
import { type AddressInfo, createServer, type Server as NetServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type AuthenticateContext, type ServerConfig, VERSION } from "../mod.ts";
import { Identity } from "@veltix/core/encryption";
import { greetingOf } from "../src/cli/doctor/greeting.ts";
import { cli, type Outcome, serverFor, start } from "./cli_support.ts";
import { itOnPosix } from "./posix.ts";
import { pair } from "./tls_support.ts";
import { unhex } from "./wire_support.ts";

const CERTIFICATES = fileURLToPath(new URL("./certificates/", import.meta.url));
const CA = `${CERTIFICATES}ca.crt`;
const QUICK = ["--connect-timeout", "400"];

interface Step {
  readonly step: string;
  readonly status: string;
  readonly detail: string;
  readonly advice?: string;
}

/** Runs doctor, and returns its steps by name, the summary among them, and the exit code. */
async function doctor(...args: string[]): Promise<{ code: number; steps: Record<string, Step>; outcome: Outcome }> {
  const outcome = await cli(["doctor", ...args, "--json"]);
  const steps = outcome.json as Step[];
  return { code: outcome.code, steps: Object.fromEntries(steps.map((step) => [step.step, step])), outcome };
}

function statuses(steps: Record<string, Step>): Record<string, string> {
  return Object.fromEntries(Object.entries(steps).flatMap(([name, { status }]) => status ? [[name, status]] : []));
}

/** A program that is no server of Veltix. */
async function stranger(connected: (socket: Socket) => void): Promise<{ at: string } & AsyncDisposable> {
  const sockets = new Set<Socket>();
  const server: NetServer = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => {}).on("close", () => sockets.delete(socket));
    connected(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    at: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    async [Symbol.asyncDispose](): Promise<void> {
      const closed = new Promise((resolve) => server.close(resolve));
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

describe("veltix doctor", () => {
  it("finds that all is well with a native server, and exits with 0", async () => {
    const { at, server } = await serverFor(() => {});
    await using _ = server;
    const { code, steps } = await doctor(at);
    assertEquals(code, 0);
    assertEquals(statuses(steps), {
      address: "ok",
      tcp: "ok",
      greeting: "ok",
      handshake: "ok",
      credentials: "skipped",
      ping: "ok",
      clock: "skipped",
    });
    assertMatch(steps.greeting.detail, /^a native Veltix server, with credit/);
    const { code: quiet, err, out } = await cli(["doctor", at, "-q"]);
    assertEquals([quiet, out, err], [0, "", ""]);
  });

  it("shows a mark and a line for each step, with what to do, within the width of the terminal", async () => {
    const { at, server } = await serverFor(() => {});
    await using _ = server;
    const well = await cli(["doctor", at, "--no-color"], { interactive: true, columns: 50 });
    assertMatch(well.out, /^✓ Address {6}127\.0\.0\.1:\d+, TCP$/m);
    assertMatch(well.out, /^- Clock {8}the server does not say/m);
    assertStringIncludes(well.err, `A client can connect to ${at}.`);
    assert(well.out.split("\n").every((line) => line.length <= 50), well.out);
    const { code, err, out } = await cli(["doctor", "127.0.0.1:1"]);
    assertEquals([code, err], [3, "veltix: A client cannot connect to 127.0.0.1:1\n"]);
    assertMatch(out, /^✗ Connection {3}127\.0\.0\.1:1: the connection was refused\n {15}→ start the server/m);
  });

  it("resolves a name, and tries each of its addresses", async () => {
    const { at, server } = await serverFor(() => {});
    await using _ = server;
    const { code, steps } = await doctor(`localhost:${at.split(":")[1]}`);
    assertEquals([code, steps.dns.status], [0, "ok"]);
    assertStringIncludes(steps.dns.detail, "127.0.0.1 (IPv4)");
    const unknown = await doctor("no-such-name.invalid:80", ...QUICK);
    assertEquals([unknown.code, unknown.steps.dns.status], [3, "failed"]);
  });

  it("knows the release of a Python server by its first bytes, and by its clock", async () => {
    for (const [protocol, greeting] of [["1.6.3", "ok"], ["1.9.0", "ok"], ["1.3.0", "failed"]] as const) {
      const { at, server } = await serverFor(() => {}, { protocol });
      await using _ = server;
      const { code, steps } = await doctor(at);
      assertEquals([code, steps.greeting.status], [greeting === "ok" ? 0 : 3, greeting]);
      if (greeting === "ok") assertStringIncludes(steps.greeting.detail, `release ${protocol}`);
      else assertMatch(steps.greeting.advice!, /--protocol 1\.3\.0/);
      // HELLO of 1.6.3 has a time stamp.
      if (protocol === "1.6.3") assertEquals(steps.clock.detail, "both clocks agree");
    }
    const { at, server } = await serverFor(() => {}, { protocol: "1.3.0" });
    await using _ = server;
    assertEquals((await doctor(at, "--protocol", "1.3.0")).code, 0);
    const { code, steps } = await doctor(at, "--protocol", "1.3.0", "--tls");
    assertEquals([code, steps.tls.status], [3, "failed"]);
  });

  for (
    const [name, says, detail, advice] of [
      ["an SSH server", "SSH-2.0-OpenSSH_9.9p1\r\n", /an SSH greeting/, /check the host and the port/],
      ["a mail server", "220 mx.example ESMTP\r\n", /SMTP or FTP/, /check the host/],
      ["a server that greets with what a terminal obeys", "\x1b[2J\x07\r\n", /^the bytes 1b 5b 32 4a/, /check/],
      ["garbage", "\xf3\xa5\x91\n", /the bytes/, /check/],
    ] as const
  ) {
    it(`knows ${name}`, async () => {
      await using other = await stranger((socket) => void socket.write(says, "latin1"));
      const { code, steps } = await doctor(other.at, ...QUICK);
      assertEquals([code, steps.greeting.status], [3, "failed"]);
      assertMatch(steps.greeting.detail, detail);
      assertMatch(steps.greeting.advice!, advice);
    });
  }

  it("never hangs: not before a server that says nothing, closes, resets, or sends byte after byte", async () => {
    const kinds: Record<string, [(socket: Socket) => void, RegExp]> = {
      silent: [(socket) => void socket.resume(), /said nothing within 400 ms/],
      deaf: [() => {}, /said nothing within 400 ms/],
      closing: [(socket) => void socket.end(), /closes the connection at once/],
      resetting: [(socket) => void socket.resetAndDestroy(), /closes|reset|closed/],
      dripping: [(socket) => {
        const timer = setInterval(() => socket.write("x"), 10);
        socket.on("close", () => clearInterval(timer));
      }, /the text "x+"/],
    };
    for (const [name, [connected, detail]] of Object.entries(kinds)) {
      await using other = await stranger(connected);
      const { code, steps } = await doctor(other.at, ...QUICK);
      const { detail: found = "" } = steps.greeting ?? steps.tcp;
      assertEquals(code, 3, name);
      assertMatch(found, detail, name);
    }
  });

  it("knows an HTTP server, and what its answer to a WebSocket means", async () => {
    const http = createHttp((request, response) => {
      if (request.url === "/moved") response.writeHead(302, { location: "wss://elsewhere/" });
      else response.writeHead(404);
      response.end();
    });
    await new Promise<void>((resolve) => http.listen(0, "127.0.0.1", resolve));
    try {
      const at = `127.0.0.1:${(http.address() as AddressInfo).port}`;
      const bare = await doctor(at, ...QUICK);
      assertMatch(bare.steps.greeting.detail, /an HTTP server, "HTTP\/1\.1 404/);
      assertMatch(bare.steps.greeting.advice!, /write ws:\/\/127\.0\.0\.1/);
      const wrong = await doctor(`ws://${at}/x`);
      assertEquals([wrong.code, wrong.steps.websocket.detail], [3, 'it answers "HTTP/1.1 404 Not Found"']);
      const moved = await doctor(`ws://${at}/moved`);
      assertMatch(moved.steps.websocket.advice!, /wss:\/\/elsewhere/);
    } finally {
      await new Promise((resolve) => {
        http.close(resolve);
        http.closeAllConnections();
      });
    }
  });

  it("opens a WebSocket as a program and as a page, and knows who is not one of HTTP", async () => {
    const { at, server } = await serverFor(() => {}, {
      listen: [{ port: 0, hostname: "127.0.0.1", webSocket: { path: "/veltix", origins: ["https://good.example"] } }],
    });
    await using _ = server;
    const url = `ws://${at}/veltix`;
    const good = await doctor(url, "--origin", "https://good.example");
    assertEquals([good.code, good.steps.websocket.status, good.steps.origin.status], [0, "ok", "ok"]);
    const evil = await doctor(url, "--origin", "https://evil.example");
    assertEquals([evil.code, evil.steps.handshake.status, evil.steps.origin.status], [3, "ok", "failed"]);
    assertMatch(evil.outcome.err, /Programs can connect/);
    const secure = await doctor(`wss://${at}/veltix`);
    assertEquals([secure.code, secure.steps.tls.advice], [3, "write ws: in place of wss:"]);
    const bare = await serverFor(() => {});
    await using __ = bare.server;
    const { steps } = await doctor(`ws://${bare.at}/`, ...QUICK);
    assertMatch(steps.websocket.detail, /a native Veltix server.* for bare sockets$/);
  });

  it("reads the certificate, and says whether and why a client trusts it", async () => {
    const tls = async (name: string): Promise<{ at: string; server: AsyncDisposable }> =>
      await serverFor(() => {}, { tls: pair(name) });
    const { at, server } = await tls("server");
    await using _ = server;
    const good = await doctor(at, "--ca", CA);
    assertEquals([good.code, good.steps.tls.status, good.steps.trust.status], [0, "ok", "ok"]);
    assertMatch(
      good.steps.tls.detail,
      /^TLSv1\.3, certificate of "localhost" for DNS:localhost, IP Address:127\.0\.0\.1/,
    );
    const pin = good.steps.tls.detail.split(" key ")[1];
    assertEquals((await doctor(at, "--pin", pin)).code, 0);
    const cases: readonly [args: string[], advice: RegExp][] = [
      [["--tls"], /--ca|--pin/],
      [["--ca", CA, "--server-name", "other.example"], /--server-name/],
    ];
    for (const [args, advice] of cases) {
      const { code, steps } = await doctor(at, ...args);
      assertEquals([code, steps.trust.status, steps.handshake], [3, "failed", undefined]);
      assertMatch(steps.trust.advice!, advice);
    }
    const untold = await doctor(at, ...QUICK);
    assertEquals([untold.steps.greeting.status, untold.steps.greeting.advice], ["failed", "add --tls"]);
    const expired = await tls("expired");
    await using __ = expired.server;
    const late = await doctor(expired.at, "--ca", CA);
    assertMatch(late.steps.trust.advice!, /renew the certificate/);
  });

  it("shows the key of an encrypted server, and whether it is the one that is trusted", async () => {
    const [identity, other] = [await Identity.generate(), await Identity.generate()];
    const { at, server } = await serverFor(() => {}, { encryption: { identity } });
    await using _ = server;
    const untold = await doctor(at);
    assertEquals([untold.code, untold.steps.greeting.status], [3, "failed"]);
    assertStringIncludes(untold.steps.greeting.detail, identity.publicKey);
    const good = await doctor(at, "--trust", identity.publicKey);
    assertEquals([good.code, good.steps.encryption.status], [0, "ok"]);
    const wrong = await doctor(at, "--trust", other.publicKey);
    assertEquals([wrong.code, wrong.steps.encryption.status], [3, "failed"]);
    assertStringIncludes(wrong.steps.encryption.detail, identity.publicKey);
  });

  it("tells refused credentials from all that came before", async () => {
    const config = {
      authenticate: ({ credentials }: AuthenticateContext) => (credentials as { a?: number } | undefined)?.a === 1,
    };
    const { at, server } = await serverFor(
      (server) => server.on("rejected", () => {}),
      config as unknown as ServerConfig,
    );
    await using _ = server;
    const without = await doctor(at);
    assertEquals([without.code, without.steps.credentials.status], [3, "failed"]);
    assertMatch(without.steps.credentials.advice!, /add --credentials/);
    const wrong = await doctor(at, "--credentials", '{"a":2}');
    assertEquals(wrong.steps.credentials.advice, "check the credentials");
    assertEquals((await doctor(at, "--credentials", '{"a":1}')).code, 0);
  });

  it("knows a server that is full, and waits for nothing after Ctrl+C", async () => {
    const { at, server } = await serverFor((server) => server.on("rejected", () => {}), { maxConnections: 1 });
    await using _ = server;
    await using listen = start(["listen", at]);
    await listen.terminal.says(/Listening/);
    const { code, steps } = await doctor(at);
    assertEquals([code, steps.greeting.status], [3, "failed"]);
    assertMatch(steps.greeting.advice!, /^try again in \d+ ms$/);
    await using silent = await stranger(() => {});
    await using running = start(["doctor", silent.at]);
    await running.terminal.says(/takes connections/);
    running.terminal.interrupt();
    assertEquals(await running.code, 130);
  });

  itOnPosix("says what is wrong with a path, and exits with 2 for what is no address", async () => {
    const folder = mkdtempSync(join(tmpdir(), "veltix-cli-"));
    try {
      assertMatch((await doctor(`unix:${join(folder, "none")}`)).steps.tcp.detail, /there is no file/);
      writeFileSync(join(folder, "file"), "");
      assertMatch((await doctor(`unix:${join(folder, "file")}`)).steps.tcp.detail, /is no socket/);
      const { at, server } = await serverFor(() => {}, { path: join(folder, "s.sock") });
      await using _ = server;
      assertEquals((await doctor(at)).code, 0);
    } finally {
      rmSync(folder, { recursive: true });
    }
    const { code, steps } = await doctor("nowhere");
    assertEquals([code, steps.address.status], [2, "failed"]);
  });
});

describe("greetingOf()", () => {
  it("takes any bytes", () => {
    assertEquals(greetingOf(new Uint8Array()).kind, "silent");
    for (const [hex, kind] of [["15030300020228", "tls"], ["565853", "encrypted"], ["00057b22", "other"]] as const) {
      assertEquals(greetingOf(unhex(hex)).kind, kind);
    }
    const refusal = new TextEncoder().encode('{"error":"server_full"}');
    const bytes = new Uint8Array([0, refusal.length, ...refusal]);
    assertEquals(greetingOf(bytes).kind, "refused");
    let seed = 7;
    for (let i = 0; i < 500; i++) {
      const random = Uint8Array.from({ length: i % 40 }, () => (seed = seed * 48271 % 0x7fffffff) & 0xff);
      assert(greetingOf(random).detail.length > 0);
    }
  });
});

describe("veltix fingerprint", () => {
  it("shows the key of a file, of a text, and of an encrypted server", async () => {
    const folder = mkdtempSync(join(tmpdir(), "veltix-cli-"));
    try {
      const file = join(folder, "identity.pem");
      const [key] = (await cli(["keygen", file, "--json"])).json as { publicKey: string; fingerprint: string }[];
      const { publicKey, fingerprint } = key;
      const text = `Public key:  ${publicKey}\nFingerprint: ${fingerprint}\n`;
      assertEquals((await cli(["fingerprint", file])).out, text);
      assertEquals((await cli(["fingerprint", publicKey])).out, text);
      const { at, server } = await serverFor(() => {}, { encryption: { identity: await Identity.load(file) } });
      await using _ = server;
      assertEquals((await cli(["fingerprint", at])).out, text);
      assertEquals((await cli(["fingerprint", at, "--json"])).json, [{ address: at, publicKey, fingerprint }]);
      assertEquals((await cli(["keygen", file])).code, 2);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it("shows the certificate of a file and of a server", async () => {
    const { at, server } = await serverFor(() => {}, { tls: pair("server") });
    await using _ = server;
    const [ofFile] = (await cli(["fingerprint", `${CERTIFICATES}server.crt`, "--json"])).json as { pin: string }[];
    const [ofServer] = (await cli(["fingerprint", at, "--tls", "--json"])).json as { pin: string }[];
    const { file: _file, ...there } = ofFile as { file?: string; pin: string };
    const { address: _address, ...here } = ofServer as { address?: string; pin: string };
    assertEquals(there, here);
    assertEquals((await cli(["doctor", at, "--pin", there.pin])).code, 0);
  });

  it("says that a server shows no key", async () => {
    const { at, server } = await serverFor(() => {});
    await using _ = server;
    const { code, err } = await cli(["fingerprint", at]);
    assertEquals(code, 3);
    assertMatch(err, /shows no key: it is a native Veltix server/);
    assertEquals((await cli(["fingerprint", "vx1:no"])).code, 2);
    assertEquals((await cli(["fingerprint", "/does/not/exist"])).code, 3);
    assertEquals((await cli(["--version"])).out, `${VERSION}\n`);
  });
});
