import { assert, assertEquals } from "@std/assert";

import { takeAtHand } from "./response_at_hand.ts";

const RESPONSES: Record<string, () => Response> = {
  text: () => new Response("text"),
  empty: () => new Response(""),
  none: () => new Response(null),
  noContent: () => new Response(null, { status: 204 }),
  json: () => Response.json({ a: 1 }),
  jsonMade: () => Response.json([1], { status: 201, statusText: "Made", headers: { "x-a": "1" } }),
  typed: () => new Response("a", { headers: { "content-type": "text/plain" } }),
  typedOddly: () => new Response("a", { headers: [["Content-TYPE", "text/x"], ["X-A", "1"]] }),
  untyped: () => new Response("a", { headers: { "x-a": "1" } }),
  bytes: () => new Response(new Uint8Array([1, 2])),
  params: () => new Response(new URLSearchParams({ a: "b" })),
  redirect: () => Response.redirect("http://localhost/"),
  cookies: () => new Response("a", { headers: [["set-cookie", "a"], ["Set-Cookie", "b"]] }),
  copied: () => new Response("a", new Response("b", { status: 202, headers: { "x-a": "1" } })),
  cloned: () => new Response("a").clone(),
  rewrapped: () => new Response(new Response("a").body),
};

const CHANGES: Record<string, (response: Response) => void> = {
  untouched: () => {},
  headersRead: (response) => void response.headers.get("x"),
  headersSet: (response) => {
    try {
      response.headers.set("x-set", "1");
    } catch {
      // Some are immutable.
    }
  },
  typeDeleted: (response) => {
    try {
      response.headers.delete("content-type");
    } catch {
      // As above.
    }
  },
  asked: (response) => void [response.bodyUsed, response.status, response.ok, response.type],
  clonedFrom: (response) => void response.clone().body?.cancel(),
};

Deno.test("takeAtHand gives what the response says of itself, whoever has looked at it before", async () => {
  for (const [name, make] of Object.entries(RESPONSES)) {
    for (const [change, look] of Object.entries(CHANGES)) {
      const [response, twin] = [make(), make()];
      look(response);
      look(twin);
      const seen = takeAtHand(response);
      if (seen === null) {
        assert(response.body !== null && !response.bodyUsed, `${name} ${change}: nothing was taken`);
        assertEquals(await response.text(), await twin.text());
        continue;
      }
      const headers = new Headers(seen.headers.map(([key, value]): [string, string] => [key, value]));
      if (seen.type !== null) headers.append("content-type", seen.type);
      assertEquals(
        [name, change, seen.status, seen.statusText, [...headers]],
        [name, change, twin.status, twin.statusText, [...twin.headers]],
      );
      const body = seen.body === null ? null : [...await new Response(seen.body.slice()).bytes()];
      assertEquals(body, twin.body === null ? null : [...await twin.bytes()]);
      assertEquals(response.bodyUsed, twin.bodyUsed);
    }
  }
});

Deno.test("takeAtHand takes nearly all without a stream", () => {
  const missed = Object.entries(RESPONSES).filter(([, make]) => takeAtHand(make()) === null);
  assertEquals(missed.map(([name]) => name), []);
});

Deno.test("takeAtHand gives a body once, and none that is in use", async () => {
  for (const make of [RESPONSES["text"]!, RESPONSES["json"]!, RESPONSES["bytes"]!, RESPONSES["untyped"]!]) {
    const response = make();
    assert(takeAtHand(response) !== null);
    assertEquals([takeAtHand(response), response.bodyUsed], [null, true]);
    const [read, locked] = [make(), make()];
    await read.text();
    locked.body?.getReader();
    assertEquals([takeAtHand(read), takeAtHand(locked)], [null, null]);
  }
});

Deno.test("takeAtHand leaves a stream alone", async () => {
  const response = new Response(ReadableStream.from([new Uint8Array([65])]));
  assertEquals([takeAtHand(response), response.bodyUsed], [null, false]);
  assertEquals(await response.text(), "A");
});
