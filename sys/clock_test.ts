import { assert, assertEquals } from "@std/assert";
import { decodeTimespec, monotonicNs, realtimeNs } from "./clock.ts";

Deno.test("decodeTimespec() adds seconds and nanoseconds", () => {
  const bytes = Uint8Array.fromHex("0100000001000000" + "ffc99a3b00000000");
  assertEquals(decodeTimespec(bytes), 0x1_0000_0001n * 1_000_000_000n + 999_999_999n);
});

Deno.test("monotonicNs() never goes back, and is the clock of /proc/uptime", () => {
  let last = monotonicNs();
  for (let i = 0; i < 1000; i++) {
    const now = monotonicNs();
    assert(now >= last);
    last = now;
  }
  // /proc/uptime also counts suspension, which can only make it larger.
  const uptime = Number(Deno.readTextFileSync("/proc/uptime").split(" ")[0]);
  assert(Number(last) / 1e9 <= uptime + 1, `${last} ns against ${uptime} s`);
});

Deno.test("monotonicNs() runs as fast as time", async () => {
  const before = monotonicNs();
  const start = performance.now();
  await new Promise((resolve) => setTimeout(resolve, 30));
  const elapsed = (performance.now() - start) * 1e6;
  const measured = Number(monotonicNs() - before);
  assert(measured >= elapsed - 1e6 && measured < elapsed + 5e9, `${measured} ns against ${elapsed} ns`);
});

Deno.test("realtimeNs() is the time of day", () => {
  const before = Date.now();
  const now = Number(realtimeNs() / 1_000_000n);
  assert(now >= before - 1 && now <= Date.now() + 1, `${now} against ${before}`);
});
