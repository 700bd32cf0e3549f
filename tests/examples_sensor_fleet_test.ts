/**
 * The fleet, as a user starts it on this runtime, and its hub.
 *
 * @module
 */

import { Client, HandshakeError } from "@veltix/core";
import { Identity } from "@veltix/core/encryption";
import { assertEquals, assertRejects } from "@std/assert";
import { it } from "@std/testing/bdd";
import { contract } from "../examples/sensor_fleet/contract.ts";
import { type MadeDevice, makeDevices } from "../examples/sensor_fleet/factory.ts";
import { Hub } from "../examples/sensor_fleet/hub.ts";
import { INTERRUPTED, Program } from "./examples_support.ts";
import { describeOnPosix } from "./posix.ts";

describeOnPosix("examples/sensor_fleet", () => {
  it("shows what all devices tell, and switches them off at Ctrl+C", async () => {
    await using fleet = new Program("sensor_fleet/main.ts", "--devices", "20", "--processes", "2");
    const [, port] = await fleet.find(/The hub is at port (\d+);/);
    await fleet.find(/A device that nobody knows is told: unauthorized\n/);
    await fleet.find(/site +online +readings\/s +°C mean +°C high +hot +battery low\n/);
    for (const site of ["Berlin", "Kraków", "Lagos", "Osaka", "Quito"]) {
      await fleet.find(new RegExp(`^${site} +\\d/4 +\\d+ +\\d+\\.\\d +\\d+\\.\\d +0 +0\\n`, "m"));
    }
    await fleet.find(/^all +\d+\/20 .*\n/m);
    const plain = new Client({ hostname: "127.0.0.1", port: Number(port) });
    assertEquals((await assertRejects(() => plain.connect(), HandshakeError)).code, "encryption-required");
    fleet.interrupt();
    assertEquals([await fleet.end(), fleet.text.endsWith("The fleet is switched off\n")], [INTERRUPTED, true]);
  });

  it("believes no device to be another one, and starts one anew whose battery is low", async () => {
    const { made, known } = await makeDevices(3);
    const identity = await Identity.generate();
    const hub = new Hub(identity, known);
    await using server = hub.server;
    await server.start();
    const clientOf = async ({ key }: MadeDevice): Promise<Client> => {
      return new Client({
        ...server.addresses[0],
        encryption: { identity: await Identity.importKey(key), trust: identity.publicKey },
      });
    };
    await using healthy = await clientOf(made[0]);
    await using weak = await clientOf(made[1]);
    const restarted: string[] = [];
    healthy.route(contract.restart, () => void restarted.push("healthy"));
    weak.route(contract.restart, () => void restarted.push("weak"));
    await healthy.connect();
    await weak.connect();
    healthy.send(contract.reading, { celsius: 20, battery: 1 });
    healthy.send(contract.reading, { celsius: "hot", battery: 0, id: 2 } as never);
    weak.send(contract.reading, { celsius: 31, battery: 0.05 });
    await Promise.all([healthy.ping(), weak.ping()]);
    assertEquals([...hub.last], [[1, { celsius: 20, battery: 1 }], [2, { celsius: 31, battery: 0.05 }]]);
    assertEquals((await hub.restartWeakest())?.id, 2);
    assertEquals([restarted, await hub.restartWeakest()], [["weak"], undefined]);

    await using stranger = await clientOf({ ...made[0], key: (await Identity.generate()).exportKey() });
    assertEquals((await assertRejects(() => stranger.connect(), HandshakeError)).code, "unauthorized");
    assertEquals(hub.refused, 1);
  });
});
