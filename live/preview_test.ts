import { assertEquals, assertRejects } from "@std/assert";

import { decodeLuo } from "../kho/abi/luo.ts";
import { decodeEnvelope } from "../kho/segment.ts";
import { Device } from "../luo/device.ts";
import { LUO_SUBTREE } from "../luo/orchestrator.ts";
import { orchestrator } from "../luo/process.ts";
import { getPid } from "../sys/mod.ts";
import { memory } from "./helpers_test.ts";
import { Lifecycle } from "./lifecycle.ts";
import { previewSegment } from "./preview.ts";

Deno.test("previewSegment() describes what is preserved now, and changes nothing", async () => {
  using device = Device.open();
  using session = device.createSession("web");
  const life = new Lifecycle(null, 0);
  const look = async () => {
    const { record, bytes } = await decodeEnvelope(previewSegment(life));
    const [subtree, ...others] = record.subtrees;
    assertEquals([subtree?.name, others], [LUO_SUBTREE, []]);
    return { record, bytes, luo: decodeLuo(record.blobs[Number(subtree?.handle) - 1] ?? new Uint8Array()) };
  };
  const empty = await look();
  assertEquals(empty.luo, { flbs: [], number: 1n, sessions: [{ name: "web", files: [] }] });
  assertEquals(empty.record.fds, []);
  const { metadata } = empty.record;
  assertEquals([metadata.pid, metadata.count], [getPid(), 1n]);
  assertEquals(metadata.nonce, new Uint8Array(metadata.nonce.length));

  using file = memory("x");
  session.preserveFd(file, 7n);
  const full = await look();
  const [held] = session.files();
  assertEquals(full.luo.sessions[0]?.files.map(({ token, compatible }) => [token, compatible]), [
    [7n, "memfd-v1"],
  ]);
  assertEquals(full.record.fds.map(({ fd, kind }) => [fd, kind]), [[held?.fd, "preserved"]]);
  assertEquals(full.bytes, previewSegment(life).byteLength);

  assertEquals(orchestrator().outgoing.subtrees(), []);
  session.preserveFd(memory("y"), 8n);
  assertEquals(session.files().length, 2);
  await assertRejects(() => decodeEnvelope(previewSegment(life).subarray(1)));
});
