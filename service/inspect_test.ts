import { assertEquals, assertRejects } from "@std/assert";

import { encodeHistory, encodeStates } from "../kho/abi/live.ts";
import { encodeLuo } from "../kho/abi/luo.ts";
import { encodeCbor } from "../kho/codec.ts";
import { HandoverError } from "../kho/errors.ts";
import { sampleSegment } from "../kho/samples_test.ts";
import { encodeEnvelope } from "../kho/segment_build.ts";
import { tempDir } from "../testing/wait.ts";
import { ControlError } from "./control_client.ts";
import { json, printed, startFake } from "./helpers_test.ts";
import { inspect } from "./inspect.ts";

const MAX_U64 = (1n << 64n) - 1n;
const PENDING = { id: "a1" };

/** A segment with all subtrees that are ours, and one that nobody knows. */
const SEGMENT = encodeEnvelope(sampleSegment({
  blobs: [
    encodeLuo({
      flbs: [],
      number: 7n,
      sessions: [
        { name: "web", files: [{ compatible: "memfd-v1", data: MAX_U64, token: MAX_U64 }] },
        { name: "empty", files: [] },
      ],
    }),
    encodeStates([{
      name: "seen",
      version: 2,
      value: encodeCbor({ n: 1.5, big: MAX_U64 }, { floats: true }),
    }]),
    encodeHistory({ pending: JSON.stringify(PENDING), started: 5n, updates: ['{"id":"z9"}'] }),
    new Uint8Array(17),
  ],
  subtrees: [
    { handle: 3n, name: "history" },
    { handle: 2n, name: "live" },
    { handle: 1n, name: "luo" },
    { handle: 4n, name: "other" },
  ],
}));

const FILE = { command: "inspect", socket: "/nowhere", live: false } as const;

Deno.test("inspect() prints a segment as JSON: 64-bit integers as text, bytes in hexadecimal, ours decoded", async () => {
  await using dir = tempDir();
  const file = `${dir.path}/segment`;
  await Deno.writeFile(file, SEGMENT);
  const { out, err } = await printed(async () =>
    assertEquals(await inspect({ ...FILE, file, json: true }), 0)
  );
  assertEquals([out.length, err], [1, []]);
  const { version, bytes, metadata, image, fds, subtrees } = JSON.parse(out[0] ?? "");
  assertEquals([version, bytes], ["kho-v1", SEGMENT.byteLength]);
  assertEquals([metadata.pid, metadata.count, metadata.nonce], [
    42,
    "3",
    "09".repeat(metadata.nonce.length / 2),
  ]);
  assertEquals([image.entry, image.env], ["/srv/app.ts", ["413dff"]]);
  assertEquals(image.limits, [{ name: "nofile", soft: "1024", hard: String(MAX_U64) }]);
  assertEquals(fds[1], {
    fd: 8,
    dev: "1",
    ino: String(MAX_U64),
    mode: 0o140777,
    kind: "inherited",
    cookie: "77",
  });
  assertEquals(subtrees, {
    history: { pending: PENDING, started: "5", updates: [{ id: "z9" }] },
    live: [{ name: "seen", version: 2, value: { n: 1.5, big: String(MAX_U64) } }],
    luo: {
      flbs: [],
      number: "7",
      sessions: [
        {
          name: "web",
          files: [{ compatible: "memfd-v1", data: String(MAX_U64), token: String(MAX_U64) }],
        },
        { name: "empty", files: [] },
      ],
    },
    other: { bytes: 17 },
  });
});

Deno.test("inspect() prints a segment for people", async () => {
  await using dir = tempDir();
  const file = `${dir.path}/segment`;
  await Deno.writeFile(file, SEGMENT);
  const { out } = await printed(() => inspect({ ...FILE, file, json: false }));
  const [head, ...lines] = out.join("\n").split("\n");
  assertEquals(head, `kho-v1, ${SEGMENT.byteLength} B, written by process 42, jump 3`);
  assertEquals(lines, [
    "image     deno run /srv/app.ts",
    "number    7",
    "subtrees  history, live, luo, other",
    "",
    "FD  KIND       DEVICE  INODE",
    "7   preserved  1       2",
    `8   inherited  1       ${MAX_U64}`,
    "",
    "SESSION  TOKEN                 HANDLER   DATA",
    `web      ${MAX_U64}  memfd-v1  ${MAX_U64}`,
  ]);
});

Deno.test("inspect() asks a running service for its segment", async () => {
  await using fake = await startFake((_request, response) => void response.end(SEGMENT));
  const command = { ...FILE, live: true, socket: fake.socket, json: true, timeoutMs: 30_000 } as const;
  const { out } = await printed(() => inspect(command));
  assertEquals(JSON.parse(out[0] ?? "").bytes, SEGMENT.byteLength);
  assertEquals(fake.requests, ["GET /v1/segment"]);
  await using broken = await startFake((_request, response) =>
    json(response, 500, { error: { code: "EIO", message: "no memory" } })
  );
  await assertRejects(() => inspect({ ...command, socket: broken.socket }), ControlError, "no memory");
});

Deno.test("inspect() refuses what is no segment, and what cannot be read", async () => {
  await using dir = tempDir();
  const file = `${dir.path}/segment`;
  const damaged = SEGMENT.slice();
  damaged[SEGMENT.length - 1] = (damaged[SEGMENT.length - 1] ?? 0) ^ 1;
  for (const bytes of [new Uint8Array(), SEGMENT.subarray(1), SEGMENT.subarray(0, -1), damaged]) {
    await Deno.writeFile(file, bytes);
    const { out } = await printed(() =>
      assertRejects(() => inspect({ ...FILE, file, json: true }), HandoverError, "Cannot read the handover")
    );
    assertEquals(out, []);
  }
  await assertRejects(() => inspect({ ...FILE, file: `${file}x`, json: true }), Deno.errors.NotFound);
});
