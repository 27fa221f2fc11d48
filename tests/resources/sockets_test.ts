import { assertEquals } from "@std/assert";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { freePort } from "../../testing/mod.ts";
import { carries, descriptorOf } from "./_kit.ts";

Deno.test("a listening socket and a connection with a protocol of its own are the same after each update", async (t) => {
  const port = freePort();
  await using ends = new AsyncDisposableStack();
  let client: Deno.TcpConn | undefined;
  const echoed = async (text: string): Promise<string> => {
    const connection = client!;
    await connection.write(new TextEncoder().encode(text));
    const back = new Uint8Array(text.length);
    for (let at = 0; at < back.length;) {
      const size = await connection.read(back.subarray(at));
      if (size === null) throw new Error(`The connection ended after ${at} bytes`);
      at += size;
    }
    return new TextDecoder().decode(back);
  };
  let said = 0;
  await carries(t, {
    use: `await live.listen("echo", { hostname: "127.0.0.1", port: ${port} }, {
  open: ({ socket }) => void socket.on("data", (chunk) => socket.write(chunk)),
});`,
    async prepare() {
      client = await Deno.connect({ hostname: "127.0.0.1", port });
      ends.defer(() => client!.close());
      assertEquals(await echoed("before\n"), "before\n");
    },
    look: async ({ app }) => (await descriptorOf(app, "echo")).link,
    async works() {
      const text = `word ${++said}\n`;
      assertEquals(await echoed(text), text);
    },
  });
});

Deno.test("a datagram socket is the same after each update, and answers who has asked before", async (t) => {
  const port = freePort();
  const client = createSocket("udp4");
  await using ends = new AsyncDisposableStack();
  ends.defer(() => void client.close());
  let said = 0;
  await carries(t, {
    use: `await live.datagram("dns", { hostname: "127.0.0.1", port: ${port} }, {
  message: (bytes, from, socket) => void socket.send(bytes, from!),
});`,
    look: async ({ app }) => {
      const { link, description } = await descriptorOf(app, "dns");
      return [link, description];
    },
    async works() {
      const text = `question ${++said}`;
      const answer = once(client, "message", { signal: AbortSignal.timeout(30_000) });
      client.send(text, port, "127.0.0.1");
      assertEquals(String((await answer)[0]), text);
    },
  });
});
