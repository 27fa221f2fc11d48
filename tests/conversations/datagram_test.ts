import { assert, assertEquals, assertThrows } from "@std/assert";

import { bindDatagram, socketAddressFrom } from "../../live/streams/datagram_address.ts";
import { getsockname, SysError } from "../../sys/mod.ts";
import { sendDatagram } from "../../sys/network.ts";
import { assertNothingLost, delay, snapshot, waitFor } from "../../testing/mod.ts";
import type { DatagramAppReport } from "./_datagram_app.ts";
import { assertAllAnswered, beat, PATIENCE_MS, reports, startScene, udpClient } from "./_datagram_kit.ts";
import { untilQuiescing } from "../update/_fixtures.ts";

const encoder = new TextEncoder();

Deno.test("datagrams at a steady rate are all received, once, in order, through five updates", async () => {
  await using scene = await startScene();
  const before = scene.report();
  const held = await snapshot(scene.app);
  const beating = beat(scene.clients);
  const labels = ["v1"];
  for (let update = 2; update <= 6; update++) {
    const label = `v${update}`;
    const record = await scene.app.upgrade({ build: await scene.write(label) });
    assertEquals([record.outcome, record.reason], ["committed", null], scene.app.output().stderr);
    labels.push(label);
    await waitFor(() => scene.clients.every(({ answers }) => answers.at(-1)?.startsWith(`${label} `)), {
      what: `answers of ${label}`,
      timeoutMs: PATIENCE_MS,
    });
  }
  const sent = beating.stop();
  assert([...sent.values()].every((count) => count > 200), `${[...sent]}`);
  await assertAllAnswered(scene, sent, labels);
  assertEquals(scene.heard(), labels.map((label) => `hello ${label}`));
  assertEquals(scene.report(), before, "every socket has the address and the peer that it had");
  assertNothingLost(held, await snapshot(scene.app), { updates: 5 });
});

Deno.test("datagrams go on without a loss when the new build fails, and nothing that it sent is heard", async () => {
  await using scene = await startScene();
  const beating = beat(scene.clients);
  const failing = await scene.write("failing", { fails: true });
  for (let round = 0; round < 2; round++) {
    const record = await scene.app.upgrade({ build: failing });
    assertEquals(record.outcome, "rolled-back", `${record.reason}`);
    const counts = scene.clients.map(({ answers }) => answers.length);
    await waitFor(() => scene.clients.every(({ answers }, index) => answers.length > counts[index]! + 10), {
      what: "the old build to go on",
      timeoutMs: PATIENCE_MS,
    });
  }
  const good = await scene.app.upgrade({ build: await scene.write("good") });
  assertEquals(good.outcome, "committed", `${good.reason}`);
  await waitFor(() => scene.clients.every(({ answers }) => answers.at(-1)?.startsWith("good ")), {
    what: "answers of the good build",
  });
  await assertAllAnswered(scene, beating.stop(), ["v1", "good"]);
  assertEquals(scene.heard(), ["hello v1", "hello v1", "hello v1", "hello good"]);
});

Deno.test("an update waits for handlers that have given a promise; what comes meanwhile is for the new build", async () => {
  await using scene = await startScene();
  const client = scene.client("v4");
  client.send("until gate");
  await waitFor(() => scene.received("v4").length === 1, { what: "the datagram" });
  const update = scene.app.upgrade({ build: await scene.write("v2") });
  await untilQuiescing(scene.app);
  // What is sent now waits in the socket, whatever the old build is still busy with.
  client.send("meanwhile");
  scene.open("gate");
  assertEquals((await update).outcome, "committed");
  await waitFor(() => client.answers.length === 2, { what: "both answers", timeoutMs: PATIENCE_MS });
  assertEquals(client.answers, ["v1 until gate", "v2 meanwhile"]);
});

Deno.test("a handler that is not done in time refuses the update, or is given up", async () => {
  await using scene = await startScene({ quiesceTimeoutMs: 200 });
  const client = scene.client("v4");
  client.send("until gate");
  await waitFor(() => scene.received("v4").length === 1, { what: "the datagram" });
  const record = await scene.app.upgrade({ build: await scene.write("v2") });
  assertEquals(record.outcome, "refused");
  assertEquals(record.reason, 'Cannot update: 1 handler of "v4" is not done');
  client.send("still there");
  scene.open("gate");
  await waitFor(() => client.answers.length === 2, { what: "both answers", timeoutMs: PATIENCE_MS });
  assertEquals(client.answers, ["v1 until gate", "v1 still there"]);

  const closing = await scene.write("v3", { overdue: "close" });
  assertEquals((await scene.app.upgrade({ build: closing })).outcome, "committed");
  client.send("until the end of time");
  await waitFor(() => scene.received("v4").length === 3, { what: "the datagram" });
  assertEquals((await scene.app.upgrade({ build: await scene.write("v4") })).outcome, "committed");
  client.send("after it");
  await waitFor(() => client.answers.length === 3, { what: "the answer", timeoutMs: PATIENCE_MS });
  assertEquals(client.answers.at(-1), "v4 after it");
});

Deno.test("a build that wants its sockets otherwise gets them so, and leaves them alone when it fails", async () => {
  await using scene = await startScene();
  const before = scene.report();
  const stranger = await udpClient(before["peer"]!.address);
  await using _stranger = stranger;
  const round = async (label: string, names: string[]): Promise<void> => {
    for (const name of names) {
      const client = scene.client(name);
      client.send(`in ${label}`);
      await waitFor(() => client.answers.at(-1) === `${label} in ${label}`, { what: `${name} to answer` });
    }
  };
  const all = scene.clients.map(({ name }) => name);
  await round("v1", all);
  stranger.send("a stranger in v1");
  const failing = await scene.write("failing", { reshaped: true, fails: true });
  assertEquals((await scene.app.upgrade({ build: failing })).outcome, "rolled-back");
  await round("v1", all);
  stranger.send("a stranger in v1 again");
  await waitFor(() => reports(scene.app).length === 2, { what: "the report of v1" });
  assertEquals(scene.report(), before);

  const record = await scene.app.upgrade({ build: await scene.write("v2", { reshaped: true }) });
  assertEquals([record.outcome, record.dropped], ["committed", ["abstract"]], `${record.reason}`);
  const after = await waitFor(() => reports(scene.app)[2], { what: "the report of v2" });
  assertEquals(Object.keys(after), ["v4", "v6", "peer", "path"]);
  assertEquals((after["v4"]?.address as { hostname: string }).hostname, "127.0.0.2");
  assertEquals(after["peer"]?.peer, null);
  const portOf = (report: DatagramAppReport): number => (report["peer"]?.address as { port: number }).port;
  assertEquals(portOf(after), portOf(before), "the port stays");
  await round("v2", ["v6", "peer", "path"]);
  stranger.send("a stranger in v2");
  await waitFor(() => stranger.answers.at(-1) === "v2 a stranger in v2", { what: "the stranger's answer" });
  assertEquals(stranger.answers, ["v2 a stranger in v2"], "before that, nobody heard it");
  using gone = bindDatagram({ family: "abstract", name: `${crypto.randomUUID()}` }, () => {});
  const abstract = { family: "abstract", name: scene.directory } as const;
  const error = assertThrows(() => sendDatagram(gone.fd, encoder.encode("anybody?"), abstract), SysError);
  assertEquals(error.code, "ECONNREFUSED", "what was dropped is closed");
});

Deno.test("what nobody should send harms nobody: floods, empty ones, large ones, senders that leave", async () => {
  await using scene = await startScene();
  const [v4, path] = [scene.client("v4"), scene.client("path")];
  const target = socketAddressFrom(scene.report()["v4"]!.address);
  let flooding = true;
  const flood = (async () => {
    using socket = bindDatagram({ family: "inet", host: "127.0.0.1", port: 0 }, () => {});
    const garbage = crypto.getRandomValues(new Uint8Array(1000));
    let sent = 0;
    while (flooding) {
      for (let count = 0; count < 20; count++) {
        const size = [0, 1, 700, 60_000][sent++ % 4] ?? 0;
        sendDatagram(socket.fd, size > 1000 ? new Uint8Array(size) : garbage.subarray(0, size), target);
      }
      await delay(1);
      // Its answers are not read, and it leaves.
    }
    return { sent, port: (getsockname(socket.fd) as { port: number }).port };
  })();
  using gone = bindDatagram({ family: "inet", host: "127.0.0.1", port: 0 }, () => {});
  for (let update = 2; update <= 3; update++) {
    sendDatagram(gone.fd, encoder.encode("an answer to nobody"), target);
    const record = await scene.app.upgrade({ build: await scene.write(`v${update}`) });
    assertEquals(record.outcome, "committed", `${record.reason}`);
  }
  flooding = false;
  assert((await flood).sent > 100);
  // The unix socket had nothing to do with it.
  path.send("quiet");
  await waitFor(() => path.answers.at(-1) === "v3 quiet", { what: "the answer on the unix socket" });
  await waitFor(() => {
    v4.send("are you there");
    return v4.answers.includes("v3 are you there");
  }, { what: "the answer behind the flood", timeoutMs: PATIENCE_MS });
});
