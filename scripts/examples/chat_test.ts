import { assertEquals } from "@std/assert";
import { WebSocket as PackageSocket } from "npm:ws@8.23.0";
import { freePort, heirloomRoot, startApp, tempDir, waitFor, writeApp } from "../../testing/mod.ts";

const ENTRY = `${heirloomRoot()}/scripts/examples/chat.ts`;

/** Somebody in a chat, who notes down what is said. */
class Member implements AsyncDisposable {
  readonly #socket: WebSocket;
  readonly #closed = Promise.withResolvers<void>();
  readonly heard: string[] = [];

  private constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.onmessage = ({ data }) => {
      const { id, name, text } = JSON.parse(data);
      this.heard.push(`${id} ${name}: ${text}`);
    };
    socket.onclose = ({ code }) => {
      this.heard.push(`closed with ${code}`);
      this.#closed.resolve();
    };
  }

  /** Comes in, with the client of the runtime or that of the `ws` package. */
  static async enter(port: number, name: string, Client: typeof WebSocket = WebSocket): Promise<Member> {
    const socket = new Client(`ws://127.0.0.1:${port}/ws?name=${name}`);
    const member = new Member(socket);
    await new Promise((resolve, reject) => {
      socket.onopen = resolve;
      socket.onerror = reject;
    });
    return member;
  }

  say(text: string): void {
    this.#socket.send(text);
  }

  async hears(line: string): Promise<void> {
    await waitFor(() => this.heard.includes(line), { what: `"${line}", heard: ${this.heard.join("; ")}` });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#socket.close();
    await this.#closed.promise;
  }
}

Deno.test("two members of the chat talk across two upgrades, and a third one reads what was said", async () => {
  await using dir = tempDir("heirloom-chat-");
  // A newer version of it, that marks what is said.
  const text = await Deno.readTextFile(ENTRY);
  const newer = await writeApp(`${dir.path}/newer`, {
    files: {
      "main.ts": text.replace('"../../mod.ts"', `"file://${heirloomRoot()}/mod.ts"`)
        .replace("say(state.name, `${data}`)", "say(state.name, `${data}!`)"),
    },
  });
  const port = freePort();
  await using app = await startApp({ entry: ENTRY, args: [String(port)] });
  await using ann = await Member.enter(port, "ann", PackageSocket as unknown as typeof WebSocket);
  await using bob = await Member.enter(port, "bob");
  await ann.hears("2 *: bob comes");
  ann.say("hello");
  await bob.hears("3 ann: hello");
  assertEquals((await app.upgrade({ build: newer })).outcome, "committed");
  bob.say("still there");
  await ann.hears("4 bob: still there!");
  assertEquals((await app.upgrade({ build: ENTRY })).outcome, "committed");
  ann.say("sure");
  await bob.hears("5 ann: sure");
  await using cy = await Member.enter(port, "cy");
  await cy.hears("6 *: cy comes");
  const lines = ["1 *: ann comes", "2 *: bob comes", "3 ann: hello", "4 bob: still there!", "5 ann: sure"];
  assertEquals(cy.heard, [...lines, "6 *: cy comes"]);
  await cy[Symbol.asyncDispose]();
  await ann.hears("7 *: cy leaves");
  await bob.hears("7 *: cy leaves");
  const heard = [...lines, "6 *: cy comes", "7 *: cy leaves"];
  assertEquals(ann.heard, heard, "nothing lost, nothing twice");
  assertEquals(bob.heard, heard);
  const page = await (await fetch(`http://127.0.0.1:${port}/`)).text();
  assertEquals(page.includes("new WebSocket("), true);
  assertEquals((await fetch(`http://127.0.0.1:${port}/nowhere`)).status, 404);
});
