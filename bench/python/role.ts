/**
 * Our end of a measurement beside Python's: does what `tests/interop/peer.py` does at the other end, by the same commands.
 * `role.ts server '{"release": "1.6.3"}'`, `role.ts clients '{"release": "1.6.3", "port": 8080}'`.
 *
 * @module
 */

import { bytes, Client, messageType, Server, type TcpEndpoint } from "@veltix/core";
import process from "node:process";
import { createInterface } from "node:readline";

const TEXT = messageType(200, "text", bytes);
const ECHO = messageType(201, "echo", bytes, bytes);

interface Order {
  readonly id: number;
  readonly command: string;
  readonly argument: { readonly count: number; readonly size: number };
}

type Commands = Record<string, (argument: Order["argument"]) => unknown>;

/** CPU time used so far, in seconds. */
function cpu(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
}

async function serve(release: string): Promise<[ready: unknown, Commands]> {
  const server = new Server({ port: 0, hostname: "127.0.0.1", protocol: release });
  server.route(TEXT, () => {});
  server.route(ECHO, ({ data }) => data);
  await server.start();
  return [{ port: (server.addresses[0] as TcpEndpoint).port }, { cpu }];
}

function ask(port: number): [ready: unknown, Commands] {
  const client = new Client({ port });
  return [{}, {
    cpu,
    async connect(): Promise<boolean> {
      await client.connect();
      return true;
    },
    /** The median time of an echo, in milliseconds. */
    async round_trips({ count, size }): Promise<number> {
      const times: number[] = [];
      for (let i = 0; i < count; i++) {
        const start = performance.now();
        await client.request(ECHO, new Uint8Array(size));
        times.push(performance.now() - start);
      }
      return times.sort((a, b) => a - b)[count >> 1];
    },
    /** Messages a second, from the first one sent to the answer that comes behind the last. */
    async burst({ count, size }): Promise<number> {
      const content = new Uint8Array(size).fill(32);
      const start = performance.now();
      for (let i = 0; i < count; i++) if (!client.send(TEXT, content)) await client.ready();
      await client.request(ECHO, new Uint8Array(0), { timeout: 60_000 });
      return count / (performance.now() - start) * 1_000;
    },
  }];
}

const tell = (answer: object): boolean => process.stdout.write(`${JSON.stringify(answer)}\n`);
const [, , role, text] = process.argv;
const { release, port } = JSON.parse(text) as { release: string; port: number };
const [ready, commands] = role === "server" ? await serve(release) : ask(port);
createInterface({ input: process.stdin }).on("line", async (line) => {
  const { id, command, argument } = JSON.parse(line) as Order;
  try {
    tell({ id, value: await commands[command](argument) });
  } catch (error) {
    tell({ id, error: String(error) });
  }
}).on("close", () => process.exit());
tell({ id: 0, value: ready });
