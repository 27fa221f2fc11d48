import { assertEquals, assertThrows } from "@std/assert";

import { RequestError } from "./request_body.ts";
import { parseUpgradeRequest } from "./upgrade_request.ts";

Deno.test("parseUpgradeRequest() takes nothing, an empty object, and every member", () => {
  for (const text of ["", " \n", "{}"]) assertEquals(parseUpgradeRequest(text), {});
  const body = {
    build: "/b.ts",
    deno: "/deno",
    heirloom: "/h",
    timeout_ms: 1500,
    guardian: false,
    commit_after_ms: 200,
    rollback: false,
  };
  assertEquals(parseUpgradeRequest(JSON.stringify(body)), {
    build: "/b.ts",
    deno: "/deno",
    heirloom: "/h",
    timeoutMs: 1500,
    guardian: false,
    commitAfterMs: 200,
    rollback: false,
  });
});

Deno.test("parseUpgradeRequest() takes a rollback, and no name of a build with it", () => {
  const rest = { timeout_ms: 1500, guardian: true, commit_after_ms: 200 };
  assertEquals(parseUpgradeRequest(JSON.stringify({ rollback: true, ...rest })), {
    rollback: true,
    timeoutMs: 1500,
    guardian: true,
    commitAfterMs: 200,
  });
  for (const member of ["build", "deno", "heirloom"]) {
    const text = JSON.stringify({ [member]: "/x", rollback: true });
    const message =
      `"rollback" goes to the previous build of the history, "${member}" is not allowed with it`;
    assertEquals(assertThrows(() => parseUpgradeRequest(text), RequestError, message).code, "EINVAL");
  }
});

Deno.test("parseUpgradeRequest() says what is wrong with a body", () => {
  const cases: [string, string][] = [
    ["{", "Cannot update: the body is no JSON"],
    ["null", "the body must be a JSON object"],
    ["[]", "the body must be a JSON object"],
    ['"/b.ts"', "the body must be a JSON object"],
    [
      '{"timeout":1}',
      '"timeout" is unknown, allowed are build, deno, heirloom, timeout_ms, guardian, commit_after_ms, rollback',
    ],
    ['{"commit_after_ms":"1"}', '"commit_after_ms" must be a number'],
    ['{"rollback":1}', '"rollback" must be a boolean'],
    ['{"rollback":"true","build":"/x"}', '"rollback" must be a boolean'],
    ['{"timeoutMs":1}', '"timeoutMs" is unknown'],
    ['{"build":1}', '"build" must be a string'],
    ['{"build":null}', '"build" must be a string'],
    ['{"deno":[]}', '"deno" must be a string'],
    ['{"heirloom":{}}', '"heirloom" must be a string'],
    ['{"timeout_ms":"30"}', '"timeout_ms" must be a number'],
    ['{"guardian":"no"}', '"guardian" must be a boolean'],
    ['{"constructor":1}', '"constructor" is unknown'],
    ['{"__proto__":1}', '"__proto__" is unknown'],
    ['{"toString":"x"}', '"toString" is unknown'],
  ];
  for (const [text, message] of cases) {
    const error = assertThrows(() => parseUpgradeRequest(text), RequestError, message);
    assertEquals(error.code, "EINVAL");
  }
});
