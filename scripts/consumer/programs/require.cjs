// A program of CommonJS, which has no top-level await.
const { Client, json, messageType, Server } = require("@veltix/core");

const ADD = messageType(200, "add", json(), json());

(async () => {
  const server = new Server({ hostname: "127.0.0.1", port: 0 });
  server.route(ADD, ({ data }) => data.a + data.b);
  await server.start();
  const client = new Client(server.addresses[0]);
  await client.connect();
  const sum = await client.request(ADD, { a: 1, b: 2 });
  await client.close();
  await server.close();
  if (sum !== 3) throw new Error(`1 + 2 is ${sum}`);
  console.log("done");
})();
