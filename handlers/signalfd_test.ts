import { assertEquals } from "@std/assert";

import { assertHandoverError } from "../kho/helpers_test.ts";
import { createEventfd } from "../sys/eventfd.ts";
import { dupOnto, setMask, takeBackMask } from "../sys/mod.ts";
import { createSignalfd } from "../sys/signalfd.ts";
import { decodeMask, encodeMask, getMask } from "../sys/signals.ts";
import { assertCarried, carry, takerOf } from "./helpers_test.ts";
import { signalfdHandler } from "./signalfd.ts";

Deno.test("signalfdHandler carries a signalfd with its mask, whose signals stay blocked", () => {
  const before = getMask();
  try {
    using signals = createSignalfd(encodeMask([36, 41]));
    assertEquals(takerOf(signals), "signalfd-v1");
    const record = assertCarried(signalfdHandler, signals);
    assertEquals([record["mask"], Number(record["flags"]) & 0o4000], ["0000010800000000", 0o4000]);
    takeBackMask(encodeMask([12]));
    assertEquals(decodeMask(getMask()), [12, 36, 41]);
  } finally {
    setMask(before);
  }
});

Deno.test("signalfdHandler refuses another mask, and what has become another kind", () => {
  using signals = createSignalfd(encodeMask([36]));
  using other = createSignalfd(encodeMask([37]));
  using swapped = carry(signalfdHandler, signals, (_, held) => dupOnto(other.fd, held.fd));
  assertHandoverError(
    () => signalfdHandler.retrieve(swapped.args),
    "WRONG_DESCRIPTOR",
    "its mask is 0000001000000000 instead of 0000000800000000",
  );
  signalfdHandler.finish(swapped.args);
  using eventfd = createEventfd();
  using gone = carry(signalfdHandler, signals, (_, held) => dupOnto(eventfd.fd, held.fd));
  assertHandoverError(() => signalfdHandler.retrieve(gone.args), "WRONG_DESCRIPTOR", "as a signalfd");
  signalfdHandler.finish(gone.args);
});
