import { assertEquals } from "@std/assert";
import {
  kilobytes,
  mountOf,
  netCounter,
  parseEnviron,
  parseLimits,
  parseMounts,
  readNumber,
  readText,
  statusField,
} from "./proc_text.ts";

Deno.test("parseLimits() reads the columns", () => {
  const text = `Limit                     Soft Limit           Hard Limit           Units
Max file size             1048576              unlimited            bytes
Max processes             96364                96364                processes
Max open files            1024                 20000                files
Max address space         unlimited            unlimited            bytes
`;
  assertEquals(parseLimits(text), {
    nofile: { soft: 1024, hard: 20_000 },
    fsize: { soft: 1_048_576, hard: null },
    as: { soft: null, hard: null },
    nproc: { soft: 96_364, hard: 96_364 },
  });
});

Deno.test("statusField() and kilobytes() read lines by name", () => {
  const text = "Name:\tx\nNSpid:\t7\t1\nVmRSS:\t  2048 kB\n";
  assertEquals([statusField(text, "NSpid"), statusField(text, "Pid")], ["7\t1", null]);
  assertEquals([kilobytes(text, "VmRSS"), kilobytes(text, "VmSize"), kilobytes(text, "Name")], [
    2 ** 21,
    null,
    null,
  ]);
});

Deno.test("parseEnviron() keeps what is behind the first =", () => {
  assertEquals([...parseEnviron("A=1\0B=x=y\0C\0D=\0")], [["A", "1"], ["B", "x=y"], ["D", ""]]);
});

Deno.test("parseMounts() and mountOf() find the filesystem of a path", () => {
  const text = `1 0 8:1 / / rw - ext4 /dev/sda1 rw
2 1 0:5 / /a\\040b ro,nosuid shared:1 - tmpfs tmpfs rw,size=1k
3 1 0:6 / /proc rw,relatime - proc proc rw,hidepid=2
`;
  const mounts = parseMounts(text);
  assertEquals(mounts.map(({ path, type }) => [path, type]), [["/", "ext4"], ["/a b", "tmpfs"], [
    "/proc",
    "proc",
  ]]);
  assertEquals(mountOf(mounts, "/a b/c")?.options, ["ro", "nosuid", "rw", "size=1k"]);
  assertEquals([mountOf(mounts, "/a")?.path, mountOf(mounts, "/proc")?.path, mountOf([], "/")], [
    "/",
    "/proc",
    null,
  ]);
});

Deno.test("netCounter() finds the number below its name", () => {
  const text = "TcpExt: A ListenOverflows B\nTcpExt: 1 22 3\nIpExt: ListenOverflows\nIpExt: 9\n";
  assertEquals([netCounter(text, "TcpExt", "ListenOverflows"), netCounter(text, "TcpExt", "C")], [22, null]);
  assertEquals(netCounter("", "TcpExt", "A"), null);
});

Deno.test("readText() and readNumber() know what is not there", () => {
  assertEquals([readText("/nowhere"), readNumber("/nowhere"), readNumber("/proc/self/comm")], [
    null,
    null,
    null,
  ]);
  assertEquals(typeof readNumber("/proc/sys/kernel/pid_max"), "number");
});
