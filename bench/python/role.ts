/**
 * Our end of a measurement beside Python's: does what `tests/interop/peer.py` does at the other end, by the same commands.
 * `role.ts server '{"release": "1.6.3"}'`, `role.ts clients '{"release": "1.6.3", "port": 8080}'`.
 *
 * @module
 */

import { bytes, Client, messageType, Server, type TcpEndpoint } from "../../mod.ts";
import process from "node:process";
import { type Commands, play } from "../../tests/processes/role.ts";

const TEXT = messageType(200, "text", bytes);
const ECHO = messageType(201, "echo", bytes, bytes);

interface Traffic {
  readonly count: number;
  readonly size: number;
}

/** CPU time used so far, in seconds. */
function cpu(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
}

async function serve({ release }: { release: string }): Promise<Commands> {
  const server = new Server({ port: 0, hostname: "127.0.0.1", protocol: release });
  server.route(TEXT, () => {});
  server.route(ECHO, ({ data }) => data);
  await server.start();
  return { ready: { port: (server.addresses[0] as TcpEndpoint).port }, cpu, close: () => server.close() };
}

function ask({ port }: { port: number }): Commands {
  const client = new Client({ port });
  return {
    ready: {},
    cpu,
    close: () => client.close(),
    async connect(): Promise<boolean> {
      await client.connect();
      return true;
    },
    /** The median time of an echo, in milliseconds. */
    async round_trips({ count, size }: Traffic): Promise<number> {
      const times: number[] = [];
      for (let i = 0; i < count; i++) {
        const start = performance.now();
        await client.request(ECHO, new Uint8Array(size));
        times.push(performance.now() - start);
      }
      return times.sort((a, b) => a - b)[count >> 1];
    },
    /** Messages a second, from the first one sent to the answer that comes behind the last. */
    async burst({ count, size }: Traffic): Promise<number> {
      const content = new Uint8Array(size).fill(32);
      const start = performance.now();
      for (let i = 0; i < count; i++) if (!client.send(TEXT, content)) await client.ready();
      await client.request(ECHO, new Uint8Array(0), { timeout: 60_000 });
      return count / (performance.now() - start) * 1_000;
    },
  };
}

await play({ server: serve, clients: ask });
