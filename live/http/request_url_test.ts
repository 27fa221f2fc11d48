import { assert, assertEquals } from "@std/assert";

import { IncomingMessage } from "node:http";
import { Socket } from "node:net";

import { addressOf, hrefOf } from "./request_url.ts";

function asked(target: string, ...hosts: string[]): string | null {
  const incoming = new IncomingMessage(new Socket());
  incoming.url = target;
  incoming.rawHeaders = hosts.flatMap((host) => ["Host", host]);
  incoming.headers = hosts[0] === undefined ? {} : { host: hosts[0] };
  const address = addressOf(incoming);
  return address === null ? null : hrefOf(address);
}

Deno.test("a URL is what a parser makes of host and target, whatever is in it", () => {
  const printable = Array.from({ length: 94 }, (_, index) => String.fromCharCode(33 + index));
  const pieces = [
    ...printable,
    "..",
    "/.",
    "/..",
    "/./",
    "%2e",
    "%2E%2e",
    "/%2e",
    "%41",
    "%zz",
    "//",
    "é",
    "\u0100",
  ];
  const targets = new Set<string>();
  for (const piece of pieces) {
    for (const frame of ["/#", "/a#b", "/a/#/b", "/?#", "/a?b=#&c", "/#?#"]) {
      targets.add(frame.replaceAll("#", () => piece));
    }
  }
  // Not by chance alone: the same targets each time.
  let seed = 1;
  const next = (below: number): number => (seed = (seed * 48_271) % 2_147_483_647) % below;
  for (let count = 0; count < 2000; count++) {
    targets.add("/" + Array.from({ length: next(8) }, () => pieces[next(pieces.length)]).join(""));
  }
  for (const host of ["localhost", "Example.COM:80", "[::1]:8080", "a.b:0443", "127.1:81"]) {
    for (const target of targets) {
      assertEquals(asked(target, host), new URL(`http://${host}${target}`).href, `${host} ${target}`);
    }
  }
});

Deno.test("a host is judged anew when it is another one, also when many were named", () => {
  for (let round = 0; round < 2; round++) {
    for (let number = 0; number < 600; number++) {
      assertEquals(
        asked("/a", `host-${number}:${number}`),
        new URL(`http://host-${number}:${number}/a`).href,
      );
      assertEquals(asked("/a", `host-${number}:99999`), null);
    }
  }
});

Deno.test("what is no part of a URL makes none", () => {
  for (const host of ["a/b", "user@a", "a?b", "a b", "a#b", "a\\b", "a:99999", "[::1", "[::g]", "a:b", "%"]) {
    assertEquals(asked("/", host), null, host);
  }
  assertEquals(asked("/", "a", "b"), null);
  for (const target of ["", "a", "ftp://a/", "http://", "http://user@a/", "http://:secret@a/", "//"]) {
    const url = asked(target, "host");
    assert(target === "//" ? url === "http://host//" : url === null, target);
  }
});

Deno.test("a whole URL in the target is more than the host", () => {
  assertEquals(asked("HTTP://Other:80/a/../b?c", "host"), "http://other/b?c");
  assertEquals(asked("https://other", "host"), "https://other/");
  assertEquals(asked("*", "host"), "http://host/*");
});
