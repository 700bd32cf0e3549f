/** The names in certificates, forged ones too. */

import { assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { X509Certificate } from "node:crypto";
import { namesOf } from "../src/adapters/tls_names.ts";
import { pem } from "./tls_support.ts";

const raw = (name: string): Uint8Array => new Uint8Array(new X509Certificate(pem(`${name}.crt`)).raw);

describe("the names in a certificate", () => {
  it("are those of its owner, its issuer and what it is for", () => {
    assertEquals(namesOf(raw("server")), {
      subject: "localhost",
      issuer: "Veltix test CA",
      names: ["DNS:localhost", "IP Address:127.0.0.1"],
    });
    assertEquals(namesOf(raw("client")), {
      subject: "device 7",
      issuer: "Veltix test CA",
      names: ["DNS:device-7.example"],
    });
  });

  it("cannot be forged within others", () => {
    assertEquals(namesOf(raw("injected-subject")).subject, "dev");
    assertEquals(namesOf(raw("injected-names")).names, ["DNS:dev, DNS:admin.example", "URI:http://x/, DNS:boss"]);
  });

  it("are left out where they cannot be read, however the certificate is cut or changed", () => {
    const whole = raw("server");
    for (let end = 0; end < whole.length; end++) namesOf(whole.slice(0, end));
    for (let at = 0; at < whole.length; at++) {
      for (const byte of [0, 0x7f, 0x80, 0x81, 0x84, 0xff]) {
        const changed = whole.slice();
        changed[at] = byte;
        namesOf(changed);
      }
    }
    assertEquals(namesOf(new Uint8Array(0)), { subject: "", issuer: "", names: [] });
  });
});
