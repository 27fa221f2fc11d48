import { assertEquals } from "@std/assert";
import { ARCH, ARCH_CONSTANTS, O_DIRECTORY, O_LARGEFILE, O_NOFOLLOW, SYS_kcmp } from "./arch.ts";
import { getFlags } from "./fd.ts";
import { openFile } from "./file.ts";
import { call, lastErrno } from "./symbols.ts";
import { cString } from "./text.ts";

Deno.test("ARCH_CONSTANTS are those of asm/fcntl.h and asm/unistd.h", () => {
  assertEquals(ARCH_CONSTANTS.x86_64, {
    O_DIRECTORY: 0x10000,
    O_NOFOLLOW: 0x20000,
    O_DIRECT: 0x4000,
    O_LARGEFILE: 0x8000,
    SYS_kcmp: 312,
  });
  assertEquals(ARCH_CONSTANTS.aarch64, {
    O_DIRECTORY: 0x4000,
    O_NOFOLLOW: 0x8000,
    O_DIRECT: 0x10000,
    O_LARGEFILE: 0x20000,
    SYS_kcmp: 272,
  });
});

Deno.test("ARCH picks the constants of this machine", () => {
  assertEquals(ARCH, Deno.build.arch);
  assertEquals(SYS_kcmp, ARCH_CONSTANTS[ARCH].SYS_kcmp);
});

Deno.test("O_LARGEFILE is what the kernel adds to a file of a 64-bit process", () => {
  using file = openFile("/dev/null");
  assertEquals(getFlags(file.fd), O_LARGEFILE);
});

Deno.test("O_DIRECTORY and O_NOFOLLOW mean that to this kernel", () => {
  assertEquals(call.open(cString("/dev/null"), O_DIRECTORY, 0), -1);
  assertEquals(lastErrno(), 20);
  assertEquals(call.open(cString("/proc/self"), O_NOFOLLOW, 0), -1);
  assertEquals(lastErrno(), 40);
});
