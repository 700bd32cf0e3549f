/**
 * A program: several clients at once that meet a server for the first time. Its arguments are the path of the file of known
 * servers, the server's port, and how many clients there are. It prints the code of each, `ok` or that of its error.
 *
 * @module
 */

import { Client, type VeltixError } from "@veltix/core";
import { trustOnFirstUse } from "@veltix/core/encryption";
import process from "node:process";

const [path, port, count] = process.argv.slice(2);
const codes = await Promise.all(Array.from({ length: Number(count) }, async () => {
  const client = new Client({
    hostname: "127.0.0.1",
    port: Number(port),
    encryption: { trust: trustOnFirstUse(path) },
  });
  try {
    await client.connect();
    return "ok";
  } catch (error) {
    return (error as VeltixError).code;
  } finally {
    await client.close();
  }
}));
console.log(codes.join(" "));
