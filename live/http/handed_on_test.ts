import { assertEquals, assertRejects } from "@std/assert";

import { handedOn, handedOver, handOn, handOver } from "./handed_on.ts";

Deno.test("a response stands for the answer whose body it has, also when it was made anew", () => {
  const take = (): void => {};
  const response = new Response(handOver(take), { headers: { "x-own": "1" } });
  assertEquals(handedOver(response), take);
  assertEquals(handedOver(new Response(response.body, { status: 201 })), take);
  for (const other of [new Response(null), new Response("text"), new Response(new ReadableStream())]) {
    assertEquals(handedOver(other), undefined);
  }
});

Deno.test("nothing can be read of the body of an answer that somebody else gives", async () => {
  await assertRejects(
    () => new Response(handOver(() => {})).text(),
    TypeError,
    "somebody else gives the answer",
  );
  const piped = new Response(handOver(() => {}).pipeThrough(new TransformStream()));
  assertEquals(handedOver(piped), undefined);
  await assertRejects(() => piped.text(), TypeError, "somebody else gives the answer");
});

Deno.test("a response stands for the connection that it was made for, its copies do not", () => {
  const take = (): void => {};
  const response = new Response(null, { status: 101 });
  handOn(response, take);
  assertEquals([handedOn(response), handedOn(new Response(null, { status: 101 }))], [take, undefined]);
});
