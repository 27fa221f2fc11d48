import { assertEquals } from "@std/assert";
import { encodeCbor } from "../kho/codec.ts";
import { HandoverError } from "../kho/errors.ts";
import { fdLink } from "../sys/mod.ts";
import { Orchestrator } from "./orchestrator.ts";
import { DryRun, type Finding } from "./dry_run.ts";
import { type FileHandler, HandlerRegistry } from "./handler.ts";

function handler(changes: Partial<FileHandler>): FileHandler {
  const refuse = (): never => {
    throw new Error("a dry run calls nothing but check");
  };
  return {
    compatible: "thing-v1",
    canPreserve: refuse,
    preserve: refuse,
    unpreserve: refuse,
    retrieve: refuse,
    finish: refuse,
    ...changes,
  };
}

/** What a dry run finds for one file with that handler and that blob. */
function judge(own: FileHandler | null, blob: Uint8Array = new Uint8Array()): Finding | undefined {
  const registry = new HandlerRegistry();
  if (own !== null) registry.register(own);
  const dry = new DryRun(registry, {
    blob(handle) {
      if (handle !== 1n) throw new HandoverError("ENOENT", `Cannot read blob ${handle}: there is none`);
      return blob;
    },
  });
  dry.reader({ compatible: "thing-v1", data: 1n, token: 7n }, "web");
  return dry.findings[0];
}

const FOUND = { session: "web", token: 7n, compatible: "thing-v1", taken: false };

Deno.test("DryRun: a handler that says nothing of versions reads everything", () => {
  assertEquals(judge(handler({})), { ...FOUND, verdict: "ok", reason: null });
});

Deno.test("DryRun: without a handler of that name a file is lost", () => {
  const reason = 'no handler is called "thing-v1"';
  assertEquals(judge(null), { ...FOUND, verdict: "unsupported", reason });
});

for (
  const [name, changes, version, verdict, reason] of [
    ["the version that is written", { version: 2 }, 2, "ok", null],
    ["an older version that is read", { version: 2 }, 1, "needs migration", "from version 1 to 2"],
    [
      "a newer version that is read",
      { version: 1, reads: [1, 3] },
      3,
      "needs migration",
      "from version 3 to 1",
    ],
    [
      "a newer version that is not",
      { version: 1 },
      2,
      "unsupported",
      'its record has version 2, handler "thing-v1" reads 1 to 1',
    ],
    [
      "an older version that is not read any more",
      { version: 3, reads: [2, 3] },
      1,
      "unsupported",
      'its record has version 1, handler "thing-v1" reads 2 to 3',
    ],
  ] as const
) {
  Deno.test(`DryRun: ${name}, found at the beginning of the record, is ${verdict}`, () => {
    const found = judge(handler(changes), encodeCbor([version, {}]));
    assertEquals(found, { ...FOUND, verdict, reason });
  });
  Deno.test(`DryRun: ${name}, told by the handler's own check, is ${verdict}`, () => {
    const found = judge(handler({ ...changes, check: () => version }));
    assertEquals(found, { ...FOUND, verdict, reason });
  });
}

Deno.test("DryRun: what check throws is the reason", () => {
  const check = (): never => {
    throw new RangeError("the record is upside down");
  };
  const found = judge(handler({ check }));
  assertEquals([found?.verdict, found?.reason], ["unsupported", "the record is upside down"]);
});

Deno.test("DryRun: check is shown the record and no descriptor", () => {
  let seen: unknown;
  judge(
    handler({
      check: ({ session, token, serializedData, kho }) => {
        seen = {
          session,
          token,
          text: new TextDecoder().decode(kho.blob(serializedData)),
          keys: Object.keys(kho),
        };
        return undefined;
      },
    }),
    new TextEncoder().encode("record"),
  );
  assertEquals(seen, { session: "web", token: 7n, text: "record", keys: ["blob"] });
});

Deno.test("DryRun: a blob that has another form says nothing of versions", () => {
  for (const blob of [encodeCbor({ version: 9 }), encodeCbor(["9"]), new TextEncoder().encode("9")]) {
    assertEquals(judge(handler({ version: 1 }), blob)?.verdict, "ok");
  }
});

Deno.test("DryRun: what it gives out is /dev/null, and counts as taken", () => {
  const dry = new DryRun(new HandlerRegistry(), { blob: () => new Uint8Array() });
  const reader = dry.reader({ compatible: "thing-v1", data: 0n, token: 1n }, "web");
  const args = {
    handler: reader,
    session: "web",
    token: 1n,
    fd: null,
    serializedData: 0n,
    retrieveStatus: 0,
  } as const;
  const kho = { borrowFd: (fd: number) => fd, releaseFd() {}, blob: () => new Uint8Array() };
  const { flbs } = new Orchestrator(null);
  const retrieveFd = (): never => {
    throw new TypeError("a stand-in depends on nothing");
  };
  const fd = reader.retrieve({ ...args, kho, flbs, retrieveFd });
  if (typeof fd === "number") throw new TypeError("it should be the caller's");
  using file = fd;
  assertEquals(fdLink(file.fd), "/dev/null");
  assertEquals(dry.findings[0]?.taken, true);
});
