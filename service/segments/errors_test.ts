import { assertEquals, assertStrictEquals } from "@std/assert";
import { errnoNameOf, HttpError, quoted, toHttpError } from "./errors.ts";
import { assertRefused, errnoError } from "./fake_store_test.ts";

Deno.test("HttpError answers with its status, headers and document", async () => {
  const error = new HttpError("Cannot do it: no", {
    status: 405,
    code: "EOPNOTSUPP",
    allowed: "GET",
    headers: { allow: "GET" },
    written: 3,
  });
  const response = error.toResponse();
  assertEquals(response.headers.get("allow"), "GET");
  assertEquals(response.headers.get("cache-control"), "no-store");
  const document = await assertRefused(response, 405, "EOPNOTSUPP");
  assertEquals(document, { code: "EOPNOTSUPP", message: "Cannot do it: no", allowed: "GET", written: 3 });
});

Deno.test("toHttpError keeps an HttpError and maps the errnos of a store", () => {
  const error = new HttpError("Cannot do it: no", { status: 400, code: "EINVAL", allowed: "x" });
  assertStrictEquals(toHttpError(error, "Cannot"), error);
  for (const code of ["ENOMEM", "EMFILE", "ENFILE", "ENOSPC", "EDQUOT"]) {
    assertEquals(toHttpError(errnoError(code), "Cannot").status, 507);
  }
  const busy = toHttpError(errnoError("EBUSY"), "Cannot create");
  assertEquals([busy.status, busy.code, busy.headers], [503, "EBUSY", { "retry-after": "1" }]);
  const other = toHttpError(errnoError("EPERM"), "Cannot create");
  assertEquals([other.status, other.code], [500, "EPERM"]);
  assertEquals(other.message, "Cannot create: Cannot create a memfd: EPERM");
});

Deno.test("toHttpError tells a client nothing of an error that nobody foresaw, and the operator all", () => {
  const lines: unknown[][] = [];
  const original = console.error;
  console.error = (...line: unknown[]) => lines.push(line);
  try {
    const thrown = new TypeError("secret detail");
    const error = toHttpError(thrown, "Cannot answer GET");
    assertEquals([error.status, error.code, error.message.includes("secret")], [500, "EIO", false]);
    assertEquals(lines, [["Cannot answer GET:", thrown]]);
    assertEquals(toHttpError("a string", "Cannot answer GET").status, 500);
  } finally {
    console.error = original;
  }
});

Deno.test("errnoNameOf knows errno names only", () => {
  assertEquals(errnoNameOf(errnoError("E2BIG")), "E2BIG");
  for (const other of [errnoError("ERR_x"), errnoError(""), new Error("x"), null, "EIO", { code: "EIO" }]) {
    assertEquals(errnoNameOf(other), undefined);
  }
});

Deno.test("quoted escapes and cuts", () => {
  assertEquals(quoted('a"\n'), '"a\\"\\n"');
  assertEquals(quoted("x".repeat(5000)).length, 83);
});
