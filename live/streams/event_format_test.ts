import { assertEquals, assertThrows } from "@std/assert";

import { encodeEvent, HEARTBEAT, type StreamEvent } from "./event_format.ts";

function text(event: StreamEvent): string {
  return new TextDecoder().decode(encodeEvent(event));
}

Deno.test("encodeEvent() writes each field in its line, and an empty line behind them", () => {
  assertEquals(text({ data: "hello" }), "data: hello\n\n");
  assertEquals(text({ data: "" }), "data: \n\n");
  assertEquals(text({ id: "7", event: "tick", data: "ü 𝄞" }), "event: tick\nid: 7\ndata: ü 𝄞\n\n");
  assertEquals(text({ retry: 0 }), "retry: 0\n\n");
  assertEquals(text({ id: "" }), "id: \n\n");
  assertEquals(text({ comment: "psst", data: "x" }), ": psst\ndata: x\n\n");
  assertEquals(new TextDecoder().decode(HEARTBEAT), ":\n\n");
});

Deno.test("encodeEvent() gives each line of the data a line, however it ends", () => {
  assertEquals(text({ data: "a\nb\r\nc\rd\n" }), "data: a\ndata: b\ndata: c\ndata: d\ndata: \n\n");
  assertEquals(text({ comment: "a\nevent: b" }), ": a\n: event: b\n\n");
});

Deno.test("encodeEvent() refuses what would say something else", () => {
  const bad: StreamEvent[] = [
    {},
    { event: "a\nb" },
    { event: "a\rb" },
    { id: "a\0" },
    { id: "1\ndata: forged" },
    { retry: -1 },
    { retry: 1.5 },
    { retry: NaN },
    { data: 7 as unknown as string },
  ];
  for (const event of bad) assertThrows(() => encodeEvent(event), TypeError, "Cannot send an event: ");
});
