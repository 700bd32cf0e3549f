/**
 * Requests, a large message, broadcasts and a restart, over the protocols of three generations.
 *
 * @module
 */
import { bytes, Client, json, messageType, Server, type TcpEndpoint, text } from "@veltix/core";

const ECHO = messageType(200, "echo", bytes, bytes);
const ADD = messageType(201, "add", json<[number, number]>(), json<number>());
const SAY = messageType(202, "say", text);

function check(good: boolean, what: string): void {
  if (!good) throw new Error(what);
}

async function talk(protocol: string): Promise<void> {
  const server = new Server({ port: 0, hostname: "127.0.0.1", ...(protocol === "1.6.3" ? { protocol } : {}) });
  server.route(ECHO, ({ data }) => data);
  server.route(ADD, async ({ data: [one, other] }) => await Promise.resolve(one + other));
  await server.start();
  const client = new Client({ ...server.addresses[0] as TcpEndpoint, protocol, reconnect: { delay: 5 } });
  let heard = 0;
  client.route(SAY, () => void heard++);
  await client.connect();

  const large = new Uint8Array(5_000_000).fill(3);
  const back = await client.request(ECHO, large);
  check(back.length === large.length && back[4_999_999] === 3, "a large message came back changed");
  const sums = await Promise.all(Array.from({ length: 5_000 }, (_, i) => client.request(ADD, [i, 1])));
  check(sums.every((sum, i) => sum === i + 1), "an answer was another's");
  for (let i = 0; i < 100; i++) server.broadcast(SAY, "hello");
  await client.ping();
  check(heard === 100, `${heard} of 100 broadcasts came`);

  const again = new Promise<void>((resolve) => client.on("connect", () => resolve()));
  await server.restart({ drain: 0 });
  await again;
  check(await client.request(ADD, [1, 2]) === 3, "a request after the restart had a wrong answer");
  await client.close();
  await server.close();
}

for (const protocol of ["native", "2.0", "1.6.3"]) await talk(protocol);
console.log("done");
