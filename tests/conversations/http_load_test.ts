import { assert, assertEquals } from "@std/assert";
import { soak } from "./_soak.ts";

for (const [kind, count] of [["serve", 8], ["server", 4]] as const) {
  Deno.test(`live.${kind}: ${count} updates in a row under traffic of every shape: nobody notices any`, async () => {
    const report = await soak(kind, count);
    assertEquals(report.failures, []);
    assertEquals(report.updates.length, count);
    for (const { name, done } of report.clients) assert(done >= count, `${name}: ${done} conversations`);
    assertEquals([report.load?.keepAliveClosed, report.load?.refused], [0, 0]);
  });
}
