import { assertEquals, assertThrows } from "@std/assert";
import * as oldWs from "npm:ws@8.15.0";
import * as oldestWs from "npm:ws@8.16.0";
import * as ws from "npm:ws@8.23.0";
import { Handshakes } from "./handshakes.ts";
import type { WebSocketPackage } from "./ws_package.ts";
import { tryPackage } from "./ws_trial.ts";

Deno.test("the versions of ws that this was made with pass", () => {
  for (const version of [ws, oldestWs]) tryPackage(new Handshakes(version));
});

Deno.test("a version that delivers a message in a later turn is refused", () => {
  const error = assertThrows(() => tryPackage(new Handshakes(oldWs)), TypeError);
  assertEquals(
    error.message,
    "Cannot use WebSockets: this version of the ws package does not do, 8.16 or newer is needed: " +
      "it keeps a message for a later turn",
  );
});

Deno.test("something else than the ws package is refused", () => {
  const wrong: unknown[] = [{}, null, { WebSocket }, { WebSocket, WebSocketServer: class {} }];
  for (const value of wrong) {
    assertThrows(() => new Handshakes(value as WebSocketPackage), TypeError, "this is not the ws package");
  }
});
