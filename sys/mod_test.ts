import { assertEquals } from "@std/assert";
import * as sys from "./mod.ts";

Deno.test("mod.ts keeps the table of C functions to this folder", () => {
  const names = Object.keys(sys);
  for (const name of ["libc", "call", "lastErrno", "check"]) assertEquals(names.includes(name), false, name);
});

Deno.test("importing mod.ts opens no library and no descriptor", async () => {
  const script = `
    let opened = 0;
    const dlopen = Deno.dlopen;
    Deno.dlopen = ((...args) => { opened++; return dlopen(...args); });
    const sys = await import(${JSON.stringify(import.meta.resolve("./mod.ts"))});
    const before = opened;
    sys.isOpenFd(0);
    sys.isOpenFd(1);
    console.log(before, opened);
  `;
  const { stdout } = await new Deno.Command(Deno.execPath(), { args: ["eval", script] }).output();
  // The one that finds all others.
  assertEquals(new TextDecoder().decode(stdout), "0 1\n");
});
