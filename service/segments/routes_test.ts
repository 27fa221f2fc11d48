import { assertEquals, assertThrows } from "@std/assert";
import { HttpError } from "./errors.ts";
import { checkMethod, findRoute, targetOf } from "./routes.ts";

Deno.test("targetOf gives path and query as they were sent", () => {
  assertEquals(targetOf("http://h:1/v1/../a%2Fb\\c?x=1&y=%20#z"), {
    path: "/v1/../a%2Fb\\c",
    query: "x=1&y=%20",
  });
  assertEquals(targetOf("http://h/v1/status"), { path: "/v1/status", query: "" });
  assertEquals(targetOf("http://h?x"), { path: "", query: "x" });
  assertEquals(targetOf("nonsense"), { path: "", query: "" });
});

Deno.test("findRoute knows the four paths", () => {
  assertEquals(findRoute("/v1/status"), { kind: "status" });
  assertEquals(findRoute("/v1/segments"), { kind: "segments" });
  assertEquals(findRoute("/v1/segments/a"), { kind: "segment", name: "a" });
  assertEquals(findRoute("/v1/segments/a%41/bytes"), { kind: "bytes", name: "a%41" });
});

Deno.test("findRoute answers 404 for every other path, dots not resolved", () => {
  const others = [
    "",
    "/",
    "/v1",
    "/v1/",
    "/V1/status",
    "/v1/status/",
    "/v1/status/a",
    "//v1/status",
    "/v2/segments",
  ];
  others.push(
    "/v1/segments/../status",
    "/v1/segments/a/byte",
    "/v1/segments/a/bytes/",
    "/v1/segments/a/",
    "v1/status",
  );
  for (const path of others) {
    const error = assertThrows(() => findRoute(path), HttpError, "no such path", path);
    assertEquals([error.status, error.code], [404, "ENOENT"]);
  }
});

Deno.test("checkMethod answers 405 with Allow", () => {
  checkMethod({ kind: "segment", name: "a" }, "DELETE");
  const error = assertThrows(() => checkMethod({ kind: "bytes", name: "a" }, "DELETE"), HttpError);
  assertEquals([error.status, error.code, error.headers], [405, "EOPNOTSUPP", { allow: "GET, HEAD, PUT" }]);
  assertThrows(() => checkMethod({ kind: "status" }, "toString"), HttpError);
});
