import { assertEquals, assertThrows } from "@std/assert";

import { parseCheckRequest } from "./check_request.ts";
import { RequestError } from "./request_body.ts";

Deno.test("parseCheckRequest() takes nothing, an empty object, and every member", () => {
  for (const text of ["", " \n", "{}"]) assertEquals(parseCheckRequest(text), {});
  const body = { build: "/b.ts", deno: "/deno", heirloom: "/h", timeout_ms: 1500 };
  assertEquals(parseCheckRequest(JSON.stringify(body)), {
    build: "/b.ts",
    deno: "/deno",
    heirloom: "/h",
    timeoutMs: 1500,
  });
});

Deno.test("parseCheckRequest() says what is wrong with a body, and that it is a check", () => {
  const cases: [string, string][] = [
    ["{", "Cannot check: the body is no JSON"],
    ["[]", "Cannot check: the body must be a JSON object"],
    [
      '{"guardian":true}',
      'Cannot check: "guardian" is unknown, allowed are build, deno, heirloom, timeout_ms',
    ],
    ['{"rollback":true}', '"rollback" is unknown'],
    ['{"hasOwnProperty":"x"}', '"hasOwnProperty" is unknown'],
    ['{"build":1}', 'Cannot check: "build" must be a string'],
    ['{"deno":null}', '"deno" must be a string'],
    ['{"heirloom":[]}', '"heirloom" must be a string'],
    ['{"timeout_ms":"30"}', '"timeout_ms" must be a number'],
  ];
  for (const [text, message] of cases) {
    const error = assertThrows(() => parseCheckRequest(text), RequestError, message);
    assertEquals(error.code, "EINVAL");
  }
});
