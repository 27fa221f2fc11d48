import { assertEquals } from "@std/assert";
import { formatEndpoint, socketTable } from "./socket_table.ts";
import { tempDir } from "./wait.ts";

Deno.test("formatEndpoint reads the kernel's words", () => {
  assertEquals(formatEndpoint("0100007F:1F90"), "127.0.0.1:8080");
  assertEquals(formatEndpoint("00000000:0000"), "0.0.0.0:0");
  assertEquals(formatEndpoint("00000000000000000000000001000000:0016"), "[::1]:22");
  assertEquals(formatEndpoint("B80D0120000000000000000001000000:FFFF"), "[2001:db8::1]:65535");
});

Deno.test("socketTable names each kind of socket", async () => {
  await using dir = tempDir();
  const path = `${dir.path}/a socket`;
  using tcp = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  using tcp6 = Deno.listen({ hostname: "::1", port: 0 });
  using unix = Deno.listen({ transport: "unix", path });
  using client = await Deno.connect({ hostname: "127.0.0.1", port: tcp.addr.port });
  using server = await tcp.accept();
  using unixClient = await Deno.connect({ transport: "unix", path });
  using _unixServer = await unix.accept();
  const found = [...socketTable(Deno.pid).values()];
  const count = (text: string): number => found.filter((each) => each === text).length;
  const { port } = client.localAddr;
  assertEquals(count(`tcp 127.0.0.1:${tcp.addr.port} listening`), 1);
  assertEquals(count(`tcp [::1]:${tcp6.addr.port} listening`), 1);
  assertEquals(count(`tcp 127.0.0.1:${port} to 127.0.0.1:${tcp.addr.port}`), 1);
  assertEquals(count(`tcp 127.0.0.1:${tcp.addr.port} to 127.0.0.1:${port}`), 1);
  assertEquals(count(`unix stream ${path} listening`), 1);
  assertEquals(count(`unix stream ${path} connected`), 1);
  assertEquals([server.remoteAddr.transport, unixClient.remoteAddr.transport], ["tcp", "unix"]);
});
