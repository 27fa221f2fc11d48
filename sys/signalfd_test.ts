import { assertEquals } from "@std/assert";
import { runScriptForJson } from "./helpers_test.ts";
import { decodeSignalInfo } from "./signalfd.ts";

Deno.test("decodeSignalInfo() finds the signal and its sender", () => {
  const bytes = new Uint8Array(128);
  bytes.set(Uint8Array.fromHex("23000000" + "00000000" + "00000000" + "39300000"));
  assertEquals(decodeSignalInfo(bytes), { signal: 35, pid: 12345 });
});

Deno.test("createSignalfd() gives a descriptor from which blocked signals are read", async () => {
  const signalfd = JSON.stringify(import.meta.resolve("./signalfd.ts"));
  const signals = JSON.stringify(import.meta.resolve("./signals.ts"));
  // This thread alone is meant: tgkill(2), because the other threads of a plain runtime block nothing.
  const [first, waiting, info, mask, cloexec, again] = await runScriptForJson(`
import { createSignalfd, readSignal } from ${signalfd};
import { encodeMask, decodeMask } from ${signals};
const mask = encodeMask([35]);
sys.setMask(mask);
using fd = createSignalfd(mask);
say(readSignal(fd.fd));
const libc = Deno.dlopen("libc.so.6", { raise: { parameters: ["i32"], result: "i32" } });
libc.symbols.raise(35);
say(sys.pendingSignals());
const info = readSignal(fd.fd);
say([info.signal, info.pid === Deno.pid]);
say(sys.fdInfo(fd.fd).get("sigmask"));
say(sys.getCloexec(fd.fd));
say(readSignal(fd.fd));
// What takes back another mask leaves these blocked.
sys.keepBlocked(encodeMask([35, 36]));
sys.takeBackMask(encodeMask([12]));
say(decodeMask(sys.getMask()));
sys.keepBlocked(encodeMask([40]));
sys.takeBackMask(encodeMask([]));
say(decodeMask(sys.getMask()));
`).then((lines) => {
      assertEquals(lines.slice(6), [[12, 35, 36], [35, 36, 40]]);
      return lines;
    });
  assertEquals(
    [first, waiting, info, mask, cloexec, again],
    [null, [35], [35, true], "0000000400000000", true, null],
  );
});
