import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { OutputCollector, tail } from "./output.ts";

const encoder = new TextEncoder();

Deno.test("OutputCollector puts pieces together, whatever they cut", async () => {
  const bytes = encoder.encode("añ€😀\n");
  const collector = new OutputCollector(ReadableStream.from([...bytes].map((byte) => Uint8Array.of(byte))));
  await collector.ended;
  assertEquals(collector.text, "añ€😀\n");
});

Deno.test("OutputCollector keeps the end of a very long output, and says so", async () => {
  const line = `${"x".repeat(1023)}\n`;
  async function* lines(): AsyncGenerator<Uint8Array<ArrayBuffer>> {
    for (let count = 0; count < 20_000; count++) yield await Promise.resolve(encoder.encode(line));
    yield encoder.encode("the end\n");
  }
  const collector = new OutputCollector(ReadableStream.from(lines()));
  await collector.ended;
  assert(collector.text.length < 9 * 1024 * 1024, String(collector.text.length));
  assert(collector.text.length > 4 * 1024 * 1024, String(collector.text.length));
  assert(collector.text.endsWith("x\nthe end\n"));
  const dropped = Number(/^\[(\d+) characters left out\]\n/.exec(collector.text)?.[1]);
  const rest = collector.text.slice(collector.text.indexOf("\n") + 1).length;
  assertEquals(dropped + rest, 20_000 * 1024 + "the end\n".length);
});

Deno.test("OutputCollector keeps what came before an error, and can be cancelled", async () => {
  const broken = new OutputCollector(
    new ReadableStream({
      async pull(controller): Promise<void> {
        controller.enqueue(encoder.encode("before"));
        await new Promise((resolve) => setTimeout(resolve, 1));
        controller.error(new Error("broken"));
      },
    }, { highWaterMark: 0 }),
  );
  await broken.ended;
  assertStringIncludes("before", broken.text);
  const endless = new OutputCollector(new ReadableStream());
  await endless.cancel();
  await endless.ended;
  assertEquals(endless.text, "");
});

Deno.test("tail gives the last lines", () => {
  assertEquals(tail("a\nb\n\nc\n\n", 3), "  b\n  c");
  assertEquals(tail(""), "");
});
