import { assert, assertEquals } from "@std/assert";

import { HandoverError } from "../kho/errors.ts";
import { ERRNO, SysError } from "../sys/mod.ts";
import { codeOf, LuoError } from "./errors.ts";

Deno.test("LuoError has a code, a name and a cause", () => {
  const cause = new Error("below");
  const error = new LuoError("EBUSY", "Cannot do it: busy", { cause });
  assertEquals([error.name, error.code, error.message, error.cause], [
    "LuoError",
    "EBUSY",
    "Cannot do it: busy",
    cause,
  ]);
});

Deno.test("LuoError is recognised across copies of the module, and nothing else is", () => {
  const other = Object.assign(new Error("x"), { name: "LuoError", code: "EIO" });
  assert(other instanceof LuoError);
  for (const value of [new Error("x"), { name: "LuoError", code: "EIO" }, null, "LuoError"]) {
    assertEquals(value instanceof LuoError, false);
  }
});

Deno.test("codeOf() is the errno name of an error, or EIO", () => {
  assertEquals(codeOf(new SysError("open", ERRNO.EACCES)), "EACCES");
  assertEquals(codeOf(new LuoError("ENOENT", "")), "ENOENT");
  assertEquals(codeOf(Object.assign(new Error(), { code: "E2BIG" })), "E2BIG");
  for (const error of [new HandoverError("CORRUPT", ""), new Error(), "EBUSY", null, { code: "EBUSY" }]) {
    assertEquals(codeOf(error), "EIO");
  }
  assertEquals(codeOf(Object.assign(new Error(), { code: 5 })), "EIO");
});
