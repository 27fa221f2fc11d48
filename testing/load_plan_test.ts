import { assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { type LoadOptions, makePlan } from "./load_plan.ts";

const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);

Deno.test("makePlan completes the options", () => {
  const plan = makePlan({ target: { hostname: "127.0.0.1", port: 8080 } });
  assertEquals(
    [
      plan.keepAlive,
      plan.keepAlivePeriodMs,
      plan.newPerSecond,
      plan.timeoutMs,
      plan.maxOutstanding,
      plan.stopTimeoutMs,
    ],
    [8, 10, 100, 10_000, 1000, 10_000],
  );
  assertEquals(
    text(plan.keepAliveRequest),
    "GET / HTTP/1.1\r\nconnection: keep-alive\r\nhost: 127.0.0.1:8080\r\n\r\n",
  );
  assertEquals(text(plan.newRequest), "GET / HTTP/1.1\r\nconnection: close\r\nhost: 127.0.0.1:8080\r\n\r\n");
});

Deno.test("makePlan takes the address, the path and the host from an URL", () => {
  const plan = makePlan({ target: "http://[::1]:81/a/b?c=d", headers: { "X-One": "1" } });
  assertEquals(plan.target, { hostname: "::1", port: 81 });
  assertEquals(
    text(plan.newRequest),
    "GET /a/b?c=d HTTP/1.1\r\nconnection: close\r\nhost: [::1]:81\r\nx-one: 1\r\n\r\n",
  );
  assertEquals(makePlan({ target: new URL("http://example.test") }).target, {
    hostname: "example.test",
    port: 80,
  });
});

Deno.test("makePlan lets path and host be given", () => {
  const plan = makePlan({ target: { unix: "/run/x.sock" }, path: "/p", headers: { host: "h" } });
  assertStringIncludes(text(plan.newRequest), "GET /p HTTP/1.1\r\n");
  assertStringIncludes(text(plan.newRequest), "\r\nhost: h\r\n");
});

const target = { hostname: "127.0.0.1", port: 1 };
const WRONG: [Partial<LoadOptions>, new () => Error, string][] = [
  [{ target: "https://127.0.0.1/" }, TypeError, "not an http: URL"],
  [{ target: "nonsense" }, TypeError, "nonsense"],
  [{ path: "relative" }, TypeError, "is not a path"],
  [{ path: "/a b" }, TypeError, "is not a path"],
  [{ path: "/\r\nx: y" }, TypeError, "is not a path"],
  [{ headers: { "bad name": "x" } }, TypeError, "bad name"],
  [{ keepAlive: -1 }, RangeError, "keepAlive must"],
  [{ keepAlive: 1.5 }, RangeError, "keepAlive must"],
  [{ keepAlivePeriodMs: 0 }, RangeError, "keepAlivePeriodMs must"],
  [{ newPerSecond: NaN }, RangeError, "newPerSecond must"],
  [{ timeoutMs: Infinity }, RangeError, "timeoutMs must"],
  [{ maxOutstanding: 0 }, RangeError, "maxOutstanding must"],
  [{ stopTimeoutMs: -1 }, RangeError, "stopTimeoutMs must"],
];

for (const [options, errorClass, message] of WRONG) {
  Deno.test(`makePlan rejects ${Deno.inspect(options)}`, () => {
    assertThrows(() => makePlan({ target, ...options }), errorClass, message);
  });
}

Deno.test("makePlan judges status, body and a check that throws", () => {
  const answer = (status: number, body: string) => ({
    status,
    headers: new Headers(),
    body: new TextEncoder().encode(body),
  });
  assertEquals(makePlan({ target }).judge(answer(200, "x")), null);
  assertEquals(makePlan({ target }).judge(answer(503, "")), {
    reason: "status",
    detail: "Status 503, not 200",
  });
  assertEquals(makePlan({ target, status: 404 }).judge(answer(404, "")), null);
  const check = (body: string): string | null => {
    if (body === "throw") throw new Error("broken");
    return body === "good" ? null : `not good: ${body}`;
  };
  assertEquals(makePlan({ target, check }).judge(answer(200, "good")), null);
  assertEquals(makePlan({ target, check }).judge(answer(200, "é")), {
    reason: "body",
    detail: "not good: é",
  });
  assertEquals(makePlan({ target, check }).judge(answer(200, "throw")), {
    reason: "body",
    detail: "The check threw: broken",
  });
});
