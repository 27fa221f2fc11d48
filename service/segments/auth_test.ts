import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { checkSite, TokenGuard } from "./auth.ts";
import { HttpError } from "./errors.ts";

const HOSTS = () => ["127.0.0.1:8787", "localhost:8787", "[::1]:80"];

function from(headers: Record<string, string>): Request {
  return new Request("http://127.0.0.1:8787/", { headers });
}

function siteRefusal(headers: Record<string, string>): [number, string] {
  const error = assertThrows(
    () => checkSite(from(headers), HOSTS),
    HttpError,
    undefined,
    JSON.stringify(headers),
  );
  return [error.status, error.code];
}

Deno.test("checkSite takes our hosts, however they are spelled", () => {
  for (const host of ["127.0.0.1:8787", "LocalHost:8787", "[::1]", "[::1]:80"]) {
    checkSite(from({ host }), HOSTS);
  }
});

Deno.test("checkSite answers 421 for a missing or foreign Host", () => {
  const foreign = [
    "",
    "127.0.0.1",
    "127.0.0.1:8788",
    "evil.example:8787",
    "127.0.0.1:8787.evil.example",
    "localhost",
  ];
  for (const host of foreign) assertEquals(siteRefusal({ host }), [421, "EADDRNOTAVAIL"]);
  assertEquals(siteRefusal({}), [421, "EADDRNOTAVAIL"]);
});

Deno.test("checkSite takes a page of ours and refuses one of another site", () => {
  const host = "localhost:8787";
  checkSite(from({ host, origin: "http://localhost:8787" }), HOSTS);
  checkSite(from({ host, origin: "http://127.0.0.1:8787", "sec-fetch-site": "cross-site" }), HOSTS);
  checkSite(from({ host, origin: "http://[::1]" }), HOSTS);
  for (
    const origin of [
      "http://evil.example",
      "null",
      "",
      "http://localhost",
      "https://localhost:8787",
      "file://",
    ]
  ) {
    assertEquals(siteRefusal({ host, origin }), [403, "EACCES"], origin);
  }
});

Deno.test("checkSite goes by Sec-Fetch-Site where a browser sends no Origin", () => {
  const host = "localhost:8787";
  for (const site of ["none", "same-origin"]) checkSite(from({ host, "sec-fetch-site": site }), HOSTS);
  for (const site of ["cross-site", "same-site"]) {
    assertEquals(siteRefusal({ host, "sec-fetch-site": site }), [403, "EACCES"]);
  }
});

Deno.test("checkSite asks for the hosts at every request", () => {
  const hosts: string[] = [];
  assertThrows(() => checkSite(from({ host: "localhost:1" }), () => hosts), HttpError);
  hosts.push("localhost:1");
  checkSite(from({ host: "localhost:1" }), () => hosts);
});

Deno.test("TokenGuard takes the token, in any case of the scheme", async () => {
  const guard = new TokenGuard("s3cret/+=");
  await guard.check(from({ authorization: "Bearer s3cret/+=" }));
  await guard.check(from({ authorization: "bearer   s3cret/+=" }));
});

Deno.test("TokenGuard answers 401 with a challenge for a missing or wrong token", async () => {
  const guard = new TokenGuard("s3cret");
  const missing = ["", "Bearer", "Bearer ", "Basic s3cret", "s3cret", "Bearer s3cret s3cret"];
  const wrong = ["Bearer s3cre", "Bearer s3cretx", "Bearer S3CRET", "Bearer x"];
  for (const authorization of [...missing, ...wrong]) {
    const error = await assertRejects(
      () => guard.check(from({ authorization })),
      HttpError,
      undefined,
      authorization,
    );
    const challenge = wrong.includes(authorization)
      ? 'Bearer realm="heirloom", error="invalid_token"'
      : 'Bearer realm="heirloom"';
    assertEquals([error.status, error.code, error.headers["www-authenticate"]], [401, "EACCES", challenge]);
    assertEquals(`${error.message} ${error.allowed}`.includes("s3cret"), false);
  }
});

Deno.test("TokenGuard answers 403 and names --http-token-file when there is no token", async () => {
  const guard = new TokenGuard(null);
  for (const authorization of ["Bearer null", "Bearer x", ""]) {
    const error = await assertRejects(
      () => guard.check(from({ authorization })),
      HttpError,
      "--http-token-file",
    );
    assertEquals([error.status, error.code], [403, "EPERM"]);
  }
});

Deno.test("TokenGuard refuses a token that no header could match", () => {
  for (const token of ["", " ", "a b", "a\n", "é"]) assertThrows(() => new TokenGuard(token), RangeError);
});
