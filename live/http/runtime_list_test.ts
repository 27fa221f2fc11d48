import { assertEquals, assertMatch } from "@std/assert";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";

import { waitFor } from "../../testing/wait.ts";
import { Conversations } from "./conversations.ts";
import { steadyList } from "./runtime_list.ts";

/** What the runtime notes of each connection. */
interface Noted {
  headersCompleted: boolean;
  startTime: number;
  req: unknown;
}

function notes(server: Server): Noted[] {
  const key = Object.getOwnPropertySymbols(server).find(({ description }) =>
    description === "http.server.connections"
  );
  if (key === undefined) throw new Error("this runtime has no such list");
  return [...(server as unknown as Record<symbol, { _active: Map<object, Noted> }>)[key]!._active.values()];
}

/** A server that looks for those who take too long, again and again. */
async function started(): Promise<{ server: Server; port: number } & AsyncDisposable> {
  const times = {
    connectionsCheckingInterval: 20,
    headersTimeout: 150,
    requestTimeout: 300,
    keepAliveTimeout: 60_000,
  };
  const server = createServer(times, (req, res) => {
    req.resume();
    req.on("end", () => res.end("done"));
  });
  new Conversations(server);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    server,
    port: (server.address() as AddressInfo).port,
    async [Symbol.asyncDispose](): Promise<void> {
      server.closeAllConnections();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

const GET = "GET / HTTP/1.1\r\nhost: a\r\n\r\n";
const POST = "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\n\r\n";

class Client implements Disposable {
  readonly #connection: Deno.TcpConn;
  text = "";
  closed = false;

  constructor(connection: Deno.TcpConn) {
    this.#connection = connection;
    this.#read().finally(() => this.closed = true);
  }

  static async connect(port: number): Promise<Client> {
    return new Client(await Deno.connect({ hostname: "127.0.0.1", port }));
  }

  async send(text: string): Promise<void> {
    await this.#connection.write(new TextEncoder().encode(text));
  }

  async answers(count: number): Promise<void> {
    const seen = (): boolean => this.text.split("\r\n\r\ndone").length > count;
    await waitFor(seen, { what: `${count} answers` });
  }

  async #read(): Promise<void> {
    try {
      for await (const chunk of this.#connection.readable) this.text += new TextDecoder().decode(chunk);
    } catch {
      // The connection was reset.
    }
  }

  [Symbol.dispose](): void {
    try {
      this.#connection.close();
    } catch {
      // It was read to its end, and is closed.
    }
  }
}

Deno.test("a connection stays in the list of its server, without its requests, until it closes", async () => {
  await using service = await started();
  {
    using client = await Client.connect(service.port);
    for (let count = 1; count <= 40; count++) {
      await client.send(count % 2 === 0 ? GET : `${POST}body`);
      await client.answers(count);
      assertEquals(notes(service.server), [{ headersCompleted: true, startTime: Infinity, req: null }]);
    }
  }
  await waitFor(() => notes(service.server).length === 0, { what: "the connection to be forgotten" });
});

Deno.test("a list is changed once, whoever asks", async () => {
  await using service = await started();
  using client = await Client.connect(service.port);
  await client.send(GET);
  await client.answers(1);
  steadyList(service.server);
  await client.send(GET);
  await client.answers(2);
  assertEquals(notes(service.server).length, 1);
});

for (const [what, begin] of [["head", "GET / HTTP/1.1\r\nho"], ["body", `${POST}bo`]] as const) {
  Deno.test(`a ${what} that does not come is still found, also behind others, and idle clients stay`, async () => {
    await using service = await started();
    using idle = await Client.connect(service.port);
    using slow = await Client.connect(service.port);
    for (const client of [idle, slow]) {
      await client.send(`${GET}${GET}`);
      await client.answers(2);
    }
    // Longer than either limit.
    await new Promise((resolve) => setTimeout(resolve, 500));
    assertEquals([idle.closed, slow.closed], [false, false]);
    await slow.send(begin);
    await waitFor(() => slow.closed, { what: "the slow one to be ended" });
    assertMatch(slow.text, /HTTP\/1\.1 408 /);
    assertEquals(idle.closed, false);
    await idle.send(GET);
    await idle.answers(3);
  });
}
