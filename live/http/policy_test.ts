import { assertEquals, assertThrows } from "@std/assert";
import { createServer as createHttp } from "node:http";
import { createSecureServer, createServer as createHttp2 } from "node:http2";
import { createServer as createHttps } from "node:https";
import { createServer as createNet, type Server, Socket } from "node:net";
import { createServer as createTls } from "node:tls";

import { LuoError } from "../../luo/errors.ts";
import { askPolicy, checkPolicy, type ConnectionPolicy, isSecure, isSecureHttp } from "./policy.ts";

const ALL: ConnectionPolicy[] = ["carry", "drain", "close", "refuse"];

/** Each kind of server, and the policies that can be kept for it. */
const SERVERS: [string, () => Server, ConnectionPolicy[]][] = [
  ["node:http", () => createHttp(), ALL],
  ["node:net", () => createNet(), ALL],
  ["node:https", () => createHttps({}), ["close", "refuse"]],
  ["node:tls", () => createTls({}), ["close", "refuse"]],
  ["node:http2", () => createHttp2(), ["refuse"]],
  ["node:http2 over TLS", () => createSecureServer({}), ["refuse"]],
];

for (const [kind, make, allowed] of SERVERS) {
  Deno.test(`checkPolicy() lets a server of ${kind} say ${allowed.join(", ")}`, () => {
    const server = make();
    for (const policy of ALL) {
      if (allowed.includes(policy)) {
        checkPolicy("web", server, policy);
        assertEquals(askPolicy(server, () => policy, new Socket()), policy);
        continue;
      }
      const error = assertThrows(() => checkPolicy("web", server, policy), LuoError, "live in user space");
      assertEquals(error.code, "EOPNOTSUPP");
      assertEquals(
        error.message.endsWith(allowed.map((word) => `"${word}"`).join(" or ")),
        true,
        error.message,
      );
      const asked = assertThrows(() => askPolicy(server, () => policy, new Socket()), LuoError, policy);
      assertEquals(asked.code, "EOPNOTSUPP");
    }
    // What it gives is known when it is asked.
    checkPolicy("web", server, () => "carry");
  });
}

Deno.test("checkPolicy() and askPolicy() take nothing that is no policy", () => {
  for (const odd of ["", "Carry", null, 7, {}]) {
    const word = odd as unknown as ConnectionPolicy;
    const given = assertThrows(() => checkPolicy("web", createNet(), word), LuoError, 'server "web"');
    assertEquals(given.code, "EINVAL");
    const asked = assertThrows(
      () => askPolicy(createNet(), () => word, new Socket()),
      LuoError,
      "is none of",
    );
    assertEquals(asked.code, "EINVAL");
  }
});

Deno.test("askPolicy() asks for this connection, and passes on what is thrown", () => {
  const socket = new Socket();
  const asked: Socket[] = [];
  assertEquals(askPolicy(createNet(), (one) => (asked.push(one), "drain"), socket), "drain");
  assertEquals(asked, [socket]);
  assertThrows(
    () =>
      askPolicy(createNet(), () => {
        throw new RangeError("no idea");
      }, socket),
    RangeError,
    "no idea",
  );
});

Deno.test("isSecure() and isSecureHttp() tell servers apart", () => {
  assertEquals(SERVERS.map(([, make]) => isSecure(make())), [false, false, true, true, false, true]);
  assertEquals(SERVERS.map(([, make]) => isSecureHttp(make())), [false, false, true, false, false, false]);
});
