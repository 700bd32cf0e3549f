/** Command lines as processes of their own: signals, pipes, exit codes, the environment. */

import { assert, assertEquals, assertFalse, assertMatch, assertStringIncludes } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { spawn } from "node:child_process";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { Client, messageType, text } from "../mod.ts";
import { serverFor, spawnCli } from "./cli_support.ts";
import { itOnPosix } from "./posix.ts";

const ASK = messageType(200, "ask", text, text);

describe("a process of veltix", () => {
  itOnPosix("serves until Ctrl+C, lets its clients go, and exits with 0", async () => {
    await using serve = spawnCli(["serve", "--port", "0"]);
    const [, port] = await serve.says(/Listening at 127\.0\.0\.1:(\d+) \(echo\)/);
    await using client = new Client({ port: Number(port) });
    const reason = new Promise((resolve) => client.on("disconnect", (state) => resolve(state.reason)));
    await client.connect();
    assertEquals(await client.request(ASK, "hello"), "hello");
    await serve.says(/^\+ #1/m);
    serve.kill("SIGINT");
    assertEquals([await serve.exit, await reason], [0, "going-away"]);
    assertMatch(serve.out(), /^- #1 /m);
    // Nobody looks at a terminal.
    const said = serve.out() + serve.err();
    assertFalse(said.includes("Ctrl+C") || said.includes("\x1b"), said);
  });

  itOnPosix("ends by SIGTERM with 143 and by Ctrl+C with 130, if it was not done", async () => {
    let asked = Promise.withResolvers<void>();
    const { at, server } = await serverFor((server) => {
      server.route(ASK, ({ signal }) => {
        asked.resolve();
        return new Promise<string>((resolve) => signal.addEventListener("abort", () => resolve("")));
      });
    });
    await using _ = server;
    for (const [signal, code] of [["SIGTERM", 143], ["SIGINT", 130]] as const) {
      asked = Promise.withResolvers<void>();
      await using request = spawnCli(["request", at, "200", "x", "--timeout", "60000"]);
      await asked.promise;
      request.kill(signal);
      assertEquals([await request.exit, request.out(), request.err()], [code, "", ""]);
    }
  });

  itOnPosix("ends at once by a second Ctrl+C, while it still waits for its clients", async () => {
    await using serve = spawnCli(["serve", "--port", "0", fileURLToPath(new URL("./cli_module.mjs", import.meta.url))]);
    const [, port] = await serve.says(/Listening at 127\.0\.0\.1:(\d+)/);
    await using client = new Client({ port: Number(port) });
    await client.connect();
    // Its handler never ends.
    client.request(ASK, "x").catch(() => {});
    await serve.says(/handling/);
    serve.kill("SIGINT");
    await serve.says(/Closing/);
    serve.kill("SIGINT");
    assertEquals(await serve.exit, 130);
  });

  it("ends silently when the reader of its output leaves, as head does", async () => {
    const { at, server } = await serverFor((server) =>
      server.on("connect", async (client) => {
        while (client.connected) if (!client.send(ASK, "x".repeat(1000))) await client.ready();
      })
    );
    await using _ = server;
    await using listen = spawnCli(["listen", at, "-q"]);
    await listen.says(/xxx/);
    listen.leave();
    assertEquals([await listen.exit, listen.err()], [0, ""]);
    await using ping = spawnCli(["ping", at, "-i", "0.01"]);
    await ping.says(/seq=1/);
    ping.leave();
    assertEquals([await ping.exit, ping.err()], [0, ""]);
  });

  it("loses none of thousands of messages on their way into a pipe", async () => {
    const count = 3_000;
    const { at, server } = await serverFor((server) =>
      server.on("connect", async (client) => {
        for (let i = 0; i < count; i++) if (!client.send(ASK, `${i} ${"x".repeat(200)}`)) await client.ready();
      })
    );
    await using _ = server;
    await using listen = spawnCli(["listen", at, "--json", "--count", String(count)]);
    assertEquals(await listen.exit, 0);
    const lines = listen.out().trimEnd().split("\n").map((line) => JSON.parse(line).value.split(" ")[0]);
    assertEquals([lines.length, lines[0], lines.at(-1)], [count, "0", String(count - 1)]);
  });

  it("reads the payload from a pipe, and writes the answer into one, byte by byte", async () => {
    const { at, server } = await serverFor((server) => server.on("message", ({ content, reply }) => reply(content)));
    await using _ = server;
    await using request = spawnCli(["request", at, "200", "-", "--as", "raw"]);
    request.write("a\tb");
    request.write("\nc");
    request.end();
    assertEquals([await request.exit, request.out()], [0, "a\tb\nc"]);
  });

  it("has colors with FORCE_COLOR, none with NO_COLOR, and a stack with VELTIX_DEBUG", async () => {
    const ran = async (env: Record<string, string>): Promise<string> => {
      await using one = spawnCli(["doctor", "127.0.0.1:1"], env);
      assertEquals(await one.exit, 3);
      return one.out() + one.err();
    };
    assertStringIncludes(await ran({ FORCE_COLOR: "1" }), "\x1b[");
    assertFalse((await ran({ FORCE_COLOR: "", NO_COLOR: "1" })).includes("\x1b"));
    const debug = await ran({ VELTIX_DEBUG: "1" });
    assertMatch(debug, /^\s+at /m);
  });

  it("tells wrong usage on the standard error output with exit code 2", async () => {
    await using wrong = spawnCli(["pign"]);
    assertEquals([await wrong.exit, wrong.out()], [2, ""]);
    assertStringIncludes(wrong.err(), "Did you mean ping?");
  });

  ("Deno" in globalThis ? itOnPosix : it.skip)(
    "makes one clear line of a permission that Deno has not given",
    async () => {
      const cliPath = fileURLToPath(new URL("../src/cli/mod.ts", import.meta.url));
      const ran = async (...args: string[]): Promise<{ code: number | null; out: string; err: string }> => {
        // Deno puts -A into the arguments of each Deno that it starts, unless it does not see that it is one.
        const script = 'exec "$RUNTIME" run -q --no-check --no-prompt "$@"';
        const child = spawn("sh", ["-c", script, "sh", ...args], {
          env: { ...process.env, RUNTIME: process.execPath },
          stdio: ["ignore", "pipe", "pipe"],
        });
        let [out, err] = ["", ""];
        child.stdout.setEncoding("utf8").on("data", (text) => out += text);
        child.stderr.setEncoding("utf8").on("data", (text) => err += text);
        return { code: await new Promise((resolve) => child.once("close", resolve)), out, err };
      };
      const { at, server } = await serverFor((server) => server.on("message", ({ content, reply }) => reply(content)));
      await using _ = server;
      const refused = await ran(cliPath, "request", at, "200", "x");
      assert(refused.code !== 0);
      assertMatch(refused.err, /^veltix: Deno does not allow .*: start it with --allow-\w+, or with -A/);
      assertFalse(/^\s+at /m.test(refused.err), refused.err);
      // The least that talking over TCP needs.
      const allowed = await ran("--allow-net", cliPath, "request", at, "200", "x");
      assertEquals([allowed.code, allowed.out, allowed.err], [0, "x\n", ""]);
    },
  );
});
